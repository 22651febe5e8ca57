"""A model in use: loss and accuracy on a data set, and probabilities for images."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import functional
from ..nn import CrossEntropyLoss, LogSoftmax, Loss, Module, Sequential, Sigmoid, Softmax, inference
from ..shapes import DTypeError, integer
from .batches import Batches, as_input, checked_images, input_dtype


def evaluate(model: Module, split: Any, *, batch_size: int = 256, loss: Any = None) -> dict[str, float]:
    """Return {"loss": mean loss, "accuracy": share of right classes} of the model in use on a Split or a
    pair.

    `loss` is CrossEntropyLoss where not given. ShapeError, DTypeError: an argument is unfit.
    """
    _require_model("evaluate", model)
    size = integer("evaluate", "batch_size", batch_size, 1)
    chosen = checked_loss("evaluate", CrossEntropyLoss() if loss is None else loss)
    batches = Batches("evaluate", split)
    batches.count_in("evaluate: split", model.classes)
    return score(model, batches, size, chosen)


def _require_model(function: str, model: Any) -> None:
    if not isinstance(model, Module):
        raise DTypeError(f"{function}: model is {model!r}, expected a Module")


def checked_loss(function: str, loss: Any) -> Any:
    """Return the loss; DTypeError: it is none, or a class."""
    if isinstance(loss, type) or not hasattr(loss, "forward") or not hasattr(loss, "backward"):
        raise DTypeError(f"{function}: loss is {loss!r}, expected an object with forward and backward, such as nn.MSELoss()")
    return loss


def score(model: Module, batches: Batches, batch_size: int, loss: Any) -> dict[str, float]:
    """Return loss and accuracy on checked batches."""
    total, right, dtype = 0.0, 0, input_dtype(model)
    with in_use(model):
        for start in range(0, len(batches), batch_size):
            index = np.arange(start, min(start + batch_size, len(batches)))
            x, target = batches.serve(index, model.normalisation, dtype)
            prediction = model.forward(x)
            total += loss.forward(prediction, target) * len(index)
            right += count_right(prediction, target, loss)
    return {"loss": total / len(batches), "accuracy": right / len(batches)}


def predict(model: Module, images: Any, *, batch_size: int = 256) -> np.ndarray:
    """Return probabilities (N, classes) for images uint8 (N, H, W, C), normalised as in training, or float
    (N, ...).

    Of a model with a single output they are (N, 1), the probability of class 1. ShapeError, DTypeError: an argument
    is unfit.
    """
    _require_model("predict", model)
    size = integer("predict", "batch_size", batch_size, 1)
    array = checked_images("predict", images)
    normalisation, dtype = model.normalisation, input_dtype(model)
    parts = []
    with in_use(model):
        for start in range(0, len(array), size):
            index = np.arange(start, min(start + size, len(array)))
            parts.append(_probabilities(model, as_input(array, index, normalisation, dtype)))
    return np.concatenate(parts)


def _probabilities(model: Module, x: np.ndarray) -> np.ndarray:
    y: np.ndarray = model.forward(x)
    last: Module = model
    while isinstance(last, Sequential) and len(last):
        last = last[-1]
    if isinstance(last, (Softmax, Sigmoid)):
        return y
    if isinstance(last, LogSoftmax):
        return np.exp(y)
    return functional.sigmoid(y) if y.shape[-1] == 1 else functional.softmax(y)


def count_right(prediction: np.ndarray, target: np.ndarray, loss: Any) -> int:
    """Return how many rows have the target's class on top.

    target int64 labels (N,) or one column per class; for a single column, the loss knows what means class 1 (see `Loss`).
    Images (N, H, W, C) are no answers: none of them is right.
    """
    if prediction.ndim > 2:
        return 0
    if prediction.ndim < 2 or (prediction.shape[1] == 1 and target.dtype.kind == "f"):
        is_one = prediction.reshape(-1) > getattr(loss, "middle", Loss.middle)
        return int(np.count_nonzero(is_one == (target.reshape(-1) > 0.5)))
    labels = target if target.ndim == 1 else target.argmax(axis=1)
    return int(np.count_nonzero(prediction.argmax(axis=1) == labels))


@contextlib.contextmanager
def in_use(model: Module) -> Iterator[None]:
    """Put the model in eval mode, keeping nothing, inside the `with` block; then each part as before."""
    before = [(module, module.training) for _, module in model.named_modules()]
    model.eval()
    try:
        with inference():
            yield
    finally:
        for module, training in before:
            module.training = training
