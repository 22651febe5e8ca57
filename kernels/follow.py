"""Launches that follow another one in the same pass over memory, chunk by chunk of what that writes.

Whoever writes the last of a chunk runs the share of it, so that a chunk may be written by several tasks, in any order, on
any threads: the share finds all of it, and does what it would do in a launch of its own.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from .arguments import Follower
from .jit import recording
from .jit.compile import kernel, launches_run
from .jit.launch import FRAME_BYTES, add_to_counter, run_share


def can_follow() -> bool:
    """Whether launches of this thread run, recorded or not, so that one of them may run shares of another."""
    return not numba.config.DISABLE_JIT and (launches_run() or recording.current() is not None)


def follower(launched: Any, arguments: tuple[Any, ...], chunks: int, size: int) -> Follower:
    """Return the launch of a kernel on as many workers as there are chunks, for a kernel that writes what it reads.

    `size` is the elements of a chunk of that. The arguments have to live until both have run.
    """
    frame = np.empty(FRAME_BYTES, np.uint8)
    entry = launched.store(frame, arguments)
    return Follower(np.zeros(chunks, np.int64), frame, frame.ctypes.data, entry, size)


@kernel
def follow(y, follower, units, times, first, last):
    """Run the shares of chunks that are complete with what a task has written: units from `first` to `last`.

    All of y are so many units, in order, each of which is written by `times` tasks.
    """
    chunks = len(follower.written)
    if chunks > 0:
        each = units * follower.size // len(y)
        for chunk in range(first // each, (last - 1) // each + 1):
            begin, end = chunk * each, min((chunk + 1) * each, units)
            new = min(last, end) - max(first, begin)
            if add_to_counter(follower.written, chunk, new) + new == (end - begin) * times:
                follower.written[chunk] = 0  # for a launch that writes y again
                run_share(follower.entry, follower.address, chunk, chunks)
