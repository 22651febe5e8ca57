"""Pictures of a training run, drawn by matplotlib: the extra `plot`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import extras

_TRAIN, _TEST = "#1f6fb4", "#d1495b"


def curves(history: Sequence[Mapping[str, Any]], path: str | os.PathLike[str]) -> None:
    """Draw loss and accuracy of each epoch, as `fit` returns them, to an image file such as curves.png.

    MissingExtraError: matplotlib is not installed. ValueError: the history is empty. OSError: no such folder.
    """
    if not history:
        raise ValueError("curves: history is empty, expected at least one epoch")
    figure = extras.require("plot", "figure").Figure(figsize=(9, 3.6), dpi=120, layout="constrained")
    ticker = extras.require("plot", "ticker")
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        _draw(axes, history, quantity)
        axes.set(xlabel="epoch", title=quantity)
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        if quantity == "accuracy":
            axes.yaxis.set_major_formatter(ticker.PercentFormatter(1.0))
    temporary = Path(path).with_name(f".{Path(path).name}")
    figure.savefig(temporary, format=Path(path).suffix.lstrip(".") or "png")
    os.replace(temporary, path)


def _draw(axes: Any, history: Sequence[Mapping[str, Any]], quantity: str) -> None:
    """Draw one line for training and, where it was measured, one for testing."""
    for name, colour in (("train", _TRAIN), ("test", _TEST)):
        points = [(record["epoch"], record[f"{name}_{quantity}"]) for record in history
                  if record[f"{name}_{quantity}"] is not None]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3.5, label=name)
