"""A graph while it is written: nodes, the arrays that they use, and names that are each used once."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from .schema import (
    FLOAT_ATTRIBUTE,
    FLOATS_ATTRIBUTE,
    INT_ATTRIBUTE,
    INTS_ATTRIBUTE,
    STRING_ATTRIBUTE,
    Attribute,
    Node,
    Tensor,
)
from .tensors import tensor_of

TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]  # axes that bring (N, C, H, W) to (N, H, W, C), and back


class Value(NamedTuple):
    """An output of a node, and the shape that it has in fastcnn for one image: images are (1, H, W, C)."""

    name: str
    shape: tuple[int, ...]

    @property
    def is_image(self) -> bool:
        """Whether it is (N, C, H, W) in the graph; all others have the same axes here and there."""
        return len(self.shape) == 4


class Writer:
    """Collects nodes and arrays; `place` is the name of the layer that they belong to."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.nodes: list[Node] = []
        self.tensors: list[Tensor] = []
        self.place = ""
        self._used: Counter[str] = Counter()

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and return the name of that."""
        name = self._name(operator)
        self.nodes.append(Node(input=list(inputs), output=[name], name=name, op_type=operator, attribute=[
            _attribute(key, value) for key, value in attributes.items() if value is not None]))
        return name

    def tensor(self, name: str, array: Any) -> str:
        """Add an array and return its name; floats become float32."""
        array = np.asarray(array)
        name = self._name(name)
        self.tensors.append(tensor_of(name, array.astype(np.float32) if array.dtype.kind == "f" else array))
        return name

    def integers(self, name: str, *numbers: int) -> str:
        """Add integers (n,) and return their name."""
        return self.tensor(name, np.array(numbers, np.int64))

    def number(self, name: str, number: float) -> str:
        """Add a single float and return its name."""
        return self.tensor(name, np.float32(number))

    def channels(self, name: str, array: np.ndarray, x: Value) -> str:
        """Add numbers (C,) so that they belong to the channels of x, and return their name."""
        return self.tensor(name, array.reshape(-1, 1, 1) if x.is_image else array)

    def channels_last(self, x: Value) -> str:
        """Return the name of x with the axes that it has in fastcnn."""
        return self.node("Transpose", x.name, perm=TO_LAST) if x.is_image else x.name

    def channels_first(self, name: str, rank: int) -> str:
        """Return the name of a value with the axes that it has in ONNX."""
        return self.node("Transpose", name, perm=TO_FIRST) if rank == 4 else name

    def _name(self, name: str) -> str:
        full = f"{self.place}/{name}" if self.place else name
        self._used[full] += 1
        return full if self._used[full] == 1 else f"{full}_{self._used[full] - 1}"


def _attribute(name: str, value: Any) -> Attribute:
    if isinstance(value, str):
        return Attribute(name=name, s=value.encode(), type=STRING_ATTRIBUTE)
    if isinstance(value, float):
        return Attribute(name=name, f=value, type=FLOAT_ATTRIBUTE)
    if isinstance(value, int):
        return Attribute(name=name, i=int(value), type=INT_ATTRIBUTE)
    if all(isinstance(each, int) for each in value):
        return Attribute(name=name, ints=list(value), type=INTS_ATTRIBUTE)
    return Attribute(name=name, floats=list(map(float, value)), type=FLOATS_ATTRIBUTE)
