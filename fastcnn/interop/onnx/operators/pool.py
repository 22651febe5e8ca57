"""Pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional
from ..calls import Call, Window, outputs, window
from .images import channels_first, channels_last


def _padded(x: np.ndarray, w: Window, value: float) -> tuple[np.ndarray, tuple[int, int]]:
    """Return images (N, H, W, C) with a border, and how many windows there are: padding may be any, for once."""
    count = outputs(w, x.shape[1:3])
    spare = [max(0, (n - 1) * step + (size - 1) * dilation + 1 - length - before) for n, step, size, dilation, length, (
        before, _) in zip(count, w.stride, w.kernel, w.dilation, x.shape[1:3], w.padding, strict=True)]
    (top, bottom), (left, right) = w.padding
    sides = (top, max(bottom, spare[0])), (left, max(right, spare[1]))
    return functional.pad2d(x, sides, value=value), count


def _max_pool(call: Call, x: np.ndarray) -> Any:
    images = channels_last(x)
    N, H, W, C = images.shape
    w = window(call, (H, W))
    padded, (P, Q) = _padded(images, w, -math.inf)
    y, argmax = functional.max_pool2d(padded, w.kernel, stride=w.stride, dilation=w.dilation)
    y, argmax = y[:, :P, :Q], argmax[:, :P, :Q].astype(np.int64)
    if len(call.outputs) == 1:
        return channels_first(y)
    row, column = argmax // padded.shape[2] - w.padding[0][0], argmax % padded.shape[2] - w.padding[1][0]
    pixel = column * H + row if call.get("storage_order", 0) else row * W + column
    plane = np.arange(N).reshape(-1, 1, 1, 1) * C + np.arange(C)
    return channels_first(y), channels_first(plane * (H * W) + pixel)


def _avg_pool(call: Call, x: np.ndarray) -> np.ndarray:
    images = channels_last(x)
    w = window(call, images.shape[1:3])
    padded, (P, Q) = _padded(images, w, 0.0)
    inside = np.ones((1, *images.shape[1:3], 1), x.dtype)
    (top, _), (left, _) = w.padding
    if call.get("count_include_pad", 0):
        inside = functional.pad2d(inside, w.padding, value=1.0)
        top = left = 0
    rows, columns = padded.shape[1] - inside.shape[1], padded.shape[2] - inside.shape[2]
    counted = functional.pad2d(inside, ((top, rows - top), (left, columns - left)))
    sums, counts = (_mean(part, w)[:, :P, :Q] for part in (padded, counted))
    return channels_first(sums / counts)


def _mean(x: np.ndarray, w: Window) -> np.ndarray:
    """Return the mean of each window; those with gaps are convolutions of each channel."""
    if w.dilation == (1, 1):
        return functional.avg_pool2d(x, w.kernel, stride=w.stride)
    C = x.shape[3]
    weight = np.full((*w.kernel, 1, C), 1 / math.prod(w.kernel), x.dtype)
    return functional.conv2d(x, weight, stride=w.stride, dilation=w.dilation, groups=C)


def _global(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    def pool(call: Call, x: np.ndarray) -> np.ndarray:
        return function(channels_last(x)).reshape(*x.shape[:2], 1, 1)

    return pool


TABLE: dict[str, Callable[..., Any]] = {
    "AveragePool": _avg_pool, "GlobalAveragePool": _global(functional.global_avg_pool2d),
    "GlobalMaxPool": _global(lambda x: functional.global_max_pool2d(x)[0]), "MaxPool": _max_pool,
}
