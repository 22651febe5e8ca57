"""Max, average and global average pooling and their gradients.

x (N, H, W, C) and y (N, P, Q, C) are flat; `window` is an array of one record with the fields of
`shapes.Window`. A worker takes rows of pixels, or whole images where gradients are scattered, so each element
of the result has one writer. Inner loops run over the channels, which lie side by side.
"""

import numpy as np

from .jit.compile import kernel, parallel_kernel
from .lanes import fold, repeat
from .vector.scalar import quotient, unsigned
from .vector.simd import (
    lanes_add,
    lanes_first_maximum,
    lanes_load,
    lanes_next_maximum,
    lanes_of,
    lanes_route,
    lanes_store,
    lanes_zero,
)


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
def _following(r, s, r_last, s_first, s_last):
    """Filter element after (r, s) in row-major order; the last one is followed by itself."""
    if s + 1 < s_last:
        return r, s + 1
    if r + 1 < r_last:
        return r + 1, s_first
    return r, s


@kernel
def _max_of_pixels(x, image, W, C, top, left, dilation_rows, dilation_columns, rows, columns, y, argmax, target):
    """Largest of the filter elements in a range of rows and one of columns, the first of which meets pixel (top, left).

    They are compared four at a time, so that a 2x2 window takes one pass.
    """
    r, r_last = rows
    s_first, s_last = columns
    s = s_first
    count = (r_last - r) * (s_last - s_first)
    if count == 0:
        for i in range(unsigned(target), unsigned(target + C)):
            y[i] = -np.inf
            argmax[i] = -1
    for first in range(0, count, 4):
        a = (top + r * dilation_rows) * W + left + s * dilation_columns
        r, s = _following(r, s, r_last, s_first, s_last)
        b = (top + r * dilation_rows) * W + left + s * dilation_columns
        r, s = _following(r, s, r_last, s_first, s_last)
        c = (top + r * dilation_rows) * W + left + s * dilation_columns
        r, s = _following(r, s, r_last, s_first, s_last)
        d = (top + r * dilation_rows) * W + left + s * dilation_columns
        r, s = _following(r, s, r_last, s_first, s_last)
        for channel in range(0, C, lanes_of(x)):
            if first == 0:
                lanes_first_maximum(x, image + channel, (a * C, a), (b * C, b), (c * C, c), (d * C, d),
                                    y, argmax, target + channel, C - channel)
            else:
                lanes_next_maximum(x, image + channel, (a * C, a), (b * C, b), (c * C, c), (d * C, d),
                                   y, argmax, target + channel, C - channel)


@kernel
def _max_of_window(x, image, w, p, q, y, argmax, target):
    """Output pixel (p, q)."""
    top, left = p * w.stride_rows - w.top, q * w.stride_columns - w.left
    rows = _inside(top, w.dilation_rows, w.R, w.H)
    columns = _inside(left, w.dilation_columns, w.S, w.W)
    _max_of_pixels(x, image, w.W, w.C, top, left, w.dilation_rows, w.dilation_columns, rows, columns, y, argmax, target)


@kernel
def _max_of_inner_windows(x, image, pixel, stride, count, C, distances, y, argmax, target):
    """`count` output pixels side by side whose windows lie inside the image; the first one begins at `pixel`.

    In one call for all of them: arrays are passed in memory, which takes longer than the maximum of a window.
    """
    for i in range(0, len(distances), 4):
        a, b, c, d = distances[i], distances[i + 1], distances[i + 2], distances[i + 3]
        for q in range(count):
            first = pixel + q * stride
            for channel in range(0, C, lanes_of(x)):
                source, goal = image + first * C + channel, target + q * C + channel
                if i == 0:
                    lanes_first_maximum(x, source, (a * C, first + a), (b * C, first + b), (c * C, first + c),
                                        (d * C, first + d), y, argmax, goal, C - channel)
                else:
                    lanes_next_maximum(x, source, (a * C, first + a), (b * C, first + b), (c * C, first + c),
                                       (d * C, first + d), y, argmax, goal, C - channel)


