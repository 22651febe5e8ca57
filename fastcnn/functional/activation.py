"""Activations, softmax and their gradients, for arrays of any rank.

sigmoid, tanh and the ReLU family differentiate by their output y; gelu, silu, prelu, softplus, hardswish and mish by their
input x.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import shapes
from ..kernels import activation as kernels
from ..kernels.jit import threads
from ..kernels.lanes import totals
from ..runtime import buffers
from ..runtime.probabilities import note
from . import arrays

__all__ = ["elu", "elu_backward", "gelu", "gelu_backward", "hardswish", "hardswish_backward", "leaky_relu",
           "leaky_relu_backward", "log_softmax", "log_softmax_backward", "mish", "mish_backward", "prelu", "prelu_backward",
           "relu", "relu_backward", "selu", "selu_backward", "sigmoid", "sigmoid_backward", "silu", "silu_backward",
           "softmax", "softmax_backward", "softplus", "softplus_backward", "softsign", "softsign_backward", "tanh",
           "tanh_backward"]

_LEAST_BETA = 1e-30


def _forward(kernel: Any, function: str, x: Any, *parameters: float, out: np.ndarray | None = None) -> np.ndarray:
    x = arrays.as_floats(function, "x", x)
    shapes.at_least_1d(function, "x", x.shape)
    y = arrays.as_output(function, out, x.shape, x.dtype)
    kernel(x.ravel(), y.ravel(), *(parameters or (0.0,)), threads.workers(x.size))
    return y


def _backward(kernel: Any, function: str, dy: Any, name: str, saved: Any, *parameters: float) -> np.ndarray:
    dy, saved = arrays.floats(function, **{"dy": dy, name: saved})
    shapes.at_least_1d(function, name, saved.shape)
    shapes.same_shape(function, "dy", dy.shape, saved.shape, f"the shape of {name}")
    dx = buffers.empty(dy.shape, dy.dtype)
    kernel(dy.ravel(), saved.ravel(), dx.ravel(), *(parameters or (0.0,)), threads.workers(dy.size))
    return dx


def relu(x: Any, *, out: np.ndarray | None = None) -> np.ndarray:
    """Compute max(x, 0) of each element; NaN stays NaN.

    Parameters
    ----------
    x : (...) array
    out : (...) array, optional
        Receives the result; it may be x.

    Returns
    -------
    y : (...) array

    Examples
    --------
    >>> F.relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    if out is not x or out is None:
        return _forward(kernels.relu, "relu", x, out=out)
    arrays.in_place("relu", out=out)
    kernels.rectify(out.ravel(), threads.workers(out.size))
    return out


def relu_backward(dy: Any, y: Any) -> np.ndarray:
    """Compute the gradient of `relu`: dx[i] = dy[i], and 0 where y[i] <= 0.

    Parameters
    ----------
    dy, y : (...) array
        Gradient of the result, and the result.

    Returns
    -------
    dx : (...) array

    Examples
    --------
    >>> F.relu_backward(np.array([5.0, 6.0, 7.0]), y=np.array([0.0, 0.0, 2.0]))
    array([0., 0., 7.])
    """
    return _backward(kernels.relu_backward, "relu_backward", dy, "y", y)


def through_relu(function: str, dy: np.ndarray, y: Any) -> np.ndarray:
    """Return the gradient of the input of a ReLU whose output is y, and dy itself where y is None."""
    return dy if y is None else _backward(kernels.relu_backward, function, dy, "y", y)


def leaky_relu(x: Any, slope: float = 0.01) -> np.ndarray:
    """Return x where it is above zero, else slope * x.

    Parameters
    ----------
    x : (...) array
    slope : float
        Factor of the other elements, at least 0.

    Returns
    -------
    y : (...) array

    Raises
    ------
    ValueError
        `slope` is negative or not finite.

    Examples
    --------
    >>> F.leaky_relu(np.array([-1.0, 0.0, 2.0]), slope=0.1)
    array([-0.1,  0. ,  2. ])
    """
    return _forward(kernels.leaky_relu, "leaky_relu", x, shapes.real("leaky_relu", "slope", slope, 0))


def leaky_relu_backward(dy: Any, y: Any, slope: float = 0.01) -> np.ndarray:
    """Compute the gradient of `leaky_relu`: dx[i] = dy[i] where y[i] > 0, else slope * dy[i].

    Parameters
    ----------
    dy, y : (...) array
        Gradient of the result, and the result.
    slope : float
        As in `leaky_relu`.

    Returns
    -------
    dx : (...) array

    Examples
    --------
    >>> F.leaky_relu_backward(np.array([5.0, 7.0]), y=np.array([-0.1, 2.0]), slope=0.1)
    array([0.5, 7. ])
    """
    slope = shapes.real("leaky_relu_backward", "slope", slope, 0)
    return _backward(kernels.leaky_relu_backward, "leaky_relu_backward", dy, "y", y, slope)


