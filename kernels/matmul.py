"""The two products that convolution and linear layers are made of, on the register tile.

`multiply` makes output pixels: rows of a tile are pixels, lanes are output channels, the sum runs over taps and depth.
`correlate` makes weight gradients: rows are the weights of an output channel, lanes are output channels, the sum runs over
pixels. Both read weights or gradients from panels: blocks of WIDTH output channels (a last block of at most one vector
is one vector wide), each a matrix of contiguous rows padded with zeros. A block that begins at channel k lies at
k * (rows of the panel).

Each sum is taken in one order that depends on the shape alone.
"""

from ._jit import kernel, parallel_kernel
from .scalar import natural
from .simd import (
    ROWS,
    VECTORS,
    lanes_copy,
    lanes_copy_all,
    lanes_copy_padded,
    lanes_of,
    tile_load,
    tile_multiply_add,
    tile_rows,
    tile_scatter,
    tile_store,
)


def _multiply(vectors):
    """Product over tiles of ROWS pixels and `vectors` vectors of output channels."""

    def multiply(x, x_start, pixels, taps, depth, panels, panel, y, y_start, step, column, columns, jump, channels):
        width = vectors * lanes_of(panels)
        for first in range(0, pixels, ROWS):
            tile = tile_rows(panels, panel, vectors)  # row 0 of a panel is the bias
            w = panel + width
            for t in range(len(taps)):
                start = x_start + taps[t] + first * depth
                for d in range(depth):
                    tile = tile_multiply_add(tile, x, start + d, depth, panels, w)
                    w += width
            tile_scatter(tile, y, y_start, step, column, columns, jump, pixels - first, channels)
            rows_ended, column = divmod(column + ROWS, columns)
            y_start += ROWS * step + rows_ended * jump

    multiply.__qualname__ = f"multiply_{vectors}"
    return kernel(multiply)


_multiply_wide, _multiply_narrow = _multiply(VECTORS), _multiply(1)


@kernel
def multiply(x, x_start, pixels, taps, depth, panels, panel, y, y_start, step, column, columns, jump, channels):
    """y[pixel, k] = bias[k] + sum over t, d of x[x_start + taps[t] + pixel * depth + d] * w[t, d, k], for every k.

    Pixels lie `step` elements apart in y, and `jump` more where a row of `columns` pixels ends; `column` is that of pixel 0.
    """
    lanes = lanes_of(panels)
    rows = len(taps) * depth + 1
    for k in range(0, channels, VECTORS * lanes):
        if channels - k > lanes:
            _multiply_wide(x, x_start, pixels, taps, depth, panels, panel + k * rows,
                           y, y_start + k, step, column, columns, jump, channels - k)
        else:
            _multiply_narrow(x, x_start, pixels, taps, depth, panels, panel + k * rows,
                             y, y_start + k, step, column, columns, jump, channels - k)


def _correlate(vectors):
    """Sum of outer products over pixels, added to partial sums in memory."""

    def correlate(x, x_start, pixels, taps, depth, extent, dy, partial, start):
        width = vectors * lanes_of(dy)
        for t in range(len(taps)):
            for d in range(0, extent, ROWS):
                tile = tile_load(partial, start, width, vectors)
                x_offset = x_start + taps[t] + d
                for pixel in range(pixels):
                    tile = tile_multiply_add(tile, x, x_offset + pixel * depth, 1, dy, pixel * width)
                tile_store(tile, partial, start, width)
                start += ROWS * width

    correlate.__qualname__ = f"correlate_{vectors}"
    return kernel(correlate)


_correlate_wide, _correlate_narrow = _correlate(VECTORS), _correlate(1)


@kernel
def correlate(x, x_start, pixels, taps, depth, extent, dy, channels, partial, start):
    """partial[t, d, k] += sum over pixels of x[x_start + taps[t] + pixel * depth + d] * dy[pixel, k], for one panel of dy.

    d runs to `extent`, rounded up to a multiple of ROWS: so many rows `partial` has for each tap.
    """
    if channels > lanes_of(dy):
        _correlate_wide(x, x_start, pixels, taps, depth, extent, dy, partial, start)
    else:
        _correlate_narrow(x, x_start, pixels, taps, depth, extent, dy, partial, start)


@kernel
def copy_run(x, source, target, start, count):
    """target[start : start + count] = x[source : source + count], one vector at a time."""
    lanes = lanes_of(x)
    whole = count // lanes * lanes
    for i in range(0, whole, lanes):
        lanes_copy_all(target, start + i, x, source + i, lanes)
    if whole < count:
        lanes_copy(target, start + whole, x, source + whole, count - whole)


@kernel
def pack_gradient(dy, start, step, pixels, channels, panel):
    """panel[pixel, k] = dy[start + pixel * step + k], zero beyond the channels: one panel of at most WIDTH channels."""
    lanes = lanes_of(dy)
    width = VECTORS * lanes if channels > lanes else lanes
    for pixel in range(pixels):
        _pack_row(dy, start + pixel * step, channels, panel, pixel * width, width)


