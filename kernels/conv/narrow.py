"""Convolution with few channels on both sides: vectors run over pixels, because channels would not fill one.

A worker splits a band of input rows into planes, one for each channel and column phase of the stride,

    planes[c, phase, i, j] = x[n, p * stride - top + i, j * stride - left + phase, c]

so that the inputs of neighbouring output pixels lie side by side. Tiles have a row for each of 8 output channels and vectors
of pixels; the weights are broadcast. Results are transposed in registers on their way to memory.

The gradient of the weight needs no planes: a vector holds the output channels of a pixel of dy, and the inputs that it meets
are broadcast. They lie side by side in a row of x, for one row of the filter after the other; the sums of up to 27 filter
elements stay in registers. With channels for half a vector at most, two pixels share one: rows are folded in the middle,

    folded[i, j, c] = x[i, j, c], x[i, j + half a row, c]

and these pairs are broadcast.
"""

from ..jit.compile import kernel, parallel_kernel
from ..vector.planes import filter_multiply_add, filter_sums, planes_store, planes_tile, zip_vectors
from ..vector.scalar import unsigned
from ..vector.simd import PLANES, lanes_of
from ..vector.tile import tile_multiply_add, tile_prefetch, tile_store
from .products import copy_run, zero_run

AHEAD = 24  # pixels: how far ahead of its use dy is fetched


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
                for j in range(unsigned(target), unsigned(target + first)):
                    planes[j] = 0
                source = ((n * w.H + h) * w.W + offset) * w.C + c
                step = w.stride_columns * w.C
                if step == 1:
                    for j in range(unsigned(last - first)):
                        planes[unsigned(target + first) + j] = x[unsigned(source + first) + j]
                else:
                    for j in range(first, last):
                        planes[unsigned(target + j)] = x[unsigned(source + j * step)]
                for j in range(unsigned(target + last), unsigned(target + plan.columns)):
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
def _copy_rows(x, w, plan, n, first, rows, band, start):
    """band[i, j, c] = x[n, first + i, j - left, c], zero in the padding."""
    before = w.left * w.C
    inside = max(0, min(w.W * w.C, plan.inputs - before))
    for i in range(rows):
        target, h = start + i * plan.row, first + i
        if inside < plan.row or not 0 <= h < w.H:
            zero_run(band, target, plan.row)
        if 0 <= h < w.H:
            copy_run(x, (n * w.H + h) * w.W * w.C, band, target + before, inside)


@kernel
def _fold_rows(w, plan, rows, band, start):
    """Behind the rows of a band: the same, with pairs of elements that lie half a row of output pixels apart."""
    half = plan.pixels * w.stride_columns * w.C
    for i in range(rows):
        source, target = start + i * plan.row, start + plan.folded + i * plan.folded_row
        for j in range(0, plan.folded_row // 2, lanes_of(band)):
            zip_vectors(band, target + 2 * j, band, source + j, source + j + half)


@kernel
def _add_band(w, plan, taps, rows, band, start, dy, gradients, k, partial, sums, lines, run, fold):
    """partial[line, element of its run, k, fold] += sum over the band's pixels of x * dy, for one vector of channels."""
    size, channels = len(run) * lanes_of(partial), w.K - k
    step, half = w.stride_columns * w.C * len(fold), plan.pixels * w.K
    both = w.Q - (len(fold) - 1) * plan.pixels
    for t in range(0, len(taps), len(lines)):
        tile = filter_sums(partial, sums, lines, run)
        for i in range(rows):
            x, pixel = start + i * w.stride_rows * plan.folded_row, gradients + i * w.Q * w.K + k
            for _ in range(both):
                tile_prefetch(dy, (pixel,), AHEAD * w.K)
                tile = filter_multiply_add(tile, band, x, taps, t, dy, pixel, channels, pixel + half, channels, fold)
                x += step
                pixel += w.K
            if len(fold) > 1 and both < plan.pixels:  # the last one has no partner
                tile = filter_multiply_add(tile, band, x, taps, t, dy, pixel, channels, pixel, 0, fold)
        tile_store(tile, partial, sums, size)
        sums += len(lines) * size


@parallel_kernel
def narrow_backward_weight(x, window, plans, taps, dy, chunks, partial, lines, run, fold, scratch, worker, workers):
    """partial[chunk, k block, line, element of its run, k, fold] = sums over the chunk's bands; `narrow_sum` adds them.

    Lines of filter elements begin at `taps` in a band of x; a tile has len(lines) of them with len(run) elements each, and
    len(fold) pixels share a vector.
    """
    w, plan = window[0], plans[0]
    lanes = lanes_of(x)
    bands, channels = (w.P + plan.rows - 1) // plan.rows, lanes // len(fold)
    size = len(taps) * len(run) * lanes
    sums = (w.K + channels - 1) // channels * size
    start = worker * plan.scratch
    for chunk in range(worker, chunks, workers):
        zero_run(partial, chunk * sums, sums)
        for task in range(w.N * bands * chunk // chunks, w.N * bands * (chunk + 1) // chunks):
            n, band = divmod(task, bands)
            first = band * plan.rows
            rows = min(plan.rows, w.P - first)
            inputs = (rows - 1) * w.stride_rows + (w.R - 1) * w.dilation_rows + 1
            _copy_rows(x, w, plan, n, first * w.stride_rows - w.top, inputs, scratch, start)
            if len(fold) > 1:
                _fold_rows(w, plan, inputs, scratch, start)
            for block in range(sums // size):
                _add_band(w, plan, taps, rows, scratch, start + plan.folded, dy, (n * w.P + first) * w.Q * w.K,
                          block * channels, partial, chunk * sums + block * size, lines, run, fold)


@parallel_kernel
def narrow_sum(partial, window, plans, chunks, fold, run, dw, worker, workers):
    """dw[r, s, c, k] = sum over chunks and the pixels that share a vector, in order."""
    w, plan = window[0], plans[0]
    lanes = lanes_of(partial)
    channels = lanes // fold
    size, distance = plan.lines * run * lanes, len(partial) // chunks
    for weight in range(worker, w.R * w.S * w.C, workers):
        line, element = divmod(weight, plan.elements)
        piece, element = divmod(element, run)
        at = ((piece * plan.filter_lines + line) * run + element) * lanes
        for k in range(w.K):
            start = at + k // channels * size + k % channels * fold
            total = partial.dtype.type(0)
            for chunk in range(chunks):
                for pixel in range(fold):
                    total += partial[start + chunk * distance + pixel]
            dw[weight * w.K + k] = total
