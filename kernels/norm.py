"""Batch, layer and group normalisation and their gradients, for x (rows, C): rows are images, or pixels of images.

Formulas: Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3; Wu and He, "Group Normalization", ECCV 2018,
section 3, of which layer normalisation is the case of one group and one pixel.

Inner loops run over `width` elements, a multiple of C, so that they are long for few channels too: what belongs
to a channel is repeated in arrays (width,), and sums are kept for each of these lanes. Sums are float64. Chunks
of x, whose number follows from the shape, are summed apart and then added in order, so that the bits do not
depend on the number of workers.

An array `affine` (3, width) has the arrays of `Affine`, `slopes` (3, width) those of `Slopes` behind the centre: it costs
less to make in Python than a record of several.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .arguments import Floats
from .jit.compile import inline_kernel, kernel, ordered_kernel, parallel_kernel
from .lanes import fold, repeat
from .moments import Moments, sum_differences
from .vector.planes import lines_load, lines_zeros
from .vector.scalar import ZERO, runs, unsigned
from .vector.simd import lanes_fill, lanes_load, lanes_of, lanes_store, lanes_sum, lanes_zero, where
from .vector.tile import tile_add_doubles, tile_prefetch

_ONE, _PAIR = (0,), (0, 0)  # a row of two vectors, whose sums and constants fit the registers of every kind
_RUNS = 8  # whose products are added up before their sums become float64
_BLOCK = 64  # vectors of a row that are added up before their sum becomes a float64
_ROWS, _WIDTH = 16, 128  # rows whose gradients are taken together, of up to so many channels; fewer of longer ones
ROW_ELEMENTS = 2 * _ROWS  # of the workspace of `row_norm_backward`, for two numbers of each row


class Norm(NamedTuple):
    """Parameters of y = (x - mean) / sqrt(variance + eps) * gamma + beta."""

    gamma: Floats  # (C,)
    beta: Floats  # (C,)
    eps: float


class Running(NamedTuple):
    """Running statistics (C,), which move by `momentum` towards those of a batch."""

    mean: Floats
    var: Floats
    momentum: float


class Groups(NamedTuple):
    """Statistics of `count` groups of channels in each image: mean and inverse_std (N, count)."""

    mean: Floats
    inverse_std: Floats
    count: int


class Forward(NamedTuple):
    """What a group norm read and gave, for the gradient: x (N, ...), gamma (C,), mean and inverse_std (N, groups)."""

    x: Floats
    gamma: Floats
    mean: Floats
    inverse_std: Floats
    groups: int


class Sums(NamedTuple):
    """Two sums for each lane: of dy, and of its products with x - centre."""

    centre: Floats  # (width,)
    values: Floats  # (chunks, 2, width), float64
    chunks: int
    rows: int  # values of each channel in x


class Affine(NamedTuple):
    """y = (x - centre) * scale + offset for each lane: arrays (width,)."""

    centre: Floats
    scale: Floats
    offset: Floats


class Slopes(NamedTuple):
    """dx = dy * scale + (x - centre) * slope + offset for each lane: arrays (width,)."""

    centre: Floats
    scale: Floats
    slope: Floats
    offset: Floats


class Passed(NamedTuple):
    """Gradient of the result y, flat: dy, but 0 with `relu` where (source - centre) * scale + offset is not above 0.

    That is y where the source is x, and the lanes are those of the `Affine` that made y, which then need not be read.
    """

    dy: Floats
    source: Floats  # any array of that size without `relu`; this and lanes are None within kernels of which it is no part
    centre: Floats
    scale: Floats
    offset: Floats
    relu: bool


@inline_kernel
def _limit(x, relu):
    """Lower limit of results with `relu`, and NaN, which limits nothing, without."""
    return x.dtype.type(0.0 if relu else math.nan)


@inline_kernel
def _element(dy, source, gate, i, lane, limit):
    """Element i of dy, or zero where what the gate makes of the source, which may be None, is not above the limit."""
    value = dy[i]  # read in any case: a load that is made in some lanes takes a mask, and up to half as long again
    if source is None:
        return value
    y = (source[i] - gate.centre[lane]) * gate.scale[lane] + gate.offset[lane]
    return ZERO if y <= limit else value


@kernel
def _add_products(x, passed, centre, first, begin, end, sums):
    """Add dy and dy (x - centre) of a run, which begins at x[first], to the two sums of the lanes from begin to end."""
    read, width, limit = unsigned(first), unsigned(len(centre)), _limit(x, passed.relu)
    dy, source, gate = passed.dy, passed.source, Affine(passed.centre, passed.scale, passed.offset)
    for lane in range(unsigned(begin), unsigned(end)):
        value = np.float64(_element(dy, source, gate, read + lane, lane, limit))
        sums[lane] += value
        sums[width + lane] += value * (np.float64(x[read + lane]) - centre[lane])


@inline_kernel
def _pair(dy, source, gate, i, lane, limit):
    """Two vectors of what `_element` gives, from element i on."""
    value = lines_load(dy, i, _ONE, _PAIR)
    if source is None:
        return value
    centre, scale = lines_load(gate.centre, lane, _ONE, _PAIR), lines_load(gate.scale, lane, _ONE, _PAIR)
    y = (lines_load(source, i, _ONE, _PAIR) - centre) * scale + lines_load(gate.offset, lane, _ONE, _PAIR)
    return where(y <= limit, 0.0, value)


@kernel
def _add_products_of_pairs(x, passed, centre, first, runs, lanes, sums):
    """The same of so many runs, for as many of the first lanes as are whole pairs of vectors.

    Products of a few numbers are added up as they are: conversions would take most of the time.
    """
    width, limit = len(centre), _limit(x, passed.relu)
    dy, source, gate = passed.dy, passed.source, Affine(passed.centre, passed.scale, passed.offset)
    for lane in range(0, lanes, len(_PAIR) * lanes_of(x)):
        middle = lines_load(centre, lane, _ONE, _PAIR)
        total, product = lines_zeros(x, _ONE, _PAIR), lines_zeros(x, _ONE, _PAIR)
        for i in range(first + lane, first + lane + runs * width, width):
            tile_prefetch(x, (i + _RUNS * width,), 0)
            tile_prefetch(dy, (i + _RUNS * width,), 0)
            value = _pair(dy, source, gate, i, lane, limit)
            total = total + value
            product = product + value * (lines_load(x, i, _ONE, _PAIR) - middle)
        tile_add_doubles(total, sums, lane)
        tile_add_doubles(product, sums, width + lane)


@kernel
def _sum_products(x, passed, centre, begin, end, sums):
    """sums (2, width) = sum of dy and of dy (x - centre) over whole pixels from begin to end."""
    width = len(centre)
    for i in range(unsigned(2 * width)):
        sums[i] = 0
    pairs, whole = width - width % (len(_PAIR) * lanes_of(x)), end - (end - begin) % width
    for first in range(begin, whole, _RUNS * width):
        runs = min(_RUNS, (whole - first) // width)
        _add_products_of_pairs(x, passed, centre, first, runs, pairs, sums)
        if pairs < width:
            for i in range(first, first + runs * width, width):
                _add_products(x, passed, centre, i, pairs, width, sums)
    _add_products(x, passed, centre, whole, 0, end - whole, sums)


@parallel_kernel
def products(x: Floats, passed: Passed, sums: Sums, worker: int, workers: int) -> None:
    """Sum of dy, as far as it passes, and of dy (x - centre), for each chunk."""
    width, chunks = len(sums.centre), sums.chunks
    for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
        begin, end = runs(len(x), width, chunk, chunks)
        _sum_products(x, passed, sums.centre, begin, end, sums.values[chunk * 2 * width:(chunk + 1) * 2 * width])


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


@ordered_kernel
def _mean_and_variance(moments, channel):
    """Those of a channel, in float64."""
    values, width = moments.values, len(moments.values) // (3 * moments.chunks)
    of_chunk, shift = moments.size // moments.C, values[channel]
    total, squares = 0.0, 0.0
    for chunk in range(moments.chunks):
        at, count = 3 * width * chunk + channel, min(of_chunk, moments.rows - of_chunk * chunk)
        away, differences = values[at] - shift, values[at + width]
        total += differences + count * away
        squares += values[at + 2 * width] + away * (2 * differences + count * away)
    mean = total / moments.rows
    variance = squares / moments.rows - mean * mean
    return shift + mean, 0.0 if variance < 0 else variance


@parallel_kernel
def training(moments: Moments, norm: Norm, running: Running, mean: Floats, inverse_std: Floats, affine: Floats,
             worker: int, workers: int) -> None:
    """From moments of x: mean and inverse_std (C,), moved running statistics, and what `normalise` needs."""
    width, C, rows = len(affine) // 3, len(norm.gamma), moments.rows
    for channel in range(C):
        exact_mean, variance = _mean_and_variance(moments, channel)
        mean[channel] = exact_mean
        inverse_std[channel] = 1 / math.sqrt(variance + norm.eps)
        running.mean[channel] += running.momentum * (exact_mean - running.mean[channel])
        running.var[channel] += running.momentum * (variance * rows / (rows - 1) - running.var[channel])
        factor = norm.gamma[channel] / math.sqrt(variance + norm.eps)
        for lane in range(channel, width, C):
            affine[lane] = mean[channel]
            affine[width + lane] = factor
            affine[2 * width + lane] = norm.beta[channel] + (mean[channel] - exact_mean) * factor


@parallel_kernel
def inference(norm: Norm, running_mean: Floats, running_var: Floats, mean: Floats, inverse_std: Floats, affine: Floats,
              worker: int, workers: int) -> None:
    """From running statistics: mean and inverse_std (C,), and what `normalise` needs."""
    width, C = len(affine) // 3, len(norm.gamma)
    for channel in range(C):
        factor = 1 / math.sqrt(running_var[channel] + norm.eps)
        mean[channel] = running_mean[channel]
        inverse_std[channel] = factor
        for lane in range(channel, width, C):
            affine[lane] = mean[channel]
            affine[width + lane] = norm.gamma[channel] * factor
            affine[2 * width + lane] = norm.beta[channel]


@kernel
def _normalise(x, affine, limit, y, first, count):
    start, centre, scale, offset = unsigned(first), affine.centre, affine.scale, affine.offset
    for lane in range(unsigned(count)):
        value = (x[start + lane] - centre[lane]) * scale[lane] + offset[lane]
        y[start + lane] = limit if value < limit else value


@ordered_kernel
def _normalise_and_add(x, affine, residual, limit, y, first, count):
    start, centre, scale, offset = unsigned(first), affine.centre, affine.scale, affine.offset
    for lane in range(unsigned(count)):
        value = ((x[start + lane] - centre[lane]) * scale[lane] + offset[lane]) + residual[start + lane]
        y[start + lane] = limit if value < limit else value


@parallel_kernel
def normalise(x: Floats, affine: Floats, residual: Floats, relu: bool, y: Floats, worker: int, workers: int) -> None:
    """y = (x - centre) * scale + offset + residual, which may be empty, or 0 where that is below 0 with `relu`."""
    width, limit = len(affine) // 3, _limit(x, relu)
    line = Affine(affine[:width], affine[width:2 * width], affine[2 * width:])
    begin, end = runs(len(x), width, worker, workers)
    for first in range(begin, end, width):
        if len(residual) > 0:
            _normalise_and_add(x, line, residual, limit, y, first, min(width, end - first))
        else:
            _normalise(x, line, limit, y, first, min(width, end - first))


@parallel_kernel
def coefficients(sums: Sums, gamma: Floats, inverse_std: Floats, dgamma: Floats, dbeta: Floats, slopes: Floats,
                 worker: int, workers: int) -> None:
    """From sums of `products`: dgamma and dbeta (C,), and what `gradient` needs besides the centre."""
    width, C, values, rows = len(sums.centre), len(gamma), sums.values, sums.rows
    _add_chunks(values, sums.chunks, width)
    for channel in range(C):
        inverse = np.float64(inverse_std[channel])
        total = _of_channel(values, 0, width, channel, C)
        product = _of_channel(values, width, width, channel, C) * inverse
        dbeta[channel] = total
        dgamma[channel] = product
        factor = gamma[channel] * inverse
        for lane in range(channel, width, C):
            slopes[lane] = factor
            slopes[width + lane] = -factor * inverse * product / rows
            slopes[2 * width + lane] = -factor * total / rows


@kernel
def _gradient(x, passed, slopes, dx, first, count):
    start, limit = unsigned(first), _limit(x, passed.relu)
    dy, source, gate = passed.dy, passed.source, Affine(passed.centre, passed.scale, passed.offset)
    centre, scale, slope, offset = slopes.centre, slopes.scale, slopes.slope, slopes.offset
    for lane in range(unsigned(count)):
        i = start + lane
        dx[i] = _element(dy, source, gate, i, lane, limit) * scale[lane] + (x[i] - centre[lane]) * slope[lane] + offset[lane]


@parallel_kernel
def gradient(x: Floats, passed: Passed, centre: Floats, slopes: Floats, dx: Floats, worker: int, workers: int) -> None:
    """dx = dy * scale + (x - centre) * slope + offset, with dy as far as it passes."""
    width = len(centre)
    line = Slopes(centre, slopes[:width], slopes[width:2 * width], slopes[2 * width:])
    begin, end = runs(len(x), width, worker, workers)
    for first in range(begin, end, width):
        _gradient(x, passed, line, dx, first, min(width, end - first))


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


@parallel_kernel
def group_norm(x: Floats, norm: Norm, groups: Groups, sums: Floats, workspace: Floats, y: Floats,
               worker: int, workers: int) -> None:
    """y = (x - mean) * inverse_std * gamma + beta for x (N, size), whole pixels.

    Each worker has sums (3, width) of float64, shifts among them, and as many elements of workspace.
    """
    lanes, own = len(sums) // (3 * workers), len(sums) // workers * worker
    shift, values = sums[own:own + lanes], sums[own + lanes:own + 3 * lanes]
    centre, scale = workspace[own:own + lanes], workspace[own + lanes:own + 2 * lanes]
    offset = workspace[own + 2 * lanes:own + 3 * lanes]
    C, N = len(norm.gamma), len(groups.mean) // groups.count
    size, width = len(x) // N, C // groups.count
    count = size // groups.count
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        begin, end = n * size, (n + 1) * size
        for group in range(groups.count):
            _put(shift, group * width, width, np.float64(x[begin + group * width]))
        repeat(shift, 0, lanes, C)
        sum_differences(x, shift, begin, end, values)
        fold(values, 0, lanes, C)
        fold(values, lanes, lanes, C)
        for group in range(groups.count):
            part, first = n * groups.count + group, group * width
            mean = _sum(values, first, width) / count
            variance = _sum(values, lanes + first, width) / count - mean * mean
            exact_mean = shift[first] + mean
            groups.mean[part] = exact_mean
            groups.inverse_std[part] = 1 / math.sqrt((0.0 if variance < 0 else variance) + norm.eps)
            mean, factor = groups.mean[part], np.float64(groups.inverse_std[part])
            _put(centre, first, width, mean)
            for channel in range(unsigned(first), unsigned(first + width)):
                scale[channel] = norm.gamma[channel] * factor
                offset[channel] = norm.beta[channel] + (mean - exact_mean) * scale[channel]
        repeat(centre, 0, lanes, C)
        repeat(scale, 0, lanes, C)
        repeat(offset, 0, lanes, C)
        for first in range(begin, end, lanes):
            _normalise(x, Affine(centre, scale, offset), x.dtype.type(math.nan), y, first, min(lanes, end - first))


@parallel_kernel
def group_norm_backward(dy: Floats, forward: Forward, sums: Floats, workspace: Floats, dx: Floats,
                        products: Floats, worker: int, workers: int) -> None:
    """dx (N, size), also through mean and inverse_std.

    products (N, 2, C) = sums over an image of dy, and of dy times the normalised x. Each worker has sums (2, width) of
    float64 and workspace (4, width).
    """
    lanes = len(sums) // (2 * workers)
    values, own = sums[2 * worker * lanes:2 * (worker + 1) * lanes], workspace[4 * worker * lanes:4 * (worker + 1) * lanes]
    centre, scale, slope, offset = own[:lanes], own[lanes:2 * lanes], own[2 * lanes:3 * lanes], own[3 * lanes:]
    x, gamma, groups, passed = forward.x, forward.gamma, forward.groups, Passed(dy, None, None, None, None, False)
    C, N = len(gamma), len(forward.mean) // groups
    size, width = len(dy) // N, C // groups
    count = size // groups
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        begin, end = n * size, (n + 1) * size
        for group in range(groups):
            _put(centre, group * width, width, forward.mean[n * groups + group])
        repeat(centre, 0, lanes, C)
        _sum_products(x, passed, centre, begin, end, values)
        fold(values, 0, lanes, C)
        fold(values, lanes, lanes, C)
        for group in range(groups):
            inverse = np.float64(forward.inverse_std[n * groups + group])
            total, product = 0.0, 0.0
            for channel in range(unsigned(group * width), unsigned((group + 1) * width)):
                scale[channel] = gamma[channel] * inverse
                products[unsigned(2 * n * C) + channel] = values[channel]
                products[unsigned((2 * n + 1) * C) + channel] = values[unsigned(lanes) + channel] * inverse
                total += gamma[channel] * values[channel]
                product += gamma[channel] * values[unsigned(lanes) + channel]
            _put(slope, group * width, width, -inverse * inverse * inverse * product / count)
            _put(offset, group * width, width, -inverse * total / count)
        repeat(scale, 0, lanes, C)
        repeat(slope, 0, lanes, C)
        repeat(offset, 0, lanes, C)
        for first in range(begin, end, lanes):
            _gradient(x, passed, Slopes(centre, scale, slope, offset), dx, first, min(lanes, end - first))


@parallel_kernel
def add_products(products: Floats, rows: int, dgamma: Floats, dbeta: Floats, worker: int, workers: int) -> None:
    """dbeta and dgamma (C,) = the sums over products (rows, 2, C), float64, whose first row becomes them."""
    C = len(dgamma)
    _add_chunks(products, rows, C)
    for channel in range(unsigned(C)):
        dbeta[channel] = products[channel]
        dgamma[channel] = products[unsigned(C) + channel]


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
def row_norm(x: Floats, norm: Norm, groups: Groups, y: Floats, worker: int, workers: int) -> None:
    """y = (x - mean) * inverse_std * gamma + beta for x (N, C)."""
    gamma, beta, mean, inverse_std = norm.gamma, norm.beta, groups.mean, groups.inverse_std
    width, parts = len(gamma) // groups.count, len(mean)
    for part in range(parts * worker // workers, parts * (worker + 1) // workers):
        start, channel = unsigned(part * width), unsigned(part % groups.count * width)
        exact_mean, variance = _row_moments(x, part * width, width)
        mean[part] = exact_mean
        inverse_std[part] = 1 / math.sqrt(variance + norm.eps)
        middle, factor = mean[part], inverse_std[part]
        rest = x.dtype.type((np.float64(middle) - exact_mean) * np.float64(factor))
        for i in range(unsigned(width)):
            normalised = (x[start + i] - middle) * factor + rest
            y[start + i] = normalised * gamma[channel + i] + beta[channel + i]


@kernel
def _row_slopes(dy, forward, row, group):
    """Means of dy * gamma, and of it times the normalised x, over one group of one row."""
    x, gamma, width, part = forward.x, forward.gamma, len(forward.gamma) // forward.groups, row * forward.groups + group
    start, channel, mean, lanes = part * width, group * width, forward.mean[part], lanes_of(x)
    total, products = 0.0, 0.0
    for first in range(0, width, _BLOCK * lanes):
        some, product = lanes_zero(x), lanes_zero(x)
        for i in range(first, min(width, first + _BLOCK * lanes), lanes):
            slope = lanes_load(dy, start + i, width - i) * lanes_load(gamma, channel + i, width - i)
            some = some + slope
            product = product + slope * (lanes_load(x, start + i, width - i) - lanes_fill(x, mean, lanes))
        total += np.float64(lanes_sum(some))
        products += np.float64(lanes_sum(product))
    return total / width, products * np.float64(forward.inverse_std[part]) / width


@kernel
def _add(values, start, count, sums, goal):
    """Add `count` values to sums."""
    read, write = unsigned(start), unsigned(goal)
    for i in range(unsigned(count)):
        sums[write + i] += values[read + i]


@kernel
def _row_gradients(dy, forward, row, count, group, workspace, dx, sums):
    """dx of one group in `count` rows; dy and dy times the normalised x are added to sums (2, C).

    Workspace: offset and slope of each row, then two numbers for each channel of the group.
    """
    x, gamma, groups, lanes = forward.x, forward.gamma, forward.groups, lanes_of(forward.x)
    C, line = len(gamma), 2 * _ROWS
    width, part = C // groups, row * groups + group
    for k in range(count):
        workspace[k], workspace[_ROWS + k] = _row_slopes(dy, forward, row + k, group)
    for i in range(0, width, lanes):
        tail, channel = width - i, group * width + i
        weight, total, products = lanes_load(gamma, channel, tail), lanes_zero(x), lanes_zero(x)
        for k in range(count):
            own = part + k * groups
            at, factor = own * width + i, forward.inverse_std[own]
            value = lanes_load(dy, at, tail)
            normalised = factor * (lanes_load(x, at, tail) - lanes_fill(x, forward.mean[own], lanes))
            total, products = total + value, products + value * normalised
            rest = value * weight - lanes_fill(x, workspace[k], lanes) - workspace[_ROWS + k] * normalised
            lanes_store(factor * rest, dx, at, tail)
        lanes_store(total, workspace, line + i, tail)
        lanes_store(products, workspace, line + width + i, tail)
    _add(workspace, line, width, sums, group * width)
    _add(workspace, line + width, width, sums, C + group * width)


@parallel_kernel
def row_norm_backward(dy: Floats, forward: Forward, workspace: Floats, dx: Floats, sums: Floats, chunks: int,
                      worker: int, workers: int) -> None:
    """dx (N, C), also through mean and inverse_std.

    sums (chunks, 2, C) = sums of dy and of dy times the normalised x over some of the rows each. Workspace: ROW_ELEMENTS
    and two for each channel of a group, for each worker.
    """
    C, N, size = len(forward.gamma), len(forward.mean) // forward.groups, len(workspace) // workers
    own = workspace[worker * size:(worker + 1) * size]
    step = max(_ROWS // 4, min(_ROWS, _ROWS * _WIDTH // C))
    for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
        results = sums[chunk * 2 * C:(chunk + 1) * 2 * C]
        for i in range(unsigned(2 * C)):
            results[i] = 0
        last = N * (chunk + 1) // chunks
        for row in range(N * chunk // chunks, last, step):
            for group in range(forward.groups):
                _row_gradients(dy, forward, row, min(step, last - row), group, own, dx, results)
