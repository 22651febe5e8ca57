"""Sums of arrays."""

from __future__ import annotations

import numpy as np


def add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a + b for arrays of one shape."""
    return np.asarray(a) + np.asarray(b)
