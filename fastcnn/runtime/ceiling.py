"""What this machine can do at best on the threads in use: multiply-adds in registers."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ..kernels import machine
from ..kernels.jit import threads
from ..kernels.kinds import KIND
from ..kernels.vector import simd

_TRIES = 20


def multiplying() -> tuple[int, Callable[[], object]]:
    """Give a call that multiplies and adds in registers, and its operations."""
    vectors = max(KIND.speeds, key=KIND.speeds.__getitem__)
    workers, width, rounds = threads.get_num_threads(), (simd.VECTOR_BYTES // 4,) * vectors, 10_000
    lanes, rows = sum(width), simd.ROWS[len(width)]
    x = np.full(rows * machine.STEPS, 1e-3, np.float32)
    w = np.full(machine.STEPS * lanes, 1e-3, np.float32)
    y = np.empty(workers * rows * lanes, np.float32)
    work = 2 * workers * rounds * machine.STEPS * rows * lanes
    return work, lambda: machine.multiply_add(x, w, y, rounds, width, workers)


def peak() -> float:
    """Give the float32 operations in a second: the best of a few tries."""
    work, call = multiplying()
    best = float("inf")
    for _ in range(_TRIES):
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return work / best
