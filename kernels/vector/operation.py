"""An operation on vectors is written twice, side by side: what it means in numpy, and what LLVM is to make of it.

    @operation
    def lanes_zero(array):
        "One vector of zeros."
        return np.zeros(lanes_of(array), array.dtype)

    @lanes_zero.in_llvm
    def lanes_zero(typing, array):
        ...

Compiled code gets the second one. From Python, and so everywhere under NUMBA_DISABLE_JIT=1, a call does what the first one
says: a debugger steps through the kernels, and numpy checks every index.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import config

from ..jit.internals import Intrinsic


class _Operation(Intrinsic):  # type: ignore[misc]
    def __call__(self, *arguments: Any) -> Any:
        return self.__wrapped__(*arguments)


def operation(meaning: Callable[..., Any]) -> Any:
    """Begin an operation with what it means."""

    def in_llvm(definition: Callable[..., Any]) -> Any:
        """Add how LLVM does it, as for `numba.extending.intrinsic`."""
        if config.DISABLE_JIT:
            return meaning
        made = _Operation(meaning.__name__, definition)
        made._register()
        return functools.update_wrapper(made, meaning)

    meaning.in_llvm = in_llvm  # type: ignore[attr-defined]
    return meaning


def inside(array: Any, start: int, count: int) -> Any:
    """array[start : start + count], or IndexError where a kernel would leave its array."""
    if count > 0 and (start < 0 or start + count > len(array)):
        raise IndexError(f"elements {start} to {start + count} of an array of {len(array)}")
    return array[start:start + count] if count > 0 else array[:0]


def limited(values: Any, floor: Any) -> Any:
    """Return the values, or the floor where they are below it; NaN is no floor."""
    return np.where(values < floor, values.dtype.type(floor), values)
