"""The report of a training run: one page with curves, mistakes, filters, feature maps, times, memory and settings."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib.metadata import version
from typing import Any

import numpy as np

from .. import __version__, metrics
from ..data import Split
from ..doctor import cpu_name
from ..kernels.jit import threads
from ..kernels.kinds import KIND
from ..nn import Module
from ..nn.inspect.memory import readable
from ..nn.inspect.profile import Profile, Timing
from ..nn.inspect.summary import Summary
from ..tables import Table
from ..training.batches import input_dtype
from . import html, pictures

_MISTAKES, _CONFUSIONS, _UNFOLDED = 24, 10, 20  # rows that are shown, and that are shown unfolded
_REPEATS = 5  # steps that are timed


@dataclass
class Trained:
    """A trained model with what is known of it.

    `history` has a record for each epoch; `probabilities` (N, K) are the model's answers for the images of `test`;
    `settings` are those of the training, nothing where they are not known; `batch_size` is what times and memory are for.
    """

    model: Module
    history: Sequence[Mapping[str, Any]]
    test: Split
    probabilities: np.ndarray
    settings: Mapping[str, Any]
    batch_size: int
    optimizer_arrays: int

    @property
    def image(self) -> tuple[int, ...]:
        """Shape of the images (H, W, C)."""
        return self.test.images.shape[1:]

    @property
    def can_be_seen(self) -> bool:
        """Whether images have one channel or three."""
        return self.image[-1] in (1, 3)

    @cached_property
    def answered(self) -> np.ndarray:
        """Numbers of the test images for which the model's outputs are finite."""
        return np.flatnonzero(np.isfinite(self.probabilities).all(axis=1))

    @cached_property
    def mistakes(self) -> np.ndarray:
        """Numbers of the test images that were got wrong, those first whose true class was thought least likely."""
        truth = self.test.labels[self.answered]
        given = self.probabilities[self.answered]
        wrong = np.flatnonzero(given.argmax(axis=1) != truth)
        return self.answered[wrong[np.argsort(given[wrong, truth[wrong]], kind="stable")]]

    @cached_property
    def matrix(self) -> np.ndarray:
        """The confusion matrix (K, K) of the images that have an answer."""
        return metrics.confusion_matrix(self.probabilities[self.answered], self.test.labels[self.answered])

    @cached_property
    def summary(self) -> Summary:
        """Shapes, work and memory of the layers."""
        return self.model.summary(self.image, batch_size=self.batch_size, optimizer_arrays=self.optimizer_arrays)

    @cached_property
    def profile(self) -> Profile:
        """Times of the layers, here and now, on noise."""
        noise = np.random.default_rng(0).standard_normal((self.batch_size, *self.image), np.float32)
        return self.model.profile(noise.astype(input_dtype(self.model), copy=False), repeats=_REPEATS)


def page(run: Trained, progress: bool = False) -> str:
    """Return the page, which needs no other file; MissingExtraError: matplotlib is not installed."""
    from tqdm import tqdm

    bar = tqdm(_SECTIONS, desc="report", unit="section", leave=False, disable=None if progress else True)
    parts = [section(run) for section in bar]
    body = [f"<header>\n<p>fastcnn {__version__}</p>\n<h1>{escape(title(run))}</h1>\n</header>\n<main>", *parts, "</main>"]
    return html.page(title(run), "\n".join(filter(None, body)))


def title(run: Trained) -> str:
    """Return what the page is about."""
    model = run.model.origin.name if run.model.origin else "A model"
    dataset = _name_of(str(run.settings.get("dataset", "")))
    return f"{model} on {dataset}" if dataset else model


def _overview(run: Trained) -> str:
    right = len(run.answered) - len(run.mistakes)
    numbers = {"test accuracy": f"{right / len(run.test):.2%}", "test images": f"{len(run.test):,}",
               "parameters": f"{run.summary.parameters:,}", "multiply-adds": f"{run.summary.multiply_adds:,}"}
    if run.history:
        seconds = sum(record["seconds"] for record in run.history)
        numbers |= {"epochs": f"{len(run.history)}", "seconds of training": f"{seconds:,.1f}"}
    return html.section("Overview", html.tiles(numbers), *_without_answer(run))


def _without_answer(run: Trained) -> Iterator[str]:
    count = len(run.test) - len(run.answered)
    if count:
        yield html.paragraph(f"The model's outputs for {count:,} test images are not finite: they count as wrong, and are "
                             "left out below.")


def _curves(run: Trained) -> str:
    if not run.history:
        return ""
    head = ("epoch", "training loss", "accuracy", "validation loss", "accuracy", "learning rate", "seconds", "images/s")
    kinds = {"train_loss": ".4f", "train_accuracy": ".2%", "test_loss": ".4f", "test_accuracy": ".2%",
             "learning_rate": ".3g", "seconds": ".2f", "images_per_second": ",.0f"}
    rows = [(str(record["epoch"]), *(_number(record[key], kind) for key, kind in kinds.items())) for record in run.history]
    table = html.table(Table(head, rows, right=range(len(head))), "Each epoch")
    return html.section("Curves", pictures.curves(run.history), html.folded("Numbers of each epoch", table))


def _classes(run: Trained) -> str:
    if not len(run.answered):
        return ""
    names, matrix = run.test.classes, run.matrix
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    pairs = [(f"{names[true]} as {names[given]}", f"{matrix[true, given]:,}", f"{shares[true, given]:.1%}")
             for true, given in pictures.confused(matrix, _CONFUSIONS)]
    confused = Table(("true class as predicted", "images", "of the true class"), pairs, right=(1, 2))
    table = html.table(metrics.report(run.probabilities, run.test.labels, names).table(), "Precision, recall and F1 of each "
                       "class")
    most = html.table(confused, "Most frequent confusions") if pairs else html.paragraph("No image is wrong.")
    each = table if len(names) <= _UNFOLDED else html.folded("Each class", table)
    return html.section("Classes", html.beside(pictures.confusion(matrix, names), html.column(most, each)))


