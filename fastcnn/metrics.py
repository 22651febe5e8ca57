"""Metrics of a classifier: what share of its answers is right, in all and for each class.

`prediction` is what `predict` gives, scores (N, K), or the predicted classes (N,) themselves; `labels` are the
true classes (N,). Where a share has nothing to count, such as the precision of a class that was never
predicted, it is 0, as in scikit-learn. Scores of which one is not finite are no answer: such a row is never right. Scores
and labels of several labels at once (N, K) have an accuracy, the share of right labels. All raise ShapeError, DTypeError or
ValueError for arrays that do not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .shapes import DTypeError, ShapeError, integer
from .tables import Table

__all__ = ["accuracy", "confusion_matrix", "f1_score", "per_class_accuracy", "precision", "recall", "report",
           "top_k_accuracy"]

_NO_ANSWER = -1
_SHARES = ("precision", "recall", "f1_score")
_MOST_CLASSES = 1 << 14  # one wild label must not make a matrix of gigabytes


def accuracy(prediction: Any, labels: Any) -> float:
    """Share of the images whose class is right; of probabilities and several labels (N, K), 0 or 1, that of right labels."""
    given, several = np.asarray(prediction), np.asarray(labels)
    if several.ndim == 2:
        return _share_of_labels(given, several)
    classes, truth = _pair("accuracy", given, several)
    return float(np.mean(classes == truth))


def top_k_accuracy(scores: Any, labels: Any, k: int = 5) -> float:
    """Share of the images whose class is among the k of the highest scores (N, K); of equal scores the first wins."""
    array = np.asarray(scores)
    if array.ndim != 2:
        raise ShapeError(f"top_k_accuracy: scores have shape {array.shape}, expected (N, K): a score for each class")
    _, truth = _pair("top_k_accuracy", array, labels)
    count = integer("top_k_accuracy", "k", k, 1)
    if count > array.shape[1]:
        raise ShapeError(f"top_k_accuracy: k is {k}, expected at most the {array.shape[1]} classes")
    best = np.argsort(-array, axis=1, kind="stable")[:, :count]
    return float(np.mean((best == truth[:, None]).any(axis=1) & np.isfinite(array).all(axis=1)))


def confusion_matrix(prediction: Any, labels: Any, num_classes: int | None = None) -> np.ndarray:
    """How often each true class (row) was given each class (column): (K, K) int64.

    `num_classes` is the number of scores where not given, else one more than the largest class that occurs. ValueError: a
    score is not finite, so that its row was given no class.
    """
    matrix = _matrix("confusion_matrix", prediction, labels, num_classes)
    if matrix[:, -1].any():
        raise ValueError(f"confusion_matrix: prediction has {matrix[:, -1].sum()} rows that are not finite, expected a "
                         "class for each image; take them out")
    return matrix[:, :-1]


def precision(prediction: Any, labels: Any, *, average: str | None = None) -> Any:
    """Share of the images given a class that belong to it: (K,), or one number with `average`.

    `average` is None, "macro" (all classes alike), "weighted" (by their images) or "micro" (all images alike).
    """
    return _averaged("precision", prediction, labels, average)


def recall(prediction: Any, labels: Any, *, average: str | None = None) -> Any:
    """Share of the images of a class that were given it: (K,), or one number with `average` as in `precision`."""
    return _averaged("recall", prediction, labels, average)


def f1_score(prediction: Any, labels: Any, *, average: str | None = None) -> Any:
    """Harmonic mean of precision and recall: (K,), or one number with `average` as in `precision`."""
    return _averaged("f1_score", prediction, labels, average)


def per_class_accuracy(prediction: Any, labels: Any) -> np.ndarray:
    """Share of the images of each class that were given it: (K,), NaN for a class without images."""
    matrix = _matrix("per_class_accuracy", prediction, labels)
    images = matrix.sum(axis=1)
    return np.where(images > 0, _share(np.diag(matrix), images), np.nan)  # np.diag passes over the column of no answer


class Report(str):
    """The table that `report` makes: a string, which notebooks show as a table; `records` has its rows as dicts."""

    records: list[dict[str, Any]]

    def __new__(cls, records: list[dict[str, Any]]) -> Report:
        """Make the text of the rows."""
        made = super().__new__(cls, str(_table(records)))
        made.records = records
        return made

    def __getnewargs__(self) -> tuple[list[dict[str, Any]]]:  # type: ignore[override]
        """Return what a copy is made of."""
        return (self.records,)

    def table(self) -> Table:
        """Return the table."""
        return _table(self.records)

    def __repr__(self) -> str:
        """Return the text itself."""
        return str(self)

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return self.table()._repr_html_()


def report(prediction: Any, labels: Any, classes: Sequence[str] | None = None) -> Report:
    """A table of precision, recall, F1 and number of images of each class, and their means: a string.

    Images of which a score is not finite are counted in a last line, "no answer".
    """
    matrix = _matrix("report", prediction, labels, None if classes is None else len(classes))
    names = [str(number) for number in range(len(matrix))] if classes is None else list(map(str, classes))
    shares, images = _shares(matrix), matrix.sum(axis=1)
    records: list[dict[str, Any]] = [
        {"class": name, **{key: float(share[index]) for key, share in shares.items()}, "images": int(images[index])}
        for index, name in enumerate(names)]
    mean = {key: float(share.mean()) for key, share in shares.items()}
    records.append({"class": "mean", **mean, "images": int(images.sum())})
    if unanswered := int(matrix[:, -1].sum()):
        records.append({"class": "no answer", **dict.fromkeys(shares), "images": unanswered})
    return Report(records)


def _table(records: list[dict[str, Any]]) -> Table:
    rows = [(str(record["class"]), *("" if record[key] is None else f"{record[key]:.2%}" for key in _SHARES),
             f"{record['images']:,}") for record in records]
    return Table(("class", "precision", "recall", "F1", "images"), rows, right=range(1, 5))


def _averaged(function: str, prediction: Any, labels: Any, average: str | None) -> Any:
    if average not in (None, "macro", "weighted", "micro"):
        raise ValueError(f"{function}: average is {average!r}, expected None, 'macro', 'weighted' or 'micro'")
    if average == "micro":
        return accuracy(prediction, labels)
    matrix = _matrix(function, prediction, labels)
    shares = _shares(matrix)[function]
    if average is None:
        return shares
    return float(np.average(shares, weights=matrix.sum(axis=1) if average == "weighted" else None))


def _matrix(function: str, prediction: Any, labels: Any, num_classes: int | None = None) -> np.ndarray:
    """Count each true class (row) by what it was given (column); the last column counts images without an answer."""
    classes, truth = _pair(function, prediction, labels)
    scores = np.asarray(prediction)
    largest = int(max(classes.max(), truth.max()))
    K = scores.shape[1] if scores.ndim == 2 else largest + 1
    if num_classes is not None:
        K = integer(function, "num_classes", num_classes, 1)
    if largest >= K or K > _MOST_CLASSES:
        raise ValueError(f"{function}: the largest class is {largest}, expected 0 to {min(K, _MOST_CLASSES) - 1}")
    column = np.where(classes == _NO_ANSWER, K, classes)
    return np.bincount(truth * (K + 1) + column, minlength=K * (K + 1)).reshape(K, K + 1)


def _shares(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of each class."""
    right, given, true = np.diag(matrix), matrix[:, :-1].sum(axis=0), matrix.sum(axis=1)
    return {"precision": _share(right, given), "recall": _share(right, true), "f1_score": _share(2 * right, given + true)}


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _pair(function: str, prediction: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted and true classes, int64 (N,) both; predicted is _NO_ANSWER where a score is not finite."""
    given = np.asarray(prediction)
    if given.ndim == 2 and given.shape[1] == 1:
        raise ShapeError(f"{function}: prediction has shape {given.shape}, expected (N,) or a score for each of two classes "
                         "or more; probabilities of class 1 become classes by (prediction[:, 0] > 0.5).astype(int)")
    answered: Any = True
    if given.ndim == 2 and given.dtype.kind == "f" and given.size:
        answered, given = np.isfinite(given).all(axis=1), given.argmax(axis=1)
    classes, truth = _classes(function, "prediction", given), _classes(function, "labels", np.asarray(labels))
    if len(classes) != len(truth):
        raise ShapeError(f"{function}: labels have shape {truth.shape}, expected {classes.shape}: one label per prediction")
    if np.ndim(prediction) == 2 and truth.max() >= (K := np.shape(prediction)[1]):
        raise ValueError(f"{function}: labels hold {truth.max()}, expected 0 to {K - 1} for scores of {K} classes")
    return np.where(answered, classes, _NO_ANSWER), truth


def _share_of_labels(probabilities: np.ndarray, labels: np.ndarray) -> float:
    if probabilities.shape != labels.shape or not labels.size or probabilities.dtype.kind != "f":
        raise ShapeError(f"accuracy: prediction has shape {probabilities.shape} of {probabilities.dtype}, expected floats "
                         f"of shape {labels.shape}: a probability for each label")
    if not ((labels == 0) | (labels == 1)).all():
        raise ValueError(f"accuracy: labels hold {labels.min()} to {labels.max()}, expected 0 or 1 for each label")
    if (labels.sum(axis=1) == 1).all() and np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        return accuracy(probabilities, labels.argmax(axis=1))  # classes in another form
    return float(np.mean(np.isfinite(probabilities) & ((probabilities > 0.5) == (labels == 1))))


def _classes(function: str, name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 1 or not len(array):
        expected = "(N,) or float scores (N, K)" if name == "prediction" else "(N,)"
        raise ShapeError(f"{function}: {name} has shape {array.shape} of {array.dtype}, expected {expected}, N at least 1")
    if array.dtype.kind not in "iu":
        raise DTypeError(f"{function}: {name} has dtype {array.dtype}, expected integers")
    if array.min() < 0:
        raise ValueError(f"{function}: {name} holds {array.min()}, expected classes from 0")
    return array.astype(np.int64)
