"""Gradient check."""


import numpy as np

import fastcnn
from fastcnn import functional as F  # noqa: N812
from fastcnn import nn
from tests.training.setting import network


def test_gradient_check_of_functions():
    random = np.random.default_rng(0)
    x, weight, bias = random.random((2, 5, 5, 2)), random.random((3, 3, 2, 4)), random.random(4)
    assert fastcnn.gradient_check(F.conv2d, x, weight, bias, stride=2, padding=1) < 1e-9
    assert fastcnn.gradient_check(F.linear, random.random((3, 4)), random.random((4, 2))) < 1e-9
    assert fastcnn.gradient_check(F.max_pool2d, x, 2) < 1e-9
    assert fastcnn.gradient_check(F.gelu, x) < 1e-8
    assert fastcnn.gradient_check(F.cross_entropy, random.random((3, 4)), np.array([0, 1, 3])) < 1e-8
    ones = np.ones(2)
    assert fastcnn.gradient_check(F.batch_norm, x, ones, ones, 0 * ones, ones, training=True) < 1e-8


def test_gradient_check_of_losses():
    prediction = np.random.default_rng(0).standard_normal((3, 4))
    assert fastcnn.gradient_check(nn.MSELoss(), prediction, np.ones((3, 4), np.float32)) < 1e-8
    assert fastcnn.gradient_check(nn.CrossEntropyLoss(), prediction, np.array([0, 3, 1])) < 1e-8


def test_gradient_check_shows_each_gradient():
    check = fastcnn.gradient_check(nn.Linear(4, 2), np.random.default_rng(0).random((3, 4)))
    first, *lines = repr(check).split("\n")
    assert float(first) == check and len(lines) == 3
    assert {one.gradient for one in check.differences} == {"dx", "weight", "bias"}
    worst = check.differences[0]
    at = f"{worst.gradient}[{', '.join(map(str, worst.place))}]"
    assert worst.error == check
    assert lines[0] == f"  {at} is {worst.came:.8g}, expected {worst.expected:.8g}: error {worst.error:.2g}"


def test_gradient_check_sees_a_wrong_gradient():
    class Wrong(nn.Linear):
        def backward(self, dy, need_dx=True):
            dx = super().backward(dy, need_dx)
            self.bias.grad *= 1.01
            return dx

    x = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    assert 0.005 < fastcnn.gradient_check(Wrong(4, 2), x) < 0.02
    assert fastcnn.gradient_check(nn.Linear(4, 2), x) < 1e-9


def test_gradient_check_sees_a_gradient_that_is_no_number():
    class Wrong(nn.Linear):
        def backward(self, dy, need_dx=True):
            dx = super().backward(dy, need_dx)
            self.bias.grad[1] = np.nan
            return dx

    assert np.isnan(fastcnn.gradient_check(Wrong(4, 2), np.random.default_rng(0).random((3, 4))))


def test_gradient_check_leaves_the_model_alone():
    model = network(0.5)
    before = model.state_dict()
    assert fastcnn.gradient_check(model, np.random.default_rng(0).random((2, 8, 8, 1)), samples=10) < 1e-6
    assert all(np.array_equal(before[name], now) for name, now in model.state_dict().items())
    assert model[5].step == 0
