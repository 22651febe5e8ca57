"""Losses: each returns the mean loss and the gradient of its first argument."""

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
    """Mean of -log softmax(logits)[label]: logits (N, K), labels (N,) or probabilities (N, K) -> loss, dlogits.

    `class_weight` (K,) weighs the classes and, for labels, the mean; rows with label `ignore_index` count for
    nothing. `label_smoothing` gives that share of each target to all classes alike (Szegedy et al.,
    "Rethinking the Inception Architecture", CVPR 2016, section 7). If nothing counts, both results are 0.
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
    """Mean of (prediction - target)^2 over all elements -> loss, dprediction."""
    return _by_element(kernels.mse_loss, "mse_loss", "prediction", {"prediction": prediction, "target": target})


def binary_cross_entropy(logits: Any, target: Any) -> tuple[float, np.ndarray]:
    """Mean of -target log(p) - (1 - target) log(1 - p) with p = sigmoid(logits) -> loss, dlogits."""
    return _by_element(kernels.binary_cross_entropy, "binary_cross_entropy", "logits",
                       {"logits": logits, "target": target})


def l1_loss(prediction: Any, target: Any) -> tuple[float, np.ndarray]:
    """Mean of |prediction - target| over all elements -> loss, dprediction, which is 0 where they are equal."""
    return _by_element(kernels.l1_loss, "l1_loss", "prediction", {"prediction": prediction, "target": target})


def huber_loss(prediction: Any, target: Any, *, delta: float = 1.0) -> tuple[float, np.ndarray]:
    """Mean of d^2 / 2 up to |d| = delta and of delta (|d| - delta / 2) beyond, d = prediction - target -> loss, dprediction.

    Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical Statistics 35, 1964, section 3.
    """
    border = shapes.real("huber_loss", "delta", delta, _LEAST_DELTA)
    return _by_element(kernels.huber_loss, "huber_loss", "prediction", {"prediction": prediction, "target": target}, border)


def nll_loss(log_probabilities: Any, labels: Any, *, class_weight: Any = None, ignore_index: int | None = None,
             ) -> tuple[float, np.ndarray]:
    """Mean of -log_probabilities[label]: log_probabilities (N, K), labels (N,) -> loss, dlog_probabilities.

    `class_weight` (K,) weighs the labels; rows with label `ignore_index` count for nothing. If nothing counts, both results
    are 0.
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
    """Mean over rows and classes of max(0, margin - scores[label] + scores[k]), k not the label -> loss, dscores.

    scores (N, K), labels (N,). Weston and Watkins, "Support Vector Machines for Multi-Class Pattern Recognition", ESANN
    1999, section 2.
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
    """weight / 2 times the sum of squares of parameter, whose slope, weight * parameter, is added to gradient."""
    factor = shapes.real("l2_penalty", "weight", weight, 0)
    arrays.in_place("l2_penalty", gradient=gradient)
    parameter, slope = arrays.floats("l2_penalty", parameter=parameter, gradient=gradient)
    shapes.same_shape("l2_penalty", "gradient", slope.shape, parameter.shape, "the shape of parameter")
    kernels.l2_penalty(parameter.ravel(), slope.ravel(), factor, threads.workers(parameter.size))
    return factor / 2 * sum_of_squares(parameter)
