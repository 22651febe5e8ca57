"""A small VGG."""

from __future__ import annotations

from ..nn import BatchNorm, Conv2D, GlobalAvgPool2D, Linear, MaxPool2D, Module, ReLU, Sequential
from .simple import Shape

_WIDTHS = 32, 64, 128


def vgg(input_shape: Shape, num_classes: int) -> Sequential:
    """Three stages of two 3x3 convolutions with batch norm, 32, 64 and 128 channels, pooled; then a linear
    layer.

    After Simonyan and Zisserman, "Very Deep Convolutional Networks", ICLR 2015, section 2, with batch norm.
    """
    layers: list[Module] = []
    channels = input_shape[2]
    for width in _WIDTHS:
        for inputs in (channels, width):
            layers += [Conv2D(inputs, width, 3, padding=1, bias=False), BatchNorm(width), ReLU()]
        layers.append(MaxPool2D(2))
        channels = width
    return Sequential(*layers, GlobalAvgPool2D(), Linear(channels, num_classes))
