"""Pictures of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import extras
from . import figure
from .figure import StrPath


@figure.picture
def curves(history: Sequence[Mapping[str, Any]], path: StrPath | None = None) -> Any:
    """Draw loss and accuracy of each epoch, as `fit` returns them.

    MissingExtraError: matplotlib is not installed. ValueError: the history is empty. OSError: no such folder.
    """
    if not history:
        raise ValueError("curves: history is empty, expected at least one epoch")
    picture = figure.new(9, 3.6)
    ticker = extras.require("plot", "ticker")
    for axes, quantity in zip(picture.subplots(1, 2), ("loss", "accuracy"), strict=True):
        _draw(axes, history, quantity)
        axes.set(xlabel="epoch", title=quantity)
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        if quantity == "accuracy":
            axes.yaxis.set_major_formatter(ticker.PercentFormatter(1.0))
    return figure.finished(picture, path)


def _draw(axes: Any, history: Sequence[Mapping[str, Any]], quantity: str) -> None:
    """Draw one line for training and, where it was measured, one for testing."""
    for name, label, colour in (("train", "training", figure.TRAIN), ("test", "validation", figure.TEST)):
        points = [(record["epoch"], record[f"{name}_{quantity}"]) for record in history
                  if record[f"{name}_{quantity}"] is not None]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3.5, label=label)
