"""Direct convolution: how the kernels of kernels/conv/direct.py walk each shape. Takes any window."""

from __future__ import annotations

import dataclasses
import functools
from math import gcd
from typing import NamedTuple

import numpy as np

from ...kernels import arithmetic
from ...kernels.arguments import Epilogue, Floats, Width
from ...kernels.conv import direct as kernels
from ...kernels.conv.direct import Bands, Few
from ...kernels.conv.products import Layout, Walk, sum_chunks
from ...kernels.jit import threads
from ...kernels.kinds import KIND
from ...kernels.vector import simd
from ...runtime import buffers, caches
from ...shapes import Window
from .. import arrays
from . import products
from .algorithm import Fit, Plan, Work, bytes_of, multiply_adds
from .products import round_up

_BAND_BYTES = caches.L2 // 10  # inputs of a band stay in the L2 cache beside a panel of weights
_BAND_PIXELS = 512  # and their positions in the L1 cache
_CHUNK_PIXELS = 768  # below which adding up the chunks would take as long as making them
_WEIGHT_PIXELS = caches.L1 * 3 // 4 // 256  # a panel of so many gradients stays in the L1 cache
_PART_BYTES = caches.L2 // 2  # weights that all bands pass by before the next ones
_BAND_OF_WEIGHTS = 96  # pixels that a panel of gradients has, about
_SMALL_WEIGHTS = 1 << 16  # of a linear layer whose time is not worth a kernel of its own
_TASKS = 16  # so that workers of different speed end at about the same time
_PARTIAL_BYTES = 2 * 1024 * 1024  # partial sums of the weight gradient, all chunks together


def _walk(w: Window, copies: bool, multiple: int = 1) -> tuple[Bands, np.ndarray]:
    """The part of a plan that says how input pixels are found, and the offsets of a multiple of filter elements."""
    depth = w.C // w.groups
    columns = (w.Q - 1) * w.stride_columns + (w.S - 1) * w.dilation_columns + 1
    pixel = depth if copies else w.C
    pitch = (columns if copies else w.W) * pixel
    r, s, c = np.ogrid[:w.R, :w.S, :depth]
    offsets = (r * w.dilation_rows * pitch + s * w.dilation_columns * pixel + c).reshape(-1)
    missing = -offsets.size % multiple
    return Bands(copies, columns, pitch, w.stride_columns * pixel, offsets.size), np.pad(offsets, (0, missing))


def _leaves_image(w: Window) -> bool:
    """Whether some filter element meets padding."""
    last_row = (w.P - 1) * w.stride_rows + (w.R - 1) * w.dilation_rows - w.top
    last_column = (w.Q - 1) * w.stride_columns + (w.S - 1) * w.dilation_columns - w.left
    return w.top > 0 or w.left > 0 or last_row >= w.H or last_column >= w.W


