"""What DATASET means on a command line: a data set's name, a folder of images, a table or an .npz file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .. import data, streams
from ..data.dataset import in_classes
from ..data.folder import ImageFolder
from ..data.npz import PARTS, NpzFile
from ..shapes import DataFormatError, ShapeError, suggestion
from .recipes import OWN
from .usage import UsageError

# Options of data of one's own, with what they are where the command line does not say.
OPTIONS = {"validation": "0.2", "size": None, "label": "auto", "resize": "stretch", "on_error": "raise",
           "max_pixels": data.MAX_PIXELS}
# What functions advise, and what the same is on a command line.
_ADVICE = {
    "; on_error='skip' leaves": "; --on-error skip leaves",
    "; classes=[...] allows a class without images": "",
    "; label=None reads a table without labels": "; a table without labels is for predict alone",
    "max_pixels says": "--max-pixels says",
    "expected a shape (H, W) or (H, W, C) for others": "expected --size H,W for others",
}
TABLES = (".csv", ".csv.gz", ".npz")
Options = Mapping[str, Any]
Shape = tuple[int, ...]


def is_own(dataset: str) -> bool:
    """Whether DATASET is a path; a data set's name wins over a folder of the same name, unless that has a slash."""
    return dataset not in data.names()


def named(dataset: str) -> str:
    """Return DATASET, a path from the root, so that a run that goes on elsewhere finds it; UsageError: there is none."""
    if not is_own(dataset):
        return dataset
    if not os.path.exists(dataset):
        raise UsageError(f"DATASET is {dataset!r}, expected one of {', '.join(data.names())}, or a folder of images, a "
                         f"table (.csv, .csv.gz) or an .npz file{suggestion(dataset, data.names())}")
    return os.path.abspath(dataset)


def options(arguments: Any, dataset: str) -> dict[str, Any]:
    """Return the options of data of one's own that were given; UsageError: this is none."""
    given = {name: getattr(arguments, name) for name in OPTIONS if getattr(arguments, name, None) is not None}
    if given and not is_own(dataset):
        raise UsageError(f"--{next(iter(given)).replace('_', '-')} is for data of your own, not for {dataset}")
    return given


def load(dataset: str, data_dir: str | None, chosen: Options, seed: int) -> data.Dataset:
    """Return training and validation images; of data of one's own the latter are a share that follows from the seed."""
    if not is_own(dataset):
        return data.load(dataset, data_dir)
    source = _Source(dataset, {**OPTIONS, **chosen})
    parts = source.parts()
    with _said_in_a_line():
        train = source.read("train" if "train" in parts else "")
        held = source.options["validation"]
        share = _share(held)
        if share is None:
            validation = _Source(held, source.options).read("", train.images.shape[1:], train.classes)
        elif len(parts) > 1:
            validation = source.read(parts[1], train.images.shape[1:], train.classes)
        else:
            train, validation = data.train_validation_split(train, share, seed=seed)
    return data.Dataset(dataset, train, validation)


def load_test(dataset: str, data_dir: str | None, chosen: Options, image: Shape | None,
              classes: Sequence[str]) -> data.Split:
    """Return the images to try a model of `image` (H, W, C) and `classes` on: all, where no part is meant for that."""
    if not is_own(dataset):
        return data.load(dataset, data_dir).test
    source = _Source(named(dataset), {**OPTIONS, **chosen})
    parts = source.parts()
    with _said_in_a_line():
        return source.read(parts[-1] if parts else "", image, classes or None)


def images_of(path: str, shape: Shape) -> NDArray[Any]:
    """Return the images of a table or an .npz file, with labels or without."""
    if path.endswith(".npz"):
        part = next(iter(reversed(NpzFile("predict", path).parts())), "")
        return data.from_npz(path, part=part, label=None)
    try:
        return data.from_csv(path, shape, label=None)
    except ValueError:
        return data.from_csv(path, shape).images


class _Source:
    """One path and how to read it."""

    def __init__(self, path: str, chosen: Options) -> None:
        self.path, self.options = path, chosen

    def parts(self) -> list[str]:
        """Return the parts of the data, the first for training; none where it is not divided."""
        if self.path.endswith(".npz"):
            found = NpzFile("DATASET", self.path).parts()
        elif os.path.isdir(self.path):
            names = ImageFolder("DATASET", self.path).classes()
            known = {name: part for part, names_of_part in PARTS.items() for name in names_of_part}
            divided = names and set(names) <= set(known) and all(any(map(os.path.isdir, _below(self.path, name)))
                                                                 for name in names)
            found = sorted(names, key=lambda name: list(PARTS).index(known[name])) if divided else []
        else:
            found = []
        return found if found[:1] == ["train"] else []

    def read(self, part: str, image: Shape | None = None, classes: Sequence[str] | None = None) -> data.Split:
        """Return one part, of such images and classes where they are known."""
        split = self._reader()(part, image, classes)
        if image is not None and split.images.shape[1:] != tuple(image):
            raise ShapeError(f"{self.path} has images of shape {split.images.shape[1:]}, expected {tuple(image)}")
        return split if classes is None else in_classes(self.path, split, classes)

    def _reader(self) -> Callable[[str, Shape | None, Sequence[str] | None], data.Split]:
        if os.path.isdir(self.path):
            return self._folder
        if self.path.endswith(".npz"):
            return self._npz
        if self.path.endswith(TABLES):
            return self._table
        raise UsageError(f"DATASET is {self.path}, expected a folder of images, a table (.csv, .csv.gz) or an .npz file")

    def _folder(self, part: str, image: Shape | None, classes: Sequence[str] | None) -> data.Split:
        height, width, *channels = image or self.options["size"] or OWN.image
        folder = Path(self.path, part)
        if classes is not None and not set(ImageFolder("DATASET", folder).classes()) <= set(classes):
            classes = None  # which are compared afterwards, with both lists in the message
        chosen = {name: self.options[name] for name in ("resize", "on_error", "max_pixels")}
        return data.from_folder(folder, (height, width), grey=channels == [1], classes=classes, **chosen)

    def _table(self, part: str, image: Shape | None, classes: Sequence[str] | None) -> data.Split:
        label: str = self.options["label"]
        return data.from_csv(self.path, image or self.options["size"],
                             label=int(label) if label.lstrip("-").isdecimal() else label)

    def _npz(self, part: str, image: Shape | None, classes: Sequence[str] | None) -> data.Split:
        label: str = self.options["label"]
        return data.from_npz(self.path, part=part, label=label)


def _below(folder: str, name: str) -> list[str]:
    place = os.path.join(folder, name)
    return [os.path.join(place, inner) for inner in os.listdir(place)]


def _share(text: str) -> float | None:
    """Return the share that a text says, None for a path; UsageError: neither."""
    try:
        share = float(text)
    except ValueError:
        if os.path.exists(text):
            return None
        raise UsageError(f"--validation is {text!r}, expected a share such as 0.2, or a folder or file") from None
    if not 0 < share < 1:
        raise UsageError(f"--validation is {text}, expected a share above 0 and below 1")
    return share


@contextmanager
def _said_in_a_line() -> Iterator[None]:
    """Print warnings, and word advice in errors, as the command line speaks."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        try:
            yield
        except DataFormatError as error:
            text = str(error)
            for argument, option in _ADVICE.items():
                text = text.replace(argument, option)
            raise DataFormatError(text) from error
    for one in said:
        streams.note(f"fastcnn: {one.message}")
