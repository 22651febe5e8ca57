"""Arithmetic of elements, and arrays in other shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional
from ....shapes import DataFormatError
from ..calls import Call, UnsupportedError, axis_of
from ..tensors import dtype_of

_MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}


def _arithmetic(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda call, a, b: function(a, b)


def _add(call: Call, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return functional.add(a, b) if a.shape == b.shape and a.dtype.kind == "f" and a.size else a + b


def _sum(call: Call, *values: np.ndarray) -> np.ndarray:
    total = values[0]
    for value in values[1:]:
        total = _add(call, total, value)
    return total


def _divide(call: Call, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind == "f":
        return a / b
    if not np.all(b):
        raise DataFormatError("a divisor is 0, expected another integer")
    return (np.sign(a) * np.sign(b) * (abs(a) // abs(b))).astype(a.dtype)


def _constant(call: Call) -> np.ndarray:
    for name, value in call.attributes.items():
        if name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
            kind = np.float32 if "float" in name else np.int64
            return np.asarray(value) if name == "value" else np.asarray(value, kind)
    raise UnsupportedError(f"attributes are {sorted(call.attributes)}, expected a value of numbers")


def _constant_of_shape(call: Call, shape: np.ndarray) -> np.ndarray:
    value = call.attributes.get("value", np.zeros(1, np.float32))
    return np.full(shape.reshape(-1).tolist(), np.asarray(value).reshape(-1)[0])


def _concat(call: Call, *parts: np.ndarray) -> np.ndarray:
    axis = axis_of(call, parts[0].ndim)
    if all(part.dtype.kind == "f" and part.ndim == parts[0].ndim and part.size for part in parts):
        return np.moveaxis(functional.concat([np.moveaxis(part, axis, -1) for part in parts]), -1, axis)
    return np.concatenate(parts, axis)


def _flatten(call: Call, x: np.ndarray) -> np.ndarray:
    axis = axis_of(call, x.ndim, 1, end=1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def target_shape(call: Call, shape: np.ndarray | None, sizes: tuple[int, ...]) -> list[int]:
    """Return the shape that a Reshape asks for, with at most one -1."""
    wanted = call.attributes.get("shape") if shape is None else shape.reshape(-1).tolist()
    if not isinstance(wanted, list) or any(size < -1 for size in wanted):
        raise DataFormatError(f"shape is {wanted!r}, expected sizes, 0 for the size of x or -1 for what is left")
    if call.get("allowzero", 0):
        return wanted
    if any(size == 0 and axis >= len(sizes) for axis, size in enumerate(wanted)):
        raise DataFormatError(f"shape is {wanted}, with 0 for an axis that x {sizes} does not have")
    return [sizes[axis] if size == 0 else size for axis, size in enumerate(wanted)]


def _reshape(call: Call, x: np.ndarray, shape: np.ndarray | None = None) -> np.ndarray:
    return x.reshape(target_shape(call, shape, x.shape))


def _transpose(call: Call, x: np.ndarray) -> np.ndarray:
    return x.transpose(call.integers("perm", x.ndim, 0, 0) if "perm" in call.attributes else None)


def axes_of(call: Call, axes: np.ndarray | None) -> list[int] | None:
    """Return the axes that an attribute or, in later opsets, an input names."""
    given = call.attributes.get("axes") if axes is None else axes.reshape(-1).tolist()
    if given is not None and not isinstance(given, list):
        raise DataFormatError(f"axes is {given!r}, expected a list")
    return given


def _unsqueeze(call: Call, x: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
    return np.expand_dims(x, tuple(axes_of(call, axes) or ()))


def _squeeze(call: Call, x: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
    given = axes_of(call, axes)
    return np.squeeze(x, None if given is None else tuple(given))


def _gather(call: Call, x: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take(x, index, axis_of(call, x.ndim, 0))


def _slice(call: Call, x: np.ndarray, *given: np.ndarray) -> np.ndarray:
    names = "starts", "ends", "axes", "steps"
    lists = {name: value.reshape(-1).tolist() for name, value in zip(names, given, strict=False) if value is not None}
    lists = {**call.attributes, **lists}
    starts = lists["starts"]
    where = [slice(None)] * x.ndim
    for axis, start, end, step in zip(lists.get("axes", range(len(starts))), starts, lists["ends"],
                                      lists.get("steps", [1] * len(starts)), strict=True):
        last = None if step < 0 and end < -x.shape[axis] else end
        where[axis] = slice(start, last, step)
    return x[tuple(where)]


def _cast(call: Call, x: np.ndarray) -> np.ndarray:
    return x.astype(dtype_of(call.get("to", 1), "Cast"))


def _shape(call: Call, x: np.ndarray) -> np.ndarray:
    return np.array(x.shape[slice(call.get("start", 0), call.get("end", None))], np.int64)


def _pad(call: Call, x: np.ndarray, pads: np.ndarray | None = None, value: Any = None, axes: np.ndarray | None = None,
         ) -> np.ndarray:
    sides, mode, number = padding(call, x.ndim, pads, value, axes)
    named = mode == "constant" and x.ndim == 4 and x.dtype.kind == "f" and not any(map(sum, sides[:2])) and x.size
    if named:
        moved = functional.pad2d(x.reshape(-1, *x.shape[2:], 1), (sides[2], sides[3]), value=number)
        return moved.reshape(*x.shape[:2], *moved.shape[1:3])
    return np.pad(x, sides, **({"constant_values": number} if mode == "constant" else {}), mode=mode)  # type: ignore[call-overload]


def padding(call: Call, rank: int, pads: np.ndarray | None, value: np.ndarray | None, axes: np.ndarray | None,
            ) -> tuple[list[tuple[int, int]], str, float]:
    """Return how much a Pad adds before and after each axis, its mode in numpy, and with what it fills."""
    mode = _MODES.get(call.get("mode", "constant"))
    if mode is None:
        raise UnsupportedError(f"mode is {call.get('mode', '')!r}, expected one of {', '.join(_MODES)}")
    numbers = call.attributes.get("pads") if pads is None else pads.reshape(-1).tolist()
    chosen = list(range(rank)) if axes is None else [int(axis) % rank for axis in axes.reshape(-1)]
    if not isinstance(numbers, list) or len(numbers) != 2 * len(chosen) or min(numbers, default=0) < 0:
        raise UnsupportedError(f"pads is {numbers!r}, expected {2 * len(chosen)} numbers of at least 0")
    sides = [(0, 0)] * rank
    for index, axis in enumerate(chosen):
        sides[axis] = numbers[index], numbers[index + len(chosen)]
    return sides, mode, float(call.get("value", 0.0) if value is None or not value.size else value.reshape(-1)[0])


def _dropout(call: Call, x: np.ndarray, ratio: np.ndarray | None = None, training: np.ndarray | None = None) -> Any:
    share = float(call.get("ratio", 0.5) if ratio is None else ratio)
    if training is not None and bool(training) and share:
        y, mask = functional.dropout(x, share, seed=int(call.get("seed", 0)))
    else:
        y, mask = x, np.ones(x.shape, bool)
    return y if len(call.outputs) == 1 else (y, mask.astype(bool))


TABLE: dict[str, Callable[..., Any]] = {
    "Add": _add, "Cast": _cast, "Concat": _concat, "Constant": _constant,
    "ConstantOfShape": _constant_of_shape, "Div": _divide, "Dropout": _dropout,
    "Flatten": _flatten, "Gather": _gather, "Identity": lambda call, x: x, "Mul": _arithmetic(np.multiply), "Pad": _pad,
    "Reshape": _reshape, "Shape": _shape, "Slice": _slice, "Squeeze": _squeeze, "Sub": _arithmetic(np.subtract), "Sum": _sum,
    "Transpose": _transpose, "Unsqueeze": _unsqueeze,
}
