"""The network of airbench94, which reaches 94 % on CIFAR-10.

Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024. There the first filters whiten the images and the others
begin near the identity; here all are drawn as elsewhere, since the time does not depend on them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcnn import functional, nn

WIDTHS = (64, 256, 256)


class FrozenFilters(nn.Conv2D):
    """A convolution that trains its bias alone."""

    backward_options = ("need_dx",)

    def children(self) -> Any:
        """Give the bias."""
        yield "bias", self.bias

    def backward(self, dy: Any, need_dx: bool = True) -> Any:
        """Write the gradient of the bias; return dx, or None without `need_dx`."""
        x, _ = self._take_saved()
        dx, _, self.bias.grad = functional.conv2d_backward(dy, x, self.weight.data, need_dx=need_dx, need_dweight=False,
                                                           **self._geometry)
        return dx


class Scale(nn.Module):
    """y = factor * x."""

    def __init__(self, factor: float) -> None:
        """Take the factor."""
        self.factor = np.float32(factor)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y like x."""
        return self.factor * x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return dx like dy."""
        return self.factor * dy

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of x."""
        return x_shape


def airbench94(num_classes: int) -> nn.Sequential:
    """Return the network for images of 32x32x3."""
    layers: list[nn.Module] = [FrozenFilters(3, 24, 2), nn.GELU()]
    channels = 24
    for width in WIDTHS:
        layers += [nn.Conv2D(channels, width, 3, padding="same", bias=False), nn.MaxPool2D(2), _norm(width), nn.GELU(),
                   nn.Conv2D(width, width, 3, padding="same", bias=False), _norm(width), nn.GELU()]
        channels = width
    return nn.Sequential(*layers, nn.MaxPool2D(3), nn.Flatten(), nn.Linear(channels, num_classes, bias=False), Scale(1 / 9))


def _norm(channels: int) -> nn.BatchNorm:
    return nn.BatchNorm(channels, momentum=0.4, eps=1e-12)
