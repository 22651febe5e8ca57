"""Images with labels: one split, and the pair of splits that makes a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..shapes import DTypeError, ShapeError
from . import preview

MAX_CLASSES = 1 << 16  # where no names are given: one wild label must not make a billion of them


class Split:
    """Images (N, H, W, C), uint8 or float, with int64 labels (N,) and the names of the classes.

    Arrays are taken as they are where they are C-contiguous in native byte order, and copied otherwise;
    float16 becomes float32. Without `classes`, the classes are "0" up to the largest label and `named` is false:
    labels are then numbers of a model's outputs, otherwise a model knows its classes by their names. Raises
    ShapeError for another rank, an empty split, lengths that differ or a label out of range, DTypeError for
    another element type.
    """

    __slots__ = ("classes", "images", "labels", "named")

    def __init__(self, images: ArrayLike, labels: ArrayLike, classes: Sequence[str] | None = None) -> None:
        """Check and take the arrays."""
        self.images: NDArray[Any] = _checked_images(images)
        limit = MAX_CLASSES if classes is None else len(classes)
        self.labels: NDArray[np.int64] = _checked_labels(labels, len(self.images), limit)
        names = range(int(self.labels.max()) + 1) if classes is None else classes
        self.classes: tuple[str, ...] = tuple(str(name) for name in names)
        self.named = classes is not None

    def __len__(self) -> int:
        """Give the number of images."""
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> tuple[NDArray[Any], int]: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | NDArray[Any]) -> Split: ...

    def __getitem__(self, index: Any) -> Split | tuple[NDArray[Any], int]:
        """Give image and label for an integer, a Split for a slice, a list of indices or a mask."""
        if isinstance(index, (int, np.integer)):
            return self.images[index], int(self.labels[index])
        part = Split(self.images[index], self.labels[index], self.classes)
        part.named = self.named
        return part

    def __iter__(self) -> Iterator[tuple[NDArray[Any], int]]:
        """Give image and label one after the other."""
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        """Say shape, element type and number of classes."""
        return f"Split({self.images.shape} {self.images.dtype}, {len(self.classes)} classes)"

    def _repr_html_(self) -> str:
        """Return counts and an image of each of the first classes, for a notebook."""
        return preview.html(self.images, self.labels, self.classes)

    def subset(self, n: int) -> Split:
        """Give the first `n` images without copying; ShapeError unless 1 <= n <= len."""
        if not 1 <= n <= len(self):
            raise ShapeError(f"subset: n is {n}, expected 1 to {len(self)}")
        return self[:n]

    def as_classes(self, classes: Sequence[str]) -> Split:
        """Give the same images with labels that count in `classes`, such as `model.classes`, whatever their order here.

        ValueError: an image has a class that is not among them. Labels of a Split without names stay as they are.
        """
        return in_classes("as_classes: the split", self, classes)


def in_classes(who: str, split: Split, classes: Sequence[str]) -> Split:
    """Give what `split.as_classes(classes)` does, with errors that begin with `who`."""
    wanted = tuple(map(str, classes))
    labels = renumbered(who, split.labels, split.classes, wanted) if split.named else split.labels
    return Split(split.images, labels, wanted)


def renumbered(who: str, labels: NDArray[np.int64], names: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """Give labels that count in `names` as labels that count in `classes`, found by name.

    ValueError, which begins with `who`: a class that occurs is not among them.
    """
    if tuple(names) == tuple(classes):
        return labels
    position = {name: index for index, name in enumerate(classes)}
    occurring = [names[label] for label in np.unique(labels)]
    if not position.keys() >= set(occurring):
        raise ValueError(f"{who} has images of {', '.join(occurring)}, expected classes among {', '.join(classes)}")
    return np.array([position.get(name, -1) for name in names], np.int64)[labels]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A named pair of splits of equal image shape; labels of `test` count in the classes of `train`.

    ShapeError: images of `test` have another shape or classes that `train` does not know.
    """

    name: str
    train: Split
    test: Split

    def __post_init__(self) -> None:
        """Check that the splits belong together."""
        train, test = self.train.images.shape[1:], self.test.images.shape[1:]
        if train != test:
            raise ShapeError(f"Dataset: test images have shape {test}, expected {train} as in train")
        if self.train.classes != self.test.classes:
            try:
                object.__setattr__(self, "test", self.test.as_classes(self.train.classes))
            except ValueError:
                came, expected = self.test.classes, self.train.classes
                raise ShapeError(f"Dataset: test has classes {came}, expected {expected} as in train") from None

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class."""
        return self.train.classes

    def __repr__(self) -> str:
        """Say what the splits are."""
        return f"Dataset({self.name!r}, train={self.train!r}, test={self.test!r})"

    def _repr_html_(self) -> str:
        """Return both splits, for a notebook."""
        return (f"<b>{escape(self.name)}</b><div>train</div>{self.train._repr_html_()}"
                f"<div>test</div>{self.test._repr_html_()}")


def _checked_images(images: ArrayLike) -> NDArray[Any]:
    array = np.asarray(images)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise DTypeError(f"Split: images are {array.dtype}, expected uint8 or float")
    if array.ndim != 4:
        hint = "; a channel axis is added by images[..., None]" if array.ndim == 3 else ""
        raise ShapeError(f"Split: images have shape {array.shape}, expected (N, H, W, C){hint}")
    if array.size == 0:
        raise ShapeError(f"Split: images have shape {array.shape}, expected at least one image of one pixel")
    return np.ascontiguousarray(array, _native(array.dtype))


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Give the element type the kernels know: uint8, float32 or float64."""
    if dtype == np.uint8:
        return np.dtype(np.uint8)
    return np.dtype(np.float32 if dtype.itemsize <= 4 else np.float64)


def _checked_labels(labels: ArrayLike, count: int, num_classes: int) -> NDArray[np.int64]:
    array = np.asarray(labels)
    if array.dtype.kind not in "iu":
        raise DTypeError(f"Split: labels are {array.dtype}, expected integers")
    if array.shape != (count,):
        raise ShapeError(f"Split: labels have shape {array.shape}, expected ({count},): one label per image")
    extreme = array.min() if array.min() < 0 else array.max()
    if not 0 <= extreme < num_classes:
        first = int(np.argmax(array == extreme))
        raise ShapeError(f"Split: labels[{first}] is {int(extreme)}, expected 0 to {num_classes - 1}")
    return np.ascontiguousarray(array, np.int64)
