"""The working tree beside another commit: each in processes of its own, which time the same row in turns."""

from __future__ import annotations

import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import record
from rows import ROWS
from table import Table, mean
from turns import TOLERANCE, count_for, sample, timed

import fastcnn
from fastcnn.kernels.kinds import HOST, KIND
from fastcnn.runtime.ceiling import multiplying

LEAST = 3  # rounds of each pair of processes
PAIRS = 3  # of processes: where its arrays lie alone can make a row a third faster or slower in one of them
WORKER = Path(__file__).with_name("worker.py")
TABLE = Table({"what": 70, "old ms": -9, "old of peak": -11, "new ms": -9, "new of peak": -11, "ratio": -5, "pairs": 12,
               "": 6})


class WorkerError(Exception):
    """A process cannot do what it was asked for; the message says why in one line."""


class Process:
    """A worker that times rows with the fastcnn of one folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), str(folder), str(fastcnn.get_num_threads())], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, encoding="utf-8", env=os.environ | {"PYTHONPATH": _path(folder)},
            start_new_session=True)  # Ctrl-C is for this process, which ends the others
        self.kind: str = ""

    def load(self) -> None:
        """Wait for the import; WorkerError: this failed, or is held to another kind of CPU."""
        self.kind = self._answer()["kind"]

    def open(self, table: str, title: str) -> dict[str, Any]:
        """Make the call of a row."""
        return self._ask({"open": [table, title]})

    def time(self, count: int) -> float:
        """Return the seconds of a call of the row that is open."""
        return self._ask({"time": count})["seconds"]

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        answer = json.loads(line) if line else {"error": "the process has ended"}
        if "error" in answer:
            raise WorkerError(f"{self.name}: {answer['error']}")
        return answer


def _path(folder: Path) -> str:
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))


@dataclass(frozen=True)
class Pair:
    """A process of the other commit and one of the working tree."""

    old: Process
    new: Process


@dataclass(frozen=True)
class Comparison:
    """Seconds of a call in each round of each pair of processes: old, new, and what multiplies at the peak's rate."""

    row: Any
    rounds: list[list[tuple[float, float, float]]]
    operations: int  # of what multiplies
    note: str = ""

    def median(self, column: int) -> float:
        """Return the median over all rounds of old (0), new (1) or the peak's (2) seconds."""
        return statistics.median(times[column] for times in self._all())

    @property
    def ratio(self) -> float:
        """Median over all rounds of old by new: above 1 the working tree is faster."""
        return statistics.median(old / new for old, new, _ in self._all())

    @property
    def ratios(self) -> list[float]:
        """The same of each pair of processes."""
        return [statistics.median(old / new for old, new, _ in rounds) for rounds in self.rounds]

    @property
    def peak(self) -> float:
        """Operations in a second at the peak."""
        return self.operations / self.median(2)

    def _all(self) -> list[tuple[float, float, float]]:
        return [times for rounds in self.rounds for times in rounds]

    def line(self) -> str:
        """Return the line of the table."""
        figures = [(1e3 * seconds, self.row.flops / seconds / self.peak) for seconds in (self.median(0), self.median(1))]
        least, most = min(self.ratios), max(self.ratios)
        return TABLE.line([self.row.title, *(text for ms, share in figures for text in (f"{ms:.3f}", f"{share:.0%}")),
                           f"{self.ratio:.2f}", f"{least:.2f} to {most:.2f}", "slower" if most < 1 else ""])

    def as_dict(self) -> dict[str, Any]:
        """Return all figures."""
        return {"name": self.row.title, "work": self.row.work, "flops": self.row.flops, "old_seconds": self.median(0),
                "seconds": self.median(1), "ratio": self.ratio, "ratios": self.ratios, "peak": self.peak,
                "rounds": self.rounds, "note": self.note}


def resolve(name: str) -> str:
    """Return the full name of a commit; ValueError: git does not know it."""
    try:
        return record.git("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").decode().strip()
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise ValueError(f"--against is {name!r}, expected a commit that git knows here: {reason}") from None
    except OSError as error:
        raise ValueError(f"--against needs git: {error}") from None


@contextlib.contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Give a temporary folder with the files of a commit."""
    with tempfile.TemporaryDirectory(prefix="fastcnn-against-") as folder:
        with tarfile.open(fileobj=io.BytesIO(record.git("archive", "--format=tar", commit))) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder)


@contextlib.contextmanager
def pairs(commit: str, count: int) -> Iterator[list[Pair]]:
    """Give pairs of processes; WorkerError: fastcnn cannot be imported, or the two are not held to one kind of CPU."""
    with contextlib.ExitStack() as stack:
        trees = {"the working tree": record.HOUSE, commit[:10]: stack.enter_context(checked_out(commit))}

        def start(name: str) -> Process:
            stack.callback((process := Process(name, trees[name])).close)
            process.load()
            return process

        new, old = trees
        made = [Pair(start(old), start(new)) for _ in range(count)]
        kind = made[0].old.kind
        if kind != KIND.name and not (kind == "unknown" and KIND is HOST):
            raise WorkerError(f"{old}: its kernels are for the CPU kind {kind}, expected {KIND.name}, that of {new}")
        yield made


def compare(row: Any, table: str, processes: list[Pair], seconds: float) -> Comparison:
    """Time a row for about `seconds`; WorkerError: one of the two cannot."""
    operations, multiply = multiplying()
    count = count_for(timed(multiply))
    rounds, note = [], ""
    for pair in processes:
        opened = [process.open(table, row.title) for process in (pair.old, pair.new)]
        note = note or _difference(row.title, *opened)
        calls = min(answer["count"] for answer in opened)
        rounds.append(_in_turns(pair, calls, partial(sample, multiply, count), seconds / len(processes)))
    return Comparison(row, rounds, operations, note)


def _in_turns(pair: Pair, count: int, peak: Callable[[], float], seconds: float) -> list[tuple[float, float, float]]:
    """Give the seconds of a call, old, new and the peak's; who comes first changes from round to round."""
    rounds: list[tuple[float, float, float]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < LEAST or time.perf_counter() < end:
        order = (pair.old, pair.new) if len(rounds) % 2 else (pair.new, pair.old)
        times = {process: process.time(count) for process in order}
        rounds.append((times[pair.old], times[pair.new], peak()))
    return rounds


def _difference(title: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    """Say where results are not the same, as far as their shapes and norms tell."""
    if old["shape"] == new["shape"] and abs(old["norm"] - new["norm"]) <= TOLERANCE * abs(old["norm"]):
        return ""
    return f"results differ, {title}: shape {old['shape']} and norm {old['norm']:g} now {new['shape']} and {new['norm']:g}"


def run(name: str, wanted: Callable[[str], bool], processes: list[Pair], seconds: float, say: Callable[[str], None],
        results: list[Comparison]) -> None:
    """Time the wanted rows of a table and say each when it is done; they are added to `results`."""
    try:
        for row in filter(lambda row: wanted(row.title), ROWS[name]):
            try:
                result = compare(row, name, processes, seconds)
            except WorkerError as error:
                print(f"{row.title} is left out: {error}", file=sys.stderr, flush=True)
                continue
            if not results:
                say(f"\n### {name.capitalize()}\n\n{TABLE.head()}")
            results.append(result)
            say(result.line())
    finally:
        if results:
            ratios = [result.ratio for result in results]
            notes = [result.note for result in results if result.note]
            say("\n" + "\n".join(f"- {line}" for line in (mean("ratios", ratios), *notes)))
