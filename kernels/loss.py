"""Losses with the gradient of their first argument.

Each worker writes the losses of its own rows or chunks; these are added in order afterwards.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .activation import largest, named, row, sum_of_exp
from .arguments import Floats, Integers
from .elementary import exp_or_zero, exp_to_one, log1p_unit, log_from_one, sigmoid
from .jit.compile import inline_kernel, parallel_kernel
from .vector.rows import (
    column_load,
    rows_at,
    rows_fill,
    rows_load,
    rows_spread,
    rows_store,
    rows_sum,
    rows_together,
)
from .vector.scalar import HALF, ONE, TWO, ZERO, positions, unsigned
from .vector.simd import lanes_of, lanes_store, where

CHUNK = 4096  # elements whose losses are added up by one worker


class Classes(NamedTuple):
    """What the classes count: `weight` (K,), and `smoothing`, the share of each target that goes to all of them alike.

    A row whose label is `ignored` counts for nothing.
    """

    weight: Floats
    smoothing: float
    ignored: int


@inline_kernel
def _product(weight, value):
    """weight * value, but 0 where the weight is 0."""
    return where(weight != ZERO, weight * value, ZERO)


@inline_kernel
def _entropy_of_labels(logits, first, last, labels, classes, scale, losses, dlogits):
    """Losses of rows first to last - 1, -sum(target * log_softmax(logits)), and their gradient.

    The target is weight * smoothing / K, and weight * (1 - smoothing) more at the label.
    """
    weight, K = classes.weight, len(classes.weight)
    rest, share_of_all = logits.dtype.type(1 - classes.smoothing), logits.dtype.type(classes.smoothing / K)
    lanes, rows, every = lanes_of(logits), rows_at(logits, first, last - first, K), rows_at(weight, 0, 1, 0)
    label = column_load(labels, rows_at(logits, first, last - first, 1), 0)
    label = where(label == classes.ignored, 0, label)
    top = largest(logits, rows, K)
    shift, powers = rows_spread(logits, top), rows_fill(logits, ZERO)
    for i in range(0, K, lanes):
        power = exp_or_zero(rows_load(logits, rows, i, K - i, -math.inf) - shift)
        powers = powers + power
        rows_store(power, dlogits, rows, i, K - i)
    total = rows_sum(powers)
    log_total = log_from_one(total)
    mass = column_load(weight, every, label) * rest
    loss = _product(mass, log_total - (column_load(logits, rows, label) - top))
    if share_of_all != ZERO:
        masses, parts = rows_fill(logits, ZERO), rows_fill(logits, ZERO)
        for i in range(0, K, lanes):
            target = rows_load(weight, every, i, K - i, ZERO) * share_of_all
            masses = masses + target
            below = rows_spread(logits, log_total) - (rows_load(logits, rows, i, K - i, ZERO) - shift)
            parts = parts + _product(target, below)
        mass = mass + rows_sum(masses)
        loss = loss + rows_sum(parts)
    lanes_store(loss, losses, first, last - first)
    share = rows_spread(logits, mass / total)
    for i in range(0, K, lanes):
        slope = rows_load(dlogits, rows, i, K - i, ZERO) * share - rows_load(weight, every, i, K - i, ZERO) * share_of_all
        rows_store(slope * scale, dlogits, rows, i, K - i)
    for n in range(first, last):
        if labels[n] != classes.ignored:
            dlogits[unsigned(n * K + labels[n])] -= weight[unsigned(labels[n])] * rest * scale
        else:
            losses[n] = 0
            for i in row(n, K):
                dlogits[i] = 0


@parallel_kernel
def cross_entropy_of_labels(logits: Floats, labels: Integers, classes: Classes, scale: float, losses: Floats,
                            dlogits: Floats, worker: int, workers: int) -> None:
    """Losses (N,) and scaled gradient (N, K)."""
    N, step, factor = len(losses), rows_together(logits), logits.dtype.type(scale)
    begin, end = N * worker // workers, N * (worker + 1) // workers
    for first in range(begin, end, step):
        _entropy_of_labels(logits, first, min(first + step, end), labels, classes, factor, losses, dlogits)


@inline_kernel
def _entropy(logits, first, last, K, scale, losses, dlogits):
    """The same where dlogits holds the target and becomes the gradient."""
    lanes, rows = lanes_of(logits), rows_at(logits, first, last - first, K)
    shift = rows_spread(logits, largest(logits, rows, K))
    total = sum_of_exp(logits, rows, K, shift)
    log_total = rows_spread(logits, log_from_one(total))
    mass = rows_fill(logits, ZERO)
    for i in range(0, K, lanes):
        mass = mass + rows_load(dlogits, rows, i, K - i, ZERO)
    share = rows_spread(logits, rows_sum(mass) / total)
    loss = rows_fill(logits, ZERO)
    for i in range(0, K, lanes):
        logit, target = rows_load(logits, rows, i, K - i, -math.inf) - shift, rows_load(dlogits, rows, i, K - i, ZERO)
        loss = loss + _product(target, log_total - logit)
        rows_store((exp_or_zero(logit) * share - target) * scale, dlogits, rows, i, K - i)
    lanes_store(rows_sum(loss), losses, first, last - first)


@parallel_kernel
def cross_entropy_of_probabilities(logits: Floats, target: Floats, classes: Classes, scale: float, losses: Floats,
                                   dlogits: Floats, worker: int, workers: int) -> None:
    """Losses (N,) and scaled gradient (N, K) for target probabilities (N, K)."""
    weight, N, K, step = classes.weight, len(losses), len(classes.weight), rows_together(logits)
    rest, share_of_all = logits.dtype.type(1 - classes.smoothing), logits.dtype.type(classes.smoothing / K)
    factor = logits.dtype.type(scale)
    begin, end = N * worker // workers, N * (worker + 1) // workers
    for first in range(begin, end, step):
        last = min(first + step, end)
        for n in range(first, last):
            for k in range(unsigned(K)):
                dlogits[unsigned(n * K) + k] = weight[k] * (target[unsigned(n * K) + k] * rest + share_of_all)
        _entropy(logits, first, last, K, factor, losses, dlogits)


def _by_element(term):
    """Kernel that gives the summed losses of each chunk and the gradient scale * slope, for (loss, slope) of `term`,
    a function of prediction, target and one parameter.
    """
    name = term.__name__
    of_element = inline_kernel(named(term, f"{name}_of_element"))

    def loop(prediction: Floats, target: Floats, parameter: float, scale: float, sums: Floats, gradient: Floats,
             worker: int, workers: int) -> None:
        chunks, factor = len(sums), gradient.dtype.type(scale)
        constant = gradient.dtype.type(parameter)
        for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
            total = 0.0
            last = min((chunk + 1) * CHUNK, len(prediction))
            for i in range(unsigned(chunk * CHUNK), unsigned(last)):
                loss, slope = of_element(prediction[i], target[i], constant)
                total += np.float64(loss)
                gradient[i] = slope * factor
            sums[chunk] = total

    return parallel_kernel(named(loop, name))


@_by_element
def mse_loss(prediction, target, _):
    """(prediction - target)^2 and its slope."""
    difference = prediction - target
    return difference * difference, TWO * difference


@_by_element
def binary_cross_entropy(logit, target, _):
    """-target log(p) - (1 - target) log(1 - p) with p = sigmoid(logit), and its slope."""
    positive = ZERO if logit < ZERO else logit
    return positive - logit * target + log1p_unit(exp_to_one(-abs(logit))), sigmoid(logit) - target


@_by_element
def l1_loss(prediction, target, _):
    """|prediction - target| and its slope: 1, -1, or the difference itself where that is 0 or NaN."""
    difference = prediction - target
    return abs(difference), ONE if difference > ZERO else -ONE if difference < ZERO else difference


@_by_element
def huber_loss(prediction, target, delta):
    """Half the square up to delta, a line beyond, and its slope."""
    difference = prediction - target
    slope = -delta if difference < -delta else delta if difference > delta else difference
    return slope * (difference - HALF * slope), slope


@parallel_kernel
def nll_loss(log_probabilities: Floats, labels: Integers, classes: Classes, scale: float, losses: Floats, gradient: Floats,
             worker: int, workers: int) -> None:
    """Losses (N,) and scaled gradient (N, K)."""
    weight, N, K = classes.weight, len(labels), len(classes.weight)
    factor = gradient.dtype.type(scale)
    begin, end = N * worker // workers, N * (worker + 1) // workers
    for i in range(unsigned(begin * K), unsigned(end * K)):
        gradient[i] = 0
    for n in range(begin, end):
        losses[n] = 0
        if labels[n] != classes.ignored:
            share, at = weight[unsigned(labels[n])], unsigned(n * K + labels[n])
            losses[n] = -share * log_probabilities[at]
            gradient[at] = -share * factor


@parallel_kernel
def hinge_loss(scores: Floats, labels: Integers, margin: float, scale: float, losses: Floats, gradient: Floats, worker: int,
               workers: int) -> None:
    """Sums (N,) of what the label's score lacks of each other one plus the margin, and scaled gradient (N, K)."""
    N, K = len(labels), len(scores) // len(labels)
    factor, room = scores.dtype.type(scale), scores.dtype.type(margin)
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        own = unsigned(n * K) + unsigned(labels[n])
        best = scores[own]
        total, count = scores.dtype.type(0), scores.dtype.type(0)
        for i in row(n, K):
            lack = ZERO if i == own else room - best + scores[i]
            lack = ZERO if lack <= ZERO else lack
            gradient[i] = ZERO if lack <= ZERO else factor
            count += ZERO if lack <= ZERO else ONE
            total += lack
        losses[n] = total
        gradient[own] = -count * factor


@parallel_kernel
def l2_penalty(parameter: Floats, gradient: Floats, weight: float, worker: int, workers: int) -> None:
    """gradient += weight * parameter."""
    factor = gradient.dtype.type(weight)
    for i in positions(len(parameter), worker, workers):
        gradient[i] += factor * parameter[i]
