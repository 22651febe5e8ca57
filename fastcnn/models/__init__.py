"""Named networks: `create("lenet5", (28, 28, 1), 10)`."""

from .inception import inception
from .mobilenet import mobilenet
from .registry import create, describe, names
from .resnet import resnet9, resnet18, resnet20
from .simple import four_conv, lenet5, smallcnn, strided_cnn, two_conv
from .vgg import vgg, vgg11

__all__ = [
    "create",
    "describe",
    "four_conv",
    "inception",
    "lenet5",
    "mobilenet",
    "names",
    "resnet9",
    "resnet18",
    "resnet20",
    "smallcnn",
    "strided_cnn",
    "two_conv",
    "vgg",
    "vgg11",
]
