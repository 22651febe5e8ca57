"""`fastcnn bench`, `verify`, `doctor` and `warmup`: the machine and the kernels."""

from __future__ import annotations

import math
from argparse import Namespace
from dataclasses import asdict

import numpy as np

from .. import benchmark, extras, functional, grading, ladder, models, plot, verification
from .. import doctor as examination
from ..data import Split
from ..functional.conv import problem
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
    """Time operations beside their references and the machine's best, or one convolution on every rung of the ladder."""
    if "ladder" in arguments.patterns:
        return _ladder(arguments, output)
    for option in ("layer", "out"):
        if getattr(arguments, option) is not None:
            raise UsageError(f"--{option} is for the ladder alone, expected: fastcnn bench ladder --{option} ...")
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
    if len(arguments.patterns) > 1:
        raise UsageError(f"ladder is timed alone, expected no {' '.join(set(arguments.patterns) - {'ladder'})}")
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
    for name, fit, cost in functional.conv.candidates(window):
        time = cost.time if cost is not None and math.isfinite(cost.time) else None
        why = cost.why if cost is not None else fit.why_not
        records.append({"algorithm": name, "fits": bool(fit), "time": time, "why": why, "chosen": name == chosen.name})
        rows.append((name, "yes" if fit else "no", "" if time is None else f"{time:g}", why, "<" * (name == chosen.name)))
    output.results(records, Table(("algorithm", "fits", "time", "why", ""), rows, right=(2,), wordy=(3,)))
    output.note(f"{chosen}\ntime: about, as a share of that of the direct algorithm. check: fastcnn verify conv2d --shape "
                f"{given}")
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
