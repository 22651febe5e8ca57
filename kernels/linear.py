"""Matrix products of a linear layer, which are also those of a 1x1 convolution: rows are images, or pixels.

Full tiles read x where it lies. The last rows, where a tile would read beyond the array, go through a padded copy.
Numba would compile the products once more for a literal 0 or 1; int64(0) is a number like any other.
"""

from numba import int64

from ._jit import kernel, parallel_kernel
from .matmul import copy_run, correlate, multiply, pack_gradient
from .scalar import natural
from .simd import ROWS, VECTORS, lanes_of

BLOCK = 8 * ROWS  # most rows of a task: their x stays in the L1 or L2 cache while the panels pass by


@kernel
def _forward_rows(x, first, last, taps, depth, panels, panel, y, step, k, channels, tail, start):
    """`channels` outputs from k on for the rows first to last; the last tile, when it is not full, from a copy."""
    full = (last - first) // ROWS * ROWS
    multiply(x, first * depth, full, taps, depth, panels, panel, y, first * step + k, step, 0, last, 0, channels)
    first += full
    if first < last:
        copy_run(x, first * depth, tail, start, (last - first) * depth)
        multiply(tail, start, last - first, taps, depth, panels, panel, y, first * step + k, step, 0, last, 0, channels)


@parallel_kernel
def linear_forward(x, rows, taps, depth, panels, y, channels, parts, scratch, worker, workers):
    """y[row, k] = bias[k] + sum over d of x[row, d] * w[d, k], in `parts` of the channels; `taps` is [0].

    `scratch` holds ROWS rows of x for each worker.
    """
    width = VECTORS * lanes_of(y)
    columns = (channels + width - 1) // width
    tiles, blocks = (rows + ROWS - 1) // ROWS, (rows + BLOCK - 1) // BLOCK
    for task in range(worker, blocks * parts, workers):
        block, part = divmod(task, parts)
        k, k_last = columns * part // parts * width, min(columns * (part + 1) // parts * width, channels)
        _forward_rows(x, tiles * block // blocks * ROWS, min(tiles * (block + 1) // blocks * ROWS, rows), taps, depth,
                      panels, k * (depth + 1), y, channels, k, k_last - k, scratch, worker * ROWS * depth)


@kernel
def _correlate_rows(x, x_start, taps, depth, extent, dy, dy_start, rows, channels, k, panel, partial, start):
    """Add the products of `rows` rows of x and dy to one panel of partial sums."""
    pack_gradient(dy, dy_start + k, channels, rows, channels - k, panel)
    correlate(x, x_start, rows, taps, depth, extent, panel, channels - k, partial, start)


@kernel
def _weight_task(x, first, last, rows, taps, depth, d, extent, dy, channels, k, tail, panel, partial, start):
    """Partial sums over rows first to last for the weights d to d + extent of one panel of channels."""
    within = rows - (ROWS + depth - 1) // depth  # beyond this row a tile would read past the end of x
    while first < last:
        count = min(BLOCK, last - first)
        if first < within:
            count = min(count, within - first)
            _correlate_rows(x, first * depth + d, taps, depth, extent, dy, first * channels, count, channels, k,
                            panel, partial, start)
        else:
            for row in range(first, first + count):
                copy_run(x, row * depth, tail, 0, depth)
                _correlate_rows(tail, d, taps, depth, extent, dy, row * channels, int64(1), channels, k, panel,
                                partial, start)
        first += count


@parallel_kernel
def linear_backward_weight(x, rows, taps, depth, extent, dy, channels, chunks, partial, scratch, worker, workers):
    """partial[chunk, d, k] = sum over the chunk's rows of x[row, d] * dy[row, k]; `matmul.sum_chunks` adds the chunks.

    `extent`, a multiple of ROWS, is how many weights d a task takes; `scratch` has for each worker room for a row of x,
    rounded up to whole tiles, and BLOCK rows of one panel.
    """
    width = VECTORS * lanes_of(dy)
    blocks = (channels + width - 1) // width
    parts = (depth + extent - 1) // extent
    padded = (depth + ROWS - 1) // ROWS * ROWS
    padded_channels = (channels + lanes_of(dy) - 1) // lanes_of(dy) * lanes_of(dy)
    room = len(scratch) // workers
    tail = scratch[worker * room:]
    panel = scratch[worker * room + padded:]
    for task in range(worker, chunks * blocks * parts, workers):
        chunk_block, part = divmod(task, parts)
        chunk, block = divmod(chunk_block, blocks)
        k, d = block * width, part * extent
        start = (chunk * padded_channels + k) * padded
        columns = min(width, padded_channels - k)
        start += d * columns
        for i in range(natural(start), natural(start + min(extent, padded - d) * columns)):
            partial[i] = 0
        _weight_task(x, rows * chunk // chunks, rows * (chunk + 1) // chunks, rows, taps, depth, d,
                     min(extent, depth - d), dy, channels, k, tail, panel, partial, start)
