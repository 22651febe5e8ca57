"""Networks of PyTorch, exported by it and read by `import_onnx`: both give the same answers.

    python -m tests.onnx_torch                     both exporters; torchvision's networks, too, where it is installed
    python -m tests.onnx_torch lenet residual      those whose names contain one of these
"""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn as layers

import fastcnn
from fastcnn.shapes import DataFormatError

LIMIT = 1e-5  # relative to the largest number
Networks = dict[str, tuple[Callable[[], Any], tuple[int, ...]]]


class Residual(layers.Module):
    """A block of ResNet, with a projection where its shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.main = layers.Sequential(
            layers.Conv2d(inputs, outputs, 3, stride, 1, bias=False), layers.BatchNorm2d(outputs), layers.ReLU(),
            layers.Conv2d(outputs, outputs, 3, 1, 1, bias=False), layers.BatchNorm2d(outputs))
        self.shortcut = layers.Identity() if stride == 1 else layers.Sequential(
            layers.Conv2d(inputs, outputs, 1, stride, bias=False), layers.BatchNorm2d(outputs))

    def forward(self, x: Any) -> Any:
        return torch.relu(self.main(x) + self.shortcut(x))


class Inverted(layers.Module):
    """A block of MobileNet v3: expansion, depthwise convolution, gate of the channels, projection, and the way around."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = layers.Sequential(layers.Conv2d(channels, wide, 1, bias=False), layers.BatchNorm2d(wide),
                                        layers.Hardswish(),
                                        layers.Conv2d(wide, wide, 5, 1, 2, groups=wide, bias=False),
                                        layers.BatchNorm2d(wide), layers.ReLU6())
        self.gate = layers.Sequential(layers.AdaptiveAvgPool2d(1), layers.Conv2d(wide, 4, 1), layers.ReLU(),
                                      layers.Conv2d(4, wide, 1), layers.Hardsigmoid())
        self.project = layers.Sequential(layers.Conv2d(wide, channels, 1, bias=False), layers.BatchNorm2d(channels))

    def forward(self, x: Any) -> Any:
        wide = self.expand(x)
        return x + self.project(wide * self.gate(wide))


class Viewed(layers.Module):
    """LeNet, flattened by `view` with the size of the batch, as in many tutorials."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = layers.Conv2d(1, 6, 5, padding=2), layers.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = layers.Linear(400, 120), layers.Linear(120, 84), layers.Linear(84, 10)

    def forward(self, x: Any) -> Any:
        x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        return torch.log_softmax(self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x))))), 1)


def vgg() -> Any:
    return layers.Sequential(
        layers.Conv2d(3, 8, 3, padding=1), layers.ReLU(), layers.MaxPool2d(2, 2), layers.Conv2d(8, 16, 3, padding=1),
        layers.ReLU(), layers.MaxPool2d(2, 2), layers.AdaptiveAvgPool2d((4, 4)), layers.Flatten(),
        layers.Linear(256, 32), layers.ReLU(), layers.Dropout(0.5), layers.Linear(32, 10))


def residual() -> Any:
    return layers.Sequential(
        layers.Conv2d(3, 8, 7, 2, 3, bias=False), layers.BatchNorm2d(8), layers.ReLU(), layers.MaxPool2d(3, 2, 1),
        Residual(8, 8, 1), Residual(8, 16, 2), layers.AdaptiveAvgPool2d(1), layers.Flatten(), layers.Linear(16, 10))


def mobile() -> Any:
    return layers.Sequential(
        layers.Conv2d(3, 8, 3, 2, 1, bias=False), layers.BatchNorm2d(8), layers.Hardswish(), Inverted(8, 3), Inverted(8, 2),
        layers.AdaptiveAvgPool2d(1), layers.Flatten(), layers.Linear(8, 16), layers.SiLU(), layers.Linear(16, 10))


def mixed() -> Any:
    return layers.Sequential(
        layers.Conv2d(3, 8, 3, padding="same"), layers.GroupNorm(2, 8), layers.GELU(), layers.ConvTranspose2d(8, 6, 2, 2),
        layers.PReLU(6), layers.Upsample(scale_factor=2), layers.AvgPool2d(3, 2, 1), layers.ReflectionPad2d(1),
        layers.Mish(), layers.Softplus(), layers.Flatten(), layers.Linear(6 * 34 * 34, 10), layers.Softmax(1))


NETWORKS: Networks = {"lenet": (Viewed, (1, 28, 28)), "vgg": (vgg, (3, 16, 16)), "residual": (residual, (3, 32, 32)),
                      "mobile": (mobile, (3, 32, 32)), "mixed": (mixed, (3, 16, 16))}


def from_torchvision() -> Networks:
    """Return the real networks, where torchvision is installed."""
    try:
        from torchvision import models
    except (ImportError, RuntimeError):
        return {}
    return {name: (lambda name=name: getattr(models, name)(weights=None), (3, 224, 224))  # type: ignore[misc]
            for name in ("resnet18", "vgg11", "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1", "densenet121")}


def lively(make: Callable[[], Any]) -> Any:
    """Return a network with running statistics as training leaves them."""
    torch.manual_seed(0)
    network = make()
    for module in network.modules():
        if isinstance(module, layers.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def exported(network: Any, shape: tuple[int, ...], path: Path, *, dynamo: bool) -> None:
    """Write the file by one of the two exporters; the batch is free."""
    x = torch.randn(2, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            logging.getLogger("torch.onnx").setLevel(logging.ERROR)
            torch.onnx.export(network, (x,), path, dynamo=True, verbose=False,
                              dynamic_shapes=({0: torch.export.Dim("batch")},))
        else:
            torch.onnx.export(network, (x,), str(path), dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "batch"}})


def compared(network: Any, model: fastcnn.nn.Module, shape: tuple[int, ...]) -> float:
    """Return the largest difference of both, relative to the largest number."""
    x = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
    found = model.eval()(x.transpose(0, 2, 3, 1))
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def main() -> int:
    failures, patterns = 0, sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for name, (make, shape) in {**NETWORKS, **from_torchvision()}.items():
            if patterns and not any(pattern in name for pattern in patterns):
                continue
            network = lively(make)
            for dynamo in (False, True):
                path = Path(folder, f"{name}.onnx")
                exported(network, shape, path, dynamo=dynamo)
                try:
                    model = fastcnn.import_onnx(path)
                except DataFormatError as error:
                    failures += 1
                    print(f"{name}, {'dynamo' if dynamo else 'TorchScript'}: {str(error)[:300]}", flush=True)
                    continue
                difference = compared(network, model, shape)
                failures += difference > LIMIT
                print(f"{name}, {'dynamo' if dynamo else 'TorchScript'}: {type(model).__name__}, "
                      f"{model.num_parameters():,} parameters, {difference:.1e}", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
