"""Memory of calls: results from buffers that are used again once nobody holds them, and workspaces of kernels.

So that a steady training step allocates nothing large.
"""

from __future__ import annotations

import contextlib
import math
import sys
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator

import numpy as np

from ..kernels.jit import recording
from ..kernels.jit.compile import launching

Allocate = Callable[..., np.ndarray]
_INT64 = np.dtype(np.int64)
_LINE = 64  # bytes of a cache line; a vector that lies across two of them costs two accesses


def aligned(size: int, dtype: np.dtype, allocate: Allocate) -> np.ndarray:
    """An array that begins at a cache line; its base owns the memory, which `allocate` gives."""
    owner = allocate(size * dtype.itemsize + _LINE, np.uint8)
    start = -owner.ctypes.data % _LINE
    return owner[start:start + size * dtype.itemsize].view(dtype)


class _Buffer:
    """Memory that is lent out, and the number of the request that had it last."""

    __slots__ = "memory", "owner", "used"

    def __init__(self, size: int, allocate: Allocate) -> None:
        self.memory, self.used = aligned(size, np.dtype(np.uint8), allocate), 0
        self.owner = self.memory.base  # each array that looks into the memory refers to it

    def is_free(self) -> bool:
        """Whether no other array looks into the memory."""
        return sys.getrefcount(self.owner) == _UNHELD


_probe = _Buffer(1, np.empty)
_UNHELD = sys.getrefcount(_probe.owner)


_SMALL = 65536  # bytes; below this the system's allocator is as fast
_SLACK = 2  # a request may get a buffer up to so many times as large as it needs
_FORGET = 4096  # requests after which an unused buffer is given back


class _Pool:
    """Buffers in the order of their sizes; one that only the pool refers to is free."""

    def __init__(self) -> None:
        self.buffers: list[_Buffer] = []
        self.sizes: list[int] = []
        self.requests = 0
        self.allocate: Allocate = np.empty
        self.workspaces: dict[tuple[str, np.dtype], np.ndarray] = {}

    def take(self, size: int) -> np.ndarray:
        """At least `size` bytes of free memory."""
        self.requests += 1
        buffer = self._found(size) or self._added(size)
        buffer.used = self.requests
        return buffer.memory

    def _found(self, size: int) -> _Buffer | None:
        """The smallest free buffer that is not much larger."""
        for buffer in self.buffers[bisect_left(self.sizes, size):bisect_right(self.sizes, _SLACK * size)]:
            if sys.getrefcount(buffer.owner) == _UNHELD:
                return buffer
        return None

    def _added(self, size: int) -> _Buffer:
        """A new buffer in place of the largest free one that is not much smaller, if there is any.

        So the buffers of similar arrays grow into some that serve them all; after a few steps every request finds one.
        """
        self._forget_unused()
        place = bisect_left(self.sizes, size)
        for index in range(place - 1, bisect_left(self.sizes, size / _SLACK) - 1, -1):
            if self.buffers[index].is_free():
                del self.buffers[index], self.sizes[index]
                place -= 1
                break
        self.buffers.insert(place, _Buffer(size, self.allocate))
        self.sizes.insert(place, size)
        return self.buffers[place]

    def _forget_unused(self) -> None:
        """Give back the buffers that nobody asked for in a long time, such as those of another batch size."""
        oldest = self.requests - _FORGET
        self.buffers = [buffer for buffer in self.buffers if buffer.used > oldest or not buffer.is_free()]
        self.sizes = [buffer.memory.size for buffer in self.buffers]


class _Thread(threading.local):
    def __init__(self) -> None:
        self.pool = _Pool()
        self.counter = aligned(_LINE // _INT64.itemsize, _INT64, np.zeros)


_thread = _Thread()


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised C-contiguous array, in memory used before where that is free.

    Every view keeps the memory it looks into alive, so a buffer is free exactly when the pool's own view is the last.
    """
    pool, size = _thread.pool, math.prod(shape) * dtype.itemsize
    if size < _SMALL:
        return pool.allocate(shape, dtype)
    return np.ndarray(shape, dtype, pool.take(size))


def release_buffers() -> None:
    """Forget all pooled buffers of this thread; arrays in use stay valid."""
    _thread.pool.buffers, _thread.pool.sizes = [], []


def workspace(function: str, size: int, dtype: np.dtype) -> np.ndarray:
    """Working memory of at least `size` elements for kernels of one family; its content is arbitrary, NaN too."""
    arrays = _thread.pool.workspaces
    key = function, dtype
    array = arrays.get(key)
    if array is None or array.size < size:
        array = arrays[key] = aligned(size, dtype, np.zeros)
    return array


def counter() -> np.ndarray:
    """Counter of the tasks of one launch, at zero: see `kernels.jit.launch.next_task`."""
    running = recording.current()
    counter = _thread.counter if running is None else running.counter()
    counter[0] = 0
    return counter


def workspace_bytes() -> int:
    """Bytes of all working memory of this thread."""
    return sum(array.nbytes for array in _thread.pool.workspaces.values())


@contextlib.contextmanager
def rehearsal() -> Iterator[None]:
    """Let operations of this thread allocate inside the `with` block as they always do, in a pool of their own, and write
    nothing: results are zeros, whose memory the system provides when it is first written to.
    """
    usual, _thread.pool = _thread.pool, _Pool()
    _thread.pool.allocate = np.zeros
    try:
        with launching(lambda kernel, arguments, workers: None):
            yield
    finally:
        _thread.pool = usual
