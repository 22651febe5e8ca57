"""Quantised numbers of 8 and 16 bits: float = (number - zero point) scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..calls import Call, UnsupportedError, axis_of
from ..tensors import UINT8, dtype_of
from .spatial import conv

_KINDS = "uint8", "int8", "uint16", "int16", "int32"


def _spread(call: Call, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return one value for each element of x from one for all, for each index of an axis or for each block of it."""
    if values.ndim == 0 or values.size == 1:
        return values.reshape(())
    axis, block = axis_of(call, x.ndim, 1), call.get("block_size", 0)
    if block:
        return values.repeat(block, axis)[tuple(map(slice, x.shape))]
    return values.reshape([-1 if index == axis else 1 for index in range(x.ndim)])


def _integers(array: np.ndarray) -> np.ndarray:
    if array.dtype.name not in _KINDS:
        raise UnsupportedError(f"numbers are {array.dtype}, expected integers of 8, 16 or 32 bits")
    return array


def _quantize(call: Call, x: np.ndarray, scale: np.ndarray, zero: np.ndarray | None = None) -> np.ndarray:
    zero = _integers(np.zeros((), dtype_of(call.get("output_dtype", UINT8), "the result")) if zero is None else zero)
    most = np.iinfo(zero.dtype)
    rounded = np.rint(x / _spread(call, x, scale)) + _spread(call, x, zero)
    return np.clip(rounded, most.min, most.max).astype(zero.dtype)


def _dequantize(call: Call, x: np.ndarray, scale: np.ndarray, zero: np.ndarray | None = None) -> np.ndarray:
    wide = _integers(x).astype(np.int64)
    if zero is not None:
        wide = wide - _spread(call, x, zero).astype(np.int64)
    return (wide * _spread(call, x, scale)).astype(scale.dtype)


def _exact(call: Call, x: np.ndarray, weight: np.ndarray, zero: Any = None, weight_zero: Any = None) -> np.ndarray:
    """Return the convolution of integers, which float64 holds exactly."""
    wide = _integers(x).astype(np.float64) - (0 if zero is None else zero)
    offset = 0 if weight_zero is None else np.reshape(weight_zero, (-1, 1, 1, 1))
    return conv(call, wide, _integers(weight).astype(np.float64) - offset)


def _conv_integer(call: Call, x: np.ndarray, weight: np.ndarray, zero: Any = None, weight_zero: Any = None) -> np.ndarray:
    return _exact(call, x, weight, zero, weight_zero).astype(np.int32)


def _qlinear_conv(call: Call, x: np.ndarray, scale: np.ndarray, zero: np.ndarray, weight: np.ndarray,
                  weight_scale: np.ndarray, weight_zero: np.ndarray, y_scale: np.ndarray, y_zero: np.ndarray,
                  bias: np.ndarray | None = None) -> np.ndarray:
    sums = _exact(call, x, weight, zero, weight_zero)
    if bias is not None:
        sums = sums + bias.reshape(-1, 1, 1)
    most = np.iinfo(y_zero.dtype)
    rounded = np.rint(sums * (scale * np.reshape(weight_scale, (-1, 1, 1)) / y_scale)) + y_zero
    return np.clip(rounded, most.min, most.max).astype(y_zero.dtype)


TABLE: dict[str, Callable[..., Any]] = {"ConvInteger": _conv_integer, "DequantizeLinear": _dequantize,
                                        "QLinearConv": _qlinear_conv, "QuantizeLinear": _quantize}
