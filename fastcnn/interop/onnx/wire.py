"""The wire format of protocol buffers: numbered fields, each a number or a length and so many bytes.

A message is a dataclass whose fields are made by `one` and `many`; `decoded` and `encoded` go between messages and bytes.
Fields with other numbers are skipped, as the format wants it. The reader checks every length before it takes anything, and
counts fields, so that a file of few bytes never becomes many objects.

Reference: protobuf.dev, "Encoding".
"""

from __future__ import annotations

import dataclasses
import functools
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from ...shapes import DataFormatError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types; 3 and 4, groups, are no longer in use
_MOST_FIELDS = 1 << 20
_LONGEST = 10  # bytes of a varint of 64 bits

INT, FLOAT, TEXT, BYTES = "int", "float", "text", "bytes"
# Numbers as a list of arrays: those of a tensor may be millions.
INTS, FLOATS, DOUBLES = "ints", "floats", "doubles"
_WIRE = {INT: _VARINT, FLOAT: _FIXED32, TEXT: _BYTES, BYTES: _BYTES, INTS: _VARINT, FLOATS: _FIXED32, DOUBLES: _FIXED64}
_ARRAYS = {FLOAT: "<f4", FLOATS: "<f4", DOUBLES: "<f8"}

Message = TypeVar("Message")
Kind = Any  # one of the words above, or the class of a message


class Field(NamedTuple):
    """A field of a message: its name, what it holds, and whether that is a list."""

    name: str
    kind: Kind
    many: bool


def one(number: int, kind: Kind, default: Any = None) -> Any:
    """Make a field of a message that holds one value."""
    return dataclasses.field(default=default, metadata={"number": number, "kind": kind, "many": False})


def many(number: int, kind: Kind) -> Any:
    """Make a field of a message that holds a list of values."""
    return dataclasses.field(default_factory=list, metadata={"number": number, "kind": kind, "many": True})


@functools.cache
def _fields(message: Kind) -> dict[int, Field]:
    return {field.metadata["number"]: Field(field.name, field.metadata["kind"], field.metadata["many"])
            for field in dataclasses.fields(message)}


def decoded(message: type[Message], data: bytes) -> Message:
    """Return a message from its bytes; DataFormatError: they are damaged, or have more than a million fields."""
    return _Decoder().message(message, memoryview(data))


