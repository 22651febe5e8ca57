"""The table of data sets: files, checksums, mirrors, classes, and where on this machine they are sought."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..kernels import folders

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class RemoteFile:
    """A file as its publisher made it, and the addresses to ask for it, in this order."""

    name: str
    size: int
    sha256: str
    mirrors: tuple[str, ...]


@dataclass(frozen=True)
class IdxSource:
    """A data set of four idx files: train images, train labels, test images, test labels."""

    files: tuple[RemoteFile, ...]
    image_size: tuple[int, int]
    max_counts: tuple[int, int]
    folders: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class CifarSource:
    """A data set of CIFAR batch files, loose or in one archive; `formats.read_cifar` says what limits are."""

    archive: RemoteFile
    inner_folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    limits: tuple[int, ...]
    capacity: int
    folders: tuple[str, ...]
    classes: tuple[str, ...]


def base_folder(root: StrPath | None) -> Path:
    """Give `root`, else what FASTCNN_DATA names, else the folder of data in the cache folder; FileNotFoundError: none."""
    chosen = root if root is not None else os.environ.get("FASTCNN_DATA")
    if chosen:
        return Path(os.path.expanduser(chosen))  # leaves "~" as it is where no home folder is known
    cache = folders.cache()
    if cache is None:
        raise FileNotFoundError(f"{folders.NONE}; or say where the data sets are: --data-dir, root= or FASTCNN_DATA")
    return cache / "data"


def find_idx(file: RemoteFile, folders: Sequence[Path]) -> Path | None:
    """Give the first existing place of an idx file, gzipped or plain."""
    names = (file.name, file.name.removesuffix(".gz"))
    return next((folder / name for folder in folders for name in names if (folder / name).exists()), None)


def find_batches(source: CifarSource, folders: Sequence[Path]) -> Path | None:
    """Give the first folder that has all the batch files."""
    places = [place for folder in folders for place in (folder, folder / source.inner_folder)]
    names = source.train + source.test
    return next((place for place in places if all((place / name).exists() for name in names)), None)


def find_archive(source: CifarSource, folders: Sequence[Path]) -> Path | None:
    """Give the first existing place of the archive."""
    return next((path for folder in folders if (path := folder / source.archive.name).exists()), None)


_IDX_NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://yann.lecun.com/exdb/mnist/",
)
_FASHION_MIRRORS = (
    # The publisher's bucket; its usual website address, fashion-mnist.s3-website..., does not speak https.
    "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
_CIFAR_MIRROR = "https://www.cs.toronto.edu/~kriz/"
_NUMERALS = tuple("0123456789")
_FASHION = "T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot"
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100 = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
    can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
    dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
    lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree
    pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea
    seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table
    tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman
    worm
"""


def _idx_files(mirrors: tuple[str, ...], facts: Sequence[tuple[int, str]]) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(name, size, sha256, tuple(f"{mirror}{name}" for mirror in mirrors))
        for name, (size, sha256) in zip(_IDX_NAMES, facts, strict=True)
    )


SOURCES: dict[str, IdxSource | CifarSource] = {
    "digits": IdxSource(  # bundled, see digits/ATTRIBUTION.md
        files=_idx_files(
            (),
            [
                (35643, "bbbaf4a3dd6a5b21b5825ae9c5404bdf688e3ffc0c56ee857973912b71269406"),
                (453, "fe9579cefddcfa437d2f53b5a0fd07865836c3761362b7c6200f6e810f5830bf"),
                (9073, "a39a10c1cc996528088e51b2912a72413b38d3fa58ad2d0a9db36340844d7239"),
                (194, "17b63b5db84614a057d281bcc0f7f850d7f6245f7e980946b8e0ffbe1042f6d2"),
            ],
        ),
        image_size=(8, 8),
        max_counts=(1442, 355),
        folders=("digits",),
        classes=_NUMERALS,
    ),
    "mnist": IdxSource(
        files=_idx_files(
            _MNIST_MIRRORS,
            [
                (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
                (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
                (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
                (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
            ],
        ),
        image_size=(28, 28),
        max_counts=(60_000, 10_000),
        folders=("mnist",),
        classes=_NUMERALS,
    ),
    "fashion-mnist": IdxSource(
        files=_idx_files(
            _FASHION_MIRRORS,
            [
                (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
                (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
                (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
                (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
            ],
        ),
        image_size=(28, 28),
        max_counts=(60_000, 10_000),
        folders=("fashion-mnist",),
        classes=tuple(_FASHION.split(", ")),
    ),
    "cifar10": CifarSource(
        archive=RemoteFile(
            "cifar-10-binary.tar.gz",
            170052171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            (f"{_CIFAR_MIRROR}cifar-10-binary.tar.gz",),
        ),
        inner_folder="cifar-10-batches-bin",
        train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        test=("test_batch.bin",),
        limits=(10,),
        capacity=10_000,
        folders=("cifar10", "cifar-10"),
        classes=tuple(_CIFAR10.split()),
    ),
    "cifar100": CifarSource(
        archive=RemoteFile(
            "cifar-100-binary.tar.gz",
            168513733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            (f"{_CIFAR_MIRROR}cifar-100-binary.tar.gz",),
        ),
        inner_folder="cifar-100-binary",
        train=("train.bin",),
        test=("test.bin",),
        limits=(20, 100),  # coarse label, fine label
        capacity=50_000,
        folders=("cifar100", "cifar-100"),
        classes=tuple(_CIFAR100.split()),
    ),
}
