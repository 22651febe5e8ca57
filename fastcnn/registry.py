"""The table of operations: one row for each, and one for each algorithm of an operation.

A row says how cases become arguments, what the results are called, how exact they are, how they are differentiated, what
they cost and which calls are refused. The test (tests/test_registry.py), the bench (bench/test_bench.py) and the check on a
user's machine (`fastcnn verify`) walk the same rows. Fast function, reference and row share one name.

Letters: N images, H W input rows and columns, C input channels, K output channels, R S filter, P Q output.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import functional, reference
from .faults import FAULTS, Fault
from .kernels import simd
from .training import Augment

# Of this machine: pixels of a register tile one vector wide, float32 elements of a vector, and of two.
TILE, LANES = simd.ROWS[1], simd.VECTOR_BYTES // 4
WIDTH = 2 * LANES

Arguments = dict[str, Any]


class Draw:
    """Random arrays of one element type and one kind.

    "integers" are whole numbers from 1 to 8 with either sign, so that sums of products are exact in any order; "normal" are
    normal deviates; "spread" are distinct, 0.1 apart and none nearer than 0.05 to zero, so that no kink and no tie is near.
    """

    def __init__(self, seed: int, dtype: Any, kind: str) -> None:
        """Start the sequence that belongs to a seed."""
        self.random, self.dtype, self.kind = np.random.default_rng(seed), np.dtype(dtype), kind

    def __call__(self, *shape: int) -> np.ndarray:
        """Give an array of this kind."""
        if self.kind == "integers":
            values = self.random.integers(1, 9, shape) * self.random.choice((-1, 1), shape)
        elif self.kind == "spread":
            size = math.prod(shape)
            values = (self.random.permutation(size).reshape(shape) - size // 2 + 0.5) * 0.1
        else:
            values = self.random.standard_normal(shape)
        return np.asarray(values, self.dtype)

    def scaled(self, scale: float, *shape: int) -> np.ndarray:
        """Give larger or smaller numbers of this kind; "spread" ones stay apart."""
        values: np.ndarray = self(*shape) * self.dtype.type(1.0 if self.kind == "spread" else scale)
        return values

    def positive(self, *shape: int) -> np.ndarray:
        """Give numbers from 1/2 to 2."""
        return np.asarray(self.random.uniform(0.5, 2.0, shape), self.dtype)

    def share(self, *shape: int) -> np.ndarray:
        """Give numbers from 0 to 1 that add up to 1 along the last axis."""
        values = self.random.uniform(0.0, 1.0, shape)
        return np.asarray(values / values.sum(axis=-1, keepdims=True), self.dtype)

    def below(self, limit: int, *shape: int) -> np.ndarray:
        """Give whole numbers from 0 to limit - 1."""
        indices: np.ndarray = self.random.integers(0, limit, shape)
        return indices


@dataclass(frozen=True)
class Case:
    """One set of arguments; the name says why it exists."""

    name: str
    settings: dict[str, Any]
    telling: bool = True  # False: the right result is zero or constant, and that is the point
    bench: bool = False  # it is timed, and no part of the test


@dataclass(frozen=True)
class Differences:
    """How a gradient is held against central differences in float64: step, kind of numbers, relative bound."""

    step: float
    kind: str
    bound: float


# Any step is exact for a linear operation.
LINEAR = Differences(step=1.0, kind="normal", bound=1e-11)
SMOOTH = Differences(step=1e-5, kind="normal", bound=1e-8)
KINKED = Differences(step=1e-5, kind="spread", bound=1e-9)
# A longer step for what is made of straight lines: the mean of large numbers hides a small change.
STRAIGHT = Differences(step=2e-3, kind="spread", bound=1e-9)


@dataclass(frozen=True)
class Bound:
    """Largest error, in units of the element type's epsilon times a size.

    `units` is a number, or a function of the arguments that gives one for all results or one by result. The size is that of
    `each` value itself, else the largest value, else what `size` gives for a result that is small beside what it is made of.
    """

    units: float | Callable[[Arguments], float | dict[str, float]]
    each: bool = False
    factor: float = 1.0
    size: Callable[[Arguments], dict[str, float]] = lambda _: {}

    def of(self, arguments: Arguments, result: str) -> float:
        """Give the units for one result."""
        units = self.units(arguments) if callable(self.units) else self.units
        return self.factor * (units[result] if isinstance(units, dict) else units)


EXACT = Bound(0)
# Of Winograd's algorithm, whose transforms multiply by numbers from 1/24 to 8.
WINOGRAD = 8


def of_sum(terms: int) -> float:
    """Units for a sum: its rounding errors are random and grow as the root of the number of terms."""
    return 1 + math.sqrt(terms)


@dataclass(frozen=True)
class Row:
    """One operation, or one algorithm of it."""

    operation: str  # name in fastcnn.functional and in fastcnn.reference
    make: Callable[..., Arguments]  # (draw, **case.settings) -> arguments by name
    cases: tuple[Case, ...]
    results: tuple[str, ...]
    bound: Bound  # on normal numbers
    exact: bool = False  # equal to the last bit on whole numbers
    algorithm: str | None = None
    wrt: tuple[str, ...] = ()  # arguments with a gradient: by OPERATION_backward, or by the further results of a loss
    differences: Differences = SMOOTH
    updates: tuple[str, ...] = ()  # arguments that are changed in place
    nonzero: float = 0.3  # smallest share of elements that must not be zero: a result of zeros proves nothing
    spoil: str | None = None  # argument through which NaN and infinity enter
    blurs: bool = False  # NaN and infinity may come out as NaN, and beside their place
    flops: Callable[[Arguments, Arguments], int] | None = None  # of arguments and results; None: the bytes count
    bytes: Callable[[Arguments, Arguments], int] | None = None  # None: those of all arguments and results

    @property
    def name(self) -> str:
        """Operation, and algorithm where the row is about one."""
        return self.operation if self.algorithm is None else f"{self.operation}[{self.algorithm}]"

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The calls that are refused, with the arguments of the first case but for what is at fault."""
        return FAULTS.get(self.operation, ()) if self.algorithm is None else ()

    @property
    def fast(self) -> Callable[..., Any]:
        """The function under test."""
        function: Callable[..., Any] = getattr(functional, self.operation)
        return function

    @property
    def reference(self) -> Callable[..., Any]:
        """Its twin in plain numpy."""
        function: Callable[..., Any] = getattr(reference, self.operation)
        return function


def case(name: str, /, **settings: Any) -> Case:
    """Make a case."""
    return Case(name, settings)


def trivial(name: str, /, **settings: Any) -> Case:
    """Make a case whose right result is zero or constant."""
    return Case(name, settings, telling=False)


def bench(name: str, /, **settings: Any) -> Case:
    """Make a case that is timed."""
    return Case(name, settings, bench=True)


# Convolution ---------------------------------------------------------------------------------------------------------------


def conv2d_arguments(draw: Draw, x: tuple[int, ...], weight: tuple[int, ...], bias: bool = True,
                     **geometry: Any) -> Arguments:
    """Images, filters and bias."""
    return {"x": draw(*x), "weight": draw(*weight), "bias": draw(weight[3]) if bias else None, **geometry}


def conv2d_backward_arguments(draw: Draw, x: tuple[int, ...], weight: tuple[int, ...], bias: bool = True,
                              need_dx: bool = True, need_dweight: bool = True, relu: bool = False,
                              **geometry: Any) -> Arguments:
    """Gradient of the result, images and filters; the result too where it was rectified."""
    y = reference.conv2d(np.zeros(x), np.zeros(weight), **geometry)
    return {"dy": draw(*y.shape), "x": draw(*x), "weight": draw(*weight), "need_dx": need_dx,
            "need_dweight": need_dweight, "need_dbias": bias, "y": np.maximum(draw(*y.shape), 0) if relu else None,
            **geometry}


def conv2d_error(a: Arguments) -> float:
    """Sums over filter and input channels."""
    return of_sum(a["weight"][..., 0].size)


def conv2d_backward_error(a: Arguments) -> dict[str, float]:
    """Sums over filter and output channels, or over images and pixels."""
    pixels = of_sum(a["dy"][..., 0].size)
    return {"dx": of_sum(a["weight"][:, :, 0].size), "dweight": pixels, "dbias": pixels}


def conv2d_flops(a: Arguments, results: Arguments) -> int:
    """Two for each product."""
    return int(2 * results["y"].size * a["weight"][..., 0].size)


def conv2d_backward_flops(a: Arguments, results: Arguments) -> int:
    """As many for dweight as forward, and again for dx."""
    return int(2 * a["dy"].size * a["weight"][..., 0].size * (a["need_dx"] + a["need_dweight"]))


def one_gradient(one: Case) -> tuple[Case, ...]:
    """Time the gradients of input and weight apart."""
    if not one.bench:
        return (one,)
    return (bench(f"{one.name}: input", **one.settings, bias=False, need_dweight=False),
            bench(f"{one.name}: weight", **one.settings, bias=False, need_dx=False))


POINTWISE = (
    case("1x1 filter", x=(2, 5, 6, 7), weight=(1, 1, 7, 9)),
    case("a single number", x=(1, 1, 1, 1), weight=(1, 1, 1, 1)),
    case("one pixel", x=(1, 1, 1, 5), weight=(1, 1, 5, 6)),
    case("1x1 filter without bias", x=(2, 3, 4, 6), weight=(1, 1, 6, 5), bias=False),
    case("1x1 filter, a pixel short of a tile", x=(1, 1, TILE - 1, 3), weight=(1, 1, 3, 4)),
    case("1x1 filter, one tile of pixels", x=(1, 1, TILE, 3), weight=(1, 1, 3, 4)),
    case("1x1 filter, a pixel more than a tile", x=(1, 1, TILE + 1, 3), weight=(1, 1, 3, 4)),
    case("1x1 filter, a channel short of a tile", x=(1, 3, 5, 3), weight=(1, 1, 3, WIDTH - 1)),
    case("1x1 filter, one tile of channels", x=(1, 3, 5, 3), weight=(1, 1, 3, WIDTH)),
    case("1x1 filter, a channel more than a tile", x=(1, 3, 5, 3), weight=(1, 1, 3, WIDTH + 1)),
    case("1x1 filter, many channels to few", x=(1, 4, 4, 130), weight=(1, 1, 130, 3)),
    case("1x1 filter, several chunks of pixels", x=(3, 17, 11, 4), weight=(1, 1, 4, 5)),
    case("1x1 filter, threads meet", x=(4, 16, 16, 24), weight=(1, 1, 24, 40)),
    bench("1x1, 64 to 128 channels", x=(64, 16, 16, 64), weight=(1, 1, 64, 128)),
)

