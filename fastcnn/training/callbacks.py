"""Callbacks: what happens at the turns of training."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..shapes import CheckpointError, integer, one_of, real
from .history import KEYS, json_line
from .writing import Stream, append, is_special, write_atomically

if TYPE_CHECKING:
    from .loop import Run

Record = dict[str, Any]


class Callback:
    """Does nothing at each turn; subclasses override some of them. `run` is the state of the training.

    Set `run.stop = True` to end after the running epoch. What must survive a resumed run goes through
    `state_dict`, as numbers, strings, lists, dicts and arrays.
    """

    def on_train_begin(self, run: Run) -> None:
        """Before the first epoch, after a resumed state was loaded."""

    def on_epoch_begin(self, run: Run) -> None:
        """Before each epoch."""

    def on_batch_end(self, run: Run) -> None:
        """After each step of the optimizer."""

    def on_epoch_end(self, run: Run, record: Record) -> None:
        """After each epoch and its validation; `record` is the entry of History."""

    def on_interrupt(self, run: Run) -> None:
        """After the batch in which Ctrl-C was pressed."""

    def on_train_end(self, run: Run) -> None:
        """At the very end, also after an interruption or an error."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""


class _Monitor(Callback):
    """Watches one value of the record, from each new run's beginning; `mode` says whether "min" or "max" is best."""

    def __init__(self, monitor: str, mode: str | None) -> None:
        """Check the arguments: a loss should fall and an accuracy rise where `mode` does not tell."""
        name, usual = type(self).__name__, KEYS[1:5]
        if monitor in usual:
            mode = mode or ("min" if monitor.endswith("loss") else "max")
        elif not isinstance(monitor, str) or not monitor.startswith("test_"):
            one_of(name, "monitor", monitor, usual)
        if mode not in ("min", "max"):
            raise ValueError(f"{name}: mode is {mode!r}, expected 'min' or 'max' as the best of {monitor!r}")
        self.monitor, self.mode = monitor, mode
        self.best: float | None = None

    def on_train_begin(self, run: Run) -> None:
        """Forget an earlier run, and check that the value will be there; ValueError: fit was not given what it needs."""
        if run.step == 0:
            self._forget()
        what = f"{type(self).__name__}: monitor is {self.monitor!r}"
        if self.monitor.startswith("test") and run.validation is None:
            raise ValueError(
                f"{what}, which needs fit(validation=...); expected 'train_loss' or 'train_accuracy' without it"
            )
        if self.monitor not in run.keys:
            metric = self.monitor.removeprefix("test_")
            raise ValueError(
                f"{what}, which needs fit(metrics={{{metric!r}: ...}}); expected one of {', '.join(run.keys[1:])}"
            )

    def _forget(self) -> None:
        """Begin anew."""
        self.best = None

    def _improves(self, record: Record, margin: float = 0.0) -> bool:
        """Whether the value, if it is finite, beats the best so far by more than `margin`; then it is the best."""
        value = record[self.monitor] * (-1 if self.mode == "min" else 1)
        if not math.isfinite(value) or (self.best is not None and not value > self.best + margin):
            return False
        self.best = value
        return True


class EarlyStopping(_Monitor):
    """Stops when the monitored value has not improved by more than `min_delta` for `patience` epochs in a
    row.

    `monitor` is "train_" or, of the validation, "test_" with "loss" or "accuracy", or "test_" with the name of one of the
    `metrics` of `fit`, of which `mode`, "min" or "max", is the best. ValueError: it is another.
    """

    def __init__(
        self, monitor: str = "test_loss", patience: int = 5, min_delta: float = 0.0, *, mode: str | None = None
    ) -> None:
        """Check the arguments."""
        super().__init__(monitor, mode)
        self.patience = integer("EarlyStopping", "patience", patience, 1)
        self.min_delta = real("EarlyStopping", "min_delta", min_delta, 0.0)
        self.waited = 0

    def on_train_begin(self, run: Run) -> None:
        """Stop a resumed run that had stopped before."""
        super().on_train_begin(run)
        run.stop |= self.waited >= self.patience

    def _forget(self) -> None:
        """Begin anew."""
        super()._forget()
        self.waited = 0

    def on_epoch_end(self, run: Run, record: Record) -> None:
        """Count the epochs without improvement."""
        self.waited = 0 if self._improves(record, self.min_delta) else self.waited + 1
        run.stop |= self.waited >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and the count."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the best value and the count."""
        self.best, self.waited = state["best"], state["waited"]


