"""The layers that have weights: their kinds, and how their arrays lie here and in PyTorch."""

from __future__ import annotations

import contextlib
import math
from typing import Any, NamedTuple

import numpy as np

from ..nn import (
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Flatten,
    GroupNorm,
    LayerNorm,
    Linear,
    Module,
    Parameter,
    PReLU,
    Reshape,
)
from ..nn.inspect.trace import input_sizes, walk
from ..shapes import Caller, CheckpointError, ShapeError

Shape = tuple[int, ...]
_LARGEST_GUESS = 256  # rows and columns of the images that are tried where nobody says which a network takes


class Kind(NamedTuple):
    """Layers that hold the same arrays: what they are called, their classes, and their arrays by PyTorch's names."""

    words: str
    layers: tuple[type[Module], ...]
    arrays: dict[str, str]


KINDS = (
    Kind("convolution", (Conv2D, ConvTranspose2D), {"weight": "weight", "bias": "bias"}),
    Kind("linear layer", (Linear,), {"weight": "weight", "bias": "bias"}),
    Kind("batch norm", (BatchNorm,), {"weight": "gamma", "bias": "beta", "running_mean": "running_mean",
                                      "running_var": "running_var"}),
    Kind("group or layer norm", (GroupNorm, LayerNorm), {"weight": "gamma", "bias": "beta"}),
    Kind("PReLU", (PReLU,), {"weight": "slope"}),
)


class Weighted(NamedTuple):
    """A layer with weights, by its name; `image` is the shape (H, W, C) of images whose flattened features it takes."""

    name: str
    layer: Module
    kind: Kind
    image: Shape | None

    def arrays(self) -> dict[str, np.ndarray]:
        """Return its arrays as they lie in PyTorch, by their names there."""
        found = {torch_name: getattr(self.layer, name) for torch_name, name in self.kind.arrays.items()}
        return {name: self._theirs(name, array.data if isinstance(array, Parameter) else array)
                for name, array in found.items() if array is not None}

    def _theirs(self, name: str, array: np.ndarray) -> np.ndarray:
        """Return a copy of an array in PyTorch's layout."""
        if self._is_by_feature(name):
            array = array[_channels_last(self.image)]
        return np.array(array.T if array.ndim == 2 else array.transpose(3, 2, 0, 1) if array.ndim == 4 else array, order="C")

    def ours(self, name: str, array: np.ndarray) -> np.ndarray:
        """Return an array of PyTorch's in the layout that it has here."""
        array = array.T if array.ndim == 2 else array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
        return array[np.argsort(_channels_last(self.image))] if self._is_by_feature(name) else array

    def _is_by_feature(self, name: str) -> bool:
        """Whether the array has a row for each flattened feature."""
        return self.image is not None and not (isinstance(self.layer, Linear) and name == "bias")


def _channels_last(image: Shape | None) -> np.ndarray:
    """Return where each of the features in the order C, H, W lies in the order H, W, C."""
    assert image is not None
    return np.arange(math.prod(image)).reshape(-1, image[-1]).T.reshape(-1)


def weighted_layers(function: str, model: Module, input_shape: Shape | None) -> list[Weighted]:
    """Return the layers with weights in their order; CheckpointError: PyTorch has no counterpart of one."""
    if input_shape is not None:
        model.build(input_shape)
    with_weights = [(name, layer) for name, layer in model.named_modules() if layer._members(Parameter)]
    images = _flattened(function, model, input_shape)
    return [Weighted(name, layer, _kind(function, name, layer), images.get(name)) for name, layer in with_weights]


def _kind(function: str, name: str, layer: Module) -> Kind:
    kind = next((kind for kind in KINDS if isinstance(layer, kind.layers)), None)
    if kind is None:
        raise CheckpointError(f"{function}: {name or 'the model'} is {type(layer).__name__}, whose parameters have no known "
                              "layout in PyTorch; expected layers of fastcnn.nn")
    return kind


def _flattened(function: str, model: Module, input_shape: Shape | None) -> dict[str, Shape]:
    """Return the shape of the images whose features a layer takes behind Flatten, by its name; ShapeError: not known."""
    if input_shape is None and model.origin:
        input_shape = model.origin.input_shape
    if not any(isinstance(module, (Flatten, Reshape)) for _, module in model.named_modules()):
        return {}
    if input_shape is not None:
        return _followed(function, model, input_shape)
    channels = _input_channels(model)
    for size in range(1, _LARGEST_GUESS + 1) if channels else ():
        with contextlib.suppress(ShapeError):  # any that fits tells the channels that reach Flatten, which decide the order
            return _followed(function, model, (size, size, channels))
    raise ShapeError(f"{function}: input_shape is None, expected the shape (H, W, C) of the images that the model takes: "
                     "behind Flatten it decides how the rows of a Linear lie")


def _input_channels(model: Module) -> int:
    """Return the channels of the images that a network takes, 0 where its first layer with weights takes none."""
    first = next((layer for _, layer in model.named_modules() if isinstance(layer, (Conv2D, ConvTranspose2D, Linear))), None)
    return 0 if first is None or isinstance(first, Linear) else first.in_channels or 0


class _Orders:
    """Follows flattened images through a network: which of its layers get their features."""

    def __init__(self, function: str) -> None:
        self.function = function
        self.images: dict[str, Shape] = {}
        self._known: dict[int, tuple[Any, Shape]] = {}  # by the id of an array, which is kept so that no other gets its id

    def visit(self, name: str, layer: Module, x: Any, y: Any) -> None:
        """Take note of a layer that made y of x."""
        _, image = self._known.get(id(x), (None, None))
        if isinstance(layer, (Flatten, Reshape)):
            if x.ndim == 4 and y.ndim == 2 and math.prod(x.shape[1:3]) > 1:
                self._known[id(y)] = y, x.shape[1:]
            elif x.ndim == 2 and y.ndim == 4 and math.prod(y.shape[1:3]) > 1:
                raise CheckpointError(f"{self.function}: {name} makes images of features, which lie in another order in "
                                      f"PyTorch; expected no {layer!r}")
        elif image is not None:
            self.images[name] = image
            if not isinstance(layer, Linear) and y.shape == x.shape:
                self._known[id(y)] = y, image


def _followed(function: str, model: Module, input_shape: Shape) -> dict[str, Shape]:
    orders = _Orders(function)
    sizes = input_sizes(function, input_shape)
    with Caller(function, f"input_shape is {sizes}"):
        walk(model, (1, *sizes), np.dtype(np.float32), orders.visit)
    return orders.images
