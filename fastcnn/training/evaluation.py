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
from .progress import batch_bar

Metrics = Mapping[str, Callable[[np.ndarray, np.ndarray], float]]


class Measures(NamedTuple):
    """What is measured on a data set, for `function`: where loss is None or activation "", what suits is found out."""

    loss: Any = None
    metrics: Metrics = MappingProxyType({})
    activation: str = ""
    function: str = "evaluate"


def evaluate(
    model: Module, split: Any, *, batch_size: int = 256, loss: Any = None, metrics: Metrics | None = None,
    progress: bool = False,
) -> dict[str, float]:
    """Measure the mean loss and the accuracy of the model on a data set.

    Parameters
    ----------
    model : Module
    split : Split, or pair (images, labels)
        Classes are matched by name if both the model and the split have names.
    batch_size : int
    loss : Loss, optional
        By default the one that suits what the model was trained for: CrossEntropyLoss for classes.
    metrics : dict of callables, optional
        By name, functions of all probabilities, as `predict` returns them, and of all labels.
    progress : bool
        Show a bar on stderr, in terminals and notebooks.

    Returns
    -------
    values : dict
        "loss", "accuracy" and the metrics. With several labels per image the accuracy is the share of right labels.

    Raises
    ------
    ShapeError, DTypeError, ValueError
        An argument does not fit, such as a loss of logits for a model that returns probabilities.

    Warns
    -----
    UserWarning
        The images are bytes, or in the range of bytes, and the model expects others.

    Examples
    --------
    >>> digits = data.load("digits")
    >>> model = models.create("strided_cnn", (8, 8, 1), 10)
    >>> model.normalisation = [0.5], [0.25]
    >>> sorted(fastcnn.evaluate(model, digits.test))
    ['accuracy', 'loss']
    """
    _require_model("evaluate", model)
    size = integer("evaluate", "batch_size", batch_size, 1)
    chosen = None if loss is None else checked_loss("evaluate", loss)
    more = checked_metrics("evaluate", metrics)
    batches = Batches("evaluate", split)
    batches.count_in("evaluate: split", model.classes)
    warn_of_range("evaluate", batches.images, model.normalisation)
    with batch_bar(len(batches), progress) as bar:
        return score(model, batches, size, Measures(chosen, more), lambda: bar.update(min(size, len(batches) - bar.n)))


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


def predict(model: Module, images: Any, *, batch_size: int = 256, progress: bool = False) -> np.ndarray:
    """Return the probabilities of the classes for images.

    Parameters
    ----------
    model : Module
    images : (N, H, W, C) array of uint8, or (N, ...) array of floats
        Bytes are normalised as in training.
    batch_size : int
    progress : bool
        Show a bar on stderr, in terminals and notebooks.

    Returns
    -------
    probabilities : (N, classes) array
        For a model with one output (N, 1), the probability of class 1; for one with several labels per image, the
        probability of each; for one trained for other numbers, its outputs. NaN, with a UserWarning, for an image with an
        output that is not finite.

    Raises
    ------
    ShapeError, DTypeError
        An argument does not fit.

    Warns
    -----
    UserWarning
        As `evaluate`.

    Examples
    --------
    >>> digits = data.load("digits")
    >>> model = models.create("strided_cnn", (8, 8, 1), 10)
    >>> model.normalisation = [0.5], [0.25]
    >>> fastcnn.predict(model, digits.test.images[:3]).shape
    (3, 10)
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
    with evaluation(), batch_bar(len(array), progress) as bar:
        for start in range(0, len(array), size):
            with given:
                x = as_input(array, np.arange(start, min(start + size, len(array))), normalisation, dtype)
                y = model.forward(x)
            activation = activation or answers.of_model(model, x, None, y)
            parts.append(answers.to_probabilities(y, activation))
            bar.update(len(x))
    made = np.concatenate(parts)
    if not all_finite(made):
        count = np.count_nonzero(np.isnan(made.reshape(len(made), -1)).any(axis=1))
        warnings.warn(f"predict: the model's outputs for {count} of {len(made)} images are not finite: their probabilities "
                      "are NaN, which is no answer", stacklevel=2)
    return made
