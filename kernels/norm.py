"""Batch, layer and group normalisation and their gradients, for x (rows, C): rows are images, or pixels of images.

Formulas: Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3; Wu and He, "Group Normalization", ECCV 2018,
section 3, of which layer normalisation is the case of one group and one pixel.

Inner loops run over `width` elements, a multiple of C, so that they are long for few channels too: what belongs
to a channel is repeated in arrays (width,), and sums are kept for each of these lanes. Sums are float64. Chunks
of x, whose number follows from the shape, are summed apart and then added in order, so that the bits do not
depend on the number of workers. x is shifted by its first row before it is squared: the variance stays exact
where the mean is large.
"""

import math

import numpy as np

from .jit.compile import inline_kernel, kernel, ordered_kernel, parallel_kernel
from .lanes import fold, repeat
from .vector.scalar import ZERO, runs, unsigned
from .vector.simd import lanes_fill, lanes_load, lanes_of, lanes_store, lanes_sum, lanes_zero

_BLOCK = 64  # vectors of a row that are added up before their sum becomes a float64
_ROWS, _WIDTH = 16, 128  # rows whose gradients are taken together, of up to so many channels; fewer of longer ones
ROOM = 2 * _ROWS  # elements for what is told of rows


@kernel
def _add_moments(x, shift, first, count, sums, start):
    """Add x and the square of x - shift to the two sums of `count` lanes."""
    read, total, squares = unsigned(first), unsigned(start), unsigned(start + len(shift))
    for lane in range(unsigned(count)):
        value = np.float64(x[read + lane])
        sums[total + lane] += value
        sums[squares + lane] += (value - shift[lane]) * (value - shift[lane])


@kernel
def _add_moments_of_four(x, shift, first, sums, start):
    """The same for four runs of all lanes, so that the sums go to memory once for all of them."""
    width = unsigned(len(shift))
    read, total, squares = unsigned(first), unsigned(start), unsigned(start) + width
    for lane in range(width):
        at, centre = read + lane, shift[lane]
        a, b = np.float64(x[at]), np.float64(x[at + width])
        c, d = np.float64(x[at + width + width]), np.float64(x[at + width + width + width])
        sums[total + lane] += (a + b) + (c + d)
        sums[squares + lane] += (((a - centre) * (a - centre) + (b - centre) * (b - centre))
                                 + ((c - centre) * (c - centre) + (d - centre) * (d - centre)))


@parallel_kernel
def moments(x, shift, sums, chunks, worker, workers):
    """sums (chunks, 2, width) = sum of x and of the square of x - shift."""
    width = len(shift)
    for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
        start = chunk * 2 * width
        for i in range(unsigned(start), unsigned(start + 2 * width)):
            sums[i] = 0
        begin, end = runs(len(x), width, chunk, chunks)
        fours = begin + (end - begin) // (4 * width) * (4 * width)
        for first in range(begin, fours, 4 * width):
            _add_moments_of_four(x, shift, first, sums, start)
        for first in range(fours, end, width):
            _add_moments(x, shift, first, min(width, end - first), sums, start)


@inline_kernel
def _above(dy, y, floor):
    """dy, or zero where y is not above the floor; a floor that is NaN lets everything pass."""
    return ZERO if y <= floor else dy


@kernel
def _add_products(dy, x, y, floor, centre, first, count, sums, start):
    """Add dy and dy (x - centre) to the two sums of `count` lanes."""
    read, total, products = unsigned(first), unsigned(start), unsigned(start + len(centre))
    lowest = x.dtype.type(floor)
    for lane in range(unsigned(count)):
        value = np.float64(_above(dy[read + lane], y[read + lane], lowest))
        sums[total + lane] += value
        sums[products + lane] += value * (np.float64(x[read + lane]) - centre[lane])


@kernel
def _add_products_of_four(dy, x, y, floor, centre, first, sums, start):
    """The same for four runs of all lanes, so that the sums go to memory once for all of them."""
    width, lowest = unsigned(len(centre)), x.dtype.type(floor)
    read, total, products = unsigned(first), unsigned(start), unsigned(start) + width
    for lane in range(width):
        i = read + lane
        j = i + width
        k = j + width
        m = k + width
        a, b = np.float64(_above(dy[i], y[i], lowest)), np.float64(_above(dy[j], y[j], lowest))
        c, d = np.float64(_above(dy[k], y[k], lowest)), np.float64(_above(dy[m], y[m], lowest))
        middle = np.float64(centre[lane])
        sums[total + lane] += (a + b) + (c + d)
        sums[products + lane] += ((a * (np.float64(x[i]) - middle) + b * (np.float64(x[j]) - middle))
                                  + (c * (np.float64(x[k]) - middle) + d * (np.float64(x[m]) - middle)))


