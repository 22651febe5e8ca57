"""Optimizers and schedules by name, as the command line and the estimator of scikit-learn take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import optim
from ..optim import optimizers
from ..shapes import one_of

_KINDS: dict[str, type[Any]] = {name.lower(): getattr(optim, name) for name in optimizers.__all__}


def kind_of(optimizer: str, function: str = "fit") -> type[Any]:
    """Return the class of an optimizer; ValueError, which begins with `function`: unknown name."""
    one_of(function, "optimizer", optimizer, _KINDS)
    return _KINDS[optimizer]


def optimizer(name: str, parameters: Any, lr: float, function: str = "fit") -> optim.Optimizer:
    """Return a new optimizer; "sgd" has momentum 0.9 as Nesterov has it and a weight decay of 5e-4.

    ValueError: unknown name.
    """
    if name == "sgd":
        return optim.SGD(parameters, lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    made: optim.Optimizer = kind_of(name, function)(parameters, lr)
    return made


def schedule(name: str, epochs: int, lr: float, function: str = "fit") -> optim.Schedule:
    """Return a new schedule for a training of `epochs` epochs that starts at `lr`; ValueError: unknown name."""
    makers: dict[str, Callable[[], optim.Schedule]] = {
        "none": optim.Schedule,
        "step": lambda: optim.StepLR(-(-epochs // 3)),
        "multistep": lambda: optim.MultiStepLR([epochs // 2, epochs * 3 // 4]),
        "cosine": optim.CosineLR,
        "onecycle": lambda: optim.OneCycleLR(lr),
        "warmup": lambda: optim.WarmupLR(optim.CosineLR(), epochs=epochs / 10),
        "plateau": optim.PlateauLR,
    }
    one_of(function, "schedule", name, makers)
    return makers[name]()
