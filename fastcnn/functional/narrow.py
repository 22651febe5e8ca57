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


class _Job(NamedTuple):
    """All that a convolution or its weight gradient needs besides its arrays."""

    window: np.ndarray  # a record
    plan: Plan
    plans: np.ndarray  # and as a record
    taps: np.ndarray  # where the filter elements lie in a band
    chunks: int  # of the weight gradient
    partial: int  # elements of their partial sums
    work: int  # multiply-adds


@functools.lru_cache(maxsize=1024)
def _job(w: Window, itemsize: int) -> _Job:
    plan, taps = _plan(w, itemsize)
    chunks = min(w.N * -(-w.P // plan.rows), 16)
    size = w.R * w.C * round_up(w.S, kernels.COLUMNS) * plan.channels * (simd.VECTOR_BYTES // itemsize)
    return _Job(arrays.record(w), plan, arrays.record(plan), taps, chunks, chunks * size, products.multiply_adds(w))


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, w: Window, addend: np.ndarray, y: np.ndarray,
            relu: bool = False) -> None:
    """Write the convolution of x with weight, plus bias and addend (which may be empty), to y, or max(y, 0) with `relu`."""
    job = _job(w, x.itemsize)
    plan, workers = job.plan, threads.workers(job.work, GRAIN)
    kernels.narrow_forward(
        x.ravel(), job.window, job.plans, job.taps, _padded(weight, w.K, plan.channels), bias,
        arrays.floor(relu and not len(addend)), y.ravel(), arrays.scratch("narrow", workers * plan.scratch, x.dtype),
        workers)
    products.add_to(y, addend, relu)


def _padded(weight: np.ndarray, K: int, channels: int) -> np.ndarray:
    """The weight with zeros up to so many channels: see `prepared.form`."""

    def write(padded: np.ndarray) -> None:
        rows = padded.reshape(-1, channels)
        rows[:, :K] = weight.reshape(-1, K)
        rows[:, K:] = 0

    return prepared.form(weight, "panels", ("narrow", channels), weight.size // K * channels, write)


def backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, addend: np.ndarray, dx: np.ndarray) -> None:
    """Write the gradient of x, plus addend, to dx; with stride 1 by the convolution of dy with the filter turned round."""
    if (w.stride_rows, w.stride_columns) != (1, 1) or w.K > 8:
        direct.backward_input(dy, weight, w, addend, dx)
        return
    flipped = np.ascontiguousarray(weight[::-1, ::-1].transpose(0, 1, 3, 2))
    forward(dy, flipped, arrays.NOTHING[dy.dtype], _input_window(w), addend, dx)


@functools.lru_cache(maxsize=1024)
def _input_window(w: Window) -> Window:
    """The convolution of dy that gives dx."""
    return w._replace(H=w.P, W=w.Q, C=w.K, K=w.C, P=w.H, Q=w.W, top=(w.R - 1) * w.dilation_rows - w.top,
                      left=(w.S - 1) * w.dilation_columns - w.left)


def backward_weight(dy: np.ndarray, x: np.ndarray, w: Window, dweight: np.ndarray) -> None:
    """Write the gradient of the weight to dweight; partial sums of chunks are added in order."""
    if w.stride_columns > 1 or (w.C > 1 and w.K > 8):
        direct.backward_weight(dy, x, w, dweight)
        return
    job = _job(w, x.itemsize)
    plan, workers = job.plan, threads.workers(job.work, GRAIN)
    partial = arrays.empty((job.partial,), x.dtype)
    kernels.narrow_backward_weight(x.ravel(), job.window, job.plans, job.taps, dy.ravel(), job.chunks, partial,
                                   arrays.scratch("narrow", workers * plan.scratch, x.dtype), workers)
    kernels.narrow_sum(partial, job.window, job.chunks, dweight.ravel(), threads.workers(partial.size))
