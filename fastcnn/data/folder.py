"""Folders of image files: which of them count, and which are left out."""

from __future__ import annotations

import math
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..shapes import DataFormatError, ShapeError, integer, one_of
from .dataset import Split
from .image_files import ENDINGS, MAX_PIXELS, ImageReader
from .sources import StrPath

# Folders and files that systems and programs put beside images; so are all whose names begin with a dot.
_LITTER = {"@eadir", "@tmp", "#recycle", "#snapshot", "$recycle.bin", "__macosx", "__pycache__", "desktop.ini", "lost+found",
           "system volume information", "thumbs.db"}
_MOST_BYTES = 1 << 31  # of one data set: a folder of photographs would not fit into memory at full size
_NAMED = 10  # files in one message
ON_ERROR = ("raise", "skip")


class ImageFolder:
    """Finds the image files of a folder, and counts in words what it leaves out."""

    def __init__(self, function: str, root: StrPath) -> None:
        """Begin with nothing left out; FileNotFoundError: there is no such folder."""
        self.function, self.root = function, Path(root)
        self.left_out: Counter[str] = Counter()
        self.empty: list[str] = []
        self.problems: list[str] = []
        if not self.root.is_dir():
            raise FileNotFoundError(f"{function}: there is no folder {self.root}")

    def classes(self, wanted: Sequence[str] | None = None) -> list[str]:
        """Return the names of the sub-folders in alphabetical order, or those wanted, each of which counts once."""
        names = []
        for entry in _entries(self.root):
            if not entry.is_dir():
                self.left_out["files outside the sub-folders"] += 1
            elif _is_litter(entry.name):
                self.left_out[_HIDDEN_FOLDERS] += 1
            elif wanted is not None and entry.name not in wanted:
                self.left_out["sub-folders that classes does not name"] += 1
            else:
                names.append(entry.name)
        return names if wanted is None else list(wanted)

    def images(self, name: str = "") -> list[Path]:
        """Return the image files in the sub-folder and below it, in alphabetical order; links are followed."""
        folder = self.root / name
        return sorted(self._below(folder)) if folder.is_dir() else []

    def _below(self, folder: Path) -> Iterator[Path]:
        waiting, seen = [folder], {os.path.realpath(folder)}
        while waiting:
            for entry in _entries(waiting.pop()):
                if not entry.is_dir():
                    if self._is_image(entry):
                        yield Path(entry.path)
                elif _is_litter(entry.name):
                    self.left_out[_HIDDEN_FOLDERS] += 1
                elif (place := os.path.realpath(entry.path)) in seen:
                    self.left_out["linked folders that were read already"] += 1
                else:
                    seen.add(place)
                    waiting.append(Path(entry.path))

    def _is_image(self, entry: os.DirEntry[str]) -> bool:
        ending = os.path.splitext(entry.name)[1].lower()
        if _is_litter(entry.name):
            self.left_out["hidden files"] += 1
        elif ending not in ENDINGS:
            self.left_out[f"files that end in {ending}" if ending else "files without an ending"] += 1
        elif not entry.is_file():
            self.left_out["links that lead nowhere" if entry.is_symlink() else "pipes or devices"] += 1
        else:
            return True
        return False

    def read(self, reader: ImageReader, paths: Sequence[Path], on_error: str) -> tuple[NDArray[np.uint8], list[int]]:
        """Return the images (N, H, W, C) that can be read, and the numbers of their paths.

        DataFormatError: one of them cannot be read and `on_error` is "raise", or none of them can.
        """
        images = np.empty((len(paths), *reader.shape), np.uint8)
        problems: list[str] = []
        good: list[int] = []
        for number, path in enumerate(paths):
            try:
                images[len(good)] = reader.read(path)
                good.append(number)
            except (DataFormatError, OSError) as error:
                problems.append(problem(error))
        if problems and (on_error == "raise" or not good):
            advice = "; on_error='skip' leaves them out" if on_error == "raise" else ""
            raise DataFormatError(f"{_listed(problems)}{advice}")
        if problems:
            self.left_out["files that cannot be read"] += len(problems)
            self.problems = problems
        return images[: len(good)], good

    def warn(self) -> None:
        """Warn where something was left out."""
        if text := self.said():
            warnings.warn(text, stacklevel=3)

    def said(self) -> str:
        """Return how many were left out of each kind, and which classes have no images; nothing where none are."""
        said = []
        if self.left_out:
            said.append("left out " + ", ".join(f"{what} ({count})" for what, count in sorted(self.left_out.items())))
        if self.empty:
            said.append(f"no images of {', '.join(self.empty)}")
        if self.problems:
            said.append(_listed(self.problems))
        return f"{self.function}: {self.root}: {'; '.join(said)}" if said else ""


