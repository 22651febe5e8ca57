"""Random numbers for the start of training: one generator, governed by `manual_seed`."""

from __future__ import annotations

import threading

import numpy as np

from ..shapes import integer


class _Source:
    """The generator, which threads use in turn."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.restart(0)

    def restart(self, seed: int) -> None:
        self.generator = np.random.Generator(np.random.Philox(seed))


_source = _Source()


def manual_seed(seed: int) -> None:
    """Start the random numbers of new layers again, so that the same seed gives the same model; 0 at the
    start.

    ShapeError: `seed` is negative; DTypeError: it is no integer.
    """
    number = integer("manual_seed", "seed", seed, 0)
    with _source.lock:
        _source.restart(number)


def he_normal(shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """Draw float32 weights of variance 2 / fan_in, which keeps the scale of activations through ReLU.

    He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", ICCV 2015, section 2.2.
    """
    with _source.lock:
        return _source.generator.standard_normal(shape, np.float32) * np.float32(np.sqrt(2.0 / fan_in))


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
