"""Random weights."""

import numpy as np
import pytest

from fastcnn import manual_seed, nn
from fastcnn.nn.initialise import he_normal, orthogonal
from fastcnn.shapes import DTypeError, ShapeError
from tests.nn.setting import small


def test_the_same_seed_gives_the_same_model():
    def weights(seed):
        manual_seed(seed)
        return small().state_dict()

    once, again, other = weights(3), weights(3), weights(4)
    assert all(np.array_equal(once[name], again[name]) for name in once)
    assert not np.array_equal(once["0.weight"], other["0.weight"])


def test_he_normal_keeps_the_scale_through_relu():
    weights = he_normal((100, 400), 100)
    assert weights.dtype == np.float32
    assert abs(weights.std() - np.sqrt(2 / 100)) < 0.002 and abs(weights.mean()) < 0.002


@pytest.mark.parametrize(("how", "deviation"), [("he_normal", np.sqrt(2 / 90)), ("he_uniform", np.sqrt(2 / 90)),
                                                ("xavier_normal", np.sqrt(2 / 450)), ("xavier_uniform", np.sqrt(2 / 450)),
                                                ("truncated_normal", 0.02 * 0.8796), ("orthogonal", np.sqrt(1 / 90))])
def test_initialisers_draw_numbers_of_the_right_size(how, deviation):
    manual_seed(0)
    layer = nn.Conv2D(10, 40, 3)
    nn.init_weights(nn.Sequential(layer, nn.BatchNorm(40)), how)
    weights = layer.weight.data
    assert abs(weights.std() / deviation - 1) < 0.03 and abs(weights.mean()) < 0.1 * deviation
    if how.endswith("uniform"):
        assert abs(np.abs(weights).max() / (deviation * np.sqrt(3)) - 1) < 0.01
    if how.startswith("truncated"):
        assert np.abs(weights).max() <= 0.04


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (3, 3, 2, 7)])
def test_orthogonal_weights_are_orthogonal(shape):
    matrix = orthogonal(shape, 2.0).reshape(-1, shape[-1]).astype(np.float64)
    product = matrix.T @ matrix if len(matrix) >= shape[-1] else matrix @ matrix.T
    assert np.allclose(product, 4 * np.eye(len(product)), atol=1e-6)


@pytest.mark.parametrize(("seed", "error"), [(-1, ShapeError), (1.5, DTypeError), ("1", DTypeError)])
def test_manual_seed_refuses(seed, error):
    with pytest.raises(error, match="seed"):
        manual_seed(seed)
