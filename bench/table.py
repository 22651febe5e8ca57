"""Tables whose lines are printed one by one, readable as they are and in Markdown, and what the rows come to."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from turns import Peer, Result

FLOPS = "GFLOP/s"


@dataclass(frozen=True)
class Table:
    """Titles of the columns with their widths, those of numbers below 0."""

    columns: dict[str, int]

    def head(self) -> str:
        """Return the titles and the line below them."""
        ruler = ["-" * (abs(width) - 1) + (":" if width < 0 else "-") for width in self.columns.values()]
        return f"{self.line(list(self.columns))}\n{self.line(ruler)}"

    def line(self, cells: Sequence[str]) -> str:
        """Return a line of the table."""
        aligned = (cell.rjust(-width) if width < 0 else cell.ljust(width)
                   for cell, width in zip(cells, self.columns.values(), strict=True))
        return f"| {' | '.join(aligned)} |"


def rate(per_second: float, unit: str) -> str:
    """Return a rate of operations or images as a number of `unit`."""
    return f"{per_second / (1e9 if unit == FLOPS else 1):.0f}"


def beside_peers(unit: str) -> Table:
    """Return the table of results; algorithms only where single operations are timed."""
    return Table({"what": 70, **({"algorithm": 12} if unit == FLOPS else {}), "ms": -9, unit: -8, "of peak": -7,
                  "peer": 32, "peer ms": -9, f"peer {unit}": -13, "peer of peak": -12, "ratio": -5, "": 6})


def lines(result: Result, unit: str) -> Iterator[str]:
    """Give the lines of a result: the fastest peer stands beside our figures, other libraries below it."""
    table, contest = beside_peers(unit), result.contest
    ours = [contest.name, *([contest.kind] if unit == FLOPS else []), *_figures(result, result.seconds, unit)]
    for number, peer in enumerate(result.best()):
        yield table.line([*([""] * len(ours) if number else ours), peer.name, *_figures(result, peer.seconds, unit),
                          f"{peer.ratio:.2f}", "behind" if peer.ratio < 1 else ""])


def _figures(result: Result, seconds: float, unit: str) -> list[str]:
    return [f"{1e3 * seconds:.3f}", rate(result.rate(seconds), unit), f"{result.share(seconds):.0%}"]


def totals(results: Sequence[Result]) -> Iterator[str]:
    """Give what the ratios to the fastest peer come to, and those to each library where there are several."""
    yield mean("ratios to the fastest peer", [result.ratio for result in results])
    if wide := [result.ratio for result in results if result.contest.is_wide]:
        yield mean("of these with 3x3 filters, stride 1 and 64 channels or more", wide)
    yield f"behind: {sum(result.ratio < 1 for result in results)}"
    peers = [peer for result in results for peer in result.best()]
    libraries = dict.fromkeys(peer.library for peer in peers)
    if len(libraries) > 1:
        yield from (mean(f"ratios to {name}", _of(peers, name)) for name in libraries)


def _of(peers: Iterable[Peer], library: str) -> list[float]:
    return [peer.ratio for peer in peers if peer.library == library]


def mean(what: str, ratios: Sequence[float]) -> str:
    """Return the sentence on some ratios."""
    return f"geometric mean of {len(ratios)} {what}: {statistics.geometric_mean(ratios):.2f}"


def notes(results: Iterable[Result]) -> list[str]:
    """Return the notes of all contests, each once."""
    return list(dict.fromkeys(note for result in results for note in result.contest.notes))
