"""Good files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fastcnn.data import formats, reader
from tests.data.setting import (
    ARCHIVE,
    BATCH,
    BATCH100,
    CLASSES,
    IMAGES,
    LABELS,
    MEMBERS,
    PIXELS,
    PLANES,
    RANDOM,
    cifar,
    idx,
    packed,
    read_archive,
    read_cifar100,
    tar,
)


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
