"""The gradient of the matrix in a product of pixels by channels with a matrix: of 1x1 convolutions and linear layers.

Every channel of x meets every channel of dy. So both are sorted first, pixel after pixel: dy into panels of as many channels
as a tile has lanes, x into blocks of as many as it has rows. What a tile reads then lies side by side in the nearest cache;
in x itself it lies C elements apart, where a few lines of that cache take turns (measured: 1.2 times slower with C = 256).
"""

from __future__ import annotations

from typing import NamedTuple

from ..arguments import Floats, Workspace
from ..jit.compile import kernel, parallel_kernel
from ..jit.launch import next_task
from ..vector.simd import lanes_copy_all, lanes_copy_padded, lanes_of
from ..vector.tile import rows_of
from .products import Pixels, Walk, add_columns, correlate, pack_gradients, zero


class Blocks(NamedTuple):
    """How `matmul_backward_weight` walks the pixels: behind the window in its record."""

    pixels: int  # of a band
    block: int  # elements of a block, of a band's pixels
    inputs: int  # input channels of a part, in whole blocks
    parts: int
    chunks: int  # bands whose sums are taken apart
    floats: int  # working memory of each worker: blocks and, behind them,
    panel: int  # where these begin in it, panels
    integers: int = 1  # and where the blocks of a part begin


@kernel
def _pack_inputs(x, first, count, floats, start, walk):
    """floats[start + d // rows * w.block + i * rows + d % rows] = x[first + i * w.C + d] for `count` = (pixels, channels).

    Behind the last channel are zeros. Whole vectors are written: the next pixel overwrites what is too much.
    """
    w, rows, lanes, (pixels, channels) = walk.geometry[0], rows_of(walk.width), lanes_of(x), count
    for pixel in range(pixels):
        source, target = first + pixel * w.C, start + pixel * rows
        for first_row in range(0, channels, rows):
            for d in range(first_row, first_row + rows, lanes):
                if d + lanes <= channels:
                    lanes_copy_all(floats, target + d - first_row, x, source + d, lanes)
                else:
                    lanes_copy_padded(floats, target + d - first_row, x, source + d, channels - d)
            target += w.block


@kernel
def _task(x, dy, partial, sums, walk, workspace, worker, task):
    """Sums over a chunk of pixels, for a part of the input channels."""
    w, width = walk.geometry[0], walk.width
    lanes, rows = len(width) * lanes_of(dy), len(walk.offsets)
    chunk, part = divmod(task, w.parts)
    d_first, d_last = part * w.inputs, min(part * w.inputs + w.inputs, w.C)
    blocks, panels = worker * w.floats, worker * w.floats + w.panel
    workspace.integers[worker] = blocks - d_first // rows_of(width) * w.block
    count = w.N * w.P * w.Q
    last = count * (chunk + 1) // w.chunks
    start = chunk * ((w.K + lanes - 1) // lanes) * lanes * rows + d_first * lanes
    size = (d_last - d_first + rows_of(width) - 1) // rows_of(width) * rows_of(width) * lanes
    for k in range(0, w.K, lanes):
        zero(partial, start + k * rows, size)
    summed = len(sums) > 0 and part == 0
    if summed:
        zero(sums, chunk * w.K, w.K)
    for first in range(count * chunk // w.chunks, last, w.pixels):
        pixels = min(w.pixels, last - first)
        _pack_inputs(x, first * w.C + d_first, (pixels, d_last - d_first), workspace.floats, blocks, walk)
        pack_gradients(dy, first * w.K, w.K, pixels, w.K, workspace.floats, panels, width)
        if summed:
            add_columns(dy, first * w.K, w.K, pixels, w.K, sums, chunk * w.K)
        inputs = Pixels(workspace.floats, workspace.integers[worker:], 1, pixels, rows_of(width))
        for k in range(0, w.K, lanes):
            correlate(inputs, walk.offsets[d_first:], d_last - d_first, workspace.floats[panels + k * pixels:], partial,
                      start + k * rows, width)


@parallel_kernel
def matmul_backward_weight(x: Floats, dy: Floats, partial: Floats, sums: Floats, walk: Walk, workspace: Workspace,
                           worker: int, workers: int) -> None:
    """partial[chunk, panel, d, k] = sum over the chunk's pixels of x[pixel, d] * dy[pixel, k]; `sum_chunks` adds the chunks.

    And sums[chunk, k] = sum over these pixels of dy, unless it is empty.
    """
    w = walk.geometry[0]
    task = next_task(workspace.counter)
    while task < w.chunks * w.parts:
        _task(x, dy, partial, sums, walk, workspace, worker, task)
        task = next_task(workspace.counter)
