"""The textbook kernels: convolution, pooling and batch norm, each as the loop nest that its formula says.

Nothing here is done for speed, so that each function can be understood without the rest; `fastcnn bench ladder` shows what
the other kernels gain over it. Letters: N images, H W input rows and columns, P Q output rows and columns, R S filter rows
and columns, G groups, C input and K output channels of a group; n h w p q r s g c k count them. `stride`, `dilation` and
`kernel_size` are pairs (rows, columns). Filter element (r, s) of output pixel (p, q) meets the input pixel

    h = p stride[0] + r dilation[0] - top,    w = q stride[1] + s dilation[1] - left

or padding, which is zero, where that lies outside the image. `prange` shares a loop among the threads. It runs over an axis
of the output: each element is written by one thread, and its sum has one order on any number of threads. With
NUMBA_DISABLE_JIT=1 in the environment all of it runs as plain Python, for a debugger.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import prange

from .arguments import Floats, Indices
from .jit.compile import njit

Pair: TypeAlias = tuple[int, int]


@njit(parallel=True)
def conv2d(x: Floats, weight: Floats, bias: Floats, stride: Pair, padding: Pair, dilation: Pair, y: Floats) -> None:
    """y[n, p, q, g, k] = bias[g, k] + sum over r, s, c of x[n, h, w, g, c] weight[r, s, c, g, k].

    padding = (top, left). Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016.
    """
    N, H, W, G, C = x.shape             # x (N, H, W, G, C)
    R, S, C, G, K = weight.shape        # weight (R, S, C, G, K), bias (G, K)
    N, P, Q, G, K = y.shape             # y (N, P, Q, G, K)
    for n in prange(N):
        for p in range(P):
            for q in range(Q):
                for g in range(G):
                    for k in range(K):
                        y[n, p, q, g, k] = bias[g, k]
                for r in range(R):
                    for s in range(S):
                        h = p * stride[0] + r * dilation[0] - padding[0]
                        w = q * stride[1] + s * dilation[1] - padding[1]
                        if 0 <= h < H and 0 <= w < W:
                            for g in range(G):
                                for c in range(C):
                                    for k in range(K):
                                        y[n, p, q, g, k] += x[n, h, w, g, c] * weight[r, s, c, g, k]


@njit(parallel=True)
def conv2d_backward_input(dy: Floats, weight: Floats, stride: Pair, padding: Pair, dilation: Pair, dx: Floats) -> None:
    """dx[n, h, w, g, c] = sum over k, and over the p, q, r, s that meet (h, w), of dy[n, p, q, g, k] weight[r, s, c, g, k].

    The loops are those of `conv2d`: each of its products sends dy back to the pixel that it came from.
    padding = (top, left).
    """
    R, S, C, G, K = weight.shape        # weight (R, S, C, G, K)
    N, P, Q, G, K = dy.shape            # dy (N, P, Q, G, K)
    N, H, W, G, C = dx.shape            # dx (N, H, W, G, C)
    for n in prange(N):
        dx[n] = 0
        for p in range(P):
            for q in range(Q):
                for r in range(R):
                    for s in range(S):
                        h = p * stride[0] + r * dilation[0] - padding[0]
                        w = q * stride[1] + s * dilation[1] - padding[1]
                        if 0 <= h < H and 0 <= w < W:
                            for g in range(G):
                                for c in range(C):
                                    for k in range(K):
                                        dx[n, h, w, g, c] += dy[n, p, q, g, k] * weight[r, s, c, g, k]


@njit(parallel=True)
def conv2d_backward_weight(dy: Floats, x: Floats, stride: Pair, padding: Pair, dilation: Pair, dweight: Floats) -> None:
    """dweight[r, s, c, g, k] = sum over n, p, q of x[n, h, w, g, c] dy[n, p, q, g, k]. padding = (top, left)."""
    N, P, Q, G, K = dy.shape            # dy (N, P, Q, G, K)
    N, H, W, G, C = x.shape             # x (N, H, W, G, C)
    R, S, C, G, K = dweight.shape       # dweight (R, S, C, G, K)
    for c in prange(C):
        for r in range(R):
            for s in range(S):
                for g in range(G):
                    for k in range(K):
                        dweight[r, s, c, g, k] = 0
                for n in range(N):
                    for p in range(P):
                        for q in range(Q):
                            h = p * stride[0] + r * dilation[0] - padding[0]
                            w = q * stride[1] + s * dilation[1] - padding[1]
                            if 0 <= h < H and 0 <= w < W:
                                for g in range(G):
                                    for k in range(K):
                                        dweight[r, s, c, g, k] += x[n, h, w, g, c] * dy[n, p, q, g, k]


@njit(parallel=True)
def max_pool2d(x: Floats, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, y: Floats,
               argmax: Indices) -> None:
    """y[n, p, q, c] = max over r, s of x[n, h, w, c], and argmax = h W + w where it lies; -inf and -1 in padding alone.

    The first of several maxima counts, NaN is the largest. padding = (top, left).
    """
    N, H, W, C = x.shape                # x (N, H, W, C)
    _, P, Q, _ = y.shape                # y and argmax (N, P, Q, C)
    R, S = kernel_size
    for n in prange(N):
        for p in range(P):
            for q in range(Q):
                for c in range(C):
                    largest, position = -np.inf, -1
                    for r in range(R):
                        for s in range(S):
                            h = p * stride[0] + r * dilation[0] - padding[0]
                            w = q * stride[1] + s * dilation[1] - padding[1]
                            if 0 <= h < H and 0 <= w < W:
                                value = x[n, h, w, c]
                                is_first_nan = np.isnan(value) and not np.isnan(largest)
                                if position < 0 or value > largest or is_first_nan:
                                    largest, position = value, h * W + w
                    y[n, p, q, c] = largest
                    argmax[n, p, q, c] = position


@njit(parallel=True)
def max_pool2d_backward(dy: Floats, argmax: Indices, dx: Floats) -> None:
    """dx[n, h, w, c] = sum over the p, q whose argmax is h W + w of dy[n, p, q, c]; an argmax of -1 is no pixel."""
    N, _, W, C = dx.shape               # dx (N, H, W, C)
    _, P, Q, _ = dy.shape               # dy and argmax (N, P, Q, C)
    for n in prange(N):
        dx[n] = 0
        for p in range(P):
            for q in range(Q):
                for c in range(C):
                    position = argmax[n, p, q, c]
                    if position >= 0:
                        dx[n, position // W, position % W, c] += dy[n, p, q, c]


@njit(parallel=True)
def avg_pool2d(x: Floats, kernel_size: Pair, stride: Pair, padding: tuple[Pair, Pair], count_include_pad: bool,
               y: Floats) -> None:
    """y[n, p, q, c] = sum over r, s of x[n, h, w, c] / how many elements of the window count.

    Pixels count, and padding with count_include_pad; nothing beyond the padding. padding = ((top, bottom), (left, right)).
    """
    N, H, W, C = x.shape                # x (N, H, W, C)
    _, P, Q, _ = y.shape                # y (N, P, Q, C)
    R, S = kernel_size
    (top, bottom), (left, right) = padding
    for n in prange(N):
        for p in range(P):
            for q in range(Q):
                for c in range(C):
                    total, count = 0.0, 0
                    for r in range(R):
                        for s in range(S):
                            h = p * stride[0] + r - top
                            w = q * stride[1] + s - left
                            if 0 <= h < H and 0 <= w < W:
                                total += x[n, h, w, c]
                                count += 1
                            elif count_include_pad and h < H + bottom and w < W + right:
                                count += 1
                    y[n, p, q, c] = total / count


@njit(parallel=True)
def avg_pool2d_backward(dy: Floats, kernel_size: Pair, stride: Pair, padding: tuple[Pair, Pair], count_include_pad: bool,
                        dx: Floats) -> None:
    """dx[n, h, w, c] = sum over the windows that see pixel (h, w) of dy[n, p, q, c] / how many elements of each count.

    What counts is said in `avg_pool2d`. padding = ((top, bottom), (left, right)).
    """
    N, H, W, C = dx.shape               # dx (N, H, W, C)
    _, P, Q, _ = dy.shape               # dy (N, P, Q, C)
    R, S = kernel_size
    (top, bottom), (left, right) = padding
    for n in prange(N):
        dx[n] = 0
        for p in range(P):
            for q in range(Q):
                count = 0
                for r in range(R):
                    for s in range(S):
                        h = p * stride[0] + r - top
                        w = q * stride[1] + s - left
                        is_pixel = 0 <= h < H and 0 <= w < W
                        if is_pixel or (count_include_pad and h < H + bottom and w < W + right):
                            count += 1
                for r in range(R):
                    for s in range(S):
                        h = p * stride[0] + r - top
                        w = q * stride[1] + s - left
                        if 0 <= h < H and 0 <= w < W:
                            for c in range(C):
                                dx[n, h, w, c] += dy[n, p, q, c] / count


@njit(parallel=True)
def batch_norm_statistics(x: Floats, mean: Floats, variance: Floats) -> None:
    """mean = sum of x / M, variance = sum of (x - mean)^2 / M, over the M values of each channel."""
    M, C = x.shape                      # x (M, C): the rows are the pixels of all images
    for c in prange(C):                 # mean and variance (C,), float64
        total = np.float64(0)
        for m in range(M):
            total += x[m, c]
        mean[c] = total / M
        squares = np.float64(0)
        for m in range(M):
            squares += (x[m, c] - total / M) ** 2
        variance[c] = squares / M


@njit(parallel=True)
def batch_norm(x: Floats, gamma: Floats, beta: Floats, mean: Floats, inverse_std: Floats, y: Floats) -> None:
    """y = (x - mean) inverse_std gamma + beta, where inverse_std = 1 / sqrt(variance + eps).

    Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.
    """
    M, C = x.shape                      # x and y (M, C): the rows are the pixels of all images
    for c in prange(C):                 # gamma and beta (C,), mean and inverse_std (C,) in float64
        for m in range(M):
            y[m, c] = (x[m, c] - mean[c]) * inverse_std[c] * gamma[c] + beta[c]


@njit(parallel=True)
def batch_norm_backward(dy: Floats, x: Floats, gamma: Floats, saved: tuple[Floats, Floats], training: bool, dgamma: Floats,
                        dbeta: Floats, dx: Floats) -> None:
    """dgamma = sum of dy z, dbeta = sum of dy, where z = (x - mean) inverse_std and saved = (mean, inverse_std).

    dx = gamma inverse_std (dy - dbeta / M - z dgamma / M) in training, where mean and variance depend on x too;
    otherwise dx = gamma inverse_std dy. Sums are float64.
    """
    M, C = x.shape                      # x, dy and dx (M, C): the rows are the pixels of all images
    mean, inverse_std = saved           # these, gamma, dgamma and dbeta (C,)
    for c in prange(C):
        sum_dy, sum_dy_z = np.float64(0), np.float64(0)
        for m in range(M):
            z = (np.float64(x[m, c]) - mean[c]) * inverse_std[c]
            sum_dy += dy[m, c]
            sum_dy_z += dy[m, c] * z
        for m in range(M):
            z = (np.float64(x[m, c]) - mean[c]) * inverse_std[c]
            change = dy[m, c] - (sum_dy + z * sum_dy_z) / M if training else dy[m, c]
            dx[m, c] = gamma[c] * inverse_std[c] * change
        dgamma[c] = sum_dy_z
        dbeta[c] = sum_dy
