"""A convolution in one word, such as n64h32w32c64k128r3s3pad1, and back: what a plan prints, a check can repeat."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ... import shapes
from ...shapes import ShapeError, Window

_SIZES = "nhwckrs"
_EXPECTED = ("expected the sizes n h w c k r s, such as n64h32w32c64k128r3s3, and where they differ from 1 and 0 stride2 or "
             "stride2,1 (rows, columns), pad1 or pad1,0 or pad0,1,0,1 (top, bottom, left, right), dilation2, groups4")


class Problem(NamedTuple):
    """The arguments of a convolution that are not arrays: `padding` is ((top, bottom), (left, right))."""

    x: tuple[int, int, int, int]
    weight: tuple[int, int, int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def geometry(self) -> dict[str, Any]:
        """The keyword arguments of `conv2d`."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}

    def window(self, function: str) -> Window:
        """Return its window; ShapeError: its sizes do not fit."""
        return shapes.conv2d(function, self.x, self.weight, self.stride, self.padding, self.dilation, self.groups)

    def __str__(self) -> str:
        """One word that `parse` reads."""
        (N, H, W, C), (R, S, _, K) = self.x, self.weight
        text = "".join(f"{name}{size}" for name, size in zip(_SIZES, (N, H, W, C, K, R, S), strict=True))
        for name, pair in (("stride", self.stride), ("dilation", self.dilation)):
            text += "" if pair == (1, 1) else f"{name}{_short(pair)}"
        (top, bottom), (left, right) = self.padding
        if any((top, bottom, left, right)):
            text += f"pad{_short((top, left)) if (top, left) == (bottom, right) else f'{top},{bottom},{left},{right}'}"
        return text + ("" if self.groups == 1 else f"groups{self.groups}")


def _short(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]},{pair[1]}"


def of(w: Window) -> Problem:
    """Return the problem of a window."""
    return Problem((w.N, w.H, w.W, w.C), (w.R, w.S, w.C // w.groups, w.K), (w.stride_rows, w.stride_columns),
                   ((w.top, w.bottom), (w.left, w.right)), (w.dilation_rows, w.dilation_columns), w.groups)


def parse(text: str) -> Problem:
    """Read a convolution from what `str` makes of one; ShapeError: it is none."""
    found = re.findall(r"([a-z]+)(\d+(?:,\d+)*)", text)
    given = {name: tuple(map(int, numbers.split(","))) for name, numbers in found}
    lengths = {**dict.fromkeys(_SIZES, (1,)), "stride": (1, 2), "dilation": (1, 2), "pad": (1, 2, 4), "groups": (1,)}
    whole = "".join(name + numbers for name, numbers in found) == re.sub(r"\s", "", text) and len(found) == len(given)
    if not whole or not set(_SIZES) <= set(given) or any(len(given[name]) not in lengths.get(name, ()) for name in given):
        raise ShapeError(f"convolution {text!r} cannot be read, {_EXPECTED}")
    N, H, W, C, K, R, S = (given[name][0] for name in _SIZES)
    groups = given.get("groups", (1,))[0]
    if not groups or C % groups:
        raise ShapeError(f"convolution {text!r} has {C} channels in {groups} groups, expected a number that divides them")
    top, bottom, left, right = {1: (0, 0, 0, 0), 2: (0, 0, 1, 1), 4: (0, 1, 2, 3)}[len(given.get("pad", (0,)))]
    pad = given.get("pad", (0,))
    return Problem((N, H, W, C), (R, S, C // groups, K), _pair(given.get("stride", (1,))),
                   ((pad[top], pad[bottom]), (pad[left], pad[right])), _pair(given.get("dilation", (1,))), groups)


def _pair(numbers: tuple[int, ...]) -> tuple[int, int]:
    return numbers[0], numbers[-1]
