"""Losses: each returns the mean loss and its gradient by the first argument."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .. import shapes
from ..kernels import loss as kernels
from ..kernels.jit import threads
from ..kernels.loss import Classes
from ..runtime import buffers
from . import arrays
from .optim import sum_of_squares

__all__ = ["binary_cross_entropy", "cross_entropy", "hinge_loss", "huber_loss", "l1_loss", "l2_penalty", "mse_loss",
           "nll_loss"]

_NO_LABEL = np.iinfo(np.int64).min
_LEAST_DELTA = 1e-30


@functools.lru_cache(maxsize=64)
def _unweighted(K: int, dtype: np.dtype, smoothing: float, ignored: int) -> Classes:
    return Classes(np.ones(K, dtype), smoothing, ignored)


def _classes(rows: np.ndarray, weight: np.ndarray | None, smoothing: float, ignore_index: int | None) -> Classes:
    """Return what the classes of rows (N, K) count."""
    ignored = _NO_LABEL if ignore_index is None else int(ignore_index)
    if weight is None:
        return _unweighted(rows.shape[1], rows.dtype, smoothing, ignored)
    return Classes(weight, smoothing, ignored)


def cross_entropy(logits: Any, labels: Any, *, class_weight: Any = None, label_smoothing: float = 0.0,
                  ignore_index: int | None = None) -> tuple[float, np.ndarray]:
    """Compute the mean of -log softmax(logits)[label] and its gradient.

    Parameters
    ----------
    logits : (N, K) array
    labels : (N,) array of int, or (N, K) array
        Classes from 0 to K - 1, or the probabilities of all classes.
    class_weight : (K,) array, optional
        Factor of each class; the mean over labels is divided by the sum of their factors.
    label_smoothing : float
        Share of each target that is spread evenly over all classes, from 0 to 1.
    ignore_index : int, optional
        Rows with this label are left out; only with labels (N,).

    Returns
    -------
    loss : float
        0 if no row is left.
    dlogits : (N, K) array
        Without options (softmax(logits)[n, k] - [k = labels[n]]) / N.

    Raises
    ------
    ValueError
        A label is neither from 0 to K - 1 nor `ignore_index`, or a number is out of range.

    References
    ----------
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 7 (label smoothing).

    Examples
    --------
    >>> loss, dlogits = F.cross_entropy(np.array([[0.0, 0.0], [0.0, np.log(3.0)]]), np.array([0, 1]))
    >>> round(loss, 4)  # (log 2 + log 4/3) / 2
    0.4904
    >>> dlogits
    array([[-0.25 ,  0.25 ],
           [ 0.125, -0.125]])
    """
    logits = _rows("cross_entropy", "logits", logits)
    N, K = logits.shape
    weight = _class_weight("cross_entropy", "logits", logits, class_weight)
    smoothing = shapes.real("cross_entropy", "label_smoothing", label_smoothing, 0, 1)
    losses, dlogits = buffers.empty((N,), logits.dtype), buffers.empty((N, K), logits.dtype)
    labels = np.asarray(labels)
    workers = threads.workers(logits.size, 2048)
    if labels.ndim == 2:
        target = _probabilities(labels, logits, ignore_index)
        total = float(N)
        kernels.cross_entropy_of_probabilities(logits.ravel(), target.ravel(), _classes(logits, weight, smoothing, None),
                                               1 / total, losses, dlogits.ravel(), workers)
    else:
        index = _labels("cross_entropy", labels, N, K, ignore_index, "N of logits, or the shape of logits")
        classes = _classes(logits, weight, smoothing, ignore_index)
        total = _total_weight(index, weight, classes.ignored)
        kernels.cross_entropy_of_labels(logits.ravel(), index, classes, 1 / total if total else 0.0, losses,
                                        dlogits.ravel(), workers)
    return float(losses.sum(dtype=np.float64)) / total if total else 0.0, dlogits


def _rows(function: str, name: str, value: Any) -> np.ndarray:
    """Return numbers (N, K), one for each class; ShapeError, DTypeError."""
    array = arrays.as_floats(function, name, value)
    if array.ndim != 2:
        raise shapes.ShapeError(f"{function}: {name} has {array.ndim} dimensions (shape {array.shape}), expected 2: (N, K)")
    return array


def _class_weight(function: str, name: str, rows: np.ndarray, class_weight: Any) -> np.ndarray | None:
    """Return weights (K,) that fit rows (N, K), or None for None."""
    if class_weight is None:
        return None
    _, weight = arrays.floats(function, **{name: rows, "class_weight": class_weight})
    shapes.same_shape(function, "class_weight", weight.shape, rows.shape[1:], f"K of {name}")
    if not (np.isfinite(weight).all() and weight.min() >= 0):
        raise ValueError(f"{function}: class_weight holds {weight.min()} to {weight.max()}, "
                         "expected finite numbers of at least 0")
    least, lowest = np.finfo(weight.dtype).tiny, weight.min(where=weight > 0, initial=1.0)
    if lowest < least:
        raise ValueError(f"{function}: class_weight holds {lowest:.3g}, expected 0 or at least {least:.3g}")
    return weight


def _probabilities(labels: np.ndarray, logits: np.ndarray, ignore_index: int | None) -> np.ndarray:
    """Check targets (N, K), integers for one-hot rows; they take the dtype of logits."""
    if ignore_index is not None:
        raise ValueError(f"cross_entropy: ignore_index is {ignore_index!r}, expected None with probabilities")
    shapes.same_shape("cross_entropy", "labels", labels.shape, logits.shape, "the shape of logits")
    if labels.dtype.kind in "biu":
        labels = labels.astype(logits.dtype)
    return arrays.floats("cross_entropy", logits=logits, labels=labels)[1]


def _labels(function: str, labels: Any, N: int, K: int, ignore_index: int | None, why: str) -> np.ndarray:
    """Check labels (N,): integers from 0 to K - 1, or ignore_index."""
    index = arrays.as_integers(function, "labels", labels, arrays.INT64)
    shapes.same_shape(function, "labels", index.shape, (N,), why)
    if index.view(np.uint64).max() >= K:  # a negative label is a huge unsigned number
        bad = (index < 0) | (index >= K)
        if ignore_index is not None:
            bad &= index != shapes.integer(function, "ignore_index", ignore_index, _NO_LABEL + 1)
        if bad.any():
            first = int(bad.argmax())
            also = "" if ignore_index is None else f" or ignore_index ({ignore_index})"
            raise ValueError(f"{function}: labels[{first}] is {index[first]}, expected 0 to {K - 1}{also}")
    return index


def _total_weight(index: np.ndarray, weight: np.ndarray | None, ignored: int) -> float:
    """Sum of the weights of all labels that count."""
    if ignored != _NO_LABEL:
        index = index[index != ignored]
    return float(len(index) if weight is None else weight[index].sum(dtype=np.float64))


def _by_element(kernel: Any, function: str, first: str, values: dict[str, Any], parameter: float = 0.0,
                ) -> tuple[float, np.ndarray]:
    prediction, target = arrays.floats(function, **values)
    shapes.at_least_1d(function, first, prediction.shape)
    shapes.same_shape(function, "target", target.shape, prediction.shape, f"the shape of {first}")
    gradient = buffers.empty(prediction.shape, prediction.dtype)
    sums = np.empty(-(-prediction.size // kernels.CHUNK))
    kernel(prediction.ravel(), target.ravel(), parameter, 1 / prediction.size, sums, gradient.ravel(),
           threads.workers(prediction.size, 8192))
    return float(sums.sum()) / prediction.size, gradient


def mse_loss(prediction: Any, target: Any) -> tuple[float, np.ndarray]:
    """Compute the mean of (prediction - target)^2 over all elements and its gradient.

    Parameters
    ----------
    prediction, target : (...) array

    Returns
    -------
    loss : float
    dprediction : (...) array
        2 (prediction - target) / number of elements.

    Examples
    --------
    >>> F.mse_loss(np.array([1.0, 2.0]), np.array([1.0, 5.0]))
    (4.5, array([ 0., -3.]))
    """
    return _by_element(kernels.mse_loss, "mse_loss", "prediction", {"prediction": prediction, "target": target})


def binary_cross_entropy(logits: Any, target: Any) -> tuple[float, np.ndarray]:
    """Compute the mean of -target log(p) - (1 - target) log(1 - p) with p = sigmoid(logits), and its gradient.

    Parameters
    ----------
    logits : (...) array
        Not probabilities: the sigmoid is part of the loss, so that nothing overflows.
    target : (...) array
        Probabilities, usually 0 or 1.

    Returns
    -------
    loss : float
    dlogits : (...) array
        (p - target) / number of elements.

    Examples
    --------
    >>> loss, dlogits = F.binary_cross_entropy(np.array([0.0, np.log(3.0)]), np.array([0.0, 1.0]))
    >>> round(loss, 4)  # (log 2 + log 4/3) / 2
    0.4904
    >>> dlogits
    array([ 0.25 , -0.125])
    """
    return _by_element(kernels.binary_cross_entropy, "binary_cross_entropy", "logits",
                       {"logits": logits, "target": target})


def l1_loss(prediction: Any, target: Any) -> tuple[float, np.ndarray]:
    """Compute the mean of |prediction - target| over all elements and its gradient.

    Parameters
    ----------
    prediction, target : (...) array

    Returns
    -------
    loss : float
    dprediction : (...) array
        Sign of prediction - target, 0 where they are equal, divided by the number of elements.

    Examples
    --------
    >>> F.l1_loss(np.array([1.0, 2.0]), np.array([1.0, 5.0]))
    (1.5, array([ 0. , -0.5]))
    """
    return _by_element(kernels.l1_loss, "l1_loss", "prediction", {"prediction": prediction, "target": target})


def huber_loss(prediction: Any, target: Any, *, delta: float = 1.0) -> tuple[float, np.ndarray]:
    """Compute the mean of d^2 / 2 where |d| <= delta and of delta (|d| - delta / 2) elsewhere, d = prediction - target.

    Parameters
    ----------
    prediction, target : (...) array
    delta : float
        Above 0.

    Returns
    -------
    loss : float
    dprediction : (...) array
        d clipped to -delta to delta, divided by the number of elements.

    References
    ----------
    Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical Statistics 35, 1964, section 3.

    Examples
    --------
    >>> F.huber_loss(np.array([1.0, 2.0]), np.array([0.0, 5.0]))  # (1/2 + 5/2) / 2
    (1.5, array([ 0.5, -0.5]))
    """
    border = shapes.real("huber_loss", "delta", delta, _LEAST_DELTA)
    return _by_element(kernels.huber_loss, "huber_loss", "prediction", {"prediction": prediction, "target": target}, border)


def nll_loss(log_probabilities: Any, labels: Any, *, class_weight: Any = None, ignore_index: int | None = None,
             ) -> tuple[float, np.ndarray]:
    """Compute the mean of -log_probabilities[label] and its gradient.

    Parameters
    ----------
    log_probabilities : (N, K) array
        As from `log_softmax`.
    labels : (N,) array of int
        Classes from 0 to K - 1.
    class_weight, ignore_index : optional
        As in `cross_entropy`.

    Returns
    -------
    loss : float
        0 if no row is left.
    dlog_probabilities : (N, K) array
        Without options -[k = labels[n]] / N.

    Raises
    ------
    ValueError
        As `cross_entropy`.

    Examples
    --------
    >>> F.nll_loss(np.array([[-1.0, -2.0], [-3.0, -4.0]]), np.array([0, 1]))
    (2.5, array([[-0.5,  0. ],
           [ 0. , -0.5]]))
    """
    rows = _rows("nll_loss", "log_probabilities", log_probabilities)
    N, K = rows.shape
    weight = _class_weight("nll_loss", "log_probabilities", rows, class_weight)
    index = _labels("nll_loss", labels, N, K, ignore_index, "N of log_probabilities")
    classes = _classes(rows, weight, 0.0, ignore_index)
    total = _total_weight(index, weight, classes.ignored)
    losses, gradient = buffers.empty((N,), rows.dtype), buffers.empty((N, K), rows.dtype)
    kernels.nll_loss(rows.ravel(), index, classes, 1 / total if total else 0.0, losses, gradient.ravel(),
                     threads.workers(rows.size, 8192))
    return float(losses.sum(dtype=np.float64)) / total if total else 0.0, gradient


def hinge_loss(scores: Any, labels: Any, *, margin: float = 1.0) -> tuple[float, np.ndarray]:
    """Compute the mean over rows and classes of max(0, margin - scores[label] + scores[k]), k other than the label.

    Parameters
    ----------
    scores : (N, K) array
    labels : (N,) array of int
        Classes from 0 to K - 1.
    margin : float
        At least 0.

    Returns
    -------
    loss : float
        Sum over n and k != labels[n] of max(0, margin - scores[n, labels[n]] + scores[n, k]), divided by N K.
    dscores : (N, K) array

    Raises
    ------
    ValueError
        A label is not from 0 to K - 1, or `margin` is out of range.

    References
    ----------
    Weston and Watkins, "Support Vector Machines for Multi-Class Pattern Recognition", ESANN 1999, section 2.

    Examples
    --------
    >>> F.hinge_loss(np.array([[1.0, 0.5, -2.0, 0.0]]), np.array([0]))  # only class 1 is within the margin
    (0.125, array([[-0.25,  0.25,  0.  ,  0.  ]]))
    """
    scores = _rows("hinge_loss", "scores", scores)
    N, K = scores.shape
    index = _labels("hinge_loss", labels, N, K, None, "N of scores")
    room = shapes.real("hinge_loss", "margin", margin, 0)
    losses, gradient = buffers.empty((N,), scores.dtype), buffers.empty((N, K), scores.dtype)
    kernels.hinge_loss(scores.ravel(), index, room, 1 / scores.size, losses, gradient.ravel(),
                       threads.workers(scores.size, 8192))
    return float(losses.sum(dtype=np.float64)) / scores.size, gradient


def l2_penalty(parameter: Any, gradient: np.ndarray, *, weight: float) -> float:
    """Return weight / 2 times the sum of squares of parameter, and add its gradient to `gradient` in place.

    Parameters
    ----------
    parameter : (...) array
    gradient : (...) array
        weight * parameter is added to it.
    weight : float
        At least 0.

    Returns
    -------
    penalty : float

    Raises
    ------
    DTypeError
        `gradient` is not a C-contiguous, writable float array.

    Examples
    --------
    >>> gradient = np.zeros(2)
    >>> F.l2_penalty(np.array([1.0, 3.0]), gradient, weight=0.5)
    2.5
    >>> gradient
    array([0.5, 1.5])
    """
    factor = shapes.real("l2_penalty", "weight", weight, 0)
    arrays.in_place("l2_penalty", gradient=gradient)
    parameter, slope = arrays.floats("l2_penalty", parameter=parameter, gradient=gradient)
    shapes.same_shape("l2_penalty", "gradient", slope.shape, parameter.shape, "the shape of parameter")
    kernels.l2_penalty(parameter.ravel(), slope.ravel(), factor, threads.workers(parameter.size))
    return factor / 2 * sum_of_squares(parameter)
