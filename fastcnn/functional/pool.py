"""Max and average pooling over windows, over a given number of parts and over whole images, and their gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import shapes
from ..kernels import pool as kernels
from ..kernels.arguments import Maxima
from ..kernels.jit import threads
from ..runtime import buffers
from ..shapes import Padding, Pair, ShapeError, Window
from . import arrays, resample

__all__ = ["adaptive_avg_pool2d", "adaptive_avg_pool2d_backward", "adaptive_max_pool2d", "adaptive_max_pool2d_backward",
           "avg_pool2d", "avg_pool2d_backward", "global_avg_pool2d", "global_avg_pool2d_backward", "global_max_pool2d",
           "global_max_pool2d_backward", "max_pool2d", "max_pool2d_backward"]

_GRAIN = 1 << 16  # elements that are worth a thread of their own

_geometry = arrays.remembered(shapes.pool2d)


class _Reach(NamedTuple):
    """Along one axis: the pixels that windows see, from `first` to `last`, `step` apart; none where last < first."""

    first: np.ndarray
    last: np.ndarray
    step: int


class Job(NamedTuple):
    """All that max pooling needs besides its arrays."""

    w: Window
    window: np.ndarray  # as a record
    is_disjoint: bool  # whether no two windows share a pixel, and all lie inside the image
    y_shape: tuple[int, int, int, int]
    rows: _Reach
    columns: _Reach


class _Parts(NamedTuple):
    """Images and how many parts each has: rows and columns of them."""

    N: int
    H: int
    W: int
    C: int
    P: int
    Q: int


@arrays.remembered
def _max_job(name: str, *arguments: Any) -> Job:
    """Job for the arguments of `shapes.pool2d`, of which the shape is that of the argument `name`."""
    w = _geometry(*arguments)
    shapes.numbered(arguments[0], name, w.H, w.W)
    return Job(w, arrays.record(w), _disjoint(w), (w.N, w.P, w.Q, w.C), _rows(w), _columns(w))


def max_pool2d(x: Any, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0,
               dilation: Pair = 1, ceil_mode: bool = False, relu: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Take the first maximum of each window, in row-major order; NaN is the largest.

    Parameters
    ----------
    x : (N, H, W, C) array
    kernel_size : int or (rows, columns)
    stride : int or (rows, columns), optional
        By default `kernel_size`.
    padding : int, (rows, columns), ((top, bottom), (left, right)), "same" or "valid"
        At most half the window; it never wins.
    dilation : int or (rows, columns)
    ceil_mode : bool
        Round the number of windows up: the last ones may reach beyond the image.
    relu : bool
        Return max(y, 0), computed in the same pass: the pooled result of max(x, 0).

    Returns
    -------
    y : (N, P, Q, C) array
        y[n, p, q, c] = max over r, s of x[n, p stride + r dilation - top, q stride + s dilation - left, c].
    argmax : (N, P, Q, C) array of int32
        h W + w of the maximum; -1, with y = -inf, for a window of padding alone.

    Examples
    --------
    >>> y, argmax = F.max_pool2d(np.array([1.0, 5.0, 2.0, 3.0, 4.0, 6.0]).reshape(1, 2, 3, 1), 2, stride=1)
    >>> y.ravel(), argmax.ravel().tolist()
    (array([5., 6.]), [1, 5])
    """
    x, job, y, argmax = of_max_pool2d(x, (kernel_size, stride, padding, dilation, ceil_mode))
    write_max_pool2d(x, job, bool(relu), y, argmax)
    return y, argmax


def of_max_pool2d(x: Any, window: tuple[Any, ...]) -> tuple[np.ndarray, Job, np.ndarray, np.ndarray]:
    """Check the arguments of max_pool2d; return x, the job, and room for y and argmax.

    The window is (kernel_size, stride, padding, dilation, ceil_mode).
    """
    x = arrays.as_floats("max_pool2d", "x", x)
    job = max_pool2d_job(x.shape, window)
    return x, job, buffers.empty(job.y_shape, x.dtype), buffers.empty(job.y_shape, arrays.INT32)


def max_pool2d_job(x_shape: tuple[int, ...], window: tuple[Any, ...]) -> Job:
    """Job of `max_pool2d` for an x of that shape, and the window of `of_max_pool2d`; ShapeError where it does not fit."""
    return _max_job("x", "max_pool2d", x_shape, *window)


