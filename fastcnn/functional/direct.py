"""Direct convolution: how the band kernels of kernels/conv.py walk each shape. Takes any window."""

from __future__ import annotations

import functools
from math import gcd
from typing import NamedTuple

import numpy as np

from ..kernels import conv as kernels
from ..kernels import matmul, simd, threads
from ..shapes import Window
from . import arrays, products
from .products import GRAIN, Layout, round_up

_BAND_BYTES = 256 * 1024  # packed inputs of a band stay in the L2 cache beside a panel of weights


class Plan(NamedTuple):
    """How the direct kernels walk a window (see kernels/conv.py)."""

    rows: int  # output rows of a band
    phases: int  # input row phases that the filter rows meet
    overlap: int  # further input rows that a band needs in each phase
    slots: int  # input rows of a phase in a full band
    depth: int  # elements of a tap: S * C
    padded_depth: int  # depth rounded up to whole tiles
    inner_first: int  # output columns whose inputs are contiguous and inside the image: from this one
    inner_last: int  # to before this one
    scratch: int  # elements of working memory for each worker
    chunks: int  # partial sums of the weight gradient
    parts: int  # tasks that share the panels of a chunk
    y_start: int  # where output pixel (0, 0) of image 0 lies in y, and the distances between
    y_image: int  # images,
    y_row: int  # output rows,
    y_step: int  # and output pixels


