"""Max, average and global average pooling and their gradients.

x (N, H, W, C) and y (N, P, Q, C) are flat; `window` is an array of one record with the fields of
`shapes.Window`. A worker takes rows of pixels, or whole images where gradients are scattered, so each element
of the result has one writer. Inner loops run over the channels, which lie side by side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .arguments import Floats, Geometry, Indices, Maxima
from .jit.compile import inline_kernel, kernel, parallel_kernel
from .lanes import fold, repeat
from .vector.rows import rows_load, rows_store
from .vector.scalar import ZERO, quotient, unsigned
from .vector.simd import (
    integers_fill,
    integers_load,
    lanes_fill,
    lanes_load,
    lanes_of,
    lanes_store,
    lanes_zero,
    where,
)
from .vector.strips import pixels_at

STRIP = (0,) * 4  # windows side by side that are taken together


class Grid(NamedTuple):
    """Pixels of an image: `rows` x `columns` of them from pixel `first` on, `down` and `right` pixels apart."""

    first: int
    rows: int
    columns: int
    down: int
    right: int


@kernel
def _inside(start, dilation, extent, size):
    """Range of the `extent` filter elements, `dilation` apart from `start` on, that lie inside `size` pixels."""
    first, last = 0, extent
    if start < 0:
        first = (dilation - 1 - start) // dilation
    if start + (extent - 1) * dilation >= size:
        last = (size - start + dilation - 1) // dilation
    return first, max(first, last)


@kernel
def _seen(w, p, q):
    """The pixels that the window of output pixel (p, q) sees."""
    top, left = p * w.stride_rows - w.top, q * w.stride_columns - w.left
    r, r_last = _inside(top, w.dilation_rows, w.R, w.H)
    s, s_last = _inside(left, w.dilation_columns, w.S, w.W)
    first = (top + r * w.dilation_rows) * w.W + left + s * w.dilation_columns
    return Grid(first, r_last - r, s_last - s, w.dilation_rows * w.W, w.dilation_columns)


@inline_kernel
def _following(grid, pixel, rest):
    """The next pixel of a grid in row-major order, and how many are left in its row: one loop, which LLVM unrolls well."""
    if rest > 1:
        return pixel + grid.right, rest - 1
    return pixel + grid.down - (grid.columns - 1) * grid.right, grid.columns


@inline_kernel
def _find_largest(x, image, C, grid, maxima, target):
    """First maximum of a grid's pixels in each of C channels; -inf and -1 where it has none. NaN is the largest."""
    for channel in range(0, C, lanes_of(x)):
        best = lanes_fill(x, -np.inf, lanes_of(x))
        winner = integers_fill(best, grid.first if grid.rows * grid.columns > 0 else -1)
        pixel, rest = grid.first, grid.columns
        for _ in range(grid.rows * grid.columns):
            value = lanes_load(x, image + pixel * C + channel, C - channel)
            wins = ~(value <= best) & (best <= np.inf)  # comparisons with NaN are false
            best, winner = where(wins, value, best), where(wins, pixel, winner)
            pixel, rest = _following(grid, pixel, rest)
        if maxima.relu:
            best = where(best < ZERO, ZERO, best)
        lanes_store(best, maxima.y, target + channel, C - channel)
        lanes_store(winner, maxima.argmax, target + channel, C - channel)


