"""Convolution with few channels on both sides: vectors run over pixels, because channels would not fill one.

A worker splits a band of input rows into planes, one for each channel and column phase of the stride,

    planes[c, phase, i, j] = x[n, p * stride - top + i, j * stride - left + phase, c]

so that the inputs of neighbouring output pixels lie side by side. Tiles have a row for each of 8 output channels and vectors
of pixels; the weights are broadcast. Results are transposed in registers on their way to memory. For the gradient of the
weight dy is transposed to planes, and sums are kept for each lane until the end.
"""

from ._jit import kernel, parallel_kernel
from .planes import planes_load, planes_multiply_add, planes_store, planes_sums, planes_tile
from .scalar import natural
from .simd import PLANES, lanes_of
from .tile import tile_multiply_add, tile_store

COLUMNS = 3  # filter columns whose sums a tile keeps


@kernel
def _pack_planes(x, w, plan, n, p, rows, planes, start):
    """Planes of the input rows that output rows p to p + rows of image n need."""
    for i in range((rows - 1) * w.stride_rows + (w.R - 1) * w.dilation_rows + 1):
        h = p * w.stride_rows - w.top + i
        for c in range(w.C):
            for phase in range(plan.phases):
                target = start + ((c * plan.phases + phase) * plan.slots + i) * plan.width
                offset = phase * w.dilation_columns % w.stride_columns - w.left
                first = min(max(0, (w.stride_columns - 1 - offset) // w.stride_columns), plan.columns)
                last = max(first, min(plan.columns, (w.W - 1 - offset) // w.stride_columns + 1)) if 0 <= h < w.H else first
                for j in range(natural(target), natural(target + first)):
                    planes[j] = 0
                source = ((n * w.H + h) * w.W + offset) * w.C + c
                step = w.stride_columns * w.C
                if step == 1:
                    for j in range(natural(last - first)):
                        planes[natural(target + first) + j] = x[natural(source + first) + j]
                else:
                    for j in range(first, last):
                        planes[natural(target + j)] = x[natural(source + j * step)]
                for j in range(natural(target + last), natural(target + plan.columns)):
                    planes[j] = 0


@kernel
def _forward_row(w, plan, taps, weight, k, bias, planes, start, floor, y, y_start):
    """One row of output pixels, 8 channels from k on."""
    lanes = lanes_of(y)
    for q in range(0, w.Q, 2 * lanes):
        tile = planes_tile(bias, k, w.K - k if len(bias) > 0 else 0, 2)
        for t in range(len(taps)):
            tile = tile_multiply_add(tile, weight, t * plan.channels + k, 0, planes, start + taps[t] + q)
        planes_store(tile, y, y_start + q * w.K + k, w.K, w.Q - q, w.K - k, floor)


@parallel_kernel
def narrow_forward(x, window, plans, taps, weight, bias, floor, y, scratch, worker, workers):
    """y[n, p, q, k] = bias[k] + sum over r, s, c of x[n, p + r, q + s, c] * weight[r, s, c, k], strided, dilated, padded.

    `weight` (R, S, C, plan.channels) is padded with zeros to a multiple of 8 channels, `bias` may be empty;
    taps[r, s, c] is where the inputs of a tap begin in the planes. Nothing falls below the floor; NaN is no floor.
    """
    w, plan = window[0], plans[0]
    bands = (w.P + plan.rows - 1) // plan.rows
    start = worker * plan.scratch
    for task in range(worker, w.N * bands, workers):
        n, band = divmod(task, bands)
        first = band * plan.rows
        rows = min(plan.rows, w.P - first)
        _pack_planes(x, w, plan, n, first, rows, scratch, start)
        for i in range(rows):
            for k in range(0, w.K, PLANES):
                _forward_row(w, plan, taps, weight, k, bias, scratch, start + i * w.stride_rows * plan.width,
                             floor, y, (n * w.P + first + i) * w.Q * w.K)


@kernel
def _pack_gradients(dy, w, n, p, k, lanes, planes, start, width):
    """planes[k, q] of one row of dy, 8 channels from k on, with zeros behind the last pixel."""
    for q in range(0, w.Q, lanes):
        planes_load(dy, ((n * w.P + p) * w.Q + q) * w.K + k, w.K, w.Q - q, w.K - k, planes, start + q, width)


@kernel
def _weight_band(w, plan, taps, rows, scratch, planes, gradients, width, partial, start):
    """partial[r, c, s, k, lane] += sum over the band's pixels of x * dy, for 8 channels."""
    lanes = lanes_of(partial)
    size = PLANES * COLUMNS * lanes
    for r in range(w.R):
        for c in range(w.C):
            for s in range(0, w.S, COLUMNS):
                tile = planes_sums(partial, start, COLUMNS)
                column = planes + taps[(r * w.S + s) * w.C + c]
                for i in range(rows):
                    x = column + i * w.stride_rows * plan.width
                    for q in range(0, w.Q, lanes):
                        tile = planes_multiply_add(tile, scratch, gradients + i * PLANES * width + q, width, scratch, x + q,
                                                   w.dilation_columns, w.Q - q)
                tile_store(tile, partial, start, COLUMNS * lanes)
                start += size


@parallel_kernel
def narrow_backward_weight(x, window, plans, taps, dy, chunks, partial, scratch, worker, workers):
    """partial[chunk, k block, r, c, s block, k, s, lane] = sums over the chunk's bands of a convolution with stride 1 along
    the columns; `narrow_sum` adds chunks and lanes.
    """
    w, plan = window[0], plans[0]
    lanes = lanes_of(x)
    bands = (w.P + plan.rows - 1) // plan.rows
    width = (w.Q + lanes - 1) // lanes * lanes
    blocks = (w.K + PLANES - 1) // PLANES
    size = w.R * w.C * ((w.S + COLUMNS - 1) // COLUMNS) * COLUMNS * PLANES * lanes
    start = worker * plan.scratch
    gradients = start + plan.scratch - plan.rows * PLANES * width
    for chunk in range(worker, chunks, workers):
        base = chunk * blocks * size
        for i in range(natural(base), natural(base + blocks * size)):
            partial[i] = 0
        for task in range(w.N * bands * chunk // chunks, w.N * bands * (chunk + 1) // chunks):
            n, band = divmod(task, bands)
            first = band * plan.rows
            rows = min(plan.rows, w.P - first)
            _pack_planes(x, w, plan, n, first, rows, scratch, start)
            for block in range(blocks):
                for i in range(rows):
                    _pack_gradients(dy, w, n, first + i, block * PLANES, lanes, scratch, gradients + i * PLANES * width,
                                    width)
                _weight_band(w, plan, taps, rows, scratch, start, gradients, width, partial, base + block * size)


@parallel_kernel
def narrow_sum(partial, window, chunks, dw, worker, workers):
    """dw[r, s, c, k] = sum over chunks and lanes, in order."""
    w = window[0]
    lanes = lanes_of(partial)
    s_blocks = (w.S + COLUMNS - 1) // COLUMNS
    size = w.R * w.C * s_blocks * COLUMNS * PLANES * lanes
    blocks = (w.K + PLANES - 1) // PLANES
    for weight in range(worker, w.R * w.S * w.C, workers):
        filter_row, c = divmod(weight, w.C)
        r, s = divmod(filter_row, w.S)
        for k in range(w.K):
            at = ((r * w.C + c) * s_blocks + s // COLUMNS) * PLANES + k % PLANES
            start = k // PLANES * size + (at * COLUMNS + s % COLUMNS) * lanes
            total = partial.dtype.type(0)
            for chunk in range(chunks):
                for lane in range(lanes):
                    total += partial[start + chunk * blocks * size + lane]
            dw[weight * w.K + k] = total
