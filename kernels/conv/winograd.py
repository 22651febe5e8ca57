"""Winograd convolution F(4x4, 3x3): a 3x3 filter with stride 1 in a quarter of the multiplications.

A 4x4 block of outputs comes from a 6x6 block of inputs d and a filter g as A^T [(G g G^T) * (B^T d B)] A, with `*` element
by element (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, section 4.3). Summed over channels,
each of the 36 elements becomes a matrix product of (blocks, C) with (C, K) on the register tile. The gradient of the input
is the same convolution with the filter flipped and transposed, that of the filter G^T [sum of (B^T d B) * (A dy A^T)] G.

Vectors run over channels. Inputs outside the image are loaded as zeros and outputs outside are not stored, so any height
and width will do, and nothing is copied beforehand.
"""

from ..jit.compile import inline_kernel, kernel, parallel_kernel
from ..jit.launch import next_task
from ..vector.scalar import unsigned
from ..vector.simd import lanes_load, lanes_not_below, lanes_of, lanes_store
from ..vector.tile import rows_of, tile_load, tile_multiply_add, tile_store, tile_strided, tile_zeros
from .products import copy_run

ELEMENTS = 36
GAP = 16  # a tile of inputs may reach so far into what follows
STRIP = 4  # output blocks, or input channels of a filter, that are transformed at a time


@inline_kernel
def _upper_inputs(d0, d1, d2, d3, d4):
    """Elements 0 to 2 of B^T d for a column of six, of which these are the first five."""
    even, odd = d4 - 4.0 * d2, d3 - 4.0 * d1
    return 4.0 * d0 - 5.0 * d2 + d4, even + odd, even - odd


@inline_kernel
def _lower_inputs(d1, d2, d3, d4, d5):
    """Elements 3 to 5 of B^T d for a column of six, of which these are the last five."""
    even, odd = d4 - d2, 2.0 * (d3 - d1)
    return even + odd, even - odd, 4.0 * d1 - 5.0 * d3 + d5


@inline_kernel
def _input_row(d0, d1, d2, d3, d4, d5):
    """d B for a row of six."""
    upper, lower = _upper_inputs(d0, d1, d2, d3, d4), _lower_inputs(d1, d2, d3, d4, d5)
    return upper[0], upper[1], upper[2], lower[0], lower[1], lower[2]


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


@inline_kernel
def _upper(x, at, row, count):
    """Elements 0 to 2 of B^T d for the column of pixels that begins at `at`."""
    return _upper_inputs(lanes_load(x, at, count), lanes_load(x, at + row, count), lanes_load(x, at + 2 * row, count),
                         lanes_load(x, at + 3 * row, count), lanes_load(x, at + 4 * row, count))


@inline_kernel
def _lower(x, at, row, count):
    """Elements 3 to 5 of B^T d for the column of pixels that begins at `at`."""
    return _lower_inputs(lanes_load(x, at + row, count), lanes_load(x, at + 2 * row, count),
                         lanes_load(x, at + 3 * row, count), lanes_load(x, at + 4 * row, count),
                         lanes_load(x, at + 5 * row, count))


@inline_kernel
def _store_rows(a, b, c, d, e, f, columns, at, row, step, count):
    """Three rows of (B^T d) B, from three elements of each of six columns."""
    _store6(_input_row(a[0], b[0], c[0], d[0], e[0], f[0]), columns, at, step, count)
    _store6(_input_row(a[1], b[1], c[1], d[1], e[1], f[1]), columns, at + row, step, count)
    _store6(_input_row(a[2], b[2], c[2], d[2], e[2], f[2]), columns, at + 2 * row, step, count)


@kernel
def _transform_block(x, at, row, C, count, columns, to, to_row, to_step):
    """columns[to + i * to_row + j * to_step:] = (B^T d B)[i, j] for 6x6 pixels from x[at] on, one vector of channels.

    In two halves, whose 18 vectors stay in registers.
    """
    _store_rows(_upper(x, at, row, count), _upper(x, at + C, row, count), _upper(x, at + 2 * C, row, count),
                _upper(x, at + 3 * C, row, count), _upper(x, at + 4 * C, row, count), _upper(x, at + 5 * C, row, count),
                columns, to, to_row, to_step, count)
    _store_rows(_lower(x, at, row, count), _lower(x, at + C, row, count), _lower(x, at + 2 * C, row, count),
                _lower(x, at + 3 * C, row, count), _lower(x, at + 4 * C, row, count), _lower(x, at + 5 * C, row, count),
                columns, to + 3 * to_row, to_row, to_step, count)


