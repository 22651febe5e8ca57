"""Schedules: the learning rate as a function of progress.

`schedule.lr(step, total_steps, base_lr, steps_per_epoch)` is the rate for step 0, 1, ... of `total_steps`. What is counted
in epochs (`step_size`, `milestones`, `WarmupLR.epochs`) is counted in steps where `steps_per_epoch` is 1. All are pure
functions except `PlateauLR`, which is also given the loss of each epoch by `observe`. The values are those of PyTorch's
schedulers.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..shapes import CheckpointError, DTypeError, integer, real
from .optimizer import Optimizer

__all__ = ["CosineLR", "MultiStepLR", "OneCycleLR", "PlateauLR", "Schedule", "StepLR", "WarmupLR"]

_LEAST_CUT = 1e-8  # of the learning rate, as in PyTorch

class Schedule:
    """Keep the learning rate constant; subclasses define `lr`.

    A schedule takes no optimizer, as PyTorch's do: pass both to `fit(optimizer=..., schedule=...)`.
    """

    if not TYPE_CHECKING:  # which would take its arguments for those of all schedules

        def __new__(cls, *arguments: Any, **options: Any) -> Schedule:
            """Refuse an optimizer, with which the schedules of PyTorch begin, before Python counts the arguments."""
            for value in (*arguments, *options.values()):
                if isinstance(value, Optimizer):
                    raise DTypeError(f"{cls.__name__}: came with {value!r}, expected no optimizer: "
                                     f"fit(optimizer=..., schedule={cls.__name__}(...)) brings them together")
            return super().__new__(cls)

    def lr(self, step: int, total_steps: int, base_lr: float, steps_per_epoch: int = 1) -> float:
        """Return the learning rate of step `step`, counted from 0."""
        return base_lr

    def observe(self, loss: float) -> None:
        """Receive the loss of an epoch; only `PlateauLR` uses it."""

    def restart(self) -> None:
        """Forget the losses of an earlier training; only `PlateauLR` has any."""

    def state_dict(self) -> dict[str, Any]:
        """Return what `lr` depends on besides its arguments."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state; CheckpointError: it is of another schedule."""
        if set(state) != set(self.state_dict()):
            raise CheckpointError(f"{type(self).__name__}: state has {sorted(state)}, expected {sorted(self.state_dict())}")
        vars(self).update(state)


