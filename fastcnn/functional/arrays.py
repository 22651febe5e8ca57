"""What every public function does to its arrays before a kernel sees them.

Kernels are compiled once per element type for C-contiguous, aligned, writable arrays; anything else a user may hold is
converted here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..kernels.arguments import Epilogue
from ..kernels.lanes import spread
from ..runtime import buffers
from ..shapes import DTypeError, ShapeError, nonempty, same_shape

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)
_CHUNK = 32768  # elements at least that are summed apart, in at most _CHUNKS chunks
_CHUNKS = 64
NO_INTEGERS = np.empty(0, INT64)
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


def lanes(values: np.ndarray, C: int) -> np.ndarray:
    """Return a run of whole pixels, as long as `channel_of_lane`, each the first C of `values`: by a launch alone."""
    run = np.empty(len(channel_of_lane(C)), values.dtype)
    spread(values, C, run, 1)
    return run


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


def as_residual(function: str, add: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return `add`, which is added to a result of that shape and dtype, as a flat array, or an empty one for None.

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
        return buffers.empty(shape, dtype)
    if not isinstance(out, np.ndarray) or out.dtype != dtype or not out.flags.carray:
        came = f"{out.dtype} array" if isinstance(out, np.ndarray) else type(out).__name__
        raise DTypeError(f"{function}: out is a {came}, expected a C-contiguous, writable {dtype} array")
    if out.shape != shape:
        raise ShapeError(f"{function}: out has shape {out.shape}, expected {shape}")
    return out


NO_EPILOGUE = {dtype: Epilogue(NOTHING[dtype], NOTHING[dtype], False) for dtype in (FLOAT32, FLOAT64)}


@functools.lru_cache(maxsize=4096)
def record(*numbers: Any) -> np.ndarray:
    """One record of the integers of a NamedTuple, or of several one after the other, whose fields a kernel reads by name."""
    fields = [(name, np.int64) for part in numbers for name in part._fields]
    return np.array([tuple(number for part in numbers for number in part)], np.dtype((np.record, fields)))
