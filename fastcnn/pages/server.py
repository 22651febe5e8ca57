"""The server of the demo: one page and one question, for browsers on this machine alone.

A page of another site that a browser shows can send requests here too: by its own address, which then stands in `Origin`,
or by a name that it lets point here, which then stands in `Host` (DNS rebinding). Neither gets an answer. No part of a
request is ever the name of a file.
"""

from __future__ import annotations

import json
import os
import secrets
import socketserver
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..extras import MissingExtraError
from ..shapes import DataFormatError, ShapeError
from . import html
from .predictor import Predictor

_ADDRESS = "127.0.0.1"
MOST_BYTES = 1 << 24  # of an image file
_SECONDS = 10  # to wait for a client that sends, or takes, nothing
_BLOCK = 1 << 16
_DROPPED = 1 << 26  # bytes of a body that is too large, which are taken so that the client reads why
_FIXED = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
          "Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY"}


class Server(ThreadingHTTPServer):
    """Serves the demo of a model on this machine, a thread for each request, so that a slow client keeps nobody waiting."""

    daemon_threads = True  # a client that waits does not keep the process
    allow_reuse_address = os.name != "nt"  # where it would let another program take the port, too

    def __init__(self, predictor: Predictor, port: int) -> None:
        """Take the port, a free one for 0; OSError: it is in use or not for everyone."""
        self.predictor = predictor
        try:
            super().__init__((_ADDRESS, port), Handler)
        except OSError as error:
            raise OSError(f"demo: port {port} of {_ADDRESS} cannot be had ({error.strerror}); expected another --port, 0 "
                          "takes a free one") from error
        self.hosts = {f"{_ADDRESS}:{self.server_port}", f"localhost:{self.server_port}"}
        if self.server_port == 80:  # which addresses leave out
            self.hosts |= {_ADDRESS, "localhost"}

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{_ADDRESS}:{self.server_port}/"

    def server_bind(self) -> None:
        """Take the port without asking a name server for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _ADDRESS, self.server_address[1]

    def server_close(self) -> None:
        """Free the port, and let an answer that is under way end: compiled code must not outlive the interpreter."""
        super().server_close()
        with self.predictor.busy:
            pass

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that went away; what else goes wrong in a request is a bug, whose traceback is printed."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers one request: GET / with the page, POST /predict with JSON."""

    server: Server
    timeout = _SECONDS

    def version_string(self) -> str:
        """Return what serves, without its version."""
        return "fastcnn"

    def parse_request(self) -> bool:
        """Read the head of a request; false where it is refused, which has then been said."""
        if not super().parse_request():
            return False
        hosts, origins = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        if self.command not in ("GET", "POST"):
            return self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, f"the method is {self.command}, expected GET or POST")
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            return self._refuse(HTTPStatus.FORBIDDEN, f"this page is for {self.server.url} alone")
        if any(origin.lower().removeprefix("http://") not in self.server.hosts for origin in origins):
            return self._refuse(HTTPStatus.FORBIDDEN, "the request comes from another page")
        return True

    def do_GET(self) -> None:
        """Give the page."""
        if self.path != "/":
            self._refuse(HTTPStatus.NOT_FOUND, "there is only the page /")
            return
        nonce = secrets.token_urlsafe(16)
        policy = (f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; "
                  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", page(self.server.predictor, nonce).encode(), policy)

    def do_POST(self) -> None:
        """Answer about a drawing (application/octet-stream) or an image file (any other type)."""
        if self.path not in ("/predict", "/predict?invert"):
            self._refuse(HTTPStatus.NOT_FOUND, "there is only POST /predict")
            return
        content = self._body()
        if content is None:
            return
        predictor = self.server.predictor
        try:
            if self.headers.get_content_type() == "application/octet-stream":
                answer = predictor.of_drawing(content)
            else:
                answer = predictor.of_file(content, self.path.endswith("?invert"))
        except (DataFormatError, ShapeError, MissingExtraError) as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
            return
        self._send_json(HTTPStatus.OK, answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: one does not want a line for each stroke."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what http.server itself does not understand."""
        self._refuse(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def _body(self) -> bytes | None:
        """Return the body, or None where it is refused, which has then been said."""
        given = self.headers.get_all("Content-Length", [])
        if len(given) != 1 or not (given[0].isascii() and given[0].isdecimal()) or "Transfer-Encoding" in self.headers:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "expected one Content-Length")
            return None
        length = int(given[0][:20])
        if length > MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the file has {length:,} bytes, expected at most "
                                                              f"{MOST_BYTES:,}")
            self._drop(min(length, _DROPPED))
            return None
        content = self.rfile.read(length)
        if len(content) < length:
            self._refuse(HTTPStatus.BAD_REQUEST, f"the body has {len(content):,} bytes, expected {length:,}")
            return None
        return content

    def _drop(self, count: int) -> None:
        while count > 0 and (block := self.rfile.read(min(count, _BLOCK))):
            count -= len(block)

    def _refuse(self, status: HTTPStatus, words: str) -> bool:
        self.close_connection = True
        self._send_json(status, {"problem": words})
        return False

    def _send_json(self, status: HTTPStatus, record: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(record, allow_nan=False).encode(), "default-src 'none'")

    def _send(self, status: HTTPStatus, kind: str, content: bytes, policy: str) -> None:
        self.send_response(status)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, POST")
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), "Content-Security-Policy": policy,
                            **_FIXED}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
            self.wfile.flush()


def page(predictor: Predictor, nonce: str) -> str:
    """Return the page of the demo: one file, whose style and script may run because they carry the nonce."""
    about = json.dumps({**predictor.about(), "most_bytes": MOST_BYTES}).replace("<", "\\u003c")
    parts = {"@NONCE@": nonce, "@STYLE@": html.asset("style.css") + html.asset("demo.css"), "@ABOUT@": about,
             "@SCRIPT@": html.asset("demo.js")}
    text = html.asset("demo.html")
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text
