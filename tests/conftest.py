"""What every test begins with."""

import pytest

import fastcnn


@pytest.fixture(autouse=True)
def seed():
    """Weights that are drawn are the same whatever ran before: some would lie near the kinks of a gradient."""
    fastcnn.manual_seed(0)
