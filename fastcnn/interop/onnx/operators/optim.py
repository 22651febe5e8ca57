"""Steps of optimizers: parameters, gradients and state in, parameters and state out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional
from ..calls import Call, UnsupportedError

_LATE = 1 << 30  # a step after which beta ** step is 0


def _optimizer(kinds: int, step: Callable[..., None]) -> Callable[..., tuple[np.ndarray, ...]]:
    """Return an operator that takes a step with any number of parameters; they and their state come `kinds` arrays each."""
    def run(call: Call, rate: np.ndarray, count: np.ndarray, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        size = len(arrays) // (kinds + 1)
        groups = [arrays[size * kind : size * (kind + 1)] for kind in range(kinds + 1)]
        results = []
        for parameter, gradient, *state in zip(*groups, strict=True):
            changing = [np.array(each) for each in (parameter, *state)]
            step(call, float(rate.reshape(-1)[0]), int(count.reshape(-1)[0]), gradient, *changing)
            results.append(changing)
        return tuple(result[kind] for kind in range(kinds) for result in results)

    return run


def _decay(call: Call) -> float:
    return float(call.get("norm_coefficient", 0.0))


def _adam(call: Call, rate: float, count: int, gradient: np.ndarray, x: np.ndarray, first: np.ndarray,
          second: np.ndarray) -> None:
    step, beta2 = count or _LATE, call.get("beta", 0.999)
    eps = call.get("epsilon", 1e-6) / math.sqrt(1 - beta2**step)  # added before the correction, not after it
    functional.adam(x, gradient, first, second, lr=rate, beta1=call.get("alpha", 0.9), beta2=beta2, eps=eps,
           weight_decay=_decay(call), decoupled=False, step=step)
    x *= 1 - call.get("norm_coefficient_post", 0.0)


def _momentum(call: Call, rate: float, count: int, gradient: np.ndarray, x: np.ndarray, velocity: np.ndarray) -> None:
    nesterov = call.get("mode", "standard") == "nesterov"
    share = call.get("beta", 1.0) if count > 0 else 1.0
    if nesterov and share != 1:
        raise UnsupportedError(f"beta is {share} in mode nesterov, expected 1")
    functional.sgd(x, gradient, velocity, lr=rate, momentum=call.get("alpha", 0.9), nesterov=nesterov, scale=share,
          weight_decay=share * _decay(call), step=2)  # the first one would forget the velocity


def _adagrad(call: Call, rate: float, count: int, gradient: np.ndarray, x: np.ndarray, square: np.ndarray) -> None:
    rate /= 1 + count * call.get("decay_factor", 0.0)
    functional.adagrad(x, gradient, square, lr=rate, eps=call.get("epsilon", 1e-6), weight_decay=_decay(call))


TABLE: dict[str, Callable[..., Any]] = {"Adagrad": _optimizer(2, _adagrad), "Adam": _optimizer(3, _adam),
                                        "Momentum": _optimizer(2, _momentum)}
