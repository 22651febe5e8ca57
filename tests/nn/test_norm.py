"""Batch norm beside its neighbours: a ReLU that backward makes anew, sums that the convolution before it has made."""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn import functional, nn, verification


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(7, 5), (3, 4, 5, 5), (16, 32, 33, 6)])
def test_gradients_through_relu_are_those_of_the_result_that_forward_gave(shape, training):
    random = np.random.default_rng(0)
    x, dy = (random.standard_normal(shape).astype(np.float32) for _ in range(2))
    x[1] = 0.25  # as if many pixels were the same
    layer = nn.BatchNorm(shape[-1])
    layer.gamma.data[...] = random.permutation(np.arange(shape[-1]) - 2)  # negative, zero, positive
    layer.beta.data[0] = np.nan
    layer.beta.data[1] = 0.1
    layer.train(training)
    y = layer.forward(x, relu=True)
    assert 0.1 < np.mean(y == 0) < 0.9
    dx = layer.backward(dy)
    size = shape[-1]
    _, saved = functional.batch_norm(x, layer.gamma.data, layer.beta.data, np.zeros(size, np.float32),
                                     np.ones(size, np.float32), training=training)
    expected = functional.batch_norm_backward(dy, x, layer.gamma.data, saved, training=training, y=y)
    for came, meant in zip((dx, layer.gamma.grad, layer.beta.grad), expected, strict=True):
        np.testing.assert_array_equal(came, meant)


def steps_of(layers, x, dy):
    """Results, gradients and running statistics of two steps of training."""
    found = []
    for _ in range(2):
        y = layers.forward(x)
        found += [y, layers.backward(dy[:, :y.shape[1], :y.shape[2]])]
    return [*found, *(parameter.grad for parameter in layers.parameters()), layers[1].running_mean, layers[1].running_var]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("options", [{"padding": 1}, {"stride": 2}, {"padding": 1, "groups": 8}])
@pytest.mark.parametrize("channels", [8, None])
def test_a_convolution_that_sums_for_the_norm_behind_it_changes_no_bit(channels, options, threads):
    random = np.random.default_rng(0)
    x, dy = (random.standard_normal((40, 24, 24, 8)).astype(np.float32) for _ in range(2))
    weight = random.standard_normal((3, 3, 8 // options.get("groups", 1), 8)).astype(np.float32)
    together, apart = (nn.Sequential(nn.Conv2D(channels, 8, 3, **options), nn.BatchNorm(channels), nn.ReLU())
                       for _ in range(2))
    apart[0].forward = apart[0].forward  # replaced: each layer runs alone
    with verification.spread_over(threads):
        for layers in (together, apart):
            layers.build((24, 24, 8))
            layers[0].weight.data[...] = weight
        for came, meant in zip(steps_of(together, x, dy), steps_of(apart, x, dy), strict=True):
            np.testing.assert_array_equal(came, meant)
    together.eval(), apart.eval()
    np.testing.assert_array_equal(together.forward(x), apart.forward(x))
    assert type(together._steps[0]).__name__ == "FusedNorm" and len(apart._steps) == 3
