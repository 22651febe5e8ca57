"""What each algorithm of convolution answers and does, and the plan that it makes once for each geometry."""

from __future__ import annotations

import dataclasses
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from ...kernels.arguments import Epilogue, Floats, Workspace
from ...kernels.jit import threads
from ...runtime import buffers
from ...shapes import Window
from .. import arrays

PASSES = "forward", "input", "weight"  # the result, and the gradients
GRAIN = 1 << 20  # multiply-adds that are worth another thread


class Fit(NamedTuple):
    """Whether an algorithm can do a convolution, true or false, and where it cannot, the reason."""

    why_not: str = ""

    def __bool__(self) -> bool:
        return not self.why_not


def fits_if(*conditions: tuple[bool, str]) -> Fit:
    """Return the reason of the first (condition, reason against it) that does not hold."""
    return next((Fit(reason) for holds, reason in conditions if not holds), Fit())


class Work(NamedTuple):
    """What an algorithm does in one pass: what its time is made of."""

    kernels: str  # that do it: coefficients are those of these
    steps: float  # multiply-adds of a whole vector, empty lanes and rows of tiles included
    tiles: float  # sums, or vectors, that are begun and brought to an end
    bytes: float  # read and written


class Cost(NamedTuple):
    """Expected seconds of a pass on one thread, infinite where it is never chosen, and what they go to."""

    time: float
    why: str

    def __str__(self) -> str:
        """The reason of a choice."""
        return f"about {1e3 * self.time:.2g} ms on one thread, {self.why}"


class Algorithm(Protocol):
    """A module of this folder: whether it can do a window, what that takes, and the three passes.

    Arrays are C-contiguous and of one dtype. `residual` is flat, and empty where there is none.
    """

    def fits(self, w: Window) -> Fit:
        """Whether the algorithm can do this window."""

    def work(self, w: Window, step: str) -> Work | None:
        """What it does in one of PASSES, for a window that fits; None: that pass is left to another algorithm."""

    def forward(self, x: Floats, weight: Floats, epilogue: Epilogue, w: Window, y: Floats) -> None:
        """Write the convolution of x (N, H, W, C) with weight (R, S, C // groups, K) and its epilogue to y (N, P, Q, K)."""

    def backward_input(self, dy: Floats, weight: Floats, residual: Floats, w: Window, dx: Floats) -> None:
        """Write the gradient of x, plus the residual, to dx."""

    def backward_weight(self, dy: Floats, x: Floats, w: Window, dweight: Floats, dbias: Floats) -> None:
        """Write the gradient of the weight to dweight and, unless that is empty, the one of the bias to dbias."""


Walk = TypeVar("Walk")


@dataclasses.dataclass(frozen=True, eq=False)
class Plan(Generic[Walk]):
    """What a pass over one geometry needs besides its arrays; made once and kept."""

    walk: Walk  # what the kernel takes: a record of numbers, tables and the width of its tile
    work: int  # multiply-adds, done directly
    floats: int = 0  # working memory of a worker, in elements
    integers: int = 0

    def workers(self) -> int:
        """Threads that the work is worth."""
        return threads.workers(self.work, GRAIN)

    def workspace(self, workers: int, dtype: np.dtype) -> Workspace:
        """Working memory of one launch."""
        integers = buffers.workspace("conv", workers * self.integers, arrays.INT64) if self.integers else arrays.NO_INTEGERS
        return Workspace(buffers.workspace("conv", workers * self.floats, dtype), integers, buffers.counter())


def bytes_of(w: Window) -> int:
    """Bytes of images, results and filter in float32."""
    return 4 * (w.N * w.H * w.W * w.C + w.N * w.P * w.Q * w.K + w.R * w.S * w.C // w.groups * w.K)


def multiply_adds(w: Window) -> int:
    """Multiply-adds of a convolution, done directly."""
    return w.N * w.P * w.Q * w.K * w.R * w.S * w.C // w.groups
