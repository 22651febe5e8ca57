"""Sums of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import shapes
from ..kernels import arithmetic as kernels
from ..kernels import threads
from . import arrays


def add(a: Any, b: Any, *, relu: bool = False) -> np.ndarray:
    """a + b for arrays of one shape, such as the branches of a residual block; `relu` gives max(a + b, 0).

    ShapeError, DTypeError: the arrays do not fit.
    """
    a, b = arrays.floats("add", a=a, b=b)
    shapes.same_shape("add", "b", b.shape, a.shape, "the shape of a")
    y = arrays.empty(a.shape, a.dtype)
    kernels.add(a.reshape(-1), b.reshape(-1), arrays.floor(relu), y.reshape(-1), threads.workers(a.size))
    return y
