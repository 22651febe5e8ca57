"""A model in evaluation: loss and accuracy on a data set, and probabilities for images."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..nn import Module, evaluation
from ..shapes import Caller, DTypeError, integer
from . import answers
from .batches import Batches, as_input, checked_images, input_dtype, warn_of_range
from .diagnosis import all_finite

Metrics = Mapping[str, Callable[[np.ndarray, np.ndarray], float]]


class Measures(NamedTuple):
    """What is measured on a data set, for `function`: where loss is None or activation "", what suits is found out."""

    loss: Any = None
    metrics: Metrics = MappingProxyType({})
    activation: str = ""
    function: str = "evaluate"


def evaluate(
    model: Module, split: Any, *, batch_size: int = 256, loss: Any = None, metrics: Metrics | None = None
) -> dict[str, float]:
    """Return {"loss": mean loss, "accuracy": share of right classes} of the model in eval mode on a
    Split or a pair.

    Where `loss` is not given, it is the one that suits what the model was trained for: CrossEntropyLoss for classes. Of
    several labels at once, the accuracy is the share of right labels. Classes are found by name where both have names.
    `metrics` adds values by name, each a function of all probabilities, as `predict` gives them, and of all labels.
    ShapeError, DTypeError, ValueError: an argument is unfit, such as a loss that takes logits where the model gives
    probabilities. UserWarning: images are bytes, or as bytes are, where the model takes others.
    """
    _require_model("evaluate", model)
    size = integer("evaluate", "batch_size", batch_size, 1)
    chosen = None if loss is None else checked_loss("evaluate", loss)
    more = checked_metrics("evaluate", metrics)
    batches = Batches("evaluate", split)
    batches.count_in("evaluate: split", model.classes)
    warn_of_range("evaluate", batches.images, model.normalisation)
    return score(model, batches, size, Measures(chosen, more))


def _require_model(function: str, model: Any) -> None:
    if not isinstance(model, Module):
        raise DTypeError(f"{function}: model is {model!r}, expected a Module")


def checked_loss(function: str, loss: Any) -> Any:
    """Return the loss; DTypeError: it is none, or a class."""
    if isinstance(loss, type) or not hasattr(loss, "forward") or not hasattr(loss, "backward"):
        raise DTypeError(f"{function}: loss is {loss!r}, expected an object with forward and backward, such as nn.MSELoss()")
    return loss


def checked_metrics(function: str, metrics: Any) -> dict[str, Callable[[np.ndarray, np.ndarray], float]]:
    """Return the metrics, none for None; DTypeError, ValueError: they are no functions by name."""
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping) or not all(map(callable, metrics.values())):
        raise DTypeError(f"{function}: metrics is {metrics!r}, expected functions by name, such as "
                         "{'top5': metrics.top_k_accuracy}")
    for name in metrics:
        if not isinstance(name, str) or not name.isidentifier() or name in ("loss", "accuracy"):
            raise ValueError(f"{function}: metrics has the name {name!r}, expected letters, digits and underscores, and "
                             "another than loss and accuracy")
    return dict(metrics)


def score(
    model: Module, batches: Batches, batch_size: int, measures: Measures, before_batch: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Return loss, accuracy and metrics on checked batches; `before_batch` is called before each of them."""
    loss, metrics, activation, function = measures
    given = Caller(function, f"images have shape {batches.images.shape}")
    with given:
        model.build(batches.images.shape[1:])
    total, right, dtype = 0.0, 0.0, input_dtype(model)
    parts: list[np.ndarray] = []
    with evaluation():
        for start in range(0, len(batches), batch_size):
            before_batch()
            index = np.arange(start, min(start + batch_size, len(batches)))
            with given:
                x, target = batches.serve(index, model.normalisation, dtype)
                prediction = model.forward(x)
            if not activation:
                activation = answers.of_model(model, x, loss, prediction)
                answers.require_suited(function, loss, model, activation)
            loss = answers.suitable_loss(activation, target) if loss is None else loss
            total += loss.forward(prediction, target) * len(index)
            right += answers.count_right(prediction, target, activation, batches.one_class)
            if metrics:
                parts.append(answers.to_probabilities(prediction, activation))
    made: Any = np.concatenate(parts) if parts else None
    values = {name: _number(function, name, metric(made, batches.targets)) for name, metric in metrics.items()}
    return {"loss": total / len(batches), "accuracy": right / len(batches), **values}


def _number(function: str, name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DTypeError(f"{function}: the metric {name!r} gave {value!r}, expected a number") from None


def predict(model: Module, images: Any, *, batch_size: int = 256) -> np.ndarray:
    """Return probabilities (N, classes) for images uint8 (N, H, W, C), normalised as in training, or float
    (N, ...).

    Of a model with a single output they are (N, 1), the probability of class 1; of one for several labels at once, the
    probability of each; of one that was trained for other numbers, its outputs. Where an output is not finite, all of the
    image's are NaN, with a UserWarning; so with images that are not as those of the training, as in `evaluate`. ShapeError,
    DTypeError: an argument is unfit.
    """
    _require_model("predict", model)
    size = integer("predict", "batch_size", batch_size, 1)
    array = checked_images("predict", images)
    warn_of_range("predict", array, model.normalisation)
    given = Caller("predict", f"images have shape {array.shape}")
    with given:
        model.build(array.shape[1:])
    normalisation, dtype, activation = model.normalisation, input_dtype(model), ""
    parts = []
    with evaluation():
        for start in range(0, len(array), size):
            with given:
                x = as_input(array, np.arange(start, min(start + size, len(array))), normalisation, dtype)
                y = model.forward(x)
            activation = activation or answers.of_model(model, x, None, y)
            parts.append(answers.to_probabilities(y, activation))
    made = np.concatenate(parts)
    if not all_finite(made):
        count = np.count_nonzero(np.isnan(made.reshape(len(made), -1)).any(axis=1))
        warnings.warn(f"predict: the model's outputs for {count} of {len(made)} images are not finite: their probabilities "
                      "are NaN, which is no answer", stacklevel=2)
    return made
