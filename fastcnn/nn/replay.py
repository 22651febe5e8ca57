"""Networks in use on a few images: what a call launches is recorded once and made again, without Python between.

For one image a layer's kernel takes microseconds, and as long again goes into checks, allocation and starting threads. In an
`inference` block nothing of that changes from call to call, so from the third call of a shape on only the launches are made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..functional import prepared
from ..kernels import recording, threads
from .module import Module

_LARGEST = 1 << 16  # bytes of an input; with more of them, Python's share of the time is small
_FLOATS = np.dtype(np.float32), np.dtype(np.float64)


class _Replay:
    """One network, one shape of its input: calls until now, and what they launch."""

    def __init__(self, model: Module) -> None:
        modules = [module for _, module in model.named_modules()]
        self._possible = recording.is_possible() and all(map(_only_launches, modules))
        self._attributes = [vars(module) for module in modules]
        self._prepared = False
        self._recording: recording.Recording | None = None
        self._x = self._y = np.empty(0)

    def __call__(self, forward: Callable[[Any], Any], x: np.ndarray) -> Any:
        if not (self._possible and self._is_plain()):
            return forward(x)
        if not self._prepared:  # what is made of the parameters is launched now, and never again
            y, self._prepared = forward(x), True
            return y
        if self._recording is None:
            return self._recorded(forward, x)
        np.copyto(self._x, x)
        self._recording.replay()
        return self._y.copy()

    def _is_plain(self) -> bool:
        """Whether all modules are in eval mode, and nobody put a forward of his own into one of them."""
        return not any(attributes.get("training", True) or "forward" in attributes for attributes in self._attributes)

    def _recorded(self, forward: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
        self._x = x.copy()
        with recording.recorded() as launches:
            self._y = forward(self._x)
        self._recording, self._possible = launches, launches.is_complete
        return self._y.copy()


def replayed(model: Module, forward: Callable[[Any], Any], x: Any) -> Any:
    """Return forward(x): the launches of an earlier call made again, where that is known to give the same."""
    store = prepared.current()
    if (store is None or type(x) is not np.ndarray or x.nbytes > _LARGEST or x.dtype not in _FLOATS
            or recording.current() is not None):
        return forward(x)
    key = "replay", x.shape, x.dtype, threads.get_num_threads()
    replay: _Replay = store.get(model, key, lambda: _Replay(model))
    return replay(forward, x)


def _only_launches(module: Module) -> bool:
    """Whether the module's forward launches kernels and does nothing else: no class from outside is known to."""
    return module.only_launches and type(module).__module__.startswith(__package__ + ".")
