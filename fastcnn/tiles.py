"""Speed of every tile that fits the registers of this kind of CPU: what `fastcnn bench tiles` prints.

Each is measured on one thread, on numbers that stay in the nearest cache; `kernels/kinds.py` has a table of the fastest.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tqdm import tqdm

from .benchmark import timed
from .kernels.kinds import KIND, Kind
from .runtime.ceiling import on_tile
from .tables import Table

_ROUNDS = 20  # of all tiles in turns, of which the fastest counts


class Speed(NamedTuple):
    """Operations in a second on a tile, and as a share of the fastest."""

    vectors: int
    rows: int
    rate: float
    share: float

    @property
    def used(self) -> bool:
        """Whether the table of the kind has this tile."""
        return KIND.rows.get(self.vectors) == self.rows

    def as_dict(self) -> dict[str, Any]:
        """Return what was measured as numbers."""
        return {**self._asdict(), "used": self.used, "unit": "FLOP/s"}


def fitting(kind: Kind) -> list[tuple[int, int]]:
    """Return vectors and rows of every tile that fits the registers of a kind."""
    sizes = range(1, kind.registers)
    return [(vectors, rows) for vectors in sizes for rows in sizes if kind.holds(vectors, rows)]


def measure(tiles: list[tuple[int, int]], quiet: bool = False) -> list[Speed]:
    """Time the tiles in turns; the first call of each compiles it."""
    calls = [on_tile(vectors, rows, 1) for vectors, rows in tiles]
    least = [float("inf")] * len(calls)
    for _ in tqdm(range(_ROUNDS), "rounds of all tiles", disable=quiet or None, leave=False):
        least = [min(before, timed(call)) for before, (_, call) in zip(least, calls, strict=True)]
    rates = [work / seconds for (work, _), seconds in zip(calls, least, strict=True)]
    return [Speed(vectors, rows, rate, rate / max(rates)) for (vectors, rows), rate in zip(tiles, rates, strict=True)]


def table(speeds: list[Speed]) -> Table:
    """Return the tiles as a table."""
    cells = [(str(one.vectors), str(one.rows), f"{one.rate / 1e9:.1f}", f"{one.share:.0%}", "yes" * one.used)
             for one in speeds]
    return Table(("vectors", "rows", "GFLOP/s", "of best", "in the table"), cells, right=range(4))
