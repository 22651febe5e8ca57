"""Losses."""

import numpy as np
import pytest

from fastcnn import gradient_check, nn
from tests.nn.setting import numbers


def test_cross_entropy_of_even_logits_is_the_log_of_the_classes():
    loss = nn.CrossEntropyLoss()
    value = loss.forward(np.zeros((2, 4), np.float32), np.array([1, 3]))
    assert isinstance(value, float) and value == pytest.approx(np.log(4))
    assert np.allclose(loss.backward(), [[0.125, -0.375, 0.125, 0.125], [0.125, 0.125, 0.125, -0.375]])


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(class_weight=[1, 2, 0.5], label_smoothing=0.1),
        nn.CrossEntropyLoss(ignore_index=1),
    ],
)
def test_cross_entropy_gradients(loss):
    assert gradient_check(loss, numbers(4, 3), np.array([0, 1, 2, 1])) < 1e-8


@pytest.mark.parametrize("loss", [nn.NLLLoss(), nn.NLLLoss([1, 2, 0.5], ignore_index=1), nn.HingeLoss(0.3)])
def test_labelled_loss_gradients(loss):
    assert gradient_check(loss, numbers(4, 3), np.array([0, 1, 2, 1])) < 1e-8


def test_a_penalty_adds_its_slope_to_the_gradients_and_counts_each_parameter_once():
    layer = nn.Linear(2, 3)
    layer.weight.data, layer.bias.data = np.full((2, 3), 2.0), np.ones(3)
    layer.weight.grad = np.ones((2, 3))
    assert nn.L2([layer.weight, layer.weight], 0.5)() == 0.25 * 24
    assert np.array_equal(layer.weight.grad, np.full((2, 3), 2.0)) and not layer.bias.grad.any()


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.BCELoss(), nn.L1Loss(), nn.HuberLoss(0.4)])
def test_other_loss_gradients(loss):
    assert gradient_check(loss, numbers(4, 3), np.random.default_rng(0).random((4, 3))) < 1e-8


def test_losses_by_hand():
    assert nn.MSELoss()(np.float32([[1, 2]]), np.float32([[0, 4]])) == pytest.approx(2.5)
    assert nn.BCELoss()(np.zeros((2, 1), np.float32), np.float32([[0], [1]])) == pytest.approx(np.log(2))
    with pytest.raises(RuntimeError, match="MSELoss"):
        nn.MSELoss().backward()
