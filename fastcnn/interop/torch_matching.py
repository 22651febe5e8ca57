"""Which arrays of a state_dict belong to which layer: by name, or by order and shape."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from ..shapes import CheckpointError
from .torch_layers import KINDS, Kind, Weighted
from .torch_names import Names
from .torch_state import State, natural

Pairs = list[tuple[Weighted, str]]  # a layer, and the prefix of its arrays' names in PyTorch
_Groups = dict[str, State]  # the arrays of a layer in PyTorch, by their prefix
_CONVOLUTION, _LINEAR, _BATCH_NORM, _NORM, _PRELU = KINDS
_SUFFIXES = dict.fromkeys(name for kind in KINDS for name in kind.arrays)


def matched(function: str, namings: Iterable[Names], layers: list[Weighted], arrays: State) -> Pairs:
    """Return each layer with the prefix of its arrays; CheckpointError names the first array that does not fit."""
    groups = _grouped(function, arrays)
    for names in namings:
        if {names.get(one.name) for one in layers} == groups.keys():
            pairs = [(one, names[one.name]) for one in layers]
            break
    else:
        pairs = _in_order(function, layers, groups)
    for one, prefix in pairs:
        _require_fit(function, one, prefix, groups[prefix])
    return pairs


def join(prefix: str, name: str) -> str:
    """Return the dotted name of what is called `name` inside `prefix`."""
    return f"{prefix}.{name}" if prefix else name


def _grouped(function: str, arrays: State) -> _Groups:
    groups: _Groups = {}
    for name, array in arrays.items():
        prefix, _, suffix = name.rpartition(".")
        if suffix not in _SUFFIXES:
            raise CheckpointError(f"{function}: {name} of shape {array.shape} is unknown, expected names that end in "
                                  f"{', '.join(_SUFFIXES)} or num_batches_tracked")
        groups.setdefault(prefix, {})[suffix] = array
    return groups


def _in_order(function: str, layers: list[Weighted], groups: _Groups) -> Pairs:
    """Return the layers with the prefixes of their kind, one after the other."""
    kinds = {prefix: _kind(function, prefix, group) for prefix, group in groups.items()}
    left = {kind.words: [prefix for prefix in groups if kinds[prefix] is kind] for kind in KINDS}
    if list(groups) == sorted(groups, key=natural):
        for prefixes in left.values():
            _require_told_order(function, prefixes, groups)
    pairs: Pairs = []
    for one in layers:
        if not left[one.kind.words]:
            name, array = next(iter(one.arrays().items()))
            raise CheckpointError(f"{function}: no arrays came for {_described(one)}, expected a {name} of shape "
                                  f"{array.shape}: the state has fewer of the kind {one.kind.words}")
        pairs.append((one, left[one.kind.words].pop(0)))
        _require_fit(function, *pairs[-1], groups[pairs[-1][1]])
    for kind in KINDS:
        for prefix in left[kind.words]:
            name, array = next(iter(groups[prefix].items()))
            raise CheckpointError(f"{function}: {join(prefix, name)} of shape {array.shape} is of no layer, expected "
                                  f"{sum(one.kind is kind for one in layers)} of the kind {kind.words}, as the model has")
    return pairs


def _kind(function: str, prefix: str, group: State) -> Kind:
    """Return the kind of layer that arrays are of; CheckpointError: none has such."""
    dimensions = group["weight"].ndim if "weight" in group else 0
    if "running_mean" in group or "running_var" in group:
        return _BATCH_NORM
    if dimensions == 1:
        return _NORM if "bias" in group else _PRELU
    if dimensions not in (2, 4):
        name, array = next(iter(group.items()))
        raise CheckpointError(f"{function}: {join(prefix, name)} of shape {array.shape} is of no layer here, expected "
                              f"arrays of the kinds {', '.join(kind.words for kind in KINDS)}")
    return _LINEAR if dimensions == 2 else _CONVOLUTION


def _require_told_order(function: str, prefixes: list[str], groups: _Groups) -> None:
    """Raise CheckpointError where names that are sorted, as in a file, do not tell which of two equal layers comes first."""
    last: dict[tuple[int, ...], str] = {}
    for prefix in prefixes:
        shape = next(iter(groups[prefix].values())).shape
        other = last.get(shape)
        if other is not None and not _is_told(other, prefix):
            raise CheckpointError(f"{function}: the state has {other} and {prefix} with arrays of shape {shape}, and its "
                                  "names do not tell which comes first; expected module.state_dict() itself, or a dict in "
                                  "the order of the modules")
        last[shape] = prefix


def _is_told(one: str, other: str) -> bool:
    """Whether two names differ in a number where they begin to differ."""
    parts = itertools.zip_longest(one.split("."), other.split("."), fillvalue="")
    first, second = next((pair for pair in parts if pair[0] != pair[1]), ("", ""))
    return first.rstrip("0123456789") == second.rstrip("0123456789")


def _require_fit(function: str, one: Weighted, prefix: str, group: State) -> None:
    """Raise CheckpointError unless the arrays are those of the layer."""
    expected = {name: array.shape for name, array in one.arrays().items()}
    for name, shape in expected.items():
        if name not in group:
            raise CheckpointError(f"{function}: {join(prefix, name)} is missing, expected shape {shape} for "
                                  f"{_described(one)}")
        if group[name].shape != shape:
            raise CheckpointError(f"{function}: {join(prefix, name)} has shape {group[name].shape}, expected {shape} for "
                                  f"{_described(one)}")
    for name in group.keys() - expected.keys():
        raise CheckpointError(f"{function}: {join(prefix, name)} of shape {group[name].shape} came, expected no {name} for "
                              f"{_described(one)}")


def _described(one: Weighted) -> str:
    return f"{one.name or 'the model'}, {one.layer!r}"
