"""Normalisations: cases, bad calls and rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from .. import reference
from ..shapes import DTypeError, ShapeError
from .drawing import any_shape, chance, channels, given, images, small_images
from .row import WIDTH, Arguments, Bound, Differences, Draw, Row, bad, bench, case, of_sum, ones, textbook, typical

# Of numbers apart from each other: two that are nearly equal have a variance below the step.
APART = Differences(step=1e-5, kind="spread", bound=1e-8, extrapolated=True)


def batch_norm_arguments(draw: Draw, x: tuple[int, ...], training: bool = True, **options: Any) -> Arguments:
    """Images or rows, and what each channel has."""
    C = x[-1]
    return {"x": draw(*x), "gamma": draw.positive(C), "beta": draw(C), "running_mean": draw(C),
            "running_var": draw.positive(C), "training": training, **options}


def batch_norm_backward_arguments(draw: Draw, x: tuple[int, ...], training: bool = True, relu: bool = False,
                                  **options: Any) -> Arguments:
    """Gradient of the result, images or rows, and what forward saved; the result too where it was rectified."""
    forward = batch_norm_arguments(draw, x, training, **options)
    y, saved = reference.batch_norm(**forward, relu=relu)
    return {"dy": draw(*x), "x": forward["x"], "gamma": forward["gamma"], "training": training,
            "saved": tuple(np.asarray(array, draw.dtype) for array in saved),
            "y": np.asarray(y, draw.dtype) if relu else None}


def norm_error(a: Arguments) -> float:
    """Sums over images and pixels; those of float32 are taken in float64."""
    return 5 if a["x"].dtype == np.float32 else max(5, of_sum(a["x"][..., 0].size))


def y_size(a: Arguments) -> float:
    """Size of the parts that y is the sum of, where x is about one deviation from its mean."""
    return float((np.abs(a["gamma"]) + np.abs(a["beta"])).max())


def norm_size(a: Arguments) -> dict[str, float]:
    """A mean may be small beside the numbers, and deviations beside the error of the reference's mean."""
    x = np.where(np.isfinite(a["x"]), a["x"], 0)
    largest = float(np.abs(x).max())
    sizes = {"saved[0]": largest, "running_mean": largest, "y": y_size(a)}
    if x.dtype == np.float64:
        inverse_std = float((1 / np.sqrt(x.var(axis=tuple(range(x.ndim - 1))) + a.get("eps", 1e-5))).max())
        sizes["saved[1]"] = largest * inverse_std**2
        sizes["y"] *= 1 + largest * inverse_std
    return sizes


def norm_backward_size(a: Arguments) -> dict[str, float]:
    """What is left of dy when its mean and its slope are taken away may be little."""
    sizes = {name: float(np.abs(a["dy"] * factor).max())
             for name, factor in (("dx", a["gamma"] * a["saved"][1]), ("dgamma", (a["x"] - a["saved"][0]) * a["saved"][1]))}
    return {**sizes, "dbeta": typical(a["x"][..., 0].size, a["dy"])}


def norm_backward_error(a: Arguments) -> dict[str, float]:
    """Sums over images and pixels."""
    pixels = of_sum(a["x"][..., 0].size)
    return {"dx": 5, "dgamma": pixels, "dbeta": pixels}


