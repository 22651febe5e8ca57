"""Trainable arrays, which lie in flat buffers: all data of a model in one, all gradients in another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..shapes import DTypeError, ShapeError
from .mode import changed, mode

__all__ = ["Flat", "Parameter", "flatten"]


class Flat(NamedTuple):
    """Two buffers (n,) that hold the data and the gradients of some parameters side by side."""

    data: np.ndarray
    grad: np.ndarray


class Parameter:
    """An array to train, float32 or, with `dtype=np.float64`, float64, and its gradient of the same shape.

    `data` and `grad` are views into flat buffers. Assigning to them copies the values into that memory: real
    floats of any width are accepted, ShapeError for another shape, DTypeError for another kind of values.
    A layer's backward overwrites `grad`, it does not add to it.
    """

    __slots__ = ("_data", "_grad", "flat", "name", "offset")
    _data: np.ndarray
    _grad: np.ndarray

    def __init__(self, data: Any, name: str = "", dtype: Any = np.float32) -> None:
        """Copy `data`, floats of any width, into memory of its own.

        It becomes float32, as all layers begin: numpy's arrays are float64 where nothing is said. DTypeError: `data` holds
        no floats, or `dtype` is neither float32 nor float64.
        """
        array = np.asarray(data)
        _require_floats(name, array)
        if dtype is None or np.dtype(dtype) not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise DTypeError(f"Parameter {name}: dtype is {dtype!r}, expected float32 or float64")
        self.name = name
        self._own(array, np.dtype(dtype))

    @property
    def data(self) -> np.ndarray:
        """The values; inside an `inference` block not to be written to, but assigned."""
        return self._data if mode.hook is None else mode.hook.view(self._data)

    @data.setter
    def data(self, value: Any) -> None:
        if value is not self._data:
            self._data[...] = self._fitting("data", value)
        changed()

    @property
    def grad(self) -> np.ndarray:
        """The gradient of the loss, as the last backward wrote it; zeros before the first."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not self._grad:
            self._grad[...] = self._fitting("grad", value)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of data and grad."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype:
        """Element type of data and grad."""
        return self._data.dtype

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size

    def to(self, dtype: np.dtype) -> None:
        """Move data and grad, converted to float32 or float64, into memory of their own."""
        grad = self._grad
        self._own(self._data, dtype)
        self._grad[...] = grad
        changed()

    def place(self, flat: Flat, offset: int) -> None:
        """Move data and grad into the buffers `flat`, from element `offset` on."""
        data, grad = (buffer[offset : offset + self.size].reshape(self.shape) for buffer in flat)
        data[...], grad[...] = self._data, self._grad
        self._data, self._grad, self.flat, self.offset = data, grad, flat, offset

    def _own(self, data: np.ndarray, dtype: np.dtype) -> None:
        self._data = np.array(data, dtype, order="C")
        self._grad = np.zeros(self._data.shape, dtype)
        self.flat, self.offset = Flat(self._data.reshape(-1), self._grad.reshape(-1)), 0

    def _fitting(self, attribute: str, value: Any) -> np.ndarray:
        """Return `value` as an array that may be copied into this parameter."""
        array = np.asarray(value)
        if array.shape != self.shape:
            raise ShapeError(f"Parameter {self.name}: {attribute} has shape {array.shape}, expected {self.shape}")
        _require_floats(self.name, array, attribute)
        return array

    def __getstate__(self) -> tuple[np.ndarray, np.ndarray, str]:
        """Give what a copy needs: it gets memory of its own."""
        return self._data, self._grad, self.name

    def __setstate__(self, state: tuple[np.ndarray, np.ndarray, str]) -> None:
        """Become a copy."""
        data, grad, self.name = state
        self._own(data, data.dtype)
        self._grad[...] = grad

    def __repr__(self) -> str:
        """Name, shape and element type."""
        return f"Parameter({self.name!r}, {self.shape}, {self.dtype})"


def flatten(parameters: Sequence[Parameter]) -> Flat:
    """Return one pair of buffers with all parameters side by side in the order given.

    Parameters that do not lie so are moved; whoever holds an older array of theirs keeps a stale one.
    DTypeError: the parameters mix float32 and float64.
    """
    first = parameters[0]
    for parameter in parameters:
        if parameter.dtype != first.dtype:
            raise DTypeError(
                f"parameters: {parameter.name} is {parameter.dtype} and {first.name} is {first.dtype}, "
                "expected one dtype for all (convert the model: model.to(np.float32))"
            )
    size = sum(parameter.size for parameter in parameters)
    if not _is_flat(parameters):
        flat = Flat(np.empty(size, first.dtype), np.empty(size, first.dtype))
        offset = 0
        for parameter in parameters:
            parameter.place(flat, offset)
            offset += parameter.size
    everything = slice(first.offset, first.offset + size)
    return Flat(first.flat.data[everything], first.flat.grad[everything])


def distinct(function: str, parameters: Iterable[Parameter]) -> list[Parameter]:
    """Return the parameters, each once; DTypeError: other things among them, ShapeError: there are none."""
    if isinstance(parameters, Parameter) or not isinstance(parameters, Iterable):
        raise DTypeError(f"{function}: parameters is {parameters!r}, expected a list such as model.parameters()")
    found: dict[int, Parameter] = {}
    for parameter in parameters:
        if not isinstance(parameter, Parameter):
            raise DTypeError(f"{function}: parameters holds {parameter!r}, expected Parameters such as model.parameters()")
        found.setdefault(id(parameter), parameter)
    if not found:
        raise ShapeError(f"{function}: parameters is empty, expected at least one Parameter")
    return list(found.values())


def _is_flat(parameters: Sequence[Parameter]) -> bool:
    offset = parameters[0].offset
    for parameter in parameters:
        if parameter.flat is not parameters[0].flat or parameter.offset != offset:
            return False
        offset += parameter.size
    return True


def _require_floats(name: str, array: np.ndarray, attribute: str = "data") -> None:
    if array.dtype.kind != "f":
        raise DTypeError(f"Parameter {name}: {attribute} has dtype {array.dtype}, expected float32 or float64")
