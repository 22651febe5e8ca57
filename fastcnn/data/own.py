"""Data of one's own from arrays, its parts, and the weights of its classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..shapes import DTypeError, ShapeError, integer, real, suggestion
from .dataset import Split


def from_arrays(images: ArrayLike, labels: ArrayLike, classes: Sequence[str] | None = None) -> Split:
    """Make a Split of images (N, H, W, C) or (N, H, W), uint8 or float, and labels: integers from 0, or names.

    Names become classes in alphabetical order, or in that of `classes`. ShapeError, DTypeError: the arrays do not fit;
    ValueError: a label is not among the classes, or a class comes twice.
    """
    try:
        pixels, given = np.asarray(images), np.asarray(labels)
    except ValueError as error:
        raise ShapeError(f"from_arrays: images or labels make no array ({error}); expected images of one size") from None
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if given.dtype.kind in "US" or (given.dtype == object and all(isinstance(name, str) for name in given.flat)):
        return Split(pixels, *numbered("from_arrays", [str(name) for name in given.astype(str)], classes))
    return Split(pixels, given, classes)


def train_validation_split(
    split: Split, share: float = 0.2, *, seed: int = 0, stratified: bool = True
) -> tuple[Split, Split]:
    """Return two parts of a Split, the second with `share` of the images: a function of the seed alone.

    `stratified` takes that share of every class, up to rounding, and at least one image where a class has two. Both parts
    keep the order of the images. ValueError: one part would be empty.
    """
    wanted = real("train_validation_split", "share", share, 0.0, below=1)
    random = np.random.Generator(np.random.Philox(integer("train_validation_split", "seed", seed, 0)))
    if not isinstance(split, Split):
        raise DTypeError(f"train_validation_split: split is a {type(split).__name__}, expected a Split; "
                         "data.from_arrays makes one")
    groups = [np.flatnonzero(split.labels == label) for label in np.unique(split.labels)] if stratified else [
        np.arange(len(split))]
    chosen = np.zeros(len(split), bool)
    for group in groups:
        count = round(wanted * len(group))
        if wanted and len(group) > 1:
            count = min(max(count, 1), len(group) - 1)
        chosen[random.permutation(group)[:count]] = True
    if chosen.all() or not chosen.any():
        raise ValueError(f"train_validation_split: share is {share} of {len(split)} images, which leaves one part empty; "
                         "expected a share that gives both parts images"
                         + ", or stratified=False" * (stratified and len(groups) > 1))
    return split[~chosen], split[chosen]


def class_weights(labels: ArrayLike, num_classes: int | None = None) -> NDArray[np.float32]:
    """Return weights (K,) for `CrossEntropyLoss` under which each class counts alike: N / (classes * images of the class).

    A class without images gets 0 and is not counted. `labels` is an array (N,) or a Split. ShapeError, DTypeError,
    ValueError: no such labels.
    """
    if isinstance(labels, Split):
        labels, num_classes = labels.labels, len(labels.classes) if num_classes is None else num_classes
    array = np.asarray(labels)
    if array.dtype.kind not in "iu":
        raise DTypeError(f"class_weights: labels are {array.dtype}, expected integers")
    if array.ndim != 1 or not len(array):
        raise ShapeError(f"class_weights: labels have shape {array.shape}, expected (N,) with N of at least 1")
    K = int(array.max()) + 1 if num_classes is None else integer("class_weights", "num_classes", num_classes, 1)
    if array.min() < 0 or array.max() >= K:
        raise ValueError(f"class_weights: labels hold {array.min()} to {array.max()}, expected 0 to {K - 1}")
    images = np.bincount(array, minlength=K)
    present = np.count_nonzero(images)
    weights = np.divide(len(array), present * images, out=np.zeros(K), where=images > 0)
    return weights.astype(np.float32)


def numbered(function: str, names: list[str], classes: Sequence[str] | None) -> tuple[NDArray[np.int64], list[str]]:
    """Return the number of each name, and the classes: as given, or the names in alphabetical order."""
    known = sorted(set(names)) if classes is None else list(map(str, classes))
    number = {name: index for index, name in enumerate(known)}
    if len(number) < len(known):
        raise ValueError(f"{function}: classes is {known}, expected each name once")
    unknown = next((name for name in names if name not in number), None)
    if unknown is not None:
        raise ValueError(f"{function}: label {unknown!r} is unknown, expected one of {', '.join(known)}"
                         f"{suggestion(unknown, known)}")
    return np.array([number[name] for name in names], np.int64), known