_HIDDEN_FOLDERS = "hidden folders or folders of the system"


def from_folder(
    folder: StrPath, size: tuple[int, int], *, grey: bool = False, classes: Sequence[str] | None = None,
    resize: str = "stretch", on_error: str = "raise", max_pixels: int = MAX_PIXELS,
) -> Split:
    """Read the image files in `folder`, which has a sub-folder for each class: uint8 images (N, height, width, 3 or 1).

    `size` is (height, width); `resize` says how an image of another size gets there: "stretch" changes its proportions,
    "crop" cuts off what is beyond them, "pad" adds black. `grey` gives one channel. Classes are the sub-folders' names in
    alphabetical order, or `classes` in their order, whose sub-folders may be empty or absent; images are in that order
    too. Hidden folders and files, those of the system, and other files than images are left out, and a warning counts
    them. `on_error` "skip" leaves out files that cannot be read as well, "raise" names them all. `max_pixels` is the largest
    image that is decoded. MissingExtraError: Pillow is not installed, the extra `image`. FileNotFoundError,
    DataFormatError: no such folder, no image in a class, or a file that is no image. ValueError: an invalid argument.
    """
    height, width = _size(size)
    reader = ImageReader("from_folder", (height, width, 1 if grey else 3), resize, max_pixels)
    one_of("from_folder", "on_error", on_error, ON_ERROR)
    if classes is not None and (isinstance(classes, str) or len(set(classes)) < len(classes) or not classes):
        raise ValueError(f"from_folder: classes is {classes!r}, expected a list of names, each once")
    place = ImageFolder("from_folder", folder)
    names = place.classes(classes)
    if not names:
        raise DataFormatError(f"from_folder: {place.root} has no sub-folders, expected one for each class with its images")
    found = [place.images(name) for name in names]
    _require_images(place, names, found, classes is not None)
    paths = [path for group in found for path in group]
    if (total := len(paths) * math.prod(reader.shape)) > _MOST_BYTES:
        raise ShapeError(f"from_folder: {len(paths)} images of size {size} are {total:,} bytes, expected at most "
                         f"{_MOST_BYTES:,}; give a smaller size")
    images, good = place.read(reader, paths, on_error)
    labels = np.repeat(np.arange(len(names)), [len(group) for group in found])
    place.warn()
    return Split(images, labels[good], names)


def _require_images(place: ImageFolder, names: list[str], found: list[list[Path]], may_be_empty: bool) -> None:
    """Raise DataFormatError where a class has no images, unless it was named; then all together need some."""
    empty = [name for name, group in zip(names, found, strict=True) if not group]
    if not empty:
        return
    if may_be_empty and len(empty) < len(names):
        place.empty = empty
        return
    where = place.root / empty[0] if not may_be_empty else place.root
    of_which = f" of the classes {', '.join(names)}" if may_be_empty else ""
    raise DataFormatError(f"from_folder: {where} has no image files{of_which}, expected some that end in "
                          f"{', '.join(sorted(ENDINGS))}"
                          + ("; classes=[...] allows a class without images" if not may_be_empty else ""))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _LITTER


def problem(error: Exception) -> str:
    """Return what is wrong with a file, in one line."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _listed(problems: list[str]) -> str:
    more = len(problems) - _NAMED
    first, *others = problems[:_NAMED]
    said = [first, *(text.removeprefix("from_folder: ") for text in others)]
    return "; ".join(said) + (f"; and {more} more" if more > 0 else "")


def _size(size: Any) -> tuple[int, int]:
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ShapeError(f"from_folder: size is {size!r}, expected (height, width)")
    return integer("from_folder", "size", size[0], 1), integer("from_folder", "size", size[1], 1)
