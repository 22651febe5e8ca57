"""Activations."""

import numpy as np
import pytest

from fastcnn import reference
from tests.reference.setting import KINKED, LN2, LN3, LN4, NAN, SMOOTH, assert_gradient, close, distinct, normal

ACTIVATIONS = {
    # x -> y, dy/dx, worked from the formula
    "relu": {-2.0: (0, 0), 0.0: (0, 0), 3.0: (3, 1)},
    "leaky_relu": {-2.0: (-0.02, 0.01), 0.0: (0, 0.01), 3.0: (3, 1)},
    "sigmoid": {
        0.0: (1 / 2, 1 / 4),
        LN3: (3 / 4, 3 / 16),
        -LN3: (1 / 4, 3 / 16),
        1000.0: (1, 0),
        -1000.0: (0, 0),
    },
    "tanh": {0.0: (0, 1), LN2: (3 / 5, 16 / 25), -LN2: (-3 / 5, 16 / 25)},
    "softsign": {0.0: (0, 1), 1.0: (1 / 2, 1 / 4), -3.0: (-3 / 4, 1 / 16)},
    "elu": {-LN2: (-1 / 2, 1 / 2), 3.0: (3, 1), 1000.0: (1000, 1), -1000.0: (-1, 0)},
    # normal distribution function and density at 1, from tables: 0.841344746068543, 0.241970724519143
    "gelu": {
        0.0: (0, 1 / 2),
        1.0: (0.841344746068543, 0.841344746068543 + 0.241970724519143),
        -1.0: (0.841344746068543 - 1, 1 - 0.841344746068543 - 0.241970724519143),
    },
    # s (1 + x (1 - s)), s = 3/4 or 1/4
    "silu": {
        0.0: (0, 1 / 2),
        LN3: (LN3 * 3 / 4, 3 / 4 + LN3 * 3 / 16),
        -LN3: (-LN3 / 4, 1 / 4 - LN3 * 3 / 16),
    },
    # scale alpha = 1.7580993408473766
    "selu": {-LN2: (-1.7580993408473766 / 2, 1.7580993408473766 / 2), 2.0: (2 * 1.0507009873554805, 1.0507009873554805)},
    "softplus": {0.0: (LN2, 1 / 2), LN3: (LN4, 3 / 4), 1000.0: (1000, 1), -1000.0: (0, 0)},
    "hardswish": {-3.0: (0, 0), -4.0: (0, 0), -1.0: (-1 / 3, 1 / 6), 1.0: (2 / 3, 5 / 6), 3.0: (3, 1), 4.0: (4, 1)},
    # tanh(log 4) = 15/17, 1 - t^2 = 64/289
    "mish": {0.0: (0, 3 / 5), LN3: (LN3 * 15 / 17, 15 / 17 + LN3 * 64 / 289 * 3 / 4), 1000.0: (1000, 1)},
}
FROM_X = {"gelu", "silu", "softplus", "hardswish", "mish"}  # their backward takes x, the others y


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_by_hand(name):
    forward, backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    x = np.array(list(ACTIVATIONS[name]))
    y, slope = np.array(list(ACTIVATIONS[name].values())).T
    close(forward(x), y, 1e-14)
    close(backward(np.full_like(x, 3), x if name in FROM_X else y), 3 * slope, 1e-14)


def test_activation_parameters_by_hand():
    assert reference.leaky_relu(np.array([-2.0, 3]), 0.5).tolist() == [-1, 3]
    assert reference.leaky_relu_backward(np.array([4.0, 4]), np.array([-1.0, 3]), 0.5).tolist() == [2, 4]
    close(reference.elu(np.array([-LN2, 3]), 4.0), [-2, 3])
    close(reference.elu_backward(np.array([5.0, 5, 5]), np.array([-2.0, 3, 0]), 4.0), [10, 5, 20])
    close(reference.softplus(np.array([LN3 / 2, 1.0]), 2.0, 1.5), [LN4 / 2, 1])
    close(reference.softplus_backward(np.array([4.0, 4.0]), np.array([LN3 / 2, 1.0]), 2.0, 1.5), [3, 4])
    x, slopes = np.array([[-2.0, 3], [4, -6]]), np.array([0.5, -1])
    assert reference.prelu(x, slopes).tolist() == [[-1, 3], [4, 6]]
    dx, dslope = reference.prelu_backward(np.array([[1.0, 2], [3, 4]]), x, slopes)
    assert (dx.tolist(), dslope.tolist()) == ([[0.5, 2], [3, -4]], [-2, -24])
    assert reference.prelu_backward(np.array([[1.0, 2], [3, 4]]), x, slopes[:1])[1].tolist() == [-26]


@pytest.mark.parametrize("name", ["relu", "elu"])
def test_gradient_passes_where_the_output_is_nan(name):
    assert getattr(reference, f"{name}_backward")(np.array([3.0]), np.array([NAN])).tolist() == [3]


def test_gelu_keeps_its_precision_far_below_zero():
    close(reference.gelu(np.array([-10.0])) / -7.61985302416053e-23, 1, 1e-12)  # -10 times the table's 7.6...e-24


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_backward(name):
    x = distinct(9, 9)
    dy = normal(9, 9, seed=1)
    forward, backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    gradient = backward(dy, x if name in FROM_X else forward(x))
    bounds = KINKED if name.endswith("lu") or name == "hardswish" else SMOOTH
    assert_gradient(gradient, lambda: np.vdot(dy, forward(x)), x, **bounds)


@pytest.mark.parametrize("name", [*ACTIVATIONS, "softmax", "log_softmax"])
def test_nan_stays_nan(name):
    assert np.isnan(getattr(reference, name)(np.array([NAN, NAN]))).all()


def test_softmax_by_hand():
    x = np.array([[0, LN3], [1000, 1000 + LN3]])  # the second row overflows without the shift
    close(reference.softmax(x), [[1 / 4, 3 / 4]] * 2, 1e-12)
    close(reference.log_softmax(x), [[-LN4, LN3 - LN4]] * 2, 1e-12)
    dy = np.array([[1.0, 0]])
    close(reference.softmax_backward(dy, np.array([[1 / 4, 3 / 4]])), [[3 / 16, -3 / 16]])
    close(reference.log_softmax_backward(dy, np.array([[-LN4, LN3 - LN4]])), [[3 / 4, -3 / 4]])
    assert reference.log_softmax(np.array([0.0, -1000])).tolist() == [0, -1000]


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_backward(name):
    x, dy = normal(3, 2, 4), normal(3, 2, 4, seed=1)
    forward, backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    assert_gradient(backward(dy, forward(x)), lambda: np.vdot(dy, forward(x)), x, **SMOOTH)
