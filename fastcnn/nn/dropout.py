"""Dropout layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional
from ..functional.dropout import dropout2d_by_key, dropout_by_key, key_of
from ..runtime.replay import before_each
from ..shapes import images, real
from .initialise import mix, random_key
from .module import Layer

__all__ = ["Dropout", "Dropout2D"]


class Dropout(Layer):
    """Set elements to 0 with probability p and divide the others by 1 - p, in training; return x itself in evaluation.

    The mask of a step follows from `key`, `step` and the element alone: `key` comes from `manual_seed` or from the seed of
    `fit`, `step` counts the forward passes in training.

    Parameters
    ----------
    p : float
        From 0 up to, but not including, 1.

    Examples
    --------
    >>> nn.Dropout(0.5).eval()(np.array([[1.0, 2.0]], np.float32))
    array([[1., 2.]], dtype=float32)
    """

    _forward, _backward = staticmethod(dropout_by_key), staticmethod(functional.dropout_backward)

    def __init__(self, p: float = 0.5) -> None:
        """Check p and draw the key."""
        self.p = real(type(self).__name__, "p", p, 0.0, below=1.0)
        self.key, self.step = random_key(), 0
        self._key_of_step = key_of(0)

    def forward(self, x: Any) -> Any:
        """Return y like x."""
        if not self.training or self.p == 0:
            self._save(False)
            return x
        before_each(self._begin_step)
        y, mask = self._forward(x, self.p, self._key_of_step)
        self._save(mask)
        return y

    def _begin_step(self) -> None:
        """Write the key of the next step to where the kernel reads it."""
        self._key_of_step[:] = key_of(mix(self.key, self.step))
        self.step += 1

    def backward(self, dy: Any) -> Any:
        """Return dx like x."""
        mask = self._take_saved()
        return self._backward(dy, mask, self.p) if isinstance(mask, np.ndarray) else dy

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"{type(self).__name__}({self.p})"


class Dropout2D(Dropout):
    """Drop whole channels of images x (N, H, W, C), in which neighbouring pixels are strongly correlated.

    Parameters
    ----------
    p : float
        As in `Dropout`.

    References
    ----------
    Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015, section 3.2.
    """

    _forward, _backward = staticmethod(dropout2d_by_key), staticmethod(functional.dropout2d_backward)

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of x."""
        return images("Dropout2D", "x", x_shape)
