"""Direct convolution on the register tile: forward, gradient of the input, gradient of the weight.

The output rows of all images stand one below the other, and a task makes a band of them. Where the filter leaves the image,
the input rows of a band are copied with their padding; elsewhere they are read where they lie. For an output row that begins
at `origin`, filter element d = (r, s, c) meets for pixel q the input

    x[origin + q * step + offsets[d]],    offsets[r, s, c] = r * dilation * pitch + s * dilation * C + c

so that stride and dilation cost nothing, and a tile may hold any filter elements.

The gradient of the input is a convolution of dy with the transposed, flipped filter; with a stride, one such convolution for
each of the input's row and column phases (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
section 4). The gradient of the weight reduces over the same bands. Linear layers and 1x1 convolutions have R = S = 1.
"""

import math

from ..jit.compile import kernel, parallel_kernel
from ..jit.launch import next_task
from ..vector.scalar import unsigned
from ..vector.simd import MOST_ROWS, lanes_add, lanes_of, lanes_store, lanes_zero
from ..vector.tile import row_copy
from .products import copy_run_padded, correlate, multiply, pack_row, zero_run


@kernel
def _zero(array, start, count):
    for i in range(unsigned(start), unsigned(start + count)):
        array[i] = 0


@kernel
def _copy_row(x, w, plan, n, h, group, band, start):
    """band[start + column * depth + c] = x[n, h, column - left, group * depth + c] for a row's columns, zero outside.

    Whole vectors are written: what comes behind the row belongs to the next one, which is copied later, or to nobody.
    """
    depth = w.C // w.groups
    first = min(max(0, w.left), plan.columns) if 0 <= h < w.H else plan.columns
    last = max(first, min(w.W + w.left, plan.columns))
    zero_run(band, start, first * depth)
    source = ((n * w.H + h) * w.W + first - w.left) * w.C + group * depth
    if w.groups == 1:
        copy_run_padded(x, source, band, start + first * depth, (last - first) * depth)
    else:
        for column in range(first, last):
            copy_run_padded(x, source, band, start + column * depth, depth)
            source += w.C
    zero_run(band, start + last * depth, (plan.columns - last) * depth)


@kernel
def _copy_rows(x, w, plan, group, first, rows, band, start, origins, at):
    """Copy what the output rows first to first + rows need; origins[at + i] is where output row first + i begins."""
    reach = (w.R - 1) * w.dilation_rows + 1
    n, p = divmod(first, w.P)
    h_next = p * w.stride_rows - w.top
    image = start - h_next * plan.pitch  # where row 0 of this image would lie
    for i in range(rows):
        if p == w.P:
            n, p = n + 1, 0
            image += (h_next + w.top) * plan.pitch
            h_next = -w.top
        h_first = p * w.stride_rows - w.top
        for h in range(max(h_next, h_first), h_first + reach):
            _copy_row(x, w, plan, n, h, group, band, image + h * plan.pitch)
        h_next = h_first + reach
        origins[at + i] = image + h_first * plan.pitch
        p += 1


