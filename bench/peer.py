"""fastcnn beside PyTorch in its best mode, on this machine: `python bench/peer.py [layers|steps|inference]`.

Needs `pip install 'fastcnn[bench]'`. Ours and all modes of the peer take turns in one process on as many threads, float32,
after a comparison of the results; the mode with the smallest median is the peer. Ratio: the median over the rounds of the
peer's time by ours, so above 1 fastcnn is faster. Each row is printed when it is done; Ctrl-C ends with what those come to.
`--cpu KIND` holds both sides to a kind of CPU.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from turns import MismatchError, Result, compete

import fastcnn
from fastcnn import benchmark, extras, signals
from fastcnn.doctor import cpu_name
from fastcnn.kernels.jit import threads
from fastcnn.kernels.kinds import HOST, KIND, choose


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
# What holds each side to a kind of CPU: fastcnn, and in PyTorch oneDNN and its own kernels.
KINDS = {
    "avx512": {"FASTCNN_CPU": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "ATEN_CPU_CAPABILITY": "avx512"},
    "avx2": {"FASTCNN_CPU": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "baseline": {"FASTCNN_CPU": "baseline", "ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
}


def main() -> int:
    """Print the tables that are asked for; return 1 where torch is missing or results differ, 130 when interrupted."""
    arguments = _arguments()
    if arguments.cpu and any(os.environ.get(name) != value for name, value in KINDS[arguments.cpu].items()):
        os.environ.update(KINDS[arguments.cpu])  # which are read when the libraries are loaded: begin again
        os.execv(sys.executable, [sys.executable, *sys.argv])
    if importlib.util.find_spec("torch") is None:
        print(f"bench/peer.py compares with PyTorch, which is not installed: {extras.install('bench')}", file=sys.stderr)
        return 1
    peak = _prepare(arguments.threads)
    failures, results = 0, {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(signals.handled(signals.at_once))
        file = stack.enter_context(open(arguments.markdown, "w", encoding="utf-8")) if arguments.markdown else None

        def say(line: str) -> None:
            for stream in filter(None, (sys.stdout, file)):
                print(line, file=stream, flush=True)

        say(_head(peak))
        try:
            for name in [arguments.table] if arguments.table else TABLES:
                results[name] = []
                failures += _run(name, arguments.filter, arguments.seconds, peak, say, results[name])
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
        finally:
            if arguments.json:
                arguments.json.write_text(json.dumps(_record(peak, results), indent=1) + "\n", encoding="utf-8")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=summary.split(":")[0] + ".", epilog=rest)
    parser.add_argument("table", nargs="?", choices=TABLES, help="all without")
    parser.add_argument("--threads", type=int, metavar="N", default=fastcnn.get_num_threads(), help="threads of both sides")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only rows with this in their name")
    parser.add_argument("--seconds", type=float, metavar="S", help="spent on one row, about")
    parser.add_argument("--cpu", choices=KINDS, help="kind of CPU that both sides are held to")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the same there, row by row")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there at the end")
    arguments = parser.parse_args()
    if not 1 <= arguments.threads <= (limit := threads.available()):
        parser.error(f"--threads is {arguments.threads}, expected 1 to {limit}")
    try:
        choose(arguments.cpu, HOST)
    except ValueError as error:
        parser.error(str(error))
    return arguments


def _prepare(count: int) -> float:
    """Set the threads of both sides; return the multiply-add peak of so many."""
    import torch

    fastcnn.set_num_threads(count)
    torch.set_num_threads(count)
    return benchmark.peak()


def _head(peak: float) -> str:
    import torch

    return (f"fastcnn {fastcnn.__version__} and PyTorch {torch.__version__} on {cpu_name()}, {KIND.name}; float32, threads: "
            f"{fastcnn.get_num_threads()}; multiply-adds in registers: {peak / 1e9:.0f} GFLOP/s.")


def _record(peak: float, results: dict[str, list[Result]]) -> dict[str, Any]:
    """Give all figures, with what they were taken on."""
    import torch

    rows = {name: [{"name": result.contest.name, "algorithm": result.contest.kind, "seconds": result.seconds,
                    "work": result.contest.work, "peer": result.peer, "peer_seconds": result.peer_seconds,
                    "ratio": result.ratio} for result in table] for name, table in results.items()}
    return {"fastcnn": fastcnn.__version__, "torch": torch.__version__, "cpu": cpu_name(), "kind": KIND.name,
            "threads": fastcnn.get_num_threads(), "peak": peak, **rows}


def _run(name: str, text: str, seconds: float | None, peak: float, say: Callable[[str], None],
         results: list[Result]) -> int:
    """Time the rows of a table whose name has `text` and say each when it is done; give the number of those that differ.

    The others are added to `results`. Whatever ends the table early, what the rows so far come to is said below them.
    """
    table = TABLES[name]
    failures = 0
    try:
        for contest in getattr(importlib.import_module(table.module), name)(lambda title: text in title):
            try:
                result = compete(contest, table.seconds if seconds is None else seconds)
            except MismatchError as error:
                failures += 1
                print(error, file=sys.stderr, flush=True)
                continue
            if not results:
                say(f"\n### {name.capitalize()}\n\n{_titles(table.unit)}")
            results.append(result)
            say(_line(_cells(result, peak if table.unit == FLOPS else None), table.unit))
    finally:
        if results:
            say("\n" + "\n".join(f"- {line}" for line in (*_totals(results), *_notes(results))))
    if not results and not failures:
        print(f"{name}: no row has {text!r} in its name", file=sys.stderr)
    return failures


def _columns(unit: str) -> dict[str, int]:
    """Give the columns of a table and their widths, those of numbers below 0; algorithms only where flops count."""
    flops = unit == FLOPS
    return {"what": 70, **({"algorithm": 9} if flops else {}), "ms": -9, unit: -8, **({"of peak": -7} if flops else {}),
            "best peer": 24, "peer ms": -9, f"peer {unit}": -13, "ratio": -5, "": 6}


def _titles(unit: str) -> str:
    """Give the first two lines of a table that is readable as it is and in Markdown."""
    columns = _columns(unit)
    ruler = ["-" * (abs(width) - 1) + (":" if width < 0 else "-") for width in columns.values()]
    return f"{_line(list(columns), unit)}\n{_line(ruler, unit)}"


def _line(cells: list[str], unit: str) -> str:
    aligned = (cell.rjust(-width) if width < 0 else cell.ljust(width)
               for cell, width in zip(cells, _columns(unit).values(), strict=True))
    return f"| {' | '.join(aligned)} |"


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
