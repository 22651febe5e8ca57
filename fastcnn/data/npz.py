"""Arrays in .npz files: every size is checked before an array is allocated, and nothing is unpickled.

numpy's own reader allocates what a header promises, so the headers are parsed here, and only plain arrays are read.
"""

from __future__ import annotations

import io
import math
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..shapes import DataFormatError, DTypeError
from .dataset import Split
from .own import from_arrays
from .reader import CHUNK, GZIP_RATIO, require_file
from .sources import StrPath

_IMAGES, _LABELS = ("images", "x", "data"), ("labels", "label", "y", "target", "targets")
PARTS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
_MOST_BYTES = 1 << 31  # of an array that was packed; one that was not is no larger than the file
_MOST_DIRECTORY = 1 << 20  # bytes that the zip module reads at once
_LONGEST_HEADER = 1 << 16
_ITEM = r"'(descr|fortran_order|shape)':('[^']*'|True|False|\([0-9,]*\))"
_HEADER = re.compile(rf"\{{{_ITEM},{_ITEM},{_ITEM},?\}}")
_DTYPE = re.compile(r"'([<>|=]?[biufU][0-9]{1,6})'")


class NpzFile:
    """The arrays of one file, by name."""

    def __init__(self, function: str, path: StrPath) -> None:
        """Read the names; DataFormatError: it is no such file, OSError: it cannot be opened."""
        self.function, self.path = function, Path(path)
        require_file(self.path, self._fault)
        try:
            self._zip = zipfile.ZipFile(_Bounded(path))
            self._members = {info.filename.removesuffix(".npy"): info for info in self._zip.infolist()}
        except _BROKEN as error:
            raise self._fault(f"no sound .npz file ({error})", "one that numpy.savez wrote") from None

    def find(self, kinds: Sequence[str], part: str = "") -> str | None:
        """Return the name of the array that is called one of `kinds`, with the name of the part before or after it."""
        prefixes = PARTS.get(part, (part,) if part else ("",))
        wanted = {name for kind in kinds for prefix in prefixes for name in (f"{prefix}_{kind}", f"{kind}_{prefix}")}
        wanted = {name.strip("_") for name in wanted}
        return next((name for name in self._members if name.lower() in wanted), None)

    def parts(self) -> list[str]:
        """Return which of train, validation and test have images."""
        return [part for part in PARTS if self.find(_IMAGES, part)]

    def array(self, name: str) -> NDArray[Any]:
        """Return one array; DataFormatError: it is damaged, or none of numbers or text."""
        if name not in self._members:
            raise self._fault(f"no array {name!r}", f"one of {', '.join(sorted(self._members)[:9])}")
        info = self._members[name]
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._fault(f"{name} is encrypted or packed by another method", "one that numpy.savez wrote")
        packs = info.compress_type == zipfile.ZIP_DEFLATED
        largest = min(info.compress_size, self.path.stat().st_size) * (GZIP_RATIO if packs else 1)
        if info.file_size > largest:
            raise self._fault(f"{name} has {info.file_size} bytes", "no more than the file can hold")
        if packs and info.file_size > _MOST_BYTES:
            raise self._fault(f"{name} has {info.file_size} bytes", f"at most {_MOST_BYTES}; save it with numpy.savez")
        try:
            with self._zip.open(info) as member:
                return self._read(name, member, info.file_size)
        except DataFormatError:
            raise
        except _BROKEN as error:
            raise self._fault(f"{name} is damaged ({error})", "another copy") from None

    def _read(self, name: str, member: Any, size: int) -> NDArray[Any]:
        start = member.read(8)
        length = {b"\1": "<H", b"\2": "<I", b"\3": "<I"}.get(start[6:7])
        if not start.startswith(b"\x93NUMPY") or length is None:
            raise self._fault(f"{name} starts with {start!r}", "an array in numpy's format")
        count, = struct.unpack(length, member.read(struct.calcsize(length)))
        if count > _LONGEST_HEADER:
            raise self._fault(f"{name} has a header of {count} bytes", f"at most {_LONGEST_HEADER}")
        dtype, is_fortran, shape = self._header(name, member.read(count).decode("latin-1"))
        promised = math.prod(shape) * dtype.itemsize
        if promised != size - 8 - struct.calcsize(length) - count:
            raise self._fault(f"{name} promises {promised} bytes (shape {shape}, {dtype})", "as many as it has")
        array: NDArray[Any] = np.empty(shape[::-1] if is_fortran else shape, dtype)
        flat, end = array.reshape(-1).view(np.uint8), 0
        while piece := member.read(CHUNK):
            flat[end : end + len(piece)] = np.frombuffer(piece, np.uint8)
            end += len(piece)
        if end < promised:
            raise EOFError(f"{end} of {promised} bytes")
        if dtype.kind == "U" and array.reshape(-1).view(dtype.byteorder + "u4").max() > sys.maxunicode:
            raise ValueError("it holds numbers that are no characters")
        return array.T if is_fortran else array

    def _header(self, name: str, text: str) -> tuple[np.dtype[Any], bool, tuple[int, ...]]:
        """Return element type, whether columns come first, and shape; the text is matched, not evaluated."""
        dense = "".join(text.split())
        items = dict(re.findall(_ITEM, dense)) if _HEADER.fullmatch(dense) else {}
        dtype = _DTYPE.fullmatch(items.get("descr", ""))
        sizes = items.get("shape", "")[1:-1].split(",")
        if dtype is None or len(items) != 3 or items["fortran_order"] not in ("True", "False"):
            raise self._fault(f"{name} has the header {text[:99]!r}", "that of an array of numbers or text")
        shape = tuple(int(size) for size in sizes if size)
        if len(shape) > 8 or not math.prod(shape) * np.dtype(dtype[1]).itemsize:
            raise self._fault(f"{name} has shape {shape} and type {dtype[1]}", "at least one element")
        return np.dtype(dtype[1]), items["fortran_order"] == "True", shape

    def _fault(self, came: str, expected: str) -> DataFormatError:
        return DataFormatError(f"{self.function}: {self.path}: {came}; expected {expected}")


