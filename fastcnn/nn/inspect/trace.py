"""Tracing a network: each layer's forward and backward goes through a function, or only their shapes are found."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from types import MethodType
from typing import Any

import numpy as np

from ...shapes import ShapeError, integer
from ..mode import Hook, using
from ..module import Layer, Module

Around = Callable[[str, Module, Callable[[Any], Any], Any], Any]


def traced(model: Module, around: Around, around_backward: Around | None = None) -> contextlib.AbstractContextManager[None]:
    """Return a `with` block in which modules without modules inside run as around(name, module, forward, x).

    With `around_backward` their backward runs as around_backward(name, module, backward, dy). Neighbours do not run as one.
    """
    return using(hook=_Trace(model, around, around_backward))


class _Trace(Hook):
    """Calls of the modules of a network that have none inside, by name."""

    fuses = False

    def __init__(self, model: Module, around: Around, around_backward: Around | None) -> None:
        self._names = {id(module): name or type(module).__name__ for name, module in model.named_modules()
                       if not module._members(Module)}
        self._around, self._around_backward = around, around_backward

    def forward(self, module: Module, run: Callable[..., Any], x: Any, *others: Any, **options: Any) -> Any:
        return self._through(self._around, module, run, x, *others, **options)

    def backward(self, module: Module, run: Callable[..., Any], dy: Any, *others: Any, **options: Any) -> Any:
        return self._through(self._around_backward, module, run, dy, *others, **options)

    def _through(self, around: Around | None, module: Module, run: Callable[..., Any], values: Any, *others: Any,
                 **options: Any) -> Any:
        if around is None or id(module) not in self._names:
            return run(values, *others, **options)
        with using(hook=None):  # a layer's forward may call that of the class above
            return around(self._names[id(module)], module, lambda given: run(given, *others, **options), values)


def walk(model: Module, x_shape: tuple[int, ...], dtype: np.dtype,
         visit: Callable[[str, Module, Any, Any], None] = lambda *_: None) -> Module:
    """Run a copy of the network on zeros of `x_shape`, whose layers tell shapes and compute nothing; return the copy.

    It shares all arrays with the network. visit(name, module, x, y) follows each module without modules inside. What
    modules of your own write in plain numpy is done for real. ShapeError: the input does not fit.
    """
    def shape_only(name: str, layer: Module, forward: Callable[[Any], Any], x: Any) -> Any:
        y = _shape_of(layer, x, dtype) if isinstance(layer, Layer) else forward(x)
        visit(name, layer, x, y)
        return y

    shared: dict[int, Any] = {}
    _share(model, shared, set())
    twin = copy.deepcopy(model, shared)
    with traced(twin, shape_only), using(saves=False):
        twin.forward(_zeros(x_shape, dtype))
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
