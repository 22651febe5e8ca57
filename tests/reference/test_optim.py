"""Optimizers."""

import math

import numpy as np
import pytest

from fastcnn import reference
from tests.reference.setting import INF, NAN, close


def steps(update, parameter, gradients, *, states, **options):
    """Run an update once for each gradient, on a second parameter too that must not mix with the first."""
    parameters = np.array([parameter, -parameter], np.float64)
    state = [np.full(2, float(start)) for start in states]
    for number, value in enumerate(gradients, 1):
        gradient = np.array([value, -value])
        counted = {"step": number} if update in (reference.sgd, reference.adam, reference.adamax) else {}
        update(parameters, gradient, *state, **options, **counted)
        assert gradient.tolist() == [value, -value]
    assert parameters[1] == -parameters[0]
    return parameters[0]


SGD = {"lr": 0.1, "nesterov": False, "weight_decay": 0.0}


def test_sgd_by_hand():
    # whatever velocity holds before step 1 (here 99) is forgotten
    sgd = {"states": [99], **SGD}
    close(steps(reference.sgd, 1, [0.5, 0.5], momentum=0.0, **sgd), 1 - 0.05 - 0.05)
    close(steps(reference.sgd, 1, [0.5, 0.5], momentum=0.9, **sgd), 1 - 0.05 - 0.1 * (0.45 + 0.5))
    # weight decay: gradients 0.5 + 0.2 = 0.7, then 0.5 + 0.2 * 0.93 = 0.686; velocity 0.63 + 0.686
    close(steps(reference.sgd, 1, [0.5, 0.5], momentum=0.9, **(sgd | {"weight_decay": 0.2})), 0.93 - 0.1316)
    # Nesterov: 0.5 + 0.9 * 0.5 = 0.95; velocity 0.45 + 0.5, 0.5 + 0.9 * 0.95 = 1.355
    close(steps(reference.sgd, 1, [0.5, 0.5], momentum=0.9, **(sgd | {"nesterov": True})), 1 - 0.095 - 0.1355)


ADAM = {"states": [0, 0], "lr": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 0.5}


def test_adam_by_hand():
    plain = ADAM | {"weight_decay": 0.0, "decoupled": False}
    # step 1: the unbiased moments are g and g^2 = 0.25: 0.1 * 0.5 / (0.5 + 0.5)
    close(steps(reference.adam, 1, [0.5], **plain), 0.95)
    # step 2: first 0.5 * 0.25 + 0.5 = 5/8, over 3/4; second 0.75 / 16 + 0.25 = 19/64, over 7/16
    close(steps(reference.adam, 1, [0.5, 1.0], **plain), 0.95 - 0.1 * (5 / 6) / (math.sqrt(19 / 28) + 0.5))
    # weight decay: g = 0.3 + 0.2 * 1; decoupled: 1 - 0.1 * 0.2 first, then the step of g alone
    close(steps(reference.adam, 1, [0.3], **(plain | {"weight_decay": 0.2})), 0.95)
    close(steps(reference.adam, 1, [0.5], **(plain | {"weight_decay": 0.2, "decoupled": True})), 0.98 - 0.05)


def test_rmsprop_by_hand():
    settings = {"states": [0], "lr": 0.1, "alpha": 0.75, "eps": 1.0}
    # square 4 / 4 = 1: 0.1 * 2 / (1 + 1); then 0.75 + 0.25 * 4 * 5.25 = 6, gradient^2 = 21
    close(steps(reference.rmsprop, 1, [2.0], weight_decay=0.0, **settings), 0.9)
    second = 0.9 - 0.1 * math.sqrt(21) / (math.sqrt(6) + 1)
    close(steps(reference.rmsprop, 1, [2.0, math.sqrt(21)], weight_decay=0.0, **settings), second)
    close(steps(reference.rmsprop, 1, [1.8], weight_decay=0.2, **settings), 0.9)


def test_adagrad_by_hand():
    settings = {"states": [0], "lr": 0.1, "eps": 1.0}
    # squares 9, then 9 + 16 = 25
    close(steps(reference.adagrad, 1, [3.0, 4.0], weight_decay=0.0, **settings), 1 - 0.3 / 4 - 0.4 / 6)
    close(steps(reference.adagrad, 1, [2.8], weight_decay=0.2, **settings), 1 - 0.3 / 4)


