"""Neighbours in a Sequential that run as one: the values of the single layers in fewer passes over memory.

A batch normalisation or a residual sum applies the ReLU behind it as it writes its result. Max pooling applies the one
before it to the pooled result instead: the maximum of rectified values is the rectified maximum, and where it is zero no
gradient passes either way.
"""

from __future__ import annotations

from typing import Any

from .activation import ReLU
from .module import Module, backward, takes


class Rectified(Module):
    """A layer together with the ReLU beside it."""

    def __init__(self, layer: Any) -> None:
        """Take a layer whose forward has an option `relu`."""
        self.layer = layer

    def forward(self, x: Any) -> Any:
        """Return what layer and ReLU make of x."""
        return self.layer.forward(x, relu=True)

    def backward(self, dy: Any, need_dx: bool = True) -> Any:
        """Write the layer's gradients; return dx, or None without `need_dx`."""
        return backward(self.layer, dy, need_dx)


def fuse(layers: tuple[Module, ...]) -> tuple[Module, ...]:
    """Return the steps that run the layers."""
    steps: list[Module] = []
    waiting = list(layers)
    while waiting:
        layer = waiting.pop(0)
        following = waiting[0] if waiting else None
        if type(following) is ReLU and _rectifies(layer, "after"):
            waiting.pop(0)
            layer = Rectified(layer)
        elif type(layer) is ReLU and following is not None and _rectifies(following, "before"):
            layer = Rectified(waiting.pop(0))
        steps.append(layer)
    return tuple(steps)


def _rectifies(layer: Module, place: str) -> bool:
    """Whether the layer can take over the ReLU in that place: its class says so, and its forward is still that class's."""
    return layer.rectifies == place and takes(type(layer).forward, "relu")
