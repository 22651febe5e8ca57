"""The two products that convolution and linear layers are made of, on the register tile.

`multiply` makes output pixels: rows of a tile are pixels, lanes are output channels, the sum runs over the filter.
`correlate` makes weight gradients: rows are the weights of an output channel, lanes are output channels, the sum runs over
pixels. Both read weights or gradients from panels, matrices of as many channels as a tile has lanes, padded with zeros:
`width` is a tuple with an element for each vector of a tile, and chooses among tiles of one to four vectors.

Each sum is taken in one order that depends on the shape alone.
"""

from ..jit.compile import kernel, parallel_kernel
from ..vector.scalar import unsigned
from ..vector.simd import lanes_copy, lanes_copy_all, lanes_copy_padded, lanes_of, lanes_store, lanes_zero
from ..vector.tile import (
    rows_of,
    tile_load,
    tile_multiply_add,
    tile_positions,
    tile_prefetch,
    tile_rows,
    tile_scatter,
    tile_store,
)

LINE = 16  # float32 elements of a cache line


@kernel
def multiply(x, sources, pixels, offsets, panels, panel, bias, shift, y, targets, distance, channels, addend, floor, fresh,
             width):
    """y[targets[i] + distance + k] = bias[shift + k] + sum over d of x[sources[i] + offsets[d]] * w[d, k] + what lies at
    the same place in `addend`, or the floor if that is larger; NaN is no floor.

    The panel of w begins at panels[panel]; `sources` holds whole tiles of positions; k runs to `channels`, at most a
    panel. `bias` and `addend` may be empty. Where the inputs of the next tile are all `fresh`, unlike those of overlapping
    windows, they are asked for in advance.
    """
    step, rows = len(width) * lanes_of(panels), rows_of(width)
    for first in range(0, pixels, rows):
        positions = tile_positions(sources, first, width)
        following = tile_positions(sources, min(first + rows, pixels - 1), width)
        tile = tile_rows(bias, shift, channels if len(bias) > 0 else 0, width)
        w = panel
        for d in range(0, len(offsets), LINE):
            if fresh:
                tile_prefetch(x, following, offsets[d])
            for i in range(d, min(d + LINE, len(offsets))):
                tile = tile_multiply_add(tile, x, positions, offsets[i], panels, w)
                w += step
        tile_scatter(tile, y, targets, first, distance, pixels - first, channels, floor, addend, len(addend) > 0)


@kernel
def correlate(x, origins, rows, columns, step, offsets, weights, panel, partial, start, width):
    """partial[d, k] += sum over rows and columns of x[origins[row] + column * step + offsets[d]] * dy[pixel, k].

    `offsets` and `partial` hold whole tiles of weights d; one panel of dy begins at panel[0].
    """
    lanes = len(width) * lanes_of(panel)
    for d in range(0, weights, rows_of(width)):
        positions = tile_positions(offsets, d, width)
        tile = tile_load(partial, start + d * lanes, width)
        dy = 0
        for row in range(rows):
            at = origins[row]
            for _ in range(columns):
                tile = tile_multiply_add(tile, x, positions, at, panel, dy)
                at += step
                dy += lanes
        tile_store(tile, partial, start + d * lanes, lanes)


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
def copy_run_padded(x, source, target, start, count):
    """The same in whole vectors: zeros follow what is copied, up to a whole one."""
    lanes = lanes_of(x)
    whole = count // lanes * lanes
    for i in range(0, whole, lanes):
        lanes_copy_all(target, start + i, x, source + i, lanes)
    if whole < count:
        lanes_copy_padded(target, start + whole, x, source + whole, count - whole)


@kernel
def zero_run(target, start, count):
    """target[start : start + count] = 0, and more up to a whole vector."""
    lanes = lanes_of(target)
    for i in range(start, start + count, lanes):
        lanes_store(lanes_zero(target), target, i, lanes)


@kernel
def pack_row(w, source, count, panels, start, width):
    """panels[start : start + width] = w[source : source + count], then zeros."""
    lanes = lanes_of(panels)
    whole = min(count, width) // lanes * lanes
    for k in range(0, whole, lanes):
        lanes_copy_all(panels, start + k, w, source + k, lanes)
    for k in range(whole, width, lanes):
        lanes_copy_padded(panels, start + k, w, source + k, count - k)


