"""The real data, where it is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from fastcnn import data

REAL = {
    "mnist": ([5, 0, 4, 1, 9], [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
    "fashion-mnist": ([9, 0, 0, 3, 0], [6000] * 10),
    "cifar10": ([6, 9, 9, 4, 1], [5000] * 10),
}


@pytest.mark.parametrize("name", REAL)
def test_real_data(name: str) -> None:
    root = os.environ.get("FASTCNN_DATA") or Path(__file__).parents[3] / "shared" / "data"
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
