"""How long a pass of an algorithm takes, expected of what it does: coefficients fitted to measured times.

    seconds on one thread = steps * a + tiles * b + bytes * c + d

where a, b and c belong to the kernels that do the work, and d, the call itself, is the same for all.

The coefficients of a kind of CPU are data, in `coefficients/KIND.json`: with the CPU, the date and the commit of the
measurement, and the command that repeats it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ...kernels.kinds import KIND, KINDS
from .algorithm import Cost, Work

Coefficients = dict[str, list[float]]  # of steps, tiles and bytes, by the kernels that do the work; and of CALL

FOLDER = Path(__file__).with_name("coefficients")
CALL = "call"
_TERMS = "multiply-adds", "beginning and ending tiles", "moving bytes", "the call itself"


def table(kind: str) -> dict[str, Any]:
    """Return the coefficients of a kind and where they come from.

    A kind that was not measured names another: its vectors are taken to be as fast as those of the other, whatever their
    length, so that a byte takes less time where more of them are in a vector.
    """
    found: dict[str, Any] = json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))
    if "as" not in found:
        return found
    other = table(found["as"])
    shorter = KINDS[other["kind"]].vector_bytes / KINDS[kind].vector_bytes
    scaled = {name: numbers if name == CALL else [*numbers[:-1], numbers[-1] * shorter]
              for name, numbers in other["coefficients"].items()}
    return {**other, **found, "coefficients": scaled}


COEFFICIENTS: Coefficients = table(KIND.name)["coefficients"]


def counts(work: Work) -> tuple[float, float, float]:
    """Return the numbers that the coefficients belong to."""
    return work.steps, work.tiles, work.bytes


def expected(work: Work | None, coefficients: Coefficients = COEFFICIENTS) -> Cost:
    """Return how long a pass takes, and what most of it goes to; never chosen where it does no work, or was not measured."""
    if work is None:
        return Cost(math.inf, "left to another algorithm")
    if work.kernels not in coefficients:
        return Cost(math.inf, f"not measured: {work.kernels}")
    terms = [coefficient * count for coefficient, count in zip(coefficients[work.kernels], counts(work), strict=True)]
    terms += coefficients[CALL]
    time, largest = sum(terms), max(terms)
    return Cost(time, f"{largest / time:.0%} for {_TERMS[terms.index(largest)]}")