class StepLR(Schedule):
    """Multiply the rate by gamma after every `step_size` epochs.

    Parameters
    ----------
    step_size : int
    gamma : float

    Examples
    --------
    >>> schedule = optim.StepLR(step_size=2, gamma=0.5)
    >>> [schedule.lr(step, total_steps=6, base_lr=1.0) for step in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(self, step_size: int, gamma: float = 0.1) -> None:
        """Check the numbers."""
        self.step_size = integer("StepLR", "step_size", step_size, 1)
        self.gamma = real("StepLR", "gamma", gamma, 0.0)

    def lr(self, step: int, total_steps: int, base_lr: float, steps_per_epoch: int = 1) -> float:
        """Return base_lr * gamma^(epoch // step_size)."""
        return base_lr * self.gamma ** (step // steps_per_epoch // self.step_size)


class MultiStepLR(Schedule):
    """Multiply the rate by gamma at each of the milestones.

    Parameters
    ----------
    milestones : sequence of int
        Epochs in rising order.
    gamma : float

    Examples
    --------
    >>> schedule = optim.MultiStepLR([1, 3], gamma=0.5)
    >>> [schedule.lr(step, total_steps=4, base_lr=1.0) for step in range(4)]
    [1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, milestones: Sequence[int], gamma: float = 0.1) -> None:
        """Check the numbers."""
        if not isinstance(milestones, Sequence):
            raise DTypeError(f"MultiStepLR: milestones is {milestones!r}, expected a list of epochs")
        self.milestones = [integer("MultiStepLR", "milestones", epoch, 0) for epoch in milestones]
        if self.milestones != sorted(self.milestones):
            raise ValueError(f"MultiStepLR: milestones is {milestones!r}, expected rising epochs")
        self.gamma = real("MultiStepLR", "gamma", gamma, 0.0)

    def lr(self, step: int, total_steps: int, base_lr: float, steps_per_epoch: int = 1) -> float:
        """Return base_lr * gamma^(milestones reached)."""
        return base_lr * self.gamma ** bisect_right(self.milestones, step // steps_per_epoch)


class CosineLR(Schedule):
    """Lower the rate from base_lr to minimum along half a cosine, step by step.

    Parameters
    ----------
    minimum : float

    References
    ----------
    Loshchilov and Hutter, "SGDR", ICLR 2017, equation 5, without restarts.

    Examples
    --------
    >>> [round(optim.CosineLR().lr(step, total_steps=4, base_lr=1.0), 4) for step in range(5)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0]
    """

    def __init__(self, minimum: float = 0.0) -> None:
        """Check the number."""
        self.minimum = real("CosineLR", "minimum", minimum, 0.0)

    def lr(self, step: int, total_steps: int, base_lr: float, steps_per_epoch: int = 1) -> float:
        """Return minimum + (base_lr - minimum) * (1 + cos(pi * step / total_steps)) / 2."""
        return _cosine(base_lr, self.minimum, step / max(1, total_steps))


class OneCycleLR(Schedule):
    """Raise the rate from max_lr / div_factor to max_lr, then lower it to the start / final_div_factor, along cosines.

    Only the learning rate follows the cycle, not the momentum; base_lr has no effect.

    Parameters
    ----------
    max_lr : float
    pct_start : float
        Share of the steps on the way up.
    div_factor, final_div_factor : float
        At least 1.

    References
    ----------
    Smith and Topin, "Super-Convergence", 2018, section 3.

    Examples
    --------
    >>> schedule = optim.OneCycleLR(1.0, pct_start=0.5, div_factor=4, final_div_factor=10)
    >>> [round(schedule.lr(step, total_steps=5, base_lr=0.0), 4) for step in range(5)]
    [0.25, 0.8125, 0.9069, 0.3619, 0.025]
    """

    def __init__(
        self, max_lr: float, pct_start: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4
    ) -> None:
        """Check the numbers."""
        self.max_lr = real("OneCycleLR", "max_lr", max_lr, 0.0)
        self.pct_start = real("OneCycleLR", "pct_start", pct_start, 0.0, 1.0)
        self.div_factor = real("OneCycleLR", "div_factor", div_factor, 1.0)
        self.final_div_factor = real("OneCycleLR", "final_div_factor", final_div_factor, 1.0)

    def lr(self, step: int, total_steps: int, base_lr: float, steps_per_epoch: int = 1) -> float:
        """Return the rate on the way up (to step pct_start * total_steps - 1) or down (to the last step).

        Where no step lies on the way up, the way down begins before step 0: the first rate is below max_lr.
        """
        start = self.max_lr / self.div_factor
        top, last = self.pct_start * total_steps - 1, total_steps - 1
        if step < top:
            return _cosine(start, self.max_lr, step / top)
        share = (step - top) / (last - top) if step > top else 0.0
        return _cosine(self.max_lr, start / self.final_div_factor, share)


class WarmupLR(Schedule):
    """Multiply the rate of another schedule, or base_lr, by a factor that rises linearly to 1 over the first epochs.

    Parameters
    ----------
    schedule : Schedule, optional
    epochs : float
        Length of the rise.
    start : float
        First factor, from 0 to 1.

    References
    ----------
    Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.2.

    Examples
    --------
    >>> schedule = optim.WarmupLR(epochs=2, start=0.0)
    >>> [schedule.lr(step, total_steps=4, base_lr=1.0) for step in range(4)]
    [0.0, 0.5, 1.0, 1.0]
    """

    def __init__(self, schedule: Schedule | None = None, epochs: float = 5, start: float = 1 / 3) -> None:
        """Check the numbers."""
        if not isinstance(schedule, Schedule | None):
            raise DTypeError(f"WarmupLR: schedule is {schedule!r}, expected a Schedule or None")
        self.schedule = Schedule() if schedule is None else schedule
        self.epochs = real("WarmupLR", "epochs", epochs, 0.0)
        self.start = real("WarmupLR", "start", start, 0.0, 1.0)

    def lr(self, step: int, total_steps: int, base_lr: float, steps_per_epoch: int = 1) -> float:
        """Return (start + (1 - start) * min(1, step / warm-up steps)) * the inner schedule's rate."""
        warm = self.epochs * steps_per_epoch
        factor = 1.0 if step >= warm else self.start + (1.0 - self.start) * step / warm
        return factor * self.schedule.lr(step, total_steps, base_lr, steps_per_epoch)

    def restart(self) -> None:
        """Let the inner schedule forget its losses."""
        self.schedule.restart()

    def observe(self, loss: float) -> None:
        """Pass the loss to the inner schedule."""
        self.schedule.observe(loss)

    def state_dict(self) -> dict[str, Any]:
        """Return the inner schedule's state."""
        return self.schedule.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the state of the inner schedule."""
        self.schedule.load_state_dict(state)


class PlateauLR(Schedule):
    """Multiply the rate by factor each time the loss has not fallen for more than patience epochs.

    Parameters
    ----------
    factor : float
        From 0 up to, but not including, 1.
    patience : int
    threshold : float
        A loss has fallen when it is below the best one by this share.
    cooldown : int
        Epochs after a cut that are not counted.
    minimum : float
        The rate does not go below it; a cut of 1e-8 or less is not made.

    Examples
    --------
    >>> schedule = optim.PlateauLR(factor=0.5, patience=0)
    >>> for loss in [2.0, 1.0, 1.0]:
    ...     schedule.observe(loss)
    >>> schedule.lr(step=3, total_steps=4, base_lr=1.0)
    0.5
    """

    def __init__(
        self,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        cooldown: int = 0,
        minimum: float = 0.0,
    ) -> None:
        """Check the numbers."""
        self.factor = real("PlateauLR", "factor", factor, 0.0, below=1.0)
        self.patience = integer("PlateauLR", "patience", patience, 0)
        self.threshold = real("PlateauLR", "threshold", threshold, 0.0)
        self.cooldown = integer("PlateauLR", "cooldown", cooldown, 0)
        self.minimum = real("PlateauLR", "minimum", minimum, 0.0)
        self.restart()

    def restart(self) -> None:
        """Forget all losses, and the cuts that they led to."""
        self.best, self.bad_epochs, self.resting, self.cuts = math.inf, 0, 0, 0

    def lr(self, step: int, total_steps: int, base_lr: float, steps_per_epoch: int = 1) -> float:
        """Return base_lr after all cuts."""
        for _ in range(self.cuts):
            lower = max(base_lr * self.factor, self.minimum)
            if base_lr - lower <= _LEAST_CUT:
                break
            base_lr = lower
        return base_lr

    def observe(self, loss: float) -> None:
        """Count an epoch without progress, and cut when there were too many."""
        if -math.inf < loss < self.best * (1 - self.threshold):  # what is not finite is no progress
            self.best, self.bad_epochs = loss, 0
        else:
            self.bad_epochs += 1
        if self.resting > 0:
            self.resting, self.bad_epochs = self.resting - 1, 0
        if self.bad_epochs > self.patience:
            self.cuts, self.resting, self.bad_epochs = self.cuts + 1, self.cooldown, 0

    def state_dict(self) -> dict[str, Any]:
        """Return the best loss and the counts."""
        return {name: getattr(self, name) for name in ("best", "bad_epochs", "resting", "cuts")}


def _cosine(start: float, end: float, share: float) -> float:
    """Return the value at `share` of the way from `start` to `end` along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
