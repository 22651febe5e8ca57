"""Losses."""

import numpy as np
import pytest

from fastcnn import reference
from tests.reference.setting import INF, LN2, LN3, LN4, SMOOTH, assert_gradient, close, normal

# probabilities 1/4 3/4 and 1/2 1/2; the labels' losses are ln 4 and ln 2
LOGITS = np.array([[0, LN3], [0, 0]])
LABELS = np.array([0, 1])
WEIGHTS = np.array([1.0, 3])
ENTROPY_CASES = {
    "labels": (LABELS, {}, (LN4 + LN2) / 2, [[-3 / 8, 3 / 8], [1 / 4, -1 / 4]]),
    # (1 ln 4 + 3 ln 2) / (1 + 3); rows weighted 1/4 and 3/4
    "class weights": (
        LABELS,
        {"class_weight": WEIGHTS},
        (LN4 + 3 * LN2) / 4,
        [[-3 / 16, 3 / 16], [3 / 8, -3 / 8]],
    ),
    # targets 0.9 0.1 and 0.1 0.9
    "label smoothing": (
        LABELS,
        {"label_smoothing": 0.2},
        (0.9 * LN4 + 0.1 * (LN4 - LN3) + LN2) / 2,
        [[(0.25 - 0.9) / 2, (0.75 - 0.1) / 2], [0.2, -0.2]],
    ),
    # targets 0.9 0.3 and 0.1 2.7, divided by 1 + 3
    "weights and smoothing": (
        LABELS,
        {"class_weight": WEIGHTS, "label_smoothing": 0.2},
        (0.9 * LN4 + 0.3 * (LN4 - LN3) + 2.8 * LN2) / 4,
        [[(0.3 - 0.9) / 4, (0.9 - 0.3) / 4], [(1.4 - 0.1) / 4, (1.4 - 2.7) / 4]],
    ),
    "one ignored": (LABELS, {"ignore_index": 0}, LN2, [[0, 0], [1 / 2, -1 / 2]]),
    "ignored, far outside": (np.array([-100, 1]), {"ignore_index": -100}, LN2, [[0, 0], [1 / 2, -1 / 2]]),
    "ignored, weights, smoothing": (
        LABELS,
        {"ignore_index": 1, "class_weight": WEIGHTS, "label_smoothing": 0.2},
        0.9 * LN4 + 0.3 * (LN4 - LN3),
        [[0.3 - 0.9, 0.9 - 0.3], [0, 0]],
    ),
    "all ignored": (np.array([7, 7]), {"ignore_index": 7}, 0, [[0, 0], [0, 0]]),
    "one-hot": (np.eye(2), {}, (LN4 + LN2) / 2, [[-3 / 8, 3 / 8], [1 / 4, -1 / 4]]),
    # probabilities are divided by N = 2, whatever the weights
    "one-hot, weights": (
        np.eye(2),
        {"class_weight": WEIGHTS},
        (LN4 + 3 * LN2) / 2,
        [[-3 / 8, 3 / 8], [3 / 4, -3 / 4]],
    ),
    "one-hot, weights and smoothing": (
        np.eye(2),
        {"class_weight": WEIGHTS, "label_smoothing": 0.2},
        (0.9 * LN4 + 0.3 * (LN4 - LN3) + 2.8 * LN2) / 2,
        [[(0.3 - 0.9) / 2, (0.9 - 0.3) / 2], [(1.4 - 0.1) / 2, (1.4 - 2.7) / 2]],
    ),
    "probabilities": (
        np.array([[1 / 4, 3 / 4], [1 / 2, 1 / 2]]),
        {},
        (LN4 - 0.75 * LN3 + LN2) / 2,
        [[0, 0], [0, 0]],
    ),
}
entropy_cases = pytest.mark.parametrize("labels, options, loss, dlogits", ENTROPY_CASES.values(), ids=ENTROPY_CASES)


@entropy_cases
def test_cross_entropy_by_hand(labels, options, loss, dlogits):
    actual, gradient = reference.cross_entropy(LOGITS, labels, **options)
    assert isinstance(actual, float)
    close(actual, loss)
    close(gradient, dlogits)


def test_cross_entropy_of_extreme_logits():
    loss, dlogits = reference.cross_entropy(np.array([[1000.0, -1000], [-INF, 3]]), np.array([1, 1]))
    assert loss == 1000  # (2000 + 0) / 2
    assert dlogits.tolist() == [[0.5, -0.5], [0, 0]]


