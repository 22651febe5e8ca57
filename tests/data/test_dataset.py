"""Split and Dataset: what they take and hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastcnn import data
from fastcnn.shapes import DTypeError, ShapeError
from tests.data.setting import (
    CLASSES,
    PIXELS,
)


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
