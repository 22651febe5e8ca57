"""Named networks: `create("lenet5", (28, 28, 1), 10)`."""

from .registry import create, describe, names
from .resnet import resnet20
from .simple import four_conv, lenet5, smallcnn, strided_cnn, two_conv
from .vgg import vgg

__all__ = [
    "create",
    "describe",
    "four_conv",
    "lenet5",
    "names",
    "resnet20",
    "smallcnn",
    "strided_cnn",
    "two_conv",
    "vgg",
]
