"""Scalar functions against the C library in more precision: over all sizes of argument, and special ones."""

import math

import numba
import numpy as np
import pytest

from fastcnn.kernels import elementary
from fastcnn.kernels.jit.compile import parallel_kernel

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="rounding and speed of compiled code")

SPECIAL = [0.0, 1.0, 0.5, 1e-30, 1e-45, 5e-324, 2.0**-126, 2.0**-1022, 88.72, 88.73, -87.33, -103.97, -104.1,
           709.78, 709.79, -708.4, -745.13, -745.14, 1e38, 1e300, math.inf]


def over_array(scalar):
    """Compile y[i] = scalar(x[i])."""

    def loop(x, y, worker, workers):
        for i in range(x.size):
            y[i] = scalar(x[i])

    loop.__qualname__ = f"test_{scalar.__name__}"
    return parallel_kernel(loop)


def precise_sigmoid(x):
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def precise_normal(x):
    return np.array([math.erfc(-v / math.sqrt(2)) / 2 for v in x.astype(np.float64)])


def precise_erf(x):
    return np.array([math.erf(v) for v in x.astype(np.float64)])


# function, precise version, largest error in units in the last place for float32 and float64
FUNCTIONS = [
    ("exp", np.exp, 1.5, 1.5),
    ("expm1", np.expm1, 2, 2),
    ("tanh", np.tanh, 2.5, 2.5),
    ("sigmoid", precise_sigmoid, 1.5, 1.5),
    ("log", np.log, 1.5, 1.5),
    ("log1p_unit", np.log1p, 2.5, 2.5),
    ("erf", precise_erf, 2, 2.5),
]
NAMES = [row[0] for row in FUNCTIONS]


def arguments(dtype):
    """Every 4099th float32 or float64 with random bits, then numbers of ordinary size and special ones."""
    random = np.random.default_rng(5)
    if dtype == np.float32:
        bits = np.arange(0, 2**32, 4099, dtype=np.uint64).astype(np.uint32)
    else:
        bits = random.integers(0, 2**64, 200_000, dtype=np.uint64)
    ordinary = np.concatenate([random.normal(0, scale, 100_000) for scale in (0.1, 1, 10, 100)])
    special = np.array(SPECIAL)
    with np.errstate(over="ignore"):
        chosen = np.concatenate([ordinary, special, -special]).astype(dtype)
    x = np.concatenate([bits.view(dtype), chosen])
    return x[~np.isnan(x)]


def units_in_last_place(y, precise, dtype):
    """Distance of y from the precise value, in the spacing of `dtype` there."""
    with np.errstate(all="ignore"):
        rounded = precise.astype(dtype)
        error = np.abs(y.astype(np.longdouble) - precise) / np.spacing(np.abs(rounded)).astype(np.longdouble)
    error = np.where(y == rounded, 0, error)
    return np.where(np.isnan(y) & np.isnan(rounded), 0, error)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "precise", "bound32", "bound64"), FUNCTIONS, ids=NAMES)
def test_error_in_the_last_place(name, precise, bound32, bound64, dtype):
    x = arguments(dtype)
    if name == "expm1":
        x = x[x < (88 if dtype == np.float32 else 709)]
    elif name == "log1p_unit":
        x = np.concatenate([x[(x >= 0) & (x <= 1)], np.linspace(0, 1, 100_000, dtype=dtype)])
    y = np.full_like(x, 7)
    over_array(getattr(elementary, name))(x, y, 1)
    with np.errstate(all="ignore"):
        expected = precise(x.astype(np.longdouble))
    error = units_in_last_place(y, expected, dtype)
    worst = np.argmax(np.where(np.isnan(error), np.inf, error))
    assert error[worst] <= (bound32 if dtype == np.float32 else bound64), (
        f"{name}({x[worst]!r}) is {y[worst]!r}, expected {expected[worst]!r}: {error[worst]:.2f} units")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*NAMES, "normal_distribution", "normal_density"])
def test_nan_stays_nan(name, dtype):
    x = np.full(100, np.nan, dtype)
    y = np.zeros_like(x)
    over_array(getattr(elementary, name))(x, y, 1)
    assert np.isnan(y).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_distribution_keeps_its_tail(dtype):
    x = np.linspace(-12, 12, 10_001, dtype=dtype)
    y = np.zeros_like(x)
    over_array(elementary.normal_distribution)(x, y, 1)
    expected = precise_normal(x)
    np.testing.assert_allclose(y, expected, rtol=200 * np.finfo(dtype).eps, atol=0)
