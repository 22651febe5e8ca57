"""A graph on its way to layers: values, how they lie in memory, and the steps that make them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ... import nn
from ...nn import Parameter
from ...nn.lazy import Lazy
from ...shapes import DataFormatError
from .assembly import Step
from .calls import Call, UnsupportedError
from .evaluation import applied
from .layers import Permute
from .network import Join
from .writer import TO_FIRST, TO_LAST

IMAGES = "images"  # (N, C, H, W) in the graph, (N, H, W, C) here
POOLED = "pooled"  # (N, C, 1, 1) in the graph, (N, C) here
Layout = str | tuple[int, int, int] | None  # or (C, H, W): features in that order in the graph, in the order H, W, C here

_FOLDED = {"Add", "Cast", "Concat", "Constant", "ConstantOfShape", "Div", "Gather", "Identity", "Mul", "Reshape", "Slice",
           "Squeeze", "Sub", "Transpose", "Unsqueeze"}
_TIMES, _SPARE = 4, 1 << 20  # layers, and arrays made of arrays, take as often the bytes of the file, and some more


class Value(NamedTuple):
    """A value of the graph: number of the step that makes it, shape for one input as it is here, and layout."""

    number: int
    shape: tuple[int, ...]
    layout: Layout = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Shape in the graph, with -1 for the batch."""
        _, *sizes = self.shape
        if self.layout == IMAGES:
            return -1, sizes[2], sizes[0], sizes[1]
        return (-1, *sizes, 1, 1) if self.layout == POOLED else (-1, *sizes)