@functools.lru_cache(maxsize=1024)
def _plan(w: Window, itemsize: int, placement: tuple[int, int, int, int] | None = None) -> tuple[Plan, np.ndarray]:
    """Plan of a window and where each tap begins in a band; `placement` overrides where the output lies in y."""
    period = w.stride_rows // gcd(w.stride_rows, w.dilation_rows)
    phases = min(w.R, period)
    overlap = (w.R - 1) * w.dilation_rows // w.stride_rows
    tap_depth = w.S * (w.C // w.groups)
    row_bytes = w.Q * tap_depth * itemsize * phases
    rows = max(1, min(w.P, _BAND_BYTES // row_bytes - overlap))
    rows = -(-w.P // -(-w.P // rows))  # bands of equal height
    slots = rows + overlap
    taps = [(r % period * slots + r * w.dilation_rows // w.stride_rows) * w.Q * tap_depth for r in range(w.R)]
    width = simd.WIDTH32 if itemsize == 4 else simd.WIDTH64
    band = (slots * phases * w.Q + simd.ROWS) * tap_depth + simd.ROWS
    padded_depth = round_up(tap_depth, simd.ROWS)
    inner = _inner_columns(w)
    chunks, parts = _chunks(w, rows, len(taps) * padded_depth, width, itemsize)
    plan = Plan(rows, phases, overlap, slots, tap_depth, padded_depth, *inner,
                round_up(band, 16) + rows * w.Q * width, chunks, parts,
                *(placement or (0, w.P * w.Q * w.K, w.Q * w.K, w.K)))
    return plan, np.array(taps, np.int64)


def _inner_columns(w: Window) -> tuple[int, int]:
    """Half-open range of the output columns whose S * C inputs lie side by side in the image."""
    if w.dilation_columns > 1 or w.groups > 1:
        return 0, 0
    first = min(w.Q, max(0, -(-w.left // w.stride_columns)))
    return first, max(first, min(w.Q, (w.W - w.S + w.left) // w.stride_columns + 1))


def _chunks(w: Window, rows: int, weights: int, width: int, itemsize: int) -> tuple[int, int]:
    """Chunks of the weight gradient and parts of each: functions of the shape alone, so that the bits are too."""
    size = weights * w.K * itemsize
    bands = w.N * -(-w.P // rows)
    chunks = max(1, min(bands, 32, max(4, 2 * 1024 * 1024 // size)))
    blocks = -(-(w.K // w.groups) // width)
    return chunks, min(blocks, -(-32 // (chunks * w.groups)))


def fits(w: Window) -> bool:
    """Whether the algorithm can do this window: always."""
    return True


pays = fits


@functools.lru_cache(maxsize=1024)
def _forward_layout(w: Window) -> Layout:
    depth, channels = w.C // w.groups, w.K // w.groups
    return Layout(0, channels, w.S * depth * w.K, depth * w.K, w.K, 1, channels, w.groups)


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, w: Window, y: np.ndarray) -> None:
    """Write the convolution of x with weight, plus bias (which may be empty), to y."""
    _convolve(x, w, products.pack(weight, _forward_layout(w), w.R, w.S, w.C // w.groups, bias), y)


def _convolve(x: np.ndarray, w: Window, panels: np.ndarray, y: np.ndarray,
            placement: tuple[int, int, int, int] | None = None) -> None:
    plan, taps = _plan(w, x.itemsize, placement)
    workers = threads.workers(products.multiply_adds(w), GRAIN)
    kernels.conv2d_forward(x.reshape(-1), arrays.record(w), arrays.record(plan), taps, panels, y.reshape(-1),
                           arrays.scratch("conv", workers * plan.scratch, x.dtype), workers)


def backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, dx: np.ndarray) -> None:
    """Write the gradient of x to dx."""
    if _few_channels(w, products.lanes(dy)):
        _backward_input_few(dy, weight, w, dx)
        return
    phases, covered = _phases(w)
    if not covered:
        dx.fill(0)  # input pixels that no filter element meets
    for window, layout, placement in phases:
        panels = products.pack(weight, layout, window.R, window.S, w.K // w.groups, arrays.NOTHING[dy.dtype])
        _convolve(dy, window, panels, dx, placement)


def _few_channels(w: Window, lanes: int) -> bool:
    """Whether vectors over the input channels would be at least a third empty."""
    channels = w.C // w.groups
    return (w.stride_rows, w.stride_columns) == (1, 1) and 3 * channels <= 2 * round_up(channels, lanes)


class _FewPlan(NamedTuple):
    """How `conv2d_backward_input_few` walks a window."""

    rows: int  # rows of dx in a band
    products: int  # where the products begin in the working memory, behind the rows of dy
    scratch: int  # elements of working memory for each worker


@functools.lru_cache(maxsize=1024)
def _few_plan(w: Window, itemsize: int) -> tuple[_FewPlan, Layout]:
    depth, channels = w.C // w.groups, w.K // w.groups
    reach = (w.R - 1) * w.dilation_rows
    row_bytes = w.Q * w.R * w.S * depth * itemsize
    rows = max(1, min(w.H, _BAND_BYTES // row_bytes - reach))
    pixels = round_up(min(w.P, rows + reach) * w.Q, simd.ROWS)
    first_product = round_up(pixels * channels, 16)
    scratch = round_up(first_product + pixels * w.R * w.S * depth, 16)
    layout = Layout(0, channels, 0, 0, 1, w.K, w.R * w.S * depth, w.groups)
    return _FewPlan(rows, first_product, scratch), layout


def _backward_input_few(dy: np.ndarray, weight: np.ndarray, w: Window, dx: np.ndarray) -> None:
    plan, layout = _few_plan(w, dy.itemsize)
    panels = products.pack(weight, layout, 1, 1, w.K // w.groups, arrays.NOTHING[dy.dtype])
    workers = threads.workers(products.multiply_adds(w), GRAIN)
    kernels.conv2d_backward_input_few(
        dy.reshape(-1), arrays.record(w), arrays.record(plan), products.NO_TAP_OFFSET, panels, dx.reshape(-1),
        arrays.scratch("conv", workers * plan.scratch, dy.dtype), workers)


class _Phase(NamedTuple):
    """One residue of the input's rows (or columns) modulo the stride, and the filter elements that meet it."""

    first: int  # first input row
    size: int  # input rows
    tap: int  # last filter row that meets them: the flipped filter begins with it
    taps: int  # filter rows
    step: int  # distance between these filter rows
    padding: int  # of dy, before
    dilation: int  # in rows of dy


def _axis_phases(size: int, stride: int, before: int, dilation: int, filter_size: int) -> list[_Phase]:
    """The phases of one axis that have input rows and filter rows."""
    step = stride // gcd(stride, dilation)
    result = []
    for tap in range(min(step, filter_size)):
        first = (tap * dilation - before) % stride
        taps = -(-(filter_size - tap) // step)
        if first < size:
            reach = step * dilation // stride
            padding = (taps - 1) * reach - (first + before - tap * dilation) // stride
            result.append(_Phase(first, -(-(size - first) // stride), tap + (taps - 1) * step, taps, step, padding, reach))
    return result


@functools.lru_cache(maxsize=1024)
def _phases(w: Window) -> tuple[list[tuple[Window, Layout, tuple[int, int, int, int]]], bool]:
    """The dense convolutions of dy that make dx, one for each pair of phases, and whether they cover all of dx."""
    all_rows = _axis_phases(w.H, w.stride_rows, w.top, w.dilation_rows, w.R)
    all_columns = _axis_phases(w.W, w.stride_columns, w.left, w.dilation_columns, w.S)
    depth, channels = w.K // w.groups, w.C // w.groups
    of_row, of_column = w.S * channels * w.K, channels * w.K
    result = []
    for rows in all_rows:
        for columns in all_columns:
            window = Window(w.N, w.P, w.Q, w.K, w.C, rows.taps, columns.taps, rows.size, columns.size, 1, 1,
                            rows.padding, columns.padding, 0, 0, rows.dilation, columns.dilation, w.groups)
            layout = Layout(rows.tap * of_row + columns.tap * of_column, depth, -rows.step * of_row,
                            -columns.step * of_column, 1, w.K, channels, w.groups)
            placement = ((rows.first * w.W + columns.first) * w.C, w.H * w.W * w.C, w.stride_rows * w.W * w.C,
                         w.stride_columns * w.C)
            result.append((window, layout, placement))
    covered = sum(rows.size for rows in all_rows) == w.H and sum(columns.size for columns in all_columns) == w.W
    return result, covered


def backward_weight(dy: np.ndarray, x: np.ndarray, w: Window, dweight: np.ndarray) -> None:
    """Write the gradient of the weight to dweight."""
    plan, taps = _plan(w, x.itemsize)
    channels = w.K // w.groups
    partial = arrays.empty((plan.chunks * w.groups * round_up(channels, products.lanes(x)) * len(taps) * plan.padded_depth,),
                           x.dtype)
    workers = threads.workers(products.multiply_adds(w), GRAIN)
    kernels.conv2d_backward_weight(x.reshape(-1), arrays.record(w), arrays.record(plan), taps, dy.reshape(-1), partial,
                                   arrays.scratch("conv", workers * plan.scratch, x.dtype), workers)
    matmul.sum_chunks(partial, plan.chunks, w.groups, len(taps), plan.depth, plan.padded_depth, channels,
                      dweight.reshape(-1), threads.workers(partial.size))
