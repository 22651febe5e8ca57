"""How long a pass of an algorithm takes, expected of what it does: coefficients fitted to measured times.

    seconds on one thread = steps * a + tiles * b + bytes * c + calls * d

The coefficients of a kind of CPU are data, in `coefficients/KIND.json`: with the CPU, the date and the commit of the
measurement, and the command that repeats it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ...kernels.kinds import KIND
from .algorithm import Cost, Work

Coefficients = dict[str, list[float]]  # of steps, tiles, bytes and the call, by the kernels that do the work

FOLDER = Path(__file__).with_name("coefficients")
_TERMS = "multiply-adds", "beginning and ending tiles", "moving bytes", "the call itself"


def table(kind: str) -> dict[str, Any]:
    """Return the coefficients of a kind and where they come from; of a kind that was not measured, those it names."""
    found: dict[str, Any] = json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))
    return table(found["as"]) if "as" in found else found


COEFFICIENTS: Coefficients = table(KIND.name)["coefficients"]


def counts(work: Work) -> tuple[float, float, float, float]:
    """Return the numbers that the coefficients belong to."""
    return work.steps, work.tiles, work.bytes, 1


def expected(work: Work | None, coefficients: Coefficients = COEFFICIENTS) -> Cost:
    """Return how long a pass takes, and what most of it goes to; never chosen where it does no work, or was not measured."""
    if work is None:
        return Cost(math.inf, "left to another algorithm")
    if work.kernels not in coefficients:
        return Cost(math.inf, f"not measured: {work.kernels}")
    terms = [coefficient * count for coefficient, count in zip(coefficients[work.kernels], counts(work), strict=True)]
    time, largest = sum(terms), max(terms)
    return Cost(time, f"{largest / time:.0%} for {_TERMS[terms.index(largest)]}")
