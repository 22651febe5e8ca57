"""Pooling."""

import numpy as np
import pytest

from fastcnn import reference
from tests.reference.setting import INF, KINKED, LINEAR, NAN, along, assert_gradient, both_axes, distinct, line, normal


def test_max_pool2d_by_hand():
    x = np.array([[1.0, 9, 2, 3, 0], [4, 5, 8, 7, 0]]).reshape(1, 2, 5, 1)
    y, argmax = reference.max_pool2d(x, 2)  # the stride is the kernel size: column 4 is dropped
    assert y[0, :, :, 0].tolist() == [[9, 8]]
    assert argmax[0, :, :, 0].tolist() == [[1, 7]]  # row 0 column 1, row 1 column 2 of 5 columns
    assert argmax.dtype == np.int32
    dx = reference.max_pool2d_backward(np.array([10.0, 20]).reshape(1, 1, 2, 1), argmax, x.shape)
    assert dx[0, :, :, 0].tolist() == [[0, 10, 0, 0, 0], [0, 0, 20, 0, 0]]


def test_max_pool2d_backward_adds_where_windows_overlap():
    _, argmax = reference.max_pool2d(line([1, 3, 2], "columns"), (1, 2), stride=1)
    dx = reference.max_pool2d_backward(line([10, 20], "columns"), argmax, (1, 1, 3, 1))
    assert dx.ravel().tolist() == [0, 30, 0]


MAX_LINES = {
    # pixels, options, maxima, their positions
    "first of equals": ([7, 7, 7, 7], {"kernel_size": 2}, [7, 7], [0, 2]),
    "first of equals in every overlap": ([7, 7, 7], {"kernel_size": 2, "stride": 1}, [7, 7], [0, 1]),
    "NaN wins": ([1, NAN, 9, 2], {"kernel_size": 4}, [NAN], [1]),
    "the first NaN wins": ([1, NAN, NAN, 9], {"kernel_size": 4}, [NAN], [1]),
    "nothing beats a NaN that comes first": ([NAN, 9, INF], {"kernel_size": 3}, [NAN], [0]),
    "padding never wins": ([-5, -6, -7], {"kernel_size": 3, "stride": 2, "padding": 1}, [-5, -6], [0, 1]),
    "not even against -inf": ([-INF, -INF], {"kernel_size": 2, "padding": 1}, [-INF, -INF], [0, 1]),
    "dilation": ([1, 9, 2, 3, 5], {"kernel_size": 2, "stride": 1, "dilation": 2}, [2, 9, 5], [2, 1, 4]),
    "floor mode drops the rest": ([1, 2, 3], {"kernel_size": 2}, [2], [1]),
    "ceil mode takes the rest": ([1, 2, 3], {"kernel_size": 2, "ceil_mode": True}, [2, 3], [1, 2]),
    # 5 + 2 pixels, kernel 3, stride 3: ceil(4 / 3) + 1 = 3, but the third would start at 6 = 5 + 1: padding
    "ceil mode, but no window inside the padding behind": (
        [5, 4, 3, 2, 1],
        {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True},
        [5, 3],
        [0, 2],
    ),
    # 4 + 2 pixels, kernel 3, stride 2: ceil(3 / 2) + 1 = 3, the third starts at 4 < 4 + 1
    "ceil mode and padding": (
        [1, 2, 3, 4],
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        [2, 4, 4],
        [1, 3, 3],
    ),
    "ceil mode that fits exactly": ([1, 2, 3, 4], {"kernel_size": 2, "ceil_mode": True}, [2, 4], [1, 3]),
    "ceil mode, window larger than the image": ([1, 3], {"kernel_size": 3, "stride": 2, "ceil_mode": True}, [3], [1]),
    "ceil mode, dilated window larger than the image": (
        [1, 2, 3, 4],
        {"kernel_size": 2, "stride": 4, "dilation": 6, "ceil_mode": True},
        [1],
        [0],
    ),
    "same": ([3, 2, 1], {"kernel_size": 2, "stride": 1, "padding": "same"}, [3, 2, 1], [0, 1, 2]),
    "asymmetric": ([1, 2], {"kernel_size": 2, "stride": 1, "padding": (0, 1)}, [2, 2], [1, 1]),
    # one pixel between two holes of a dilated window: 1 before, 1 behind
    "a window that meets no pixel": ([4], {"kernel_size": 2, "padding": 1, "dilation": 2}, [-INF], [-1]),
}


def pool_options(options, axis):
    """Turn the options of a line into those of an image: kernel 1, no padding the other way."""
    paired = {"kernel_size": 1, "stride": 1, "dilation": 1}
    result = {name: along(value, axis) if name in paired else value for name, value in options.items()}
    padding = options.get("padding", 0)
    if padding != "same":
        result["padding"] = along(padding, axis, across=0 if isinstance(padding, int) else (0, 0))
    return result


@both_axes
@pytest.mark.parametrize("x, options, y, positions", MAX_LINES.values(), ids=MAX_LINES)
def test_max_pool2d_along_one_axis_by_hand(x, options, y, positions, axis):
    actual, argmax = reference.max_pool2d(line(x, axis), **pool_options(options, axis))
    np.testing.assert_array_equal(actual, line(y, axis), strict=True)
    np.testing.assert_array_equal(argmax, line(positions, axis).astype(np.int32), strict=True)
    dx = reference.max_pool2d_backward(np.ones_like(actual), argmax, line(x, axis).shape)
    assert dx.ravel().tolist() == [positions.count(position) for position in range(len(x))]


