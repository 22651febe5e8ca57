"""`fastcnn bench`, `verify`, `doctor` and `warmup`: the machine and the kernels."""

from __future__ import annotations

import math
from argparse import Namespace
from dataclasses import asdict

import numpy as np

from .. import benchmark, choices, extras, functional, grading, ladder, models, plot, provenance, tiles, verification
from .. import doctor as examination
from ..data import Split
from ..functional.conv import problem
from ..functional.conv.algorithm import PASSES
from ..kernels.kinds import KIND
from ..registry import ROWS, Row
from ..shapes import suggestion
from ..tables import Table
from ..warmup import rehearse
from .candidate import function_at
from .output import Output
from .recipes import OPTIMIZERS, home_of
from .train import augmentation, parts, use_threads
from .usage import UsageError


def bench(arguments: Namespace, output: Output) -> int:
    """Time operations beside their references and the machine's best; or other tables, which have names of their own."""
    if arguments.choices:
        return _choices(arguments, output)
    if "ladder" in arguments.patterns:
        return _ladder(arguments, output)
    for option in ("layer", "out"):
        if getattr(arguments, option) is not None:
            raise UsageError(f"--{option} is for the ladder alone, expected: fastcnn bench ladder --{option} ...")
    if "tiles" in arguments.patterns:
        return _tiles(arguments, output)
    rows = _matching(arguments.patterns)
    use_threads(arguments.threads)
    with output.compiling():
        output.note(benchmark.describe())
        narrow = output.width is not None and output.width < len(benchmark.HEAD)
        output.note("" if narrow else benchmark.HEAD)
        for row, case in benchmark.cases(rows):
            measurement = benchmark.measure(row, case)
            output.result(measurement.as_dict(), measurement.lines() if narrow else str(measurement))
    return 0


def _ladder(arguments: Namespace, output: Output) -> int:
    """Time one convolution on every rung, and draw it where that is asked for."""
    _require_alone("ladder", arguments.patterns)
    layer = ladder.Layer(*arguments.layer) if arguments.layer else ladder.LAYER
    if arguments.out:
        extras.require("plot")  # better missed now than after the measurement
    use_threads(arguments.threads)
    with output.compiling():
        output.note(f"{layer}\n{ladder.machine()}")
        rungs = ladder.climb(layer)
        output.results([rung.as_dict() for rung in rungs], ladder.table(rungs))
        output.note(ladder.explanation(rungs))
        if arguments.out:
            plot.ladder([rung.as_dict() for rung in rungs], arguments.out, title=str(layer), subtitle=ladder.machine())
            output.result({"picture": "ladder", "path": arguments.out}, arguments.out)
    return 0


def _tiles(arguments: Namespace, output: Output) -> int:
    """Time every tile that fits the registers, on one thread."""
    _require_alone("tiles", arguments.patterns)
    if arguments.threads not in (None, 1):
        raise UsageError(f"--threads is {arguments.threads}, expected 1: tiles are timed on one thread")
    use_threads(1)
    with output.compiling():
        output.note(provenance.line())
        speeds = tiles.measure(tiles.fitting(KIND), quiet=output.quiet)
        output.results([one.as_dict() for one in speeds], tiles.table(speeds))
    return 0


def _choices(arguments: Namespace, output: Output) -> int:
    """Time all algorithms of convolutions; 1 where a choice lags the fastest."""
    if arguments.layer is not None or arguments.out is not None:
        raise UsageError("--layer and --out are for the ladder alone, expected shapes such as n64h32w32c64k64r3s3pad1")
    convolutions = choices.asked(arguments.patterns)
    use_threads(arguments.threads)
    found, where = [], provenance.provenance()
    with output.compiling():
        output.note(f"{provenance.line()}\n{choices.HEAD}")
        for name, given in convolutions.items():
            for one in choices.compare(name, given):
                found.append(one)
                output.result({**one.as_dict(), **where}, str(one))
        output.note(choices.summary(found))
    return int(any(one.lag > choices.LIMIT for one in found))


def _require_alone(table: str, patterns: list[str]) -> None:
    if len(patterns) > 1:
        raise UsageError(f"{table} is timed alone, expected no {' '.join(set(patterns) - {table})}")


def verify(arguments: Namespace, output: Output) -> int:
    """Check operations, or a function of the user's own, against their references; 1 where one fails."""
    if arguments.candidate is not None:
        return _grade(arguments, output)
    rows = _matching(arguments.patterns)
    if arguments.shape is not None:
        problem.parse(arguments.shape).window("verify")  # better refused now than by each row
        if not {row.operation for row in rows} & set(verification.SHAPED):
            raise UsageError(f"--shape is of a convolution, expected rows such as {' '.join(verification.SHAPED)}")
    use_threads(arguments.threads)

    def fail(text: str) -> None:
        if not output.as_json:
            output.result({}, text)

    def show(outcome: verification.Outcome) -> None:
        if output.as_json or outcome.failures:
            output.result(asdict(outcome), str(outcome))
        else:
            output.note(str(outcome))

    with output.compiling():
        report = verification.run(show, fail, rows=rows, everything=arguments.all, cases=arguments.cases,
                                  shape=arguments.shape)
    output.note(str(report))
    return int(not report.ok)


