"""Batch, layer and group normalisation and their gradients."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from ..kernels import norm as kernels
from ..kernels.arguments import Follower
from ..kernels.follow import follower
from ..kernels.jit import threads
from ..kernels.lanes import spread
from ..kernels.moments import Moments, sum_moments
from ..runtime import buffers
from ..shapes import DTypeError, ShapeError, at_least_1d, channels_last, integer, real, same_shape
from . import arrays
from .activation import through_relu

__all__ = ["batch_norm", "batch_norm_backward", "group_norm", "group_norm_backward", "layer_norm", "layer_norm_backward"]

_MOMENTS = 65536  # elements at least, of a chunk whose moments are summed apart: with float32 they stay in the L2 cache
_CHUNKS = 256  # of whole images, at most


def _channels(function: str, shape: tuple[int, ...]) -> int:
    if len(shape) not in (2, 4):
        raise ShapeError(f"{function}: x has {len(shape)} dimensions (shape {shape}), "
                         "expected 4: (N, H, W, C), or 2: (N, C)")
    return shape[-1]


class _Job(NamedTuple):
    """All that batch norm needs besides its arrays."""

    C: int
    rows: int  # values in each channel
    width: int  # of a run of whole pixels
    chunks: int  # whose products with a gradient are summed apart
    of_moments: int  # elements of a chunk whose moments are


@functools.lru_cache(maxsize=1024)
def _job(function: str, shape: tuple[int, ...]) -> _Job:
    C, size = _channels(function, shape), math.prod(shape)
    return _Job(C, size // C, len(arrays.channel_of_lane(C)), arrays.chunks(size), _of_moments(*shape))


def _of_moments(N: int, *image: int) -> int:
    """Elements of a chunk of x (N, ...): whole images, or as many rows of each, in fours, where images are large.

    A convolution writes whole images, or four rows, before it goes on to others.
    """
    of_image = math.prod(image)
    if of_image >= 2 * _MOMENTS and len(image) > 1 and image[0] % 4 == 0:
        fours = image[0] // 4
        rows = next(count for count in range(1, fours + 1) if fours % count == 0 and of_image * count >= _MOMENTS * fours)
        return rows * of_image // fours
    images = max(-(-_MOMENTS // of_image), -(-N // _CHUNKS))
    return of_image * min(N, images)


def _sums(job: _Job, centre: np.ndarray) -> kernels.Sums:
    """Memory for the sums of all chunks."""
    values = buffers.workspace("norm", job.chunks * 2 * job.width, arrays.FLOAT64)
    return kernels.Sums(centre, values, job.chunks, job.rows)


def moments_of(shape: tuple[int, ...]) -> Moments:
    """Memory for the moments of an array of this shape."""
    job = _job("batch_norm", shape)
    chunks = -(-job.rows * job.C // job.of_moments)
    size = chunks * 3 * job.width
    values = buffers.workspace("norm", size, arrays.FLOAT64)[:size]
    return Moments(values, chunks, job.of_moments, job.rows, job.C)


def sum_later(y: np.ndarray, moments: Moments) -> Follower:
    """Return the launch that sums the moments of y, for the one that writes y."""
    return follower(sum_moments, (y.ravel(), moments), moments.chunks, moments.size)


def sum_now(y: np.ndarray, moments: Moments) -> None:
    """Sum the moments of y in a pass of their own."""
    sum_moments(y.ravel(), moments, min(moments.chunks, threads.workers(y.size)))


def batch_norm(x: Any, gamma: Any, beta: Any, running_mean: np.ndarray, running_var: np.ndarray, *, training: bool,
               momentum: float = 0.1, eps: float = 1e-5, relu: bool = False, add: Any = None,
               ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Normalise each channel over the batch: y = (x - mean) / sqrt(variance + eps) * gamma + beta.

    Training uses the mean and the biased variance of the batch, and updates the running ones in place:
    running = (1 - momentum) running + momentum batch, with the unbiased variance. Otherwise the running ones are used.

    Parameters
    ----------
    x : (N, H, W, C) or (N, C) array
    gamma, beta : (C,) array
    running_mean, running_var : (C,) array
        Updated in training.
    training : bool
    momentum : float
        From 0 to 1.
    eps : float
        At least 0.
    relu : bool
        Return max(y, 0), computed in the same pass.
    add : array like x, optional
        Added to y in the same pass, before the ReLU.

    Returns
    -------
    y : array like x
    saved : (mean, inverse_std), (C,) arrays
        What `batch_norm_backward` needs.

    Raises
    ------
    ShapeError
        In training a channel has one value only, or shapes do not fit.
    DTypeError
        In training `running_mean` or `running_var` cannot be written in place, or dtypes differ.

    References
    ----------
    Ioffe and Szegedy, "Batch Normalization", ICML 2015, algorithm 1.

    Examples
    --------
    >>> mean, variance = np.zeros(1), np.ones(1)
    >>> y, _ = F.batch_norm(np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1), mean, variance, training=True, eps=0)
    >>> y.ravel(), mean, variance
    (array([-1.,  1.]), array([0.2]), array([1.1]))
    """
    y, saved, _ = normalised(x, gamma, beta, running_mean, running_var, training=training, momentum=momentum, eps=eps,
                             relu=relu, add=add)
    return y, saved


