"""Networks in use on a few images: in an `inference` block, calls after the second only launch kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime import packed
from ..runtime.replay import Replay, key
from .module import Module, is_evaluating


class _Network:
    """A module's calls with inputs of one shape."""

    def __init__(self, model: Module) -> None:
        modules = [module for _, module in model.named_modules()]
        self._only_launches = all(map(_only_launches, modules))
        self._attributes = [vars(module) for module in modules]
        self._replay = Replay()

    def __call__(self, forward: Callable[[Any], Any], x: Any) -> Any:
        return self._replay(forward, x) if self._only_launches and self._is_plain() else forward(x)

    def _is_plain(self) -> bool:
        """Whether all modules are in use, and nobody put a forward of his own into one of them."""
        evaluating = is_evaluating()
        return all((evaluating or not attributes.get("training", True)) and "forward" not in attributes
                   for attributes in self._attributes)


def replayed(model: Module, forward: Callable[[Any], Any], x: Any) -> Any:
    """Return forward(x), by the launches of an earlier call where these are known to give the same."""
    store = packed.current()
    shared = None if store is None else key(x)
    if store is None or shared is None:
        return forward(x)
    network: _Network = store.get(model, shared, lambda: _Network(model))
    return network(forward, x)


def _only_launches(module: Module) -> bool:
    """Whether the module's forward launches kernels and does nothing else: no class from outside is known to."""
    return module.only_launches and type(module).__module__.startswith(__package__ + ".")
