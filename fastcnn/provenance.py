"""What a table of measurements says of itself: the processor, its kind, the threads, the date, and the commit in a clone."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path
from typing import Any

from .doctor import cpu_name
from .kernels.jit import threads
from .kernels.kinds import KIND

_HOUSE = Path(__file__).parents[1]


def provenance() -> dict[str, Any]:
    """Return it as strings and numbers; `commit` is None outside a clone."""
    return {"cpu": cpu_name(), "kind": KIND.name, "threads": threads.get_num_threads(),
            "date": datetime.date.today().isoformat(), "commit": commit()}


def line() -> str:
    """Return it as one line."""
    found = provenance()
    where = f", commit {found['commit']}" if found["commit"] else ""
    count = found["threads"]
    return f"{found['cpu']}, {found['kind']}, {count} thread{'s' * (count > 1)}, {found['date']}{where}"


def commit(folder: Path = _HOUSE) -> str | None:
    """Return the commit of a clone, with -dirty behind it where files differ; None: it is none, or there is no git."""
    if not (folder / ".git").exists():
        return None
    try:
        found = subprocess.run(["git", "-C", str(folder), "describe", "--always", "--dirty", "--exclude", "*"],
                               capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