@kernel
def _pack_transposed(w, source, depth_step, K_step, depth, panels, start, count, width):
    """panels[start + d * width + k] = w[source + d * depth_step + k * K_step] for `count` channels, then zeros.

    Sixteen d at a time, so that the lines of both arrays are used while they are near.
    """
    for first in range(0, depth, 16):
        last = min(first + 16, depth)
        for k in range(width):
            at, target = unsigned(source + first * depth_step + k * K_step), unsigned(start + first * width + k)
            for _ in range(unsigned(last - first)):
                panels[target] = w[at] if k < count else 0
                at += unsigned(depth_step)
                target += unsigned(width)


@kernel
def _pack_block(w, source, strides, R, S, depth, panels, start, count, width):
    """One panel: panels[start + ((r * S + s) * depth + d) * width + k] = w[r, s, d, k] for `count` channels, then zeros."""
    for r in range(R):
        for s in range(S):
            tap = source + r * strides.R + s * strides.S
            if strides.K == 1:
                for d in range(depth):
                    pack_row(w, tap + d * strides.depth, count, panels, start + d * width, width)
            else:
                _pack_transposed(w, tap, strides.depth, strides.K, depth, panels, start, count, width)
            start += depth * width


@parallel_kernel
def pack_panels(w, layout, R, S, depth, width, panels, worker, workers):
    """Panels of a filter for `multiply`: w[r, s, d, k] of each group, `width` channels at a time.

    `w` is flat; `layout` (one record) says where its elements lie: element (r, s, d, k) of group g at
    start + g * group + r * R + s * S + d * depth + k * K.
    """
    strides = layout[0]
    blocks = (strides.channels + width - 1) // width
    size = R * S * depth * width
    for task in range(worker, strides.groups * blocks, workers):
        group, block = divmod(task, blocks)
        k = block * width
        source = strides.start + group * strides.group + k * strides.K
        _pack_block(w, source, strides, R, S, depth, panels, task * size, min(strides.channels - k, width), width)


@kernel
def _sum_panels(partial, start, chunks, distance, rows, channels, width, dw, target):
    """dw[target + k] = sum over chunks, in order, of one weight's row in the panels, which have `rows` rows."""
    for k in range(0, channels, width):
        wanted, to, at = unsigned(min(width, channels - k)), unsigned(target + k), unsigned(start + k * rows)
        for lane in range(wanted):
            dw[to + lane] = partial[at + lane]
        for _ in range(1, chunks):
            at += unsigned(distance)
            for lane in range(wanted):
                dw[to + lane] += partial[at + lane]


@parallel_kernel
def sum_chunks(partial, chunks, groups, weights, rows, channels, width, dw, worker, workers):
    """dw[d, group, k] = sum over chunks, in order, of partial[chunk, group, panel, d, k], in panels of `rows` weights."""
    group_size = (channels + width - 1) // width * width * rows
    for d in range(worker, weights, workers):
        for group in range(groups):
            _sum_panels(partial, group * group_size + d * width, chunks, groups * group_size, rows, channels, width,
                        dw, (d * groups + group) * channels)


@kernel
def _sum_rows(dy, first, last, channels, fold, partial, start):
    """partial[start + i] = sum of every `fold`-th of the rows first to last; i runs over `fold` rows side by side."""
    width = fold * channels
    sums = unsigned(start)
    for i in range(unsigned(width)):
        partial[sums + i] = 0
    for row in range(first, last, fold):
        source = unsigned(row * channels)
        for i in range(unsigned(min(width, (last - row) * channels))):
            partial[sums + i] += dy[source + i]


@parallel_kernel
def sum_rows(dy, rows, channels, fold, chunks, partial, worker, workers):
    """partial[chunk, f, k] = sum over the chunk's rows of dy (rows, channels), `fold` rows side by side for long vectors."""
    for chunk in range(worker, chunks, workers):
        _sum_rows(dy, rows * chunk // chunks, rows * (chunk + 1) // chunks, channels, fold,
                  partial, chunk * fold * channels)
