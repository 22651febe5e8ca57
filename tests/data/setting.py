"""What the tests of data sets share: small good files, and what makes bad ones of them."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from pathlib import Path

import numpy as np

from fastcnn.data import formats, sources

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


BATCHES100 = {"train.bin": BATCH100, "test.bin": BATCH100[:3074]}
