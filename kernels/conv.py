"""Direct convolution on the register tile: forward, gradient of the input, gradient of the weight, gradient of the bias.

A worker packs a band of input rows, so that every output pixel finds its inputs at one distance from its neighbour's:

    band[phase, i, q, s, c] = x[n, (p + i) * stride - top + phase, q * stride - left + s * dilation, c]

holds for each output column q the S * C inputs that a filter row meets, contiguously. Padding becomes zeros, stride and
dilation disappear, and each filter row is a product of (pixels, S * C) with (S * C, K).

The gradient of the input is a convolution of dy with the transposed, flipped filter; with a stride, one such convolution for
each of the input's row and column phases (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
section 4). The gradient of the weight reduces over the same bands.
"""

from ._jit import kernel, parallel_kernel
from .matmul import copy_run, correlate, multiply, pack_gradient
from .scalar import natural
from .simd import VECTORS, lanes_add, lanes_copy, lanes_of, lanes_store, lanes_zero


@kernel
def _pack_edge(x, w, source, depth, band, target, q):
    """The inputs of an output column where some filter columns may have no input column: zero there."""
    column = q * w.stride_columns - w.left
    for i in range(natural(target), natural(target + w.S * depth)):
        band[i] = 0
    if w.dilation_columns == 1 and w.groups == 1:
        first, last = max(0, -column), min(w.S, w.W - column)
        copy_run(x, source + (column + first) * depth, band, target + first * depth, max(0, last - first) * depth)
    else:
        for s in range(w.S):
            if 0 <= column < w.W:
                copy_run(x, source + column * w.C, band, target + s * depth, depth)
            column += w.dilation_columns


@kernel
def _pack_row(x, w, plan, n, h, group, band, start):
    """band[start, q, s, c] = x[n, h, q * stride + s * dilation - left, group * depth + c], zero outside.

    For the columns from plan.inner_first to plan.inner_last these inputs are contiguous and all exist.
    """
    depth = w.C // w.groups
    run = plan.depth
    if h < 0 or h >= w.H:
        for i in range(natural(start), natural(start + w.Q * run)):
            band[i] = 0
        return
    source = (n * w.H + h) * w.W * w.C + group * depth
    for q in range(plan.inner_first):
        _pack_edge(x, w, source, depth, band, start + q * run, q)
    first_column = source - w.left * w.C
    if run <= lanes_of(x):
        for q in range(plan.inner_first, plan.inner_last):
            lanes_copy(band, start + q * run, x, first_column + q * w.stride_columns * w.C, run)
    else:
        for q in range(plan.inner_first, plan.inner_last):
            copy_run(x, first_column + q * w.stride_columns * w.C, band, start + q * run, run)
    for q in range(plan.inner_last, w.Q):
        _pack_edge(x, w, source, depth, band, start + q * run, q)


@kernel
def _pack_band(x, w, plan, n, p, rows, group, band, start):
    """Pack what output rows p to p + rows of image n need."""
    for phase in range(plan.phases):
        first = phase * w.dilation_rows % w.stride_rows - w.top
        for i in range(rows + plan.overlap):
            _pack_row(x, w, plan, n, (p + i) * w.stride_rows + first, group,
                      band, start + (phase * plan.slots + i) * w.Q * plan.depth)


