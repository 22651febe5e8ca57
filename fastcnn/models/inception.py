"""A small Inception network."""

from __future__ import annotations

from ..nn import BatchNorm, Concat, Conv2D, GlobalAvgPool2D, Linear, MaxPool2D, Module, ReLU, Sequential
from ..shapes import ShapeError, integer
from .simple import Shape


def inception(input_shape: Shape, num_classes: int, *, width: int = 64) -> Sequential:
    """A 3x3 convolution and three stages of two Inception modules, 64, 128 and 256 channels, with batch norm.

    After Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 5, for small images. The stages have `width`
    channels, and 2 and 4 times as many; 3x3 max pooling of stride 2 is between them. ShapeError: `width` is no multiple
    of 16.
    """
    if integer("inception", "width", width, 16) % 16:
        raise ShapeError(f"inception: width is {width}, expected a multiple of 16")
    layers: list[Module] = list(_conv(input_shape[2], width // 2, 3))
    channels = width // 2
    for stage in range(3):
        if stage > 0:
            layers.append(MaxPool2D(3, stride=2, padding=1))
        for _ in range(2):
            layers.append(_module(channels, width << stage))
            channels = width << stage
    return Sequential(*layers, GlobalAvgPool2D(), Linear(channels, num_classes))


def _module(inputs: int, outputs: int) -> Concat:
    """Return four branches, with the shares of the channels that module 3a has in table 1 of the paper."""
    share = outputs // 16
    return Concat(
        Sequential(*_conv(inputs, 4 * share, 1)),
        Sequential(*_conv(inputs, 6 * share, 1), *_conv(6 * share, 8 * share, 3)),
        Sequential(*_conv(inputs, share, 1), *_conv(share, 2 * share, 5)),
        Sequential(MaxPool2D(3, stride=1, padding=1), *_conv(inputs, 2 * share, 1)),
    )


def _conv(inputs: int, outputs: int, size: int) -> tuple[Module, ...]:
    return Conv2D(inputs, outputs, size, padding=size // 2, bias=False), BatchNorm(outputs), ReLU()
