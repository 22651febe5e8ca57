"""Dropout with counter-based random numbers: element and seed alone decide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._types import Array, Booleans, Integers

__all__ = ["dropout", "dropout2d", "dropout2d_backward", "dropout_backward", "philox"]

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEPS = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


def philox(
    counter: Sequence[Integers | int], key: Sequence[Integers | int]
) -> tuple[Integers, Integers, Integers, Integers]:
    """Philox4x32-10: scramble a counter of four 32-bit words under a key of two.

    Words are integers or arrays of one shape -> four uint32 arrays of that shape.
    Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.3.
    """
    c0, c1, c2, c3 = (np.asarray(word, np.uint64) for word in counter)
    k0, k1 = (np.asarray(word, np.uint64) for word in key)
    for _ in range(10):
        first, second = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        c0, c1 = (second >> HALF) ^ c1 ^ k0, second & LOW
        c2, c3 = (first >> HALF) ^ c3 ^ k1, first & LOW
        k0, k1 = (k0 + KEY_STEPS[0]) & LOW, (k1 + KEY_STEPS[1]) & LOW
    return c0.astype(np.uint32), c1.astype(np.uint32), c2.astype(np.uint32), c3.astype(np.uint32)


def dropout(x: Array, p: float, *, seed: int) -> tuple[Array, Booleans]:
    """Set elements to zero with probability p, 0 <= p < 1, and scale the others by 1 / (1 - p).

    x of any shape -> y like x, mask bool like x (True = kept). Element i in row-major order looks at
    word i % 4 of philox(counter i // 4, key seed) and is kept when that word is at least floor(p * 2^32).
    Srivastava et al., "Dropout", JMLR 15, 2014, section 4 (here scaled in training, section 10).
    """
    block = np.arange(-(-x.size // 4), dtype=np.uint64)
    words = philox((block & LOW, block >> HALF, 0, 0), (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF))
    mask = np.stack(words, axis=-1).reshape(-1)[: x.size].reshape(x.shape) >= int(p * 2**32)
    return dropout_backward(x, mask, p), mask


def dropout_backward(dy: Array, mask: Booleans, p: float) -> Array:
    """Scale dy where the mask kept the element: the same map as forward."""
    return np.where(mask, dy * dy.dtype.type(1 / (1 - p)), 0)


def dropout2d(x: Array, p: float, *, seed: int) -> tuple[Array, Booleans]:
    """Set whole channels of images to zero with probability p and scale the others by 1 / (1 - p).

    x (N, H, W, C) -> y like x, mask bool (N, C), drawn as that of dropout.
    Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015, section 3.2.
    """
    _, mask = dropout(np.zeros((x.shape[0], x.shape[3])), p, seed=seed)
    return dropout2d_backward(x, mask, p), mask


def dropout2d_backward(dy: Array, mask: Booleans, p: float) -> Array:
    """Scale dy where the mask kept the channel: the same map as forward."""
    return dropout_backward(dy, mask[:, np.newaxis, np.newaxis], p)
