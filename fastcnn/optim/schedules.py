"""Schedules: the learning rate as a function of progress.

`schedule.lr(step, total_steps, base_lr, steps_per_epoch)` is the rate for step 0, 1, ... of `total_steps`.
What is counted in epochs (`step_size`, `milestones`, `WarmupLR.epochs`) is counted in steps where
`steps_per_epoch` is left at 1. All are pure functions but PlateauLR, which also learns the result of each
epoch by `observe`. The values are those of PyTorch's schedulers of like names.
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
    """A constant learning rate; subclasses define `lr`. DTypeError: an optimizer is among the arguments."""

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
        """Take note of an epoch's loss; only PlateauLR cares."""

    def restart(self) -> None:
        """Forget the losses of an earlier training; only PlateauLR knows any."""

    def state_dict(self) -> dict[str, Any]:
        """Return what `lr` depends on besides its arguments."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state; CheckpointError: it is of another schedule."""
        if set(state) != set(self.state_dict()):
            raise CheckpointError(f"{type(self).__name__}: state has {sorted(state)}, expected {sorted(self.state_dict())}")
        vars(self).update(state)


class StepLR(Schedule):
    """base_lr times gamma after every `step_size` epochs."""

    def __init__(self, step_size: int, gamma: float = 0.1) -> None:
        """Check the numbers."""
        self.step_size = integer("StepLR", "step_size", step_size, 1)
        self.gamma = real("StepLR", "gamma", gamma, 0.0)

    def lr(self, step: int, total_steps: int, base_lr: float, steps_per_epoch: int = 1) -> float:
        """Return base_lr * gamma^(epoch // step_size)."""
        return base_lr * self.gamma ** (step // steps_per_epoch // self.step_size)


class MultiStepLR(Schedule):
    """base_lr times gamma at each of the `milestones`, epochs in rising order."""

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
    """From base_lr down to `minimum` along half a cosine, step by step.

    Loshchilov and Hutter, "SGDR", ICLR 2017, equation 5, without restarts.
    """

    def __init__(self, minimum: float = 0.0) -> None:
        """Check the number."""
        self.minimum = real("CosineLR", "minimum", minimum, 0.0)

    def lr(self, step: int, total_steps: int, base_lr: float, steps_per_epoch: int = 1) -> float:
        """Return minimum + (base_lr - minimum) * (1 + cos(pi * step / total_steps)) / 2."""
        return _cosine(base_lr, self.minimum, step / max(1, total_steps))


class OneCycleLR(Schedule):
    """From max_lr / div_factor up to max_lr, then down to a final_div_factor-th of the start, both along
    cosines.

    The first `pct_start` of the steps go up. Smith and Topin, "Super-Convergence", 2018, section 3; the
    learning rate alone, base_lr and momentum play no part.
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
    """Another schedule's rate (or base_lr) times a factor that rises from `start` to 1 over the first epochs.

    Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.2; step by step.
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
        """Pass the loss on."""
        self.schedule.observe(loss)

    def state_dict(self) -> dict[str, Any]:
        """Return the inner schedule's state."""
        return self.schedule.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Hand the state to the inner schedule."""
        self.schedule.load_state_dict(state)


class PlateauLR(Schedule):
    """base_lr times `factor` each time the loss has not fallen for more than `patience` epochs.

    A loss falls when it is below the best by the share `threshold`; after a cut, `cooldown` epochs are not
    counted. The rate does not go below `minimum`, and a cut of 1e-8 or less is not made.
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
