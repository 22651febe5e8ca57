"""Linear layers: cases, bad calls and rows."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from ..shapes import DTypeError, ShapeError
from .drawing import chance, given
from .row import LINEAR, TILE, WIDTH, Arguments, Bound, Draw, Row, bad, bench, case, of_sum, ones, typical


def linear_arguments(draw: Draw, N: int, inputs: int, outputs: int, bias: bool = True, **options: bool) -> Arguments:
    """Rows, weights and bias."""
    return {"x": draw(N, inputs), "weight": draw(inputs, outputs), "bias": draw(outputs) if bias else None, **options}


def linear_backward_arguments(draw: Draw, N: int, inputs: int, outputs: int, bias: bool = True,
                              need_dx: bool = True, need_dweight: bool = True, relu: bool = False) -> Arguments:
    """Gradient of the result, rows and weights; the result too where it was rectified."""
    return {"dy": draw(N, outputs), "x": draw(N, inputs), "weight": draw(inputs, outputs), "need_dx": need_dx,
            "need_dweight": need_dweight, "y": np.maximum(draw(N, outputs), 0) if relu else None}


def linear_error(a: Arguments) -> float:
    """Sums over inputs."""
    return of_sum(len(a["weight"]))


def linear_size(a: Arguments) -> dict[str, float]:
    """As the sums of `linear_error`."""
    return {"y": typical(len(a["weight"]), a["x"], a["weight"])}


def linear_backward_size(a: Arguments) -> dict[str, float]:
    """As the sums of `linear_backward_error`."""
    N, K = a["dy"].shape
    return {"dx": typical(K, a["dy"], a["weight"]), "dweight": typical(N, a["dy"], a["x"]), "dbias": typical(N, a["dy"])}


def linear_flops(a: Arguments, results: Arguments) -> int:
    """Two for each product."""
    return int(2 * len(a["x"]) * a["weight"].size)


def linear_backward_flops(a: Arguments, results: Arguments) -> int:
    """As many for dweight as forward, and again for dx."""
    return linear_flops(a, results) * (2 if a["need_dx"] else 1)


def linear_backward_error(a: Arguments) -> dict[str, float]:
    """Sums over outputs, or over rows."""
    N, K = a["dy"].shape
    return {"dx": of_sum(K), "dweight": of_sum(N), "dbias": of_sum(N)}


PRODUCTS = (
    case("few rows", N=5, inputs=7, outputs=6),
    case("one row, one input, one output", N=1, inputs=1, outputs=1),
    case("one row", N=1, inputs=9, outputs=5),
    case("one input", N=5, inputs=1, outputs=6),
    case("one output", N=6, inputs=8, outputs=1),
    case("without bias", N=4, inputs=5, outputs=6, bias=False),
    case("a row short of a tile", N=TILE - 1, inputs=3, outputs=4),
    case("one tile of rows", N=TILE, inputs=3, outputs=4),
    case("a row more than a tile", N=TILE + 1, inputs=3, outputs=4),
    case("a row more than a block", N=8 * TILE + 1, inputs=3, outputs=4),
    case("an output short of a tile", N=3, inputs=4, outputs=WIDTH - 1),
    case("one tile of outputs", N=3, inputs=4, outputs=WIDTH),
    case("an output more than a tile", N=3, inputs=4, outputs=WIDTH + 1),
    case("an input short of a tile", N=3, inputs=TILE - 1, outputs=4),
    case("one tile of inputs", N=3, inputs=TILE, outputs=4),
    case("an input more than a tile", N=3, inputs=TILE + 1, outputs=4),
    case("many inputs to few outputs", N=4, inputs=501, outputs=3),
    case("few inputs to many outputs", N=4, inputs=3, outputs=501),
    case("two chunks of rows", N=513, inputs=3, outputs=4),
    case("threads meet", N=130, inputs=90, outputs=70),
    case("channels that are sorted into blocks, threads meet", N=300, inputs=131, outputs=67),
    bench("128 rows, 1024 to 1024", N=128, inputs=1024, outputs=1024),
    bench("128 rows, 256 to 10", N=128, inputs=256, outputs=10),
)

RECTIFIED_PRODUCT = case("with ReLU", N=5, inputs=7, outputs=6, relu=True)

LINEAR_FAULTS = (
    bad("x of rank 4", ShapeError, r"linear: x has 4 dimensions \(shape \(5, 1, 1, 7\)\), expected 2", x=ones(5, 1, 1, 7)),
    bad("weight of rank 1", ShapeError, r"linear: weight has 1 dimensions \(shape \(7,\)\), expected 2", weight=ones(7)),
    bad("other features", ShapeError, r"linear: x has 8 features \(shape \(5, 8\)\), weight .* expects 7", x=ones(5, 8)),
    bad("empty batch", ShapeError, r"linear: x is empty \(shape \(0, 7\)\)", x=ones(0, 7)),
    bad("bias of another length", ShapeError, r"linear: bias has shape \(7,\), expected \(6,\)", bias=ones(7)),
    bad("integers", DTypeError, r"linear: x has dtype int64, expected float32 or float64", x=ones(5, 7, dtype=int)),
    bad("mixed types", DTypeError, r"linear: weight is float64 and x is float32", weight=ones(7, 6, dtype=float)),
    bad("out of another shape", ShapeError, r"linear: out has shape \(5, 7\), expected \(5, 6\)", out=ones(5, 7)),
)

LINEAR_BACKWARD_FAULTS = (
    bad("dy of another shape", ShapeError, r"linear_backward: dy has shape \(5, 7\), expected \(5, 6\)", dy=ones(5, 7)),
    bad("dy of rank 1", ShapeError, r"linear_backward: dy has shape \(6,\), expected \(5, 6\)", dy=ones(6)),
    bad("y of another shape", ShapeError, r"linear_backward: dy has shape \(5, 6\), expected \(5, 7\) \(the shape of y",
        y=ones(5, 7)),
    bad("out of another shape", ShapeError, r"linear_backward: out has shape \(7,\), expected \(7, 6\)",
        out=(ones(7), None)),
    bad("dy in float64", DTypeError, r"linear_backward: x is float32 and dy is float64", dy=ones(5, 6, dtype=float)),
)


def products(random: Random) -> dict[str, Any]:
    """Draw rows, inputs and outputs, and whether there is a bias."""
    N, inputs, outputs = (random.randint(1, 9) if chance(random, 0.7) else random.choice(
        (TILE - 1, TILE + 1, WIDTH, WIDTH + 1, 70)) for _ in range(3))
    return {"N": N, "inputs": inputs, "outputs": outputs}


def with_bias(random: Random) -> dict[str, Any]:
    """Draw a linear layer."""
    return {**products(random), **given(random, bias=(False,), relu=(False, True))}


def with_gradients(random: Random) -> dict[str, Any]:
    """Draw a linear layer, and which gradients are wanted."""
    return {**products(random), **given(random, relu=(False, True)),
            **random.choice(({}, {}, {"need_dx": False}, {"need_dweight": False}))}


ROWS: tuple[Row, ...] = (
    Row("linear", linear_arguments, PRODUCTS, ("y",), Bound(linear_error, size=linear_size), exact=True,
        wrt=("x", "weight", "bias"), differences=LINEAR, spoil="x", flops=linear_flops, faults=LINEAR_FAULTS,
        drawer=with_bias),
    Row("linear_backward", linear_backward_arguments,
        (*PRODUCTS, RECTIFIED_PRODUCT,
         case("first layer without dx", N=5, inputs=7, outputs=6, need_dx=False),
         case("frozen layer without dweight", N=5, inputs=7, outputs=6, need_dweight=False)),
        ("dx", "dweight", "dbias"), Bound(linear_backward_error, size=linear_backward_size), exact=True, spoil="dy",
        flops=linear_backward_flops, faults=LINEAR_BACKWARD_FAULTS, drawer=with_gradients),
)
