"""Batch norm with ReLU: backward makes the result anew where forward gave it, instead of reading it."""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn import functional, nn


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
