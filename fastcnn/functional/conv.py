"""Convolution: checks, choice of the algorithm, allocation, launch."""

from __future__ import annotations

import functools
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from .. import shapes
from ..kernels import conv as kernels
from ..kernels import depthwise, matmul, simd, threads
from ..shapes import ShapeError, Window
from . import arrays, products
from .products import GRAIN, Layout, round_up

ALGORITHMS = "auto", "direct", "matmul", "depthwise"

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


def _choose(function: str, algorithm: str, w: Window) -> str:
    """Name of the algorithm for a window: a function of the shape alone, so that results never depend on timing."""
    if algorithm not in ALGORITHMS:
        raise ValueError(f"{function}: algorithm is {algorithm!r}, expected one of {', '.join(ALGORITHMS)}")
    possible = ["direct"]
    if (w.R, w.S, w.stride_rows, w.stride_columns, w.groups) == (1, 1, 1, 1, 1) and (w.P, w.Q) == (w.H, w.W):
        possible.append("matmul")
    if w.C == w.K == w.groups:
        possible.append("depthwise")
    if algorithm == "auto":
        return possible[-1]
    if algorithm not in possible:
        raise ShapeError(f"{function}: algorithm is {algorithm!r}, expected {' or '.join(possible)} for a {w.R}x{w.S} filter"
                         f" with stride {w.stride_rows, w.stride_columns}, {w.groups} groups, {w.C} to {w.K} channels")
    return algorithm


def algorithm_of(x_shape: tuple[int, ...], weight_shape: tuple[int, ...], *, stride: shapes.Pair = 1,
                 padding: shapes.Padding = 0, dilation: shapes.Pair = 1, groups: int = 1) -> str:
    """Name of the algorithm that `algorithm="auto"` takes for these shapes."""
    return _choose("conv2d", "auto", shapes.conv2d("conv2d", x_shape, weight_shape, stride, padding, dilation, groups))


def _direct(x: np.ndarray, w: Window, panels: np.ndarray, y: np.ndarray,
            placement: tuple[int, int, int, int] | None = None) -> None:
    plan, taps = _plan(w, x.itemsize, placement)
    workers = threads.workers(_multiply_adds(w), GRAIN)
    kernels.conv2d_forward(x.reshape(-1), arrays.record(w), arrays.record(plan), taps, panels, y.reshape(-1),
                           arrays.scratch("conv", workers * plan.scratch, x.dtype), workers)


def _multiply_adds(w: Window) -> int:
    return w.N * w.P * w.Q * w.K * w.R * w.S * w.C // w.groups


@functools.lru_cache(maxsize=1024)
def _forward_layout(w: Window) -> Layout:
    depth, channels = w.C // w.groups, w.K // w.groups
    return Layout(0, channels, w.S * depth * w.K, depth * w.K, w.K, 1, channels, w.groups)


