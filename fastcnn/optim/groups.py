"""Groups of parameters, each with a learning rate and a weight decay of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..nn import Module, Parameter
from ..nn.parameter import distinct
from ..shapes import DTypeError, real

__all__ = ["Group", "decay_groups"]

Parameters = Iterable[Parameter] | Iterable[Mapping[str, Any]]
_OPTIONS = {"lr", "weight_decay"}


class Group(NamedTuple):
    """Parameters with `size` elements in all that are updated alike; None stands for the value of the optimizer."""

    parameters: list[Parameter]
    size: int
    lr: float | None = None
    weight_decay: float | None = None


def collect(optimizer: str, given: Parameters) -> list[Group]:
    """Return the groups of a list of dicts, or one group of a list of parameters; errors as for Optimizer."""
    if isinstance(given, Mapping):
        raise DTypeError(f"{optimizer}: parameters is a dict, expected a list of such groups")
    members: Any = list(given) if isinstance(given, Iterable) else given
    if not isinstance(members, list) or not any(isinstance(member, Mapping) for member in members):
        return [_group(distinct(optimizer, members))]
    groups = [_group_of(f"{optimizer}: group {index}", member) for index, member in enumerate(members)]
    _require_disjoint(optimizer, groups)
    return groups


def decay_groups(model: Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the parameters of a model as groups for an optimizer in which only weights decay, not biases and norms.

    Weights are the parameters with more than one axis, those of convolutions and linear layers.

    Parameters
    ----------
    model : Module
    weight_decay : float
        At least 0.

    Returns
    -------
    groups : list of dict

    Raises
    ------
    DTypeError
        `model` is not a Module.
    ValueError
        `weight_decay` is NaN, infinite or negative.

    References
    ----------
    He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks", CVPR 2019, section 3.1.

    Examples
    --------
    >>> [group["weight_decay"] for group in optim.decay_groups(nn.Linear(3, 2), 1e-4)]
    [0.0001, 0.0]
    """
    if not isinstance(model, Module):
        raise DTypeError(f"decay_groups: model is {model!r}, expected a Module")
    decay = real("decay_groups", "weight_decay", weight_decay, 0.0)
    weights = [parameter for parameter in model.parameters() if len(parameter.shape) > 1]
    others = [parameter for parameter in model.parameters() if len(parameter.shape) <= 1]
    return [{"parameters": parameters, "weight_decay": value}
            for parameters, value in ((weights, decay), (others, 0.0)) if parameters]


def _group(parameters: list[Parameter], **options: float) -> Group:
    return Group(parameters, sum(parameter.size for parameter in parameters), **options)


def _group_of(name: str, given: Any) -> Group:
    """Return the group that a dict describes."""
    if not isinstance(given, Mapping):
        raise DTypeError(f"{name} is {given!r}, expected a dict as the other groups (parameters, lr, weight_decay)")
    if "parameters" not in given or set(given) - _OPTIONS != {"parameters"}:
        came = ", ".join(map(str, given)) or "nothing"
        raise ValueError(f"{name} has {came}, expected parameters and, where they are its own, lr and weight_decay")
    options = {option: real(name, option, given[option], 0.0) for option in sorted(_OPTIONS & set(given))}
    return _group(distinct(name, given["parameters"]), **options)


def _require_disjoint(optimizer: str, groups: Sequence[Group]) -> None:
    homes: dict[int, int] = {}
    for index, group in enumerate(groups):
        for parameter in group.parameters:
            home = homes.setdefault(id(parameter), index)
            if home != index:
                raise ValueError(f"{optimizer}: {parameter!r} is in group {home} and in group {index}, expected in one")
