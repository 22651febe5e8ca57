"""Normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional
from ..calls import Call, axis_of


def _batch_norm(call: Call, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, var: np.ndarray) -> Any:
    momentum, training = call.get("momentum", 0.9), bool(call.get("training_mode", 0))
    rows = np.moveaxis(x, 1, -1)
    running_mean, running_var = (np.array(each, x.dtype) for each in (mean, var))
    y, _ = functional.batch_norm(rows.reshape(-1, x.shape[1]), gamma, beta, running_mean, running_var, training=training,
                        momentum=1 - momentum, eps=call.get("epsilon", 1e-5))
    y = np.moveaxis(y.reshape(rows.shape), -1, 1)
    if not training:
        return y
    count = x.size // x.shape[1]  # running variances are unbiased in fastcnn, and biased in ONNX
    return y, running_mean, momentum * var + (running_var - momentum * var) * ((count - 1) / count)


def _layer_norm(call: Call, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray | None = None) -> Any:
    axis = axis_of(call, x.ndim)
    features = math.prod(x.shape[axis:])
    beta = np.zeros(features, x.dtype) if beta is None else np.broadcast_to(beta, x.shape[axis:]).reshape(features)
    gamma = np.broadcast_to(gamma, x.shape[axis:]).reshape(features)
    y, (mean, deviation) = functional.layer_norm(x.reshape(-1, features), gamma, beta, eps=call.get("epsilon", 1e-5))
    kept = (*x.shape[:axis], *[1] * (x.ndim - axis))
    return (y.reshape(x.shape), mean.reshape(kept), deviation.reshape(kept))[: len(call.outputs)]


def _grouped(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, groups: int, eps: float) -> np.ndarray:
    images = np.moveaxis(x, 1, -1)
    y, _ = functional.group_norm(images.reshape(x.shape[0], -1, 1, x.shape[1]), gamma, beta, groups, eps=eps)
    return np.moveaxis(y.reshape(images.shape), -1, 1)


def _group_norm(call: Call, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    groups = call.get("num_groups", 1)
    if call.opset < 21:  # which had a number for each group
        gamma, beta = (each.repeat(x.shape[1] // groups) for each in (gamma, beta))
    return _grouped(x, gamma, beta, groups, call.get("epsilon", 1e-5))


def _instance_norm(call: Call, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    return _grouped(x, gamma, beta, x.shape[1], call.get("epsilon", 1e-5))


def _lrn(call: Call, x: np.ndarray) -> np.ndarray:
    """Divide by a power of the sum of squares of neighbouring channels: an average along them."""
    size, number = call.get("size", 1), x.dtype.type
    rows = np.moveaxis(x, 1, -1).reshape(1, -1, x.shape[1], 1)
    before = (size - 1) // 2
    mean = functional.avg_pool2d(rows * rows, (1, size), stride=1, padding=((0, 0), (before, size - 1 - before)))
    scale = number(call.get("bias", 1.0)) + number(call.get("alpha", 1e-4)) * mean
    y = rows / scale ** number(call.get("beta", 0.75))
    return np.moveaxis(y.reshape(x.shape[0], *x.shape[2:], x.shape[1]), -1, 1)


TABLE: dict[str, Callable[..., Any]] = {
    "BatchNormalization": _batch_norm, "GroupNormalization": _group_norm, "InstanceNormalization": _instance_norm,
    "LRN": _lrn, "LayerNormalization": _layer_norm,
}
