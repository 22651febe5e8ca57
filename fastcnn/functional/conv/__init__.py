"""Convolution: checks, choice of the algorithm, allocation.

Each algorithm is a module that satisfies the Protocol of `algorithm.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import shapes
from ...kernels import arithmetic
from ...kernels.arguments import Epilogue
from ...kernels.jit import threads
from ...runtime import buffers
from ...shapes import Padding, ShapeError, Window
from .. import arrays, loops
from ..activation import through_relu
from . import depthwise, direct, few_channels, pointwise, products, winograd
from .algorithm import Algorithm

__all__ = ["conv2d", "conv2d_backward", "conv_transpose2d", "conv_transpose2d_backward"]

class _Old:
    def __init__(self, module, time): self.module, self.time = module, time
    def fits(self, w):
        from .algorithm import Fit
        return Fit("" if self.module.fits(w) else "no")
    def cost(self, w):
        from .algorithm import Cost
        return Cost(self.time if self.module.pays(w) else float("inf"), "")
    def forward(self, x, weight, e, w, y): self.module.forward(x, weight, e.bias, w, e.residual, y, e.relu)
    def backward_input(self, dy, weight, r, w, dx): self.module.backward_input(dy, weight, w, r, dx)
    def backward_weight(self, *a): self.module.backward_weight(*a)
    def __getattr__(self, n): return getattr(self.module, n)
_MODULES: dict[str, Algorithm] = {
    "direct": direct, "few_channels": few_channels, "winograd": _Old(winograd, 0.4), "matmul": pointwise, "depthwise": depthwise, "loops": loops}
ALGORITHMS = "auto", *_MODULES


def _best(w: Window) -> str:
    """Name of the algorithm of least cost: a function of the shape alone, so that results never depend on timing."""
    return min((name for name, module in _MODULES.items() if module.fits(w)), key=lambda name: _MODULES[name].cost(w).time)


def _choose(function: str, algorithm: str, w: Window) -> str:
    """Name of the algorithm for a window; ValueError: there is none of that name, ShapeError: it does not fit."""
    shapes.one_of(function, "algorithm", algorithm, ALGORITHMS)
    if algorithm == "auto":
        return _best(w)
    if not (fit := _MODULES[algorithm].fits(w)):
        possible = [name for name, module in _MODULES.items() if module.fits(w)]
        raise ShapeError(f"{function}: algorithm is {algorithm!r}, but {fit.why_not}; expected {' or '.join(possible)} for a "
                         f"{w.R}x{w.S} filter with stride {w.stride_rows, w.stride_columns}, dilation "
                         f"{w.dilation_rows, w.dilation_columns}, {w.groups} groups, {w.C} to {w.K} channels")
    return algorithm


def _for_weight(chosen: Algorithm, w: Window) -> Algorithm:
    """Module that makes the gradient of the weight where all algorithms are open and `chosen` makes the rest."""
    return few_channels if chosen is direct and few_channels.pays_for_weight(w) else chosen


@arrays.remembered
def _planned(function: str, x: tuple[int, ...], weight: tuple[int, ...], stride: shapes.Pair, padding: shapes.Padding,
             dilation: shapes.Pair, groups: int, algorithm: str,
             ) -> tuple[Algorithm, Algorithm, Window, tuple[int, int, int, int]]:
    """Module of the algorithm, that of the gradient of the weight, geometry, and shape of y."""
    w = shapes.conv2d(function, x, weight, stride, padding, dilation, groups)
    chosen = _MODULES[_choose(function, algorithm, w)]
    return chosen, _for_weight(chosen, w) if algorithm == "auto" else chosen, w, (w.N, w.P, w.Q, w.K)


def algorithm_of(x_shape: tuple[int, ...], weight_shape: tuple[int, ...], *, stride: shapes.Pair = 1,
                 padding: shapes.Padding = 0, dilation: shapes.Pair = 1, groups: int = 1) -> str:
    """Name of the algorithm that `algorithm="auto"` takes for these shapes."""
    return _choose("conv2d", "auto", shapes.conv2d("conv2d", x_shape, weight_shape, stride, padding, dilation, groups))


def conv2d(x: Any, weight: Any, bias: Any = None, *, stride: shapes.Pair = 1, padding: shapes.Padding = 0,
           dilation: shapes.Pair = 1, groups: int = 1, algorithm: str = "auto", relu: bool = False, add: Any = None,
           out: np.ndarray | None = None) -> np.ndarray:
    """Cross-correlate images x (N, H, W, C) with weight (R, S, C // groups, K): y (N, P, Q, K).

    `padding` is an int, (rows, columns), ((top, bottom), (left, right)), "same" or "valid"; `bias` is (K,). `algorithm`
    is "direct", "few_channels", "winograd" (3x3, stride 1), "matmul" (1x1, stride 1), "depthwise" (one filter a
    channel), "loops" (the textbook kernel, for reading) or "auto", which chooses by shape alone. `add`, an array like y, is
    added and `relu` gives max(y, 0) in the same pass. `out` receives y where given. float32 or float64, all of one dtype.
    ShapeError, DTypeError: arguments that do not fit.

    y[n, p, q, k] = bias[k] + sum over r, s, c of x[n, p stride + r dilation - top, q stride + s dilation - left, c]
    weight[r, s, c, k]. "winograd" makes blocks of 4x4 pixels of y from 6x6 pixels of x at once: its rounding errors follow
    the largest of these (one pixel of 1e6 among ordinary ones leaves errors of 10 at pixels that do not see it), and NaN or
    infinity reaches the whole block. All others give each pixel of y from what it sees alone; "direct" and "loops" fit every
    shape.
    """
    x, weight = arrays.floats("conv2d", x=x, weight=weight)
    chosen, _, w, y_shape = _planned("conv2d", x.shape, weight.shape, stride, padding, dilation, groups, algorithm)
    epilogue = Epilogue(arrays.as_bias("conv2d", bias, w.K, x.dtype), arrays.as_residual("conv2d", add, y_shape, x.dtype),
                        bool(relu))
    y = arrays.as_output("conv2d", out, y_shape, x.dtype)
    chosen.forward(x, weight, epilogue, w, y)
    return y


def conv2d_backward(dy: Any, x: Any, weight: Any, *, stride: shapes.Pair = 1, padding: shapes.Padding = 0,
                    dilation: shapes.Pair = 1, groups: int = 1, algorithm: str = "auto", need_dx: bool = True,
                    need_dweight: bool = True, need_dbias: bool = True, y: Any = None, add: Any = None,
                    out: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
                    ) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gradients (dx, dweight, dbias) of conv2d from dy (N, P, Q, K); each is None where it is not needed.

    Arguments as in `conv2d`; `y` is what it gave with `relu`, and None without. `add`, an array like x, is added to dx.
    `out` is two arrays that receive dweight and dbias where given. ShapeError, DTypeError: arguments that do not fit.
    """
    dy, x, weight = arrays.floats("conv2d_backward", dy=dy, x=x, weight=weight)
    chosen, for_weight, w, y_shape = _planned("conv2d_backward", x.shape, weight.shape, stride, padding, dilation, groups,
                                              algorithm)
    shapes.same_shape("conv2d_backward", "dy", dy.shape, y_shape, "the shape of y")
    dy, dx = through_relu("conv2d_backward", dy, y), None
    if need_dx:
        dx = buffers.empty(x.shape, x.dtype)
        chosen.backward_input(dy, weight, arrays.as_residual("conv2d_backward", add, x.shape, x.dtype), w, dx)
    dweight = dbias = None
    if need_dweight:
        dweight = arrays.as_output("conv2d_backward", out[0], weight.shape, weight.dtype)
        for_weight.backward_weight(dy, x, w, dweight)
    if need_dbias:
        dbias = arrays.as_output("conv2d_backward", out[1], (w.K,), dy.dtype)
        products.column_sums(dy, dbias)
    return dx, dweight, dbias


_transposed_geometry = arrays.remembered(shapes.conv_transpose2d)


def conv_transpose2d(x: Any, weight: Any, bias: Any = None, *, stride: shapes.Pair = 1, padding: Padding = 0,
                     output_padding: shapes.Pair = 0, dilation: shapes.Pair = 1, groups: int = 1,
                     algorithm: str = "auto") -> np.ndarray:
    """Transposed convolution, the input gradient of conv2d: x (N, H, W, C), weight (R, S, K // groups, C) -> y (N, P, Q, K).

    P = (H - 1) * stride + (R - 1) * dilation + 1 - padding of both sides + output_padding; `bias` is (K,). `algorithm` as in
    `conv2d`, of whose gradient it is. ShapeError, DTypeError: arguments that do not fit.
    """
    x, weight = arrays.floats("conv_transpose2d", x=x, weight=weight)
    w = _transposed_geometry("conv_transpose2d", x.shape, weight.shape, stride, padding, output_padding, dilation, groups)
    y = buffers.empty((w.N, w.H, w.W, w.C), x.dtype)
    bias = arrays.as_bias("conv_transpose2d", bias, w.C, x.dtype)
    _MODULES[_choose("conv_transpose2d", algorithm, w)].backward_input(x, weight, arrays.NOTHING[x.dtype], w, y)
    if len(bias):
        arithmetic.add_to_channels(y.reshape(-1), bias[arrays.channel_of_lane(w.C)], threads.workers(y.size))
    return y


def conv_transpose2d_backward(dy: Any, x: Any, weight: Any, *, stride: shapes.Pair = 1, padding: Padding = 0,
                              output_padding: shapes.Pair = 0, dilation: shapes.Pair = 1, groups: int = 1,
                              algorithm: str = "auto", need_dx: bool = True, need_dweight: bool = True,
                              need_dbias: bool = True,
                              ) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gradients (dx, dweight, dbias) of conv_transpose2d from dy (N, P, Q, K); each is None where it is not needed."""
    function = "conv_transpose2d_backward"
    dy, x, weight = arrays.floats(function, dy=dy, x=x, weight=weight)
    w = _transposed_geometry(function, x.shape, weight.shape, stride, padding, output_padding, dilation, groups)
    shapes.same_shape(function, "dy", dy.shape, (w.N, w.H, w.W, w.C), "the shape of y")
    chosen = _MODULES[_choose(function, algorithm, w)]
    dx = None
    if need_dx:
        dx = buffers.empty(x.shape, x.dtype)
        chosen.forward(dy, weight, arrays.NO_EPILOGUE[x.dtype], w, dx)
    dweight = None
    if need_dweight:
        dweight = buffers.empty(weight.shape, weight.dtype)
        (_for_weight(chosen, w) if algorithm == "auto" else chosen).backward_weight(x, dy, w, dweight)
    dbias = None
    if need_dbias:
        dbias = buffers.empty((w.C,), dy.dtype)
        products.column_sums(dy, dbias)
    return dx, dweight, dbias
