"""What is made of arrays that do not change, such as weights in another form, kept for the calls that follow.

Nothing is kept unless a store is open in this thread, and of no array that was not promised to stay as it is.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar

import numpy as np

from . import buffers

_Made = TypeVar("_Made")


class Store:
    """What was prepared from some owners, as long as `version` gives the same; each lives as long as what it owns."""

    def __init__(self, version: Callable[[], object]) -> None:
        """Begin with nothing."""
        self._version, self._number = version, version()
        self._made: dict[tuple[int, Hashable], tuple[object, Any]] = {}
        self._promised: dict[int, np.ndarray] = {}

    def get(self, owner: object, name: Hashable, make: Callable[[], _Made]) -> _Made:
        """Return what `make` gave for this owner and name, or gives now."""
        self._refresh()
        key = id(owner), name
        if key not in self._made:
            self._made[key] = owner, make()  # the owner lives as long as its id is a key
        made: _Made = self._made[key][1]
        return made

    def promise(self, array: np.ndarray) -> None:
        """Take note that an array keeps its values as long as the version stays the same."""
        self._refresh()
        self._promised[id(array)] = array

    def is_promised(self, array: np.ndarray) -> bool:
        """Whether the array keeps its values."""
        self._refresh()
        return id(array) in self._promised

    def _refresh(self) -> None:
        if self._number != self._version():
            self._made, self._promised, self._number = {}, {}, self._version()


class _Thread(threading.local):
    store: Store | None = None


_thread = _Thread()


def current() -> Store | None:
    """Return the store that is open in this thread, None where there is none."""
    return _thread.store


@contextlib.contextmanager
def keeping(version: Callable[[], object]) -> Iterator[None]:
    """Keep what is prepared in this thread inside the outermost `with` block, as long as `version` gives the same."""
    before = _thread.store
    _thread.store = before or Store(version)
    try:
        yield
    finally:
        _thread.store = before


@contextlib.contextmanager
def nothing_kept() -> Iterator[None]:
    """Work in this thread inside the `with` block as if no store were open."""
    before, _thread.store = _thread.store, None
    try:
        yield
    finally:
        _thread.store = before


def promise(array: np.ndarray) -> None:
    """Let operations keep what they prepare from an array, if a store is open: it changes with the store's version only."""
    store = _thread.store
    if store is not None:
        store.promise(array)


def form(source: np.ndarray, name: str, key: Hashable, size: int, write: Callable[[np.ndarray], None]) -> np.ndarray:
    """Return `size` elements that `write` makes of the source: kept ones, or working memory until the next such call."""
    store = _thread.store
    if store is not None and store.is_promised(source):
        return store.get(source, (name, key), lambda: _written(buffers.aligned(size, source.dtype, np.empty), write))
    return _written(buffers.workspace(name, size, source.dtype)[:size], write)


def _written(target: np.ndarray, write: Callable[[np.ndarray], None]) -> np.ndarray:
    write(target)
    return target
