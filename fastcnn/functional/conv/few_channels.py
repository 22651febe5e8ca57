"""Convolution with few channels on both sides, such as the first layer of LeNet: vectors run over pixels."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

from ...kernels.arguments import Epilogue, Floats, Integers, Maxima
from ...kernels.conv import few_channels as kernels
from ...kernels.conv.few_channels import Lines, Planes, Walk, WeightWalk
from ...kernels.jit import threads
from ...kernels.kinds import KIND
from ...kernels.vector import simd
from ...kernels.vector.planes import PLANE_VECTORS
from ...runtime import buffers
from ...shapes import Window
from .. import arrays
from . import direct, products
from .algorithm import Fit, Plan, Work, bytes_of, fits_if, multiply_adds
from .products import round_up

_CHUNKS = 16  # at most, of bands whose sums of gradients are taken apart
_MOST = 96  # channels of both sides, multiplied: with more the direct gradient of the weight is never slower (measured)
_LOADS = 2  # steps that what is loaded for a tile takes as long as
_BAND_BYTES = 32 * 1024  # what belongs to a band stays in the L1 cache


def fits(w: Window) -> Fit:
    """Whether all channels form one group."""
    return fits_if((w.groups == 1, f"there are {w.groups} groups"))


def work(w: Window, step: str) -> Work | None:
    """What it does in a pass; None where a gradient is left to the direct algorithm."""
    if step == "weight":
        return _weight_work(w) if w.C * w.K <= _MOST else None
    if step == "input":
        return _planes_work(_input_window(w)) if _flips(w) else None
    return _planes_work(w)


def _tile_channels(K: int) -> int:
    """Output channels of the tile that leaves fewest of its channels empty."""
    return min(KIND.planes[0], key=lambda channels: round_up(K, channels))


def _planes_work(w: Window) -> Work:
    """Tiles of channels by vectors of pixels; a worker sorts the pixels into planes first."""
    size = _tile_channels(w.K)
    tiles = w.N * w.P * -(-w.Q // (PLANE_VECTORS * KIND.lanes)) * -(-w.K // size)
    return Work("few channels", tiles * size * PLANE_VECTORS * w.R * w.S * w.C, tiles, 4 * w.N * w.H * w.W * w.C)


def _weight_work(w: Window) -> Work:
    """Sums of filter elements, for vectors of output channels, over all pixels; then those of the chunks are added."""
    fold, lines, elements = _shared(w, KIND.lanes)
    tile_lines, run = _tile(lines, elements)
    tiles = -(-lines // tile_lines) * -(-elements // run) * -(-w.K * fold // KIND.lanes)
    steps = tiles * (tile_lines * run + _LOADS) * w.N * w.P * -(-w.Q // fold)
    return Work("few channels weight", steps, min(w.N, _CHUNKS) * w.R * w.S * w.C * w.K, bytes_of(w))


@functools.lru_cache(maxsize=1024)
def _plan(w: Window, itemsize: int, together: int = 1) -> Plan[Walk]:
    """Plan of the forward pass, in bands that leave so many output rows together."""
    lanes = simd.VECTOR_BYTES // itemsize
    period = w.stride_columns // math.gcd(w.stride_columns, w.dilation_columns)
    phases = min(w.S, period)
    columns = w.Q + (w.S - 1) * w.dilation_columns // w.stride_columns
    row = w.C * phases * w.stride_rows * columns
    parts = w.P // together
    most = max(1, min(parts, _BAND_BYTES // (together * row * itemsize)))
    rows = together * -(-parts // -(-parts // most))  # bands of equal height
    slots = (rows - 1) * w.stride_rows + (w.R - 1) * w.dilation_rows + 1
    taps = [((c * phases + s % period) * slots + r * w.dilation_rows) * columns + s * w.dilation_columns // w.stride_columns
            for r in range(w.R) for s in range(w.S) for c in range(w.C)]
    tiles = round_up(w.C * phases * slots * columns + PLANE_VECTORS * lanes, 16)  # vectors may read behind the last plane
    size = _tile_channels(w.K)
    floats = tiles + (2 * size * PLANE_VECTORS * lanes if together > 1 else 0)
    planes = Planes(rows, phases, slots, columns, round_up(w.K, size), tiles, floats)
    return Plan(Walk(arrays.record(w, planes), np.array(taps, np.int64), (0,) * size), multiply_adds(w), floats)


def forward(x: Floats, weight: Floats, epilogue: Epilogue, w: Window, y: Floats) -> None:
    """Write the convolution of x with weight, and its epilogue, to y."""
    _convolve(x, weight, epilogue, w, y, turned=False)


def _panels(weight: Floats, K: int, turned: bool) -> Floats:
    """The weight, or the filter turned round, in whole tiles of channels."""
    return products.picked(weight, ("few channels", turned), _table(weight.shape, K, turned))


def _convolve(x: Floats, weight: Floats, epilogue: Epilogue, w: Window, y: Floats, turned: bool) -> None:
    plan, panels = _plan(w, x.itemsize), _panels(weight, w.K, turned)
    workers = plan.workers()
    kernels.few_channels_forward(x.ravel(), panels, epilogue, y.ravel(), plan.walk,
                                 buffers.workspace("conv", workers * plan.floats, x.dtype), workers)
    products.finish(y, epilogue)


def pools(pool: Window) -> bool:
    """Whether `forward_pooled` takes max pooling in these windows: of 2x2 pixels side by side, none beyond the image."""
    sizes = pool.R, pool.S, pool.stride_rows, pool.stride_columns, pool.dilation_rows, pool.dilation_columns
    return sizes == (2, 2, 2, 2, 1, 1) and (pool.top, pool.left, pool.P, pool.Q) == (0, 0, pool.H // 2, pool.W // 2)


def forward_pooled(x: Floats, weight: Floats, bias: Floats, w: Window, maxima: Maxima) -> None:
    """Write the maxima of the convolution of x with weight, in the windows that `pools` takes."""
    plan, panels = _plan(w, x.itemsize, 2), _panels(weight, w.K, turned=False)
    workers = plan.workers()
    kernels.few_channels_forward_pooled(x.ravel(), panels, bias, maxima, plan.walk,
                                        buffers.workspace("conv", workers * plan.floats, x.dtype), workers)


@functools.lru_cache(maxsize=1024)
def _table(shape: tuple[int, ...], K: int, turned: bool) -> Integers:
    """Places of a weight's elements, or of those of the filter turned round, with -1 up to whole tiles of K channels."""
    places = np.arange(math.prod(shape)).reshape(shape)
    if turned:
        places = places[::-1, ::-1].transpose(0, 1, 3, 2)
    missing = round_up(K, _tile_channels(K)) - K
    return np.pad(places.reshape(-1, K), ((0, 0), (0, missing)), constant_values=-1).ravel()


