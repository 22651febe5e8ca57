"""Convolution layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional, shapes
from ..shapes import Padding, Pair, ShapeError
from .initialise import he_normal
from .lazy import Lazy
from .mode import changed
from .module import Module
from .parameter import Parameter

__all__ = ["Conv2D", "ConvTranspose2D"]


class _Convolution(Lazy):
    """What both layers share: filters `weight` and `bias`, made for a number of input channels."""

    weight: Parameter
    bias: Parameter | None
    in_channels: int | None

    def _describe(self, out_channels: int, kernel_size: Pair, groups: int, bias: bool, algorithm: str) -> None:
        name = type(self).__name__
        self.algorithm = _known(name, algorithm)
        self.out_channels = shapes.integer(name, "out_channels", out_channels, 1)
        self.kernel_size = shapes.pair(name, "kernel_size", kernel_size)
        self.groups = shapes.integer(name, "groups", groups, 1)
        self._has_bias = bool(bias)

    def _make(self, size: int) -> None:
        """Draw the filters, the bias is zeros or None; ShapeError: groups divide the channels of one side with a rest."""
        if size % self.groups or self.out_channels % self.groups:
            raise ShapeError(f"{type(self).__name__}: groups is {self.groups}, expected a divisor of in_channels {size} "
                             f"and out_channels {self.out_channels}")
        R, S = self.kernel_size
        self.weight = Parameter(he_normal(self._weight_shape(size), R * S * size // self.groups), "weight")
        self.bias = Parameter(np.zeros(self.out_channels, np.float32), "bias") if self._has_bias else None

    def _weight_shape(self, in_channels: int) -> tuple[int, ...]:
        raise NotImplementedError(f"{type(self).__name__} has no _weight_shape: define it to say how its filters lie")


class Conv2D(_Convolution):
    """Convolve images with filters and add a bias.

    Parameters
    ----------
    in_channels : int or None
        None takes the channels of the first input.
    out_channels : int
    kernel_size, stride, padding, dilation : int, pair
        As in `functional.conv2d`.
    groups : int
        Divides `in_channels` and `out_channels`.
    bias : bool
    algorithm : str
        As in `functional.conv2d`: "direct" where a huge value must not disturb its neighbours.

    Attributes
    ----------
    weight : (R, S, in_channels // groups, out_channels) Parameter
        Drawn by `he_normal`.
    bias : (out_channels,) Parameter or None
        Zeros.

    Raises
    ------
    ShapeError, DTypeError
        An argument makes no convolution.

    Examples
    --------
    >>> layer = nn.Conv2D(3, 16, 3, stride=2, padding=1)
    >>> layer(np.zeros((8, 32, 32, 3), np.float32)).shape
    (8, 16, 16, 16)
    >>> layer.weight.shape
    (3, 3, 3, 16)
    """

    forward_options = "relu", "add"
    backward_options = "need_dx", "add"

    def __init__(
        self,
        in_channels: int | None,
        out_channels: int,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        algorithm: str = "auto",
    ) -> None:
        """Check the arguments and draw the weights."""
        self._describe(out_channels, kernel_size, groups, bias, algorithm)
        self.stride = shapes.pair("Conv2D", "stride", stride)
        self.dilation = shapes.pair("Conv2D", "dilation", dilation)
        shapes.paddings("Conv2D", padding, self.kernel_size, self.kernel_size, self.stride)
        shapes.one_of("Conv2D", "algorithm", algorithm, functional.conv.ALGORITHMS)
        self.padding, self.algorithm = padding, algorithm
        self._geometry: dict[str, Any] = {
            "stride": self.stride,
            "padding": padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }
        self._expect(in_channels)

    def _weight_shape(self, in_channels: int) -> tuple[int, ...]:
        return *self.kernel_size, in_channels // self.groups, self.out_channels

    def forward(self, x: Any, relu: bool = False, add: Any = None) -> np.ndarray:
        """Return y (N, P, Q, out_channels), plus `add`, or max(y, 0) with `relu`.

        After one with `add`, backward takes the gradient of the sum before ReLU.
        """
        y = functional.conv2d(x, self.weight.data, None if self.bias is None else self.bias.data, algorithm=self.algorithm,
                              relu=relu, add=add, **self._geometry)
        self._save((x, y if relu and add is None else None))
        return y

    def forward_pooled(self, x: Any, window: tuple[Any, ...], relu: bool) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
        """Return y and argmax of `max_pool2d` of what forward gives, and its shape; backward takes its gradient."""
        weight, bias = self.weight.data, None if self.bias is None else self.bias.data
        y, argmax = functional.conv.conv2d_max_pool2d(x, weight, bias, window, algorithm=self.algorithm, relu=relu,
                                                      **self._geometry)
        self._save((x, None))
        between = functional.conv.choose(np.shape(x), weight.shape, algorithm=self.algorithm, **self._geometry).y_shape
        return y, argmax, between

    def forward_summed(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return what forward gives, and its moments for a `BatchNorm`; backward is as after forward."""
        y, moments = functional.conv.conv2d_moments(x, self.weight.data, None if self.bias is None else self.bias.data,
                                                    algorithm=self.algorithm, **self._geometry)
        self._save((x, None))
        return y, moments

    def backward(self, dy: Any, need_dx: bool = True, add: Any = None) -> np.ndarray | None:
        """Write the gradients of weight and bias; return dx, plus `add`, or None without `need_dx`."""
        x, y = self._take_saved()
        trained = not self.frozen
        dx, _, _ = functional.conv2d_backward(
            dy, x, self.weight.data, algorithm=self.algorithm, need_dx=need_dx, need_dweight=trained,
            need_dbias=self.bias is not None and trained, y=y, add=add,
            out=(self.weight.grad, None if self.bias is None else self.bias.grad), **self._geometry
        )
        return dx

    def _window(self, x_shape: tuple[int, ...]) -> shapes.Window:
        return shapes.conv2d("Conv2D", x_shape, self.weight.shape, **self._geometry)

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (N, P, Q, out_channels)."""
        window = self._window(x_shape)
        return window.N, window.P, window.Q, window.K

    def multiply_adds(self, x_shape: tuple[int, ...]) -> int:
        """Return N P Q K R S C / groups."""
        window = self._window(x_shape)
        return window.N * window.P * window.Q * self.weight.size

    def algorithm_for(self, x_shape: tuple[int, ...]) -> str:
        """Return the name of the algorithm that forward takes."""
        if self.algorithm != "auto":
            return self.algorithm
        return functional.conv.choose(x_shape, self.weight.shape, **self._geometry).name

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        options = {
            "stride": (self.stride, (1, 1)),
            "padding": (self.padding, 0),
            "dilation": (self.dilation, (1, 1)),
            "groups": (self.groups, 1),
            "bias": (self._has_bias, True),
            "algorithm": (self.algorithm, "auto"),
        }
        written = "".join(f", {name}={short(value)!r}" for name, (value, usual) in options.items() if value != usual)
        return f"Conv2D({self.in_channels}, {self.out_channels}, {short(self.kernel_size)!r}{written})"


class ConvTranspose2D(_Convolution):
    """Convolve images with transposed filters, the gradient of `Conv2D` by its input, and add a bias.

    Parameters
    ----------
    in_channels : int or None
        None takes the channels of the first input.
    out_channels : int
    kernel_size, stride, padding, output_padding, dilation : int, pair
        As in `functional.conv_transpose2d`.
    groups, bias, algorithm : int, bool, str
        As in `Conv2D`.

    Attributes
    ----------
    weight : (R, S, out_channels // groups, in_channels) Parameter
        Drawn by `he_normal`.
    bias : (out_channels,) Parameter or None
        Zeros.

    Examples
    --------
    >>> nn.ConvTranspose2D(16, 3, 2, stride=2)(np.zeros((8, 16, 16, 16), np.float32)).shape
    (8, 32, 32, 3)
    """

    backward_options = ("need_dx",)

    def __init__(
        self,
        in_channels: int | None,
        out_channels: int,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Padding = 0,
        output_padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        algorithm: str = "auto",
    ) -> None:
        """Check the arguments and draw the weights."""
        name = "ConvTranspose2D"
        self._describe(out_channels, kernel_size, groups, bias, algorithm)
        self._geometry: dict[str, Any] = {
            "stride": shapes.pair(name, "stride", stride),
            "padding": padding,
            "output_padding": shapes.pair(name, "output_padding", output_padding, 0),
            "dilation": shapes.pair(name, "dilation", dilation),
            "groups": self.groups,
        }
        large = sum(shapes.numeric_padding(name, padding)) + 1
        shapes.conv_transpose2d(name, (1, large, large, 1), (*self.kernel_size, 1, 1), **{**self._geometry, "groups": 1})
        self._expect(in_channels)

    def _weight_shape(self, in_channels: int) -> tuple[int, ...]:
        return *self.kernel_size, self.out_channels // self.groups, in_channels

    def forward(self, x: Any) -> np.ndarray:
        """Return y (N, P, Q, out_channels)."""
        self._save(x)
        return functional.conv_transpose2d(x, self.weight.data, None if self.bias is None else self.bias.data,
                                           algorithm=self.algorithm, **self._geometry)

    def backward(self, dy: Any, need_dx: bool = True) -> np.ndarray | None:
        """Write the gradients of weight and bias; return dx, or None without `need_dx`."""
        x = self._take_saved()
        trained = not self.frozen
        dx, _, _ = functional.conv_transpose2d_backward(
            dy, x, self.weight.data, algorithm=self.algorithm, need_dx=need_dx, need_dweight=trained,
            need_dbias=self.bias is not None and trained,
            out=(self.weight.grad, None if self.bias is None else self.bias.grad), **self._geometry
        )
        return dx

    def _window(self, x_shape: tuple[int, ...]) -> shapes.Window:
        return shapes.conv_transpose2d("ConvTranspose2D", x_shape, self.weight.shape, **self._geometry)

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (N, P, Q, out_channels)."""
        window = self._window(x_shape)
        return window.N, window.H, window.W, window.C

    def multiply_adds(self, x_shape: tuple[int, ...]) -> int:
        """Return N H W R S in_channels out_channels / groups."""
        window = self._window(x_shape)
        return window.N * window.P * window.Q * self.weight.size

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        usual = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1, "bias": True,
                 "algorithm": "auto"}
        given = {**{name: short(value) for name, value in self._geometry.items()}, "bias": self._has_bias,
                 "algorithm": self.algorithm}
        written = "".join(f", {name}={value!r}" for name, value in given.items() if value != usual[name])
        return f"ConvTranspose2D({self.in_channels}, {self.out_channels}, {short(self.kernel_size)!r}{written})"


def set_algorithm(function: str, model: Module, algorithm: str) -> None:
    """Set the algorithm of all convolutions of a model; ValueError: it is unknown."""
    _known(function, algorithm)
    for _, layer in model.named_modules():
        if isinstance(layer, _Convolution):
            layer.algorithm = algorithm
    changed()


def _known(function: str, algorithm: str) -> str:
    shapes.one_of(function, "algorithm", algorithm, functional.conv.ALGORITHMS)
    return algorithm


def short(value: Any) -> Any:
    """Return a pair of equal numbers as one number, anything else as it is."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
