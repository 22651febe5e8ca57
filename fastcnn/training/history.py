"""History: what each epoch gave."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..tables import Table, Tabular
from .curves import svg

KEYS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "learning_rate",
    "seconds",
    "images_per_second",
)


class History(Tabular, list[dict[str, Any]]):
    """One dict per epoch with the keys of `KEYS`, as in history.jsonl; it prints as a table.

    The test values are those of the validation, None without one; `seconds` is the time of training alone, `interrupted`
    whether Ctrl-C ended the run.
    """

    interrupted = False

    def json_lines(self) -> str:
        """Return the records as history.jsonl has them, an object in each line; what is not finite is null."""
        return "".join(map(json_line, self))

    def table(self) -> Table:
        """Return the table, with the columns of the validation where there was one."""
        validated = any(record["test_loss"] is not None for record in self)
        head = heads(validated)
        return Table(head, [cells(record, validated) for record in self], right=range(len(head)))

    def _repr_html_(self) -> str:
        """Return the curves and the table, for a notebook."""
        return f"<div>{svg(self)}</div>{super()._repr_html_()}" if self else super()._repr_html_()


def json_line(record: Mapping[str, Any]) -> str:
    """Return a record as one line of JSON; numbers that are not finite, which JSON does not know, are null."""
    unknown = {name: None for name, value in record.items() if isinstance(value, float) and not math.isfinite(value)}
    return json.dumps({**record, **unknown}, allow_nan=False) + "\n"


def heads(validated: bool) -> tuple[str, ...]:
    """Return what stands above the values of an epoch."""
    test = ("validation loss", "accuracy") if validated else ()
    return ("epoch", "loss", "accuracy", *test, "seconds", "images/s")


def cells(record: Mapping[str, Any], validated: bool) -> tuple[str, ...]:
    """Return the values of an epoch as they are shown."""
    test = _answers(record["test_loss"], record["test_accuracy"]) if validated else ()
    return (str(record["epoch"]), *_answers(record["train_loss"], record["train_accuracy"]), *test,
            f"{record['seconds']:.1f}", f"{record['images_per_second']:,.0f}")


def _answers(loss: float | None, accuracy: float | None) -> Sequence[str]:
    """Return loss and accuracy in few letters, nothing where they were not measured."""
    if loss is None or accuracy is None:
        return "", ""
    return f"{loss:.4f}" if abs(loss) < 1000 else f"{loss:.2e}", f"{accuracy:.2%}"
