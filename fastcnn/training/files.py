"""Arrays and a description of them in one safetensors file, checked against each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from ..shapes import CheckpointError
from .writing import StrPath, write_atomically

Tensors = dict[str, np.ndarray]
_VERSION = 1


def write_tensors(function: str, path: StrPath, tensors: Tensors, description: dict[str, Any]) -> None:
    """Write a safetensors file with the description as JSON in its header, and a digest of the arrays.

    CheckpointError: `path` is a folder; OSError: it cannot be written.
    """
    target = _file(function, path)
    signed = {"version": _VERSION, "sha256": _digest(tensors), **description}
    write_atomically(target, safetensors.numpy.save(tensors, metadata={"fastcnn": json.dumps(signed)}))


def read_tensors(function: str, path: StrPath) -> tuple[Tensors, dict[str, Any]]:
    """Return the arrays and the description of such a file, checked against each other.

    CheckpointError: there is none, or it is damaged, foreign or of another version.
    """
    source = _file(function, path)
    if not source.exists():
        raise CheckpointError(f"{function}: there is no file {path}; expected one written by fastcnn.save")
    try:
        with safetensors.safe_open(source, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (safetensors.SafetensorError, OSError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{function}: {path} is damaged or no safetensors file ({error}); expected one written by fastcnn.save"
        ) from None
    if "fastcnn" not in metadata:
        raise CheckpointError(
            f"{function}: {path} was not written by fastcnn (its metadata has {sorted(metadata)}); "
            "fill a model of your own with load_state_dict, or with fastcnn.from_torch where PyTorch wrote the file"
        )
    description = _parsed(function, source, metadata["fastcnn"])
    if description.get("sha256") != _digest(tensors):
        raise CheckpointError(
            f"{function}: {path} is damaged: its arrays are not those that were written; use another copy of the file"
        )
    return tensors, description


def _file(function: str, path: StrPath) -> Path:
    if Path(path).is_dir():
        expected = Path(path, "model.safetensors")
        raise CheckpointError(f"{function}: path is the folder {path}, expected a file such as {expected}")
    return Path(path)


def _parsed(function: str, path: Path, text: str) -> dict[str, Any]:
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{function}: {path} is damaged: its metadata is no JSON ({error})") from None
    version = description.get("version") if isinstance(description, dict) else None
    if not isinstance(description, dict) or version != _VERSION:
        raise CheckpointError(
            f"{function}: {path} has format version {version!r}, expected {_VERSION}; "
            "use the version of fastcnn that wrote it"
        )
    return description


def _digest(tensors: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 of names, types, shapes and bytes of all arrays."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(f"{name}\0{tensor.dtype.str}\0{tensor.shape}\0".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
