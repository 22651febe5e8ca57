"""Groups of nodes that stand for one layer, as exporters write what an opset has no operator for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from .calls import Call

# A tuple is an operator and its inputs; "x" is the input of the group, "$" and a name an array, "_" anything.
_ERF: tuple[Any, ...] = ("Erf", ("Div", "x", 2**0.5)), ("Erf", ("Mul", "x", 0.5**0.5))
_GELU: list[Any] = [("Mul", ("Mul", "x", ("Add", erf, 1.0)), 0.5) for erf in _ERF]
_GELU += [("Mul", "x", ("Mul", ("Add", erf, 1.0), 0.5)) for erf in _ERF]
_GELU += [("Mul", ("Mul", "x", 0.5), ("Add", erf, 1.0)) for erf in _ERF]
_PATTERNS: list[tuple[str, Any]] = [
    ("fastcnn.Normalise", ("Div", ("Sub", ("Div", ("Cast", "x"), 255.0), "$mean"), "$std")),
    *(("fastcnn.GELU", pattern) for pattern in _GELU),
    ("fastcnn.SiLU", ("Mul", "x", ("Sigmoid", "x"))),
    ("fastcnn.Mish", ("Mul", "x", ("Tanh", ("Softplus", "x")))),
    ("HardSwish", ("Mul", "x", ("HardSigmoid", "x"))),
    ("HardSwish", ("Div", ("Mul", "x", ("Clip", ("Add", "x", 3.0), 0.0, 6.0)), 6.0)),
    ("fastcnn.Softplus", ("Where", ("Greater", ("Mul", "x", "$beta"), "$threshold"), "x",
                          ("Div", ("Softplus", ("Mul", "x", "$beta")), "$beta"))),
    ("fastcnn.Softplus", ("Where", ("Greater", "x", "$threshold"), "x", ("Softplus", "x"))),
    ("fastcnn.GroupNorm", ("Add", ("Mul", ("Reshape", ("InstanceNormalization", ("Reshape", "x", "$groups"), "$ones",
                                                       "$zeros"), "_"), "$gamma"), "$beta")),
    ("fastcnn.AdaptiveAvgPool2D", ("MatMul", "$rows", ("MatMul", "x", "$columns"))),
    ("fastcnn.AdaptiveMaxPool2D", ("ReduceMax", ("Gather", ("ReduceMax", ("Gather", "x", "$rows")), "$columns"))),
]
_COMMUTATIVE = {"Add", "Mul"}
_HARD_SIGMOID = {"alpha": 1 / 6, "beta": 0.5}


class _Matcher:
    """Looks for one pattern that ends at one node."""

    def __init__(self, calls: list[Call], arrays: dict[str, np.ndarray]) -> None:
        self.calls, self.arrays = calls, arrays
        self.maker = {call.outputs[0]: index for index, call in enumerate(calls) if len(call.outputs) == 1}
        self.uses = Counter(name for call in calls for name in call.inputs)

    def match(self, name: str, pattern: Any, found: dict[str, Any]) -> dict[str, Any] | None:
        """Return `found` with names for what the pattern leaves open and the indices of its nodes; None: it is another."""
        if isinstance(pattern, float):
            return found if self._is_number(name, pattern) else None
        if isinstance(pattern, str):
            fits = pattern == "_" or (found.get(pattern, name) == name and (pattern == "x" or name in self.arrays))
            return {**found, pattern: name} if fits else None
        index = self.maker.get(name)
        if index is None or not self._is(self.calls[index], pattern):
            return None
        inputs, found = self.calls[index].inputs, {**found, "nodes": (*found.get("nodes", ()), index)}
        for order in (inputs, inputs[::-1]) if pattern[0] in _COMMUTATIVE else (inputs,):
            matched: dict[str, Any] | None = found
            for one, part in zip(order, pattern[1:], strict=True):
                matched = matched if matched is None else self.match(one, part, matched)
            if matched is not None:
                return matched
        return None

    def _is_number(self, name: str, number: float) -> bool:
        array = self.arrays.get(name)
        return array is not None and array.size == 1 and bool(np.isclose(float(array.item()), number))

    def _is(self, call: Call, pattern: Any) -> bool:
        if call.operator == "HardSigmoid" and any(
                not np.isclose(call.attributes.get(name, 0), value) for name, value in _HARD_SIGMOID.items()):
            return False
        return call.operator == pattern[0] and len(call.inputs) == len(pattern) - 1

    def is_closed(self, nodes: set[int], root: int) -> bool:
        """Whether nothing outside uses what the inner nodes make."""
        inner = Counter(name for index in nodes for name in self.calls[index].inputs)
        return all(self.uses[name] == inner[name] for index in nodes - {root} for name in self.calls[index].outputs)


def joined(calls: list[Call], arrays: dict[str, np.ndarray], outputs: list[str]) -> list[Call]:
    """Return the nodes with one in place of each group that is found."""
    matcher, gone, made = _Matcher(calls, arrays), set[int](), dict[int, Call]()
    matcher.uses.update(outputs)
    for root in range(len(calls) - 1, -1, -1):
        if root in gone or len(calls[root].outputs) != 1:
            continue
        for operator, pattern in _PATTERNS:
            found = matcher.match(calls[root].outputs[0], pattern, {})
            if found is None or "x" not in found or gone & set(found["nodes"]) or not matcher.is_closed(
                    set(found["nodes"]), root):
                continue
            gone |= set(found["nodes"])
            made[root] = _group(operator, found, calls, root)
            break
    return [made.get(index, call) for index, call in enumerate(calls) if index not in gone or index in made]


def _group(operator: str, found: dict[str, Any], calls: list[Call], root: int) -> Call:
    """Return one node; its attributes are the names of the arrays, and those of the nodes of the group."""
    attributes = {name: value for index in found["nodes"] for name, value in calls[index].attributes.items()}
    inputs = (found["x"], *(value for name, value in found.items() if name[0] == "$"))
    attributes["inputs"] = [name[1:] for name in found if name[0] == "$"]
    return Call(operator, inputs, calls[root].outputs, attributes, calls[root].opset, calls[root].name)
