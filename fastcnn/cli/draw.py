"""`fastcnn plot`: pictures of a training run and of what its model does."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np

from .. import metrics, nn
from .. import plot as pictures
from .output import Output
from .recipes import PICTURES
from .run import Run
from .usage import blaming
from .use import require_index

_SHOWN = {"features": 1, "predictions": 35, "saliency": 8, "gradcam": 8}  # test images where --index chooses none


class _Drawer:
    """Draws pictures of one run."""

    def __init__(self, arguments: Namespace) -> None:
        """Load the model."""
        self.arguments, self.run = arguments, Run("plot", arguments)

    def draw(self, name: str, path: Path) -> None:
        """Draw one picture."""
        with blaming("--layer", "layer"):
            getattr(self, f"_{name}")(path)

    def _chosen(self, picture: str) -> np.ndarray:
        if self.arguments.index:
            require_index(self.arguments.index, self.run.test)
        return np.array(self.arguments.index or range(min(_SHOWN[picture], len(self.run.test))))

    def _curves(self, path: Path) -> None:
        pictures.curves(self.run.history, path)

    def _filters(self, path: Path) -> None:
        pictures.filters(self.run.model, path, layer=self.arguments.layer)

    def _features(self, path: Path) -> None:
        image = self.run.test.images[self._chosen("features")[0]]
        pictures.feature_maps(self.run.model, image, path, layer=self.arguments.layer)

    def _predictions(self, path: Path) -> None:
        index, test = self._chosen("predictions"), self.run.test
        pictures.predictions(test.images[index], self.run.probabilities[index], path, labels=test.labels[index],
                             classes=test.classes)

    def _confusion(self, path: Path) -> None:
        matrix = metrics.confusion_matrix(self.run.probabilities, self.run.test.labels)
        pictures.confusion_matrix(matrix, path, classes=self.run.test.classes)

    def _saliency(self, path: Path) -> None:
        images = self.run.test.images[self._chosen("saliency")]
        pictures.saliency(self.run.model, images, path, classes=self.run.test.classes)

    def _gradcam(self, path: Path) -> None:
        averages = any(isinstance(module, nn.GlobalAvgPool2D) for _, module in self.run.model.named_modules())
        pictures.grad_cam(self.run.model, self.run.test.images[self._chosen("gradcam")], path, layer=self.arguments.layer,
                          elementwise=not averages, classes=self.run.test.classes)

    def _architecture(self, path: Path) -> None:
        pictures.architecture(self.run.model, path)


def plot(arguments: Namespace, output: Output) -> int:
    """Draw the pictures that are asked for, and say where they are."""
    drawer = _Drawer(arguments)
    out = Path(arguments.out) if arguments.out else drawer.run.folder
    out.mkdir(parents=True, exist_ok=True)
    wanted = PICTURES if "all" in arguments.pictures else dict.fromkeys(arguments.pictures)
    with output.compiling():
        for name in wanted:
            path = out / f"{name}.{'svg' if name == 'architecture' else arguments.format}"
            drawer.draw(name, path)
            output.result({"picture": name, "path": path}, str(path))
    return 0
