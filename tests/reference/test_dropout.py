"""Dropout."""

import math

import numpy as np
import pytest

from fastcnn import reference
from tests.reference.setting import INF, NAN

ONES = 0xFFFFFFFF
PHILOX_VECTORS = [
    # counter, key, words: the known answers published with the paper's code for philox4x32, 10 rounds
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize("counter, key, words", PHILOX_VECTORS)
def test_philox_known_answers(counter, key, words):
    assert tuple(int(word) for word in reference.philox(counter, key)) == words


def test_philox_works_on_arrays():
    counters, keys, words = (np.array(column).T for column in zip(*PHILOX_VECTORS, strict=True))
    actual = reference.philox(counters, keys)
    assert all(word.dtype == np.uint32 for word in actual)
    assert np.array_equal(actual, words)


def test_dropout_by_hand():
    # the words of counter 0 and key 0 are 0.399, 0.880, 0.736, 0.606 of 2^32
    y, mask = reference.dropout(np.array([1.0, 2, 3, 4]), 0.5, seed=0)
    assert mask.dtype == bool
    assert mask.tolist() == [False, True, True, True]
    assert y.tolist() == [0, 4, 6, 8]
    assert reference.dropout(np.ones((2, 2)), 0.65, seed=0)[1].tolist() == [[False, True], [True, False]]
    assert reference.dropout_backward(np.array([1.0, 2, 3, 4]), mask, 0.5).tolist() == [0, 4, 6, 8]


def test_dropout_threshold_is_the_word_itself():
    for p, kept in ((0x6627E8D5 / 2**32, True), (0x6627E8D6 / 2**32, False), (0.0, True)):
        assert reference.dropout(np.ones(1), p, seed=0)[1].tolist() == [kept]


def test_dropout_drops_even_what_is_not_finite():
    assert reference.dropout(np.array([NAN, 1, 1, INF]), 0.5, seed=0)[0].tolist() == [0, 2, 2, INF]


def test_dropout_depends_on_seed_and_element_only():
    long = reference.dropout(np.ones(1001), 0.3, seed=5)[1]
    for shape in ((10,), (7, 11, 13), (1, 3)):
        assert np.array_equal(reference.dropout(np.zeros(shape), 0.3, seed=5)[1].ravel(), long[: math.prod(shape)])
    # element 6 is word 2 of counter 1; both halves of the seed are in the key
    for low, high in ((5, 0), (0, 1), (7, 9)):
        word = int(reference.philox((1, 0, 0, 0), (low, high))[2])
        for p, kept in ((word / 2**32, True), ((word + 1) / 2**32, False)):
            assert reference.dropout(np.ones(8), p, seed=low + (high << 32))[1][6] == kept


def test_dropout_keeps_the_right_share():
    kept = reference.dropout(np.ones(100_000), 0.2, seed=1)[1].mean()
    assert abs(kept - 0.8) < 5 * math.sqrt(0.2 * 0.8 / 100_000)
