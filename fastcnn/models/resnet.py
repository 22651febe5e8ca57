"""Residual networks for small images."""

from __future__ import annotations

from ..nn import BatchNorm, Conv2D, GlobalAvgPool2D, Linear, Module, ReLU, Residual, Sequential
from .simple import Shape

_WIDTHS = 16, 32, 64


def resnet20(input_shape: Shape, num_classes: int) -> Sequential:
    """Residual network of 20 layers: three stages of three blocks, 16, 32 and 64 channels.

    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2, with 1x1
    projections where the shape changes (option B).
    """
    layers: list[Module] = [_conv(input_shape[2], _WIDTHS[0], 1), BatchNorm(_WIDTHS[0]), ReLU()]
    channels = _WIDTHS[0]
    for stage, width in enumerate(_WIDTHS):
        for block in range(3):
            stride = 2 if stage > 0 and block == 0 else 1
            layers += [_block(channels, width, stride), ReLU()]
            channels = width
    return Sequential(*layers, GlobalAvgPool2D(), Linear(channels, num_classes))


def _block(inputs: int, outputs: int, stride: int) -> Residual:
    """Return two convolutions and the way around them; a ReLU follows."""
    main = Sequential(
        _conv(inputs, outputs, stride),
        BatchNorm(outputs),
        ReLU(),
        _conv(outputs, outputs, 1),
        BatchNorm(outputs),
    )
    if inputs == outputs:
        return Residual(main)
    return Residual(main, Sequential(Conv2D(inputs, outputs, 1, stride=stride, bias=False), BatchNorm(outputs)))


def _conv(inputs: int, outputs: int, stride: int) -> Conv2D:
    return Conv2D(inputs, outputs, 3, stride=stride, padding=1, bias=False)
