"""Convolution: checks, choice of the algorithm, allocation, launch."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from .. import shapes
from ..kernels import conv as kernels
from ..kernels import matmul, simd, threads
from ..shapes import Window
from . import arrays

_BAND_BYTES = 256 * 1024  # packed inputs of a band stay in the L2 cache beside a panel of weights


class Plan(NamedTuple):
    """How the direct kernels walk a window (see kernels/conv.py)."""

    rows: int  # output rows of a band
    whole_filter: int  # 1: the filter rows are packed side by side
    phases: int  # input row phases that the filter rows meet
    overlap: int  # further input rows that a band needs in each phase
    slots: int  # input rows of a phase in a full band
    depth: int  # elements of a tap: S * C, or R * S * C for the whole filter
    padded_depth: int  # depth rounded up to whole tiles
    scratch: int  # elements of working memory for each worker
    chunks: int  # partial sums of the weight gradient
    parts: int  # tasks that share the panels of a chunk
    y_start: int  # where output pixel (0, 0) of image 0 lies in y, and the distances between
    y_image: int  # images,
    y_row: int  # output rows,
    y_step: int  # and output pixels


class Layout(NamedTuple):
    """Where the elements of a filter lie: first element and distances (see `pack_panels`)."""

    start: int
    group: int
    R: int
    S: int
    depth: int
    K: int
    channels: int
    groups: int


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


@functools.lru_cache(maxsize=1024)
def _plan(w: Window, itemsize: int, placement: tuple[int, int, int, int] | None = None) -> tuple[Plan, np.ndarray]:
    """Plan of a window and where each tap begins in a band; `placement` overrides where the output lies in y."""
    depth = w.C // w.groups
    whole_filter = w.R > 1 and w.S * depth <= 32
    period = w.stride_rows // np.gcd(w.stride_rows, w.dilation_rows)
    phases = min(w.R, int(period))
    overlap = 0 if whole_filter else (w.R - 1) * w.dilation_rows // w.stride_rows
    tap_depth = w.S * depth * (w.R if whole_filter else 1)
    row_bytes = w.Q * tap_depth * itemsize * (1 if whole_filter else phases)
    rows = max(1, min(w.P, _BAND_BYTES // row_bytes - overlap))
    rows = -(-w.P // -(-w.P // rows))  # bands of equal height
    slots = rows + overlap
    if whole_filter:
        taps = [0]
    else:
        taps = [(r % period * slots + r * w.dilation_rows // w.stride_rows) * w.Q * tap_depth for r in range(w.R)]
    width = simd.WIDTH32 if itemsize == 4 else simd.WIDTH64
    band = (slots * (1 if whole_filter else phases) * w.Q + simd.ROWS) * tap_depth + simd.ROWS
    padded_depth = _round_up(tap_depth, simd.ROWS)
    chunks, parts = _chunks(w, rows, len(taps) * padded_depth, width, itemsize)
    plan = Plan(rows, int(whole_filter), phases, overlap, slots, tap_depth, padded_depth,
                _round_up(band, 16) + rows * w.Q * width, chunks, parts,
                *(placement or (0, w.P * w.Q * w.K, w.Q * w.K, w.K)))
    return plan, np.array(taps, np.int64)


def _chunks(w: Window, rows: int, weights: int, width: int, itemsize: int) -> tuple[int, int]:
    """Chunks of the weight gradient and parts of each: functions of the shape alone, so that the bits are too."""
    size = weights * w.K * itemsize
    bands = w.N * -(-w.P // rows)
    chunks = max(1, min(bands, 32, max(4, 2 * 1024 * 1024 // size)))
    blocks = -(-(w.K // w.groups) // width)
    return chunks, min(blocks, -(-32 // (chunks * w.groups)))


def _panels(weight: np.ndarray, bias: np.ndarray | None, layout: Layout, R: int, S: int, depth: int) -> np.ndarray:
    lanes = simd.LANES32 * 4 // weight.itemsize
    rows = R * S * depth + 1
    panels = arrays.empty((layout.groups * _round_up(layout.channels, lanes) * rows,), weight.dtype)
    matmul.pack_panels(weight.reshape(-1), arrays.record(layout), R, S, depth,
                       np.empty(0, weight.dtype) if bias is None else bias, panels, threads.workers(panels.size))
    return panels


def _direct(x: np.ndarray, w: Window, panels: np.ndarray, y: np.ndarray,
            placement: tuple[int, int, int, int] | None = None) -> None:
    plan, taps = _plan(w, x.itemsize, placement)
    workers = threads.workers(w.N * w.P * w.Q * w.K * plan.depth * len(taps) / w.groups, 1 << 18)
    kernels.conv2d_forward(x.reshape(-1), arrays.record(w), arrays.record(plan), taps, panels, y.reshape(-1),
                           arrays.scratch("conv", workers * plan.scratch, x.dtype), workers)


def conv2d(x: Any, weight: Any, bias: Any = None, *, stride: shapes.Pair = 1, padding: shapes.Padding = 0,
           dilation: shapes.Pair = 1, groups: int = 1, algorithm: str = "auto", out: np.ndarray | None = None) -> np.ndarray:
    """Cross-correlate images x (N, H, W, C) with weight (R, S, C // groups, K): y (N, P, Q, K)."""
    x, weight = arrays.floats("conv2d", x=x, weight=weight)
    w = shapes.conv2d("conv2d", x.shape, weight.shape, stride, padding, dilation, groups)
    y = arrays.as_output("conv2d", out, (w.N, w.P, w.Q, w.K), x.dtype)
    depth, channels = w.C // w.groups, w.K // w.groups
    layout = Layout(0, channels, w.S * depth * w.K, depth * w.K, w.K, 1, channels, w.groups)
    _direct(x, w, _panels(weight, bias, layout, w.R, w.S, depth), y)
    return y


def backward_weight(dy, x, w):
    plan, taps = _plan(w, x.itemsize)
    lanes = simd.LANES32 * 4 // x.itemsize
    partial = arrays.empty((plan.chunks * w.groups * _round_up(w.K // w.groups, lanes) * len(taps) * plan.padded_depth,), x.dtype)
    dw = arrays.empty((w.R, w.S, w.C // w.groups, w.K), x.dtype)
    workers = threads.workers(w.N * w.P * w.Q * w.K * plan.depth * len(taps) / w.groups, 1 << 18)
    kernels.conv2d_backward_weight(x.reshape(-1), arrays.record(w), arrays.record(plan), taps, dy.reshape(-1), partial,
        arrays.scratch("conv", workers * plan.scratch, x.dtype), workers)
    kernels.sum_chunks(partial, arrays.record(w), arrays.record(plan), taps, dw.reshape(-1), threads.workers(dw.size*plan.chunks))
    return dw
