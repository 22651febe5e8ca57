"""VGG: stages of 3x3 convolutions, each pooled."""

from __future__ import annotations

from collections.abc import Sequence

from ..nn import BatchNorm, Conv2D, GlobalAvgPool2D, Linear, MaxPool2D, Module, ReLU, Sequential
from ..shapes import integer
from .simple import Shape


def vgg(input_shape: Shape, num_classes: int) -> Sequential:
    """Three stages of two 3x3 convolutions with batch norm, 32, 64 and 128 channels, pooled; then a linear
    layer.

    After Simonyan and Zisserman, "Very Deep Convolutional Networks", ICLR 2015, section 2, with batch norm.
    """
    return _vgg(input_shape, num_classes, [(32, 32), (64, 64), (128, 128)], ceil_mode=False)


def vgg11(input_shape: Shape, num_classes: int, *, width: int = 64) -> Sequential:
    """Eight 3x3 convolutions with batch norm in five stages of 64 to 512 channels, pooled; then a linear layer.

    Simonyan and Zisserman, "Very Deep Convolutional Networks", ICLR 2015, table 1, column A, with batch norm, and one linear
    layer in place of three, as small images leave one pixel to it. Pooling windows may reach over the edge, so that 17x17
    pixels are enough. The stages have `width` channels, and 2, 4, 8 and 8 times as many.
    """
    width = integer("vgg11", "width", width, 1)
    stages = [(width,), (2 * width,), (4 * width, 4 * width), (8 * width, 8 * width), (8 * width, 8 * width)]
    return _vgg(input_shape, num_classes, stages, ceil_mode=True)


def _vgg(input_shape: Shape, num_classes: int, stages: Sequence[Sequence[int]], ceil_mode: bool) -> Sequential:
    """Return stages of convolutions with so many channels, each pooled, and a linear layer on the means."""
    layers: list[Module] = []
    channels = input_shape[2]
    for widths in stages:
        for width in widths:
            layers += [Conv2D(channels, width, 3, padding=1, bias=False), BatchNorm(width), ReLU()]
            channels = width
        layers.append(MaxPool2D(2, ceil_mode=ceil_mode))
    return Sequential(*layers, GlobalAvgPool2D(), Linear(channels, num_classes))
