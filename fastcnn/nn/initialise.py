"""Random numbers for the start of training: one generator, governed by `manual_seed`.

Initialisers draw float32 weights of a shape (..., inputs, outputs). Fans are how many inputs an output is made of, and how
many outputs an input has part in.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator

import numpy as np

from ..runtime.forks import hold_over_forks
from ..shapes import DTypeError, integer, one_of, real
from .module import Module

__all__ = ["init_weights", "manual_seed"]


class _Source:
    """The generator, which threads use in turn."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        hold_over_forks(self.lock)
        self.restart(0)

    def draw(self, kind: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return float32 numbers; ValueError: they are more than `drawing_at_most` allows."""
        left = getattr(_allowed, "count", None)
        if left is not None:
            _allowed.count = left - math.prod(shape)
            if _allowed.count < 0:
                raise ValueError(f"weights of shape {shape} are more than there are in the file")
        with self.lock:
            numbers: np.ndarray = getattr(self.generator, kind)(shape, np.float32)
        return numbers

    def restart(self, seed: int) -> None:
        self.generator = np.random.Generator(np.random.Philox(seed))


_source = _Source()
_allowed = threading.local()


@contextlib.contextmanager
def drawing_at_most(count: int) -> Iterator[None]:
    """Inside the `with` block, ValueError for layers of more than `count` weights, before these are drawn."""
    _allowed.count = count
    try:
        yield
    finally:
        _allowed.count = None


def manual_seed(seed: int) -> None:
    """Restart the random numbers of new layers, so that the same seed gives the same model; the seed is 0 at the start.

    Parameters
    ----------
    seed : int
        At least 0.

    Examples
    --------
    >>> fastcnn.manual_seed(3)
    >>> first = nn.Linear(2, 2).weight.data
    >>> fastcnn.manual_seed(3)
    >>> bool((nn.Linear(2, 2).weight.data == first).all())
    True
    """
    number = integer("manual_seed", "seed", seed, 0)
    with _source.lock:
        _source.restart(number)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside the `with` block, new layers are those that follow `manual_seed(seed)`; behind it, as if they had not been.

    Other threads that make layers wait meanwhile.
    """
    with _source.lock:
        before = _source.generator
        manual_seed(seed)
        try:
            yield
        finally:
            _source.generator = before


def he_normal(shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """Draw float32 weights of variance 2 / fan_in, which keeps the scale of activations through ReLU.

    He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", ICCV 2015, section 2.2.
    """
    return _normal(shape, math.sqrt(2.0 / fan_in))


def he_uniform(shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """Draw weights of variance 2 / fan_in, all values as likely. Source as he_normal."""
    return _uniform(shape, math.sqrt(6.0 / fan_in))


def xavier_normal(shape: tuple[int, ...], fan_in: int, fan_out: int) -> np.ndarray:
    """Draw weights of variance 2 / (fan_in + fan_out), which keeps the scale of activations and of gradients through tanh.

    Glorot and Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural Networks", AISTATS 2010,
    section 4.2.
    """
    return _normal(shape, math.sqrt(2.0 / (fan_in + fan_out)))


def xavier_uniform(shape: tuple[int, ...], fan_in: int, fan_out: int) -> np.ndarray:
    """Draw weights of variance 2 / (fan_in + fan_out), all values as likely. Source as xavier_normal."""
    return _uniform(shape, math.sqrt(6.0 / (fan_in + fan_out)))


def truncated_normal(shape: tuple[int, ...], std: float = 0.02) -> np.ndarray:
    """Draw normal numbers times `std`, those beyond 2 `std` again."""
    deviates = _normal(shape, 1.0)
    while (far := np.abs(deviates) > 2.0).any():
        deviates[far] = _normal((int(far.sum()),), 1.0)
    return deviates * np.float32(real("truncated_normal", "std", std, 0.0))


def orthogonal(shape: tuple[int, ...], gain: float = 1.0) -> np.ndarray:
    """Draw a matrix (all but the last axis, outputs) whose rows or columns, the fewer, are orthogonal and of length `gain`.

    Saxe, McClelland and Ganguli, "Exact Solutions to the Nonlinear Dynamics of Learning", ICLR 2014, section 3.
    """
    rows, columns = math.prod(shape[:-1]), shape[-1]
    with _source.lock:
        matrix = _source.generator.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(matrix)
    q *= np.copysign(1.0, np.diagonal(r))  # else the signs would not be random
    weights: np.ndarray = (q if rows >= columns else q.T).reshape(shape) * real("orthogonal", "gain", gain, 0.0)
    return weights.astype(np.float32)


INITIALISERS: dict[str, Callable[[tuple[int, ...], int, int], np.ndarray]] = {
    "he_normal": lambda shape, fan_in, _: he_normal(shape, fan_in),
    "he_uniform": lambda shape, fan_in, _: he_uniform(shape, fan_in),
    "xavier_normal": xavier_normal,
    "xavier_uniform": xavier_uniform,
    "truncated_normal": lambda shape, *_: truncated_normal(shape),
    "orthogonal": lambda shape, *_: orthogonal(shape),
}


def init_weights(module: Module, how: str) -> None:
    """Draw the weights of a layer, or of all layers inside a module, again; biases and norms stay as they are.

    Parameters
    ----------
    module : Module
    how : str
        "he_normal", "he_uniform", "xavier_normal", "xavier_uniform", "truncated_normal" or "orthogonal".

    Raises
    ------
    ValueError
        `how` is unknown.
    DTypeError
        `module` is not a Module.
    RuntimeError
        A layer has no weights before its first input.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2D(3, 8, 3), nn.Flatten(), nn.Linear(72, 10))
    >>> nn.init_weights(model, "xavier_uniform")
    """
    one_of("init_weights", "how", how, tuple(INITIALISERS))
    if not isinstance(module, Module):
        raise DTypeError(f"init_weights: module is {module!r}, expected a Module")
    for name, weight in module.named_parameters():
        if name.rpartition(".")[2] == "weight" and len(weight.shape) > 1:
            *window, inputs, outputs = weight.shape
            elements = math.prod(window)
            weight.data = INITIALISERS[how](weight.shape, elements * inputs, elements * outputs)


def _normal(shape: tuple[int, ...], std: float) -> np.ndarray:
    return _source.draw("standard_normal", shape) * np.float32(std)


def _uniform(shape: tuple[int, ...], limit: float) -> np.ndarray:
    return (_source.draw("random", shape) * np.float32(2) - np.float32(1)) * np.float32(limit)


def random_key() -> int:
    """Draw a key of 63 bits for a layer that makes random numbers of its own."""
    with _source.lock:
        return int(_source.generator.integers(2**63))


def mix(key: int, counter: int) -> int:
    """Return the 64-bit number of step `counter` in the sequence named by `key`.

    Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, figure 17.
    """
    z = (key + (counter + 1) * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)
