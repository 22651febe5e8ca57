"""Pictures of what a network has learned: its filters, and the feature maps that its layers make of an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import explain
from ..nn import Conv2D, Module
from ..shapes import ShapeError, integer, suggestion
from . import figure
from .figure import StrPath

_MOST = 64  # images in one picture


@figure.picture
def filters(model: Module, path: StrPath | None = None, *, layer: str | None = None, most: int = _MOST) -> Any:
    """Draw the filters of a convolution, the first one where `layer` does not name another.

    Filters of 1 and 3 channels are drawn in grey and in colour; of others, each channel of each filter is drawn by
    itself, a row a filter, blue below zero and red above. ValueError: the layer is no convolution.
    """
    convolutions = {name: module for name, module in model.named_modules() if isinstance(module, Conv2D)}
    chosen = next(iter(convolutions), None) if layer is None else layer
    if chosen not in convolutions:
        raise ValueError(f"filters: layer is {layer!r}, expected a Conv2D: one of {', '.join(convolutions) or 'none here'}"
                         f"{suggestion(layer, convolutions)}")
    weight = convolutions[chosen].weight.data.transpose(3, 0, 1, 2)  # (K, R, S, C)
    title = f"filters of layer {chosen}: {convolutions[chosen]!r}"
    if weight.shape[3] in (1, 3):
        shown = figure.pictures("filters", weight[: integer("filters", "most", most, 1)])
        return figure.finished(figure.mosaic(list(shown), title, side=0.9), path)
    return figure.finished(_table(weight, title, most), path)


def _table(weight: np.ndarray, title: str, most: int) -> Any:
    """Return a figure of the first filters (rows) by channel (columns)."""
    side = max(1, int(np.sqrt(integer("filters", "most", most, 1) * 2)))
    shown = weight[:side, ..., :side]
    K, R, S, C = shown.shape
    limit = float(np.abs(shown).max()) or 1.0
    # One image with a line of white between the filters: hundreds of axes would take seconds.
    table = np.full((K * (R + 1) - 1, C * (S + 1) - 1), np.nan)
    for k in range(K):
        for c in range(C):
            table[k * (R + 1) : k * (R + 1) + R, c * (S + 1) : c * (S + 1) + S] = shown[k, ..., c]
    picture = figure.new(max(4.5, 0.42 * C + 1.4), max(2.2, 0.42 * K + 1.0))
    axes = picture.subplots()
    image = axes.imshow(table, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    _label(axes.xaxis, C, S, "input channel")
    _label(axes.yaxis, K, R, "filter")
    axes.spines[:].set_visible(False)
    axes.set_title(f"{title}\n{K} of {weight.shape[0]} filters, {C} of {weight.shape[3]} channels", fontsize=9)
    picture.colorbar(image, ax=axes, shrink=0.8)
    return picture


def _label(axis: Any, count: int, size: int, name: str) -> None:
    axis.set_ticks([index * (size + 1) + (size - 1) / 2 for index in range(count)], [str(index) for index in range(count)])
    axis.set_tick_params(length=0, labelsize=7)
    axis.set_label_text(name, fontsize=8)


@figure.picture
def feature_maps(model: Module, image: Any, path: StrPath | None = None, *, layer: str | None = None,
                 most: int = _MOST) -> Any:
    """Draw what a layer makes of one image (H, W, C), a picture for each channel; `layer` as `summary` names it.

    Where it is not given, it is the first layer that gives images. ShapeError: the layer gives no images.
    """
    if np.ndim(image) != 3:
        raise ShapeError(f"feature_maps: image has shape {np.shape(image)}, expected (H, W, C)")
    outputs = explain.outputs_of("feature_maps", model, np.asarray(image)[None])
    chosen = next((name for name, output in outputs.items() if output.ndim == 4), "") if layer is None else layer
    if chosen not in outputs:
        raise ValueError(f"feature_maps: layer is {layer!r}, expected one of {', '.join(outputs)}"
                         f"{suggestion(layer, outputs)}")
    if outputs[chosen].ndim != 4:
        raise ShapeError(f"feature_maps: layer {chosen} gives shape {outputs[chosen].shape}, expected images (N, H, W, C)")
    module = dict(model.named_modules()).get(chosen)
    return channels(outputs[chosen][0], path, title=f"layer {chosen}: {module!r}", most=most)


@figure.picture
def channels(maps: Any, path: StrPath | None = None, *, title: str = "", most: int = _MOST) -> Any:
    """Draw each channel of maps (H, W, C) as a picture of its own, from its smallest value in black to its largest."""
    array = np.asarray(maps)
    if array.ndim != 3 or not array.size:
        raise ShapeError(f"channels: maps have shape {array.shape}, expected (H, W, C)")
    shown = min(array.shape[2], integer("channels", "most", most, 1))
    counted = f"{shown} of " if shown < array.shape[2] else ""
    size = f"{array.shape[0]} x {array.shape[1]}, {counted}{array.shape[2]} channel{'s' * (array.shape[2] > 1)}"
    title = f"{title}\n{size}" if title else size
    return figure.finished(figure.mosaic([array[..., channel] for channel in range(shown)], title, side=0.9), path)
