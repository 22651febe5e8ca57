"""What the tests of the reference share: numbers, and central differences."""

import math

import numpy as np
import pytest

LN2, LN3, LN4 = math.log(2), math.log(3), math.log(4)
NAN, INF = float("nan"), float("inf")

LINEAR = {"eps": 1e-2, "bound": 1e-11}  # no truncation error: any step is exact
SMOOTH = {"eps": 1e-5, "bound": 1e-8}
KINKED = {"eps": 1e-5, "bound": 1e-9}  # inputs stay 1e-2 away from kinks and ties


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def integers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).integers(-8, 9, size=shape).astype(np.float64)


def distinct(*shape, seed=0):
    """Numbers at least 0.04 apart, none within 0.02 of zero: no ties, no kinks."""
    size = math.prod(shape)
    return (np.random.default_rng([seed, *shape]).permutation(size).reshape(shape) - size // 2 + 0.5) * 0.04


def central_differences(scalar, x, eps):
    """Gradient of a scalar function by changing its argument in place, one element at a time."""
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + eps
        above = scalar()
        x[index] = kept - eps
        below = scalar()
        x[index] = kept
        gradient[index] = (above - below) / (2 * eps)
    return gradient


def assert_gradient(gradient, scalar, x, *, eps, bound):
    numeric = central_differences(scalar, x, eps)
    assert gradient.shape == x.shape
    assert np.count_nonzero(numeric) >= 0.1 * numeric.size, "a gradient of zeros proves nothing"
    assert np.abs(gradient - numeric).max() <= bound * np.abs(numeric).max()


def close(actual, expected, tolerance=1e-14):
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance, strict=False)


def line(values, axis):
    """One image of one channel that is a row (axis "columns") or a column (axis "rows") of pixels."""
    pixels = np.array(values, np.float64)
    return pixels.reshape(1, 1, -1, 1) if axis == "columns" else pixels.reshape(1, -1, 1, 1)


def along(value, axis, across=1):
    """A pair that says `value` along the line and `across` the other way."""
    return (across, value) if axis == "columns" else (value, across)


both_axes = pytest.mark.parametrize("axis", ["rows", "columns"])


def unchanged(count, **fields):
    """Records that change nothing, but for the fields given."""
    changes = np.zeros(count, [("matrix", float, (2, 2)), ("shift", float, (2,)), ("gain", float), ("lift", float),
                               ("hole", int, (4,)), ("partner", int), ("share", float)])
    for name, value in {"matrix": np.eye(2), "gain": 1, "share": 1, **fields}.items():
        changes[name] = value
    return changes
