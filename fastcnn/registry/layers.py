"""Convolutions that networks are made of, and odd ones: the rows of the comparison with PyTorch."""

from __future__ import annotations

from typing import NamedTuple


class Shape(NamedTuple):
    """Images (N, H, W, C), K filters R x R, and how these move."""

    name: str
    N: int
    H: int
    W: int
    C: int
    K: int
    R: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    dilation: int = 1

    @property
    def P(self) -> int:  # noqa: N802
        """Output rows."""
        return self._outputs(self.H)

    @property
    def Q(self) -> int:  # noqa: N802
        """Output columns."""
        return self._outputs(self.W)

    def _outputs(self, size: int) -> int:
        return (size + 2 * self.padding - self.dilation * (self.R - 1) - 1) // self.stride + 1

    @property
    def flops(self) -> int:
        """Operations of forward, and of each gradient: two for each product."""
        return 2 * self.N * self.P * self.Q * self.K * self.R * self.R * self.C // self.groups

    @property
    def is_wide(self) -> bool:
        """Whether it is a 3x3 convolution of stride 1 with 64 channels or more on both sides."""
        plain = (self.R, self.stride, self.groups, self.dilation) == (3, 1, 1, 1)
        return plain and min(self.C, self.K) >= 64

    def __str__(self) -> str:
        """Name and sizes."""
        extras = {"stride": (self.stride, 1), "groups": (self.groups, 1), "dilation": (self.dilation, 1)}
        written = "".join(f" {name} {value}" for name, (value, usual) in extras.items() if value != usual)
        return f"{self.name}: {self.N}x{self.H}x{self.W} {self.C}-{self.K} {self.R}x{self.R}{written}"


SHAPES = (
    Shape("LeNet 1", 128, 28, 28, 1, 6, 5, padding=2),
    Shape("LeNet 2", 128, 14, 14, 6, 16, 5),
    Shape("strided 1", 64, 28, 28, 1, 12, 3, stride=2, padding=1),
    Shape("strided 2", 64, 14, 14, 12, 24, 3, stride=2, padding=1),
    Shape("four convolutions 1", 64, 32, 32, 3, 64, 3, padding=1),
    Shape("four convolutions 2", 64, 32, 32, 64, 128, 3, padding=1),
    Shape("four convolutions 3", 64, 16, 16, 128, 128, 3, padding=1),
    Shape("four convolutions 4", 64, 8, 8, 128, 256, 3, padding=1),
    Shape("VGG 1.1", 4, 112, 112, 3, 64, 3, padding=1),
    Shape("VGG 1.2", 2, 112, 112, 64, 64, 3, padding=1),
    Shape("VGG 2", 4, 56, 56, 128, 128, 3, padding=1),
    Shape("VGG 3", 4, 28, 28, 256, 256, 3, padding=1),
    Shape("VGG 4", 4, 14, 14, 512, 512, 3, padding=1),
    Shape("VGG small", 128, 32, 32, 32, 32, 3, padding=1),
    Shape("ResNet-20 stem", 128, 32, 32, 3, 16, 3, padding=1),
    Shape("ResNet-20 1", 128, 32, 32, 16, 16, 3, padding=1),
    Shape("ResNet-20 down 2", 128, 32, 32, 16, 32, 3, stride=2, padding=1),
    Shape("ResNet-20 shortcut 2", 128, 32, 32, 16, 32, 1, stride=2),
    Shape("ResNet-20 2", 128, 16, 16, 32, 32, 3, padding=1),
    Shape("ResNet-20 down 3", 128, 16, 16, 32, 64, 3, stride=2, padding=1),
    Shape("ResNet-20 3", 128, 8, 8, 64, 64, 3, padding=1),
    Shape("ResNet-18 CIFAR 1", 32, 32, 32, 64, 64, 3, padding=1),
    Shape("ResNet-18 CIFAR down 2", 32, 32, 32, 64, 128, 3, stride=2, padding=1),
    Shape("ResNet-18 CIFAR 3", 32, 8, 8, 256, 256, 3, padding=1),
    Shape("ResNet-18 CIFAR 4", 32, 4, 4, 512, 512, 3, padding=1),
    Shape("ResNet stem", 4, 224, 224, 3, 64, 7, stride=2, padding=3),
    Shape("ResNet-18 1", 8, 56, 56, 64, 64, 3, padding=1),
    Shape("ResNet-18 down 2", 8, 56, 56, 64, 128, 3, stride=2, padding=1),
    Shape("ResNet-18 shortcut 2", 8, 56, 56, 64, 128, 1, stride=2),
    Shape("ResNet-18 4", 8, 7, 7, 512, 512, 3, padding=1),
    Shape("ResNet-50 in 1", 8, 56, 56, 256, 64, 1),
    Shape("ResNet-50 out 1", 8, 56, 56, 64, 256, 1),
    Shape("ResNet-50 shortcut 2", 8, 56, 56, 256, 512, 1, stride=2),
    Shape("ResNet-50 in 4", 8, 7, 7, 2048, 512, 1),
    Shape("one channel", 32, 64, 64, 1, 32, 3, padding=1),
    Shape("one channel, one filter", 16, 64, 64, 1, 1, 5, padding=2),
    Shape("few channels", 64, 32, 32, 8, 8, 5, padding=2),
    Shape("5x5, 16 channels", 128, 14, 14, 16, 32, 5, padding=2),
    Shape("5x5, 32 channels", 64, 32, 32, 32, 32, 5, padding=2),
    Shape("5x5, 64 channels", 64, 16, 16, 64, 64, 5, padding=2),
    Shape("tails", 32, 16, 16, 33, 65, 3, padding=1),
    Shape("tails 1x1", 32, 16, 16, 33, 65, 1),
    Shape("width 7", 64, 7, 7, 96, 96, 3, padding=1),
    Shape("width 13", 32, 13, 13, 96, 128, 3, padding=1),
    Shape("width 31", 16, 31, 31, 48, 48, 3, padding=1),
    Shape("oblong", 16, 17, 53, 40, 56, 3, padding=1),
    Shape("one image", 1, 56, 56, 64, 64, 3, padding=1),
    Shape("one small image", 1, 14, 14, 256, 256, 3, padding=1),
    Shape("one image 1x1", 1, 28, 28, 128, 512, 1),
    Shape("groups", 16, 28, 28, 128, 128, 3, padding=1, groups=4),
    Shape("depthwise 32", 16, 112, 112, 32, 32, 3, padding=1, groups=32),
    Shape("depthwise 64 down", 16, 112, 112, 64, 64, 3, stride=2, padding=1, groups=64),
    Shape("depthwise 128", 16, 56, 56, 128, 128, 3, padding=1, groups=128),
    Shape("depthwise 256 down", 16, 28, 28, 256, 256, 3, stride=2, padding=1, groups=256),
    Shape("dilation", 16, 28, 28, 64, 64, 3, padding=2, dilation=2),
    Shape("dilation, few channels", 32, 32, 32, 16, 32, 3, padding=2, dilation=2),
)