@parallel_kernel
def products(dy, x, y, floor, centre, sums, chunks, worker, workers):
    """sums (chunks, 2, width) = sum of dy and of dy (x - centre), without the dy whose y is not above the floor."""
    width = len(centre)
    for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
        start = chunk * 2 * width
        for i in range(unsigned(start), unsigned(start + 2 * width)):
            sums[i] = 0
        begin, end = runs(len(x), width, chunk, chunks)
        fours = begin + (end - begin) // (4 * width) * (4 * width)
        for first in range(begin, fours, 4 * width):
            _add_products_of_four(dy, x, y, floor, centre, first, sums, start)
        for first in range(fours, end, width):
            _add_products(dy, x, y, floor, centre, first, min(width, end - first), sums, start)


@kernel
def _add_chunks(sums, chunks, width):
    """Add the sums of all chunks to those of the first."""
    for start in range(2 * width, chunks * 2 * width, 2 * width):
        read = unsigned(start)
        for lane in range(unsigned(2 * width)):
            sums[lane] += sums[read + lane]


@kernel
def _of_channel(sums, start, width, channel, C):
    """Sum over the lanes of one channel."""
    total = 0.0
    for lane in range(start + channel, start + width, C):
        total += sums[lane]
    return total


@parallel_kernel
def training(sums, chunks, shift, rows, gamma, beta, momentum, eps, running_mean, running_var,
             mean, inverse_std, centre, scale, offset, worker, workers):
    """From sums of `moments`: mean and inverse_std (C,), moved running ones, and what `normalise` needs (width,)."""
    width, C = len(shift), len(gamma)
    _add_chunks(sums, chunks, width)
    for channel in range(C):
        exact_mean = _of_channel(sums, 0, width, channel, C) / rows
        shifted = exact_mean - shift[channel]
        variance = _of_channel(sums, width, width, channel, C) / rows - shifted * shifted
        variance = 0.0 if variance < 0 else variance
        mean[channel] = exact_mean
        inverse_std[channel] = 1 / math.sqrt(variance + eps)
        running_mean[channel] += momentum * (exact_mean - running_mean[channel])
        running_var[channel] += momentum * (variance * rows / (rows - 1) - running_var[channel])
        factor = gamma[channel] / math.sqrt(variance + eps)
        for lane in range(channel, width, C):
            centre[lane] = mean[channel]
            scale[lane] = factor
            offset[lane] = beta[channel] + (mean[channel] - exact_mean) * factor


@parallel_kernel
def inference(gamma, beta, mean, variance, eps, inverse_std, centre, scale, offset, worker, workers):
    """inverse_std (C,) and what `normalise` needs (width,), from running statistics."""
    width, C = len(scale), len(gamma)
    for channel in range(C):
        factor = 1 / math.sqrt(variance[channel] + eps)
        inverse_std[channel] = factor
        for lane in range(channel, width, C):
            centre[lane] = mean[channel]
            scale[lane] = gamma[channel] * factor
            offset[lane] = beta[channel]


@kernel
def _normalise(x, centre, scale, offset, floor, y, first, count):
    start, lowest = unsigned(first), x.dtype.type(floor)
    for lane in range(unsigned(count)):
        value = (x[start + lane] - centre[lane]) * scale[lane] + offset[lane]
        y[start + lane] = lowest if value < lowest else value


@ordered_kernel
def _normalise_and_add(x, centre, scale, offset, addend, floor, y, first, count):
    start, lowest = unsigned(first), x.dtype.type(floor)
    for lane in range(unsigned(count)):
        value = ((x[start + lane] - centre[lane]) * scale[lane] + offset[lane]) + addend[start + lane]
        y[start + lane] = lowest if value < lowest else value


@parallel_kernel
def normalise(x, centre, scale, offset, addend, floor, y, worker, workers):
    """y = (x - centre) * scale + offset + addend, which may be empty, but not below the floor; NaN is no floor."""
    width = len(scale)
    begin, end = runs(len(x), width, worker, workers)
    for first in range(begin, end, width):
        if len(addend) > 0:
            _normalise_and_add(x, centre, scale, offset, addend, floor, y, first, min(width, end - first))
        else:
            _normalise(x, centre, scale, offset, floor, y, first, min(width, end - first))


