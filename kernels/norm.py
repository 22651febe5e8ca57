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

from ._jit import inline_kernel, kernel, parallel_kernel
from .scalar import ZERO, natural, runs


@kernel
def _add_moments(x, shift, first, count, sums, start):
    """Add x and the square of x - shift to the two sums of `count` lanes."""
    read, total, squares = natural(first), natural(start), natural(start + len(shift))
    for lane in range(natural(count)):
        value = float(x[read + lane])
        sums[total + lane] += value
        sums[squares + lane] += (value - shift[lane]) * (value - shift[lane])


@kernel
def _add_moments_of_four(x, shift, first, sums, start):
    """The same for four runs of all lanes, so that the sums go to memory once for all of them."""
    width = natural(len(shift))
    read, total, squares = natural(first), natural(start), natural(start) + width
    for lane in range(width):
        at, centre = read + lane, shift[lane]
        a, b = float(x[at]), float(x[at + width])
        c, d = float(x[at + width + width]), float(x[at + width + width + width])
        sums[total + lane] += (a + b) + (c + d)
        sums[squares + lane] += (((a - centre) * (a - centre) + (b - centre) * (b - centre))
                                 + ((c - centre) * (c - centre) + (d - centre) * (d - centre)))


@parallel_kernel
def moments(x, shift, sums, chunks, worker, workers):
    """sums (chunks, 2, width) = sum of x and of the square of x - shift."""
    width = len(shift)
    for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
        start = chunk * 2 * width
        for i in range(natural(start), natural(start + 2 * width)):
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
    read, total, products = natural(first), natural(start), natural(start + len(centre))
    lowest = x.dtype.type(floor)
    for lane in range(natural(count)):
        value = float(_above(dy[read + lane], y[read + lane], lowest))
        sums[total + lane] += value
        sums[products + lane] += value * (float(x[read + lane]) - centre[lane])


@kernel
def _add_products_of_four(dy, x, y, floor, centre, first, sums, start):
    """The same for four runs of all lanes, so that the sums go to memory once for all of them."""
    width, lowest = natural(len(centre)), x.dtype.type(floor)
    read, total, products = natural(first), natural(start), natural(start) + width
    for lane in range(width):
        i = read + lane
        j = i + width
        k = j + width
        m = k + width
        a, b = float(_above(dy[i], y[i], lowest)), float(_above(dy[j], y[j], lowest))
        c, d = float(_above(dy[k], y[k], lowest)), float(_above(dy[m], y[m], lowest))
        middle = float(centre[lane])
        sums[total + lane] += (a + b) + (c + d)
        sums[products + lane] += ((a * (float(x[i]) - middle) + b * (float(x[j]) - middle))
                                  + (c * (float(x[k]) - middle) + d * (float(x[m]) - middle)))


@parallel_kernel
def products(dy, x, y, floor, centre, sums, chunks, worker, workers):
    """sums (chunks, 2, width) = sum of dy and of dy (x - centre), without the dy whose y is not above the floor."""
    width = len(centre)
    for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
        start = chunk * 2 * width
        for i in range(natural(start), natural(start + 2 * width)):
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
        read = natural(start)
        for lane in range(natural(2 * width)):
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
    start, lowest = natural(first), x.dtype.type(floor)
    for lane in range(natural(count)):
        value = (x[start + lane] - centre[lane]) * scale[lane] + offset[lane]
        y[start + lane] = lowest if value < lowest else value


@parallel_kernel
def normalise(x, centre, scale, offset, floor, y, worker, workers):
    """y = (x - centre) * scale + offset, but not below the floor; NaN is no floor."""
    width = len(scale)
    begin, end = runs(len(x), width, worker, workers)
    for first in range(begin, end, width):
        _normalise(x, centre, scale, offset, floor, y, first, min(width, end - first))