def conv2d(x: Any, weight: Any, bias: Any = None, *, stride: shapes.Pair = 1, padding: shapes.Padding = 0,
           dilation: shapes.Pair = 1, groups: int = 1, algorithm: str = "auto", out: np.ndarray | None = None) -> np.ndarray:
    """Cross-correlate images x (N, H, W, C) with weight (R, S, C // groups, K): y (N, P, Q, K).

    `padding` is an int, (rows, columns), ((top, bottom), (left, right)), "same" or "valid"; `bias` is (K,). `algorithm` is
    "direct", "matmul" (1x1, stride 1), "depthwise" (one filter a channel) or "auto", which chooses by shape alone. `out`
    receives y where given. float32 or float64, all of one dtype. ShapeError, DTypeError: arguments that do not fit.
    """
    x, weight = arrays.floats("conv2d", x=x, weight=weight)
    w = shapes.conv2d("conv2d", x.shape, weight.shape, stride, padding, dilation, groups)
    chosen = _choose("conv2d", algorithm, w)
    bias = arrays.as_bias("conv2d", bias, w.K, x.dtype)
    y = arrays.as_output("conv2d", out, (w.N, w.P, w.Q, w.K), x.dtype)
    if chosen == "depthwise":
        depthwise.depthwise_forward(x.reshape(-1), arrays.record(w), weight.reshape(-1), bias, y.reshape(-1),
                                    threads.workers(y.size * w.R * w.S))
        return y
    panels = products.pack(weight, _forward_layout(w), w.R, w.S, w.C // w.groups, bias)
    if chosen == "matmul":
        products.rows_times_panels(x, w.C, panels, y, w.K)
    else:
        _direct(x, w, panels, y)
    return y


def conv2d_backward(dy: Any, x: Any, weight: Any, *, stride: shapes.Pair = 1, padding: shapes.Padding = 0,
                    dilation: shapes.Pair = 1, groups: int = 1, algorithm: str = "auto", need_dx: bool = True,
                    ) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Gradients (dx, dweight, dbias) of conv2d from dy (N, P, Q, K); dx is None without `need_dx`.

    Arguments as in `conv2d`. ShapeError, DTypeError: arguments that do not fit.
    """
    dy, x, weight = arrays.floats("conv2d_backward", dy=dy, x=x, weight=weight)
    w = shapes.conv2d("conv2d_backward", x.shape, weight.shape, stride, padding, dilation, groups)
    shapes.same_shape("conv2d_backward", "dy", dy.shape, (w.N, w.P, w.Q, w.K), "the shape of y")
    chosen = _choose("conv2d_backward", algorithm, w)
    dx = _backward_input(dy, weight, w, chosen) if need_dx else None
    return dx, _backward_weight(dy, x, weight, w, chosen), products.column_sums(dy, w.K)


def _backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, algorithm: str) -> np.ndarray:
    dx = arrays.empty((w.N, w.H, w.W, w.C), dy.dtype)
    if algorithm == "depthwise":
        depthwise.depthwise_backward_input(dy.reshape(-1), arrays.record(w), weight.reshape(-1), dx.reshape(-1),
                                           threads.workers(dy.size * w.R * w.S))
        return dx
    if algorithm == "direct" and _few_channels(w, products.lanes(dy)):
        _few_channels_backward_input(dy, weight, w, dx)
        return dx
    phases, covered = _phases(w)
    if not covered:
        dx.fill(0)  # input pixels that no filter element meets
    for window, layout, placement in phases:
        panels = products.pack(weight, layout, window.R, window.S, w.K // w.groups, arrays.NOTHING[dy.dtype])
        if algorithm == "matmul":
            products.rows_times_panels(dy, w.K, panels, dx, w.C)
        else:
            _direct(dy, window, panels, dx, placement)
    return dx


def _few_channels(w: Window, lanes: int) -> bool:
    """Whether vectors over the input channels would be at least a third empty."""
    channels = w.C // w.groups
    return (w.stride_rows, w.stride_columns) == (1, 1) and 3 * channels <= 2 * round_up(channels, lanes)


class FewPlan(NamedTuple):
    """How `conv2d_backward_input_few` walks a window."""

    rows: int  # rows of dx in a band
    products: int  # where the products begin in the working memory, behind the rows of dy
    scratch: int  # elements of working memory for each worker


@functools.lru_cache(maxsize=1024)
def _few_plan(w: Window, itemsize: int) -> tuple[FewPlan, Layout]:
    depth, channels = w.C // w.groups, w.K // w.groups
    reach = (w.R - 1) * w.dilation_rows
    row_bytes = w.Q * w.R * w.S * depth * itemsize
    rows = max(1, min(w.H, _BAND_BYTES // row_bytes - reach))
    pixels = round_up(min(w.P, rows + reach) * w.Q, simd.ROWS)
    first_product = round_up(pixels * channels, 16)
    scratch = round_up(first_product + pixels * w.R * w.S * depth, 16)
    layout = Layout(0, channels, 0, 0, 1, w.K, w.R * w.S * depth, w.groups)
    return FewPlan(rows, first_product, scratch), layout


def _few_channels_backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, dx: np.ndarray) -> None:
    plan, layout = _few_plan(w, dy.itemsize)
    panels = products.pack(weight, layout, 1, 1, w.K // w.groups, arrays.NOTHING[dy.dtype])
    workers = threads.workers(_multiply_adds(w), GRAIN)
    kernels.conv2d_backward_input_few(
        dy.reshape(-1), arrays.record(w), arrays.record(plan), products.NO_TAP_OFFSET, panels, dx.reshape(-1),
        arrays.scratch("conv", workers * plan.scratch, dy.dtype), workers)


class _Phase(NamedTuple):
    """One residue of the input's rows (or columns) modulo the stride, and the filter elements that meet it."""

    first: int  # first input row
    count: int  # input rows
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
            window = Window(w.N, w.P, w.Q, w.K, w.C, rows.taps, columns.taps, rows.count, columns.count, 1, 1,
                            rows.padding, columns.padding, 0, 0, rows.dilation, columns.dilation, w.groups)
            layout = Layout(rows.tap * of_row + columns.tap * of_column, depth, -rows.step * of_row,
                            -columns.step * of_column, 1, w.K, channels, w.groups)
            placement = ((rows.first * w.W + columns.first) * w.C, w.H * w.W * w.C, w.stride_rows * w.W * w.C,
                         w.stride_columns * w.C)
            result.append((window, layout, placement))
    covered = sum(rows.count for rows in all_rows) == w.H and sum(columns.count for columns in all_columns) == w.W
    return result, covered


def _backward_weight(dy: np.ndarray, x: np.ndarray, weight: np.ndarray, w: Window, algorithm: str) -> np.ndarray:
    dweight = np.empty(weight.shape, weight.dtype)
    if algorithm == "matmul":
        products.rows_times_rows(x, w.C, dy, w.K, dweight)
    elif algorithm == "depthwise":
        chunks = min(w.N * w.P, 32)
        partial = arrays.empty((chunks, w.R, w.S, w.C), x.dtype)
        depthwise.depthwise_backward_weight(x.reshape(-1), arrays.record(w), dy.reshape(-1), partial.reshape(-1), chunks,
                                            threads.workers(dy.size * w.R * w.S))
        np.sum(partial, axis=0, out=dweight.reshape(w.R, w.S, w.C))
    else:
        _direct_backward_weight(dy, x, w, dweight)
    return dweight


def _direct_backward_weight(dy: np.ndarray, x: np.ndarray, w: Window, dweight: np.ndarray) -> None:
    plan, taps = _plan(w, x.itemsize)
    channels = w.K // w.groups
    partial = arrays.empty((plan.chunks * w.groups * round_up(channels, products.lanes(x)) * len(taps) * plan.padded_depth,),
                           x.dtype)
    workers = threads.workers(_multiply_adds(w), GRAIN)
    kernels.conv2d_backward_weight(x.reshape(-1), arrays.record(w), arrays.record(plan), taps, dy.reshape(-1), partial,
                                   arrays.scratch("conv", workers * plan.scratch, x.dtype), workers)
    matmul.sum_chunks(partial, plan.chunks, w.groups, len(taps), plan.depth, plan.padded_depth, channels,
                      dweight.reshape(-1), threads.workers(partial.size))