@parallel_kernel
def coefficients(sums, chunks, rows, gamma, inverse_std, dgamma, dbeta, scale, slope, offset, worker, workers):
    """From sums of `products`: dgamma and dbeta (C,), and what `gradient` needs (width,)."""
    width, C = len(scale), len(gamma)
    _add_chunks(sums, chunks, width)
    for channel in range(C):
        inverse = np.float64(inverse_std[channel])
        total = _of_channel(sums, 0, width, channel, C)
        product = _of_channel(sums, width, width, channel, C) * inverse
        dbeta[channel] = total
        dgamma[channel] = product
        factor = gamma[channel] * inverse
        for lane in range(channel, width, C):
            scale[lane] = factor
            slope[lane] = -factor * inverse * product / rows
            offset[lane] = -factor * total / rows


@kernel
def _gradient(dy, x, y, floor, centre, scale, slope, offset, dx, first, count):
    start, lowest = unsigned(first), x.dtype.type(floor)
    for lane in range(unsigned(count)):
        passed = _above(dy[start + lane], y[start + lane], lowest)
        dx[start + lane] = (passed * scale[lane] + (x[start + lane] - centre[lane]) * slope[lane]
                            + offset[lane])


@parallel_kernel
def gradient(dy, x, y, floor, centre, scale, slope, offset, dx, worker, workers):
    """dx = dy * scale + (x - centre) * slope + offset, where dy counts as zero unless y is above the floor."""
    width = len(scale)
    begin, end = runs(len(x), width, worker, workers)
    for first in range(begin, end, width):
        _gradient(dy, x, y, floor, centre, scale, slope, offset, dx, first, min(width, end - first))


@kernel
def _put(lanes, first, count, value):
    """Put a value into `count` lanes."""
    for i in range(unsigned(first), unsigned(first + count)):
        lanes[i] = value


@kernel
def _sum(lanes, first, count):
    """Sum of `count` lanes."""
    total = 0.0
    for i in range(unsigned(first), unsigned(first + count)):
        total += lanes[i]
    return total


@kernel
def _image_moments(x, begin, end, shift, sums):
    """sums (2, width) = sum of x and of the square of x - shift over the pixels of one image."""
    width = len(shift)
    for i in range(unsigned(2 * width)):
        sums[i] = 0
    fours = begin + (end - begin) // (4 * width) * (4 * width)
    for first in range(begin, fours, 4 * width):
        _add_moments_of_four(x, shift, first, sums, 0)
    for first in range(fours, end, width):
        _add_moments(x, shift, first, min(width, end - first), sums, 0)


@parallel_kernel
def group_norm(x, gamma, beta, size, groups, eps, shifts, lane_sums, centres, scales, offsets, y, mean, inverse_std,
               worker, workers):
    """y = (x - mean) * inverse_std * gamma + beta for x (N, size), whole pixels; mean and inverse_std (N, groups).

    Room for one worker: shifts, centres, scales and offsets (width,), lane_sums (2, width).
    """
    C, N, lanes = len(gamma), len(x) // size, len(shifts) // workers
    width, count = C // groups, size // groups
    own = slice(worker * lanes, (worker + 1) * lanes)
    shift, centre, scale, offset = shifts[own], centres[own], scales[own], offsets[own]
    sums = lane_sums[2 * worker * lanes:2 * (worker + 1) * lanes]
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        begin, end = n * size, (n + 1) * size
        for group in range(groups):
            _put(shift, group * width, width, np.float64(x[begin + group * width]))
        repeat(shift, 0, lanes, C)
        _image_moments(x, begin, end, shift, sums)
        fold(sums, 0, lanes, C)
        fold(sums, lanes, lanes, C)
        for group in range(groups):
            part, first = n * groups + group, group * width
            exact_mean = _sum(sums, first, width) / count
            shifted = exact_mean - shift[first]
            variance = _sum(sums, lanes + first, width) / count - shifted * shifted
            mean[part] = exact_mean
            inverse_std[part] = 1 / math.sqrt((0.0 if variance < 0 else variance) + eps)
            _put(centre, first, width, mean[part])
            rest, factor = mean[part] - exact_mean, np.float64(inverse_std[part])
            for channel in range(unsigned(first), unsigned(first + width)):
                scale[channel] = gamma[channel] * factor
                offset[channel] = beta[channel] + rest * scale[channel]
        repeat(centre, 0, lanes, C)
        repeat(scale, 0, lanes, C)
        repeat(offset, 0, lanes, C)
        for first in range(begin, end, lanes):
            _normalise(x, centre, scale, offset, math.nan, y, first, min(lanes, end - first))


