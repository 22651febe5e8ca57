"""A node as it is read: its operator, attributes and names, and what it says about windows."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...shapes import DataFormatError

Sides = tuple[tuple[int, int], tuple[int, int]]


class UnsupportedError(DataFormatError):
    """A valid ONNX file has an operator, or a form of one, that has no counterpart in fastcnn."""


class Call(NamedTuple):
    """One node."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    opset: int
    name: str = ""

    def get(self, name: str, default: Any) -> Any:
        """Return an attribute; DataFormatError: it is of another kind than the default."""
        value = self.attributes.get(name, default)
        fits = default is None or isinstance(value, type(default)) or (
            isinstance(default, float) and isinstance(value, int))
        if not fits:
            raise DataFormatError(f"{name} is {value!r}, expected such as {default!r}")
        return value

    def integers(self, name: str, count: int, default: int, least: int = 1) -> tuple[int, ...]:
        """Return an attribute of so many integers of at least `least`."""
        values = self.attributes.get(name, [default] * count)
        if not isinstance(values, list) or len(values) != count or any(
                not isinstance(value, int) or value < least for value in values):
            raise DataFormatError(f"{name} is {values!r}, expected {count} integers of at least {least}")
        return tuple(values)


class Window(NamedTuple):
    """What convolutions and pooling of images say."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: Sides
    ceil: bool


def window(call: Call, size: tuple[int, ...], kernel: tuple[int, ...] | None = None) -> Window:
    """Return the window of a node for images of `size` rows and columns; `kernel` is that of its weight."""
    rank = len(call.attributes.get("kernel_shape", (0, 0)))
    if rank != 2:
        raise UnsupportedError(f"kernel_shape has {rank} sizes, expected 2: images")
    said = call.integers("kernel_shape", 2, 0) if kernel is None or "kernel_shape" in call.attributes else kernel
    if kernel is not None and said != kernel:
        raise DataFormatError(f"kernel_shape is {said}, expected {kernel} as the weight has")
    stride, dilation = call.integers("strides", 2, 1), call.integers("dilations", 2, 1)
    pads = call.integers("pads", 4, 0, 0)
    rule = call.get("auto_pad", "NOTSET")
    sides = ((pads[0], pads[2]), (pads[1], pads[3]))
    if rule in ("SAME_UPPER", "SAME_LOWER"):
        rows, columns = (_same(*each, upper=rule == "SAME_UPPER") for each in zip(size, said, stride, dilation, strict=True))
        sides = rows, columns
    elif rule not in ("NOTSET", "VALID"):
        raise DataFormatError(f"auto_pad is {rule!r}, expected NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    return Window((said[0], said[1]), (stride[0], stride[1]), (dilation[0], dilation[1]), sides,
                  bool(call.get("ceil_mode", 0)))


def _same(size: int, kernel: int, stride: int, dilation: int, upper: bool) -> tuple[int, int]:
    total = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return (total // 2, total - total // 2) if upper else (total - total // 2, total // 2)


def outputs(w: Window, size: tuple[int, ...]) -> tuple[int, int]:
    """Return how many windows pooling has: one that hangs over the end begins before it."""
    counts = []
    for axis, (before, after) in enumerate(w.padding):
        room = size[axis] + before + after - (w.kernel[axis] - 1) * w.dilation[axis] - 1
        count = (-(-room // w.stride[axis]) if w.ceil else room // w.stride[axis]) + 1
        counts.append(count - (w.ceil and (count - 1) * w.stride[axis] >= size[axis] + before))
    return counts[0], counts[1]


def axis_of(call: Call, rank: int, default: int = -1, name: str = "axis", end: int = 0) -> int:
    """Return an axis from 0 to rank - 1, or to rank - 1 + end; DataFormatError: it is beyond."""
    axis = call.get(name, default)
    if not -rank <= axis < rank + end:
        raise DataFormatError(f"{name} is {axis}, expected {-rank} to {rank - 1 + end}")
    return axis + rank if axis < 0 else axis