@kernel
def _forward_band(x, w, plan, taps, panels, y, n, p, group, scratch, start):
    """Output rows p to p + plan.rows of one image and group."""
    rows = min(plan.rows, w.P - p)
    channels = w.K // w.groups
    lanes = lanes_of(panels)
    panel = group * ((channels + lanes - 1) // lanes * lanes) * (len(taps) * plan.depth + 1)
    _pack_band(x, w, plan, n, p, rows, group, scratch, start)
    y_start = plan.y_start + n * plan.y_image + p * plan.y_row + group * channels
    multiply(scratch, start, rows * w.Q, taps, plan.depth, panels, panel,
             y, y_start, plan.y_step, 0, w.Q, plan.y_row - w.Q * plan.y_step, channels)


@parallel_kernel
def conv2d_forward(x, window, plans, taps, panels, y, scratch, worker, workers):
    """y[n, p, q, k] = bias[k] + sum over r, s, c of x[n, p + r, q + s, c] * w[r, s, c, k], strided, dilated and padded.

    x, y, scratch are flat; `panels` come from `pack_panels`.
    """
    w, plan = window[0], plans[0]
    bands = (w.P + plan.rows - 1) // plan.rows
    for task in range(worker, w.N * w.groups * bands, workers):
        image_group, band = divmod(task, bands)
        n, group = divmod(image_group, w.groups)
        _forward_band(x, w, plan, taps, panels, y, n, band * plan.rows, group, scratch, worker * plan.scratch)


@kernel
def _meeting(position, dilation, filter_size, output_size):
    """Half-open range of the filter elements s whose output position - s * dilation exists."""
    if dilation == 1:
        return max(0, position - output_size + 1), min(filter_size, position + 1)
    return max(0, (position - output_size + dilation) // dilation), min(filter_size, position // dilation + 1)


@kernel
def _add_products(products, start, w, p_first, p_last, n, h, group, dx):
    """dx[n, h, column, c] = sum over r, s of products[h - r, column - s, r, s, c], for every column."""
    depth = w.C // w.groups
    taps = w.R * w.S * depth
    r_first, r_last = _meeting(h + w.top - p_first, w.dilation_rows, w.R, p_last - p_first)
    r_step = w.S * depth - w.dilation_rows * w.Q * taps  # from one filter row to the next: an output row back
    s_step = depth - w.dilation_columns * taps
    for column in range(w.W):
        q = column + w.left
        s_first, s_last = _meeting(q, w.dilation_columns, w.S, w.Q)
        target = ((n * w.H + h) * w.W + column) * w.C + group * depth
        corner = start + ((h + w.top - p_first) * w.Q + q) * taps + r_first * r_step + s_first * s_step
        for c in range(0, depth, lanes_of(dx)):
            total = lanes_zero(dx)
            row = corner + c
            for _ in range(r_first, r_last):
                source = row
                for _ in range(s_first, s_last):
                    total = lanes_add(total, products, source, depth - c)
                    source += s_step
                row += r_step
            lanes_store(total, dx, target + c, depth - c)


@kernel
def _backward_input_band(dy, w, plan, taps, panels, n, group, first, last, dx, scratch, start):
    """Rows first to last of dx, for one image and group: the products of dy that meet them, then their sums."""
    channels = w.K // w.groups
    filter_size = w.R * w.S * (w.C // w.groups)
    lanes = lanes_of(panels)
    panel = group * ((filter_size + lanes - 1) // lanes * lanes) * (channels + 1)
    p_first = max(0, first + w.top - (w.R - 1) * w.dilation_rows)
    p_last = min(w.P, last + w.top)
    pixels = max(0, p_last - p_first) * w.Q
    for pixel in range(pixels):
        source = ((n * w.P + p_first) * w.Q + pixel) * w.K + group * channels
        copy_run(dy, source, scratch, start + pixel * channels, channels)
    products = start + plan.products
    multiply(scratch, start, pixels, taps, channels, panels, panel,
             scratch, products, filter_size, 0, pixels + 1, 0, filter_size)
    for h in range(first, last):
        _add_products(scratch, products, w, p_first, p_last, n, h, group, dx)


@parallel_kernel
def conv2d_backward_input_few(dy, window, plans, taps, panels, dx, scratch, worker, workers):
    """dx of a stride-1 convolution with few input channels, where lanes run over the whole filter instead.

    products[p, q, r, s, c] = sum over k of dy[p, q, k] * w[r, s, c, k] are gathered by the pixels they belong to.
    """
    w, plan = window[0], plans[0]
    bands = (w.H + plan.rows - 1) // plan.rows
    for task in range(worker, w.N * w.groups * bands, workers):
        image_group, band = divmod(task, bands)
        n, group = divmod(image_group, w.groups)
        first = band * plan.rows
        _backward_input_band(dy, w, plan, taps, panels, n, group, first, min(first + plan.rows, w.H), dx, scratch,
                             worker * plan.scratch)


@kernel
def _weight_chunk(x, w, plan, taps, dy, partial, chunk, group, block, scratch, start):
    """Partial sums of one chunk of bands, one group and the panels block, block + plan.parts, ..."""
    lanes = lanes_of(dy)
    width = VECTORS * lanes
    channels = w.K // w.groups
    padded = (channels + lanes - 1) // lanes * lanes
    weights = len(taps) * plan.padded_depth
    base = (chunk * w.groups + group) * padded * weights
    for k in range(block * width, channels, plan.parts * width):
        first = natural(base + k * weights)
        for i in range(natural(min(width, padded - k) * weights)):
            partial[first + i] = 0
    bands = (w.P + plan.rows - 1) // plan.rows
    panel = scratch[start + plan.scratch - plan.rows * w.Q * width:]
    for task in range(w.N * bands * chunk // plan.chunks, w.N * bands * (chunk + 1) // plan.chunks):
        n, band = divmod(task, bands)
        p = band * plan.rows
        pixels = min(plan.rows, w.P - p) * w.Q
        _pack_band(x, w, plan, n, p, min(plan.rows, w.P - p), group, scratch, start)
        for k in range(block * width, channels, plan.parts * width):
            pack_gradient(dy, ((n * w.P + p) * w.Q) * w.K + group * channels + k, w.K, pixels, channels - k, panel)
            correlate(scratch, start, pixels, taps, plan.depth, plan.depth, panel, channels - k, partial, base + k * weights)


@parallel_kernel
def conv2d_backward_weight(x, window, plans, taps, dy, partial, scratch, worker, workers):
    """partial[chunk, group, t, d, k] = sum over the chunk's images and pixels of x * dy; `sum_chunks` adds the chunks."""
    w, plan = window[0], plans[0]
    for task in range(worker, plan.chunks * w.groups * plan.parts, workers):
        chunk_group, block = divmod(task, plan.parts)
        chunk, group = divmod(chunk_group, w.groups)
        _weight_chunk(x, w, plan, taps, dy, partial, chunk, group, block, scratch, worker * plan.scratch)
