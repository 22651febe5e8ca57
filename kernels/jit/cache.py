"""The kernels' compiled code on disk: a private folder named by what the code depends on, which heals itself.

Numba's own cache watches only the file of a function, keeps serving stale code after a helper elsewhere changed, and a
damaged entry kills the process. Here the folder's name is a digest of all kernel sources, the Numba version and the CPU, and
each entry carries its sha256: what does not match is deleted and compiled again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding
import numba

from .. import folders
from ..kinds import KIND, host_features
from .internals import CacheLocator, CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, rtsys

_SOURCES = Path(__file__).parents[1]  # all kernels
_DIGEST = hashlib.sha256().digest_size
_ABANDONED = 3600.0  # seconds; a living writer renames its temporary file within milliseconds


@functools.cache
def folder() -> Path | None:
    """Folder of the compiled kernels, named by a digest of what they depend on, or None where there is no cache folder."""
    root = folders.cache()
    if root is None:
        return None
    digest = hashlib.sha256()
    for source in sorted(_SOURCES.rglob("*.py")):
        digest.update(source.relative_to(_SOURCES).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    cpu = llvmlite.binding.get_host_cpu_name(), *sorted(name for name, has in host_features().items() if has)
    for part in (numba.__version__, llvmlite.__version__, sys.version, *cpu, KIND.name, *_settings()):
        digest.update(part.encode() + b"\0")
    return root / "kernels" / digest.hexdigest()[:24]


def _settings() -> list[str]:
    """Environment settings that change the generated code."""
    return [f"{name}={value}" for name, value in sorted(os.environ.items())
            if name in {"NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_OPT", "NUMBA_DEBUGINFO", "NUMBA_LOOP_VECTORIZE"}]


@functools.cache
def is_private() -> bool:
    """Whether the folder could be made and only this user can write to it: a writable cache is foreign code."""
    place = folder()
    if place is None:
        return False
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = place.stat()
        if os.name == "nt":
            return True
        if status.st_uid != os.getuid():
            return False
        if stat.S_IMODE(status.st_mode) != 0o700:
            place.chmod(0o700)
    except OSError:
        return False
    return True


class _Locator(CacheLocator):
    """Tells Numba where the entries of one kernel lie."""

    def get_cache_path(self) -> str:
        return str(folder())

    def ensure_cache_path(self) -> None:
        """Do nothing: `is_private` made the folder."""

    def get_source_stamp(self) -> str:
        return ""  # the folder's name says it all

    def get_disambiguator(self) -> str:
        return ""

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _Locator:
        locator = cls()
        locator._py_file = py_file
        return locator


class _Implementation(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012


class _EntryImplementation(_Implementation):
    """Stores no LLVM code beside the machine code: only callers in machine code need it, and to parse it takes long."""

    def reduce(self, cres: Any) -> Any:
        """Keep the names by which Numba looks for the machine code."""
        (name, kind, (machine_code, _)), *rest = super().reduce(cres)
        entries = cres.fndesc.llvm_func_name, cres.fndesc.llvm_cpython_wrapper_name
        empty = "".join(f'define void @"{entry}"() {{ unreachable }}\n' for entry in entries)
        return (name, kind, (machine_code, llvmlite.binding.parse_assembly(empty).as_bitcode())), *rest


class _CheckedFile(IndexDataCacheFile):
    """The entries of one kernel, a file named by each signature, with its sha256 behind it.

    Numba keeps an index and counts its files: two processes that compile at once would give one name to different code.
    """

    def save(self, key: Any, data: Any) -> None:
        """Store one overload."""
        self._sweep()
        content = self._dump((key, data))
        with self._open_for_write(self.path(key)) as file:
            file.write(content + hashlib.sha256(content).digest())

    def load(self, key: Any) -> Any:
        """Return an overload, or None where there is none; ValueError: it is damaged."""
        path = self.path(key)
        if not path.exists():
            return None
        stored, data = self._read(path)
        return data if stored == key else None

    def stored_keys(self) -> list[Any]:
        """What there is; ValueError: an entry is damaged."""
        return [self._read(path)[0] for path in self._files("*.nbc")]

    def path(self, key: Any) -> Path:
        """File of one overload."""
        return Path(self._cache_path, f"{self._name}.{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.nbc")

    def _read(self, path: Path) -> Any:
        content = path.read_bytes()
        if hashlib.sha256(content[:-_DIGEST]).digest() != content[-_DIGEST:]:
            raise ValueError(f"{path} is damaged")
        return self._load_data(path.name)  # which ends where the pickled data end

    def remove(self) -> None:
        """Delete every entry of this kernel."""
        for path in self._files("*"):
            path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Delete the temporary files that killed processes left of this kernel."""
        for path in self._files("*.tmp.*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()

    def _files(self, ending: str) -> list[Path]:
        return list(Path(self._cache_path).glob(f"{self._name}.{ending}"))

    @property
    def _name(self) -> str:
        return self._index_name.removesuffix(".nbi")


class KernelCache(FunctionCache):
    """Numba's function cache in our folder; an unreadable entry is deleted, one that cannot be written is skipped."""

    _impl_class = _Implementation

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        name = f"{function.__module__}.{function.__qualname__}".replace("<", "").replace(">", "")
        self._cache_file = _CheckedFile(self._cache_path, name, "")

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled kernel, or None when there is none that can be trusted.

        Numba's own method would first load all that its compiler needs: half a second, and more where scipy is installed.
        """
        if not is_private():
            return None
        try:
            rtsys.initialize(target_context)
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)
        except Exception:  # whatever a damaged entry causes, the cure is the same
            self._discard()
            return None

    def holds(self, sig: Any, target_context: Any) -> bool:
        """Whether there is an entry, which may yet turn out to be damaged."""
        if not is_private():
            return False
        try:
            return self._cache_file.path(self._index_key(sig, target_context.codegen())).exists()
        except Exception:
            return False

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store the compiled kernel; a full or read-only disk costs the next start some time and nothing else."""
        if not is_private():
            return
        try:
            super().save_overload(sig, data)
        except Exception:
            self._discard()

    def _discard(self) -> None:
        with contextlib.suppress(OSError):
            self._cache_file.remove()

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return sig, codegen.magic_tuple()  # sources are in the folder's name already


class EntryCache(KernelCache):
    """Of a function that is called from Python and by address, never by name from another kernel."""

    _impl_class = _EntryImplementation
