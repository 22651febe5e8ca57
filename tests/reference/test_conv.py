"""Convolution."""

from itertools import product

import numpy as np
import pytest

from fastcnn import reference
from tests.reference.setting import LINEAR, along, assert_gradient, both_axes, integers, line, normal


def test_conv2d_by_hand():
    x = np.arange(1.0, 10).reshape(1, 3, 3, 1)
    weight = np.array([[1.0, 2], [3, 4]]).reshape(2, 2, 1, 1)
    # top left: 1*1 + 2*2 + 4*3 + 5*4 = 37; one step right adds 1+2+3+4 = 10, one step down 30
    y = reference.conv2d(x, weight, np.array([0.5]))
    assert y[0, :, :, 0].tolist() == [[37.5, 47.5], [67.5, 77.5]]

    dy = np.array([[1.0, 0], [0, 2]]).reshape(1, 2, 2, 1)
    dx, dweight, dbias = reference.conv2d_backward(dy, x, weight)
    assert dx[0, :, :, 0].tolist() == [
        [1, 2, 0],
        [3, 4 + 2, 4],
        [0, 6, 8],
    ]  # the filter once, twice one down right
    assert dweight[:, :, 0, 0].tolist() == [[1 + 2 * 5, 2 + 2 * 6], [4 + 2 * 8, 5 + 2 * 9]]
    assert dbias.tolist() == [3]
    assert reference.conv2d_backward(dy, x, weight, need_dx=False)[0] is None


def test_conv2d_mixes_channels_by_hand():
    x = np.array([3.0, 5]).reshape(1, 1, 1, 2)
    weight = np.array([[1.0, 2, 3], [10, 20, 30]]).reshape(1, 1, 2, 3)
    assert reference.conv2d(x, weight).tolist() == [[[[53, 106, 159]]]]  # 3*1 + 5*10, ...


def test_conv2d_groups_by_hand():
    x = np.array([3.0, 5, 7, 9]).reshape(1, 1, 1, 4)
    weight = np.array([[1.0, 2, 3, 4], [10, 20, 30, 40]]).reshape(1, 1, 2, 4)
    # outputs 0, 1 see inputs 3, 5; outputs 2, 3 see 7, 9: 7*3 + 9*30 = 291, 7*4 + 9*40 = 388
    assert reference.conv2d(x, weight, groups=2).tolist() == [[[[53, 106, 291, 388]]]]
    # depthwise with two outputs for each input
    assert reference.conv2d(x[..., :2], weight[:, :, :1], groups=2).tolist() == [[[[3, 6, 15, 20]]]]


CONV_LINES = {
    "dilation": ([1, 2, 3, 4, 5], [1, 10], {"dilation": 2}, [31, 42, 53]),
    "stride drops the last pixel": ([1, 2, 3, 4, 5, 6], [1, 1, 1], {"stride": 2}, [6, 12]),
    "stride longer than the filter": ([1, 2, 3, 4, 5, 6, 7], [1], {"stride": 3}, [1, 4, 7]),
    "valid": ([1, 2, 3], [1, 10], {"padding": "valid"}, [21, 32]),
    "asymmetric": ([1, 2], [1, 10], {"padding": (2, 1)}, [0, 10, 21, 2]),
    "wider than the filter": ([5], [1, 10], {"padding": (2, 2)}, [0, 50, 5, 0]),
    "same": ([1, 2, 3, 4], [1, 10, 100], {"padding": "same"}, [210, 321, 432, 43]),
    "same, even filter: the odd one behind": ([1, 2, 3], [1, 10], {"padding": "same"}, [21, 32, 3]),
    "same, stride, 1 behind": ([1, 2, 3, 4, 5], [1, 10], {"padding": "same", "stride": 2}, [21, 43, 5]),
    "same, stride, longer filter": (
        [1, 2, 3, 4, 5, 6],
        [1, 10, 100],
        {"padding": "same", "stride": 2},
        [321, 543, 65],
    ),
    "same, dilation: 1 before, 2 behind": (
        [1, 2, 3, 4],
        [1, 10],
        {"padding": "same", "dilation": 3},
        [30, 41, 2, 3],
    ),
    "same needs none": ([1, 2, 3, 4], [1], {"padding": "same", "stride": 3}, [1, 4]),
    "all at once": ([1, 2, 3, 4, 5], [1, 10], {"padding": (1, 2), "stride": 3, "dilation": 2}, [20, 3 + 50]),
}