def test_adadelta_by_hand():
    # square 4 / 4 = 1, change 3: step sqrt(4 / 2) 2, times 0.1
    settings = {"lr": 0.1, "rho": 0.75, "eps": 1.0}
    close(steps(reference.adadelta, 1, [2.0], states=[0, 3], weight_decay=0.0, **settings), 1 - 0.2 * math.sqrt(2))
    # the change becomes 3 * 3 / 4 + 8 / 4, square 3 / 4 + 36 / 4
    second = 1 - 0.2 * math.sqrt(2) - 0.6 * math.sqrt(5.25 / 10.75)
    close(steps(reference.adadelta, 1, [2.0, 6.0], states=[0, 3], weight_decay=0.0, **settings), second)
    close(steps(reference.adadelta, 1, [1.8], states=[0, 3], weight_decay=0.2, **settings), 1 - 0.2 * math.sqrt(2))


def test_adamax_by_hand():
    settings = {"states": [0, 0], "lr": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 0.0}
    # step 1: first 0.5 g over 1 - 0.5, largest |g|; step 2: first (-0.5 + 1) / 2 over 3/4, largest max(3/4, 1)
    close(steps(reference.adamax, 1, [-1.0], weight_decay=0.0, **settings), 1.1)
    close(steps(reference.adamax, 1, [-1.0, 1.0], weight_decay=0.0, **settings), 1.1 - 0.1 * 0.25 / 0.75)
    close(steps(reference.adamax, 1, [-1.0, 0.5], weight_decay=0.0, **settings), 1.1)
    close(steps(reference.adamax, 1, [-1.2], weight_decay=0.2, **settings), 1.1)


def test_lion_by_hand():
    settings = {"states": [0], "lr": 0.1, "beta1": 0.5, "beta2": 0.75}
    # the mean is 0.5 after step 1; in step 2 a gradient of -0.4 is weaker than it, one of -0.6 stronger
    assert steps(reference.lion, 1, [2.0], weight_decay=0.0, **settings) == 0.9
    close(steps(reference.lion, 1, [2.0, -0.4], weight_decay=0.0, **settings), 0.8)
    close(steps(reference.lion, 1, [2.0, -0.6], weight_decay=0.0, **settings), 1.0)
    close(steps(reference.lion, 1, [2.0], weight_decay=0.5, **settings), 0.85)


def test_clip_values_by_hand():
    gradient = np.array([-3.0, -1, 0.5, 2, NAN, INF])
    reference.clip_values(gradient, 1.5)
    np.testing.assert_array_equal(gradient, [-1.5, -1, 0.5, 1.5, NAN, 1.5])


def test_clip_norms_by_hand():
    weight = np.array([[3.0, 0.3, NAN, 0], [4.0, 0.4, 1, 2]])
    reference.clip_norms(weight, 2.0)
    close(weight, [[1.2, 0.3, NAN, 0], [1.6, 0.4, 1, 2]], 1e-7)  # norms 5, 0.5, NaN and 2


UPDATES = {
    reference.sgd: {**SGD, "momentum": 0.9, "step": 2, "weight_decay": 0.5},
    reference.adam: {"lr": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 0.5, "weight_decay": 0.5, "decoupled": True, "step": 2},
    reference.rmsprop: {"lr": 0.1, "alpha": 0.75, "eps": 1.0, "weight_decay": 0.5},
    reference.adagrad: {"lr": 0.1, "eps": 1.0, "weight_decay": 0.5},
    reference.adadelta: {"lr": 0.1, "rho": 0.5, "eps": 1.0, "weight_decay": 0.5},
    reference.adamax: {"lr": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 0.5, "weight_decay": 0.5, "step": 2},
    reference.lion: {"lr": 0.1, "beta1": 0.5, "beta2": 0.75, "weight_decay": 0.5},
}


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.__name__)
def test_a_scaled_gradient_is_that_gradient(update):
    options = UPDATES[update]
    count = 4 if update in (reference.adam, reference.adadelta, reference.adamax) else 3
    one, other = ([np.array([1.5]) for _ in range(count)] for _ in range(2))
    other[1] /= 4
    update(*one, scale=0.25, zero=True, **options)
    update(*other, **options)
    assert one[1] == 0 and other[1] == 0.375
    assert [array for array in one if array is not one[1]] == [array for array in other if array is not other[1]]


def test_gradient_norm_by_hand():
    assert reference.gradient_norm(np.array([2.0, -3.0, 6.0], np.float32)) == 7
