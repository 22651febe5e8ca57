"""A network whose values go to any later step: what an imported graph is when it is no chain of layers and residuals."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ... import functional
from ...nn import Module, Parameter
from ...shapes import ShapeError

__all__ = ["Join", "Network", "Product", "Stack", "Sum"]


class Join:
    """A step that makes one value of several; it keeps nothing."""

    def forward(self, values: Sequence[Any]) -> Any:
        """Return the result."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: define forward(self, values)")

    def backward(self, dy: Any, values: Sequence[Any]) -> list[Any]:
        """Return the gradient of each value."""
        raise NotImplementedError(f"{type(self).__name__} has no backward: define backward(self, dy, values)")

    def output_shape(self, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        """Return the shape of the result; ShapeError: those of the values do not fit."""
        if len(set(shapes)) != 1:
            raise ShapeError(f"{type(self).__name__}: values have shapes {list(shapes)}, expected equal ones")
        return shapes[0]

    def __repr__(self) -> str:
        """Name of the class."""
        return f"{type(self).__name__}()"


class Sum(Join):
    """The sum of values of one shape."""

    def forward(self, values: Sequence[Any]) -> Any:
        """Return the sum."""
        return functools.reduce(functional.add, values)

    def backward(self, dy: Any, values: Sequence[Any]) -> list[Any]:
        """Return dy for each."""
        return [dy] * len(values)


class Stack(Join):
    """Values (..., C) side by side along the channels, as `nn.Concat` joins its branches."""

    def forward(self, values: Sequence[Any]) -> Any:
        """Return them side by side."""
        return functional.concat(list(values))

    def backward(self, dy: Any, values: Sequence[Any]) -> list[Any]:
        """Return the part of each."""
        return list(functional.concat_backward(dy, [value.shape[-1] for value in values]))

    def output_shape(self, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        """Return the shape with the channels of all."""
        super().output_shape([shape[:-1] for shape in shapes])
        return *shapes[0][:-1], sum(shape[-1] for shape in shapes)


class Product(Join):
    """The product of two values; axes of size 1 are repeated, such as those of a number for each channel."""

    def forward(self, values: Sequence[Any]) -> Any:
        """Return the product."""
        return values[0] * values[1]

    def backward(self, dy: Any, values: Sequence[Any]) -> list[Any]:
        """Return the gradient of each, summed where it was repeated."""
        return [_summed(dy * values[1 - index], values[index].shape) for index in (0, 1)]

    def output_shape(self, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        """Return the shape of the result."""
        if len({len(shape) for shape in shapes}) == 1 and len(shapes) == 2 and all(
                len({*sizes} - {1}) < 2 for sizes in zip(*shapes, strict=True)):
            return np.broadcast_shapes(*shapes)
        raise ShapeError(f"Product: values have shapes {list(shapes)}, expected two whose sizes are equal or 1")


def _summed(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1 != gradient.shape[axis])
    return gradient.sum(axis=axes, keepdims=True) if axes else gradient


class Network(Module):
    """Steps in an order in which they can run, each on the values of earlier ones; the result is that of the last.

    Parameters
    ----------
    steps : sequence of Module and Join
    sources : sequence of tuple of int
        The values that each step takes: 0 is x, n the result of step n - 1.
    """

    backward_options = ("need_dx",)

    def __init__(self, steps: Sequence[Module | Join], sources: Sequence[tuple[int, ...]]) -> None:
        """Take steps and sources."""
        self.steps, self.sources = tuple(steps), tuple(sources)

    def forward(self, x: Any) -> Any:
        """Return the value of the last step."""
        values, joined = [x], []
        for step, sources in zip(self.steps, self.sources, strict=True):
            taken = [values[source] for source in sources]
            if isinstance(step, Join):
                joined.append(taken)
                values.append(step.forward(taken))
            else:
                values.append(step.forward(taken[0]))
        self._save(joined)
        return values[-1]

    def backward(self, dy: Any, need_dx: bool = True) -> Any:
        """Write all gradients; return dx. A value that several steps take gets the sum of their gradients."""
        joined = self._take_saved()
        gradients: list[Any] = [None] * len(self.steps) + [dy]
        for index in range(len(self.steps) - 1, -1, -1):
            step, sources, gradient = self.steps[index], self.sources[index], gradients[index + 1]
            if gradient is None:  # a value that nothing takes
                joined = joined[:-1] if isinstance(step, Join) else joined
                continue
            if isinstance(step, Join):
                parts = step.backward(gradient, joined[-1])
                joined = joined[:-1]
            else:
                parts = [step.backward(gradient)]
            for source, part in zip(sources, parts, strict=True):
                gradients[source] = part if gradients[source] is None else functional.add(gradients[source], part)
        return gradients[0] if need_dx else None

    def children(self) -> Iterator[tuple[str, Module | Parameter]]:
        """Give the modules, named by their index."""
        return ((str(index), step) for index, step in enumerate(self.steps) if isinstance(step, Module))

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of forward's result, batch included; ShapeError where a step does not fit."""
        shapes = [x_shape]
        for step, sources in zip(self.steps, self.sources, strict=True):
            taken = [shapes[source] for source in sources]
            given: Any = taken if isinstance(step, Join) else taken[0]
            shapes.append(step.output_shape(given))  # type: ignore[union-attr]
        return shapes[-1]

    def __repr__(self) -> str:
        """Constructor call, one step in a line."""
        lines = "".join(f"\n  {index + 1}: {step!r} of {', '.join(map(str, sources))},".replace("\n", "\n  ").replace(
            "\n    ", "\n  ", 1) for index, (step, sources) in enumerate(zip(self.steps, self.sources, strict=True)))
        return f"Network({lines}\n)"
