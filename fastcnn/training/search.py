"""A learning rate, found by trying rising ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..nn import Module
from ..optim import Adam, Optimizer, Schedule
from ..shapes import DTypeError, integer, real
from .batches import Batches
from .callbacks import Callback
from .diagnosis import NonFiniteError
from .loop import fit

if TYPE_CHECKING:
    from .loop import Run

_MEMORY = 0.9  # of the smoothed loss
_BLOWN = 4.0  # times the least loss: the search is over


class LearningRates(NamedTuple):
    """Rates that were tried, the smoothed loss at each of them, and the one to take."""

    rates: list[float]
    losses: list[float]
    suggestion: float


class _Rising(Schedule):
    """From `low` to `high` by the same factor at each step."""

    def __init__(self, low: float, high: float, steps: int) -> None:
        self.low, self.factor = low, (high / low) ** (1 / (steps - 1))

    def lr(self, step: int, total_steps: int, base_lr: float, steps_per_epoch: int = 1) -> float:
        """Return low * factor^step."""
        return self.low * self.factor**step


class _SearchEndedError(Exception):
    """The search is over."""


class _Watch(Callback):
    """Smooths the losses of the batches, and ends the training when they have risen far or the steps are done."""

    def __init__(self, steps: int) -> None:
        self.steps, self.rates, self.losses = steps, list[float](), list[float]()
        self._mean = 0.0

    def on_epoch_begin(self, run: Run) -> None:
        """Sums of the epoch begin with 0."""
        self._sum, self._position = 0.0, 0

    def on_batch_end(self, run: Run) -> None:
        """Note rate and loss."""
        loss = (run.loss_sum - self._sum) / (run.position - self._position)
        self._sum, self._position = run.loss_sum, run.position
        self._mean = _MEMORY * self._mean + (1 - _MEMORY) * loss
        self.rates.append(run.optimizer.lr)
        self.losses.append(self._mean / (1 - _MEMORY ** (len(self.losses) + 1)))
        if len(self.rates) == self.steps or self.losses[-1] > _BLOWN * min(self.losses):
            raise _SearchEndedError


def find_lr(
    model: Module,
    train: Any,
    *,
    optimizer: Callable[..., Optimizer] = Adam,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 200,
    **options: Any,
) -> LearningRates:
    """Train a copy of the model with a rate that rises from `low` to `high`, and suggest one for the whole training.

    The suggestion is a tenth of the rate at which the smoothed loss is least. The search ends early where the loss blows up;
    `options` are those of `fit`, such as loss and batch_size. Smith, "Cyclical Learning Rates for Training Neural Networks",
    WACV 2017, section 3.3. ShapeError, DTypeError, ValueError: an argument is wrong; NonFiniteError: the first loss is NaN.
    """
    refused = [name for name in ("schedule", "penalty", "constraint", "callbacks", "resume") if name in options]
    if refused:  # parameters of a penalty or constraint are the model's own, not those of the copy
        raise ValueError(f"find_lr: options have {', '.join(refused)}, expected none of these in the training of a copy")
    if not callable(optimizer):
        raise DTypeError(f"find_lr: optimizer is {optimizer!r}, expected a class such as optim.Adam")
    low = real("find_lr", "low", low, 1e-30)
    high = real("find_lr", "high", high, low)
    if not isinstance(model, Module):
        raise DTypeError(f"find_lr: model is {model!r}, expected a Module")
    tried = copy.deepcopy(model).build(Batches("find_lr", train).images.shape[1:])
    watch = _Watch(integer("find_lr", "steps", steps, 2))
    try:
        fit(tried, train, optimizer=optimizer(tried.parameters(), lr=low), schedule=_Rising(low, high, steps),
            **{"epochs": steps, "progress": False, **options, "callbacks": [watch]})
    except _SearchEndedError:
        pass
    except NonFiniteError:
        if not watch.losses:  # the rate is not to blame
            raise
    return LearningRates(watch.rates, watch.losses, watch.rates[watch.losses.index(min(watch.losses))] / 10)
