"""Calls that take turns in one process, so that whatever else the machine does meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Call = Callable[[], Any]
SAMPLE = 1e-2  # shortest time that is measured, in seconds; faster calls are repeated within it
PAUSE = 3e-2  # before each sample: the threads of the one before may go on looking for work for milliseconds,
WAKE = 8e-3  # and those of this one may come as late
LEAST = 5  # rounds
TOLERANCE = 2e-4  # largest error in units of the largest value


class MismatchError(Exception):
    """Two results that should be the same are not."""


@dataclass(frozen=True)
class Contest:
    """One of our calls and the peers' ways to do the same; `view` brings the peers' results into our form."""

    name: str
    ours: Call
    peers: dict[str, Call]  # by library and, after a comma, mode
    work: float  # of one call: operations, or images
    flops: float  # operations of one call that does its multiply-adds directly
    view: Callable[[Any], np.ndarray]
    kind: str = ""  # our algorithm
    is_wide: bool = False  # 3x3, stride 1, many channels
    notes: tuple[str, ...] = ()


class Peer(NamedTuple):
    """A peer's way: median seconds of a call, and the median over the rounds of these by ours."""

    name: str
    seconds: float
    ratio: float

    @property
    def library(self) -> str:
        """Its name without the mode."""
        return self.name.partition(",")[0]


@dataclass(frozen=True)
class Result:
    """Median seconds of our call, all peers' ways, and the multiply-add peak that was measured in the same rounds."""

    contest: Contest
    seconds: float
    peers: tuple[Peer, ...]
    peak: float  # operations in a second

    def best(self) -> list[Peer]:
        """Return the fastest way of each library, the fastest of all first."""
        found: dict[str, Peer] = {}
        for peer in sorted(self.peers, key=lambda peer: peer.seconds):
            found.setdefault(peer.library, peer)
        return list(found.values())

    @property
    def ratio(self) -> float:
        """That of the fastest peer."""
        return self.best()[0].ratio

    def rate(self, seconds: float) -> float:
        """Work in a second of who takes `seconds` for a call."""
        return self.contest.work / seconds

    def share(self, seconds: float) -> float:
        """Share of the peak that a call of `seconds` reaches, were its multiply-adds done directly."""
        return self.contest.flops / seconds / self.peak


def compete(contest: Contest, seconds: float, multiplying: tuple[int, Call]) -> Result:
    """Compare the results, which also warms up, then time all calls for about `seconds`; MismatchError: they differ.

    `multiplying` is a call that reaches the peak, and its operations.
    """
    _compare(contest)
    operations, multiply = multiplying
    times = in_turns([contest.ours, multiply, *contest.peers.values()], seconds)
    ours, peak, *others = np.median(times, axis=0).tolist()
    ratios = np.median(times[:, 2:] / times[:, :1], axis=0).tolist()
    peers = tuple(Peer(*values) for values in zip(contest.peers, others, ratios, strict=True))
    return Result(contest, ours, peers, operations / peak)


def _compare(contest: Contest) -> None:
    ours = np.array(contest.ours())
    for peer, call in contest.peers.items():
        theirs = contest.view(call())
        if theirs.shape != ours.shape:
            raise MismatchError(f"{contest.name}: our shape is {ours.shape}, that of {peer} is {theirs.shape}")
        error = np.abs(ours - theirs).max() / np.abs(theirs).max()
        if not error <= TOLERANCE:
            raise MismatchError(f"{contest.name}: ours and {peer} differ by {error:.1e} of the largest value")


def in_turns(calls: list[Call], seconds: float) -> np.ndarray:
    """Give the seconds of a call: one row for each round, one column for each call."""
    counts = [count_for(min(timed(call), timed(call))) for call in calls]
    rounds: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < LEAST or time.perf_counter() < end:
        rounds.append([sample(call, count) for call, count in zip(calls, counts, strict=True)])
    return np.array(rounds)


def count_for(seconds: float) -> int:
    """Return how many calls of `seconds` make a sample."""
    return max(1, int(SAMPLE / seconds))


def sample(call: Call, count: int) -> float:
    """Give the time of one call after a pause and some untimed calls, which wake threads and caches.

    A thread that sleeps may come milliseconds late (measured, on a virtual machine: a processor that nobody used is taken
    for busy). A library whose calls wait for all threads spends that time in its first call, one whose threads take what
    is left, in the first few.
    """
    time.sleep(PAUSE)
    end = time.perf_counter() + WAKE
    call()
    while time.perf_counter() < end:
        call()
    return timed(call, count)


def timed(call: Call, count: int = 1) -> float:
    """Give the time of one of `count` calls, in seconds; of all commits alike, so it does not come from their code."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def first_line(error: Exception) -> str:
    """Return the first line of a message, or what kind of error it is."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