DEPTHWISE = (
    case("depthwise", x=(2, 6, 7, 5), weight=(3, 3, 1, 5), groups=5),
    case("depthwise with padding", x=(2, 4, 5, 5), weight=(3, 3, 1, 5), groups=5, padding=1),
    case("depthwise without bias", x=(1, 5, 5, 4), weight=(3, 3, 1, 4), groups=4, bias=False),
    case("depthwise with one channel", x=(2, 5, 6, 1), weight=(3, 2, 1, 1)),
    case("depthwise, a channel short of a vector", x=(1, 5, 5, 15), weight=(3, 3, 1, 15), groups=15),
    case("depthwise, one vector", x=(1, 5, 5, 16), weight=(3, 3, 1, 16), groups=16),
    case("depthwise, a channel more than a vector", x=(1, 5, 5, 17), weight=(3, 3, 1, 17), groups=17),
    case("depthwise with stride", x=(2, 8, 9, 6), weight=(3, 3, 1, 6), groups=6, stride=2, padding=1),
    case("depthwise, stride differs by axis", x=(1, 9, 8, 3), weight=(3, 3, 1, 3), groups=3, stride=(1, 3), padding=(0, 1)),
    case("depthwise, dilation differs by axis", x=(1, 9, 6, 3), weight=(3, 3, 1, 3), groups=3, stride=(2, 1),
         dilation=(3, 1)),
    case("depthwise with dilation", x=(1, 9, 8, 3), weight=(3, 2, 1, 3), groups=3, dilation=2),
    case("depthwise, dilation larger than stride", x=(1, 11, 10, 3), weight=(3, 3, 1, 3), groups=3, stride=2, dilation=3,
         padding=2),
    case("depthwise, padding wider than half the filter", x=(1, 4, 4, 3), weight=(3, 3, 1, 3), groups=3, padding=2),
    case("depthwise, padding on one side", x=(1, 6, 5, 3), weight=(2, 3, 1, 3), groups=3, padding=((0, 1), (2, 0))),
    case("depthwise, non-square", x=(2, 9, 5, 4), weight=(2, 4, 1, 4), groups=4, padding=(1, 2)),
    case("depthwise, a pixel short of a run", x=(1, 4, 5, 18), weight=(3, 3, 1, 18), groups=18, padding=(1, 0)),
    case("depthwise, a run and its edges", x=(1, 4, simd.PIXELS + 2, 18), weight=(3, 3, 1, 18), groups=18, padding=1),
    case("depthwise, a pixel more than a run and its edges", x=(1, 5, simd.PIXELS + 3, 33), weight=(3, 3, 1, 33), groups=33,
         padding=1),
    case("depthwise, filter of four columns", x=(1, 6, 12, 17), weight=(2, 4, 1, 17), groups=17, padding=(1, 2)),
    case("depthwise, filter of 25 elements", x=(1, 7, 12, 19), weight=(5, 5, 1, 19), groups=19, padding=2),
    case("depthwise, filter of six columns", x=(1, 5, 15, 17), weight=(1, 6, 1, 17), groups=17, padding=(0, 2)),
    case("depthwise, stride with long rows", x=(2, 7, 29, 17), weight=(3, 3, 1, 17), groups=17, stride=2, padding=1),
    case("depthwise, stride of 3 with padding on one side", x=(1, 10, 26, 16), weight=(3, 3, 1, 16), groups=16, stride=3,
         padding=((0, 1), (2, 0))),
    case("depthwise, stride larger than the filter", x=(1, 9, 30, 17), weight=(2, 2, 1, 17), groups=17, stride=3),
    case("depthwise, stride equal to dilation", x=(1, 11, 21, 16), weight=(3, 3, 1, 16), groups=16, stride=2, dilation=2,
         padding=2),
    case("depthwise, padding wider than the filter", x=(1, 3, 9, 17), weight=(2, 2, 1, 17), groups=17, padding=3),
    case("depthwise, more rows than a band", x=(2, 37, 9, 16), weight=(3, 3, 1, 16), groups=16, padding=1),
    case("depthwise, rows of several strips", x=(1, 2, 20, 270), weight=(3, 3, 1, 270), groups=270,
         padding=1),
    case("depthwise, threads meet", x=(4, 24, 24, 40), weight=(3, 3, 1, 40), groups=40, padding=1),
    bench("depthwise 3x3, 128 channels", x=(64, 16, 16, 128), weight=(3, 3, 1, 128), groups=128, padding=1),
)

# 3x3 filters with stride 1; blocks of the result are 4x4.
ROWS_OF_PIXELS = (
    case("pixels, one short of two vectors", x=(2, 3, WIDTH + 1, 1), weight=(3, 3, 1, 6)),
    case("pixels, two vectors", x=(2, 3, WIDTH + 2, 1), weight=(3, 3, 1, 6)),
    case("pixels, one more than two vectors", x=(2, 3, WIDTH + 3, 1), weight=(3, 3, 1, 6)),
    case("pixels, eight channels", x=(1, 4, 9, 2), weight=(2, 3, 2, 8), padding=1),
    case("pixels, nine channels", x=(1, 4, 9, 2), weight=(2, 3, 2, 9), padding=1),
    case("pixels, filter of a whole block", x=(1, 5, 9, 2), weight=(3, 6, 2, 5), padding=2),
    case("pixels, more rows than a band", x=(1, 40, WIDTH, 3), weight=(5, 5, 3, 8), padding=2),
)
BLOCKS = (
    case("3x3 filter, 16 channels", x=(2, 7, 6, 16), weight=(3, 3, 16, 16), padding=1),
    case("3x3 filter without bias", x=(1, 6, 6, 3), weight=(3, 3, 3, 4), bias=False),
    case("3x3 filter, one channel to one", x=(2, 6, 7, 1), weight=(3, 3, 1, 1)),
    case("3x3 filter, one block", x=(1, 6, 6, 3), weight=(3, 3, 3, 4)),
    case("3x3 filter, a row and a column short of a block", x=(1, 5, 5, 3), weight=(3, 3, 3, 4)),
    case("3x3 filter, a row and a column more than a block", x=(1, 7, 7, 3), weight=(3, 3, 3, 4)),
    case("3x3 filter, one pixel", x=(2, 3, 3, 5), weight=(3, 3, 5, 4)),
    case("3x3 filter, one pixel in padding", x=(2, 1, 1, 5), weight=(3, 3, 5, 4), padding=1),
    case("3x3 filter, wide padding", x=(1, 4, 5, 3), weight=(3, 3, 3, 4), padding=(2, 3)),
    case("3x3 filter, padding on one side", x=(1, 6, 5, 3), weight=(3, 3, 3, 4), padding=((0, 1), (2, 0))),
    case("3x3 filter, same padding", x=(1, 9, 5, 3), weight=(3, 3, 3, 4), padding="same"),
    case("3x3 filter, a channel short of a tile", x=(1, 6, 7, TILE - 1), weight=(3, 3, TILE - 1, WIDTH - 1)),
    case("3x3 filter, one tile of channels", x=(1, 6, 7, TILE), weight=(3, 3, TILE, WIDTH)),
    case("3x3 filter, a channel more than a tile", x=(1, 6, 7, TILE + 1), weight=(3, 3, TILE + 1, WIDTH + 1)),
    case("3x3 filter, many channels", x=(1, 5, 6, 70), weight=(3, 3, 70, 66), padding=1),
    case("3x3 filter, many blocks", x=(3, 19, 18, 4), weight=(3, 3, 4, 5), padding=1),
    case("3x3 filter, as many channels as a panel has", x=(1, 6, 9, 4 * LANES), weight=(3, 3, 4 * LANES, 4 * LANES)),
    case("3x3 filter, as many channels as one of two panels", x=(1, 6, 9, 4 * LANES), weight=(3, 3, 4 * LANES, 8 * LANES)),
    case("3x3 filter, weights larger than the caches", x=(1, 5, 6, 180), weight=(3, 3, 180, 180), padding=1),
    case("3x3 filter, threads meet", x=(4, 18, 17, 20), weight=(3, 3, 20, WIDTH + 8), padding=1),
    bench("3x3, 64 to 64 channels", x=(64, 32, 32, 64), weight=(3, 3, 64, 64), padding=1),
)

HEAVY = case("weights larger than the caches", x=(2, 3, 5, 180), weight=(3, 3, 180, 180), padding=1)
LARGE = case("threads meet", x=(4, 16, 16, 16), weight=(3, 3, 16, WIDTH + 8), padding=1)

