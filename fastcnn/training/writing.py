"""Files that are either the old one or the new one, whatever happens while they are written.

Content goes to a temporary file in the same folder, which then takes the name. The temporary file is locked while its writer
lives; what a killed writer leaves is deleted by the next one that writes to the folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_PREFIX, _SUFFIX = ".fastcnn-", ".tmp"
_OLD = 24 * 3600.0  # seconds after which a temporary file is abandoned, where there are no locks
# What open may do and this way may not: the folder is read-only or another user's, or the file is a mount of its own.
_NOT_BESIDE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV}
_BINARY = getattr(os, "O_BINARY", 0)
_WINDOWS = sys.platform == "win32"
StrPath = str | os.PathLike[str]


def write_atomically(path: StrPath, content: bytes) -> None:
    """Write `content` to the file `path`, on the disk before return; readers see the old file or the new one, never a part.

    As with `open`, a link's target is written, an existing file keeps its mode and owner, and devices, pipes and files of
    several names are written to as they are. So is a file that is writable in a folder that is not; these are not atomic.
    OSError as the system gives it, with `path` in it; then the file is as before and no temporary file is left.
    """
    with _naming(path):
        target = _end_of_links(Path(path))
        present = _status(target)
        if present is None:
            _replace(target, content, None)
        elif target.is_symlink() or not stat.S_ISREG(present.st_mode) or present.st_nlink > 1:
            _overwrite(target, content)
        else:
            _replace_or_overwrite(target, content, present)


def append(path: StrPath, content: bytes) -> None:
    """Add `content` to the end of the file `path`, on the disk before return; OSError: then it is as before."""
    with _naming(path), _opened(path, os.O_WRONLY | os.O_APPEND) as descriptor:
        before = os.fstat(descriptor)
        try:
            _fill(descriptor, content)
        except BaseException:
            if stat.S_ISREG(before.st_mode):
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, before.st_size)
            raise


class Stream:
    """A pipe or device that takes one line after another, and stays open: its reader would take a closing for the end."""

    def __init__(self, path: StrPath) -> None:
        """Open it; OSError as the system gives it."""
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | _BINARY)

    def write(self, content: bytes) -> None:
        """Write all of `content`; OSError as the system gives it."""
        with _naming(self.path):
            _fill(self._descriptor, content)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


def is_special(path: Path) -> bool:
    """Whether the path is that of a pipe, a device or a socket."""
    return path.exists() and not path.is_file() and not path.is_dir()


@contextlib.contextmanager
def _naming(path: StrPath) -> Iterator[None]:
    """Let an OSError name the file that was asked for: a full disk names none, a temporary file says nothing to users."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _end_of_links(target: Path) -> Path:
    """Return the path that a chain of links ends in; those below /proc, such as /dev/stdout, stand for open files."""
    for _ in range(40):  # where the system gives up, too
        if not target.is_symlink() or os.path.realpath(target.parent).startswith("/proc/"):
            break
        target = target.parent / os.readlink(target)
    return target


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _replace_or_overwrite(target: Path, content: bytes, present: os.stat_result) -> None:
    """Write an ordinary file that is there."""
    with _opened(target, os.O_WRONLY):
        pass  # PermissionError where open would raise it
    try:
        _replace(target, content, present)
    except OSError as error:
        if _WINDOWS or error.errno not in _NOT_BESIDE:
            raise
        _overwrite(target, content)


def _overwrite(path: Path, content: bytes) -> None:
    with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
        _fill(descriptor, content)


def _replace(target: Path, content: bytes, present: os.stat_result | None) -> None:
    """Write an ordinary file by way of a temporary one, which is like the `present` one."""
    _sweep(target.parent)
    temporary, descriptor = _new(target.parent)
    try:
        try:
            if present is not None:
                _resemble(temporary, target, present)
            _fill(descriptor, content)
            if not _WINDOWS:  # where an open file keeps its name
                os.replace(temporary, target)
        finally:
            os.close(descriptor)
        if _WINDOWS:
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(target.parent)


def _resemble(temporary: Path, target: Path, present: os.stat_result) -> None:
    """Give the temporary file the owner, the mode and what else the system lets it take over."""
    if not _WINDOWS:
        own = temporary.stat()
        if own.st_gid != present.st_gid:
            with contextlib.suppress(OSError):
                os.chown(temporary, -1, present.st_gid)
        if own.st_uid != present.st_uid:
            with contextlib.suppress(OSError):
                os.chown(temporary, present.st_uid, -1)
    with contextlib.suppress(OSError):
        shutil.copystat(target, temporary)


@contextlib.contextmanager
def _opened(path: StrPath, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | _BINARY, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _fill(descriptor: int, content: bytes) -> None:
    """Write everything, and bring it to the disk where there is one."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """Bring a folder's new names to the disk, where the system can."""
    with contextlib.suppress(OSError), _opened(folder, os.O_RDONLY) as descriptor:
        os.fsync(descriptor)


def _new(folder: Path) -> tuple[Path, int]:
    """Return a new temporary file and its descriptor, locked."""
    while True:
        path = folder / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(8)}{_SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        if _lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # another writer took it for abandoned before it was locked


def _lock(descriptor: int) -> bool | None:
    """Lock a file for as long as it is open; False: somebody else has; None: there are no locks here."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        except OSError:
            pass
    return None


def _sweep(folder: Path) -> None:
    """Delete the temporary files whose writers are dead."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _delete_if_abandoned(entry.path)


def _delete_if_abandoned(path: str) -> None:
    with _opened(path, os.O_RDONLY) as descriptor:
        locked = _lock(descriptor)
        if locked or (locked is None and time.time() - os.fstat(descriptor).st_mtime > _OLD):
            os.unlink(path)
