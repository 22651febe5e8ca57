"""Padding and upsampling: cases, bad calls and rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from .. import reference
from ..shapes import DTypeError, ShapeError
from .drawing import given, padding, small_images, twice
from .row import EXACT, LINEAR, WIDTH, Arguments, Bound, Draw, Row, bad, bench, case, ones, trivial, typical


def image_arguments(draw: Draw, x: tuple[int, ...], **settings: Any) -> Arguments:
    """Images and settings."""
    return {"x": draw(*x), **settings}


def resampled(operation: str) -> Callable[..., Arguments]:
    """Arguments of a gradient: that of the result, the shape of x and the settings but for the value of padding."""

    def arguments(draw: Draw, x: tuple[int, ...], **settings: Any) -> Arguments:
        y = getattr(reference, operation)(np.zeros(x), **settings)
        return {"dy": draw(*y.shape), "x_shape": x, **{name: value for name, value in settings.items() if name != "value"}}

    return arguments


def mixed_size(a: Arguments) -> dict[str, float]:
    """Pixels, or their gradients, may cancel where they are mixed."""
    return {"y": typical(1, a["x"])} if "x" in a else {"dx": typical(1, a["dy"])}


PADDINGS = (
    case("zeros around", x=(3, 5, 6, 3), padding=1),
    case("ones around", x=(2, 5, 6, 3), padding=1, value=1.0),
    trivial("infinities around", x=(2, 5, 6, 3), padding=(0, 1), value=-math.inf),
    case("rows and columns", x=(2, 5, 6, 3), padding=(2, 1)),
    case("sides differ", x=(2, 5, 6, 3), padding=((0, 1), (2, 3))),
    case("nothing around", x=(2, 5, 6, 3), padding=0),
    case("one pixel", x=(1, 1, 1, 4), padding=1, value=0.5),
    case("mirrored", x=(2, 5, 6, 3), padding=2, mode="reflect"),
    case("mirrored on both sides", x=(2, 3, 4, 3), padding=((2, 1), (3, 2)), mode="reflect"),
    case("one pixel, mirrored nowhere", x=(2, 1, 1, 3), padding=0, mode="reflect"),
    case("repeated", x=(2, 5, 6, 3), padding=2, mode="replicate"),
    case("one pixel repeated", x=(2, 1, 1, 3), padding=((3, 1), (0, 2)), mode="replicate"),
    case("a channel more than a vector", x=(1, 4, 5, WIDTH // 2 + 1), padding=1),
    case("threads meet", x=(5, 24, 26, 24), padding=2, mode="reflect"),
    bench("64 images of 32x32, 64 channels", x=(64, 32, 32, 64), padding=1),
)

SCALES = (
    case("twice as large", x=(2, 3, 4, 3), scale=2),
    case("rows and columns differ", x=(2, 3, 4, 3), scale=(3, 2)),
    case("as large as before", x=(2, 3, 4, 3), scale=1),
    case("one pixel", x=(2, 1, 1, 3), scale=3),
    case("bilinear", x=(2, 3, 4, 3), scale=2, mode="bilinear"),
    case("bilinear, an odd scale", x=(2, 3, 4, 3), scale=3, mode="bilinear"),
    case("bilinear, rows and columns differ", x=(2, 3, 4, 3), scale=(4, 1), mode="bilinear"),
    case("bilinear of one pixel", x=(2, 1, 1, 3), scale=2, mode="bilinear"),
    case("bilinear, a channel more than a vector", x=(1, 4, 5, WIDTH // 2 + 1), scale=2, mode="bilinear"),
    case("threads meet", x=(5, 12, 13, 24), scale=2, mode="bilinear"),
    bench("64 images of 16x16, 64 channels", x=(64, 16, 16, 64), scale=2),
    bench("bilinear, 64 images of 16x16, 64 channels", x=(64, 16, 16, 64), scale=2, mode="bilinear"),
)

PAD_FAULTS = (
    bad("x of rank 3", ShapeError, r"pad2d: x has 3 dimensions \(shape \(5, 6, 3\)\), expected 4", x=ones(5, 6, 3)),
    bad("negative padding", ShapeError, r"pad2d: padding is -1, expected at least 0", padding=-1),
    bad("padding by name", ShapeError, r"pad2d: padding is 'same', expected an int, \(rows, columns\)", padding="same"),
    bad("float padding", DTypeError, r"pad2d: padding is 1\.5, expected an integer", padding=1.5),
    bad("unknown mode", ValueError, r"pad2d: mode is 'circular', expected one of constant, reflect, replicate",
        mode="circular"),
    bad("mirrored too far", ShapeError, r"pad2d: padding is 5, expected less than the rows and columns of x \(3, 5, 6, 3\)",
        padding=5, mode="reflect"),
    bad("value of a string", DTypeError, r"pad2d: value is 'zero', expected a number", value="zero"),
)

SCALE_FAULTS = (
    bad("x of rank 3", ShapeError, r"upsample2d: x has 3 dimensions \(shape \(3, 4, 3\)\), expected 4", x=ones(3, 4, 3)),
    bad("scale 0", ShapeError, r"upsample2d: scale is 0, expected at least 1", scale=0),
    bad("scale 1.5", DTypeError, r"upsample2d: scale is 1\.5, expected an integer", scale=1.5),
    bad("unknown mode", ValueError, r"upsample2d: mode is 'cubic', expected one of nearest, bilinear", mode="cubic"),
)

PAD2D_BACKWARD_FAULTS = (
    bad("dy of another shape", ShapeError, r"pad2d_backward: dy has shape \(3, 5, 6, 3\), expected \(3, 7, 8, 3\)",
        dy=ones(3, 5, 6, 3)),
    bad("unknown mode", ValueError, r"pad2d_backward: mode is 'wrap', expected one of constant", mode="wrap"),
)

UPSAMPLE2D_BACKWARD_FAULTS = (
    bad("dy of another shape", ShapeError, r"upsample2d_backward: dy has shape \(2, 3, 4, 3\), expected \(2, 6, 8, 3\)",
        dy=ones(2, 3, 4, 3)),
    bad("dy of integers", DTypeError, r"upsample2d_backward: dy has dtype int64", dy=ones(2, 6, 8, 3, dtype=int)),
)


def paddings(random: Random) -> dict[str, Any]:
    """Draw images and what is put around them; mirrored, less than the image has."""
    x, mode = small_images(random), random.choice(("constant", "constant", "reflect", "replicate"))
    most = (x[1] - 1, x[2] - 1) if mode == "reflect" else (5, 5)
    value = random.choice((0.0, 1.0, -2.5)) if mode == "constant" else 0.0
    usual = {"mode": "constant", "value": 0.0}
    return {"x": x, "padding": padding(random, most)[0],
            **{name: one for name, one in (("mode", mode), ("value", value)) if one != usual[name]}}


def scales(random: Random) -> dict[str, Any]:
    """Draw images and how many times as large they get."""
    return {"x": small_images(random), "scale": twice(random, 1, 2, 2, 3, 4)[0],
            **given(random, mode=("nearest", "bilinear"))}


ROWS: tuple[Row, ...] = (
    Row("pad2d", image_arguments, PADDINGS, ("y",), EXACT, exact=True, wrt=("x",), differences=LINEAR, nonzero=0.1,
        spoil="x", faults=PAD_FAULTS, drawer=paddings),
    Row("pad2d_backward", resampled("pad2d"), PADDINGS, ("dx",), Bound(4, size=mixed_size), exact=True, spoil="dy",
        faults=PAD2D_BACKWARD_FAULTS, drawer=paddings),
    Row("upsample2d", image_arguments, SCALES, ("y",), Bound(3, size=mixed_size), wrt=("x",), differences=LINEAR, spoil="x",
        faults=SCALE_FAULTS, drawer=scales),
    Row("upsample2d_backward", resampled("upsample2d"), SCALES, ("dx",), Bound(6, size=mixed_size), spoil="dy",
        faults=UPSAMPLE2D_BACKWARD_FAULTS, drawer=scales),
)
