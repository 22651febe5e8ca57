"""Dropout layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional
from ..shapes import real
from .initialise import mix, random_key
from .module import Layer


class Dropout(Layer):
    """In training, zero with probability p and else x / (1 - p); in use, x itself.

    The mask of a step is a function of `key`, `step` and the element alone: `key` comes from `manual_seed`
    (or from the seed of `fit`), `step` counts the forward passes in training. ValueError unless 0 <= p < 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        """Check p and draw the key."""
        self.p = real("Dropout", "p", p, 0.0, below=1.0)
        self.key, self.step = random_key(), 0

    def forward(self, x: Any) -> Any:
        """Return y like x."""
        if not self.training or self.p == 0:
            self._keep(False)
            return x
        y, mask = functional.dropout(x, self.p, seed=mix(self.key, self.step))
        self.step += 1
        self._keep(mask)
        return y

    def backward(self, dy: Any) -> Any:
        """Return dx like x."""
        mask = self._take()
        return functional.dropout_backward(dy, mask, self.p) if isinstance(mask, np.ndarray) else dy

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"Dropout({self.p})"
