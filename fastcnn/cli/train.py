"""`fastcnn train`: a data set, a recipe, a run folder."""

from __future__ import annotations

import contextlib
import os
import shlex
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import data, extras, models, nn, optim, plot, streams, training, warmup
from ..kernels.jit import threads
from ..kernels.kinds import KIND
from ..nn.inspect import memory
from ..training import choices
from ..training.checkpoint import checkpoints
from . import datasets
from .output import Output
from .recipes import OPTIMIZERS, recipe_for
from .usage import UsageError, blaming

MODEL, HISTORY, CURVES, CHECKPOINTS = "model.safetensors", "history.jsonl", "curves.png", "checkpoint-*.safetensors"
_MAY_CHANGE = {"epochs"}  # in a resumed run
Settings = dict[str, Any]


class Begun(training.Callback):
    """Keeps the settings of a run in its checkpoints, so that it can go on as it was begun."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings."""
        self.settings = settings

    def state_dict(self) -> dict[str, Any]:
        """Return the settings."""
        return self.settings


def train(arguments: Namespace, output: Output) -> int:
    """Train a model on a data set and keep the run where a folder is given."""
    out = None if arguments.out is None else Path(arguments.out)
    if out is not None:
        _require_usable(out, arguments.resume)
    state = _state_to_resume(out) if arguments.resume else None
    settings = _settings(arguments, None if state is None else state["callbacks"].get("Begun 0"))
    use_threads(arguments.threads)
    dataset = datasets.load(settings["dataset"], arguments.data_dir, settings, settings["seed"])
    image, classes = dataset.train.images.shape[1:], len(dataset.classes)
    batch_size, augment = settings["batch_size"], augmentation(settings["augment"])

    nn.manual_seed(settings["seed"])
    with blaming(f"the shape of the images of {dataset.name}", "input_shape"):
        chosen = parts(settings, image, classes)
    needs = _require_memory(chosen["model"], image, min(batch_size, len(dataset.train)), len(chosen["optimizer"].slots))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / HISTORY).touch()  # so that the run is known for one before its first epoch
    for line in _header(settings, dataset, chosen["model"], needs, out, state):
        output.note(line)
    if arguments.resume and state is None:
        output.note(f"resuming {out}, which has no checkpoint yet: from its beginning")
    with output.compiling() as compilation:
        others = warmup.rehearse(lambda: parts(settings, image, classes), dataset.train, dataset.test, batch_size, augment)
        compilation.kernels += others
    history = training.fit(**chosen, train=dataset.train, validation=dataset.test, epochs=settings["epochs"],
                           batch_size=batch_size, augment=augment, seed=settings["seed"],
                           callbacks=_callbacks(out, settings), resume=out if state is not None else None,
                           progress=not output.quiet)
    if out is not None:
        _keep(chosen["model"], history, out)
    return _end(history, settings, out, output)


def use_threads(count: int | None) -> None:
    """Set the number of threads, where one is given."""
    if count is not None:
        with blaming("--threads", "count"):
            threads.set_num_threads(count)


def _state_to_resume(out: Path | None) -> dict[str, Any] | None:
    """Return the state in the newest checkpoint, or None where a run has not come that far.

    FileNotFoundError: there is no run, or only its model.
    """
    if out is None:
        raise UsageError("--resume needs --out DIR, the folder of the run to go on with")
    if out.is_dir() and checkpoints(out):
        return training.load_checkpoint(out)
    if (out / MODEL).exists() or not (out / HISTORY).is_file():
        raise FileNotFoundError(f"--out {out} holds no run to go on with (no {CHECKPOINTS}), expected the folder that train "
                                "was given before, or no --resume")
    return None


def _require_usable(out: Path, resume: bool) -> None:
    """Raise OSError where the run folder is a file, or holds a run that is not to go on."""
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out {out} is a file, expected a folder")
    present = [path.name for pattern in (MODEL, HISTORY, CURVES, CHECKPOINTS) for path in out.glob(pattern)
               if path.stat().st_size > 0]
    if present and not resume:
        raise FileExistsError(f"--out {out} already holds a run ({', '.join(present[:3])}): "
                              "give another folder, or --resume to go on with that run")
    if out.exists() and not os.access(out, os.W_OK | os.X_OK):
        raise PermissionError(f"--out {out} is not yours to write to; give another folder")


