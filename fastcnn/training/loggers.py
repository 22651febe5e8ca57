"""Callbacks that pass each epoch's numbers on to a tracker of experiments; the extras `tensorboard`, `mlflow` and `wandb`.

A tracker of another kind is a subclass of `Logger` with three methods.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .. import extras
from .callbacks import Callback, Record

if TYPE_CHECKING:
    from .loop import Run

Settings = dict[str, "str | int | float | bool"]


class Logger(Callback):
    """Passes each number of an epoch's record on as (name, value, step): a key of History, the number, and the epoch.

    Subclasses define `open`, `log` and `close`. What was not measured is not passed on. A run that goes on from a checkpoint
    has in `run_id` what `open` kept there.
    """

    run_id: str | None = None

    def open(self, run: Run, settings: Settings) -> None:
        """Begin; `settings` are what `fit` was given, as numbers and strings by names such as "optimizer.lr"."""
        raise NotImplementedError(f"{type(self).__name__} cannot begin: define open(self, run, settings)")

    def log(self, name: str, value: float, step: int) -> None:
        """Pass one number on."""
        raise NotImplementedError(f"{type(self).__name__} cannot log: define log(self, name, value, step)")

    def close(self, complete: bool) -> None:
        """End; `complete` unless the training was interrupted or met an error."""

    def on_train_begin(self, run: Run) -> None:
        """Begin, or go on where a resumed run stands."""
        if run.step == 0:
            self.run_id = None
        self.open(run, {"epochs": run.epochs, **dict(_flat(run.settings))})

    def on_epoch_end(self, run: Run, record: Record) -> None:
        """Pass the numbers of an epoch on."""
        for name, value in record.items():
            if name != "epoch" and value is not None:
                self.log(name, float(value), record["epoch"])

    def on_train_end(self, run: Run) -> None:
        """End."""
        self.close(run.stop or len(run.history) == run.epochs)

    def state_dict(self) -> dict[str, Any]:
        """Return the identity of the tracked run."""
        return {"run_id": self.run_id}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the identity of the tracked run."""
        self.run_id = state["run_id"]


class TensorBoardLogger(Logger):
    """Writes event files for TensorBoard to `folder`, a folder for each run: `tensorboard --logdir` shows those below it.

    Of a resumed run in the same folder, TensorBoard hides what came after its start. MissingExtraError: tensorboardX is not
    installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Take the folder, which is made when training begins."""
        self.folder = os.fspath(folder)
        self._writer_class = extras.require("tensorboard").SummaryWriter

    def open(self, run: Run, settings: Settings) -> None:
        """Start an event file with the settings as text."""
        unique = f".{time.time_ns()}"  # files of one second would have one name
        self._writer = self._writer_class(self.folder, purge_step=run.epoch, filename_suffix=unique)
        lines = "".join(f"    {name}: {value}\n" for name, value in settings.items())  # indented: as it is, no markup
        self._writer.add_text("settings", lines, run.epoch)

    def log(self, name: str, value: float, step: int) -> None:
        """Add a scalar, on the disk before training goes on."""
        self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self, complete: bool) -> None:
        """Close the file."""
        self._writer.close()


class MLflowLogger(Logger):
    """Adds a run to an experiment of MLflow, with the settings as its parameters.

    `tracking_uri` is that of a server or of a file such as "sqlite:///mlflow.db"; by default what MLflow is set to. A
    resumed training goes on with its run. MissingExtraError: MLflow is not installed.
    """

    def __init__(self, experiment: str = "fastcnn", *, tracking_uri: str | None = None, name: str | None = None) -> None:
        """Take the names; the experiment is made when training begins."""
        self.experiment, self.tracking_uri, self.name = experiment, tracking_uri, name
        self._client_class = extras.require("mlflow").MlflowClient

    def open(self, run: Run, settings: Settings) -> None:
        """Start the run, or go on with it."""
        self._client = self._client_class(self.tracking_uri)
        if self.run_id is not None:
            self._client.update_run(self.run_id, status="RUNNING")
            return
        found = self._client.get_experiment_by_name(self.experiment)
        place = self._client.create_experiment(self.experiment) if found is None else found.experiment_id
        self.run_id = str(self._client.create_run(place, run_name=self.name).info.run_id)
        for name, value in settings.items():
            self._client.log_param(self.run_id, name, value)

    def log(self, name: str, value: float, step: int) -> None:
        """Add a value of a metric."""
        self._client.log_metric(self.run_id, name, value, step=step)

    def close(self, complete: bool) -> None:
        """End the run."""
        self._client.set_terminated(self.run_id, "FINISHED" if complete else "KILLED")


class WandbLogger(Logger):
    """Adds a run to a project of Weights & Biases, with the settings as its configuration.

    By default "offline": in a folder wandb/ below `folder`, which `wandb sync` sends when wanted; mode="online" sends it
    while training. MissingExtraError: wandb is not installed.
    """

    def __init__(self, project: str = "fastcnn", *, mode: str = "offline", folder: str | os.PathLike[str] = ".",
                 name: str | None = None) -> None:
        """Take the names."""
        self.project, self.mode, self.folder, self.name = project, mode, os.fspath(folder), name
        self._wandb = extras.require("wandb")

    def open(self, run: Run, settings: Settings) -> None:
        """Start the run; one that goes on has its identity, which joins them where they are sent to."""
        self._run = self._wandb.init(project=self.project, mode=self.mode, dir=self.folder, name=self.name, config=settings,
                                     id=self.run_id, resume=self.run_id and "allow", reinit="create_new")
        self.run_id = str(self._run.id)

    def log(self, name: str, value: float, step: int) -> None:
        """Add a value of a metric."""
        self._run.log({name: value}, step=step)

    def close(self, complete: bool) -> None:
        """End the run."""
        self._run.finish(exit_code=0 if complete else 1)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | int | float | bool]]:
    """Give the numbers and strings of a tree of dicts by the names that lead to them, and no lists, which may be long."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (str, int, float)):
            yield f"{prefix}{name}", value
