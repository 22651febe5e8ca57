"""Containers: modules that run other modules, forward and backward."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from .. import functional
from ..shapes import DTypeError, ShapeError
from .activation import ReLU
from .conv import Conv2D
from .fusion import FusedNorm, FusedPool, FusedReLU, Pattern, backward_plus, forward_plus, fuse, is_fusing
from .linear import Linear
from .mode import mode
from .module import Module, backward
from .norm import BatchNorm
from .parameter import Parameter
from .pool import MaxPool2D

__all__ = ["Concat", "Residual", "Sequential"]


class Sequential(Module):
    """Modules one after the other, named "0", "1" and so on; DTypeError: an argument is no Module."""

    forward_options = "relu", "add"
    backward_options = "need_dx", "add"

    def __init__(self, *modules: Module) -> None:
        """Take the modules in the order in which they run."""
        _require_modules("Sequential", modules)
        self.layers = self._steps = modules
        self._fused = fuse(modules, _PATTERNS)

    def forward(self, x: Any, relu: bool = False, add: Any = None) -> Any:
        """Return what the last module makes of x; or its sum with `add`, and max with 0 of that with `relu`."""
        steps = self._chosen()
        if add is None:
            for step in steps:
                x = step.forward(x)
            return x
        for step in steps[:-1]:
            x = step.forward(x)
        return forward_plus(steps[-1], x, add, relu) if steps else functional.add(x, add, relu=relu)

    def _chosen(self) -> tuple[Module, ...]:
        """The steps that forward takes now, and backward after it."""
        alone = not is_fusing() or any(layer.replaced for layer in self.layers)
        steps = self.layers if alone else self._fused
        if mode.saves:
            vars(self)["_steps"] = steps
        return steps

    def backward(self, dy: Any, need_dx: bool = True, add: Any = None) -> Any:
        """Write all gradients; return dx, plus `add`, or None without `need_dx`, when nothing runs that only dx needs."""
        steps = self._steps
        if add is not None:
            for step in reversed(steps[1:]):
                dy = step.backward(dy)
            return backward_plus(steps[0], dy, add) if steps else functional.add(dy, add)
        first = 0 if need_dx else _first_trained(steps)
        for step in reversed(steps[first + (not need_dx) :]):
            dy = step.backward(dy)
        if need_dx:
            return dy
        return backward(steps[first], dy, need_dx=False) if first < len(steps) else None

    def children(self) -> Iterator[tuple[str, Module | Parameter]]:
        """Give the modules, named by their index."""
        return ((str(index), layer) for index, layer in enumerate(self.layers))

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of forward's result, batch included; ShapeError where a layer does not fit."""
        for layer in self.layers:
            x_shape = layer.output_shape(x_shape)  # type: ignore[attr-defined]
        return x_shape

    def __len__(self) -> int:
        """Return the number of modules."""
        return len(self.layers)

    def __getitem__(self, index: int) -> Module:
        """Return the module at `index`."""
        return self.layers[index]

    def __iter__(self) -> Iterator[Module]:
        """Give the modules in order."""
        return iter(self.layers)

    def __repr__(self) -> str:
        """Constructor call, one module in a line."""
        inside = "".join("\n  " + repr(layer).replace("\n", "\n  ") + "," for layer in self.layers)
        return f"Sequential({inside}\n)" if inside else "Sequential()"


class Residual(Module):
    """main(x) + shortcut(x), where no shortcut means x itself.

    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 3.2.
    """

    forward_options = ("relu",)
    backward_options = ("need_dx",)

    def __init__(self, main: Module, shortcut: Module | None = None) -> None:
        """Take the branches; DTypeError: one is no Module."""
        _require_modules("Residual", (main,) if shortcut is None else (main, shortcut))
        self.main, self.shortcut = main, shortcut

    def forward(self, x: Any, relu: bool = False) -> Any:
        """Return the sum of both branches, or its max with 0 with `relu`; ShapeError when their shapes differ."""
        other = x if self.shortcut is None else self.shortcut.forward(x)
        try:
            total = forward_plus(self.main, x, other, relu)
        except ShapeError:
            if (shape := self.main.forward(x).shape) != other.shape:
                message = f"Residual: main gives shape {shape}, expected {other.shape} as the shortcut gives"
                raise ShapeError(message) from None
            raise
        self._save(total if relu else False)
        return total

    def backward(self, dy: Any, need_dx: bool = True) -> Any:
        """Write all gradients; return dx, or None without `need_dx`."""
        if (rectified := self._take_saved()) is not False:
            dy = functional.relu_backward(dy, rectified)
        other = dy if self.shortcut is None else backward(self.shortcut, dy, need_dx)
        return backward_plus(self.main, dy, other) if need_dx else backward(self.main, dy, need_dx=False)

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the main branch's result."""
        shape: tuple[int, ...] = self.main.output_shape(x_shape)  # type: ignore[attr-defined]
        return shape

    def __repr__(self) -> str:
        """Constructor call."""
        return f"Residual({self.main!r}{'' if self.shortcut is None else f', {self.shortcut!r}'})"


