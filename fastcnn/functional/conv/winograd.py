"""Winograd convolution F(4x4, 3x3): when it can be used and when it pays, allocation, launch."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from ...kernels.conv import winograd as kernels
from ...kernels.jit import threads
from ...kernels.vector import simd
from ...runtime import buffers, caches, packed
from ...shapes import Window
from .. import arrays
from . import products
from .products import GRAIN, Layout, round_up

_PARTIAL_BYTES = 8 * 1024 * 1024  # partial sums of the weight gradient, all chunks together
_GROUP_BYTES = caches.L2 // 2  # transformed inputs and gradients that are multiplied together
_STAGED_BYTES = 2 * caches.L2  # transformed filters that would be read from memory for every group of blocks
_STAGE_BYTES = 16 * 1024 * 1024  # transformed inputs and products of a pass
_FEW = 16  # output blocks whose products take no longer than the transform of the filter, or half of them
_WIDE = 1 << 15  # where it has so many channels that its transform leaves the caches
_TASKS = 8  # groups of output blocks at least, for the threads to share


def fits(w: Window) -> bool:
    """Whether the filter is 3x3 with stride 1, without dilation and groups."""
    steps = w.stride_rows, w.stride_columns, w.dilation_rows, w.dilation_columns
    return (w.R, w.S, w.groups) == (3, 3, 1) and steps == (1, 1, 1, 1)


def pays(w: Window) -> bool:
    """Whether there are channels enough to outweigh the transforms of images, output blocks enough to outweigh that of the
    filter, and these not mostly empty (measured).
    """
    least = _FEW if w.C * w.K <= _WIDE else 2 * _FEW
    return fits(w) and min(w.C, w.K) >= 16 and min(w.P, w.Q) >= 3 and _blocks(w) >= least


def _blocks(w: Window) -> int:
    """Output blocks of all images."""
    return w.N * -(-w.P // 4) * -(-w.Q // 4)


def _group(w: Window, filter_bytes: int, vectors: int) -> int:
    """Output blocks that are transformed and multiplied together: whole tiles, fewer where threads would have too few
    groups to share, unless the filter has to come from memory for each.
    """
    rows = simd.ROWS[vectors]
    group = 30 // rows * rows
    if filter_bytes > caches.L2 // 2:
        return group
    return min(group, round_up(-(-_blocks(w) // _TASKS), rows))


class _Filter(NamedTuple):
    """How a filter becomes transformed panels."""

    layout: np.ndarray  # a record
    depth: int
    lanes: int  # channels of a panel
    vector: int  # lanes of one vector
    size: int  # elements of all panels
    key: tuple[object, ...]


def _filter(layout: Layout, depth: int, width: tuple[int, ...]) -> _Filter:
    lanes = sum(width)
    size = kernels.ELEMENTS * round_up(layout.channels, lanes) * depth
    return _Filter(arrays.record(layout), depth, lanes, width[0], size, ("winograd", layout, width))


class _Job(NamedTuple):
    """All that a convolution needs besides its arrays."""

    w: Window
    window: np.ndarray  # as a record
    filter: _Filter
    width: tuple[int, ...]
    group: int  # output blocks that are transformed and multiplied together, 0 where all are, in stages
    scratch: int  # elements of working memory for each worker
    work: int  # multiply-adds of a direct convolution


def _job(w: Window, layout: Layout, itemsize: int) -> _Job:
    width = products.width_for(w.K, itemsize)
    panels = _filter(layout, w.C, width)
    filter_bytes = panels.size * itemsize
    group = 0 if filter_bytes > _STAGED_BYTES else _group(w, filter_bytes, len(width))
    return _Job(w, arrays.record(w), panels, width, group, _scratch(w, group, width), products.multiply_adds(w))


@functools.lru_cache(maxsize=1024)
def _forward_job(w: Window, itemsize: int) -> _Job:
    C, K = w.C, w.K
    return _job(w, Layout(0, 0, 3 * C * K, C * K, K, 1, K, 1), itemsize)


@functools.lru_cache(maxsize=1024)
def _input_job(w: Window, itemsize: int) -> _Job:
    """The convolution of dy with the filter flipped and transposed."""
    C, K = w.C, w.K
    window = w._replace(H=w.P, W=w.Q, C=K, K=C, P=w.H, Q=w.W, top=2 - w.top, left=2 - w.left)
    return _job(window, Layout(8 * C * K, 0, -3 * C * K, -C * K, 1, K, C, 1), itemsize)


def _scratch(w: Window, group: int, width: tuple[int, ...]) -> int:
    """Working memory of a worker: transformed inputs, one panel of products or gradients, and a block in between."""
    return round_up(kernels.ELEMENTS * (group * (w.C + sum(width)) + width[0]) + kernels.GAP, 16)


def _convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, job: _Job, addend: np.ndarray, y: np.ndarray,
              relu: bool = False) -> None:
    panels, workers = _transformed(weight, job.filter), threads.workers(job.work, GRAIN)
    if job.group:
        size = workers * job.scratch
        kernels.winograd_forward(x.ravel(), job.window, panels, bias, addend, arrays.floor(relu), y.ravel(), job.group,
                                 job.width, buffers.workspace("winograd", size, x.dtype)[:size], buffers.counter(), workers)
    else:
        _in_stages(x, panels, bias, job, addend, y, relu, workers)


def _transformed(weight: np.ndarray, f: _Filter) -> np.ndarray:
    """Panels of the transformed filter: see `packed.form`."""

    def write(panels: np.ndarray) -> None:
        workers = threads.workers(f.size)
        room = workers * (9 * f.vector + kernels.ELEMENTS * (kernels.STRIP * f.lanes + f.vector))
        kernels.winograd_filter(weight.ravel(), f.layout, f.depth, f.lanes, panels,
                                buffers.workspace("winograd_filter", room, weight.dtype)[:room], buffers.counter(), workers)

    return packed.form(weight, "panels", f.key, f.size, write)


def _in_stages(x: np.ndarray, panels: np.ndarray, bias: np.ndarray, job: _Job, addend: np.ndarray, y: np.ndarray,
               relu: bool, workers: int) -> None:
    """Transform the inputs of many output blocks, then multiply, then transform the products: each panel is read once."""
    w, width, lanes = job.w, job.width, sum(job.width)
    blocks = -(-w.K // lanes)
    block_bytes = kernels.ELEMENTS * (w.C + blocks * lanes) * x.itemsize
    total = _blocks(w)
    passes = -(-total * block_bytes // _STAGE_BYTES)
    work = buffers.workspace("winograd_filter", workers * kernels.ELEMENTS * width[0], x.dtype)
    for number in range(passes):
        first, last = total * number // passes, total * (number + 1) // passes
        count = last - first
        of_columns, of_results = _spacing(count, w.C), _spacing(count, lanes)
        columns = buffers.workspace("winograd", 6 * of_columns, x.dtype)
        results = buffers.workspace("winograd_products", 6 * blocks * of_results, x.dtype)
        kernels.winograd_inputs(x.ravel(), job.window, first, count, columns, of_columns, work, buffers.counter(), workers)
        kernels.winograd_products(columns, of_columns, count, w.C, panels, results, of_results, width, buffers.counter(),
                                  workers)
        kernels.winograd_outputs(job.window, first, count, results, of_results, lanes, bias, addend, arrays.floor(relu),
                                 y.ravel(), buffers.counter(), workers)


def _spacing(count: int, channels: int) -> int:
    """Distance of the six rows of elements of `count` blocks: room for a whole last tile, and never a power of two.

    Vectors at a power of two from each other would fight for the same lines of the caches.
    """
    return 6 * (count + simd.MOST_ROWS) * channels // 256 * 256 + 272


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, w: Window, addend: np.ndarray, y: np.ndarray,
            relu: bool) -> None:
    """Write the convolution of x with weight, plus bias and addend (which may be empty), to y, or max(y, 0) with `relu`."""
    _convolve(x, weight, bias, _forward_job(w, x.itemsize), addend, y, relu)


def backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, addend: np.ndarray, dx: np.ndarray) -> None:
    """Write the gradient of x, plus addend, to dx: the convolution of dy with the flipped, transposed filter."""
    _convolve(dy, weight, arrays.NOTHING[dy.dtype], _input_job(w, dy.itemsize), addend, dx)


class _WeightJob(NamedTuple):
    """All that a weight gradient needs besides its arrays."""

    window: np.ndarray  # a record
    width: tuple[int, ...]
    lanes: int  # channels of a panel
    depth: int  # input channels, rounded up to whole tiles
    chunks: int  # of output blocks, with partial sums of their own
    parts: int  # of the output channels
    group: int  # output blocks that are transformed and multiplied together
    partial: int  # elements of the partial sums
    scratch: int  # elements of working memory for each worker
    work: int  # multiply-adds of a direct convolution


@functools.lru_cache(maxsize=1024)
def _weight_job(w: Window, itemsize: int) -> _WeightJob:
    width = products.width_for(w.K, itemsize)
    lanes, padded_C = sum(width), round_up(w.C, simd.ROWS[len(width)])
    size = kernels.ELEMENTS * padded_C * round_up(w.K, lanes)
    chunks, parts, group = _chunks(w, size * itemsize, itemsize)
    return _WeightJob(arrays.record(w), width, lanes, padded_C, chunks, parts, group, chunks * size,
                      _scratch(w, group, width), products.multiply_adds(w))


def _chunks(w: Window, size: int, itemsize: int) -> tuple[int, int, int]:
    """Chunks of output blocks with partial sums of their own, parts of the output channels, and blocks of a group.

    Adding up a chunk takes as long as the products of about ten blocks; partial sums are read once for each group.
    """
    parts = -(-w.K // 64)
    blocks = _blocks(w)
    chunks = max(1, min(16, blocks // 48, _PARTIAL_BYTES // size), min(-(-8 // parts), blocks // 24))
    in_chunk = -(-blocks // chunks)
    most = max(24, _GROUP_BYTES // (kernels.ELEMENTS * (w.C + 64) * itemsize))
    return chunks, parts, -(-in_chunk // -(-in_chunk // most))


def backward_weight(dy: np.ndarray, x: np.ndarray, w: Window, dweight: np.ndarray) -> None:
    """Write the gradient of the weight to dweight; partial sums of chunks are added in order."""
    job = _weight_job(w, x.itemsize)
    partial, workers = buffers.empty((job.partial,), x.dtype), threads.workers(job.work, GRAIN)
    size = workers * job.scratch
    kernels.winograd_backward_weight(x.ravel(), job.window, dy.ravel(), job.chunks, job.parts, job.group, partial, job.width,
                                     buffers.workspace("winograd", size, x.dtype)[:size], buffers.counter(), workers)
    workers = threads.workers(job.partial)
    kernels.winograd_filter_gradient(partial, job.window, job.chunks, job.depth, job.lanes, dweight.ravel(),
                                     buffers.workspace("winograd_filter", workers * 64 * job.width[0], x.dtype), workers)
