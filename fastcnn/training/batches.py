"""Batches: images and targets of a data set, picked, normalised and in an order that a seed decides."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.dataset import renumbered
from ..functional import batch
from ..nn import Frozen, Module, Normalisation, Parameter
from ..shapes import DTypeError, ShapeError
from .augment import Augment, mixed, named

_CHUNK = 1 << 20  # elements counted at once
_SUMS = 1e-3  # of shares, rounded
_NOTHING = 1e-3  # in a range of normalised numbers


class Batches:
    """Images and targets of one data set, ready to be served by index.

    `data` is a Split or a pair (images, targets): images uint8 (N, H, W, C) or float (N, ...), targets int64
    labels (N,) or floats (N, ...). `augment` says or names the random changes of training images. ShapeError,
    DTypeError: the arrays do not fit; ValueError: `augment` is unknown.
    """

    def __init__(self, function: str, data: Any, augment: Augment | str | None = None) -> None:
        """Check the arrays."""
        self.augment = named(function, augment)
        images, targets = _pair(function, data)
        has_names = getattr(data, "named", hasattr(data, "classes"))
        self.classes: tuple[str, ...] = tuple(map(str, data.classes)) if has_names else ()
        self.images = checked_images(function, images)
        self.targets = _checked_targets(function, targets, len(self.images))
        self.one_class = _name_one_class(self.targets)
        if self.augment is not None:
            _require_changeable(function, self.images, self.augment)
        self._changes: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def count_in(self, who: str, classes: Sequence[str]) -> bool:
        """Let labels count in `classes`, found by name where both have names; return whether any label changed.

        ValueError, which begins with `who`: there is an image of a class that is not among them.
        """
        if not classes or not self.classes:
            return False
        before, self.targets = self.targets, renumbered(who, self.targets, self.classes, classes)
        self.classes = tuple(classes)
        return not np.array_equal(before, self.targets)

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Draw the random changes of an epoch."""
        if self.augment is not None:
            count, H, W, _ = self.images.shape
            self._changes = self.augment.draw(count, H, W, seed, epoch)

    def serve(
        self, index: np.ndarray, normalisation: Normalisation | None, dtype: np.dtype
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return images and targets of `index` as a model of this normalisation and dtype takes them."""
        x = as_input(self.images, index, normalisation, dtype, self._changes)
        targets = self.targets[index]
        return x, targets if targets.dtype == np.int64 else targets.astype(dtype, copy=False)

    def mix(self, index: np.ndarray, targets: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return the targets of `index` for a prediction (N, K), mixed as the images are; ValueError: a label is none."""
        if self._changes is None or self.augment is None or not self.augment.mixup:
            return targets
        changes = self._changes[index]
        share = changes["share"].astype(prediction.dtype)
        return mixed(targets, self.targets[changes["partner"]], share, prediction.shape[-1])


def checked_images(function: str, images: Any) -> np.ndarray:
    """Return images as a C-contiguous array of uint8, float32 or float64."""
    if hasattr(images, "images"):
        raise DTypeError(f"{function}: images are a {type(images).__name__}, expected an array such as its .images")
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


def as_input(
    images: np.ndarray,
    index: np.ndarray,
    normalisation: Normalisation | None,
    dtype: np.dtype,
    changes: np.ndarray | None = None,
) -> np.ndarray:
    """Return images[index] in `dtype`, changed where changes are given: bytes normalised as in training, floats not."""
    is_bytes = images.dtype == np.uint8
    if changes is None and not is_bytes:
        x: np.ndarray = images[index].astype(dtype, copy=False)
        return x
    channels = images.shape[-1]
    plain = Normalisation(np.zeros(channels, dtype), np.ones(channels, dtype))
    mean, std = (normalisation if is_bytes else None) or plain
    if mean.shape != (channels,):
        raise ShapeError(f"images have {channels} channels (shape {images.shape}), expected {len(mean)} as in training")
    mean, std = mean.astype(dtype, copy=False), std.astype(dtype, copy=False)
    if changes is None:
        return batch.gather(images, index, mean, std)
    return batch.augment(images, index, changes, mean, std)


def warn_of_range(function: str, images: np.ndarray, normalisation: Normalisation | None, stacklevel: int = 3) -> None:
    """UserWarning: images are bytes, or as bytes are, where the model takes others."""
    wanted = ""
    if images.dtype == np.uint8:
        if normalisation is None:
            wanted = ("uint8 and the model has no normalisation, so that it gets numbers from 0 to 1; expected "
                      "model.normalisation = (mean, std) as in its training, ([0.0], [1.0]) where those are right")
    elif normalisation is not None:
        low, high = -normalisation.mean / normalisation.std, (1 - normalisation.mean) / normalisation.std
        least, most = images.min(), images.max()
        if least >= 0 and most > 0 and (low.min() < -_NOTHING or most > high.max() + _NOTHING):
            bytes_ = "images.astype(np.uint8)" if most > 1 else "np.rint(255 * images).astype(np.uint8)"
            wanted = (f"{images.dtype} from {least:g} to {most:g}, and the model was trained on bytes that "
                      f"it normalises; expected {bytes_}, or floats like those, from {low.min():.2g} to {high.max():.2g}")
    if wanted:
        warnings.warn(f"{function}: images are {wanted}", stacklevel=stacklevel)


def input_dtype(model: Module) -> np.dtype:
    """Return the element type of the model's parameters; float32 where it has none."""
    if isinstance(model, Frozen):
        return model.dtype
    members = (child for _, module in model.named_modules() for _, child in module.children())
    return next((child.dtype for child in members if isinstance(child, Parameter)), np.dtype(np.float32))


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


def _require_changeable(function: str, images: np.ndarray, augment: Augment) -> None:
    """ShapeError, DTypeError unless the images are of a kind that can be changed so."""
    if images.ndim != 4:
        raise ShapeError(f"{function}: images have shape {images.shape}, expected (N, H, W, C) for {augment}")
    _, H, W, _ = images.shape
    if augment.cutout and augment.cutout >= min(H, W):
        raise ShapeError(f"{function}: cutout is {augment.cutout}, expected less than the {H} rows and {W} columns")
    if augment.changes_colours and images.dtype != np.uint8:
        raise DTypeError(f"{function}: images are {images.dtype}, expected uint8 for brightness and contrast")


def _name_one_class(targets: np.ndarray) -> bool:
    """Whether each row of targets tells one class: a label, or shares (N, K) that sum to 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        return targets.ndim != 2 or bool(np.abs(targets.sum(axis=1) - 1).max() < _SUMS)


def _checked_targets(function: str, targets: Any, count: int) -> np.ndarray:
    array = np.asarray(targets)
    if array.dtype.kind not in "iuf":
        raise DTypeError(f"{function}: labels are {array.dtype}, expected int64")
    if array.ndim == 0 or len(array) != count:
        raise ShapeError(f"{function}: labels have shape {array.shape}, expected ({count},): one label per image")
    return np.ascontiguousarray(array, array.dtype if array.dtype.kind == "f" else np.int64)
