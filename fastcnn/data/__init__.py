"""Data sets: `load("mnist")` finds or downloads the files, checks them, gives uint8 images and int64 labels.

"digits" is part of the package and needs no network. The others are looked for in `root`, else in the folder
that the environment variable FASTCNN_DATA names, else in the user cache folder, each under its own name, by
the file names their publishers gave them; what is missing is downloaded to the same place. Images of your own come
from arrays, from a folder of image files or from a table: `from_arrays`, `from_folder`, `from_csv`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..shapes import one_of
from . import formats, sources
from .dataset import Dataset, Split
from .download import DownloadError, fetch
from .folder import from_folder
from .image_files import MAX_PIXELS
from .npz import from_npz
from .own import class_weights, from_arrays, train_validation_split
from .sources import CifarSource, IdxSource, RemoteFile, StrPath
from .table import from_csv

Splits = tuple[Split, Split]

__all__ = ["MAX_PIXELS", "Dataset", "DownloadError", "Split", "class_weights", "from_arrays", "from_csv", "from_folder",
           "from_npz", "load", "names", "train_validation_split"]


def names() -> tuple[str, ...]:
    """Give the names that `load` knows."""
    return tuple(sources.SOURCES)


def load(name: str, root: StrPath | None = None, download: bool = True) -> Dataset:
    """Load a data set, and download it if it is missing.

    Parameters
    ----------
    name : str
        "digits" (bundled), "mnist", "fashion-mnist", "cifar10" or "cifar100".
    root : path, optional
        Where data sets are, each in a folder of its name; by default the folder that FASTCNN_DATA names, else the cache.
    download : bool

    Returns
    -------
    dataset : Dataset
        `.train` and `.test`, each with `.images` uint8 (N, H, W, C) and `.labels` int64 (N,), and `.classes`.

    Raises
    ------
    ValueError
        The name is unknown.
    FileNotFoundError
        Files are missing and `download` is False.
    DownloadError
        No mirror has a file.
    DataFormatError
        A file is not what it should be: downloads are checked by sha256, other files by structure.

    Examples
    --------
    >>> digits = data.load("digits")
    >>> digits.train.images.shape, digits.test.labels[:3].tolist(), digits.classes[-1]
    ((1442, 8, 8, 1), [5, 0, 9], '9')
    """
    one_of("load", "name", name, names())
    source = sources.SOURCES[name]
    base = Path(__file__).parent if name == "digits" else sources.base_folder(root)
    folders = [base / folder for folder in source.folders]
    may_fetch = download and name != "digits"
    if isinstance(source, IdxSource):
        return Dataset(name, *_load_idx(name, source, folders, may_fetch))
    return Dataset(name, *_load_cifar(name, source, folders, may_fetch))


def _load_idx(name: str, source: IdxSource, folders: Sequence[Path], may_fetch: bool) -> Splits:
    found = {file: sources.find_idx(file, folders) for file in source.files}
    _obtain(name, [file for file, path in found.items() if path is None], folders, may_fetch)
    paths = [path or folders[0] / file.name for file, path in found.items()]
    train_images, train_labels, test_images, test_labels = paths
    return (
        _idx_split(train_images, train_labels, source, source.max_counts[0]),
        _idx_split(test_images, test_labels, source, source.max_counts[1]),
    )


def _idx_split(images: Path, labels: Path, source: IdxSource, max_count: int) -> Split:
    height, width = source.image_size
    classes = formats.read_idx_labels(labels, len(source.classes), max_bytes=max_count)
    pixels = formats.read_idx_images(
        images, count=len(classes), size=source.image_size, max_bytes=max_count * height * width
    )
    return Split(pixels, classes, source.classes)


def _load_cifar(name: str, source: CifarSource, folders: Sequence[Path], may_fetch: bool) -> Splits:
    parts = [source.train, source.test]
    place = sources.find_batches(source, folders)
    if place is not None:
        files = [[place / file for file in part] for part in parts]
        splits = [formats.read_cifar(paths, source.limits, source.capacity) for paths in files]
    else:
        archive = sources.find_archive(source, folders)
        if archive is None:
            _obtain(name, [source.archive], folders, may_fetch)
            archive = folders[0] / source.archive.name
        splits = formats.read_cifar_archive(
            archive, source.inner_folder, parts, source.limits, source.capacity
        )
    train, test = (Split(images, labels, source.classes) for images, labels in splits)
    return train, test


def _obtain(name: str, missing: Sequence[RemoteFile], folders: Sequence[Path], may_fetch: bool) -> None:
    """Download the missing files to the first folder; FileNotFoundError where that is not wanted."""
    if missing and not may_fetch:
        files = ", ".join(file.name for file in missing)
        places = " or ".join(str(folder) for folder in folders)
        raise FileNotFoundError(f"{name}: no {files} in {places}; put them there, or load with download=True")
    for file in missing:
        fetch(file, folders[0])
