"""Losses: each returns the mean loss and the gradient of its first argument."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .. import shapes
from ..kernels import loss as kernels
from ..kernels import threads
from . import arrays

_NO_LABEL = np.iinfo(np.int64).min


@functools.lru_cache(maxsize=64)
def _ones(K: int, dtype: np.dtype) -> np.ndarray:
    return np.ones(K, dtype)


def cross_entropy(logits: Any, labels: Any, *, class_weight: Any = None, label_smoothing: float = 0.0,
                  ignore_index: int | None = None) -> tuple[float, np.ndarray]:
    """Mean of -log softmax(logits)[label]: logits (N, K), labels (N,) or probabilities (N, K) -> loss, dlogits.

    `class_weight` (K,) weighs the classes and, for labels, the mean; rows with label `ignore_index` count for
    nothing. `label_smoothing` gives that share of each target to all classes alike (Szegedy et al.,
    "Rethinking the Inception Architecture", CVPR 2016, section 7). If nothing counts, both results are 0.
    """
    logits = arrays.as_floats("cross_entropy", "logits", logits)
    if logits.ndim != 2:
        raise shapes.ShapeError(f"cross_entropy: logits has {logits.ndim} dimensions (shape {logits.shape}), "
                                "expected 2: (N, K)")
    N, K = logits.shape
    weight = _class_weight(class_weight, logits)
    smoothing = shapes.real("cross_entropy", "label_smoothing", label_smoothing, 0, 1)
    losses, dlogits = arrays.empty((N,), logits.dtype), arrays.empty((N, K), logits.dtype)
    labels = np.asarray(labels)
    workers = threads.workers(logits.size, 2048)
    if labels.ndim == 2:
        target = _probabilities(labels, logits, ignore_index)
        total = float(N)
        kernels.cross_entropy_of_probabilities(logits.reshape(-1), target.reshape(-1), weight, smoothing, 1 / total,
                                               losses, dlogits.reshape(-1), workers)
    else:
        index = _labels(labels, N, K, ignore_index)
        ignored = _NO_LABEL if ignore_index is None else int(ignore_index)
        total = _total_weight(index, None if class_weight is None else weight, ignored)
        kernels.cross_entropy_of_labels(logits.reshape(-1), index, ignored, weight, smoothing,
                                        1 / total if total else 0.0, losses, dlogits.reshape(-1), workers)
    return float(losses.sum(dtype=np.float64)) / total if total else 0.0, dlogits


def _class_weight(class_weight: Any, logits: np.ndarray) -> np.ndarray:
    if class_weight is None:
        return _ones(logits.shape[1], logits.dtype)
    _, weight = arrays.floats("cross_entropy", logits=logits, class_weight=class_weight)
    shapes.same_shape("cross_entropy", "class_weight", weight.shape, logits.shape[1:], "K of logits")
    if not (np.isfinite(weight).all() and weight.min() >= 0):
        raise ValueError(f"cross_entropy: class_weight holds {weight.min()} to {weight.max()}, "
                         "expected finite numbers of at least 0")
    return weight


def _probabilities(labels: np.ndarray, logits: np.ndarray, ignore_index: int | None) -> np.ndarray:
    """Check targets (N, K), integers for one-hot rows; they take the dtype of logits."""
    if ignore_index is not None:
        raise ValueError(f"cross_entropy: ignore_index is {ignore_index!r}, expected None with probabilities")
    shapes.same_shape("cross_entropy", "labels", labels.shape, logits.shape, "the shape of logits")
    if labels.dtype.kind in "biu":
        labels = labels.astype(logits.dtype)
    return arrays.floats("cross_entropy", logits=logits, labels=labels)[1]


def _labels(labels: np.ndarray, N: int, K: int, ignore_index: int | None) -> np.ndarray:
    """Check labels (N,): integers from 0 to K - 1, or ignore_index."""
    index = arrays.as_integers("cross_entropy", "labels", labels, arrays.INT64)
    shapes.same_shape("cross_entropy", "labels", index.shape, (N,), "N of logits, or the shape of logits")
    if index.view(np.uint64).max() >= K:  # a negative label is a huge natural number
        bad = (index < 0) | (index >= K)
        if ignore_index is not None:
            bad &= index != shapes.integer("cross_entropy", "ignore_index", ignore_index, _NO_LABEL + 1)
        if bad.any():
            first = int(bad.argmax())
            also = "" if ignore_index is None else f" or ignore_index ({ignore_index})"
            raise ValueError(f"cross_entropy: labels[{first}] is {index[first]}, expected 0 to {K - 1}{also}")
    return index


def _total_weight(index: np.ndarray, weight: np.ndarray | None, ignored: int) -> float:
    """Sum of the weights of all labels that count."""
    if ignored != _NO_LABEL:
        index = index[index != ignored]
    return float(len(index) if weight is None else weight[index].sum(dtype=np.float64))


def _by_element(kernel: Any, function: str, first: str, values: dict[str, Any]) -> tuple[float, np.ndarray]:
    prediction, target = arrays.floats(function, **values)
    shapes.at_least_1d(function, first, prediction.shape)
    shapes.same_shape(function, "target", target.shape, prediction.shape, f"the shape of {first}")
    gradient = arrays.empty(prediction.shape, prediction.dtype)
    sums = np.empty(-(-prediction.size // kernels.CHUNK))
    kernel(prediction.reshape(-1), target.reshape(-1), 1 / prediction.size, sums, gradient.reshape(-1),
           threads.workers(prediction.size, 8192))
    return float(sums.sum()) / prediction.size, gradient


def mse_loss(prediction: Any, target: Any) -> tuple[float, np.ndarray]:
    """Mean of (prediction - target)^2 over all elements -> loss, dprediction."""
    return _by_element(kernels.mse_loss, "mse_loss", "prediction", {"prediction": prediction, "target": target})


def binary_cross_entropy(logits: Any, target: Any) -> tuple[float, np.ndarray]:
    """Mean of -target log(p) - (1 - target) log(1 - p) with p = sigmoid(logits) -> loss, dlogits."""
    return _by_element(kernels.binary_cross_entropy, "binary_cross_entropy", "logits",
                       {"logits": logits, "target": target})
