"""Calls that take turns in one process, so that whatever else the machine does meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastcnn.benchmark import timed

Call = Callable[[], Any]
SAMPLE = 1e-2  # shortest time that is measured, in seconds; faster calls are repeated within it
PAUSE = 3e-2  # before each sample: the threads of the one before may go on looking for work for milliseconds
LEAST = 5  # rounds
TOLERANCE = 2e-4  # largest error in units of the largest value


class MismatchError(Exception):
    """Two results that should be the same are not."""


@dataclass(frozen=True)
class Contest:
    """One of our calls and the peer's ways to do the same; `view` brings the peer's results into our form."""

    name: str
    ours: Call
    peers: dict[str, Call]
    work: float  # of one call: operations, or images
    view: Callable[[Any], np.ndarray]
    kind: str = ""  # our algorithm
    is_wide: bool = False  # 3x3, stride 1, many channels
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """Median seconds of a call, ours and the best peer's, and the median over the rounds of the peer's by ours."""

    contest: Contest
    seconds: float
    peer: str
    peer_seconds: float
    ratio: float

    @property
    def rate(self) -> float:
        """Work in a second, ours."""
        return self.contest.work / self.seconds

    @property
    def peer_rate(self) -> float:
        """Work in a second, the peer's."""
        return self.contest.work / self.peer_seconds


def compete(contest: Contest, seconds: float) -> Result:
    """Compare the results, which also warms up, then time all calls for about `seconds`; MismatchError: they differ."""
    _compare(contest)
    times = _in_turns([contest.ours, *contest.peers.values()], seconds)
    medians = np.median(times, axis=0)
    best = int(np.argmin(medians[1:])) + 1
    ratio = float(np.median(times[:, best] / times[:, 0]))
    return Result(contest, float(medians[0]), list(contest.peers)[best - 1], float(medians[best]), ratio)


def _compare(contest: Contest) -> None:
    ours = np.array(contest.ours())
    for peer, call in contest.peers.items():
        theirs = contest.view(call())
        if theirs.shape != ours.shape:
            raise MismatchError(f"{contest.name}: our shape is {ours.shape}, that of {peer} is {theirs.shape}")
        error = np.abs(ours - theirs).max() / np.abs(theirs).max()
        if not error <= TOLERANCE:
            raise MismatchError(f"{contest.name}: ours and {peer} differ by {error:.1e} of the largest value")


def _in_turns(calls: list[Call], seconds: float) -> np.ndarray:
    """Give the seconds of a call: one row for each round, one column for each call."""
    counts = [max(1, int(SAMPLE / min(timed(call), timed(call)))) for call in calls]
    rounds: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < LEAST or time.perf_counter() < end:
        rounds.append([_sample(call, count) for call, count in zip(calls, counts, strict=True)])
    return np.array(rounds)


def _sample(call: Call, count: int) -> float:
    """Give the time of one call after a pause and an untimed call, which wakes threads and caches.

    A thread that sleeps may come milliseconds late to a call of ten (measured, on a virtual machine).
    """
    time.sleep(PAUSE)
    call()
    return timed(call, count)
