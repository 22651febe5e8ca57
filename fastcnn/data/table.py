"""Tables of text with an image in each line."""

from __future__ import annotations

import csv
import io
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from ..shapes import DataFormatError, ShapeError, integer
from .dataset import MAX_CLASSES, Split
from .own import numbered
from .reader import Fault, Reader, is_packed
from .sources import StrPath

_COUNTED = 8  # numbers in a row that no image is made of
_LABELS = ("label", "labels", "class", "target", "y")  # what the column of labels is usually called
_BLOCK = 1 << 16  # characters that are read at once
_MOST_IN_CELL = 64  # characters, on the average of a line
_LONGEST_CELL = 1 << 16
_USUAL_COUNT = 1 << 14  # pixels of the images of a table that nobody has counted
_MOST_EMPTY = 100_000  # lines
_SLACK, _MOST_RATIO = 1 << 20, 64  # unpacked bytes of a gzipped table: a little, and so many times its size
_PLAIN = b"0123456789, \t\r\n"
_NUMERAL = re.compile(r"(\d{1,9})(\.0*)?")


@overload
def from_csv(path: StrPath, shape: tuple[int, ...] | None = None, *, label: None,
             classes: Sequence[str] | None = None) -> NDArray[np.uint8]: ...
@overload
def from_csv(path: StrPath, shape: tuple[int, ...] | None = None, *, label: int | str = "auto",
             classes: Sequence[str] | None = None) -> Split: ...


def from_csv(path: StrPath, shape: tuple[int, ...] | None = None, *, label: int | str | None = "auto",
             classes: Sequence[str] | None = None) -> Split | NDArray[np.uint8]:
    """Read a table with an image in each line, its pixels from 0 to 255 and a label: uint8 images of `shape` (H, W, C).

    Without a shape they are square, in grey or colour as the number of pixels says.
    `label` is the column of the label, its number (-1 for the last) or its name in the first line; "auto" is the one that
    the first line calls label, class, target or y, else the first. None: the table has no labels, and the images alone are
    returned, as an array for `predict`. A first line of names is found by itself; the file may be gzipped. Labels are
    integers from 0, or names as in `from_arrays`; numbers such as 1.0 are integers, others are names in the order of
    numbers. FileNotFoundError: there is no such file; DataFormatError: a line is not such an image.
    """
    if shape is not None and (not isinstance(shape, (tuple, list)) or len(shape) not in (2, 3)):
        raise ShapeError(f"from_csv: shape is {shape!r}, expected (H, W) or (H, W, C)")
    sizes = None if shape is None else tuple(integer("from_csv", "shape", size, 1) for size in shape)
    if label is not None and not isinstance(label, str):
        label = integer("from_csv", "label", label, -1)
    table = _Table(path, sizes, label)
    table.read()
    if not table.pixels:
        raise DataFormatError(f"from_csv: {path} has no images, expected a line for each")
    sizes = table.sizes
    images = np.frombuffer(table.pixels, np.uint8).reshape(-1, *(sizes if len(sizes) == 3 else (*sizes, 1)))
    if label is None:
        return images
    names = list(table.names)
    return Split(images, *_labelled(names, np.frombuffer(table.labels, np.int64), classes))


class _Line(NamedTuple):
    number: int
    cells: list[str]


