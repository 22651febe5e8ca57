"""Watching a network run: every layer's call goes through a function of the caller's."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from .module import Module

Around = Callable[[str, Module, Callable[[Any], Any], Any], Any]


@contextlib.contextmanager
def intercepted(model: Module, around: Around, around_backward: Around | None = None) -> Iterator[None]:
    """Inside the `with` block, a module without modules inside runs as around(name, module, forward, x).

    With `around_backward` its backward runs as around_backward(name, module, backward, dy).
    """
    leaves = [(name, module) for name, module in model.named_modules() if not module._members(Module)]
    for name, module in leaves:
        vars(module)["forward"] = _through(around, name or type(module).__name__, module, module.forward)
        if around_backward is not None:
            vars(module)["backward"] = _through(around_backward, name or type(module).__name__, module, module.backward)
    try:
        yield
    finally:
        for _, module in leaves:
            del vars(module)["forward"]
            vars(module).pop("backward", None)


def _through(around: Around, name: str, module: Module, function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda values, **options: around(name, module, functools.partial(function, **options), values)