def write_max_pool2d(x: np.ndarray, job: Job, relu: bool, y: np.ndarray, argmax: np.ndarray) -> None:
    """Write what `max_pool2d` gives for a job to y and argmax."""
    kernels.max_pool2d(x.ravel(), job.window, relu, y.ravel(), argmax.ravel(), threads.workers(x.size, _GRAIN))


def _rows(w: Window) -> _Reach:
    return _reach(w.P, w.stride_rows, w.top, w.dilation_rows, w.R, w.H)


def _columns(w: Window) -> _Reach:
    return _reach(w.Q, w.stride_columns, w.left, w.dilation_columns, w.S, w.W)


def _reach(count: int, stride: int, before: int, dilation: int, extent: int, size: int) -> _Reach:
    """The pixels, out of `size`, that each of `count` windows sees along one axis."""
    start = np.arange(count) * stride - before
    skipped, seen = -(np.minimum(start, 0) // dilation), np.minimum(extent, -((start - size) // dilation))
    return _Reach(start + skipped * dilation, start + (seen - 1) * dilation, dilation)


def _parts(size: int, outputs: int) -> _Reach:
    """The pixels of each of `outputs` parts of `size` pixels."""
    first, last = shapes.parts(size, outputs)
    return _Reach(np.array(first), np.array(last) - 1, 1)


def _disjoint(w: Window) -> bool:
    """Whether no two windows share a pixel, and all lie inside the image."""
    inside = (w.P - 1) * w.stride_rows + w.R <= w.H and (w.Q - 1) * w.stride_columns + w.S <= w.W
    apart = w.stride_rows >= w.R and w.stride_columns >= w.S
    return inside and apart and (w.top, w.left, w.dilation_rows, w.dilation_columns) == (0, 0, 1, 1)


def max_pool2d_backward(dy: Any, argmax: Any, x_shape: tuple[int, int, int, int], *, y: Any = None,
                        kernel_size: Pair | None = None, stride: Pair | None = None, padding: Padding = 0,
                        dilation: Pair = 1, ceil_mode: bool = False) -> np.ndarray:
    """Compute the gradient of `max_pool2d`: each dy is added to the pixel that was the maximum of its window.

    With `kernel_size` and the other arguments of the forward call it is faster where windows do not overlap.

    Parameters
    ----------
    dy : (N, P, Q, C) array
    argmax : (N, P, Q, C) array of int
        From `max_pool2d`.
    x_shape : (N, H, W, C)
    y : (N, P, Q, C) array, optional
        The result of `max_pool2d` with `relu`, else None.
    kernel_size, stride, padding, dilation, ceil_mode : optional
        As in `max_pool2d`.

    Returns
    -------
    dx : (N, H, W, C) array

    Raises
    ------
    ShapeError, ValueError
        `max_pool2d` gives no such arrays for `x_shape` and the window.

    Examples
    --------
    >>> dy, argmax = np.array([10.0, 1.0]).reshape(1, 1, 2, 1), np.array([1, 5]).reshape(1, 1, 2, 1)
    >>> F.max_pool2d_backward(dy, argmax, (1, 2, 3, 1)).reshape(2, 3)
    array([[ 0., 10.,  0.],
           [ 0.,  0.,  1.]])
    """
    window = None if kernel_size is None else (kernel_size, stride, padding, dilation, ceil_mode)
    return _routed(*of_max_pool2d_backward(dy, argmax, x_shape, y, window))


def of_max_pool2d_backward(dy: Any, argmax: Any, x_shape: tuple[int, int, int, int], y: Any, window: tuple[Any, ...] | None,
                           ) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int, int], np.ndarray | None, Job | None]:
    """Check the arguments of max_pool2d_backward, its window as in `of_max_pool2d`; return what `_routed` takes."""
    function = "max_pool2d_backward"
    dy, argmax, sizes = _won(function, dy, argmax, x_shape, 2)
    if y is not None:
        dy, y = arrays.floats(function, dy=dy, y=y)
        shapes.same_shape(function, "y", y.shape, dy.shape, "the shape of dy")
    if window is None:
        _, H, W, _ = sizes
        if dy.shape[1] > H + 1 or dy.shape[2] > W + 1:  # with stride 1 and an even window, half of it padding
            raise ShapeError(f"{function}: dy has shape {dy.shape}, expected at most {H + 1} x {W + 1} windows in images of "
                             f"{H} x {W} pixels")
        return dy, argmax, sizes, y, None
    job = _max_job("x_shape", function, sizes, *window)
    shapes.same_shape(function, "dy", dy.shape, job.y_shape, f"max_pool2d of x {sizes} with kernel_size {window[0]!r}")
    _require_seen(function, argmax, job.rows, job.columns, sizes[2])
    return dy, argmax, sizes, y, job