@both_axes
@pytest.mark.parametrize("x, weight, options, y", CONV_LINES.values(), ids=CONV_LINES)
def test_conv2d_along_one_axis_by_hand(x, weight, options, y, axis):
    options = {name: value if name == "padding" else along(value, axis) for name, value in options.items()}
    if isinstance(options.get("padding"), tuple):
        options["padding"] = along(options["padding"], axis, across=(0, 0))
    weight = line(weight, axis).reshape(*line(weight, axis).shape[1:], 1)
    np.testing.assert_array_equal(reference.conv2d(line(x, axis), weight, **options), line(y, axis), strict=True)


def test_conv2d_padding_forms():
    x, weight = np.array([[[[5.0]]]]), np.array([1.0, 10]).reshape(2, 1, 1, 1)
    assert reference.conv2d(x, weight, padding=(1, 0))[0, :, :, 0].tolist() == [[50], [5]]
    assert reference.conv2d(x, weight, padding=1)[0, :, :, 0].tolist() == [[0, 50, 0], [0, 5, 0]]
    assert reference.conv2d(x, weight, padding=((0, 1), (2, 0)))[0, :, :, 0].tolist() == [[0, 0, 5]]


def conv2d_by_definition(x, weight, *, stride, top_left, dilation, groups, outputs):
    """Seven loops and a bounds test."""
    N, H, W, C = x.shape
    R, S, _, K = weight.shape
    P, Q = outputs
    y = np.zeros((N, P, Q, K))
    for n, p, q, k, r, s, c in product(*map(range, (N, P, Q, K, R, S, C // groups))):
        h = p * stride[0] + r * dilation[0] - top_left[0]
        w = q * stride[1] + s * dilation[1] - top_left[1]
        if 0 <= h < H and 0 <= w < W:
            y[n, p, q, k] += x[n, h, w, k // (K // groups) * (C // groups) + c] * weight[r, s, c, k]
    return y


CONV_CASES = {
    # x, weight, options, (top, left), (P, Q): sizes by hand, e.g. P = floor((5 + 2 - 3) / 2) + 1 = 3
    "plain": ((2, 4, 5, 3), (3, 2, 3, 4), {}, (0, 0), (2, 4)),
    "stride drops a column": ((2, 5, 6, 2), (3, 3, 2, 3), {"stride": 2, "padding": 1}, (1, 1), (3, 3)),
    "mixed": (
        (1, 6, 7, 4),
        (2, 3, 2, 6),
        {"stride": (2, 1), "padding": ((0, 1), (2, 1)), "dilation": (3, 2), "groups": 2},
        (0, 2),
        (2, 6),  # (6 + 1 - 4) // 2 + 1, (7 + 3 - 5) // 1 + 1
    ),
    "depthwise": ((2, 3, 4, 3), (2, 2, 1, 3), {"groups": 3, "padding": "same"}, (0, 0), (3, 4)),
    "one pixel": ((3, 1, 1, 2), (1, 1, 2, 5), {}, (0, 0), (1, 1)),
}
conv_cases = pytest.mark.parametrize(
    "x_shape, weight_shape, options, top_left, outputs", CONV_CASES.values(), ids=CONV_CASES
)


@conv_cases
def test_conv2d_equals_its_definition(x_shape, weight_shape, options, top_left, outputs):
    x, weight = integers(*x_shape), integers(*weight_shape)
    expected = conv2d_by_definition(
        x,
        weight,
        stride=np.broadcast_to(options.get("stride", 1), 2),
        top_left=top_left,
        dilation=np.broadcast_to(options.get("dilation", 1), 2),
        groups=options.get("groups", 1),
        outputs=outputs,
    )
    np.testing.assert_array_equal(reference.conv2d(x, weight, **options), expected, strict=True)


@conv_cases
def test_conv2d_backward(x_shape, weight_shape, options, top_left, outputs):
    x, weight, bias = normal(*x_shape), normal(*weight_shape), normal(weight_shape[-1])
    dy = normal(x_shape[0], *outputs, weight_shape[-1], seed=1)
    dx, dweight, dbias = reference.conv2d_backward(dy, x, weight, **options)

    def inner():
        return np.vdot(dy, reference.conv2d(x, weight, bias, **options))

    for gradient, argument in ((dx, x), (dweight, weight), (dbias, bias)):
        assert_gradient(gradient, inner, argument, **LINEAR)


@conv_cases
def test_conv2d_adjoint(x_shape, weight_shape, options, top_left, outputs):
    x, weight = integers(*x_shape), integers(*weight_shape)
    dy = integers(x_shape[0], *outputs, weight_shape[-1], seed=1)
    dx, dweight, _ = reference.conv2d_backward(dy, x, weight, **options)
    inner = np.vdot(dy, reference.conv2d(x, weight, **options))
    assert inner != 0
    assert np.vdot(dx, x) == np.vdot(dweight, weight) == inner
