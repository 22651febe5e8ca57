"""Launches that were made once, made again by one call from Python.

What a network in use launches for a few images takes about as long as Python takes to prepare it, and starting threads for
each launch takes longer. A recording keeps the arguments as they were; threads start once and go through all launches.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np

from . import launch, threads
from .compile import Kernel, ParallelKernel, launches_run, launching, run_stored

_LINE = 8  # numbers in a cache line, so that counters do not share one
_MOST = 1024  # launches


class Recording:
    """The launches of a thread in their order, with the arrays that they read and write."""

    def __init__(self) -> None:
        """Begin with none."""
        # of each launch: shares taken, shares done, and its counter of tasks
        self._counters = np.zeros((_MOST + 1, 3 * _LINE), np.int64)
        self._preparations: list[Callable[[], None]] = []
        self._frames: list[np.ndarray] = []
        self._entries: list[int] = []
        self._shares: list[int] = []
        self._held: list[Any] = []
        self._stored: tuple[np.ndarray, ...] = ()

    def add(self, kernel: Kernel, arguments: tuple[Any, ...], workers: int) -> None:
        """Run a launch and remember it, if there is room and the kernel leaves its threads to the launch."""
        kernel.run(arguments, workers)
        if isinstance(kernel, ParallelKernel) and len(self._entries) < _MOST:
            frame = np.empty(launch.FRAME_BYTES, np.uint8)
            self._entries.append(kernel.store(frame, arguments))
            self._frames.append(frame)
        self._shares.append(workers)
        self._held.append(arguments)

    def counter(self) -> np.ndarray:
        """A counter of tasks of the launch that comes next."""
        return self._counters[len(self._entries), 2 * _LINE:]

    def prepare_by(self, function: Callable[[], None]) -> None:
        """Call a function before each replay, such as one that changes numbers in an array that launches read."""
        self._preparations.append(function)

    def finish(self) -> None:
        """Take no more launches."""
        addresses = [frame.ctypes.data for frame in self._frames]
        self._stored = tuple(np.array(numbers, np.int64) for numbers in (self._entries, addresses, self._shares))
        self._counters = self._counters[:len(self._entries)]  # no copy: frames hold their addresses

    @property
    def is_complete(self) -> bool:
        """Whether all launches were remembered."""
        return len(self._shares) == len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes of the memory that the arrays look into."""
        owners = [_owner(array) for arguments in self._held for array in _arrays(arguments)]
        return sum({id(owner): owner.nbytes for owner in owners}.values())

    def replay(self) -> None:
        """Make all launches once more."""
        for prepare in self._preparations:
            prepare()
        self._counters.fill(0)
        run_stored(*self._stored, self._counters, max(self._shares, default=1))


def _arrays(arguments: tuple[Any, ...]) -> Iterator[np.ndarray]:
    """Give the arrays among arguments, and those inside tuples."""
    for value in arguments:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, tuple):
            yield from _arrays(value)


def _owner(array: np.ndarray) -> np.ndarray:
    """The array whose memory an array looks into."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class _Thread(threading.local):
    recording: Recording | None = None


_thread = _Thread()


def current() -> Recording | None:
    """Return the recording that runs in this thread, None where none does."""
    return _thread.recording


def is_possible() -> bool:
    """Whether launches can be recorded: those of compiled kernels that nothing else takes the place of."""
    return not numba.config.DISABLE_JIT and launches_run()


@contextlib.contextmanager
def recorded() -> Iterator[Recording]:
    """Record this thread's launches inside the `with` block."""
    before, recording = _thread.recording, Recording()
    _thread.recording = recording
    try:
        with launching(recording.add), threads.started():
            yield recording
    finally:
        _thread.recording = before
        recording.finish()