def _band_size(w: Window, bands: Bands) -> int:
    """Elements of a band of so many output rows where it is copied: it may touch several images."""
    if not bands.copies:
        return 0
    images = min(bands.rows, -(-(bands.rows - 1) // w.P) + 1)
    rows = bands.rows * w.stride_rows + images * ((w.R - 1) * w.dilation_rows + 1)
    return round_up(rows * bands.pitch, 16) + 16  # rows are written in whole vectors


def _rows(w: Window, bands: Bands, itemsize: int, pixels: int, tasks: int) -> int:
    """Output rows of a band: not too large for the caches, and at least `tasks` of them where that leaves enough."""
    rows_in_all = w.N * w.P
    most = min(_BAND_BYTES // (bands.pitch * w.stride_rows * itemsize), pixels // w.Q, -(-rows_in_all // tasks))
    rows = max(1, min(rows_in_all, max(most, 24 // w.Q)))
    return -(-rows_in_all // -(-rows_in_all // rows))  # bands of about equal height


def _bands(w: Window, lanes: int, itemsize: int, placement: tuple[int, int, int, int]) -> tuple[Bands, np.ndarray]:
    """How to walk a convolution whose output lies in y by `placement`, in panels of so many lanes."""
    bands, offsets = _walk(w, _leaves_image(w))
    channels = w.K // w.groups
    blocks = -(-channels // lanes)
    weight_bytes = bands.weights * blocks * lanes * itemsize
    parts = min(blocks, -(-weight_bytes // _PART_BYTES))
    rows = _rows(w, bands, itemsize, _BAND_PIXELS, -(-_TASKS // (parts * w.groups)))
    count = -(-w.N * w.P // rows)
    parts = min(blocks, max(parts, -(-_TASKS // (count * w.groups))))
    bands = bands._replace(rows=rows, parts=parts)
    integers = round_up(rows + 2 * (rows * w.Q + simd.MOST_ROWS), 8)
    y_start, y_image, y_row, y_step = placement
    return bands._replace(floats=_band_size(w, bands), integers=integers, y_start=y_start, y_image=y_image, y_row=y_row,
                          y_step=y_step), offsets


def _weight_bands(w: Window, lanes: int, size: int, itemsize: int) -> tuple[Bands, np.ndarray]:
    """How to walk a weight gradient on tiles of `size` rows; chunks depend on the shape alone, so that the bits do."""
    bands, offsets = _walk(w, _copies_for_weights(w), size)
    blocks = -(-(w.K // w.groups) // lanes)
    weights = offsets.size * blocks * lanes * w.groups * itemsize
    pixels = w.N * w.P * w.Q
    chunks = min(32, pixels // _CHUNK_PIXELS, _PARTIAL_BYTES // weights)
    chunks = min(w.N * w.P, max(1, chunks, min(-(-_TASKS // 2 // (blocks * w.groups)), pixels // 64)))
    parts = min(blocks, -(-_TASKS // (chunks * w.groups)))
    bands = bands._replace(rows=_rows(w, bands, itemsize, _WEIGHT_PIXELS, chunks), parts=parts, chunks=chunks)
    band = _band_size(w, bands)
    panels = bands.rows * w.Q * -(-blocks // parts) * lanes
    return bands._replace(floats=band + panels, panel=band, integers=round_up(bands.rows, 8)), offsets


def _copies_for_weights(w: Window) -> bool:
    """Whether a band is copied although the filter stays inside the image.

    Reading it in long strides would wait for memory (measured: 1.3 times slower with 256 channels, the same with 64); the
    rows of a linear layer would be copied for every panel.
    """
    return _leaves_image(w) or (w.C >= 128 and w.Q > 1)


def fits(w: Window) -> Fit:
    """Whether the algorithm can do this window: always."""
    return Fit()


def work(w: Window, step: str) -> Work:
    """What it does in a pass."""
    if step == "weight":
        return _weight_work(w)
    if step == "input" and _products_pay(w, KIND.lanes):
        return _few_work(w)
    return products_work(w) if step == "forward" else _input_work(w)


def _kernels(name: str, vectors: int) -> str:
    """Tiles of one vector load a number for each multiply-add, which no speed in registers tells."""
    return f"{name}, one vector" if vectors == 1 else name


def products_work(w: Window) -> Work:
    """Tiles of output pixels, whose sums run over the filter."""
    vectors, rows, share = products.tile_for(w.K // w.groups)
    depth = w.R * w.S * w.C // w.groups
    tiles = -(-w.N * w.P * w.Q // rows) * -(-w.K // w.groups // (vectors * KIND.lanes)) * w.groups
    return Work(_kernels("direct", vectors), tiles * rows * vectors * depth / share, tiles * rows * vectors, bytes_of(w))


def _input_work(w: Window) -> Work:
    """A convolution of dy for each way that a strided filter meets the input; together they have the whole filter."""
    phases_of_rows, phases_of_columns = min(w.R, w.stride_rows), min(w.S, w.stride_columns)
    phases = phases_of_rows * phases_of_columns
    part = w._replace(C=w.K, K=w.C, P=-(-w.H // w.stride_rows), Q=-(-w.W // w.stride_columns))
    of_all = products_work(part)
    return of_all._replace(tiles=phases * of_all.tiles, bytes=bytes_of(w))


def _few_work(w: Window) -> Work:
    """Products of dy with whole filters, and their sums."""
    depth = w.C // w.groups
    image = w._replace(C=w.K, K=w.R * w.S * w.C, R=1, S=1)
    sums = w.N * w.P * w.Q * -(-w.R * w.S * depth // KIND.lanes) * w.groups
    of_products = products_work(image)
    return Work("direct few", of_products.steps, sums, bytes_of(w))


def _weight_work(w: Window) -> Work:
    """Tiles of filter elements, whose sums run over pixels, band by band."""
    vectors, rows, share = products.tile_for(w.K // w.groups)
    depth, pixels = w.R * w.S * w.C // w.groups, w.N * w.P * w.Q
    tiles = -(-depth // rows) * -(-w.K // w.groups // (vectors * KIND.lanes)) * w.groups
    sums = tiles * rows * vectors
    return Work(_kernels("direct weight", vectors), sums * pixels / share, sums * -(-pixels // _BAND_OF_WEIGHTS),
                bytes_of(w))


def _width(w: Window, itemsize: int) -> Width:
    """Tile width of a window; small linear layers take one vector, for which kernels need not be compiled once more."""
    if w.W == w.R == w.S == 1 and w.C * w.K <= _SMALL_WEIGHTS:
        return products.width_for(1, itemsize)
    return products.width_for(w.K // w.groups, itemsize)


@dataclasses.dataclass(frozen=True, eq=False)
class _Convolution(Plan[Walk]):
    packing: products.Packing = dataclasses.field(kw_only=True)


def _convolution(w: Window, layout: Layout, placement: tuple[int, int, int, int], itemsize: int) -> _Convolution:
    """Plan of a convolution with a filter that lies by `layout`, for a result that lies by `placement`."""
    width = _width(w, itemsize)
    bands, offsets = _bands(w, sum(width), itemsize, placement)
    layout = layout._replace(rows=w.R, columns=w.S, inputs=w.C // w.groups, width=sum(width))
    return _Convolution(Walk(arrays.record(w, bands), offsets, width), multiply_adds(w), bands.floats, bands.integers,
                        packing=products.packing(layout))


@functools.lru_cache(maxsize=1024)
def _forward_plan(w: Window, itemsize: int) -> _Convolution:
    depth, channels = w.C // w.groups, w.K // w.groups
    layout = Layout(0, channels, w.S * depth * w.K, depth * w.K, w.K, 1, channels, w.groups)
    return _convolution(w, layout, (0, w.P * w.Q * w.K, w.Q * w.K, w.K), itemsize)


def forward(x: Floats, weight: Floats, epilogue: Epilogue, w: Window, y: Floats) -> None:
    """Write the convolution of x with weight, and its epilogue, to y."""
    _convolve(x, weight, epilogue, _forward_plan(w, x.itemsize), y)


def _convolve(x: Floats, weight: Floats, epilogue: Epilogue, plan: _Convolution, y: Floats) -> None:
    panels, workers = products.pack(weight, plan.packing), plan.workers()
    kernels.conv2d_forward(x.ravel(), panels, epilogue, y.ravel(), plan.walk, plan.workspace(workers, x.dtype), workers)


def backward_input(dy: Floats, weight: Floats, residual: Floats, w: Window, dx: Floats) -> None:
    """Write the gradient of x, plus the residual, to dx."""
    epilogue = arrays.NO_EPILOGUE[dy.dtype]
    few = _few_plan(w, dy.itemsize)
    if few is not None:
        panels, workers = products.pack(weight, few.packing), few.workers()
        kernels.conv2d_backward_input_few(dy.ravel(), panels, epilogue, dx.ravel(), few.walk,
                                          few.workspace(workers, dy.dtype), workers)
        products.finish(dx, epilogue._replace(residual=residual))
        return
    plans, covered = _input_plans(w, dy.itemsize)
    if not covered:  # there are input pixels that no filter element meets
        arithmetic.begin(residual, dx.ravel(), threads.workers(dx.size))
    if len(residual):
        epilogue = epilogue._replace(residual=residual)
    for plan in plans:
        _convolve(dy, weight, epilogue, plan, dx)


_SUMS = 12  # steps of the tile that adding up a vector of products takes as long as


def _products_pay(w: Window, lanes: int) -> bool:
    """Whether products of dy with whole filters, and then their sums, are fewer steps than a convolution of dy.

    They are where a vector over the input channels would be partly empty, or padding makes dy much larger.
    """
    depth, channels = w.C // w.groups, w.K // w.groups
    products = w.P * w.Q * -(-w.R * w.S * depth // lanes) * (channels + _SUMS)
    convolution = w.H * w.W * w.R * w.S * channels * -(-depth // lanes)
    return (w.stride_rows, w.stride_columns) == (1, 1) and products < convolution


@functools.lru_cache(maxsize=1024)
def _few_plan(w: Window, itemsize: int) -> _Convolution | None:
    """Plan of `conv2d_backward_input_few` for a window that it is for: it makes 1x1 products, and then sums of them."""
    if not _products_pay(w, simd.VECTOR_BYTES // itemsize):
        return None
    depth, channels = w.C // w.groups, w.K // w.groups
    reach = (w.R - 1) * w.dilation_rows
    row_bytes = w.Q * w.R * w.S * depth * itemsize
    rows = max(1, min(w.H, _BAND_BYTES // row_bytes - reach))
    pixels = min(w.P, rows + reach) * w.Q
    sums = round_up(pixels * w.R * w.S * depth, 16)
    few = Few(rows, sums + round_up(w.Q * w.S * depth, 16), sums, 2 * round_up(pixels + simd.MOST_ROWS, 8))
    width = products.width_for(w.R * w.S * depth, itemsize)
    layout = Layout(0, channels, 0, 0, 1, w.K, w.R * w.S * depth, w.groups, 1, 1, channels, sum(width))
    return _Convolution(Walk(arrays.record(w, few), np.arange(channels), width), multiply_adds(w), few.floats, few.integers,
                        packing=products.packing(layout))


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
def _input_plans(w: Window, itemsize: int) -> tuple[list[_Convolution], bool]:
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
            result.append(_convolution(window, layout, placement, itemsize))
    covered = sum(rows.size for rows in all_rows) == w.H and sum(columns.size for columns in all_columns) == w.W
    return result, covered


@dataclasses.dataclass(frozen=True, eq=False)
class _WeightGradient(Plan[Walk]):
    partial: int = dataclasses.field(kw_only=True)  # elements of the partial sums


@functools.lru_cache(maxsize=1024)
def _weight_plan(w: Window, itemsize: int) -> _WeightGradient:
    width = _width(w, itemsize)
    bands, offsets = _weight_bands(w, sum(width), simd.ROWS[len(width)], itemsize)
    partial = bands.chunks * w.groups * round_up(w.K // w.groups, sum(width)) * offsets.size
    return _WeightGradient(Walk(arrays.record(w, bands), offsets, width), multiply_adds(w), bands.floats, bands.integers,
                           partial=partial)


def backward_weight(dy: Floats, x: Floats, w: Window, dweight: Floats) -> None:
    """Write the gradient of the weight to dweight; partial sums of chunks are added in order."""
    plan = _weight_plan(w, x.itemsize)
    workers, partial = plan.workers(), buffers.empty((plan.partial,), x.dtype)
    kernels.conv2d_backward_weight(x.ravel(), dy.ravel(), partial, plan.walk, plan.workspace(workers, x.dtype), workers)
    sum_chunks(partial, plan.walk, dweight.ravel(), threads.workers(partial.size))
