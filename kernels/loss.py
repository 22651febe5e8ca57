"""Losses with the gradient of their first argument.

Each worker writes the losses of its own rows or chunks; these are added in order afterwards.
"""

import numpy as np

from ._jit import inline_kernel, kernel, parallel_kernel
from .activation import largest, named, row
from .elementary import exp, log, log1p_unit, sigmoid
from .scalar import HALF, ONE, TWO, ZERO, natural, positions

CHUNK = 4096  # elements whose losses are added up by one worker


@kernel
def _entropy(logits, number, K, scale, dlogits):
    """Loss of a row, -sum(target * log_softmax(logits)); dlogits holds the target and becomes its gradient."""
    shift = largest(logits, number, K)
    total = logits.dtype.type(0)
    mass = logits.dtype.type(0)
    for i in row(number, K):
        total += exp(logits[i] - shift)
        mass += dlogits[i]
    log_total = log(total)
    loss = logits.dtype.type(0)
    for i in row(number, K):
        term = dlogits[i] * (logits[i] - shift - log_total)
        loss -= term if dlogits[i] != ZERO else ZERO
    for i in row(number, K):
        dlogits[i] = (exp(logits[i] - shift) / total * mass - dlogits[i]) * scale
    return loss


@kernel
def _entropy_of_label(logits, number, label, weight, rest, share_of_all, scale, dlogits):
    """The same where the target is weight * share_of_all, and weight * rest more at the label."""
    K = len(weight)
    first, at = natural(number * K), natural(number * K + label)
    shift = largest(logits, number, K)
    total = logits.dtype.type(0)
    for i in row(number, K):
        dlogits[i] = exp(logits[i] - shift)
        total += dlogits[i]
    log_total, of_label = log(total), dlogits[at]
    mass = weight[label] * rest
    loss = -mass * (logits[at] - shift - log_total) if mass != ZERO else ZERO
    if share_of_all != ZERO:
        for k in range(natural(K)):
            target = weight[k] * share_of_all
            term = target * (logits[first + k] - shift - log_total)
            loss -= term if target != ZERO else ZERO
            mass += target
    for k in range(natural(K)):
        dlogits[first + k] = (dlogits[first + k] / total * mass - weight[k] * share_of_all) * scale
    dlogits[at] = (of_label / total * mass - (weight[label] * share_of_all + weight[label] * rest)) * scale
    return loss


@parallel_kernel
def cross_entropy_of_labels(logits, labels, ignored, weight, smoothing, scale, losses, dlogits, worker, workers):
    """Losses (N,) and scaled gradient (N, K) for labels (N,); a row whose label is `ignored` counts for nothing."""
    N, K = len(labels), len(weight)
    rest = logits.dtype.type(1 - smoothing)
    share_of_all = logits.dtype.type(smoothing / K)
    factor = logits.dtype.type(scale)
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        if labels[n] != ignored:
            losses[n] = _entropy_of_label(logits, n, labels[n], weight, rest, share_of_all, factor, dlogits)
        else:
            losses[n] = 0
            for i in row(n, K):
                dlogits[i] = 0


@parallel_kernel
def cross_entropy_of_probabilities(logits, target, weight, smoothing, scale, losses, dlogits, worker, workers):
    """Losses (N,) and scaled gradient (N, K) for target probabilities (N, K)."""
    N, K = len(losses), len(weight)
    rest = logits.dtype.type(1 - smoothing)
    share_of_all = logits.dtype.type(smoothing / K)
    factor = logits.dtype.type(scale)
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        first = natural(n * K)
        for k in range(natural(K)):
            dlogits[first + k] = weight[k] * (target[first + k] * rest + share_of_all)
        losses[n] = _entropy(logits, n, K, factor, dlogits)


def _by_element(term):
    """Kernel that gives the summed losses of each chunk and the gradient scale * slope, for (loss, slope) of `term`,
    a function of prediction, target and one parameter.
    """
    name = term.__name__
    of_element = inline_kernel(named(term, f"{name}_of_element"))

    def loop(prediction, target, parameter, scale, sums, gradient, worker, workers):
        chunks, factor = len(sums), gradient.dtype.type(scale)
        constant = gradient.dtype.type(parameter)
        for chunk in range(chunks * worker // workers, chunks * (worker + 1) // workers):
            total = 0.0
            last = min((chunk + 1) * CHUNK, len(prediction))
            for i in range(natural(chunk * CHUNK), natural(last)):
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
    return positive - logit * target + log1p_unit(exp(-abs(logit))), sigmoid(logit) - target


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
def nll_loss(log_probabilities, labels, ignored, weight, scale, losses, gradient, worker, workers):
    """Losses (N,) and scaled gradient (N, K) for labels (N,); a row whose label is `ignored` counts for nothing."""
    N, K = len(labels), len(weight)
    factor = gradient.dtype.type(scale)
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        losses[n] = 0
        for i in row(n, K):
            gradient[i] = 0
        if labels[n] != ignored:
            share = weight[labels[n]]
            losses[n] = -share * log_probabilities[n * K + labels[n]]
            gradient[n * K + labels[n]] = -share * factor


@parallel_kernel
def hinge_loss(scores, labels, K, margin, scale, losses, gradient, worker, workers):
    """Sums (N,) of what the label's score lacks of each other one plus the margin, and scaled gradient (N, K)."""
    N = len(labels)
    factor, room = scores.dtype.type(scale), scores.dtype.type(margin)
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        own = natural(n * K) + natural(labels[n])
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
def l2_penalty(parameter, gradient, weight, worker, workers):
    """gradient += weight * parameter."""
    factor = gradient.dtype.type(weight)
    for i in positions(len(parameter), worker, workers):
        gradient[i] += factor * parameter[i]
