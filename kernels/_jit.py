"""How every kernel is compiled: the only Numba options of the project, the cache and the launch rules.

`kernel` compiles a serial function, `parallel_kernel` a small driver with a `prange` over workers. A kernel never raises:
an exception inside `prange` is lost and leaves garbage, so everything is checked before the launch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from . import threads  # loads the threading layer's library before numba looks for it  # isort: skip

import numba

from .cache import KernelCache

# Values may be contracted and regrouped, but NaN and infinity keep their meaning: no `nnan`, no `ninf`.
FLAGS = {"contract", "reassoc", "nsz", "arcp"}
# For sums whose order is part of the promise, such as compensated arithmetic.
ORDERED = FLAGS - {"reassoc"}

# Every compiled kernel, for warm-up progress and for the test that counts signatures.
dispatchers: dict[str, Any] = {}


def _compile(function: Callable[..., None], **options: Any) -> Any:
    dispatcher = numba.njit(error_model="numpy", nogil=True, **options)(function)
    if not numba.config.DISABLE_JIT:
        dispatcher._cache = KernelCache(function)
        dispatchers[f"{function.__module__}.{function.__qualname__}"] = dispatcher
    return dispatcher


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a serial function that parallel drivers call."""
    return _compile(function, fastmath=FLAGS)


def ordered_kernel(function: Callable[..., Any]) -> Any:
    """Compile a serial function whose sums are taken exactly in the order written."""
    return _compile(function, fastmath=ORDERED)


def inline_kernel(function: Callable[..., Any]) -> Any:
    """Compile a scalar function for use inside loops; LLVM inlines and vectorises it with its caller."""
    return _compile(function, fastmath=ORDERED)


def parallel_kernel(function: Callable[..., None]) -> Callable[..., None]:
    """Compile a driver whose `prange` runs over workers, each with its own share of the output."""
    dispatcher = _compile(function, parallel=True, fastmath=FLAGS)

    @functools.wraps(function)
    def launch(*arguments: Any) -> None:
        if threads.unguarded:
            dispatcher(*arguments)
        else:
            with threads.guard():
                dispatcher(*arguments)

    launch.dispatcher = dispatcher  # type: ignore[attr-defined]
    return launch


@kernel
def share(count, worker, workers):
    """Half-open range of `count` elements that belongs to `worker`.

    Borders lie at multiples of 64 elements, the largest vector step of a loop, so that each element goes through the
    same instructions (vector body or scalar rest) whatever the number of workers.
    """
    blocks = (count + 63) // 64
    start = blocks * worker // workers * 64
    stop = blocks * (worker + 1) // workers * 64
    return min(start, count), min(stop, count)
