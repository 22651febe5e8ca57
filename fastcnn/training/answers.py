"""What a network's outputs mean: how they become probabilities, and which of them are right.

An output activation is what is still to be applied to outputs: "softmax" over the classes, "sigmoid" for one label or
several at once, "exp" of logarithms, or "identity" where they are probabilities, or numbers of another kind, already.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import functional
from ..nn import (
    BCELoss,
    Concat,
    Conv2D,
    ConvTranspose2D,
    CrossEntropyLoss,
    Dropout,
    Flatten,
    Frozen,
    Identity,
    Layer,
    Linear,
    LogSoftmax,
    Loss,
    Module,
    MSELoss,
    Reshape,
    Sequential,
    Sigmoid,
    Softmax,
)
from ..nn.mode import using
from ..runtime import probabilities
from .diagnosis import all_finite

_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "softmax": functional.softmax, "sigmoid": functional.sigmoid, "exp": np.exp, "identity": np.array}
ACTIVATIONS = tuple(_FUNCTIONS)
_OF_LAYERS: dict[type[Module], str] = {Softmax: "identity", Sigmoid: "identity", LogSoftmax: "exp"}
_CERTAIN: dict[type[Module], str] = {**_OF_LAYERS, Linear: "softmax", Conv2D: "softmax", ConvTranspose2D: "softmax"}
_PASS_ON = (Identity, Dropout, Flatten, Reshape)  # in evaluation, the values of x
_KINDS = {"softmax": "logits", "sigmoid": "logits", "exp": "log-probabilities", "identity": "probabilities"}
_OPERATIONS = {"identity": "softmax or sigmoid", "exp": "log-softmax"}
_OUT = "take the {} out of the model, predict gives probabilities all the same"
_ADVICE = {  # by the output activations of what the loss takes and of what it got
    ("softmax", "identity"): _OUT,
    ("softmax", "exp"): "take the {} out of the model, or use nn.NLLLoss()",
    ("sigmoid", "identity"): _OUT,
    ("sigmoid", "exp"): _OUT,
    ("exp", "identity"): "put nn.LogSoftmax() in place of the {}, or take it out and use nn.CrossEntropyLoss()",
    ("exp", "softmax"): "put nn.LogSoftmax() behind it, or use nn.CrossEntropyLoss()",
}
_MIDDLE = {"softmax": 0.0, "sigmoid": 0.0, "exp": math.log(0.5), "identity": 0.5}
_ROUNDING = 1e-5  # of a sum of probabilities
_FEW = 16  # inputs that show what outputs are


def of_structure(model: Module) -> tuple[str | None, bool]:
    """Return the output activation that the model's last layer tells, or None, and whether a run cannot tell more."""
    last = _last(model)
    kind = next((kind for kind in _OF_LAYERS if isinstance(last, kind)), None)
    if kind is not None:
        return _OF_LAYERS[kind], True
    return None, last is None or (isinstance(last, Layer) and type(last).__module__.startswith("fastcnn.nn."))


def _last(model: Module) -> Module | None:
    """Return the last module that changes values; of branches that end in one kind of module, that of the first."""
    if isinstance(model, Sequential) and type(model).forward is Sequential.forward:
        return next((last for last in map(_last, reversed(model.layers)) if last is not None), None)
    if isinstance(model, Concat) and type(model).forward is Concat.forward:
        ends = [_last(branch) for branch in model.branches]
        return ends[0] if len(set(map(type, ends))) == 1 else model
    return None if isinstance(model, _PASS_ON) else model


def of_model(model: Module, x: np.ndarray, loss: Any, y: np.ndarray | None = None) -> str:
    """Return the output activation of an evaluated model for inputs such as x, of which it has made y, where that is known.

    What the network does comes first, then the loss (None: not known), then what the model was trained for; where nothing
    is known, rows that sum to 1 are probabilities, and others scores.
    """
    model = model.network if isinstance(model, Frozen) else model
    told, is_known = of_structure(model)
    meant = _checked(getattr(loss, "output_activation", None) or model.output_activation)
    if told is not None or (meant and (is_known or loss is None)):
        return told or str(meant)
    if not is_known or y is None:
        told, y = _of_run(model, x[:_FEW])
    return told or meant or _of_values(y)


def _checked(activation: str | None) -> str | None:
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(f"output_activation is {activation!r}, expected one of {', '.join(ACTIVATIONS)}, or None")
    return activation


