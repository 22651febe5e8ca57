"""The textbook kernels (kernels/loops.py): an algorithm of convolution that takes any window, and pooling and batch norm.

Each function has the signature, the checks and the values of its namesake elsewhere in `functional`. `algorithm="auto"`
never takes them: they are for reading, for a debugger, and as the lowest rung of `fastcnn bench ladder`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import activation
from ..kernels import loops as kernels
from ..kernels.arguments import Epilogue, Floats
from ..kernels.jit import threads
from ..runtime import buffers
from ..shapes import Padding, Pair, Window
from . import arrays, norm, pool
from .activation import through_relu
from .conv import products
from .conv.algorithm import Fit


def fits(w: Window) -> Fit:
    """Whether the algorithm can do this window: always."""
    return Fit()


def work(w: Window, step: str) -> None:
    """None: it is never chosen."""


def forward(x: Floats, weight: Floats, epilogue: Epilogue, w: Window, y: Floats) -> None:
    """Write the convolution of x with weight, and its epilogue, to y."""
    offset = epilogue.bias if len(epilogue.bias) else np.zeros(w.K, x.dtype)
    kernels.conv2d(_in_groups(x, w), _in_groups(weight, w), _in_groups(offset, w), *_steps(w), _in_groups(y, w))
    _finish(y, epilogue)


def backward_input(dy: Floats, weight: Floats, residual: Floats, w: Window, dx: Floats) -> None:
    """Write the gradient of x, plus the residual, to dx."""
    kernels.conv2d_backward_input(_in_groups(dy, w), _in_groups(weight, w), *_steps(w), _in_groups(dx, w))
    products.finish(dx, arrays.NO_EPILOGUE[dx.dtype]._replace(residual=residual))


def backward_weight(dy: Floats, x: Floats, w: Window, dweight: Floats, dbias: Floats) -> None:
    """Write the gradients of weight and bias to dweight and dbias."""
    kernels.conv2d_backward_weight(_in_groups(dy, w), _in_groups(x, w), *_steps(w), _in_groups(dweight, w))
    products.column_sums(dy, dbias)


def _in_groups(array: np.ndarray, w: Window) -> np.ndarray:
    """View an array (..., channels) as (..., groups, channels of a group)."""
    return array.reshape(*array.shape[:-1], w.groups, -1)


def _steps(w: Window) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Stride, padding before the image, and dilation, each of rows and columns."""
    return (w.stride_rows, w.stride_columns), (w.top, w.left), (w.dilation_rows, w.dilation_columns)


def _finish(y: Floats, epilogue: Epilogue) -> None:
    """Add a flat residual, which may be empty, to y where it lies, and replace y by max(y, 0) with ReLU."""
    if len(epilogue.residual):
        products.finish(y, epilogue)
    elif epilogue.relu:
        activation.rectify(y.reshape(-1), threads.workers(y.size))


