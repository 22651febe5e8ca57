"""Watching a network run: every layer's call goes through a function of the caller's, or is left out but for its shape."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..shapes import ShapeError, integer
from .module import Layer, Module, inference

Around = Callable[[str, Module, Callable[[Any], Any], Any], Any]


@contextlib.contextmanager
def intercepted(model: Module, around: Around, around_backward: Around | None = None) -> Iterator[None]:
    """Inside the `with` block, a module without modules inside runs as around(name, module, forward, x).

    With `around_backward` its backward runs as around_backward(name, module, backward, dy).
    """
    leaves = [(name, module) for name, module in model.named_modules() if not module._members(Module)]
    before = [vars(module).get("forward") for _, module in leaves]
    for name, module in leaves:
        vars(module)["forward"] = _through(around, name or type(module).__name__, module, module.forward)
        if around_backward is not None:
            vars(module)["backward"] = _through(around_backward, name or type(module).__name__, module, module.backward)
    try:
        yield
    finally:
        for (_, module), forward in zip(leaves, before, strict=True):
            del vars(module)["forward"]
            vars(module).pop("backward", None)
            if forward is not None:
                vars(module)["forward"] = forward


def _through(around: Around, name: str, module: Module, function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda values, **options: around(name, module, functools.partial(function, **options), values)


def walk(model: Module, x_shape: tuple[int, ...], dtype: np.dtype,
         visit: Callable[[str, Module, Any, Any], None] = lambda *_: None) -> None:
    """Run the network on zeros of `x_shape`, whose layers tell shapes and compute nothing.

    visit(name, module, x, y) follows each module without modules inside. What modules of your own write in plain numpy is
    done for real. ShapeError: the input does not fit.
    """
    def shape_only(name: str, layer: Module, forward: Callable[[Any], Any], x: Any) -> Any:
        y = _shape_of(layer, x, dtype) if isinstance(layer, Layer) else forward(x)
        visit(name, layer, x, y)
        return y

    with inference(), intercepted(model, shape_only):
        model.forward(_zeros(x_shape, dtype))


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
