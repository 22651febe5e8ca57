"""`fastcnn report`: one page about a training run."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from .. import extras
from ..pages.report import Trained, page
from ..training.choices import kind_of
from ..training.writing import write_atomically
from .output import Output
from .recipes import home_of
from .run import Run
from .train import use_threads

REPORT = "report.html"


def report(arguments: Namespace, output: Output) -> int:
    """Write the page, and say where it is."""
    extras.require("plot")  # better missed now than after the answers
    run = Run("report", arguments)
    use_threads(arguments.threads)
    path = Path(arguments.out) if arguments.out else run.folder / REPORT
    if not path.parent.is_dir():
        raise NotADirectoryError(f"report: --out {path} is in no folder that exists; make {path.parent} first")
    recipe = home_of(run.model.origin.name if run.model.origin else "")
    optimizer = run.settings.get("optimizer", recipe.optimizer)
    with output.compiling():
        trained = Trained(run.model, run.history, run.test, run.probabilities, run.settings,
                          run.settings.get("batch_size", recipe.batch_size), len(kind_of(optimizer).slots))
        content = page(trained, progress=not output.quiet).encode()
    write_atomically(path, content)
    output.result({"report": path, "bytes": len(content)}, str(path))
    return 0