@kernel
def _inner(count, stride, before, reach, size):
    """Half-open range of the output rows, or columns, whose window lies inside the image."""
    first = min(count, (before + stride - 1) // stride)
    return first, max(first, min(count, (size - 1 - reach + before) // stride + 1))


@parallel_kernel
def max_pool2d(x, window, distances, floor, y, argmax, worker, workers):
    """y = first maximum of each window, argmax = its position h * W + w; -inf and -1 where all is padding.

    y does not fall below the floor; NaN is no floor. `distances` are those of the filter elements, in pixels, the last one
    repeated to a multiple of four.
    """
    lowest = x.dtype.type(floor)
    w = window[0]
    rows = w.N * w.P
    p_first, p_last = _inner(w.P, w.stride_rows, w.top, (w.R - 1) * w.dilation_rows, w.H)
    q_first, q_last = _inner(w.Q, w.stride_columns, w.left, (w.S - 1) * w.dilation_columns, w.W)
    for row in range(rows * worker // workers, rows * (worker + 1) // workers):
        n, p = divmod(row, w.P)
        image = n * w.H * w.W * w.C
        first, last = (q_first, q_last) if p_first <= p < p_last else (w.Q, w.Q)
        for q in range(first):
            _max_of_window(x, image, w, p, q, y, argmax, (row * w.Q + q) * w.C)
        corner = (p * w.stride_rows - w.top) * w.W - w.left
        _max_of_inner_windows(x, image, corner + first * w.stride_columns, w.stride_columns, last - first, w.C, distances,
                              y, argmax, (row * w.Q + first) * w.C)
        for q in range(last, w.Q):
            _max_of_window(x, image, w, p, q, y, argmax, (row * w.Q + q) * w.C)
        for i in range(unsigned(row * w.Q * w.C), unsigned((row + 1) * w.Q * w.C)):
            y[i] = lowest if y[i] < lowest else y[i]


@parallel_kernel
def adaptive_max_pool2d(x, H, W, C, P, Q, y, argmax, worker, workers):
    """y (N, P, Q, C) = first maximum of each part of x (N, H, W, C), argmax = its position h * W + w."""
    rows = len(y) // (Q * C)
    for row in range(rows * worker // workers, rows * (worker + 1) // workers):
        n, p = divmod(row, P)
        top, bottom = H * p // P, (H * (p + 1) + P - 1) // P
        for q in range(Q):
            left, right = W * q // Q, (W * (q + 1) + Q - 1) // Q
            _max_of_pixels(x, n * H * W * C, W, C, top, left, 1, 1, (0, bottom - top), (0, right - left), y, argmax,
                           (row * Q + q) * C)


@parallel_kernel
def max_pool2d_backward(dy, argmax, y, floor, N, pixels, C, dx, worker, workers):
    """Add dy (N, outputs, C) to the pixels of dx (N, pixels, C) at argmax; -1 is nowhere.

    Only dy whose y is above the floor count; a floor that is NaN lets all pass.
    """
    outputs = len(dy) // (N * C)
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        image = unsigned(n * pixels * C)
        for i in range(image, image + unsigned(pixels * C)):
            dx[i] = 0
        for output in range(n * outputs, (n + 1) * outputs):
            first = unsigned(output * C)
            for channel in range(unsigned(C)):
                pixel = argmax[first + channel]
                if pixel >= 0 and not y[first + channel] <= floor:
                    dx[image + unsigned(pixel) * unsigned(C) + channel] += dy[first + channel]


@parallel_kernel
def max_pool2d_backward_disjoint(dy, argmax, y, floor, window, distances, dx, worker, workers):
    """The same where no two windows share a pixel and all lie inside the image: each window writes all its pixels.

    `distances` are those of `max_pool2d`.
    """
    w = window[0]
    lanes = lanes_of(dx)
    covered = w.P * w.R == w.H and w.Q * w.S == w.W
    for n in range(w.N * worker // workers, w.N * (worker + 1) // workers):
        image = n * w.H * w.W * w.C
        if not covered:
            for i in range(unsigned(image), unsigned(image + w.H * w.W * w.C)):
                dx[i] = 0
        for p in range(w.P):
            for i in range(0, len(distances), 4):
                a, b, c, d = distances[i], distances[i + 1], distances[i + 2], distances[i + 3]
                for q in range(w.Q):
                    first = p * w.stride_rows * w.W + q * w.stride_columns
                    source = ((n * w.P + p) * w.Q + q) * w.C
                    for channel in range(0, w.C, lanes):
                        lanes_route(dy, argmax, y, floor, source + channel, dx, image + first * w.C + channel,
                                    (a * w.C, first + a), (b * w.C, first + b), (c * w.C, first + c), (d * w.C, first + d),
                                    w.C - channel)


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
                total = lanes_add(total, x, source + column * w.C, w.C - channel)
        lanes_store(total / divisor, y, target + channel, w.C - channel)


@parallel_kernel
def avg_pool2d(x, window, count_padding, y, worker, workers):
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
                    total = lanes_add(total, dy, source, w.C - channel)
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
                total = lanes_add(total, line, start + q * w.C + channel, w.C - channel)
            lanes_store(total, dx, target + column * w.C + channel, w.C - channel)


@parallel_kernel
def avg_pool2d_backward(dy, window, count_padding, lines, dx, worker, workers):
    """dx = for each pixel the sum over its windows of dy / number of elements that count. Room: lines (workers, Q, C)."""
    w = window[0]
    rows, start = w.N * w.H, worker * w.Q * w.C
    known = -1, 0, 0
    for row in range(rows * worker // workers, rows * (worker + 1) // workers):
        n, h = divmod(row, w.H)
        p_first, p_last = _covering(h, w.R, w.stride_rows, w.top, w.P)
        if known != (n, p_first, p_last):
            _shares(dy, w, n, p_first, p_last, count_padding, lines, start)
            known = n, p_first, p_last
        _sum_of_shares(lines, start, w, dx, row * w.W * w.C)


@parallel_kernel
def global_avg_pool2d(x, N, pixels, C, lanes, y, worker, workers):
    """y (N, C) = mean over the pixels of x (N, pixels, C). Room: lanes (workers, width)."""
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
def global_avg_pool2d_backward(dy, N, pixels, C, lanes, dx, worker, workers):
    """dx (N, pixels, C) = dy (N, C) / pixels. Room: lanes (workers, width)."""
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
