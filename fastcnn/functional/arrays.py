"""What every public function does to its arrays before a kernel sees them, and where results are allocated.

Kernels are compiled once per element type for C-contiguous, aligned, writable arrays; anything else a user may hold is
converted here. Results come from a pool of buffers that are used again once nobody holds them, so that a steady training
step allocates nothing large.
"""

from __future__ import annotations

import contextlib
import functools
import math
import sys
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from ..kernels.jit import recording
from ..kernels.jit.compile import launching
from ..shapes import DTypeError, ShapeError, Window, nonempty, same_shape

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)
_CHUNK = 32768  # elements at least that are summed apart, in at most _CHUNKS chunks
_CHUNKS = 64
# The bias of an operation without bias.
NOTHING = {dtype: np.empty(0, dtype) for dtype in (FLOAT32, FLOAT64)}


_Result = TypeVar("_Result")


def remembered(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """Let a function of geometry keep its results: the same few geometries come back at every step."""
    known = functools.lru_cache(maxsize=1024, typed=True)(function)

    @functools.wraps(function)
    def remember(*arguments: Any) -> _Result:
        try:
            return known(*arguments)
        except TypeError:  # lists are no keys of a cache
            return function(*arguments)

    return remember


def as_floats(function: str, name: str, value: Any) -> np.ndarray:
    """Return `value` as a C-contiguous, aligned, writable float32 or float64 array, copied only where it is not one.

    float16 becomes float32. DTypeError: `value` holds no real floats. ShapeError: it has no elements.
    """
    if type(value) is np.ndarray and value.dtype in (FLOAT32, FLOAT64) and value.flags.carray:
        array = value
    else:
        array = np.asarray(value)
        if array.dtype.kind != "f":
            raise DTypeError(f"{function}: {name} has dtype {array.dtype}, expected float32 or float64"
                             f" (convert it: {name}.astype(np.float32))")
        array = np.require(array, FLOAT32 if array.dtype.itemsize <= 4 else FLOAT64, ["C", "A", "W"])
    if array.size == 0:
        nonempty(function, name, array.shape)
    return array


def floats(function: str, **values: Any) -> list[np.ndarray]:
    """Return all values as float arrays of one dtype, in the order given (see `as_floats`).

    DTypeError: they mix float32 and float64.
    """
    given = list(values.values())
    return given if fit(given) else _converted(function, values)


def fit(values: list[Any]) -> bool:
    """Whether all are float arrays of one dtype as kernels take them, as nearly always."""
    dtype = getattr(values[0], "dtype", None)
    if dtype is not FLOAT32 and dtype is not FLOAT64:
        return False
    for value in values:
        if type(value) is not np.ndarray or value.dtype is not dtype or not value.flags.carray or value.size == 0:
            return False
    return True


def _converted(function: str, values: dict[str, Any]) -> list[np.ndarray]:
    arrays = [as_floats(function, name, value) for name, value in values.items()]
    dtype = arrays[0].dtype
    for array in arrays:
        if array.dtype != dtype:
            first, name = next(iter(values)), list(values)[[one.dtype == dtype for one in arrays].index(False)]
            raise DTypeError(f"{function}: {name} is {array.dtype} and {first} is {dtype}, expected one dtype for "
                             f"all (convert one: {name}.astype(np.{dtype}))")
    return arrays


def in_place(function: str, **values: Any) -> None:
    """DTypeError unless each value is an array that a kernel can change where it lies."""
    for name, value in values.items():
        if not (isinstance(value, np.ndarray) and value.dtype in (FLOAT32, FLOAT64) and value.flags.carray):
            came = f"{value.dtype} array" if isinstance(value, np.ndarray) else type(value).__name__
            raise DTypeError(f"{function}: {name} is a {came}, expected a C-contiguous, writable float32 or "
                             "float64 array, which is changed in place")


def chunks(size: int) -> int:
    """How many parts of an array of `size` elements are summed apart: a function of the shape alone."""
    return max(1, min(_CHUNKS, size // _CHUNK))


@functools.lru_cache(maxsize=256)
def channel_of_lane(C: int) -> np.ndarray:
    """Channel of each element of a run of whole pixels, long enough for a loop over it to be efficient."""
    channel: np.ndarray = np.arange(-(-256 // C) * C) % C
    return channel


def as_integers(function: str, name: str, value: Any, dtype: np.dtype) -> np.ndarray:
    """Return `value` as a C-contiguous, aligned, writable array of an integer `dtype`, copied only where it is not one.

    Integers beyond its range become its smallest or largest. DTypeError: `value` holds no integers.
    """
    if type(value) is np.ndarray and value.dtype == dtype and value.flags.carray:
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise DTypeError(f"{function}: {name} has dtype {array.dtype}, expected {dtype}")
    if not np.can_cast(array.dtype, dtype):
        array = np.clip(array, np.iinfo(dtype).min, np.iinfo(dtype).max)
    return np.require(array, dtype, ["C", "A", "W"])


def as_bias(function: str, bias: Any, channels: int, dtype: np.dtype) -> np.ndarray:
    """Return `bias` as an array (channels,) of `dtype`, or an empty array for None; ShapeError, DTypeError."""
    if bias is None:
        return NOTHING[dtype]
    if type(bias) is np.ndarray and bias.dtype is dtype and bias.shape == (channels,) and bias.flags.carray:
        return bias
    bias = as_floats(function, "bias", bias)
    if bias.shape != (channels,):
        raise ShapeError(f"{function}: bias has shape {bias.shape}, expected ({channels},): one for each output channel")
    if bias.dtype != dtype:
        raise DTypeError(f"{function}: bias is {bias.dtype}, expected {dtype} as the other arrays "
                         f"(convert it: bias.astype(np.{dtype}))")
    return bias


def as_addend(function: str, add: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return `add`, which goes to a result of that shape and dtype, as a flat array, or an empty one for None.

    ShapeError, DTypeError: it does not fit.
    """
    if add is None:
        return NOTHING[dtype]
    add = as_floats(function, "add", add)
    same_shape(function, "add", add.shape, shape, "the shape of the result")
    if add.dtype != dtype:
        raise DTypeError(f"{function}: add is {add.dtype}, expected {dtype} as the other arrays "
                         f"(convert it: add.astype(np.{dtype}))")
    return add.ravel()


def as_output(function: str, out: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return `out` when a kernel may write the result into it, or a new array when it is None; ShapeError, DTypeError."""
    if out is None:
        return empty(shape, dtype)
    if not isinstance(out, np.ndarray) or out.dtype != dtype or not out.flags.carray:
        came = f"{out.dtype} array" if isinstance(out, np.ndarray) else type(out).__name__
        raise DTypeError(f"{function}: out is a {came}, expected a C-contiguous, writable {dtype} array")
    if out.shape != shape:
        raise ShapeError(f"{function}: out has shape {out.shape}, expected {shape}")
    return out


def floor(relu: bool) -> float:
    """What results are not to fall below: NaN sets no limit."""
    return 0.0 if relu else math.nan


@functools.lru_cache(maxsize=4096)
def record(window: Window) -> np.ndarray:
    """The window as an array of one record, whose fields a kernel reads by name."""
    fields = [(name, np.int64) for name in window._fields]
    return np.array([tuple(window)], np.dtype((np.record, fields)))


Allocate = Callable[..., np.ndarray]
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
        self.scratch: dict[tuple[str, np.dtype], np.ndarray] = {}

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
        self.queue = aligned(_LINE // INT64.itemsize, INT64, np.zeros)


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


def scratch(function: str, size: int, dtype: np.dtype) -> np.ndarray:
    """Working memory of at least `size` elements for kernels of one family; its content is arbitrary, NaN too."""
    arrays = _thread.pool.scratch
    key = function, dtype
    array = arrays.get(key)
    if array is None or array.size < size:
        array = arrays[key] = aligned(size, dtype, np.zeros)
    return array


def queue() -> np.ndarray:
    """A queue of tasks for one launch: see `kernels.launch.take`."""
    running = recording.current()
    queue = _thread.queue if running is None else running.queue()
    queue[0] = 0
    return queue


def scratch_bytes() -> int:
    """Bytes of all working memory of this thread."""
    return sum(array.nbytes for array in _thread.pool.scratch.values())


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