def test_max_pool2d_ties_are_broken_in_row_major_order():
    x = np.array([[0.0, 7], [7, 0]]).reshape(1, 2, 2, 1)
    assert reference.max_pool2d(x, 2)[1].item() == 1


AVERAGE_LINES = {
    # pixels, options, averages with the padding counted, averages without
    "plain": ([1, 3, 5, 9, 8], {"kernel_size": 2}, [2, 7], [2, 7]),
    "overlap": ([1, 3, 5], {"kernel_size": 2, "stride": 1}, [2, 4], [2, 4]),
    "padding": ([2, 4, 6], {"kernel_size": 2, "padding": 1}, [1, 5], [2, 5]),
    "asymmetric": ([2, 4, 6], {"kernel_size": 2, "padding": (0, 1)}, [3, 3], [3, 6]),
    "same": ([2, 4, 6], {"kernel_size": 2, "stride": 1, "padding": "same"}, [3, 5, 3], [3, 5, 6]),
    "overhang is never counted": ([2, 4, 6], {"kernel_size": 2, "ceil_mode": True}, [3, 6], [3, 6]),
    "window larger than the image": ([1, 2], {"kernel_size": 3, "stride": 2, "ceil_mode": True}, [1.5], [1.5]),
    # 0 6 0 |: one window of five, of which three count
    "window larger than the padded image": (
        [6],
        {"kernel_size": 5, "stride": 3, "padding": 1, "ceil_mode": True},
        [2],
        [6],
    ),
    # 0 2 4 6 8 0 |: (0 2 4), (4 6 8), (8 0 |)
    "padding is, overhang is not": (
        [2, 4, 6, 8],
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        [2, 6, 4],
        [3, 6, 8],
    ),
    # a third window would start at 6 = 5 + 1, in the padding
    "no window inside the padding behind": (
        [3, 6, 9, 12, 15],
        {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True},
        [3, 12],
        [4.5, 12],
    ),
}


@both_axes
@pytest.mark.parametrize("x, options, included, excluded", AVERAGE_LINES.values(), ids=AVERAGE_LINES)
def test_avg_pool2d_along_one_axis_by_hand(x, options, included, excluded, axis):
    options = pool_options(options, axis)
    for count_include_pad, expected in ((True, included), (False, excluded)):
        y = reference.avg_pool2d(line(x, axis), **options, count_include_pad=count_include_pad)
        np.testing.assert_array_equal(y, line(expected, axis), strict=True)


def test_avg_pool2d_by_hand():
    x = np.arange(1.0, 9).reshape(1, 2, 4, 1)  # 1 2 3 4 over 5 6 7 8
    assert reference.avg_pool2d(x, 2).ravel().tolist() == [3.5, 5.5]
    dx = reference.avg_pool2d_backward(np.array([4.0, 8]).reshape(1, 1, 2, 1), x.shape, 2)
    assert dx[0, :, :, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]
    corners = [reference.avg_pool2d(x, 2, padding=1, count_include_pad=counted)[0, 0, 0, 0] for counted in (True, False)]
    assert corners == [1 / 4, 1]


def test_global_avg_pool2d_by_hand():
    x = np.array([[1.0, 10], [3, 20], [5, 60]]).reshape(1, 3, 1, 2)
    assert reference.global_avg_pool2d(x).tolist() == [[3, 30]]
    dx = reference.global_avg_pool2d_backward(np.array([[3.0, 6]]), x.shape)
    assert dx.tolist() == [[[[1, 2]], [[1, 2]], [[1, 2]]]]


POOL_CASES = {
    "plain": ((2, 4, 6, 3), {"kernel_size": 2}),
    "overlap, not square": ((2, 5, 4, 2), {"kernel_size": (3, 2), "stride": (1, 2)}),
    "padding": ((1, 5, 6, 2), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "padding and ceil mode": ((1, 6, 4, 2), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    "asymmetric": ((2, 4, 3, 1), {"kernel_size": 2, "stride": 1, "padding": ((1, 0), (0, 1))}),
}
pool_cases = pytest.mark.parametrize("x_shape, options", POOL_CASES.values(), ids=POOL_CASES)


@pytest.mark.parametrize(
    "x_shape, options",
    [*POOL_CASES.values(), ((2, 6, 7, 2), {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": (2, 1)})],
    ids=[*POOL_CASES, "dilation"],
)
def test_max_pool2d_backward(x_shape, options):
    x = distinct(*x_shape)
    y, argmax = reference.max_pool2d(x, **options)
    dy = normal(*y.shape, seed=1)
    dx = reference.max_pool2d_backward(dy, argmax, x.shape)
    assert_gradient(dx, lambda: np.vdot(dy, reference.max_pool2d(x, **options)[0]), x, **KINKED)
    assert np.vdot(dx, x) == pytest.approx(np.vdot(dy, y), rel=1e-13)


@pool_cases
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_avg_pool2d_backward(x_shape, options, count_include_pad):
    x = normal(*x_shape)
    options = {**options, "count_include_pad": count_include_pad}
    y = reference.avg_pool2d(x, **options)
    dy = normal(*y.shape, seed=1)
    dx = reference.avg_pool2d_backward(dy, x.shape, **options)
    assert_gradient(dx, lambda: np.vdot(dy, reference.avg_pool2d(x, **options)), x, **LINEAR)
    assert np.vdot(dx, x) == pytest.approx(np.vdot(dy, y), rel=1e-13)


def test_global_avg_pool2d_backward():
    x, dy = normal(2, 3, 4, 2), normal(2, 2)
    dx = reference.global_avg_pool2d_backward(dy, x.shape)
    assert_gradient(dx, lambda: np.vdot(dy, reference.global_avg_pool2d(x)), x, **LINEAR)
