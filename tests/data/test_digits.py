"""The bundled digits."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from fastcnn import data
from fastcnn.data import sources


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
