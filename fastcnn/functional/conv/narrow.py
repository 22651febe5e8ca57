"""Convolution with few channels on both sides, such as the first layer of LeNet: vectors run over pixels."""

from __future__ import annotations

import functools
from math import gcd
from typing import NamedTuple

import numpy as np

from ...kernels.conv import narrow as kernels
from ...kernels.jit import threads
from ...kernels.vector import simd
from ...runtime import buffers, packed
from ...shapes import Window
from .. import arrays
from . import direct, products
from .products import GRAIN, round_up

_BAND_BYTES = 32 * 1024  # what belongs to a band stays in the L1 cache
# Filter lines and elements of each whose sums a tile keeps: those that fit into the registers, with what they are made of.
_TILES = [(lines, run) for lines, run in ((3, 3), (3, 6), (3, 9), (5, 5), (1, 8)) if lines * run <= simd.REGISTERS - 5]


class Plan(NamedTuple):
    """How the narrow kernels walk a window (see kernels/conv/narrow.py)."""

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


def pays_for_weight(w: Window) -> bool:
    """Whether the gradient of the weight is faster here than directly (measured)."""
    return fits(w) and (96 if w.K <= 16 else 32) >= w.C * w.K


def _plan(w: Window, itemsize: int) -> tuple[Plan, np.ndarray]:
    lanes = simd.VECTOR_BYTES // itemsize
    period = w.stride_columns // gcd(w.stride_columns, w.dilation_columns)
    phases = min(w.S, period)
    columns = w.Q + (w.S - 1) * w.dilation_columns // w.stride_columns
    row = w.C * phases * w.stride_rows * columns
    rows = max(1, min(w.P, _BAND_BYTES // (row * itemsize)))
    rows = -(-w.P // -(-w.P // rows))  # bands of equal height
    slots = (rows - 1) * w.stride_rows + (w.R - 1) * w.dilation_rows + 1
    taps = [((c * phases + s % period) * slots + r * w.dilation_rows) * columns + s * w.dilation_columns // w.stride_columns
            for r in range(w.R) for s in range(w.S) for c in range(w.C)]
    planes = round_up(w.C * phases * slots * columns + 2 * lanes, 16)  # vectors may read behind the last plane
    plan = Plan(rows, phases, slots, columns, columns, round_up(w.K, simd.PLANES), planes)
    return plan, np.array(taps, np.int64)


class _Job(NamedTuple):
    """All that a convolution needs besides its arrays."""

    window: np.ndarray  # a record
    plan: Plan
    plans: np.ndarray  # and as a record
    taps: np.ndarray  # where the filter elements lie in a band
    work: int  # multiply-adds


@functools.lru_cache(maxsize=1024)
def _job(w: Window, itemsize: int) -> _Job:
    plan, taps = _plan(w, itemsize)
    return _Job(arrays.record(w), plan, arrays.record(plan), taps, products.multiply_adds(w))


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, w: Window, addend: np.ndarray, y: np.ndarray,
            relu: bool = False) -> None:
    """Write the convolution of x with weight, plus bias and addend (which may be empty), to y, or max(y, 0) with `relu`."""
    job = _job(w, x.itemsize)
    plan, workers = job.plan, threads.workers(job.work, GRAIN)
    kernels.narrow_forward(
        x.ravel(), job.window, job.plans, job.taps, _padded(weight, w.K, plan.channels), bias,
        arrays.floor(relu and not len(addend)), y.ravel(), buffers.workspace("narrow", workers * plan.scratch, x.dtype),
        workers)
    products.add_to(y, addend, relu)


def _padded(weight: np.ndarray, K: int, channels: int) -> np.ndarray:
    """The weight with zeros up to so many channels: see `packed.form`."""

    def write(padded: np.ndarray) -> None:
        rows = padded.reshape(-1, channels)
        rows[:, :K] = weight.reshape(-1, K)
        rows[:, K:] = 0

    return packed.form(weight, "panels", ("narrow", channels), weight.size // K * channels, write)


def backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, addend: np.ndarray, dx: np.ndarray) -> None:
    """Write the gradient of x, plus addend, to dx; with stride 1 by the convolution of dy with the filter turned round."""
    if (w.stride_rows, w.stride_columns) != (1, 1) or w.K > 8:
        direct.backward_input(dy, weight, addend, w, dx)
        return
    flipped = np.ascontiguousarray(weight[::-1, ::-1].transpose(0, 1, 3, 2))
    forward(dy, flipped, arrays.NOTHING[dy.dtype], _input_window(w), addend, dx)


@functools.lru_cache(maxsize=1024)
def _input_window(w: Window) -> Window:
    """The convolution of dy that gives dx."""
    return w._replace(H=w.P, W=w.Q, C=w.K, K=w.C, P=w.H, Q=w.W, top=(w.R - 1) * w.dilation_rows - w.top,
                      left=(w.S - 1) * w.dilation_columns - w.left)


class _WeightPlan(NamedTuple):
    """How `narrow_backward_weight` walks a window; distances and positions are in elements."""

    rows: int  # output rows of a band
    inputs: int  # elements of an input row that output pixels meet, from the padding on
    row: int  # distance between rows of the band
    pixels: int  # output pixels of a row, or of half of it where rows are folded
    folded: int  # where folded rows begin in the band,
    folded_row: int  # and their distance
    elements: int  # of a line of the filter: these lie side by side in a row of x
    filter_lines: int  # such lines, in whole tiles
    lines: int  # the same, where a line is cut into pieces for a tile
    scratch: int  # of each worker


class _WeightJob(NamedTuple):
    """All that a weight gradient needs besides its arrays."""

    window: np.ndarray  # a record
    plan: _WeightPlan
    plans: np.ndarray  # and as a record
    taps: np.ndarray
    tile: tuple[tuple[int, ...], ...]  # lines, elements of each, and pixels that share a vector: only lengths count
    chunks: int
    partial: int  # elements of the partial sums
    work: int  # multiply-adds


@functools.lru_cache(maxsize=1024)
def _weight_job(w: Window, itemsize: int) -> _WeightJob:
    lanes = simd.VECTOR_BYTES // itemsize
    fold = 2 if lanes // 2 >= w.K else 1
    dense = w.dilation_columns == 1
    lines, elements = (w.R, w.S * w.C) if dense else (w.R * w.S, w.C)
    tile_lines, run = min(_TILES, key=lambda tile: -(-lines // tile[0]) * -(-elements // tile[1]) * (tile[0] * tile[1] + 2))
    pixels, padded = -(-w.Q // fold), round_up(lines, tile_lines)
    reach = (w.S - 1) * w.dilation_columns + 1
    row = ((fold * pixels - 1) * w.stride_columns + reach) * w.C
    folded_row = fold * round_up(((pixels - 1) * w.stride_columns + reach) * w.C, lanes) if fold > 1 else row
    taps = [(line if dense else line // w.S) * w.dilation_rows * folded_row
            + ((0 if dense else line % w.S * w.dilation_columns * w.C) + first) * fold
            for first in range(0, elements, run) for line in (min(line, lines - 1) for line in range(padded))]
    row_bytes = ((row + (fold - 1) * folded_row) * w.stride_rows + w.Q * w.K) * itemsize
    rows = max(1, min(w.P, _BAND_BYTES // row_bytes))
    rows = -(-w.P // -(-w.P // rows))  # bands of equal height
    slots = (rows - 1) * w.stride_rows + (w.R - 1) * w.dilation_rows + 1
    behind = 2 * lanes + fold * run  # vectors and tiles may read behind the last row
    folded = round_up(slots * row + behind, 16) if fold > 1 else 0
    inputs = ((w.Q - 1) * w.stride_columns + reach) * w.C
    plan = _WeightPlan(rows, inputs, row, pixels, folded, folded_row, elements, padded, len(taps),
                       round_up(folded + slots * folded_row + behind, 16))
    chunks = min(w.N * -(-w.P // rows), 16)
    partial = chunks * round_up(w.K * fold, lanes) * len(taps) * run
    return _WeightJob(arrays.record(w), plan, arrays.record(plan), np.array(taps, np.int64),
                      ((0,) * tile_lines, (0,) * run, (0,) * fold), chunks, partial, products.multiply_adds(w))


def backward_weight(dy: np.ndarray, x: np.ndarray, w: Window, dweight: np.ndarray) -> None:
    """Write the gradient of the weight to dweight; partial sums of chunks are added in order."""
    job = _weight_job(w, x.itemsize)
    partial, workers = buffers.empty((job.partial,), x.dtype), threads.workers(job.work, GRAIN)
    kernels.narrow_backward_weight(
        x.ravel(), job.window, job.plans, job.taps, dy.ravel(), job.chunks, partial, *job.tile,
        buffers.workspace("narrow", workers * job.plan.scratch, x.dtype), workers)
    _, run, fold = map(len, job.tile)
    kernels.narrow_sum(partial, job.window, job.plans, job.chunks, fold, run, dweight.ravel(),
                       threads.workers(partial.size))