def max_pool2d_backward_of_own(dy: Any, argmax: np.ndarray, x_shape: tuple[int, ...], y: np.ndarray | None,
                               window: tuple[Any, ...]) -> np.ndarray:
    """max_pool2d_backward with what max_pool2d gave for x_shape and this window, which needs no look at its values.

    The window is (kernel_size, stride, padding, dilation, ceil_mode). ShapeError, DTypeError: dy does not fit.
    """
    if y is None:
        dy = arrays.as_floats("max_pool2d_backward", "dy", dy)
    else:
        dy, y = arrays.floats("max_pool2d_backward", dy=dy, y=y)
    job = _max_job("x_shape", "max_pool2d_backward", x_shape, *window)
    shapes.same_shape("max_pool2d_backward", "dy", dy.shape, job.y_shape, "the shape of y")
    return _routed(dy, argmax, x_shape, y, job)


def _won(function: str, dy: Any, argmax: Any, x_shape: tuple[int, int, int, int], axes: int,
         ) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int, int]]:
    """Return dy, argmax and x_shape as kernels take them: some forward made such, with so many `axes` of outputs."""
    dy = arrays.as_floats(function, "dy", dy)
    N, H, W, C = shapes.image_sizes(function, "x_shape", x_shape)
    shapes.numbered(function, "x_shape", H, W)
    argmax = _positions(function, argmax, H * W)
    outputs = dy.shape[1:-1] if dy.ndim == 2 + axes else (1,) * axes
    shapes.same_shape(function, "dy", dy.shape, (N, *outputs, C), "N, C of x_shape")
    shapes.same_shape(function, "argmax", argmax.shape, dy.shape, "the shape of dy")
    return dy, argmax, (N, H, W, C)


def _require_seen(function: str, argmax: np.ndarray, rows: _Reach, columns: _Reach, W: int) -> None:
    """Raise ValueError unless each argmax is a pixel that its window sees, or -1 where it sees none."""
    row, column = np.divmod(argmax, W)
    seen = _inside(row, rows, 1) & _inside(column, columns, 2)
    sees_none = np.logical_or.outer(rows.last < rows.first, columns.last < columns.first)
    wrong = np.where(sees_none[:, :, np.newaxis], argmax != -1, ~seen)
    if wrong.any():
        n, p, q, c = (int(i) for i in np.argwhere(wrong)[0])
        expected = "-1: its window sees no pixel" if sees_none[p, q] else (
            f"a pixel of its window: rows {_named(rows, p)}, columns {_named(columns, q)}")
        raise ValueError(f"{function}: argmax[{n}, {p}, {q}, {c}] is {argmax[n, p, q, c]}, expected {expected}")


def _inside(position: np.ndarray, reach: _Reach, axis: int) -> np.ndarray:
    """Whether each position (N, P, Q, C) lies in the reach of its window along an axis."""
    first, last = (np.expand_dims(side, tuple(range(1, 4 - axis))) for side in (reach.first, reach.last))
    inside: np.ndarray = (position >= first) & (position <= last)
    return inside & ((position - first) % reach.step == 0) if reach.step > 1 else inside


def _named(reach: _Reach, number: int) -> str:
    every = f" in steps of {reach.step}" if reach.step > 1 else ""
    return f"{reach.first[number]} to {reach.last[number]}{every}"


def _routed(dy: np.ndarray, argmax: np.ndarray, x_shape: tuple[int, ...], y: np.ndarray | None, job: Job | None,
            ) -> np.ndarray:
    N, H, W, C = x_shape
    dx = buffers.empty((N, H, W, C), dy.dtype)
    maxima = Maxima(arrays.NOTHING[dy.dtype] if y is None else y.ravel(), argmax.ravel(), y is not None)
    workers = min(N, threads.workers(dx.size, _GRAIN))
    if job is not None and job.is_disjoint:
        kernels.max_pool2d_backward_disjoint(dy.ravel(), maxima, job.window, dx.ravel(), workers)
    else:
        kernels.max_pool2d_backward(dy.ravel(), maxima, H * W, C, dx.ravel(), workers)
    return dx