def sigmoid(x: Any) -> np.ndarray:
    """Compute 1 / (1 + exp(-x)) of each element, without overflow.

    Parameters
    ----------
    x : (...) array

    Returns
    -------
    y : (...) array

    Examples
    --------
    >>> F.sigmoid(np.array([-1.0, 0.0, 1.0])).round(4)
    array([0.2689, 0.5   , 0.7311])
    """
    return note(_forward(kernels.sigmoid, "sigmoid", x), "identity")


def sigmoid_backward(dy: Any, y: Any) -> np.ndarray:
    """Compute the gradient of `sigmoid`: dx[i] = dy[i] y[i] (1 - y[i]).

    Parameters
    ----------
    dy, y : (...) array
        Gradient of the result, and the result.

    Returns
    -------
    dx : (...) array

    Examples
    --------
    >>> F.sigmoid_backward(np.array([1.0, 2.0]), y=np.array([0.5, 0.25]))
    array([0.25 , 0.375])
    """
    return _backward(kernels.sigmoid_backward, "sigmoid_backward", dy, "y", y)


def tanh(x: Any) -> np.ndarray:
    """Compute the hyperbolic tangent (exp(x) - exp(-x)) / (exp(x) + exp(-x)) of each element.

    Parameters
    ----------
    x : (...) array

    Returns
    -------
    y : (...) array

    Examples
    --------
    >>> F.tanh(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.7616,  0.    ,  0.7616])
    """
    return _forward(kernels.tanh, "tanh", x)


def tanh_backward(dy: Any, y: Any) -> np.ndarray:
    """Compute the gradient of `tanh`: dx[i] = dy[i] (1 - y[i]^2).

    Parameters
    ----------
    dy, y : (...) array
        Gradient of the result, and the result.

    Returns
    -------
    dx : (...) array

    Examples
    --------
    >>> F.tanh_backward(np.array([1.0, 1.0]), y=np.array([0.0, 0.5]))
    array([1.  , 0.75])
    """
    return _backward(kernels.tanh_backward, "tanh_backward", dy, "y", y)


def softsign(x: Any) -> np.ndarray:
    """Compute x / (1 + |x|) of each element, between -1 and 1; infinities give NaN.

    Parameters
    ----------
    x : (...) array

    Returns
    -------
    y : (...) array

    References
    ----------
    Turian, Bergstra and Bengio, "Quadratic Features and Deep Architectures for Chunking", NAACL 2009.

    Examples
    --------
    >>> F.softsign(np.array([-1.0, 0.0, 3.0]))
    array([-0.5 ,  0.  ,  0.75])
    """
    return _forward(kernels.softsign, "softsign", x)


def softsign_backward(dy: Any, y: Any) -> np.ndarray:
    """Compute the gradient of `softsign`: dx[i] = dy[i] (1 - |y[i]|)^2.

    Parameters
    ----------
    dy, y : (...) array
        Gradient of the result, and the result.

    Returns
    -------
    dx : (...) array

    Examples
    --------
    >>> F.softsign_backward(np.array([1.0, 1.0]), y=np.array([0.0, -0.5]))
    array([1.  , 0.25])
    """
    return _backward(kernels.softsign_backward, "softsign_backward", dy, "y", y)


def elu(x: Any, alpha: float = 1.0) -> np.ndarray:
    """Return x where it is above zero, else alpha (exp(x) - 1).

    Parameters
    ----------
    x : (...) array
    alpha : float
        Minus the limit at minus infinity, at least 0.

    Returns
    -------
    y : (...) array

    Raises
    ------
    ValueError
        `alpha` is negative or not finite.

    References
    ----------
    Clevert, Unterthiner and Hochreiter, "Exponential Linear Units", ICLR 2016, section 3.

    Examples
    --------
    >>> F.elu(np.array([-1.0, 0.0, 2.0])).round(4)
    array([-0.6321,  0.    ,  2.    ])
    """
    return _forward(kernels.elu, "elu", x, shapes.real("elu", "alpha", alpha, 0))