NORMALISED = (
    case("images", x=(3, 4, 5, 6)),
    case("rows", x=(9, 5)),
    case("two rows", x=(2, 5)),
    case("one channel", x=(3, 4, 5, 1)),
    case("one image", x=(1, 4, 5, 3)),
    case("one pixel each", x=(5, 1, 1, 3)),
    case("a channel short of a vector", x=(2, 3, 4, WIDTH // 2 - 1)),
    case("one vector of channels", x=(2, 3, 4, WIDTH // 2)),
    case("a channel more than a vector", x=(2, 3, 4, WIDTH // 2 + 1)),
    case("many channels", x=(3, 2, 2, 300)),
    case("many pixels", x=(5, 31, 29, 2)),
    case("one channel, a pixel more than a run", x=(1, 257, 1, 1)),
    case("a momentum and an epsilon of its own", x=(4, 3, 3, 5), momentum=0.4, eps=1e-2),
    case("with ReLU", x=(3, 4, 5, 6), relu=True),
    case("inference", x=(3, 4, 5, 6), training=False),
    case("inference with ReLU", x=(3, 4, 5, 6), training=False, relu=True),
    case("inference of one row", x=(1, 7), training=False),
    case("inference, threads meet", x=(8, 20, 18, 40), training=False),
    case("several chunks of pixels, threads meet", x=(8, 20, 18, 40)),
    case("channels, threads meet", x=(3, 2, 3, 7)),
    bench("64 images of 32x32, 64 channels", x=(64, 32, 32, 64)),
    bench("inference of 64 images of 32x32, 64 channels", x=(64, 32, 32, 64), training=False),
)


# Of a plain loop nest, which knows no vectors: each setting, and channels that meet on several threads.
PLAIN = ("images", "rows", "two rows", "one channel", "many pixels", "a momentum and an epsilon of its own", "with ReLU",
         "inference", "inference with ReLU", "inference of one row", "channels, threads meet")


def apart_arguments(draw: Draw, x: tuple[int, ...], **options: Any) -> Arguments:
    """Images or rows, gamma and beta."""
    return {"x": draw(*x), "gamma": draw.positive(x[-1]), "beta": draw(x[-1]), **options}


def apart_backward(operation: str) -> Callable[..., Arguments]:
    """Arguments of a gradient: that of the result, images or rows, and what forward saved."""

    def arguments(draw: Draw, x: tuple[int, ...], **options: Any) -> Arguments:
        forward = apart_arguments(draw, x, **options)
        _, saved = getattr(reference, operation)(**forward)
        groups = {name: value for name, value in options.items() if name == "groups"}
        return {"dy": draw(*x), "x": forward["x"], "gamma": forward["gamma"],
                "saved": tuple(np.asarray(array, draw.dtype) for array in saved), **groups}

    return arguments


def apart_error(a: Arguments) -> float:
    """Sums over a row or a group of an image; those of float32 are taken in float64."""
    return 8 if a["x"].dtype == np.float32 else 8 + of_sum(a["x"][0].size)


def apart_size(a: Arguments) -> dict[str, float]:
    """Numbers that are close together lose digits, those of float64 in their squares too; a mean may be small."""
    return {"saved[0]": float(np.abs(a["x"]).max()), "y": y_size(a)}


def apart_backward_size(a: Arguments) -> dict[str, float]:
    """What is left of dy when its mean and its slope are taken away may be little, and x - mean is rounded."""
    inverse_std = float(a["saved"][1].max())
    largest = float(np.abs(a["dy"]).max())
    return {"dx": largest * inverse_std * float(np.abs(a["x"]).max()) * inverse_std, "dgamma": largest * inverse_std,
            "dbeta": typical(a["x"][..., 0].size, a["dy"])}


ROWS_APART = (
    case("rows", x=(9, 12)),
    case("images", x=(2, 3, 4, 12)),
    case("one row", x=(1, 12)),
    case("one row without a batch", x=(12,)),
    case("a channel short of a vector", x=(5, WIDTH // 2 - 1)),
    case("a channel more than a vector", x=(5, WIDTH // 2 + 1)),
    case("many channels", x=(3, 700)),
    case("another epsilon", x=(9, 12), eps=0.1),
    case("threads meet", x=(8, 20, 18, 40)),
    bench("4096 rows of 512", x=(4096, 512)),
)

GROUPS_APART = (
    case("two groups", x=(3, 4, 5, 6), groups=2),
    case("one group", x=(3, 4, 5, 6), groups=1),
    case("a group each", x=(3, 4, 5, 3), groups=3),
    case("rows", x=(9, 12), groups=2),
    case("one image", x=(1, 4, 5, 6), groups=3),
    case("groups more than a vector", x=(2, 3, 4, WIDTH + 2), groups=2),
    case("many pixels", x=(2, 31, 29, 4), groups=2),
    case("one channel, a pixel more than a run", x=(2, 257, 1, 1), groups=1),
    case("another epsilon", x=(3, 4, 5, 6), groups=2, eps=0.1),
    case("threads meet", x=(8, 20, 18, 40), groups=5),
    bench("64 images of 32x32, 64 channels, 32 groups", x=(64, 32, 32, 64), groups=32),
)

NORM_FAULTS = (
    bad("x of rank 3", ShapeError, r"batch_norm: x .*\(4, 5, 6\).* expected", x=ones(4, 5, 6)),
    bad("empty batch", ShapeError, r"batch_norm: x is empty \(shape \(0, 4, 5, 6\)\)", x=ones(0, 4, 5, 6)),
    bad("one value per channel", ShapeError, r"batch_norm: x .*\(1, 1, 1, 6\).* expected", x=ones(1, 1, 1, 6)),
    bad("gamma of another length", ShapeError, r"batch_norm: gamma has shape \(5,\), expected \(6,\)", gamma=ones(5)),
    bad("beta of rank 2", ShapeError, r"batch_norm: beta has shape \(1, 6\), expected \(6,\)", beta=ones(1, 6)),
    bad("running_var of another length", ShapeError, r"batch_norm: running_var has shape \(7,\), expected \(6,\)",
        running_var=ones(7)),
    bad("gamma in float64", DTypeError, r"batch_norm: gamma is float64 and x is float32", gamma=ones(6, dtype=float)),
    bad("running_mean that cannot be written", DTypeError,
        r"batch_norm: running_mean is .* expected a C-contiguous, writable",
        running_mean=np.broadcast_to(np.float32(0), (6,))),
    bad("negative momentum", ValueError,
        r"batch_norm: momentum is -0\.1, expected a finite number of at least 0", momentum=-0.1),
    bad("momentum of two", ValueError, r"batch_norm: momentum is 2\.0, expected .* at most 1", momentum=2),
    bad("eps NaN", ValueError, r"batch_norm: eps is nan, expected a finite number", eps=math.nan),
    bad("an addend of another shape", ShapeError, r"batch_norm: add has shape \(3, 4, 5, 1\), expected \(3, 4, 5, 6\)",
        add=ones(3, 4, 5, 1)),
)

NORM_BACKWARD_FAULTS = (
    bad("dy of another shape", ShapeError, r"batch_norm_backward: dy has shape \(3, 4, 5, 7\), expected \(3, 4, 5, 6\)",
        dy=ones(3, 4, 5, 7)),
    bad("saved of another length", ShapeError, r"batch_norm_backward: saved.* shape \(5,\), expected \(6,\)",
        saved=(ones(5), ones(5))),
    bad("one saved array", DTypeError, r"batch_norm_backward: saved is 1 values, expected \(mean, inverse_std\)",
        saved=(ones(6),)),
    bad("saved is an array", DTypeError, r"batch_norm_backward: saved is a ndarray, expected \(mean, inverse_std\)",
        saved=ones(2, 6)),
    bad("saved in float64", DTypeError, r"batch_norm_backward: mean is float64 and dy is float32",
        saved=(ones(6, dtype=float), ones(6, dtype=float))),
    bad("y in float64", DTypeError, r"batch_norm_backward: y is float64 and dy is float32", y=ones(3, 4, 5, 6, dtype=float)),
    bad("one value per channel", ShapeError, r"batch_norm_backward: x has one value in each channel \(shape \(1, 6\)\)",
        x=ones(1, 6), dy=ones(1, 6)),
)

APART_FAULTS = (
    bad("gamma of another length", ShapeError, r"_norm: gamma has shape \(5,\), expected \(\d+,\)", gamma=ones(5)),
    bad("gamma in float64", DTypeError, r"_norm: gamma is float64 and x is float32", gamma=ones(6, dtype=float)),
    bad("beta of rank 2", ShapeError, r"_norm: beta has shape \(1, 6\), expected", beta=ones(1, 6)),
    bad("eps NaN", ValueError, r"_norm: eps is nan, expected a finite number", eps=math.nan),
)

APART_BACKWARD_FAULTS = (
    bad("dy of another shape", ShapeError, r"_norm_backward: dy has shape \(3, 4\), expected", dy=ones(3, 4)),
    bad("saved of another length", ShapeError, r"_norm_backward: saved mean has shape \(5,\), expected",
        saved=(ones(5), ones(5))),
    bad("three saved arrays", DTypeError, r"_norm_backward: saved is 3 values, expected \(mean, inverse_std\)",
        saved=(ones(5), ones(5), ones(5))),
    bad("nothing saved", DTypeError, r"_norm_backward: saved is a NoneType, expected \(mean, inverse_std\)", saved=None),
)

GROUP_NORM_FAULTS = (
    *APART_FAULTS,
    bad("groups that divide nothing", ShapeError, r"group_norm: groups is 4, expected a divisor of the 6", groups=4),
    bad("x of rank 3", ShapeError, r"group_norm: x .*\(4, 5, 6\).* expected", x=ones(4, 5, 6)),
)


def normalised(random: Random) -> dict[str, Any]:
    """Draw images or rows, of which training needs two values in each channel, and options of batch norm."""
    rows, training = chance(random, 0.3), chance(random, 0.7)
    x = (random.randint(1, 12), channels(random)) if rows else small_images(random)
    if math.prod(x[:-1]) == 1:
        training = False
    return {"x": x, **({} if training else {"training": False}),
            **given(random, momentum=(0.0, 0.4, 1.0), eps=(1e-3, 1e-2), relu=(True,))}


def rows_apart(random: Random) -> dict[str, Any]:
    """Draw rows of any number of axes."""
    return {"x": (*any_shape(random)[:-1], random.randint(1, 4) + channels(random)), **given(random, eps=(1e-3, 0.1))}


def groups_apart(random: Random) -> dict[str, Any]:
    """Draw images or rows, and groups of at least two values."""
    groups, width = random.randint(1, 4), channels(random)
    H, W = random.randint(1, 9), random.randint(1, 9)
    if H * W * width == 1 or chance(random, 0.3):
        return {"x": (random.randint(1, 9), groups * (width + 1)), "groups": groups, **given(random, eps=(1e-3, 0.1))}
    return {"x": images(random, H, W, groups * width), "groups": groups, **given(random, eps=(1e-3, 0.1))}


BATCH_NORM = (
    Row("batch_norm", batch_norm_arguments, NORMALISED, ("y", "saved"), Bound(norm_error, size=norm_size),
        wrt=("x", "gamma", "beta"), differences=APART, updates=("running_mean", "running_var"), spoil="x",
        faults=NORM_FAULTS, drawer=normalised),
    Row("batch_norm_backward", batch_norm_backward_arguments, NORMALISED, ("dx", "dgamma", "dbeta"),
        Bound(norm_backward_error, size=norm_backward_size), spoil="dy", faults=NORM_BACKWARD_FAULTS, drawer=normalised),
)

ROWS: tuple[Row, ...] = (
    *BATCH_NORM, *(textbook(row, *PLAIN) for row in BATCH_NORM),
    Row("layer_norm", apart_arguments, ROWS_APART, ("y", "saved"), Bound(apart_error, size=apart_size),
        wrt=("x", "gamma", "beta"), differences=APART, spoil="x", faults=APART_FAULTS, drawer=rows_apart),
    Row("layer_norm_backward", apart_backward("layer_norm"), ROWS_APART, ("dx", "dgamma", "dbeta"),
        Bound(norm_backward_error, size=apart_backward_size), spoil="dy", faults=APART_BACKWARD_FAULTS, drawer=rows_apart),
    Row("group_norm", apart_arguments, GROUPS_APART, ("y", "saved"), Bound(apart_error, size=apart_size),
        wrt=("x", "gamma", "beta"), differences=APART, spoil="x", faults=GROUP_NORM_FAULTS, drawer=groups_apart),
    Row("group_norm_backward", apart_backward("group_norm"), GROUPS_APART, ("dx", "dgamma", "dbeta"),
        Bound(norm_backward_error, size=apart_backward_size), spoil="dy", faults=APART_BACKWARD_FAULTS, drawer=groups_apart),
)
