"""Batch, layer and group normalisation layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional, shapes
from ..functional import norm
from ..shapes import ShapeError, real
from .lazy import Lazy
from .mode import mode
from .parameter import Parameter

__all__ = ["BatchNorm", "GroupNorm", "LayerNorm"]


class _Norm(Lazy):
    """What all three share: deviation `gamma` and mean `beta` of each channel."""

    gamma: Parameter
    beta: Parameter
    channels: int | None
    _size = "channels"

    def _make(self, size: int) -> None:
        self.gamma = Parameter(np.ones(size, np.float32), "gamma")
        self.beta = Parameter(np.zeros(size, np.float32), "beta")


class _Statistic:
    """A running statistic of a BatchNorm: an array that is no more to be written to in an `inference` block than weights."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, norm: BatchNorm, owner: type) -> np.ndarray:
        if self._name not in vars(norm):
            raise AttributeError(self._name)
        array: np.ndarray = vars(norm)[self._name]
        return array if mode.hook is None else mode.hook.view(array)

    def __set__(self, norm: BatchNorm, array: np.ndarray) -> None:
        vars(norm)[self._name] = array


class BatchNorm(_Norm):
    """Normalise each channel of x (N, H, W, C) or (N, C) over the batch, then scale by gamma and shift by beta.

    In training the statistics are those of the batch, which also update the running ones; in evaluation they are the running
    ones.

    Parameters
    ----------
    channels : int or None
        None takes the channels of the first input.
    momentum : float
        Share of the batch in the running statistics, from 0 to 1.
    eps : float
        Added to the variance, at least 0.

    Attributes
    ----------
    gamma, beta : (channels,) Parameter
        Ones, zeros.
    running_mean, running_var : (channels,) array
        Zeros, ones.

    Raises
    ------
    ShapeError, DTypeError, ValueError
        An argument is out of range.

    Examples
    --------
    >>> layer = nn.BatchNorm(1)
    >>> layer(np.array([[1.0], [3.0]], np.float32)).round(4).ravel()
    array([-1.,  1.], dtype=float32)
    >>> layer.running_mean
    array([0.2], dtype=float32)
    """

    buffers = ("running_mean", "running_var")
    running_mean, running_var = _Statistic(), _Statistic()
    forward_options = "relu", "add"
    backward_options = ("need_dx",)

    def __init__(self, channels: int | None, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        """Start with gamma 1, beta 0, running mean 0 and variance 1."""
        self.momentum = real("BatchNorm", "momentum", momentum, 0.0, 1.0)
        self.eps = real("BatchNorm", "eps", eps, 0.0)
        self._expect(channels)

    def _make(self, size: int) -> None:
        super()._make(size)
        self.running_mean = np.zeros(size, np.float32)
        self.running_var = np.ones(size, np.float32)

    @property
    def uses_batch_statistics(self) -> bool:
        """Whether forward normalises by the statistics of the batch."""
        return self.training and not self.frozen

    def forward(self, x: Any, relu: bool = False, add: Any = None, moments: Any = None) -> np.ndarray:
        """Return y like x, plus `add`, or max(y, 0) with `relu`.

        After one with `add`, backward takes the gradient of the sum before ReLU. The moments are those of x, where known.
        """
        training = self.uses_batch_statistics
        y, saved, affine = norm.normalised(
            x,
            self.gamma.data,
            self.beta.data,
            self.running_mean,
            self.running_var,
            training=training,
            momentum=self.momentum,
            eps=self.eps,
            relu=relu,
            add=add,
            moments=moments,
        )
        result = affine if training else y  # in training, y is made anew from x
        self._save((x, saved, training, result if relu and add is None else None))
        return y

    def backward(self, dy: Any, need_dx: bool = True) -> np.ndarray | None:
        """Write the gradients of gamma and beta; return dx, or None without `need_dx`."""
        x, saved, training, result = self._take_saved()
        gamma, out = self.gamma.data, (self.gamma.grad, self.beta.grad)
        if training and result is not None:
            dx, _, _ = norm.batch_norm_backward_of_own(dy, x, gamma, saved, result, out)
        else:
            dx, _, _ = functional.batch_norm_backward(dy, x, gamma, saved, training=training, y=result, out=out)
        return dx if need_dx else None

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of x."""
        if len(x_shape) not in (2, 4) or x_shape[-1] != self.channels:
            raise ShapeError(
                f"BatchNorm: x has shape {x_shape}, expected (N, H, W, {self.channels}) or (N, {self.channels})"
            )
        return x_shape

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"BatchNorm({self.channels})"


class GroupNorm(_Norm):
    """Normalise each group of channels of each image, then scale by gamma and shift by beta; x (N, H, W, C) or (N, C).

    Parameters
    ----------
    groups : int
        Divides `channels`.
    channels : int or None
        None takes the channels of the first input.
    eps : float
        Added to the variance, at least 0.

    References
    ----------
    Wu and He, "Group Normalization", ECCV 2018, section 3.
    """

    def __init__(self, groups: int, channels: int | None, *, eps: float = 1e-5) -> None:
        """Start with gamma 1 and beta 0."""
        self.groups = shapes.integer("GroupNorm", "groups", groups, 1)
        self.eps = real("GroupNorm", "eps", eps, 0.0)
        self._expect(channels)

    def _make(self, size: int) -> None:
        if size % self.groups:
            raise ShapeError(f"GroupNorm: groups is {self.groups}, expected a divisor of the {size} channels")
        super()._make(size)

    def forward(self, x: Any) -> np.ndarray:
        """Return y like x."""
        y, saved = functional.group_norm(x, self.gamma.data, self.beta.data, self.groups, eps=self.eps)
        self._save((x, saved))
        return y

    def backward(self, dy: Any) -> np.ndarray:
        """Write the gradients of gamma and beta; return dx like x."""
        x, saved = self._take_saved()
        dx, _, _ = functional.group_norm_backward(
            dy, x, self.gamma.data, saved, self.groups, out=(self.gamma.grad, self.beta.grad)
        )
        return dx

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of x."""
        if len(x_shape) not in (2, 4) or x_shape[-1] != self.channels:
            raise ShapeError(
                f"GroupNorm: x has shape {x_shape}, expected (N, H, W, {self.channels}) or (N, {self.channels})"
            )
        return x_shape

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"GroupNorm({self.groups}, {self.channels})"


class LayerNorm(_Norm):
    """Normalise x (..., channels) along the last axis, then scale by gamma and shift by beta.

    Parameters
    ----------
    channels : int or None
        None takes the channels of the first input.
    eps : float
        Added to the variance, at least 0.

    References
    ----------
    Ba, Kiros and Hinton, "Layer Normalization", 2016, section 3.
    """

    def __init__(self, channels: int | None, *, eps: float = 1e-5) -> None:
        """Start with gamma 1 and beta 0."""
        self.eps = real("LayerNorm", "eps", eps, 0.0)
        self._expect(channels)

    def forward(self, x: Any) -> np.ndarray:
        """Return y like x."""
        y, saved = functional.layer_norm(x, self.gamma.data, self.beta.data, eps=self.eps)
        self._save((x, saved))
        return y

    def backward(self, dy: Any) -> np.ndarray:
        """Write the gradients of gamma and beta; return dx like x."""
        x, saved = self._take_saved()
        dx, _, _ = functional.layer_norm_backward(
            dy, x, self.gamma.data, saved, out=(self.gamma.grad, self.beta.grad)
        )
        return dx

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of x."""
        if not x_shape or x_shape[-1] != self.channels:
            raise ShapeError(f"LayerNorm: x has shape {x_shape}, expected (..., {self.channels})")
        return x_shape

    def __repr__(self) -> str:
        """Constructor call that makes this layer."""
        return f"LayerNorm({self.channels})"
