"""Values at the edges of what is taken, and forms of data that are rare."""

import numpy as np
import pytest
import requests

import fastcnn
from fastcnn import data, nn
from fastcnn.data import download, preview
from fastcnn.shapes import ShapeError
from fastcnn.training.augment import Augment

IMAGES = np.arange(4 * 3 * 5, dtype=np.uint8).reshape(4, 3, 5, 1)
LABELS = np.array([0, 1, 1, 0])


def test_npz_in_fortran_order_gives_the_same_images(tmp_path):
    np.savez(tmp_path / "own.npz", images=np.asfortranarray(IMAGES), labels=LABELS)
    assert np.array_equal(data.from_npz(tmp_path / "own.npz").images, IMAGES)


def test_npz_takes_a_column_of_labels(tmp_path):
    np.savez(tmp_path / "own.npz", images=IMAGES, labels=LABELS[:, np.newaxis])
    assert np.array_equal(data.from_npz(tmp_path / "own.npz").labels, LABELS)


def test_a_turn_of_180_degrees_is_the_largest():
    assert Augment(rotate=180).rotate == 180
    with pytest.raises(ValueError, match="rotate"):
        Augment(rotate=180.5)


def test_white_stays_white_in_a_preview():
    assert preview._as_bytes(np.array([-1.0, 0.0, 1.0])).tolist() == [0, 127, 255]


@pytest.mark.parametrize("size", [(8,), (8, 8, 8), [8]])
def test_a_size_of_images_is_two_numbers(tmp_path, size):
    with pytest.raises((ShapeError, ValueError, TypeError), match="size"):
        data.from_folder(tmp_path, size=size)


def test_a_certificate_that_is_not_trusted_is_named():
    assert download._reason(requests.exceptions.SSLError("bad")) == "no trusted https connection"


def test_one_sample_of_a_gradient_is_enough():
    layer = nn.Linear(3, 2)
    assert fastcnn.gradient_check(layer, np.ones((2, 3)), samples=1) < 1e-6