CONVOLUTIONS = (
    case("batch of two", x=(2, 7, 6, 3), weight=(3, 3, 3, 4)),
    case("batch of one", x=(1, 7, 6, 3), weight=(3, 3, 3, 4)),
    case("one input channel", x=(2, 7, 6, 1), weight=(3, 3, 1, 5)),
    case("one output channel", x=(2, 5, 6, 3), weight=(3, 3, 3, 1)),
    case("without bias", x=(2, 5, 6, 3), weight=(3, 3, 3, 4), bias=False),
    case("non-square image and filter", x=(2, 9, 5, 3), weight=(2, 4, 3, 6), padding=(1, 2)),
    case("filter of one row", x=(2, 4, 9, 3), weight=(1, 5, 3, 4)),
    case("filter of one column", x=(2, 9, 4, 3), weight=(5, 1, 3, 4)),
    case("filter as large as the image", x=(3, 4, 5, 3), weight=(4, 5, 3, 6)),
    case("stride drops a row and a column", x=(2, 8, 9, 3), weight=(3, 3, 3, 4), stride=(2, 4)),
    case("stride larger than the filter", x=(2, 8, 9, 3), weight=(2, 2, 3, 4), stride=3),
    case("stride far larger than the filter", x=(2, 9, 9, 3), weight=(2, 2, 3, 4), stride=4),
    case("stride with 1x1 filter", x=(2, 7, 6, 4), weight=(1, 1, 4, 6), stride=2),
    case("stride of a first layer", x=(1, 19, 20, 3), weight=(7, 7, 3, 5), stride=2, padding=3),
    case("stride of rows alone", x=(1, 9, 7, 3), weight=(3, 3, 3, 4), stride=(2, 1), padding=1),
    case("padding of half the filter", x=(2, 5, 6, 3), weight=(3, 3, 3, 4), padding=1),
    case("padding wider than half the filter", x=(2, 4, 5, 3), weight=(3, 3, 3, 4), padding=2),
    case("padding wider than the filter", x=(1, 3, 3, 3), weight=(2, 2, 3, 4), padding=3),
    case("padding of 1x1 filter", x=(1, 4, 4, 3), weight=(1, 1, 3, 4), padding=1),
    case("padding of columns alone", x=(2, 5, 4, 3), weight=(3, 3, 3, 4), padding=(0, 1)),
    case("padding on one side", x=(2, 6, 5, 3), weight=(3, 3, 3, 4), padding=((0, 1), (2, 0))),
    case("padding and stride on one side", x=(2, 6, 7, 3), weight=(3, 3, 3, 4), stride=2, padding=((1, 0), (0, 1))),
    case("same padding", x=(2, 5, 6, 3), weight=(3, 3, 3, 4), padding="same"),
    case("same padding of an even filter", x=(2, 5, 6, 3), weight=(2, 4, 3, 5), padding="same"),
    case("same padding with stride", x=(2, 7, 8, 3), weight=(3, 3, 3, 4), stride=2, padding="same"),
    case("valid padding by name", x=(2, 5, 6, 3), weight=(3, 3, 3, 4), padding="valid"),
    case("dilation", x=(2, 9, 8, 3), weight=(3, 3, 3, 4), dilation=2),
    case("dilation of rows alone", x=(2, 9, 5, 3), weight=(3, 3, 3, 4), dilation=(3, 1), padding=1),
    case("dilation equal to stride", x=(2, 9, 10, 3), weight=(3, 3, 3, 4), dilation=2, stride=2, padding=1),
    case("dilation larger than stride", x=(1, 11, 12, 3), weight=(3, 3, 3, 4), dilation=3, stride=2, padding=2),
    case("stride larger than dilation", x=(1, 12, 13, 3), weight=(3, 2, 3, 4), dilation=2, stride=3, padding=1),
    case("stride a multiple of dilation", x=(1, 13, 12, 3), weight=(3, 3, 3, 4), dilation=2, stride=4, padding=2),
    case("same padding with dilation", x=(1, 7, 6, 3), weight=(3, 2, 3, 4), dilation=2, padding="same"),
    case("two groups", x=(2, 6, 5, 6), weight=(3, 3, 3, 8), groups=2, padding=1),
    case("three groups with 1x1 filter", x=(2, 4, 5, 6), weight=(1, 1, 2, 9), groups=3),
    case("groups with stride and dilation", x=(1, 9, 9, 4), weight=(3, 3, 2, 6), groups=2, stride=2, dilation=2, padding=2),
    case("groups wider than a tile", x=(1, 4, 5, 4), weight=(2, 2, 2, 2 * (WIDTH + 1)), groups=2),
    case("groups of one input channel", x=(1, 6, 6, 3), weight=(3, 3, 1, 6), groups=3),
    case("groups of one output channel", x=(1, 6, 6, 6), weight=(3, 3, 2, 3), groups=3),
    case("a channel short of a tile", x=(1, 4, 5, 3), weight=(2, 2, 3, WIDTH - 1)),
    case("one tile of channels", x=(1, 4, 5, 3), weight=(2, 2, 3, WIDTH)),
    case("a channel more than a tile", x=(1, 4, 5, 3), weight=(2, 2, 3, WIDTH + 1)),
    case("a channel short of a vector", x=(1, 4, 5, 3), weight=(2, 2, 3, WIDTH // 2 - 1)),
    case("one vector of channels", x=(1, 4, 5, 3), weight=(2, 2, 3, WIDTH // 2)),
    case("a channel more than a vector", x=(1, 4, 5, 3), weight=(2, 2, 3, WIDTH // 2 + 1)),
    case("a channel more than two tiles", x=(1, 4, 5, 3), weight=(2, 2, 3, 2 * WIDTH + 1)),
    case("a channel short of three vectors", x=(1, 4, 9, 3), weight=(2, 2, 3, 3 * LANES - 1)),
    case("three vectors of channels", x=(2, 4, 5, 3), weight=(2, 2, 3, 3 * LANES), padding=1),
    case("a channel short of four vectors", x=(1, 4, 8, 3), weight=(2, 2, 3, 4 * LANES - 1)),
    case("four vectors of channels, pixels one short of tiles", x=(2, 4, 6, 3), weight=(2, 2, 3, 4 * LANES), padding=1),
    case("a pixel short of a tile", x=(1, 3, TILE + 1, 3), weight=(3, 3, 3, 4)),
    case("one tile of pixels", x=(1, 3, TILE + 2, 3), weight=(3, 3, 3, 4)),
    case("a pixel more than a tile", x=(1, 3, TILE + 3, 3), weight=(3, 3, 3, 4)),
    case("a pixel more than two tiles", x=(1, 3, 2 * TILE + 3, 3), weight=(3, 3, 3, 4)),
    case("filter row of 32 inputs", x=(1, 5, 6, 8), weight=(3, 4, 8, 5)),
    case("filter row of 33 inputs", x=(1, 5, 6, 11), weight=(3, 3, 11, 5)),
    case("many input channels", x=(1, 5, 5, 67), weight=(3, 3, 67, 5), padding=1),
    case("many input channels with stride", x=(1, 8, 7, 35), weight=(3, 3, 35, 5), padding=1, stride=2),
    case("many input channels with dilation", x=(1, 9, 8, 35), weight=(3, 3, 35, 5), dilation=2, stride=3, padding=2),
    case("more rows than the cache holds", x=(1, 26, 62, 32), weight=(3, 3, 32, 2)),
    case("many images of few pixels", x=(37, 3, 3, 2), weight=(3, 3, 2, 3)),
    LARGE,
    bench("5x5, 32 to 64 channels", x=(64, 28, 28, 32), weight=(5, 5, 32, 64), padding=2),
    bench("3x3, 128 to 128 channels", x=(64, 16, 16, 128), weight=(3, 3, 128, 128), padding=1),
    bench("first layer, 3 channels", x=(128, 32, 32, 3), weight=(3, 3, 3, 32), padding=1),
)

GRADIENTS_ALONE = (
    case("with ReLU", x=(2, 7, 6, 3), weight=(3, 3, 3, 4), relu=True),
    case("first layer without dx", x=(2, 7, 6, 3), weight=(3, 3, 3, 4), need_dx=False),
    case("frozen layer without dweight", x=(2, 7, 6, 3), weight=(3, 3, 3, 4), bias=False, need_dweight=False),
)


def transposed_arguments(draw: Draw, x: tuple[int, ...], weight: tuple[int, ...], bias: bool = True, groups: int = 1,
                         **geometry: Any) -> Arguments:
    """Images, filters and bias."""
    return {"x": draw(*x), "weight": draw(*weight), "bias": draw(weight[2] * groups) if bias else None, "groups": groups,
            **geometry}


def transposed_backward_arguments(draw: Draw, x: tuple[int, ...], weight: tuple[int, ...], bias: bool = True,
                                  need_dx: bool = True, need_dweight: bool = True, **geometry: Any) -> Arguments:
    """Gradient of the result, images and filters."""
    y = reference.conv_transpose2d(np.zeros(x), np.zeros(weight), **geometry)
    return {"dy": draw(*y.shape), "x": draw(*x), "weight": draw(*weight), "need_dx": need_dx,
            "need_dweight": need_dweight, "need_dbias": bias, **geometry}


def transposed_error(a: Arguments) -> float:
    """Sums over filter and input channels."""
    return 1 + of_sum(a["weight"][:, :, 0].size)


def transposed_backward_error(a: Arguments) -> dict[str, float]:
    """Sums over filter and output channels, or over images and pixels."""
    return {"dx": of_sum(a["weight"][..., 0].size), "dweight": of_sum(a["x"][..., 0].size),
            "dbias": of_sum(a["dy"][..., 0].size)}


def transposed_flops(a: Arguments, results: Arguments) -> int:
    """Two for each product."""
    return int(2 * a["x"].size * a["weight"][..., 0].size)


def transposed_backward_flops(a: Arguments, results: Arguments) -> int:
    """As many for dx as forward, and again for dweight."""
    return transposed_flops(a, results) * (a["need_dx"] + a["need_dweight"])


TRANSPOSED = (
    case("batch of two", x=(2, 5, 4, 3), weight=(3, 3, 4, 3)),
    case("without bias", x=(2, 5, 4, 3), weight=(3, 3, 4, 3), bias=False),
    case("one pixel", x=(2, 1, 1, 3), weight=(2, 3, 4, 3)),
    case("stride", x=(2, 4, 5, 3), weight=(2, 2, 4, 3), stride=2),
    case("stride larger than the filter", x=(2, 4, 5, 3), weight=(2, 2, 4, 3), stride=3),
    case("output padding", x=(2, 4, 5, 3), weight=(3, 3, 4, 3), stride=2, padding=1, output_padding=1),
    case("output padding of rows alone", x=(2, 4, 5, 3), weight=(3, 3, 4, 3), stride=(3, 2), output_padding=(2, 0)),
    case("output padding of less than the dilation", x=(2, 4, 5, 3), weight=(3, 2, 4, 3), dilation=(2, 3),
         output_padding=(1, 2)),
    case("output padding of several strides", x=(2, 4, 5, 3), weight=(2, 3, 4, 3), stride=2, dilation=6, padding=1,
         output_padding=5),
    case("output padding of a 1x1 filter", x=(2, 4, 5, 6), weight=(1, 1, 4, 6), dilation=3, output_padding=(2, 1)),
    case("output padding of a filter for each channel", x=(2, 4, 5, 6), weight=(3, 3, 1, 6), groups=6, dilation=2,
         output_padding=1),
    case("output padding of three vectors of channels", x=(2, 4, 5, 3 * LANES), weight=(3, 3, 3 * LANES, 3 * LANES),
         dilation=2, output_padding=1),
    case("padding", x=(2, 5, 4, 3), weight=(3, 3, 4, 3), padding=1),
    case("padding on one side", x=(2, 5, 4, 3), weight=(3, 3, 4, 3), stride=2, padding=((0, 1), (2, 0))),
    case("dilation", x=(2, 5, 4, 3), weight=(3, 2, 4, 3), dilation=2, stride=3),
    case("non-square image and filter", x=(2, 3, 6, 3), weight=(2, 5, 4, 3), padding=(0, 2)),
    case("two groups", x=(2, 4, 5, 6), weight=(3, 3, 2, 6), groups=2, stride=2, padding=1),
    case("1x1 filter", x=(2, 4, 5, 6), weight=(1, 1, 4, 6)),
    case("3x3 filter, 16 channels", x=(2, 7, 6, 16), weight=(3, 3, 16, 16), padding=1),
    case("threads meet", x=(4, 12, 13, 24), weight=(4, 4, 16, 24), stride=2, padding=1),
    bench("4x4, stride 2, 64 to 32 channels", x=(64, 16, 16, 64), weight=(4, 4, 32, 64), stride=2, padding=1),
)

ONE_GRADIENT_TRANSPOSED = (
    case("first layer without dx", x=(2, 5, 4, 3), weight=(3, 3, 4, 3), need_dx=False),
    case("frozen layer without dweight", x=(2, 5, 4, 3), weight=(3, 3, 4, 3), bias=False, need_dweight=False),
)

# Linear layers -------------------------------------------------------------------------------------------------------------


def linear_arguments(draw: Draw, N: int, inputs: int, outputs: int, bias: bool = True) -> Arguments:
    """Rows, weights and bias."""
    return {"x": draw(N, inputs), "weight": draw(inputs, outputs), "bias": draw(outputs) if bias else None}


def linear_backward_arguments(draw: Draw, N: int, inputs: int, outputs: int, bias: bool = True,
                              need_dx: bool = True, need_dweight: bool = True, relu: bool = False) -> Arguments:
    """Gradient of the result, rows and weights; the result too where it was rectified."""
    return {"dy": draw(N, outputs), "x": draw(N, inputs), "weight": draw(inputs, outputs), "need_dx": need_dx,
            "need_dweight": need_dweight, "y": np.maximum(draw(N, outputs), 0) if relu else None}


def linear_error(a: Arguments) -> float:
    """Sums over inputs."""
    return of_sum(len(a["weight"]))


def linear_flops(a: Arguments, results: Arguments) -> int:
    """Two for each product."""
    return int(2 * len(a["x"]) * a["weight"].size)


def linear_backward_flops(a: Arguments, results: Arguments) -> int:
    """As many for dweight as forward, and again for dx."""
    return linear_flops(a, results) * (2 if a["need_dx"] else 1)


def linear_backward_error(a: Arguments) -> dict[str, float]:
    """Sums over outputs, or over rows."""
    N, K = a["dy"].shape
    return {"dx": of_sum(K), "dweight": of_sum(N), "dbias": of_sum(N)}


PRODUCTS = (
    case("few rows", N=5, inputs=7, outputs=6),
    case("one row, one input, one output", N=1, inputs=1, outputs=1),
    case("one row", N=1, inputs=9, outputs=5),
    case("one input", N=5, inputs=1, outputs=6),
    case("one output", N=6, inputs=8, outputs=1),
    case("without bias", N=4, inputs=5, outputs=6, bias=False),
    case("a row short of a tile", N=TILE - 1, inputs=3, outputs=4),
    case("one tile of rows", N=TILE, inputs=3, outputs=4),
    case("a row more than a tile", N=TILE + 1, inputs=3, outputs=4),
    case("a row more than a block", N=8 * TILE + 1, inputs=3, outputs=4),
    case("an output short of a tile", N=3, inputs=4, outputs=WIDTH - 1),
    case("one tile of outputs", N=3, inputs=4, outputs=WIDTH),
    case("an output more than a tile", N=3, inputs=4, outputs=WIDTH + 1),
    case("an input short of a tile", N=3, inputs=TILE - 1, outputs=4),
    case("one tile of inputs", N=3, inputs=TILE, outputs=4),
    case("an input more than a tile", N=3, inputs=TILE + 1, outputs=4),
    case("many inputs to few outputs", N=4, inputs=501, outputs=3),
    case("few inputs to many outputs", N=4, inputs=3, outputs=501),
    case("two chunks of rows", N=513, inputs=3, outputs=4),
    case("threads meet", N=130, inputs=90, outputs=70),
    bench("128 rows, 1024 to 1024", N=128, inputs=1024, outputs=1024),
    bench("128 rows, 256 to 10", N=128, inputs=256, outputs=10),
)
RECTIFIED_PRODUCT = case("with ReLU", N=5, inputs=7, outputs=6, relu=True)

# Pooling -------------------------------------------------------------------------------------------------------------------


def pool_arguments(draw: Draw, x: tuple[int, ...], kernel_size: Any, ties: bool = False, nans: bool = False,
                   **geometry: Any) -> Arguments:
    """Images, on request with many equal pixels or with some NaN, and a window."""
    images = draw(*x)
    if ties and draw.kind != "spread":
        images = np.rint(images * (2 / np.abs(images).max()))
    if nans and draw.kind != "spread":
        images[draw.random.random(x) < 0.2] = np.nan
    return {"x": images, "kernel_size": kernel_size, **geometry}


def max_pool2d_backward_arguments(draw: Draw, relu: bool = False, **settings: Any) -> Arguments:
    """Gradient of the result, where the maxima lie, and the window; the result too where it was rectified."""
    forward = pool_arguments(draw, **settings)
    y, argmax = reference.max_pool2d(**forward, relu=relu)
    x = forward.pop("x")
    return {"dy": draw(*y.shape), "argmax": argmax, "x_shape": x.shape, "y": y if relu else None, **forward}


def avg_pool2d_backward_arguments(draw: Draw, x: tuple[int, ...], kernel_size: Any, **settings: Any) -> Arguments:
    """Gradient of the result; where it is whole numbers, they can be divided among the pixels of any window."""
    y = reference.avg_pool2d(np.zeros(x), kernel_size, **settings)
    R, S = np.broadcast_to(kernel_size, 2).tolist()
    shares = math.lcm(*range(1, R * S + 1)) if draw.kind == "integers" else 1
    return {"dy": draw(*y.shape) * draw.dtype.type(shares), "x_shape": x, "kernel_size": kernel_size, **settings}


def global_avg_pool2d_backward_arguments(draw: Draw, x: tuple[int, ...]) -> Arguments:
    """Gradient of the result; where it is whole numbers, they can be divided among the pixels."""
    pixels = x[1] * x[2] if draw.kind == "integers" else 1
    return {"dy": draw(x[0], x[3]) * draw.dtype.type(pixels), "x_shape": x}


def window_error(a: Arguments) -> float:
    """Sums over a window."""
    return of_sum(math.prod(np.broadcast_to(a["kernel_size"], 2).tolist()))


def plane_error(a: Arguments) -> float:
    """Sums over the pixels of an image."""
    return of_sum(a["x"][0, :, :, 0].size)


WINDOWS = (
    case("2x2", x=(2, 6, 8, 3), kernel_size=2),
    case("one pixel", x=(1, 1, 1, 3), kernel_size=1),
    case("one channel", x=(2, 4, 6, 1), kernel_size=2),
    case("window as large as the image", x=(3, 2, 3, 4), kernel_size=(2, 3)),
    case("non-square image and window", x=(2, 7, 10, 3), kernel_size=(2, 3), stride=(1, 2)),
    case("window of one row", x=(2, 4, 9, 3), kernel_size=(1, 4)),
    case("overlapping windows", x=(2, 7, 9, 3), kernel_size=3, stride=2),
    case("stride 1", x=(2, 5, 6, 3), kernel_size=3, stride=1),
    case("stride drops a row and a column", x=(2, 7, 8, 3), kernel_size=2, stride=(2, 3)),
    case("stride larger than the window", x=(2, 8, 9, 3), kernel_size=2, stride=3),
    case("a window begins at the end of the image, if there were one more", x=(2, 6, 4, 3), kernel_size=(2, 1),
         stride=(3, 2)),
    case("a window begins behind the end, if there were one more", x=(2, 5, 6, 3), kernel_size=3, stride=(5, 3)),
    case("padding", x=(2, 7, 6, 3), kernel_size=3, stride=2, padding=1),
    case("padding of half an even window", x=(2, 5, 6, 3), kernel_size=4, stride=2, padding=2),
    case("padding of rows alone", x=(2, 5, 6, 3), kernel_size=3, stride=1, padding=(1, 0)),
    case("padding on one side", x=(2, 5, 6, 3), kernel_size=3, stride=2, padding=((0, 1), (1, 0))),
    case("same padding", x=(2, 7, 6, 3), kernel_size=3, stride=2, padding="same"),
    case("same padding of an even window", x=(2, 5, 6, 3), kernel_size=2, stride=1, padding="same"),
    case("valid padding by name", x=(2, 5, 6, 3), kernel_size=2, padding="valid"),
    case("ceil_mode, window hanging over", x=(2, 6, 8, 3), kernel_size=3, stride=2, ceil_mode=True),
    case("ceil_mode, nothing left over", x=(2, 7, 9, 3), kernel_size=3, stride=2, ceil_mode=True),
    case("ceil_mode, hanging over the padding", x=(2, 6, 8, 3), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    case("ceil_mode, no window begins in the padding", x=(1, 4, 4, 3), kernel_size=2, stride=3, padding=1, ceil_mode=True),
    case("ceil_mode, window larger than the image", x=(2, 2, 4, 3), kernel_size=3, stride=2, ceil_mode=True),
    case("ceil_mode, window larger than the padded image", x=(2, 2, 3, 3), kernel_size=(4, 6), stride=(3, 4), padding=(0, 1),
         ceil_mode=True),
    case("a channel short of a vector", x=(1, 4, 4, WIDTH // 2 - 1), kernel_size=2),
    case("one vector of channels", x=(1, 4, 4, WIDTH // 2), kernel_size=2),
    case("a channel more than a vector", x=(1, 4, 4, WIDTH // 2 + 1), kernel_size=2),
    case("many channels", x=(1, 3, 4, 130), kernel_size=2, stride=1),
    case("one image, threads meet", x=(1, 48, 40, 24), kernel_size=2),
    case("threads meet", x=(5, 24, 26, 24), kernel_size=3, stride=2, padding=1),
    bench("2x2, 64 images of 32x32, 64 channels", x=(64, 32, 32, 64), kernel_size=2),
    bench("3x3, stride 2", x=(64, 32, 32, 64), kernel_size=3, stride=2, padding=1),
)

MAXIMA = (
    *WINDOWS,
    case("ties go to the first", x=(2, 6, 7, 3), kernel_size=3, stride=2, ties=True),
    case("NaN wins", x=(2, 6, 7, 3), kernel_size=2, stride=2, nans=True),
    case("dilation", x=(2, 8, 9, 3), kernel_size=2, stride=1, dilation=3),
    case("dilation with padding and stride", x=(2, 8, 9, 3), kernel_size=3, stride=2, dilation=2, padding=1),
    case("dilation of rows alone", x=(2, 8, 6, 3), kernel_size=(3, 2), dilation=(2, 1), ceil_mode=True),
    case("ceil_mode, dilated window larger than the image", x=(2, 4, 5, 3), kernel_size=3, stride=3, dilation=2,
         ceil_mode=True),
    case("with ReLU", x=(2, 6, 7, 3), kernel_size=2, relu=True),
    case("windows apart, with NaN", x=(2, 7, 8, 17), kernel_size=2, stride=3, nans=True),
    case("windows side by side", x=(3, 8, 6, 16), kernel_size=2),
    case("windows side by side, padding", x=(2, 9, 9, 5), kernel_size=3, padding=1),
    case("with ReLU, overlapping windows", x=(2, 7, 9, 5), kernel_size=3, stride=2, padding=1, relu=True),
    trivial("windows of padding alone", x=(2, 3, 5, 2), kernel_size=2, stride=1, padding=1, dilation=(4, 1)),
)

MEANS = (
    *WINDOWS,
    case("padding not counted", x=(2, 7, 6, 3), kernel_size=3, stride=2, padding=1, count_include_pad=False),
    case("padding of an even window not counted", x=(2, 5, 6, 3), kernel_size=4, stride=2, padding=2,
         count_include_pad=False),
    case("padding on one side not counted", x=(2, 5, 6, 3), kernel_size=3, padding=((0, 1), (1, 0)),
         count_include_pad=False),
    case("ceil_mode, overhang never counted", x=(2, 6, 8, 3), kernel_size=3, stride=2, padding=1, ceil_mode=True,
         count_include_pad=False),
    case("ceil_mode, window larger than the padded image, padding not counted", x=(2, 3, 2, 3), kernel_size=6, stride=3,
         padding=1, ceil_mode=True, count_include_pad=False),
)

PLANES = (
    case("planes", x=(2, 4, 5, 3)),
    case("one pixel", x=(2, 1, 1, 3)),
    case("one channel", x=(3, 3, 4, 1)),
    case("one row", x=(2, 1, 7, 3)),
    case("a channel short of a vector", x=(1, 3, 3, WIDTH // 2 - 1)),
    case("a channel more than a vector", x=(1, 3, 3, WIDTH // 2 + 1)),
    case("many channels", x=(2, 2, 3, 257)),
    case("many pixels", x=(1, 31, 33, 2)),
    case("threads meet", x=(6, 16, 18, 40)),
    bench("64 images of 8x8, 512 channels", x=(64, 8, 8, 512)),
)


def adaptive_arguments(draw: Draw, x: tuple[int, ...], output_size: Any, **odd: bool) -> Arguments:
    """Images, on request with many equal pixels or with some NaN, and how many parts."""
    return {"x": pool_arguments(draw, x, output_size, **odd)["x"], "output_size": output_size}


def adaptive_max_pool2d_backward_arguments(draw: Draw, **settings: Any) -> Arguments:
    """Gradient of the result, and where the maxima lie."""
    forward = adaptive_arguments(draw, **settings)
    y, argmax = reference.adaptive_max_pool2d(**forward)
    return {"dy": draw(*y.shape), "argmax": argmax, "x_shape": forward["x"].shape}


def adaptive_avg_pool2d_backward_arguments(draw: Draw, x: tuple[int, ...], output_size: Any) -> Arguments:
    """Gradient of the result."""
    return {"dy": draw(x[0], *np.broadcast_to(output_size, 2).tolist(), x[3]), "x_shape": x}


def global_max_pool2d_backward_arguments(draw: Draw, x: tuple[int, ...]) -> Arguments:
    """Gradient of the result, and where the maxima lie."""
    return {"dy": draw(x[0], x[3]), "argmax": reference.global_max_pool2d(draw(*x))[1], "x_shape": x}


def part_error(a: Arguments) -> float:
    """Sums over a part, whose pixels are weighed one by one."""
    parts = np.broadcast_to(a["output_size"], 2)
    return 2 + of_sum(math.prod((-(-np.array(a["x"].shape[1:3]) // parts) + 1).tolist()))


PARTS = (
    case("parts of one size", x=(2, 6, 8, 3), output_size=(3, 4)),
    case("parts that share pixels", x=(2, 7, 8, 3), output_size=(3, 5)),
    case("more parts than pixels", x=(2, 3, 4, 3), output_size=(5, 7)),
    case("as many parts as pixels", x=(2, 3, 4, 3), output_size=(3, 4)),
    case("one part", x=(3, 5, 4, 3), output_size=1),
    case("one pixel", x=(2, 1, 1, 3), output_size=1),
    case("one channel", x=(2, 5, 6, 1), output_size=2),
    case("a channel more than a vector", x=(1, 4, 5, WIDTH // 2 + 1), output_size=3),
    case("threads meet", x=(5, 24, 26, 24), output_size=(7, 5)),
    bench("64 images of 32x32, 64 channels, to 7x7", x=(64, 32, 32, 64), output_size=7),
)

ADAPTIVE_MAXIMA = (
    *PARTS,
    case("ties go to the first", x=(2, 6, 7, 3), output_size=(3, 5), ties=True),
    case("NaN wins", x=(2, 6, 7, 3), output_size=3, nans=True),
)

# Padding, upsampling -------------------------------------------------------------------------------------------------------


def image_arguments(draw: Draw, x: tuple[int, ...], **settings: Any) -> Arguments:
    """Images and settings."""
    return {"x": draw(*x), **settings}


def resampled(operation: str) -> Callable[..., Arguments]:
    """Arguments of a gradient: that of the result, the shape of x and the settings but for the value of padding."""

    def arguments(draw: Draw, x: tuple[int, ...], **settings: Any) -> Arguments:
        y = getattr(reference, operation)(np.zeros(x), **settings)
        return {"dy": draw(*y.shape), "x_shape": x, **{name: value for name, value in settings.items() if name != "value"}}

    return arguments


PADDINGS = (
    case("zeros around", x=(3, 5, 6, 3), padding=1),
    case("ones around", x=(2, 5, 6, 3), padding=1, value=1.0),
    trivial("infinities around", x=(2, 5, 6, 3), padding=(0, 1), value=-math.inf),
    case("rows and columns", x=(2, 5, 6, 3), padding=(2, 1)),
    case("sides differ", x=(2, 5, 6, 3), padding=((0, 1), (2, 3))),
    case("nothing around", x=(2, 5, 6, 3), padding=0),
    case("one pixel", x=(1, 1, 1, 4), padding=1, value=0.5),
    case("mirrored", x=(2, 5, 6, 3), padding=2, mode="reflect"),
    case("mirrored on both sides", x=(2, 3, 4, 3), padding=((2, 1), (3, 2)), mode="reflect"),
    case("one pixel, mirrored nowhere", x=(2, 1, 1, 3), padding=0, mode="reflect"),
    case("repeated", x=(2, 5, 6, 3), padding=2, mode="replicate"),
    case("one pixel repeated", x=(2, 1, 1, 3), padding=((3, 1), (0, 2)), mode="replicate"),
    case("a channel more than a vector", x=(1, 4, 5, WIDTH // 2 + 1), padding=1),
    case("threads meet", x=(5, 24, 26, 24), padding=2, mode="reflect"),
    bench("64 images of 32x32, 64 channels", x=(64, 32, 32, 64), padding=1),
)

SCALES = (
    case("twice as large", x=(2, 3, 4, 3), scale=2),
    case("rows and columns differ", x=(2, 3, 4, 3), scale=(3, 2)),
    case("as large as before", x=(2, 3, 4, 3), scale=1),
    case("one pixel", x=(2, 1, 1, 3), scale=3),
    case("bilinear", x=(2, 3, 4, 3), scale=2, mode="bilinear"),
    case("bilinear, an odd scale", x=(2, 3, 4, 3), scale=3, mode="bilinear"),
    case("bilinear, rows and columns differ", x=(2, 3, 4, 3), scale=(4, 1), mode="bilinear"),
    case("bilinear of one pixel", x=(2, 1, 1, 3), scale=2, mode="bilinear"),
    case("bilinear, a channel more than a vector", x=(1, 4, 5, WIDTH // 2 + 1), scale=2, mode="bilinear"),
    case("threads meet", x=(5, 12, 13, 24), scale=2, mode="bilinear"),
    bench("64 images of 16x16, 64 channels", x=(64, 16, 16, 64), scale=2),
    bench("bilinear, 64 images of 16x16, 64 channels", x=(64, 16, 16, 64), scale=2, mode="bilinear"),
)

# Activations ---------------------------------------------------------------------------------------------------------------


def elements(draw: Draw, x: tuple[int, ...], scale: float = 1.0, **options: Any) -> Arguments:
    """Numbers, on request large ones."""
    return {"x": draw.scaled(scale, *x), **options}


def by_output(operation: str) -> Callable[..., Arguments]:
    """Arguments of a gradient that is told by the result."""

    def arguments(draw: Draw, **settings: Any) -> Arguments:
        forward = elements(draw, **settings)
        y = np.asarray(getattr(reference, operation)(**forward), draw.dtype)
        return {"dy": draw(*y.shape), "y": y, **{name: value for name, value in forward.items() if name != "x"}}

    return arguments


def softmax_size(a: Arguments) -> dict[str, float]:
    """What is left of dy when its mean is taken away may be little."""
    return {"dx": float(np.abs(a["dy"] * a["y"]).max())}


def silu_size(a: Arguments) -> dict[str, float]:
    """The error of 1 - s is multiplied by x."""
    return {"dx": float(np.abs(a["dy"] * (1 + np.abs(a["x"]))).max())}


def slope_size(a: Arguments) -> dict[str, float]:
    """A slope near zero is the sum of two parts of either sign, up to 1 in size."""
    return {"dx": float(np.abs(a["dy"]).max())}


def by_input(draw: Draw, x: tuple[int, ...], scale: float = 1.0, **options: Any) -> Arguments:
    """Arguments of a gradient that is told by the input."""
    return {"dy": draw(*x), "x": draw.scaled(scale, *x), **options}


def prelu_arguments(draw: Draw, x: tuple[int, ...], slopes: int = 1, scale: float = 1.0, below: bool = False) -> Arguments:
    """Numbers, on request below zero alone, and slopes."""
    numbers = draw.scaled(scale, *x)
    return {"x": -np.abs(numbers) if below else numbers, "slope": draw(slopes)}


def prelu_backward_arguments(draw: Draw, x: tuple[int, ...], **settings: Any) -> Arguments:
    """Gradient of the result, numbers and slopes."""
    return {"dy": draw(*x), **prelu_arguments(draw, x, **settings)}


def prelu_backward_error(a: Arguments) -> dict[str, float]:
    """Sums over all that has one slope."""
    return {"dx": 1, "dslope": of_sum(a["x"].size // len(a["slope"]))}


ELEMENTS = (
    case("images", x=(2, 3, 5, 7)),
    case("one element", x=(1,)),
    case("an element short of four vectors", x=(2 * WIDTH - 1,)),
    case("an element more than four vectors", x=(2 * WIDTH + 1,)),
    case("a share short of two", x=(127,)),
    case("two shares", x=(128,)),
    case("an element more than two shares", x=(129,)),
    case("rows", x=(7, 33)),
    case("large numbers", x=(400,), scale=40.0),
    case("small numbers", x=(100,), scale=1e-6),
    case("threads meet", x=(70001,)),
    bench("4M elements", x=(64, 32, 32, 64)),
)

SLOPED = (
    case("images, a slope each", x=(2, 3, 5, 7), slopes=7),
    case("images, one slope", x=(2, 3, 5, 7)),
    case("rows", x=(9, 5), slopes=5),
    case("one element", x=(1,), below=True),
    case("one channel", x=(3, 4, 5, 1)),
    case("a run short of two", x=(511,)),
    case("an element more than two runs", x=(513,)),
    case("a channel short of a vector", x=(2, 3, 4, WIDTH // 2 - 1), slopes=WIDTH // 2 - 1),
    case("a channel more than a vector", x=(2, 3, 4, WIDTH // 2 + 1), slopes=WIDTH // 2 + 1),
    case("many channels", x=(3, 2, 2, 300), slopes=300),
    case("large numbers", x=(40, 7), slopes=7, scale=40.0),
    case("several chunks of pixels, threads meet", x=(8, 20, 18, 40), slopes=40),
    bench("64 images of 32x32, 64 channels", x=(64, 32, 32, 64), slopes=64),
)

CLASSES = (
    case("10 classes", x=(6, 10)),
    trivial("one class", x=(5, 1)),
    case("two classes", x=(5, 2)),
    case("three classes, rows for several tiles", x=(11, 3)),
    case("one row", x=(1, 9)),
    case("one row without a batch", x=(7,)),
    case("images", x=(2, 3, 4, 5)),
    case("a class short of a vector", x=(3, WIDTH // 2 - 1)),
    case("a class more than a vector", x=(3, WIDTH // 2 + 1)),
    case("seven rows of 100 classes", x=(7, 100)),
    case("1000 classes", x=(2, 1000)),
    case("large numbers", x=(20, 7), scale=40.0),
    case("large numbers, 100 classes", x=(5, 100), scale=40.0),
    case("threads meet", x=(900, 21)),
    bench("100 classes", x=(4096, 100)),
    bench("10 classes of 4096 rows", x=(4096, 10)),
    bench("1000 classes of 256 rows", x=(256, 1000)),
)



def sum_arguments(draw: Draw, x: tuple[int, ...], scale: float = 1.0, **options: Any) -> Arguments:
    """Two arrays of one shape."""
    return {"a": draw.scaled(scale, *x), "b": draw(*x), **options}


def concat_arguments(draw: Draw, outer: tuple[int, ...], channels: tuple[int, ...]) -> Arguments:
    """Arrays that differ in their last size."""
    return {"parts": tuple(draw(*outer, C) for C in channels)}


def concat_backward_arguments(draw: Draw, outer: tuple[int, ...], channels: tuple[int, ...]) -> Arguments:
    """Gradient of the result, and the last sizes."""
    return {"dy": draw(*outer, sum(channels)), "channels": channels}


BRANCHES = (
    case("three branches", outer=(2, 3, 4), channels=(3, 1, 5)),
    case("branches of one channel", outer=(2, 3, 4), channels=(1, 1, 1)),
    case("rows", outer=(7,), channels=(2, 4, 3)),
    case("one row", outer=(1,), channels=(WIDTH, 1, WIDTH + 1)),
    case("threads meet", outer=(5, 20, 21), channels=(17, 8, 32)),
    bench("64 images of 32x32, 3 times 32 channels", outer=(64, 32, 32), channels=(32, 32, 32)),
)

# Batch normalisation -------------------------------------------------------------------------------------------------------


def batch_norm_arguments(draw: Draw, x: tuple[int, ...], training: bool = True, **options: Any) -> Arguments:
    """Images or rows, and what each channel has."""
    C = x[-1]
    return {"x": draw(*x), "gamma": draw.positive(C), "beta": draw(C), "running_mean": draw(C),
            "running_var": draw.positive(C), "training": training, **options}


def batch_norm_backward_arguments(draw: Draw, x: tuple[int, ...], training: bool = True, relu: bool = False,
                                  **options: Any) -> Arguments:
    """Gradient of the result, images or rows, and what forward saved; the result too where it was rectified."""
    forward = batch_norm_arguments(draw, x, training, **options)
    y, saved = reference.batch_norm(**forward, relu=relu)
    return {"dy": draw(*x), "x": forward["x"], "gamma": forward["gamma"], "training": training,
            "saved": tuple(np.asarray(array, draw.dtype) for array in saved),
            "y": np.asarray(y, draw.dtype) if relu else None}


def norm_error(a: Arguments) -> float:
    """Sums over images and pixels; those of float32 are taken in float64."""
    return 5 if a["x"].dtype == np.float32 else max(5, of_sum(a["x"][..., 0].size))


def norm_size(a: Arguments) -> dict[str, float]:
    """A mean may be small beside the numbers."""
    return {"saved[0]": float(np.abs(a["x"]).max())}


def norm_backward_size(a: Arguments) -> dict[str, float]:
    """What is left of dy when its mean and its slope are taken away may be little."""
    return {name: float(np.abs(a["dy"] * factor).max())
            for name, factor in (("dx", a["gamma"] * a["saved"][1]), ("dgamma", (a["x"] - a["saved"][0]) * a["saved"][1]))}


def norm_backward_error(a: Arguments) -> dict[str, float]:
    """Sums over images and pixels."""
    pixels = of_sum(a["x"][..., 0].size)
    return {"dx": 5, "dgamma": pixels, "dbeta": pixels}


NORMALISED = (
    case("images", x=(3, 4, 5, 6)),
    case("rows", x=(9, 5)),
    case("two rows", x=(2, 5)),
    case("one channel", x=(3, 4, 5, 1)),
    case("one image", x=(1, 4, 5, 3)),
    case("one pixel each", x=(5, 1, 1, 3)),
    case("a channel short of a vector", x=(2, 3, 4, WIDTH // 2 - 1)),
    case("one vector of channels", x=(2, 3, 4, WIDTH // 2)),
    case("a channel more than a vector", x=(2, 3, 4, WIDTH // 2 + 1)),
    case("many channels", x=(3, 2, 2, 300)),
    case("many pixels", x=(5, 31, 29, 2)),
    case("a momentum and an epsilon of its own", x=(4, 3, 3, 5), momentum=0.4, eps=1e-2),
    case("with ReLU", x=(3, 4, 5, 6), relu=True),
    case("inference", x=(3, 4, 5, 6), training=False),
    case("inference with ReLU", x=(3, 4, 5, 6), training=False, relu=True),
    case("inference of one row", x=(1, 7), training=False),
    case("inference, threads meet", x=(8, 20, 18, 40), training=False),
    case("several chunks of pixels, threads meet", x=(8, 20, 18, 40)),
    bench("64 images of 32x32, 64 channels", x=(64, 32, 32, 64)),
    bench("inference of 64 images of 32x32, 64 channels", x=(64, 32, 32, 64), training=False),
)

def apart_arguments(draw: Draw, x: tuple[int, ...], **options: Any) -> Arguments:
    """Images or rows, gamma and beta."""
    return {"x": draw(*x), "gamma": draw.positive(x[-1]), "beta": draw(x[-1]), **options}


def apart_backward(operation: str) -> Callable[..., Arguments]:
    """Arguments of a gradient: that of the result, images or rows, and what forward saved."""

    def arguments(draw: Draw, x: tuple[int, ...], **options: Any) -> Arguments:
        forward = apart_arguments(draw, x, **options)
        _, saved = getattr(reference, operation)(**forward)
        groups = {name: value for name, value in options.items() if name == "groups"}
        return {"dy": draw(*x), "x": forward["x"], "gamma": forward["gamma"],
                "saved": tuple(np.asarray(array, draw.dtype) for array in saved), **groups}

    return arguments


def apart_error(a: Arguments) -> float:
    """Sums over a row or a group of an image; those of float32 are taken in float64."""
    return 8 if a["x"].dtype == np.float32 else 8 + of_sum(a["x"][0].size)


def apart_size(a: Arguments) -> dict[str, float]:
    """Numbers that are close together lose digits, those of float64 in their squares too; a mean may be small."""
    return {"saved[0]": float(np.abs(a["x"]).max())}


def apart_backward_size(a: Arguments) -> dict[str, float]:
    """What is left of dy when its mean and its slope are taken away may be little, and x - mean is rounded."""
    inverse_std = float(a["saved"][1].max())
    largest = float(np.abs(a["dy"]).max())
    return {"dx": largest * inverse_std * float(np.abs(a["x"]).max()) * inverse_std, "dgamma": largest * inverse_std}


ROWS_APART = (
    case("rows", x=(9, 12)),
    case("images", x=(2, 3, 4, 12)),
    case("one row", x=(1, 12)),
    case("one row without a batch", x=(12,)),
    case("a channel short of a vector", x=(5, WIDTH // 2 - 1)),
    case("a channel more than a vector", x=(5, WIDTH // 2 + 1)),
    case("many channels", x=(3, 700)),
    case("another epsilon", x=(9, 12), eps=0.1),
    case("threads meet", x=(8, 20, 18, 40)),
    bench("4096 rows of 512", x=(4096, 512)),
)

GROUPS_APART = (
    case("two groups", x=(3, 4, 5, 6), groups=2),
    case("one group", x=(3, 4, 5, 6), groups=1),
    case("a group each", x=(3, 4, 5, 3), groups=3),
    case("rows", x=(9, 12), groups=2),
    case("one image", x=(1, 4, 5, 6), groups=3),
    case("groups more than a vector", x=(2, 3, 4, WIDTH + 2), groups=2),
    case("many pixels", x=(2, 31, 29, 4), groups=2),
    case("another epsilon", x=(3, 4, 5, 6), groups=2, eps=0.1),
    case("threads meet", x=(8, 20, 18, 40), groups=5),
    bench("64 images of 32x32, 64 channels, 32 groups", x=(64, 32, 32, 64), groups=32),
)

# Losses --------------------------------------------------------------------------------------------------------------------


def some_ignored(labels: np.ndarray, ignore_index: int | None = None, **_: Any) -> np.ndarray:
    """Labels, of which each third is the ignored one if no class is."""
    if ignore_index is None or ignore_index >= 0:
        return labels
    return np.where(np.arange(len(labels)) % 3 == 1, ignore_index, labels)


def cross_entropy_arguments(draw: Draw, N: int, K: int, target: str = "labels", weighted: bool = False,
                            scale: float = 1.0, **options: Any) -> Arguments:
    """Logits, and labels as numbers, as one-hot rows or as probabilities; label 1 may be ignored."""
    logits, labels = draw.scaled(scale, N, K), draw.below(K, N)
    targets = {"labels": some_ignored(labels, **options), "one-hot": np.eye(K, dtype=np.int64)[labels],
               "probabilities": draw.share(N, K)}
    return {"logits": logits, "labels": targets[target], "class_weight": draw.positive(K) if weighted else None, **options}


def pairs(first: str, between: bool = False) -> Callable[..., Arguments]:
    """Arguments of a loss of two equal shapes, the target on request between 0 and 1; no "spread" ones differ by 0 or 1."""

    def arguments(draw: Draw, x: tuple[int, ...], scale: float = 1.0, **options: Any) -> Arguments:
        target = np.asarray(draw.random.random(x), draw.dtype) if between else draw(*x)
        shift = draw.dtype.type(0.03 if draw.kind == "spread" else 0)
        return {first: draw.scaled(scale, *x), "target": target + shift, **options}

    return arguments


def nll_arguments(draw: Draw, N: int, K: int, weighted: bool = False, scale: float = 1.0, **options: Any) -> Arguments:
    """Numbers below zero, and labels; label 1 may be ignored."""
    return {"log_probabilities": -np.abs(draw.scaled(scale, N, K)), "labels": some_ignored(draw.below(K, N), **options),
            "class_weight": draw.positive(K) if weighted else None, **options}


def hinge_arguments(draw: Draw, N: int, K: int, scale: float = 1.0, **options: Any) -> Arguments:
    """Scores, of which no two "spread" ones differ by the margin 1, and labels."""
    scores = draw.scaled(scale, N, K)
    return {"scores": scores * draw.dtype.type(0.97 if draw.kind == "spread" else 1), "labels": draw.below(K, N), **options}


def l2_arguments(draw: Draw, n: tuple[int, ...], weight: float = 0.01) -> Arguments:
    """Parameters, gradients and a weight."""
    return {"parameter": draw(*n), "gradient": draw(*n), "weight": weight}


def l2_error(a: Arguments) -> dict[str, float]:
    """A sum over all parameters."""
    return {"loss": of_sum(a["parameter"].size), "gradient": 2}


ENTROPIES = (
    case("10 classes", N=12, K=10),
    trivial("one class", N=5, K=1),
    case("one row", N=1, K=5),
    case("two classes", N=7, K=2),
    case("a class more than a vector", N=4, K=WIDTH // 2 + 1),
    case("three classes, rows for several tiles", N=11, K=3),
    case("seven rows of 100 classes", N=7, K=100),
    case("100 classes, ignored label", N=7, K=100, ignore_index=1),
    case("100 classes, smoothing", N=7, K=100, label_smoothing=0.1),
    case("100 classes, probabilities", N=7, K=100, target="probabilities"),
    case("1000 classes", N=3, K=1000),
    case("large logits", N=30, K=6, scale=40.0),
    case("weights", N=12, K=5, weighted=True),
    case("smoothing", N=12, K=5, label_smoothing=0.1),
    case("smoothing alone", N=12, K=5, label_smoothing=1.0),
    case("ignored label", N=12, K=4, ignore_index=1),
    case("ignored label out of range", N=12, K=5, ignore_index=-100),
    case("ignored label far out of range", N=13, K=5, ignore_index=-1 << 40),
    trivial("all labels ignored", N=3, K=1, ignore_index=0),
    case("weights, smoothing", N=12, K=5, weighted=True, label_smoothing=0.2),
    case("weights, ignored label", N=12, K=4, weighted=True, ignore_index=1),
    case("smoothing, ignored label", N=12, K=4, label_smoothing=0.2, ignore_index=1),
    case("weights, smoothing, ignored label", N=12, K=4, weighted=True, label_smoothing=0.2, ignore_index=1),
    case("one-hot", N=12, K=5, target="one-hot"),
    case("one-hot, weights, smoothing", N=12, K=5, target="one-hot", weighted=True, label_smoothing=0.2),
    case("probabilities", N=12, K=5, target="probabilities"),
    case("probabilities, weights", N=12, K=5, target="probabilities", weighted=True),
    case("probabilities, smoothing", N=12, K=5, target="probabilities", label_smoothing=0.2),
    case("probabilities, weights, smoothing", N=12, K=5, target="probabilities", weighted=True, label_smoothing=0.2),
    case("probabilities, threads meet", N=700, K=21, target="probabilities"),
    case("threads meet", N=700, K=21),
    bench("128 rows of 10 classes", N=128, K=10),
    bench("4096 rows of 100 classes", N=4096, K=100),
    bench("256 rows of 1000 classes", N=256, K=1000),
)

LABELLED = (*(one for one in ENTROPIES if not {"target", "label_smoothing"} & one.settings.keys()),)
HINGES = (*(one for one in LABELLED if not {"weighted", "ignore_index"} & one.settings.keys()),
          case("another margin", N=12, K=10, margin=0.25))

# Dropout, optimizers, batches ----------------------------------------------------------------------------------------------


def dropout_arguments(draw: Draw, x: tuple[int, ...], p: float = 0.5, seed: int = 7) -> Arguments:
    """Numbers, a probability and a seed."""
    return {"x": draw(*x), "p": p, "seed": seed}


def dropout_backward_arguments(draw: Draw, x: tuple[int, ...], p: float = 0.5, seed: int = 7) -> Arguments:
    """Gradient of the result, and the elements kept."""
    return {"dy": draw(*x), "mask": reference.dropout(np.zeros(x), p, seed=seed)[1], "p": p}


def dropout2d_backward_arguments(draw: Draw, x: tuple[int, ...], p: float = 0.5, seed: int = 7) -> Arguments:
    """Gradient of the result, and the channels kept."""
    return {"dy": draw(*x), "mask": reference.dropout2d(np.zeros(x), p, seed=seed)[1], "p": p}


def optimizer(*means: str, squares: tuple[str, ...] = (), **usual: Any) -> Callable[..., Arguments]:
    """Arguments of an update: parameters, gradients, running means and running squares."""

    def arguments(draw: Draw, n: tuple[int, ...], **options: Any) -> Arguments:
        moving = {name: draw(*n) for name in ("parameter", "gradient", *means)}
        return {**moving, **{name: draw.positive(*n) for name in squares}, **usual, **options}

    return arguments


def gradient_arguments(draw: Draw, n: tuple[int, ...]) -> Arguments:
    """Gradients."""
    return {"gradient": draw(*n)}


def clip_arguments(draw: Draw, n: tuple[int, ...], limit: float = 0.75) -> Arguments:
    """Gradients and a limit."""
    return {"gradient": draw(*n), "limit": limit}


def filters_arguments(draw: Draw, weight: tuple[int, ...], limit: float | None = None) -> Arguments:
    """Weights, and a norm that about half of their filters exceed."""
    return {"weight": draw(*weight), "limit": float(np.sqrt(math.prod(weight[:-1]))) if limit is None else limit}


def filters_error(a: Arguments) -> dict[str, float]:
    """A sum over each filter."""
    return {"weight": of_sum(a["weight"].size // a["weight"].shape[-1])}


def gather_arguments(draw: Draw, images: tuple[int, ...], N: int) -> Arguments:
    """Bytes, which of the images, and mean and deviation of each channel."""
    C = images[3]
    return {"images": draw.below(256, *images).astype(np.uint8), "index": draw.below(images[0], N),
            "mean": np.asarray(draw.random.random(C), draw.dtype), "std": draw.positive(C)}


def augment_arguments(draw: Draw, images: tuple[int, ...], N: int, floats: bool = False, **options: Any) -> Arguments:
    """Those of gather, and changes by chance; images of floats where they are wanted."""
    arguments = gather_arguments(draw, images, N)
    if floats:
        arguments["images"] = draw(*images)
    M, H, W, _ = images
    return {**arguments, "changes": Augment(**options).draw(M, H, W, seed=5, epoch=1)}


def augment_error(a: Arguments) -> float:
    """Roundings of products and sums; in float64 those of places too, which grow with the rows and columns."""
    return 3 if a["mean"].dtype == np.float32 else 1 + sum(a["images"].shape[1:3]) / 3


def gather_bytes(a: Arguments, results: Arguments) -> int:
    """A byte read and a number written for each pixel of the batch."""
    return int(results["batch"].size + results["batch"].nbytes)


DROPPED = (
    case("images", x=(2, 3, 5, 7)),
    case("one element kept", x=(1,), p=0.1),
    case("not a multiple of four", x=(4, 11)),
    case("a share short of two", x=(127,)),
    case("an element more than two shares", x=(129,)),
    case("nothing dropped", x=(5, 7), p=0.0),
    case("most dropped", x=(40, 7), p=0.8),
    case("another seed", x=(2, 3, 5, 7), seed=2**40 + 3),
    case("threads meet", x=(70001,)),
    bench("4M elements", x=(64, 32, 32, 64)),
)

DROPPED_CHANNELS = (
    case("images", x=(3, 4, 5, 7)),
    case("one channel kept", x=(1, 2, 3, 1), p=0.1),
    case("nothing dropped", x=(2, 3, 5, 7), p=0.0),
    case("most dropped", x=(9, 2, 3, 12), p=0.7),
    case("another seed", x=(3, 4, 5, 7), seed=2**40 + 3),
    case("a channel more than a vector", x=(2, 3, 4, WIDTH // 2 + 1)),
    case("threads meet", x=(5, 24, 26, 24)),
    bench("64 images of 32x32, 64 channels", x=(64, 32, 32, 64)),
)

BUFFERS = (
    case("a vector and more", n=(37,)),
    case("one parameter", n=(1,)),
    case("two shares", n=(128,)),
    case("an element more than two shares", n=(129,)),
    case("without decay", n=(50,), weight_decay=0.0),
    case("threads meet", n=(40001,)),
    case("scaled gradient", n=(50,), scale=0.25),
    bench("1M parameters", n=(1 << 20,)),
)

GRADIENTS = (
    case("a vector and more", n=(37,)),
    case("one parameter", n=(1,)),
    case("an element more than two chunks", n=(8193,)),
    case("threads meet", n=(300001,)),
    bench("1M parameters", n=(1 << 20,)),
)

FILTERS = (
    case("filters of a convolution", weight=(3, 3, 5, 37)),
    case("columns of a linear layer", weight=(50, 10)),
    case("one filter", weight=(3, 3, 5, 1)),
    case("filters of one element", weight=(1, 40)),
    trivial("norm 0", weight=(9, 20), limit=0.0),
    case("threads meet", weight=(1100, 70)),
    bench("3x3, 256 to 256 channels", weight=(3, 3, 256, 256)),
    bench("linear, 1024 to 10", weight=(1024, 10)),
)

DESCENTS = (
    *BUFFERS,
    case("first step", n=(50,), step=1),
    case("Nesterov", n=(50,), nesterov=True),
    case("without momentum", n=(50,), momentum=0.0),
    case("first step with Nesterov", n=(50,), step=1, nesterov=True),
)

ADAPTIVE = (
    *BUFFERS,
    case("first step", n=(50,), step=1),
    case("a late step", n=(50,), step=1000),
    case("decay of the parameters", n=(50,), decoupled=True),
    case("other betas", n=(50,), beta1=0.5, beta2=0.9),
)

BATCHES = (
    case("colour images", images=(9, 4, 5, 3), N=6),
    case("grey images", images=(9, 4, 5, 1), N=6),
    case("one image", images=(1, 3, 4, 2), N=1),
    case("the same image again and again", images=(2, 3, 4, 3), N=9),
    case("many channels", images=(4, 2, 3, 70), N=3),
    case("threads meet", images=(40, 16, 18, 3), N=120),
    bench("128 of 32x32x3", images=(5000, 32, 32, 3), N=128),
)

EVERYTHING: dict[str, Any] = {"crop": 1, "flip": True, "cutout": 2, "translate": 0.1, "rotate": 15, "scale": 0.2,
                              "brightness": 0.2, "contrast": 0.3, "mixup": 0.8}

CHANGED = (
    case("everything together", images=(9, 6, 7, 3), N=7, **EVERYTHING),
    case("nothing", images=(9, 4, 5, 3), N=6),
    case("shifts by whole pixels", images=(9, 6, 5, 3), N=20, crop=2),
    case("shifts out of the image", images=(9, 3, 4, 2), N=30, crop=6),
    case("mirrored", images=(9, 4, 6, 3), N=8, flip=True),
    case("mirrored and shifted, grey", images=(9, 5, 7, 1), N=20, crop=3, flip=True),
    case("shifts by parts of pixels", images=(9, 6, 5, 3), N=20, translate=0.3),
    case("shifts by parts of pixels out of the image", images=(9, 3, 4, 2), N=30, translate=1.0),
    case("turned by any angle", images=(9, 7, 5, 3), N=20, rotate=180),
    case("smaller and larger", images=(9, 6, 7, 3), N=20, scale=0.9),
    case("turned, shifted and mirrored, grey", images=(9, 8, 8, 1), N=20, flip=True, translate=0.2, rotate=30),
    case("holes", images=(9, 7, 6, 3), N=20, cutout=3),
    case("a hole of one pixel", images=(9, 3, 4, 2), N=20, cutout=1),
    case("brightness", images=(9, 4, 5, 3), N=8, brightness=1.0),
    case("contrast", images=(9, 4, 5, 3), N=8, contrast=1.0),
    case("mixed", images=(9, 4, 5, 3), N=8, mixup=1.0),
    case("mixed, shifted and mirrored", images=(9, 4, 5, 3), N=8, crop=1, flip=True, mixup=0.2),
    case("one row", images=(9, 1, 9, 2), N=9, **EVERYTHING),
    case("one column", images=(9, 9, 1, 3), N=9, **EVERYTHING),
    case("one pixel", images=(9, 1, 1, 4), N=9, brightness=0.2, mixup=1.0),
    case("one image, mixed with itself", images=(1, 4, 5, 3), N=2, **EVERYTHING),
    case("more channels than a run", images=(3, 3, 4, 270), N=4, rotate=20, brightness=0.2),
    case("rows of several runs", images=(3, 2, 140, 2), N=4, crop=1, contrast=0.2, flip=True),
    case("floats", images=(9, 6, 7, 3), N=7, floats=True, crop=1, flip=True, rotate=15, cutout=2, mixup=0.8),
    case("threads meet", images=(40, 16, 18, 3), N=90, **EVERYTHING),
    bench("128 of 32x32x3: shifted, mirrored", images=(5000, 32, 32, 3), N=128, crop=4, flip=True),
    bench("128 of 32x32x3: turned, scaled, shifted", images=(5000, 32, 32, 3), N=128, translate=0.1, rotate=10, scale=0.1),
    bench("128 of 32x32x3: everything", images=(5000, 32, 32, 3), N=128, **EVERYTHING),
)

# The table -----------------------------------------------------------------------------------------------------------------


def convolution(algorithm: str | None, *cases: Case) -> tuple[Row, Row]:
    """Rows of a convolution and its gradients by one algorithm, or by the one that is chosen."""
    chosen = algorithm is None
    exact = algorithm not in (None, "winograd")
    factor = 1 if exact else WINOGRAD
    forward = Row("conv2d", conv2d_arguments, cases, ("y",), Bound(conv2d_error, factor=factor), exact=exact,
                  algorithm=algorithm, wrt=("x", "weight", "bias"), differences=LINEAR, spoil="x",
                  blurs=algorithm == "winograd", flops=conv2d_flops)
    alone = tuple(part for one in cases for part in one_gradient(one))
    backward = Row("conv2d_backward", conv2d_backward_arguments, (*alone, *GRADIENTS_ALONE) if chosen else alone,
                   ("dx", "dweight", "dbias"), Bound(conv2d_backward_error, factor=factor), exact=exact,
                   algorithm=algorithm, nonzero=0.1, spoil="dy", blurs=algorithm == "winograd", flops=conv2d_backward_flops)
    return forward, backward


SLOPES = (*ELEMENTS, case("another slope", x=(5, 7), slope=0.3))
ALPHAS = (*ELEMENTS, case("another alpha", x=(5, 7), alpha=0.5))
BETAS = (*ELEMENTS, case("another beta", x=(5, 7), beta=2.0), case("a low threshold", x=(50, 7), scale=3.0, threshold=1.5))

sgd = optimizer("velocity", lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.01, step=2)
adam = optimizer("first", squares=("second",), lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, decoupled=False,
                 step=2)
rmsprop = optimizer(squares=("square",), lr=0.1, alpha=0.99, eps=1e-8, weight_decay=0.01)
adagrad = optimizer(squares=("square",), lr=0.1, eps=1e-10, weight_decay=0.01)
adadelta = optimizer(squares=("square", "change"), lr=0.1, rho=0.9, eps=1e-6, weight_decay=0.01)
adamax = optimizer("first", squares=("largest",), lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, step=2)
lion = optimizer("first", lr=0.1, beta1=0.9, beta2=0.99, weight_decay=0.01)

ROWS: tuple[Row, ...] = (
    *convolution(None, CONVOLUTIONS[0], POINTWISE[0], DEPTHWISE[0], BLOCKS[0], LARGE),
    *convolution("direct", *CONVOLUTIONS, *POINTWISE, *DEPTHWISE),
    *convolution("narrow", *(one for one in CONVOLUTIONS if "groups" not in one.settings), *ROWS_OF_PIXELS),
    *convolution("winograd", *BLOCKS),
    *convolution("matmul", *POINTWISE),
    *convolution("depthwise", *DEPTHWISE),
    Row("conv_transpose2d", transposed_arguments, TRANSPOSED, ("y",), Bound(transposed_error, factor=WINOGRAD),
        wrt=("x", "weight", "bias"), differences=LINEAR, spoil="x", blurs=True, flops=transposed_flops),
    Row("conv_transpose2d_backward", transposed_backward_arguments, (*TRANSPOSED, *ONE_GRADIENT_TRANSPOSED),
        ("dx", "dweight", "dbias"), Bound(transposed_backward_error, factor=WINOGRAD), spoil="dy", blurs=True, nonzero=0.1,
        flops=transposed_backward_flops),
    Row("linear", linear_arguments, PRODUCTS, ("y",), Bound(linear_error), exact=True, wrt=("x", "weight", "bias"),
        differences=LINEAR, spoil="x", flops=linear_flops),
    Row("linear_backward", linear_backward_arguments,
        (*PRODUCTS, RECTIFIED_PRODUCT, case("first layer without dx", N=5, inputs=7, outputs=6, need_dx=False),
         case("frozen layer without dweight", N=5, inputs=7, outputs=6, need_dweight=False)),
        ("dx", "dweight", "dbias"), Bound(linear_backward_error),
        exact=True, spoil="dy", flops=linear_backward_flops),
    Row("max_pool2d", pool_arguments, MAXIMA, ("y", "argmax"), EXACT, exact=True, wrt=("x",), differences=KINKED, spoil="x"),
    Row("max_pool2d_backward", max_pool2d_backward_arguments, MAXIMA, ("dx",), Bound(3), exact=True, nonzero=0.05,
        spoil="dy"),
    Row("avg_pool2d", pool_arguments, MEANS, ("y",), Bound(window_error), exact=True, wrt=("x",), differences=LINEAR,
        spoil="x"),
    Row("avg_pool2d_backward", avg_pool2d_backward_arguments, MEANS, ("dx",), Bound(window_error), exact=True, spoil="dy"),
    Row("global_avg_pool2d", elements, PLANES, ("y",), Bound(plane_error), exact=True, wrt=("x",), differences=LINEAR,
        spoil="x"),
    Row("global_avg_pool2d_backward", global_avg_pool2d_backward_arguments, PLANES, ("dx",), Bound(1), exact=True,
        spoil="dy"),
    Row("global_max_pool2d", elements, PLANES, ("y", "argmax"), EXACT, wrt=("x",), differences=KINKED, spoil="x"),
    Row("global_max_pool2d_backward", global_max_pool2d_backward_arguments, PLANES, ("dx",), EXACT, exact=True,
        nonzero=0.0005, spoil="dy"),
    Row("adaptive_max_pool2d", adaptive_arguments, ADAPTIVE_MAXIMA, ("y", "argmax"), EXACT, exact=True, wrt=("x",),
        differences=KINKED, spoil="x"),
    Row("adaptive_max_pool2d_backward", adaptive_max_pool2d_backward_arguments, ADAPTIVE_MAXIMA, ("dx",), Bound(3),
        exact=True, nonzero=0.02, spoil="dy"),
    Row("adaptive_avg_pool2d", adaptive_arguments, PARTS, ("y",), Bound(part_error), wrt=("x",), differences=LINEAR,
        spoil="x"),
    Row("adaptive_avg_pool2d_backward", adaptive_avg_pool2d_backward_arguments, PARTS, ("dx",), Bound(5), spoil="dy"),
    Row("pad2d", image_arguments, PADDINGS, ("y",), EXACT, exact=True, wrt=("x",), differences=LINEAR, nonzero=0.1,
        spoil="x"),
    Row("pad2d_backward", resampled("pad2d"), PADDINGS, ("dx",), Bound(4), exact=True, spoil="dy"),
    Row("upsample2d", image_arguments, SCALES, ("y",), Bound(3), wrt=("x",), differences=LINEAR, spoil="x"),
    Row("upsample2d_backward", resampled("upsample2d"), SCALES, ("dx",), Bound(6), spoil="dy"),
    Row("concat", concat_arguments, BRANCHES, ("y",), EXACT, exact=True),
    Row("concat_backward", concat_backward_arguments, BRANCHES, ("first", "second", "third"), EXACT, exact=True, spoil="dy"),
    Row("add", sum_arguments, (*ELEMENTS, case("with ReLU", x=(2, 3, 5, 7), relu=True)), ("y",), Bound(1), exact=True,
        spoil="a"),
    Row("relu", elements, ELEMENTS, ("y",), EXACT, exact=True, wrt=("x",), differences=KINKED, spoil="x"),
    Row("relu_backward", by_output("relu"), ELEMENTS, ("dx",), EXACT, exact=True, spoil="dy"),
    Row("leaky_relu", elements, SLOPES, ("y",), Bound(1, each=True), wrt=("x",), differences=KINKED, spoil="x"),
    Row("leaky_relu_backward", by_output("leaky_relu"), SLOPES, ("dx",), Bound(1, each=True), spoil="dy"),
    Row("sigmoid", elements, ELEMENTS, ("y",), Bound(2, each=True), wrt=("x",), spoil="x"),
    Row("sigmoid_backward", by_output("sigmoid"), ELEMENTS, ("dx",), Bound(3, each=True), spoil="dy"),
    Row("tanh", elements, ELEMENTS, ("y",), Bound(2, each=True), wrt=("x",), spoil="x"),
    Row("tanh_backward", by_output("tanh"), ELEMENTS, ("dx",), Bound(2), nonzero=0.2, spoil="dy"),
    Row("elu", elements, ALPHAS, ("y",), Bound(2, each=True), wrt=("x",), differences=KINKED, spoil="x"),
    Row("elu_backward", by_output("elu"), ALPHAS, ("dx",), Bound(2), spoil="dy"),
    Row("gelu", elements, ELEMENTS, ("y",), Bound(2), wrt=("x",), spoil="x"),
    Row("gelu_backward", by_input, ELEMENTS, ("dx",), Bound(3), spoil="dy"),
    Row("silu", elements, ELEMENTS, ("y",), Bound(2, each=True), wrt=("x",), spoil="x"),
    Row("silu_backward", by_input, ELEMENTS, ("dx",), Bound(2, size=silu_size), spoil="dy"),
    Row("prelu", prelu_arguments, SLOPED, ("y",), Bound(1, each=True), exact=True, wrt=("x", "slope"), differences=KINKED,
        spoil="x"),
    Row("prelu_backward", prelu_backward_arguments, SLOPED, ("dx", "dslope"), Bound(prelu_backward_error), exact=True,
        spoil="dy"),
    Row("selu", elements, ELEMENTS, ("y",), Bound(3, each=True), wrt=("x",), differences=KINKED, spoil="x"),
    Row("selu_backward", by_output("selu"), ELEMENTS, ("dx",), Bound(2), spoil="dy"),
    Row("softplus", elements, BETAS, ("y",), Bound(4, each=True), wrt=("x",), spoil="x"),
    Row("softplus_backward", by_input, BETAS, ("dx",), Bound(3, each=True), spoil="dy"),
    Row("hardswish", elements, ELEMENTS, ("y",), Bound(3, each=True), wrt=("x",), differences=KINKED, spoil="x"),
    Row("hardswish_backward", by_input, ELEMENTS, ("dx",), Bound(2, size=slope_size), spoil="dy"),
    Row("mish", elements, ELEMENTS, ("y",), Bound(5, each=True), wrt=("x",), spoil="x"),
    Row("mish_backward", by_input, ELEMENTS, ("dx",), Bound(4, size=slope_size), spoil="dy"),
    Row("softmax", elements, CLASSES, ("y",), Bound(4), wrt=("x",), spoil="x"),
    Row("softmax_backward", by_output("softmax"), CLASSES, ("dx",), Bound(4, size=softmax_size), spoil="dy"),
    Row("log_softmax", elements, CLASSES, ("y",), Bound(4), wrt=("x",), spoil="x"),
    Row("log_softmax_backward", by_output("log_softmax"), CLASSES, ("dx",), Bound(4), spoil="dy"),
    Row("batch_norm", batch_norm_arguments, NORMALISED, ("y", "saved"), Bound(norm_error, size=norm_size),
        wrt=("x", "gamma", "beta"), updates=("running_mean", "running_var"), spoil="x"),
    Row("batch_norm_backward", batch_norm_backward_arguments, NORMALISED, ("dx", "dgamma", "dbeta"),
        Bound(norm_backward_error, size=norm_backward_size), spoil="dy"),
    Row("layer_norm", apart_arguments, ROWS_APART, ("y", "saved"), Bound(apart_error, size=apart_size),
        wrt=("x", "gamma", "beta"), spoil="x"),
    Row("layer_norm_backward", apart_backward("layer_norm"), ROWS_APART, ("dx", "dgamma", "dbeta"),
        Bound(norm_backward_error, size=apart_backward_size), spoil="dy"),
    Row("group_norm", apart_arguments, GROUPS_APART, ("y", "saved"), Bound(apart_error, size=apart_size),
        wrt=("x", "gamma", "beta"), spoil="x"),
    Row("group_norm_backward", apart_backward("group_norm"), GROUPS_APART, ("dx", "dgamma", "dbeta"),
        Bound(norm_backward_error, size=apart_backward_size), spoil="dy"),
    Row("dropout", dropout_arguments, DROPPED, ("y", "mask"), Bound(1, each=True), wrt=("x",), differences=LINEAR,
        nonzero=0.1, spoil="x"),
    Row("dropout_backward", dropout_backward_arguments, DROPPED, ("dx",), Bound(1, each=True), nonzero=0.1, spoil="dy"),
    Row("dropout2d", dropout_arguments, DROPPED_CHANNELS, ("y", "mask"), Bound(1, each=True), wrt=("x",), differences=LINEAR,
        nonzero=0.1),
    Row("dropout2d_backward", dropout2d_backward_arguments, DROPPED_CHANNELS, ("dx",), Bound(1, each=True), nonzero=0.1),
    Row("cross_entropy", cross_entropy_arguments, ENTROPIES, ("loss", "dlogits"), Bound(4), wrt=("logits",), spoil="logits"),
    Row("mse_loss", pairs("prediction"), ELEMENTS, ("loss", "dprediction"), Bound(2), wrt=("prediction",),
        spoil="prediction"),
    Row("binary_cross_entropy", pairs("logits", between=True), ELEMENTS, ("loss", "dlogits"), Bound(3), wrt=("logits",),
        spoil="logits"),
    Row("l1_loss", pairs("prediction"), ELEMENTS, ("loss", "dprediction"), Bound(2), wrt=("prediction",),
        differences=STRAIGHT, spoil="prediction"),
    Row("huber_loss", pairs("prediction"), (*ELEMENTS, case("another delta", x=(7, 33), delta=0.25)),
        ("loss", "dprediction"), Bound(2), wrt=("prediction",), differences=STRAIGHT, spoil="prediction"),
    Row("nll_loss", nll_arguments, LABELLED, ("loss", "dlog_probabilities"), Bound(2), wrt=("log_probabilities",),
        nonzero=0.001),
    Row("hinge_loss", hinge_arguments, HINGES, ("loss", "dscores"), Bound(4), wrt=("scores",), differences=STRAIGHT,
        spoil="scores"),
    Row("l2_penalty", l2_arguments, (*GRADIENTS, case("no weight", n=(50,), weight=0.0)), ("loss",), Bound(l2_error),
        updates=("gradient",), spoil="parameter"),
    Row("sgd", sgd, DESCENTS, (), Bound(2), updates=("parameter", "velocity"), spoil="gradient"),
    Row("adam", adam, ADAPTIVE, (), Bound(2), updates=("parameter", "first", "second"), spoil="gradient"),
    Row("rmsprop", rmsprop, BUFFERS, (), Bound(2), updates=("parameter", "square"), spoil="gradient"),
    Row("adagrad", adagrad, BUFFERS, (), Bound(2), updates=("parameter", "square"), spoil="gradient"),
    Row("adadelta", adadelta, BUFFERS, (), Bound(4), updates=("parameter", "square", "change"), spoil="gradient"),
    Row("adamax", adamax, (*BUFFERS, case("first step", n=(50,), step=1), case("a late step", n=(50,), step=1000)), (),
        Bound(2), updates=("parameter", "first", "largest"), spoil="gradient"),
    Row("lion", lion, BUFFERS, (), Bound(2), updates=("parameter", "first"), spoil="gradient"),
    Row("clip_values", clip_arguments, GRADIENTS, (), EXACT, exact=True, updates=("gradient",), spoil="gradient"),
    Row("clip_norms", filters_arguments, FILTERS, (), Bound(filters_error), updates=("weight",), spoil="weight"),
    Row("gradient_norm", gradient_arguments, GRADIENTS, ("norm",), Bound(2), spoil="gradient"),
    Row("gather", gather_arguments, BATCHES, ("batch",), Bound(2), bytes=gather_bytes),
    Row("augment", augment_arguments, CHANGED, ("batch",), Bound(augment_error), bytes=gather_bytes),
)
