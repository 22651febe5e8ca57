"""Pictures of why: the pixels that an answer depends on, and the regions that speak for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import explain
from ..nn import Module
from ..shapes import integer
from ..training import predict
from . import figure
from .figure import StrPath

_MOST = 8


def saliency(
    model: Module, images: Any, path: StrPath, *, target: Any = None, classes: Sequence[str] = (), most: int = _MOST
) -> None:
    """Draw images (N, H, W, 1 or 3), and below each how much each of its pixels changes the score of its class.

    `target` is the class to explain, or one for each image; where not given, it is the likeliest of each.
    """
    chosen = np.asarray(images)[: integer("saliency", "most", most, 1)]
    maps = explain.saliency(model, chosen, target)
    _draw(model, chosen, maps, path, classes, "saliency", over=False)


def grad_cam(
    model: Module, images: Any, path: StrPath, *, layer: str | None = None, target: Any = None, elementwise: bool = False,
    classes: Sequence[str] = (), most: int = _MOST
) -> None:
    """Draw images (N, H, W, 1 or 3), and below each the regions that speak for its class, as `layer` sees them.

    `layer`, `target` and `elementwise` as in `explain.grad_cam`.
    """
    chosen = np.asarray(images)[: integer("grad_cam", "most", most, 1)]
    maps = explain.grad_cam(model, chosen, target, layer=layer, elementwise=elementwise)
    _draw(model, chosen, maps, path, classes, "HiResCAM" if elementwise else "Grad-CAM", over=True)


def _draw(model: Module, images: np.ndarray, maps: np.ndarray, path: StrPath, classes: Sequence[str], name: str,
          over: bool) -> None:
    """Draw the images with their likeliest classes, and the maps below, over the images in grey or alone."""
    pixels, probabilities = figure.pictures(name, images), predict(model, images)
    K = probabilities.shape[1]
    words = figure.names(name, classes or (model.classes if len(model.classes) == K else ()), K)
    picture = figure.new(max(2.4, 1.45 * len(pixels)), 3.35)
    places = picture.subplots(2, len(pixels), squeeze=False)
    for index, (above, below) in enumerate(places.T):
        best = int(probabilities[index].argmax())
        above.set_title(f"{words[best]} {probabilities[index, best]:.0%}", fontsize=8, pad=3)
        figure.show(above, pixels[index])
        if over:
            figure.show(below, pixels[index].mean(axis=2))
            below.imshow(maps[index], cmap="inferno", alpha=0.6, vmin=0, vmax=1, interpolation="bilinear")
        else:
            figure.show(below, maps[index], cmap="magma")
    places[1, 0].set_title(name, fontsize=8, pad=3, loc="left")
    figure.save(picture, path)
