"""Sums and joined channels: cases, bad calls and rows."""

from __future__ import annotations

from random import Random
from typing import Any

from ..shapes import DTypeError, ShapeError
from .drawing import any_shape, channels, elements_of
from .row import ELEMENTS, EXACT, WIDTH, Arguments, Bound, Draw, Row, bad, bench, case, ones


def sum_arguments(draw: Draw, x: tuple[int, ...], scale: float = 1.0, **options: Any) -> Arguments:
    """Two arrays of one shape."""
    return {"a": draw.scaled(scale, *x), "b": draw(*x), **options}


def concat_arguments(draw: Draw, outer: tuple[int, ...], channels: tuple[int, ...]) -> Arguments:
    """Arrays that differ in their last size."""
    return {"parts": tuple(draw(*outer, C) for C in channels)}


def concat_backward_arguments(draw: Draw, outer: tuple[int, ...], channels: tuple[int, ...]) -> Arguments:
    """Gradient of the result, and the last sizes."""
    return {"dy": draw(*outer, sum(channels)), "channels": channels}


BRANCHES = (
    case("three branches", outer=(2, 3, 4), channels=(3, 1, 5)),
    case("branches of one channel", outer=(2, 3, 4), channels=(1, 1, 1)),
    case("rows", outer=(7,), channels=(2, 4, 3)),
    case("one row", outer=(1,), channels=(WIDTH, 1, WIDTH + 1)),
    case("threads meet", outer=(5, 20, 21), channels=(17, 8, 32)),
    bench("64 images of 32x32, 3 times 32 channels", outer=(64, 32, 32), channels=(32, 32, 32)),
)

CONCAT_FAULTS = (
    bad("no parts", DTypeError, r"concat: parts is \(\), expected a tuple of at least one array", parts=()),
    bad("one array", DTypeError, r"concat: parts is array.*, expected a tuple", parts=ones(2)),
    bad("other rows", ShapeError, r"concat: parts\[1\] has shape \(3, 2\), expected \(2, 2\)",
        parts=(ones(2, 3), ones(3, 2))),
    bad("mixed types", DTypeError, r"concat: parts\[1\] is float64 and parts\[0\] is float32",
        parts=(ones(2, 3), ones(2, 3, dtype=float))),
)

CONCAT_BACKWARD_FAULTS = (
    bad("other channels", ShapeError, r"concat_backward: dy has shape \(2, 3, 4, 9\), expected \(2, 3, 4, 5\)",
        channels=(2, 3)),
    bad("no channels", ShapeError, r"concat_backward: channels is 0, expected at least 1", channels=(0, 9)),
)

SUM_FAULTS = (
    bad("other shape", ShapeError, r"add: b has shape \(3, 5, 7\), expected \(2, 3, 5, 7\)", b=ones(3, 5, 7)),
    bad("mixed types", DTypeError, r"add: b is float64 and a is float32", b=ones(2, 3, 5, 7, dtype=float)),
    bad("integers", DTypeError, r"add: a has dtype int64, expected float32", a=ones(2, 3, 5, 7, dtype=int)),
)


def branches(random: Random) -> dict[str, Any]:
    """Draw three arrays that differ in their channels."""
    return {"outer": any_shape(random)[-3:], "channels": (channels(random), channels(random), channels(random))}


ROWS: tuple[Row, ...] = (
    Row("concat", concat_arguments, BRANCHES, ("y",), EXACT, exact=True, faults=CONCAT_FAULTS, drawer=branches),
    Row("concat_backward", concat_backward_arguments, BRANCHES, ("first", "second", "third"), EXACT, exact=True, spoil="dy",
        faults=CONCAT_BACKWARD_FAULTS, drawer=branches),
    Row("add", sum_arguments, (*ELEMENTS, case("with ReLU", x=(2, 3, 5, 7), relu=True)), ("y",), Bound(1), exact=True,
        spoil="a", faults=SUM_FAULTS, drawer=elements_of(relu=(False, True))),
)
