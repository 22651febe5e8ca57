"""Where the time of a training step goes, layer by layer, beside what the machine can do at best."""

from __future__ import annotations

import copy
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...runtime import ceiling
from ...shapes import Caller, integer
from ...tables import Table, Tabular
from ..module import Layer, Module, backward
from .trace import traced


class Timing(NamedTuple):
    """One layer in one training step: seconds and floating-point operations, forward and backward."""

    name: str
    layer: str
    output_shape: tuple[int, ...]
    forward: float
    backward: float
    forward_work: int
    backward_work: int


class Profile(Tabular):
    """Timings of the layers in the order in which they run; it prints as a table.

    `step` is the seconds of a whole training step as it runs without a trace, when neighbours such as batch norm
    and ReLU run as one; `peak` the operations in a second that the machine can do at best. Operations are those of the
    plain formula: Winograd does a quarter of them, so that its share of the peak may be above 1.
    """

    def __init__(self, rows: list[Timing], step: float, peak: float, batch_size: int) -> None:
        """Take what was measured."""
        self.rows, self.step, self.peak, self.batch_size = rows, step, peak, batch_size

    @property
    def seconds(self) -> float:
        """Seconds of all layers one by one."""
        return sum(row.forward + row.backward for row in self.rows)

    @property
    def share_of_peak(self) -> float:
        """Operations of a whole step in a second, as a share of the machine's best."""
        return sum(row.forward_work + row.backward_work for row in self.rows) / self.step / self.peak

    def table(self) -> Table:
        """Return the table."""
        measures = "GFLOP/s", "of peak"
        head = ("name", "layer", "output", "forward ms", *measures, "backward ms", *measures, "of time")
        body = [(row.name, row.layer, " x ".join(map(str, row.output_shape)), *self._cells(row.forward_work, row.forward),
                 *self._cells(row.backward_work, row.backward), f"{(row.forward + row.backward) / self.seconds:.0%}")
                for row in self.rows]
        totals = [(sum(row.forward_work for row in self.rows), sum(row.forward for row in self.rows)),
                  (sum(row.backward_work for row in self.rows), sum(row.backward for row in self.rows))]
        foot = ("total", "", "", *self._cells(*totals[0]), *self._cells(*totals[1]), "100%")
        note = (f"whole step of {self.batch_size} images, neighbours fused: {1e3 * self.step:.3f} ms, "
                f"{self.batch_size / self.step:,.0f} images/s, {self.share_of_peak:.0%} of the machine's peak of "
                f"{self.peak / 1e9:.0f} GFLOP/s")
        return Table(head, body, foot=foot, notes=[note], right=range(3, 10), wordy=(1, 2))

    def as_dict(self) -> dict[str, Any]:
        """Return what was measured as numbers, strings, lists and dicts: seconds, operations, operations in a second."""
        return {"layers": [row._asdict() for row in self.rows], "seconds": self.seconds, "step_seconds": self.step,
                "batch_size": self.batch_size, "images_per_second": self.batch_size / self.step, "peak": self.peak,
                "share_of_peak": self.share_of_peak}

    def _cells(self, work: int, seconds: float) -> tuple[str, str, str]:
        """Milliseconds, rate and share of the peak; the last two are empty for a layer that only moves numbers."""
        if not work or not seconds:
            return f"{1e3 * seconds:.3f}", "", ""
        return f"{1e3 * seconds:.3f}", f"{work / seconds / 1e9:.1f}", f"{work / seconds / self.peak:.0%}"


def profile(model: Module, x: Any, repeats: int = 10) -> Profile:
    """Time `repeats` training steps on the batch x, such as floats (N, H, W, C), of a copy of the model; medians count.

    ShapeError, DTypeError: x does not fit the network.
    """
    steps = integer("profile", "repeats", repeats, 1)
    with Caller("profile", f"x is {x.dtype} of shape {x.shape}"):
        trained = copy.deepcopy(model).build(x.shape[1:]).train()
        trained.forward(x)
    stopwatch = _Stopwatch()
    whole = []
    for number in range(steps + 2):  # two more to compile and to find memory
        with traced(trained, stopwatch.forward, stopwatch.backward):
            _step(trained, x)
        began = time.perf_counter()
        _step(trained, x)
        whole.append(time.perf_counter() - began)
        stopwatch.lap(count=number >= 2)
    return Profile(stopwatch.rows(), statistics.median(whole[2:]), ceiling.peak(), len(x))


def _step(model: Module, x: Any) -> None:
    y = model.forward(x)
    backward(model, np.full_like(y, 1 / y.size), need_dx=False)


class _Stopwatch:
    """Times the layers of a network and adds up their times by name."""

    def __init__(self) -> None:
        self._known: dict[str, Timing] = {}
        self._lap: dict[tuple[str, str], float] = defaultdict(float)
        self._laps: dict[tuple[str, str], list[float]] = defaultdict(list)

    def forward(self, name: str, layer: Module, forward: Callable[[Any], Any], x: Any) -> Any:
        """Run and time a layer's forward."""
        began = time.perf_counter()
        y = forward(x)
        self._lap[name, "forward"] += time.perf_counter() - began
        work = 2 * layer.multiply_adds(x.shape) if isinstance(layer, Layer) else 0
        self._known.setdefault(name, Timing(name, repr(layer), y.shape[1:], 0, 0, work, 0))
        return y

    def backward(self, name: str, layer: Module, backward: Any, dy: Any) -> Any:
        """Run and time a layer's backward, which takes as many operations as forward for each of its gradients."""
        began = time.perf_counter()
        dx = backward(dy)
        self._lap[name, "backward"] += time.perf_counter() - began
        known = self._known[name]
        self._known[name] = known._replace(backward_work=known.forward_work * (1 if dx is None else 2))
        return dx

    def lap(self, count: bool) -> None:
        """End a step; keep its times if it counts."""
        for key, seconds in self._lap.items():
            if count:
                self._laps[key].append(seconds)
        self._lap.clear()

    def rows(self) -> list[Timing]:
        """Return the layers with the medians of their times."""
        return [known._replace(forward=self._median(name, "forward"), backward=self._median(name, "backward"))
                for name, known in self._known.items()]

    def _median(self, name: str, way: str) -> float:
        return statistics.median(self._laps.get((name, way), [0.0]))  # 0 where only the gradient of x would need it