@kernel
def _origins(w, group, first, rows, origins, at):
    """origins[at + i] = where output row first + i begins in x itself."""
    n, p = divmod(first, w.P)
    for i in range(rows):
        if p == w.P:
            n, p = n + 1, 0
        origins[at + i] = ((n * w.H + p * w.stride_rows - w.top) * w.W - w.left) * w.C + group * (w.C // w.groups)
        p += 1


@kernel
def _progression(start, step, count, table, at):
    """table[at + i] = start + i * step."""
    for i in range(unsigned(at), unsigned(at + count)):
        table[i] = start
        start += step


@kernel
def _positions(w, plan, first, rows, positions, at, sources, targets):
    """Where each pixel of a band begins in the input, for whole tiles, and in y."""
    n, p = divmod(first, w.P)
    for row in range(rows):
        _progression(positions[at + row], plan.step, w.Q, positions, sources + row * w.Q)
        _progression(plan.y_start + n * plan.y_image + p * plan.y_row, plan.y_step, w.Q, positions, targets + row * w.Q)
        p += 1
        if p == w.P:
            n, p = n + 1, 0
    pixels = rows * w.Q
    _progression(positions[sources + pixels - 1], 0, MOST_ROWS, positions, sources + pixels)


@parallel_kernel
def conv2d_forward(x, window, plans, offsets, panels, bias, addend, floor, y, width, bands, positions, counter,
                   worker, workers):
    """y[n, p, q, k] = bias[k] + sum over r, s, c of x[n, p + r, q + s, c] * w[r, s, c, k], strided, dilated and padded.

    x, y and the working memory are flat; `panels` come from `pack_panels`. `bias` may be empty, and so may `addend`, which
    is added to y as a whole. Nothing falls below the floor; NaN is no floor.
    """
    w, plan = window[0], plans[0]
    channels, rows_in_all = w.K // w.groups, w.N * w.P
    lanes = len(width) * lanes_of(panels)
    blocks = (channels + lanes - 1) // lanes
    size = len(offsets) * lanes  # of one panel
    tasks = (rows_in_all + plan.rows - 1) // plan.rows
    source = bands if plan.copies else x
    origins = worker * plan.positions
    sources = origins + plan.rows
    targets = sources + plan.rows * w.Q + MOST_ROWS
    task = next_task(counter)
    while task < plan.parts * w.groups * tasks:
        part_group, number = divmod(task, tasks)
        part, group = divmod(part_group, w.groups)
        first = number * plan.rows
        rows = min(plan.rows, rows_in_all - first)
        if plan.copies:
            _copy_rows(x, w, plan, group, first, rows, bands, worker * plan.band, positions, origins)
        else:
            _origins(w, group, first, rows, positions, origins)
        _positions(w, plan, first, rows, positions, origins, sources, targets)
        for block in range(blocks * part // plan.parts, blocks * (part + 1) // plan.parts):
            panel, k = group * blocks + block, block * lanes
            multiply(source, positions[sources:], rows * w.Q, offsets, panels, panel * size,
                     bias, group * channels + k, y, positions[targets:], group * channels + k, channels - k, addend,
                     floor, w.R * w.S == 1, width)
        task = next_task(counter)


@kernel
def _meeting(position, dilation, filter_size, output_size):
    """Half-open range of the filter elements s whose output position - s * dilation exists."""
    if dilation == 1:
        return max(0, position - output_size + 1), min(filter_size, position + 1)
    return max(0, (position - output_size + dilation) // dilation), min(filter_size, position // dilation + 1)


@kernel
def _sum_vectors(array, start, first, last, step, count):
    """One vector: the sum of array[start + i * step:] for i from first to last."""
    total = lanes_zero(array)
    at = start + first * step
    for _ in range(first, last):
        total = lanes_add(total, array, at, count)
        at += step
    return total


@kernel
def _add_products(products, start, w, p_first, p_last, n, h, group, dx, sums):
    """dx[n, h, column, c] = sum over r, s of products[h - r, column - s, r, s, c], for every column.

    First over r, for whole filter rows (s, c) at a time, then over s.
    """
    depth = w.C // w.groups
    row, taps = w.S * depth, w.R * w.S * depth
    r_first, r_last = _meeting(h + w.top - p_first, w.dilation_rows, w.R, p_last - p_first)
    for q in range(w.Q):
        source = start + ((h + w.top - p_first) * w.Q + q) * taps
        for i in range(0, row, lanes_of(dx)):
            # from one filter row to the next: an output row back
            total = _sum_vectors(products, source + i, r_first, r_last, row - w.dilation_rows * w.Q * taps, row - i)
            lanes_store(total, products, sums + q * row + i, row - i)
    for column in range(w.W):
        q = column + w.left
        s_first, s_last = _meeting(q, w.dilation_columns, w.S, w.Q)
        target = ((n * w.H + h) * w.W + column) * w.C + group * depth
        for c in range(0, depth, lanes_of(dx)):
            total = _sum_vectors(products, sums + q * row + c, s_first, s_last, depth - w.dilation_columns * row, depth - c)
            lanes_store(total, dx, target + c, depth - c)


@kernel
def _backward_input_band(dy, w, offsets, panels, n, group, first, last, dx, width, products, start, sums,
                         positions, sources, targets):
    """Rows first to last of dx, for one image and group: the products of dy that meet them, then their sums."""
    channels = w.K // w.groups
    filter_size = w.R * w.S * (w.C // w.groups)
    lanes = len(width) * lanes_of(panels)
    blocks = (filter_size + lanes - 1) // lanes
    p_first = max(0, first + w.top - (w.R - 1) * w.dilation_rows)
    p_last = min(w.P, last + w.top)
    pixels = max(0, p_last - p_first) * w.Q
    first_pixel = (n * w.P + p_first) * w.Q * w.K + group * channels
    _progression(first_pixel, w.K, pixels, positions, sources)
    _progression(first_pixel, 0, MOST_ROWS, positions, sources + pixels)
    _progression(start, filter_size, pixels, positions, targets)
    for block in range(blocks):
        k = block * lanes
        multiply(dy, positions[sources:], pixels, offsets, panels, (group * blocks + block) * channels * lanes,
                 dy[:0], 0, products, positions[targets:], k, filter_size - k, dy[:0], math.nan, True, width)
    for h in range(first, last):
        _add_products(products, start, w, p_first, p_last, n, h, group, dx, start + sums)


@parallel_kernel
def conv2d_backward_input_few(dy, window, plans, offsets, panels, dx, width, products, positions, counter,
                              worker, workers):
    """dx of a stride-1 convolution with few input channels, where lanes run over the whole filter instead.

    products[p, q, r, s, c] = sum over k of dy[p, q, k] * w[r, s, c, k] are gathered by the pixels they belong to.
    """
    w, plan = window[0], plans[0]
    bands = (w.H + plan.rows - 1) // plan.rows
    sources = worker * 2 * plan.positions
    task = next_task(counter)
    while task < w.N * w.groups * bands:
        image_group, band = divmod(task, bands)
        n, group = divmod(image_group, w.groups)
        first = band * plan.rows
        _backward_input_band(dy, w, offsets, panels, n, group, first, min(first + plan.rows, w.H), dx, width,
                             products, worker * plan.products, plan.sums, positions, sources, sources + plan.positions)
        task = next_task(counter)


@kernel
def _pack_gradients(dy, source, step, pixels, channels, panels, panel, width):
    """panels[panel + k // lanes * pixels * lanes + pixel * lanes + k % lanes] = dy[source + pixel * step + k]."""
    lanes = len(width) * lanes_of(dy)
    for pixel in range(pixels):
        target = panel + pixel * lanes
        for k in range(0, channels - lanes + 1, lanes):
            row_copy(panels, target, dy, source + k, width)
            target += pixels * lanes
        if channels % lanes:
            k = channels // lanes * lanes
            pack_row(dy, source + k, channels - k, panels, target, lanes)
        source += step


@kernel
def _weight_task(x, w, plan, offsets, dy, partial, start, group, k_first, k_last, first, last, width, bands, band, origins,
                 at):
    """Sums over the output rows first to last for one group and its channels k_first to k_last, whole panels of them."""
    lanes = len(width) * lanes_of(dy)
    panels = band + plan.panel
    _zero(partial, start, (k_last - k_first + lanes - 1) // lanes * lanes * len(offsets))
    source = bands if plan.copies else x
    for top in range(first, last, plan.rows):
        rows = min(plan.rows, last - top)
        pixels = rows * w.Q
        if plan.copies:
            _copy_rows(x, w, plan, group, top, rows, bands, band, origins, at)
        else:
            _origins(w, group, top, rows, origins, at)
        gradients = top * w.Q * w.K + group * (w.K // w.groups) + k_first
        if lanes == w.K and w.groups == 1:  # dy is a panel
            correlate(source, origins[at:], rows, w.Q, plan.step, offsets, plan.weights, dy[gradients:],
                      partial, start, width)
            continue
        _pack_gradients(dy, gradients, w.K, pixels, k_last - k_first, bands, panels, width)
        for k in range(0, k_last - k_first, lanes):
            correlate(source, origins[at:], rows, w.Q, plan.step, offsets, plan.weights, bands[panels + k * pixels:],
                      partial, start + k * len(offsets), width)


@parallel_kernel
def conv2d_backward_weight(x, window, plans, offsets, dy, partial, width, bands, origins, counter, worker, workers):
    """partial[chunk, group, panel, d, k] = sum over the chunk's pixels of x * dy; `sum_chunks` adds the chunks.

    The working memory of a worker is a band of x and, behind it, panels of dy.
    """
    w, plan = window[0], plans[0]
    lanes = len(width) * lanes_of(dy)
    channels, rows = w.K // w.groups, w.N * w.P
    blocks = (channels + lanes - 1) // lanes
    task = next_task(counter)
    while task < plan.chunks * w.groups * plan.parts:
        chunk_group, part = divmod(task, plan.parts)
        chunk, group = divmod(chunk_group, w.groups)
        k_first, k_last = blocks * part // plan.parts * lanes, blocks * (part + 1) // plan.parts * lanes
        _weight_task(x, w, plan, offsets, dy, partial, (chunk_group * blocks * lanes + k_first) * len(offsets), group,
                     k_first, min(k_last, channels), rows * chunk // plan.chunks, rows * (chunk + 1) // plan.chunks, width,
                     bands, worker * plan.band, origins, worker * plan.positions)
        task = next_task(counter)
