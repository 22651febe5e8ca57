"""Neighbours in a Sequential that run as one: the values of the single layers in fewer passes over memory.

A convolution, linear layer, batch normalisation or residual sum applies the ReLU behind it as it writes its result. The last
layer of a residual branch adds the other branch, and the gradient of the first one that of the other branch. Max
pooling applies the one before it to the pooled result instead, which is smaller: the maximum of rectified values is the
rectified maximum, and where it is zero no gradient passes either way. A convolution of few channels pools 2x2 pixels itself.
In training, a convolution sums what the batch normalisation behind it needs while what it wrote is in the caches.

In a `Frozen` network, a convolution or linear layer takes over the batch normalisation behind it: each channel's weights
times a number, and another bias, give the normalised values but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .. import functional
from .conv import Conv2D
from .linear import Linear
from .mode import mode
from .module import Module, backward
from .norm import BatchNorm
from .pool import MaxPool2D

Pattern = tuple[tuple[type[Module], ...], Callable[..., Module]]


class FusedReLU(Module):
    """A layer together with the ReLU beside it."""

    backward_options = "need_dx", "add"

    def __init__(self, layer: Any) -> None:
        """Take a layer whose forward has an option `relu`."""
        self.layer = layer

    def forward(self, x: Any) -> Any:
        """Return what layer and ReLU make of x."""
        return self.layer.forward(x, relu=True)

    def backward(self, dy: Any, need_dx: bool = True, add: Any = None) -> Any:
        """Write the layer's gradients; return dx, plus `add`, or None without `need_dx`."""
        return backward(self.layer, dy, need_dx) if add is None else backward_plus(self.layer, dy, add)

    def __repr__(self) -> str:
        """Name of the class, and the layer."""
        return f"FusedReLU({self.layer!r})"


class FusedPool(Module):
    """A convolution together with the max pooling behind it, and perhaps the ReLU between them."""

    backward_options = "need_dx", "add"

    def __init__(self, layer: Conv2D, pool: MaxPool2D, relu: bool) -> None:
        """Take the layers, and whether there is a ReLU."""
        self.layer, self.pool, self.relu = layer, pool, relu

    def forward(self, x: Any) -> Any:
        """Return what the layers make of x."""
        if self.layer.waiting:
            return self.pool.forward(self.layer.forward(x), relu=self.relu)
        return self.pool.forward_behind(self.layer, x, self.relu)

    def backward(self, dy: Any, need_dx: bool = True, add: Any = None) -> Any:
        """Write the convolution's gradients; return dx, plus `add`, or None without `need_dx`."""
        dy = self.pool.backward(dy)
        return backward(self.layer, dy, need_dx) if add is None else backward_plus(self.layer, dy, add)

    def __repr__(self) -> str:
        """Name of the class, and the layers."""
        return f"FusedPool({self.layer!r}, {self.pool!r}, relu={self.relu})"


class FusedNorm(Module):
    """A convolution or linear layer together with the batch normalisation behind it, and perhaps the ReLU behind that.

    Training needs what lies between the layers, so that only a frozen copy makes one layer of them; but a convolution makes
    the sums of the statistics.
    """

    backward_options = "need_dx", "add"

    def __init__(self, layer: Conv2D | Linear, norm: BatchNorm, relu: bool) -> None:
        """Take the layers, and whether a ReLU follows."""
        self.layer, self.norm, self.relu = layer, norm, relu
        self.forward_options = () if relu else layer.forward_options

    def forward(self, x: Any, relu: bool = False, add: Any = None) -> Any:
        """Return what the layers make of x."""
        if not isinstance(self.layer, Conv2D) or self.layer.waiting or not self.norm.uses_batch_statistics:
            return self.norm.forward(self.layer.forward(x), relu=relu or self.relu, add=add)
        y, moments = self.layer.forward_summed(x)
        return self.norm.forward(y, relu=relu or self.relu, add=add, moments=moments)

    def backward(self, dy: Any, need_dx: bool = True, add: Any = None) -> Any:
        """Write the gradients of both layers; return dx, plus `add`, or None without `need_dx`."""
        dy = self.norm.backward(dy)
        return backward(self.layer, dy, need_dx) if add is None else backward_plus(self.layer, dy, add)

    def folded(self) -> dict[str, np.ndarray]:
        """Return weight and bias of one layer that gives the normalised values in evaluation, but for rounding."""
        norm, weight, bias = self.norm, self.layer.weight.data, self.layer.bias
        with np.errstate(all="ignore"):  # as the kernel
            scale = norm.gamma.data / np.sqrt(norm.running_var + weight.dtype.type(norm.eps))
            centre = norm.running_mean if bias is None else norm.running_mean - bias.data
            return {"weight": weight * scale, "bias": norm.beta.data - centre * scale}


def fuse(layers: Sequence[Module], patterns: Iterable[Pattern]) -> tuple[Module, ...]:
    """Return the steps that run the layers: one in place of each row of layers of exactly the types of a pattern.

    A pattern is types and what makes one step of such layers; those before others come first.
    """
    steps = list(layers)
    for types, join in patterns:
        start = 0
        while start + len(types) <= len(steps):
            row = steps[start : start + len(types)]
            if tuple(map(type, row)) == types:
                steps[start : start + len(types)] = [join(*row)]
            start += 1
    return tuple(steps)


def is_fusing() -> bool:
    """Whether neighbours may run as one in this thread: nobody wants to see each of them."""
    return mode.hook is None or mode.hook.fuses


def forward_plus(module: Module, x: Any, other: Any, relu: bool) -> Any:
    """Return module(x) + other, or its max with 0 with `relu`, in one pass where the module can."""
    if "add" in module.forward_options and not module.replaced and is_fusing():
        return module.forward(x, relu=relu, add=other)  # type: ignore[call-arg]
    return functional.add(module.forward(x), other, relu=relu)


def backward_plus(module: Module, dy: Any, other: Any) -> Any:
    """Run the module's backward; return dx + other, in one pass where the module can."""
    if "add" in module.backward_options and not module.replaced and is_fusing():
        return module.backward(dy, add=other)  # type: ignore[call-arg]
    return functional.add(module.backward(dy), other)
