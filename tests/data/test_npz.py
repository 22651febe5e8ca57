"""Images in .npz files: read as numpy wrote them, refused before anything is allocated where they are not."""

import io
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

import fastcnn
from fastcnn import data
from fastcnn.data import npz

IMAGES = np.arange(4 * 3 * 2, dtype=np.uint8).reshape(4, 3, 2)
LABELS = np.array([1, 0, 1, 2])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y"), ("Images", "target"), ("data", "label")])
def test_arrays_by_their_usual_names(save, names, tmp_path):
    save(tmp_path / "file.npz", **dict(zip(names, (IMAGES, LABELS), strict=True)))
    split = data.from_npz(tmp_path / "file.npz")
    assert np.array_equal(split.images[..., 0], IMAGES) and split.labels.tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize("images", [
    IMAGES.astype(np.float32), IMAGES.astype(">f8"), np.asfortranarray(IMAGES), IMAGES[..., None].repeat(3, -1),
    IMAGES[::-1]])
def test_arrays_of_any_kind_and_order(images, tmp_path):
    np.savez(tmp_path / "file.npz", images=images, labels=LABELS.astype(">i2"))
    split = data.from_npz(tmp_path / "file.npz")
    assert np.array_equal(split.images, images if images.ndim == 4 else images[..., None])
    assert split.images.flags.c_contiguous and split.labels.tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize("pattern", ["x_{}", "{}_images"])
def test_parts(pattern, tmp_path):
    labels = "y_{}" if pattern[0] == "x" else "{}_labels"
    arrays = {pattern.format(part): IMAGES[:count] for part, count in (("train", 4), ("val", 2))}
    arrays |= {labels.format(part): LABELS[:count, None] for part, count in (("train", 4), ("val", 2))}
    np.savez(tmp_path / "file.npz", **arrays)
    assert len(data.from_npz(tmp_path / "file.npz", part="train")) == 4
    assert len(data.from_npz(tmp_path / "file.npz", part="validation")) == 2
    with pytest.raises(fastcnn.DataFormatError, match=r"no array 'images'; expected one of .*train"):
        data.from_npz(tmp_path / "file.npz")


def test_labels_that_are_names_and_the_names_of_classes(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=np.array(["dog", "cat", "dog", "übel"]))
    assert data.from_npz(tmp_path / "a.npz").classes == ("cat", "dog", "übel")
    names = np.array(["cat", "dog", "cow", "ox"])
    np.savez(tmp_path / "b.npz", images=IMAGES, labels=LABELS, classes=names, other=LABELS[::-1])
    assert data.from_npz(tmp_path / "b.npz").classes == ("cat", "dog", "cow", "ox")
    assert data.from_npz(tmp_path / "b.npz", label="other").labels.tolist() == [2, 1, 0, 1]
    assert np.array_equal(data.from_npz(tmp_path / "b.npz", label=None)[..., 0], IMAGES)


def npy(header, content=b"", version=b"\x01\x00"):
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header.encode("latin-1") + content


def header(descr="|u1", shape="(4, 3, 2)", order="False"):
    return f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n"


