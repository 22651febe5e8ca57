"""What this machine can do at best on the threads in use: multiply-adds in registers."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ..kernels import machine
from ..kernels.jit import threads
from ..kernels.kinds import KIND

Call = Callable[[], object]
_TRIES = 20


def multiplying() -> tuple[int, Call]:
    """Give a call that multiplies and adds in registers on all threads, on the kind's fastest tile, and its operations."""
    vectors = max(KIND.speeds, key=KIND.speeds.__getitem__)
    return on_tile(vectors, KIND.rows[vectors], threads.get_num_threads())


def on_tile(vectors: int, rows: int, workers: int) -> tuple[int, Call]:
    """Give a call that multiplies and adds on a tile of so many vectors and rows, and its operations."""
    lanes, rounds = vectors * KIND.lanes, 10_000
    x = np.full(rows * machine.STEPS, 1e-3, np.float32)
    w = np.full(machine.STEPS * lanes, 1e-3, np.float32)
    y = np.empty(workers * rows * lanes, np.float32)
    work = 2 * workers * rounds * machine.STEPS * rows * lanes
    return work, lambda: machine.multiply_add(x, w, y, rounds, (0,) * rows, (0,) * vectors, workers)


def peak() -> float:
    """Give the float32 operations in a second: the best of a few tries."""
    work, call = multiplying()
    best = float("inf")
    for _ in range(_TRIES):
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return work / best
