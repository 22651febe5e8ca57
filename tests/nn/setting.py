"""What the tests of layers share: small networks."""

import numpy as np

from fastcnn import nn


def numbers(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


class HandWritten(nn.Module):
    """A network as users write it: layers as attributes, forward and backward by hand."""

    def __init__(self, in_channels, classes):
        self.conv1 = nn.Conv2D(in_channels, 4, 3, padding=1, stride=2, bias=False)
        self.norm1 = nn.BatchNorm(4)
        self.conv2 = nn.Conv2D(4, 8, 3, padding=1, stride=2, bias=False)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(2 * 2 * 8, classes)
        self.layers = {"conv1": self.conv1, "norm1": self.norm1, "conv2": self.conv2, "linear": self.linear}

    def forward(self, X):
        X = self.conv1.forward(X)
        X = self.norm1.forward(X)
        X = self.conv2.forward(X)
        X = self.flatten.forward(X)
        return self.linear.forward(X)

    def backward(self, dZ):
        dZ = self.linear.backward(dZ)
        dZ = self.flatten.backward(dZ)
        dZ = self.conv2.backward(dZ)
        dZ = self.norm1.backward(dZ)
        return self.conv1.backward(dZ)


def small():
    return nn.Sequential(nn.Conv2D(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
