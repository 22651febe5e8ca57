"""Optimizers, clipping and norms of gradients: cases, bad calls and rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from ..shapes import DTypeError, ShapeError
from .drawing import Drawer, any_shape, given
from .row import EXACT, GRADIENTS, Arguments, Bound, Draw, Row, bad, bench, case, of_sum, ones, trivial


def optimizer(*means: str, squares: tuple[str, ...] = (), **usual: Any) -> Callable[..., Arguments]:
    """Arguments of an update: parameters, gradients, running means and running squares."""

    def arguments(draw: Draw, n: tuple[int, ...], **options: Any) -> Arguments:
        moving = {name: draw(*n) for name in ("parameter", "gradient", *means)}
        return {**moving, **{name: draw.positive(*n) for name in squares}, **usual, **options}

    return arguments


def moved_size(a: Arguments) -> dict[str, float]:
    """A sum of parameters, gradients and means of them may be small beside these."""
    largest = max(float(np.abs(value).max()) for value in a.values() if isinstance(value, np.ndarray))
    return dict.fromkeys(("parameter", "velocity", "first"), largest)


def gradient_arguments(draw: Draw, n: tuple[int, ...]) -> Arguments:
    """Gradients."""
    return {"gradient": draw(*n)}


def clip_arguments(draw: Draw, n: tuple[int, ...], limit: float = 0.75) -> Arguments:
    """Gradients and a limit."""
    return {"gradient": draw(*n), "limit": limit}


def filters_arguments(draw: Draw, weight: tuple[int, ...], limit: float | None = None) -> Arguments:
    """Weights, and a norm that about half of their filters exceed."""
    return {"weight": draw(*weight), "limit": float(np.sqrt(math.prod(weight[:-1]))) if limit is None else limit}


def filters_error(a: Arguments) -> dict[str, float]:
    """A sum over each filter."""
    return {"weight": of_sum(a["weight"].size // a["weight"].shape[-1])}


BUFFERS = (
    case("a vector and more", n=(37,)),
    case("one parameter", n=(1,)),
    case("two shares", n=(128,)),
    case("an element more than two shares", n=(129,)),
    case("without decay", n=(50,), weight_decay=0.0),
    case("threads meet", n=(40001,)),
    case("scaled gradient", n=(50,), scale=0.25),
    bench("1M parameters", n=(1 << 20,)),
)

FILTERS = (
    case("filters of a convolution", weight=(3, 3, 5, 37)),
    case("columns of a linear layer", weight=(50, 10)),
    case("one filter", weight=(3, 3, 5, 1)),
    case("filters of one element", weight=(1, 40)),
    trivial("norm 0", weight=(9, 20), limit=0.0),
    case("threads meet", weight=(1100, 70)),
    bench("3x3, 256 to 256 channels", weight=(3, 3, 256, 256)),
    bench("linear, 1024 to 10", weight=(1024, 10)),
)

DESCENTS = (
    *BUFFERS,
    case("first step", n=(50,), step=1),
    case("Nesterov", n=(50,), nesterov=True),
    case("without momentum", n=(50,), momentum=0.0),
    case("first step with Nesterov", n=(50,), step=1, nesterov=True),
)

ADAPTIVE = (
    *BUFFERS,
    case("first step", n=(50,), step=1),
    case("a late step", n=(50,), step=1000),
    case("decay of the parameters", n=(50,), decoupled=True),
    case("other betas", n=(50,), beta1=0.5, beta2=0.9),
)

sgd = optimizer("velocity", lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.01, step=2)

adam = optimizer("first", squares=("second",), lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, decoupled=False,
                 step=2)

rmsprop = optimizer(squares=("square",), lr=0.1, alpha=0.99, eps=1e-8, weight_decay=0.01)

adagrad = optimizer(squares=("square",), lr=0.1, eps=1e-10, weight_decay=0.01)

adadelta = optimizer(squares=("square", "change"), lr=0.1, rho=0.9, eps=1e-6, weight_decay=0.01)

adamax = optimizer("first", squares=("largest",), lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, step=2)

lion = optimizer("first", lr=0.1, beta1=0.9, beta2=0.99, weight_decay=0.01)

BUFFER_FAULTS = (
    bad("gradient of another shape", ShapeError, r": gradient has shape \(38,\), expected \(37,\)", gradient=ones(38)),
    bad("gradient in float64", DTypeError,
        r": gradient is float64 and parameter is float32", gradient=ones(37, dtype=float)),
    bad("parameter of integers", DTypeError,
        r": parameter is a int64 array, expected a C-contiguous", parameter=ones(37, dtype=int)),
    bad("parameter is a list", DTypeError, r": parameter is a list, expected a C-contiguous", parameter=[1.0]),
    bad("parameter with gaps", DTypeError,
        r": parameter is a float32 array, expected a C-contiguous", parameter=ones(74)[::2]),
    bad("learning rate NaN", ValueError, r": lr is nan, expected a finite number of at least 0", lr=math.nan),
    bad("negative learning rate", ValueError, r": lr is -1\.0, expected a finite number of at least 0", lr=-1),
    bad("infinite learning rate", ValueError, r": lr is inf, expected a finite number of at least 0", lr=math.inf),
    bad("learning rate None", DTypeError, r": lr is None, expected a finite number of at least 0", lr=None),
    bad("negative decay", ValueError, r": weight_decay is -0\.1, expected a finite number", weight_decay=-0.1),
    bad("scale NaN", ValueError, r": scale is nan, expected a finite number of at least 0", scale=math.nan),
    bad("gradient to set to zero is a list", DTypeError, r": gradient is a list, expected a C-contiguous",
        gradient=[1.0] * 37, zero=True),
)

CLIP_VALUES_FAULTS = (
    bad("gradient is a list", DTypeError, r"clip_values: gradient is a list, expected a C-contiguous", gradient=[1.0]),
    bad("negative limit", ValueError, r"clip_values: limit is -1\.0, expected a finite number of at least 0", limit=-1),
)

CLIP_NORMS_FAULTS = (
    bad("weight is a list", DTypeError, r"clip_norms: weight is a list, expected a C-contiguous", weight=[[1.0]]),
    bad("a vector", ShapeError, r"clip_norms: weight has shape \(9,\), expected \(\.\.\., K\)", weight=ones(9)),
    bad("no filters", ShapeError, r"clip_norms: weight is empty", weight=ones(9, 0)),
    bad("negative norm", ValueError, r"clip_norms: limit is -1\.0, expected a finite number of at least 0", limit=-1),
    bad("norm NaN", ValueError, r"clip_norms: limit is nan, expected a finite number", limit=math.nan),
)

GRADIENT_NORM_FAULTS = (
    bad("gradient of integers", DTypeError, r"gradient_norm: gradient has dtype int64", gradient=ones(37, dtype=int)),
    bad("no gradient", ShapeError, r"gradient_norm: gradient is empty", gradient=ones(0)),
)


def buffers(**options: tuple[Any, ...]) -> Drawer:
    """Make a drawer of parameters and of some options of an optimizer."""
    shared = {"lr": (1.0, 1e-3), "weight_decay": (0.0, 0.3), "scale": (0.25,)}
    return lambda random: {"n": any_shape(random), **given(random, **shared, **options)}


def gradients(random: Random) -> dict[str, Any]:
    """Draw gradients."""
    return {"n": any_shape(random)}


def clipped(random: Random) -> dict[str, Any]:
    """Draw gradients and a limit."""
    return {"n": any_shape(random), **given(random, limit=(0.0, 0.1, 3.0))}


def filters(random: Random) -> dict[str, Any]:
    """Draw weights and the largest norm of a filter."""
    return {"weight": (random.randint(1, 5), *any_shape(random)), **given(random, limit=(0.0, 1.0))}


ROWS: tuple[Row, ...] = (
    Row("sgd", sgd, DESCENTS, (), Bound(2, size=moved_size), updates=("parameter", "velocity"), spoil="gradient",
        faults=BUFFER_FAULTS, drawer=buffers(momentum=(0.0, 0.5), nesterov=(True,), step=(1, 3))),
    Row("adam", adam, ADAPTIVE, (), Bound(2, size=moved_size), updates=("parameter", "first", "second"), spoil="gradient",
        faults=BUFFER_FAULTS, drawer=buffers(beta1=(0.0, 0.5), beta2=(0.5,), eps=(1e-3,), decoupled=(True,), step=(1,
        1000))),
    Row("rmsprop", rmsprop, BUFFERS, (), Bound(2, size=moved_size), updates=("parameter", "square"), spoil="gradient",
        faults=BUFFER_FAULTS, drawer=buffers(alpha=(0.5,), eps=(1e-3,))),
    Row("adagrad", adagrad, BUFFERS, (), Bound(2, size=moved_size), updates=("parameter", "square"), spoil="gradient",
        faults=BUFFER_FAULTS, drawer=buffers(eps=(1e-3,))),
    Row("adadelta", adadelta, BUFFERS, (), Bound(4, size=moved_size), updates=("parameter", "square", "change"),
        spoil="gradient", faults=BUFFER_FAULTS, drawer=buffers(rho=(0.5,), eps=(1e-3,))),
    Row("adamax", adamax, (*BUFFERS, case("first step", n=(50,), step=1), case("a late step", n=(50,), step=1000)), (),
        Bound(2, size=moved_size), updates=("parameter", "first", "largest"), spoil="gradient", faults=BUFFER_FAULTS,
        drawer=buffers(beta1=(0.5,), beta2=(0.5,), step=(1, 1000))),
    Row("lion", lion, BUFFERS, (), Bound(2, size=moved_size), updates=("parameter", "first"), spoil="gradient",
        faults=BUFFER_FAULTS, drawer=buffers(beta1=(0.5,), beta2=(0.5,))),
    Row("clip_values", clip_arguments, GRADIENTS, (), EXACT, exact=True, updates=("gradient",), spoil="gradient",
        faults=CLIP_VALUES_FAULTS, drawer=clipped),
    Row("clip_norms", filters_arguments, FILTERS, (), Bound(filters_error), updates=("weight",), spoil="weight",
        faults=CLIP_NORMS_FAULTS, drawer=filters),
    Row("gradient_norm", gradient_arguments, GRADIENTS, ("norm",), Bound(2), spoil="gradient", faults=GRADIENT_NORM_FAULTS,
        drawer=gradients),
)
