"""Fit the cost model of convolution to measured times, and write its coefficients: `python bench/fit.py FILE...`.

    fastcnn bench --choices --threads 1 --json > known.jsonl
    fastcnn bench --choices --threads 1 --json $(python bench/fit.py --draw 100) > drawn.jsonl
    python bench/fit.py known.jsonl drawn.jsonl

Each coefficient is positive or zero, and the sum of squares of relative errors is the least. Times on several threads count
as so many times as long. The coefficients of the measured kind of CPU go to the folder that the choice reads, with the mean
lag of the choices behind the fastest before and after.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastcnn.functional import conv
from fastcnn.functional.conv import cost_model, problem
from fastcnn.functional.conv.algorithm import Work
from fastcnn.kernels.kinds import KIND
from fastcnn.training import writing

Record = dict[str, Any]
_NEAR = 3.0  # algorithms that take longer than so many times the fastest are never close to being chosen: not fitted
_LATE = 1.4  # a measurement that took so many times as long as expected was disturbed
_ROUNDS = 5  # of fitting and of leaving such measurements out

Sample = tuple[Work, float]  # and its seconds, times threads


def samples(records: Iterable[Record]) -> dict[str, list[Sample]]:
    """Return what the lines of `fastcnn bench --choices --json` say of each group of kernels."""
    found = defaultdict(list)
    for record in records:
        window = problem.parse(record["shape"]).window("fit")
        for name, seconds in record["seconds"].items():
            work = conv.work(name, window, record["pass"])
            if work is not None and seconds < _NEAR * min(record["seconds"].values()):
                found[work.kernels].append((work, seconds * record["threads"]))
    return found


def fitted(found: dict[str, list[Sample]]) -> cost_model.Coefficients:
    """Return the coefficients of each group of kernels; that of the call is the least time of any."""
    call = min(seconds for group in found.values() for _, seconds in group)
    result = {cost_model.CALL: [_short(call)]}
    for kernels, group in sorted(found.items()):
        seconds = np.array([seconds for _, seconds in group])
        rows = np.array([cost_model.counts(work) for work, _ in group], float) / seconds[:, None]
        result[kernels] = [_short(number) for number in undisturbed(rows, 1 - call / seconds)]
    return result


def _short(number: float) -> float:
    return float(f"{number:.4g}")


def undisturbed(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the numbers of `least_squares` without the rows far below their targets, which something disturbed."""
    kept = np.ones(len(rows), bool)
    for _ in range(_ROUNDS):
        numbers = least_squares(rows[kept], targets[kept])
        kept = (rows @ numbers + 1 - targets) * _LATE > 1
    return numbers


def least_squares(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the numbers, none negative, for which rows @ numbers is nearest to targets: the best choice of columns."""
    best, least = np.zeros(rows.shape[1]), float((targets**2).sum())
    for count in range(1, rows.shape[1] + 1):
        for columns in itertools.combinations(range(rows.shape[1]), count):
            part = rows[:, columns]
            numbers = np.linalg.lstsq(part, targets, rcond=None)[0]
            error = float(((part @ numbers - targets) ** 2).sum())
            if (numbers >= 0).all() and error < least:
                best, least = np.zeros(rows.shape[1]), error
                best[list(columns)] = numbers
    return best


def lags(records: Iterable[Record], coefficients: cost_model.Coefficients) -> Iterator[float]:
    """Give the time of what the coefficients choose by that of the fastest, for each pass of a convolution."""
    for record in records:
        window, seconds = problem.parse(record["shape"]).window("fit"), record["seconds"]
        yield seconds[conv.cheapest(window, record["pass"], coefficients)] / min(seconds.values())


def drawn(count: int) -> Iterator[str]:
    """Give convolutions that are small, and near to where one algorithm overtakes another."""
    draw = random.Random(0).choice
    for _ in range(count):
        size, stride, (R, C, K) = draw((4, 6, 7, 8, 12, 14, 16, 20, 28, 32, 48, 64)), draw((1, 1, 1, 2)), draw((
            (draw((1, 3, 5, 7)), draw((1, 1, 2, 3, 4, 6, 8, 12, 16)), draw((1, 3, 4, 6, 8, 10, 12, 16, 24, 32))),
            (draw((3, 3, 5)), draw((8, 12, 16, 20, 24, 32, 64, 128)), draw((8, 12, 16, 24, 32, 64, 128))),
            (3, draw((1, 3, 4, 8, 16, 32)), 0)))
        images = max(1, min(64, draw((1024, 4096, 16384)) // size**2))
        groups = f"groups{C}" if K == 0 and C > 1 else ""
        yield f"n{images}h{size}w{size}c{C}k{K or C}r{R}s{R}stride{stride}pad{R // 2}{groups}"


def records_of(paths: Iterable[Path]) -> list[Record]:
    """Return the lines of files; ValueError: they are of another kind of CPU than this process is held to."""
    found = [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    kinds = {record["kind"] for record in found}
    if kinds != {KIND.name}:
        raise ValueError(f"times are of {', '.join(sorted(kinds)) or 'no kind of CPU'}, expected {KIND.name} (FASTCNN_CPU)")
    return found


def main() -> int:
    """Print convolutions to measure, or fit what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="what fastcnn bench --choices --json printed")
    parser.add_argument("--draw", type=int, metavar="N", help="print N convolutions, and fit nothing")
    arguments = parser.parse_args()
    if arguments.draw or not arguments.files:
        print("\n".join(drawn(arguments.draw or 100)))
        return 0
    records = records_of(arguments.files)
    coefficients = fitted(samples(records))
    before, after = (statistics.fmean(lags(records, used)) for used in (cost_model.COEFFICIENTS, coefficients))
    latest = max(records, key=lambda record: record["date"])
    table = {"kind": KIND.name, **{name: latest[name] for name in ("cpu", "date", "commit")},
             "command": "python bench/fit.py", "samples": len(records), "mean_lag": round(after, 4),
             "coefficients": coefficients}
    target = cost_model.FOLDER / f"{KIND.name}.json"
    writing.write_atomically(target, f"{json.dumps(table, indent=1)}\n".encode())
    print(f"{target}: mean lag {before:.3f} before, {after:.3f} after, {len(records)} passes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
