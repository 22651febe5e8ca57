"""Activations: cases, bad calls and rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from .. import reference
from ..shapes import DTypeError, ShapeError
from .drawing import any_shape, elements_of, given
from .row import (
    ELEMENTS,
    EXACT,
    KINKED,
    LANES,
    WIDTH,
    Arguments,
    Bound,
    Draw,
    Row,
    bad,
    bench,
    case,
    elements,
    of_sum,
    ones,
    trivial,
    typical,
)


def by_output(operation: str) -> Callable[..., Arguments]:
    """Arguments of a gradient that is told by the result."""

    def arguments(draw: Draw, **settings: Any) -> Arguments:
        forward = elements(draw, **settings)
        y = np.asarray(getattr(reference, operation)(**forward), draw.dtype)
        return {"dy": draw(*y.shape), "y": y, **{name: value for name, value in forward.items() if name != "x"}}

    return arguments


def softmax_size(a: Arguments) -> dict[str, float]:
    """What is left of dy when its mean is taken away may be little."""
    return {"dx": float(np.abs(a["dy"] * a["y"]).max())}


def silu_size(a: Arguments) -> dict[str, float]:
    """The error of 1 - s is multiplied by x."""
    return {"dx": float(np.abs(a["dy"] * (1 + np.abs(a["x"]))).max())}


def gelu_size(a: Arguments) -> dict[str, float]:
    """Far below zero, where exp(-x^2 / 2) multiplies the error of its exponent, values count beside the lowest one."""
    return {"y": 0.17}


def slope_size(a: Arguments) -> dict[str, float]:
    """A slope near zero is the sum of two parts of either sign, up to 1 in size."""
    return {"dx": float(np.abs(a["dy"]).max())}


def log_softmax_size(a: Arguments) -> dict[str, float]:
    """A gradient is dy less a share of the sum of its row."""
    return {"dx": float((np.abs(a["dy"]) + np.exp(np.minimum(a["y"], 0)) * typical(a["y"].shape[-1], a["dy"])).max())}


def by_input(draw: Draw, x: tuple[int, ...], scale: float = 1.0, **options: Any) -> Arguments:
    """Arguments of a gradient that is told by the input."""
    return {"dy": draw(*x), "x": draw.scaled(scale, *x), **options}


def prelu_arguments(draw: Draw, x: tuple[int, ...], slopes: int = 1, scale: float = 1.0, below: bool = False) -> Arguments:
    """Numbers, on request below zero alone, and slopes."""
    numbers = draw.scaled(scale, *x)
    return {"x": -np.abs(numbers) if below else numbers, "slope": draw(slopes)}


def prelu_backward_arguments(draw: Draw, x: tuple[int, ...], **settings: Any) -> Arguments:
    """Gradient of the result, numbers and slopes."""
    return {"dy": draw(*x), **prelu_arguments(draw, x, **settings)}


def prelu_backward_size(a: Arguments) -> dict[str, float]:
    """As the sums of `prelu_backward_error`."""
    return {"dslope": typical(a["x"].size // len(a["slope"]), a["dy"], a["x"])}


def prelu_backward_error(a: Arguments) -> dict[str, float]:
    """Sums over all that has one slope."""
    return {"dx": 1, "dslope": of_sum(a["x"].size // len(a["slope"]))}


SLOPED = (
    case("images, a slope each", x=(2, 3, 5, 7), slopes=7),
    case("images, one slope", x=(2, 3, 5, 7)),
    case("rows", x=(9, 5), slopes=5),
    case("one element", x=(1,), below=True),
    case("one channel", x=(3, 4, 5, 1)),
    case("a run short of two", x=(511,)),
    case("an element more than two runs", x=(513,)),
    case("a channel short of a vector", x=(2, 3, 4, WIDTH // 2 - 1), slopes=WIDTH // 2 - 1),
    case("a channel more than a vector", x=(2, 3, 4, WIDTH // 2 + 1), slopes=WIDTH // 2 + 1),
    case("many channels", x=(3, 2, 2, 300), slopes=300),
    case("large numbers", x=(40, 7), slopes=7, scale=40.0),
    case("several chunks of pixels, threads meet", x=(8, 20, 18, 40), slopes=40),
    bench("64 images of 32x32, 64 channels", x=(64, 32, 32, 64), slopes=64),
)

CLASSES = (
    case("10 classes", x=(6, 10)),
    trivial("one class", x=(5, 1)),
    case("two classes", x=(5, 2)),
    case("three classes, rows for several tiles", x=(11, 3)),
    case("one row", x=(1, 9)),
    case("one row without a batch", x=(7,)),
    case("images", x=(2, 3, 4, 5)),
    case("a class short of a vector", x=(3, WIDTH // 2 - 1)),
    case("a class more than a vector", x=(3, WIDTH // 2 + 1)),
    case("seven rows of 100 classes", x=(7, 100)),
    case("1000 classes", x=(2, 1000)),
    case("large numbers", x=(20, 7), scale=40.0),
    case("large numbers, 100 classes", x=(5, 100), scale=40.0),
    case("threads meet", x=(900, 21)),
    bench("100 classes", x=(4096, 100)),
    bench("10 classes of 4096 rows", x=(4096, 10)),
    bench("1000 classes of 256 rows", x=(256, 1000)),
)

SLOPES = (*ELEMENTS, case("another slope", x=(5, 7), slope=0.3))

ALPHAS = (*ELEMENTS, case("another alpha", x=(5, 7), alpha=0.5))

BETAS = (*ELEMENTS, case("another beta", x=(5, 7), beta=2.0), case("a low threshold", x=(50, 7), scale=3.0, threshold=1.5))

ELEMENT_FAULTS = (
    bad("integers", DTypeError, r": x has dtype int64, expected float32 or float64", x=ones(3, dtype=int)),
    bad("truth values", DTypeError, r": x has dtype bool, expected float32 or float64", x=ones(3, dtype=bool)),
    bad("complex numbers", DTypeError, r": x has dtype complex128, expected float32", x=ones(3, dtype=complex)),
    bad("nothing", ShapeError, r": x is empty \(shape \(0,\)\), expected at least one element", x=ones(0)),
    bad("a number", ShapeError, r": x .*shape \(\).* expected", x=np.float32(1)),
)

BY_OUTPUT_FAULTS = (
    bad("dy of another shape", ShapeError, r"_backward: dy has shape \(3,\), expected \(", dy=ones(3)),
    bad("mixed types", DTypeError, r"_backward: y is float64 and dy is float32, expected one dtype",
        y=ones(2, 3, 5, 7, dtype=float)),
)

ROW_FAULTS = (*BY_OUTPUT_FAULTS, bad("numbers", ShapeError, r"softmax_backward: y is a single number", dy=ones(), y=ones()))

BY_INPUT_FAULTS = (
    bad("dy of another shape", ShapeError, r"_backward: dy has shape \(3,\), expected \(", dy=ones(3)),
    bad("mixed types", DTypeError, r"_backward: x is float64 and dy is float32, expected one dtype",
        x=ones(2, 3, 5, 7, dtype=float)),
)

LEAKY_RELU_FAULTS = (*ELEMENT_FAULTS, bad("negative slope", ValueError, r"leaky_relu: slope is -1\.0, expected", slope=-1))

ELU_FAULTS = (*ELEMENT_FAULTS, bad("alpha NaN", ValueError, r"elu: alpha is nan, expected a finite number", alpha=math.nan))

PRELU_FAULTS = (
    *ELEMENT_FAULTS[:-1],
    bad("slopes of other channels", ShapeError, r"prelu: slope has shape \(5,\), expected \(7,\)", slope=ones(5)),
    bad("slopes of rank 2", ShapeError, r"prelu: slope has shape \(1, 7\), expected \(7,\)", slope=ones(1, 7)),
    bad("slopes in float64", DTypeError, r"prelu: slope is float64 and x is float32", slope=ones(7, dtype=float)),
)

PRELU_BACKWARD_FAULTS = (
    *BY_INPUT_FAULTS,
    bad("slopes of other channels", ShapeError, r"prelu_backward: slope has shape \(5,\)", slope=ones(5)),
)

SOFTPLUS_FAULTS = (
    *ELEMENT_FAULTS,
    bad("beta 0", ValueError, r"softplus: beta is 0\.0, expected a finite number of at least 1e-30", beta=0),
    bad("threshold NaN", ValueError, r"softplus: threshold is nan, expected a finite", threshold=math.nan),
)


def slopes(random: Random) -> dict[str, Any]:
    """Draw numbers of any shape, and one slope or one for each channel."""
    x = any_shape(random)
    return {"x": x, **given(random, slopes=(x[-1],), scale=(0.125, 40.0), below=(True,))}


def classes(random: Random) -> dict[str, Any]:
    """Draw rows of scores, small and large ones."""
    x = (*any_shape(random)[:-1], random.choice((1, 2, 3, 4, 5, 7, 10, 11, LANES - 1, LANES + 1, 33, 100)))
    return {"x": x, **given(random, scale=(0.1, 10.0, 40.0))}


ROWS: tuple[Row, ...] = (
    Row("relu", elements, ELEMENTS, ("y",), EXACT, exact=True, wrt=("x",), differences=KINKED, spoil="x",
        faults=ELEMENT_FAULTS, drawer=elements_of()),
    Row("relu_backward", by_output("relu"), ELEMENTS, ("dx",), EXACT, exact=True, spoil="dy", faults=BY_OUTPUT_FAULTS,
        drawer=elements_of()),
    Row("leaky_relu", elements, SLOPES, ("y",), Bound(1, each=True), wrt=("x",), differences=KINKED, spoil="x",
        faults=LEAKY_RELU_FAULTS, drawer=elements_of(slope=(0.3, 0.0, 1.0))),
    Row("leaky_relu_backward", by_output("leaky_relu"), SLOPES, ("dx",), Bound(1, each=True), spoil="dy",
        faults=BY_OUTPUT_FAULTS, drawer=elements_of(slope=(0.3, 0.0, 1.0))),
    Row("sigmoid", elements, ELEMENTS, ("y",), Bound(2, each=True), wrt=("x",), spoil="x", faults=ELEMENT_FAULTS,
        drawer=elements_of()),
    Row("sigmoid_backward", by_output("sigmoid"), ELEMENTS, ("dx",), Bound(3, each=True), spoil="dy",
        faults=BY_OUTPUT_FAULTS, drawer=elements_of()),
    Row("tanh", elements, ELEMENTS, ("y",), Bound(2, each=True), wrt=("x",), spoil="x", faults=ELEMENT_FAULTS,
        drawer=elements_of()),
    Row("tanh_backward", by_output("tanh"), ELEMENTS, ("dx",), Bound(2, size=slope_size), nonzero=0.2, spoil="dy",
        faults=BY_OUTPUT_FAULTS, drawer=elements_of()),
    Row("softsign", elements, ELEMENTS, ("y",), Bound(2, each=True), wrt=("x",), differences=KINKED, spoil="x",
        faults=ELEMENT_FAULTS, drawer=elements_of()),
    Row("softsign_backward", by_output("softsign"), ELEMENTS, ("dx",), Bound(3, size=slope_size), nonzero=0.2, spoil="dy",
        faults=BY_OUTPUT_FAULTS, drawer=elements_of()),
    Row("elu", elements, ALPHAS, ("y",), Bound(2, each=True), wrt=("x",), differences=KINKED, spoil="x", faults=ELU_FAULTS,
        drawer=elements_of(alpha=(0.5, 2.0))),
    Row("elu_backward", by_output("elu"), ALPHAS, ("dx",), Bound(2), spoil="dy", faults=BY_OUTPUT_FAULTS,
        drawer=elements_of(alpha=(0.5, 2.0))),
    Row("gelu", elements, ELEMENTS, ("y",), Bound(2, size=gelu_size), wrt=("x",), spoil="x", faults=ELEMENT_FAULTS,
        drawer=elements_of()),
    Row("gelu_backward", by_input, ELEMENTS, ("dx",), Bound(3, size=slope_size), spoil="dy", faults=BY_INPUT_FAULTS,
        drawer=elements_of()),
    Row("silu", elements, ELEMENTS, ("y",), Bound(2, each=True), wrt=("x",), spoil="x", faults=ELEMENT_FAULTS,
        drawer=elements_of()),
    Row("silu_backward", by_input, ELEMENTS, ("dx",), Bound(2, size=silu_size), spoil="dy", faults=BY_INPUT_FAULTS,
        drawer=elements_of()),
    Row("prelu", prelu_arguments, SLOPED, ("y",), Bound(1, each=True), exact=True, wrt=("x", "slope"), differences=KINKED,
        spoil="x", faults=PRELU_FAULTS, drawer=slopes),
    Row("prelu_backward", prelu_backward_arguments, SLOPED, ("dx", "dslope"),
        Bound(prelu_backward_error, size=prelu_backward_size), exact=True, spoil="dy", faults=PRELU_BACKWARD_FAULTS,
        drawer=slopes),
    Row("selu", elements, ELEMENTS, ("y",), Bound(3, each=True), wrt=("x",), differences=KINKED, spoil="x",
        faults=ELEMENT_FAULTS, drawer=elements_of()),
    Row("selu_backward", by_output("selu"), ELEMENTS, ("dx",), Bound(2, size=slope_size), spoil="dy",
        faults=BY_OUTPUT_FAULTS, drawer=elements_of()),
    Row("softplus", elements, BETAS, ("y",), Bound(4, each=True), wrt=("x",), spoil="x", faults=SOFTPLUS_FAULTS,
        drawer=elements_of(beta=(0.5, 2.0), threshold=(1.5, 5.0))),
    Row("softplus_backward", by_input, BETAS, ("dx",), Bound(3, each=True), spoil="dy", faults=BY_INPUT_FAULTS,
        drawer=elements_of(beta=(0.5, 2.0), threshold=(1.5, 5.0))),
    Row("hardswish", elements, ELEMENTS, ("y",), Bound(3, each=True), wrt=("x",), differences=KINKED, spoil="x",
        faults=ELEMENT_FAULTS, drawer=elements_of()),
    Row("hardswish_backward", by_input, ELEMENTS, ("dx",), Bound(2, size=slope_size), spoil="dy", faults=BY_INPUT_FAULTS,
        drawer=elements_of()),
    Row("mish", elements, ELEMENTS, ("y",), Bound(5, each=True), wrt=("x",), spoil="x", faults=ELEMENT_FAULTS,
        drawer=elements_of()),
    Row("mish_backward", by_input, ELEMENTS, ("dx",), Bound(4, size=slope_size), spoil="dy", faults=BY_INPUT_FAULTS,
        drawer=elements_of()),
    Row("softmax", elements, CLASSES, ("y",), Bound(4), wrt=("x",), spoil="x", faults=ELEMENT_FAULTS, drawer=classes),
    Row("softmax_backward", by_output("softmax"), CLASSES, ("dx",), Bound(4, size=softmax_size), spoil="dy",
        faults=ROW_FAULTS, drawer=classes),
    Row("log_softmax", elements, CLASSES, ("y",), Bound(4), wrt=("x",), spoil="x", faults=ELEMENT_FAULTS, drawer=classes),
    Row("log_softmax_backward", by_output("log_softmax"), CLASSES, ("dx",), Bound(4, size=log_softmax_size), spoil="dy",
        faults=ROW_FAULTS, drawer=classes),
)
