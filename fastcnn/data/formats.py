"""Readers of idx and CIFAR binary files that do not trust what they read.

A file is read once, front to back. Magic number, sizes and what the file can hold at most are checked before
an array is allocated, labels before they leave; nothing is unpickled, nothing is extracted to disk. Whatever
is wrong with a file becomes a `DataFormatError` that names the file, what came, what was expected and what to
do.
"""

from __future__ import annotations

import math
import struct
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..shapes import DataFormatError
from .reader import CHUNK, Fault, Reader, is_packed, require_file

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

IDX_IMAGES = 2051  # two zero bytes, type 8 (uint8), 3 dimensions
IDX_LABELS = 2049  # the same with 1 dimension
CIFAR_PIXELS = 3 * 32 * 32
MAX_BYTES = 1 << 28  # unpacked size of one file; MNIST's largest is 47 MB

_IDX_KINDS = {IDX_IMAGES: "idx images", IDX_LABELS: "idx labels"}
_BLOCK = 512  # of a tar archive
_ARCHIVE_SLACK = 1 << 20  # headers, padding and the small text files of an archive
_REPLACE = "put the original file there, or remove this one to have it downloaded again"


def read_idx_images(
    path: Path, *, count: int | None = None, size: tuple[int, int] | None = None, max_bytes: int = MAX_BYTES
) -> Images:
    """Read idx images, gzipped or not, as uint8 (N, H, W, 1); raises DataFormatError.

    Where `count` and `size` (H, W) are given, the file must have that many images of that size.
    """
    with _open(path, max_bytes + 16) as reader:
        found = _idx_header(reader, IDX_IMAGES)
        if size is not None and found[1:] != size:
            raise _fault(path, f"images of {found[1]}x{found[2]} pixels", f"{size[0]}x{size[1]}")
        if count is not None and found[0] != count:
            raise _fault(path, f"{found[0]} images", f"{count}, as the label file says")
        images = np.empty((*found, 1), np.uint8)
        _fill_idx(reader, images)
    return images


def read_idx_labels(path: Path, num_classes: int, *, max_bytes: int = MAX_BYTES) -> Labels:
    """Read idx labels, gzipped or not, as int64 (N,), each below `num_classes`; raises DataFormatError."""
    with _open(path, max_bytes + 8) as reader:
        labels = np.empty(_idx_header(reader, IDX_LABELS), np.uint8)
        _fill_idx(reader, labels)
        _check_labels(reader.fault, labels, num_classes)
    return labels.astype(np.int64)


def read_cifar(paths: Sequence[Path], limits: tuple[int, ...], capacity: int) -> tuple[Images, Labels]:
    """Read CIFAR batch files in order as uint8 (N, 32, 32, 3) and int64 (N,).

    A record is one byte per entry of `limits` (how many values each label may take; the last label counts),
    then the red, green and blue plane. A file holds 1 to `capacity` records. Raises DataFormatError.
    """
    records = _Records([path.name for path in paths], limits, capacity)
    for path in paths:
        with _open(path, capacity * records.length, unpack=False) as reader:
            records.read(path.name, reader, path.stat().st_size, reader.fault)
    return records.result()


def read_cifar_archive(
    path: Path, folder: str, parts: Sequence[Sequence[str]], limits: tuple[int, ...], capacity: int
) -> list[tuple[Images, Labels]]:
    """Read CIFAR batch files out of the tar archive, gzipped or not: (images, labels) for each of `parts`.

    Only regular members named in `parts`, in `folder` or at the top, are read, into memory. Raises
    DataFormatError.
    """
    groups = [_Records(part, limits, capacity) for part in parts]
    owner = {name: group for group in groups for name in group.names}
    most = len(owner) * (capacity * groups[0].length + 2 * _BLOCK) + _ARCHIVE_SLACK
    with _open(path, most) as reader:
        for member in _tar_members(reader):
            name = member.name.removeprefix("./").removeprefix(f"{folder}/")
            if name in owner:
                if not member.isreg():
                    raise _fault(path, f"member {name} is a link or a device", "a regular file")
                owner[name].read(name, reader, member.size, partial(_member_fault, path, name))
            else:
                reader.skip(member.size)
            reader.skip(-member.size % _BLOCK)
    missing = [name for name, group in owner.items() if name not in group.counts]
    if missing:
        raise _fault(path, f"no member {', '.join(missing)}", f"{', '.join(owner)} in {folder}/")
    return [group.result() for group in groups]


