"""Losses: `forward(prediction, target)` gives the mean loss, `backward()` the gradient of the prediction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import functional
from ..shapes import DTypeError, ShapeError, integer, real
from .mode import mode
from .module import no_forward
from .parameter import Parameter, distinct

__all__ = ["L2", "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "HingeLoss", "HuberLoss", "L1Loss", "Loss", "MSELoss",
           "NLLLoss"]


class Loss:
    """Base of the losses: forward keeps the gradient, and backward returns it once; without a forward it raises.

    `output_activation` is what turns the outputs that the loss takes into probabilities: "softmax", "sigmoid", "exp", or
    "identity" for outputs that are used as they are; None if unknown. `fit` and `evaluate` refuse outputs of another kind.
    """

    output_activation: str | None = None
    _gradient: np.ndarray | None = None

    def _evaluate(self, prediction: Any, target: Any) -> tuple[float, np.ndarray]:
        raise NotImplementedError(f"{type(self).__name__} has no _evaluate: define it to return loss and gradient")

    def forward(self, prediction: Any, target: Any) -> float:
        """Return the mean loss as a float."""
        loss, gradient = self._evaluate(prediction, target)
        if mode.saves:
            self._gradient = gradient
        return float(loss)

    def __call__(self, prediction: Any, target: Any) -> float:
        """Return forward(prediction, target)."""
        return self.forward(prediction, target)

    def backward(self) -> np.ndarray:
        """Return the gradient of the last prediction; RuntimeError when there is none."""
        gradient, self._gradient = self._gradient, None
        if gradient is None:
            raise no_forward(self, "loss")
        return gradient

    def __repr__(self) -> str:
        """Name of the class."""
        return f"{type(self).__name__}()"


class CrossEntropyLoss(Loss):
    """Compute softmax and cross-entropy of logits (N, K) with labels (N,) int64 or probabilities (N, K).

    Parameters
    ----------
    class_weight, label_smoothing, ignore_index : optional
        As in `functional.cross_entropy`.

    Raises
    ------
    ShapeError, DTypeError, ValueError
        An argument is out of range.

    Examples
    --------
    >>> loss = nn.CrossEntropyLoss()
    >>> round(loss(np.zeros((2, 10), np.float32), np.array([3, 7])), 4)  # log 10
    2.3026
    >>> loss.backward().shape
    (2, 10)
    """

    output_activation = "softmax"

    def __init__(self, class_weight: Any = None, label_smoothing: float = 0.0, ignore_index: int | None = None) -> None:
        """Check the arguments."""
        self.class_weight = None if class_weight is None else _class_weight("CrossEntropyLoss", class_weight)
        self.label_smoothing = real("CrossEntropyLoss", "label_smoothing", label_smoothing, 0.0, 1.0)
        self.ignore_index = ignore_index
        if ignore_index is not None:
            integer("CrossEntropyLoss", "ignore_index", ignore_index, -(2**63))

    def _evaluate(self, prediction: Any, target: Any) -> tuple[float, np.ndarray]:
        return functional.cross_entropy(
            prediction,
            target,
            class_weight=_like(prediction, self.class_weight),
            label_smoothing=self.label_smoothing,
            ignore_index=self.ignore_index,
        )


class MSELoss(Loss):
    """Compute the mean of (prediction - target)^2 over all elements; both have one shape."""

    output_activation = "identity"

    def _evaluate(self, prediction: Any, target: Any) -> tuple[float, np.ndarray]:
        return functional.mse_loss(prediction, target)


class BCELoss(Loss):
    """Compute sigmoid and binary cross-entropy of logits with targets between 0 and 1; both have one shape.

    It takes logits, the outputs before a sigmoid. PyTorch's BCELoss takes probabilities; its BCEWithLogitsLoss, which is
    another name of this class here, takes logits.
    """

    output_activation = "sigmoid"

    def _evaluate(self, prediction: Any, target: Any) -> tuple[float, np.ndarray]:
        return functional.binary_cross_entropy(prediction, target)


BCEWithLogitsLoss = BCELoss


class L1Loss(Loss):
    """Compute the mean of |prediction - target| over all elements; both have one shape."""

    output_activation = "identity"

    def _evaluate(self, prediction: Any, target: Any) -> tuple[float, np.ndarray]:
        return functional.l1_loss(prediction, target)


class HuberLoss(Loss):
    """Compute the mean of half the squared difference up to delta, and of a line beyond; both have one shape.

    Parameters
    ----------
    delta : float
        As in `functional.huber_loss`.

    References
    ----------
    Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical Statistics 35, 1964, section 3.
    """

    output_activation = "identity"

    def __init__(self, delta: float = 1.0) -> None:
        """Check delta."""
        self.delta = real("HuberLoss", "delta", delta, 1e-30)

    def _evaluate(self, prediction: Any, target: Any) -> tuple[float, np.ndarray]:
        return functional.huber_loss(prediction, target, delta=self.delta)


class NLLLoss(Loss):
    """Compute the mean of minus the log-probability (N, K) of each label (N,) int64, as `LogSoftmax` gives them.

    Parameters
    ----------
    class_weight, ignore_index : optional
        As in `functional.nll_loss`.
    """

    output_activation = "exp"

    def __init__(self, class_weight: Any = None, ignore_index: int | None = None) -> None:
        """Check the arguments."""
        self.class_weight = None if class_weight is None else _class_weight("NLLLoss", class_weight)
        self.ignore_index = ignore_index
        if ignore_index is not None:
            integer("NLLLoss", "ignore_index", ignore_index, -(2**63))

    def _evaluate(self, prediction: Any, target: Any) -> tuple[float, np.ndarray]:
        weight = _like(prediction, self.class_weight)
        return functional.nll_loss(prediction, target, class_weight=weight, ignore_index=self.ignore_index)


class HingeLoss(Loss):
    """Compute by how much the score (N, K) of each label (N,) fails to exceed every other one by margin, on average.

    Parameters
    ----------
    margin : float
        As in `functional.hinge_loss`.

    References
    ----------
    Weston and Watkins, "Support Vector Machines for Multi-Class Pattern Recognition", ESANN 1999, section 2.
    """

    output_activation = "softmax"

    def __init__(self, margin: float = 1.0) -> None:
        """Check the margin."""
        self.margin = real("HingeLoss", "margin", margin, 0.0)

    def _evaluate(self, prediction: Any, target: Any) -> tuple[float, np.ndarray]:
        return functional.hinge_loss(prediction, target, margin=self.margin)


class L2:
    """Add weight / 2 times the sum of squares of chosen parameters to the loss.

    Pass it to `fit` as `penalty`, or call it between backward of the model and the step of the optimizer.

    Parameters
    ----------
    parameters : iterable of Parameter
    weight : float
        At least 0.

    Examples
    --------
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> layer.weight.data = np.array([[1.0], [3.0]], np.float32)
    >>> nn.L2([layer.weight], 0.5)()
    2.5
    >>> layer.weight.grad.ravel()
    array([0.5, 1.5], dtype=float32)
    """

    def __init__(self, parameters: Iterable[Parameter], weight: float) -> None:
        """Take the parameters."""
        self.parameters = distinct("L2", parameters)
        self.weight = real("L2", "weight", weight, 0.0)

    def __call__(self) -> float:
        """Return the term, and add its gradient to those of the parameters."""
        return sum(functional.l2_penalty(one.data, one.grad, weight=self.weight) for one in self.parameters)


def _like(prediction: Any, weight: np.ndarray | None) -> np.ndarray | None:
    """Return the weights in the element type of the prediction."""
    if weight is None or not isinstance(prediction, np.ndarray) or prediction.dtype.kind != "f":
        return weight
    return weight.astype(prediction.dtype)


def _class_weight(loss: str, value: Any) -> np.ndarray:
    weight = np.asarray(value)
    if weight.dtype.kind not in "fiu":
        raise DTypeError(f"{loss}: class_weight has dtype {weight.dtype}, expected float32")
    if weight.ndim != 1 or weight.size == 0:
        raise ShapeError(f"{loss}: class_weight has shape {weight.shape}, expected (K,)")
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise ValueError(
            f"{loss}: class_weight is {weight.tolist()}, expected finite numbers of at least 0, not all 0"
        )
    return weight.astype(np.float64 if weight.dtype == np.float64 else np.float32)
