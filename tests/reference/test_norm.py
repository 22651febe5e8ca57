"""Batch norm."""

import math

import numpy as np
import pytest

from fastcnn import reference
from tests.reference.setting import SMOOTH, assert_gradient, close, normal

# mean 4, squared distances 9 1 1 9: biased variance 5, unbiased 20 / 3; with eps 4 the deviation is 3
NORM_X = np.array([1.0, 3, 5, 7])
NORM_SETTINGS = {"momentum": 0.25, "eps": 4.0}


@pytest.mark.parametrize("shape", [(4, 1), (2, 1, 2, 1)])
def test_batch_norm_by_hand(shape):
    x, gamma, beta = NORM_X.reshape(shape), np.array([2.0]), np.array([1.0])
    running_mean, running_var = np.array([10.0]), np.array([20.0])
    y, saved = reference.batch_norm(x, gamma, beta, running_mean, running_var, training=True, **NORM_SETTINGS)
    close(y.ravel(), [-1, 1 / 3, 5 / 3, 3])  # 2 (x - 4) / 3 + 1
    close(saved, [[4], [1 / 3]])
    close(running_mean, [10 * 0.75 + 4 * 0.25])
    close(running_var, [20 * 0.75 + 20 / 3 * 0.25])

    dx, dgamma, dbeta = reference.batch_norm_backward(np.array([3.0, 0, 0, 0]).reshape(shape), x, gamma, saved)
    close(dgamma, [-3])  # 3 times the normalised -1
    close(dbeta, [3])
    # gamma / deviation = 2 / 3 times (dy - 3/4 + 3/4 normalised), normalised = -1, -1/3, 1/3, 1
    close(dx.ravel(), [1, -2 / 3, -1 / 3, 0])


@pytest.mark.parametrize("shape", [(2, 2), (1, 1, 2, 2)])
def test_batch_norm_channels_are_apart(shape):
    x = np.array([[1.0, 10], [3, 50]]).reshape(shape)  # means 2, 30; biased variances 1, 400, unbiased 2, 800
    running_mean, running_var = np.zeros(2), np.zeros(2)
    settings = {"training": True, "momentum": 0.5, "eps": 0.0}
    y, _ = reference.batch_norm(x, np.array([1.0, 2]), np.zeros(2), running_mean, running_var, **settings)
    close(y.reshape(2, 2), [[-1, -2], [1, 2]])
    close(running_mean, [1, 15])
    close(running_var, [1, 400])


def test_batch_norm_inference_by_hand():
    x, gamma, beta = np.array([[7.0], [1]]), np.array([2.0]), np.array([1.0])
    running_mean, running_var = np.array([4.0]), np.array([5.0])
    y, saved = reference.batch_norm(x, gamma, beta, running_mean, running_var, training=False, eps=4.0)
    close(y, [[3], [-1]])
    assert (running_mean.item(), running_var.item()) == (4, 5)
    running_mean += 1  # what was saved must not follow
    close(saved, [[4], [1 / 3]])
    dx, dgamma, dbeta = reference.batch_norm_backward(np.array([[3.0], [6]]), x, gamma, saved, training=False)
    close(dx, [[2], [4]])
    close(dgamma, [3 - 6])
    close(dbeta, [9])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 2, 2)])
def test_batch_norm_backward(shape, training):
    C = shape[-1]
    x, gamma, beta, dy = normal(*shape), normal(C, seed=1), normal(C, seed=2), normal(*shape, seed=3)
    running = np.full(C, 0.3), np.full(C, 1.7)

    def forward():
        copies = (statistic.copy() for statistic in running)
        return reference.batch_norm(x, gamma, beta, *copies, training=training)

    gradients = reference.batch_norm_backward(dy, x, gamma, forward()[1], training=training)
    for gradient, argument in zip(gradients, (x, gamma, beta), strict=True):
        assert_gradient(gradient, lambda: np.vdot(dy, forward()[0]), argument, **SMOOTH)


def test_layer_and_group_norm_by_hand():
    x = np.array([[1.0, 3, 4, 8]])  # of the row: mean 4, deviation sqrt(26/4); of its halves: 2 and 6, deviations 1 and 2
    gamma, beta = np.array([1.0, 2, 3, 4]), np.array([0.0, 0, 10, 0])
    y, (mean, inverse_std) = reference.layer_norm(x, gamma, beta, eps=0.0)
    assert mean.tolist() == [4]
    close(1 / inverse_std**2, [6.5])
    close(y * math.sqrt(6.5), np.array([[-3, -2, 10 * math.sqrt(6.5), 16]]))
    y, (mean, inverse_std) = reference.group_norm(x, gamma, beta, 2, eps=0.0)
    assert (mean.tolist(), inverse_std.tolist()) == ([[2, 6]], [[1, 1 / 2]])
    close(y, [[-1, 2, 7, 4]])


@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 2, 8)])
@pytest.mark.parametrize("operation, options", [("layer_norm", ()), ("group_norm", (2,))])
def test_norms_of_images_backward(operation, options, shape):
    x, dy, gamma, beta = normal(*shape), normal(*shape, seed=1), normal(8, seed=2), normal(8, seed=3)
    forward, backward = getattr(reference, operation), getattr(reference, f"{operation}_backward")
    gradients = backward(dy, x, gamma, forward(x, gamma, beta, *options)[1], *options)
    for gradient, argument in zip(gradients, (x, gamma, beta), strict=True):
        assert_gradient(gradient, lambda: np.vdot(dy, forward(x, gamma, beta, *options)[0]), argument, **SMOOTH)
