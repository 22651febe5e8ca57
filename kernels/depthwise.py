"""Depthwise convolution: each channel has its own filter, and vectors run over channels.

Howard et al., "MobileNets", 2017, section 3.1. One output row has one writer; weight gradients are summed over chunks of
images in a fixed order.
"""

from ._jit import kernel, parallel_kernel
from .scalar import natural


@kernel
def _columns(count, size, stride, offset):
    """Half-open range of the q in 0..count whose column q * stride + offset lies inside 0..size."""
    first = max(0, (-offset + stride - 1) // stride)
    last = min(count, (size - 1 - offset) // stride + 1)
    return first, last


@kernel
def _forward_row(x, w, weight, bias, y, n, p):
    """y[n, p, q, c] = bias[c] + sum over r, s of x[n, h, column, c] * weight[r, s, c]."""
    C = w.C
    y_row = (n * w.P + p) * w.Q * C
    for q in range(w.Q):
        y_pixel = natural(y_row + q * C)
        for c in range(natural(C)):
            y[y_pixel + c] = bias[c] if len(bias) > 0 else 0
    for r in range(w.R):
        h = p * w.stride_rows + r * w.dilation_rows - w.top
        if 0 <= h < w.H:
            for s in range(w.S):
                offset = s * w.dilation_columns - w.left
                tap = natural((r * w.S + s) * C)
                first, last = _columns(w.Q, w.W, w.stride_columns, offset)
                for q in range(first, last):
                    x_pixel = natural(((n * w.H + h) * w.W + q * w.stride_columns + offset) * C)
                    y_pixel = natural(y_row + q * C)
                    for c in range(natural(C)):
                        y[y_pixel + c] += x[x_pixel + c] * weight[tap + c]


@parallel_kernel
def depthwise_forward(x, window, weight, bias, y, worker, workers):
    """y[n, p, q, c] = bias[c] + sum over r, s of x[n, p + r, q + s, c] * weight[r, s, c]; `bias` may be empty."""
    w = window[0]
    for row in range(w.N * w.P * worker // workers, w.N * w.P * (worker + 1) // workers):
        _forward_row(x, w, weight, bias, y, row // w.P, row % w.P)


@kernel
def _backward_input_row(dy, w, weight, dx, n, h):
    """dx[n, h, column, c] = sum over the p, r that meet row h, and q, s, of dy[n, p, q, c] * weight[r, s, c]."""
    C = w.C
    dx_row = (n * w.H + h) * w.W * C
    for i in range(natural(dx_row), natural(dx_row + w.W * C)):
        dx[i] = 0
    for r in range(w.R):
        p, between = divmod(h + w.top - r * w.dilation_rows, w.stride_rows)
        if between == 0 and 0 <= p < w.P:
            for s in range(w.S):
                offset = s * w.dilation_columns - w.left
                tap = natural((r * w.S + s) * C)
                first, last = _columns(w.Q, w.W, w.stride_columns, offset)
                for q in range(first, last):
                    dy_pixel = natural(((n * w.P + p) * w.Q + q) * C)
                    dx_pixel = natural(dx_row + (q * w.stride_columns + offset) * C)
                    for c in range(natural(C)):
                        dx[dx_pixel + c] += dy[dy_pixel + c] * weight[tap + c]


@parallel_kernel
def depthwise_backward_input(dy, window, weight, dx, worker, workers):
    """dx[n, h, w, c] = sum over r, s of dy[n, h - r, w - s, c] * weight[r, s, c]."""
    w = window[0]
    for row in range(w.N * w.H * worker // workers, w.N * w.H * (worker + 1) // workers):
        _backward_input_row(dy, w, weight, dx, row // w.H, row % w.H)


@kernel
def _weight_chunk(x, w, dy, partial, chunk, chunks):
    C = w.C
    base = chunk * w.R * w.S * C
    for i in range(natural(base), natural(base + w.R * w.S * C)):
        partial[i] = 0
    for row in range(w.N * w.P * chunk // chunks, w.N * w.P * (chunk + 1) // chunks):
        n, p = divmod(row, w.P)
        for r in range(w.R):
            h = p * w.stride_rows + r * w.dilation_rows - w.top
            if 0 <= h < w.H:
                for s in range(w.S):
                    offset = s * w.dilation_columns - w.left
                    first, last = _columns(w.Q, w.W, w.stride_columns, offset)
                    target = natural(base + (r * w.S + s) * C)
                    for q in range(first, last):
                        x_pixel = natural(((n * w.H + h) * w.W + q * w.stride_columns + offset) * C)
                        dy_pixel = natural((row * w.Q + q) * C)
                        for c in range(natural(C)):
                            partial[target + c] += x[x_pixel + c] * dy[dy_pixel + c]


@parallel_kernel
def depthwise_backward_weight(x, window, dy, partial, chunks, worker, workers):
    """partial[chunk, r, s, c] = sum over the chunk's output rows of x[n, p + r, q + s, c] * dy[n, p, q, c]."""
    for chunk in range(worker, chunks, workers):
        _weight_chunk(x, window[0], dy, partial, chunk, chunks)
