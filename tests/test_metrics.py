"""Metrics, against values worked out by hand."""

import numpy as np
import pytest

import fastcnn
from fastcnn import metrics

# Five images of class 0, three of class 1, two of class 2; class 3 is never there and given once.
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
GIVEN = np.array([0, 0, 0, 1, 3, 1, 1, 0, 2, 1])
MATRIX = [[3, 1, 0, 1], [1, 2, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_confusion_matrix_has_truth_in_rows():
    assert metrics.confusion_matrix(GIVEN, LABELS).tolist() == MATRIX
    assert metrics.confusion_matrix(GIVEN, LABELS, 6).shape == (6, 6)


def test_scores_count_as_the_class_of_the_highest():
    scores = np.eye(7)[GIVEN]
    assert metrics.confusion_matrix(scores, LABELS).shape == (7, 7)
    assert metrics.accuracy(scores, LABELS) == metrics.accuracy(GIVEN, LABELS) == 0.6


def test_precision_recall_f1():
    assert metrics.precision(GIVEN, LABELS) == pytest.approx([3 / 4, 2 / 4, 1, 0])
    assert metrics.recall(GIVEN, LABELS) == pytest.approx([3 / 5, 2 / 3, 1 / 2, 0])
    assert metrics.f1_score(GIVEN, LABELS) == pytest.approx([6 / 9, 4 / 7, 2 / 3, 0])


def test_averages():
    assert metrics.precision(GIVEN, LABELS, average="macro") == pytest.approx(2.25 / 4)
    assert metrics.precision(GIVEN, LABELS, average="weighted") == pytest.approx((5 * 0.75 + 3 * 0.5 + 2) / 10)
    for metric in (metrics.precision, metrics.recall, metrics.f1_score):
        assert metric(GIVEN, LABELS, average="micro") == 0.6


def test_per_class_accuracy_is_nan_where_there_is_no_image():
    shares = metrics.per_class_accuracy(GIVEN, LABELS)
    assert shares[:3] == pytest.approx([3 / 5, 2 / 3, 1 / 2]) and np.isnan(shares[3])


def test_top_k():
    scores = np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    assert [metrics.top_k_accuracy(scores, [1, 1, 2], k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 1, 1])
    assert metrics.top_k_accuracy(scores, [0, 0, 0], 2) == pytest.approx(1 / 3)


def test_report_has_a_line_for_each_class():
    lines = metrics.report(GIVEN, LABELS, ["cat", "dog", "automobile", "ship"]).splitlines()
    assert lines[0].split() == ["class", "precision", "recall", "F1", "images"]
    assert lines[3].split() == ["automobile", "100.00%", "50.00%", "66.67%", "2"]
    assert lines[-1].split()[0] == "mean" and lines[-1].split()[-1] == "10"
    assert len({len(line) for line in lines}) == 1
    assert len(metrics.report(GIVEN, LABELS).splitlines()) == 6


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_never_right(value):
    scores = np.eye(7)[GIVEN]
    scores[0, 0] = scores[3, 2] = value
    assert metrics.accuracy(scores, LABELS) == metrics.f1_score(scores, LABELS, average="micro") == 0.5
    assert metrics.top_k_accuracy(scores, LABELS, 7) == 0.8
    assert metrics.recall(scores, LABELS)[0] == metrics.per_class_accuracy(scores, LABELS)[0] == pytest.approx(2 / 5)
    assert metrics.precision(scores, LABELS)[:2] == pytest.approx([2 / 3, 2 / 3])
    lines = metrics.report(scores, LABELS).splitlines()
    assert lines[1].split()[-1] == "5" and lines[-1].split() == ["no", "answer", "2"]
    with pytest.raises(ValueError, match="confusion_matrix: prediction has 2 rows that are not finite, expected a class"):
        metrics.confusion_matrix(scores, LABELS)


def test_accuracy_of_several_labels_is_the_share_of_right_ones():
    probabilities, labels = np.array([[0.9, 0.2, 0.6], [0.4, 0.7, np.nan]]), np.array([[1, 0, 0], [0, 1, 1]])
    assert metrics.accuracy(probabilities, labels) == 4 / 6
    assert metrics.accuracy([[0.4, 0.3, 0.3], [0.2, 0.7, 0.1]], np.eye(3)[[0, 2]]) == 0.5
    with pytest.raises(fastcnn.ShapeError, match=r"prediction has shape \(2, 2\) of float64, expected floats of shape"):
        metrics.accuracy(probabilities[:, :2], labels)
    with pytest.raises(ValueError, match="labels hold 0 to 2, expected 0 or 1"):
        metrics.accuracy(probabilities, labels * 2)


def test_a_single_column_of_probabilities_is_refused():
    with pytest.raises(fastcnn.ShapeError, match=r"accuracy: prediction has shape \(2, 1\), expected \(N,\) or a score"):
        metrics.accuracy([[0.2], [0.9]], [0, 1])


@pytest.mark.parametrize("metric", [metrics.accuracy, metrics.confusion_matrix, metrics.f1_score])
def test_labels_beyond_the_scores_are_refused(metric):
    with pytest.raises(ValueError, match=rf"{metric.__name__}: labels hold 3, expected 0 to 2 for scores of 3 classes"):
        metric(np.eye(3), [0, 1, 3])
