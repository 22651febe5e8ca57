"""Optimizer: what all optimizers share, the flat buffers, the learning rate and the saved state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import functional
from ..nn.mode import changed
from ..nn.parameter import Flat, flatten
from ..shapes import CheckpointError, ShapeError, real
from .groups import Parameters, collect

__all__ = ["Optimizer"]


class Optimizer:
    """Base of the optimizers: parameters lie in one flat buffer, gradients in another, and a step is one pass over them.

    A subclass names its arrays of state in `slots` and defines `_update`. If the parameters have been moved since the last
    step, by another optimizer or by `to`, they are gathered again and the state is kept.

    Parameters
    ----------
    parameters : list of Parameter, or list of dict
        A dict is a group, {"parameters": [...], "lr": ..., "weight_decay": ...}; what it leaves out is the optimizer's.
        Each group is updated by a kernel call of its own.
    lr, weight_decay : float
        At least 0.

    Raises
    ------
    ShapeError
        There are no parameters.
    DTypeError
        Something else is among the parameters.
    ValueError
        `lr` or `weight_decay` is NaN, infinite or negative; a group has other entries; a parameter is in two groups; or
        `lr` is 0 while groups have rates of their own.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, parameters: Parameters, lr: float, weight_decay: float) -> None:
        """Gather the parameters; the state begins with zeros."""
        self.groups = collect(type(self).__name__, parameters)
        self.parameters = [parameter for group in self.groups for parameter in group.parameters]
        self.lr = lr
        self._first_lr = self.lr
        if not self.lr and any(group.lr is not None for group in self.groups):
            raise ValueError(f"{type(self).__name__}: lr is 0.0, expected above 0 where groups have rates of their own")
        self.weight_decay = self._real("weight_decay", weight_decay)
        self.steps = 0
        self._flat = flatten(self.parameters)
        self._home = self.parameters[0].flat
        self.state = {name: np.zeros_like(self._flat.data) for name in self.slots}

    @property
    def lr(self) -> float:
        """Learning rate of the next step; the rates of groups that have their own change with it in proportion."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = self._real("lr", value)

    @property
    def rates(self) -> list[float]:
        """Learning rate of each group in the next step."""
        factor = self.lr / self._first_lr if self._first_lr else 1.0
        return [self.lr if group.lr is None else group.lr * factor for group in self.groups]

    def _real(self, name: str, value: object, minimum: float = 0.0, **limits: float) -> float:
        return real(type(self).__name__, name, value, minimum, **limits)

    def _pair_of_betas(self, betas: object) -> tuple[float, float]:
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ShapeError(f"{type(self).__name__}: betas is {betas!r}, expected a pair of numbers")
        return self._real("betas[0]", betas[0], below=1.0), self._real("betas[1]", betas[1], below=1.0)

    @property
    def flat(self) -> Flat:
        """All parameters as one array (n,), all gradients as another."""
        if any(parameter.flat is not self._home for parameter in self.parameters):
            self._flat = flatten(self.parameters)
            self._home = self.parameters[0].flat
            self.state = {name: array.astype(self._flat.data.dtype, copy=False) for name, array in self.state.items()}
        return self._flat

    def step(self, *, scale: float = 1.0, zero: bool = False) -> None:
        """Update all parameters once, by the gradients times `scale`; with `zero` set the gradients to 0 afterwards.

        ValueError: `scale` is NaN, infinite or negative.
        """
        flat, scale = self.flat, self._real("scale", scale)
        self.steps += 1
        end = 0
        for group, rate in zip(self.groups, self.rates, strict=True):
            part = slice(end, end + group.size)
            end = part.stop
            decay = self.weight_decay if group.weight_decay is None else group.weight_decay
            self._update(flat.data[part], flat.grad[part], [self.state[name][part] for name in self.slots],
                         lr=rate, weight_decay=decay, scale=scale, zero=zero)
        changed()

    def _update(self, data: np.ndarray, grad: np.ndarray, state: Sequence[np.ndarray], **options: Any) -> None:
        """Update the data (n,) of a group by its gradient and state, the arrays of `slots`.

        Options are lr, weight_decay, scale and zero.
        """
        raise NotImplementedError(f"{type(self).__name__} has no _update: define it to change data by scale * grad")

    def grad_norm(self) -> float:
        """Return the root of the sum of squares of all gradients; not finite where one of them is not."""
        return functional.gradient_norm(self.flat.grad)

    def clip_scale(self, max_norm: float, norm: float | None = None) -> float:
        """Return the `scale` of a step with which the norm of all gradients is at most `max_norm`; 1 where it is no larger.

        It is NaN, which `step` refuses, where a gradient is. `norm` is the result of `grad_norm`, if known.
        ValueError: `max_norm` is NaN, infinite or negative.
        """
        limit = self._real("max_norm", max_norm)
        share = limit / ((self.grad_norm() if norm is None else norm) + 1e-6)
        return 1.0 if share > 1.0 else share

    def clip_values(self, limit: float) -> None:
        """Clip each element of all gradients to -limit to limit; ValueError: the limit is NaN, infinite or negative."""
        functional.clip_values(self.flat.grad, self._real("limit", limit))

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        self.flat.grad.fill(0)

    def state_dict(self) -> dict[str, Any]:
        """Return copies of what the next step depends on besides parameters and gradients."""
        return {
            "kind": type(self).__name__,
            "lr": self.lr,
            "steps": self.steps,
            "groups": [group.size for group in self.groups],
            **{name: array.copy() for name, array in self.state.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a state; CheckpointError: it is of another kind of optimizer, of other parameters or of other groups."""
        expected = {"kind", "lr", "steps", *self.slots}
        kind = type(self).__name__
        if set(state) - {"groups"} != expected or state["kind"] != kind:
            came = f"{state.get('kind')} with {', '.join(sorted(state))}"
            raise CheckpointError(f"load_state_dict: state is of {came}, expected {kind} with {', '.join(sorted(expected))}")
        flat = self.flat
        for name in self.slots:
            array = np.asarray(state[name])
            if array.shape != flat.data.shape or array.dtype != flat.data.dtype:
                raise CheckpointError(
                    f"load_state_dict: {name} is {array.dtype} {array.shape}, expected "
                    f"{flat.data.dtype} {flat.data.shape} for these parameters"
                )
        sizes, own = state.get("groups", [flat.data.size]), [group.size for group in self.groups]
        if sizes != own:
            raise CheckpointError(f"load_state_dict: groups have {sizes} elements, expected {own} for these parameters")
        self.lr, self.steps = state["lr"], int(state["steps"])
        self.state = {name: np.array(state[name]) for name in self.slots}

    def __repr__(self) -> str:
        """Name, learning rate and, where there are several, the number of groups."""
        groups = f", {len(self.groups)} groups" if len(self.groups) > 1 else ""
        return f"{type(self).__name__}(lr={self.lr}{groups})"
