"""Direct convolution: how the kernels of kernels/conv/direct.py walk each shape. Takes any window."""

from __future__ import annotations

import functools
from math import gcd
from typing import NamedTuple

import numpy as np

from ...kernels import arithmetic
from ...kernels.conv import direct as kernels
from ...kernels.conv.products import sum_chunks
from ...kernels.jit import threads
from ...kernels.vector import simd
from ...runtime import buffers, caches
from ...shapes import Window
from .. import arrays
from . import products
from .products import GRAIN, Layout, round_up

_BAND_BYTES = caches.L2 // 10  # inputs of a band stay in the L2 cache beside a panel of weights
_BAND_PIXELS = 512  # and their positions in the L1 cache
_CHUNK_PIXELS = 768  # below which adding up the chunks would take as long as making them
_WEIGHT_PIXELS = caches.L1 * 3 // 4 // 256  # a panel of so many gradients stays in the L1 cache
_PART_BYTES = caches.L2 // 2  # weights that all bands pass by before the next ones
_SMALL_WEIGHTS = 1 << 16  # of a linear layer whose time is not worth a kernel of its own
_TASKS = 16  # so that workers of different speed end at about the same time
_PARTIAL_BYTES = 2 * 1024 * 1024  # partial sums of the weight gradient, all chunks together


class Plan(NamedTuple):
    """How the direct kernels walk a window (see kernels/conv/direct.py)."""

    copies: bool  # whether a band's input rows are copied, with their padding
    columns: int  # input columns that an output row needs
    pitch: int  # elements from an input row to the next
    step: int  # elements from what one output pixel needs to what the next one needs
    weights: int  # filter elements of a channel
    rows: int  # output rows of a band, of all images one below the other
    parts: int  # tasks that share the panels
    chunks: int = 1  # partial sums of the weight gradient
    band: int = 0  # working memory for each worker: elements of a band,
    panel: int = 0  # where a panel of gradients begins in it,
    positions: int = 0  # and positions
    y_start: int = 0  # where output pixel (0, 0) of image 0 lies in y, and the distances between
    y_image: int = 0  # images,
    y_row: int = 0  # output rows,
    y_step: int = 0  # and output pixels


def _walk(w: Window, copies: bool, multiple: int = 1) -> tuple[Plan, np.ndarray]:
    """The part of a plan that says how input pixels are found, and the offsets of a multiple of filter elements."""
    depth = w.C // w.groups
    columns = (w.Q - 1) * w.stride_columns + (w.S - 1) * w.dilation_columns + 1
    pixel = depth if copies else w.C
    pitch = (columns if copies else w.W) * pixel
    r, s, c = np.ogrid[:w.R, :w.S, :depth]
    offsets = (r * w.dilation_rows * pitch + s * w.dilation_columns * pixel + c).reshape(-1)
    missing = -offsets.size % multiple
    return Plan(copies, columns, pitch, w.stride_columns * pixel, offsets.size, 1, 1), np.pad(offsets, (0, missing))


def _leaves_image(w: Window) -> bool:
    """Whether some filter element meets padding."""
    last_row = (w.P - 1) * w.stride_rows + (w.R - 1) * w.dilation_rows - w.top
    last_column = (w.Q - 1) * w.stride_columns + (w.S - 1) * w.dilation_columns - w.left
    return w.top > 0 or w.left > 0 or last_row >= w.H or last_column >= w.W


