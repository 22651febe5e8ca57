"""Batches."""

import numpy as np
import pytest

from fastcnn import reference
from tests.reference.setting import close, unchanged


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gather_by_hand(dtype):
    images = np.array([[0, 255], [51, 204], [102, 153]], np.uint8).reshape(3, 1, 1, 2)  # 0 1, 0.2 0.8, 0.4 0.6
    mean, std = np.array([0.2, 0.5], dtype), np.array([0.5, 0.25], dtype)
    batch = reference.gather(images, np.array([2, 0, 2, 1]), mean, std)
    assert batch.shape == (4, 1, 1, 2)
    assert batch.dtype == dtype
    close(batch[:, 0, 0], [[0.4, 0.4], [-0.4, 2], [0.4, 0.4], [0, 1.2]], 4 * np.finfo(dtype).eps)


PICTURE = np.arange(1.0, 7.0).reshape(1, 2, 3, 1)  # 1 2 3 / 4 5 6
CHANGES = {
    "nothing": ({}, [[1, 2, 3], [4, 5, 6]]),
    "a row down": ({"shift": (1, 0)}, [[4, 5, 6], [0, 0, 0]]),
    "a column to the left": ({"shift": (0, -1)}, [[0, 1, 2], [0, 4, 5]]),
    "half a column": ({"shift": (0, 0.5)}, [[1.5, 2.5, 1.5], [4.5, 5.5, 3]]),
    "half a row and a quarter of a column": ({"shift": (0.5, 0.25)}, [[2.75, 3.75, 3.375], [2.125, 2.625, 2.25]]),
    "mirrored": ({"matrix": [[1, 0], [0, -1]]}, [[3, 2, 1], [6, 5, 4]]),
    "mirrored, then from one to the right": ({"matrix": [[1, 0], [0, -1]], "shift": (0, 1)}, [[0, 3, 2], [0, 6, 5]]),
    "upside down": ({"matrix": [[-1, 0], [0, -1]]}, [[6, 5, 4], [3, 2, 1]]),
    "a quarter turn": ({"matrix": [[0, 1], [-1, 0]]}, [[1.25, 4, 2.75], [0.75, 3, 2.25]]),
    "twice as wide": ({"matrix": [[1, 0], [0, 0.5]]}, [[1.5, 2, 2.5], [4.5, 5, 5.5]]),
    "half as wide": ({"matrix": [[1, 0], [0, 2]]}, [[0, 2, 0], [0, 5, 0]]),
    "brighter": ({"lift": 10}, [[11, 12, 13], [14, 15, 16]]),
    "three times the contrast": ({"gain": 3, "lift": -2}, [[1, 4, 7], [10, 13, 16]]),
    "a hole": ({"hole": (0, 1, 1, 3)}, [[1, 0, 0], [4, 5, 6]]),
    "a hole over the corner": ({"hole": (1, 9, -4, 2)}, [[1, 2, 3], [0, 0, 6]]),
    "a hole outside": ({"hole": (-5, -1, 0, 3)}, [[1, 2, 3], [4, 5, 6]]),
    "a quarter of another": ({"share": 0.75, "partner": 1}, [[1, 1.75, 2.5], [3.25, 4, 4.75]]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_augment_by_hand(name):
    fields, expected = CHANGES[name]
    images = np.concatenate([PICTURE, np.ones_like(PICTURE)])
    result = reference.augment(images, np.array([0]), unchanged(2, **fields), np.zeros(1), np.ones(1))
    np.testing.assert_allclose(result[0, ..., 0], expected, rtol=0, atol=1e-14)


def test_augment_of_bytes_by_hand():
    image = np.array([[0, 51, 204]], np.uint8).reshape(1, 1, 3, 1)  # 0, 0.2, 0.8

    def augment(**fields):
        changes = unchanged(1, **fields)
        return reference.augment(image, np.array([0]), changes, np.array([0.2]), np.array([0.5])).ravel()

    np.testing.assert_allclose(augment(), [-0.4, 0, 1.2], atol=1e-15)
    np.testing.assert_allclose(augment(gain=2, lift=-51), [-0.4, 0, 1.6], atol=1e-15)  # within 0 to 255
    np.testing.assert_allclose(augment(shift=(0, 1), lift=51), [0.4, 1.6, -0.4], atol=1e-15)  # outside stays black
    np.testing.assert_allclose(augment(hole=(0, 1, 2, 3)), [-0.4, 0, 0], atol=1e-15)  # a hole is the mean


def test_partners_have_their_own_changes_and_are_not_mixed():
    images = np.array([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]]).reshape(3, 1, 2, 1)
    changes = unchanged(3)
    changes["share"], changes["partner"] = [0.5, 0.25, 0.125], [1, 2, 0]
    changes["matrix"][1, 1, 1] = -1
    mixed = reference.augment(images, np.array([0, 1]), changes, np.zeros(1), np.ones(1))
    np.testing.assert_array_equal(mixed[..., 0, :, 0], [[10.5, 6], [80, 152.5]])


def test_rectified_results_are_those_of_relu():
    x = np.array([[-3.0, 1.0], [2.0, -4.0]])
    np.testing.assert_array_equal(reference.add(x, 1.0 + 0 * x, relu=True), [[0, 2], [3, 0]])
    image = x.reshape(1, 2, 2, 1)
    y, argmax = reference.max_pool2d(-image, (1, 2), relu=True)
    np.testing.assert_array_equal(y.ravel(), [3, 4])
    y, argmax = reference.max_pool2d(image - 5, 2, relu=True)
    assert (y.item(), argmax.item()) == (0, 2)
    dx = reference.max_pool2d_backward(np.ones((1, 1, 1, 1)), argmax, (1, 2, 2, 1), y=y)
    np.testing.assert_array_equal(dx, 0)
    np.testing.assert_array_equal(reference.linear(x, np.eye(2), relu=True), [[0, 1], [2, 0]])
    np.testing.assert_array_equal(reference.conv2d(image, np.ones((1, 1, 1, 1)), relu=True).ravel(), [0, 1, 2, 0])
    dx, dweight, dbias = reference.linear_backward(np.ones((2, 2)), x, np.eye(2), y=np.array([[0.0, 1.0], [2.0, 0.0]]))
    np.testing.assert_array_equal(dx, [[0, 1], [1, 0]])
    np.testing.assert_array_equal(dweight, [[2, -3], [-4, 1]])
    np.testing.assert_array_equal(dbias, [1, 1])
