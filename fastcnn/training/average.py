"""Averages of weights over the steps of training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..nn.mode import changed
from ..optim import Optimizer
from ..shapes import real
from .callbacks import Callback

if TYPE_CHECKING:
    from .loop import Run


class WeightAverage(Callback):
    """Keeps an exponential moving average of all trained parameters; `swap` exchanges it with them, and back.

    Each step moves it by 1 - decay towards the parameters. Running statistics of batch norms are not averaged. Polyak and
    Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM Journal on Control and Optimization 30, 1992.
    ValueError: decay is not from 0 to below 1.
    """

    def __init__(self, decay: float = 0.999) -> None:
        """Check the decay."""
        self.decay = real("WeightAverage", "decay", decay, 0.0, below=1.0)
        self.average: np.ndarray | None = None
        self._optimizer: Optimizer | None = None

    def on_train_begin(self, run: Run) -> None:
        """Begin with the parameters as they are, unless a resumed run brought an average."""
        self._optimizer = run.optimizer
        if self.average is None or run.step == 0:
            self.average = run.optimizer.flat.data.copy()

    def on_batch_end(self, run: Run) -> None:
        """Move the average."""
        assert self.average is not None
        self.average += (run.optimizer.flat.data - self.average) * self.average.dtype.type(1 - self.decay)

    def swap(self) -> None:
        """Exchange parameters and average; RuntimeError: there was no training yet."""
        if self._optimizer is None or self.average is None:
            raise RuntimeError("WeightAverage: there is no average yet, expected fit(callbacks=[...]) with it before swap")
        data = self._optimizer.flat.data
        kept = data.copy()
        data[...] = self.average
        self.average[...] = kept
        changed()

    @contextlib.contextmanager
    def swapped(self) -> Iterator[None]:
        """Let the model have the average inside the `with` block."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def state_dict(self) -> dict[str, Any]:
        """Return the average."""
        return {"average": self.average}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the average."""
        self.average = np.array(state["average"])
