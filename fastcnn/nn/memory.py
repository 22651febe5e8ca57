"""The memory of a training step, found by going through the step without doing its work.

The step runs as ever, with the same layers, buffers and lifetimes, but kernels do nothing and memory that nobody writes to
costs nothing. What it allocates is counted.
"""

from __future__ import annotations

import copy
import threading
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..functional import arrays
from .module import Module, backward

_STEPS = 4  # until every request finds a buffer
_counting = threading.Lock()


class Memory(NamedTuple):
    """Bytes of a training step at its peak."""

    parameters: int
    gradients: int
    optimizer: int  # what the optimizer keeps
    activations: int  # the images, what layers keep for backward, and results on their way
    scratch: int  # working memory of kernels

    @property
    def peak(self) -> int:
        """All of them."""
        return sum(self)


def forecast(model: Module, x_shape: tuple[int, ...], dtype: np.dtype, optimizer_arrays: int) -> Memory:
    """Return the memory of a training step on a batch of `x_shape`, such as (128, 28, 28, 1).

    The optimizer keeps `optimizer_arrays` numbers for each parameter. What layers of your own write in plain numpy is
    done for real. ShapeError: the batch does not fit.
    """
    rehearsed = copy.deepcopy(model).train()
    with arrays.rehearsal():
        peak = _peak_of(lambda: _train(rehearsed, x_shape, dtype))
        scratch = arrays.scratch_bytes()
    everything = sum(parameter.data.nbytes for _, parameter in model.named_parameters())
    trained = sum(parameter.data.nbytes for parameter in model.parameters())
    return Memory(everything, everything, optimizer_arrays * trained, peak - scratch, scratch)


def _train(model: Module, x_shape: tuple[int, ...], dtype: np.dtype) -> None:
    for _ in range(_STEPS):
        x = arrays.empty(x_shape, dtype)
        prediction = model.forward(x)
        backward(model, arrays.empty(prediction.shape, prediction.dtype), need_dx=False)


def _peak_of(work: Callable[[], None]) -> int:
    """Return how many bytes the work has allocated at most at any time."""
    with _counting:
        began = not tracemalloc.is_tracing()
        if began:
            tracemalloc.start()
        try:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            work()
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            if began:
                tracemalloc.stop()
