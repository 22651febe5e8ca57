"""What a run of a bench was measured on and with, for the heads of tables and for JSON."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import fastcnn
from fastcnn.doctor import cpu_name
from fastcnn.kernels.kinds import KIND

HOUSE = Path(__file__).resolve().parents[1]


def conditions(peak: float) -> dict[str, Any]:
    """Return what the figures of this run depend on; `peak` is that of the threads in use, in operations a second."""
    packages = {name: importlib.metadata.version(name) for name in ("numba", "numpy")}
    return {"fastcnn": fastcnn.__version__, "commit": commit(), "cpu": cpu_name(), "kind": KIND.name,
            "machine": platform.platform(), "versions": {"Python": platform.python_version(), **packages},
            "threads": fastcnn.get_num_threads(), "peak": peak}


def on_what(peak: float) -> str:
    """Return the same in a line."""
    return (f"on {cpu_name()}, {KIND.name}; float32, threads: {fastcnn.get_num_threads()}; multiply-adds in registers: "
            f"{peak / 1e9:.0f} GFLOP/s.")


def commit() -> str | None:
    """Return the commit of the working tree, with "-dirty" where files differ from it; None outside a clone."""
    try:
        return git("describe", "--always", "--dirty", "--abbrev=10", "--exclude=*").decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def git(*words: str) -> bytes:
    """Return what a git command prints, run in the working tree."""
    return subprocess.run(["git", "-C", str(HOUSE), *words], check=True, capture_output=True).stdout
