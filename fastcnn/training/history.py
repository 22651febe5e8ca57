"""History: what each epoch gave."""

from __future__ import annotations

from typing import Any

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


class History(list[dict[str, Any]]):
    """One dict per epoch with the keys of `KEYS`, as in history.jsonl; test values are None without
    validation.

    `seconds` is the time of training alone, `interrupted` whether Ctrl-C ended the run.
    """

    interrupted = False
