"""fastcnn beside other libraries in their best modes, on this machine: `python bench/peer.py [layers|steps|inference]`.

Needs `pip install 'fastcnn[bench]'`. The peer of layers and steps is PyTorch; of inference also ONNX Runtime, OpenVINO and
ncnn, those that are installed. Ours and all modes of the peers take turns in one process on as many threads, float32, after
a comparison of the results; of each library the mode with the smallest median counts. Ratio: the median over the rounds of
the peer's time by ours, so above 1 fastcnn is faster. Of peak: the operations of a direct computation by the time and by the
multiply-add peak of the threads in use, which takes its turn like a peer; Winograd convolution, which does fewer, may come
above 100 %. Each row is printed when it is done; Ctrl-C ends with what those come to. `--cpu KIND` holds all sides to a kind
of CPU, as far as they can be.

`--against COMMIT` compares with another commit of fastcnn in place of other libraries. Pairs of processes, one for each
side, take turns; the ratio is the median over all rounds of the old time by the new, and "pairs" its range over the pairs of
processes.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import against
import record
from table import FLOPS, beside_peers, lines, notes, totals
from turns import MismatchError, Result, compete

import fastcnn
from fastcnn import benchmark, extras, signals
from fastcnn.kernels.jit import threads
from fastcnn.kernels.kinds import HOST, KIND, choose
from fastcnn.runtime.ceiling import multiplying

Say = Callable[[str], None]


class Source(NamedTuple):
    """Where the contests of a table come from, what its rates count, and how long a row takes unless told."""

    module: str
    unit: str
    seconds: float


TABLES = {
    "layers": Source("layers", FLOPS, 1.0),
    "steps": Source("networks", "images/s", 8.0),
    "inference": Source("networks", "images/s", 3.0),
}
# What holds each side to a kind of CPU: fastcnn, oneDNN in PyTorch and OpenVINO, and PyTorch's own kernels.
KINDS = {
    "avx512": {"FASTCNN_CPU": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "ATEN_CPU_CAPABILITY": "avx512"},
    "avx2": {"FASTCNN_CPU": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "baseline": {"FASTCNN_CPU": "baseline", "ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
}


def main() -> int:
    """Print the tables that are asked for; return 1 where one cannot be made or results differ, 130 when interrupted."""
    arguments = _arguments()
    if arguments.cpu and any(os.environ.get(name) != value for name, value in KINDS[arguments.cpu].items()):
        os.environ.update(KINDS[arguments.cpu])  # which are read when the libraries are loaded: begin again
        os.execv(sys.executable, [sys.executable, *sys.argv])
    if not arguments.against and importlib.util.find_spec("torch") is None:
        print(f"bench/peer.py compares with PyTorch, which is not installed: {extras.install('bench')}", file=sys.stderr)
        return 1
    fastcnn.set_num_threads(arguments.threads)
    figures: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(signals.handled(signals.at_once))
        file = stack.enter_context(open(arguments.markdown, "w", encoding="utf-8")) if arguments.markdown else None

        def say(line: str) -> None:
            for stream in filter(None, (sys.stdout, file)):
                print(line, file=stream, flush=True)

        try:
            return (_against if arguments.against else _beside)(arguments, say, figures)
        except against.WorkerError as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
        finally:
            if arguments.json:
                arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=summary.split(":")[0] + ".", epilog=rest)
    parser.add_argument("table", nargs="?", choices=TABLES, help="all without")
    parser.add_argument("--against", metavar="COMMIT", help="compare with that commit of fastcnn")
    parser.add_argument("--pairs", type=int, metavar="N", help=f"pairs of processes with --against; {against.PAIRS} without")
    parser.add_argument("--threads", type=int, metavar="N", default=fastcnn.get_num_threads(), help="threads of all sides")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only rows with this in their name")
    parser.add_argument("--seconds", type=float, metavar="S", help="spent on one row, about")
    parser.add_argument("--cpu", choices=KINDS, help="kind of CPU that all sides are held to")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the same there, row by row")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there at the end")
    arguments = parser.parse_args()
    limit = threads.available()
    if not 1 <= arguments.threads <= limit:
        parser.error(f"--threads is {arguments.threads}, expected 1 to {limit}")
    if arguments.pairs is not None and not (arguments.against and 1 <= arguments.pairs <= 100):
        parser.error(f"--pairs is {arguments.pairs}, expected 1 to 100, with --against")
    try:
        choose(arguments.cpu, HOST)
        arguments.against = arguments.against and against.resolve(arguments.against)
    except ValueError as error:
        parser.error(str(error))
    return arguments


def _tables(arguments: argparse.Namespace) -> Iterator[tuple[str, float]]:
    """Give the tables that are asked for, and the seconds for a row."""
    for name in [arguments.table] if arguments.table else TABLES:
        yield name, TABLES[name].seconds if arguments.seconds is None else arguments.seconds


# Beside other libraries ----------------------------------------------------------------------------------------------------


def _beside(arguments: argparse.Namespace, say: Say, figures: dict[str, Any]) -> int:
    import peers
    import torch

    torch.set_num_threads(arguments.threads)
    peak = benchmark.peak()
    libraries = {"PyTorch": torch.__version__, **peers.versions()}
    figures |= record.conditions(peak) | {"peers": libraries, "held_to_kind": _held() if arguments.cpu else []}
    say(_head(peak, libraries, bool(arguments.cpu)))
    failures = 0
    for name, seconds in _tables(arguments):
        results: list[Result] = []
        try:
            failures += _run(name, arguments.filter, seconds, say, results)
        finally:
            figures[name] = [_figures(result) for result in results]
    return 1 if failures else 0


def _held() -> list[str]:
    """Return the libraries that `--cpu` holds to a kind of CPU."""
    import peers

    return ["fastcnn", "PyTorch", *(name for name, peer in peers.PEERS.items() if peer.is_held)]


def _head(peak: float, libraries: dict[str, str | None], is_held: bool) -> str:
    named = ", ".join(f"{name} {version or '(not installed)'}" for name, version in libraries.items())
    free = ", ".join(name for name in libraries if name not in _held())
    note = f" Not held to {KIND.name}, as they choose instructions on their own: {free}." if is_held else ""
    return f"fastcnn {fastcnn.__version__} beside {named}; {record.on_what(peak)}{note}"


def _figures(result: Result) -> dict[str, Any]:
    contest, best = result.contest, result.best()[0]
    return {"name": contest.name, "algorithm": contest.kind, "seconds": result.seconds, "work": contest.work,
            "flops": contest.flops, "peak": result.peak, "share": result.share(result.seconds), "peer": best.name,
            "ratio": best.ratio, "notes": contest.notes,
            "peers": [peer._asdict() | {"share": result.share(peer.seconds)} for peer in result.peers]}


def _run(name: str, text: str, seconds: float, say: Say, results: list[Result]) -> int:
    """Time the rows of a table whose name has `text` and say each when it is done; give the number of those that differ.

    The others are added to `results`. Whatever ends the table early, what the rows so far come to is said below them.
    """
    source = TABLES[name]
    failures = 0
    try:
        for contest in getattr(importlib.import_module(source.module), name)(lambda title: text in title):
            try:
                result = compete(contest, seconds, multiplying())
            except MismatchError as error:
                failures += 1
                print(error, file=sys.stderr, flush=True)
                continue
            if not results:
                say(f"\n### {name.capitalize()}\n\n{beside_peers(source.unit).head()}")
            results.append(result)
            say("\n".join(lines(result, source.unit)))
    finally:
        if results:
            say("\n" + "\n".join(f"- {line}" for line in (*totals(results), *notes(results))))
    if not results and not failures:
        print(f"{name}: no row has {text!r} in its name", file=sys.stderr)
    return failures


# Beside another commit -----------------------------------------------------------------------------------------------------


def _against(arguments: argparse.Namespace, say: Say, figures: dict[str, Any]) -> int:
    peak = benchmark.peak()
    figures |= record.conditions(peak) | {"against": arguments.against, "pairs": arguments.pairs or against.PAIRS}
    with against.pairs(arguments.against, figures["pairs"]) as processes:
        say(f"fastcnn at {figures['commit']} (new) beside {arguments.against[:10]} (old), pairs of processes: "
            f"{figures['pairs']}, {record.on_what(peak)}")
        done = 0
        for name, seconds in _tables(arguments):
            results: list[against.Comparison] = []
            try:
                against.run(name, lambda title: arguments.filter in title, processes, seconds, say, results)
            finally:
                figures[name] = [result.as_dict() for result in results]
            done += len(results)
    if not done:
        print(f"no row with {arguments.filter!r} in its name was timed", file=sys.stderr)
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
