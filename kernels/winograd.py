"""Winograd convolution F(4x4, 3x3): a 3x3 filter with stride 1 in a quarter of the multiplications.

A 4x4 block of outputs comes from a 6x6 block of inputs d and a filter g as A^T [(G g G^T) * (B^T d B)] A, with `*` element
by element (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, section 4.3). Summed over channels,
each of the 36 elements becomes a matrix product of (blocks, C) with (C, K) on the register tile. The gradient of the input
is the same convolution with the filter flipped and transposed, that of the filter G^T [sum of (B^T d B) * (A dy A^T)] G.

Vectors run over channels. Inputs outside the image are loaded as zeros and outputs outside are not stored, so any height
and width will do, and nothing is copied beforehand.
"""

from ._jit import inline_kernel, kernel, parallel_kernel
from .scalar import natural
from .simd import (
    ROWS,
    VECTORS,
    lanes_load,
    lanes_of,
    lanes_store,
    tile_load,
    tile_multiply_add,
    tile_rows,
    tile_store,
)

BLOCK = 28 // ROWS * ROWS if ROWS > 6 else 30  # output blocks that are transformed and multiplied together
ELEMENTS = 36
GAP = (ROWS + 15) // 16 * 16  # a tile of inputs may reach so far into what follows; whole cache lines


@inline_kernel
def _input_column(d):
    """B^T d for a column of six."""
    d0, d1, d2, d3, d4, d5 = d
    even, odd = d4 - 4.0 * d2, d3 - 4.0 * d1
    even2, odd2 = d4 - d2, 2.0 * (d3 - d1)
    return 4.0 * d0 - 5.0 * d2 + d4, even + odd, even - odd, even2 + odd2, even2 - odd2, 4.0 * d1 - 5.0 * d3 + d5


@inline_kernel
def _output_column(m):
    """A^T m for a column of six."""
    m0, m1, m2, m3, m4, m5 = m
    sum1, difference1, sum2, difference2 = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return (m0 + sum1 + sum2, difference1 + 2.0 * difference2, sum1 + 4.0 * sum2,
            difference1 + 8.0 * difference2 + m5)


@inline_kernel
def _gradient_column(d):
    """A d for a column of four."""
    d0, d1, d2, d3 = d
    even, odd, even4, odd2 = d0 + d2, d1 + d3, d0 + 4.0 * d2, 2.0 * d1 + 8.0 * d3
    return d0, even + odd, even - odd, even4 + odd2, even4 - odd2, d3


@inline_kernel
def _filter_column(g):
    """G g for a column of three."""
    g0, g1, g2 = g
    even, even4, odd2 = g0 + g2, g0 + 4.0 * g2, 2.0 * g1
    return ((1 / 4) * g0, (-1 / 6) * (even + g1), (-1 / 6) * (even - g1), (1 / 24) * (even4 + odd2),
            (1 / 24) * (even4 - odd2), g2)


@inline_kernel
def _filter_gradient_column(s):
    """G^T s for a column of six."""
    s0, s1, s2, s3, s4, s5 = s
    sum1, difference1, sum2, difference2 = s1 + s2, s2 - s1, s3 + s4, s3 - s4
    return ((1 / 4) * s0 - (1 / 6) * sum1 + (1 / 24) * sum2, (1 / 6) * difference1 + (1 / 12) * difference2,
            (1 / 6) * (sum2 - sum1) + s5)


@inline_kernel
def _load3(array, at, distance, count):
    return (lanes_load(array, at, count), lanes_load(array, at + distance, count),
            lanes_load(array, at + 2 * distance, count))


@inline_kernel
def _load4(array, at, distance, count):
    return (lanes_load(array, at, count), lanes_load(array, at + distance, count),
            lanes_load(array, at + 2 * distance, count), lanes_load(array, at + 3 * distance, count))


@inline_kernel
def _load6(array, at, distance, count):
    return (lanes_load(array, at, count), lanes_load(array, at + distance, count),
            lanes_load(array, at + 2 * distance, count), lanes_load(array, at + 3 * distance, count),
            lanes_load(array, at + 4 * distance, count), lanes_load(array, at + 5 * distance, count))


@inline_kernel
def _store3(values, array, at, distance, count):
    lanes_store(values[0], array, at, count)
    lanes_store(values[1], array, at + distance, count)
    lanes_store(values[2], array, at + 2 * distance, count)


@inline_kernel
def _store6(values, array, at, distance, count):
    lanes_store(values[0], array, at, count)
    lanes_store(values[1], array, at + distance, count)
    lanes_store(values[2], array, at + 2 * distance, count)
    lanes_store(values[3], array, at + 3 * distance, count)
    lanes_store(values[4], array, at + 4 * distance, count)
    lanes_store(values[5], array, at + 5 * distance, count)


