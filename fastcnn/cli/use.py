"""`fastcnn evaluate`, `predict`, `summary` and `profile`: a saved model at work."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator

import numpy as np

from .. import data, metrics, models, nn, training
from ..data.dataset import in_classes
from ..data.folder import ImageFolder, problem
from ..data.image_files import ImageReader
from ..shapes import DataFormatError, DTypeError, ShapeError
from ..warmup import compiling
from . import UsageError, datasets
from .recipes import Recipe, home_of
from .train import kind_of, use_threads

_AT_ONCE = 256  # images


def evaluate(arguments: Namespace) -> int:
    """Print loss and accuracy of a saved model on the test images."""
    model = training.load(arguments.model)
    use_threads(arguments.threads)
    test = test_images("evaluate", arguments, model)
    with compiling():
        result = training.evaluate(model, test, batch_size=arguments.batch_size)
    print(f"test accuracy {result['accuracy']:.2%}, loss {result['loss']:.4f}, {len(test):,} images of {arguments.dataset}")
    if arguments.report:
        probabilities = training.predict(model, test.images, batch_size=arguments.batch_size)
        print(metrics.report(probabilities, test.labels, test.classes))
        if len(test.classes) > 5:
            print(f"the true class is among the five likeliest: {metrics.top_k_accuracy(probabilities, test.labels):.2%}")
    return 0


def predict(arguments: Namespace) -> int:
    """Print the likeliest classes, a line per image; 1 where one of the files has no answer."""
    if arguments.index and not arguments.dataset:
        raise UsageError("--index needs --dataset, whose test images it counts")
    if bool(arguments.images) == bool(arguments.index):
        raise UsageError("predict needs either image files or --index with --dataset")
    model = training.load(arguments.model)
    questions = _Questions(model, arguments)
    width = 0
    for names, images, truths in questions.of_index() if arguments.index else questions.of_files():
        with compiling():
            predictions = training.predict(model, images)
        width = max(width, *map(len, names))
        for name, probabilities, truth in zip(names, predictions, truths, strict=True):
            print(f"{name:{width}}  {_likeliest(probabilities, model.classes, arguments.top)}{truth}")
        sys.stdout.flush()
    return int(questions.problems > 0)


_Batch = tuple[list[str], np.ndarray, list[str]]  # names, images and what is known of the truth


class _Questions:
    """What `predict` is asked: images in batches, and how many could not be read."""

    def __init__(self, model: nn.Module, arguments: Namespace) -> None:
        self.model, self.arguments, self.problems = model, arguments, 0

    def of_index(self) -> Iterator[_Batch]:
        """Give the test images that were chosen by number."""
        index = self.arguments.index
        split = test_images("predict", self.arguments, self.model)
        beyond = [number for number in index if number >= len(split)]
        if beyond:
            raise ShapeError(f"predict: --index is {beyond[0]}, expected 0 to {len(split) - 1}")
        truths = [f"; truth {split.classes[label]}" for label in split.labels[index]]
        yield list(map(str, index)), split.images[index], truths

    def of_files(self) -> Iterator[_Batch]:
        """Give the images of all files that can be read, and say what is wrong with the others."""
        given = {name: value for name in ("resize", "max_pixels") if (value := getattr(self.arguments, name)) is not None}
        reader = ImageReader("predict", input_shape(self.model), invert=self.arguments.invert, **given)
        waiting: list[tuple[str, np.ndarray]] = []
        for path in self._paths():
            try:
                if path.endswith(datasets.TABLES):
                    images = datasets.images_of(path, reader.shape)
                    yield [f"{path}[{number}]" for number in range(len(images))], images, [""] * len(images)
                else:
                    waiting.append((path, reader.read(path)))
            except (DataFormatError, OSError, ShapeError, DTypeError) as error:
                self._say(problem(error))
            if len(waiting) == _AT_ONCE:
                yield _batch(waiting)
                waiting = []
        if waiting:
            yield _batch(waiting)

    def _paths(self) -> Iterator[str]:
        """Give the files, and those in folders."""
        for path in self.arguments.images:
            if not os.path.isdir(path):
                yield path
                continue
            folder = ImageFolder("predict", path)
            found = folder.images()
            if not found:
                self._say(f"predict: {path} has no image files")
            elif folder.left_out:
                print(f"fastcnn: {folder.said()}", file=sys.stderr)
            yield from map(str, found)

    def _say(self, text: str) -> None:
        self.problems += 1
        print(f"fastcnn: {text}", file=sys.stderr)


def _batch(waiting: list[tuple[str, np.ndarray]]) -> _Batch:
    return [path for path, _ in waiting], np.stack([image for _, image in waiting]), [""] * len(waiting)


def summary(arguments: Namespace) -> int:
    """Print the table of a saved model's layers, or of a named one's, and what memory its training takes."""
    model, shape, home = _network("summary", arguments)
    kept = len(kind_of(arguments.optimizer or home.optimizer).slots)
    print(model.summary(shape, batch_size=arguments.batch_size or home.batch_size, optimizer_arrays=kept))
    return 0


def profile(arguments: Namespace) -> int:
    """Print the time of each layer of a saved model, or of a named one, in training steps on noise."""
    model, shape, home = _network("profile", arguments)
    use_threads(arguments.threads)
    size = (arguments.batch_size or home.batch_size, *shape)
    with compiling():
        timings = model.profile(np.random.default_rng(0).standard_normal(size, np.float32), repeats=arguments.repeats)
    print(timings)
    return 0


def _network(command: str, arguments: Namespace) -> tuple[nn.Module, tuple[int, ...], Recipe]:
    """Return a saved or a named model, the shape of its images, and the recipe that it belongs to."""
    name = arguments.model
    if name in models.names() and not os.path.exists(name):
        home = home_of(name)
        shape = arguments.input_shape or home.image
        return models.create(name, shape, arguments.classes or home.classes), shape, home
    if os.path.exists(name) or os.path.splitext(name)[1]:
        model = training.load(name)
        shape = arguments.input_shape or input_shape(model)
        return model, shape, home_of(model.origin.name if model.origin else "")
    raise ValueError(f"{command}: MODEL is {name!r}, expected a file that train wrote or one of "
                     f"{', '.join(models.names())}")


def input_shape(model: nn.Module) -> tuple[int, ...]:
    """Return the shape (H, W, C) of the images that a loaded model was made for."""
    if model.origin is None:
        raise ShapeError("the model does not say which images it takes; expected one made by models.create")
    return model.origin.input_shape


def test_images(command: str, arguments: Namespace, model: nn.Module) -> data.Split:
    """Return the test images, where they are such as the model takes; ShapeError, ValueError where they are not."""
    dataset, given = arguments.dataset, datasets.options(arguments, arguments.dataset)
    split = datasets.load_test(dataset, arguments.data_dir, given, model.origin and model.origin.input_shape, model.classes)
    if model.origin is not None:
        came, expected = split.images.shape[1:], model.origin.input_shape
        if came != expected:
            raise ShapeError(f"{command}: {dataset} has images of shape {came}, the model takes {expected}")
        if not model.classes and len(split.classes) != model.origin.num_classes:
            raise ShapeError(f"{command}: {dataset} has {len(split.classes)} classes, "
                             f"the model tells {model.origin.num_classes} apart")
    return in_classes(f"{command}: {dataset}", split, model.classes) if model.classes else split


def _likeliest(probabilities: np.ndarray, classes: tuple[str, ...], top: int) -> str:
    if not np.isfinite(probabilities).all():
        return "no answer: the model's outputs are not finite"
    ranked = np.argsort(-probabilities, kind="stable")[:top]
    return ", ".join(f"{classes[index] if index < len(classes) else index} {probabilities[index]:.1%}" for index in ranked)
