"""`fastcnn bench`, `verify`, `doctor` and `warmup`: the machine and the kernels."""

from __future__ import annotations

from argparse import Namespace

import numpy as np

from .. import benchmark, models, verification
from .. import doctor as examination
from ..data import Split
from ..registry import ROWS, Row
from ..warmup import compiling, rehearse
from .recipes import OPTIMIZERS, home_of
from .train import augmentation, parts, use_threads


def bench(arguments: Namespace) -> int:
    """Time operations beside their references and the machine's best."""
    rows = _matching(arguments.patterns)
    use_threads(arguments.threads)
    with compiling() as compilation:
        benchmark.run(compilation.print, rows=rows)
    return 0


def verify(arguments: Namespace) -> int:
    """Check operations against their references; 1 where one fails."""
    rows = _matching(arguments.patterns)
    use_threads(arguments.threads)
    with compiling() as compilation:
        report = verification.run(compilation.print, rows=rows)
    print(report)
    return int(not report.ok)


def _matching(patterns: list[str]) -> tuple[Row, ...]:
    """Return the rows whose name contains one of the patterns, or all where none is given."""
    rows = tuple(row for row in ROWS if not patterns or any(pattern in row.name for pattern in patterns))
    if not rows:
        raise ValueError(f"no row has {' or '.join(map(repr, patterns))} in its name, expected parts of "
                         f"{', '.join(row.name for row in ROWS)}")
    return rows


def doctor(arguments: Namespace) -> int:
    """Print what was found; 1 where something is broken."""
    findings = examination.examine(arguments.data_dir)
    print(examination.report(findings))
    return int(any(finding.broken for finding in findings))


def warmup(arguments: Namespace) -> int:
    """Compile what training and use of the models need."""
    names = arguments.models or models.names()
    for name in names:
        models.describe(name)
    with compiling() as compilation:
        for name in names:
            _rehearse(name, home_of(name).optimizer)
        for optimizer in OPTIMIZERS:
            _rehearse(names[0], optimizer)
    if not compilation.kernels:
        print(f"nothing to compile: the kernels of {', '.join(names)} were ready")
    return 0


def _rehearse(name: str, optimizer: str) -> None:
    """Train and evaluate the model on noise."""
    recipe = home_of(name)
    settings = {**vars(recipe), "model": name, "optimizer": optimizer}
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (recipe.batch_size, *recipe.image), np.uint8)
    noise = Split(images, generator.integers(0, recipe.classes, len(images)), [str(n) for n in range(recipe.classes)])
    rehearse(lambda: parts(settings, recipe.image, recipe.classes), noise, noise, recipe.batch_size,
             augmentation(recipe.augment))
