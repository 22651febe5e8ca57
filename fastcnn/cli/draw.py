"""`fastcnn plot`: pictures of a training run and of what its model does."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from .. import data, metrics, nn, training
from .. import plot as pictures
from ..shapes import DataFormatError
from ..training.checkpoint import checkpoints
from ..training.history import KEYS
from . import datasets
from .output import Output
from .recipes import PICTURES
from .train import HISTORY, MODEL
from .usage import UsageError, blaming
from .use import require_index, test_images

_SHOWN = {"features": 1, "predictions": 35, "saliency": 8, "gradcam": 8}  # test images where --index chooses none


class _Drawer:
    """Draws pictures of one run; what several of them need is made once."""

    def __init__(self, arguments: Namespace) -> None:
        """Load the model."""
        self.arguments, self.run = arguments, Path(arguments.run)
        if not self.run.is_dir():
            raise NotADirectoryError(f"plot: {self.run} is no folder, expected one that train wrote")
        self.model = training.load(self.run / MODEL)
        self._test: data.Split | None = None
        self._probabilities: np.ndarray | None = None

    def draw(self, name: str, path: Path) -> None:
        """Draw one picture."""
        with blaming("--layer", "layer"):
            getattr(self, f"_{name}")(path)

    @property
    def test(self) -> data.Split:
        """The test images of the run."""
        if self._test is None:
            self._test = self._load()
        return self._test

    @property
    def probabilities(self) -> np.ndarray:
        """The model's answers for all test images."""
        if self._probabilities is None:
            self._probabilities = training.predict(self.model, self.test.images)
        return self._probabilities

    def _load(self) -> data.Split:
        """Return the test images of the data set that was given, or of the one that a checkpoint tells."""
        if self.arguments.dataset:
            return test_images("plot", self.arguments, self.model)
        if checkpoints(self.run):
            begun = training.load_checkpoint(self.run)["callbacks"].get("Begun 0")
            if begun:
                given = datasets.options(self.arguments, begun["dataset"])
                return datasets.load(begun["dataset"], self.arguments.data_dir, {**begun, **given}, begun["seed"]).test
        raise UsageError(f"{self.run} does not tell its data set, expected --dataset")

    def _chosen(self, picture: str) -> np.ndarray:
        if self.arguments.index:
            require_index(self.arguments.index, self.test)
        return np.array(self.arguments.index or range(min(_SHOWN[picture], len(self.test))))

    def _curves(self, path: Path) -> None:
        pictures.curves(_history(self.run / HISTORY), path)

    def _filters(self, path: Path) -> None:
        pictures.filters(self.model, path, layer=self.arguments.layer)

    def _features(self, path: Path) -> None:
        image = self.test.images[self._chosen("features")[0]]
        pictures.feature_maps(self.model, image, path, layer=self.arguments.layer)

    def _predictions(self, path: Path) -> None:
        index = self._chosen("predictions")
        pictures.predictions(self.test.images[index], self.probabilities[index], path, labels=self.test.labels[index],
                         classes=self.test.classes)

    def _confusion(self, path: Path) -> None:
        matrix = metrics.confusion_matrix(self.probabilities, self.test.labels)
        pictures.confusion_matrix(matrix, path, classes=self.test.classes)

    def _saliency(self, path: Path) -> None:
        pictures.saliency(self.model, self.test.images[self._chosen("saliency")], path, classes=self.test.classes)

    def _gradcam(self, path: Path) -> None:
        averages = any(isinstance(module, nn.GlobalAvgPool2D) for _, module in self.model.named_modules())
        pictures.grad_cam(self.model, self.test.images[self._chosen("gradcam")], path, layer=self.arguments.layer,
                          elementwise=not averages, classes=self.test.classes)

    def _architecture(self, path: Path) -> None:
        pictures.architecture(self.model, path)


def plot(arguments: Namespace, output: Output) -> int:
    """Draw the pictures that are asked for, and say where they are."""
    drawer = _Drawer(arguments)
    out = Path(arguments.out) if arguments.out else drawer.run
    out.mkdir(parents=True, exist_ok=True)
    wanted = PICTURES if "all" in arguments.pictures else dict.fromkeys(arguments.pictures)
    with output.compiling():
        for name in wanted:
            path = out / f"{name}.{'svg' if name == 'architecture' else arguments.format}"
            drawer.draw(name, path)
            output.result({"picture": name, "path": path}, str(path))
    return 0


def _history(path: Path) -> list[dict[str, Any]]:
    """Return the records of a run; DataFormatError: the file holds something else."""
    try:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise DataFormatError(f"plot: {path} is damaged ({error}); expected one JSON object in each line") from None
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict) or not record.keys() >= set(KEYS):
            raise DataFormatError(f"plot: {path} is damaged: line {number} is no epoch, expected an object with "
                                  f"{', '.join(KEYS)}")
    return records
