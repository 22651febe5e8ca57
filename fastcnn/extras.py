"""Optional packages: which extra brings each of them, and what for. Standard library only."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, NamedTuple


class Extra(NamedTuple):
    """A package that one feature needs."""

    module: str
    package: str
    purpose: str


EXTRAS = {
    "plot": Extra("matplotlib", "matplotlib", "drawing of pictures"),
    "image": Extra("PIL", "pillow", "reading of image files"),
    "sklearn": Extra("sklearn", "scikit-learn", "fastcnn.sklearn"),
    "tensorboard": Extra("tensorboardX", "tensorboardX", "TensorBoardLogger"),
    "mlflow": Extra("mlflow", "mlflow", "MLflowLogger"),
    "wandb": Extra("wandb", "wandb", "WandbLogger"),
}


class MissingExtraError(ImportError):
    """A feature needs a package that is not installed; the message says how to install it."""


def is_installed(name: str) -> bool:
    """Whether the extra's package is there."""
    return importlib.util.find_spec(EXTRAS[name].module) is not None


def require(name: str, submodule: str = "") -> Any:
    """Import the extra's module, or a submodule of it; MissingExtraError names what to install."""
    extra = EXTRAS[name]
    try:
        return importlib.import_module(extra.module + (submodule and f".{submodule}"))
    except ImportError as error:
        raise MissingExtraError(f"{extra.purpose} needs {extra.package}: {install(name)}") from error


def install(name: str) -> str:
    """Return the command that installs the extra."""
    return f"pip install 'fastcnn[{name}]'"