def _mistakes(run: Trained) -> str:
    shown = run.mistakes[:_MISTAKES]
    if not len(shown):
        return ""
    names = run.test.classes
    rows = []
    for index in shown:
        given, true = run.probabilities[index].argmax(), run.test.labels[index]
        rows.append((str(index), names[true], f"{run.probabilities[index, true]:.2%}", names[given],
                     f"{run.probabilities[index, given]:.2%}"))
    table = Table(("test image", "true class", "probability", "predicted class", "probability"), rows, right=(0, 2, 4))
    words = (f"{len(run.mistakes):,} of {len(run.test):,} test images are wrong. Those whose true class was thought least "
             "likely:")
    return html.section("Hardest mistakes", html.paragraph(words),
                        pictures.mistakes(run.test, run.probabilities, shown) if run.can_be_seen else "",
                        html.folded("Numbers of these images", html.table(table, "Hardest mistakes, by test image")))


def _filters(run: Trained) -> str:
    picture = pictures.filters(run.model)
    return html.section("Filters", picture) if picture else ""


def _feature_maps(run: Trained) -> str:
    index = int(run.answered[0]) if len(run.answered) else 0
    maps = list(pictures.feature_maps(run.model, run.test.images[index]))
    if not maps:
        return ""
    seen = pictures.image(run.test, index, f"Test image {index}, of which these maps are made.") if run.can_be_seen else ""
    return html.section("Feature maps", html.paragraph("What convolutions give for one image, a picture for each channel, "
                        "from its smallest value in black to its largest in white."), html.beside(seen, *maps))


def _layers(run: Trained) -> str:
    summary, profile = run.summary, run.profile
    times = {row.name: _times(row, profile) for row in profile.rows}
    rows = [(row.name, row.layer, " x ".join(map(str, row.output_shape)), f"{row.parameters:,}", f"{row.multiply_adds:,}",
             readable(row.memory), row.algorithm, *times.get(row.name, ("", "", ""))) for row in summary.rows]
    head = ("name", "layer", "output", "parameters", "multiply-adds", "memory", "algorithm", "forward ms", "backward ms",
            "of time")
    foot = ("total", "", "", f"{summary.parameters:,}", f"{summary.multiply_adds:,}", readable(summary.memory), "",
            f"{1e3 * sum(row.forward for row in profile.rows):.3f}",
            f"{1e3 * sum(row.backward for row in profile.rows):.3f}", "")
    notes = ["Multiply-adds and memory of outputs are for one image; times are medians of "
             f"{_REPEATS} training steps on {run.batch_size} images of noise, measured when this page was made.",
             profile.table().notes[0], _memory(run)]
    table = html.table(Table(head, rows, foot=foot, notes=notes, right=(3, 4, 5, 7, 8, 9)), "Time and memory of each layer",
                       share=9)
    drawing = html.folded("Drawing of the network", pictures.architecture(run.model)) if run.model.origin else ""
    return html.section("Layers", table, drawing)


def _times(row: Timing, profile: Profile) -> tuple[str, str, str]:
    """Return milliseconds of forward and backward, and their share of all layers' time."""
    both = row.forward + row.backward
    return f"{1e3 * row.forward:.3f}", f"{1e3 * row.backward:.3f}", f"{both / profile.seconds:.1%}"


def _memory(run: Trained) -> str:
    needs = run.summary.training
    if needs is None:
        return ""
    parts = ", ".join(f"{name} {readable(count)}" for name, count in needs._asdict().items())
    return f"A training step on {run.batch_size} images takes {readable(needs.peak)} of memory: {parts}."


def _configuration(run: Trained) -> str:
    chosen = {name.replace("_", " "): _word(value) for name, value in run.settings.items()
              if value is not None and name != "planned"}  # which repeats the epochs
    if "dataset" in chosen:
        chosen["dataset"] = _name_of(chosen["dataset"])
    known = {"images": " x ".join(map(str, run.image)), "classes": html.listed(run.test.classes[:_UNFOLDED])}
    if len(run.test.classes) > _UNFOLDED:
        known["classes"] = f"{len(run.test.classes)}"
    if run.model.normalisation is not None:
        mean, std = ("; ".join(f"{number:.4f}" for number in part) for part in run.model.normalisation)
        known["normalisation"] = f"mean {mean}, deviation {std}, of bytes as numbers from 0 to 1"
    return html.section("Configuration", html.facts({**chosen, **known}))


def _machine(run: Trained) -> str:
    found = {"CPU": cpu_name(), "kind": f"{KIND.name}, {KIND.registers} registers of {KIND.vector_bytes // 4} float32 lanes",
             "threads": f"{threads.get_num_threads()} of {os.cpu_count()} CPUs",
             "system": f"{platform.system()} {platform.machine()}", "Python": platform.python_version(),
             "packages": ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "llvmlite"))}
    return html.section("Machine", html.paragraph("Where this page was made, and the times of layers were measured."),
                        html.facts(found))


_SECTIONS: tuple[Callable[[Trained], str], ...] = (
    _overview, _curves, _classes, _mistakes, _filters, _feature_maps, _layers, _configuration, _machine)


def _name_of(dataset: str) -> str:
    """Return a data set's name, or the last part of a path: the rest is nobody's business where a report is shown."""
    return os.path.basename(dataset.rstrip("/\\")) or dataset


def _number(value: Any, kind: str) -> str:
    return f"{value:{kind}}" if isinstance(value, (int, float)) and math.isfinite(value) else "not finite or not measured"


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