def backward_input(dy: Floats, weight: Floats, residual: Floats, w: Window, dx: Floats) -> None:
    """Write the gradient of x, plus the residual, to dx; with stride 1 by the convolution with the filter turned round."""
    if not _flips(w):
        direct.backward_input(dy, weight, residual, w, dx)
        return
    _convolve(dy, weight, Epilogue(arrays.NOTHING[dy.dtype], residual, False), _input_window(w), dx, turned=True)


def _flips(w: Window) -> bool:
    """Whether the gradient of the input is made here, as the convolution with the filter turned round."""
    return (w.stride_rows, w.stride_columns) == (1, 1) and w.K <= 8


@functools.lru_cache(maxsize=1024)
def _input_window(w: Window) -> Window:
    """The convolution of dy that gives dx."""
    return w._replace(H=w.P, W=w.Q, C=w.K, K=w.C, P=w.H, Q=w.W, top=(w.R - 1) * w.dilation_rows - w.top,
                      left=(w.S - 1) * w.dilation_columns - w.left)


@dataclasses.dataclass(frozen=True, eq=False)
class _WeightGradient(Plan[WeightWalk]):
    partial: int = dataclasses.field(kw_only=True)  # elements of the partial sums
    chunks: int = dataclasses.field(kw_only=True)


def _shared(w: Window, lanes: int) -> tuple[int, int, int]:
    """Pixels that share a vector, and lines and elements of the filter, which lie side by side where it is dense."""
    lines, elements = (w.R, w.S * w.C) if w.dilation_columns == 1 else (w.R * w.S, w.C)
    return 2 if lanes // 2 >= w.K else 1, lines, elements


def _tile(lines: int, elements: int) -> tuple[int, int]:
    """Lines and elements of the tile that takes least time."""
    return min(KIND.filters, key=lambda t: -(-lines // t[0]) * -(-elements // t[1]) * (t[0] * t[1] + _LOADS))


@functools.lru_cache(maxsize=1024)
def _weight_plan(w: Window, itemsize: int) -> _WeightGradient:
    lanes = simd.VECTOR_BYTES // itemsize
    dense = w.dilation_columns == 1
    fold, lines, elements = _shared(w, lanes)
    tile_lines, run = _tile(lines, elements)
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
    chunks = min(w.N * -(-w.P // rows), _CHUNKS)
    floats = round_up(folded + slots * folded_row + behind, 16)
    walk = WeightWalk(arrays.record(w, Lines(rows, inputs, row, pixels, folded, folded_row, elements, padded, len(taps), run,
                                             fold, chunks, floats)),
                      np.array(taps, np.int64), (0,) * tile_lines, (0,) * run, (0,) * fold)
    return _WeightGradient(walk, multiply_adds(w), floats, chunks=chunks,
                           partial=chunks * round_up(w.K * fold, lanes) * len(taps) * run)


def backward_weight(dy: Floats, x: Floats, w: Window, dweight: Floats, dbias: Floats) -> None:
    """Write the gradients of weight and bias to dweight and dbias; partial sums of chunks are added in order."""
    plan = _weight_plan(w, x.itemsize)
    workers, partial = plan.workers(), buffers.empty((plan.partial,), x.dtype)
    totals = products.room_for_sums(plan.chunks, dbias)
    kernels.few_channels_backward_weight(x.ravel(), dy.ravel(), partial, totals, plan.walk,
                                         buffers.workspace("conv", workers * plan.floats, x.dtype), workers)
    kernels.few_channels_sum(partial, dweight.ravel(), plan.walk.geometry, threads.workers(partial.size))
    products.add_sums(totals, dbias)
