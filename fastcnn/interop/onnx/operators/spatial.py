"""Convolutions and products of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional
from ....shapes import DataFormatError
from ..calls import Call, UnsupportedError, window
from .images import channels_first, channels_last, filters_last


def conv(call: Call, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """Return the convolution of images."""
    images, filters = channels_last(x), filters_last(weight)
    w = window(call, images.shape[1:3], filters.shape[:2])
    return channels_first(functional.conv2d(images, filters, bias, stride=w.stride, padding=w.padding, dilation=w.dilation,
                                   groups=call.get("group", 1)))


def transposed_options(call: Call, size: tuple[int, ...], kernel: tuple[int, ...]) -> dict[str, Any]:
    """Return the arguments of `conv_transpose2d` for images of `size`; `output_shape` decides over pads, if it is given."""
    w = window(call, size, kernel)
    dropped, padding = list(call.integers("output_padding", 2, 0, 0)), w.padding
    rule = call.get("auto_pad", "NOTSET")
    if "output_shape" in call.attributes or rule.startswith("SAME"):
        wanted = call.integers("output_shape", 2, 0) if "output_shape" in call.attributes else [
            length * step for length, step in zip(size, w.stride, strict=True)]
        sides = []
        for axis, length in enumerate(wanted):
            full = (size[axis] - 1) * w.stride[axis] + (w.kernel[axis] - 1) * w.dilation[axis] + 1 + dropped[axis]
            total = full - length
            if total < 0:  # more than the filters reach: zeros at the end
                dropped[axis], total = dropped[axis] - total, 0
            half = total // 2
            sides.append((half, total - half) if rule == "SAME_UPPER" else (total - half, half))
        padding = (sides[0], sides[1])
    return {"stride": w.stride, "padding": padding, "dilation": w.dilation, "output_padding": tuple(dropped),
            "groups": call.get("group", 1)}


def _conv_transpose(call: Call, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    images, filters = channels_last(x), filters_last(weight)
    options = transposed_options(call, images.shape[1:3], filters.shape[:2])
    return channels_first(functional.conv_transpose2d(images, filters, bias, **options))


def _gemm(call: Call, a: np.ndarray, b: np.ndarray, c: np.ndarray | None = None) -> np.ndarray:
    if a.ndim != 2 or b.ndim != 2:
        raise DataFormatError(f"inputs have shapes {a.shape} and {b.shape}, expected matrices")
    a, b = (matrix.T if call.get(name, 0) else matrix for matrix, name in ((a, "transA"), (b, "transB")))
    product = a.dtype.type(call.get("alpha", 1.0)) * functional.linear(a, b)
    return product if c is None else product + a.dtype.type(call.get("beta", 1.0)) * c


def _mat_mul(call: Call, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if b.ndim != 2 or a.ndim < 2:
        raise UnsupportedError(f"inputs have shapes {a.shape} and {b.shape}, expected (..., n, k) and (k, m)")
    return functional.linear(a.reshape(-1, a.shape[-1]), b).reshape(*a.shape[:-1], b.shape[1])


TABLE: dict[str, Callable[..., Any]] = {"Conv": conv, "ConvTranspose": _conv_transpose, "Gemm": _gemm, "MatMul": _mat_mul}
