"""The words of the command line. Standard library only, so that help appears at once."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import __version__
from ..shapes import suggestion
from ..tables import aligned
from .recipes import AUGMENTATIONS, MODELS, ON_ERROR, OPTIMIZERS, OWN, PICTURES, RECIPES, RESIZINGS, SCHEDULES

_DATASETS = ", ".join(RECIPES) + "; or a folder with a sub-folder of images for each class, a table (.csv), an .npz file"


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments of a command line, the parser of its command among them; SystemExit: done, or it is wrong."""
    parser, words = build(), list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in words if not word.startswith("-")), None)
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(2)
    if command is not None and command not in _COMMANDS:
        parser.error(f"there is no command {command!r}, expected one of {', '.join(_COMMANDS)}"
                     f"{suggestion(command, _COMMANDS)}")
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        options = re.findall(r"--[\w-]+", arguments.parser.format_help())
        arguments.parser.error(f"there is no {unknown[0]}{suggestion(unknown[0].partition('=')[0], options)}")
    return arguments


def build() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="fastcnn", usage="fastcnn COMMAND [options]", description="Convolutional networks that train fast on the CPU.",
        epilog="fastcnn COMMAND --help tells what a command takes. Set FASTCNN_DEBUG=1 to see where an error comes from.")
    parser.add_argument("--version", action="version", version=f"fastcnn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND [options]", title="commands",
                                      prog="fastcnn")
    for name, (add_arguments, usage, text) in _COMMANDS.items():
        command = commands.add_parser(name, help=text, usage=" ".join(filter(None, ("fastcnn", name, usage, "[options]"))),
                                      description=text[0].upper() + text[1:] + ".",
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
        add_arguments(command)
        _output(command)
        command.set_defaults(parser=command)
    return parser


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of the commands by name."""
    return next(dict(action.choices) for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def _train(parser: argparse.ArgumentParser) -> None:
    _dataset(parser)
    parser.add_argument("--model", type=_one_of(MODELS), metavar="NAME", help=", ".join(MODELS))
    parser.add_argument("--epochs", type=_count, metavar="N", help="passes over the training images")
    parser.add_argument("--batch-size", type=_count, metavar="N", help="images per step")
    parser.add_argument("--lr", type=_rate, metavar="RATE", help="learning rate; the highest one under 'onecycle'")
    parser.add_argument("--optimizer", type=_one_of(OPTIMIZERS), metavar="NAME", help=", ".join(OPTIMIZERS))
    parser.add_argument("--schedule", type=_one_of(SCHEDULES), metavar="NAME", help=", ".join(SCHEDULES))
    parser.add_argument("--augment", type=_one_of(AUGMENTATIONS), metavar="NAME", help=", ".join(AUGMENTATIONS))
    parser.add_argument("--seed", type=_seed, metavar="N", help="same seed, same model, whatever the threads (0)")
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
    rows = [("data set", "model", "epochs", "batch", "optimizer", "lr", "schedule", "augment")]
    rows += [(name, recipe.model, str(recipe.epochs), str(recipe.batch_size), recipe.optimizer, f"{recipe.lr:g}",
              recipe.schedule, recipe.augment) for name, recipe in {**RECIPES, "your own": OWN}.items()]
    parser.epilog = "defaults:\n" + "\n".join(f"  {line}" for line in aligned(rows, right=(2, 3, 5)))


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
    parser.add_argument("--top", type=_count, metavar="K", help="classes to show (3; in a CSV table 1)")
    parser.add_argument("--csv", action="store_true", help="a CSV table on stdout: file, class, probability")
    parser.add_argument("--out", metavar="FILE", help="write the CSV table to this file")
    _data_dir(parser)
    _own_data(parser)


def _summary(parser: argparse.ArgumentParser) -> None:
    _network(parser)
    parser.add_argument("--batch-size", type=_count, metavar="N", help="images per step of a training")
    parser.add_argument("--optimizer", type=_one_of(OPTIMIZERS), metavar="NAME", help=", ".join(OPTIMIZERS))


def _profile(parser: argparse.ArgumentParser) -> None:
    _network(parser)
    parser.add_argument("--batch-size", type=_count, metavar="N", help="images per step")
    parser.add_argument("--repeats", type=_count, default=10, metavar="N", help="steps to time, whose medians count (10)")
    _threads(parser)


def _export(parser: argparse.ArgumentParser) -> None:
    _model_file(parser)
    parser.add_argument("out", metavar="OUT.onnx", help="file to write")
    parser.add_argument("--input-shape", type=_shape, metavar="H,W,C", help="image size and channels (as in training)")
    parser.add_argument("--normalise", action="store_true", help="take bytes, which the graph normalises as in training")


def _plot(parser: argparse.ArgumentParser) -> None:
    names = (*PICTURES, "all")
    parser.add_argument("pictures", nargs="+", type=_one_of(names), metavar="PICTURE", help=", ".join(names))
    parser.add_argument("run", metavar="DIR", help="folder that train wrote: model.safetensors and history.jsonl")
    parser.add_argument("--out", metavar="DIR", help="folder for the pictures (that of the run)")
    parser.add_argument("--format", type=_one_of(("png", "svg", "pdf")), default="png",
                        metavar="NAME", help="png, svg or pdf (png; architecture is always svg)")
    parser.add_argument("--layer", metavar="NAME", help="layer for filters, features and gradcam, as summary names it")
    parser.add_argument("--index", type=_natural, nargs="+", metavar="N", help="numbers of test images, from 0 (the first)")
    parser.add_argument("--dataset", metavar="DATASET", help="whose test images (those that the run was trained for)")
    _data_dir(parser)
    _own_data(parser)


def _convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN", help="safetensors file to read: weights of PyTorch, or what train wrote")
    parser.add_argument("target", metavar="OUT", help="safetensors file to write")
    parser.add_argument("--to", required=True, type=_one_of(("torch", "fastcnn")), metavar="NAME", help="torch or fastcnn")
    parser.add_argument("--like", metavar="FILE", help="for --to torch: a safetensors file whose names the arrays get")
    parser.add_argument("--model", type=_one_of(MODELS), metavar="NAME", help="for --to fastcnn: " + ", ".join(MODELS))
    _of_network(parser)


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="DIR", help="folder that train wrote: model.safetensors and history.jsonl")
    parser.add_argument("--out", metavar="FILE", help="where to write the page (DIR/report.html)")
    parser.add_argument("--dataset", metavar="DATASET", help="whose test images (those that the run was trained for)")
    _threads(parser)
    _data_dir(parser)
    _own_data(parser)


def _demo(parser: argparse.ArgumentParser) -> None:
    _model_file(parser)
    parser.add_argument("--port", type=_port, default=8000, metavar="N", help="port; 0 takes a free one (8000)")
    parser.add_argument("--no-browser", action="store_true", help="open no browser, only print the address")
    _threads(parser)


def _bench(parser: argparse.ArgumentParser) -> None:
    _patterns(parser, "rows whose name contains one of these (all); or tiles, or ladder; convolutions after --choices")
    _threads(parser)
    parser.add_argument("--choices", action="store_true", help="time all algorithms of convolutions, those with PATTERN in "
                        "their name or written as in `fastcnn explain` (all that are known), and fail where the choice "
                        "takes more than 5%% longer than the fastest")
    ladder = parser.add_argument_group("for ladder: one 3x3 convolution from plain numpy and plain loops to Winograd")
    ladder.add_argument("--layer", type=_layer, metavar="N,H,W,C,K",
                        help="images, rows, columns, input and output channels (64,32,32,64,64)")
    ladder.add_argument("--out", type=_picture, metavar="FILE", help="draw it too, in a .png, .svg or .pdf file")
    parser.epilog = """columns:
  ms         median time of one call
  rate       operations in a second (GFLOP/s); of kernels that only move numbers,
             bytes read and written in a second (GB/s)
  of best    that rate as a share of the machine's best here and now, on the same
             threads: multiply-adds in registers, or a copy of as many bytes.
             Winograd does a quarter of the multiplications, so it may be above 100%
  reference  how many times as long the plain numpy reference takes: 20x is twenty
             times slower than the kernel, 0.2x five times faster"""


def _verify(parser: argparse.ArgumentParser) -> None:
    _patterns(parser)
    parser.add_argument("--cases", type=_natural, metavar="N", help="random cases of each row, in float32 and float64 "
                        "(10, in float32)")
    parser.add_argument("--all", action="store_true", help="every check that the tests make; compiles float64 too")
    parser.add_argument("--shape", metavar="SHAPE", help="this convolution alone, written as in `fastcnn explain`")
    parser.add_argument("--candidate", type=_function, metavar="FILE.py:NAME", help="a function of your own, checked as the "
                        "operation that PATTERN names; also MODULE:NAME")
    _threads(parser)


def _explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("operation", choices=("conv",), metavar="conv", help="a convolution")
    parser.add_argument("shape", metavar="SHAPE", help="sizes of images (n h w c), output channels (k), filter (r s), and "
                        "where they differ from 1 and 0 stride, pad, dilation, groups: n64h32w32c64k128r3s3pad1, "
                        "n1h224w224c3k64r7s7stride2pad3")


def _patterns(parser: argparse.ArgumentParser, text: str = "rows whose name contains one of these (all)") -> None:
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help=text)


def _doctor(parser: argparse.ArgumentParser) -> None:
    _data_dir(parser)


def _warmup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="*", type=_one_of(MODELS), metavar="MODEL",
                        help="all, or some of " + ", ".join(MODELS))


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", type=_one_of(("bash", "zsh", "fish")), metavar="SHELL", help="bash, zsh or fish")
    parser.epilog = """in the file that the shell reads when it starts:
  bash  source <(fastcnn completion bash)
  zsh   source <(fastcnn completion zsh), after compinit
  fish  fastcnn completion fish | source"""


def _dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DATASET", help=_DATASETS)


def _own_data(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("for data of your own")
    group.add_argument("--label", metavar="COLUMN", help="column of a table that has the labels, its name or its number "
                       "from 0 (the one called label, else the first); the array of an .npz file")
    group.add_argument("--resize", type=_one_of(RESIZINGS), metavar="NAME",
                       help="how an image file of other proportions is brought to size: " + ", ".join(RESIZINGS))
    group.add_argument("--on-error", type=_one_of(ON_ERROR), metavar="NAME",
                       help="what to do about files that cannot be read: " + ", ".join(ON_ERROR))
    group.add_argument("--max-pixels", type=_count, metavar="N", help="largest image that is decoded (67108864)")
    return group


def _network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a file that train wrote, or one of " + ", ".join(MODELS))
    _of_network(parser)


def _of_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--input-shape", type=_shape, metavar="H,W,C", help="image size and channels, such as 28,28,1")
    parser.add_argument("--classes", type=_count, metavar="N", help="number of classes")


def _model_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="file that train wrote, such as DIR/model.safetensors")


def _threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=_count, metavar="N", help="threads (what this process may use)")


def _data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", metavar="DIR",
                        help="folder of the data sets, each under its name (FASTCNN_DATA, else the user's cache)")


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true",
                        help="results as JSON on stdout, one object a line; all else on stderr")
    parser.add_argument("--quiet", action="store_true", help="results and errors only")


@dataclass(frozen=True)
class _OneOf:
    """Lets one of the names pass."""

    names: tuple[str, ...]

    def __call__(self, text: str) -> str:
        """Return the name; ArgumentTypeError: it is none of them."""
        if text not in self.names:
            raise argparse.ArgumentTypeError(f"{text!r}, expected one of {', '.join(self.names)}"
                                             f"{suggestion(text, self.names)}")
        return text


def _one_of(names: Iterable[str]) -> _OneOf:
    return _OneOf(tuple(names))


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


def _port(text: str) -> int:
    return int(_number(text, int, "a port from 0 to 65535", lambda number: 0 <= number < 1 << 16))


def _seed(text: str) -> int:
    return int(_number(text, int, "a whole number from 0 to 2**63 - 1", lambda number: 0 <= number < 1 << 63))


def _rate(text: str) -> float:
    return float(_number(text, float, "a positive number", lambda number: 0 < number < math.inf))


def _shape(text: str) -> tuple[int, ...]:
    sizes = tuple(_count(size) for size in text.split(","))
    if len(sizes) != 3:
        raise argparse.ArgumentTypeError(f"{text!r}, expected three sizes such as 28,28,1")
    return sizes


def _layer(text: str) -> tuple[int, ...]:
    sizes = tuple(_count(size) for size in text.split(","))
    if len(sizes) != 5:
        raise argparse.ArgumentTypeError(f"{text!r}, expected five sizes such as 64,32,32,64,64")
    return sizes


def _picture(text: str) -> str:
    if not text.lower().endswith((".png", ".svg", ".pdf")):
        raise argparse.ArgumentTypeError(f"{text!r}, expected a name that ends in .png, .svg or .pdf")
    return text


def _function(text: str) -> str:
    place, colon, name = text.rpartition(":")
    if not place or not colon or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r}, expected a file or a module and a function in it, such as mine.py:relu")
    return text


def _size(text: str) -> list[int]:
    sizes = [_count(size) for size in text.split(",")]
    if len(sizes) not in (2, 3):
        raise argparse.ArgumentTypeError(f"{text!r}, expected height and width such as 64,64, or 64,64,1 for grey")
    return sizes


class _Command(NamedTuple):
    """A command: what adds its arguments, how these are written, and what it is for."""

    add_arguments: Callable[[argparse.ArgumentParser], None]
    usage: str
    text: str


_COMMANDS = {
    "train": _Command(_train, "DATASET", "train a model on a data set"),
    "evaluate": _Command(_evaluate, "MODEL DATASET", "loss and accuracy of a saved model"),
    "predict": _Command(_predict, "MODEL [IMAGE ...]", "classes of image files or of test images"),
    "models": _Command(lambda _: None, "", "names of the models, with their parameters"),
    "datasets": _Command(_data_dir, "", "names of the data sets, and which of them are on this machine"),
    "summary": _Command(_summary, "MODEL", "layers, shapes, parameters, work and memory of a model"),
    "profile": _Command(_profile, "MODEL", "time of each layer in a training step"),
    "export": _Command(_export, "MODEL OUT.onnx", "a saved model as an ONNX file, for other programs to run"),
    "plot": _Command(_plot, "PICTURE ... DIR", "pictures of a training run and of what the model does"),
    "report": _Command(_report, "DIR", "one page about a training run: curves, mistakes, filters, times"),
    "demo": _Command(_demo, "MODEL", "a page to draw on, or drop an image on, and see what the model makes of it"),
    "convert": _Command(_convert, "IN OUT --to NAME", "weights from PyTorch and to PyTorch"),
    "bench": _Command(_bench, "[PATTERN ... | ladder]", "time the kernels against the reference"),
    "verify": _Command(_verify, "[PATTERN ...]", "check the kernels against the reference on this machine"),
    "explain": _Command(_explain, "conv SHAPE", "which algorithm a convolution is computed by, and why"),
    "doctor": _Command(_doctor, "", "what this machine offers, and what to fix"),
    "warmup": _Command(_warmup, "[MODEL ...]", "compile kernels now, so that later starts need not"),
    "completion": _Command(_completion, "SHELL", "a script that lets a shell complete commands, options and names"),
}
