"""`fastcnn demo`: who gets an answer, what is refused, and how a drawing becomes an image."""

import contextlib
import http.client
import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastcnn
from fastcnn import data, extras, models
from fastcnn.cli import main
from fastcnn.pages import drawing, server
from fastcnn.pages.predictor import Predictor
from tests.cli.setting import only_line

DIGITS = data.load("digits")
DRAWING = bytes(drawing.SIDE ** 2)
BYTES = {"Content-Type": "application/octet-stream"}


def made(name="strided_cnn", shape=(8, 8, 1), classes=10):
    model = models.create(name, shape, classes)
    model.normalisation = [0.5] * shape[2], [0.25] * shape[2]
    return model


@pytest.fixture(scope="module")
def demo():
    with server.Server(Predictor(made()), 0) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def asked(demo, method="GET", path="/", body=None, **headers):
    """Status, headers and content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", demo.server_port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def raw(demo, text):
    """The first line of what comes back for bytes of any kind."""
    with socket.create_connection(("127.0.0.1", demo.server_port), timeout=60) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").readline().decode().strip()


def test_the_page_allows_only_its_own_script(demo):
    (status, headers, content), (_, again, _) = asked(demo), asked(demo)
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    policy = headers["Content-Security-Policy"]
    nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
    assert len(nonce) > 20 and "default-src 'none'" in policy and "unsafe" not in policy
    assert content.decode().count(f'nonce="{nonce}"') == 3 and "@" not in content.decode().partition("<body>")[0].replace(
        "@media", "")
    assert again["Content-Security-Policy"] != policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Server"] == "fastcnn"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", "",
                                  "localhost.evil.example:{port}", "127.0.0.1:{port}@evil.example"])
def test_a_foreign_host_gets_nothing(demo, host):
    for method, path, body in (("GET", "/", None), ("POST", "/predict", DRAWING)):
        status, _, content = asked(demo, method, path, body, Host=host.format(port=demo.server_port), **BYTES)
        assert status == 403 and b"<html" not in content and b"answers" not in content


def test_one_host_is_needed(demo):
    host = f"Host: 127.0.0.1:{demo.server_port}\r\n".encode()
    assert raw(demo, b"GET / HTTP/1.1\r\n" + host + b"\r\n") == "HTTP/1.0 200 OK"
    assert raw(demo, b"GET http://evil.example/ HTTP/1.1\r\n" + host + b"\r\n") == "HTTP/1.0 404 Not Found"
    assert raw(demo, b"GET / HTTP/1.1\r\n\r\n") == "HTTP/1.0 403 Forbidden"
    assert raw(demo, b"GET / HTTP/1.1\r\n" + host + b"Host: evil.example\r\n\r\n") == "HTTP/1.0 403 Forbidden"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1",
                                    "file://", "http://localhost"])
def test_another_page_gets_nothing(demo, origin):
    status, _, content = asked(demo, "POST", "/predict", DRAWING, Origin=origin.format(port=demo.server_port), **BYTES)
    assert status == 403 and b"answers" not in content


def test_its_own_page_gets_an_answer_by_both_names(demo):
    for name in ("127.0.0.1", "localhost", "LOCALHOST"):
        own = f"{name}:{demo.server_port}"
        status, headers, content = asked(demo, "POST", "/predict", DRAWING, Host=own, Origin=f"http://{own}", **BYTES)
        assert status == 200 and headers["Content-Type"] == "application/json"
        assert len(json.loads(content)["answers"]) == 10


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "HEAD", "DANCE"])
def test_other_methods_are_refused(demo, method):
    status, headers, _ = asked(demo, method)
    assert status == 405 and headers["Allow"] == "GET, POST"


@pytest.mark.parametrize("path", ["/../pyproject.toml", "/..%2f..%2fetc/passwd", "//etc/passwd", "/etc/passwd", "/demo.js",
                                  "/style.css", "/predict", "/?x", "/index.html", "/\\..\\x"])
def test_no_path_is_a_file(demo, path):
    assert asked(demo, "GET", path)[0] == 404
    assert asked(demo, "POST", path + "/", DRAWING, **BYTES)[0] == 404


def test_large_bodies_are_refused_unread_and_the_client_reads_why(demo):
    status, _, content = asked(demo, "POST", "/predict", bytes(server.MOST_BYTES + 1), Content_Type="image/png")
    assert status == 413 and b"expected at most 16,777,216" in content
    host = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{demo.server_port}\r\n".encode()
    assert raw(demo, host + b"Content-Length: 99999999999999999999999999\r\n\r\n").startswith("HTTP/1.0 413")
    for length in (b"Content-Length: -1", b"Content-Length: 1_0", b"Content-Length: +1", b"Content-Length:", b"X: 1",
                   b"Content-Length: 3\r\nContent-Length: 4", b"Content-Length: 3\r\nTransfer-Encoding: chunked"):
        assert raw(demo, host + length + b"\r\n\r\nabc").startswith("HTTP/1.0 411"), length
    assert raw(demo, host + b"Content-Length: 30\r\n\r\nabc").startswith("HTTP/1.0 400")
    assert raw(demo, host + b"X: " + bytes(70_000) + b"\r\n\r\n").startswith("HTTP/1.0 431")
    assert raw(demo, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n").startswith("HTTP/1.0 414")
    assert asked(demo)[0] == 200


def test_drawings_of_another_size_are_refused(demo):
    for body in (b"", DRAWING[1:], DRAWING + b"\0"):
        status, _, content = asked(demo, "POST", "/predict", body, **BYTES)
        assert status == 422 and "expected 78,400: 280 x 280 pixels of grey" in json.loads(content)["problem"]


def png(image, **options):
    pillow = pytest.importorskip("PIL.Image")
    content = io.BytesIO()
    pillow.fromarray(image).save(content, "PNG", **options)
    return content.getvalue()


def test_what_is_no_image_is_refused_in_one_line(demo):
    good = png(DIGITS.test.images[0, ..., 0])
    large = png(np.zeros((1, 1), np.uint8)).replace(b"\0\0\0\1\0\0\0\1\x08", b"\0\1\0\0\0\1\0\0\x08")
    for body in (b"", b"no image", good[:40], good[:-30], b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS", large):
        status, _, content = asked(demo, "POST", "/predict", body, Content_Type="image/png")
        problem = json.loads(content)["problem"]
        assert status == 422 and "the file cannot be read as an image" in problem and "\n" not in problem, body


def test_an_image_file_gets_the_answer_of_predict(demo):
    image = DIGITS.test.images[3]
    (expected,) = fastcnn.predict(demo.predictor.model, image[None])
    for body, path in ((png(image[..., 0]), "/predict"), (png(255 - image[..., 0]), "/predict?invert")):
        answer = json.loads(asked(demo, "POST", path, body, Content_Type="image/png")[2])
        assert [one["probability"] for one in answer["answers"]] == pytest.approx(expected.tolist())
        assert [one["best"] for one in answer["answers"]].index(True) == expected.argmax()
    assert [maps["of"] for maps in answer["maps"]] == [12, 24] and len(answer["maps"][1]["channels"]) == 16


def test_without_pillow_files_are_refused_and_drawings_are_not(demo, monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, "image", extras.EXTRAS["image"]._replace(module="absent"))
    status, _, content = asked(demo, "POST", "/predict", b"...", Content_Type="image/png")
    assert status == 422 and "pip install 'fastcnn[image]'" in json.loads(content)["problem"]
    assert not Predictor(made()).takes_files
    assert asked(demo, "POST", "/predict", DRAWING, **BYTES)[0] == 200


def test_a_slow_client_keeps_nobody_waiting(demo):
    slow = [socket.create_connection(("127.0.0.1", demo.server_port)) for _ in range(8)]
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{demo.server_port}\r\nContent-Length: 9\r\n\r\n".encode()
    for number, connection in enumerate(slow):
        connection.sendall(head[:9] if number % 2 else head)
    began = time.monotonic()
    assert asked(demo, "POST", "/predict", DRAWING, **BYTES)[0] == 200
    assert time.monotonic() - began < server._SECONDS
    for connection in slow:
        connection.close()


def test_many_at_once_get_what_each_alone_gets(demo):
    generator = np.random.default_rng(0)
    drawings = [generator.integers(0, 256, drawing.SIDE ** 2, np.uint8).tobytes() for _ in range(6)]
    expected = [demo.predictor.of_drawing(content)["answers"] for content in drawings]
    found = [None] * len(drawings)

    def ask(number):
        found[number] = json.loads(asked(demo, "POST", "/predict", drawings[number], **BYTES)[2])["answers"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(drawings))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_the_model_answers_one_at_a_time(demo):
    thread = threading.Thread(target=demo.predictor.of_drawing, args=(DRAWING,))
    with demo.predictor.busy:
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    thread.join(60)
    assert not thread.is_alive()


def test_answers_for_one_output_many_classes_and_none():
    one = Predictor(made(classes=1))
    assert [answer["class"] for answer in one.of_drawing(DRAWING)["answers"]] == ["0", "1"]
    assert sum(answer["probability"] for answer in one.of_drawing(DRAWING)["answers"]) == pytest.approx(1)
    many = Predictor(made(shape=(32, 32, 3), classes=100)).of_drawing(DRAWING)
    shown = [answer["probability"] for answer in many["answers"]]
    assert len(shown) == 10 and shown == sorted(shown, reverse=True) and many["answers"][0]["best"]
    assert many["image"]["channels"] == 3
    assert one._answers(np.array([np.nan, 1])) == []


def test_a_port_in_use_is_one_line(demo, tmp_path, capsys):
    fastcnn.save(made(), tmp_path / "model.safetensors")
    assert main(["demo", str(tmp_path / "model.safetensors"), "--port", str(demo.server_port)]) == 1
    assert only_line(capsys) == (f"fastcnn: demo: port {demo.server_port} of 127.0.0.1 cannot be had (Address already in "
                                 "use); expected another --port, 0 takes a free one")


def test_ctrl_c_ends_it(tmp_path):
    fastcnn.save(made(), tmp_path / "model.safetensors")
    command = [sys.executable, "-m", "fastcnn", "demo", str(tmp_path / "model.safetensors"), "--port", "0", "--no-browser",
               "--json", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        port = int(json.loads(process.stdout.readline())["url"].rstrip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)), socket.socket() as another:  # whom nobody waits for
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130 and process.stderr.read() == "fastcnn: interrupted\n"
            another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            another.bind(("127.0.0.1", port))  # nobody listens there any more


def enlarged(image, top, left, zoom):
    """A drawing with the image somewhere on it."""
    whole = np.zeros((drawing.SIDE, drawing.SIDE), np.uint8)
    large = np.kron(image, np.ones((zoom, zoom), np.uint8))
    whole[top:top + len(large), left:left + large.shape[1]] = large
    return whole


def test_a_drawn_digit_is_as_high_as_those_of_the_data_set():
    for image in DIGITS.test.images[:50, ..., 0]:
        ink = np.flatnonzero((image > drawing._INK).any(axis=0))
        cut = image[:, ink[0]:ink[-1] + 1]
        if (cut > drawing._INK).any(axis=1).all():
            found = drawing.as_image(enlarged(cut, 30, 100, 10), (8, 8, 1))[..., 0]
            shifts = [np.array_equal(found[:, left:left + cut.shape[1]], cut) for left in range(9 - cut.shape[1])]
            assert any(shifts) and found.sum() == cut.sum()


def test_a_drawing_is_placed_as_mnist_places_digits():
    generator = np.random.default_rng(0)
    for _ in range(20):
        height, width = generator.integers(20, 200, 2)
        whole = np.zeros((drawing.SIDE, drawing.SIDE), np.uint8)
        top, left = generator.integers(0, drawing.SIDE - height), generator.integers(0, drawing.SIDE - width)
        whole[top:top + height, left:left + width] = 255
        image = drawing.as_image(whole, (28, 28, 1))[..., 0].astype(float)
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        assert max(len(rows), len(columns)) == 20
        assert len(rows) / len(columns) == pytest.approx(height / width, rel=0.3)
        assert abs((image.sum(axis=1) @ (np.arange(28) + 0.5)) / image.sum() - 14.5) <= 0.5
        assert abs((image.sum(axis=0) @ (np.arange(28) + 0.5)) / image.sum() - 14.5) <= 0.5


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (1, 1, 1), (20, 50, 1), (300, 300, 3)])
def test_any_drawing_becomes_an_image_of_any_shape(shape):
    dot = np.zeros((drawing.SIDE, drawing.SIDE), np.uint8)
    assert not drawing.as_image(dot, shape).any()
    dot[-1, 0] = 255
    for whole in (dot, np.full_like(dot, 255)):
        image = drawing.as_image(whole, shape)
        assert image.shape == shape and image.dtype == np.uint8 and image.max() == 255
        assert all(np.array_equal(image[..., channel], image[..., 0]) for channel in range(shape[2]))
