"""A look at the machine: what fastcnn found, what it means, and the exact fix where something is missing.

Each question has one function, which gives findings; `report` prints them.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np

from . import __version__, extras
from .data import sources
from .kernels import folders
from .kernels.jit import cache, threads
from .kernels.kinds import HOST, KIND
from .nn.inspect.memory import free_memory

_config: Any = numba.config
_CONSEQUENCES = {
    "tbb": "safe from several Python threads and after a fork",
    "omp": "safe from several Python threads, but not in a process forked after the first kernel",
    "workqueue": "slower to start kernels; fastcnn lets one Python thread at a time launch them",
}
_SPAWN = "multiprocessing.set_start_method('spawn')"
_LOW_MEMORY = 1 << 30


class Finding(NamedTuple):
    """A fact about the machine, with a fix where it could be better; `broken` where something does not work."""

    subject: str
    text: str
    fix: str = ""
    broken: bool = False


def examine(data_dir: str | None = None) -> list[Finding]:
    """Return what is to be said about this machine; `data_dir` is where data sets are sought."""
    questions: tuple[Callable[[], Iterator[Finding]], ...] = (
        _versions, _processor, _threads, _layer, _cache, _memory, lambda: _data(data_dir), _extras)
    return [finding for question in questions for finding in question()]


def report(findings: list[Finding], width: int | None = None) -> str:
    """Return the findings as text: a line each, fixes below; lines of at most `width` letters where words allow it."""
    lines = []
    for finding in findings:
        lines += _wrapped(f"{finding.subject:9}", f"{'BROKEN: ' if finding.broken else ''}{finding.text}", width)
        if finding.fix:
            lines += _wrapped(f"{'':9}", f"-> {finding.fix}", width)
    broken = sum(finding.broken for finding in findings)
    return "\n".join([*lines, "", f"{broken} to repair" if broken else "all is well"])


def _wrapped(subject: str, text: str, width: int | None) -> list[str]:
    if width is None:
        return [subject + text]
    return textwrap.wrap(text, width, initial_indent=subject, subsequent_indent=" " * len(subject), break_long_words=False,
                         break_on_hyphens=False)


def _versions() -> Iterator[Finding]:
    names = ("numpy", "numba", "llvmlite", "safetensors")
    others = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    yield Finding("versions", f"fastcnn {__version__}, Python {platform.python_version()}, {others}")


def _processor() -> Iterator[Finding]:
    text = f"{cpu_name()}: {KIND.name}, {KIND.registers} registers of {KIND.vector_bytes // 4} float32 lanes"
    if KIND is not HOST:
        text += f" (FASTCNN_CPU; this CPU can do {HOST.name})"
    wide = HOST.name != "baseline"
    yield Finding("CPU", text, "" if wide else "this CPU, or the virtual machine, shows no AVX2: choose one that does "
                                               "(for QEMU: -cpu host)")
    if _config.DISABLE_JIT:
        yield Finding("numba", "NUMBA_DISABLE_JIT is set: kernels run as Python, thousands of times slower",
                      "unset NUMBA_DISABLE_JIT")


def cpu_name() -> str:
    """Return what the system calls this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _threads() -> Iterator[Finding]:
    present = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else present
    quota, limit = threads.quota(), _config.NUMBA_NUM_THREADS
    reasons = [f"{present} CPUs, {allowed} of them allowed",
               "no container quota" if quota is None else f"container quota of {quota:g} CPUs",
               f"NUMBA_NUM_THREADS {limit}"]
    used = threads.available()
    fix = ""
    if used == limit < min(allowed, int(quota or allowed)):
        fix = f"NUMBA_NUM_THREADS={allowed} in the environment would allow {allowed}"
    yield Finding("threads", f"{used} ({', '.join(reasons)})", fix)