class _Records:
    """The images and labels of one split, filled from its CIFAR batch files in whatever order they come."""

    def __init__(self, names: Sequence[str], limits: tuple[int, ...], capacity: int) -> None:
        self.names = list(names)
        self.limits = limits
        self.capacity = capacity
        self.length = len(limits) + CIFAR_PIXELS
        self.counts: dict[str, int] = {}
        # Only pages that are written take memory: room for full files costs nothing where they are short.
        self._images = np.empty((len(self.names) * capacity, 32, 32, 3), np.uint8)
        self._labels = np.empty(len(self._images), np.int64)

    def read(self, name: str, reader: Reader, size: int, fault: Fault) -> None:
        """Read the `size` bytes of one batch file into its place; what is wrong with them is a `fault`."""
        if name in self.counts:
            raise reader.fault(f"member {name} twice", "once")
        count = _cifar_count(fault, size, self.limits, self.capacity)
        start = self.names.index(name) * self.capacity
        for first in range(0, count, 500):  # in blocks, so that the planar copy stays small
            block = reader.take(min(500, count - first) * self.length, name)
            self._keep(np.frombuffer(block, np.uint8).reshape(-1, self.length), start + first, fault)
        self.counts[name] = count

    def _keep(self, data: Images, start: int, fault: Fault) -> None:
        """Take records (count, length) from number `start` on."""
        for column, limit in enumerate(self.limits):
            _check_labels(fault, data[:, column], limit)
        planes = data[:, len(self.limits) :].reshape(-1, 3, 32, 32)
        self._images[start : start + len(data)] = planes.transpose(0, 2, 3, 1)
        self._labels[start : start + len(data)] = data[:, len(self.limits) - 1]

    def result(self) -> tuple[Images, Labels]:
        """Give the records of all files, in the order of the names."""
        end = 0
        for index, name in enumerate(self.names):
            start, count = index * self.capacity, self.counts[name]
            if start != end:  # a file before this one was not full
                self._images[end : end + count] = self._images[start : start + count]
                self._labels[end : end + count] = self._labels[start : start + count]
            end += count
        return self._images[:end], self._labels[:end]


@contextmanager
def _open(path: Path, most: int, *, unpack: bool = True) -> Iterator[Reader]:
    fault = partial(_fault, path)
    require_file(path, fault)
    with open(path, "rb") as file:
        yield Reader(file, most, fault, packed=unpack and is_packed(file))


def _idx_header(reader: Reader, magic: int) -> tuple[int, ...]:
    """Read magic number and dimensions: each at least 1, and the file can hold that many bytes."""
    start = reader.take(4, "the magic number")
    expected = struct.pack(">I", magic)
    if start != expected:
        kinds = {struct.pack(">I", number): name for number, name in _IDX_KINDS.items()}
        came = f"it starts with {start!r} ({kinds.get(start, 'not an idx file of bytes')})"
        raise reader.fault(came, f"{expected!r} ({kinds[expected]}, magic number {magic})")
    rank = magic & 0xFF
    dimensions: tuple[int, ...] = struct.unpack(f">{rank}I", reader.take(4 * rank, "the header"))
    if min(dimensions) < 1:
        raise reader.fault(f"dimensions {dimensions}", "each at least 1")
    promised, most = math.prod(dimensions), min(reader.capacity, reader.most) - reader.given
    if promised > most:
        came = f"the header promises {promised} bytes (dimensions {dimensions})"
        raise reader.fault(came, f"at most {most} in this file")
    return dimensions


def _fill_idx(reader: Reader, array: Images) -> None:
    flat, end = array.reshape(-1), 0
    for data in reader.chunks(array.size, "the data"):
        flat[end : end + len(data)] = np.frombuffer(data, np.uint8)
        end += len(data)
    reader.expect_end()


def _check_labels(fault: Fault, labels: Images, num_classes: int) -> None:
    largest = int(labels.max())
    if largest >= num_classes:
        first = int(np.argmax(labels >= num_classes))
        raise fault(f"label {int(labels[first])} (largest {largest})", f"0 to {num_classes - 1}")


def _cifar_count(fault: Fault, size: int, limits: tuple[int, ...], capacity: int) -> int:
    length = len(limits) + CIFAR_PIXELS
    if size < length or size % length or size > capacity * length:
        raise fault(f"{size} bytes", f"1 to {capacity} records of {length} bytes")
    return size // length


def _tar_members(reader: Reader) -> Iterator[tarfile.TarInfo]:
    """Give the header of each member in turn; the consumer reads or skips the member's blocks.

    Only the fixed 512-byte headers are believed: the extended headers, which `tarfile` would read into memory
    at whatever length they claim, are passed over like any other member.
    """
    while any(block := reader.take(_BLOCK, "a tar header")):
        try:
            member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise reader.fault(f"not a tar header ({error})", "a tar archive") from None
        if member.size < 0:
            raise reader.fault(f"a member of {member.size} bytes", "a tar archive")
        yield member
    while data := reader.piece(CHUNK):
        if data.strip(b"\0"):
            raise reader.fault("more data after the end of the archive", "zeros or nothing")


def _fault(path: Path, came: str, expected: str) -> DataFormatError:
    return DataFormatError(f"{path}: {came}; expected {expected}; {_REPLACE}")


def _member_fault(path: Path, name: str, came: str, expected: str) -> DataFormatError:
    return _fault(path, f"{name}: {came}", expected)
