"""Losses: cases, bad calls and rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from ..shapes import DTypeError, ShapeError
from .drawing import any_shape, elements_of, given
from .row import (
    ELEMENTS,
    GRADIENTS,
    LANES,
    STRAIGHT,
    WIDTH,
    Arguments,
    Bound,
    Draw,
    Row,
    bad,
    bench,
    case,
    of_sum,
    ones,
    trivial,
)


def some_ignored(labels: np.ndarray, ignore_index: int | None = None, **_: Any) -> np.ndarray:
    """Labels, of which each third is the ignored one if no class is."""
    if ignore_index is None or ignore_index >= 0:
        return labels
    return np.where(np.arange(len(labels)) % 3 == 1, ignore_index, labels)


def cross_entropy_arguments(draw: Draw, N: int, K: int, target: str = "labels", weighted: bool = False,
                            scale: float = 1.0, **options: Any) -> Arguments:
    """Logits, and labels as numbers, as one-hot rows or as probabilities; label 1 may be ignored."""
    logits, labels = draw.scaled(scale, N, K), draw.below(K, N)
    targets = {"labels": some_ignored(labels, **options), "one-hot": np.eye(K, dtype=np.int64)[labels],
               "probabilities": draw.share(N, K)}
    return {"logits": logits, "labels": targets[target], "class_weight": draw.positive(K) if weighted else None, **options}


def cross_entropy_size(a: Arguments) -> dict[str, float]:
    """What is left of a probability without what it should be may be little, and of a logit without the largest."""
    finite = np.where(np.isfinite(a["logits"]), a["logits"], 0)
    return {"loss": float(np.abs(finite).max()) / len(finite), "dlogits": 1 / len(finite)}


def hinge_size(a: Arguments) -> dict[str, float]:
    """A margin is a difference of scores."""
    return {"loss": float(np.abs(np.where(np.isfinite(a["scores"]), a["scores"], 0)).max()) / len(a["scores"])}


def binary_cross_entropy_size(a: Arguments) -> dict[str, float]:
    """What is left of a probability without what it should be may be little, and of a logit without its share."""
    finite = np.where(np.isfinite(a["logits"]), a["logits"], 0)
    return {"dlogits": 1 / finite.size, "loss": float(np.abs(finite).max()) / finite.size}


def pairs(first: str, between: bool = False) -> Callable[..., Arguments]:
    """Arguments of a loss of two equal shapes, the target on request between 0 and 1; no "spread" ones differ by 0 or 1."""

    def arguments(draw: Draw, x: tuple[int, ...], scale: float = 1.0, **options: Any) -> Arguments:
        target = np.asarray(draw.random.random(x), draw.dtype) if between else draw(*x)
        shift = draw.dtype.type(0.03 if draw.kind == "spread" else 0)
        return {first: draw.scaled(scale, *x), "target": target + shift, **options}

    return arguments


def nll_arguments(draw: Draw, N: int, K: int, weighted: bool = False, scale: float = 1.0, **options: Any) -> Arguments:
    """Numbers below zero, and labels; label 1 may be ignored."""
    return {"log_probabilities": -np.abs(draw.scaled(scale, N, K)), "labels": some_ignored(draw.below(K, N), **options),
            "class_weight": draw.positive(K) if weighted else None, **options}


def hinge_arguments(draw: Draw, N: int, K: int, scale: float = 1.0, **options: Any) -> Arguments:
    """Scores, of which no two "spread" ones differ by the margin 1, and labels."""
    scores = draw.scaled(scale, N, K)
    return {"scores": scores * draw.dtype.type(0.97 if draw.kind == "spread" else 1), "labels": draw.below(K, N), **options}


def l2_arguments(draw: Draw, n: tuple[int, ...], weight: float = 0.01) -> Arguments:
    """Parameters, gradients and a weight."""
    return {"parameter": draw(*n), "gradient": draw(*n), "weight": weight}


def l2_error(a: Arguments) -> dict[str, float]:
    """A sum over all parameters."""
    return {"loss": of_sum(a["parameter"].size), "gradient": 2}


ENTROPIES = (
    case("10 classes", N=12, K=10),
    trivial("one class", N=5, K=1),
    case("one row", N=1, K=5),
    case("two classes", N=7, K=2),
    case("a class more than a vector", N=4, K=WIDTH // 2 + 1),
    case("three classes, rows for several tiles", N=11, K=3),
    case("seven rows of 100 classes", N=7, K=100),
    case("100 classes, ignored label", N=7, K=100, ignore_index=1),
    case("100 classes, smoothing", N=7, K=100, label_smoothing=0.1),
    case("100 classes, probabilities", N=7, K=100, target="probabilities"),
    case("1000 classes", N=3, K=1000),
    case("large logits", N=30, K=6, scale=40.0),
    case("weights", N=12, K=5, weighted=True),
    case("smoothing", N=12, K=5, label_smoothing=0.1),
    case("smoothing alone", N=12, K=5, label_smoothing=1.0),
    case("ignored label", N=12, K=4, ignore_index=1),
    case("ignored label out of range", N=12, K=5, ignore_index=-100),
    case("ignored label far out of range", N=13, K=5, ignore_index=-1 << 40),
    trivial("all labels ignored", N=3, K=1, ignore_index=0),
    case("weights, smoothing", N=12, K=5, weighted=True, label_smoothing=0.2),
    case("weights, ignored label", N=12, K=4, weighted=True, ignore_index=1),
    case("smoothing, ignored label", N=12, K=4, label_smoothing=0.2, ignore_index=1),
    case("weights, smoothing, ignored label", N=12, K=4, weighted=True, label_smoothing=0.2, ignore_index=1),
    case("one-hot", N=12, K=5, target="one-hot"),
    case("one-hot, weights, smoothing", N=12, K=5, target="one-hot", weighted=True, label_smoothing=0.2),
    case("probabilities", N=12, K=5, target="probabilities"),
    case("probabilities, weights", N=12, K=5, target="probabilities", weighted=True),
    case("probabilities, smoothing", N=12, K=5, target="probabilities", label_smoothing=0.2),
    case("probabilities, weights, smoothing", N=12, K=5, target="probabilities", weighted=True, label_smoothing=0.2),
    case("probabilities, threads meet", N=700, K=21, target="probabilities"),
    case("threads meet", N=700, K=21),
    bench("128 rows of 10 classes", N=128, K=10),
    bench("4096 rows of 100 classes", N=4096, K=100),
    bench("256 rows of 1000 classes", N=256, K=1000),
)

LABELLED = (*(one for one in ENTROPIES if not {"target", "label_smoothing"} & one.settings.keys()),)

HINGES = (*(one for one in LABELLED if not {"weighted", "ignore_index"} & one.settings.keys()),
          case("another margin", N=12, K=10, margin=0.25))

ENTROPY_FAULTS = (
    bad("logits of rank 1", ShapeError,
        r"cross_entropy: logits has 1 dimensions \(shape \(10,\)\), expected 2", logits=ones(10)),
    bad("empty batch", ShapeError, r"cross_entropy: logits is empty \(shape \(0, 10\)\)", logits=ones(0, 10)),
    bad("logits of integers", DTypeError, r"cross_entropy: logits has dtype int64", logits=ones(12, 10, dtype=int)),
    bad("label -1", ValueError, r"cross_entropy: labels\[0\] is -1, expected 0 to 9", labels=np.full(12, -1)),
    bad("label 10", ValueError, r"cross_entropy: labels\[11\] is 10, expected 0 to 9", labels=np.arange(12) // 11 * 10),
    bad("largest label there is", ValueError, r"cross_entropy: labels\[0\] is 9223372036854775807, expected 0 to 9",
        labels=np.full(12, np.iinfo(np.int64).max)),
    bad("labels of floats", DTypeError, r"cross_entropy: labels has dtype float32, expected", labels=ones(12)),
    bad("labels of truth values", DTypeError,
        r"cross_entropy: labels has dtype bool, expected", labels=ones(12, dtype=bool)),
    bad("other number of labels", ShapeError, r"cross_entropy: labels has shape \(11,\), expected \(12,\)",
        labels=np.zeros(11, np.int64)),
    bad("probabilities of another shape", ShapeError, r"cross_entropy: labels has shape \(12, 9\), expected \(12, 10\)",
        labels=ones(12, 9)),
    bad("probabilities in float64", DTypeError, r"cross_entropy: labels is float64 and logits is float32",
        labels=ones(12, 10, dtype=float)),
    bad("ignore_index with probabilities", ValueError, r"cross_entropy: ignore_index is 1, expected None",
        labels=ones(12, 10), ignore_index=1),
    bad("ignore_index is a float", DTypeError, r"cross_entropy: ignore_index is 0\.5, expected an integer",
        labels=np.full(12, -1), ignore_index=0.5),
    bad("weights of another length", ShapeError, r"cross_entropy: class_weight has shape \(9,\), expected \(10,\)",
        class_weight=ones(9)),
    bad("weights below the normal numbers", ValueError, r"cross_entropy: class_weight holds 1e-40, expected 0 or",
        class_weight=np.full(10, 1e-40, np.float32)),
    bad("negative weights", ValueError,
        r"cross_entropy: class_weight holds -1\.0 to -1\.0, expected", class_weight=-ones(10)),
    bad("weights in float64", DTypeError, r"cross_entropy: class_weight is float64", class_weight=ones(10, dtype=float)),
    bad("smoothing above 1", ValueError,
        r"cross_entropy: label_smoothing is 1\.5, expected .* at most 1", label_smoothing=1.5),
    bad("smoothing NaN", ValueError, r"cross_entropy: label_smoothing is nan, expected a finite", label_smoothing=math.nan),
)

PAIR_FAULTS = (
    bad("target of another shape", ShapeError, r": target has shape \(2, 3\), expected \(2, 3, 5, 7\)", target=ones(2, 3)),
    bad("target of integers", DTypeError, r": target has dtype int64, expected float32", target=ones(2, 3, 5, 7, dtype=int)),
    bad("target in float64", DTypeError, r": target is float64 and .* is float32", target=ones(2, 3, 5, 7, dtype=float)),
)

LABEL_FAULTS = (
    bad("label -1", ValueError, r"_loss: labels\[0\] is -1, expected 0 to 9", labels=np.full(12, -1)),
    bad("label 10", ValueError, r"_loss: labels\[11\] is 10, expected 0 to 9", labels=np.arange(12) // 11 * 10),
    bad("labels of floats", DTypeError, r"_loss: labels has dtype float32, expected", labels=ones(12)),
    bad("probabilities for labels", DTypeError, r"_loss: labels has dtype float32, expected int64", labels=ones(12, 10)),
    bad("other number of labels", ShapeError, r"_loss: labels has shape \(11,\), expected \(12,\)",
        labels=np.zeros(11, np.int64)),
)

NLL_FAULTS = (
    *LABEL_FAULTS,
    bad("one row", ShapeError, r"nll_loss: log_probabilities has 1 dimensions \(shape \(10,\)\), expected 2",
        log_probabilities=ones(10)),
    bad("weights of another length", ShapeError, r"nll_loss: class_weight has shape \(9,\), expected \(10,\)",
        class_weight=ones(9)),
    bad("weights below the normal numbers", ValueError, r"nll_loss: class_weight holds 1e-40, expected 0 or",
        class_weight=np.full(10, 1e-40, np.float32)),
    bad("negative weights", ValueError, r"nll_loss: class_weight holds -1\.0 to -1\.0, expected", class_weight=-ones(10)),
    bad("ignore_index is a float", DTypeError, r"nll_loss: ignore_index is 0\.5, expected an integer",
        labels=np.full(12, -1), ignore_index=0.5),
)

HINGE_FAULTS = (
    *LABEL_FAULTS,
    bad("scores of integers", DTypeError, r"hinge_loss: scores has dtype int64", scores=ones(12, 10, dtype=int)),
    bad("negative margin", ValueError, r"hinge_loss: margin is -1\.0, expected a finite number of at least 0", margin=-1),
)

L2_FAULTS = (
    bad("gradient of another shape", ShapeError, r"l2_penalty: gradient has shape \(38,\), expected \(37,\)",
        gradient=ones(38)),
    bad("gradient is a list", DTypeError, r"l2_penalty: gradient is a list, expected a C-contiguous", gradient=[1.0]),
    bad("negative weight", ValueError, r"l2_penalty: weight is -1\.0, expected a finite number of at least 0", weight=-1),
)

HUBER_LOSS_FAULTS = (*PAIR_FAULTS, bad("delta 0", ValueError, r"huber_loss: delta is 0\.0, expected", delta=0))


def scores(random: Random) -> dict[str, Any]:
    """Draw rows and classes, small and large scores."""
    return {"N": random.choice((1, 2, 3, 4, 5, 9, 12, 17)),
            "K": random.choice((1, 2, 3, 4, 5, 10, LANES - 1, LANES + 1, 33, 100)), **given(random, scale=(0.1, 10.0, 40.0))}


def labelled(random: Random) -> dict[str, Any]:
    """Draw scores with labels, of which one may be ignored, and weights of classes."""
    settings = scores(random)
    settings |= given(random, weighted=(True,), ignore_index=(0, -1, -100, settings["K"] - 1))
    return settings


def entropies(random: Random) -> dict[str, Any]:
    """Draw scores with labels, one-hot rows or probabilities, smoothed or not."""
    settings = {**labelled(random), **given(random, label_smoothing=(0.0, 0.1, 1.0), target=("one-hot", "probabilities"))}
    if "target" in settings:
        settings.pop("ignore_index", None)
    return settings


def hinges(random: Random) -> dict[str, Any]:
    """Draw scores with labels and a margin."""
    return {**scores(random), **given(random, margin=(0.25, 2.0))}


def penalised(random: Random) -> dict[str, Any]:
    """Draw parameters and a weight."""
    return {"n": any_shape(random), **given(random, weight=(0.0, 0.5))}


ROWS: tuple[Row, ...] = (
    Row("cross_entropy", cross_entropy_arguments, ENTROPIES, ("loss", "dlogits"), Bound(4, size=cross_entropy_size),
        wrt=("logits",), spoil="logits", faults=ENTROPY_FAULTS, drawer=entropies),
    Row("mse_loss", pairs("prediction"), ELEMENTS, ("loss", "dprediction"), Bound(2), wrt=("prediction",),
        spoil="prediction", faults=PAIR_FAULTS, drawer=elements_of()),
    Row("binary_cross_entropy", pairs("logits", between=True), ELEMENTS, ("loss", "dlogits"),
        Bound(3, size=binary_cross_entropy_size), wrt=("logits",),
        spoil="logits", faults=PAIR_FAULTS, drawer=elements_of()),
    Row("l1_loss", pairs("prediction"), ELEMENTS, ("loss", "dprediction"), Bound(2), wrt=("prediction",),
        differences=STRAIGHT, spoil="prediction", faults=PAIR_FAULTS, drawer=elements_of()),
    Row("huber_loss", pairs("prediction"), (*ELEMENTS, case("another delta", x=(7, 33), delta=0.25)),
        ("loss", "dprediction"), Bound(2), wrt=("prediction",), differences=STRAIGHT, spoil="prediction",
        faults=HUBER_LOSS_FAULTS, drawer=elements_of(delta=(0.25, 3.0))),
    Row("nll_loss", nll_arguments, LABELLED, ("loss", "dlog_probabilities"), Bound(2), wrt=("log_probabilities",),
        nonzero=0.001, faults=NLL_FAULTS, drawer=labelled),
    Row("hinge_loss", hinge_arguments, HINGES, ("loss", "dscores"), Bound(4, size=hinge_size), wrt=("scores",),
        differences=STRAIGHT, spoil="scores", faults=HINGE_FAULTS, drawer=hinges),
    Row("l2_penalty", l2_arguments, (*GRADIENTS, case("no weight", n=(50,), weight=0.0)), ("loss",), Bound(l2_error),
        updates=("gradient",), spoil="parameter", faults=L2_FAULTS, drawer=penalised),
)