@kernel
def _copy_block(x, image, H, W, C, h, column, c, work, at):
    """work[at + 6 i + j] = the 6x6 pixels from (h, column) on, one vector of channels from c on, zeros outside the image."""
    lanes = lanes_of(x)
    for i in range(6):
        for j in range(6):
            lanes_store(_load_pixel(x, image, H, W, C, h + i, column + j, c), work, at + (6 * i + j) * lanes, lanes)


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
def _transform_inputs(x, w, first, count, columns, at, row, work, work_at):
    """columns[at + i * row + (6 t + j) * C + c] = (B^T d B)[i, j] for the output blocks first to first + count."""
    lanes = lanes_of(x)
    for t in range(count):
        n, p, q = _block_position(w, first + t)
        image, h, column = n * w.H * w.W * w.C, p - w.top, q - w.left
        interior = 0 <= h <= w.H - 6 and 0 <= column <= w.W - 6
        for c in range(0, w.C, lanes):
            to = at + 6 * t * w.C + c
            if interior:
                _transform_block(x, image + (h * w.W + column) * w.C + c, w.W * w.C, w.C, w.C - c, columns, to, row, w.C)
            else:
                _copy_block(x, image, w.H, w.W, w.C, h, column, c, work, work_at)
                _transform_block(work, work_at, 6 * lanes, lanes, w.C - c, columns, to, row, w.C)


@kernel
def _product(columns, x, count, C, panels, panel, products, target, width):
    """products[6 t, k] = sum over c of columns[6 t, c] * filter[c, k]: one of the 36 elements, one panel of channels."""
    lanes = len(width) * lanes_of(panels)
    for first in range(0, count, rows_of(width)):
        positions = tile_strided(x + 6 * first * C, 6 * C, width)
        tile = tile_zeros(products, width)
        w = panel
        for c in range(C):
            tile = tile_multiply_add(tile, columns, positions, c, panels, w)
            w += lanes
        tile_store(tile, products, target + 6 * first * lanes, 6 * lanes)


@inline_kernel
def _outputs(products, at, row, lanes):
    """A^T m for the column of elements that begins at `at`."""
    return _output_column(_load6(products, at, row, lanes))


@inline_kernel
def _store_outputs(m0, m1, m2, m3, m4, m5, shift, addend, floor, y, at, K, columns, count):
    """One row of four output pixels, of which `columns` exist, nothing below the floor; `addend` may be empty."""
    o0, o1, o2, o3 = _output_column((m0, m1, m2, m3, m4, m5))
    o0, o1, o2, o3 = o0 + shift, o1 + shift, o2 + shift, o3 + shift
    if len(addend) > 0:
        o0 = o0 + lanes_load(addend, at, count)
        o1 = o1 + lanes_load(addend, at + K, count if columns > 1 else 0)
        o2 = o2 + lanes_load(addend, at + 2 * K, count if columns > 2 else 0)
        o3 = o3 + lanes_load(addend, at + 3 * K, count if columns > 3 else 0)
    lanes_store(lanes_not_below(o0, floor), y, at, count)
    lanes_store(lanes_not_below(o1, floor), y, at + K, count if columns > 1 else 0)
    lanes_store(lanes_not_below(o2, floor), y, at + 2 * K, count if columns > 2 else 0)
    lanes_store(lanes_not_below(o3, floor), y, at + 3 * K, count if columns > 3 else 0)


@kernel
def _output_block(products, at, products_row, step, shift, addend, floor, y, to, row, K, rows, columns, count):
    """4x4 output pixels A^T m A, of which `rows` by `columns` exist, for one vector of channels; m[i, j] lies at
    products[at + i * products_row + j * step:].
    """
    lanes = lanes_of(y)
    a, b = _outputs(products, at, products_row, lanes), _outputs(products, at + step, products_row, lanes)
    c, d = _outputs(products, at + 2 * step, products_row, lanes), _outputs(products, at + 3 * step, products_row, lanes)
    e, f = _outputs(products, at + 4 * step, products_row, lanes), _outputs(products, at + 5 * step, products_row, lanes)
    _store_outputs(a[0], b[0], c[0], d[0], e[0], f[0], shift, addend, floor, y, to, K, columns, count)
    _store_outputs(a[1], b[1], c[1], d[1], e[1], f[1], shift, addend, floor, y, to + row, K, columns,
                   count if rows > 1 else 0)
    _store_outputs(a[2], b[2], c[2], d[2], e[2], f[2], shift, addend, floor, y, to + 2 * row, K, columns,
                   count if rows > 2 else 0)
    _store_outputs(a[3], b[3], c[3], d[3], e[3], f[3], shift, addend, floor, y, to + 3 * row, K, columns,
                   count if rows > 3 else 0)