class _Bounded(io.FileIO):
    """A file of which the zip module reads no directory of any length into memory, and nothing before the first byte."""

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and offset < 0:
            raise zipfile.BadZipFile(f"an offset of {offset} bytes")
        return super().seek(offset, whence)

    def read(self, size: int | None = None) -> bytes:
        if size is not None and size > _MOST_DIRECTORY:
            raise zipfile.BadZipFile(f"{size} bytes at once")
        return super().read(size)


_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, UnicodeDecodeError, ValueError,
           OverflowError, IndexError, TypeError, RuntimeError)


@overload
def from_npz(path: StrPath, *, part: str = "", label: None, classes: Sequence[str] | None = None) -> NDArray[Any]: ...
@overload
def from_npz(path: StrPath, *, part: str = "", label: str = "auto", classes: Sequence[str] | None = None) -> Split: ...


def from_npz(path: StrPath, *, part: str = "", label: str | None = "auto", classes: Sequence[str] | None = None
             ) -> Split | NDArray[Any]:
    """Read images (N, H, W, C) or (N, H, W) and labels from a file that numpy.savez wrote.

    The arrays are called images (or x, data) and labels (or y, target), with `part` such as train before or after that:
    x_train, test_labels. `label` is another name of the array of labels; None returns the images alone. Labels are numbers
    from 0 or names, as in `from_arrays`; `classes` are those of the array of this name where not given. FileNotFoundError,
    DataFormatError: no such file or array, or a damaged one; ShapeError, DTypeError: the arrays do not fit.
    """
    if not isinstance(part, str):
        raise DTypeError(f"from_npz: part is {part!r}, expected a name such as train")
    file = NpzFile("from_npz", path)
    of_part = f"{part}_" if part else ""
    images = file.array(file.find(_IMAGES, part) or f"{of_part}images")
    if images.ndim == 3:
        images = images[..., None]
    if label is None:
        return images
    labels = file.array((file.find(_LABELS, part) if label == "auto" else label) or f"{of_part}labels")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    named = file.find(("classes", "class_names"))
    if classes is None and named is not None:
        classes = [str(name) for name in file.array(named).reshape(-1)]
    return from_arrays(images, labels, classes)
