"""Dropout: cases, bad calls and rows."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import numpy as np

from .. import reference
from ..shapes import DTypeError, ShapeError
from .drawing import any_shape, given, small_images
from .row import LINEAR, WIDTH, Arguments, Bound, Draw, Row, bad, bench, case, ones


def dropout_arguments(draw: Draw, x: tuple[int, ...], p: float = 0.5, seed: int = 7) -> Arguments:
    """Numbers, a probability and a seed."""
    return {"x": draw(*x), "p": p, "seed": seed}


def dropout_backward_arguments(draw: Draw, x: tuple[int, ...], p: float = 0.5, seed: int = 7) -> Arguments:
    """Gradient of the result, and the elements kept."""
    return {"dy": draw(*x), "mask": reference.dropout(np.zeros(x), p, seed=seed)[1], "p": p}


def dropout2d_backward_arguments(draw: Draw, x: tuple[int, ...], p: float = 0.5, seed: int = 7) -> Arguments:
    """Gradient of the result, and the channels kept."""
    return {"dy": draw(*x), "mask": reference.dropout2d(np.zeros(x), p, seed=seed)[1], "p": p}


DROPPED = (
    case("images", x=(2, 3, 5, 7)),
    case("one element kept", x=(1,), p=0.1),
    case("not a multiple of four", x=(4, 11)),
    case("a share short of two", x=(127,)),
    case("an element more than two shares", x=(129,)),
    case("nothing dropped", x=(5, 7), p=0.0),
    case("most dropped", x=(40, 7), p=0.8),
    case("another seed", x=(2, 3, 5, 7), seed=2**40 + 3),
    case("threads meet", x=(70001,)),
    bench("4M elements", x=(64, 32, 32, 64)),
)

DROPPED_CHANNELS = (
    case("images", x=(3, 4, 5, 7)),
    case("one channel kept", x=(1, 2, 3, 1), p=0.1),
    case("nothing dropped", x=(2, 3, 5, 7), p=0.0),
    case("most dropped", x=(9, 2, 3, 12), p=0.7),
    case("another seed", x=(3, 4, 5, 7), seed=2**40 + 3),
    case("a channel more than a vector", x=(2, 3, 4, WIDTH // 2 + 1)),
    case("threads meet", x=(5, 24, 26, 24)),
    bench("64 images of 32x32, 64 channels", x=(64, 32, 32, 64)),
)

DROPOUT_FAULTS = (
    bad("p above 1", ValueError, r"dropout: p is 1\.5, expected .* below 1", p=1.5),
    bad("p of 1", ValueError, r"dropout: p is 1\.0, expected .* below 1", p=1.0),
    bad("negative p", ValueError, r"dropout: p is -0\.1, expected a finite number of at least 0", p=-0.1),
    bad("p NaN", ValueError, r"dropout: p is nan, expected a finite number", p=math.nan),
    bad("p a string", DTypeError, r"dropout: p is 'half', expected a finite number", p="half"),
    bad("float seed", DTypeError, r"dropout: seed is 0\.5, expected an integer", seed=0.5),
    bad("integers", DTypeError, r"dropout: x has dtype int64, expected float32", x=ones(3, dtype=int)),
)

DROPOUT_BACKWARD_FAULTS = (
    bad("mask of another shape", ShapeError,
        r"dropout_backward: (mask|dy) has shape .*, expected", mask=ones(3, dtype=bool)),
    bad("mask of floats", DTypeError, r"dropout_backward: mask has dtype float32, expected bool", mask=ones(2, 3, 5, 7)),
    bad("a number", ShapeError, r"dropout_backward: dy is a single number", dy=np.float32(1), mask=np.bool_(True)),
)

DROPOUT2D_FAULTS = (
    bad("rows", ShapeError, r"dropout2d: x has 2 dimensions \(shape \(3, 7\)\), expected 4", x=ones(3, 7)),
    bad("p of 1", ValueError, r"dropout2d: p is 1\.0, expected .* below 1", p=1.0),
    bad("float seed", DTypeError, r"dropout2d: seed is 0\.5, expected an integer", seed=0.5),
)

DROPOUT2D_BACKWARD_FAULTS = (
    bad("mask of another shape", ShapeError, r"dropout2d_backward: mask has shape \(3,\), expected \(3, 7\)",
        mask=ones(3, dtype=bool)),
    bad("mask of floats", DTypeError, r"dropout2d_backward: mask has dtype float32, expected bool", mask=ones(3, 7)),
)


def dropped(random: Random) -> dict[str, Any]:
    """Draw numbers, a probability and a seed."""
    return {"x": any_shape(random), **given(random, p=(0.0, 0.1, 0.8, 0.99), seed=(0, 1, 2**32, 2**63 - 1))}


def dropped_channels(random: Random) -> dict[str, Any]:
    """Draw images, a probability and a seed."""
    return {**dropped(random), "x": small_images(random)}


ROWS: tuple[Row, ...] = (
    Row("dropout", dropout_arguments, DROPPED, ("y", "mask"), Bound(1, each=True), wrt=("x",), differences=LINEAR,
        nonzero=0.1, spoil="x", faults=DROPOUT_FAULTS, drawer=dropped),
    Row("dropout_backward", dropout_backward_arguments, DROPPED, ("dx",), Bound(1, each=True), nonzero=0.1, spoil="dy",
        faults=DROPOUT_BACKWARD_FAULTS, drawer=dropped),
    Row("dropout2d", dropout_arguments, DROPPED_CHANNELS, ("y", "mask"), Bound(1, each=True), wrt=("x",), differences=LINEAR,
        nonzero=0.1, faults=DROPOUT2D_FAULTS, drawer=dropped_channels),
    Row("dropout2d_backward", dropout2d_backward_arguments, DROPPED_CHANNELS, ("dx",), Bound(1, each=True), nonzero=0.1,
        faults=DROPOUT2D_BACKWARD_FAULTS, drawer=dropped_channels),
)
