"""Looking into a network: what its layers give, which pixels an answer depends on, which regions speak for it.

Each works on a copy of the model in eval mode, so that the model keeps its gradients and statistics.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from .nn import Module, inference
from .nn.inspect.trace import traced
from .nn.pool import _Pool2D
from .shapes import Caller, ShapeError, integer, suggestion
from .training.batches import as_input, checked_images, input_dtype, warn_of_range

__all__ = ["activations", "grad_cam", "saliency"]


def activations(model: Module, images: Any) -> dict[str, np.ndarray]:
    """Return what each layer gives for images (N, H, W, C), by the names that `summary` shows, in the order of running.

    Images as in `predict`. ShapeError, DTypeError: they do not fit.
    """
    return outputs_of("activations", model, images)


def outputs_of(function: str, model: Module, images: Any) -> dict[str, np.ndarray]:
    """Return what `activations` does; errors name the function."""
    used, x = _prepared(function, model, images)
    outputs: dict[str, np.ndarray] = {}

    def keep(name: str, module: Module, forward: Callable[[Any], Any], values: Any) -> Any:
        y = forward(values)
        outputs[name] = np.array(y)  # layers use their memory again
        return y

    with inference(), traced(used, keep), Caller(function, f"images have shape {x.shape}"):
        used.forward(x)
    return outputs


def saliency(model: Module, images: Any, target: Any = None) -> np.ndarray:
    """Return how much each pixel changes the score of a class: (N, H, W), the largest over its channels.

    `target` is the class to explain, or one for each image; where not given, it is the likeliest of each.
    Simonyan, Vedaldi and Zisserman, "Deep Inside Convolutional Networks", 2013, section 3. ShapeError,
    DTypeError, ValueError: images or target do not fit.
    """
    used, x = _prepared("saliency", model, images)
    with Caller("saliency", f"images have shape {x.shape}"):
        scores = used.forward(x)
    gradient = used.backward(_one_hot("saliency", scores, target))
    changes: np.ndarray = np.abs(gradient).max(axis=-1)
    return changes


def grad_cam(
    model: Module, images: Any, target: Any = None, *, layer: str | None = None, elementwise: bool = False
) -> np.ndarray:
    """Return how much each region speaks for a class: (N, H, W) of the images' size, 0 to 1.

    The feature maps of `layer` are summed up, each times the mean gradient of the class's score, or with `elementwise`
    each pixel times its own gradient, which says more where maps are flattened and not averaged behind the layer.
    `layer` is the last one that gives images and is no pooling, where not given; `target` as in `saliency`. Selvaraju
    et al., "Grad-CAM", ICCV 2017, section 3; Draelos and Carin, "HiResCAM", 2020. ShapeError, DTypeError, ValueError:
    an argument does not fit.
    """
    used, x = _prepared("grad_cam", model, images)
    maps: dict[str, np.ndarray] = {}
    gradients: dict[str, np.ndarray] = {}

    def keep(name: str, module: Module, forward: Callable[[Any], Any], values: Any) -> Any:
        y = forward(values)
        if np.ndim(y) == 4 and (name == layer or not isinstance(module, _Pool2D)):
            maps.pop(name, None)
            maps[name] = np.array(y)
        return y

    def keep_gradient(name: str, module: Module, backward: Callable[[Any], Any], dy: Any) -> Any:
        gradients[name] = np.array(dy)
        return backward(dy)

    with traced(used, keep, keep_gradient):
        with Caller("grad_cam", f"images have shape {x.shape}"):
            scores = used.forward(x)
        used.backward(_one_hot("grad_cam", scores, target))
    chosen = next(reversed(maps), None) if layer is None else layer
    if chosen is None or chosen not in maps:
        raise ValueError(f"grad_cam: layer is {layer!r}, expected one that gives images: {', '.join(maps) or 'none here'}"
                         f"{suggestion(layer, maps)}")
    weights = gradients[chosen] if elementwise else gradients[chosen].mean(axis=(1, 2), keepdims=True)
    regions = np.maximum((maps[chosen] * weights).sum(axis=-1), 0)
    regions = _resized(regions, x.shape[1], x.shape[2])
    largest = regions.max(axis=(1, 2), keepdims=True)
    return regions / np.where(largest > 0, largest, 1)


def _prepared(function: str, model: Module, images: Any) -> tuple[Module, np.ndarray]:
    """Return a copy of the model in eval mode, and the images as it takes them."""
    array = checked_images(function, images)
    if array.ndim != 4:
        raise ShapeError(f"{function}: images have shape {array.shape}, expected (N, H, W, C)")
    warn_of_range(function, array, model.normalisation, stacklevel=4)
    index = np.arange(len(array))
    with Caller(function, f"images have shape {array.shape}"):
        x = as_input(array, index, model.normalisation, input_dtype(model))
    return copy.deepcopy(model).eval(), x


def _one_hot(function: str, scores: np.ndarray, target: Any) -> np.ndarray:
    """Return 1 for the target's score of each row and 0 for the others."""
    if scores.ndim != 2:
        raise ShapeError(f"{function}: the model gives shape {scores.shape}, expected scores (N, K)")
    N, K = scores.shape
    if target is None and not np.isfinite(scores).all():
        raise ValueError(f"{function}: the model's outputs are not finite, so that no class is likeliest, expected a target")
    given = scores.argmax(axis=1) if target is None else np.asarray(target)
    if given.shape not in ((), (N,)):
        raise ShapeError(f"{function}: target has shape {given.shape}, expected one class or ({N},): one for each image")
    classes = np.broadcast_to(given, (N,))
    for value in classes:
        integer(function, "target", value.item(), 0)
    if classes.max() >= K:
        raise ValueError(f"{function}: target is {classes.max()}, expected 0 to {K - 1}")
    chosen = np.zeros_like(scores)
    chosen[np.arange(N), classes] = 1
    return chosen


def _resized(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return maps (N, P, Q) in another size, bilinear, pixels taken at their centres."""
    for axis, size in ((1, height), (2, width)):
        count = maps.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
        below = np.minimum(place.astype(np.int64), max(0, count - 2))
        share = (place - below).reshape((-1, 1) if axis == 1 else (-1,))
        above = np.minimum(below + 1, count - 1)
        maps = maps.take(below, axis) * (1 - share) + maps.take(above, axis) * share
    return maps