def _grade(arguments: Namespace, output: Output) -> int:
    """Check a function of the user's own in place of an operation; 1 where it fails."""
    operations = list(dict.fromkeys(row.operation for row in ROWS))
    if len(arguments.patterns) != 1 or arguments.patterns[0] not in operations:
        hint = suggestion(arguments.patterns[0], operations) if arguments.patterns else ""
        raise UsageError(f"--candidate is checked as one operation, expected fastcnn verify OPERATION --candidate ..., of "
                         f"{', '.join(operations)}{hint}")
    if arguments.all or arguments.shape is not None:
        raise UsageError("--candidate is checked in all its cases, expected no --all and no --shape")
    cases = verification.FEW if arguments.cases is None else arguments.cases
    grade = grading.grade(function_at(arguments.candidate), arguments.patterns[0], cases=cases)
    output.result({**asdict(grade), "ok": grade.ok}, str(grade))
    return int(not grade.ok)


def explain(arguments: Namespace, output: Output) -> int:
    """Say which algorithm a convolution is computed by, and what speaks for and against each."""
    given = problem.parse(arguments.shape)
    window = given.window("explain")
    chosen = functional.conv.choose(given.x, given.weight, **given.geometry)
    records, rows = [], []
    for name, fit, costs in functional.conv.candidates(window):
        marks = ["<" * (name == picked) for picked in chosen.names]
        seconds = {step: cost.time if math.isfinite(cost.time) else None for step, cost in zip(PASSES, costs, strict=False)}
        why = fit.why_not or costs[0].why
        records.append({"algorithm": name, "fits": bool(fit), "seconds": seconds, "why": why,
                        "chosen": [step for step, mark in zip(PASSES, marks, strict=True) if mark]})
        times = ["" if time is None else f"{1e3 * time:.3g}" for time in map(seconds.get, PASSES)]
        marked = [f"{time}{mark:1}" for time, mark in zip(times, marks, strict=True)]
        rows.append((name, "yes" if fit else "no", *marked, why))
    output.results(records, Table(("algorithm", "fits", *(f"{step} " for step in PASSES), "why"), rows, right=(2, 3, 4),
                                  wordy=(5,)))
    output.note(f"{chosen}\nforward, and the gradients of input and weight: expected milliseconds on one thread, < for the "
                f"choice\nwhy: what most of the time of forward goes to. check: fastcnn verify conv2d --shape {given}")
    return 0


def _matching(patterns: list[str]) -> tuple[Row, ...]:
    """Return the rows whose name contains one of the patterns, or all where none is given; UsageError: there is none."""
    rows = tuple(row for row in ROWS if not patterns or any(pattern in row.name for pattern in patterns))
    if not rows:
        names = [row.name for row in ROWS]
        raise UsageError(f"no row has {' or '.join(map(repr, patterns))} in its name, expected parts of "
                         f"{', '.join(names)}{suggestion(patterns[0], names)}")
    return rows


def doctor(arguments: Namespace, output: Output) -> int:
    """Print what was found; 1 where something is broken."""
    findings = examination.examine(arguments.data_dir)
    output.results([finding._asdict() for finding in findings], examination.report(findings, output.width))
    return int(any(finding.broken for finding in findings))


def warmup(arguments: Namespace, output: Output) -> int:
    """Compile what training and use of the models need."""
    names = arguments.models or models.names()
    with output.compiling() as compilation:
        for name in names:
            others = _rehearse(name, home_of(name).optimizer)
            compilation.kernels += others
        for optimizer in OPTIMIZERS:
            others = _rehearse(names[0], optimizer)
            compilation.kernels += others
    compiled = compilation.kernels
    output.result({"models": names, "kernels": compiled, "seconds": compilation.seconds},
                  f"{compiled} kernels of {', '.join(names)} compiled" if compiled
                  else f"nothing to compile: the kernels of {', '.join(names)} were ready")
    return 0


def _rehearse(name: str, optimizer: str) -> int:
    """Train and evaluate the model on noise; return how many kernels other processes compiled."""
    recipe = home_of(name)
    settings = {**vars(recipe), "model": name, "optimizer": optimizer}
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (recipe.batch_size, *recipe.image), np.uint8)
    noise = Split(images, generator.integers(0, recipe.classes, len(images)), [str(n) for n in range(recipe.classes)])
    return rehearse(lambda: parts(settings, recipe.image, recipe.classes), noise, noise, recipe.batch_size,
                    augmentation(recipe.augment))