def _positions(function: str, argmax: Any, pixels: int) -> np.ndarray:
    """Return argmax as int32 array for a kernel; DTypeError unless integers, ValueError outside -1 to pixels - 1."""
    array = arrays.as_integers(function, "argmax", argmax, arrays.INT32)
    if array.size and array.view(np.uint32).max() >= pixels and (array.min() < -1 or array.max() >= pixels):
        raise ValueError(f"{function}: argmax holds {array.min()} to {array.max()}, expected positions "
                         f"0 to {pixels - 1} in x_shape, or -1")
    return array


def avg_pool2d(x: Any, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0,
               ceil_mode: bool = False, count_include_pad: bool = True) -> np.ndarray:
    """Average each window.

    Parameters
    ----------
    x : (N, H, W, C) array
    kernel_size, stride, padding, ceil_mode : int, pair, bool
        As in `max_pool2d`.
    count_include_pad : bool
        Count padding as zeros; otherwise divide by the number of pixels in the image.

    Returns
    -------
    y : (N, P, Q, C) array
        y[n, p, q, c] = mean over r, s of x[n, p stride + r - top, q stride + s - left, c].

    Examples
    --------
    >>> F.avg_pool2d(np.array([1.0, 5.0, 2.0, 3.0, 7.0, 6.0]).reshape(1, 2, 3, 1), 2, stride=1).ravel()
    array([4., 5.])
    """
    x, w, y = of_avg_pool2d(x, (kernel_size, stride, padding, 1, ceil_mode))
    kernels.avg_pool2d(x.ravel(), arrays.record(w), bool(count_include_pad), y.ravel(),
                       threads.workers(x.size, _GRAIN))
    return y


def of_avg_pool2d(x: Any, window: tuple[Any, ...]) -> tuple[np.ndarray, Window, np.ndarray]:
    """Check the arguments of avg_pool2d, its window as in `of_max_pool2d`; return x, the geometry, and room for y."""
    x = arrays.as_floats("avg_pool2d", "x", x)
    w = _geometry("avg_pool2d", x.shape, *window)
    return x, w, buffers.empty((w.N, w.P, w.Q, w.C), x.dtype)


def avg_pool2d_backward(dy: Any, x_shape: tuple[int, int, int, int], kernel_size: Pair, *,
                        stride: Pair | None = None, padding: Padding = 0, ceil_mode: bool = False,
                        count_include_pad: bool = True) -> np.ndarray:
    """Compute the gradient of `avg_pool2d`: each dy is shared equally by the pixels of its window.

    Parameters
    ----------
    dy : (N, P, Q, C) array
    x_shape : (N, H, W, C)
    kernel_size, stride, padding, ceil_mode, count_include_pad : int, pair, bool
        As in `avg_pool2d`.

    Returns
    -------
    dx : (N, H, W, C) array

    Examples
    --------
    >>> F.avg_pool2d_backward(np.array([4.0, 8.0]).reshape(1, 1, 2, 1), (1, 2, 3, 1), 2, stride=1).reshape(2, 3)
    array([[1., 3., 2.],
           [1., 3., 2.]])
    """
    dy, w, dx = of_avg_pool2d_backward(dy, x_shape, (kernel_size, stride, padding, 1, ceil_mode))
    workers = threads.workers(dx.size, _GRAIN)
    kernels.avg_pool2d_backward(dy.ravel(), arrays.record(w), bool(count_include_pad),
                                buffers.workspace("pool", workers * w.Q * w.C, dy.dtype), dx.ravel(), workers)
    return dx


def of_avg_pool2d_backward(dy: Any, x_shape: tuple[int, int, int, int], window: tuple[Any, ...],
                           ) -> tuple[np.ndarray, Window, np.ndarray]:
    """Check the arguments of avg_pool2d_backward, its window as in `of_max_pool2d`; return dy, geometry, and room for dx."""
    function = "avg_pool2d_backward"
    dy = arrays.as_floats(function, "dy", dy)
    w = _geometry(function, shapes.image_sizes(function, "x_shape", x_shape), *window)
    shapes.same_shape(function, "dy", dy.shape, (w.N, w.P, w.Q, w.C), f"pooling x {x_shape}")
    return dy, w, buffers.empty((w.N, w.H, w.W, w.C), dy.dtype)


