"""What every public function does to its arrays before a kernel sees them, and where results are allocated.

Kernels are compiled once per element type for C-contiguous, aligned, writable arrays; anything else a user may hold is
converted here. Results come from a pool of buffers that are used again once nobody holds them, so that a steady training
step allocates nothing large.
"""

from __future__ import annotations

import functools
import sys
import threading
from typing import Any

import numpy as np

from ..shapes import DTypeError, ShapeError, Window, nonempty

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)
# The bias of an operation without bias.
NOTHING = {dtype: np.empty(0, dtype) for dtype in (FLOAT32, FLOAT64)}


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
    arrays = [as_floats(function, name, value) for name, value in values.items()]
    for name, array in zip(values, arrays, strict=True):
        if array.dtype != arrays[0].dtype:
            first = next(iter(values))
            raise DTypeError(f"{function}: {name} is {array.dtype} and {first} is {arrays[0].dtype}, expected one dtype for "
                             f"all (convert one: {name}.astype(np.{arrays[0].dtype}))")
    return arrays


def in_place(function: str, **values: Any) -> None:
    """DTypeError unless each value is an array that a kernel can change where it lies."""
    for name, value in values.items():
        if not (isinstance(value, np.ndarray) and value.dtype in (FLOAT32, FLOAT64) and value.flags.carray):
            came = f"{value.dtype} array" if isinstance(value, np.ndarray) else type(value).__name__
            raise DTypeError(f"{function}: {name} is a {came}, expected a C-contiguous, writable float32 or "
                             "float64 array, which is changed in place")


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
    bias = as_floats(function, "bias", bias)
    if bias.shape != (channels,):
        raise ShapeError(f"{function}: bias has shape {bias.shape}, expected ({channels},): one for each output channel")
    if bias.dtype != dtype:
        raise DTypeError(f"{function}: bias is {bias.dtype}, expected {dtype} as the other arrays "
                         f"(convert it: bias.astype(np.{dtype}))")
    return bias


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


@functools.lru_cache(maxsize=4096)
def record(window: Window) -> np.ndarray:
    """The window as an array of one record, whose fields a kernel reads by name."""
    fields = [(name, np.int64) for name in window._fields]
    return np.array([tuple(window)], np.dtype((np.record, fields)))


_LINE = 64  # bytes of a cache line; a vector that lies across two of them costs two accesses


def _aligned(size: int, dtype: np.dtype) -> np.ndarray:
    """An uninitialised array that begins at a cache line; its base owns the memory."""
    owner = np.empty(size * dtype.itemsize + _LINE, np.uint8)
    start = -owner.ctypes.data % _LINE
    return owner[start:start + size * dtype.itemsize].view(dtype)


class _Pool(threading.local):
    """Buffers by size, and the request number of each one's last use; a buffer that only the pool refers to is free."""

    def __init__(self) -> None:
        self.buffers: dict[tuple[int, np.dtype], list[np.ndarray]] = {}
        self.used: dict[int, int] = {}
        self.requests = 0


_pool = _Pool()
_SMALL = 16384  # elements; below this the system's allocator is as fast
_FORGET = 4096  # requests after which an unused buffer is given back


def _holders(buffer: np.ndarray) -> int:
    """References to the memory of a buffer: one for each array that looks into it, and those of this call."""
    return sys.getrefcount(buffer.base)


_UNHELD = _holders(_aligned(1, FLOAT32))


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised C-contiguous array, in memory used before where that is free.

    Every view keeps the memory it looks into alive, so a buffer is free exactly when the pool's own view is the last.
    """
    size = 1
    for n in shape:
        size *= n
    if size < _SMALL:
        return np.empty(shape, dtype)
    _pool.requests += 1
    buffers = _pool.buffers.setdefault((size, dtype), [])
    for buffer in buffers:
        if _holders(buffer) == _UNHELD:
            break
    else:
        _forget_unused()
        buffer = _aligned(size, dtype)
        buffers.append(buffer)
    _pool.used[id(buffer)] = _pool.requests
    return buffer.reshape(shape)


def _forget_unused() -> None:
    """Give back the buffers that nobody asked for in a long time, such as those of another batch size."""
    oldest = _pool.requests - _FORGET
    for key, buffers in _pool.buffers.items():
        kept = [buffer for buffer in buffers if _pool.used[id(buffer)] > oldest or _holders(buffer) != _UNHELD]
        for buffer in buffers:
            if all(buffer is not other for other in kept):
                del _pool.used[id(buffer)]
        _pool.buffers[key][:] = kept


def release_buffers() -> None:
    """Forget all pooled buffers of this thread; arrays in use stay valid."""
    _pool.buffers.clear()
    _pool.used.clear()


def scratch(function: str, size: int, dtype: np.dtype) -> np.ndarray:
    """Working memory of at least `size` elements for kernels of one family; its content is arbitrary but finite."""
    key = function, dtype
    array = _scratch.arrays.get(key)
    if array is None or array.size < size:
        array = _scratch.arrays[key] = _aligned(size, dtype)
        array.fill(0)
    return array


def queue() -> np.ndarray:
    """A queue of tasks for one launch: see `kernels.launch.take`."""
    _scratch.queue[0] = 0
    return _scratch.queue


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.arrays: dict[tuple[str, np.dtype], np.ndarray] = {}
        self.queue = _aligned(_LINE // INT64.itemsize, INT64)


_scratch = _Scratch()
