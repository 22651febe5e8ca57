"""Losses: `forward(prediction, target)` gives the mean loss, `backward()` the gradient of the prediction."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional
from ..shapes import DTypeError, ShapeError, integer, real
from .module import _mode


class Loss:
    """What all losses share: forward keeps the gradient, backward returns it."""

    _gradient: np.ndarray | None = None

    def _evaluate(self, prediction: Any, target: Any) -> tuple[float, np.ndarray]:
        raise NotImplementedError(f"{type(self).__name__} has no _evaluate: define it to return loss and gradient")

    def forward(self, prediction: Any, target: Any) -> float:
        """Return the mean loss as a float."""
        loss, gradient = self._evaluate(prediction, target)
        self._gradient = gradient if _mode.keeping else None
        return float(loss)

    def __call__(self, prediction: Any, target: Any) -> float:
        """Return forward(prediction, target)."""
        return self.forward(prediction, target)

    def backward(self) -> np.ndarray:
        """Return the gradient of the last prediction; RuntimeError when there is none."""
        gradient, self._gradient = self._gradient, None
        if gradient is None:
            raise RuntimeError(f"{self!r}: backward needs a forward of its own before it, outside nn.inference()")
        return gradient

    def __repr__(self) -> str:
        """Name of the class."""
        return f"{type(self).__name__}()"


class CrossEntropyLoss(Loss):
    """Softmax and cross-entropy of logits (N, K) with labels (N,) int64 or probabilities (N, K).

    `class_weight` (K,) float weighs the classes, `label_smoothing` spreads that share of the target evenly,
    and rows whose label is `ignore_index` count nothing. ShapeError, DTypeError, ValueError: an argument is
    unfit.
    """

    def __init__(self, class_weight: Any = None, label_smoothing: float = 0.0, ignore_index: int | None = None) -> None:
        """Check the arguments."""
        self.class_weight = None if class_weight is None else _class_weight(class_weight)
        self.label_smoothing = real("CrossEntropyLoss", "label_smoothing", label_smoothing, 0.0, 1.0)
        self.ignore_index = ignore_index
        if ignore_index is not None:
            integer("CrossEntropyLoss", "ignore_index", ignore_index, -(2**63))

    def _evaluate(self, prediction: Any, target: Any) -> tuple[float, np.ndarray]:
        weight = self.class_weight
        if weight is not None and isinstance(prediction, np.ndarray) and prediction.dtype.kind == "f":
            weight = weight.astype(prediction.dtype)
        return functional.cross_entropy(
            prediction,
            target,
            class_weight=weight,
            label_smoothing=self.label_smoothing,
            ignore_index=self.ignore_index,
        )


class MSELoss(Loss):
    """Mean of (prediction - target)^2 over all elements; both of one shape."""

    def _evaluate(self, prediction: Any, target: Any) -> tuple[float, np.ndarray]:
        return functional.mse_loss(prediction, target)


class BCELoss(Loss):
    """Sigmoid and binary cross-entropy of logits with targets between 0 and 1; both of one shape."""

    def _evaluate(self, prediction: Any, target: Any) -> tuple[float, np.ndarray]:
        return functional.binary_cross_entropy(prediction, target)


def _class_weight(value: Any) -> np.ndarray:
    weight = np.asarray(value)
    if weight.dtype.kind not in "fiu":
        raise DTypeError(f"CrossEntropyLoss: class_weight has dtype {weight.dtype}, expected float32")
    if weight.ndim != 1 or weight.size == 0:
        raise ShapeError(f"CrossEntropyLoss: class_weight has shape {weight.shape}, expected (K,)")
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise ValueError(
            f"CrossEntropyLoss: class_weight is {weight.tolist()}, expected finite numbers of at least 0, not all 0"
        )
    return weight.astype(np.float64 if weight.dtype == np.float64 else np.float32)
