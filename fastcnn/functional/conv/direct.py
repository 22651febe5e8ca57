"""Direct convolution: how the kernels of kernels/conv/direct.py walk each shape. Takes any window."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from math import gcd
from typing import NamedTuple

import numpy as np

from ...kernels import arithmetic
from ...kernels.arguments import Epilogue, Floats, Integers, Width
from ...kernels.conv import direct as kernels
from ...kernels.conv.direct import Bands, Scatter, ScatterWalk
from ...kernels.conv.products import Chunked, Layout, Walk, sum_chunks
from ...kernels.jit import threads
from ...kernels.kinds import KIND
from ...kernels.vector import simd
from ...kernels.vector.tile import LINE
from ...runtime import buffers, caches
from ...shapes import Window
from .. import arrays
from . import products
from .algorithm import Fit, Plan, Work, bytes_of, multiply_adds
from .products import round_up

_BAND_BYTES = caches.L2 // 10  # inputs of a band stay in the L2 cache beside a panel of weights
_DEEP = 1024  # filter elements of an output channel, from which on a part of the input channels is taken at a time:
_DEPTH, _ELEMENTS = 256, 1536  # so many of them, and of elements
_BAND_PIXELS = 512  # and their positions in the L1 cache
_CHUNK_PIXELS = 768  # below which adding up the chunks would take as long as making them
_WEIGHT_PIXELS = caches.L1 * 3 // 4 // 256  # a panel of so many gradients stays in the L1 cache
_PART_BYTES = caches.L2 // 2  # weights that all bands pass by before the next ones
_BAND_OF_WEIGHTS = 96  # pixels that a panel of gradients has, about
_SMALL_WEIGHTS = 1 << 16  # of a linear layer whose time is not worth a kernel of its own
_TASKS = 16  # so that workers of different speed end at about the same time
_RUNS = range(4, max(count * rows for count, rows in simd.ROWS.items()) // 2 + 1)  # vectors of each of two rows of a tile
_SCATTER_BYTES = 128 * 1024  # sums of a band stay in the L2 cache,
_SCATTER_DEPTH = 32  # and the weights of so many channels in the L1 cache
_PARTIAL_BYTES = 2 * 1024 * 1024  # partial sums of the weight gradient, all chunks together


def _walk(w: Window, copies: int, depth: int, multiple: int = 1) -> tuple[Bands, np.ndarray]:
    """The part of a plan that says how input pixels are found, and the offsets of a multiple of filter elements.

    The elements are those of `depth` input channels.
    """
    columns, pixel, stride = (w.Q - 1) * w.stride_columns + (w.S - 1) * w.dilation_columns + 1, depth, w.stride_columns
    if copies == kernels.PIXELS:  # a power of two would leave a few lines of the L1 cache to them (1.1 to 1.2 times slower)
        columns, pixel, stride = w.Q, round_up(depth, LINE) | LINE, 1
    elif copies == kernels.NONE:
        columns, pixel = w.W, w.C
    pitch = columns * pixel
    r, s, c = np.ogrid[:w.R, :w.S, :depth]
    offsets = (r * w.dilation_rows * pitch + s * w.dilation_columns * pixel + c).reshape(-1)
    missing = -offsets.size % multiple
    return Bands(copies, depth, columns, pixel, pitch, stride * pixel, offsets.size), np.pad(offsets, (0, missing))


def _depth(w: Window) -> int:
    """Input channels of a group that are taken together: of deep filters a part, so that a band stays in the L2 cache.

    (Measured: 1024 channels and more gain 1.1 to 1.5 times, 800 lose a tenth to copying.)
    """
    depth, elements = w.C // w.groups, w.R * w.S
    parts = -(-depth // min(_DEPTH, max(1, _ELEMENTS // elements))) if depth * elements >= _DEEP else 1
    return next((depth // n for n in range(parts, 2 * parts) if depth % n == 0), depth)


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
    row = w.Q * w.C if w.R * w.S == 1 else bands.pitch * w.stride_rows  # elements that an output row reads anew
    most = min(_BAND_BYTES // (row * itemsize), pixels // w.Q, -(-rows_in_all // tasks))
    rows = max(1, min(rows_in_all, max(most, 48 // w.Q)))
    return -(-rows_in_all // -(-rows_in_all // rows))  # bands of about equal height


def _bands(w: Window, lanes: int, itemsize: int, placement: tuple[int, int, int, int]) -> tuple[Bands, np.ndarray]:
    """How to walk a convolution whose output lies in y by `placement`, in panels of so many lanes."""
    depth, channels = _depth(w), w.K // w.groups
    bands, offsets = _walk(w, _copies(w, depth), depth)
    blocks = -(-channels // lanes)
    weight_bytes = bands.weights * blocks * lanes * itemsize
    parts = min(blocks, -(-weight_bytes // _PART_BYTES))
    rows = _rows(w, bands, itemsize, _BAND_PIXELS, -(-_TASKS // (parts * w.groups)))
    count = -(-w.N * w.P // rows)
    parts = min(blocks, max(parts, -(-_TASKS // (count * w.groups))))
    bands = bands._replace(rows=rows, parts=parts)
    integers = round_up(rows + 2 * (rows * w.Q + simd.MOST_ROWS), 8)
    y_start, y_image, y_row, y_step = placement
    band = _band_size(w, bands)
    kept = (rows * w.Q + simd.MOST_ROWS) * -(-blocks // parts) * lanes if depth < w.C // w.groups else 0
    return bands._replace(floats=band + kept, panel=band, integers=integers, y_start=y_start, y_image=y_image, y_row=y_row,
                          y_step=y_step), offsets


def _weight_bands(w: Window, lanes: int, size: int, itemsize: int) -> tuple[Bands, np.ndarray]:
    """How to walk a weight gradient on tiles of `size` rows; chunks depend on the shape alone, so that the bits do."""
    bands, offsets = _walk(w, _copies_for_weights(w), w.C // w.groups, size)
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


def _copies(w: Window, depth: int) -> int:
    """What of a band is copied: rows with padding, or a part of the channels."""
    if _leaves_image(w) or (depth < w.C // w.groups and w.R * w.S > 1):
        return kernels.ROWS
    return kernels.PIXELS if depth < w.C // w.groups else kernels.NONE


def _copies_for_weights(w: Window) -> int:
    """What of a band is copied although the filter stays inside the image: rows, or pixels for a filter of one element.

    Reading it in long strides would wait for memory (measured: 1.3 times slower with 256 channels, the same with 64), and
    copying columns that a stride leaves out takes a sixth of the time; the rows of a linear layer would be copied for every
    panel.
    """
    if _leaves_image(w):
        return kernels.ROWS
    if w.C < 128 or w.Q == 1:
        return kernels.NONE
    return kernels.PIXELS if w.R * w.S == 1 else kernels.ROWS


def fits(w: Window) -> Fit:
    """Whether the algorithm can do this window: always."""
    return Fit()


def work(w: Window, step: str) -> Work:
    """What it does in a pass."""
    if step == "weight":
        return _weight_work(w)
    if step == "input" and _scatter_pays(w, KIND.lanes):
        return _scatter_work(w)
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


def _scatter_work(w: Window) -> Work:
    """Products of dy with whole filters, each added where it belongs."""
    vectors = _vectors(w, KIND.lanes)[2]
    sums = w.N * w.P * w.Q * round_up(vectors, _run(vectors)) * w.groups
    return Work("direct scatter", sums * (w.K // w.groups), sums, bytes_of(w))


def _weight_work(w: Window) -> Work:
    """Tiles of filter elements, whose sums run over pixels, band by band."""
    vectors, rows, share = products.tile_for(w.K // w.groups)
    depth, pixels = w.R * w.S * w.C // w.groups, w.N * w.P * w.Q
    tiles = -(-depth // rows) * -(-w.K // w.groups // (vectors * KIND.lanes)) * w.groups
    sums = tiles * rows * vectors
    return Work(_kernels("direct weight", vectors), sums * pixels / share, sums * -(-pixels // _BAND_OF_WEIGHTS),
                bytes_of(w))


def width_for(w: Window, itemsize: int) -> Width:
    """Tile width of a window; small linear layers take two vectors at most, for which kernels are compiled most often."""
    if w.W == w.R == w.S == 1 and w.C * w.K <= _SMALL_WEIGHTS:
        return products.width_for(min(w.K, 2 * simd.VECTOR_BYTES // itemsize), itemsize)
    return products.width_for(w.K // w.groups, itemsize)


@dataclasses.dataclass(frozen=True, eq=False)
class _Convolution(Plan[Walk]):
    packing: products.Packing = dataclasses.field(kw_only=True)


def _convolution(w: Window, layout: Layout, placement: tuple[int, int, int, int], itemsize: int) -> _Convolution:
    """Plan of a convolution with a filter that lies by `layout`, for a result that lies by `placement`."""
    tile = width_for(w, itemsize)
    bands, offsets = _bands(w, sum(tile), itemsize, placement)
    layout = layout._replace(rows=w.R, columns=w.S, inputs=w.C // w.groups, depth_of_part=bands.depth, width=sum(tile))
    return _Convolution(Walk(arrays.record(w, bands), offsets, tile), multiply_adds(w), bands.floats, bands.integers,
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
    scatter = _scatter_plan(w, dy.itemsize)
    if scatter is not None:
        workers = scatter.workers()
        kernels.conv2d_backward_input_scatter(
            dy.ravel(), scatter.panels(weight), dx.ravel(), scatter.walk,
            buffers.workspace("conv", workers * scatter.floats, dy.dtype), workers)
        products.finish(dx, epilogue._replace(residual=residual))
        return
    plans, covered = _input_plans(w, dy.itemsize)
    if not covered:  # there are input pixels that no filter element meets
        arithmetic.begin(residual, dx.ravel(), threads.workers(dx.size))
    if len(residual):
        epilogue = epilogue._replace(residual=residual)
    for plan in plans:
        _convolve(dy, weight, epilogue, plan, dx)


@dataclasses.dataclass(frozen=True, eq=False)
class _Scatter(Plan[ScatterWalk]):
    window: Window = dataclasses.field(kw_only=True)
    elements: int = dataclasses.field(kw_only=True)  # of the filter that lie side by side in dx, for each pixel of dy

    def panels(self, weight: Floats) -> Floats:
        """The weight as (groups, tiles, K // groups, lanes of a tile), with zeros in the lanes that are too many."""
        key = "scatter", self.window.groups, self.elements, len(self.walk.run)
        return products.picked(weight, key, self._table)

    @functools.cached_property
    def _table(self) -> Integers:
        """Places of the panels' elements in the weight, -1 in the lanes that are too many."""
        w, lanes, run = self.window, self.walk.run[0], len(self.walk.run)
        channels, vectors, missing = w.K // w.groups, len(self.walk.places), -self.elements % lanes
        places = np.arange(w.R * w.S * w.C // w.groups * w.K).reshape(-1, self.elements, w.groups, channels)
        lines = np.pad(places.transpose(2, 3, 0, 1), ((0, 0), (0, 0), (0, 0), (0, missing)), constant_values=-1)
        rows = np.full((w.groups, channels, vectors * lanes), -1)
        rows[..., :lines[0, 0].size] = lines.reshape(w.groups, channels, -1)
        return rows.reshape(w.groups, channels, -1, run * lanes).transpose(0, 2, 1, 3).ravel()


def _vectors(w: Window, lanes: int) -> tuple[int, int, int]:
    """Lines of a filter's elements that lie side by side in dx, elements of a line, and vectors of such elements."""
    depth = w.C // w.groups
    lines, elements = (w.R, w.S * depth) if w.dilation_columns == 1 else (w.R * w.S, depth)
    return lines, elements, lines * -(-elements // lanes)


def _run(vectors: int) -> int:
    """Vectors of a tile for so many of them, of which fewest are empty."""
    return min(_RUNS, key=lambda run: (round_up(vectors, run), -run))


def _scatter_steps(w: Window, lanes: int) -> int:
    """Vectors that `conv2d_backward_input_scatter` multiplies for an image; adding one up takes as long as four of them."""
    vectors = _vectors(w, lanes)[2]
    return w.P * w.Q * round_up(vectors, _run(vectors)) * (w.K // w.groups + 4)


def _scatter_pays(w: Window, lanes: int) -> bool:
    """Whether adding up products of dy with whole filters takes less time than convolutions of dy.

    It does where a vector over the input channels would be partly empty, where padding makes dy much larger, and where the
    phases of a stride meet few filter elements each. It loads more: a weight for two products, not for a tile's rows.
    """
    depth, channels = w.C // w.groups, w.K // w.groups
    convolution = w.H * w.W * w.R * w.S * channels * -(-depth // lanes) // (w.stride_rows * w.stride_columns)
    return min(w.top, w.left) >= 0 and _scatter_steps(w, lanes) * 1.15 < convolution


@functools.lru_cache(maxsize=1024)
def _scatter_plan(w: Window, itemsize: int) -> _Scatter | None:
    """Plan of `conv2d_backward_input_scatter` for a window that it is for."""
    lanes = simd.VECTOR_BYTES // itemsize
    if not _scatter_pays(w, lanes):
        return None
    depth, (lines, elements, vectors) = w.C // w.groups, _vectors(w, lanes)
    run = _run(vectors)
    reach = (w.R - 1) * w.dilation_rows
    columns = max(w.W + w.left, (w.Q - 1) * w.stride_columns + (w.S - 1) * w.dilation_columns + 1)
    rows = max(1, min(w.H, _SCATTER_BYTES // (columns * depth * itemsize) - 2 * reach))
    rows = -(-w.H // -(-w.H // rows))  # bands of about equal height
    line, first = np.divmod(np.arange(vectors), vectors // lines)
    r, s = (line, 0) if w.dilation_columns == 1 else np.divmod(line, w.S)
    places = (r * w.dilation_rows * columns + s * w.dilation_columns) * depth + first * lanes
    wanted = first[:, np.newaxis] * lanes + np.arange(lanes) < elements
    missing = (0, -vectors % run)
    floats = round_up((rows + 2 * reach) * columns * depth + lanes, 16)
    scatter = Scatter(rows, reach, columns, _SCATTER_DEPTH, floats)
    walk = ScatterWalk(arrays.record(w, scatter), np.pad(places, missing),
                       np.pad(wanted, (missing, (0, 0))).astype(f"f{itemsize}").ravel(), (lanes,) * run)
    return _Scatter(walk, multiply_adds(w), floats, window=w, elements=elements)


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
class WeightGradient(Plan[Walk]):
    """Plan of the gradient of a weight whose pixels are summed in chunks."""

    chunked: Chunked = dataclasses.field(kw_only=True)

    @functools.cached_property
    def record(self) -> np.ndarray:
        """The same for a kernel."""
        return arrays.record(self.chunked)

    @functools.cached_property
    def partial(self) -> int:
        """Elements of the partial sums."""
        c = self.chunked
        return c.chunks * c.groups * round_up(c.K // c.groups, sum(self.walk.width)) * c.rows


@functools.lru_cache(maxsize=1024)
def _weight_plan(w: Window, itemsize: int) -> WeightGradient:
    tile = width_for(w, itemsize)
    bands, offsets = _weight_bands(w, sum(tile), simd.ROWS[len(tile)], itemsize)
    return WeightGradient(Walk(arrays.record(w, bands), offsets, tile), multiply_adds(w), bands.floats, bands.integers,
                          chunked=Chunked(bands.chunks, bands.weights, offsets.size, w.K, w.groups))


def backward_weight(dy: Floats, x: Floats, w: Window, dweight: Floats, dbias: Floats) -> None:
    """Write the gradients of weight and bias to dweight and dbias; partial sums of chunks are added in order."""
    sum_of_chunks(kernels.conv2d_backward_weight, dy, x, _weight_plan(w, x.itemsize), dweight, dbias)


def sum_of_chunks(kernel: Callable[..., None], dy: Floats, x: Floats, plan: WeightGradient, dweight: Floats,
                  dbias: Floats) -> None:
    """Run a kernel that sums chunks of pixels apart, and write what these come to, in order, to dweight and dbias."""
    workers, partial = plan.workers(), buffers.empty((plan.partial,), x.dtype)
    sums = products.room_for_sums(plan.chunked.chunks, dbias)
    kernel(x.ravel(), dy.ravel(), partial, sums, plan.walk, plan.workspace(workers, x.dtype), workers)
    sum_chunks(partial, plan.record, plan.walk.width, dweight.ravel(), threads.workers(partial.size))
    products.add_sums(sums, dbias)
