"""Losses with the gradient of their first argument. All are means."""

from __future__ import annotations

import numpy as np

from ._types import Array, Integers
from .activation import log_softmax, sigmoid

__all__ = ["binary_cross_entropy", "cross_entropy", "hinge_loss", "huber_loss", "l1_loss", "l2_penalty", "mse_loss",
           "nll_loss"]


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


def l1_loss(prediction: Array, target: Array) -> tuple[float, Array]:
    """Return the mean of |prediction - target| over all elements -> loss, dprediction, which is 0 where they are equal."""
    difference = prediction - target
    return float(np.abs(difference).mean()), np.sign(difference) / difference.size


def huber_loss(prediction: Array, target: Array, *, delta: float = 1.0) -> tuple[float, Array]:
    """Return the mean of d^2 / 2 up to |d| = delta and of delta (|d| - delta / 2) beyond -> loss, dprediction.

    d = prediction - target. Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical Statistics 35, 1964,
    section 3.
    """
    difference = prediction - target
    slope = np.clip(difference, -delta, delta)
    return float((slope * (difference - slope / 2)).mean()), slope / difference.size


def nll_loss(
    log_probabilities: Array,
    labels: Integers,
    *,
    class_weight: Array | None = None,
    ignore_index: int | None = None,
) -> tuple[float, Array]:
    """Return the mean of -log_probabilities[label], weighed by the labels' weights -> loss, dlog_probabilities (N, K).

    log_probabilities (N, K), labels integer (N,), class_weight (K,). Rows whose label is ignore_index count for nothing; if
    none counts, loss and gradient are 0 (PyTorch, otherwise equal: NaN).
    """
    N, K = log_probabilities.shape
    counts = labels != ignore_index
    index = np.where(counts, labels, 0)
    weight = (np.ones(K, log_probabilities.dtype) if class_weight is None else class_weight)[index] * counts
    if weight.sum() == 0:
        return 0.0, np.zeros_like(log_probabilities)
    share = weight / weight.sum()
    gradient = np.zeros_like(log_probabilities)
    gradient[np.arange(N), index] = -share
    chosen = log_probabilities[np.arange(N), index]
    return float(-(share[counts] * chosen[counts]).sum()), gradient


def hinge_loss(scores: Array, labels: Integers, *, margin: float = 1.0) -> tuple[float, Array]:
    """Return the mean over rows and classes of max(0, margin - scores[label] + scores[k]), k not the label -> loss, dscores.

    scores (N, K), labels integer (N,).
    Weston and Watkins, "Support Vector Machines for Multi-Class Pattern Recognition", ESANN 1999, section 2.
    """
    N, K = scores.shape
    rows = np.arange(N)
    lack = margin - scores[rows, labels][:, np.newaxis] + scores
    lack[rows, labels] = 0
    counts = np.where(lack <= 0, 0, 1).astype(scores.dtype)
    counts[rows, labels] = -counts.sum(axis=1)
    return float(np.maximum(lack, 0).mean()), counts / (N * K)


def l2_penalty(parameter: Array, gradient: Array, *, weight: float) -> float:
    """Return weight / 2 times the sum of squares of parameter; its slope, weight * parameter, is added to gradient."""
    gradient += weight * parameter
    return float(weight / 2 * np.sum(parameter.astype(np.float64) ** 2))
