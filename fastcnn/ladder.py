"""One convolution on every rung, from plain numpy and plain loops to Winograd: what `fastcnn bench ladder` prints.

Each rung is checked against the reference before it is timed. All take turns with the machine's best, as in `benchmark`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from . import benchmark, verification
from .doctor import cpu_name
from .kernels.jit import threads
from .kernels.kinds import KIND
from .registry import ROWS, Arguments, Case, Row
from .runtime.ceiling import multiplying
from .tables import Table

_ALGORITHMS = {"loops": "textbook loops", "direct": "register tile", "winograd": "Winograd"}


class Layer(NamedTuple):
    """A convolution with a 3x3 filter, stride 1 and padding 1: images, rows, columns, input and output channels."""

    N: int
    H: int
    W: int
    C: int
    K: int

    def __str__(self) -> str:
        """One line."""
        images = f"{self.N} image{'s' * (self.N > 1)} of {self.H}x{self.W}"
        return f"3x3 convolution of {images}, {self.C} to {self.K} channels: {self.flops / 1e9:.3g} GFLOP"

    @property
    def flops(self) -> int:
        """Operations of a convolution, done directly; those that meet padding count."""
        return 2 * self.N * self.H * self.W * self.K * 9 * self.C

    def case(self) -> Case:
        """Return it as a case of the registry."""
        return Case(str(self), {"x": (self.N, self.H, self.W, self.C), "weight": (3, 3, self.C, self.K), "padding": 1})


LAYER = Layer(64, 32, 32, 64, 64)


class Rung(NamedTuple):
    """One way to make the convolution, and how long it takes."""

    name: str
    threads: int | None  # None: as many as numpy's library takes
    seconds: float
    rate: float  # operations in a second
    share: float  # of the machine's best
    gain: float | None  # how many times as fast as the rung above; None for the first

    def as_dict(self) -> dict[str, Any]:
        """Return what was measured as numbers and strings."""
        return {"rung": self.name, "threads": self.threads, "seconds": self.seconds, "rate": self.rate, "unit": "FLOP/s",
                "share_of_peak": self.share, "times_as_fast_as_above": self.gain}


def climb(layer: Layer) -> list[Rung]:
    """Check each rung of a layer, then time all; MismatchError when a check fails."""
    rows = {name: row for name in _ALGORITHMS for row in ROWS if row.name == f"conv2d[{name}]"}
    arguments = verification.Trial(rows["direct"], layer.case(), "normal", "float32").arguments("normal")
    wanted = verification.expected(rows["direct"], arguments)
    for row in rows.values():
        verification.compare(row, arguments, verification.fast(row, arguments), wanted, exact=False)
    _, reference = verification.repeatable(rows["direct"], arguments)
    ways = [("numpy reference", None, reference), *_ways(rows, arguments)]
    best_work, best = multiplying()
    *times, fastest = benchmark.in_turns(*(call for _, _, call in ways), best)
    above = [None, *times]
    return [Rung(name, count, seconds, layer.flops / seconds, layer.flops / seconds / (best_work / fastest),
                 None if before is None else before / seconds)
            for (name, count, _), seconds, before in zip(ways, times, above, strict=False)]


def _ways(rows: dict[str, Row], arguments: Arguments) -> Iterator[tuple[str, int, benchmark.Call]]:
    """Give name, threads and call of each algorithm; the loops come on one thread too."""
    every = threads.get_num_threads()
    for algorithm, name in _ALGORITHMS.items():
        call, _ = verification.repeatable(rows[algorithm], arguments)
        if algorithm == "loops" and every > 1:
            yield name, 1, _on_one_thread(call)
        yield name, every, call


def _on_one_thread(call: benchmark.Call) -> benchmark.Call:
    def alone() -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(threads.set_num_threads, threads.get_num_threads())
            threads.set_num_threads(1)
            call()

    return alone


def machine() -> str:
    """Return one line: the processor, its vectors, and the threads in use."""
    count = threads.get_num_threads()
    return f"{cpu_name()}, {KIND.name}, {count} thread{'s' * (count > 1)}"


def table(rungs: list[Rung]) -> Table:
    """Return the rungs as a table."""
    rows = [(rung.name, "numpy's" if rung.threads is None else str(rung.threads), f"{1e3 * rung.seconds:.2f}",
             f"{rung.rate / 1e9:.1f}", f"{rung.share:.1%}", "" if rung.gain is None else f"{rung.gain:.2f}x")
            for rung in rungs]
    return Table(("rung", "threads", "ms", "GFLOP/s", "of peak", "x above"), rows, right=range(1, 6))


def explanation(rungs: list[Rung]) -> str:
    """Return what the columns mean."""
    peak = rungs[-1].rate / rungs[-1].share
    return (f"of peak: as a share of the {peak / 1e9:.0f} GFLOP/s of multiply-adds in registers on all\n"
            "threads, here and now; Winograd does a quarter of the multiplications, so it\n"
            "may be above 100%. x above: how many times as fast as the rung above")
