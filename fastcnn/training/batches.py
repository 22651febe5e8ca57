"""Batches: images and targets of a data set, picked, normalised and in an order that a seed decides."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..functional import batch
from ..nn import Module, Normalisation
from ..shapes import DTypeError, ShapeError
from .augment import AUGMENTATIONS, CropFlip

_CHUNK = 1 << 20  # elements counted at once


class Batches:
    """Images and targets of one data set, ready to be served by index.

    `data` is a Split or a pair (images, targets): images uint8 (N, H, W, C) or float (N, ...), targets int64
    labels (N,) or floats (N, ...). `augment` names the random changes of training images: None or
    "crop-flip". ShapeError, DTypeError: the arrays do not fit; ValueError: `augment` is unknown.
    """

    def __init__(self, function: str, data: Any, augment: str | None = None) -> None:
        """Check the arrays."""
        if augment not in AUGMENTATIONS:
            raise ValueError(f"{function}: augment is {augment!r}, expected one of {AUGMENTATIONS}")
        images, targets = _pair(function, data)
        self.classes: tuple[str, ...] = tuple(getattr(data, "classes", ()))
        self.images = checked_images(function, images)
        self.targets = _checked_targets(function, targets, len(self.images))
        if augment is not None and self.images.ndim != 4:
            raise ShapeError(f"{function}: images have shape {self.images.shape}, expected (N, H, W, C) for {augment}")
        self.augment = augment
        self._change: CropFlip | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Draw the random changes of an epoch."""
        self._change = None if self.augment is None else CropFlip(len(self), seed, epoch)

    def serve(
        self, index: np.ndarray, normalisation: Normalisation | None, dtype: np.dtype
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return images and targets of `index` as a model of this normalisation and dtype takes them."""
        if self._change is None:
            x = as_input(self.images, index, normalisation, dtype)
        else:
            x = as_input(self._change(self.images, index), np.arange(len(index)), normalisation, dtype)
        targets = self.targets[index]
        return x, targets if targets.dtype == np.int64 else targets.astype(dtype, copy=False)


def checked_images(function: str, images: Any) -> np.ndarray:
    """Return images as a C-contiguous array of uint8, float32 or float64."""
    array = np.asarray(images)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise DTypeError(f"{function}: images are {array.dtype}, expected uint8 or float32")
    if array.ndim < 2 or (array.dtype == np.uint8 and array.ndim != 4):
        hint = "; a channel axis is added by images[..., None]" if array.ndim == 3 else ""
        raise ShapeError(f"{function}: images have shape {array.shape}, expected (N, H, W, C){hint}")
    if array.size == 0:
        raise ShapeError(f"{function}: images have shape {array.shape}, expected at least one image of one pixel")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    return np.ascontiguousarray(array, np.float32 if array.dtype.itemsize <= 4 else np.float64)


def as_input(images: np.ndarray, index: np.ndarray, normalisation: Normalisation | None, dtype: np.dtype) -> np.ndarray:
    """Return images[index] in `dtype`: bytes normalised as in training, floats as they are."""
    if images.dtype != np.uint8:
        x: np.ndarray = images[index].astype(dtype, copy=False)
        return x
    channels = images.shape[-1]
    mean, std = normalisation or Normalisation(np.zeros(channels, dtype), np.ones(channels, dtype))
    if mean.shape != (channels,):
        raise ShapeError(f"images have {channels} channels (shape {images.shape}), expected {len(mean)} as in training")
    return batch.gather(images, index, mean.astype(dtype, copy=False), std.astype(dtype, copy=False))


def input_dtype(model: Module) -> np.dtype:
    """Return the element type of the model's parameters; float32 where it has none."""
    return next((parameter.dtype for _, parameter in model.named_parameters()), np.dtype(np.float32))


def normalisation_of(images: np.ndarray) -> Normalisation:
    """Return mean and standard deviation of each channel of uint8 images, exact up to the last rounding."""
    channels = images.shape[-1]
    pixels = images.reshape(-1, channels)
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(pixels), _CHUNK):
        for channel in range(channels):
            counts[channel] += np.bincount(pixels[start : start + _CHUNK, channel], minlength=256)
    values = np.arange(256) / 255
    mean = counts @ values / len(pixels)
    variance = counts @ values**2 / len(pixels) - mean**2
    std = np.sqrt(np.maximum(variance, 0))
    constant = std < 1 / 255 / 16
    return Normalisation(mean.astype(np.float32), np.where(constant, 1, std).astype(np.float32))


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Return the indices 0 to count - 1 in the order of an epoch: a function of the arguments alone."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)


def _pair(function: str, data: Any) -> tuple[Any, Any]:
    if hasattr(data, "images") and hasattr(data, "labels"):
        return data.images, data.labels
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return data[0], data[1]
    hint = "; a Dataset has .train and .test" if hasattr(data, "train") else ""
    raise DTypeError(f"{function}: data is a {type(data).__name__}, expected a Split or (images, labels){hint}")


def _checked_targets(function: str, targets: Any, count: int) -> np.ndarray:
    array = np.asarray(targets)
    if array.dtype.kind not in "iuf":
        raise DTypeError(f"{function}: labels are {array.dtype}, expected int64")
    if array.ndim == 0 or len(array) != count:
        raise ShapeError(f"{function}: labels have shape {array.shape}, expected ({count},): one label per image")
    return np.ascontiguousarray(array, array.dtype if array.dtype.kind == "f" else np.int64)
