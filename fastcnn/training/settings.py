"""What a run was given, as plain data that a checkpoint keeps, so that a run that goes on can be compared with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..nn import Module, Parameter
from ..optim import Optimizer, Schedule

_NUMBERS = {bool: (), int: (), float: (int,)}  # what else may stand for a number of a type
_STATE = {"parameters", "groups", "steps", "state"}  # of an optimizer


def described(value: Any) -> Any:
    """Return numbers, strings, lists and dicts that are equal for objects of one class with equal public attributes.

    Of modules the class counts, of parameters the shape, of functions the name, and no state that training changes.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Parameter):
        return list(value.shape)
    if isinstance(value, Mapping):
        return {str(name): described(branch) for name, branch in value.items()}
    if isinstance(value, (list, tuple)):
        return [described(branch) for branch in value]
    return {"kind": getattr(value, "__qualname__", type(value).__qualname__), **_options(value)}


def _options(value: Any) -> dict[str, Any]:
    """Return the public attributes of an object that are settings."""
    if isinstance(value, Module) or not hasattr(value, "__dict__"):
        return {}
    changing = _STATE if isinstance(value, Optimizer) else set(value.state_dict()) if isinstance(value, Schedule) else set()
    options = {name: described(own) for name, own in vars(value).items() if name[0] != "_" and name not in changing}
    if isinstance(value, Optimizer):
        options |= {"lr": value.lr, "groups": [[group.lr, group.weight_decay] for group in value.groups]}
    return options


def require_like(own: Any, state: Any, name: str) -> None:
    """Raise TypeError unless numbers, lists and dicts of a state are where they are in `own`, which may have some later.

    None may be a number in the other, and an empty list any list; NaN is no number.
    """
    if isinstance(own, dict):
        if not isinstance(state, dict):
            raise TypeError(f"{name}: {state!r}")
        for key, branch in own.items():
            require_like(branch, state[key], f"{name}{' of ' if name else ''}{key}")
    elif isinstance(own, list):
        if not isinstance(state, list) or (own and len(state) != len(own)):
            raise TypeError(f"{name}: {state!r}")
        for branch, other in zip(own, state, strict=False):
            require_like(branch, other, name)
    elif isinstance(own, (int, float)):
        if type(state) not in (type(own), *_NUMBERS[type(own)]) or (type(state) is float and math.isnan(state)):
            raise TypeError(f"{name}: {state!r}")
    elif own is None and not isinstance(state, (int, float, str, type(None))):
        raise TypeError(f"{name}: {state!r}")