def _layer() -> Iterator[Finding]:
    try:
        numba.get_num_threads()  # starts the threads, which decides the layer
        layer = threads.layer() or "none"
    except (ValueError, ImportError) as error:
        yield Finding("layer", f"no threads could be started ({' '.join(str(error).split())})",
                      "unset NUMBA_THREADING_LAYER and NUMBA_THREADING_LAYER_PRIORITY, or pip install tbb", broken=True)
        return
    fix = ""
    if layer != "tbb":
        has_wheel = platform.machine().lower() in ("x86_64", "amd64") and platform.system() in ("Linux", "Windows")
        fix = "pip install tbb" if has_wheel else f"in programs that fork: {_SPAWN}" if layer == "omp" else ""
    yield Finding("layer", f"{layer}: {_CONSEQUENCES.get(layer, 'unknown to fastcnn')}", fix)


def _cache() -> Iterator[Finding]:
    folder = cache.folder()
    if folder is None:
        yield Finding("cache", f"{folders.NONE.partition(':')[0]}; each start compiles anew",
                      "set FASTCNN_CACHE to a folder of your own", broken=True)
        return
    if not cache.is_private():
        yield Finding("cache", f"{folder} cannot be used: it must be writable, and only for you; each start compiles anew",
                      f"chmod 700 {folder}, or set FASTCNN_CACHE to a folder of your own", broken=True)
        return
    entries = list(folder.glob("*.nbc"))
    text = f"{folder}, private, {len(entries)} compiled kernels, {_size(_bytes_in(folder))}"
    yield Finding("cache", text, "" if entries else "fastcnn warmup compiles all kernels now")
    stale = [other for other in folder.parent.iterdir() if other.is_dir() and other != folder]
    if stale:
        total = sum(map(_bytes_in, stale))
        yield Finding("", f"{len(stale)} caches of other versions or settings, {_size(total)}",
                      f"to free the space: rm -r {folder.parent}")


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _memory() -> Iterator[Finding]:
    free = free_memory()
    if free is None:
        yield Finding("memory", "not known on this system")
    else:
        yield Finding("memory", f"{_size(free)} free", "" if free > _LOW_MEMORY else "close programs, or train with a "
                                                                                     "smaller --batch-size")


def _data(data_dir: str | None) -> Iterator[Finding]:
    try:
        base = sources.base_folder(data_dir)
    except FileNotFoundError:
        yield Finding("data", "digits ready in the package; there is no folder for the others",
                      "set FASTCNN_DATA, or FASTCNN_CACHE, to a folder of your own")
        return
    found = present(data_dir)
    absent = [name for name in sources.SOURCES if name not in found]
    yield Finding("data", f"{', '.join(found)} ready in {base} (digits in the package)",
                  f"{', '.join(absent)}: downloaded to there on first use" if absent else "")
    if data_dir is None and os.environ.get("FASTCNN_DATA") and not base.is_dir():
        yield Finding("", f"FASTCNN_DATA names {base}, which is no folder", f"mkdir -p {base}, or unset FASTCNN_DATA")


def present(data_dir: str | None = None) -> list[str]:
    """Return the names of the data sets that need no download."""
    try:
        base = sources.base_folder(data_dir)
    except FileNotFoundError:
        return ["digits"]
    return [name for name, source in sources.SOURCES.items() if name == "digits" or _is_present(source, base)]


def _is_present(source: sources.IdxSource | sources.CifarSource, base: Path) -> bool:
    folders = [base / folder for folder in source.folders]
    if isinstance(source, sources.IdxSource):
        return all(sources.find_idx(file, folders) for file in source.files)
    return bool(sources.find_batches(source, folders) or sources.find_archive(source, folders))


def _extras() -> Iterator[Finding]:
    present = [extra.package for name, extra in extras.EXTRAS.items() if extras.is_installed(name)]
    yield Finding("extras", f"{', '.join(present) or 'none'} installed")
    for name, extra in extras.EXTRAS.items():
        if not extras.is_installed(name):
            yield Finding("", f"{extra.package} is missing, for {extra.purpose}", extras.install(name))


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{np.ceil(count / 2**20):.0f} MiB"
