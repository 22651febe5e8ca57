"""Convolution with few channels on both sides, such as the first layer of LeNet: vectors run over pixels."""

from __future__ import annotations

import functools
from math import gcd
from typing import NamedTuple

import numpy as np

from ..kernels import narrow as kernels
from ..kernels import simd, threads
from ..shapes import Window
from . import arrays, direct, prepared, products
from .products import GRAIN, round_up

_BAND_BYTES = 32 * 1024  # planes of a band and the gradients beside them stay in the L1 cache


class Plan(NamedTuple):
    """How the narrow kernels walk a window (see kernels/narrow.py)."""

    rows: int  # output rows of a band
    phases: int  # column phases of the stride that filter columns meet
    slots: int  # input rows in a band
    columns: int  # elements of a plane's row
    width: int  # distance between rows of a plane
    channels: int  # output channels, rounded up to whole tiles
    scratch: int  # elements of working memory for each worker


def fits(w: Window) -> bool:
    """Whether all channels form one group."""
    return w.groups == 1


def pays(w: Window) -> bool:
    """Whether vectors of pixels are better filled than vectors of channels (measured)."""
    return fits(w) and max(w.C, w.K) <= 8 and w.Q >= 20 and w.stride_columns == 1


@functools.lru_cache(maxsize=1024)
def _plan(w: Window, itemsize: int) -> tuple[Plan, np.ndarray]:
    lanes = simd.VECTOR_BYTES // itemsize
    period = w.stride_columns // gcd(w.stride_columns, w.dilation_columns)
    phases = min(w.S, period)
    columns = w.Q + (w.S - 1) * w.dilation_columns // w.stride_columns
    gradient_row = simd.PLANES * round_up(w.Q, lanes)
    row = w.C * phases * w.stride_rows * columns + gradient_row
    rows = max(1, min(w.P, _BAND_BYTES // (row * itemsize)))
    rows = -(-w.P // -(-w.P // rows))  # bands of equal height
    slots = (rows - 1) * w.stride_rows + (w.R - 1) * w.dilation_rows + 1
    taps = [((c * phases + s % period) * slots + r * w.dilation_rows) * columns + s * w.dilation_columns // w.stride_columns
            for r in range(w.R) for s in range(w.S) for c in range(w.C)]
    reach = 2 * lanes + kernels.COLUMNS * w.dilation_columns  # vectors may read behind the last plane
    planes = round_up(w.C * phases * slots * columns + reach, 16)
    plan = Plan(rows, phases, slots, columns, columns, round_up(w.K, simd.PLANES), planes + rows * gradient_row)
    return plan, np.array(taps, np.int64)


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, w: Window, y: np.ndarray,
            relu: bool = False) -> None:
    """Write the convolution of x with weight, plus bias (which may be empty), to y, or max(y, 0) with `relu`."""
    plan, taps = _plan(w, x.itemsize)
    workers = threads.workers(products.multiply_adds(w), GRAIN)
    kernels.narrow_forward(
        x.reshape(-1), arrays.record(w), arrays.record(plan), taps, _padded(weight, w.K, plan.channels), bias,
        arrays.floor(relu), y.reshape(-1), arrays.scratch("narrow", workers * plan.scratch, x.dtype), workers)


def _padded(weight: np.ndarray, K: int, channels: int) -> np.ndarray:
    """The weight with zeros up to so many channels: see `prepared.form`."""

    def write(padded: np.ndarray) -> None:
        rows = padded.reshape(-1, channels)
        rows[:, :K] = weight.reshape(-1, K)
        rows[:, K:] = 0

    return prepared.form(weight, "panels", ("narrow", channels), weight.size // K * channels, write)


def backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, dx: np.ndarray) -> None:
    """Write the gradient of x to dx: with stride 1, the convolution of dy with the flipped, transposed filter."""
    if (w.stride_rows, w.stride_columns) != (1, 1) or w.K > 8:
        direct.backward_input(dy, weight, w, dx)
        return
    window = w._replace(H=w.P, W=w.Q, C=w.K, K=w.C, P=w.H, Q=w.W, top=(w.R - 1) * w.dilation_rows - w.top,
                        left=(w.S - 1) * w.dilation_columns - w.left)
    flipped = np.ascontiguousarray(weight[::-1, ::-1].transpose(0, 1, 3, 2))
    forward(dy, flipped, arrays.NOTHING[dy.dtype], window, dx)


def backward_weight(dy: np.ndarray, x: np.ndarray, w: Window, dweight: np.ndarray) -> None:
    """Write the gradient of the weight to dweight; partial sums of chunks are added in order."""
    if w.stride_columns > 1 or (w.C > 1 and w.K > 8):
        direct.backward_weight(dy, x, w, dweight)
        return
    plan, taps = _plan(w, x.itemsize)
    chunks = min(w.N * -(-w.P // plan.rows), 16)
    size = w.R * w.C * round_up(w.S, kernels.COLUMNS) * plan.channels * products.lanes(x)
    partial = arrays.empty((chunks * size,), x.dtype)
    workers = threads.workers(products.multiply_adds(w), GRAIN)
    kernels.narrow_backward_weight(x.reshape(-1), arrays.record(w), arrays.record(plan), taps, dy.reshape(-1), chunks,
                                   partial, arrays.scratch("narrow", workers * plan.scratch, x.dtype), workers)
    kernels.narrow_sum(partial, arrays.record(w), chunks, dweight.reshape(-1), threads.workers(partial.size))
