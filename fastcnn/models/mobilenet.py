"""A small MobileNet."""

from __future__ import annotations

from ..nn import BatchNorm, Conv2D, GlobalAvgPool2D, Linear, Module, ReLU, Sequential
from ..shapes import integer
from .simple import Shape

_BLOCKS = (2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2)  # channels in widths, stride


def mobilenet(input_shape: Shape, num_classes: int, *, width: int = 32) -> Sequential:
    """A 3x3 convolution and six depthwise separable ones, 64 to 512 channels, with batch norm, and a linear layer.

    After Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017, table 1
    up to the first layer of 512 channels, for small images: the first convolution has stride 1. The first one has `width`
    channels, the others 2, 4, 4, 8, 8 and 16 times as many.
    """
    width = integer("mobilenet", "width", width, 1)
    layers: list[Module] = [Conv2D(input_shape[2], width, 3, padding=1, bias=False), BatchNorm(width), ReLU()]
    channels = width
    for factor, stride in _BLOCKS:
        layers += _separable(channels, factor * width, stride)
        channels = factor * width
    return Sequential(*layers, GlobalAvgPool2D(), Linear(channels, num_classes))


def _separable(inputs: int, outputs: int, stride: int) -> list[Module]:
    """Return a 3x3 convolution of each channel by itself and a 1x1 convolution of all: section 3.1."""
    return [
        Conv2D(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False),
        BatchNorm(inputs),
        ReLU(),
        Conv2D(inputs, outputs, 1, bias=False),
        BatchNorm(outputs),
        ReLU(),
    ]
