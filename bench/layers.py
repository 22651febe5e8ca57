"""Single convolutions, forward and both gradients, beside PyTorch's in its two layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from rows import ROWS, Convolution
from shapes import Shape
from turns import Call, Contest

from fastcnn import functional

LAYOUTS = {"NCHW": torch.contiguous_format, "channels last": torch.channels_last}
IMAGES, FILTERS = (0, 2, 3, 1), (2, 3, 1, 0)  # axes of PyTorch's arrays in our order


def layers(wanted: Callable[[str], bool]) -> Iterator[Contest]:
    """Give the contests whose name is wanted."""
    for row in ROWS["layers"]:
        if wanted(row.title):
            inputs = row.inputs()
            peer, axes = PEERS[row.direction]
            peers = {f"PyTorch, {layout}": _peer(peer, row.shape, inputs, layout) for layout in LAYOUTS}
            with row.call(*inputs) as ours:
                yield Contest(row.title, ours, peers, row.work, row.flops, partial(_view, axes), _algorithm(row, *inputs),
                              row.shape.is_wide)


def _algorithm(row: Convolution, x: np.ndarray, weight: np.ndarray, _: np.ndarray) -> str:
    return functional.conv.choose(x.shape, weight.shape, **row.geometry).name


def _view(axes: tuple[int, ...], y: torch.Tensor) -> np.ndarray:
    return y.permute(axes).numpy()


def _peer(call: Callable[..., Any], shape: Shape, inputs: tuple[np.ndarray, ...], layout: str) -> Call:
    x, weight, dy = inputs
    images = [torch.from_numpy(array).permute(0, 3, 1, 2) for array in (x, dy)]
    filters = torch.from_numpy(weight).permute(3, 2, 0, 1)
    x_, dy_, weight_ = (tensor.clone(memory_format=LAYOUTS[layout]) for tensor in (*images, filters))
    return partial(call, x_, weight_, dy_, shape)


def _forward(x: torch.Tensor, weight: torch.Tensor, _: torch.Tensor, shape: Shape) -> torch.Tensor:
    return torch.nn.functional.conv2d(x, weight, None, shape.stride, shape.padding, shape.dilation, shape.groups)


def _backward(result: int, x: torch.Tensor, weight: torch.Tensor, dy: torch.Tensor, shape: Shape) -> torch.Tensor:
    stride, padding, dilation = ([size, size] for size in (shape.stride, shape.padding, shape.dilation))
    needed = [result == index for index in range(3)]
    gradients = torch.ops.aten.convolution_backward(
        dy, x, weight, None, stride, padding, dilation, False, [0, 0], shape.groups, needed)
    gradient: torch.Tensor = gradients[result]
    return gradient


PEERS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "forward": (_forward, IMAGES),
    "backward input": (partial(_backward, 0), IMAGES),
    "backward weight": (partial(_backward, 1), FILTERS),
}
