"""Residual networks for small images."""

from __future__ import annotations

from collections.abc import Sequence

from ..nn import (
    BatchNorm,
    Conv2D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    Linear,
    MaxPool2D,
    Module,
    ReLU,
    Residual,
    Sequential,
)
from ..shapes import integer
from .simple import Shape


def resnet9(input_shape: Shape, num_classes: int, *, width: int = 64) -> Sequential:
    """Residual network of 9 layers for quick training: 3x3 convolutions of 64 to 512 channels, pooled, and two blocks.

    Page, "How to Train Your ResNet", 2018, part 4: a block adds its input to what it makes of it after the last ReLU. The
    convolutions have `width` channels, and 2, 4 and 8 times as many.
    """
    width = integer("resnet9", "width", width, 1)
    return Sequential(
        *_rectified(input_shape[2], width),
        *_rectified(width, 2 * width), MaxPool2D(2), _inner_block(2 * width),
        *_rectified(2 * width, 4 * width), MaxPool2D(2),
        *_rectified(4 * width, 8 * width), MaxPool2D(2), _inner_block(8 * width),
        GlobalMaxPool2D(), Linear(8 * width, num_classes),
    )


def resnet20(input_shape: Shape, num_classes: int) -> Sequential:
    """Residual network of 20 layers: three stages of three blocks, 16, 32 and 64 channels.

    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2, with 1x1
    projections where the shape changes (option B).
    """
    return _resnet(input_shape, num_classes, (16, 32, 64), 3)


def resnet18(input_shape: Shape, num_classes: int, *, width: int = 64) -> Sequential:
    """Residual network of 18 layers: four stages of two blocks, 64, 128, 256 and 512 channels.

    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, table 1, for small images: a 3x3
    convolution of stride 1 begins, without the pooling behind it, as in section 4.2. The stages have `width` channels, and
    2, 4 and 8 times as many.
    """
    width = integer("resnet18", "width", width, 1)
    return _resnet(input_shape, num_classes, (width, 2 * width, 4 * width, 8 * width), 2)


def _resnet(input_shape: Shape, num_classes: int, widths: Sequence[int], blocks: int) -> Sequential:
    """Return stages of `blocks` residual blocks each, with so many channels; all but the first halve the image."""
    channels = widths[0]
    layers: list[Module] = [_conv(input_shape[2], channels, 1), BatchNorm(channels), ReLU()]
    for stage, width in enumerate(widths):
        for block in range(blocks):
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


def _inner_block(channels: int) -> Residual:
    """Return two convolutions, each with its ReLU, and the way around them."""
    return Residual(Sequential(*_rectified(channels, channels), *_rectified(channels, channels)))


def _rectified(inputs: int, outputs: int) -> tuple[Module, ...]:
    return _conv(inputs, outputs, 1), BatchNorm(outputs), ReLU()


def _conv(inputs: int, outputs: int, stride: int) -> Conv2D:
    return Conv2D(inputs, outputs, 3, stride=stride, padding=1, bias=False)