@inline_kernel
def _strip_of_largest(x, source, step, grid, C, last, maxima, target):
    """The same for neighbouring windows inside the image, whose pixels are `step` elements apart.

    `grid` has the pixels of the first window. Where `last` is more than C, so many elements are written for each pixel: the
    next pixels overwrite what is too much.
    """
    first = pixels_at(grid.first, step // C, STRIP)
    for channel in range(0, C, lanes_of(x)):
        inputs, outputs = pixels_at(source + channel, step, STRIP), pixels_at(target + channel, C, STRIP)
        best = rows_load(x, inputs, 0, C - channel, 0)
        winner = integers_fill(best, 0)
        pixel, left = _following(grid, 0, grid.columns)
        for _ in range(1, grid.rows * grid.columns):
            value = rows_load(x, inputs, pixel * C, C - channel, 0)
            wins = ~(value <= best) & (best <= np.inf)  # comparisons with NaN are false
            best, winner = where(wins, value, best), where(wins, pixel, winner)
            pixel, left = _following(grid, pixel, left)
        if maxima.relu:
            best = where(best < ZERO, ZERO, best)
        rows_store(best, maxima.y, outputs, 0, last - channel)
        rows_store(winner + integers_fill(best, first), maxima.argmax, outputs, 0, last - channel)


@kernel
def _inner(count, stride, before, reach, size):
    """Half-open range of the output rows, or columns, whose window lies inside the image."""
    first = min(count, (before + stride - 1) // stride)
    return first, max(first, min(count, (size - 1 - reach + before) // stride + 1))


@parallel_kernel
def max_pool2d(x: Floats, window: Geometry, relu: bool, y: Floats, argmax: Indices, worker: int, workers: int) -> None:
    """y = first maximum of each window, argmax = its position h * W + w; -inf and -1 where all is padding.

    With `relu`, y = max(y, 0).
    """
    w, maxima = window[0], Maxima(y, argmax, relu)
    rows, Q, C, R, S = w.N * w.P, w.Q, w.C, w.R, w.S
    stride, down, right, few = w.stride_columns, w.dilation_rows * w.W, w.dilation_columns, 2 * lanes_of(x) >= C
    p_first, p_last = _inner(w.P, w.stride_rows, w.top, (w.R - 1) * w.dilation_rows, w.H)
    q_first, q_last = _inner(Q, stride, w.left, (S - 1) * right, w.W)
    for row in range(rows * worker // workers, rows * (worker + 1) // workers):
        n, p = divmod(row, w.P)
        image, corner = n * w.H * w.W * C, (p * w.stride_rows - w.top) * w.W - w.left
        first, last = (q_first, q_last) if p_first <= p < p_last else (Q, Q)
        q = 0
        while q < Q:
            target = (row * Q + q) * C
            if few and first <= q < last and last - first >= len(STRIP):
                start = min(q, last - len(STRIP))
                grid = Grid(corner + start * stride, R, S, down, right)
                follow = lanes_of(x) > C and (start + len(STRIP) - 1) * C + lanes_of(x) <= Q * C
                written = lanes_of(x) if follow else C
                _strip_of_largest(x, image + grid.first * C, stride * C, grid, C, written, maxima, (row * Q + start) * C)
                q = start + len(STRIP)
                continue
            grid = Grid(corner + q * stride, R, S, down, right) if first <= q < last else _seen(w, p, q)
            _find_largest(x, image, C, grid, maxima, target)
            q += 1


@parallel_kernel
def adaptive_max_pool2d(x: Floats, parts: Geometry, y: Floats, argmax: Indices, worker: int, workers: int) -> None:
    """y (N, P, Q, C) = first maximum of each part of x (N, H, W, C), argmax = its position h * W + w."""
    w, maxima = parts[0], Maxima(y, argmax, False)
    rows = w.N * w.P
    for row in range(rows * worker // workers, rows * (worker + 1) // workers):
        n, p = divmod(row, w.P)
        top, bottom = w.H * p // w.P, (w.H * (p + 1) + w.P - 1) // w.P
        for q in range(w.Q):
            left, right = w.W * q // w.Q, (w.W * (q + 1) + w.Q - 1) // w.Q
            grid = Grid(top * w.W + left, bottom - top, right - left, w.W, 1)
            _find_largest(x, n * w.H * w.W * w.C, w.C, grid, maxima, (row * w.Q + q) * w.C)


@parallel_kernel
def max_pool2d_backward(dy: Floats, maxima: Maxima, pixels: int, C: int, dx: Floats, worker: int, workers: int) -> None:
    """Add dy (N, outputs, C) to the pixels of dx (N, pixels, C) at argmax; -1 is nowhere.

    With `relu`, only dy whose y is above zero count.
    """
    N = len(dx) // (pixels * C)
    outputs = len(dy) // (N * C)
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        image = unsigned(n * pixels * C)
        for i in range(image, image + unsigned(pixels * C)):
            dx[i] = 0
        for output in range(n * outputs, (n + 1) * outputs):
            first = unsigned(output * C)
            for channel in range(unsigned(C)):
                pixel = maxima.argmax[first + channel]
                if pixel >= 0 and not (maxima.relu and maxima.y[first + channel] <= ZERO):
                    dx[image + unsigned(pixel) * unsigned(C) + channel] += dy[first + channel]


@inline_kernel
def _route(dy, maxima, source, grid, C, last, dx, image):
    """dx of the pixels of a grid = dy of its window where argmax is the pixel, else 0.

    Where `last` is more than C, zeros follow, up to so many elements in all: the next windows overwrite them, or they
    belong there.
    """
    for channel in range(0, C, lanes_of(dy)):
        slope = lanes_load(dy, source + channel, C - channel)
        if maxima.relu:
            slope = where(lanes_load(maxima.y, source + channel, C - channel) <= ZERO, ZERO, slope)
        winner = integers_load(slope, maxima.argmax, source + channel, C - channel)
        pixel, rest = grid.first, grid.columns
        for _ in range(grid.rows * grid.columns):
            lanes_store(where(winner == pixel, slope, ZERO), dx, image + pixel * C + channel, last - channel)
            pixel, rest = _following(grid, pixel, rest)


@parallel_kernel
def max_pool2d_backward_disjoint(dy: Floats, maxima: Maxima, window: Geometry, dx: Floats, worker: int,
                                 workers: int) -> None:
    """The same where no two windows share a pixel and all lie inside the image: each window writes all its pixels."""
    w = window[0]
    P, Q, C, H, W, R, S = w.P, w.Q, w.C, w.H, w.W, w.R, w.S  # which no store to dx can change
    down, right, covered = w.stride_rows * W, w.stride_columns, P * R == H and Q * S == W
    for n in range(w.N * worker // workers, w.N * (worker + 1) // workers):
        image = n * H * W * C
        if not covered:
            for i in range(unsigned(image), unsigned(image + H * W * C)):
                dx[i] = 0
        for p in range(P):
            for q in range(Q):
                inside = (q * right + S - 1) * C + lanes_of(dy) <= W * C  # of the row
                last = max(C, lanes_of(dy)) if inside else C  # whole vectors are faster to store
                _route(dy, maxima, ((n * P + p) * Q + q) * C, Grid(p * down + q * right, R, S, W, 1), C, last, dx, image)


@kernel
def _divisor(start, extent, size, after, count_padding):
    """Elements along one axis that count in the average of a window from `start` on."""
    if count_padding:
        return min(start + extent, size + after) - start
    return min(start + extent, size) - max(start, 0)


@kernel
def _mean_of_window(x, image, w, p, q, count_padding, y, target):
    """Output pixel (p, q): the sum over the window's pixels, divided by how many elements count."""
    top, left = p * w.stride_rows - w.top, q * w.stride_columns - w.left
    divisor = y.dtype.type(_divisor(top, w.R, w.H, w.bottom, count_padding)
                           * _divisor(left, w.S, w.W, w.right, count_padding))
    first_row, last_row = max(top, 0), min(top + w.R, w.H)
    first_column, last_column = max(left, 0), min(left + w.S, w.W)
    for channel in range(0, w.C, lanes_of(x)):
        total = lanes_zero(x)
        for h in range(first_row, last_row):
            source = image + h * w.W * w.C + channel
            for column in range(first_column, last_column):
                total = total + lanes_load(x, source + column * w.C, w.C - channel)
        lanes_store(total / divisor, y, target + channel, w.C - channel)


@parallel_kernel
def avg_pool2d(x: Floats, window: Geometry, count_padding: bool, y: Floats, worker: int, workers: int) -> None:
    """y = mean of each window."""
    w = window[0]
    rows = w.N * w.P
    for row in range(rows * worker // workers, rows * (worker + 1) // workers):
        n, p = divmod(row, w.P)
        for q in range(w.Q):
            _mean_of_window(x, n * w.H * w.W * w.C, w, p, q, count_padding, y, (row * w.Q + q) * w.C)


@kernel
def _covering(position, extent, stride, before, count):
    """Range of the windows that cover one row or column of x."""
    first = max(0, (position + before - extent) // stride + 1)
    return first, min(count, (position + before) // stride + 1)


@kernel
def _height(w, p, count_padding):
    """Rows that count in the average of a window."""
    return _divisor(p * w.stride_rows - w.top, w.R, w.H, w.bottom, count_padding)


@kernel
def _shares(dy, w, n, p_first, p_last, count_padding, line, start):
    """line (Q, C) = sum over the output rows from p_first to p_last of dy / number of elements that count.

    Behind the last window p_first may be w.P: no element would count in the next one.
    """
    alike, rows = True, _height(w, min(p_first, w.P - 1), count_padding)
    for p in range(p_first, p_last):
        alike = alike and _height(w, p, count_padding) == rows
    for q in range(w.Q):
        columns = _divisor(q * w.stride_columns - w.left, w.S, w.W, w.right, count_padding)
        for channel in range(0, w.C, lanes_of(dy)):
            total = lanes_zero(dy)
            for p in range(p_first, p_last):
                source = ((n * w.P + p) * w.Q + q) * w.C + channel
                if alike:
                    total = total + lanes_load(dy, source, w.C - channel)
                else:
                    divisor = dy.dtype.type(_height(w, p, count_padding) * columns)
                    total = total + lanes_load(dy, source, w.C - channel) / divisor
            if alike:
                total = total / dy.dtype.type(rows * columns)
            lanes_store(total, line, start + q * w.C + channel, w.C - channel)


@kernel
def _sum_of_shares(line, start, w, dx, target):
    """One row of dx (W, C): the sum of the shares of the windows that cover a pixel."""
    q_first, q_last = 0, 0
    for column in range(w.W):
        while q_first < w.Q and q_first * w.stride_columns - w.left + w.S <= column:
            q_first += 1
        while q_last < w.Q and q_last * w.stride_columns - w.left <= column:
            q_last += 1
        for channel in range(0, w.C, lanes_of(dx)):
            total = lanes_zero(dx)
            for q in range(q_first, q_last):
                total = total + lanes_load(line, start + q * w.C + channel, w.C - channel)
            lanes_store(total, dx, target + column * w.C + channel, w.C - channel)


@parallel_kernel
def avg_pool2d_backward(dy: Floats, window: Geometry, count_padding: bool, workspace: Floats, dx: Floats, worker: int,
                        workers: int) -> None:
    """dx = for each pixel the sum over its windows of dy / number of elements that count. workspace (workers, Q, C)."""
    w = window[0]
    rows, start = w.N * w.H, worker * w.Q * w.C
    known = -1, 0, 0
    for row in range(rows * worker // workers, rows * (worker + 1) // workers):
        n, h = divmod(row, w.H)
        p_first, p_last = _covering(h, w.R, w.stride_rows, w.top, w.P)
        if known != (n, p_first, p_last):
            _shares(dy, w, n, p_first, p_last, count_padding, workspace, start)
            known = n, p_first, p_last
        _sum_of_shares(workspace, start, w, dx, row * w.W * w.C)


@parallel_kernel
def global_avg_pool2d(x: Floats, N: int, pixels: int, C: int, lanes: Floats, y: Floats, worker: int, workers: int) -> None:
    """y (N, C) = mean over the pixels of x (N, pixels, C). Working memory: lanes (workers, width)."""
    divisor, width = y.dtype.type(pixels), len(lanes) // workers
    start = unsigned(worker * width)
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        for i in range(start, start + unsigned(width)):
            lanes[i] = 0
        for first in range(n * pixels * C, (n + 1) * pixels * C, width):
            read = unsigned(first)
            for i in range(unsigned(min(width, (n + 1) * pixels * C - first))):
                lanes[start + i] += x[read + i]
        fold(lanes, worker * width, width, C)
        goal = unsigned(n * C)
        for i in range(unsigned(C)):
            y[goal + i] = quotient(lanes[start + i], divisor)


@parallel_kernel
def global_avg_pool2d_backward(dy: Floats, N: int, pixels: int, C: int, lanes: Floats, dx: Floats, worker: int,
                               workers: int) -> None:
    """dx (N, pixels, C) = dy (N, C) / pixels. Working memory: lanes (workers, width)."""
    divisor, width, rows = dy.dtype.type(pixels), len(lanes) // workers, N * pixels
    start = unsigned(worker * width)
    row, last = rows * worker // workers, rows * (worker + 1) // workers
    while row < last:
        n = row // pixels
        source = unsigned(n * C)
        for i in range(unsigned(C)):
            lanes[start + i] = quotient(dy[source + i], divisor)
        repeat(lanes, worker * width, width, C)
        begin, row = row * C, min(last, (n + 1) * pixels)
        for first in range(begin, row * C, width):
            goal = unsigned(first)
            for i in range(unsigned(min(width, row * C - first))):
                dx[goal + i] = lanes[start + i]
