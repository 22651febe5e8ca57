"""What went wrong in a training: where numbers stopped being finite, and which gradients overwrite each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..nn import Dropout, Layer, Module, Parameter
from ..nn.inspect.trace import traced
from ..nn.mode import using

IMAGES = "the input images"


class NonFiniteError(ArithmeticError):
    """A loss or a gradient became NaN or infinite; `epoch`, `step` and `layer` say where."""

    def __init__(self, what: str, epoch: int, step: int, layer: str) -> None:
        """Make the message."""
        advice = "take out the images that hold it" if layer == IMAGES else "a lower learning rate often helps"
        super().__init__(
            f"fit: {what} is not finite in epoch {epoch}, step {step}; the first such value is in {layer} ({advice})"
        )
        self.epoch, self.step, self.layer = epoch, step, layer


def all_finite(array: np.ndarray) -> bool:
    """Whether no element is NaN or infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.add.reduce(array, axis=None)) or np.isfinite(array).all())


def first_output(model: Module, x: np.ndarray) -> str:
    """Run a batch again and name the first layer whose output is not finite; the input or the loss where none
    is.
    """
    if not all_finite(x):
        return IMAGES
    found: list[str] = []

    def watch(name: str, layer: Module, forward: Callable[[Any], Any], values: Any) -> Any:
        if isinstance(layer, Dropout):
            layer.step -= 1  # the same mask again
        y = forward(values)
        if not found and not all_finite(np.asarray(y)):
            found.append(f"the output of layer {name}, {layer!r}")
        return y

    with traced(model, watch), using(saves=False), np.errstate(all="ignore"):
        model.forward(x)
    return found[0] if found else "the loss itself"


def first_gradient(parameters: list[Parameter]) -> str:
    """Name the parameter nearest to the loss whose gradient is not finite."""
    for parameter in reversed(parameters):
        if not all_finite(parameter.grad):
            return f"the gradient of layer {parameter.name.rpartition('.')[0] or parameter.name}, {parameter!r}"
    return "the gradients"


def shared_parameters(model: Module) -> list[str]:
    """Return the names of each parameter that several layers train, such as "0.weight and 2.weight"."""
    names: dict[int, list[str]] = {}
    for layer, module in model.named_modules():
        if isinstance(module, Layer) and not module.frozen:
            for name, parameter in module._members(Parameter):
                names.setdefault(id(parameter), []).append(f"{layer}.{name}")
    return [" and ".join(shared) for shared in names.values() if len(shared) > 1]
