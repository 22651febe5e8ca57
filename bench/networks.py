"""Whole networks beside the same ones in PyTorch, with the same weights: training steps and inference."""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from layers import LAYOUTS
from turns import Call, Contest

import fastcnn
from fastcnn import models, nn, optim
from fastcnn.nn.module import backward

# Name, images (N, H, W, C)
STEPS = (
    *(("lenet5", (batch, 28, 28, 1)) for batch in (64, 128, 256)),
    *(("strided_cnn", (batch, 28, 28, 1)) for batch in (64, 128, 256)),
    ("four_conv", (64, 32, 32, 3)),
    ("resnet20", (128, 32, 32, 3)),
)
INFERENCE = (
    *(("lenet5", (batch, 28, 28, 1)) for batch in (1, 256)),
    *(("resnet20", (batch, 32, 32, 3)) for batch in (1, 256)),
)
CLASSES = 10
RATE = 1e-6  # the weights stay about what they are, so that the last step is the same work as the first


def steps(wanted: Callable[[str], bool]) -> Iterator[Contest]:
    """Give training steps: forward, cross-entropy, backward and Adam; the losses are compared."""
    for name, shape in STEPS:
        if wanted(title := f"{name}, batch {shape[0]}, step"):
            model, peer, x = _networks(name, shape)
            labels = np.random.default_rng(1).integers(0, CLASSES, shape[0])
            peers, notes = _modes(peer.train(), x, functools.partial(_peer_step, labels))
            yield Contest(title, _step(model.train(), x, labels), peers, shape[0], lambda loss: loss.detach().numpy(),
                          notes=notes)


def inference(wanted: Callable[[str], bool]) -> Iterator[Contest]:
    """Give networks in use; the outputs are compared."""
    for name, shape in INFERENCE:
        if wanted(title := f"{name}, batch {shape[0]}, inference"):
            model, peer, x = _networks(name, shape)
            peers, notes = _modes(peer.eval(), x, _peer_inference)
            runtime, missing = _runtime(peer, x)
            with nn.inference():  # as long as the contest runs, as around the requests to a server
                yield Contest(title, functools.partial(model.eval().forward, x), peers | runtime, shape[0], np.asarray,
                              notes=notes + missing)


# Ours ----------------------------------------------------------------------------------------------------------------------


def _networks(name: str, shape: tuple[int, ...]) -> tuple[nn.Sequential, torch.nn.Module, np.ndarray]:
    """Make a network of ours, the same in PyTorch, and images."""
    fastcnn.manual_seed(0)
    model = models.create(name, shape[1:], CLASSES)
    return model, twin(model, shape), np.random.default_rng(0).standard_normal(shape, np.float32)


def _step(model: nn.Module, x: np.ndarray, labels: np.ndarray) -> Call:
    loss, optimizer = nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=RATE)

    def step() -> float:
        value = loss.forward(model.forward(x), labels)
        backward(model, loss.backward(), need_dx=False)
        optimizer.step()
        return value

    return step


# PyTorch's -----------------------------------------------------------------------------------------------------------------


def twin(layer: nn.Module, shape: tuple[int, ...]) -> torch.nn.Module:
    """Make the same network in PyTorch, with the same weights, for images of `shape` (N, H, W, C)."""
    match layer:
        case nn.Sequential():
            peer: torch.nn.Module = torch.nn.Sequential(*_chain(layer, shape))
        case nn.Residual():
            shortcut = torch.nn.Identity() if layer.shortcut is None else twin(layer.shortcut, shape)
            peer = Sum(twin(layer.main, shape), shortcut)
        case nn.Conv2D():
            peer = _convolution(layer)
        case nn.BatchNorm():
            peer = torch.nn.BatchNorm2d(layer.channels, layer.eps, layer.momentum)
        case nn.ReLU():
            peer = torch.nn.ReLU(inplace=True)
        case nn.MaxPool2D():
            peer = torch.nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding)
        case nn.GlobalAvgPool2D():
            peer = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        case nn.Flatten():
            peer = torch.nn.Flatten()
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
        calls[layout] = make(copies[0], images)
        if not trouble:
            calls[f"compiled, {layout}"] = make(torch.compile(copies[1], dynamic=False), images)
    return calls, (f"torch.compile does not work here: {trouble}",) if trouble else ()


@functools.cache
def _trouble_compiling() -> str:
    """Say what keeps torch.compile from working, or nothing."""
    try:
        torch.compile(lambda x: x * 2 + 1)(torch.ones(3))
    except Exception as error:
        return _first_line(error)
    return ""


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


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


# ONNX Runtime's ------------------------------------------------------------------------------------------------------------


def _runtime(network: torch.nn.Module, x: np.ndarray) -> tuple[dict[str, Call], tuple[str, ...]]:
    """Make a call of ONNX Runtime's, or a note on what it lacks."""
    missing = [package for package in ("onnx", "onnxruntime") if importlib.util.find_spec(package) is None]
    if missing:
        return {}, (f"without ONNX Runtime: {' and '.join(missing)} not installed",)
    images = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    try:
        session = _session(network, torch.from_numpy(images))
    except Exception as error:
        return {}, (f"without ONNX Runtime: {_first_line(error)}",)
    return {"ONNX Runtime": lambda: session.run(None, {"x": images})[0]}, ()


def _session(network: torch.nn.Module, images: torch.Tensor) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.force_spinning_stop", "1")  # between runs, where others have their turn
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
        path = Path(folder, "network.onnx")
        torch.onnx.export(network, (images,), str(path), input_names=["x"], dynamo=False)
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