def elu_backward(dy: Any, y: Any, alpha: float = 1.0) -> np.ndarray:
    """Compute the gradient of `elu`: dx[i] = dy[i] where y[i] > 0, else dy[i] (y[i] + alpha).

    Parameters
    ----------
    dy, y : (...) array
        Gradient of the result, and the result.
    alpha : float
        As in `elu`.

    Returns
    -------
    dx : (...) array

    Examples
    --------
    >>> F.elu_backward(np.array([4.0, 4.0]), y=np.array([-0.5, 2.0]))
    array([2., 4.])
    """
    alpha = shapes.real("elu_backward", "alpha", alpha, 0)
    return _backward(kernels.elu_backward, "elu_backward", dy, "y", y, alpha)


def gelu(x: Any) -> np.ndarray:
    """Multiply x by the normal distribution function of x: x (1 + erf(x / sqrt(2))) / 2, exact.

    Parameters
    ----------
    x : (...) array

    Returns
    -------
    y : (...) array

    References
    ----------
    Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, section 2.

    Examples
    --------
    >>> F.gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    return _forward(kernels.gelu, "gelu", x)


def gelu_backward(dy: Any, x: Any) -> np.ndarray:
    """Compute the gradient of `gelu`: dx[i] = dy[i] (distribution(x[i]) + x[i] density(x[i])) of the normal distribution.

    Parameters
    ----------
    dy, x : (...) array
        Gradient of the result, and the input.

    Returns
    -------
    dx : (...) array

    Examples
    --------
    >>> F.gelu_backward(np.array([1.0, 2.0]), x=np.array([0.0, 0.0]))
    array([0.5, 1. ])
    """
    return _backward(kernels.gelu_backward, "gelu_backward", dy, "x", x)


def silu(x: Any) -> np.ndarray:
    """Compute x sigmoid(x) of each element.

    Parameters
    ----------
    x : (...) array

    Returns
    -------
    y : (...) array

    References
    ----------
    Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, section 2.

    Examples
    --------
    >>> F.silu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.2689,  0.    ,  0.7311])
    """
    return _forward(kernels.silu, "silu", x)


def silu_backward(dy: Any, x: Any) -> np.ndarray:
    """Compute the gradient of `silu`: dx[i] = dy[i] s (1 + x[i] (1 - s)) with s = sigmoid(x[i]).

    Parameters
    ----------
    dy, x : (...) array
        Gradient of the result, and the input.

    Returns
    -------
    dx : (...) array

    Examples
    --------
    >>> F.silu_backward(np.array([1.0, 2.0]), x=np.array([0.0, 0.0]))
    array([0.5, 1. ])
    """
    return _backward(kernels.silu_backward, "silu_backward", dy, "x", x)


def selu(x: Any) -> np.ndarray:
    """Compute 1.0507 elu(x) with alpha = 1.6733, which keeps mean 0 and variance 1 from layer to layer.

    Parameters
    ----------
    x : (...) array

    Returns
    -------
    y : (...) array

    References
    ----------
    Klambauer, Unterthiner, Mayr and Hochreiter, "Self-Normalizing Neural Networks", NeurIPS 2017.

    Examples
    --------
    >>> F.selu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-1.1113,  0.    ,  1.0507])
    """
    return _forward(kernels.selu, "selu", x)


def selu_backward(dy: Any, y: Any) -> np.ndarray:
    """Compute the gradient of `selu`: dx[i] = 1.0507 dy[i] where y[i] > 0, else dy[i] (y[i] + 1.7581).

    Parameters
    ----------
    dy, y : (...) array
        Gradient of the result, and the result.

    Returns
    -------
    dx : (...) array

    Examples
    --------
    >>> F.selu_backward(np.array([1.0, 1.0]), y=np.array([-1.0, 1.0])).round(4)
    array([0.7581, 1.0507])
    """
    return _backward(kernels.selu_backward, "selu_backward", dy, "y", y)


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> np.ndarray:
    """Compute log(1 + exp(beta x)) / beta, and x itself where beta x is above the threshold.

    Parameters
    ----------
    x : (...) array
    beta : float
        Sharpness of the bend, above 0.
    threshold : float
        At least 0.

    Returns
    -------
    y : (...) array

    Raises
    ------
    ValueError
        `beta` or `threshold` is out of range.

    Examples
    --------
    >>> F.softplus(np.array([-1.0, 0.0, 30.0])).round(4)
    array([ 0.3133,  0.6931, 30.    ])
    """
    return _forward(kernels.softplus, "softplus", x, *softplus_options("softplus", beta, threshold))


def softplus_backward(dy: Any, x: Any, beta: float = 1.0, threshold: float = 20.0) -> np.ndarray:
    """Compute the gradient of `softplus`: dx[i] = dy[i] sigmoid(beta x[i]), and dy[i] above the threshold.

    Parameters
    ----------
    dy, x : (...) array
        Gradient of the result, and the input.
    beta, threshold : float
        As in `softplus`.

    Returns
    -------
    dx : (...) array

    Examples
    --------
    >>> F.softplus_backward(np.array([1.0, 1.0]), x=np.array([0.0, 30.0]))
    array([0.5, 1. ])
    """
    options = softplus_options("softplus_backward", beta, threshold)
    return _backward(kernels.softplus_backward, "softplus_backward", dy, "x", x, *options)


def softplus_options(function: str, beta: float, threshold: float) -> tuple[float, float]:
    """Return beta and threshold, checked for `function`."""
    return shapes.real(function, "beta", beta, _LEAST_BETA), shapes.real(function, "threshold", threshold, 0)


def hardswish(x: Any) -> np.ndarray:
    """Compute x min(max(x + 3, 0), 6) / 6: 0 below -3, x above 3, and a parabola between.

    Parameters
    ----------
    x : (...) array

    Returns
    -------
    y : (...) array

    References
    ----------
    Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.2.

    Examples
    --------
    >>> F.hardswish(np.array([-1.5, 0.0, 3.0]))
    array([-0.375,  0.   ,  3.   ])
    """
    return _forward(kernels.hardswish, "hardswish", x)


def hardswish_backward(dy: Any, x: Any) -> np.ndarray:
    """Compute the gradient of `hardswish`: dx[i] = dy[i] (x[i] / 3 + 1 / 2) between -3 and 3, 0 below and dy[i] above.

    Parameters
    ----------
    dy, x : (...) array
        Gradient of the result, and the input.

    Returns
    -------
    dx : (...) array

    Examples
    --------
    >>> F.hardswish_backward(np.array([1.0, 1.0, 1.0]), x=np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    return _backward(kernels.hardswish_backward, "hardswish_backward", dy, "x", x)


def mish(x: Any) -> np.ndarray:
    """Compute x tanh(softplus(x)) of each element, with softplus(x) = log(1 + exp(x)).

    Parameters
    ----------
    x : (...) array

    Returns
    -------
    y : (...) array

    References
    ----------
    Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", BMVC 2020.

    Examples
    --------
    >>> F.mish(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.3034,  0.    ,  0.8651])
    """
    return _forward(kernels.mish, "mish", x)


def mish_backward(dy: Any, x: Any) -> np.ndarray:
    """Compute the gradient of `mish`: dx[i] = dy[i] (t + x[i] (1 - t^2) sigmoid(x[i])) with t = tanh(softplus(x[i])).

    Parameters
    ----------
    dy, x : (...) array
        Gradient of the result, and the input.

    Returns
    -------
    dx : (...) array

    Examples
    --------
    >>> F.mish_backward(np.array([1.0, 2.0]), x=np.array([0.0, 0.0]))
    array([0.6, 1.2])
    """
    return _backward(kernels.mish_backward, "mish_backward", dy, "x", x)


def prelu(x: Any, slope: Any) -> np.ndarray:
    """Return x where it is above zero, else slope * x, with a slope that is learned.

    Parameters
    ----------
    x : (..., C) array
    slope : (C,) or (1,) array
        One for each channel, or one for all.

    Returns
    -------
    y : (..., C) array

    References
    ----------
    He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", ICCV 2015, section 2.1.

    Examples
    --------
    >>> F.prelu(np.array([[-1.0, -1.0], [2.0, -2.0]]), slope=np.array([0.5, 0.25]))
    array([[-0.5 , -0.25],
           [ 2.  , -0.5 ]])
    """
    x, slope = arrays.floats("prelu", x=x, slope=slope)
    lanes = _slope_of_lanes("prelu", x.shape, slope)
    y = buffers.empty(x.shape, x.dtype)
    kernels.prelu(x.ravel(), lanes, y.ravel(), threads.workers(x.size))
    return y


def prelu_backward(dy: Any, x: Any, slope: Any, *, out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Compute the gradients of `prelu`.

    Parameters
    ----------
    dy, x : (..., C) array
        Gradient of the result, and the input.
    slope : (C,) or (1,) array
        As in `prelu`.
    out : array, optional
        Receives dslope.

    Returns
    -------
    dx : (..., C) array
        dy[..., c] where x[..., c] > 0, else slope[c] dy[..., c].
    dslope : (C,) or (1,) array
        Sum of dy x over all elements of a slope where x is not above zero.

    Examples
    --------
    >>> dy, x = np.array([[1.0, 1.0], [2.0, 2.0]]), np.array([[-1.0, -1.0], [3.0, -3.0]])
    >>> F.prelu_backward(dy, x, slope=np.array([0.5, 0.25]))
    (array([[0.5 , 0.25],
           [2.  , 0.5 ]]), array([-1., -7.]))
    """
    dy, x, slope = arrays.floats("prelu_backward", dy=dy, x=x, slope=slope)
    lanes = _slope_of_lanes("prelu_backward", x.shape, slope)
    shapes.same_shape("prelu_backward", "dy", dy.shape, x.shape, "the shape of x")
    dslope = arrays.as_output("prelu_backward", out, slope.shape, slope.dtype)
    dx, chunks = buffers.empty(x.shape, x.dtype), arrays.chunks(x.size)
    sums = np.empty(chunks * len(lanes))
    kernels.prelu_backward(dy.ravel(), x.ravel(), lanes, dx.ravel(), sums, chunks, min(chunks, threads.workers(x.size)))
    totals(sums, dslope, 1)
    return dx, dslope


def _slope_of_lanes(function: str, x: tuple[int, ...], slope: np.ndarray) -> np.ndarray:
    """Return the slope of each element of a run of whole pixels; ShapeError when they do not fit."""
    shapes.at_least_1d(function, "x", x)
    if slope.shape != (1,):
        shapes.same_shape(function, "slope", slope.shape, x[-1:], "the channels of x, or (1,) for all")
    return arrays.lanes(slope, len(slope))


def _forward_rows(kernel: Any, function: str, x: Any) -> np.ndarray:
    x = arrays.as_floats(function, "x", x)
    shapes.at_least_1d(function, "x", x.shape)
    y = buffers.empty(x.shape, x.dtype)
    kernel(x.ravel(), y.ravel(), x.shape[-1], threads.workers(x.size, 4096))
    return y


def _backward_rows(kernel: Any, function: str, dy: Any, y: Any) -> np.ndarray:
    dy, y = arrays.floats(function, dy=dy, y=y)
    shapes.at_least_1d(function, "y", y.shape)
    shapes.same_shape(function, "dy", dy.shape, y.shape, "the shape of y")
    dx = buffers.empty(dy.shape, dy.dtype)
    kernel(dy.ravel(), y.ravel(), dx.ravel(), y.shape[-1], threads.workers(y.size, 4096))
    return dx


def softmax(x: Any) -> np.ndarray:
    """Compute exp(x) / sum of exp(x) along the last axis, without overflow.

    Parameters
    ----------
    x : (..., K) array

    Returns
    -------
    y : (..., K) array
        y[..., k] = exp(x[..., k]) / sum over j of exp(x[..., j]).

    Examples
    --------
    >>> F.softmax(np.array([0.0, np.log(3.0)]))
    array([0.25, 0.75])
    """
    return note(_forward_rows(kernels.softmax, "softmax", x), "identity")


def softmax_backward(dy: Any, y: Any) -> np.ndarray:
    """Compute the gradient of `softmax`.

    Parameters
    ----------
    dy, y : (..., K) array
        Gradient of the result, and the result.

    Returns
    -------
    dx : (..., K) array
        dx[..., k] = y[..., k] (dy[..., k] - sum over j of dy[..., j] y[..., j]).

    Examples
    --------
    >>> F.softmax_backward(np.array([1.0, 0.0]), y=np.array([0.25, 0.75]))
    array([ 0.1875, -0.1875])
    """
    return _backward_rows(kernels.softmax_backward, "softmax_backward", dy, y)


def log_softmax(x: Any) -> np.ndarray:
    """Compute x - log of the sum of exp(x) along the last axis.

    Parameters
    ----------
    x : (..., K) array

    Returns
    -------
    y : (..., K) array
        y[..., k] = x[..., k] - log(sum over j of exp(x[..., j])).

    Examples
    --------
    >>> F.log_softmax(np.array([0.0, 0.0])).round(4)
    array([-0.6931, -0.6931])
    """
    return note(_forward_rows(kernels.log_softmax, "log_softmax", x), "exp")


def log_softmax_backward(dy: Any, y: Any) -> np.ndarray:
    """Compute the gradient of `log_softmax`.

    Parameters
    ----------
    dy, y : (..., K) array
        Gradient of the result, and the result.

    Returns
    -------
    dx : (..., K) array
        dx[..., k] = dy[..., k] - exp(y[..., k]) sum over j of dy[..., j].

    Examples
    --------
    >>> F.log_softmax_backward(np.array([1.0, 0.0]), y=np.log([0.25, 0.75]))
    array([ 0.75, -0.75])
    """
    return _backward_rows(kernels.log_softmax_backward, "log_softmax_backward", dy, y)
