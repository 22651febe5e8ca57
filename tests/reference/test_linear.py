"""Linear."""

import numpy as np

from fastcnn import reference
from tests.reference.setting import LINEAR, assert_gradient, normal


def test_linear_by_hand():
    x, weight = np.array([[3.0, 5]]), np.array([[1.0, 2, 3], [10, 20, 30]])
    assert reference.linear(x, weight, np.array([1.0, 2, 3])).tolist() == [[54, 108, 162]]
    dx, dweight, dbias = reference.linear_backward(np.array([[1.0, 0, 2]]), x, weight)
    assert dx.tolist() == [[1 + 6, 10 + 60]]
    assert dweight.tolist() == [[3, 0, 6], [5, 0, 10]]
    assert dbias.tolist() == [1, 0, 2]
    assert reference.linear_backward(dbias[np.newaxis], x, weight, need_dx=False)[0] is None


def test_linear_backward():
    x, weight, bias, dy = normal(4, 3), normal(3, 5), normal(5), normal(4, 5)
    gradients = reference.linear_backward(dy, x, weight)
    for gradient, argument in zip(gradients, (x, weight, bias), strict=True):
        assert_gradient(gradient, lambda: np.vdot(dy, reference.linear(x, weight, bias)), argument, **LINEAR)
