"""`fastcnn evaluate`, `predict`, `summary` and `profile`: a saved model at work."""

from __future__ import annotations

import os
from argparse import Namespace

import numpy as np

from .. import data, metrics, models, nn, training
from ..data.dataset import in_classes
from ..data.image_files import ImageReader
from ..shapes import ShapeError
from ..warmup import compiling
from . import UsageError
from .recipes import Recipe, home_of
from .train import kind_of, use_threads


def evaluate(arguments: Namespace) -> int:
    """Print loss and accuracy of a saved model on the test images."""
    model = training.load(arguments.model)
    use_threads(arguments.threads)
    test = test_images("evaluate", arguments.dataset, arguments.data_dir, model)
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
    """Print the likeliest classes, a line per image."""
    if arguments.index and not arguments.dataset:
        raise UsageError("--index needs --dataset, whose test images it counts")
    if bool(arguments.images) == bool(arguments.index):
        raise UsageError("predict needs either image files or --index with --dataset")
    model = training.load(arguments.model)
    if arguments.index:
        split = test_images("predict", arguments.dataset, arguments.data_dir, model)
        beyond = [index for index in arguments.index if index >= len(split)]
        if beyond:
            raise ShapeError(f"predict: --index is {beyond[0]}, expected 0 to {len(split) - 1}")
        names, images = [f"{index}" for index in arguments.index], split.images[arguments.index]
        truths = [f"; truth {split.classes[label]}" for label in split.labels[arguments.index]]
    else:
        names, truths = arguments.images, [""] * len(arguments.images)
        reader = ImageReader("predict", input_shape(model), invert=arguments.invert)
        images = np.stack([reader.read(path) for path in arguments.images])
    width = max(map(len, names))
    with compiling():
        predictions = training.predict(model, images)
    for name, probabilities, truth in zip(names, predictions, truths, strict=True):
        print(f"{name:{width}}  {_likeliest(probabilities, model.classes, arguments.top)}{truth}")
    return 0


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


def test_images(command: str, dataset: str, data_dir: str | None, model: nn.Module) -> data.Split:
    """Return the test images, where they are such as the model takes; ShapeError where they are not."""
    split = data.load(dataset, data_dir).test
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