@kernel
def _transform_outputs(w, first, count, k, width, products, at, row, bias, addend, floor, y):
    """y = bias + A^T m A + addend for the output blocks first to first + count and one panel of channels from k on, or the
    floor if that is larger; NaN is no floor.

    Element m[i, j] of block t is products[at + i * row + (6 t + j) * width:].
    """
    lanes = lanes_of(y)
    for t in range(count):
        n, p, q = _block_position(w, first + t)
        for lane in range(0, min(width, w.K - k), lanes):
            channels = w.K - k - lane
            shift = lanes_load(bias, k + lane, channels if len(bias) > 0 else 0)
            _output_block(products, at + 6 * t * width + lane, row, width, shift, addend, floor, y,
                          ((n * w.P + p) * w.Q + q) * w.K + k + lane, w.Q * w.K, w.K, w.P - p, w.Q - q, channels)


@parallel_kernel
def winograd_forward(x, window, panels, bias, addend, floor, y, group, width, scratch, counter, worker, workers):
    """y = 3x3 convolution of x with stride 1; `panels` come from `winograd_filter`, `bias` and `addend` may be empty, NaN
    is no floor.

    A task transforms and multiplies a `group` of output blocks, whole tiles of them, which stay in the L2 cache.
    """
    w = window[0]
    lanes = len(width) * lanes_of(x)
    columns = worker * (len(scratch) // workers)
    in_place = lanes == w.C and lanes >= w.K  # the only panel of products fits where its inputs were: half the cache
    products = columns if in_place else columns + ELEMENTS * group * w.C
    work = products + ELEMENTS * group * lanes
    distance = (w.K + lanes - 1) // lanes * lanes * w.C
    total = _blocks(w)
    task = next_task(counter)
    while task * group < total:
        first = task * group
        count = min(group, total - first)
        _transform_inputs(x, w, first, count, scratch, columns, 6 * group * w.C, scratch, work)
        for k in range(0, w.K, lanes):
            for e in range(ELEMENTS):
                element = e // 6 * 6 * group + e % 6
                _product(scratch, columns + element * w.C, count, w.C, panels, k * w.C + e * distance,
                         scratch, products + element * lanes, width)
            _transform_outputs(w, first, count, k, lanes, scratch, products, 6 * group * lanes, bias, addend, floor, y)
        task = next_task(counter)


@parallel_kernel
def winograd_inputs(x, window, first, count, columns, distance, scratch, counter, worker, workers):
    """columns[i, t, j, c] = (B^T d B)[i, j] for the output blocks first to first + count; rows i are `distance` apart."""
    w = window[0]
    task = next_task(counter) * STRIP
    while task < count:
        _transform_inputs(x, w, first + task, min(STRIP, count - task), columns, 6 * task * w.C, distance,
                          scratch, worker * ELEMENTS * lanes_of(x))
        task = next_task(counter) * STRIP


@parallel_kernel
def winograd_products(columns, column_distance, count, C, panels, products, distance, width, counter, worker, workers):
    """products[panel, i, t, j, k] = sum over c of columns[i, t, j, c] * panels[6 i + j, panel, c, k], in rows i as above."""
    lanes = len(width) * lanes_of(panels)
    blocks = len(panels) // (ELEMENTS * C * lanes)
    task = next_task(counter)
    while task < blocks * ELEMENTS:
        block, e = divmod(task, ELEMENTS)
        i, j = divmod(e, 6)
        _product(columns, i * column_distance + j * C, count, C, panels, (e * blocks + block) * C * lanes,
                 products, (6 * block + i) * distance + j * lanes, width)
        task = next_task(counter)


@parallel_kernel
def winograd_outputs(window, first, count, products, distance, width, bias, addend, floor, y, counter, worker, workers):
    """y = bias + A^T m A + addend for the output blocks first to first + count, from panels of `width` channels."""
    w = window[0]
    task = next_task(counter) * STRIP
    while task < count:
        for k in range(0, w.K, width):
            _transform_outputs(w, first + task, min(STRIP, count - task), k, width, products,
                               k // width * 6 * distance + 6 * task * width, distance, bias, addend, floor, y)
        task = next_task(counter) * STRIP


@kernel
def _transform_filter(weight, at, rows, columns, count, target, to, distance):
    """target[to + e * distance:] = (G g G^T)[e] for one input channel and one vector of output channels.

    Element (r, s) of g lies at weight[at + r * rows + s * columns:].
    """
    lanes = lanes_of(target)
    a = _filter_column(_load3(weight, at, rows, count))
    b = _filter_column(_load3(weight, at + columns, rows, count))
    c = _filter_column(_load3(weight, at + 2 * columns, rows, count))
    _store6(_filter_column((a[0], b[0], c[0])), target, to, distance, lanes)
    _store6(_filter_column((a[1], b[1], c[1])), target, to + 6 * distance, distance, lanes)
    _store6(_filter_column((a[2], b[2], c[2])), target, to + 12 * distance, distance, lanes)
    _store6(_filter_column((a[3], b[3], c[3])), target, to + 18 * distance, distance, lanes)
    _store6(_filter_column((a[4], b[4], c[4])), target, to + 24 * distance, distance, lanes)
    _store6(_filter_column((a[5], b[5], c[5])), target, to + 30 * distance, distance, lanes)


@kernel
def _gather_filter(weight, source, strides, count, work, at):
    """work[at + (3 r + s) * lanes + k] = one input channel of the filter for `count` output channels, then zeros."""
    lanes = lanes_of(weight)
    for r in range(3):
        for s in range(3):
            tap, to = unsigned(source + r * strides.R + s * strides.S), unsigned(at + (3 * r + s) * lanes)
            for k in range(unsigned(min(count, lanes))):
                work[to + k] = weight[tap + k * unsigned(strides.K)]
            for k in range(unsigned(min(count, lanes)), unsigned(lanes)):
                work[to + k] = 0


@parallel_kernel
def winograd_filter(weight, layout, depth, width, panels, scratch, counter, worker, workers):
    """Panels [e, panel of `width` channels, input channel, channel] of G g G^T; see `matmul.pack_panels`.

    STRIP input channels of a panel are transformed in the caches and then copied, 36 long runs instead of single vectors.
    """
    strides = layout[0]
    lanes = lanes_of(panels)
    blocks, strips = (strides.channels + width - 1) // width, (depth + STRIP - 1) // STRIP
    distance = STRIP * width + lanes
    work = worker * (len(scratch) // workers)
    strip = work + 9 * lanes
    task = next_task(counter)
    while task < blocks * strips:
        block, number = divmod(task, strips)
        first = number * STRIP
        count = min(STRIP, depth - first)
        for c in range(count):
            for k in range(0, width, lanes):
                source = strides.start + (first + c) * strides.depth + (block * width + k) * strides.K
                channels, to = max(0, strides.channels - block * width - k), strip + c * width + k
                if strides.K == 1:
                    _transform_filter(weight, source, strides.R, strides.S, channels, scratch, to, distance)
                else:
                    _gather_filter(weight, source, strides, channels, scratch, work)
                    _transform_filter(scratch, work, 3 * lanes, lanes, lanes, scratch, to, distance)
        for e in range(ELEMENTS):
            copy_run(scratch, strip + e * distance, panels, ((e * blocks + block) * depth + first) * width, count * width)
        task = next_task(counter)


@inline_kernel
def _gradients(dy, image, w, p, q, k):
    """A dy for the column of four output pixels from (p, q) on, one vector of channels."""
    return _gradient_column((_load_pixel(dy, image, w.P, w.Q, w.K, p, q, k),
                             _load_pixel(dy, image, w.P, w.Q, w.K, p + 1, q, k),
                             _load_pixel(dy, image, w.P, w.Q, w.K, p + 2, q, k),
                             _load_pixel(dy, image, w.P, w.Q, w.K, p + 3, q, k)))


@kernel
def _gradient_block(dy, image, w, p, q, k, scratch, at, row, step):
    """scratch[at + i * row + j * step:] = (A dy A^T)[i, j] for one output block and one vector of channels from k on."""
    lanes = lanes_of(dy)
    a, b = _gradients(dy, image, w, p, q, k), _gradients(dy, image, w, p, q + 1, k)
    c, d = _gradients(dy, image, w, p, q + 2, k), _gradients(dy, image, w, p, q + 3, k)
    _store6(_gradient_column((a[0], b[0], c[0], d[0])), scratch, at, step, lanes)
    _store6(_gradient_column((a[1], b[1], c[1], d[1])), scratch, at + row, step, lanes)
    _store6(_gradient_column((a[2], b[2], c[2], d[2])), scratch, at + 2 * row, step, lanes)
    _store6(_gradient_column((a[3], b[3], c[3], d[3])), scratch, at + 3 * row, step, lanes)
    _store6(_gradient_column((a[4], b[4], c[4], d[4])), scratch, at + 4 * row, step, lanes)
    _store6(_gradient_column((a[5], b[5], c[5], d[5])), scratch, at + 5 * row, step, lanes)


@kernel
def _transform_gradients(dy, w, first, count, group, k, width, scratch, at):
    """scratch[at:] as gradients[i, t, j, k] = (A dy A^T)[i, j] for the output blocks first to first + count, one panel."""
    lanes = lanes_of(dy)
    for t in range(count):
        n, p, q = _block_position(w, first + t)
        for lane in range(0, width, lanes):
            _gradient_block(dy, n * w.P * w.Q * w.K, w, p, q, k + lane, scratch, at + 6 * t * width + lane,
                            6 * group * width, width)


@kernel
def _correlations(scratch, columns, gradients, count, group, C, partial, start, width):
    """partial[e, c, k] += sum over t of columns[e, t, c] * gradients[e, t, k], for one panel of output channels."""
    lanes = len(width) * lanes_of(scratch)
    for e in range(ELEMENTS):
        element = e // 6 * 6 * group + e % 6
        for c in range(0, C, rows_of(width)):
            tile = tile_load(partial, start, width)
            x, dy = columns + element * C + c, gradients + element * lanes
            for t in range(count):
                tile = tile_multiply_add(tile, scratch, x, 6 * t * C, scratch, dy + 6 * t * lanes)
            tile_store(tile, partial, start, lanes)
            start += rows_of(width) * lanes


@kernel
def _weight_blocks(x, w, dy, first, last, group, k_first, k_last, scratch, start, partial, base, width):
    """Add the output blocks first to last to the partial sums of the channels k_first to k_last."""
    lanes = len(width) * lanes_of(x)
    padded_C = (w.C + rows_of(width) - 1) // rows_of(width) * rows_of(width)
    gradients = start + ELEMENTS * group * w.C + GAP
    work = gradients + ELEMENTS * group * lanes
    for at in range(first, last, group):
        count = min(group, last - at)
        _transform_inputs(x, w, at, count, scratch, start, 6 * group * w.C, scratch, work)
        for k in range(k_first, k_last, lanes):
            _transform_gradients(dy, w, at, count, group, k, lanes, scratch, gradients)
            _correlations(scratch, start, gradients, count, group, w.C, partial, base + k * padded_C * ELEMENTS, width)


@parallel_kernel
def winograd_backward_weight(x, window, dy, chunks, parts, group, partial, width, scratch, counter, worker, workers):
    """partial[chunk, k panel, e, c, k] = sum over the chunk's output blocks; `winograd_filter_gradient` adds the chunks."""
    w = window[0]
    lanes = len(width) * lanes_of(x)
    padded_C = (w.C + rows_of(width) - 1) // rows_of(width) * rows_of(width)
    panels = (w.K + lanes - 1) // lanes
    total = _blocks(w)
    task = next_task(counter)
    while task < chunks * parts:
        chunk, part = divmod(task, parts)
        k_first, k_last = panels * part // parts * lanes, panels * (part + 1) // parts * lanes
        base = chunk * ELEMENTS * padded_C * panels * lanes
        for i in range(unsigned(base + k_first * padded_C * ELEMENTS), unsigned(base + k_last * padded_C * ELEMENTS)):
            partial[i] = 0
        _weight_blocks(x, w, dy, total * chunk // chunks, total * (chunk + 1) // chunks, group, k_first, k_last,
                       scratch, worker * (len(scratch) // workers), partial, base, width)
        task = next_task(counter)


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
def winograd_filter_gradient(partial, window, chunks, padded_C, width, dw, scratch, worker, workers):
    """dw[r, s, c, k] = G^T S G for the sums S over all chunks, in panels of `width` channels."""
    w = window[0]
    lanes = lanes_of(partial)
    padded_K = (w.K + width - 1) // width * width
    work = worker * 64 * lanes
    for c in range(worker, w.C, workers):
        for k in range(0, w.K, lanes):
            panel = k // width * width
            start = panel * padded_C * ELEMENTS + c * width + k - panel
            _sum_elements(partial, start, padded_C * width, chunks, ELEMENTS * padded_C * padded_K, scratch, work)
            for j in range(6):
                column = _load6(scratch, work + j * lanes, 6 * lanes, lanes)
                _store3(_filter_gradient_column(column), scratch, work + (36 + j) * lanes, 6 * lanes, lanes)
            for r in range(3):
                row = _load6(scratch, work + (36 + 6 * r) * lanes, lanes, lanes)
                _store3(_filter_gradient_column(row), dw, (3 * r * w.C + c) * w.K + k, w.C * w.K, w.K - k)
