"""Winograd convolution F(4x4, 3x3) and F(2x2, 5x5): which windows it takes, what that costs, how its kernels walk them."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from ...kernels.arguments import Epilogue, Floats, Geometry, Width
from ...kernels.conv import winograd as kernels
from ...kernels.conv.products import Layout
from ...kernels.conv.winograd import ELEMENTS, Bands, Size, Stage, Walk
from ...kernels.jit import threads
from ...kernels.kinds import KIND
from ...kernels.vector import simd
from ...runtime import buffers, caches, packed
from ...shapes import Window
from .. import arrays
from . import products
from .algorithm import Fit, Plan, Work, fits_if, multiply_adds
from .products import round_up

_PARTIAL_BYTES = 8 * 1024 * 1024  # partial sums of the weight gradient, all chunks together
_BAND_BYTES = caches.L2 // 2  # transformed inputs and gradients that are multiplied together
_STAGED_BYTES = 2 * caches.L2  # transformed filters that would be read from memory for every band
_STAGE_BYTES = 16 * 1024 * 1024  # transformed inputs and products of a pass
_WIDE = 1 << 15  # channels of both sides, multiplied: a filter of more leaves the caches once it is transformed,
_FAR = 3  # and each of its bytes takes so many times as long
_TASKS = 8  # bands at least, for the threads to share


def fits(w: Window) -> Fit:
    """Whether the filter is 3x3 or 5x5 with stride 1, without dilation and groups."""
    return fits_if(((w.R, w.S) in ((3, 3), (5, 5)), f"its blocks are those of a 3x3 or a 5x5 filter, not {w.R}x{w.S}"),
                   ((w.stride_rows, w.stride_columns) == (1, 1), "its blocks of output pixels are made with stride 1"),
                   ((w.dilation_rows, w.dilation_columns) == (1, 1), "its filter has no dilation"),
                   (w.groups == 1, "its products are of all channels, in one group"))


def work(w: Window, step: str) -> Work:
    """What it does in a pass: products of blocks, and transforms of inputs, outputs and filter."""
    C, K = (w.K, w.C) if step == "input" else (w.C, w.K)
    blocks = _blocks(w._replace(P=w.H, Q=w.W) if step == "input" else w)
    vectors, rows, share = products.tile_for(K)
    lanes = vectors * KIND.lanes
    sums, terms = (blocks, C) if step != "weight" else (C, blocks)
    steps = ELEMENTS * round_up(sums, rows) * round_up(K, lanes) // KIND.lanes * terms / share
    transformed = blocks * (-(-C // KIND.lanes) + -(-K // KIND.lanes))
    filter_bytes = 4 * ELEMENTS * C * round_up(K, lanes)
    kernels = f"winograd{' 5x5' if w.R == 5 else ''}{' weight' if step == 'weight' else ''}"
    return Work(kernels, steps, transformed, filter_bytes * (1 if C * K <= _WIDE else _FAR))


def _edge(taps: int) -> int:
    """Rows, and columns, of an output block: filters of so many move over the six of its inputs."""
    return 7 - taps


def _size(taps: int) -> Size:
    """What tells the kernels of a filter of so many rows and columns."""
    return Size((0,) * taps, (0,) * _edge(taps))


def _blocks(w: Window) -> int:
    """Output blocks of all images."""
    return w.N * -(-w.P // _edge(w.R)) * -(-w.Q // _edge(w.R))


def _band(w: Window, filter_bytes: int, vectors: int) -> int:
    """Output blocks of a band: whole tiles, fewer where threads would have too few bands to share, unless the filter has to
    come from memory for each.
    """
    rows = simd.ROWS[vectors]
    most = 30 // rows * rows
    if filter_bytes > caches.L2 // 2:
        return most
    return min(most, round_up(-(-_blocks(w) // _TASKS), rows))


def _floats(w: Window, band: int, width: Width) -> int:
    """Working memory of a worker: transformed inputs, one panel of products or gradients, and two blocks in between."""
    return round_up(ELEMENTS * (band * (w.C + sum(width)) + 2 * width[0]) + kernels.GAP, 16)


@dataclasses.dataclass(frozen=True, eq=False)
class _Filter(Plan[Geometry]):
    """How a filter becomes transformed panels; the work is the number of their elements."""

    size: Size = dataclasses.field(kw_only=True)
    key: tuple[object, ...] = dataclasses.field(kw_only=True)

    def workers(self) -> int:
        """Threads that the work is worth."""
        return threads.workers(self.work)


def _filter(layout: Layout, taps: int, vector: int) -> _Filter:
    """Plan of the transform of a filter that lies by `layout`, on vectors of so many lanes."""
    elements = ELEMENTS * round_up(layout.channels, layout.width) * layout.inputs
    floats = taps * (taps + 6) * vector + ELEMENTS * (kernels.STRIP * layout.width + vector)
    return _Filter(arrays.record(layout), elements, floats, size=_size(taps), key=("winograd", layout))


def _transformed(weight: Floats, plan: _Filter) -> Floats:
    """Panels of the transformed filter: see `packed.form`."""

    def write(panels: np.ndarray) -> None:
        workers = plan.workers()
        kernels.winograd_filter(weight.ravel(), plan.walk, plan.size, panels, plan.workspace(workers, weight.dtype), workers)

    return packed.form(weight, "panels", plan.key, plan.work, write)


@dataclasses.dataclass(frozen=True, eq=False)
class _Convolution(Plan[Walk]):
    """A convolution in bands, or in passes over all panels of a large filter: how many blocks each, and how many in all."""

    w: Window = dataclasses.field(kw_only=True)
    filter: _Filter = dataclasses.field(kw_only=True)
    passes: int = dataclasses.field(kw_only=True)  # 0 in bands


def _convolution(w: Window, layout: Layout, itemsize: int) -> _Convolution:
    width = products.width_for(w.K, itemsize)
    filter = _filter(layout._replace(inputs=w.C, width=sum(width)), w.R, width[0])
    filter_bytes = filter.work * itemsize
    passes = _passes(w, sum(width), itemsize) if filter_bytes > _STAGED_BYTES else 0
    band = 0 if passes else _band(w, filter_bytes, len(width))
    bands = Bands(sum(width), _floats(w, band, width), band)
    return _Convolution(Walk(arrays.record(w, bands), width, _size(w.R)), multiply_adds(w), bands.floats, w=w, filter=filter,
                        passes=passes)


def _passes(w: Window, lanes: int, itemsize: int) -> int:
    """Passes in stages: so many that what lies between the stages of one stays small."""
    block_bytes = ELEMENTS * (w.C + round_up(w.K, lanes)) * itemsize
    return min(_blocks(w), -(-_blocks(w) * block_bytes // _STAGE_BYTES))


@functools.lru_cache(maxsize=1024)
def _forward_plan(w: Window, itemsize: int) -> _Convolution:
    C, K = w.C, w.K
    return _convolution(w, Layout(0, 0, w.S * C * K, C * K, K, 1, K, 1), itemsize)


@functools.lru_cache(maxsize=1024)
def _input_plan(w: Window, itemsize: int) -> _Convolution:
    """The convolution of dy with the filter flipped and transposed."""
    C, K = w.C, w.K
    window = w._replace(H=w.P, W=w.Q, C=K, K=C, P=w.H, Q=w.W, top=w.R - 1 - w.top, left=w.S - 1 - w.left)
    return _convolution(window, Layout((w.R * w.S - 1) * C * K, 0, -w.S * C * K, -C * K, 1, K, C, 1), itemsize)


def _convolve(x: Floats, weight: Floats, epilogue: Epilogue, plan: _Convolution, y: Floats) -> None:
    panels, workers = _transformed(weight, plan.filter), plan.workers()
    if plan.passes:
        _in_stages(x, panels, epilogue, plan, y, workers)
    else:
        workspace = plan.workspace(workers, x.dtype)
        kernels.winograd_forward(x.ravel(), panels, epilogue, y.ravel(), plan.walk, workspace, workers)


def _in_stages(x: Floats, panels: Floats, epilogue: Epilogue, plan: _Convolution, y: Floats, workers: int) -> None:
    """Transform the inputs of many output blocks, then multiply, then transform the products: each panel is read once."""
    w, walk, lanes, total = plan.w, plan.walk, sum(plan.walk.width), _blocks(plan.w)
    for number in range(plan.passes):
        first, last = total * number // plan.passes, total * (number + 1) // plan.passes
        column_row, product_row = _spacing(last - first, w.C), _spacing(last - first, lanes)
        columns = buffers.workspace("winograd", 6 * column_row, x.dtype)
        results = buffers.workspace("winograd_products", 6 * -(-w.K // lanes) * product_row, x.dtype)
        stage = Stage(first, last - first, columns, column_row, results, product_row)
        workspace = functools.partial(plan.workspace, workers, x.dtype)
        kernels.winograd_inputs(x.ravel(), walk.geometry, walk.size, stage, workspace(), workers)
        kernels.winograd_products(panels, walk.geometry, walk.width, stage, workspace(), workers)
        kernels.winograd_outputs(epilogue, y.ravel(), walk.geometry, walk.size, stage, workspace(), workers)


def _spacing(count: int, channels: int) -> int:
    """Distance of the six rows of elements of `count` blocks: room for a whole last tile, and never a power of two.

    Vectors at a power of two from each other would fight for the same lines of the caches.
    """
    return 6 * (count + simd.MOST_ROWS) * channels // 256 * 256 + 272


def forward(x: Floats, weight: Floats, epilogue: Epilogue, w: Window, y: Floats) -> None:
    """Write the convolution of x with weight, and its epilogue, to y."""
    _convolve(x, weight, epilogue, _forward_plan(w, x.itemsize), y)


def backward_input(dy: Floats, weight: Floats, residual: Floats, w: Window, dx: Floats) -> None:
    """Write the gradient of x, plus the residual, to dx: the convolution of dy with the flipped, transposed filter."""
    epilogue = arrays.NO_EPILOGUE[dy.dtype]
    if len(residual):
        epilogue = epilogue._replace(residual=residual)
    _convolve(dy, weight, epilogue, _input_plan(w, dy.itemsize), dx)


@dataclasses.dataclass(frozen=True, eq=False)
class _WeightGradient(Plan[Walk]):
    partial: int = dataclasses.field(kw_only=True)  # elements of the partial sums


@functools.lru_cache(maxsize=1024)
def _weight_plan(w: Window, itemsize: int) -> _WeightGradient:
    width = products.width_for(w.K, itemsize)
    lanes, depth = sum(width), round_up(w.C, simd.ROWS[len(width)])
    size = ELEMENTS * depth * round_up(w.K, lanes)
    chunks, parts, band = _chunks(w, size * itemsize, itemsize)
    bands = Bands(lanes, _floats(w, band, width), band, depth, chunks, parts)
    walk = Walk(arrays.record(w, bands), width, _size(w.R))
    return _WeightGradient(walk, multiply_adds(w), bands.floats, partial=chunks * size)


def _chunks(w: Window, size: int, itemsize: int) -> tuple[int, int, int]:
    """Chunks of output blocks with partial sums of their own, parts of the output channels, and blocks of a band.

    Adding up a chunk takes as long as the products of about ten blocks; partial sums are read once for each band.
    """
    parts = -(-w.K // 64)
    blocks = _blocks(w)
    chunks = max(1, min(16, blocks // 48, _PARTIAL_BYTES // size), min(-(-8 // parts), blocks // 24))
    in_chunk = -(-blocks // chunks)
    most = max(24, _BAND_BYTES // (ELEMENTS * (w.C + 64) * itemsize))
    return chunks, parts, -(-in_chunk // -(-in_chunk // most))


def backward_weight(dy: Floats, x: Floats, w: Window, dweight: Floats, dbias: Floats) -> None:
    """Write the gradients of weight and bias to dweight and dbias; partial sums of chunks are added in order."""
    plan = _weight_plan(w, x.itemsize)
    walk, workers, partial = plan.walk, plan.workers(), buffers.empty((plan.partial,), x.dtype)
    kernels.winograd_backward_weight(x.ravel(), dy.ravel(), partial, walk, plan.workspace(workers, x.dtype), workers)
    workers = threads.workers(plan.partial)
    workspace = plan.workspace(workers, x.dtype)
    kernels.winograd_filter_gradient(partial, dweight.ravel(), walk.geometry, walk.size, workspace, workers)
    products.column_sums(dy, dbias)
