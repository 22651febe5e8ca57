"""Kernels compiled ahead, in as many processes as there are cores: in one process Numba compiles under a lock.

The processes are forks, which have all of the arguments' types without being told. What they compile they leave in the
cache, from which the process that asked loads it. Where nothing can be forked, or the cache cannot be written, a kernel is
compiled when it is first launched.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from . import cache, threads
from .compile import Kernel, launching

_NUMBER = struct.Struct("<H")
_LEAST = 4  # kernels to compile that are worth a process

Jobs = dict[Any, tuple[Kernel, tuple[Any, ...], int]]


@contextlib.contextmanager
def noted_launches() -> Iterator[Jobs]:
    """Inside the `with` block, note this thread's launches, one for each compiled code, and run none."""
    jobs: Jobs = {}

    def note(kernel: Kernel, arguments: tuple[Any, ...], workers: int) -> None:
        jobs.setdefault((kernel, kernel.code_of(arguments, workers)), (kernel, arguments, workers))

    with launching(note):
        yield jobs


def compile_ahead(jobs: Jobs) -> int:
    """Compile what is not in the cache; return how many kernels other processes compiled."""
    missing = [job for job in jobs.values() if not job[0].is_cached(job[1], job[2])]
    others = min(threads.available(), len(missing) // _LEAST) - 1
    if others < 1 or not _can_fork():
        return 0
    queue, end = os.pipe()
    os.write(end, b"".join(_NUMBER.pack(number) for number in range(len(missing))))
    os.close(end)
    children: list[int] = []
    try:
        with contextlib.suppress(OSError):  # no more processes are to be had
            for _ in range(others):
                children.append(_child(missing, queue))
        own = _take(missing, queue)
        while children:
            _wait_for(children[-1])
            children.pop()
    finally:
        os.close(queue)
        for child in children:  # Ctrl-C ends the others, too
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
            _wait_for(child)
    return len(missing) - own


def _wait_for(child: int) -> None:
    """Wait until a process has ended, which the system may have noted already where SIGCHLD is ignored."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


def _can_fork() -> bool:
    """Whether a fork is safe: no other thread runs in this process, or only those of TBB, which bear it."""
    return (sys.platform == "linux" and cache.is_private() and threading.active_count() == 1
            and threads.layer() in (None, "tbb"))


def _child(missing: list[tuple[Kernel, tuple[Any, ...], int]], queue: int) -> int:
    """Fork a process that compiles its share and ends, without a word."""
    with warnings.catch_warnings():  # of other threads, such as those of numpy's BLAS, which bear it
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(silence, stream)
        _take(missing, queue)
    finally:
        os._exit(0)


def _take(missing: list[tuple[Kernel, tuple[Any, ...], int]], queue: int) -> int:
    """Compile what no other process has taken; return how many kernels that were."""
    count = 0
    while number := os.read(queue, _NUMBER.size):  # whole numbers: each was written at once
        kernel, arguments, workers = missing[_NUMBER.unpack(number)[0]]
        kernel.prepare(arguments, workers)
        count += 1
    return count
