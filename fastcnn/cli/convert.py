"""`fastcnn convert`: weights from PyTorch and to PyTorch."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from .. import models, training
from ..interop import torch, torch_state
from .output import Output
from .recipes import home_of
from .usage import UsageError, blaming


def convert(arguments: Namespace, output: Output) -> int:
    """Write the weights of IN to OUT, by the names and in the layouts of the other library."""
    to_torch = arguments.to == "torch"
    for option in ("model", "input_shape", "classes") if to_torch else ("like",):
        if getattr(arguments, option) is not None:
            raise UsageError(f"--{option.replace('_', '-')} is for --to {'fastcnn' if to_torch else 'torch'} alone, "
                             f"expected none with --to {arguments.to}")
    record = _to_torch(arguments, output) if to_torch else _from_torch(arguments)
    output.result({"to": arguments.to, "path": arguments.target, **record},
                  f"{arguments.target}: {record['model'] or 'a model'}, {record['parameters']:,} parameters")
    return 0


def _to_torch(arguments: Namespace, output: Output) -> dict[str, Any]:
    model = training.load(arguments.source)
    state = torch.to_torch(model, like=arguments.like)
    torch_state.write(arguments.target, state)
    record: dict[str, Any] = {"model": model.origin and model.origin.name, "parameters": model.num_parameters(),
                              "classes": model.classes, "normalisation": None}
    if model.normalisation is not None:
        mean, std = (part.tolist() for part in model.normalisation)
        record["normalisation"] = {"mean": mean, "std": std}
        output.note(f"the model takes images (N, C, H, W) from 0 to 1, normalised by mean {mean} and deviation {std}")
    return record


def _from_torch(arguments: Namespace) -> dict[str, Any]:
    if arguments.model is None:
        raise UsageError(f"--to fastcnn needs --model, expected one of {', '.join(models.names())}: a file of PyTorch has "
                         "weights alone")
    home = home_of(arguments.model)
    shape = arguments.input_shape or home.image
    with blaming("--input-shape", "input_shape"):
        model = models.create(arguments.model, shape, arguments.classes or home.classes)
    training.save(torch.from_torch(model, arguments.source), arguments.target)
    return {"model": arguments.model, "parameters": model.num_parameters(), "input_shape": shape,
            "classes": arguments.classes or home.classes}