def archive(content, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("images.npy", content)
    return buffer.getvalue()


RAW = IMAGES.tobytes()
STORED = archive(npy(header(), RAW))
PACKED = archive(npy(header(), RAW * 50), zipfile.ZIP_DEFLATED)


def patched(raw, place, value):
    return raw[:place] + value + raw[place + len(value) :]


def central(raw):
    return raw.index(b"PK\1\2")


HOSTILE = {
    "objects": (archive(npy(header("|O"), RAW)), "has the header .*expected that of an array of numbers or text"),
    "records": (archive(npy(header().replace("'|u1'", "[('a', '|u1')]"), RAW)), "has the header"),
    "code": (archive(npy(header(shape="__import__('os').abort()"), RAW)), "has the header"),
    "deep": (archive(npy("(" * 60_000, RAW)), "has the header"),
    "long header": (archive(b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 30)), "has a header of 1073741824 bytes"),
    "version": (archive(npy(header(), RAW, b"\x09\x00")), "starts with .*expected an array in numpy's format"),
    "no header": (archive(b"\x93NUM"), "starts with"),
    "huge shape": (archive(npy(header(shape="(4000000000, 4000000000)"), RAW)), "promises 16000000000000000000 bytes"),
    "size beyond all": (archive(npy(header(shape=f"({10**30},)"), RAW)), f"promises {10**30} bytes"),
    "empty": (archive(npy(header(shape="(0, 3, 2)"))), "expected at least one element"),
    "too short": (archive(npy(header(), RAW[:-1])), r"promises 24 bytes \(shape \(4, 3, 2\), uint8\); expected as many"),
    "too long": (archive(npy(header(), RAW + b"x")), "promises 24 bytes"),
    "no characters": (archive(npy(header("<U1", "(6,)"), b"\xff" * 24)), "numbers that are no characters"),
    "a number among characters": (archive(npy(header("<U1", "(6,)"), b"a\0\0\0" * 5 + b"\xff" * 4)),
                                  "numbers that are no characters"),
    "no such type": (archive(npy(header("<f3", "(8,)"), RAW)), "is damaged"),
    "bomb": (archive(npy(header(shape=f"({1 << 24},)"), bytes(1 << 24)), zipfile.ZIP_BZIP2), "packed by another method"),
    "encrypted": (patched(STORED, central(STORED) + 8, b"\1"), "images is encrypted or packed by another method"),
    "impossible size": (patched(PACKED, central(PACKED) + 24, b"\xff\xff\xff\x7f"), "has 2147483647 bytes; expected no"),
    "other checksum": (patched(STORED, central(STORED) + 16, b"abcd"), "is damaged"),
    "bit in the data": (patched(STORED, STORED.index(RAW), b"\7"), "is damaged"),
    "endless directory": (patched(STORED, len(STORED) - 10, b"\xff\xff\xff\x7f"), "no sound .npz file"),
    "web page": (b"<html>", "no sound .npz file"),
    "nothing": (b"", "no sound .npz file"),
    "cut": (STORED[:-30], "no sound .npz file"),
}


