"""Downloads through pooch: pinned by sha256, from the first good mirror, resumable, never half-written.

While a download runs, its bytes are in `NAME.part` beside the final name, guarded by a lock that the
operating system releases when the process ends, however it ends. pooch compares the checksum and only then
gives the file its name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .. import streams
from .sources import RemoteFile

if TYPE_CHECKING:
    import requests

_TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of data
_CHUNK = 1 << 14
_MAX_RESUMES = 50  # of one mirror, each of which must have brought something
_LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}


class DownloadError(OSError):
    """No mirror gave the file; the message says what each answered and where to put the file by hand."""


class _MirrorError(OSError):
    """This mirror cannot be used; its bytes, if any, are worthless."""


class _CutError(OSError):
    """The connection ended early; what came so far is good."""


def fetch(file: RemoteFile, folder: Path) -> Path:
    """Download `file` into `folder`, unless another process just did, give its path; raises DownloadError."""
    target = folder / file.name
    folder.mkdir(parents=True, exist_ok=True)
    answers = []
    with _locked(folder / ".lock"):
        for url in file.mirrors:
            if target.exists():
                break
            try:
                _retrieve(url, file, folder)
            except (OSError, ValueError) as error:  # requests raises the former, pooch's checksum the latter
                answers.append(f"{url}: {_reason(error)}")
    if target.exists():
        return target
    came = f"{file.name}: no mirror gave the file ({'; '.join(answers)})"
    raise DownloadError(f"{came}; try again later, or get the file by other means and put it at {target}")


def _retrieve(url: str, file: RemoteFile, folder: Path) -> None:
    import pooch

    pooch.get_logger().setLevel("WARNING")  # the bar says what is downloaded
    part = folder / f"{file.name}.part"
    known_hash = f"sha256:{file.sha256}"
    for resumed in (part.exists(), False):
        try:
            pooch.retrieve(url, known_hash, file.name, folder, downloader=_Resuming(file, part))
            return
        except ValueError as error:
            if isinstance(error, OSError) or not resumed:
                raise
            # The checksum failed, perhaps by the old bytes, which are gone now: once more from the start.


class _Resuming:
    """A pooch downloader that continues `part`, as often as the connection is cut after something came."""

    def __init__(self, file: RemoteFile, part: Path) -> None:
        self.file = file
        self.part = part

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        from tqdm.auto import tqdm

        with (
            _session() as session,
            tqdm(total=self.file.size, desc=self.file.name, unit="B", unit_scale=True,
                 disable=not streams.is_terminal(sys.stderr)) as bar,
        ):
            for _ in range(_MAX_RESUMES):
                before = self._size()
                try:
                    self._continue(session, url, bar)
                    break
                except _CutError:
                    if self._size() <= before:
                        raise
            else:
                raise _CutError(f"cut {_MAX_RESUMES} times, {self._size()} of {self.file.size} bytes came")
        os.replace(self.part, output_file)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _continue(self, session: requests.Session, url: str, bar: Any) -> None:
        start = self._size()
        if start == self.file.size:
            return  # only the checksum is left to do
        # Not compressed once more on the way: the checksum is that of the .gz file itself.
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={start}-"}
        with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            start = self._agreed_start(response, start)
            bar.reset()
            bar.update(start)
            try:
                with open(self.part, "ab") as output:
                    output.truncate(start)
                    self._receive(response, output, bar, start)
            except _MirrorError:
                self.part.unlink()
                raise

    def _agreed_start(self, response: requests.Response, start: int) -> int:
        """Give the offset where the body starts; raises _MirrorError unless it ends where our file ends."""
        if response.status_code == 416:
            self.part.unlink(missing_ok=True)
        if response.status_code not in {200, 206}:
            raise _MirrorError(f"status {response.status_code} {response.reason}")
        if response.status_code == 200:
            start = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise _MirrorError("a range that was not asked for")
        announced = response.headers.get("Content-Length")
        if announced is not None and announced != str(self.file.size - start):
            raise _MirrorError(f"{announced} bytes announced, expected {self.file.size - start}")
        return start

    def _receive(self, response: requests.Response, output: IO[bytes], bar: Any, end: int) -> None:
        import urllib3

        try:
            for data in response.raw.stream(_CHUNK, decode_content=False):
                end += len(data)
                if end > self.file.size:
                    raise _MirrorError(f"more than the {self.file.size} bytes of the file")
                output.write(data)
                bar.update(len(data))
        except urllib3.exceptions.HTTPError:
            pass  # a cut or a timeout: the count below tells
        if end < self.file.size:
            if "Content-Length" not in response.headers:  # perhaps not our file at all
                raise _MirrorError(f"{end} of {self.file.size} bytes")
            raise _CutError(f"cut after {end} of {self.file.size} bytes")


def _session() -> requests.Session:
    """Give a session that leaves this machine over https alone, also when redirected."""
    import requests
    from requests.adapters import HTTPAdapter

    class LocalOnly(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            if urlsplit(str(request.url)).hostname not in _LOCAL_HOSTS:
                raise _MirrorError(f"{request.url} is not https")
            return super().send(request, *args, **kwargs)

    session = requests.Session()
    session.max_redirects = 5
    session.mount("http://", LocalOnly())
    return session


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return "timed out"
    if isinstance(error, requests.exceptions.SSLError):
        return "no trusted https connection"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return "wrong bytes (sha256 differs)"
    return str(error)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file: of several processes one downloads, the others wait and find the file.

    A file system without locks gives none: then the checksum alone keeps wrong bytes out.
    """
    with open(path, "ab") as handle:
        with suppress(OSError):
            _lock(handle)
        yield


if sys.platform == "win32":
    import msvcrt
    import time

    def _lock(handle: IO[bytes]) -> None:
        while True:
            try:
                msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
                return
            except PermissionError:  # another process has it
                time.sleep(0.1)

else:
    import fcntl

    def _lock(handle: IO[bytes]) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)
