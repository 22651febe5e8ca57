"""The messages of an ONNX file that fastcnn reads and writes, with the field numbers of onnx.proto (IR version 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .wire import BYTES, DOUBLES, FLOAT, FLOATS, INT, INTS, TEXT, many, one


@dataclass
class Entry:
    """A name and a text."""

    key: str = one(1, TEXT, "")
    value: str = one(2, TEXT, "")


@dataclass
class Tensor:
    """An array: its numbers are in `raw_data`, in the field of its type, or in another file."""

    dims: list[int] = many(1, INT)
    data_type: int = one(2, INT, 0)
    float_data: list[Any] = many(4, FLOATS)
    int32_data: list[Any] = many(5, INTS)
    int64_data: list[Any] = many(7, INTS)
    name: str = one(8, TEXT, "")
    raw_data: bytes | memoryview | None = one(9, BYTES)
    double_data: list[Any] = many(10, DOUBLES)
    uint64_data: list[Any] = many(11, INTS)
    external_data: list[Entry] = many(13, Entry)
    data_location: int = one(14, INT, 0)  # 1: in another file


@dataclass
class Attribute:
    """A constant of a node, in the field of its type."""

    name: str = one(1, TEXT, "")
    f: float | None = one(2, FLOAT)
    i: int | None = one(3, INT)
    s: bytes | memoryview | None = one(4, BYTES)
    t: Tensor | None = one(5, Tensor)
    floats: list[float] = many(7, FLOAT)
    ints: list[int] = many(8, INT)
    strings: list[bytes | memoryview] = many(9, BYTES)
    type: int = one(20, INT, 0)


FLOAT_ATTRIBUTE, INT_ATTRIBUTE, STRING_ATTRIBUTE, TENSOR_ATTRIBUTE = 1, 2, 3, 4
FLOATS_ATTRIBUTE, INTS_ATTRIBUTE, STRINGS_ATTRIBUTE = 6, 7, 8


@dataclass
class Node:
    """One operator: names of the values that it takes and of those that it makes."""

    input: list[str] = many(1, TEXT)
    output: list[str] = many(2, TEXT)
    name: str = one(3, TEXT, "")
    op_type: str = one(4, TEXT, "")
    attribute: list[Attribute] = many(5, Attribute)
    domain: str = one(7, TEXT, "")


@dataclass
class Dimension:
    """A size, or the name of one that is free."""

    dim_value: int | None = one(1, INT)
    dim_param: str | None = one(2, TEXT)


@dataclass
class Shape:
    """Sizes of a value."""

    dim: list[Dimension] = many(1, Dimension)


@dataclass
class TensorType:
    """Element type and shape of a value."""

    elem_type: int = one(1, INT, 0)
    shape: Shape | None = one(2, Shape)


@dataclass
class Type:
    """Type of a value, where it is an array."""

    tensor_type: TensorType | None = one(1, TensorType)


@dataclass
class ValueInfo:
    """Name and type of an input or output."""

    name: str = one(1, TEXT, "")
    type: Type | None = one(2, Type)


@dataclass
class Graph:
    """Nodes in an order in which they can run."""

    node: list[Node] = many(1, Node)
    name: str = one(2, TEXT, "")
    initializer: list[Tensor] = many(5, Tensor)
    input: list[ValueInfo] = many(11, ValueInfo)
    output: list[ValueInfo] = many(12, ValueInfo)


@dataclass
class OperatorSet:
    """Version of the operators of a domain."""

    domain: str = one(1, TEXT, "")
    version: int = one(2, INT, 0)


@dataclass
class Model:
    """A file."""

    ir_version: int = one(1, INT, 0)
    producer_name: str = one(2, TEXT, "")
    producer_version: str = one(3, TEXT, "")
    graph: Graph | None = one(7, Graph)
    opset_import: list[OperatorSet] = many(8, OperatorSet)
    metadata_props: list[Entry] = many(14, Entry)
