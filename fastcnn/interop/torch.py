"""Weights from PyTorch and to PyTorch: `from_torch`, `to_torch`."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from ..nn import BatchNorm, Frozen, Module
from ..shapes import CheckpointError, DTypeError
from .torch_layers import Shape, Weighted, weighted_layers
from .torch_matching import Pairs, join, matched
from .torch_names import namings
from .torch_state import State, arrays_of

__all__ = ["from_torch", "to_torch"]

Net = TypeVar("Net", bound=Module)
_COUNTER = "num_batches_tracked"  # steps that a batch norm has seen, of which nothing depends unless momentum is None


def from_torch(model: Net, state: Any, *, input_shape: Shape | None = None) -> Net:
    """Copy the weights of a PyTorch module into a model of the same layers, all of them or none, and return the model.

    PyTorch is not imported. Layers are found by name, where the names are those that `to_torch` gives, and else by order:
    the first convolution of the state belongs to the first one of the model, and so on for each kind of layer. The model
    remembers the names, so that `to_torch` gives them back.

    Parameters
    ----------
    model : Module
        Layers of `fastcnn.nn`, in the order in which the PyTorch module defines its own.
    state : mapping or path
        `module.state_dict()`, of tensors or arrays, floats of any width; or a safetensors file.
    input_shape : (H, W, C), optional
        Of the images that the model takes. It orders the rows of a Linear behind Flatten, and is needed where there is one
        and neither `models.create` nor the sizes of the layers tell it.

    Returns
    -------
    model : Module

    Raises
    ------
    CheckpointError
        The state is of another network; the message has the first array that does not fit. Or the file cannot be read.
    ShapeError
        `input_shape` is needed, or does not fit the model.
    DTypeError
        `model` is not a Module, or `state` neither a mapping nor a path.

    Examples
    --------
    >>> state = {"conv.weight": np.ones((16, 3, 5, 5), np.float32), "conv.bias": np.zeros(16, np.float32)}
    >>> model = fastcnn.from_torch(nn.Sequential(nn.Conv2D(3, 16, 5)), state)
    >>> model[0].weight.shape
    (5, 5, 3, 16)
    """
    _require_model("from_torch", model)
    arrays = _without_counters(arrays_of("from_torch", state))
    layers = weighted_layers("from_torch", model, input_shape)
    pairs = matched("from_torch", namings(model), layers, arrays)
    loaded = {}
    for one, prefix in pairs:
        for name, own in one.arrays().items():
            given = join(prefix, name)
            loaded[join(one.name, one.kind.arrays[name])] = one.ours(name, _converted(given, arrays[given], own.dtype))
    model.load_state_dict(loaded)
    model.torch_names = {one.name: prefix for one, prefix in pairs}
    return model


def to_torch(model: Module, *, input_shape: Shape | None = None, like: Any = None) -> State:
    """Return the weights of a model by the names and in the layouts of PyTorch.

    Once each array is a tensor (`torch.from_numpy`), the matching module's `load_state_dict` takes the dict.

    Parameters
    ----------
    model : Module
        Layers of `fastcnn.nn`.
    input_shape : (H, W, C), optional
        As in `from_torch`.
    like : mapping or path, optional
        A state of the module that the weights are for, whose names they get. Otherwise these are the ones that `from_torch`
        found; or those of torchvision for a ResNet (`conv1`, `layer1.0.conv1`, `layer2.0.downsample.0`, `fc`), for resnet20
        with `shortcut` and `linear`; or those of `torch.nn.Sequential`, in which a global pooling is
        `AdaptiveAvgPool2d(1), Flatten()`.

    Returns
    -------
    state : dict of arrays
        New arrays of the model's dtype, and an int64 `num_batches_tracked` of 0 for each batch norm.

    Raises
    ------
    CheckpointError
        PyTorch has no counterpart of a layer, or `like` is of another network.
    ShapeError, DTypeError
        As in `from_torch`.

    Examples
    --------
    >>> {name: array.shape for name, array in fastcnn.to_torch(nn.Sequential(nn.Conv2D(3, 16, 5))).items()}
    {'0.weight': (16, 3, 5, 5), '0.bias': (16,)}
    """
    _require_model("to_torch", model)
    state: State = {}
    for one, prefix in _named(model, weighted_layers("to_torch", model, input_shape), like):
        state.update((join(prefix, name), array) for name, array in one.arrays().items())
        if isinstance(one.layer, BatchNorm):
            state[join(prefix, _COUNTER)] = np.array(0)
    return state


def _named(model: Module, layers: list[Weighted], like: Any) -> Pairs:
    """Return the layers with their names in PyTorch."""
    if like is not None:
        return matched("to_torch", namings(model), layers, _without_counters(arrays_of("to_torch", like)))
    names = next(names for names in namings(model) if all(one.name in names for one in layers))
    return [(one, names[one.name]) for one in layers]


def _require_model(function: str, model: Any) -> None:
    if not isinstance(model, Module) or isinstance(model, Frozen):
        raise DTypeError(f"{function}: model is {model!r}, expected a Module, and not a frozen copy")


def _without_counters(arrays: State) -> State:
    return {name: array for name, array in arrays.items() if name.rpartition(".")[2] != _COUNTER}


def _converted(name: str, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return floats of the model's dtype; CheckpointError: others came, or such that are not finite."""
    if array.dtype.kind != "f":
        raise CheckpointError(f"from_torch: {name} is {array.dtype}, expected floats")
    with np.errstate(over="ignore"):
        converted = array.astype(dtype)
    if not np.isfinite(converted).all():
        raise CheckpointError(f"from_torch: {name} holds numbers that are not finite in {dtype}, expected finite ones")
    return converted
