"""Whole networks beside the same ones in other libraries, with the same weights: training steps and inference."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import peers
import torch
from airbench import FrozenFilters, Scale
from layers import LAYOUTS
from rows import RATE, ROWS
from turns import Call, Contest, first_line

from fastcnn import nn


def steps(wanted: Callable[[str], bool]) -> Iterator[Contest]:
    """Give training steps beside PyTorch's; the losses are compared."""
    for row in ROWS["steps"]:
        if wanted(row.title):
            model, x = row.inputs()
            modes, notes = _modes(twin(model, x.shape).train(), x, functools.partial(_peer_step, row.labels()))
            with row.call(model, x) as ours:
                yield Contest(row.title, ours, modes, row.work, row.flops, lambda loss: loss.detach().numpy(), notes=notes)


def inference(wanted: Callable[[str], bool]) -> Iterator[Contest]:
    """Give networks in use beside PyTorch's and those of other libraries; the outputs are compared."""
    for row in ROWS["inference"]:
        if wanted(row.title):
            model, x = row.inputs()
            network = twin(model, x.shape).eval()
            modes, notes = _modes(network, x, _peer_inference)
            others, missing = peers.calls(network, x)
            with row.call(model, x) as ours:
                yield Contest(row.title, ours, modes | others, row.work, row.flops, np.asarray, notes=notes + missing)


def twin(layer: nn.Module, shape: tuple[int, ...]) -> torch.nn.Module:
    """Make the same network in PyTorch, with the same weights, for images of `shape` (N, H, W, C)."""
    match layer:
        case nn.Sequential():
            peer: torch.nn.Module = torch.nn.Sequential(*_chain(layer, shape))
        case nn.Residual():
            shortcut = torch.nn.Identity() if layer.shortcut is None else twin(layer.shortcut, shape)
            peer = Sum(twin(layer.main, shape), shortcut)
        case FrozenFilters():
            peer = _convolution(layer)
            peer.weight.requires_grad_(False)
        case nn.Conv2D():
            peer = _convolution(layer)
        case nn.BatchNorm():
            peer = torch.nn.BatchNorm2d(layer.channels, layer.eps, layer.momentum)
        case nn.ReLU():
            peer = torch.nn.ReLU(inplace=True)
        case nn.GELU():
            peer = torch.nn.GELU()
        case nn.MaxPool2D():
            peer = torch.nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding)
        case nn.GlobalAvgPool2D():
            peer = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        case nn.Flatten():
            peer = torch.nn.Flatten()
        case Scale():
            peer = Multiple(float(layer.factor))
        case _:
            raise TypeError(f"twin: {layer!r} has no twin")
    return peer


class Sum(torch.nn.Module):
    """Twin of Residual."""

    def __init__(self, main: torch.nn.Module, shortcut: torch.nn.Module) -> None:
        super().__init__()
        self.main, self.shortcut = main, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of both branches."""
        total: torch.Tensor = self.main(x) + self.shortcut(x)
        return total


class Multiple(torch.nn.Module):
    """Twin of Scale."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the multiple of x."""
        return self.factor * x


def _chain(layers: nn.Sequential, shape: tuple[int, ...]) -> Iterator[torch.nn.Module]:
    """Give the twins of layers; a Linear after Flatten takes its inputs in the other order."""
    flattened = None
    for layer in layers:
        if isinstance(layer, nn.Linear):
            yield _linear(layer, flattened)
            flattened = None
        else:
            yield twin(layer, shape)
            flattened = shape[1:] if isinstance(layer, nn.Flatten) else None
        shape = layer.output_shape(shape)  # type: ignore[attr-defined]


def _convolution(layer: nn.Conv2D) -> torch.nn.Conv2d:
    padding = {"same": layer.kernel_size[0] // 2, "valid": 0}.get(layer.padding, layer.padding)
    peer = torch.nn.Conv2d(layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, padding,
                           layer.dilation, layer.groups, layer.bias is not None)
    return _filled(peer, layer.weight.data.transpose(3, 2, 0, 1), layer.bias)


def _linear(layer: nn.Linear, image: tuple[int, ...] | None) -> torch.nn.Linear:
    weight = layer.weight.data
    if image is not None:
        weight = weight.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(weight.shape)
    peer = torch.nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
    return _filled(peer, weight.T, layer.bias)


def _filled(peer: Any, weight: np.ndarray, bias: nn.Parameter | None) -> Any:
    """Copy weight and bias into a layer of PyTorch's."""
    with torch.no_grad():
        peer.weight.copy_(torch.from_numpy(weight.copy()))
        if bias is not None:
            peer.bias.copy_(torch.from_numpy(bias.data.copy()))
    return peer


def _modes(network: torch.nn.Module, x: np.ndarray, make: Callable[[torch.nn.Module, torch.Tensor], Call],
           ) -> tuple[dict[str, Call], tuple[str, ...]]:
    """Make a call for each mode of PyTorch, and notes on modes that do not work here."""
    calls, trouble = {}, _trouble_compiling()
    torch.compiler.reset()
    for layout, memory_format in LAYOUTS.items():
        images = torch.from_numpy(x).permute(0, 3, 1, 2).clone(memory_format=memory_format)
        copies = [copy.deepcopy(network).to(memory_format=memory_format) for _ in range(2)]
        calls[f"PyTorch, {layout}"] = make(copies[0], images)
        if not trouble:
            calls[f"PyTorch, compiled, {layout}"] = make(torch.compile(copies[1], dynamic=False), images)
    return calls, (f"torch.compile does not work here: {trouble}",) if trouble else ()


@functools.cache
def _trouble_compiling() -> str:
    """Say what keeps torch.compile from working, or nothing."""
    try:
        torch.compile(lambda x: x * 2 + 1)(torch.ones(3))
    except Exception as error:
        return first_line(error)
    return ""


def _peer_step(labels: np.ndarray, network: torch.nn.Module, images: torch.Tensor) -> Call:
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
    targets = torch.from_numpy(labels)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), targets)
        loss.backward()
        optimizer.step()
        return loss

    return step


def _peer_inference(network: torch.nn.Module, images: torch.Tensor) -> Call:
    def infer() -> torch.Tensor:
        with torch.no_grad():
            y: torch.Tensor = network(images)
            return y

    return infer
