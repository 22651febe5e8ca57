"""Threads: which library runs them, how many there are, and what keeps a launch safe.

Numba's layers differ (measured, Numba 0.68): `tbb` is safe from several Python threads and after a fork, `omp` dies after a
fork, `workqueue` aborts when two Python threads launch at once. TBB comes as a wheel that Numba does not find by itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def _load_tbb() -> None:
    """Load TBB from this environment, so that Numba finds it by its name."""
    name = {"linux": "libtbb.so.12", "darwin": "libtbb.12.dylib"}.get(sys.platform)
    if name is not None:
        for candidate in (Path(sys.prefix, "lib", name), name):
            with contextlib.suppress(OSError):
                ctypes.CDLL(str(candidate), mode=ctypes.RTLD_GLOBAL)
                return


_load_tbb()

import numba  # noqa: E402

from .internals import global_compiler_lock  # noqa: E402


class ForkSafetyError(RuntimeError):
    """A process was forked from one whose threads do not survive that."""


def hold_over_forks(lock: Any) -> None:
    """Let a fork wait for the lock, so that no thread that ends with the fork holds it in the child for ever.

    A lock that is taken while another one is held comes first.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


class _Launches:
    """A lock for each thread, held while it launches: threads do not wait for each other, but a fork for all of them.

    A child that is forked from the middle of a launch of another thread may hang in TBB (measured).
    """

    def __init__(self) -> None:
        self._registry = threading.RLock()
        self._locks: weakref.WeakSet[Any] = weakref.WeakSet()
        self._held: list[Any] = []

    def lock(self) -> Any:
        """A lock for the thread that asks."""
        made = threading.RLock()
        with self._registry:
            self._locks.add(made)
        return made

    def acquire(self) -> None:
        """Wait until no other thread launches, and let none begin."""
        self._registry.acquire()
        self._held = list(self._locks)
        for lock in self._held:
            lock.acquire()

    def release(self) -> None:
        """Let them go on."""
        held, self._held = self._held, []
        for lock in held:
            lock.release()
        self._registry.release()


_lock = threading.RLock()
launches = _Launches()
for one in (global_compiler_lock, launches, _lock):
    hold_over_forks(one)
# True once the layer is known to need neither a common lock nor a fork check; launches read it directly.
unguarded = False
_started_before_fork: str | None = None  # the layer whose threads ran in the process that this one was forked from


def _note_fork() -> None:
    global _started_before_fork
    _started_before_fork = layer()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """Run one launch safely, and find out whether later ones need the care.

    ForkSafetyError: the process was forked after `omp` had started its threads.
    """
    global unguarded
    with _lock:
        if _started_before_fork == "omp":
            raise ForkSafetyError(
                "fastcnn: this process was forked after its parent had used kernels on the OpenMP layer, where a launch "
                "would kill it; start it with multiprocessing.set_start_method('spawn'), or install tbb")
        yield
        unguarded = layer() == "tbb"


def layer() -> str | None:
    """Name of Numba's threading layer, or None before the first launch."""
    try:
        return str(numba.threading_layer())
    except ValueError:
        return None


def quota() -> float | None:
    """CPUs that the container's control group grants, or None where it sets no limit."""
    with contextlib.suppress(OSError, ValueError):
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if limit != "max":
            return int(limit) / int(period)
    with contextlib.suppress(OSError, ValueError):
        limit_us = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read_text())
        period_us = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us").read_text())
        if limit_us > 0:
            return limit_us / period_us
    return None


def available() -> int:
    """Threads that this process may use: its CPU affinity, its container's quota and Numba's own limit."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    granted = quota()
    if granted is not None:
        cpus = min(cpus, max(1, int(granted)))
    return max(1, min(cpus, numba.config.NUMBA_NUM_THREADS))


_count = available()
_MOST = 1024  # each thread has working memory of its own


def set_num_threads(count: int) -> None:
    """Let kernels run on `count` threads from now on; results are the same bits for any count.

    More threads than the machine runs at once (`available`) are allowed and gain nothing. TypeError: `count` is no integer.
    ValueError: it is not from 1 to 1024.
    """
    global _count
    if isinstance(count, bool) or not hasattr(count, "__index__"):
        raise TypeError(f"set_num_threads: count is {count!r}, expected an int")
    if not 1 <= count <= _MOST:
        raise ValueError(f"set_num_threads: count is {count}, expected 1 to {_MOST}")
    _count = count.__index__()


def get_num_threads() -> int:
    """Threads that kernels run on."""
    return _count


class _Starting(threading.local):
    gain = 1.0  # how many times cheaper than usual it is to give a worker something to do


_starting = _Starting()


@contextlib.contextmanager
def started() -> Iterator[None]:
    """Inside the `with` block, count on threads that already run when a launch of this thread needs them."""
    before, _starting.gain = _starting.gain, 8.0
    try:
        yield
    finally:
        _starting.gain = before


def workers(work: float, grain: float = 1 << 17) -> int:
    """Workers for `work` units when each should have at least `grain` of them, so that small work is not spread thin."""
    work *= _starting.gain
    return 1 if work < 2 * grain else min(_count, int(work / grain))
