"""Watching a network run: every layer's call goes through a function of the caller's, or is left out but for its shape.

What runs is a copy that shares all arrays with the network, so that the network itself stays as it is for other threads.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from types import MethodType
from typing import Any

import numpy as np

from ...shapes import ShapeError, integer
from ..module import Layer, Module, inference

Around = Callable[[str, Module, Callable[[Any], Any], Any], Any]


def watched(model: Module, around: Around, around_backward: Around | None = None) -> Module:
    """Return a copy, sharing all arrays, whose modules without modules inside run as around(name, module, forward, x).

    With `around_backward` their backward runs as around_backward(name, module, backward, dy).
    """
    shared: dict[int, Any] = {}
    _share(model, shared, set())
    twin = copy.deepcopy(model, shared)
    for name, module in twin.named_modules():
        if not module._members(Module):
            called = name or type(module).__name__
            vars(module)["forward"] = _through(around, called, module, module.forward)
            if around_backward is not None:
                vars(module)["backward"] = _through(around_backward, called, module, module.backward)
    return twin


def _share(value: Any, shared: dict[int, Any], seen: set[int]) -> None:
    """Note in `shared`, by its id, all that a copy of the modules in `value` is to have in common with them."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, (Module, dict)):
        value = list((value.__getstate__() if isinstance(value, Module) else value).values())
    if isinstance(value, (list, tuple)):
        for part in value:
            _share(part, shared, seen)
    elif not isinstance(value, MethodType):  # those of a module belong to its copy
        shared[id(value)] = value


def _through(around: Around, name: str, module: Module, function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda values, **options: around(name, module, functools.partial(function, **options), values)


def walk(model: Module, x_shape: tuple[int, ...], dtype: np.dtype,
         visit: Callable[[str, Module, Any, Any], None] = lambda *_: None) -> Module:
    """Run a copy of the network on zeros of `x_shape`, whose layers tell shapes and compute nothing; return the copy.

    visit(name, module, x, y) follows each module without modules inside. What modules of your own write in plain numpy is
    done for real. ShapeError: the input does not fit.
    """
    def shape_only(name: str, layer: Module, forward: Callable[[Any], Any], x: Any) -> Any:
        y = _shape_of(layer, x, dtype) if isinstance(layer, Layer) else forward(x)
        visit(name, layer, x, y)
        return y

    twin = watched(model, shape_only)
    with inference():
        twin.forward(_zeros(x_shape, dtype))
    return twin


def input_sizes(function: str, input_shape: Any) -> tuple[int, ...]:
    """Return the shape of one input as a tuple of integers; ShapeError, DTypeError: it is none."""
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) not in (1, 2, 3):
        raise ShapeError(f"{function}: input_shape is {input_shape!r}, expected (H, W, C) or (features,), without the batch")
    return tuple(integer(function, "input_shape", size, 1) for size in input_shape)


def _shape_of(layer: Layer, x: Any, dtype: np.dtype) -> np.ndarray:
    layer.infer(x.shape)
    return _zeros(layer.output_shape(x.shape), dtype)


def _zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return zeros of any shape that take the memory of one."""
    return np.broadcast_to(np.zeros((), dtype), shape)