def _settings(arguments: Namespace, begun: Mapping[str, Any] | None) -> Settings:
    """Return the settings: what the command line says, else what the run was begun with, else the recipe."""
    recipe = recipe_for(arguments.dataset)
    dataset = datasets.named(arguments.dataset)
    settings: Settings = {"dataset": dataset, "seed": 0}
    settings |= {name: getattr(recipe, name) for name in ("model", "epochs", "batch_size", "optimizer", "lr", "schedule",
                                                          "augment")}
    given = {name: getattr(arguments, name) for name in settings if getattr(arguments, name) is not None}
    given |= {"dataset": dataset, **datasets.options(arguments, dataset)}
    if given.get("optimizer", recipe.optimizer) != recipe.optimizer:
        settings["lr"] = OPTIMIZERS[given["optimizer"]]
    if begun is not None:
        settings |= {**datasets.OPTIONS, **begun}
        changed = [name for name in given if given[name] != settings[name] and name not in _MAY_CHANGE]
        if changed:
            raise UsageError("; ".join(f"--{name.replace('_', '-')} is {given[name]!r}, expected {settings[name]!r} as the "
                                       "run was begun" for name in changed))
    begun_epochs = (settings if begun else settings | given)["epochs"]
    return {"planned": begun_epochs, **settings, **given}


def augmentation(name: str) -> str | None:
    """Return what `fit` calls the augmentation."""
    return None if name == "none" else name


def parts(settings: Settings, image: tuple[int, ...], classes: int) -> dict[str, Any]:
    """Return a new model with its optimizer and schedule, as arguments of `fit`."""
    model = models.create(settings["model"], image, classes)
    optimizer = choices.optimizer(settings["optimizer"], model.parameters(), settings["lr"])
    return {"model": model, "optimizer": optimizer, "schedule": _schedule(settings)}


def _schedule(settings: Settings) -> optim.Schedule:
    epochs = settings["planned" if "planned" in settings else "epochs"]  # those a run was begun with, if it got more later
    return choices.schedule(settings["schedule"], epochs, settings["lr"])


def _require_memory(model: nn.Module, image: tuple[int, ...], batch_size: int, kept: int) -> str:
    """Return what a training step takes, in words; MemoryError: it is more than there is, and a smaller batch is advised."""
    dtype, free, takes = np.dtype(np.float32), memory.free_memory(), None
    with contextlib.suppress(MemoryError):  # where the system promises no such arrays
        takes = memory.forecast(model, (batch_size, *image), dtype, kept).peak
    words = f"{'more than there is' if takes is None else memory.readable(takes)} for a step"
    words += "" if free is None else f", {memory.readable(free)} free"
    if takes is None or (free is not None and takes > free):
        fits = 0 if free is None else memory.largest_batch(model, image, dtype, kept, free)
        advice = f"--batch-size {fits} or less" if fits else "a smaller --batch-size or --model"
        raise MemoryError(f"batch size {batch_size} takes {words}; expected {advice}")
    return words


def _header(settings: Settings, dataset: data.Dataset, model: nn.Module, needs: str, out: Path | None,
            state: Mapping[str, Any] | None) -> Iterator[str]:
    """Give the lines that say what a run is about to do."""
    size = " x ".join(map(str, dataset.train.images.shape[1:]))
    yield (f"data     {dataset.name}: {len(dataset.train):,} training and {len(dataset.test):,} test images of {size}, "
           f"{len(dataset.classes)} classes")
    yield f"model    {settings['model']}: {model.num_parameters():,} parameters"
    yield (f"training {settings['epochs']} epochs of batch size {settings['batch_size']}, {settings['optimizer']}, "
           f"lr {settings['lr']:g}, schedule {settings['schedule']}, augment {settings['augment']}, seed {settings['seed']}")
    yield f"machine  {threads.get_num_threads()} threads, {KIND.name}, {KIND.vector_bytes // 4} float32 lanes"
    yield f"memory   {needs}"
    if state is not None:
        yield f"resuming {out}, which has {state['epoch'] - 1} of {settings['epochs']} epochs"
    else:
        yield "writing  nothing; --out DIR keeps the model" if out is None else f"writing  {out}"


def _callbacks(out: Path | None, settings: Settings) -> list[training.Callback]:
    if out is None:
        return []
    return [Begun(settings), training.JSONLogger(out / HISTORY), training.Checkpoint(out)]


def _keep(model: nn.Module, history: training.History, out: Path) -> None:
    """Write the model and, where matplotlib is installed, the curves."""
    training.save(model, out / MODEL)
    if history and extras.is_installed("plot"):
        plot.curves(history, out / CURVES)
    elif history:
        streams.note(f"no {CURVES}: it needs matplotlib, {extras.install('plot')}")


def _end(history: training.History, settings: Settings, out: Path | None, output: Output) -> int:
    """Print how the run ended and return the exit code."""
    if history.interrupted:
        command = shlex.join(["fastcnn", "train", settings["dataset"], "--out", str(out), "--resume"])
        advice = f"go on with: {command}" if out is not None else "nothing is kept without --out DIR"
        streams.note(f"interrupted in epoch {len(history) + 1} of {settings['epochs']}; {advice}")
        return 130
    last = history[-1]
    seconds = sum(record["seconds"] for record in history)
    output.result({**last, "seconds": seconds, "model": None if out is None else out / MODEL},
                  f"test accuracy {last['test_accuracy']:.2%}, loss {last['test_loss']:.4f}, {seconds:.1f} s of training")
    return 0