class BestModel(_Monitor):
    """Keeps the weights of the best epoch and puts them back into the model when training ends.

    With `path` the best model so far is also in that file, as `fastcnn.save` writes it. `monitor` and `mode` as in
    EarlyStopping.
    """

    def __init__(
        self, monitor: str = "test_accuracy", *, path: str | os.PathLike[str] | None = None, mode: str | None = None
    ) -> None:
        """Check the arguments."""
        super().__init__(monitor, mode)
        self.path = None if path is None else Path(path)
        self.epoch = 0
        self.weights: dict[str, np.ndarray] = {}

    def _forget(self) -> None:
        """Begin anew."""
        super()._forget()
        self.epoch, self.weights = 0, {}

    def on_train_begin(self, run: Run) -> None:
        """Check that the path can be a file: that is better known before an epoch than after it."""
        super().on_train_begin(run)
        if self.path is not None and self.path.is_dir():
            raise CheckpointError(f"BestModel: path is the folder {self.path}, expected a file such as "
                                  f"{self.path / 'best.safetensors'}")

    def on_epoch_end(self, run: Run, record: Record) -> None:
        """Copy the weights of a new best epoch, and write them where there is a path."""
        if not self._improves(record):
            return
        self.epoch, self.weights = record["epoch"], run.model.state_dict()
        if self.path is not None:
            from .checkpoint import save

            save(run.model, self.path)

    def on_train_end(self, run: Run) -> None:
        """Put the best weights back."""
        if self.weights:
            run.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, its epoch and its weights."""
        return {"best": self.best, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the best value, its epoch and its weights."""
        self.best, self.epoch, self.weights = state["best"], state["epoch"], dict(state["weights"])


class _Logger(Callback):
    """Writes each epoch's record as one line of a file; a resumed run cuts what came after its start."""

    head = ""
    _stream: Stream | None = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Take the path."""
        self.path = Path(path)

    def line(self, record: Record) -> str:
        """Return the record as a line."""
        raise NotImplementedError(f"{type(self).__name__} has no line: define line(self, record)")

    def on_train_begin(self, run: Run) -> None:
        """Start the file with the epochs that are done."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if is_special(self.path):
            self._stream = Stream(self.path)
            self._stream.write(self._content(run))
        else:
            write_atomically(self.path, self._content(run))

    def on_epoch_end(self, run: Run, record: Record) -> None:
        """Add a line, on the disk before training goes on; a file that was deleted is written anew."""
        if self._stream is not None:
            self._stream.write(self.line(record).encode())
        elif self.path.exists():
            append(self.path, self.line(record).encode())
        else:
            write_atomically(self.path, self._content(run))

    def on_train_end(self, run: Run) -> None:
        """Close a pipe."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _content(self, run: Run) -> bytes:
        return (self.head + "".join(map(self.line, run.history))).encode()


class JSONLogger(_Logger):
    """Writes each epoch's record to the file `path`, one JSON object a line; a resumed run cuts what came after its
    start. What is not finite is null.
    """

    def line(self, record: Record) -> str:
        """Return the record as JSON."""
        return json_line(record)


class CSVLogger(_Logger):
    """Writes each epoch's record to the file `path`, a table with commas between the values and names in the first line.

    What was not measured is empty. A resumed run cuts what came after its start.
    """

    _keys: tuple[str, ...] = KEYS

    def on_train_begin(self, run: Run) -> None:
        """Start the file with the names and the epochs that are done."""
        self._keys, self.head = run.keys, ",".join(run.keys) + "\n"
        super().on_train_begin(run)

    def line(self, record: Record) -> str:
        """Return the values, in the order of the names."""
        return ",".join("" if record.get(key) is None else repr(record[key]) for key in self._keys) + "\n"
