"""Losses with the gradient of their first argument. All are means."""

from __future__ import annotations

import numpy as np

from ._types import Array, Integers
from .activation import log_softmax, sigmoid


def cross_entropy(
    logits: Array,
    labels: Integers | Array,
    *,
    class_weight: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> tuple[float, Array]:
    """Return -sum(target * log_softmax(logits)) / total, where target (N, K) is what the labels ask for.

    logits (N, K), labels integer (N,) or probabilities (N, K), class_weight (K,) -> loss, dlogits (N, K).
    target: one-hot or the given probabilities, smoothed to (1 - smoothing) * target + smoothing / K, times
    the class weights. total: N for probabilities, else the sum of the labels' weights. Rows whose label is
    ignore_index count for nothing; if none counts, loss and gradient are 0 (PyTorch, otherwise equal: NaN).
    Smoothing: Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7.
    """
    N, K = logits.shape
    weight = np.ones(K, logits.dtype) if class_weight is None else class_weight
    if labels.ndim == 1:
        counts = labels != ignore_index
        index = np.where(counts, labels, 0)
        target = np.eye(K, dtype=logits.dtype)[index]
        row_weight = weight[index] * counts
        total = row_weight.sum()
    else:
        counts = np.ones(N, bool)
        target = labels.astype(logits.dtype)
        total = N
    if total == 0:
        return 0.0, np.zeros_like(logits)
    target = (1 - label_smoothing) * target + label_smoothing / K
    target = target * weight * counts[:, np.newaxis]

    log_probability = log_softmax(logits)
    present = target != 0
    loss = -(target[present] * log_probability[present]).sum() / total
    dlogits = (np.exp(log_probability) * target.sum(axis=1, keepdims=True) - target) / total
    return float(loss), dlogits


def mse_loss(prediction: Array, target: Array) -> tuple[float, Array]:
    """Return the mean of (prediction - target)^2 over all elements -> loss, dprediction."""
    difference = prediction - target
    return float((difference**2).mean()), 2 * difference / difference.size


def binary_cross_entropy(logits: Array, target: Array) -> tuple[float, Array]:
    """Return the mean of -target log(p) - (1 - target) log(1 - p), p = sigmoid(logits) -> loss, dlogits.

    Written as max(logits, 0) - logits * target + log(1 + exp(-|logits|)), which never overflows.
    """
    losses = np.maximum(logits, 0) - logits * target + np.log1p(np.exp(-np.abs(logits)))
    return float(losses.mean()), (sigmoid(logits) - target) / logits.size
