"""The words of the command line. Standard library only, so that help appears at once."""

from __future__ import annotations

import argparse
import math
from typing import Any

from .. import __version__
from .recipes import AUGMENTATIONS, MODELS, ON_ERROR, OPTIMIZERS, OWN, PICTURES, RECIPES, RESIZINGS, SCHEDULES

_DATASETS = ", ".join(RECIPES) + "; or a folder with a sub-folder of images for each class, a table (.csv), an .npz file"


def build() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="fastcnn", description="Convolutional networks that train fast on the CPU.",
        epilog="Set FASTCNN_DEBUG=1 to see where an error comes from.")
    parser.add_argument("--version", action="version", version=f"fastcnn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, add_arguments, text in (
        ("train", _train, "train a model on a data set"),
        ("evaluate", _evaluate, "loss and accuracy of a saved model"),
        ("predict", _predict, "classes of image files or of test images"),
        ("models", lambda _: None, "names of the models, with their parameters"),
        ("summary", _summary, "layers, shapes, parameters, work and memory of a model"),
        ("profile", _profile, "time of each layer in a training step"),
        ("plot", _plot, "pictures of a training run and of what the model does"),
        ("bench", _bench, "time the kernels against the reference"),
        ("verify", _verify, "check the kernels against the reference on this machine"),
        ("doctor", _doctor, "what this machine offers, and what to fix"),
        ("warmup", _warmup, "compile kernels now, so that later starts need not"),
    ):
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".",
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
        add_arguments(command)
    return parser


def _train(parser: argparse.ArgumentParser) -> None:
    _dataset(parser)
    parser.add_argument("--model", metavar="NAME", help=", ".join(MODELS))
    parser.add_argument("--epochs", type=_count, metavar="N", help="passes over the training images")
    parser.add_argument("--batch-size", type=_count, metavar="N", help="images per step")
    parser.add_argument("--lr", type=_rate, metavar="RATE", help="learning rate; the highest one under 'onecycle'")
    parser.add_argument("--optimizer", choices=tuple(OPTIMIZERS), metavar="NAME", help=", ".join(OPTIMIZERS))
    parser.add_argument("--schedule", choices=SCHEDULES, metavar="NAME", help=", ".join(SCHEDULES))
    parser.add_argument("--augment", choices=AUGMENTATIONS, metavar="NAME", help=", ".join(AUGMENTATIONS))
    parser.add_argument("--seed", type=_natural, metavar="N", help="same seed, same model, whatever the threads (0)")
    parser.add_argument("--out", metavar="DIR", help="write model, history, curves and checkpoints to this folder")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in DIR, as it was begun")
    _threads(parser)
    _data_dir(parser)
    own = _own_data(parser)
    own.add_argument("--validation", metavar="SHARE|PATH", help="images to validate on: a share, chosen by the seed, or "
                     "others (0.2, or the part of the folder or file that is called validation, val or test)")
    own.add_argument("--size", type=_size, metavar="H,W[,C]",
                     help=f"size that image files are brought to, with C 1 in grey ({','.join(map(str, OWN.image))}); shape "
                     "of a table's images, where it is not square")
    parser.epilog = "defaults:\n" + "\n".join(
        f"  {name:14}{recipe.model}, {recipe.epochs} epochs, batch size {recipe.batch_size}, {recipe.optimizer}, "
        f"lr {recipe.lr:g}, {recipe.schedule}, augment {recipe.augment}"
        for name, recipe in {**RECIPES, "your own": OWN}.items())


def _evaluate(parser: argparse.ArgumentParser) -> None:
    _model_file(parser)
    _dataset(parser)
    parser.add_argument("--batch-size", type=_count, default=256, metavar="N", help="images at once (256)")
    parser.add_argument("--report", action="store_true", help="also precision, recall and F1 of each class")
    _threads(parser)
    _data_dir(parser)
    _own_data(parser)


def _predict(parser: argparse.ArgumentParser) -> None:
    _model_file(parser)
    parser.add_argument("images", nargs="*", metavar="IMAGE",
                        help="image files such as png or jpg, folders of them, tables (.csv) and .npz files")
    parser.add_argument("--invert", action="store_true", help="for files with dark strokes on a light ground")
    parser.add_argument("--index", type=_natural, nargs="+", metavar="N", help="numbers of test images, from 0")
    parser.add_argument("--dataset", metavar="DATASET", help="whose test images: " + _DATASETS)
    parser.add_argument("--top", type=_count, default=3, metavar="K", help="classes to show (3)")
    _data_dir(parser)
    _own_data(parser)


