"""Convolution: checks, choice of the algorithm, allocation.

Each algorithm is a module that satisfies the Protocol of `algorithm.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ... import shapes
from ...kernels import arithmetic
from ...kernels.arguments import Epilogue, Maxima
from ...kernels.follow import can_follow
from ...kernels.jit import threads
from ...kernels.moments import Moments
from ...runtime import buffers
from ...shapes import Padding, ShapeError, Window
from .. import arrays, loops, norm, pool
from ..activation import through_relu
from . import cost_model, depthwise, direct, few_channels, pointwise, problem, products, winograd
from .algorithm import PASSES, Algorithm, Cost, Fit, Work

__all__ = ["conv2d", "conv2d_backward", "conv_transpose2d", "conv_transpose2d_backward"]

_MODULES: dict[str, Algorithm] = {
    "direct": direct, "few_channels": few_channels, "winograd": winograd, "matmul": pointwise, "depthwise": depthwise,
    "loops": loops}
_HANDICAPS = {"winograd": 1.15}  # has to gain so much: its rounding errors are larger, and it makes NaN of infinities
ALGORITHMS = "auto", *_MODULES


class Candidate(NamedTuple):
    """An algorithm beside a convolution: whether it fits and, where it does, what each of PASSES costs."""

    name: str
    fit: Fit
    costs: tuple[Cost, ...]


class Choice(NamedTuple):
    """The algorithm of each pass of a convolution and the reason, made once for each geometry and kept."""

    names: tuple[str, str, str]  # of PASSES
    forward: Algorithm
    for_input: Algorithm
    for_weight: Algorithm
    window: Window
    y_shape: tuple[int, int, int, int]
    why: str

    @property
    def name(self) -> str:
        """Name of the algorithm that computes the result."""
        return self.names[0]

    def __str__(self) -> str:
        """One line; its first word is a convolution that `fastcnn verify --shape` checks."""
        return f"{problem.of(self.window)}: {self.name}, {self.why}"


def candidates(w: Window) -> list[Candidate]:
    """Every algorithm, whether or not it fits a window."""
    fits = {name: module.fits(w) for name, module in _MODULES.items()}
    return [Candidate(name, fit, _costs(name, w) if fit else ()) for name, fit in fits.items()]


def _costs(name: str, w: Window) -> tuple[Cost, ...]:
    return tuple(cost_model.expected(work(name, w, step)) for step in PASSES)


def work(name: str, w: Window, step: str) -> Work | None:
    """Return what an algorithm does in one of PASSES, for a window that fits; None: it leaves that pass to another."""
    return _MODULES[name].work(w, step)


def cheapest(w: Window, step: str, coefficients: cost_model.Coefficients = cost_model.COEFFICIENTS) -> str:
    """Return the algorithm that is expected to take least time for a pass; of equals the special one, which stands later.

    It is a function of shape and kind of CPU alone, so that results never depend on timing or on the number of threads.
    """
    def time(name: str) -> float:
        return _HANDICAPS.get(name, 1.0) * cost_model.expected(work(name, w, step), coefficients).time

    return min((name for name, module in reversed(_MODULES.items()) if module.fits(w)), key=time)


def _best(w: Window) -> tuple[tuple[str, str, str], str]:
    """Names of the cheapest algorithms of the passes, and what most of the time of the first goes to."""
    forward, for_input, for_weight = (cheapest(w, step) for step in PASSES)
    return (forward, for_input, for_weight), str(cost_model.expected(work(forward, w, PASSES[0])))


def _choose(function: str, algorithm: str, w: Window) -> tuple[tuple[str, str, str], str]:
    """Names of the algorithms for a window and why; ValueError: there is none of that name, ShapeError: it does not fit."""
    shapes.one_of(function, "algorithm", algorithm, ALGORITHMS)
    if algorithm == "auto":
        return _best(w)
    if not (fit := _MODULES[algorithm].fits(w)):
        possible = [candidate.name for candidate in candidates(w) if candidate.fit]
        raise ShapeError(f"{function}: algorithm is {algorithm!r}, but {fit.why_not}; expected {' or '.join(possible)} for "
                         f"a {w.R}x{w.S} filter with stride {w.stride_rows, w.stride_columns}, dilation "
                         f"{w.dilation_rows, w.dilation_columns}, {w.groups} groups, {w.C} to {w.K} channels")
    return (algorithm, algorithm, algorithm), "the one that was asked for"


def _of_window(function: str, w: Window, algorithm: str) -> Choice:
    names, why = _choose(function, algorithm, w)
    forward, for_input, for_weight = map(_MODULES.__getitem__, names)
    return Choice(names, forward, for_input, for_weight, w, (w.N, w.P, w.Q, w.K), why)


@arrays.remembered
def _chosen(function: str, x: tuple[int, ...], weight: tuple[int, ...], stride: shapes.Pair, padding: shapes.Padding,
            dilation: shapes.Pair, groups: int, algorithm: str) -> Choice:
    return _of_window(function, shapes.conv2d(function, x, weight, stride, padding, dilation, groups), algorithm)


@arrays.remembered
def _chosen_transposed(function: str, x: tuple[int, ...], weight: tuple[int, ...], stride: shapes.Pair, padding: Padding,
                       output_padding: shapes.Pair, dilation: shapes.Pair, groups: int, algorithm: str) -> Choice:
    w = shapes.conv_transpose2d(function, x, weight, stride, padding, output_padding, dilation, groups)
    return _of_window(function, w, algorithm)


def choose(x_shape: tuple[int, ...], weight_shape: tuple[int, ...], *, stride: shapes.Pair = 1, padding: Padding = 0,
           dilation: shapes.Pair = 1, groups: int = 1, algorithm: str = "auto") -> Choice:
    """Return what `conv2d` does for these shapes: `name` of the algorithm and, printed, the reason."""
    return _chosen("conv2d", x_shape, weight_shape, stride, padding, dilation, groups, algorithm)


def conv2d(x: Any, weight: Any, bias: Any = None, *, stride: shapes.Pair = 1, padding: shapes.Padding = 0,
           dilation: shapes.Pair = 1, groups: int = 1, algorithm: str = "auto", relu: bool = False, add: Any = None,
           out: np.ndarray | None = None) -> np.ndarray:
    """Cross-correlate images with filters.

    Parameters
    ----------
    x : (N, H, W, C) array
    weight : (R, S, C // groups, K) array
    bias : (K,) array, optional
    stride : int or (rows, columns)
    padding : int, (rows, columns), ((top, bottom), (left, right)), "same" or "valid"
    dilation : int or (rows, columns)
    groups : int
        Divides C and K.
    algorithm : str
        "auto" chooses by shape alone. "direct" and "loops" (the textbook kernel, for reading) fit every shape,
        "few_channels" one group, "winograd" 3x3 and 5x5 filters with stride 1, "matmul" 1x1 filters with stride 1,
        "depthwise" one filter per channel.
    relu : bool
        Return max(y, 0), computed in the same pass.
    add : (N, P, Q, K) array, optional
        Added to y in the same pass, before the ReLU.
    out : (N, P, Q, K) array, optional
        Receives the result.

    Returns
    -------
    y : (N, P, Q, K) array
        With one group y[n, p, q, k] = bias[k] + sum over r, s, c of
        x[n, p stride + r dilation - top, q stride + s dilation - left, c] weight[r, s, c, k].

    Raises
    ------
    ShapeError
        Shapes do not fit, or `algorithm` does not fit the shape.

    Notes
    -----
    "winograd" computes blocks of 4x4 pixels of y, or of 2x2 with 5x5 filters, from 6x6 pixels of x. Its rounding errors are
    relative to the largest of these (one pixel of 1e6 among ordinary ones leaves errors of 10 at pixels that do not depend
    on it), and a NaN or an infinity reaches the whole block. The other algorithms compute each pixel of y from the pixels
    that its filter covers.

    References
    ----------
    Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016 (Winograd).

    Examples
    --------
    >>> x, weight = np.arange(9.0).reshape(1, 3, 3, 1), np.array([[1.0, 0.0], [0.0, -1.0]]).reshape(2, 2, 1, 1)
    >>> F.conv2d(x, weight, np.array([5.0])).reshape(2, 2)  # x[p, q] - x[p + 1, q + 1] + 5
    array([[1., 1.],
           [1., 1.]])
    """
    x, weight = arrays.floats("conv2d", x=x, weight=weight)
    chosen = _chosen("conv2d", x.shape, weight.shape, stride, padding, dilation, groups, algorithm)
    epilogue = Epilogue(arrays.as_bias("conv2d", bias, chosen.window.K, x.dtype),
                        arrays.as_residual("conv2d", add, chosen.y_shape, x.dtype), bool(relu))
    y = arrays.as_output("conv2d", out, chosen.y_shape, x.dtype)
    chosen.forward.forward(x, weight, epilogue, chosen.window, y)
    return y


def conv2d_max_pool2d(x: Any, weight: Any, bias: Any, pooled: tuple[Any, ...], *, stride: shapes.Pair,
                      padding: shapes.Padding, dilation: shapes.Pair, groups: int, algorithm: str, relu: bool,
                      ) -> tuple[np.ndarray, np.ndarray]:
    """Do as `max_pool2d` of what `conv2d` gives, in one pass where the algorithm can: y and argmax are the same.

    `pooled` is the window of `pool.of_max_pool2d`.
    """
    x, weight = arrays.floats("conv2d", x=x, weight=weight)
    chosen = _chosen("conv2d", x.shape, weight.shape, stride, padding, dilation, groups, algorithm)
    job = pool.max_pool2d_job(chosen.y_shape, pooled)
    y, argmax = buffers.empty(job.y_shape, x.dtype), buffers.empty(job.y_shape, arrays.INT32)
    bias = arrays.as_bias("conv2d", bias, chosen.window.K, x.dtype)
    if chosen.forward is few_channels and few_channels.pools(job.w):
        few_channels.forward_pooled(x, weight, bias, chosen.window, Maxima(y.ravel(), argmax.ravel(), relu))
    else:
        whole = buffers.empty(chosen.y_shape, x.dtype)
        chosen.forward.forward(x, weight, Epilogue(bias, arrays.NOTHING[x.dtype], False), chosen.window, whole)
        pool.write_max_pool2d(whole, job, relu, y, argmax)
    return y, argmax


def conv2d_moments(x: Any, weight: Any, bias: Any, *, stride: shapes.Pair, padding: shapes.Padding, dilation: shapes.Pair,
                   groups: int, algorithm: str) -> tuple[np.ndarray, Moments]:
    """Do as `conv2d`; return y, and the moments of it that `norm.normalised` takes: summed as it is written, if possible."""
    x, weight = arrays.floats("conv2d", x=x, weight=weight)
    chosen = _chosen("conv2d", x.shape, weight.shape, stride, padding, dilation, groups, algorithm)
    y, moments = buffers.empty(chosen.y_shape, x.dtype), norm.moments_of(chosen.y_shape)
    epilogue = Epilogue(arrays.as_bias("conv2d", bias, chosen.window.K, x.dtype), arrays.NOTHING[x.dtype], False)
    if chosen.forward is not loops and can_follow():
        epilogue = epilogue._replace(follower=norm.sum_later(y, moments))
        chosen.forward.forward(x, weight, epilogue, chosen.window, y)
    else:
        chosen.forward.forward(x, weight, epilogue, chosen.window, y)
        norm.sum_now(y, moments)
    return y, moments


def conv2d_backward(dy: Any, x: Any, weight: Any, *, stride: shapes.Pair = 1, padding: shapes.Padding = 0,
                    dilation: shapes.Pair = 1, groups: int = 1, algorithm: str = "auto", need_dx: bool = True,
                    need_dweight: bool = True, need_dbias: bool = True, y: Any = None, add: Any = None,
                    out: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
                    ) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Compute the gradients of `conv2d`.

    Parameters
    ----------
    dy : (N, P, Q, K) array
    x, weight, stride, padding, dilation, groups, algorithm : optional
        As in `conv2d`.
    need_dx, need_dweight, need_dbias : bool
        What to compute.
    y : (N, P, Q, K) array, optional
        The result of `conv2d` with `relu`, else None.
    add : (N, H, W, C) array, optional
        Added to dx in the same pass.
    out : pair of arrays or None
        Arrays that receive dweight and dbias.

    Returns
    -------
    dx : (N, H, W, C) array or None
    dweight : (R, S, C // groups, K) array or None
        With stride 1, one group and no padding
        dweight[r, s, c, k] = sum over n, p, q of x[n, p + r, q + s, c] dy[n, p, q, k].
    dbias : (K,) array or None
        dbias[k] = sum over n, p, q of dy[n, p, q, k].

    Examples
    --------
    >>> x, weight = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1), np.array([10.0, 1.0]).reshape(1, 2, 1, 1)
    >>> dx, dweight, dbias = F.conv2d_backward(np.array([1.0, 2.0]).reshape(1, 1, 2, 1), x, weight)
    >>> dx.ravel(), dweight.ravel(), dbias
    (array([10., 21.,  2.]), array([5., 8.]), array([3.]))
    """
    dy, x, weight = arrays.floats("conv2d_backward", dy=dy, x=x, weight=weight)
    chosen = _chosen("conv2d_backward", x.shape, weight.shape, stride, padding, dilation, groups, algorithm)
    shapes.same_shape("conv2d_backward", "dy", dy.shape, chosen.y_shape, "the shape of y")
    dy, dx = through_relu("conv2d_backward", dy, y), None
    if need_dx:
        dx = buffers.empty(x.shape, x.dtype)
        residual = arrays.as_residual("conv2d_backward", add, x.shape, x.dtype)
        chosen.for_input.backward_input(dy, weight, residual, chosen.window, dx)
    dweight = None
    dbias = arrays.as_output("conv2d_backward", out[1], (chosen.window.K,), dy.dtype) if need_dbias else None
    if need_dweight:
        dweight = arrays.as_output("conv2d_backward", out[0], weight.shape, weight.dtype)
        sums = arrays.NOTHING[dy.dtype] if dbias is None else dbias
        chosen.for_weight.backward_weight(dy, x, chosen.window, dweight, sums)
    elif dbias is not None:
        products.column_sums(dy, dbias)
    return dx, dweight, dbias


def conv_transpose2d(x: Any, weight: Any, bias: Any = None, *, stride: shapes.Pair = 1, padding: Padding = 0,
                     output_padding: shapes.Pair = 0, dilation: shapes.Pair = 1, groups: int = 1,
                     algorithm: str = "auto") -> np.ndarray:
    """Convolve images with a transposed filter: the gradient of `conv2d` by its input.

    Parameters
    ----------
    x : (N, H, W, C) array
    weight : (R, S, K // groups, C) array
    bias : (K,) array, optional
    stride, padding : optional
        As in `conv2d`, of the convolution whose gradient this is; padding in numbers only.
    output_padding : int or (rows, columns)
        Rows and columns added at the end, fewer than the stride or the dilation.
    dilation, groups, algorithm : optional
        As in `conv2d`.

    Returns
    -------
    y : (N, P, Q, K) array
        P = (H - 1) * stride + (R - 1) * dilation + 1 - padding of both sides + output_padding; Q likewise.

    Examples
    --------
    >>> x, weight = np.array([1.0, 2.0]).reshape(1, 1, 2, 1), np.array([10.0, 1.0]).reshape(1, 2, 1, 1)
    >>> F.conv_transpose2d(x, weight, stride=(1, 2)).ravel()
    array([10.,  1., 20.,  2.])
    """
    x, weight = arrays.floats("conv_transpose2d", x=x, weight=weight)
    chosen = _chosen_transposed("conv_transpose2d", x.shape, weight.shape, stride, padding, output_padding, dilation, groups,
                                algorithm)
    w = chosen.window
    y = buffers.empty((w.N, w.H, w.W, w.C), x.dtype)
    bias = arrays.as_bias("conv_transpose2d", bias, w.C, x.dtype)
    chosen.for_input.backward_input(x, weight, arrays.NOTHING[x.dtype], w, y)
    if len(bias):
        arithmetic.add_to_channels(y.reshape(-1), arrays.lanes(bias, w.C), threads.workers(y.size))
    return y


def conv_transpose2d_backward(dy: Any, x: Any, weight: Any, *, stride: shapes.Pair = 1, padding: Padding = 0,
                              output_padding: shapes.Pair = 0, dilation: shapes.Pair = 1, groups: int = 1,
                              algorithm: str = "auto", need_dx: bool = True, need_dweight: bool = True,
                              need_dbias: bool = True, out: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
                              ) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Compute the gradients of `conv_transpose2d`.

    Parameters
    ----------
    dy : (N, P, Q, K) array
    x, weight, stride, padding, output_padding, dilation, groups, algorithm : optional
        As in `conv_transpose2d`.
    need_dx, need_dweight, need_dbias : bool
        What to compute.
    out : pair of arrays or None
        Arrays that receive dweight and dbias.

    Returns
    -------
    dx : (N, H, W, C) array or None
    dweight : (R, S, K // groups, C) array or None
    dbias : (K,) array or None

    Examples
    --------
    >>> x, weight = np.array([1.0, 2.0]).reshape(1, 1, 2, 1), np.array([10.0, 1.0]).reshape(1, 2, 1, 1)
    >>> dx, dweight, dbias = F.conv_transpose2d_backward(np.ones((1, 1, 3, 1)), x, weight)
    >>> dx.ravel(), dweight.ravel(), dbias
    (array([11., 11.]), array([3., 3.]), array([3.]))
    """
    function = "conv_transpose2d_backward"
    dy, x, weight = arrays.floats(function, dy=dy, x=x, weight=weight)
    chosen = _chosen_transposed(function, x.shape, weight.shape, stride, padding, output_padding, dilation, groups,
                                algorithm)
    w = chosen.window
    shapes.same_shape(function, "dy", dy.shape, (w.N, w.H, w.W, w.C), "the shape of y")
    dx = None
    if need_dx:
        dx = buffers.empty(x.shape, x.dtype)
        chosen.forward.forward(dy, weight, arrays.NO_EPILOGUE[x.dtype], w, dx)
    dweight = None
    if need_dweight:
        dweight = arrays.as_output(function, out[0], weight.shape, weight.dtype)
        chosen.for_weight.backward_weight(x, dy, w, dweight, arrays.NOTHING[x.dtype])
    dbias = None
    if need_dbias:
        dbias = arrays.as_output(function, out[1], (w.C,), dy.dtype)
        products.column_sums(dy, dbias)
    return dx, dweight, dbias
