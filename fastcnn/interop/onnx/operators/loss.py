"""Losses of class scores (N, C, ...) and labels (N, ...)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional
from ....shapes import DataFormatError
from ..calls import Call


def _rows(x: np.ndarray) -> np.ndarray:
    """Return one row of scores for each label."""
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def _reduced(call: Call, loss: Callable[..., Any], scores: np.ndarray, labels: np.ndarray, weight: np.ndarray | None) -> Any:
    """Return the mean, the sum or each of the losses."""
    rows, index, reduction = _rows(scores), labels.reshape(-1), call.get("reduction", "mean")
    ignored = call.get("ignore_index", None)
    if reduction == "mean":
        return scores.dtype.type(loss(rows, index, class_weight=weight, ignore_index=ignored)[0])
    singles = [loss(rows[n : n + 1], index[n : n + 1], ignore_index=ignored)[0] for n in range(len(index))]
    each = np.array(singles, rows.dtype)
    if weight is not None:
        each *= np.where(index == ignored, 0, weight[np.where(index == ignored, 0, index)])
    if reduction not in ("none", "sum"):
        raise DataFormatError(f"reduction is {reduction!r}, expected none, mean or sum")
    return each.reshape(labels.shape) if reduction == "none" else each.sum(dtype=rows.dtype)


def _cross_entropy(call: Call, scores: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None) -> Any:
    loss = _reduced(call, functional.cross_entropy, scores, labels, weight)
    if len(call.outputs) == 1:
        return loss
    return loss, np.moveaxis(functional.log_softmax(np.moveaxis(scores, 1, -1)), -1, 1)


def _nll(call: Call, scores: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None) -> Any:
    return _reduced(call, functional.nll_loss, scores, labels, weight)


TABLE: dict[str, Callable[..., Any]] = {"NegativeLogLikelihoodLoss": _nll, "SoftmaxCrossEntropyLoss": _cross_entropy}
