"""Bad files: reader, content, what the message says."""

from __future__ import annotations

import os
import struct
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastcnn import data
from fastcnn.shapes import DataFormatError
from tests.data.setting import (
    ARCHIVE,
    BATCH,
    BATCH100,
    CLASSES,
    FOLDER,
    IMAGES,
    LABELS,
    PIXELS,
    idx,
    packed,
    read_archive,
    read_cifar10,
    read_cifar100,
    read_images,
    read_labels,
    tar,
)


def header(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


def flipped(raw: bytes, position: int) -> bytes:
    position %= len(raw)
    return raw[:position] + bytes([raw[position] ^ 0xFF]) + raw[position + 1 :]


ONE_TWICE = tar({f"{FOLDER}/a.bin": BATCH, "a.bin": BATCH, "t.bin": BATCH})
LINK = tar({"a.bin": b"", "t.bin": BATCH}, {"a.bin": tarfile.SYMTYPE})
DEVICE = tar({"a.bin": b"", "t.bin": BATCH}, {"a.bin": tarfile.CHRTYPE})
NEGATIVE = tarfile.TarInfo("a.bin")
NEGATIVE.size = -512
BOMB = packed(bytes(1 << 25))
BAD_FILES: dict[str, tuple[Callable[[Path], Any], bytes | None, str]] = {
    "images: folder": (read_images, None, "a folder; expected a file"),
    "images: empty": (read_images, b"", "ends within the magic number"),
    "images: cut in magic": (read_images, IMAGES[:3], "ends within the magic number"),
    "images: cut in header": (read_images, IMAGES[:15], "ends within the header"),
    "images: header only": (read_images, IMAGES[:16], "promises 60 bytes .*at most 0"),
    "images: cut in data": (read_images, IMAGES[:40], "promises 60 bytes .*at most 24"),
    "images: last byte missing": (read_images, IMAGES[:-1], "promises 60 bytes .*at most 59"),
    "images: one byte more": (read_images, IMAGES + b"\0", "more bytes after the first 76"),
    "images: labels instead": (
        read_images,
        LABELS,
        r"\(idx labels\); expected .*\(idx images, magic number 2051",
    ),
    "images: signed bytes": (read_images, header(0x903, 5, 4, 3) + IMAGES[16:], "not an idx file of bytes"),
    "images: floats": (read_images, header(0xD03, 5, 4, 3) + IMAGES[16:] * 4, "not an idx file of bytes"),
    "images: little endian": (read_images, struct.pack("<4I", 2051, 5, 4, 3), "not an idx file of bytes"),
    "images: rank 4": (read_images, header(0x804, 5, 4, 3, 1) + IMAGES[16:], "not an idx file of bytes"),
    "images: web page": (read_images, b"<html><body>403", r"starts with b'<htm'"),
    "images: png": (read_images, b"\x89PNG\r\n\x1a\n" + bytes(99), "starts with b'.x89PNG'"),
    "images: zip": (read_images, b"PK\3\4" + bytes(99), "starts with b'PK"),
    "images: pickle": (read_images, b"\x80\4\x95" + bytes(99), "not an idx file of bytes"),
    "images: no images": (
        read_images,
        header(2051, 0, 4, 3),
        r"dimensions \(0, 4, 3\); expected each at least 1",
    ),
    "images: zero width": (
        read_images,
        header(2051, 5, 4, 0),
        r"dimensions \(5, 4, 0\); expected each at least 1",
    ),
    "images: huge": (
        read_images,
        header(2051, *[2**32 - 1] * 3) + bytes(9),
        "promises 79228162458924105385300197375",
    ),
    "images: huge, gzipped": (read_images, packed(header(2051, *[2**31] * 3)), "promises .*at most"),
    "images: other size": (read_images, idx(PIXELS[:, :3, :]), "images of 3x3 pixels; expected 4x3"),
    "images: transposed": (read_images, idx(PIXELS.transpose(0, 2, 1)), "images of 3x4 pixels; expected 4x3"),
    "images: fewer than labels": (
        read_images,
        idx(PIXELS[:4]),
        "4 images; expected 5, as the label file says",
    ),
    "images: more than labels": (read_images, idx(np.repeat(PIXELS, 2, 0)), "10 images; expected 5"),
    "gzip: only magic": (read_images, b"\x1f\x8b", "gzip data ends early"),
    "gzip: cut in header": (read_images, packed(IMAGES)[:7], "gzip data ends early"),
    "gzip: cut in data": (read_images, packed(IMAGES)[:50], "gzip data ends early"),
    "gzip: checksum missing": (read_images, packed(IMAGES)[:-8], "gzip data ends early"),
    "gzip: last byte missing": (read_images, packed(IMAGES)[:-1], "gzip data ends early"),
    "gzip: wrong method": (read_images, flipped(packed(IMAGES), 2), "damaged gzip data"),
    "gzip: wrong checksum": (
        read_images,
        flipped(packed(IMAGES), -8 + len(packed(IMAGES))),
        "damaged gzip data",
    ),
    "gzip: wrong length": (
        read_images,
        flipped(packed(IMAGES), -4 + len(packed(IMAGES))),
        "damaged gzip data",
    ),
    "gzip: junk after": (read_images, packed(IMAGES) + b"junk", "after the end of the gzip data"),
    "gzip: member after": (read_images, packed(IMAGES) + packed(b"x"), "more bytes after the first 76"),
    "gzip: second member cut": (read_images, packed(IMAGES[:9]) + packed(IMAGES[9:])[:-1], "gzip data ends early"),
    "gzip: second member damaged": (read_images, packed(IMAGES) + flipped(packed(b""), -5), "damaged gzip data"),
    "gzip: one byte after": (read_images, packed(IMAGES) + b"\x1f", "after the end of the gzip data"),
    "gzip: zeros, then junk": (read_images, packed(IMAGES) + bytes(99) + b"junk", "after the end of the gzip data"),
    "gzip: hundred thousand members": (read_images, packed(b"") * 100_000, "ends within the magic number"),
    "gzip: endless name": (read_images, b"\x1f\x8b\x08\x08" + b"\1" * 10**6, "gzip data ends early"),
    "gzip: longer inside": (read_images, packed(IMAGES + b"\0"), "more bytes after the first 76"),
    "gzip: shorter inside": (read_images, packed(IMAGES[:-1]), "ends within the data; expected 1 more bytes"),
    "gzip: twice": (read_images, packed(packed(IMAGES)), "not an idx file of bytes"),
    "gzip: bomb": (read_images, BOMB, "not an idx file of bytes"),
    "gzip: bomb behind header": (
        read_images,
        packed(IMAGES + bytes(1 << 25)),
        "more bytes after the first 76",
    ),
    "labels: folder": (read_labels, None, "a folder; expected a file"),
    "labels: empty": (read_labels, b"", "ends within the magic number"),
    "labels: images instead": (
        read_labels,
        IMAGES,
        r"\(idx images\); expected .*\(idx labels, magic number 2049",
    ),
    "labels: cut": (read_labels, LABELS[:-1], "promises 5 bytes .*at most 4"),
    "labels: none": (read_labels, header(2049, 0), r"dimensions \(0,\); expected each at least 1"),
    "labels: 10": (read_labels, idx(CLASSES + 1), r"label 10 \(largest 10\); expected 0 to 9"),
    "labels: 255": (read_labels, flipped(LABELS, 8), "label 255 .*expected 0 to 9"),
    "labels: one byte more": (read_labels, LABELS + b"\1", "more bytes after the first 13"),
    "labels: too many": (read_labels, idx(np.zeros(1001, int)), "promises 1001 bytes .*at most 1000"),
    "labels: too many, gzipped": (
        read_labels,
        packed(idx(np.zeros(9999, int))),
        "promises 9999 .*at most 1000",
    ),
    "cifar10: folder": (read_cifar10, None, "a folder; expected a file"),
    "cifar10: empty": (read_cifar10, b"", "0 bytes; expected 1 to 5 records of 3073 bytes"),
    "cifar10: cut": (read_cifar10, BATCH[:-1], "9218 bytes; expected"),
    "cifar10: one byte more": (read_cifar10, BATCH + b"\0", "9220 bytes; expected"),
    "cifar10: too many": (read_cifar10, BATCH * 2, "18438 bytes; expected 1 to 5 records"),
    "cifar10: cifar100 instead": (read_cifar10, BATCH100, "9222 bytes; expected"),
    "cifar10: label": (read_cifar10, b"\x0a" + BATCH[1:], r"label 10 \(largest 10\); expected 0 to 9"),
    "cifar10: last label": (read_cifar10, flipped(BATCH, 2 * 3073), "label 251 .*expected 0 to 9"),
    "cifar10: gzipped": (read_cifar10, packed(BATCH), "bytes; expected 1 to 5 records"),
    "cifar100: cifar10 instead": (read_cifar100, BATCH, "9219 bytes; expected 1 to 5 records of 3074"),
    "cifar100: coarse label": (read_cifar100, b"\x14" + BATCH100[1:], "label 20 .*expected 0 to 19"),
    "cifar100: fine label": (read_cifar100, b"\0\x64" + BATCH100[2:], "label 100 .*expected 0 to 99"),
    "archive: folder": (read_archive, None, "a folder; expected a file"),
    "archive: empty": (read_archive, b"", "ends within a tar header"),
    "archive: web page": (read_archive, b"<html>" * 200, "not a tar header"),
    "archive: gzip of text": (read_archive, packed(b"<html>" * 200), "not a tar header"),
    "archive: no members": (read_archive, tar({}), "no member a.bin, t.bin; expected a.bin, t.bin in inner/"),
    "archive: one missing": (read_archive, tar({"a.bin": BATCH}), "no member t.bin"),
    "archive: other folder": (
        read_archive,
        tar({"x/a.bin": BATCH, "x/t.bin": BATCH}),
        "no member a.bin, t.bin",
    ),
    "archive: symlink": (read_archive, LINK, "member a.bin is a link or a device"),
    "archive: device": (read_archive, DEVICE, "member a.bin is a link or a device"),
    "archive: member twice": (read_archive, ONE_TWICE, "member a.bin twice; expected once"),
    "archive: member cut": (read_archive, tar({"a.bin": BATCH[:-1], "t.bin": BATCH}), "a.bin: 9218 bytes"),
    "archive: member empty": (read_archive, tar({"a.bin": b"", "t.bin": BATCH}), "a.bin: 0 bytes; expected"),
    "archive: member label": (
        read_archive,
        tar({"a.bin": b"\xff" + BATCH[1:], "t.bin": BATCH}),
        "a.bin: label 255",
    ),
    "archive: cut in member": (read_archive, ARCHIVE[:3000], "ends within a.bin"),
    "archive: cut between": (read_archive, ARCHIVE[:1024], "ends within a tar header"),
    "archive: gzip cut": (read_archive, packed(ARCHIVE)[:-9], "gzip data ends early"),
    "archive: bad checksum": (read_archive, flipped(ARCHIVE, 0), "not a tar header"),
    "archive: negative size": (
        read_archive,
        NEGATIVE.tobuf(tarfile.GNU_FORMAT) + ARCHIVE,
        "member of -512 bytes",
    ),
    "archive: junk after": (read_archive, ARCHIVE + b"junk", "more data after the end of the archive"),
    "archive: bomb": (read_archive, packed(tar({"x": bytes(1 << 23)})), "more than [0-9]+ bytes unpacked"),
    "archive: zeros without end": (read_archive, packed(ARCHIVE + bytes(1 << 22)), "more than [0-9]+ bytes"),
}


@pytest.mark.parametrize("row", BAD_FILES.values(), ids=BAD_FILES)
def test_bad_file(tmp_path: Path, row: tuple[Callable[[Path], Any], bytes | None, str]) -> None:
    read, content, message = row
    path = tmp_path / "the-file"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(DataFormatError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "; expected " in str(caught.value) and "put the original file there" in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipe_is_refused_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for read in (read_images, read_labels, read_cifar10, read_archive):
        with pytest.raises(DataFormatError, match="a pipe or a device; expected a regular file"):
            read(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["gzip: bomb", "gzip: bomb behind header", "archive: bomb"])
def test_bombs_take_no_memory(tmp_path: Path, name: str) -> None:
    read, content, _ = BAD_FILES[name]
    (tmp_path / "bomb").write_bytes(content or b"")
    tracemalloc.start()
    try:
        with pytest.raises(DataFormatError):
            read(tmp_path / "bomb")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


GOOD_FILES: list[tuple[Callable[[Path], Any], bytes]] = [
    (read_images, IMAGES),
    (read_images, packed(IMAGES)),
    (read_labels, LABELS),
    (read_labels, packed(LABELS)),
    (read_cifar10, BATCH),
    (read_cifar100, BATCH100),
    (read_archive, ARCHIVE),
    (read_archive, packed(ARCHIVE)),
]


@settings(
    max_examples=600,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    file=st.sampled_from(GOOD_FILES),
    flips=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=6)
    | st.lists(st.tuples(st.integers(0, 31), st.integers(0, 255)), max_size=6),
    keep=st.none() | st.integers(0, 1 << 20),
    tail=st.binary(max_size=8),
)
def test_mutated_files(
    tmp_path: Path,
    file: tuple[Callable[[Path], Any], bytes],
    flips: list[tuple[int, int]],
    keep: int | None,
    tail: bytes,
) -> None:
    read, content = file
    damaged = bytearray(content)
    for position, value in flips:
        damaged[position % len(damaged)] = value
    path = tmp_path / "file"
    path.write_bytes(bytes(damaged[: None if keep is None else keep % len(damaged)]) + tail)
    try:
        result = read(path)
    except DataFormatError as error:
        assert str(path) in str(error)
        return
    pairs = result if isinstance(result, list) else [result] if isinstance(result, tuple) else []
    for images, labels in pairs:
        data.Split(images, labels, [str(n) for n in range(100)])
    if read is read_images:
        assert result.shape == (5, 4, 3, 1)
    if read is read_labels:
        assert result.min() >= 0 and result.max() <= 9
