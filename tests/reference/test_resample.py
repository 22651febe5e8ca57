"""Padding, upsampling, branches."""

import numpy as np

from fastcnn import reference
from tests.reference.setting import along, both_axes, close, line


@both_axes
def test_padding_along_one_axis_by_hand(axis):
    x, padding = line([1, 2, 3], axis), ((0, 0), (2, 1)) if axis == "columns" else ((2, 1), (0, 0))
    for mode, y in {"constant": [7, 7, 1, 2, 3, 7], "reflect": [3, 2, 1, 2, 3, 2], "replicate": [1, 1, 1, 2, 3, 3]}.items():
        close(reference.pad2d(x, padding, mode=mode, value=7), line(y, axis))
    dy = line([1, 10, 100, 1000, 10000, 100000], axis)
    gradients = {"constant": [100, 1000, 10000], "reflect": [100, 101010, 10001], "replicate": [111, 1000, 110000]}
    for mode, dx in gradients.items():
        close(reference.pad2d_backward(dy, x.shape, padding, mode=mode), line(dx, axis))


@both_axes
def test_upsampling_along_one_axis_by_hand(axis):
    x, scale = line([4, 8], axis), along(2, axis)
    close(reference.upsample2d(x, scale), line([4, 4, 8, 8], axis))
    close(reference.upsample2d(x, scale, mode="bilinear"), line([4, 5, 7, 8], axis))
    dy = line([1, 2, 3, 4], axis)
    close(reference.upsample2d_backward(dy, x.shape, scale), line([3, 7], axis))
    close(reference.upsample2d_backward(dy, x.shape, scale, mode="bilinear"), line([1 + 1.5 + 0.75, 0.5 + 2.25 + 4], axis))


@both_axes
def test_adaptive_pools_along_one_axis_by_hand(axis):
    x, size = line([1, 5, 3, 2, 4], axis), along(2, axis)  # parts 0 to 2 and 2 to 4
    close(reference.adaptive_avg_pool2d(x, size), line([3, 3], axis))
    y, argmax = reference.adaptive_max_pool2d(x, size)
    close(y, line([5, 4], axis))
    assert argmax.ravel().tolist() == [1, 4]
    dy = line([3, 6], axis)
    close(reference.adaptive_avg_pool2d_backward(dy, x.shape), line([1, 1, 3, 2, 2], axis))
    close(reference.adaptive_max_pool2d_backward(dy, argmax, x.shape), line([0, 3, 0, 0, 6], axis))


def test_global_max_pool2d_by_hand():
    x = np.array([[[1.0, 9], [7, 2]], [[7, 3], [5, 9]]])[np.newaxis]  # the first maximum wins
    y, argmax = reference.global_max_pool2d(x)
    assert (y.tolist(), argmax.tolist()) == ([[7, 9]], [[1, 0]])
    dx = reference.global_max_pool2d_backward(np.array([[3.0, 4]]), argmax, x.shape)
    assert dx.ravel().tolist() == [0, 4, 3, 0, 0, 0, 0, 0]


@both_axes
def test_transposed_convolution_along_one_axis_by_hand(axis):
    x, weight = line([1, 10], axis), line([1, 2, 3], axis)[0][..., np.newaxis]
    options = {"stride": along(2, axis)}
    bias = np.array([100.0])
    close(reference.conv_transpose2d(x, weight, bias, **options), line([101, 102, 113, 120, 130], axis))
    border = {"padding": along(1, axis, 0), "output_padding": along(1, axis, 0), **options}
    close(reference.conv_transpose2d(x, weight, **border), line([2, 13, 20, 30], axis))
    apart = {"dilation": along(3, axis), "output_padding": along(2, axis, 0), "padding": along(1, axis, 0)}
    close(reference.conv_transpose2d(x, weight, **apart), line([10, 0, 2, 20, 0, 3, 30, 0], axis))
    dx, dweight, dbias = reference.conv_transpose2d_backward(line([1, 1, 0, 2, 5], axis), x, weight, **options)
    close(dx, line([3, 19], axis))
    close(dweight.ravel(), [1, 21, 50])
    assert dbias.tolist() == [9]


def test_concat_by_hand():
    parts = np.array([[1.0], [2]]), np.array([[3.0, 4], [5, 6]])
    y = reference.concat(parts)
    assert y.tolist() == [[1, 3, 4], [2, 5, 6]]
    assert [part.tolist() for part in reference.concat_backward(y, (1, 2))] == [part.tolist() for part in parts]


def test_dropout2d_drops_whole_channels():
    y, mask = reference.dropout2d(np.ones((3, 4, 5, 7)), 0.5, seed=7)
    assert np.array_equal(mask, reference.dropout(np.ones((3, 7)), 0.5, seed=7)[1]) and 0 < mask.sum() < 21
    assert np.array_equal(y, np.broadcast_to(2.0 * mask[:, np.newaxis, np.newaxis], y.shape))
