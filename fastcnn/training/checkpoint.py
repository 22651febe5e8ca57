"""Models and training states on disk: one safetensors file each, with what it is as JSON in the header.

A model's arrays go by their own names. A training state is a tree of dicts, lists, numbers, strings and
arrays; its arrays go by their path in the tree, the model's under "model/".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import models
from ..nn import Module
from ..nn.initialise import drawing_at_most
from ..shapes import CheckpointError, DTypeError, integer
from .answers import ACTIVATIONS
from .callbacks import Callback, Record
from .files import Tensors, read_tensors, write_tensors
from .writing import StrPath

if TYPE_CHECKING:
    from .loop import Run

_NAME = re.compile(r"checkpoint-(\d{8,18})\.safetensors")
_LARGEST_INPUT, _MOST_CLASSES = 1 << 22, 1 << 16  # a wild number must not make a model of gigabytes
_SPARE_WEIGHTS = 1 << 19  # of a model beyond those in its file: few, so that what is missing can be said


def save(model: Module, path: StrPath) -> None:
    """Write the parameters and buffers of a model to a safetensors file, with what `load` needs.

    The file is complete or as it was before. Missing folders are created; links and the mode of an existing file are kept.

    Parameters
    ----------
    model : Module
    path : path

    Raises
    ------
    DTypeError
        `model` is not a Module.
    CheckpointError
        `path` is a folder.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> model = models.create("lenet5", (28, 28, 1), 10)
    >>> fastcnn.save(model, "lenet5.safetensors")
    """
    if not isinstance(model, Module):
        raise DTypeError(f"save: model is {model!r}, expected a Module")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_tensors("save", path, model.state_dict(), {"kind": "model", **_description(model)})


def load(path: StrPath, *, model: Module | None = None) -> Module:
    """Return the model in a file that `save` or a checkpoint wrote.

    Parameters
    ----------
    path : path
    model : Module, optional
        Receives the weights and is returned; needed for a model that `models.create` did not make. Unchanged after an error.

    Returns
    -------
    model : Module

    Raises
    ------
    CheckpointError
        The file is missing, damaged or foreign, it holds other arrays or numbers that are not finite, or a model is needed.
    DTypeError
        `model` is not a Module.

    Examples
    --------
    >>> fastcnn.save(models.create("lenet5", (28, 28, 1), 10), "lenet5.safetensors")
    >>> fastcnn.load("lenet5.safetensors")(np.zeros((1, 28, 28, 1), np.float32)).shape
    (1, 10)
    """
    if model is not None and not isinstance(model, Module):
        raise DTypeError(f"load: model is {model!r}, expected a Module")
    tensors, description = _read("load", path)
    if description["kind"] == "checkpoint":
        inside = {name: tensor for name, tensor in tensors.items() if name.startswith("model/")}
        tensors = {name.removeprefix("model/"): tensor for name, tensor in inside.items()}
    _require_finite(path, tensors)
    target = _remade(path, tensors, description["origin"]) if model is None else model
    try:
        target.load_state_dict(tensors)
    except CheckpointError as error:
        raise CheckpointError(f"load: {path} does not fit the model: {error}") from None
    target.normalisation = description["normalisation"]
    target.classes = tuple(description["classes"])
    target.output_activation = description["output_activation"]
    return target


class Checkpoint(Callback):
    """Writes the state of training to `folder`/checkpoint-STEP.safetensors after every `every`-th epoch.

    Also after the batch in which Ctrl-C was pressed, or SIGTERM or SIGHUP came; that file gives way to the next regular one.
    The newest `keep` such files remain, by their steps. `fit(resume=...)` goes on from one of them to the same bits, and the
    same files, as an unbroken run.
    """

    def __init__(self, folder: StrPath, every: int = 1, keep: int = 2) -> None:
        """Check the numbers."""
        self.folder = Path(folder)
        self.every = integer("Checkpoint", "every", every, 1)
        self.keep = integer("Checkpoint", "keep", keep, 1)

    def on_train_begin(self, run: Run) -> None:
        """Make the folder: a name that cannot be one is better known before an epoch than after it.

        A run that goes on deletes what it was to delete when it was killed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if run.step in checkpoints(self.folder):
            self._prune(run)

    def on_epoch_end(self, run: Run, record: Record) -> None:
        """Write where the epoch is one of the chosen."""
        if record["epoch"] % self.every == 0:
            self._write(run)

    def on_interrupt(self, run: Run) -> None:
        """Write in the middle of an epoch."""
        self._write(run)

    def _write(self, run: Run) -> None:
        save_checkpoint(run.model, self.folder / f"checkpoint-{run.step:08d}.safetensors", run.state_dict())
        for step, path in checkpoints(self.folder).items():
            if step > run.step:  # of a run that was given up
                path.unlink(missing_ok=True)
        self._prune(run)

    def _prune(self, run: Run) -> None:
        """Delete what is older than the file of this step, but for the newest of those that an unbroken run has, too."""
        older = {step: path for step, path in checkpoints(self.folder).items() if step < run.step}
        regular = [step for step in older if step % (self.every * run.steps_per_epoch) == 0]
        for step in older.keys() - regular[: self.keep - 1]:
            older[step].unlink(missing_ok=True)


def save_checkpoint(model: Module, path: StrPath, state: Mapping[str, Any]) -> None:
    """Write the model and a training state to `path`; CheckpointError, OSError as `save`."""
    tensors: Tensors = {}
    tree = _without_arrays({"model": model.state_dict(), **state}, "", tensors)
    write_tensors("save_checkpoint", path, tensors, {"kind": "checkpoint", **_description(model), "state": tree})


