"""Single convolutions, forward and both gradients, beside PyTorch's in its two layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from turns import Call, Contest

from fastcnn import functional
from fastcnn.registry.layers import SHAPES, Shape

LAYOUTS = {"NCHW": torch.contiguous_format, "channels last": torch.channels_last}
IMAGES, FILTERS = (0, 2, 3, 1), (2, 3, 1, 0)  # axes of PyTorch's arrays in our order


def layers(wanted: Callable[[str], bool]) -> Iterator[Contest]:
    """Give the contests whose name is wanted."""
    for shape in SHAPES:
        for direction, (ours, peer, axes) in DIRECTIONS.items():
            if wanted(name := f"{shape}, {direction}"):
                yield _contest(name, shape, ours, peer, axes)


def _contest(name: str, shape: Shape, ours: Callable[..., Any], peer: Callable[..., Any], axes: tuple[int, ...]) -> Contest:
    arrays = _arrays(shape)
    peers = {layout: _peer(peer, shape, arrays, layout) for layout in LAYOUTS}
    geometry = {"stride": shape.stride, "padding": shape.padding, "dilation": shape.dilation, "groups": shape.groups}
    x, weight, _ = arrays
    kind = functional.conv.choose(x.shape, weight.shape, **geometry).name
    return Contest(name, partial(ours, *arrays, **geometry), peers, shape.flops, lambda y: y.permute(axes).numpy(), kind,
                   shape.is_wide)


def _arrays(shape: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw images, filters and gradient in our layout."""
    random = np.random.default_rng(0)
    sizes = ((shape.N, shape.H, shape.W, shape.C), (shape.R, shape.R, shape.C // shape.groups, shape.K),
             (shape.N, shape.P, shape.Q, shape.K))
    x, weight, dy = (random.standard_normal(size, np.float32) for size in sizes)
    return x, weight, dy


def _peer(call: Callable[..., Any], shape: Shape, arrays: tuple[np.ndarray, ...], layout: str) -> Call:
    x, weight, dy = arrays
    images = [torch.from_numpy(array).permute(0, 3, 1, 2) for array in (x, dy)]
    filters = torch.from_numpy(weight).permute(3, 2, 0, 1)
    x_, dy_, weight_ = (tensor.clone(memory_format=LAYOUTS[layout]) for tensor in (*images, filters))
    return partial(call, x_, weight_, dy_, shape)


def _forward(x: np.ndarray, weight: np.ndarray, _: np.ndarray, **geometry: int) -> np.ndarray:
    return functional.conv2d(x, weight, **geometry)


def _input(x: np.ndarray, weight: np.ndarray, dy: np.ndarray, **geometry: int) -> np.ndarray | None:
    return functional.conv2d_backward(dy, x, weight, need_dweight=False, need_dbias=False, **geometry)[0]


def _weight(x: np.ndarray, weight: np.ndarray, dy: np.ndarray, **geometry: int) -> np.ndarray | None:
    return functional.conv2d_backward(dy, x, weight, need_dx=False, need_dbias=False, **geometry)[1]


def _peer_forward(x: torch.Tensor, weight: torch.Tensor, _: torch.Tensor, shape: Shape) -> torch.Tensor:
    return torch.nn.functional.conv2d(x, weight, None, shape.stride, shape.padding, shape.dilation, shape.groups)


def _peer_backward(result: int, x: torch.Tensor, weight: torch.Tensor, dy: torch.Tensor, shape: Shape) -> torch.Tensor:
    stride, padding, dilation = ([size, size] for size in (shape.stride, shape.padding, shape.dilation))
    needed = [result == index for index in range(3)]
    gradients = torch.ops.aten.convolution_backward(
        dy, x, weight, None, stride, padding, dilation, False, [0, 0], shape.groups, needed)
    gradient: torch.Tensor = gradients[result]
    return gradient


DIRECTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[int, ...]]] = {
    "forward": (_forward, _peer_forward, IMAGES),
    "backward input": (_input, partial(_peer_backward, 0), IMAGES),
    "backward weight": (_weight, partial(_peer_backward, 1), FILTERS),
}