class _Decoder:
    """Reads one file."""

    def __init__(self) -> None:
        self._left = _MOST_FIELDS

    def message(self, kind: type[Message], data: memoryview) -> Message:
        """Return a message of that kind."""
        made, fields = kind(), _fields(cast("Kind", kind))
        for number, wire, value in self._parts(data):
            if (field := fields.get(number)) is not None:
                self._put(made, field, wire, value)
        return made

    def _parts(self, data: memoryview) -> Iterator[tuple[int, int, Any]]:
        """Give number, wire type and value of each field."""
        position = 0
        while position < len(data):
            self._left -= 1
            if self._left < 0:
                raise DataFormatError(f"has more than {_MOST_FIELDS} fields, expected fewer")
            tag, position = _varint(data, position)
            wire, size = tag & 7, 0
            if wire == _VARINT:
                value, position = _varint(data, position)
                yield tag >> 3, wire, value
                continue
            if wire == _BYTES:
                size, position = _varint(data, position)
            elif wire in (_FIXED32, _FIXED64):
                size = 4 if wire == _FIXED32 else 8
            else:
                raise DataFormatError(f"has a field of wire type {wire} at byte {position}, expected 0, 1, 2 or 5")
            if size > len(data) - position:
                raise DataFormatError(f"ends inside a field: {size} bytes are announced, {len(data) - position} are there")
            yield tag >> 3, wire, data[position : position + size]
            position += size

    def _put(self, made: Any, field: Field, wire: int, value: Any) -> None:
        """Set a field, or add to a list."""
        packed = wire == _BYTES and field.many and _WIRE.get(field.kind) in (_VARINT, _FIXED32, _FIXED64)
        if not packed and wire != _WIRE.get(field.kind, _BYTES):
            raise DataFormatError(f"has wire type {wire} in field {field.name!r}, expected {_WIRE.get(field.kind, _BYTES)}")
        if packed:
            array = _numbers(field, value)
            getattr(made, field.name).extend([array] if field.kind in (INTS, FLOATS, DOUBLES) else array.tolist())
        elif field.many:
            getattr(made, field.name).append(self._single(field, value))
        else:
            setattr(made, field.name, self._single(field, value))

    def _single(self, field: Field, value: Any) -> Any:
        if isinstance(field.kind, type):
            return self.message(field.kind, value)
        if field.kind == TEXT:
            try:
                return str(value, "utf-8")
            except UnicodeDecodeError:
                raise DataFormatError(f"has a field {field.name!r} that is no UTF-8 text") from None
        if field.kind == BYTES:
            return value  # part of the file, not copied: it may be large
        if field.kind == INT:
            return _signed(value)
        array = np.array([_signed(value)]) if field.kind == INTS else np.frombuffer(value, _ARRAYS[field.kind])
        return float(array[0]) if field.kind == FLOAT else array


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """Return an unsigned number of 64 bits and where it ends: seven bits in a byte, the lowest ones first."""
    number = 0
    for index in range(_LONGEST):
        if position + index >= len(data):
            raise DataFormatError("ends inside a number")
        byte = data[position + index]
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number & (1 << 64) - 1, position + index + 1
    raise DataFormatError(f"has a number of more than {_LONGEST} bytes at byte {position}")


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _numbers(field: Field, data: memoryview) -> np.ndarray:
    """Return packed numbers, which follow each other without tags."""
    if field.kind in _ARRAYS:
        dtype = np.dtype(_ARRAYS[field.kind])
        if len(data) % dtype.itemsize:
            raise DataFormatError(f"has {len(data)} bytes in field {field.name!r}, expected a multiple of {dtype.itemsize}")
        return np.frombuffer(data, dtype)
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    if len(raw) and (not len(ends) or ends[-1] != len(raw) - 1):
        raise DataFormatError(f"ends inside a number of field {field.name!r}")
    starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
    lengths = ends - starts + 1
    if len(ends) and lengths.max() > _LONGEST:
        raise DataFormatError(f"has a number of more than {_LONGEST} bytes in field {field.name!r}")
    numbers = np.zeros(len(ends), np.uint64)
    for index in range(int(lengths.max(initial=0))):
        longer = lengths > index
        numbers[longer] |= (raw[starts[longer] + index] & 0x7F).astype(np.uint64) << np.uint64(7 * index)
    return numbers.view(np.int64)


def encoded(message: Any) -> bytes:
    """Return the bytes of a message; fields that are None or empty lists are left out."""
    parts: list[bytes] = []
    for number, field in _fields(cast("Kind", type(message))).items():
        value = getattr(message, field.name)
        if field.many and field.kind in (INT, FLOAT) and value:
            content = b"".join(map(_PLAIN[field.kind], value))
            parts += [_tag(number, _BYTES), _length(content), content]
            continue
        for each in value if field.many else [] if value is None else [value]:
            parts += [_tag(number, _WIRE.get(field.kind, _BYTES)), *_content(field.kind, each)]
    return b"".join(parts)


def _content(kind: Kind, value: Any) -> tuple[bytes, ...]:
    if kind in _PLAIN:
        return (_PLAIN[kind](value),)
    content = value if kind == BYTES else value.encode() if kind == TEXT else encoded(value)
    return _length(content), content


def _tag(number: int, wire: int) -> bytes:
    return _as_varint(number << 3 | wire)


def _length(content: bytes) -> bytes:
    return _as_varint(len(content))


def _as_varint(number: int) -> bytes:
    """Return the bytes of a number, a negative one as 64 bits in two's complement."""
    number &= (1 << 64) - 1
    content = bytearray()
    while number > 0x7F:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    content.append(number)
    return bytes(content)


_PLAIN: dict[Kind, Callable[[Any], bytes]] = {INT: _as_varint, FLOAT: struct.Struct("<f").pack}