def global_avg_pool2d(x: Any) -> np.ndarray:
    """Average each channel of each image.

    Parameters
    ----------
    x : (N, H, W, C) array

    Returns
    -------
    y : (N, C) array
        y[n, c] = mean over h, w of x[n, h, w, c].

    Examples
    --------
    >>> F.global_avg_pool2d(np.array([1.0, 10.0, 3.0, 30.0]).reshape(1, 2, 1, 2))
    array([[ 2., 20.]])
    """
    x = arrays.as_floats("global_avg_pool2d", "x", x)
    N, H, W, C = shapes.images("global_avg_pool2d", "x", x.shape)
    y = buffers.empty((N, C), x.dtype)
    workers = min(N, threads.workers(x.size, _GRAIN))
    kernels.global_avg_pool2d(x.ravel(), N, H * W, C, _lanes(workers, C, x.dtype), y.ravel(), workers)
    return y


def global_avg_pool2d_backward(dy: Any, x_shape: tuple[int, int, int, int]) -> np.ndarray:
    """Compute the gradient of `global_avg_pool2d`: dx[n, h, w, c] = dy[n, c] / (H W).

    Parameters
    ----------
    dy : (N, C) array
    x_shape : (N, H, W, C)

    Returns
    -------
    dx : (N, H, W, C) array

    Examples
    --------
    >>> F.global_avg_pool2d_backward(np.array([[2.0, 4.0]]), (1, 2, 1, 2)).reshape(2, 2)
    array([[1., 2.],
           [1., 2.]])
    """
    dy = arrays.as_floats("global_avg_pool2d_backward", "dy", dy)
    N, H, W, C = shapes.image_sizes("global_avg_pool2d_backward", "x_shape", x_shape)
    shapes.same_shape("global_avg_pool2d_backward", "dy", dy.shape, (N, C), f"N, C of x_shape {x_shape}")
    dx = buffers.empty((N, H, W, C), dy.dtype)
    workers = threads.workers(dx.size, _GRAIN)
    kernels.global_avg_pool2d_backward(dy.ravel(), N, H * W, C, _lanes(workers, C, dy.dtype), dx.ravel(), workers)
    return dx


def _lanes(workers: int, C: int, dtype: np.dtype) -> np.ndarray:
    """Room for a run of whole pixels for each worker."""
    return np.empty(workers * len(arrays.channel_of_lane(C)), dtype)