class Translation:
    """Values by name, arrays by name, and the steps so far."""

    def __init__(self, arrays: dict[str, np.ndarray], uses: dict[str, int], batch: int) -> None:
        """Begin with the arrays of the file, how often each value is used, and the size of the batch, 0 where it is free."""
        self.arrays, self.uses, self.batch, self.values = arrays, uses, batch, dict[str, Value]()
        self.steps: list[Step] = []
        self.normalisation: Any = None
        self._bytes = self._folded = _SPARE + _TIMES * sum(array.nbytes for array in arrays.values())

    def step(self, layer: nn.Module | Join, *sources: Value, layout: Any = "same") -> Value:
        """Add a step and return its value; ShapeError: it does not take these."""
        shapes = [source.shape for source in sources]
        given: Any = shapes if isinstance(layer, Join) else shapes[0]
        shape = layer.output_shape(given)  # type: ignore[union-attr]
        self.steps.append((layer, tuple(source.number for source in sources)))
        return Value(len(self.steps), shape, sources[0].layout if layout == "same" else layout)

    def value(self, call: Call, number: int = 0) -> Value:
        """Return an input that is computed."""
        name = call.inputs[number] if number < len(call.inputs) else ""
        if name not in self.values:
            raise UnsupportedError(f"its input {number} is an array of the file, expected a value that is computed from x")
        return self.values[name]

    def array(self, call: Call, number: int) -> np.ndarray | None:
        """Return an input that is an array of the file, None where it is left out."""
        name = call.inputs[number] if number < len(call.inputs) else ""
        if not name:
            return None
        if name not in self.arrays:
            raise UnsupportedError(f"its input {number} is computed from x, expected an array of the file")
        return self.arrays[name]

    def weights(self, call: Call, number: int) -> np.ndarray:
        """Return an array that a layer is to hold a copy of."""
        array = self.array(call, number)
        if array is None:
            raise DataFormatError(f"it has no input {number}, expected an array")
        self._bytes -= array.nbytes
        if self._bytes < 0:
            raise DataFormatError("its layers would take far more memory than the arrays of the file, expected each to be "
                                  "used about once")
        return array

    def fold(self, call: Call) -> bool:
        """Compute a node on arrays, where it has no other inputs; False: it has."""
        if call.operator not in _FOLDED or any(name and name not in self.arrays for name in call.inputs):
            return False
        inputs = [self.arrays[name] for name in call.inputs if name]
        if call.operator in ("Add", "Sub", "Mul", "Div"):
            self._spend(math.prod(np.broadcast_shapes(*(array.shape for array in inputs))))
        elif call.operator == "ConstantOfShape" and inputs:
            self._spend(math.prod(inputs[0].reshape(-1).tolist()))
        elif call.operator == "Gather" and len(inputs) == 2:
            self._spend(inputs[0].size * inputs[1].size)
        else:
            self._spend(sum(array.size for array in inputs))
        self.arrays[call.outputs[0]] = applied(call, self.arrays)[0]
        return True

    def _spend(self, elements: int) -> None:
        self._folded -= 8 * elements
        if self._folded < 0:
            raise DataFormatError("arrays computed of others would take far more memory than those of the file, expected "
                                  "less")

    def images(self, x: Value) -> Value:
        """Return a value as images (N, H, W, C)."""
        if x.layout == IMAGES:
            return x
        if x.layout == POOLED:
            return self.step(nn.Reshape(1, 1, x.shape[1]), x, layout=IMAGES)
        if len(x.shape) != 4:
            raise UnsupportedError(f"its input has sizes {x.sizes}, expected images (N, C, H, W)")
        return self.step(Permute(*TO_LAST), x, layout=IMAGES)

    def plain(self, x: Value) -> Value:
        """Return a value with the axes and the order that it has in the graph."""
        if x.layout == IMAGES:
            return self.step(Permute(*TO_FIRST), x, layout=None)
        if x.layout == POOLED:
            return self.step(nn.Reshape(x.shape[1], 1, 1), x, layout=None)
        if not isinstance(x.layout, tuple):
            return x
        C, H, W = x.layout
        first = self.step(Permute(*TO_FIRST), self.step(nn.Reshape(H, W, C), x), layout=None)
        return self.step(nn.Flatten(), first)

    def flat(self, x: Value) -> Value:
        """Return a value as (N, features)."""
        if x.layout == POOLED or len(x.shape) == 2:
            return x._replace(layout=None if x.layout == POOLED else x.layout)
        _, *sizes = x.shape
        turned = x.layout == IMAGES and sizes[2] > 1 and sizes[0] * sizes[1] > 1
        return self.step(nn.Flatten(), x, layout=(sizes[2], sizes[0], sizes[1]) if turned else None)

    def alike(self, values: list[Value]) -> list[Value]:
        """Return values whose elements lie in the same order."""
        if len({value.layout for value in values}) == 1:
            return values
        if any(value.layout == IMAGES for value in values):
            return [self.images(value) for value in values]
        return [self.plain(value) for value in values]


def filled(layer: Any, size: int, **arrays: np.ndarray | None) -> Any:
    """Return a layer that was made without the size of its input, with these arrays in place of drawn ones."""
    assert isinstance(layer, Lazy)
    for name, array in arrays.items():
        setattr(layer, name, None if array is None else Parameter(array, name))
    setattr(layer, layer._size, size)
    layer.waiting = False
    return layer


def single(t: Translation, call: Call, number: int) -> Any:
    """Return the only number of an array of the file; UnsupportedError: it has more."""
    array = t.array(call, number)
    if array is None or array.size != 1:
        raise UnsupportedError(f"its input {number} has {0 if array is None else array.size} numbers, expected one")
    return array.item()


def channels(x: Value, array: np.ndarray) -> np.ndarray:
    """Return numbers (C,) or (1,) of an array that fits the channels of x; UnsupportedError: it has others."""
    if array.size == 1:
        return array.reshape(1)
    axis = -3 if x.layout in (IMAGES, POOLED) else -1
    fits = array.ndim >= -axis and array.ndim <= len(x.sizes) and array.size == array.shape[axis] == x.sizes[axis]
    if not fits or isinstance(x.layout, tuple):
        raise UnsupportedError(f"an array has shape {array.shape}, expected a number, or one for each channel of {x.sizes}")
    return array.reshape(-1)