def load_checkpoint(path: StrPath) -> dict[str, Any]:
    """Return the training state in the file `path`, or in the newest sound checkpoint of the folder `path`.

    CheckpointError: there is none, or the file is damaged or no training state.
    """
    place = Path(path)
    if not place.is_dir():
        return _load_checkpoint(place)
    problems = []
    for candidate in checkpoints(place).values():
        try:
            return _load_checkpoint(candidate)
        except CheckpointError as error:
            problems.append(f"\n  {error}")
    raise CheckpointError(f"resume: folder {path} has no sound checkpoint-*.safetensors{''.join(problems)}")


def _load_checkpoint(path: Path) -> dict[str, Any]:
    tensors, description = _read("resume", path)
    if description["kind"] != "checkpoint":
        raise CheckpointError(f"resume: {path} is a saved model, expected a checkpoint of a training")
    try:
        state = _with_arrays(description["state"], tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"resume: {path} is damaged: its state lacks {error}") from None
    if not isinstance(state, dict):
        raise CheckpointError(f"resume: {path} is damaged: its state is {type(state).__name__}, expected dict")
    return state


def checkpoints(folder: Path) -> dict[int, Path]:
    """Return the checkpoints in a folder by their steps, the newest first; times of files may be anything after a copy."""
    found = {int(match[1]): path for path in folder.iterdir() if (match := _NAME.fullmatch(path.name)) and path.is_file()}
    return dict(sorted(found.items(), reverse=True))


def _without_arrays(tree: Any, path: str, tensors: Tensors) -> Any:
    """Return the tree as JSON can hold it: {"array": its path} in place of each array, which goes to `tensors`, and
    {"float": its name} for numbers that are not finite.
    """
    if isinstance(tree, np.ndarray):
        tensors[path] = tree
        return {"array": path}
    if isinstance(tree, float) and not math.isfinite(tree):
        return {"float": str(float(tree))}
    if isinstance(tree, dict):
        return {name: _without_arrays(branch, f"{path}/{name}" if path else name, tensors) for name, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_without_arrays(branch, f"{path}/{index}", tensors) for index, branch in enumerate(tree)]
    return tree


def _with_arrays(tree: Any, tensors: Tensors) -> Any:
    """Return the tree that `_without_arrays` was given."""
    if isinstance(tree, dict):
        if set(tree) == {"array"}:
            return tensors[tree["array"]]
        if set(tree) == {"float"}:
            return float(tree["float"])
        return {name: _with_arrays(branch, tensors) for name, branch in tree.items()}
    if isinstance(tree, list):
        return [_with_arrays(branch, tensors) for branch in tree]
    return tree


def _description(model: Module) -> dict[str, Any]:
    normalisation = model.normalisation
    return {
        "origin": model.origin and model.origin._asdict(),
        "classes": list(model.classes),
        "normalisation": normalisation and [part.tolist() for part in normalisation],
        "output_activation": model.output_activation,
    }


def _read(function: str, path: StrPath) -> tuple[Tensors, dict[str, Any]]:
    """Return the arrays and the description of a file, with the types that the rest relies on."""
    tensors, description = read_tensors(function, path)
    description.setdefault("output_activation", None)  # not in files of earlier versions
    wrong = [name for name, fits in _FIELDS.items() if name not in description or not fits(description[name])]
    if wrong:
        raise CheckpointError(f"{function}: {path} is damaged: its metadata has no valid {', '.join(wrong)}")
    return tensors, description


def _is_origin(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict) or set(value) != {"name", "input_shape", "num_classes"}:
        return False
    shape, classes = value["input_shape"], value["num_classes"]
    return (
        value["name"] in models.names()
        and _is_list(shape, int)
        and len(shape) == 3
        and min(shape) > 0
        and math.prod(shape) <= _LARGEST_INPUT
        and type(classes) is int
        and 0 < classes <= _MOST_CLASSES
    )


def _is_normalisation(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, list) or len(value) != 2 or not all(_is_list(part, float) for part in value):
        return False
    mean, std = value
    return len(mean) == len(std) > 0 and all(map(math.isfinite, mean + std)) and min(std) > 0


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(type(element) is kind for element in value)


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "kind": lambda value: value in ("model", "checkpoint"),
    "origin": _is_origin,
    "classes": lambda value: _is_list(value, str),
    "normalisation": _is_normalisation,
    "output_activation": lambda value: value is None or value in ACTIVATIONS,
}


def _require_finite(path: StrPath, tensors: Tensors) -> None:
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise CheckpointError(
                f"load: {path} holds numbers that are not finite, the first in {name}; use the file of an earlier epoch"
            )


def _remade(path: StrPath, tensors: Tensors, origin: dict[str, Any] | None) -> Module:
    """Return a new model made as `origin` says."""
    if origin is None:
        raise CheckpointError(
            f"load: {path} holds a model that models.create does not make; "
            "make the model yourself and call load(path, model=model)"
        )
    try:
        with drawing_at_most(sum(tensor.size for tensor in tensors.values()) + _SPARE_WEIGHTS):
            model = models.create(origin["name"], tuple(origin["input_shape"]), origin["num_classes"])
    except (ValueError, MemoryError) as error:
        raise CheckpointError(f"load: {path} is damaged: its model cannot be made ({error})") from None
    kinds = {tensor.dtype for tensor in tensors.values()}
    return model.to(np.float64) if kinds == {np.dtype(np.float64)} else model
