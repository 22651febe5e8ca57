"""Calls on a few images: what one launches is recorded and made again by later ones, without Python between.

For one image a layer's kernel takes microseconds, and as long again goes into checks, allocation and starting threads.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from ..kernels.jit import recording, threads

_FLOATS = np.dtype(np.float32), np.dtype(np.float64)
_LARGEST = 1 << 16  # bytes of an input; with more of them, Python's share of the time is small


class Replay:
    """A function of arrays of one shape that launches kernels and does nothing else, the same for all of them."""

    def __init__(self) -> None:
        """Begin with nothing recorded."""
        self._is_prepared, self._is_possible = False, recording.is_possible()
        self._recording: recording.Recording | None = None
        self._x = self._y = np.empty(0)

    def __call__(self, function: Callable[[Any], Any], x: np.ndarray) -> Any:
        """Return function(x); from the third call on the launches of the second are made instead."""
        if not self._is_prepared or not self._is_possible:
            y, self._is_prepared = function(x), True  # what is made of parameters that stay is launched now, and never again
            return y
        if self._recording is None:
            return self._record(function, x)
        np.copyto(self._x, x)
        self._recording.replay()
        return self._y.copy()

    def _record(self, function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
        self._x = x.copy()
        with recording.recorded() as launches:
            self._y = function(self._x)
        self._recording, self._is_possible = launches, launches.is_complete
        return self._y.copy()


def before_each(function: Callable[[], None]) -> None:
    """Call a function now and, where a recording runs, before each of its replays: for numbers that change every time."""
    if (running := recording.current()) is not None:
        running.prepare_by(function)
    function()


def key(x: Any) -> Hashable:
    """What calls that can share a replay have in common; None where x is not for one, or a recording already runs."""
    if type(x) is not np.ndarray or x.nbytes > _LARGEST or x.dtype not in _FLOATS:
        return None
    return None if recording.current() is not None else ("replay", x.shape, x.dtype, threads.get_num_threads())
