"""Arrays of ONNX files: checked against their sizes before anything is made of them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from ...data.reader import require_file
from ...shapes import DataFormatError
from .schema import Attribute, Entry, Tensor

LARGEST = 2 << 30  # bytes of a file, as of any protocol buffer, and of all its arrays together
_MOST_DIMENSIONS = 32  # numpy 1 knows no more
# Types of the enumeration TensorProto.DataType, and the field that holds such numbers where raw_data does not.
DTYPES: dict[int, tuple[str, str]] = {
    1: ("<f4", "float_data"), 2: ("u1", "int32_data"), 3: ("i1", "int32_data"), 4: ("<u2", "int32_data"),
    5: ("<i2", "int32_data"), 6: ("<i4", "int32_data"), 7: ("<i8", "int64_data"), 9: ("?", "int32_data"),
    10: ("<f2", "int32_data"), 11: ("<f8", "double_data"), 12: ("<u4", "uint64_data"), 13: ("<u8", "uint64_data"),
}
_CODES = {np.dtype(dtype): code for code, (dtype, _) in DTYPES.items()}
FLOAT32, UINT8, INT64 = 1, 2, 7


def tensor_of(name: str, array: np.ndarray) -> Tensor:
    """Return the message of an array."""
    array = np.asarray(array)
    return Tensor(dims=list(array.shape), data_type=_CODES[array.dtype], name=name,
                  raw_data=np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())


def dtype_of(code: int, where: str) -> np.dtype:
    """Return the element type of a code; DataFormatError: it is unknown here, such as text or 8-bit floats."""
    if code not in DTYPES:
        raise DataFormatError(f"{where} has element type {code}, expected a type of numpy's: {', '.join(map(str, DTYPES))}")
    return np.dtype(DTYPES[code][0])


class Loader:
    """Makes arrays of the tensors of one file, of no more than `LARGEST` bytes in all."""

    def __init__(self, folder: Path | None) -> None:
        """Take the folder of the file; None: there is none, and no other files to read from."""
        self._folder, self._left = folder, LARGEST

    def array(self, tensor: Tensor) -> np.ndarray:
        """Return an array (read-only, little-endian); DataFormatError: sizes do not fit, or it is where it must not be."""
        where = f"tensor {tensor.name!r}"
        dtype = dtype_of(tensor.data_type, where)
        if len(tensor.dims) > _MOST_DIMENSIONS or any(size < 0 for size in tensor.dims):
            raise DataFormatError(f"{where} has sizes {tensor.dims[:_MOST_DIMENSIONS]}, expected at most {_MOST_DIMENSIONS} "
                                  "of at least 0")
        count = math.prod(tensor.dims)
        size = count * dtype.itemsize
        self._left -= size
        if self._left < 0:
            raise DataFormatError(f"{where} makes the arrays larger than {LARGEST} bytes in all, expected less")
        if tensor.data_location == 1:
            content: Any = self._external(tensor, size, where)
        elif tensor.data_location:
            raise DataFormatError(f"{where} has data_location {tensor.data_location}, expected 0 or 1")
        elif tensor.raw_data is not None:
            content = tensor.raw_data
        else:
            return _typed(tensor, dtype, count, where)
        if len(content) != size:
            raise DataFormatError(f"{where} has {len(content)} bytes, expected {size} for {dtype} {tuple(tensor.dims)}")
        return np.frombuffer(content, dtype).reshape(tensor.dims)

    def _external(self, tensor: Tensor, size: int, where: str) -> bytes:
        """Return bytes of another file in the model's folder."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        offset, length = _natural(entries.get("offset", "0"), where), _natural(entries.get("length", str(size)), where)
        if length != size:
            raise DataFormatError(f"{where} has {length} bytes in another file, expected {size}")
        path = self._path(entries.get("location", ""), where)
        with path.open("rb") as file:
            there = os.fstat(file.fileno()).st_size
            if offset + size > there:
                raise DataFormatError(f"{where} lies at {offset} to {offset + size} of {path}, expected at most {there}")
            file.seek(offset)
            return file.read(size)

    def _path(self, location: str, where: str) -> Path:
        """Return the path of a file below the model's folder, also when all links are followed."""
        relative = Path(location)
        if self._folder is None or not location or relative.is_absolute() or relative.drive or ".." in relative.parts or (
                "\0" in location or "\\" in location):
            raise DataFormatError(f"{where} is in the file {location!r}, expected a path below the model's folder")
        path, folder = Path(os.path.realpath(self._folder / relative)), os.path.realpath(self._folder)
        if not path.is_relative_to(folder):
            raise DataFormatError(f"{where} is in the file {location!r}, a link out of the model's folder; expected a file "
                                  "inside it")
        require_file(path, lambda came, expected: DataFormatError(f"{where} is in {path}: {came}, expected {expected}"))
        if not path.exists():
            raise DataFormatError(f"{where} is in the file {location!r}, which is not there; expected it beside the model")
        return path


def _natural(text: str, where: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise DataFormatError(f"{where} has the number {text[:40]!r} for its place in another file, expected digits")
    return int(text)


def _typed(tensor: Tensor, dtype: np.dtype, count: int, where: str) -> np.ndarray:
    """Return an array from the field of its type."""
    parts: list[np.ndarray] = getattr(tensor, DTYPES[tensor.data_type][1])
    found = sum(map(len, parts))
    if found != count:
        raise DataFormatError(f"{where} has {found} numbers, expected {count} for sizes {tuple(tensor.dims)}")
    numbers = np.concatenate(parts) if parts else np.zeros(0, dtype)
    if dtype == np.float16:
        return numbers.astype(np.uint16).view(np.float16).reshape(tensor.dims)
    return numbers.astype(dtype, copy=False).reshape(tensor.dims)


def entry(key: str, value: str) -> Entry:
    """Return a line of metadata."""
    return Entry(key=key, value=value)


def attributes_of(node: Any, loader: Loader) -> dict[str, Any]:
    """Return the attributes of a node by name: numbers, texts, lists and arrays; DataFormatError: one is of another kind."""
    return {attribute.name: _value(attribute, loader) for attribute in node.attribute}


def _value(attribute: Attribute, loader: Loader) -> Any:
    if attribute.t is not None:
        return loader.array(attribute.t)
    if attribute.type in (6, 7, 8) or attribute.ints or attribute.floats or attribute.strings:
        return attribute.ints or attribute.floats or [str(value, "utf-8", "replace") for value in attribute.strings]
    for value in (attribute.i, attribute.f):
        if value is not None and attribute.type in (0, 1 if value is attribute.f else 2):
            return value
    if attribute.s is not None:
        return str(attribute.s, "utf-8", "replace")
    # A number that is 0 may have been left out.
    zero = {1: 0.0, 2: 0, 3: ""}.get(attribute.type)
    if zero is None:
        raise DataFormatError(f"attribute {attribute.name!r} is of type {attribute.type}, expected a number, text, array or "
                              "list")
    return zero
