"""What `fastcnn predict` answers: a line or an object for each image, or a CSV table on stdout or in a file."""

from __future__ import annotations

import csv
import io
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from .. import streams
from ..training.writing import write_atomically
from .output import Output
from .usage import UsageError

Likeliest = list[dict[str, Any]]  # class and probability, the likeliest first; none where they are not finite
_HEAD = "file", "class", "probability"


class Answer(NamedTuple):
    """The answer for an image: its name, its class where that is known, and the likeliest ones."""

    name: str
    truth: str | None
    likeliest: Likeliest


class Answers(Protocol):
    """Takes the answers, those for a batch of images together."""

    top: int  # classes of each answer

    def add(self, batch: Sequence[Answer]) -> None:
        """Take the answers for some images."""

    def finish(self, problems: int) -> None:
        """Write what is left, after so many files that could not be read."""


def answers(arguments: Namespace, output: Output) -> Answers:
    """Return what prints or writes the answers, as the command line says; UsageError: two ways at once."""
    if arguments.csv and (arguments.json or arguments.out):
        raise UsageError(f"--csv prints a table on stdout, expected no --{'json' if arguments.json else 'out'} beside it")
    return _Table(arguments, output) if arguments.csv or arguments.out else _Lines(arguments, output)


class _Lines:
    """Prints a line for each image, or an object with --json."""

    def __init__(self, arguments: Namespace, output: Output) -> None:
        self.top, self._output, self._width = arguments.top or 3, output, 0

    def add(self, batch: Sequence[Answer]) -> None:
        self._width = max(self._width, *(len(answer.name) for answer in batch))
        for name, truth, likeliest in batch:
            words = (", ".join(f"{one['class']} {one['probability']:.1%}" for one in likeliest)
                     or "no answer: the model's outputs are not finite")
            self._output.result({"image": name, "truth": truth, "likeliest": likeliest},
                                f"{name:{self._width}}  {words}{'' if truth is None else f'; truth {truth}'}")

    def finish(self, problems: int) -> None:
        pass


class _Table:
    """Writes a row for each class of an answer, in the end all to the file, or each to stdout."""

    def __init__(self, arguments: Namespace, output: Output) -> None:
        self.top, self._path, self._output, self._images = arguments.top or 1, arguments.out, output, 0
        if arguments.out and os.path.isdir(arguments.out):
            raise UsageError(f"--out {arguments.out} is a folder, expected a file such as predictions.csv")
        self._kept = io.StringIO()
        self._rows = csv.writer(self._kept if arguments.out else sys.stdout, lineterminator="\n")
        self._rows.writerow(_HEAD)

    def add(self, batch: Sequence[Answer]) -> None:
        self._images += len(batch)
        for name, _, likeliest in batch:
            for one in likeliest or [{"class": "", "probability": ""}]:
                self._rows.writerow([name, one["class"], one["probability"]])

    def finish(self, problems: int) -> None:
        if self._path is None:
            sys.stdout.flush()
            return
        Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, self._kept.getvalue().encode("utf-8", "surrogateescape"))
        self._output.result({"path": self._path, "images": self._images, "problems": problems},
                            f"{self._path}: {self._images} image{'s' * (self._images != 1)}")


def bar(total: int, output: Output, prints: bool) -> Any:
    """Return a progress bar over so many files on stderr; it hides where that is no terminal or gets results too."""
    from tqdm import tqdm

    shown = streams.is_terminal(sys.stderr) and not output.quiet and not (prints and streams.is_terminal(sys.stdout))
    return tqdm(total=total, unit="image", leave=False, disable=not shown, file=sys.stderr)
