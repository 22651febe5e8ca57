"""`fastcnn evaluate`, `predict`, `summary` and `profile`: a saved model at work."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator, Sequence

import numpy as np

from .. import data, metrics, models, nn, streams, training
from ..data.dataset import in_classes
from ..data.folder import ImageFolder, problem
from ..data.image_files import ImageReader
from ..shapes import DataFormatError, DTypeError, ShapeError, suggestion
from ..training.choices import kind_of
from . import datasets
from .answers import Answer, Likeliest, answers, bar
from .output import Output
from .recipes import Recipe, home_of
from .train import use_threads
from .usage import UsageError, blaming

_AT_ONCE = 256  # images


def evaluate(arguments: Namespace, output: Output) -> int:
    """Print loss and accuracy of a saved model on the test images."""
    model = training.load(arguments.model)
    use_threads(arguments.threads)
    test = test_images("evaluate", arguments, model)
    with output.compiling():
        measured = training.evaluate(model, test, batch_size=arguments.batch_size, progress=not output.quiet)
    record = {"model": arguments.model, "dataset": arguments.dataset, "images": len(test), **measured}
    text = (f"test accuracy {measured['accuracy']:.2%}, loss {measured['loss']:.4f}, {len(test):,} images of "
            f"{arguments.dataset}")
    if arguments.report:
        probabilities = training.predict(model, test.images, batch_size=arguments.batch_size, progress=not output.quiet)
        report = metrics.report(probabilities, test.labels, test.classes)
        record["classes"], text = report.records, f"{text}\n{report}"
        if len(test.classes) > 5:
            record["top_5_accuracy"] = metrics.top_k_accuracy(probabilities, test.labels)
            text += f"\nthe true class is among the five likeliest: {record['top_5_accuracy']:.2%}"
    output.result(record, text)
    return 0


def predict(arguments: Namespace, output: Output) -> int:
    """Print the likeliest classes, a line per image; 1 where one of the files has no answer."""
    if arguments.index and not arguments.dataset:
        raise UsageError("--index needs --dataset, whose test images it counts")
    if bool(arguments.images) == bool(arguments.index):
        raise UsageError("either image files are needed, or --index with --dataset")
    model = training.load(arguments.model)
    shown = answers(arguments, output)
    questions = _Questions(model, arguments, output)
    for names, images, truths in questions.of_index() if arguments.index else questions.of_files():
        with output.compiling():
            predictions = training.predict(model, images)
        shown.add([Answer(name, truth, _likeliest(probabilities, model.classes, shown.top))
                   for name, probabilities, truth in zip(names, predictions, truths, strict=True)])
    shown.finish(questions.problems)
    return int(questions.problems > 0)


_Batch = tuple[list[str], np.ndarray, Sequence[str | None]]  # names, images and their classes, where these are known


class _Questions:
    """What `predict` is asked: images in batches, and how many could not be read."""

    def __init__(self, model: nn.Module, arguments: Namespace, output: Output) -> None:
        self.model, self.arguments, self.output, self.problems = model, arguments, output, 0

    def of_index(self) -> Iterator[_Batch]:
        """Give the test images that were chosen by number."""
        index = self.arguments.index
        images, truths = self._tried()
        require_index(index, images)
        yield list(map(str, index)), images[index], [truths[number] for number in index]

    def _tried(self) -> tuple[np.ndarray, Sequence[str | None]]:
        """Return the test images and their classes, which a table or an .npz file may lack."""
        dataset = self.arguments.dataset
        try:
            split = test_images("predict", self.arguments, self.model)
        except DataFormatError:
            if not dataset.endswith(datasets.TABLES):
                raise
            shape = input_shape(self.model)
            images = datasets.images_of(dataset, shape)
            if images.shape[1:] != shape:
                raise
            return images, [None] * len(images)
        return split.images, [split.classes[label] for label in split.labels]

    def of_files(self) -> Iterator[_Batch]:
        """Give the images of all files that can be read, and say what is wrong with the others."""
        given = {name: value for name in ("resize", "max_pixels") if (value := getattr(self.arguments, name)) is not None}
        reader = ImageReader("predict", input_shape(self.model), invert=self.arguments.invert, **given)
        waiting: list[tuple[str, np.ndarray]] = []
        paths = list(self._paths())
        with bar(len(paths), self.output, prints=self.arguments.out is None) as progress:
            for path in paths:
                try:
                    if path.endswith(datasets.TABLES):
                        images = datasets.images_of(path, reader.shape)
                        yield from _batches(waiting)
                        yield [f"{path}[{number}]" for number in range(len(images))], images, [None] * len(images)
                    else:
                        waiting.append((path, reader.read(path)))
                except (DataFormatError, OSError, ShapeError, DTypeError) as error:
                    progress.clear()
                    self._say(path, problem(error))
                progress.update()
                if len(waiting) == _AT_ONCE:
                    yield from _batches(waiting)
        yield from _batches(waiting)

    def _paths(self) -> Iterator[str]:
        """Give the files, and those in folders."""
        for path in self.arguments.images:
            if not os.path.isdir(path):
                yield path
                continue
            folder = ImageFolder("predict", path)
            found = folder.images()
            if not found:
                self._say(path, f"predict: {path} has no image files")
            elif folder.left_out:
                streams.note(f"fastcnn: {folder.said()}")
            yield from map(str, found)

    def _say(self, path: str, text: str) -> None:
        self.problems += 1
        streams.note(f"fastcnn: {text}")
        if self.output.as_json:
            self.output.result({"image": path, "problem": text}, "")


def _batches(waiting: list[tuple[str, np.ndarray]]) -> Iterator[_Batch]:
    """Give the images that wait, if there are any, and let go of them."""
    if waiting:
        yield [path for path, _ in waiting], np.stack([image for _, image in waiting]), [None] * len(waiting)
        waiting.clear()


def summary(arguments: Namespace, output: Output) -> int:
    """Print the table of a saved model's layers, or of a named one's, and what memory its training takes."""
    model, shape, home = _network(arguments)
    kept = len(kind_of(arguments.optimizer or home.optimizer).slots)
    with blaming("--input-shape", "input_shape"):
        table = model.summary(shape, batch_size=arguments.batch_size or home.batch_size, optimizer_arrays=kept)
    output.result({"model": arguments.model, "input_shape": shape, **table.as_dict()}, table.table())
    return 0


def profile(arguments: Namespace, output: Output) -> int:
    """Print the time of each layer of a saved model, or of a named one, in training steps on noise."""
    model, shape, home = _network(arguments)
    use_threads(arguments.threads)
    size = (arguments.batch_size or home.batch_size, *shape)
    with blaming("--input-shape", "input_shape"):
        model.summary(shape)
    with output.compiling():
        timings = model.profile(np.random.default_rng(0).standard_normal(size, np.float32), repeats=arguments.repeats)
    output.result({"model": arguments.model, "input_shape": shape, **timings.as_dict()}, timings.table())
    return 0


def _network(arguments: Namespace) -> tuple[nn.Module, tuple[int, ...], Recipe]:
    """Return a saved or a named model, the shape of its images, and the recipe that it belongs to."""
    name = arguments.model
    if name in models.names() and not os.path.exists(name):
        home = home_of(name)
        shape = arguments.input_shape or home.image
        with blaming("--input-shape", "input_shape"):
            return models.create(name, shape, arguments.classes or home.classes), shape, home
    if os.path.exists(name) or os.path.splitext(name)[1]:
        model = training.load(name)
        shape = arguments.input_shape or input_shape(model)
        return model, shape, home_of(model.origin.name if model.origin else "")
    raise UsageError(f"MODEL is {name!r}, expected a file that train wrote or one of {', '.join(models.names())}"
                     f"{suggestion(name, models.names())}")


def require_index(numbers: list[int], split: data.Split | np.ndarray) -> None:
    """Raise UsageError unless all numbers are those of images."""
    beyond = next((number for number in numbers if number >= len(split)), None)
    if beyond is not None:
        raise UsageError(f"--index is {beyond}, expected 0 to {len(split) - 1}")


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


def _likeliest(probabilities: np.ndarray, classes: tuple[str, ...], top: int) -> Likeliest:
    """Return the likeliest classes and their probabilities, the likeliest first; none where they are not finite."""
    if not np.isfinite(probabilities).all():
        return []
    ranked = np.argsort(-probabilities, kind="stable")[:top]
    return [{"class": classes[index] if index < len(classes) else str(index), "probability": float(probabilities[index])}
            for index in ranked]
