"""Downloads, from servers that misbehave."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastcnn import data
from fastcnn.data import download, sources
from fastcnn.data.sources import RemoteFile
from tests.data.setting import (
    BATCHES100,
    IDX_CONTENT,
    IDX_NAMES,
    RANDOM,
    idx,
    packed,
    put,
    tar,
)

BODY = RANDOM.bytes(200_000)
Page = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.requests.append((self.path, self.headers.get("Range", "")))
        self.close_connection = True
        with suppress(OSError):  # the client hangs up, as it should, where too much is sent
            server.pages[self.path](self)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def start(self, status: int, **headers: Any) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Page] = {}
        self.requests: list[tuple[str, str]] = []

    def url(self, name: str, page: Page) -> str:
        self.pages[f"/{name}"] = page
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def ranges(self) -> list[int]:
        return [int(asked.removeprefix("bytes=").removesuffix("-")) for _, asked in self.requests]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def sends(content: bytes = BODY, at_most: int = 1 << 30, ranges: bool = True, stall: float = 0.0) -> Page:
    """A page with byte ranges that closes the connection after `at_most` bytes, if given after a stall."""

    def page(handler: Handler) -> None:
        asked = int(handler.headers.get("Range", "bytes=0-")[6:-1]) if ranges else 0
        rest = content[asked:]
        extra = {"Content_Range": f"bytes {asked}-{len(content) - 1}/{len(content)}"} if ranges else {}
        handler.start(206 if ranges else 200, Content_Length=len(rest), **extra)
        handler.wfile.write(rest[:at_most])
        if len(rest) > at_most:
            handler.wfile.flush()
            time.sleep(stall)

    return page


def fails_once(first: Page, then: Page) -> Page:
    pages = iter([first])

    def page(handler: Handler) -> None:
        next(pages, then)(handler)

    return page


def answers(status: int, content: bytes = b"no", **headers: Any) -> Page:
    def page(handler: Handler) -> None:
        handler.start(status, **headers)
        handler.wfile.write(content)

    return page


def says(line: bytes, times: int = 1) -> Page:
    """A page that is no HTTP, or no end of it."""

    def page(handler: Handler) -> None:
        for _ in range(times):
            handler.wfile.write(line)

    return page


def chunked(handler: Handler) -> None:
    """Chunks of 200,000 bytes without end, the length of each announced."""
    handler.start(200, Transfer_Encoding="chunked")
    while True:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(WRONG), WRONG))


def endless(handler: Handler) -> None:
    handler.start(200)
    while True:
        handler.wfile.write(bytes(1 << 16))


def remote(*mirrors: str, content: bytes = BODY, name: str = "file.gz") -> RemoteFile:
    return RemoteFile(name, len(content), hashlib.sha256(content).hexdigest(), mirrors)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


@pytest.mark.skipif(sys.platform == "win32", reason="files are locked in another way there")
def test_a_download_keeps_others_from_the_folder(tmp_path: Path) -> None:
    import fcntl

    with download._locked(tmp_path / ".lock"), open(tmp_path / ".lock", "ab") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(tmp_path / ".lock", "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_download(tmp_path: Path, server: Server) -> None:
    file = remote(server.url("good", sends()))
    assert download.fetch(file, tmp_path / "new" / "folder").read_bytes() == BODY
    assert files_in(tmp_path / "new" / "folder") == {"file.gz"}
    download.fetch(file, tmp_path / "new" / "folder")
    assert len(server.requests) == 1


def test_download_cut_at_every_tenth(tmp_path: Path, server: Server) -> None:
    file = remote(server.url("cut", sends(at_most=len(BODY) // 10)))
    assert download.fetch(file, tmp_path).read_bytes() == BODY
    assert len(server.requests) >= 10 and server.ranges() == sorted(set(server.ranges()))
    assert files_in(tmp_path) == {"file.gz"}


def test_download_resumes_what_an_earlier_call_left(tmp_path: Path, server: Server) -> None:
    cut = fails_once(sends(at_most=120_000), answers(503))
    with pytest.raises(download.DownloadError, match=r"503"):
        download.fetch(remote(server.url("file", cut)), tmp_path)
    assert files_in(tmp_path) == {"file.gz.part"}
    kept = (tmp_path / "file.gz.part").read_bytes()
    assert len(kept) >= 100_000 and BODY.startswith(kept)
    download.fetch(remote(server.url("file", sends())), tmp_path)
    assert server.ranges()[-1] == len(kept) and (tmp_path / "file.gz").read_bytes() == BODY
    assert files_in(tmp_path) == {"file.gz"}


def test_download_resumes_at_the_next_mirror(tmp_path: Path, server: Server) -> None:
    first = server.url("first", fails_once(sends(at_most=120_000), answers(500)))
    download.fetch(remote(first, server.url("second", sends())), tmp_path)
    assert (tmp_path / "file.gz").read_bytes() == BODY and server.ranges()[-1] >= 100_000


def test_download_without_ranges_starts_again(tmp_path: Path, server: Server) -> None:
    page = fails_once(sends(at_most=120_000, ranges=False), sends(ranges=False))
    assert download.fetch(remote(server.url("file", page)), tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("old", [RANDOM.bytes(1000), RANDOM.bytes(len(BODY)), BODY * 2, b""])
def test_download_recovers_from_a_bad_part_file(tmp_path: Path, server: Server, old: bytes) -> None:
    (tmp_path / "file.gz.part").write_bytes(old)
    page = sends()

    def strict(handler: Handler) -> None:
        too_far = handler.headers["Range"] == f"bytes={len(old)}-" and len(old) > len(BODY)
        answers(416)(handler) if too_far else page(handler)

    mirror = server.url("file", strict)
    assert download.fetch(remote(mirror, mirror), tmp_path).read_bytes() == BODY
    assert files_in(tmp_path) == {"file.gz"}


def test_download_goes_on_after_kill(tmp_path: Path, server: Server) -> None:
    mirror = server.url("slow", fails_once(sends(at_most=150_000, stall=30), sends()))
    file = remote(mirror)
    code = (
        "from pathlib import Path; from fastcnn.data.download import fetch; "
        f"from fastcnn.data.sources import RemoteFile; fetch({file!r}, Path({str(tmp_path)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    part = tmp_path / "file.gz.part"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (part.exists() and part.stat().st_size > 100_000):
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (tmp_path / "file.gz").exists()
    kept = part.stat().st_size
    assert download.fetch(file, tmp_path).read_bytes() == BODY
    assert server.ranges() == [0, kept] and kept > 100_000


def test_eight_processes_at_once(tmp_path: Path, server: Server) -> None:
    file = remote(server.url("file", sends(at_most=60_000)))
    code = (
        "import sys; from pathlib import Path; from fastcnn.data.download import fetch; "
        "from fastcnn.data.sources import RemoteFile; sys.stdin.read(); "
        f"fetch({file!r}, Path({str(tmp_path)!r}))"
    )
    command = [sys.executable, "-c", code]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(8)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait(60) for process in processes] == [0] * 8
    assert (tmp_path / "file.gz").read_bytes() == BODY and files_in(tmp_path) == {"file.gz"}
    assert server.ranges().count(0) == 1  # one downloaded, seven waited


WRONG = bytes(len(BODY))
BAD_MIRRORS: dict[str, tuple[Page, str]] = {
    "wrong bytes": (sends(WRONG), "wrong bytes .sha256 differs"),
    "one bit wrong": (sends(BODY[:-1] + bytes([BODY[-1] ^ 1])), "wrong bytes"),
    "403": (answers(403), "status 403 Forbidden"),
    "404": (answers(404), "status 404"),
    "503": (answers(503), "status 503 Service Unavailable"),
    "204": (answers(204, b""), "status 204"),
    "web page": (answers(200, b"<html>", Content_Length=6), "6 bytes announced, expected 200000"),
    "web page, no length": (answers(200, b"<html>"), "6 of 200000 bytes"),
    "too short": (sends(BODY[:-1]), "199999 bytes announced, expected 200000"),
    "too long": (sends(BODY + b"x"), "200001 bytes announced, expected 200000"),
    "endless": (endless, "more than the 200000 bytes of the file"),
    "range not asked for": (
        answers(206, b"", Content_Range="bytes 5-9/10"),
        "a range that was not asked for",
    ),
    "range without a word": (answers(206, b""), "a range that was not asked for"),
    "nothing but headers": (sends(at_most=0), "cut after 0 of 200000 bytes"),
    "no answer": (lambda handler: None, "no connection"),
    "redirect to file": (
        answers(302, Location="file:///etc/passwd"),
        "No connection adapters .*file:///etc/passwd",
    ),
    "redirect to ftp": (answers(301, Location="ftp://127.0.0.1/x"), "No connection adapters"),
    "redirect to http": (
        answers(307, Location="http://127.0.0.1.example/x"),
        "127.0.0.1.example/x is not https",
    ),
    "redirect nowhere": (answers(302), "status 302"),
    "redirect in a circle": (answers(302, Location="/bad"), "Exceeded 5 redirects"),
    "no HTTP": (says(b"SSH-2.0-OpenSSH_9.9\r\n"), "no connection"),
    "line without end": (says(b"x" * (1 << 16), 1 << 10), "no connection"),
    "headers without end": (says(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 9999), "no connection"),
    "chunks without end": (chunked, "more than the 200000 bytes of the file"),
    "broken chunk": (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "0 of 200000 bytes"),
    "other coding": (
        answers(200, packed(BODY)[:100], Content_Encoding="gzip"),
        "100 of 200000 bytes",
    ),
    "redirect to a folder of this machine": (answers(302, Location="file://localhost/etc/"), "No connection adapters"),
    "redirect to data": (answers(302, Location="data:text/plain,x"), "No connection adapters"),
    "redirect to http elsewhere, twice": (answers(302, Location="//192.0.2.1/x"), "192.0.2.1/x is not https"),
    "compressed on the way": (
        answers(200, BODY, Content_Encoding="gzip", Content_Length=9),
        "9 bytes announced",
    ),
}


@pytest.mark.parametrize("row", BAD_MIRRORS.values(), ids=BAD_MIRRORS)
def test_bad_mirror(tmp_path: Path, server: Server, row: tuple[Page, str]) -> None:
    page, message = row
    bad = server.url("bad", page)
    with pytest.raises(download.DownloadError, match=message) as caught:
        download.fetch(remote(bad), tmp_path)
    assert bad in str(caught.value) and str(tmp_path / "file.gz") in str(caught.value)
    assert not any((tmp_path / name).stat().st_size for name in files_in(tmp_path))
    download.fetch(remote(bad, server.url("good", sends())), tmp_path)
    assert (tmp_path / "file.gz").read_bytes() == BODY and files_in(tmp_path) == {"file.gz"}


def test_compressed_transfer_keeps_the_file_as_it_is(tmp_path: Path, server: Server) -> None:
    content = packed(BODY)
    page = answers(200, content, Content_Encoding="gzip", Content_Length=len(content))
    assert download.fetch(remote(server.url("x", page), content=content), tmp_path).read_bytes() == content


def test_redirect_is_followed(tmp_path: Path, server: Server) -> None:
    server.url("good", sends())
    moved = server.url("moved", answers(302, Location="/good"))
    assert download.fetch(remote(moved), tmp_path).read_bytes() == BODY


def test_stalled_mirror_times_out(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_TIMEOUT", (1, 0.2))
    stalled = server.url("stalled", fails_once(sends(at_most=100_000, stall=1), lambda _: time.sleep(1)))
    with pytest.raises(download.DownloadError, match="timed out"):
        download.fetch(remote(stalled), tmp_path)
    download.fetch(remote(stalled, server.url("good", sends())), tmp_path)
    assert (tmp_path / "file.gz").read_bytes() == BODY


def test_no_network(tmp_path: Path, server: Server) -> None:
    dead = server.url("", sends()).rsplit(":", 1)[0] + ":1"  # nobody listens there
    file = remote(f"{dead}/a", f"{dead}/b")
    with pytest.raises(
        download.DownloadError, match=r"127.0.0.1:1/a: no connection; .*1/b: no connection"
    ) as caught:
        download.fetch(file, tmp_path)
    assert isinstance(caught.value, OSError) and "put it at" in str(caught.value)
    assert not files_in(tmp_path)


def test_plain_http_is_refused(tmp_path: Path) -> None:
    with pytest.raises(download.DownloadError, match=r"http://mirror\.example/x is not https"):
        download.fetch(remote("http://mirror.example/x"), tmp_path)


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(OSError, match="taken"):
        data.load("mnist", root=tmp_path / "taken")


def test_load_downloads_what_is_missing(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tuple(
        remote(
            server.url(f"dead/{name}", answers(403)),
            server.url(name, sends(content)),
            content=content,
            name=name,
        )
        for name, content in IDX_CONTENT.items()
    )
    mnist = dataclasses.replace(sources.SOURCES["mnist"], files=files)
    monkeypatch.setitem(sources.SOURCES, "mnist", mnist)
    monkeypatch.setenv("FASTCNN_DATA", str(tmp_path / "data"))
    own = packed(idx(np.zeros(10, int)))  # not the published bytes: what the user put there is kept
    put(tmp_path / "data" / "mnist", {IDX_NAMES[3]: own})
    loaded = data.load("mnist")
    assert len(loaded.train) == 20 and not loaded.test.labels.any()
    assert files_in(tmp_path / "data" / "mnist") == set(IDX_NAMES)
    assert (tmp_path / "data" / "mnist" / IDX_NAMES[3]).read_bytes() == own
    assert len(server.requests) == 6
    data.load("mnist")
    assert len(server.requests) == 6


def test_load_downloads_the_archive(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    content = packed(tar({f"cifar-100-binary/{name}": batch for name, batch in BATCHES100.items()}))
    archive = remote(server.url("c", sends(content)), content=content, name="cifar-100-binary.tar.gz")
    monkeypatch.setitem(
        sources.SOURCES, "cifar100", dataclasses.replace(sources.SOURCES["cifar100"], archive=archive)
    )
    assert len(data.load("cifar100", root=tmp_path).train) == 3
    assert files_in(tmp_path / "cifar100") == {"cifar-100-binary.tar.gz"}
