"""Times of the registry's bench cases, beside the reference and beside what this machine can do at best.

Fast function, reference and the machine's best are timed in turns, so that whatever else the machine does meets all three;
the median counts. Compilation comes before, with a check against the reference.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import verification
from .kernels import machine
from .kernels.jit import threads
from .kernels.kinds import KIND
from .registry import ROWS, Arguments, Case, Row
from .runtime.ceiling import multiplying, peak

Call = Callable[[], object]
SECONDS = 0.5  # spent on one case, about
SAMPLE = 2e-3  # shortest time that is measured; faster calls are repeated within it
LONG = 5e-2  # a call of so many seconds is not made twice
LEAST, MOST = 3, 30  # turns of each

HEAD = f"{'operation':26} {'case':48} {'ms':>9} {'rate':>14} {'of best':>8} {'reference':>10}"


@dataclass(frozen=True)
class Measurement:
    """Times of one case in seconds, its work in operations or bytes, and the machine's best rate for such work.

    The best rate is that of multiply-adds in registers, or of copying as many bytes, on the threads in use.
    """

    row: Row
    case: Case
    seconds: float
    reference_seconds: float
    work: int
    best: float

    @property
    def rate(self) -> float:
        """Operations, or bytes, in a second."""
        return self.work / self.seconds

    @property
    def unit(self) -> str:
        """What is counted, in thousands of millions."""
        return "GB/s" if self.row.flops is None else "GFLOP/s"

    def as_dict(self) -> dict[str, Any]:
        """Return what was measured as numbers and strings: seconds, and operations or bytes in a second."""
        return {"operation": self.row.name, "case": self.case.name, "threads": threads.get_num_threads(),
                "seconds": self.seconds, "rate": self.rate, "unit": "bytes/s" if self.row.flops is None else "FLOP/s",
                "share_of_best": self.rate / self.best, "reference_seconds": self.reference_seconds}

    def lines(self) -> str:
        """Two lines for a narrow terminal."""
        return (f"{self.row.name}, {self.case.name}\n{1e3 * self.seconds:12.3f} ms{self.rate / 1e9:9.1f} {self.unit:7}"
                f"{self.rate / self.best:7.0%} of best   reference {self.reference_seconds / self.seconds:.1f}x")

    def __str__(self) -> str:
        """One line under HEAD: the last column says how many times as long the reference takes."""
        return (f"{self.row.name:26} {self.case.name:48} {1e3 * self.seconds:9.3f} {self.rate / 1e9:6.1f} {self.unit:7} "
                f"{self.rate / self.best:8.0%} {self.reference_seconds / self.seconds:9.1f}x")


def describe() -> str:
    """Return the lines above a table: threads, the kind of CPU, and what its columns mean."""
    return (f"{threads.get_num_threads()} threads, {KIND.name}; best: {peak() / 1e9:.0f} GFLOP/s of multiply-adds in "
            "registers, or a copy of as many bytes\nof best: share of that; reference: how many times as long plain numpy "
            "takes (0.2x: a fifth)")


def cases(rows: Iterable[Row] = ROWS) -> Iterator[tuple[Row, Case]]:
    """Give the cases that are timed."""
    return ((row, case) for row in rows for case in row.cases if case.bench)


def measure(row: Row, case: Case) -> Measurement:
    """Check one case against the reference, then time both; MismatchError when the check fails."""
    trial = verification.Trial(row, case, "normal", "float32")
    trial.run()
    arguments = trial.arguments("normal")
    work = work_of(row, arguments)
    best_work, best = copying(work) if row.flops is None else multiplying()
    seconds, reference, fastest = in_turns(*verification.repeatable(row, arguments), best)
    return Measurement(row, case, seconds, reference, work, best_work / fastest)


def in_turns(*calls: Call) -> list[float]:
    """Give the median time of each call, all called in turns."""
    repeats = [max(1, int(SAMPLE / timed(call))) for call in calls]
    turn = sum(timed(call, count) * count for call, count in zip(calls, repeats, strict=True))
    rounds = min(MOST, max(LEAST, int(SECONDS / turn)))
    samples = [[_sample(call, count) for call, count in zip(calls, repeats, strict=True)] for _ in range(rounds)]
    return [statistics.median(times) for times in zip(*samples, strict=True)]


def _sample(call: Call, count: int) -> float:
    """Give the time of one call after another one, unless that took long: threads that slept come milliseconds late."""
    before = timed(call)
    return before if before > LONG else timed(call, count)


def timed(call: Call, count: int = 1) -> float:
    """Give the time of one of `count` calls, in seconds."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def work_of(row: Row, arguments: Arguments) -> int:
    """Give the operations of a call, or the bytes that it reads and writes."""
    results = verification.fast(row, arguments)
    count = row.flops or row.bytes
    if count is not None:
        return count(arguments, results)
    return sum(array.nbytes for values in (arguments, results) for _, array in verification.arrays_of(values))


def copying(work: int) -> tuple[int, Call]:
    """Give a call that reads and writes `work` bytes, and their number."""
    x, y = np.ones((2, max(1, work // 8)), np.float32)
    workers = threads.workers(x.size)
    return 2 * x.nbytes, lambda: machine.negate(x, y, workers)