class _Table:
    """Reads the lines of one file: in blocks by numpy where they are plain numbers, else by the csv module."""

    def __init__(self, path: StrPath, sizes: tuple[int, ...] | None, label: int | str | None) -> None:
        self.path, self.sizes, self.label = path, sizes or (), label
        self.count = math.prod(sizes) if sizes else _USUAL_COUNT
        self.column: int | None = None
        self.pixels = bytearray()
        self.labels = array("q")
        self.names: dict[str, int] = {}
        self.empty = 0

    def read(self) -> None:
        """Read the whole file."""
        try:
            with open(self.path, "rb") as file:
                text = io.TextIOWrapper(io.BufferedReader(self._reader(file)), "utf-8-sig", newline="")
                self._read_lines(_Blocks(text, self._fault, self.count))
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataFormatError(f"from_csv: {self.path} is no table of text ({error}); expected values between commas"
                                  ) from None

    def _reader(self, file: io.BufferedReader) -> Reader:
        packed = is_packed(file)
        most = _SLACK + _MOST_RATIO * Path(self.path).stat().st_size if packed else math.inf
        return Reader(file, most, self._fault, packed=packed)

    def _read_lines(self, blocks: _Blocks) -> None:
        first: list[_Line] = []
        while len(first) < 2 and (block := blocks.take(1))[1]:
            first += self._lines(*block)
        if not first:
            return
        self.column, is_head = self._place(*first[:2])
        if not self.sizes:
            self.sizes = self._square(len(first[0].cells) - (self.column is not None))
        self.count = math.prod(self.sizes)
        for line in first[is_head:]:
            self._keep(line)
        while (block := blocks.take(_BLOCK))[1]:
            if not self._keep_plain(block[1]):
                for line in self._lines(*block):
                    self._keep(line)

    def _lines(self, number: int, texts: list[str]) -> Iterator[_Line]:
        """Give the lines that are not empty; `number` counts those before."""
        reader = csv.reader(texts, strict=True)
        for cells in reader:
            if any(cells):
                yield _Line(number + reader.line_num, cells)
            else:
                self.empty += 1
                if self.empty > _MOST_EMPTY:
                    raise self._fault(f"more than {_MOST_EMPTY:,} empty lines", "lines with images")

    def _place(self, first: _Line, second: _Line | None = None) -> tuple[int | None, bool]:
        """Return the column of the label, and whether the first line has names of columns."""
        cells, label = [cell.strip() for cell in first.cells], self.label
        if isinstance(label, str) and label != "auto":
            if label not in cells:
                raise DataFormatError(f"from_csv: {self.path} has no column {label!r} in its first line, expected one of "
                                      f"{', '.join(cells[:5])}, ...")
            return cells.index(label), True
        column = label if isinstance(label, int) else None if label is None else 0
        if column is not None and column >= len(cells):
            raise DataFormatError(f"from_csv: {self.path}, line {first.number} has {len(cells)} values, expected a label in "
                                  f"column {column}")
        if not _is_head(cells, column, second and second.cells):
            return column, False
        if label == "auto":
            column = next((cells.index(name) for name in cells if name.lower() in _LABELS), column)
        return column, True

    def _keep_plain(self, texts: list[str]) -> bool:
        """Keep lines of plain numbers beside any labels; False where there are others, of which none is kept."""
        labels: list[str] = []
        if self.column is not None:
            labels, texts = _without_labels(texts, self.column)
            labels = [_unquoted(label) for label in labels]
        others = "".join(texts).encode("utf-8", "replace").translate(None, _PLAIN)
        if others or not all(labels) or not all(map(str.strip, texts)):
            return False
        try:
            pixels = np.loadtxt(texts, np.uint8, comments=None, delimiter=",", ndmin=2)
        except ValueError:
            return False
        if pixels.shape != (len(texts), self.count):
            return False
        self._label(labels)
        self.pixels += pixels.tobytes()
        return True

    def _keep(self, line: _Line) -> None:
        """Keep one line, or say what is wrong with it."""
        number, cells = line
        if len(cells) != self.count + (self.column is not None):
            raise self._wrong_row(number, len(cells))
        if self.column is not None:
            name = cells.pop(self.column).strip()
            if not name:
                raise DataFormatError(f"from_csv: {self.path}, line {number} has no label in column {self.column}, expected "
                                      "one")
            self._label([name])
        try:
            self.pixels += bytes(map(int, cells))
        except ValueError:
            self.pixels += self._rounded(number, cells)

    def _label(self, names: list[str]) -> None:
        known = self.names
        self.labels.extend([known.setdefault(name, len(known)) for name in names])
        if len(known) > MAX_CLASSES:
            raise self._fault(f"more than {MAX_CLASSES:,} different labels", "a label in each line")

    def _square(self, count: int) -> tuple[int, ...]:
        """Return the shape of a square image of so many values, of which each pixel has one or three."""
        for channels in (1, 3):
            size = math.isqrt(count // channels)
            if size and size * size * channels == count:
                return size, size, channels
        raise DataFormatError(f"from_csv: {self.path} has {count} pixels in its first line, which make no square image, "
                              "expected a shape (H, W) or (H, W, C) for others")

    def _wrong_row(self, number: int, came: int) -> DataFormatError:
        expected = f"{self.count} pixels" if self.label is None else f"{self.count + 1}: a label and {self.count} pixels"
        hint = "; label=None reads a table without labels" if came == self.count and self.label is not None else ""
        return DataFormatError(f"from_csv: {self.path}, line {number} has {came} values, expected {expected}{hint}")

    def _rounded(self, number: int, cells: list[str]) -> bytes:
        """Return pixels that are written as floats."""
        try:
            values = np.array([float(cell) for cell in cells])
        except ValueError as error:
            raise DataFormatError(f"from_csv: {self.path}, line {number}: {error}; expected pixels from 0 to 255") from None
        fits = (values >= 0) & (values <= 255) & (values == np.round(values))
        if not fits.all():
            raise DataFormatError(f"from_csv: {self.path}, line {number} has pixel {values[~fits][0]:g}, expected whole "
                                  "numbers from 0 to 255")
        return values.astype(np.uint8).tobytes()

    def _fault(self, came: str, expected: str) -> DataFormatError:
        return DataFormatError(f"from_csv: {self.path}: {came}; expected {expected}")


class _Blocks:
    """Gives the lines of a file in blocks; none ends within quotes, and no line is longer than a table's can be."""

    def __init__(self, text: io.TextIOWrapper, fault: Fault, count: int) -> None:
        self.text, self.fault = text, fault
        self.longest = _LONGEST_CELL + _MOST_IN_CELL * count
        self.number = 0

    def take(self, size: int) -> tuple[int, list[str]]:
        """Return how many lines were before, and lines of `size` characters or a little more, none at the end."""
        before, lines, quotes, taken = self.number, [], 0, 0
        while taken < size or quotes % 2:
            line = self.text.readline(self.longest)
            if not line:
                break
            if len(line) == self.longest:
                raise self.fault(f"line {self.number + 1} has more than {self.longest:,} characters", "a shorter line")
            quotes += line.count('"')
            taken += len(line)
            self.number += 1
            lines.append(line)
        return before, lines


def _without_labels(texts: list[str], column: int) -> tuple[list[str], list[str]]:
    """Return what is in the column, and the lines without it; cells are in no quotes."""
    if column == 0:
        parts = [text.partition(",") for text in texts]
        return [label.strip() for label, _, _ in parts], [rest for _, _, rest in parts]
    if column == -1:
        parts = [text.rpartition(",") for text in texts]
        return [label.strip() for _, _, label in parts], [rest for rest, _, _ in parts]
    rows = [text.split(",") for text in texts]
    return [row.pop(column).strip() if column < len(row) else "" for row in rows], [",".join(row) for row in rows]


def _unquoted(label: str) -> str:
    """Return what stands in quotes, nothing where these are not simply around it, and a label without quotes as it is."""
    if '"' not in label:
        return label
    inner = label[1:-1].strip()
    return "" if '"' in inner or label != f'"{label[1:-1]}"' else inner


def _is_head(cells: list[str], column: int | None, following: list[str] | None) -> bool:
    """Whether a first line has names where pixels should be, or numbers that count columns, as pandas writes them."""
    place = None if column is None else column % len(cells)
    others = [cell for index, cell in enumerate(cells) if index != place]
    if not others or not any(map(_is_number, others)):
        return bool(others)
    if place is None or not any(_counts(others, first) for first in (0, 1)):
        return _counts(cells)
    if int(others[-1]) > 255 or _counts(cells):  # more than a pixel can be, or the label counts along
        return True
    # An image can be a ramp: then its label is one of the labels.
    name = cells[place]
    labels_are_numbers = following is not None and place < len(following) and _is_number(following[place])
    return not _is_number(name) and (labels_are_numbers or name.lower() in _LABELS)


def _counts(cells: list[str], first: int = 0) -> bool:
    return len(cells) > _COUNTED and cells == [str(number) for number in range(first, first + len(cells))]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_finite(text: str) -> bool:
    return _is_number(text) and math.isfinite(float(text))


def _labelled(names: list[str], numbers: NDArray[np.int64], classes: Sequence[str] | None
              ) -> tuple[NDArray[np.int64], Sequence[str] | None]:
    """Return the label of each image, and the classes; `numbers` count the names."""
    matches = [_NUMERAL.fullmatch(name) for name in names]
    if all(matches):
        names = [str(int(match[1])) for match in matches if match]
        if classes is None or not set(names) & set(map(str, classes)):
            return np.array(names, np.int64)[numbers], classes
    if classes is None and all(map(_is_finite, names)):
        classes = sorted(set(names), key=float)
    labels, known = numbered("from_csv", names, classes)
    return labels[numbers], known
