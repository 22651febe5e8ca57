"""Pooling layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional, shapes
from ..shapes import Padding, Pair, ShapeError
from .conv import Conv2D, short
from .module import Layer

__all__ = ["AdaptiveAvgPool2D", "AdaptiveMaxPool2D", "AvgPool2D", "GlobalAvgPool2D", "GlobalMaxPool2D", "MaxPool2D"]


class _Pool2D(Layer):
    """What maximum and average share: the window, and what it makes of a shape."""

    def __init__(self, kernel_size: Pair, stride: Pair | None, padding: Padding, dilation: Pair, ceil_mode: bool) -> None:
        name = type(self).__name__
        self.kernel_size = shapes.pair(name, "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else shapes.pair(name, "stride", stride)
        self.dilation = shapes.pair(name, "dilation", dilation)
        sides = shapes.paddings(name, padding, self.kernel_size, self.kernel_size, self.stride)
        rows, columns = self.kernel_size
        if padding != "same" and (max(sides[:2]) > rows // 2 or max(sides[2:]) > columns // 2):
            raise ShapeError(f"{name}: padding is {padding!r}, expected at most half of kernel_size {kernel_size!r}")
        self.padding, self.ceil_mode = padding, bool(ceil_mode)

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (N, P, Q, C)."""
        window = shapes.pool2d(
            type(self).__name__,
            x_shape,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
        )
        return window.N, window.P, window.Q, window.C

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        options = {
            "stride": (self.stride, self.kernel_size),
            "padding": (self.padding, 0),
            "dilation": (self.dilation, (1, 1)),
            "ceil_mode": (self.ceil_mode, False),
        }
        written = "".join(f", {name}={short(value)!r}" for name, (value, usual) in options.items() if value != usual)
        return f"{type(self).__name__}({short(self.kernel_size)!r}{written})"


class MaxPool2D(_Pool2D):
    """Take the maximum of each window of x (N, H, W, C): y (N, P, Q, C).

    Parameters
    ----------
    kernel_size, stride, padding, dilation, ceil_mode : int, pair, bool
        As in `functional.max_pool2d`.

    Raises
    ------
    ShapeError, DTypeError
        An argument makes no window, such as a padding above half the window.

    Examples
    --------
    >>> nn.MaxPool2D(2)(np.zeros((8, 32, 32, 3), np.float32)).shape
    (8, 16, 16, 3)
    """

    forward_options = ("relu",)

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Padding = 0,
        *,
        dilation: Pair = 1,
        ceil_mode: bool = False,
    ) -> None:
        """Check the window."""
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        self._window = self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode

    def forward(self, x: Any, relu: bool = False) -> np.ndarray:
        """Return y (N, P, Q, C), or max(y, 0) with `relu`."""
        y, argmax = functional.max_pool2d(x, self.kernel_size, stride=self.stride, padding=self.padding,
                                          dilation=self.dilation, ceil_mode=self.ceil_mode, relu=relu)
        self._save((argmax, np.shape(x), y if relu else None))
        return y

    def forward_behind(self, convolution: Conv2D, x: Any, relu: bool) -> np.ndarray:
        """Return forward(convolution.forward(x)), in one pass where that is possible; both keep what backward needs."""
        y, argmax, between = convolution.forward_pooled(x, self._window, relu)
        self._save((argmax, between, y if relu else None))
        return y

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx (N, H, W, C)."""
        argmax, x_shape, y = self._take_saved()
        return functional.pool.max_pool2d_backward_of_own(dy, argmax, x_shape, y, self._window)


class AvgPool2D(_Pool2D):
    """Average each window of x (N, H, W, C): y (N, P, Q, C).

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad : int, pair, bool
        As in `functional.avg_pool2d`.
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Padding = 0,
        *,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        """Check the window."""
        super().__init__(kernel_size, stride, padding, 1, ceil_mode)
        self.count_include_pad = bool(count_include_pad)
        self._window: dict[str, Any] = {
            "stride": self.stride,
            "padding": padding,
            "ceil_mode": self.ceil_mode,
            "count_include_pad": self.count_include_pad,
        }

    def forward(self, x: Any) -> np.ndarray:
        """Return y (N, P, Q, C)."""
        self._save(np.shape(x))
        return functional.avg_pool2d(x, self.kernel_size, **self._window)

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx (N, H, W, C)."""
        return functional.avg_pool2d_backward(dy, self._take_saved(), self.kernel_size, **self._window)


class GlobalAvgPool2D(Layer):
    """Average each channel of an image: x (N, H, W, C) to y (N, C)."""

    def forward(self, x: Any) -> np.ndarray:
        """Return y (N, C)."""
        self._save(np.shape(x))
        return functional.global_avg_pool2d(x)

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx (N, H, W, C)."""
        return functional.global_avg_pool2d_backward(dy, self._take_saved())

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (N, C)."""
        if len(x_shape) != 4:
            raise ShapeError(f"{type(self).__name__}: x has shape {x_shape}, expected (N, H, W, C)")
        return x_shape[0], x_shape[3]


class GlobalMaxPool2D(GlobalAvgPool2D):
    """Take the maximum of each channel of an image: x (N, H, W, C) to y (N, C)."""

    def forward(self, x: Any) -> np.ndarray:
        """Return y (N, C)."""
        y, argmax = functional.global_max_pool2d(x)
        self._save((argmax, np.shape(x)))
        return y

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx (N, H, W, C)."""
        return functional.global_max_pool2d_backward(dy, *self._take_saved())


class AdaptiveAvgPool2D(Layer):
    """Average each of P x Q parts of images of any size: x (N, H, W, C) to y (N, P, Q, C).

    Parameters
    ----------
    output_size : int or (P, Q)
        Parts as in `functional.adaptive_max_pool2d`.

    Examples
    --------
    >>> nn.AdaptiveAvgPool2D(7)(np.zeros((8, 30, 40, 3), np.float32)).shape
    (8, 7, 7, 3)
    """

    def __init__(self, output_size: Pair) -> None:
        """Check the size."""
        self.output_size = shapes.pair(type(self).__name__, "output_size", output_size)

    def forward(self, x: Any) -> np.ndarray:
        """Return y (N, P, Q, C)."""
        self._save(np.shape(x))
        return functional.adaptive_avg_pool2d(x, self.output_size)

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx (N, H, W, C)."""
        return functional.adaptive_avg_pool2d_backward(dy, self._take_saved())

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (N, P, Q, C)."""
        N, _, _, C = shapes.images(type(self).__name__, "x", x_shape)
        return N, *self.output_size, C

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"{type(self).__name__}({short(self.output_size)!r})"


class AdaptiveMaxPool2D(AdaptiveAvgPool2D):
    """Take the maximum of each of P x Q parts of images of any size, as `AdaptiveAvgPool2D` averages them."""

    def forward(self, x: Any) -> np.ndarray:
        """Return y (N, P, Q, C)."""
        y, argmax = functional.adaptive_max_pool2d(x, self.output_size)
        self._save((argmax, np.shape(x)))
        return y

    def backward(self, dy: Any) -> np.ndarray:
        """Return dx (N, H, W, C)."""
        return functional.adaptive_max_pool2d_backward(dy, *self._take_saved())
