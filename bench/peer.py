"""fastcnn beside PyTorch in its best mode, on this machine: `python bench/peer.py [layers|steps|inference]`.

Needs `pip install 'fastcnn[bench]'`. Ours and all modes of the peer take turns in one process on as many threads, float32,
after a comparison of the results; the mode with the smallest median is the peer. Ratio: the median over the rounds of the
peer's time by ours, so above 1 fastcnn is faster.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from turns import MismatchError, Result, compete

import fastcnn
from fastcnn import benchmark, extras
from fastcnn.kernels import threads
from fastcnn.training.writing import write_atomically


class Table(NamedTuple):
    """Where the contests of a table come from, what its rates count, and how long a row takes unless told."""

    module: str
    unit: str
    seconds: float


FLOPS = "GFLOP/s"
TABLES = {
    "layers": Table("layers", FLOPS, 1.0),
    "steps": Table("networks", "images/s", 8.0),
    "inference": Table("networks", "images/s", 3.0),
}


def main() -> int:
    """Print the tables that are asked for; return 1 where torch is missing or results differ."""
    arguments = _arguments()
    if importlib.util.find_spec("torch") is None:
        print(f"bench/peer.py compares with PyTorch, which is not installed: {extras.install('bench')}", file=sys.stderr)
        return 1
    peak = _prepare(arguments.threads)
    paragraphs, failures = [_head(peak)], 0
    for name in [arguments.table] if arguments.table else TABLES:
        results, failed = _run(name, arguments.filter, arguments.seconds)
        paragraphs += _report(name, results, peak)
        failures += failed
    text = "\n\n".join(paragraphs)
    print(text)
    if arguments.markdown:
        write_atomically(arguments.markdown, f"{text}\n".encode())
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=summary.split(":")[0] + ".", epilog=rest)
    parser.add_argument("table", nargs="?", choices=TABLES, help="all without")
    parser.add_argument("--threads", type=int, metavar="N", default=fastcnn.get_num_threads(), help="threads of both sides")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only rows with this in their name")
    parser.add_argument("--seconds", type=float, metavar="S", help="spent on one row, about")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the same there")
    arguments = parser.parse_args()
    if not 1 <= arguments.threads <= (limit := threads.available()):
        parser.error(f"--threads is {arguments.threads}, expected 1 to {limit}")
    return arguments


def _prepare(count: int) -> float:
    """Set the threads of both sides; return the multiply-add peak of so many."""
    import torch

    fastcnn.set_num_threads(count)
    torch.set_num_threads(count)
    return benchmark.peak()


def _head(peak: float) -> str:
    import torch

    return (f"fastcnn {fastcnn.__version__} and PyTorch {torch.__version__}, float32, threads: "
            f"{fastcnn.get_num_threads()}; multiply-adds in registers: {peak / 1e9:.0f} GFLOP/s.")


def _run(name: str, text: str, seconds: float | None) -> tuple[list[Result], int]:
    """Time the rows of a table whose name has `text`; give the results and the number of those that differ."""
    results, failures = [], 0
    for contest in getattr(importlib.import_module(TABLES[name].module), name)(lambda title: text in title):
        try:
            results.append(compete(contest, TABLES[name].seconds if seconds is None else seconds))
            print(f"{results[-1].ratio:6.2f}  {contest.name}", file=sys.stderr, flush=True)
        except MismatchError as error:
            failures += 1
            print(error, file=sys.stderr, flush=True)
    if not results and not failures:
        print(f"{name}: no row has {text!r} in its name", file=sys.stderr)
    return results, failures


def _report(name: str, results: list[Result], peak: float) -> Iterator[str]:
    """Give the paragraphs about a table: title, rows, what they come to, and notes."""
    if results:
        yield f"### {name.capitalize()}"
        yield _table(TABLES[name].unit, results, peak)
        yield "\n".join(f"- {line}" for line in (*_totals(results), *_notes(results)))


def _table(unit: str, results: list[Result], peak: float) -> str:
    """Give a table that is readable as it is and in Markdown; shares of the peak and algorithms only where flops count."""
    flops = unit == FLOPS
    head = ["what", *(["algorithm"] if flops else []), "ms", unit, *(["of peak"] if flops else []),
            "best peer", "ms", unit, "ratio", ""]
    rows = [_cells(result, peak if flops else None) for result in results]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    right = [cell in ("ms", unit, "of peak", "ratio") for cell in head]
    ruler = ["-" * (width - 1) + (":" if number else "-") for width, number in zip(widths, right, strict=True)]
    return "\n".join(
        "| " + " | ".join(cell.rjust(width) if number else cell.ljust(width)
                          for cell, width, number in zip(row, widths, right, strict=True)) + " |"
        for row in (head, ruler, *rows))


def _cells(result: Result, peak: float | None) -> list[str]:
    scale = 1.0 if peak is None else 1e9
    return [result.contest.name, *([] if peak is None else [result.contest.kind]),
            f"{1e3 * result.seconds:.3f}", f"{result.rate / scale:.0f}",
            *([] if peak is None else [f"{result.rate / peak:.0%}"]),
            result.peer, f"{1e3 * result.peer_seconds:.3f}", f"{result.peer_rate / scale:.0f}",
            f"{result.ratio:.2f}", "behind" if result.ratio < 1 else ""]


def _totals(results: list[Result]) -> Iterator[str]:
    ratios = [result.ratio for result in results]
    yield f"geometric mean of {len(ratios)} ratios: {statistics.geometric_mean(ratios):.2f}"
    wide = [result.ratio for result in results if result.contest.is_wide]
    if wide:
        yield (f"of the {len(wide)} with 3x3 filters, stride 1 and 64 channels or more: "
               f"{statistics.geometric_mean(wide):.2f}")
    yield f"behind: {sum(ratio < 1 for ratio in ratios)}"


def _notes(results: list[Result]) -> list[str]:
    return list(dict.fromkeys(note for result in results for note in result.contest.notes))


if __name__ == "__main__":
    sys.exit(main())