@pytest.mark.parametrize("row", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_with_little_memory(row, tmp_path):
    raw, message = row
    path = tmp_path / "file.npz"
    path.write_bytes(raw)
    tracemalloc.start()
    try:
        with pytest.raises(fastcnn.DataFormatError, match=message) as caught:
            data.from_npz(path, label=None)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(raw) + (1 << 20)
    finally:
        tracemalloc.stop()
    assert re.match(rf"from_npz: {re.escape(str(path))}: .*; expected ", str(caught.value))


def test_data_that_end_early_are_no_array(tmp_path):
    """The archive and the array promise twice as many bytes as there are; the checksum is that of those."""
    content = npy(header(shape="(8, 3, 2)"), RAW)
    short = archive(content, zipfile.ZIP_DEFLATED)
    size = struct.pack("<I", len(content) + len(RAW))
    (tmp_path / "file.npz").write_bytes(patched(short, central(short) + 24, size))
    with pytest.raises(fastcnn.DataFormatError, match=r"images is damaged \(24 of 48 bytes\)"):
        data.from_npz(tmp_path / "file.npz", label=None)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format(version, tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, IMAGES, version)
    (tmp_path / "file.npz").write_bytes(archive(buffer.getvalue()))
    assert np.array_equal(data.from_npz(tmp_path / "file.npz", label=None)[..., 0], IMAGES)


def test_the_longest_header(tmp_path):
    def long(count):
        return archive(b"\x93NUMPY\2\0" + struct.pack("<I", count) + header().encode().ljust(count) + RAW)

    (tmp_path / "file.npz").write_bytes(long(1 << 16))
    assert data.from_npz(tmp_path / "file.npz", label=None).shape == (4, 3, 2, 1)
    (tmp_path / "file.npz").write_bytes(long((1 << 16) + 1))
    with pytest.raises(fastcnn.DataFormatError, match="has a header of 65537 bytes; expected at most 65536"):
        data.from_npz(tmp_path / "file.npz", label=None)


def test_arrays_of_eight_axes_and_no_more(tmp_path):
    np.savez(tmp_path / "file.npz", images=IMAGES.reshape(1, 1, 1, 1, 1, 4, 3, 2))
    assert data.from_npz(tmp_path / "file.npz", label=None).ndim == 8
    np.savez(tmp_path / "file.npz", images=IMAGES.reshape(1, 1, 1, 1, 1, 1, 4, 3, 2))
    with pytest.raises(fastcnn.DataFormatError, match=r"has shape \(1, 1, 1, 1, 1, 1, 4, 3, 2\) and type"):
        data.from_npz(tmp_path / "file.npz", label=None)


def test_the_last_character_of_all(tmp_path):
    np.savez(tmp_path / "file.npz", images=IMAGES, labels=np.array(["\U0010ffff", "a", "b", "c"]))
    assert data.from_npz(tmp_path / "file.npz").classes == ("a", "b", "c", "\U0010ffff")


def test_little_is_read_at_once_of_what_an_archive_promises(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    with npz._Bounded(tmp_path / "file") as file:
        assert file.read(1 << 20) == b"0123456789" and file.seek(0) == 0 and file.read() == b"0123456789"
        assert file.seek(-1, 2) == 9 and file.read(None) == b"9"
        for call in (lambda: file.seek(-1), lambda: file.read((1 << 20) + 1)):
            with pytest.raises(zipfile.BadZipFile):
                call()


def test_a_part_of_any_name(tmp_path):
    np.savez(tmp_path / "file.npz", images_fold1=IMAGES, labels_fold1=LABELS, images=IMAGES[:1], labels=LABELS[:1])
    assert len(data.from_npz(tmp_path / "file.npz", part="fold1")) == 4
    with pytest.raises(fastcnn.DataFormatError, match="no array 'fold2_images'; expected one of images, images_fold1"):
        data.from_npz(tmp_path / "file.npz", part="fold2")


def test_a_part_is_a_name(tmp_path):
    np.savez(tmp_path / "file.npz", images=IMAGES, labels=LABELS)
    with pytest.raises(fastcnn.DTypeError, match="from_npz: part is 1, expected a name such as train"):
        data.from_npz(tmp_path / "file.npz", part=1)


def test_labels_of_two_columns_are_refused(tmp_path):
    np.savez(tmp_path / "file.npz", images=IMAGES, labels=LABELS[:, None].repeat(2, 1))
    with pytest.raises(fastcnn.ShapeError, match=r"labels have shape \(4, 2\)"):
        data.from_npz(tmp_path / "file.npz")


def test_what_a_packed_array_may_take(tmp_path, monkeypatch):
    content = npy(header(), RAW)
    (tmp_path / "file.npz").write_bytes(archive(content, zipfile.ZIP_DEFLATED))
    monkeypatch.setattr("fastcnn.data.npz._MOST_BYTES", len(content))
    assert data.from_npz(tmp_path / "file.npz", label=None).shape == (4, 3, 2, 1)
    (tmp_path / "file.npz").write_bytes(PACKED)
    monkeypatch.setattr("fastcnn.data.npz._MOST_BYTES", 100)
    with pytest.raises(fastcnn.DataFormatError, match=r"expected at most 100; save it with numpy\.savez"):
        data.from_npz(tmp_path / "file.npz", label=None)


def test_places_that_are_no_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.from_npz(tmp_path / "none.npz")
    with pytest.raises(fastcnn.DataFormatError, match="a folder; expected a file"):
        data.from_npz(tmp_path)