@kernel
def _add_slopes(dy, x, centre, first, count, sums):
    """Add dy and dy (x - centre) to the two sums of `count` lanes."""
    read, products = unsigned(first), unsigned(len(centre))
    for lane in range(unsigned(count)):
        slope = np.float64(dy[read + lane])
        sums[lane] += slope
        sums[products + lane] += slope * (np.float64(x[read + lane]) - centre[lane])


@kernel
def _add_slopes_of_four(dy, x, centre, first, sums):
    """The same for four runs of all lanes, so that the sums go to memory once for all of them."""
    width, read = unsigned(len(centre)), unsigned(first)
    for lane in range(width):
        i = read + lane
        j = i + width
        k = j + width
        m = k + width
        a, b, c, d = np.float64(dy[i]), np.float64(dy[j]), np.float64(dy[k]), np.float64(dy[m])
        middle = np.float64(centre[lane])
        sums[lane] += (a + b) + (c + d)
        sums[width + lane] += ((a * (np.float64(x[i]) - middle) + b * (np.float64(x[j]) - middle))
                               + (c * (np.float64(x[k]) - middle) + d * (np.float64(x[m]) - middle)))


@kernel
def _image_slopes(dy, x, begin, end, centre, sums):
    """sums (2, width) = sum of dy and of dy (x - centre) over the pixels of one image."""
    width = len(centre)
    for i in range(unsigned(2 * width)):
        sums[i] = 0
    fours = begin + (end - begin) // (4 * width) * (4 * width)
    for first in range(begin, fours, 4 * width):
        _add_slopes_of_four(dy, x, centre, first, sums)
    for first in range(fours, end, width):
        _add_slopes(dy, x, centre, first, min(width, end - first), sums)


@parallel_kernel
def group_norm_backward(dy, x, gamma, mean, inverse_std, size, groups, lane_sums, centres, scales, slopes, offsets, dx,
                        products, worker, workers):
    """dx (N, size), also through mean and inverse_std (N, groups).

    products (N, 2, C) = sums over an image of dy, and of dy times the normalised x. Room as for `group_norm`.
    """
    C, N, lanes = len(gamma), len(x) // size, len(centres) // workers
    width, count = C // groups, size // groups
    own = slice(worker * lanes, (worker + 1) * lanes)
    centre, scale, slope, offset = centres[own], scales[own], slopes[own], offsets[own]
    sums = lane_sums[2 * worker * lanes:2 * (worker + 1) * lanes]
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        begin, end = n * size, (n + 1) * size
        for group in range(groups):
            _put(centre, group * width, width, mean[n * groups + group])
        repeat(centre, 0, lanes, C)
        _image_slopes(dy, x, begin, end, centre, sums)
        fold(sums, 0, lanes, C)
        fold(sums, lanes, lanes, C)
        for group in range(groups):
            inverse = np.float64(inverse_std[n * groups + group])
            total, product = 0.0, 0.0
            for channel in range(unsigned(group * width), unsigned((group + 1) * width)):
                scale[channel] = gamma[channel] * inverse
                products[unsigned(2 * n * C) + channel] = sums[channel]
                products[unsigned((2 * n + 1) * C) + channel] = sums[unsigned(lanes) + channel] * inverse
                total += gamma[channel] * sums[channel]
                product += gamma[channel] * sums[unsigned(lanes) + channel]
            _put(slope, group * width, width, -inverse * inverse * inverse * product / count)
            _put(offset, group * width, width, -inverse * total / count)
        repeat(scale, 0, lanes, C)
        repeat(slope, 0, lanes, C)
        repeat(offset, 0, lanes, C)
        for first in range(begin, end, lanes):
            _gradient(dy, x, x, math.nan, centre, scale, slope, offset, dx, first, min(lanes, end - first))


@kernel
def _row_moments(x, start, width):
    """Mean and variance of x[start:start + width]."""
    shift = np.float64(x[start])
    total, squares = 0.0, 0.0
    for i in range(unsigned(start), unsigned(start + width)):
        value = np.float64(x[i]) - shift
        total += value
        squares += value * value
    variance = squares / width - (total / width) * (total / width)
    return shift + total / width, 0.0 if variance < 0 else variance


