"""Pictures of what a network answers: images with their likeliest classes, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..shapes import DTypeError, ShapeError, integer
from . import figure
from .figure import StrPath

_NUMBERED = 16  # classes up to which a confusion matrix has its numbers written in
_NAMED = 40  # classes up to which they are named at the sides
_LETTERS = 40  # of a name at a side


@figure.picture
def predictions(images: Any, probabilities: Any, path: StrPath | None = None, *, labels: Any = None,
                classes: Sequence[str] = (), most: int = 35) -> Any:
    """Draw images (N, H, W, 1 or 3) with the likeliest class of each and its probability (N, K), as `predict` gives it.

    With `labels`, right answers are green, wrong ones red and followed by the true class.
    """
    pixels, given = figure.pictures("predictions", images), np.asarray(probabilities)
    if given.ndim != 2 or len(given) != len(pixels):
        raise ShapeError(f"predictions: probabilities have shape {given.shape}, expected ({len(pixels)}, K): a row an image")
    truth = None if labels is None else _truth(labels, *given.shape)
    count = min(len(pixels), integer("predictions", "most", most, 1))
    shown = {*given[:count].argmax(axis=1).tolist(), *([] if truth is None else truth[:count].tolist())}
    words_of = figure.names("predictions", classes, given.shape[1])
    width, words_shown = figure.room_for([words_of[index] for index in shown], least=1.35)
    names = dict(zip(shown, words_shown, strict=True))
    picture, places = figure.grid(count, side=1.35, width=width, room=0.22 if truth is None else 0.4)
    for index, place in enumerate(places):
        figure.show(place, pixels[index])
        best, is_answer = int(given[index].argmax()), bool(np.isfinite(given[index]).all())
        words, colour = f"{names[best]} {given[index, best]:.0%}" if is_answer else "no answer", "black"
        if truth is not None:
            is_right = is_answer and best == truth[index]
            colour = figure.RIGHT if is_right else figure.WRONG
            words += "" if is_right else f"\ntruth: {names[truth[index]]}"
        place.set_title(words, fontsize=8, color=colour, pad=3)
    return figure.finished(picture, path)


@figure.picture
def confusion_matrix(matrix: Any, path: StrPath | None = None, *, classes: Sequence[str] = ()) -> Any:
    """Draw a confusion matrix (K, K), true classes in rows, as `metrics.confusion_matrix` gives it.

    Colours are shares of each row, so that rare classes are seen; numbers are counts.
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ShapeError(f"confusion_matrix: matrix has shape {counts.shape}, expected (K, K)")
    if counts.dtype.kind not in "iu":
        raise DTypeError(f"confusion_matrix: matrix is {counts.dtype}, expected integers: counts of images")
    K = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [figure.shortened(name, _LETTERS) for name in figure.names("confusion_matrix", classes, K)]
    side = 1.4 + 0.5 * K if K <= _NUMBERED else 7.0
    beside = 0.8 if K > _NAMED else 0.4 + 0.07 * max(6, *map(len, names))
    picture = figure.new(side + beside + 1.0, side + beside)
    axes = picture.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    if K <= _NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                axes.text(column, row, f"{count}", ha="center", va="center", fontsize=8 if counts.max() < 10_000 else 6,
                          color="white" if shares[row, column] > 0.5 else "black")
    if K <= _NAMED:
        turned = 90 if max(map(len, names)) > 3 else 0
        axes.set_xticks(range(K), names, rotation=turned, fontsize=8)
        axes.set_yticks(range(K), names, fontsize=8)
    right = np.trace(counts) / max(1, counts.sum())
    axes.set(xlabel="predicted class", ylabel="true class", title=f"{right:.2%} of {counts.sum():,} images right")
    picture.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    return figure.finished(picture, path)


def _truth(labels: Any, count: int, classes: int) -> np.ndarray:
    """Return the true class of each image."""
    truth = np.asarray(labels)
    if truth.shape != (count,):
        raise ShapeError(f"predictions: labels have shape {truth.shape}, expected ({count},): one label per image")
    if truth.dtype.kind not in "iu":
        raise DTypeError(f"predictions: labels are {truth.dtype}, expected integers")
    if truth.min() < 0 or truth.max() >= classes:
        raise ValueError(f"predictions: labels hold {truth.min()} to {truth.max()}, expected 0 to {classes - 1}")
    return truth