def _summary(parser: argparse.ArgumentParser) -> None:
    _network(parser)
    parser.add_argument("--batch-size", type=_count, metavar="N", help="images per step of a training")
    parser.add_argument("--optimizer", choices=tuple(OPTIMIZERS), metavar="NAME", help=", ".join(OPTIMIZERS))


def _profile(parser: argparse.ArgumentParser) -> None:
    _network(parser)
    parser.add_argument("--batch-size", type=_count, metavar="N", help="images per step")
    parser.add_argument("--repeats", type=_count, default=10, metavar="N", help="steps to time, whose medians count (10)")
    _threads(parser)


def _plot(parser: argparse.ArgumentParser) -> None:
    names = (*PICTURES, "all")
    parser.add_argument("pictures", nargs="+", choices=names, metavar="PICTURE", help=", ".join(names))
    parser.add_argument("run", metavar="DIR", help="folder that train wrote: model.safetensors and history.jsonl")
    parser.add_argument("--out", metavar="DIR", help="folder for the pictures (that of the run)")
    parser.add_argument("--format", choices=("png", "svg", "pdf"), default="png", metavar="NAME",
                        help="png, svg or pdf (png; architecture is always svg)")
    parser.add_argument("--layer", metavar="NAME", help="layer for filters, features and gradcam, as summary names it")
    parser.add_argument("--index", type=_natural, nargs="+", metavar="N", help="numbers of test images, from 0 (the first)")
    parser.add_argument("--dataset", metavar="DATASET", help="whose test images (those that the run was trained for)")
    _data_dir(parser)
    _own_data(parser)


def _bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="rows whose name contains one of these")
    _threads(parser)


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="rows whose name contains one of these")
    _threads(parser)


def _doctor(parser: argparse.ArgumentParser) -> None:
    _data_dir(parser)


def _warmup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="*", metavar="MODEL", help="all, or some of " + ", ".join(MODELS))


def _dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DATASET", help=_DATASETS)


def _own_data(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("for data of your own")
    group.add_argument("--label", metavar="COLUMN", help="column of a table that has the labels, its name or its number "
                       "from 0 (the one called label, else the first); the array of an .npz file")
    group.add_argument("--resize", choices=RESIZINGS, metavar="NAME",
                       help="how an image file of other proportions is brought to size: " + ", ".join(RESIZINGS))
    group.add_argument("--on-error", choices=ON_ERROR, metavar="NAME", help="what to do about files that cannot be read: "
                       + ", ".join(ON_ERROR))
    group.add_argument("--max-pixels", type=_count, metavar="N", help="largest image that is decoded (67108864)")
    return group


def _network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a file that train wrote, or one of " + ", ".join(MODELS))
    parser.add_argument("--input-shape", type=_shape, metavar="H,W,C", help="image size and channels, such as 28,28,1")
    parser.add_argument("--classes", type=_count, metavar="N", help="number of classes")


def _model_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="file that train wrote, such as DIR/model.safetensors")


def _threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=_count, metavar="N", help="threads (what this process may use)")


def _data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", metavar="DIR",
                        help="folder of the data sets, each under its name (FASTCNN_DATA, else the user's cache)")


def _number(text: str, kind: type, expected: str, fits: Any) -> Any:
    try:
        number = kind(text)
    except ValueError:
        number = None
    if number is None or not fits(number):
        raise argparse.ArgumentTypeError(f"{text!r}, expected {expected}")
    return number


def _count(text: str) -> int:
    return int(_number(text, int, "a whole number of at least 1", lambda number: number >= 1))


def _natural(text: str) -> int:
    return int(_number(text, int, "a whole number of at least 0", lambda number: number >= 0))


def _rate(text: str) -> float:
    return float(_number(text, float, "a positive number", lambda number: 0 < number < math.inf))


def _shape(text: str) -> tuple[int, ...]:
    sizes = tuple(_count(size) for size in text.split(","))
    if len(sizes) != 3:
        raise argparse.ArgumentTypeError(f"{text!r}, expected three sizes such as 28,28,1")
    return sizes


def _size(text: str) -> list[int]:
    sizes = [_count(size) for size in text.split(",")]
    if len(sizes) not in (2, 3):
        raise argparse.ArgumentTypeError(f"{text!r}, expected height and width such as 64,64, or 64,64,1 for grey")
    return sizes
