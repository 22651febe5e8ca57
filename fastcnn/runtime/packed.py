"""Weights in the form that kernels read: packed at each call, or once where they are known to stay as they are."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator

import numpy as np

from . import buffers


class Store:
    """Packed forms of some arrays whose values stay as they are."""

    def __init__(self, arrays: Iterable[np.ndarray] = ()) -> None:
        """Take the arrays."""
        self._arrays = {id(array): array for array in arrays}  # which live as long as their ids are keys
        self._forms: dict[Hashable, np.ndarray] = {}

    def add(self, arrays: Iterable[np.ndarray]) -> None:
        """Take more arrays."""
        self._arrays.update((id(array), array) for array in arrays)

    def form(self, source: np.ndarray, key: Hashable, size: int, write: Callable[[np.ndarray], None]) -> np.ndarray | None:
        """Return what `write` makes of the source, made once; None: the source is none of the arrays."""
        if id(source) not in self._arrays:
            return None
        made = self._forms.get((id(source), key))
        if made is None:
            made = _written(buffers.aligned(size, source.dtype, np.empty), write)
            self._forms[id(source), key] = made
        return made


class _Thread(threading.local):
    store: Store | None = None


_thread = _Thread()


@contextlib.contextmanager
def stored(store: Store | None) -> Iterator[None]:
    """Let operations of this thread use the packed forms in a store, or none, inside the `with` block."""
    before, _thread.store = _thread.store, store
    try:
        yield
    finally:
        _thread.store = before


def form(source: np.ndarray, name: str, key: Hashable, size: int, write: Callable[[np.ndarray], None]) -> np.ndarray:
    """Return `size` elements that `write` makes of the source: stored ones, or working memory until the next such call."""
    store = _thread.store
    made = None if store is None else store.form(source, (name, key), size, write)
    return _written(buffers.workspace(name, size, source.dtype)[:size], write) if made is None else made


def _written(target: np.ndarray, write: Callable[[np.ndarray], None]) -> np.ndarray:
    write(target)
    return target