@parallel_kernel
def row_norm(x, gamma, beta, groups, eps, y, mean, inverse_std, worker, workers):
    """y = (x - mean) * inverse_std * gamma + beta for x (N, C), mean and inverse_std (N, groups)."""
    width, parts = len(gamma) // groups, len(mean)
    for part in range(parts * worker // workers, parts * (worker + 1) // workers):
        start, channel = unsigned(part * width), unsigned(part % groups * width)
        exact_mean, variance = _row_moments(x, part * width, width)
        mean[part] = exact_mean
        inverse_std[part] = 1 / math.sqrt(variance + eps)
        middle, factor = mean[part], inverse_std[part]
        rest = x.dtype.type((np.float64(middle) - exact_mean) * np.float64(factor))
        for i in range(unsigned(width)):
            normalised = (x[start + i] - middle) * factor + rest
            y[start + i] = normalised * gamma[channel + i] + beta[channel + i]


@kernel
def _row_slopes(dy, x, gamma, start, channel, width, mean, inverse_std):
    """Means of dy * gamma, and of it times the normalised x, over one row of one group."""
    total, products, lanes = 0.0, 0.0, lanes_of(x)
    for first in range(0, width, _BLOCK * lanes):
        part, product = lanes_zero(x), lanes_zero(x)
        for i in range(first, min(width, first + _BLOCK * lanes), lanes):
            slope = lanes_load(dy, start + i, width - i) * lanes_load(gamma, channel + i, width - i)
            part = part + slope
            product = product + slope * (lanes_load(x, start + i, width - i) - lanes_fill(x, mean, lanes))
        total += np.float64(lanes_sum(part))
        products += np.float64(lanes_sum(product))
    return total / width, products * np.float64(inverse_std) / width


@kernel
def _add(values, start, count, sums, goal):
    """Add `count` values to sums."""
    read, write = unsigned(start), unsigned(goal)
    for i in range(unsigned(count)):
        sums[write + i] += values[read + i]


@kernel
def _row_gradients(dy, x, gamma, mean, inverse_std, row, count, group, groups, room, begin, dx, sums, goal):
    """dx of one group in `count` rows; dy and dy times the normalised x are added to the sums (2, C) from `goal` on.

    Room from `begin` on: offset and slope of each row, then two for each channel of the group.
    """
    C = len(gamma)
    width, part, lanes, line = C // groups, row * groups + group, lanes_of(x), begin + 2 * _ROWS
    for k in range(count):
        own = part + k * groups
        room[begin + k], room[begin + _ROWS + k] = _row_slopes(dy, x, gamma, own * width, group * width, width, mean[own],
                                                               inverse_std[own])
    for i in range(0, width, lanes):
        tail, channel = width - i, group * width + i
        weight, total, products = lanes_load(gamma, channel, tail), lanes_zero(x), lanes_zero(x)
        for k in range(count):
            own = part + k * groups
            at, factor = own * width + i, inverse_std[own]
            value = lanes_load(dy, at, tail)
            normalised = factor * (lanes_load(x, at, tail) - lanes_fill(x, mean[own], lanes))
            total, products = total + value, products + value * normalised
            rest = value * weight - lanes_fill(x, room[begin + k], lanes) - room[begin + _ROWS + k] * normalised
            lanes_store(factor * rest, dx, at, tail)
        lanes_store(total, room, line + i, tail)
        lanes_store(products, room, line + width + i, tail)
    _add(room, line, width, sums, goal + group * width)
    _add(room, line + width, width, sums, goal + C + group * width)


@parallel_kernel
def row_norm_backward(dy, x, gamma, mean, inverse_std, groups, room, dx, sums, chunks, worker, workers):
    """dx (N, C), also through mean and inverse_std (N, groups).

    sums (chunks, 2, C) = sums of dy and of dy times the normalised x over some of the rows each. Room: ROOM and
    two for each channel of a group, for each worker.
    """
    C, N, size = len(gamma), len(mean) // groups, len(room) // workers
    step = max(_ROWS // 4, min(_ROWS, _ROWS * _WIDTH // C))
    for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
        goal = chunk * 2 * C
        for i in range(unsigned(goal), unsigned(goal + 2 * C)):
            sums[i] = 0
        last = N * (chunk + 1) // chunks
        for row in range(N * chunk // chunks, last, step):
            for group in range(groups):
                _row_gradients(dy, x, gamma, mean, inverse_std, row, min(step, last - row), group, groups, room,
                               worker * size, dx, sums, goal)