@kernel
def _pack_row(w, source, count, panels, start, width):
    """panels[start : start + width] = w[source : source + count], then zeros."""
    lanes = lanes_of(panels)
    for k in range(0, width, lanes):
        lanes_copy_padded(panels, start + k, w, source + k, count - k)


@kernel
def _pack_transposed(w, source, depth_step, K_step, depth, panels, start, count, width):
    """panels[start + d * width + k] = w[source + d * depth_step + k * K_step] for `count` channels, then zeros.

    Sixteen d at a time, so that the lines of both arrays are used while they are near.
    """
    for first in range(0, depth, 16):
        last = min(first + 16, depth)
        for k in range(width):
            at, target = natural(source + first * depth_step + k * K_step), natural(start + first * width + k)
            for _ in range(natural(last - first)):
                panels[target] = w[at] if k < count else 0
                at += natural(depth_step)
                target += natural(width)


@kernel
def _pack_block(w, source, strides, R, S, depth, panels, start, count, width):
    """One panel: panels[start + ((r * S + s) * depth + d) * width + k] = w[r, s, d, k] for `count` channels, then zeros."""
    for r in range(R):
        for s in range(S):
            tap = source + r * strides.R + s * strides.S
            if strides.K == 1:
                for d in range(depth):
                    _pack_row(w, tap + d * strides.depth, count, panels, start + d * width, width)
            else:
                _pack_transposed(w, tap, strides.depth, strides.K, depth, panels, start, count, width)
            start += depth * width


@parallel_kernel
def pack_panels(w, layout, R, S, depth, bias, panels, worker, workers):
    """Panels of a filter for `multiply`: the bias row (zeros where `bias` is empty), then w[r, s, d, k] of each group.

    `w` is flat; `layout` (one record) says where its elements lie: element (r, s, d, k) of group g at
    start + g * group + r * R + s * S + d * depth + k * K.
    """
    lanes = lanes_of(panels)
    strides = layout[0]
    channels = strides.channels
    blocks = (channels + VECTORS * lanes - 1) // (VECTORS * lanes)
    rows = R * S * depth + 1
    for task in range(worker, strides.groups * blocks, workers):
        group, block = divmod(task, blocks)
        k = block * VECTORS * lanes
        count = min(channels - k, VECTORS * lanes)
        width = VECTORS * lanes if count > lanes else lanes
        panel = (group * ((channels + lanes - 1) // lanes * lanes) + k) * rows
        for lane in range(width):
            panels[panel + lane] = bias[group * channels + k + lane] if lane < count and len(bias) > 0 else 0
        _pack_block(w, strides.start + group * strides.group + k * strides.K, strides, R, S, depth, panels,
                    panel + width, count, width)


@kernel
def _sum_panels(partial, start, chunks, distance, rows, row, channels, dw, target):
    """dw[target + k] = sum over chunks, in order, of one weight's row in the panels."""
    lanes = lanes_of(partial)
    for k in range(0, channels, VECTORS * lanes):
        width = VECTORS * lanes if channels - k > lanes else lanes
        source = start + k * rows + row * width
        wanted, to, at = natural(min(width, channels - k)), natural(target + k), natural(source)
        for lane in range(wanted):
            dw[to + lane] = partial[at + lane]
        for _ in range(1, chunks):
            at += natural(distance)
            for lane in range(wanted):
                dw[to + lane] += partial[at + lane]


@parallel_kernel
def sum_chunks(partial, chunks, groups, taps, depth, padded_depth, channels, dw, worker, workers):
    """dw[t, d, group, k] = sum over chunks, in order, of the panels partial[chunk, group, t, d, k]."""
    lanes = lanes_of(partial)
    rows = taps * padded_depth
    group_size = (channels + lanes - 1) // lanes * lanes * rows
    for weight in range(worker, taps * depth, workers):
        t, d = divmod(weight, depth)
        for group in range(groups):
            _sum_panels(partial, group * group_size, chunks, groups * group_size, rows, t * padded_depth + d,
                        channels, dw, (weight * groups + group) * channels)


@kernel
def _sum_rows(dy, first, last, channels, fold, partial, start):
    """partial[start + i] = sum of every `fold`-th of the rows first to last; i runs over `fold` rows side by side."""
    width = fold * channels
    sums = natural(start)
    for i in range(natural(width)):
        partial[sums + i] = 0
    for row in range(first, last, fold):
        source = natural(row * channels)
        for i in range(natural(min(width, (last - row) * channels))):
            partial[sums + i] += dy[source + i]


@parallel_kernel
def sum_rows(dy, rows, channels, fold, chunks, partial, worker, workers):
    """partial[chunk, f, k] = sum over the chunk's rows of dy (rows, channels), `fold` rows side by side for long vectors."""
    for chunk in range(worker, chunks, workers):
        _sum_rows(dy, rows * chunk // chunks, rows * (chunk + 1) // chunks, channels, fold,
                  partial, chunk * fold * channels)
