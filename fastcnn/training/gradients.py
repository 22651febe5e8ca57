"""Gradients against central differences, in float64."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ..nn import Dropout, Loss, Module
from ..shapes import DTypeError, integer, real, same_shape

_LEAST = 1e-3  # gradients this much smaller than the largest are measured against it: theirs may be zero


class Difference(NamedTuple):
    """Where a gradient, "dx" or that of a parameter such as "0.weight", is farthest from the difference quotient."""

    gradient: str
    error: float  # relative to the largest element of the gradient
    place: tuple[int, ...]
    came: float
    expected: float

    def __str__(self) -> str:
        """One line."""
        at = ", ".join(map(str, self.place))
        return f"{self.gradient}[{at}] is {self.came:.8g}, expected {self.expected:.8g}: error {self.error:.2g}"


class GradientCheck(float):
    """The largest relative error of all gradients; `differences` has the largest of each, the worst first."""

    differences: tuple[Difference, ...]

    def __new__(cls, differences: Iterable[Difference]) -> GradientCheck:
        """Sort the differences, NaN first."""
        ordered = sorted(differences, key=lambda one: (np.isnan(one.error), one.error), reverse=True)
        check = super().__new__(cls, ordered[0].error)
        check.differences = tuple(ordered)
        return check

    def __repr__(self) -> str:
        """The number, and a line for each gradient."""
        return "\n  ".join([float.__repr__(self), *map(str, self.differences)])


class _Problem(NamedTuple):
    """Arrays that may be changed in place by the names of their gradients, what is computed from them, and the gradients in
    their order.
    """

    arrays: dict[str, np.ndarray]
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
) -> GradientCheck:
    """Compare the gradients of a module, a loss or a function with central differences, in float64.

    Of a Module, which is copied, dx and the gradients of all parameters are checked; of a function, those of all float
    arrays for which its backward returns gradients. Outputs are weighted by random numbers.

    Parameters
    ----------
    model_or_op : Module, Loss or function
        A function is one of `fastcnn.functional`, such as conv2d.
    x : array
        Random numbers: where elements are equal, max pooling and ReLU have kinks, and differences are no derivatives.
    arguments : array
        The target of a loss; the other arguments of a function.
    eps : float
        Step of the differences, at least 1e-12.
    samples : int
        Elements that are checked of an array with more.
    seed : int
        Of the random numbers.
    options
        Options of the function.

    Returns
    -------
    error : float
        The largest error, relative to the largest element of the gradient, and NaN where a gradient is not finite. Printed
        it also shows the error, place, value and expected value of each gradient, which are in its `differences`.

    Raises
    ------
    DTypeError
        `model_or_op` is something else, or a loss came without its target.
    ShapeError
        A gradient has another shape than its array.
    ValueError
        `eps` is too small.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((4, 5))
    >>> fastcnn.gradient_check(F.linear, x, np.ones((5, 3)), np.zeros(3)) < 1e-8
    True
    >>> fastcnn.gradient_check(nn.Sequential(nn.Linear(5, 3), nn.Tanh()), x) < 1e-8
    True
    """
    step = real("gradient_check", "eps", eps, 1e-12)
    count = integer("gradient_check", "samples", samples, 1)
    random = np.random.Generator(np.random.Philox(integer("gradient_check", "seed", seed, 0)))
    problem = _problem(model_or_op, x, arguments, options)
    y = problem.forward()
    weights = 1.0 if isinstance(y, float) else random.standard_normal(y.shape)
    analytic = problem.backward(weights)
    pairs = {}
    for (name, array), gradient in zip(problem.arrays.items(), analytic, strict=False):
        flat = array.reshape(-1)
        picked = random.permutation(flat.size)[:count]
        numeric = np.array([_difference(problem.forward, weights, flat, index, step) for index in picked])
        same_shape("gradient_check", name, np.shape(gradient), array.shape, "the shape of what it is the gradient of")
        pairs[name] = picked, np.asarray(gradient).reshape(-1)[picked], numeric
    sizes = {name: np.abs(both).max() for name, (_, *both) in pairs.items()}
    largest = max((size for size in sizes.values() if np.isfinite(size)), default=0.0)
    least = np.maximum(_LEAST * largest, np.finfo(np.float64).tiny)
    return GradientCheck(_worst(name, problem.arrays[name].shape, *pairs[name], np.maximum(sizes[name], least))
                         for name in pairs)


def _worst(name: str, shape: tuple[int, ...], picked: np.ndarray, came: np.ndarray, expected: np.ndarray,
           size: float) -> Difference:
    """Return the largest difference of the picked elements, NaN before all others."""
    errors = np.abs(expected - came)
    at = int(errors.argmax())
    place = tuple(map(int, np.unravel_index(picked[at], shape)))
    with np.errstate(invalid="ignore"):  # infinity / infinity
        return Difference(name, float(errors[at] / size), place, float(came[at]), float(expected[at]))


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

    return _Problem({"dx": x, **{parameter.name: parameter.data for parameter in parameters}}, forward, backward)


def _loss_problem(loss: Loss, prediction: np.ndarray, target: Any) -> _Problem:
    fixed = np.asarray(target)
    fixed = fixed if fixed.dtype.kind in "iu" else _float64(fixed)
    return _Problem({"dprediction": prediction}, lambda: loss.forward(prediction, fixed), lambda dy: [loss.backward()])


def _function_problem(function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> _Problem:
    """Bind the arguments by name: backward takes what forward was given or made under the same names."""
    bound = inspect.signature(function).bind(*arguments, **options)
    bound.apply_defaults()
    given = {name: _float64(value) if _is_float_array(value) else value for name, value in bound.arguments.items()}
    arrays = {f"d{name}": value for name, value in given.items() if _is_float_array(value)}
    made: dict[str, Any] = {}

    def forward() -> Any:
        result = function(**given)
        y, second = result if isinstance(result, tuple) else (result, None)
        made.update(x_shape=next(iter(arrays.values())).shape, argmax=second, saved=second, mask=second)
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
