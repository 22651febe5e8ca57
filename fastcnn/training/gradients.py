"""Gradients against central differences, in float64."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..nn import Dropout, Loss, Module
from ..shapes import DTypeError, integer, real

_FLOOR = 1e-3  # gradients this much smaller than the largest are measured against it: theirs may be zero


class _Problem(NamedTuple):
    """Arrays that may be changed in place, what is computed from them, and its gradients in their order."""

    arrays: list[np.ndarray]
    forward: Callable[[], Any]
    backward: Callable[[Any], list[np.ndarray]]


def gradient_check(
    model_or_op: Any,
    x: Any,
    *arguments: Any,
    eps: float = 1e-5,
    samples: int = 64,
    seed: int = 0,
    **options: Any,
) -> float:
    """Return the largest relative error of all gradients of a module, a loss or a function.

    A Module is copied in float64, and dx and every parameter's gradient are checked; a Loss takes its target
    as a further argument; a function of `fastcnn.functional`, such as conv2d, takes its own arguments, and
    all float arrays among them are checked that its backward gives gradients for. Outputs are weighed by
    random numbers; of larger arrays, `samples` elements are checked. The error is relative to the largest
    element of a gradient, and NaN where a gradient is. x should be random numbers: where some are equal, max pooling and
    ReLU have kinks, at which differences are no derivatives. DTypeError: `model_or_op` is something else, or a loss came
    without its target; ValueError: `eps` is below 1e-12.
    """
    step = real("gradient_check", "eps", eps, 1e-12)
    count = integer("gradient_check", "samples", samples, 1)
    random = np.random.Generator(np.random.Philox(integer("gradient_check", "seed", seed, 0)))
    problem = _problem(model_or_op, x, arguments, options)
    y = problem.forward()
    weights = 1.0 if isinstance(y, float) else random.standard_normal(y.shape)
    analytic = problem.backward(weights)
    errors, sizes = [], []
    for array, gradient in zip(problem.arrays, analytic, strict=False):
        flat = array.reshape(-1)
        picked = random.permutation(flat.size)[:count]
        numeric = np.array([_difference(problem.forward, weights, flat, index, step) for index in picked])
        exact = np.asarray(gradient).reshape(-1)[picked]
        errors.append(np.abs(numeric - exact).max())
        sizes.append(np.abs([numeric, exact]).max())
    floor = np.maximum(_FLOOR * np.max(sizes), np.finfo(np.float64).tiny)
    return float(np.max(errors / np.maximum(sizes, floor)))  # max() of Python would pass over NaN


def _difference(forward: Callable[[], Any], weights: Any, flat: np.ndarray, index: int, eps: float) -> float:
    """Return the derivative of sum(weights * forward()) by one element."""
    value = flat[index]
    flat[index] = value + eps
    above = np.copy(forward())  # the output may lie in the memory of x
    flat[index] = value - eps
    below = np.copy(forward())
    flat[index] = value
    return float(np.sum(weights * (above - below)) / (2 * eps))


def _problem(op: Any, x: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> _Problem:
    if isinstance(op, Module):
        return _module_problem(op, _float64(x))
    if isinstance(op, Loss):
        if len(arguments) != 1:
            raise DTypeError(f"gradient_check: {op!r} came with {len(arguments)} arguments after x, expected 1: the target")
        return _loss_problem(copy.copy(op), _float64(x), *arguments)
    if callable(op) and not isinstance(op, type):
        return _function_problem(op, (x, *arguments), options)
    raise DTypeError(f"gradient_check: model_or_op is {op!r}, expected a Module, a Loss or a function")


def _module_problem(module: Module, x: np.ndarray) -> _Problem:
    model = copy.deepcopy(module).build(x.shape[1:]).to(np.float64)
    parameters = model.unfreeze().parameters()
    dropouts = [layer for _, layer in model.named_modules() if isinstance(layer, Dropout)]

    def forward() -> Any:
        for layer in dropouts:
            layer.step = 0
        return model.forward(x)

    def backward(dy: Any) -> list[np.ndarray]:
        return [model.backward(dy), *(parameter.grad.copy() for parameter in parameters)]

    return _Problem([x, *(parameter.data for parameter in parameters)], forward, backward)


def _loss_problem(loss: Loss, prediction: np.ndarray, target: Any) -> _Problem:
    fixed = np.asarray(target)
    fixed = fixed if fixed.dtype.kind in "iu" else _float64(fixed)
    return _Problem([prediction], lambda: loss.forward(prediction, fixed), lambda dy: [loss.backward()])


def _function_problem(function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> _Problem:
    """Bind the arguments by name: backward takes what forward was given or made under the same names."""
    bound = inspect.signature(function).bind(*arguments, **options)
    bound.apply_defaults()
    given = {name: _float64(value) if _is_float_array(value) else value for name, value in bound.arguments.items()}
    arrays = [value for value in given.values() if _is_float_array(value)]
    made: dict[str, Any] = {}

    def forward() -> Any:
        result = function(**given)
        y, second = result if isinstance(result, tuple) else (result, None)
        made.update(x_shape=arrays[0].shape, argmax=second, saved=second, mask=second)
        made["y"] = y if given.get("relu", True) else None  # an operation that can rectify wants y only where it did
        return y

    def backward(dy: Any) -> list[np.ndarray]:
        gradient_of = getattr(sys.modules[function.__module__], f"{function.__name__}_backward", None)
        if gradient_of is None:
            return [made["saved"]]
        known = {**given, **made, "dy": dy}
        known.pop("out", None)  # where forward writes, not backward
        wanted = [name for name in inspect.signature(gradient_of).parameters if name in known]
        gradients = gradient_of(**{name: known[name] for name in wanted})
        return list(gradients) if isinstance(gradients, tuple) else [gradients]

    return _Problem(arrays, forward, backward)


def _is_float_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _float64(value: Any) -> np.ndarray:
    return np.array(value, np.float64, order="C")