def max_pool2d(x: Any, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1,
               ceil_mode: bool = False, relu: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """First maximum of every window, and where it lies, as `functional.max_pool2d`."""
    x, job, y, argmax = pool.of_max_pool2d(x, (kernel_size, stride, padding, dilation, ceil_mode))
    kernels.max_pool2d(x, (job.w.R, job.w.S), *_steps(job.w), y, argmax)
    _finish(y, arrays.NO_EPILOGUE[y.dtype]._replace(relu=bool(relu)))
    return y, argmax


def max_pool2d_backward(dy: Any, argmax: Any, x_shape: tuple[int, int, int, int], *, y: Any = None,
                        kernel_size: Pair | None = None, stride: Pair | None = None, padding: Padding = 0,
                        dilation: Pair = 1, ceil_mode: bool = False) -> np.ndarray:
    """Add each gradient to the pixel that won its window, as `functional.max_pool2d_backward`."""
    window = None if kernel_size is None else (kernel_size, stride, padding, dilation, ceil_mode)
    dy, argmax, sizes, y, _ = pool.of_max_pool2d_backward(dy, argmax, x_shape, y, window)
    dx = buffers.empty(sizes, dy.dtype)
    kernels.max_pool2d_backward(through_relu("max_pool2d_backward", dy, y), argmax, dx)
    return dx


def avg_pool2d(x: Any, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, ceil_mode: bool = False,
               count_include_pad: bool = True) -> np.ndarray:
    """Mean of every window, as `functional.avg_pool2d`."""
    x, w, y = pool.of_avg_pool2d(x, (kernel_size, stride, padding, 1, ceil_mode))
    kernels.avg_pool2d(x, *_counted(w), bool(count_include_pad), y)
    return y


def avg_pool2d_backward(dy: Any, x_shape: tuple[int, int, int, int], kernel_size: Pair, *, stride: Pair | None = None,
                        padding: Padding = 0, ceil_mode: bool = False, count_include_pad: bool = True) -> np.ndarray:
    """Give every pixel of a window an equal share of its gradient, as `functional.avg_pool2d_backward`."""
    dy, w, dx = pool.of_avg_pool2d_backward(dy, x_shape, (kernel_size, stride, padding, 1, ceil_mode))
    kernels.avg_pool2d_backward(dy, *_counted(w), bool(count_include_pad), dx)
    return dx


def _counted(w: Window) -> tuple[tuple[int, int], tuple[int, int], tuple[tuple[int, int], tuple[int, int]]]:
    """Size, stride, and padding of both sides of averaged windows."""
    return (w.R, w.S), (w.stride_rows, w.stride_columns), ((w.top, w.bottom), (w.left, w.right))


@np.errstate(all="ignore")  # no operation warns of what is not finite
def batch_norm(x: Any, gamma: Any, beta: Any, running_mean: np.ndarray, running_var: np.ndarray, *, training: bool,
               momentum: float = 0.1, eps: float = 1e-5, relu: bool = False, add: Any = None,
               ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Give every channel mean beta and standard deviation gamma, as `functional.batch_norm`."""
    _, x, gamma, beta, old_mean, old_var, momentum, eps, residual = norm.of_batch_norm(
        x, gamma, beta, running_mean, running_var, training, momentum, eps, add)
    y, rows, M = buffers.empty(x.shape, x.dtype), _rows(x), x.size // gamma.size
    if training:
        mean, variance = np.empty((2, gamma.size))
        kernels.batch_norm_statistics(rows, mean, variance)
        old_mean += momentum * (mean - old_mean)
        old_var += momentum * (variance * (M / (M - 1)) - old_var)
    else:
        mean, variance = old_mean.astype(np.float64), old_var.astype(np.float64)
    inverse_std = 1 / np.sqrt(variance + eps)
    kernels.batch_norm(rows, gamma, beta, mean, inverse_std, _rows(y))
    _finish(y, Epilogue(arrays.NOTHING[y.dtype], residual, bool(relu)))
    return y, (mean.astype(x.dtype), inverse_std.astype(x.dtype))


def batch_norm_backward(dy: Any, x: Any, gamma: Any, saved: tuple[Any, Any], *, training: bool = True, y: Any = None,
                        out: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
                        ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients (dx, dgamma, dbeta) of batch_norm, as `functional.batch_norm_backward`."""
    _, dy, x, gamma, mean, inverse_std, y, dgamma, dbeta = norm.of_batch_norm_backward(dy, x, gamma, saved, training, y, out)
    passed, dx = through_relu("batch_norm_backward", dy, y), buffers.empty(x.shape, x.dtype)
    kernels.batch_norm_backward(_rows(passed), _rows(x), gamma, (mean, inverse_std), bool(training), dgamma, dbeta,
                                _rows(dx))
    return dx, dgamma, dbeta


def _rows(array: np.ndarray) -> np.ndarray:
    """View images or rows as rows (M, C)."""
    return array.reshape(-1, array.shape[-1])
