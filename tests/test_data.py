"""Data sets: bundled digits, parsers against hostile files, downloads from servers that misbehave."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import os
import struct
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastcnn import data
from fastcnn.data import download, formats, reader, sources
from fastcnn.data.sources import RemoteFile
from fastcnn.shapes import DataFormatError, DTypeError, ShapeError

RANDOM = np.random.default_rng(0)


def idx(array: np.ndarray) -> bytes:
    magic = 0x800 | array.ndim
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.astype(np.uint8).tobytes()


def packed(raw: bytes) -> bytes:
    return gzip.compress(raw, mtime=0)


def cifar(labels: list[tuple[int, ...]], planes: np.ndarray) -> bytes:
    return b"".join(bytes(label) + plane.tobytes() for label, plane in zip(labels, planes, strict=True))


def tar(members: dict[str, bytes], kinds: dict[str, bytes] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.type = (kinds or {}).get(name, tarfile.REGTYPE)
            member.linkname = "/etc/passwd" if member.issym() else ""
            member.size = 0 if member.issym() else len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


PIXELS = RANDOM.integers(0, 256, (5, 4, 3), dtype=np.uint8)
CLASSES = np.array([0, 9, 3, 3, 1])
IMAGES, LABELS = idx(PIXELS), idx(CLASSES)
PLANES = RANDOM.integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
BATCH = cifar([(0,), (9,), (4,)], PLANES)
BATCH100 = cifar([(0, 99), (19, 0), (7, 50)], PLANES)
FOLDER = "inner"
MEMBERS = {f"{FOLDER}/readme.html": b"hello", f"{FOLDER}/a.bin": BATCH, f"{FOLDER}/t.bin": BATCH[:3073]}
ARCHIVE = tar(MEMBERS)


def read_images(path: Path) -> np.ndarray:
    return formats.read_idx_images(path, count=5, size=(4, 3), max_bytes=10_000)


def read_labels(path: Path) -> np.ndarray:
    return formats.read_idx_labels(path, 10, max_bytes=1000)


def read_cifar10(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return formats.read_cifar([path], (10,), 5)


def read_cifar100(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return formats.read_cifar([path], (20, 100), 5)


def read_archive(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    return formats.read_cifar_archive(path, FOLDER, [["a.bin"], ["t.bin"]], (10,), 5)


# --- the bundled digits


def test_digits() -> None:
    digits = data.load("digits")
    assert (digits.name, digits.classes) == ("digits", tuple("0123456789"))
    assert digits.train.images.shape == (1442, 8, 8, 1) and digits.test.images.shape == (355, 8, 8, 1)
    for split in (digits.train, digits.test):
        assert split.images.dtype == np.uint8 and split.labels.dtype == np.int64
        assert split.images.flags.c_contiguous
    train, test = np.bincount(digits.train.labels), np.bincount(digits.test.labels)
    np.testing.assert_array_equal(train + test, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    np.testing.assert_array_equal(test, (train + test) // 5)


def test_digits_first_image() -> None:
    zero = """
        0 0 5 13 9 1 0 0  0 0 13 15 10 15 5 0  0 3 15 2 0 11 8 0  0 4 12 0 0 8 8 0
        0 5 8 0 0 9 8 0   0 4 11 0 1 12 7 0    0 2 14 5 10 12 0 0 0 0 6 13 10 0 0 0
    """
    counts = np.array(zero.split(), int).reshape(8, 8)
    image, label = data.load("digits").train[0]
    assert label == 0
    np.testing.assert_array_equal(image[..., 0], np.round(counts * 255 / 16))
    np.testing.assert_array_equal((image[..., 0].astype(int) * 16 + 127) // 255, counts)


def test_digits_files_are_the_recorded_ones() -> None:
    folder = Path(data.__file__).parent / "digits"
    assert "CC BY 4.0" in (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for file in sources.SOURCES["digits"].files:
        content = (folder / file.name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)


def test_digits_ignore_root(tmp_path: Path) -> None:
    assert len(data.load("digits", root=tmp_path, download=False).train) == 1442
    assert not any(tmp_path.iterdir())


# --- names, the table, lazy imports


def test_names() -> None:
    assert data.names() == ("digits", "mnist", "fashion-mnist", "cifar10", "cifar100")
    for name in ("imagenet", "", "MNIST", None, ["mnist"]):
        with pytest.raises(ValueError, match=r"load: name is .*expected one of digits, mnist, fashion-mnist"):
            data.load(name)


def test_table() -> None:
    for name, source in sources.SOURCES.items():
        files = source.files if isinstance(source, sources.IdxSource) else (source.archive,)
        assert len(set(source.classes)) == (100 if name == "cifar100" else 10)
        assert list(source.classes) == sorted(source.classes) or not name.startswith("cifar")
        for file in files:
            assert len(file.sha256) == 64 and int(file.sha256, 16) and file.size > 0
            assert bool(file.mirrors) == (name != "digits")
            assert all(url.startswith("https://") and url.endswith("/" + file.name) for url in file.mirrors)


PUBLISHED_BYTES = {
    "digits": [35643, 453, 9073, 194],
    "mnist": [9912422, 28881, 1648877, 4542],
    "fashion-mnist": [26421880, 29515, 4422102, 5148],
    "cifar10": [170052171],
    "cifar100": [168513733],
}


@pytest.mark.parametrize("name", PUBLISHED_BYTES)
def test_what_was_published(name: str) -> None:
    """A download of another size is refused, and files of more images than these."""
    source = sources.SOURCES[name]
    files = source.files if isinstance(source, sources.IdxSource) else (source.archive,)
    assert [file.size for file in files] == PUBLISHED_BYTES[name]
    if isinstance(source, sources.IdxSource):
        assert source.max_counts == ((1442, 355) if name == "digits" else (60_000, 10_000))
        assert source.image_size == ((8, 8) if name == "digits" else (28, 28))
    else:
        assert (source.limits, source.capacity) == (((10,), 10_000) if name == "cifar10" else ((20, 100), 50_000))
        parts = {"cifar10": (tuple(f"data_batch_{number}.bin" for number in (1, 2, 3, 4, 5)), ("test_batch.bin",))}
        assert (source.train, source.test) == parts.get(name, (("train.bin",), ("test.bin",)))


def test_import_is_light() -> None:
    heavy = "{'numba', 'pooch', 'requests', 'urllib3', 'matplotlib', 'tqdm'}"
    code = f"import sys, fastcnn.data as d; d.load('digits'); print({heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


# --- Split and Dataset


def test_split_slices_and_iterates() -> None:
    split = data.Split(PIXELS[..., None], CLASSES, tuple("abcdefghij"))
    assert len(split) == 5 and split.classes[9] == "j"
    assert isinstance(split[1:3], data.Split) and split[1:3].classes == split.classes
    np.testing.assert_array_equal(split[[4, 0]].labels, [1, 0])
    np.testing.assert_array_equal(split[split.labels == 3].images[..., 0], PIXELS[2:4])
    np.testing.assert_array_equal(split[::-2].images, PIXELS[::-2, ..., None])
    assert split[::-2].images.flags.c_contiguous
    assert [label for _, label in split] == [0, 9, 3, 3, 1]
    assert [len(split.subset(n)) for n in (1, 2, 5)] == [1, 2, 5] and np.shares_memory(split.subset(2).images, split.images)
    assert repr(split) == "Split((5, 4, 3, 1) uint8, 10 classes)"
    for n in (0, 6, -1):
        with pytest.raises(ShapeError, match=f"subset: n is {n}, expected 1 to 5"):
            split.subset(n)


@pytest.mark.parametrize(
    ("given_type", "kept_type"),
    [("u1", "u1"), ("f2", "f4"), (">f4", "f4"), ("f4", "f4"), (">f8", "f8"), ("f8", "f8")],
)
def test_split_takes_any_layout(given_type: str, kept_type: str) -> None:
    images = np.asfortranarray(PIXELS[..., None].astype(given_type))[::-1]
    images.flags.writeable = False
    split = data.Split(images, CLASSES.astype(">u2"))
    assert split.images.dtype == np.dtype(kept_type) and split.images.dtype.isnative
    assert split.images.flags.c_contiguous and split.labels.dtype == np.int64
    assert split.classes == tuple("0123456789")
    np.testing.assert_array_equal(split.images, images)


X = PIXELS[..., None]
BAD_SPLITS = {
    "image dtype": (
        X.astype(np.int64),
        CLASSES,
        None,
        DTypeError,
        "images are int64, expected uint8 or float",
    ),
    "complex images": (X.astype(complex), CLASSES, None, DTypeError, "images are complex128"),
    "no channel axis": (PIXELS, CLASSES, None, ShapeError, r"\(5, 4, 3\), expected \(N, H, W, C\); .*None\]"),
    "rank 5": (X[None], CLASSES, None, ShapeError, r"expected \(N, H, W, C\)"),
    "empty": (X[:0], CLASSES[:0], None, ShapeError, "expected at least one image"),
    "no pixels": (X[:, :0], CLASSES, None, ShapeError, "expected at least one image of one pixel"),
    "float labels": (X, CLASSES / 1.0, None, DTypeError, "labels are float64, expected integers"),
    "bool labels": (X, CLASSES > 1, None, DTypeError, "labels are bool, expected integers"),
    "short labels": (X, CLASSES[:4], None, ShapeError, r"labels have shape \(4,\), expected \(5,\)"),
    "one-hot labels": (X, np.eye(5, dtype=int), None, ShapeError, r"labels have shape \(5, 5\)"),
    "label -1": (X, CLASSES - 1, tuple("0123456789"), ShapeError, r"labels\[0\] is -1, expected 0 to 9"),
    "label 10": (X, CLASSES + 1, tuple("0123456789"), ShapeError, r"labels\[1\] is 10, expected 0 to 9"),
    "wild label": (X, CLASSES + 2**62, None, ShapeError, r"is 46116.*, expected 0 to 65535"),
    "uint64 label": (
        X,
        CLASSES.astype(np.uint64) + np.uint64(2**63),
        None,
        ShapeError,
        "is 9223372036854775817",
    ),
    "no classes": (X, CLASSES, (), ShapeError, "expected 0 to -1"),
}


@pytest.mark.parametrize("row", BAD_SPLITS.values(), ids=BAD_SPLITS)
def test_bad_split(row: Any) -> None:
    images, labels, classes, error, message = row
    with pytest.raises(error, match=f"Split: .*{message}"):
        data.Split(images, labels, classes)


def test_the_largest_label_without_names() -> None:
    images = np.zeros((2, 1, 1, 1), np.uint8)
    assert len(data.Split(images, [0, 65535]).classes) == 65536
    with pytest.raises(ShapeError, match=r"labels\[1\] is 65536, expected 0 to 65535"):
        data.Split(images, [0, 65536])


def test_a_part_of_a_split_has_names_where_the_whole_has() -> None:
    images = np.zeros((2, 1, 1, 1), np.uint8)
    assert not data.Split(images, [0, 1])[:1].named and data.Split(images, [0, 1], ["a", "b"])[:1].named


def test_bad_dataset() -> None:
    split = data.Split(X, CLASSES)
    with pytest.raises(ShapeError, match=r"test images have shape \(3, 3, 1\), expected \(4, 3, 1\)"):
        data.Dataset("mine", split, data.Split(X[:, :3], CLASSES))
    with pytest.raises(ShapeError, match=r"test has classes .*expected"):
        data.Dataset("mine", split, data.Split(X, CLASSES, tuple("abcdefghij")))


def test_the_test_split_of_a_dataset_counts_in_the_classes_of_training() -> None:
    train, test = data.Split(X[:3], [0, 1, 2], ["a", "b", "c"]), data.Split(X[:2], [0, 1], ["c", "a"])
    dataset = data.Dataset("mine", train, test)
    assert dataset.test.classes == dataset.classes == ("a", "b", "c") and dataset.test.labels.tolist() == [2, 0]
    with pytest.raises(ValueError, match="as_classes: the split has images of c, a, expected classes among a, b"):
        test.as_classes(["a", "b"])
    assert data.Split(X[:2], [1, 0]).as_classes(["c", "a"]).labels.tolist() == [1, 0]


# --- good files


def in_members(raw: bytes) -> bytes:
    """As `cat a.gz b.gz` and bgzip make it, with an empty member and zeros behind it."""
    return packed(raw[:3]) + packed(raw[3:40]) + packed(raw[40:]) + packed(b"") + bytes(1000)


@pytest.mark.parametrize("pack", [bytes, packed, in_members])
def test_idx_round_trip(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "images").write_bytes(pack(IMAGES))
    (tmp_path / "labels").write_bytes(pack(LABELS))
    np.testing.assert_array_equal(formats.read_idx_images(tmp_path / "images"), PIXELS[..., None])
    labels = formats.read_idx_labels(tmp_path / "labels", 10)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, CLASSES)


def test_a_member_that_repeats_what_lies_far_back(tmp_path: Path) -> None:
    """Gzip looks back over up to 32 KiB, in each member."""
    block = RANDOM.integers(0, 256, (1, 30, 1000), dtype=np.uint8)
    raw = idx(np.concatenate([block, block]))
    (tmp_path / "images").write_bytes(packed(raw[:16]) + packed(raw[16:]))
    np.testing.assert_array_equal(formats.read_idx_images(tmp_path / "images")[1, ..., 0], block[0])


def test_a_member_that_begins_with_the_last_byte_of_what_is_read_at_once(tmp_path: Path) -> None:
    first = packed(IMAGES[:16])
    for zeros in range(reader._PACKED_CHUNK - len(first) - 3, reader._PACKED_CHUNK - len(first) + 2):
        (tmp_path / "images").write_bytes(first + bytes(zeros) + packed(IMAGES[16:]))
        np.testing.assert_array_equal(formats.read_idx_images(tmp_path / "images"), PIXELS[..., None])


def test_idx_longer_than_one_chunk(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 256, (900, 31, 29), dtype=np.uint8)
    (tmp_path / "images").write_bytes(packed(idx(pixels)))
    np.testing.assert_array_equal(formats.read_idx_images(tmp_path / "images")[..., 0], pixels)


def test_cifar_round_trip(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(BATCH)
    (tmp_path / "two").write_bytes(BATCH[3073:])
    images, labels = formats.read_cifar([tmp_path / "one", tmp_path / "two"], (10,), 4)
    np.testing.assert_array_equal(labels, [0, 9, 4, 9, 4])
    np.testing.assert_array_equal(images, PLANES.transpose(0, 2, 3, 1)[[0, 1, 2, 1, 2]])
    assert images.flags.c_contiguous


def test_cifar100_gives_the_fine_label(tmp_path: Path) -> None:
    (tmp_path / "train.bin").write_bytes(BATCH100)
    images, labels = read_cifar100(tmp_path / "train.bin")
    np.testing.assert_array_equal(labels, [99, 0, 50])
    np.testing.assert_array_equal(images, PLANES.transpose(0, 2, 3, 1))


def test_cifar_larger_than_one_block(tmp_path: Path) -> None:
    planes = RANDOM.integers(0, 256, (701, 3, 32, 32), dtype=np.uint8)
    (tmp_path / "batch").write_bytes(cifar([(n % 10,) for n in range(701)], planes))
    images, labels = formats.read_cifar([tmp_path / "batch"], (10,), 701)
    np.testing.assert_array_equal(images, planes.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(labels, np.arange(701) % 10)


ARCHIVES = {
    "plain": ARCHIVE,
    "gzipped": packed(ARCHIVE),
    "gzipped in parts": in_members(ARCHIVE),
    "other order": packed(tar(dict(reversed(MEMBERS.items())))),
    "dot names": packed(tar({f"./{name}": content for name, content in MEMBERS.items()})),
    "at the top": packed(tar({"a.bin": BATCH, "t.bin": BATCH[:3073]})),
    "foreign members": packed(tar({"../../evil": b"x" * 999, "/abs": b"", **MEMBERS})),
}


@pytest.mark.parametrize("content", ARCHIVES.values(), ids=ARCHIVES)
def test_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "archive").write_bytes(content)
    (images, labels), (test_images, test_labels) = read_archive(tmp_path / "archive")
    np.testing.assert_array_equal(images, PLANES.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(labels, [0, 9, 4])
    assert test_images.shape == (1, 32, 32, 3) and test_labels.tolist() == [0]
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


# --- bad files: reader, content, what the message says


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


# --- finding files


def small_idx(count: int, seed: int) -> tuple[bytes, bytes]:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return packed(idx(pixels)), packed(idx(np.arange(count) % 10))


IDX_NAMES = [file.name for file in sources.SOURCES["mnist"].files]
IDX_CONTENT = dict(zip(IDX_NAMES, small_idx(20, 1) + small_idx(10, 2), strict=True))


def put(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_load_idx(tmp_path: Path, name: str) -> None:
    put(tmp_path / name, IDX_CONTENT)
    loaded = data.load(name, root=str(tmp_path), download=False)
    assert loaded.train.images.shape == (20, 28, 28, 1) and loaded.test.images.shape == (10, 28, 28, 1)
    assert loaded.classes[9] == ("9" if name == "mnist" else "Ankle boot")


def test_load_idx_not_gzipped_and_from_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {name.removesuffix(".gz"): gzip.decompress(content) for name, content in IDX_CONTENT.items()}
    put(tmp_path / "mnist", plain)
    monkeypatch.setenv("FASTCNN_DATA", str(tmp_path))
    assert len(data.load("mnist", download=False).train) == 20
    assert len(data.load("mnist", root=tmp_path, download=False).test) == 10


def test_user_cache_folder_is_the_last_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTCNN_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path))
    put(tmp_path / "data" / "mnist", IDX_CONTENT)
    assert len(data.load("mnist", download=False).train) == 20


BATCHES = {f"data_batch_{n}.bin": BATCH for n in range(1, 6)} | {"test_batch.bin": BATCH[:3073]}
BATCHES100 = {"train.bin": BATCH100, "test.bin": BATCH100[:3074]}


@pytest.mark.parametrize("place", ["cifar10", "cifar-10", "cifar10/cifar-10-batches-bin"])
def test_load_cifar10(tmp_path: Path, place: str) -> None:
    put(tmp_path / place, BATCHES)
    loaded = data.load("cifar10", root=tmp_path, download=False)
    assert loaded.train.images.shape == (15, 32, 32, 3) and len(loaded.test) == 1
    assert loaded.classes[:2] == ("airplane", "automobile")


@pytest.mark.parametrize("place", ["cifar100", "cifar-100/cifar-100-binary"])
def test_load_cifar100(tmp_path: Path, place: str) -> None:
    put(tmp_path / place, BATCHES100)
    loaded = data.load("cifar100", root=tmp_path, download=False)
    assert loaded.train.labels.tolist() == [99, 0, 50]
    assert (loaded.classes[0], loaded.classes[99]) == ("apple", "worm")


@pytest.mark.parametrize(
    ("name", "archive", "folder", "files"),
    [
        ("cifar10", "cifar-10-binary.tar.gz", "cifar-10-batches-bin", BATCHES),
        ("cifar100", "cifar-100-binary.tar.gz", "cifar-100-binary", BATCHES100),
    ],
)
def test_load_cifar_archive(
    tmp_path: Path, name: str, archive: str, folder: str, files: dict[str, bytes]
) -> None:
    members = {f"{folder}/{file}": content for file, content in files.items()}
    put(tmp_path / name, {archive: packed(tar(members))})
    loaded = data.load(name, root=tmp_path, download=False)
    assert len(loaded.train) == 3 * (len(files) - 1) and len(loaded.test) == 1


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100"])
def test_missing_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{name}: no .*gz.* in .*{name}.*download=True") as caught:
        data.load(name, root=tmp_path, download=False)
    assert str(tmp_path) in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_missing_files_are_named(tmp_path: Path) -> None:
    put(tmp_path / "mnist", {name: IDX_CONTENT[name] for name in IDX_NAMES[:3]})
    with pytest.raises(FileNotFoundError, match=r"mnist: no t10k-labels-idx1-ubyte.gz in "):
        data.load("mnist", root=tmp_path, download=False)


def test_load_refuses_what_does_not_fit(tmp_path: Path) -> None:
    folder = put(tmp_path / "mnist", IDX_CONTENT | {IDX_NAMES[1]: small_idx(19, 1)[1]})
    with pytest.raises(DataFormatError, match="20 images; expected 19, as the label file says"):
        data.load("mnist", root=tmp_path, download=False)
    put(folder, IDX_CONTENT | {IDX_NAMES[0]: packed(idx(np.zeros((20, 8, 8))))})
    with pytest.raises(DataFormatError, match="images of 8x8 pixels; expected 28x28"):
        data.load("mnist", root=tmp_path, download=False)
    (folder / IDX_NAMES[0]).unlink()
    (folder / IDX_NAMES[0]).mkdir()
    with pytest.raises(DataFormatError, match="a folder; expected a file"):
        data.load("mnist", root=tmp_path)


# --- downloads, from servers that misbehave

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


# --- the real data, where it is

REAL = {
    "mnist": ([5, 0, 4, 1, 9], [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
    "fashion-mnist": ([9, 0, 0, 3, 0], [6000] * 10),
    "cifar10": ([6, 9, 9, 4, 1], [5000] * 10),
}


@pytest.mark.parametrize("name", REAL)
def test_real_data(name: str) -> None:
    root = os.environ.get("FASTCNN_DATA") or Path(__file__).parents[2] / "shared" / "data"
    try:
        loaded = data.load(name, root=root, download=False)
    except FileNotFoundError as error:
        pytest.skip(f"{error} (FASTCNN_DATA may name the folder)")
    first, counts = REAL[name]
    assert loaded.train.labels[:5].tolist() == first
    np.testing.assert_array_equal(np.bincount(loaded.train.labels), counts)
    assert len(loaded.test) == 10_000 and loaded.test.images.flags.c_contiguous
    if name == "cifar10":
        assert loaded.train.images[0, 0, :2].tolist() == [[59, 62, 63], [43, 46, 45]]
    else:
        assert loaded.train.images.shape == (60_000, 28, 28, 1)
        assert loaded.train.images.mean() == pytest.approx(33.3184 if name == "mnist" else 72.9404, abs=1e-3)
