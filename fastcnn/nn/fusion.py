"""Neighbours in a Sequential that run as one: the values of the single layers in fewer passes over memory.

In use, a convolution or linear layer takes over the batch normalisation behind it: each channel's weights times a number,
and another bias, give the normalised values but for rounding.

A convolution, linear layer, batch normalisation or residual sum applies the ReLU behind it as it writes its result. The last
layer of a residual branch adds the other branch, and the gradient of the first one that of the other branch. Max
pooling applies the one before it to the pooled result instead, which is smaller: the maximum of rectified values is the
rectified maximum, and where it is zero no gradient passes either way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import functional
from ..runtime import packed
from .activation import ReLU
from .conv import Conv2D
from .linear import Linear
from .module import Module, backward, takes
from .norm import BatchNorm


class Rectified(Module):
    """A layer together with the ReLU beside it."""

    def __init__(self, layer: Any) -> None:
        """Take a layer whose forward has an option `relu`."""
        self.layer = layer

    def forward(self, x: Any) -> Any:
        """Return what layer and ReLU make of x."""
        return self.layer.forward(x, relu=True)

    def backward(self, dy: Any, need_dx: bool = True, add: Any = None) -> Any:
        """Write the layer's gradients; return dx, plus `add`, or None without `need_dx`."""
        return backward(self.layer, dy, need_dx) if add is None else backward_plus(self.layer, dy, add)


class Normalised(Module):
    """A convolution or linear layer together with the batch normalisation behind it, and the ReLU behind that."""

    def __init__(self, layer: Conv2D | Linear, norm: BatchNorm, relu: bool) -> None:
        """Take the layers, and whether a ReLU follows."""
        self.layer, self.norm, self.relu = layer, norm, relu

    @property
    def adds(self) -> bool:  # type: ignore[override]
        """Whether a sum may follow: no ReLU comes before it, and the layer can."""
        return self.layer.adds and not self.relu

    def forward(self, x: Any, relu: bool = False, add: Any = None) -> Any:
        """Return what the layers make of x: all of them at once in use, inside an `inference` block."""
        cache, relu = packed.current(), relu or self.relu
        if cache is None or self.norm.training:
            return self.norm.forward(self.layer.forward(x), relu=relu, add=add)
        folded, more = cache.get(self, "folded", self._folded), {} if add is None else {"add": add}
        return self.layer.apply(x, *folded, relu=relu, **more)

    def _folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Weight and bias of one layer that gives the normalised values."""
        norm, weight, bias = self.norm, self.layer.weight.data, self.layer.bias
        with np.errstate(all="ignore"):  # as the kernel
            scale = norm.gamma.data / np.sqrt(norm.running_var + weight.dtype.type(norm.eps))
            centre = norm.running_mean if bias is None else norm.running_mean - bias.data
            return weight * scale, norm.beta.data - centre * scale

    def backward(self, dy: Any, need_dx: bool = True, add: Any = None) -> Any:
        """Write the gradients of both layers; return dx, plus `add`, or None without `need_dx`."""
        dy = self.norm.backward(dy)
        return backward(self.layer, dy, need_dx) if add is None else backward_plus(self.layer, dy, add)


def forward_plus(module: Module, x: Any, other: Any, relu: bool) -> Any:
    """Return module(x) + other, or its max with 0 with `relu`, in one pass where the module can."""
    if module.adds and takes(type(module).forward, "add") and "forward" not in vars(module):
        return module.forward(x, relu=relu, add=other)  # type: ignore[call-arg]
    return functional.add(module.forward(x), other, relu=relu)


def backward_plus(module: Module, dy: Any, other: Any) -> Any:
    """Run the module's backward; return dx + other, in one pass where the module can."""
    if takes(type(module).backward, "add") and "backward" not in vars(module):
        return module.backward(dy, add=other)  # type: ignore[call-arg]
    return functional.add(module.backward(dy), other)


def fuse(layers: tuple[Module, ...]) -> tuple[Module, ...]:
    """Return the steps that run the layers."""
    for join in (_rectified_before, _rectified_after, _normalised):
        layers = _joined(layers, join)
    return layers


def _joined(steps: tuple[Module, ...], join: Callable[[Module, Module], Module | None]) -> tuple[Module, ...]:
    """Return the steps with those neighbours as one that `join` gives a module for."""
    joined: list[Module] = []
    for step in steps:
        both = join(joined[-1], step) if joined else None
        joined[-1 if both else len(joined):] = [both or step]
    return tuple(joined)


def _rectified_before(first: Module, second: Module) -> Module | None:
    return Rectified(second) if type(first) is ReLU and _rectifies(second, "before") else None


def _rectified_after(first: Module, second: Module) -> Module | None:
    return Rectified(first) if type(second) is ReLU and _rectifies(first, "after") else None


def _normalised(first: Module, second: Module) -> Module | None:
    relu = isinstance(second, Rectified)
    norm = second.layer if isinstance(second, Rectified) else second
    if type(first) in (Conv2D, Linear) and type(norm) is BatchNorm:
        return Normalised(first, norm, relu)  # type: ignore[arg-type]
    return None


def _rectifies(layer: Module, place: str) -> bool:
    """Whether the layer can take over the ReLU in that place: its class says so, and its forward is still that class's."""
    return layer.rectifies == place and takes(type(layer).forward, "relu")
