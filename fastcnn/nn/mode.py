"""How modules run in a thread: what saves, what evaluates, and the hook that sees each forward and backward."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .module import Module

WAYS = "forward", "backward"


class Hook:
    """What forward and backward of all modules of a thread go through, while it is that thread's `mode.hook`.

    A forward inside another one goes through it too, also the one that a subclass calls by `super()`.
    """

    fuses = True  # whether neighbours may run as one

    def forward(self, module: Module, run: Callable[..., Any], x: Any, *others: Any, **options: Any) -> Any:
        """Return run(x, ...), or what is to take its place."""
        return run(x, *others, **options)

    def backward(self, module: Module, run: Callable[..., Any], dy: Any, *others: Any, **options: Any) -> Any:
        """Return run(dy, ...), or what is to take its place."""
        return run(dy, *others, **options)

    def changed(self, module: Module | None = None) -> None:
        """Take note that parameters, or attributes of the module, are other ones."""

    def view(self, array: np.ndarray) -> np.ndarray:
        """Return a parameter's array as the thread may see it."""
        return array


class _Mode(threading.local):
    hook: Hook | None = None
    saves = True  # whether layers save what backward needs
    evaluates = False  # whether all modules behave as in eval mode, whatever mode they were put in


mode = _Mode()


@contextlib.contextmanager
def using(**slots: Any) -> Iterator[None]:
    """Give slots of this thread's mode other values inside the `with` block."""
    own = vars(mode)
    before = own.copy()
    own.update(slots)
    try:
        yield
    finally:
        own.clear()
        own.update(before)


def changed() -> None:
    """Let the hook know that parameters or buffers are other ones, after each change that is not an assignment."""
    if mode.hook is not None:
        mode.hook.changed()


_NOTHING = object()


def hooked(way: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return forward or backward of a module, whose calls go through the hook of their thread."""
    @functools.wraps(function)
    def call(self: Module, x: Any = _NOTHING, /, *others: Any, **options: Any) -> Any:
        if mode.hook is None and not self.waiting and x is not _NOTHING:  # in a fraction of a microsecond
            return function(self, x, *others, **options) if others or options else function(self, x)
        run = functools.partial(function, self)
        if self.waiting and way == "forward":
            run = functools.partial(self._first_forward, run)
        through = run if mode.hook is None else functools.partial(getattr(mode.hook, way), self, run)
        return through(*(() if x is _NOTHING else (x,)), *others, **options)

    return call


def without_self(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that calls a function, which knows nothing of the module."""
    return functools.wraps(function)(lambda _, *arguments, **options: function(*arguments, **options))
