"""The arrays of a state_dict: from arrays, from tensors without importing PyTorch, or from a safetensors file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from ..shapes import CheckpointError, DTypeError
from ..training.writing import StrPath, write_atomically

State = dict[str, np.ndarray]
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
          "U8": "u1", "BOOL": "?"}  # of a safetensors file
_FOREIGN = "expected one that safetensors.torch.save_file wrote, or that `fastcnn convert --to torch` did"


def arrays_of(function: str, state: Any) -> State:
    """Return a state's arrays by name, in the order of the modules as far as the state tells it.

    Files are in the order of the alphabet, whatever was written: there numbers inside names count as numbers.
    CheckpointError, DTypeError: the state is none.
    """
    if isinstance(state, (str, os.PathLike)):
        arrays = _read(function, state)
    elif isinstance(state, Mapping):
        arrays = {str(name): _array(function, name, value) for name, value in state.items()}
    else:
        raise DTypeError(f"{function}: state is {type(state).__name__}, expected names and their arrays, such as "
                         "module.state_dict(), or the path of a safetensors file")
    is_sorted = list(arrays) == sorted(arrays)
    return {name: arrays[name] for name in sorted(arrays, key=natural)} if is_sorted else arrays


def write(path: StrPath, state: State) -> None:
    """Write a state to a safetensors file as PyTorch reads it; missing folders are made. OSError: it cannot be written."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, safetensors.numpy.save(state, metadata={"format": "pt"}))


def natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts "layer.10" behind "layer.9"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def _array(function: str, name: Any, value: Any) -> np.ndarray:
    """Return a tensor or an array as a numpy array."""
    if isinstance(value, Mapping):
        raise CheckpointError(f"{function}: {name!r} is a dict of its own, expected an array; the weights may be "
                              f"state[{name!r}]")
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    return np.asarray(value)


def _read(function: str, path: StrPath) -> State:
    source = Path(path)
    if not source.is_file():
        raise CheckpointError(f"{function}: there is no file {path}, {_FOREIGN}")
    try:
        with safetensors.safe_open(source, framework="numpy"):
            pass  # the header is sound: no other file is read as a whole
        found = dict(safetensors.deserialize(source.read_bytes()))  # type: ignore[no-untyped-call]
    except (safetensors.SafetensorError, ValueError, TypeError) as error:
        raise CheckpointError(f"{function}: {path} is damaged or no safetensors file ({error}), {_FOREIGN}; .pt and "
                              ".pth are pickles, which PyTorch has to read") from None
    return {name: _decoded(function, name, **found[name]) for name in sorted(found)}


def _decoded(function: str, name: str, dtype: str, shape: list[int], data: bytes) -> np.ndarray:
    if dtype not in _TYPES:
        raise CheckpointError(f"{function}: {name} is of type {dtype}, expected one of {', '.join(_TYPES)}")
    array = np.frombuffer(data, _TYPES[dtype])
    if dtype == "BF16":  # the upper half of a float32
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.reshape(shape)