def normalised(x: Any, gamma: Any, beta: Any, running_mean: np.ndarray, running_var: np.ndarray, *, training: bool,
               momentum: float, eps: float, relu: bool, add: Any, moments: Moments | None = None,
               ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Do as `batch_norm`; return y, what is saved, and what y was made by, for `batch_norm_backward_of_own`.

    The moments are those of x where they are known.
    """
    job, x, gamma, beta, old_mean, old_var, momentum, eps, residual = of_batch_norm(
        x, gamma, beta, running_mean, running_var, training, momentum, eps, add)
    flat, dtype, workers = x.ravel(), x.dtype, threads.workers(x.size)
    norm, mean, inverse_std = kernels.Norm(gamma, beta, eps), np.empty(job.C, dtype), np.empty(job.C, dtype)
    affine = np.empty(3 * job.width, dtype)
    if training:
        if moments is None:
            moments = moments_of(x.shape)
            sum_now(x, moments)
        kernels.training(moments, norm, kernels.Running(old_mean, old_var, momentum), mean, inverse_std, affine, 1)
    else:
        kernels.inference(norm, old_mean, old_var, mean, inverse_std, affine, 1)
    y = buffers.empty(x.shape, dtype)
    kernels.normalise(flat, affine, residual, bool(relu), y.ravel(), workers)
    return y, (mean, inverse_std), affine


def of_batch_norm(x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any, training: bool, momentum: float,
                  eps: float, add: Any) -> tuple[Any, ...]:
    """Check the arguments of batch_norm; return the job, and the arguments from x to eps and `add` as kernels take them."""
    x, gamma, beta, old_mean, old_var = arrays.floats(
        "batch_norm", x=x, gamma=gamma, beta=beta, running_mean=running_mean, running_var=running_var)
    job = _job("batch_norm", x.shape)
    if not gamma.shape == beta.shape == old_mean.shape == old_var.shape == (job.C,):
        for name, array in (("gamma", gamma), ("beta", beta), ("running_mean", old_mean), ("running_var", old_var)):
            same_shape("batch_norm", name, array.shape, (job.C,), f"the channels of x{channels_last(x.shape, array.size)}")
    eps, residual = real("batch_norm", "eps", eps, 0), arrays.as_residual("batch_norm", add, x.shape, x.dtype)
    if training:
        momentum = real("batch_norm", "momentum", momentum, 0, 1)
        if job.rows == 1:
            raise ShapeError(f"batch_norm: x has one value in each channel (shape {x.shape}), expected more in "
                             "training (a batch size that leaves no single image at the end)")
        if old_mean is not running_mean or old_var is not running_var:
            arrays.in_place("batch_norm", running_mean=running_mean, running_var=running_var)
    return job, x, gamma, beta, old_mean, old_var, momentum, eps, residual


def batch_norm_backward(dy: Any, x: Any, gamma: Any, saved: tuple[Any, Any], *,
                        training: bool = True, y: Any = None,
                        out: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
                        ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the gradients of `batch_norm`; in training also through mean and variance of the batch.

    Parameters
    ----------
    dy, x : (N, H, W, C) or (N, C) array
        Gradient of the result, and the input.
    gamma : (C,) array
    saved : (mean, inverse_std), (C,) arrays
        From `batch_norm`.
    training : bool
        As in `batch_norm`.
    y : array like x, optional
        The result of `batch_norm` with `relu`, else None.
    out : pair of arrays or None
        Arrays that receive dgamma and dbeta.

    Returns
    -------
    dx : array like x
    dgamma, dbeta : (C,) array
        Sums of dy (x - mean) inverse_std and of dy over all but the channels.

    Examples
    --------
    >>> x, saved = np.array([[1.0], [3.0]]), (np.array([2.0]), np.array([1.0]))
    >>> F.batch_norm_backward(np.array([[1.0], [2.0]]), x, np.ones(1), saved)
    (array([[0.],
           [0.]]), array([1.]), array([3.]))
    """
    job, dy, x, gamma, mean, inverse_std, y, dgamma, dbeta = of_batch_norm_backward(dy, x, gamma, saved, training, y, out)
    zeros, ones = _identity(job.width, x.dtype)
    passed = kernels.Passed(dy.ravel(), (x if y is None else y).ravel(), zeros, ones, zeros, y is not None)
    slopes, centre = _slopes(job, x, passed, gamma, mean, inverse_std, dgamma, dbeta)
    if training:
        return _gradient(x, passed, centre, slopes), dgamma, dbeta
    affine = np.zeros(3 * job.width, x.dtype)
    spread(slopes, job.C, affine[job.width:2 * job.width], 1)
    dx = buffers.empty(x.shape, x.dtype)
    kernels.normalise(through_relu("batch_norm_backward", dy, y).ravel(), affine, arrays.NOTHING[x.dtype], False, dx.ravel(),
                      threads.workers(x.size))
    return dx, dgamma, dbeta


def batch_norm_backward_of_own(dy: Any, x: Any, gamma: Any, saved: tuple[Any, Any], affine: np.ndarray,
                               out: tuple[np.ndarray | None, np.ndarray | None],
                               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Do as `batch_norm_backward` in training with y, the result with ReLU, which is made anew from x by `affine`.

    That takes a third of the time off arrays beyond the caches (measured), of which three are read, twice each.
    """
    job, dy, x, gamma, mean, inverse_std, _, dgamma, dbeta = of_batch_norm_backward(dy, x, gamma, saved, True, None, out)
    centre, scale, offset = np.split(affine, 3)
    passed = kernels.Passed(dy.ravel(), x.ravel(), centre, scale, offset, True)
    slopes, centre = _slopes(job, x, passed, gamma, mean, inverse_std, dgamma, dbeta)
    return _gradient(x, passed, centre, slopes), dgamma, dbeta


@functools.lru_cache(maxsize=256)
def _identity(width: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Zeros and ones: centre and offset, and scale, that make each number to itself."""
    return np.zeros(width, dtype), np.ones(width, dtype)


def _slopes(job: _Job, x: np.ndarray, passed: kernels.Passed, gamma: np.ndarray, mean: np.ndarray, inverse_std: np.ndarray,
            dgamma: np.ndarray, dbeta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write dgamma and dbeta; return what `kernels.gradient` needs of x: its slopes, and the centre."""
    sums, slopes = _sums(job, arrays.lanes(mean, job.C)), np.empty(3 * job.width, x.dtype)
    kernels.products(x.ravel(), passed, sums, min(job.chunks, threads.workers(x.size)))
    kernels.coefficients(sums, gamma, inverse_std, dgamma, dbeta, slopes, 1)
    return slopes, sums.centre


def _gradient(x: np.ndarray, passed: kernels.Passed, centre: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    dx = buffers.empty(x.shape, x.dtype)
    kernels.gradient(x.ravel(), passed, centre, slopes, dx.ravel(), threads.workers(x.size))
    return dx


def of_batch_norm_backward(dy: Any, x: Any, gamma: Any, saved: tuple[Any, Any], training: bool, y: Any,
                           out: tuple[np.ndarray | None, np.ndarray | None]) -> tuple[Any, ...]:
    """Check the arguments of batch_norm_backward; return the job, the arguments as kernels take them, dgamma and dbeta."""
    mean, inverse_std = _both("batch_norm_backward", saved)
    dy, x, gamma, mean, inverse_std = arrays.floats(
        "batch_norm_backward", dy=dy, x=x, gamma=gamma, mean=mean, inverse_std=inverse_std)
    job = _job("batch_norm_backward", x.shape)
    if training and job.rows == 1:
        raise ShapeError(f"batch_norm_backward: x has one value in each channel (shape {x.shape}), expected more in "
                         "training")
    same_shape("batch_norm_backward", "dy", dy.shape, x.shape, "the shape of x")
    if not gamma.shape == mean.shape == inverse_std.shape == (job.C,):
        for name, array in (("gamma", gamma), ("saved mean", mean), ("saved inverse_std", inverse_std)):
            same_shape("batch_norm_backward", name, array.shape, (job.C,), "the channels of x")
    if y is not None:
        dy, y = arrays.floats("batch_norm_backward", dy=dy, y=y)
        same_shape("batch_norm_backward", "y", y.shape, x.shape, "the shape of x")
    dgamma = arrays.as_output("batch_norm_backward", out[0], (job.C,), x.dtype)
    dbeta = arrays.as_output("batch_norm_backward", out[1], (job.C,), x.dtype)
    return job, dy, x, gamma, mean, inverse_std, y, dgamma, dbeta


def _both(function: str, saved: Any) -> tuple[Any, Any]:
    """Return what forward saved; DTypeError: it is no pair."""
    if not isinstance(saved, (tuple, list)) or len(saved) != 2:
        came = f"{len(saved)} values" if isinstance(saved, (tuple, list)) else f"a {type(saved).__name__}"
        raise DTypeError(f"{function}: saved is {came}, expected (mean, inverse_std) as forward gave them")
    mean, inverse_std = saved
    return mean, inverse_std


def layer_norm(x: Any, gamma: Any, beta: Any, *, eps: float = 1e-5) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Normalise each row of the last axis: y = (x - mean) / sqrt(variance + eps) * gamma + beta.

    Parameters
    ----------
    x : (..., C) array
    gamma, beta : (C,) array
    eps : float
        At least 0.

    Returns
    -------
    y : (..., C) array
    saved : (mean, inverse_std), (...) arrays
        What `layer_norm_backward` needs.

    References
    ----------
    Ba, Kiros and Hinton, "Layer Normalization", 2016, section 3.

    Examples
    --------
    >>> F.layer_norm(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), eps=0)
    (array([[-1.,  1.]]), (array([2.]), array([1.])))
    """
    x, gamma, beta = arrays.floats("layer_norm", x=x, gamma=gamma, beta=beta)
    y, (mean, inverse_std) = _group_norm("layer_norm", _of_rows("layer_norm", x), gamma, beta, 1, eps)
    return y.reshape(x.shape), (mean.reshape(x.shape[:-1]), inverse_std.reshape(x.shape[:-1]))


def layer_norm_backward(dy: Any, x: Any, gamma: Any, saved: tuple[Any, Any], *,
                        out: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
                        ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the gradients of `layer_norm`, also through mean and variance.

    Parameters
    ----------
    dy, x : (..., C) array
        Gradient of the result, and the input.
    gamma : (C,) array
    saved : (mean, inverse_std), (...) arrays
        From `layer_norm`.
    out : pair of arrays or None
        Arrays that receive dgamma and dbeta.

    Returns
    -------
    dx : (..., C) array
    dgamma, dbeta : (C,) array
        Sums of dy (x - mean) inverse_std and of dy over all but the last axis.

    Examples
    --------
    >>> saved = np.array([2.0]), np.array([1.0])
    >>> F.layer_norm_backward(np.array([[1.0, 2.0]]), np.array([[1.0, 3.0]]), np.ones(2), saved)
    (array([[0., 0.]]), array([-1.,  2.]), array([1., 2.]))
    """
    function = "layer_norm_backward"
    mean, inverse_std = _both(function, saved)
    dy, x, gamma, mean, inverse_std = arrays.floats(function, dy=dy, x=x, gamma=gamma, mean=mean, inverse_std=inverse_std)
    same_shape(function, "dy", dy.shape, x.shape, "the shape of x")
    rows = _of_rows(function, x)
    for name, array in (("saved mean", mean), ("saved inverse_std", inverse_std)):
        same_shape(function, name, array.shape, x.shape[:-1], "the shape of x but for its last axis")
    dx, dgamma, dbeta = _group_norm_backward(function, dy.reshape(rows.shape), rows, gamma, mean, inverse_std, 1, out)
    return dx.reshape(x.shape), dgamma, dbeta


def _of_rows(function: str, x: np.ndarray) -> np.ndarray:
    at_least_1d(function, "x", x.shape)
    return x.reshape(-1, x.shape[-1])


def group_norm(x: Any, gamma: Any, beta: Any, groups: int, *, eps: float = 1e-5,
               ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Normalise each group of channels in each image: y = (x - mean) / sqrt(variance + eps) * gamma + beta.

    Parameters
    ----------
    x : (N, H, W, C) or (N, C) array
    gamma, beta : (C,) array
    groups : int
        Divides C; group g has channels g C / groups up to (g + 1) C / groups.
    eps : float
        At least 0.

    Returns
    -------
    y : array like x
    saved : (mean, inverse_std), (N, groups) arrays
        What `group_norm_backward` needs.

    References
    ----------
    Wu and He, "Group Normalization", ECCV 2018, section 3.

    Examples
    --------
    >>> y, (mean, _) = F.group_norm(np.array([[1.0, 3.0, 4.0, 8.0]]), np.ones(4), np.zeros(4), 2, eps=0)
    >>> y, mean
    (array([[-1.,  1., -1.,  1.]]), array([[2., 6.]]))
    """
    x, gamma, beta = arrays.floats("group_norm", x=x, gamma=gamma, beta=beta)
    return _group_norm("group_norm", x, gamma, beta, _groups("group_norm", x.shape, groups), eps)


def group_norm_backward(dy: Any, x: Any, gamma: Any, saved: tuple[Any, Any], groups: int, *,
                        out: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
                        ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the gradients of `group_norm`, also through mean and variance.

    Parameters
    ----------
    dy, x : (N, H, W, C) or (N, C) array
        Gradient of the result, and the input.
    gamma : (C,) array
    saved : (mean, inverse_std), (N, groups) arrays
        From `group_norm`.
    groups : int
        As in `group_norm`.
    out : pair of arrays or None
        Arrays that receive dgamma and dbeta.

    Returns
    -------
    dx : array like x
    dgamma, dbeta : (C,) array
        Sums of dy (x - mean) inverse_std and of dy over all but the channels.

    Examples
    --------
    >>> saved = np.array([[2.0]]), np.array([[1.0]])
    >>> F.group_norm_backward(np.array([[1.0, 2.0]]), np.array([[1.0, 3.0]]), np.ones(2), saved, groups=1)
    (array([[0., 0.]]), array([-1.,  2.]), array([1., 2.]))
    """
    function = "group_norm_backward"
    mean, inverse_std = _both(function, saved)
    dy, x, gamma, mean, inverse_std = arrays.floats(function, dy=dy, x=x, gamma=gamma, mean=mean, inverse_std=inverse_std)
    parts = _groups(function, x.shape, groups)
    same_shape(function, "dy", dy.shape, x.shape, "the shape of x")
    for name, array in (("saved mean", mean), ("saved inverse_std", inverse_std)):
        same_shape(function, name, array.shape, (len(x), parts), "N of x and groups")
    return _group_norm_backward(function, dy, x, gamma, mean, inverse_std, parts, out)


def _groups(function: str, shape: tuple[int, ...], groups: int) -> int:
    """Return the number of groups; ShapeError: it divides no channels."""
    C, parts = _channels(function, shape), integer(function, "groups", groups, 1)
    if C % parts:
        raise ShapeError(f"{function}: groups is {parts}, expected a divisor of the {C} channels of x")
    return parts


def _group_norm(function: str, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, groups: int, eps: float,
                ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    for name, array in (("gamma", gamma), ("beta", beta)):
        same_shape(function, name, array.shape, x.shape[-1:], f"the channels of x{channels_last(x.shape, array.size)}")
    norm = kernels.Norm(gamma, beta, real(function, "eps", eps, 0))
    y = buffers.empty(x.shape, x.dtype)
    mean, inverse_std = (buffers.empty((len(x), groups), x.dtype) for _ in range(2))
    statistics = kernels.Groups(mean.ravel(), inverse_std.ravel(), groups)
    if x[0].size == x.shape[-1]:
        kernels.row_norm(x.ravel(), norm, statistics, y.ravel(), threads.workers(x.size))
    else:
        workers = min(len(x), threads.workers(x.size))
        lanes = workers * len(arrays.channel_of_lane(x.shape[-1]))
        kernels.group_norm(x.ravel(), norm, statistics, np.empty(3 * lanes), np.empty(3 * lanes, x.dtype), y.ravel(),
                           workers)
    return y, (mean, inverse_std)


def _group_norm_backward(function: str, dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, mean: np.ndarray,
                         inverse_std: np.ndarray, groups: int, out: tuple[np.ndarray | None, np.ndarray | None],
                         ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    N, C = len(x), x.shape[-1]
    same_shape(function, "gamma", gamma.shape, (C,), "the channels of x")
    dgamma, dbeta = (arrays.as_output(function, one, (C,), x.dtype) for one in out)
    dx = buffers.empty(x.shape, x.dtype)
    forward = kernels.Forward(x.ravel(), gamma, mean.ravel(), inverse_std.ravel(), groups)
    if x[0].size == C:
        chunks = min(N, arrays.chunks(x.size))
        sums, workers = np.empty((chunks, 2, C)), min(chunks, threads.workers(x.size))
        workspace = np.empty(workers * (kernels.ROW_ELEMENTS + 2 * C // groups), x.dtype)
        kernels.row_norm_backward(dy.ravel(), forward, workspace, dx.ravel(), sums.ravel(), chunks, workers)
    else:
        sums, workers = np.empty((N, 2, C)), min(N, threads.workers(x.size))
        lanes = workers * len(arrays.channel_of_lane(C))
        kernels.group_norm_backward(dy.ravel(), forward, np.empty(2 * lanes), np.empty(4 * lanes, x.dtype), dx.ravel(),
                                    sums.ravel(), workers)
    kernels.add_products(sums.ravel(), len(sums), dgamma, dbeta, 1)
    return dx, dgamma, dbeta