class Concat(Module):
    """Branches of the same input whose results (..., C) are joined along the channels; named "0", "1" and so on.

    Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 4.
    """

    backward_options = ("need_dx",)

    def __init__(self, *branches: Module) -> None:
        """Take the branches; DTypeError: one is no Module, or there is none."""
        _require_modules("Concat", branches)
        if not branches:
            raise DTypeError("Concat: no branches came, expected at least one Module")
        self.branches = branches

    def forward(self, x: Any) -> Any:
        """Return the joined results; ShapeError when they differ in more than their channels."""
        results = [branch.forward(x) for branch in self.branches]
        for index, result in enumerate(results):
            if result.shape[:-1] != results[0].shape[:-1]:
                raise ShapeError(f"Concat: branch {index} gives shape {result.shape}, expected {results[0].shape} but for "
                                 "the channels, as branch 0 gives")
        self._save([result.shape[-1] for result in results])
        return functional.concat(results)

    def backward(self, dy: Any, need_dx: bool = True) -> Any:
        """Write all gradients; return dx, or None without `need_dx`."""
        parts = functional.concat_backward(dy, self._take_saved())
        gradients = [backward(branch, part, need_dx) for branch, part in zip(self.branches, parts, strict=True)]
        return functools.reduce(functional.add, gradients) if need_dx else None

    def children(self) -> Iterator[tuple[str, Module | Parameter]]:
        """Give the branches, named by their index."""
        return ((str(index), branch) for index, branch in enumerate(self.branches))

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the joined results."""
        every: list[tuple[int, ...]] = [branch.output_shape(x_shape) for branch in self.branches]  # type: ignore[attr-defined]
        return *every[0][:-1], sum(shape[-1] for shape in every)

    def __repr__(self) -> str:
        """Constructor call."""
        return f"Concat({', '.join(map(repr, self.branches))})"


# What runs as one; where a layer could be part of several, the pattern above takes it.
_PATTERNS: tuple[Pattern, ...] = (
    ((Conv2D, ReLU, MaxPool2D), lambda conv, relu, pool: FusedPool(conv, pool, relu=True)),
    ((Conv2D, MaxPool2D), lambda conv, pool: FusedPool(conv, pool, relu=False)),
    ((ReLU, MaxPool2D), lambda relu, pool: FusedReLU(pool)),
    ((Conv2D, BatchNorm, ReLU), lambda conv, norm, relu: FusedNorm(conv, norm, relu=True)),
    ((Linear, BatchNorm, ReLU), lambda linear, norm, relu: FusedNorm(linear, norm, relu=True)),
    ((Conv2D, BatchNorm), lambda conv, norm: FusedNorm(conv, norm, relu=False)),
    ((Linear, BatchNorm), lambda linear, norm: FusedNorm(linear, norm, relu=False)),
    ((Conv2D, ReLU), lambda conv, relu: FusedReLU(conv)),
    ((Linear, ReLU), lambda linear, relu: FusedReLU(linear)),
    ((BatchNorm, ReLU), lambda norm, relu: FusedReLU(norm)),
    ((Residual, ReLU), lambda residual, relu: FusedReLU(residual)),
)


def _first_trained(steps: tuple[Module, ...]) -> int:
    """Index of the first step with parameters to train; the number of steps when none has any."""
    return next((index for index, step in enumerate(steps) if _has_parameters(step)), len(steps))


def _has_parameters(module: Module) -> bool:
    """Whether there is any parameter to train in the module; those of layers, also of fused ones, are found at once."""
    members = [child for _, child in module.children()]
    own = not module.frozen and any(isinstance(member, Parameter) for member in members)
    inside = own or any(_has_parameters(member) for member in members if isinstance(member, Module))
    return inside or bool(module._trained(module._named_parameters()))


def _require_modules(container: str, modules: tuple[Any, ...]) -> None:
    for index, module in enumerate(modules):
        if not isinstance(module, Module):
            raise DTypeError(f"{container}: argument {index} is {module!r}, expected a Module")