def global_max_pool2d(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """Take the first maximum of each channel of each image.

    Parameters
    ----------
    x : (N, H, W, C) array

    Returns
    -------
    y : (N, C) array
    argmax : (N, C) array of int32
        h W + w of the maximum.

    Examples
    --------
    >>> y, argmax = F.global_max_pool2d(np.array([1.0, 30.0, 3.0, 10.0]).reshape(1, 2, 1, 2))
    >>> y, argmax.tolist()
    (array([[ 3., 30.]]), [[1, 0]])
    """
    y, argmax = _adaptive_max("global_max_pool2d", x, 1)
    return y.reshape(y.shape[0], -1), argmax.reshape(y.shape[0], -1)


def global_max_pool2d_backward(dy: Any, argmax: Any, x_shape: tuple[int, int, int, int]) -> np.ndarray:
    """Compute the gradient of `global_max_pool2d`: dy goes to the pixel that was the maximum of its channel.

    Parameters
    ----------
    dy : (N, C) array
    argmax : (N, C) array of int
        From `global_max_pool2d`.
    x_shape : (N, H, W, C)

    Returns
    -------
    dx : (N, H, W, C) array

    Raises
    ------
    ValueError
        `argmax` holds a position outside the image.

    Examples
    --------
    >>> F.global_max_pool2d_backward(np.array([[2.0, 4.0]]), np.array([[1, 0]]), (1, 2, 1, 2)).reshape(2, 2)
    array([[0., 4.],
           [2., 0.]])
    """
    function = "global_max_pool2d_backward"
    dy, argmax, sizes = _won(function, dy, argmax, x_shape, 0)
    if argmax.min() < 0:
        raise ValueError(f"{function}: argmax holds {argmax.min()}, expected positions 0 to {sizes[1] * sizes[2] - 1} in "
                         "x_shape")
    return _routed(dy, argmax, sizes, None, None)


def adaptive_max_pool2d(x: Any, output_size: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Take the first maximum of each of P x Q parts of an image.

    Parameters
    ----------
    x : (N, H, W, C) array
    output_size : int or (P, Q)
        Part p has the rows from floor(H p / P) up to, but not including, ceil(H (p + 1) / P); columns likewise.

    Returns
    -------
    y : (N, P, Q, C) array
    argmax : (N, P, Q, C) array of int32
        h W + w of the maximum.

    Examples
    --------
    >>> y, argmax = F.adaptive_max_pool2d(np.array([1.0, 5.0, 2.0]).reshape(1, 1, 3, 1), (1, 2))
    >>> y.ravel(), argmax.ravel().tolist()  # columns 0 to 1, and 1 to 2
    (array([5., 5.]), [1, 1])
    """
    return _adaptive_max("adaptive_max_pool2d", x, output_size)


def _adaptive_max(function: str, x: Any, output_size: Pair) -> tuple[np.ndarray, np.ndarray]:
    x = arrays.as_floats(function, "x", x)
    N, H, W, C = shapes.images(function, "x", x.shape)
    shapes.numbered(function, "x", H, W)
    P, Q = shapes.pair(function, "output_size", output_size)
    y, argmax = buffers.empty((N, P, Q, C), x.dtype), buffers.empty((N, P, Q, C), arrays.INT32)
    kernels.adaptive_max_pool2d(x.ravel(), arrays.record(_Parts(N, H, W, C, P, Q)), y.ravel(), argmax.ravel(),
                                threads.workers(x.size, _GRAIN))
    return y, argmax


def adaptive_max_pool2d_backward(dy: Any, argmax: Any, x_shape: tuple[int, int, int, int]) -> np.ndarray:
    """Compute the gradient of `adaptive_max_pool2d`: each dy is added to the pixel that was the maximum of its part.

    Parameters
    ----------
    dy : (N, P, Q, C) array
    argmax : (N, P, Q, C) array of int
        From `adaptive_max_pool2d`.
    x_shape : (N, H, W, C)

    Returns
    -------
    dx : (N, H, W, C) array

    Raises
    ------
    ValueError
        A position of `argmax` is not in its part.

    Examples
    --------
    >>> dy, argmax = np.array([10.0, 1.0]).reshape(1, 1, 2, 1), np.array([1, 1]).reshape(1, 1, 2, 1)
    >>> F.adaptive_max_pool2d_backward(dy, argmax, (1, 1, 3, 1)).ravel()
    array([ 0., 11.,  0.])
    """
    function = "adaptive_max_pool2d_backward"
    dy, argmax, sizes = _won(function, dy, argmax, x_shape, 2)
    _require_seen(function, argmax, _parts(sizes[1], dy.shape[1]), _parts(sizes[2], dy.shape[2]), sizes[2])
    return _routed(dy, argmax, sizes, None, None)


def adaptive_avg_pool2d(x: Any, output_size: Pair) -> np.ndarray:
    """Average each of P x Q parts of an image.

    Parameters
    ----------
    x : (N, H, W, C) array
    output_size : int or (P, Q)
        As in `adaptive_max_pool2d`.

    Returns
    -------
    y : (N, P, Q, C) array

    Examples
    --------
    >>> F.adaptive_avg_pool2d(np.array([1.0, 5.0, 2.0]).reshape(1, 1, 3, 1), (1, 2)).ravel()
    array([3. , 3.5])
    """
    x = arrays.as_floats("adaptive_avg_pool2d", "x", x)
    _, H, W, _ = shapes.images("adaptive_avg_pool2d", "x", x.shape)
    P, Q = shapes.pair("adaptive_avg_pool2d", "output_size", output_size)
    return resample.apply(x, resample.averaged(H, P).forward, resample.averaged(W, Q).forward)


def adaptive_avg_pool2d_backward(dy: Any, x_shape: tuple[int, int, int, int]) -> np.ndarray:
    """Compute the gradient of `adaptive_avg_pool2d`: each dy is shared equally by the pixels of its part.

    Parameters
    ----------
    dy : (N, P, Q, C) array
    x_shape : (N, H, W, C)

    Returns
    -------
    dx : (N, H, W, C) array

    Examples
    --------
    >>> F.adaptive_avg_pool2d_backward(np.array([2.0, 4.0]).reshape(1, 1, 2, 1), (1, 1, 3, 1)).ravel()
    array([1., 3., 2.])
    """
    dy = arrays.as_floats("adaptive_avg_pool2d_backward", "dy", dy)
    N, H, W, C = shapes.image_sizes("adaptive_avg_pool2d_backward", "x_shape", x_shape)
    _, P, Q, _ = shapes.images("adaptive_avg_pool2d_backward", "dy", dy.shape)
    return resample.transposed("adaptive_avg_pool2d_backward", dy, (N, H, W, C), resample.averaged(H, P),
                               resample.averaged(W, Q))
