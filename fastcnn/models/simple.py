"""Networks of a few convolutions, each a straight line of layers."""

from __future__ import annotations

from collections.abc import Sequence

from ..nn import BatchNorm, Conv2D, Dropout, Flatten, Linear, MaxPool2D, Module, ReLU, Sequential

Shape = tuple[int, int, int]


def lenet5(input_shape: Shape, num_classes: int) -> Sequential:
    """Two 5x5 convolutions of 6 and 16 channels, each pooled, and linear layers of 120, 84 and the classes.

    LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998,
    section II.B, with ReLU and max pooling. Images below 32x32 are padded in the first convolution, as there;
    below 12x12 also in the second.
    """
    height, width, channels = input_shape
    smallest = min(height, width)
    features = [
        Conv2D(channels, 6, 5, padding="valid" if smallest >= 32 else "same"),
        ReLU(),
        MaxPool2D(2),
        Conv2D(6, 16, 5, padding="valid" if smallest >= 12 else "same"),
        ReLU(),
        MaxPool2D(2),
    ]
    return with_head(features, input_shape, (120, 84), num_classes)


def smallcnn(input_shape: Shape, num_classes: int) -> Sequential:
    """Three 3x3 convolutions of 32, 32 and 64 channels, pooled once, for images as small as 8x8."""
    features = [
        Conv2D(input_shape[2], 32, 3, padding=1),
        ReLU(),
        Conv2D(32, 32, 3, padding=1),
        ReLU(),
        MaxPool2D(2),
        Conv2D(32, 64, 3, padding=1),
        ReLU(),
    ]
    return with_head(features, input_shape, (), num_classes, dropout=0.25)


def strided_cnn(input_shape: Shape, num_classes: int) -> Sequential:
    """Two 3x3 convolutions of stride 2, 12 and 24 channels, with batch norm, and one linear layer."""
    features = [
        Conv2D(input_shape[2], 12, 3, stride=2, padding=1, bias=False),
        BatchNorm(12),
        ReLU(),
        Conv2D(12, 24, 3, stride=2, padding=1, bias=False),
        BatchNorm(24),
        ReLU(),
    ]
    return with_head(features, input_shape, (), num_classes)


def two_conv(input_shape: Shape, num_classes: int) -> Sequential:
    """Two 3x3 convolutions of 16 and 32 channels, each pooled, and one linear layer."""
    features = [
        Conv2D(input_shape[2], 16, 3, padding=1),
        ReLU(),
        MaxPool2D(2),
        Conv2D(16, 32, 3, padding=1),
        ReLU(),
        MaxPool2D(2),
    ]
    return with_head(features, input_shape, (), num_classes)


def four_conv(input_shape: Shape, num_classes: int) -> Sequential:
    """Four 3x3 convolutions of 64, 128, 128 and 256 channels, the last three pooled, and linear layers 256
    and 64.
    """
    features = [
        Conv2D(input_shape[2], 64, 3, padding=1),
        ReLU(),
        Conv2D(64, 128, 3, padding=1),
        ReLU(),
        MaxPool2D(2),
        Conv2D(128, 128, 3, padding=1),
        ReLU(),
        MaxPool2D(2),
        Conv2D(128, 256, 3, padding=1),
        ReLU(),
        MaxPool2D(2),
    ]
    return with_head(features, input_shape, (256, 64), num_classes)


def with_head(
    features: Sequence[Module],
    input_shape: Shape,
    hidden: tuple[int, ...],
    num_classes: int,
    *,
    dropout: float = 0.0,
) -> Sequential:
    """Return the features, flattened, with linear layers of `hidden` sizes (ReLU between) and of the classes.

    ShapeError: the input is too small for the features.
    """
    head: list[Module] = [Flatten()]
    if dropout:
        head.append(Dropout(dropout))
    for width in hidden:
        head += [Linear(None, width), ReLU()]
    return Sequential(*features, *head, Linear(None, num_classes)).build(input_shape)
