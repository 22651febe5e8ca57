"""A folder that `fastcnn train` wrote, and what its files tell."""

from __future__ import annotations

import json
from argparse import Namespace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .. import data, training
from ..shapes import DataFormatError
from ..training.checkpoint import checkpoints
from ..training.history import KEYS
from . import datasets
from .train import HISTORY, MODEL
from .usage import UsageError
from .use import test_images


class Run:
    """The model of a run, and what else is read or made when it is first asked for."""

    def __init__(self, command: str, arguments: Namespace) -> None:
        """Load the model; NotADirectoryError, CheckpointError: there is none."""
        self.command, self.arguments, self.folder = command, arguments, Path(arguments.run)
        if not self.folder.is_dir():
            raise NotADirectoryError(f"{command}: {self.folder} is no folder, expected one that train wrote")
        self.model = training.load(self.folder / MODEL)

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """The records of the epochs; DataFormatError: the file holds something else."""
        path = self.folder / HISTORY
        try:
            records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except ValueError as error:
            raise DataFormatError(f"{self.command}: {path} is damaged ({error}); expected one JSON object in each "
                                  "line") from None
        for number, record in enumerate(records, 1):
            if not isinstance(record, dict) or not record.keys() >= set(KEYS):
                raise DataFormatError(f"{self.command}: {path} is damaged: line {number} is no epoch, expected an object "
                                      f"with {', '.join(KEYS)}")
        return records

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the run was begun with, as its checkpoints tell; nothing where they do not."""
        if not checkpoints(self.folder):
            return {}
        return training.load_checkpoint(self.folder)["callbacks"].get("Begun 0") or {}

    @cached_property
    def test(self) -> data.Split:
        """The test images of the data set that was given, or of the one that the run was trained on."""
        if self.arguments.dataset:
            return test_images(self.command, self.arguments, self.model)
        if not self.settings:
            raise UsageError(f"{self.folder} does not tell its data set, expected --dataset")
        given = datasets.options(self.arguments, self.settings["dataset"])
        chosen = {**self.settings, **given}
        return datasets.load(self.settings["dataset"], self.arguments.data_dir, chosen, self.settings["seed"]).test

    @cached_property
    def probabilities(self) -> np.ndarray:
        """The model's answers for all test images."""
        return training.predict(self.model, self.test.images)