def _of_run(model: Module, x: np.ndarray) -> tuple[str | None, np.ndarray]:
    """Return what the operation that gives the output for x tells, where it is one that leaves notes, and the output."""
    with using(hook=None), probabilities.noted() as notes:
        y = np.asarray(model.forward(x))
    return probabilities.found(notes, y), y


def forward_of_training(model: Module, x: np.ndarray, loss: Any) -> Any:
    """Return the model's output for the first x of a training; ValueError: `loss` takes outputs of another kind."""
    with probabilities.noted() as notes:
        y = model.forward(x)
    require_suited("fit", loss, model, probabilities.found(notes, np.asarray(y)))
    return y


def require_suited(function: str, loss: Any, model: Module, activation: str | None = None) -> None:
    """ValueError: the loss takes outputs of another kind than the model's last layer gives, or `activation` says."""
    if why := unsuited(loss, model, activation):
        raise ValueError(f"{function}: {why}")


def unsuited(loss: Any, model: Module, activation: str | None = None) -> str:
    """Return why the loss does not suit what the model's last layer gives, or else outputs of that activation, or ""."""
    last, takes = _last(model), str(getattr(loss, "output_activation", None))
    kind = next((kind for kind in _CERTAIN if isinstance(last, kind) and type(last).forward is kind.forward), None)
    gives = str(activation) if kind is None else _CERTAIN[kind]
    if (takes, gives) not in _ADVICE:
        return ""
    end = f"last {_OPERATIONS[gives]}" if kind is None else type(last).__name__
    model_gives = "the model gives" if kind is None else f"the model ends in {last!r}, which gives"
    is_own = not type(loss).__module__.startswith("fastcnn.nn.")
    return (f"loss is {loss!r}, which takes {_KINDS[takes]}, and {model_gives} {_KINDS[gives]}; "
            f"{_ADVICE[takes, gives].format(end)}"
            f"{'; a loss of your own says what it takes by its output_activation' if is_own else ''}")


def _of_values(y: np.ndarray) -> str:
    if y.ndim < 2 or y.shape[-1] == 1:
        return "sigmoid"
    sums = y.sum(axis=-1)
    return "identity" if (y >= 0).all() and (np.abs(sums - 1) < _ROUNDING).all() else "softmax"


def to_probabilities(y: np.ndarray, activation: str) -> np.ndarray:
    """Return what the outputs (N, ...) tell; NaN in all that belongs to an image where one of them is not finite."""
    made = _FUNCTIONS[activation](y)
    if not all_finite(y):
        made[~np.isfinite(y.reshape(len(y), -1)).all(axis=1)] = np.nan
    return made


def suitable_loss(activation: str, target: np.ndarray) -> Loss:
    """Return the loss of outputs of that kind with such targets, where nobody chose one."""
    if target.dtype.kind == "f":
        return {"sigmoid": BCELoss, "identity": MSELoss}.get(activation, CrossEntropyLoss)()
    return _CrossEntropyOfProbabilities() if activation == "identity" else CrossEntropyLoss()


class _CrossEntropyOfProbabilities(CrossEntropyLoss):
    def _evaluate(self, prediction: Any, target: Any) -> tuple[float, np.ndarray]:
        return super()._evaluate(np.log(np.maximum(prediction, np.finfo(prediction.dtype).tiny)), target)


def count_right(prediction: np.ndarray, target: np.ndarray, activation: str, one_class: bool) -> float:
    """Return how many rows are right, of several labels at once the share of them; what is not finite never is.

    target int64 labels (N,) or a column per class, of which the highest counts with `one_class`; other targets are labels
    at once, on where above a half. Images (N, H, W, C) are no answers: none of them is right.
    """
    if prediction.ndim > 2:
        return 0
    if prediction.ndim < 2 or (prediction.shape[1] == 1 and target.dtype.kind == "f"):
        return _count_labels(prediction.reshape(-1, 1), target.reshape(-1, 1), activation)
    if target.ndim == 2 and (activation == "sigmoid" or not (one_class or activation in ("softmax", "exp"))):
        return _count_labels(prediction, target, activation)
    is_right = prediction.argmax(axis=1) == (target if target.ndim == 1 else target.argmax(axis=1))
    finite = np.isfinite(prediction)
    if not finite.all():
        is_right &= finite.all(axis=1)
    return int(np.count_nonzero(is_right))


def _count_labels(prediction: np.ndarray, target: np.ndarray, activation: str) -> float:
    is_right = ((prediction > _MIDDLE[activation]) == (target > 0.5)) & np.isfinite(prediction)
    count = int(np.count_nonzero(is_right))
    return count if target.shape[1] == 1 else count / target.shape[1]