def _band_size(w: Window, plan: Plan) -> int:
    """Elements of a band of plan.rows output rows where it is copied: it may touch so many images."""
    if not plan.copies:
        return 0
    images = min(plan.rows, -(-(plan.rows - 1) // w.P) + 1)
    rows = plan.rows * w.stride_rows + images * ((w.R - 1) * w.dilation_rows + 1)
    return round_up(rows * plan.pitch, 16) + 16  # rows are written in whole vectors


def _rows(w: Window, plan: Plan, itemsize: int, pixels: int, tasks: int) -> int:
    """Output rows of a band: not too large for the caches, and at least `tasks` of them where that leaves enough."""
    rows_in_all = w.N * w.P
    most = min(_BAND_BYTES // (plan.pitch * w.stride_rows * itemsize), pixels // w.Q, -(-rows_in_all // tasks))
    rows = max(1, min(rows_in_all, max(most, 24 // w.Q)))
    return -(-rows_in_all // -(-rows_in_all // rows))  # bands of about equal height


def _plan(w: Window, width: int, itemsize: int, placement: tuple[int, int, int, int]) -> tuple[Plan, np.ndarray]:
    """Plan of a convolution whose output lies in y by `placement`."""
    plan, offsets = _walk(w, _leaves_image(w))
    channels = w.K // w.groups
    blocks = -(-channels // width)
    weight_bytes = plan.weights * blocks * width * itemsize
    parts = min(blocks, -(-weight_bytes // _PART_BYTES))
    rows = _rows(w, plan, itemsize, _BAND_PIXELS, -(-_TASKS // (parts * w.groups)))
    bands = -(-w.N * w.P // rows)
    parts = min(blocks, max(parts, -(-_TASKS // (bands * w.groups))))
    plan = plan._replace(rows=rows, parts=parts)
    positions = round_up(rows + 2 * (rows * w.Q + simd.MOST_ROWS), 8)
    y_start, y_image, y_row, y_step = placement
    return plan._replace(band=_band_size(w, plan), positions=positions, y_start=y_start, y_image=y_image, y_row=y_row,
                         y_step=y_step), offsets


def _weight_plan(w: Window, width: int, size: int, itemsize: int) -> tuple[Plan, np.ndarray]:
    """Plan of a weight gradient on tiles of `size` rows; chunks depend on the shape alone, so that the bits do."""
    plan, offsets = _walk(w, _copies_for_weights(w), size)
    blocks = -(-(w.K // w.groups) // width)
    weights = offsets.size * blocks * width * w.groups * itemsize
    pixels = w.N * w.P * w.Q
    chunks = min(32, pixels // _CHUNK_PIXELS, _PARTIAL_BYTES // weights)
    chunks = min(w.N * w.P, max(1, chunks, min(-(-_TASKS // 2 // (blocks * w.groups)), pixels // 64)))
    parts = min(blocks, -(-_TASKS // (chunks * w.groups)))
    plan = plan._replace(rows=_rows(w, plan, itemsize, _WEIGHT_PIXELS, chunks), parts=parts, chunks=chunks)
    band = _band_size(w, plan)
    panels = plan.rows * w.Q * -(-blocks // parts) * width
    return plan._replace(band=band + panels, panel=band, positions=round_up(plan.rows, 8)), offsets


def _copies_for_weights(w: Window) -> bool:
    """Whether a band is copied although the filter stays inside the image.

    Reading it in long strides would wait for memory (measured: 1.3 times slower with 256 channels, the same with 64); the
    rows of a linear layer would be copied for every panel.
    """
    return _leaves_image(w) or (w.C >= 128 and w.Q > 1)


def fits(w: Window) -> bool:
    """Whether the algorithm can do this window: always."""
    return True


pays = fits


def _width(w: Window, itemsize: int) -> tuple[int, ...]:
    """Tile width of a window; small linear layers take one vector, for which kernels need not be compiled once more."""
    if w.W == w.R == w.S == 1 and w.C * w.K <= _SMALL_WEIGHTS:
        return products.width_for(1, itemsize)
    return products.width_for(w.K // w.groups, itemsize)


class _Job(NamedTuple):
    """All that a convolution needs besides its arrays."""

    window: np.ndarray  # a record
    plan: Plan
    plans: np.ndarray  # and as a record
    offsets: np.ndarray
    packing: products.Packing
    width: tuple[int, ...]
    work: int  # multiply-adds


def _job(w: Window, layout: Layout, placement: tuple[int, int, int, int], itemsize: int) -> _Job:
    width = _width(w, itemsize)
    plan, offsets = _plan(w, sum(width), itemsize, placement)
    packing = products.packing(layout, w.R, w.S, w.C // w.groups, sum(width))
    return _Job(arrays.record(w), plan, arrays.record(plan), offsets, packing, width, products.multiply_adds(w))


@functools.lru_cache(maxsize=1024)
def _forward_job(w: Window, itemsize: int) -> _Job:
    depth, channels = w.C // w.groups, w.K // w.groups
    layout = Layout(0, channels, w.S * depth * w.K, depth * w.K, w.K, 1, channels, w.groups)
    return _job(w, layout, (0, w.P * w.Q * w.K, w.Q * w.K, w.K), itemsize)


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, w: Window, addend: np.ndarray, y: np.ndarray,
            relu: bool) -> None:
    """Write the convolution of x with weight, plus bias and addend (which may be empty), to y, or max(y, 0) with `relu`."""
    _convolve(x, weight, bias, _forward_job(w, x.itemsize), addend, y, relu)


def _convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, job: _Job, addend: np.ndarray, y: np.ndarray,
              relu: bool = False) -> None:
    plan, workers = job.plan, threads.workers(job.work, GRAIN)
    kernels.conv2d_forward(
        x.ravel(), job.window, job.plans, job.offsets, products.pack(weight, job.packing), bias, addend,
        arrays.floor(relu), y.ravel(), job.width, buffers.workspace("conv", workers * plan.band, x.dtype),
        buffers.workspace("positions", workers * plan.positions, arrays.INT64), buffers.counter(), workers)


def backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, addend: np.ndarray, dx: np.ndarray) -> None:
    """Write the gradient of x, plus addend (which may be empty), to dx."""
    few = _few_job(w, dy.itemsize)
    if few is not None:
        _backward_input_few(dy, weight, few, dx)
        products.add_to(dx, addend)
        return
    jobs, covered = _input_jobs(w, dy.itemsize)
    if not covered:  # there are input pixels that no filter element meets
        arithmetic.begin(addend, dx.ravel(), threads.workers(dx.size))
    for job in jobs:
        _convolve(dy, weight, arrays.NOTHING[dy.dtype], job, addend, dx)


def _few_channels(w: Window, lanes: int) -> bool:
    """Whether vectors over the input channels would be at least a third empty."""
    channels = w.C // w.groups
    return (w.stride_rows, w.stride_columns) == (1, 1) and 3 * channels <= 2 * round_up(channels, lanes)


class _FewPlan(NamedTuple):
    """How `conv2d_backward_input_few` walks a window."""

    rows: int  # rows of dx in a band
    products: int  # working memory for each worker: products,
    sums: int  # where sums of them begin in it,
    positions: int  # and positions of pixels, in dy and in the products


class _FewJob(NamedTuple):
    """All that `conv2d_backward_input_few` needs besides its arrays."""

    window: np.ndarray  # a record
    plan: _FewPlan
    plans: np.ndarray  # and as a record
    offsets: np.ndarray
    packing: products.Packing
    width: tuple[int, ...]
    work: int  # multiply-adds


@functools.lru_cache(maxsize=1024)
def _few_job(w: Window, itemsize: int) -> _FewJob | None:
    if not _few_channels(w, simd.VECTOR_BYTES // itemsize):
        return None
    depth, channels = w.C // w.groups, w.K // w.groups
    reach = (w.R - 1) * w.dilation_rows
    row_bytes = w.Q * w.R * w.S * depth * itemsize
    rows = max(1, min(w.H, _BAND_BYTES // row_bytes - reach))
    pixels = min(w.P, rows + reach) * w.Q
    layout = Layout(0, channels, 0, 0, 1, w.K, w.R * w.S * depth, w.groups)
    sums = round_up(pixels * w.R * w.S * depth, 16)
    plan = _FewPlan(rows, sums + round_up(w.Q * w.S * depth, 16), sums, round_up(pixels + simd.MOST_ROWS, 8))
    width = products.width_for(layout.channels, itemsize)
    return _FewJob(arrays.record(w), plan, arrays.record(plan), np.arange(channels),
                   products.packing(layout, 1, 1, channels, sum(width)), width, products.multiply_adds(w))


def _backward_input_few(dy: np.ndarray, weight: np.ndarray, job: _FewJob, dx: np.ndarray) -> None:
    plan, workers = job.plan, threads.workers(job.work, GRAIN)
    kernels.conv2d_backward_input_few(
        dy.ravel(), job.window, job.plans, job.offsets, products.pack(weight, job.packing), dx.ravel(), job.width,
        buffers.workspace("conv", workers * plan.products, dy.dtype),
        buffers.workspace("positions", 2 * workers * plan.positions, arrays.INT64), buffers.counter(), workers)


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
def _input_jobs(w: Window, itemsize: int) -> tuple[list[_Job], bool]:
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
            result.append(_job(window, layout, placement, itemsize))
    covered = sum(rows.size for rows in all_rows) == w.H and sum(columns.size for columns in all_columns) == w.W
    return result, covered


class _WeightJob(NamedTuple):
    """All that a weight gradient needs besides its arrays."""

    window: np.ndarray  # a record
    plan: Plan
    plans: np.ndarray  # and as a record
    offsets: np.ndarray
    width: tuple[int, ...]
    partial: int  # elements of the partial sums
    work: int  # multiply-adds


@functools.lru_cache(maxsize=1024)
def _weight_job(w: Window, itemsize: int) -> _WeightJob:
    channels = w.K // w.groups
    width = _width(w, itemsize)
    plan, offsets = _weight_plan(w, sum(width), simd.ROWS[len(width)], itemsize)
    partial = plan.chunks * w.groups * round_up(channels, sum(width)) * offsets.size
    return _WeightJob(arrays.record(w), plan, arrays.record(plan), offsets, width, partial, products.multiply_adds(w))


def backward_weight(dy: np.ndarray, x: np.ndarray, w: Window, dweight: np.ndarray) -> None:
    """Write the gradient of the weight to dweight; partial sums of chunks are added in order."""
    job = _weight_job(w, x.itemsize)
    plan, workers = job.plan, threads.workers(job.work, GRAIN)
    partial = buffers.empty((job.partial,), x.dtype)
    kernels.conv2d_backward_weight(
        x.ravel(), job.window, job.plans, job.offsets, dy.ravel(), partial, job.width,
        buffers.workspace("conv", workers * plan.band, x.dtype),
        buffers.workspace("positions", workers * plan.positions, arrays.INT64), buffers.counter(), workers)
    sum_chunks(partial, plan.chunks, w.groups, plan.weights, job.offsets.size, w.K // w.groups, sum(job.width),
                      dweight.ravel(), threads.workers(partial.size))
