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


@figure.picture
def saliency(model: Module, images: Any, path: StrPath | None = None, *, target: Any = None, classes: Sequence[str] = (),
             most: int = _MOST) -> Any:
    """Draw images (N, H, W, 1 or 3), and below each how much each of its pixels changes the score of its class.

    `target` is the class to explain, or one for each image; where not given, it is the likeliest of each.
    """
    chosen = np.asarray(images)[: integer("saliency", "most", most, 1)]
    maps = explain.saliency(model, chosen, target)
    return figure.finished(_drawn("saliency", "saliency", model, chosen, maps, classes), path)


@figure.picture
def grad_cam(model: Module, images: Any, path: StrPath | None = None, *, layer: str | None = None, target: Any = None,
             elementwise: bool = False, classes: Sequence[str] = (), most: int = _MOST) -> Any:
    """Draw images (N, H, W, 1 or 3), and below each the regions that speak for its class, as `layer` sees them.

    `layer`, `target` and `elementwise` as in `explain.grad_cam`.
    """
    chosen = np.asarray(images)[: integer("grad_cam", "most", most, 1)]
    maps = explain.grad_cam(model, chosen, target, layer=layer, elementwise=elementwise)
    title = "Grad-CAM, pixel by pixel (HiResCAM)" if elementwise else "Grad-CAM"
    return figure.finished(_drawn("grad_cam", title, model, chosen, maps, classes), path)


def _drawn(function: str, title: str, model: Module, images: np.ndarray, maps: np.ndarray, classes: Sequence[str]) -> Any:
    """Return a figure of the images with their likeliest classes, and of the maps below, of regions over grey images."""
    pixels, probabilities = figure.pictures(function, images), predict(model, images)
    K = probabilities.shape[1]
    names = figure.names(function, classes or (model.classes if len(model.classes) == K else ()), K)
    likeliest = probabilities.argmax(axis=1)
    width, words = figure.room_for([names[best] for best in likeliest], least=1.45)
    picture = figure.new(max(3.0, width * len(pixels)), 3.5)
    picture.suptitle(title, fontsize=9)
    for index, (above, below) in enumerate(picture.subplots(2, len(pixels), squeeze=False).T):
        above.set_title(f"{words[index]} {probabilities[index, likeliest[index]]:.0%}", fontsize=8, pad=3)
        figure.show(above, pixels[index])
        if function == "grad_cam":
            figure.show(below, pixels[index].mean(axis=2))
            below.imshow(maps[index], cmap="inferno", alpha=0.6, vmin=0, vmax=1, interpolation="bilinear")
        else:
            figure.show(below, maps[index], cmap="magma")
    return picture