@parallel_kernel
def coefficients(sums, chunks, rows, gamma, inverse_std, dgamma, dbeta, scale, slope, offset, worker, workers):
    """From sums of `products`: dgamma and dbeta (C,), and what `gradient` needs (width,)."""
    width, C = len(scale), len(gamma)
    _add_chunks(sums, chunks, width)
    for channel in range(C):
        inverse = float(inverse_std[channel])
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
    start, lowest = natural(first), x.dtype.type(floor)
    for lane in range(natural(count)):
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
def _group_moments(x, start, pixels, C, width):
    """Mean and variance of the `width` channels from `start` on, over pixels that lie C apart."""
    shift = float(x[start])
    total, squares = 0.0, 0.0
    for pixel in range(pixels):
        first = natural(start + pixel * C)
        for i in range(first, first + natural(width)):
            value = float(x[i]) - shift
            total += value
            squares += value * value
    count = pixels * width
    variance = squares / count - (total / count) * (total / count)
    return shift + total / count, 0.0 if variance < 0 else variance


@parallel_kernel
def group_norm(x, gamma, beta, pixels, groups, eps, y, mean, inverse_std, worker, workers):
    """y = (x - mean) * inverse_std * gamma + beta for x (N, pixels, C), mean and inverse_std (N, groups)."""
    C = len(gamma)
    width, parts = C // groups, len(mean)
    for part in range(parts * worker // workers, parts * (worker + 1) // workers):
        n, group = divmod(part, groups)
        start, channel = n * pixels * C + group * width, natural(group * width)
        centre, variance = _group_moments(x, start, pixels, C, width)
        mean[part] = centre
        inverse_std[part] = 1 / math.sqrt(variance + eps)
        middle, factor = mean[part], inverse_std[part]
        rest = x.dtype.type((float(middle) - centre) * float(factor))
        for pixel in range(pixels):
            first = natural(start + pixel * C)
            for i in range(natural(width)):
                normalised = (x[first + i] - middle) * factor + rest
                y[first + i] = normalised * gamma[channel + i] + beta[channel + i]


@kernel
def _group_slopes(dy, x, gamma, start, channel, pixels, C, width, centre, factor):
    """Means of dy * gamma, and of it times the normalised x."""
    total, products = 0.0, 0.0
    for pixel in range(pixels):
        first = natural(start + pixel * C)
        for i in range(natural(width)):
            slope = float(dy[first + i]) * float(gamma[natural(channel) + i])
            total += slope
            products += slope * (float(x[first + i]) - centre)
    return total / (pixels * width), products * factor / (pixels * width)


@parallel_kernel
def group_norm_backward(dy, x, gamma, mean, inverse_std, pixels, groups, dx, worker, workers):
    """dx (N, pixels, C), also through mean and inverse_std (N, groups)."""
    C = len(gamma)
    width, parts = C // groups, len(mean)
    for part in range(parts * worker // workers, parts * (worker + 1) // workers):
        n, group = divmod(part, groups)
        start, channel = n * pixels * C + group * width, natural(group * width)
        centre, factor = float(mean[part]), float(inverse_std[part])
        total, product = _group_slopes(dy, x, gamma, start, channel, pixels, C, width, centre, factor)
        offset, slope = x.dtype.type(total), x.dtype.type(product * factor)
        for pixel in range(pixels):
            first = natural(start + pixel * C)
            for i in range(natural(width)):
                rest = offset + (x[first + i] - mean[part]) * slope
                dx[first + i] = (dy[first + i] * gamma[channel + i] - rest) * inverse_std[part]


@parallel_kernel
def group_products(dy, x, mean, inverse_std, pixels, groups, C, sums, chunks, worker, workers):
    """sums (chunks, 2, C) = sum of dy and of dy times the normalised x, over the pixels of some of the N images each."""
    N, width = len(mean) // groups, C // groups
    for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
        total, products = natural(chunk * 2 * C), natural((chunk * 2 + 1) * C)
        for i in range(total, total + natural(2 * C)):
            sums[i] = 0
        for row in range(N * chunk // chunks * pixels, N * (chunk + 1) // chunks * pixels):
            for group in range(groups):
                part = row // pixels * groups + group
                centre, factor = float(mean[part]), float(inverse_std[part])
                first, channel = natural(row * C + group * width), natural(group * width)
                for i in range(natural(width)):
                    value = float(dy[first + i])
                    sums[total + channel + i] += value
                    sums[products + channel + i] += value * (float(x[first + i]) - centre) * factor