@kernel
def _load_pixel(x, image, H, W, C, h, column, c):
    """Channels from c on of one pixel, or zeros outside the image."""
    inside = 0 <= h < H and 0 <= column < W
    return lanes_load(x, image + (h * W + column) * C + c, C - c if inside else 0)


@kernel
def _input_block(x, image, H, W, C, h, column, c, work, at):
    """work[at + 6 i + j] = (B^T d B)[i, j] for the 6x6 pixels from (h, column) on, one vector of channels from c on."""
    lanes = lanes_of(x)
    for j in range(6):
        d = (_load_pixel(x, image, H, W, C, h, column + j, c), _load_pixel(x, image, H, W, C, h + 1, column + j, c),
             _load_pixel(x, image, H, W, C, h + 2, column + j, c), _load_pixel(x, image, H, W, C, h + 3, column + j, c),
             _load_pixel(x, image, H, W, C, h + 4, column + j, c), _load_pixel(x, image, H, W, C, h + 5, column + j, c))
        _store6(_input_column(d), work, at + j * lanes, 6 * lanes, lanes)


@kernel
def _blocks(w):
    """Number of output blocks of all images."""
    return w.N * ((w.P + 3) // 4) * ((w.Q + 3) // 4)


@kernel
def _block_position(w, number):
    """Image, row and column of the first output of a block."""
    across = (w.Q + 3) // 4
    n, in_image = divmod(number, (w.P + 3) // 4 * across)
    return n, in_image // across * 4, in_image % across * 4


@kernel
def _transform_inputs(x, w, first, count, scratch, work, at):
    """scratch[at:] as columns[e, t, c] = (B^T d B)[e] for the output blocks first to first + count."""
    lanes = lanes_of(x)
    for t in range(count):
        n, p, q = _block_position(w, first + t)
        for c in range(0, w.C, lanes):
            _input_block(x, n * w.H * w.W * w.C, w.H, w.W, w.C, p - w.top, q - w.left, c, scratch, work)
            for i in range(6):
                d = _load6(scratch, work + 6 * i * lanes, lanes, lanes)
                _store6(_input_column(d), scratch, at + (6 * i * BLOCK + t) * w.C + c, BLOCK * w.C, w.C - c)


def _products(vectors):
    """products[e, t, k] = sum over c of columns[e, t, c] * filter[e, c, k], for one panel of output channels."""

    def products(columns, at, count, C, panels, panel, panel_distance, target, target_at):
        width = vectors * lanes_of(panels)
        for e in range(ELEMENTS):
            for first in range(0, count, ROWS):
                tile = tile_rows(panels, panel + e * panel_distance, vectors)
                w = panel + e * panel_distance + width
                x = at + (e * BLOCK + first) * C
                for c in range(C):
                    tile = tile_multiply_add(tile, columns, x + c, C, panels, w)
                    w += width
                tile_store(tile, target, target_at + (e * BLOCK + first) * width, width)

    products.__name__ = products.__qualname__ = f"winograd_products_{vectors}"
    return kernel(products)


_products_wide, _products_narrow = _products(VECTORS), _products(1)


@kernel
def _transform_outputs(w, first, count, k, width, products, at, work, work_at, bias, y):
    """y = bias + A^T m A for the output blocks first to first + count and one panel of channels from k on."""
    lanes = lanes_of(y)
    for t in range(count):
        n, p, q = _block_position(w, first + t)
        for lane in range(0, width, lanes):
            source = at + t * width + lane
            for j in range(6):
                m = _load6(products, source + j * BLOCK * width, 6 * BLOCK * width, lanes)
                o0, o1, o2, o3 = _output_column(m)
                lanes_store(o0, work, work_at + j * lanes, lanes)
                lanes_store(o1, work, work_at + (6 + j) * lanes, lanes)
                lanes_store(o2, work, work_at + (12 + j) * lanes, lanes)
                lanes_store(o3, work, work_at + (18 + j) * lanes, lanes)
            channels = w.K - k - lane
            shift = lanes_load(bias, k + lane, channels if len(bias) > 0 else 0)
            for i in range(4):
                o0, o1, o2, o3 = _output_column(_load6(work, work_at + 6 * i * lanes, lanes, lanes))
                to = ((n * w.P + p + i) * w.Q + q) * w.K + k + lane
                inside = channels if p + i < w.P else 0
                lanes_store(o0 + shift, y, to, inside)
                lanes_store(o1 + shift, y, to + w.K, inside if q + 1 < w.Q else 0)
                lanes_store(o2 + shift, y, to + 2 * w.K, inside if q + 2 < w.Q else 0)
                lanes_store(o3 + shift, y, to + 3 * w.K, inside if q + 3 < w.Q else 0)


@parallel_kernel
def winograd_forward(x, window, panels, bias, y, scratch, worker, workers):
    """y = 3x3 convolution of x with stride 1; `panels` come from `winograd_filter`, `bias` may be empty."""
    w = window[0]
    lanes = lanes_of(x)
    width = VECTORS * lanes
    room = len(scratch) // workers
    columns = worker * room
    products = columns + ELEMENTS * BLOCK * w.C
    work = products + ELEMENTS * BLOCK * width
    padded = (w.K + lanes - 1) // lanes * lanes
    rows = w.C + 1
    total = _blocks(w)
    for task in range(worker, (total + BLOCK - 1) // BLOCK, workers):
        first = task * BLOCK
        count = min(BLOCK, total - first)
        _transform_inputs(x, w, first, count, scratch, work, columns)
        for k in range(0, w.K, width):
            if w.K - k > lanes:
                _products_wide(scratch, columns, count, w.C, panels, k * rows, padded * rows, scratch, products)
                _transform_outputs(w, first, count, k, width, scratch, products, scratch, work, bias, y)
            else:
                _products_narrow(scratch, columns, count, w.C, panels, k * rows, padded * rows, scratch, products)
                _transform_outputs(w, first, count, k, lanes, scratch, products, scratch, work, bias, y)


@kernel
def _filter_rows(weight, strides, c, k, count, wide, panels, panel, distance, row, work, at):
    """panels[e, row, k] = (G g G^T)[e] for one input channel and one vector of output channels."""
    lanes = lanes_of(panels)
    for s in range(3):
        for r in range(3):
            source = strides.start + r * strides.R + s * strides.S + c * strides.depth + k * strides.K
            for lane in range(lanes):
                work[at + r * lanes + lane] = weight[source + lane * strides.K] if lane < count else 0
        _store6(_filter_column(_load3(work, at, lanes, lanes)), work, at + (3 + s) * lanes, 3 * lanes, lanes)
    for i in range(6):
        u = _filter_column(_load3(work, at + (3 + 3 * i) * lanes, lanes, lanes))
        _store6(u, panels, panel + 6 * i * distance + row * wide, distance, lanes)


@parallel_kernel
def winograd_filter(weight, layout, depth, panels, scratch, worker, workers):
    """Panels (36, channels, depth + 1) of G g G^T for every input channel, below a row of zeros; see `pack_panels`."""
    strides = layout[0]
    lanes = lanes_of(panels)
    rows = depth + 1
    padded = (strides.channels + lanes - 1) // lanes * lanes
    work = worker * 32 * lanes
    for task in range(worker, rows, workers):
        for k in range(0, padded, lanes):
            panel_first = k // (VECTORS * lanes) * VECTORS * lanes
            wide = VECTORS * lanes if strides.channels - panel_first > lanes else lanes
            panel = panel_first * rows + k - panel_first
            if task == 0:
                for e in range(ELEMENTS):
                    for lane in range(lanes):
                        panels[panel + e * padded * rows + lane] = 0
            else:
                _filter_rows(weight, strides, task - 1, k, strides.channels - k, wide, panels, panel, padded * rows, task,
                             scratch, work)


@kernel
def _transform_gradients(dy, w, first, count, k, width, scratch, work, at):
    """scratch[at:] as gradients[e, t, k] = (A dy A^T)[e] for the output blocks first to first + count, one panel of K."""
    lanes = lanes_of(dy)
    for t in range(count):
        n, p, q = _block_position(w, first + t)
        image = n * w.P * w.Q * w.K
        for lane in range(0, width, lanes):
            for j in range(4):
                d = (_load_pixel(dy, image, w.P, w.Q, w.K, p, q + j, k + lane),
                     _load_pixel(dy, image, w.P, w.Q, w.K, p + 1, q + j, k + lane),
                     _load_pixel(dy, image, w.P, w.Q, w.K, p + 2, q + j, k + lane),
                     _load_pixel(dy, image, w.P, w.Q, w.K, p + 3, q + j, k + lane))
                _store6(_gradient_column(d), scratch, work + j * lanes, 4 * lanes, lanes)
            for i in range(6):
                d = _load4(scratch, work + 4 * i * lanes, lanes, lanes)
                _store6(_gradient_column(d), scratch, at + (6 * i * BLOCK + t) * width + lane, BLOCK * width, lanes)


def _correlations(vectors):
    """partial[e, c, k] += sum over t of columns[e, t, c] * gradients[e, t, k], for one panel of output channels."""

    def correlations(scratch, columns, gradients, count, C, padded_C, partial, start):
        width = vectors * lanes_of(scratch)
        for e in range(ELEMENTS):
            for c in range(0, C, ROWS):
                target = start + (e * padded_C + c) * width
                tile = tile_load(partial, target, width, vectors)
                x, dy = columns + e * BLOCK * C + c, gradients + e * BLOCK * width
                for t in range(count):
                    tile = tile_multiply_add(tile, scratch, x + t * C, 1, scratch, dy + t * width)
                tile_store(tile, partial, target, width)

    correlations.__name__ = correlations.__qualname__ = f"winograd_correlations_{vectors}"
    return kernel(correlations)


_correlations_wide, _correlations_narrow = _correlations(VECTORS), _correlations(1)


@kernel
def _weight_blocks(x, w, dy, first, last, k_first, k_last, scratch, start, partial, base):
    """Add the output blocks first to last to the partial sums of the channels k_first to k_last."""
    lanes = lanes_of(x)
    width = VECTORS * lanes
    padded_C = (w.C + ROWS - 1) // ROWS * ROWS
    gradients = start + ELEMENTS * BLOCK * w.C + GAP
    work = gradients + ELEMENTS * BLOCK * width
    for at in range(first, last, BLOCK):
        count = min(BLOCK, last - at)
        _transform_inputs(x, w, at, count, scratch, work, start)
        for k in range(k_first, k_last, width):
            target = base + k * padded_C * ELEMENTS
            if w.K - k > lanes:
                _transform_gradients(dy, w, at, count, k, width, scratch, work, gradients)
                _correlations_wide(scratch, start, gradients, count, w.C, padded_C, partial, target)
            else:
                _transform_gradients(dy, w, at, count, k, lanes, scratch, work, gradients)
                _correlations_narrow(scratch, start, gradients, count, w.C, padded_C, partial, target)


@parallel_kernel
def winograd_backward_weight(x, window, dy, chunks, parts, partial, scratch, worker, workers):
    """partial[chunk, k panel, e, c, k] = sum over the chunk's output blocks; `winograd_filter_gradient` adds the chunks."""
    w = window[0]
    lanes = lanes_of(x)
    width = VECTORS * lanes
    padded_C = (w.C + ROWS - 1) // ROWS * ROWS
    padded_K = (w.K + lanes - 1) // lanes * lanes
    total = _blocks(w)
    panels = (w.K + width - 1) // width
    room = len(scratch) // workers
    for task in range(worker, chunks * parts, workers):
        chunk, part = divmod(task, parts)
        k_first, k_last = panels * part // parts * width, min(panels * (part + 1) // parts * width, padded_K)
        base = chunk * ELEMENTS * padded_C * padded_K
        for i in range(natural(base + k_first * padded_C * ELEMENTS), natural(base + k_last * padded_C * ELEMENTS)):
            partial[i] = 0
        _weight_blocks(x, w, dy, total * chunk // chunks, total * (chunk + 1) // chunks, k_first, k_last,
                       scratch, worker * room, partial, base)


@kernel
def _sum_elements(partial, start, distance, chunks, chunk_distance, scratch, work):
    """scratch[work + e] = sum over chunks, in order, of one vector of partial sums for each element."""
    lanes = lanes_of(partial)
    for e in range(ELEMENTS):
        total = lanes_load(partial, start + e * distance, lanes)
        for chunk in range(1, chunks):
            total = total + lanes_load(partial, start + e * distance + chunk * chunk_distance, lanes)
        lanes_store(total, scratch, work + e * lanes, lanes)


@parallel_kernel
def winograd_filter_gradient(partial, window, chunks, dw, scratch, worker, workers):
    """dw[r, s, c, k] = G^T S G for the sums S over all chunks."""
    w = window[0]
    lanes = lanes_of(partial)
    padded_C = (w.C + ROWS - 1) // ROWS * ROWS
    padded_K = (w.K + lanes - 1) // lanes * lanes
    work = worker * 64 * lanes
    for c in range(worker, w.C, workers):
        for k in range(0, padded_K, lanes):
            panel = k // (VECTORS * lanes) * VECTORS * lanes
            width = VECTORS * lanes if w.K - panel > lanes else lanes
            start = panel * padded_C * ELEMENTS + c * width + k - panel
            _sum_elements(partial, start, padded_C * width, chunks, ELEMENTS * padded_C * padded_K, scratch, work)
            for j in range(6):
                column = _load6(scratch, work + j * lanes, 6 * lanes, lanes)
                _store3(_filter_gradient_column(column), scratch, work + (36 + j) * lanes, 6 * lanes, lanes)
            for r in range(3):
                row = _load6(scratch, work + (36 + 6 * r) * lanes, lanes, lanes)
                _store3(_filter_gradient_column(row), dw, (3 * r * w.C + c) * w.K + k, w.C * w.K, w.K - k)