@pytest.mark.parametrize("options", [{}, {"class_weight": np.array([0.5, 2, 0, 1])}, {"label_smoothing": 0.3}])
@pytest.mark.parametrize(
    "labels", [np.array([3, 0, 1, 3, 2]), np.abs(normal(5, 4, seed=1))], ids=["labels", "probabilities"]
)
def test_cross_entropy_backward(labels, options):
    logits = normal(5, 4)
    options = {**options, "ignore_index": 1}
    dlogits = reference.cross_entropy(logits, labels, **options)[1]
    assert_gradient(dlogits, lambda: reference.cross_entropy(logits, labels, **options)[0], logits, **SMOOTH)


def test_mse_loss_by_hand():
    loss, dprediction = reference.mse_loss(np.array([[1.0, 2], [3, 4]]), np.array([[0.0, 2], [5, 1]]))
    assert loss == (1 + 0 + 4 + 9) / 4
    assert dprediction.tolist() == [[0.5, 0], [-1, 1.5]]


def test_binary_cross_entropy_by_hand():
    loss, dlogits = reference.binary_cross_entropy(np.array([0, LN3, LN3, LN3]), np.array([1, 1, 0, 0.5]))
    close(loss, (LN2 + (LN4 - LN3) + LN4 + (LN4 - LN3 / 2)) / 4)
    close(dlogits, [-1 / 8, -1 / 16, 3 / 16, 1 / 16])
    loss, dlogits = reference.binary_cross_entropy(np.array([1000.0, -1000, 1000, -1000]), np.array([1.0, 1, 0, 0]))
    assert loss == 500  # (0 + 1000 + 1000 + 0) / 4
    assert dlogits.tolist() == [0, -0.25, 0.25, 0]


def test_l1_and_huber_loss_by_hand():
    prediction, target = np.array([1.0, 5, 2, -3]), np.array([1.0, 1, 2.5, 1])  # differences 0, 4, -1/2, -4
    loss, gradient = reference.l1_loss(prediction, target)
    assert (loss, gradient.tolist()) == (8.5 / 4, [0, 1 / 4, -1 / 4, -1 / 4])
    loss, gradient = reference.huber_loss(prediction, target, delta=2.0)
    assert (loss, gradient.tolist()) == ((6 + 1 / 8 + 6) / 4, [0, 2 / 4, -1 / 8, -2 / 4])


def test_nll_loss_by_hand():
    rows, labels = np.array([[-1.0, -2], [-4, -8], [-3, -5]]), np.array([0, 1, 1])
    loss, gradient = reference.nll_loss(rows, labels)
    close(loss, (1 + 8 + 5) / 3)
    close(gradient, [[-1 / 3, 0], [0, -1 / 3], [0, -1 / 3]])
    loss, gradient = reference.nll_loss(rows, labels, class_weight=np.array([2.0, 1]))
    assert (loss, gradient.tolist()) == ((2 + 8 + 5) / 4, [[-1 / 2, 0], [0, -1 / 4], [0, -1 / 4]])
    loss, gradient = reference.nll_loss(rows, labels, ignore_index=1)
    assert (loss, gradient.tolist()) == (1, [[-1, 0], [0, 0], [0, 0]])
    assert reference.nll_loss(rows, labels - labels, ignore_index=0)[0] == 0


def test_hinge_loss_by_hand():
    scores = np.array([[3.0, 1, 2.5, 4], [0, 5, 0, 0]])  # row 0 lacks 0, 0, 1/2 and 2; row 1 nothing
    loss, gradient = reference.hinge_loss(scores, np.array([0, 1]))
    assert (loss, gradient.tolist()) == (2.5 / 8, [[-1 / 4, 0, 1 / 8, 1 / 8], [0, 0, 0, 0]])
    assert reference.hinge_loss(scores, np.array([0, 1]), margin=2.0)[0] == (1.5 + 3) / 8


def test_l2_penalty_by_hand():
    gradient = np.array([1.0, 1])
    assert reference.l2_penalty(np.array([2.0, -4]), gradient, weight=0.5) == 5
    assert gradient.tolist() == [2, -1]


@pytest.mark.parametrize("loss", [reference.mse_loss, reference.binary_cross_entropy])
def test_loss_backward(loss):
    prediction, target = normal(3, 4), np.random.default_rng(1).random((3, 4))
    assert_gradient(loss(prediction, target)[1], lambda: loss(prediction, target)[0], prediction, **SMOOTH)
