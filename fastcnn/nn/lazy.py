"""Layers that learn the size of their input from the first input, and networks that are told it before."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.forks import hold_over_forks
from ..shapes import ShapeError, integer
from . import initialise  # whose lock is taken while parameters are made  # noqa: F401
from .inspect.trace import input_sizes, walk
from .mode import changed
from .module import Layer, Module
from .parameter import Parameter

_making = threading.RLock()  # one thread makes parameters, others that bring a first input wait for them
hold_over_forks(_making)


class Lazy(Layer):
    """A layer whose parameters depend on the channels of its input: made at once, or with the first input.

    A subclass names the argument that may be None in `_size`, hands it to `_expect`, and makes the parameters in `_make`.
    """

    _size = "in_channels"

    def _expect(self, size: int | None) -> None:
        """Make the parameters, or let them wait where `size` is None."""
        if size is None:
            self._wait()
        else:
            self._settle(size)

    def _make(self, size: int) -> None:
        """Make the parameters for inputs of that many channels or features."""
        raise NotImplementedError(f"{type(self).__name__} has no _make: define it to make the parameters")

    def _settle(self, size: int) -> None:
        self._make(integer(type(self).__name__, self._size, size, 1))
        setattr(self, self._size, int(size))

    def _wait(self) -> None:
        """Have no parameters until the next input."""
        for name, _ in super()._members(Parameter):
            delattr(self, name)
        setattr(self, self._size, None)
        self.waiting = True

    @property
    def is_built(self) -> bool:
        """Whether the parameters are made, perhaps by a first forward that still runs."""
        return vars(self).get(self._size) is not None

    def infer(self, x_shape: tuple[int, ...]) -> None:
        """Make the parameters for an input of that shape, where they wait for one."""
        if not self.is_built:
            self._settle(x_shape[-1] if x_shape else 0)

    def _first_forward(self, run: Callable[..., Any], x: Any, *arguments: Any, **options: Any) -> Any:
        """Return run(x) with parameters that are made for x; where x does not fit, they go on waiting."""
        with _making:
            was_built = self.is_built
            self.infer(np.shape(x))
            try:
                y = run(x, *arguments, **options)
            except Exception:
                if not was_built:
                    self._wait()
                raise
            self.waiting = False
            return y

    def _settle_as(self, other: Lazy) -> None:
        """Take over the parameters that another layer of the same arguments has made."""
        made = {name: value for name, value in vars(other).items() if name not in ("forward", "backward")}
        vars(self).update(made, waiting=False)
        changed()

    def _members(self, kind: type) -> list[tuple[str, Any]]:
        if kind is Parameter and not self.is_built:
            raise RuntimeError(self._advice("its parameters"))
        return super()._members(kind)

    if not TYPE_CHECKING:  # which would take any attribute for one that exists

        def __getattr__(self, name: str) -> Any:
            """Raise AttributeError, which for a waiting layer says what to do."""
            if name.startswith("__") or self.is_built:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            raise AttributeError(self._advice(name))

    def _advice(self, what: str) -> str:
        return (f"{type(self).__name__}: {self._size} is None and {what} will come with the first input, expected "
                f"{self._size} as a number, or before this a call such as model.build((28, 28, 1)) of the network")


def build(model: Module, input_shape: tuple[int, ...]) -> None:
    """Make all parameters that wait for an input, for one of `input_shape` (H, W, C) or (features,), or none of them.

    ShapeError: the input does not fit, or does not reach all layers that wait.
    """
    with _making:
        waiting = _waiting(model)
        if not waiting:
            return
        built = walk(model, (1, *input_sizes("build", input_shape)), np.dtype(np.float32))
        left = [name or type(layer).__name__ for name, layer in _waiting(built).items()]
        if left:
            raise ShapeError(f"build: no input reaches {', '.join(left)}, expected a forward that runs each layer whose "
                             "size is None")
        made = dict(built.named_modules())
        for name, layer in waiting.items():
            layer._settle_as(made[name])  # type: ignore[arg-type]


def _waiting(model: Module) -> dict[str, Lazy]:
    return {name: module for name, module in model.named_modules() if isinstance(module, Lazy) and not module.is_built}
