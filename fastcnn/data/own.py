"""Data of one's own: from arrays, from a folder of image files, from a table of pixels; and its parts."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..shapes import DataFormatError, DTypeError, ShapeError, integer, real, suggestion
from .dataset import Split
from .image_files import read_image
from .sources import StrPath

_ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
_COUNTED = 8  # numbers in a row that no image is made of
_MOST_PIXELS = 1 << 31  # of one data set: a folder of photographs would not fit into memory at full size


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
        return Split(pixels, *_numbered("from_arrays", [str(name) for name in given.astype(str)], classes))
    return Split(pixels, given, classes)


def from_folder(folder: StrPath, size: tuple[int, int], *, grey: bool = False) -> Split:
    """Read the image files in `folder`, which has a sub-folder for each class: uint8 images (N, height, width, 3 or 1).

    `size` is (height, width), to which all are scaled; `grey` gives one channel. Classes are the sub-folders' names in
    alphabetical order, images are in that order too. MissingExtraError: Pillow is not installed, the extra `image`.
    FileNotFoundError, DataFormatError: no such folder, no image in a class, or a file that is no image.
    """
    height, width = _size(size)
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"from_folder: there is no folder {root}; expected one with a sub-folder for each class")
    classes = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not classes:
        raise DataFormatError(f"from_folder: {root} has no sub-folders, expected one for each class with its images")
    files = [(path, label) for label, name in enumerate(classes) for path in _image_files(root / name)]
    channels = 1 if grey else 3
    if len(files) * height * width * channels > _MOST_PIXELS:
        raise ShapeError(f"from_folder: {len(files)} images of size {size} are {len(files) * height * width * channels:,} "
                         f"bytes, expected at most {_MOST_PIXELS:,}; give a smaller size")
    images = np.empty((len(files), height, width, channels), np.uint8)
    for image, (path, _) in zip(images, files, strict=True):
        image[...] = read_image("from_folder", path, image.shape)
    return Split(images, [label for _, label in files], classes)


def from_csv(path: StrPath, shape: tuple[int, ...], *, label: int | str = 0, classes: Sequence[str] | None = None) -> Split:
    """Read a table with an image in each line, its pixels from 0 to 255 and a label: uint8 images of `shape` (H, W, C).

    `label` is the column of the label, its number (-1 for the last) or its name in the first line; a first line of names
    is found by itself. Labels are integers from 0, or names as in `from_arrays`. FileNotFoundError: there is no such file;
    DataFormatError: a line is not such an image.
    """
    if not isinstance(shape, (tuple, list)) or len(shape) not in (2, 3):
        raise ShapeError(f"from_csv: shape is {shape!r}, expected (H, W) or (H, W, C)")
    sizes = tuple(integer("from_csv", "shape", size, 1) for size in shape)
    count = int(np.prod(sizes))
    pixels, labels = [], []
    for number, line, column in _lines(Path(path), label):
        if len(line) != count + 1:
            raise DataFormatError(f"from_csv: {path}, line {number} has {len(line)} values, expected {count + 1}: a label "
                                  f"and {' x '.join(map(str, sizes))} pixels")
        labels.append(line.pop(column).strip())
        if not labels[-1]:
            raise DataFormatError(f"from_csv: {path}, line {number} has no label in column {column}, expected one")
        pixels.append(_pixels(line, path, number))
    if not pixels:
        raise DataFormatError(f"from_csv: {path} has no images, expected a line for each")
    images = np.stack(pixels).reshape(-1, *(sizes if len(sizes) == 3 else (*sizes, 1)))
    are_numbers = all(text.isdecimal() and len(text) < 10 for text in labels)
    if are_numbers and (classes is None or not set(labels) & set(map(str, classes))):
        return Split(images, np.array(labels, np.int64), classes)
    return Split(images, *_numbered("from_csv", labels, classes))


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


def _numbered(function: str, names: list[str], classes: Sequence[str] | None) -> tuple[NDArray[np.int64], list[str]]:
    """Return the number of each name and the names in order."""
    known = sorted(set(names)) if classes is None else list(map(str, classes))
    number = {name: index for index, name in enumerate(known)}
    if len(number) < len(known):
        raise ValueError(f"{function}: classes is {known}, expected each name once")
    unknown = next((name for name in names if name not in number), None)
    if unknown is not None:
        raise ValueError(f"{function}: label {unknown!r} is unknown, expected one of {', '.join(known)}"
                         f"{suggestion(unknown, known)}")
    return np.array([number[name] for name in names], np.int64), known


def _size(size: Any) -> tuple[int, int]:
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ShapeError(f"from_folder: size is {size!r}, expected (height, width)")
    return integer("from_folder", "size", size[0], 1), integer("from_folder", "size", size[1], 1)


def _image_files(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*")
                   if path.suffix.lower() in _ENDINGS and path.is_file() and not path.name.startswith("."))
    if not files:
        raise DataFormatError(f"from_folder: {folder} has no image files, expected some that end in "
                              f"{', '.join(sorted(_ENDINGS))}")
    return files


def _lines(path: Path, label: int | str) -> Iterator[tuple[int, list[str], int]]:
    """Give number and values of each line with an image, and the column of its label."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            head, column = True, label
            for line in reader:
                if not any(line):
                    continue
                if head and isinstance(column, str):
                    if column not in line:
                        raise DataFormatError(f"from_csv: {path} has no column {column!r} in its first line, expected one "
                                              f"of {', '.join(line[:5])}, ...")
                    head, column = False, line.index(column)
                    continue
                place = integer("from_csv", "label", column, -1)
                if place >= len(line):
                    raise DataFormatError(f"from_csv: {path}, line {reader.line_num} has {len(line)} values, expected a "
                                          f"label in column {place}")
                others = [text for index, text in enumerate(line) if index != place % len(line)]
                if not head or not _is_head(others):
                    yield reader.line_num, line, place
                head = False
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataFormatError(f"from_csv: {path} is no table of text ({error}); expected values between commas") from None


def _is_head(values: list[str]) -> bool:
    """Whether a first line has names where pixels should be, or numbers that count columns, as pandas writes them."""
    if len(values) > _COUNTED and any(values == [str(number) for number in range(first, first + len(values))]
                                      for first in (0, 1)):
        return True
    return bool(values) and not any(text.strip().replace(".", "", 1).isdecimal() for text in values)


def _pixels(line: list[str], path: StrPath, number: int) -> NDArray[np.uint8]:
    try:
        values = np.array(line, np.float64)
    except ValueError as error:
        raise DataFormatError(f"from_csv: {path}, line {number}: {error}; expected pixels from 0 to 255") from None
    if not ((values >= 0) & (values <= 255) & (values == np.round(values))).all():
        bad = values[~((values >= 0) & (values <= 255) & (values == np.round(values)))][0]
        raise DataFormatError(f"from_csv: {path}, line {number} has pixel {bad:g}, expected whole numbers from 0 to 255")
    return values.astype(np.uint8)
