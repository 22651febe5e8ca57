"""The reference against numbers worked by hand, against its definition, and against central differences.

Nothing here is taken from what the code printed: every expected number follows from the comment beside it.
"""

import ast
import inspect
import math
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from fastcnn import reference

LN2, LN3, LN4 = math.log(2), math.log(3), math.log(4)
NAN, INF = float("nan"), float("inf")

LINEAR = {"eps": 1e-2, "bound": 1e-11}  # no truncation error: any step is exact
SMOOTH = {"eps": 1e-5, "bound": 1e-8}
KINKED = {"eps": 1e-5, "bound": 1e-9}  # inputs stay 1e-2 away from kinks and ties


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def integers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).integers(-8, 9, size=shape).astype(np.float64)


def distinct(*shape, seed=0):
    """Numbers at least 0.04 apart, none within 0.02 of zero: no ties, no kinks."""
    size = math.prod(shape)
    return (np.random.default_rng([seed, *shape]).permutation(size).reshape(shape) - size // 2 + 0.5) * 0.04


def central_differences(scalar, x, eps):
    """Gradient of a scalar function by changing its argument in place, one element at a time."""
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + eps
        above = scalar()
        x[index] = kept - eps
        below = scalar()
        x[index] = kept
        gradient[index] = (above - below) / (2 * eps)
    return gradient


def assert_gradient(gradient, scalar, x, *, eps, bound):
    numeric = central_differences(scalar, x, eps)
    assert gradient.shape == x.shape
    assert np.count_nonzero(numeric) >= 0.1 * numeric.size, "a gradient of zeros proves nothing"
    assert np.abs(gradient - numeric).max() <= bound * np.abs(numeric).max()


def close(actual, expected, tolerance=1e-14):
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance, strict=False)


def line(values, axis):
    """One image of one channel that is a row (axis "columns") or a column (axis "rows") of pixels."""
    pixels = np.array(values, np.float64)
    return pixels.reshape(1, 1, -1, 1) if axis == "columns" else pixels.reshape(1, -1, 1, 1)


def along(value, axis, across=1):
    """A pair that says `value` along the line and `across` the other way."""
    return (across, value) if axis == "columns" else (value, across)


both_axes = pytest.mark.parametrize("axis", ["rows", "columns"])


# ---- the package -------------------------------------------------------------------------------------------


def test_imports_numpy_and_the_standard_library_only():
    allowed = sys.stdlib_module_names | {"numpy"}
    for file in Path(reference.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level <= 1, f"{file.name} reaches out of the package"
                names = [] if node.level == 1 else [node.module]
            else:
                continue
            assert all(name.split(".")[0] in allowed for name in names), (file.name, names)


def test_exports_every_public_function():
    assert sorted(reference.__all__) == reference.__all__
    for name in reference.__all__:
        assert inspect.getdoc(getattr(reference, name)), name


CONV_DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
AVERAGE_DEFAULTS = {"stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True}
DEFAULTS = {
    "conv2d": {"bias": None, **CONV_DEFAULTS, "relu": False, "add": None},
    "linear": {"bias": None, "relu": False},
    "linear_backward": {"need_dx": True, "need_dweight": True, "y": None},
    "conv_transpose2d": {"bias": None, "output_padding": 0, **CONV_DEFAULTS},
    "conv_transpose2d_backward": {"output_padding": 0, **CONV_DEFAULTS, "need_dx": True, "need_dweight": True,
                                  "need_dbias": True},
    "pad2d": {"mode": "constant", "value": 0.0},
    "pad2d_backward": {"mode": "constant"},
    "upsample2d": {"mode": "nearest"},
    "upsample2d_backward": {"mode": "nearest"},
    "add": {"relu": False},
    "conv2d_backward": {**CONV_DEFAULTS, "need_dx": True, "need_dweight": True, "need_dbias": True, "y": None, "add": None},
    "max_pool2d": {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, "relu": False},
    "max_pool2d_backward": {"y": None, "kernel_size": None, "stride": None, "padding": 0, "dilation": 1, "ceil_mode": False},
    "avg_pool2d": AVERAGE_DEFAULTS,
    "avg_pool2d_backward": AVERAGE_DEFAULTS,
    "batch_norm": {"momentum": 0.1, "eps": 1e-5, "relu": False, "add": None},
    "batch_norm_backward": {"training": True, "y": None},
    "layer_norm": {"eps": 1e-5},
    "group_norm": {"eps": 1e-5},
    "leaky_relu": {"slope": 0.01},
    "leaky_relu_backward": {"slope": 0.01},
    "elu": {"alpha": 1.0},
    "elu_backward": {"alpha": 1.0},
    "softplus": {"beta": 1.0, "threshold": 20.0},
    "softplus_backward": {"beta": 1.0, "threshold": 20.0},
    "cross_entropy": {"class_weight": None, "label_smoothing": 0.0, "ignore_index": None},
    "huber_loss": {"delta": 1.0},
    "nll_loss": {"class_weight": None, "ignore_index": None},
    "hinge_loss": {"margin": 1.0},
    **{name: {"scale": 1.0, "zero": False} for name in ("sgd", "adam", "rmsprop", "adagrad", "adadelta", "adamax", "lion")},
}


@pytest.mark.parametrize("name", reference.__all__)
def test_defaults(name):
    parameters = inspect.signature(getattr(reference, name)).parameters.values()
    defaults = {parameter.name: parameter.default for parameter in parameters}
    given = {name: default for name, default in defaults.items() if default is not inspect.Parameter.empty}
    assert given == DEFAULTS.get(name, {})


def unchanged(count, **fields):
    """Records that change nothing, but for the fields given."""
    changes = np.zeros(count, [("matrix", float, (2, 2)), ("shift", float, (2,)), ("gain", float), ("lift", float),
                               ("hole", int, (4,)), ("partner", int), ("share", float)])
    for name, value in {"matrix": np.eye(2), "gain": 1, "share": 1, **fields}.items():
        changes[name] = value
    return changes


def every_result(x):
    """Yield every floating result that follows the dtype of x (2, 4, 4, 2)."""
    dtype, ones = x.dtype, np.ones(2, x.dtype)
    weight = x[:, :2].reshape(2, 2, 2, 4)
    yield from (y := reference.conv2d(x, weight, np.ones(4, dtype)), *reference.conv2d_backward(y, x, weight))
    y, argmax = reference.max_pool2d(x, 2)
    yield from (y, reference.max_pool2d_backward(y, argmax, x.shape))
    yield from (y := reference.avg_pool2d(x, 2), reference.avg_pool2d_backward(y, x.shape, 2))
    yield from (y := reference.global_avg_pool2d(x), reference.global_avg_pool2d_backward(y, x.shape))
    y, argmax = reference.adaptive_max_pool2d(x, 3)
    yield from (y, reference.adaptive_max_pool2d_backward(y, argmax, x.shape))
    y, argmax = reference.global_max_pool2d(x)
    yield from (y, reference.global_max_pool2d_backward(y, argmax, x.shape))
    yield from (y := reference.adaptive_avg_pool2d(x, 3), reference.adaptive_avg_pool2d_backward(y, x.shape))
    yield from (y := reference.pad2d(x, 1), reference.pad2d_backward(y, x.shape, 1))
    yield from (y := reference.upsample2d(x, 2), reference.upsample2d_backward(y, x.shape, 2))
    y = reference.upsample2d(x, 2, mode="bilinear")
    yield from (y, reference.upsample2d_backward(y, x.shape, 2, mode="bilinear"))
    wide = x[:, :2].reshape(2, 2, 4, 2)
    y = reference.conv_transpose2d(x, wide, np.ones(4, dtype))
    yield from (y, *reference.conv_transpose2d_backward(y, x, wide))
    yield from (y := reference.concat((x, x)), *reference.concat_backward(y, (2, 2)))
    y, mask = reference.dropout2d(x, 0.25, seed=3)
    yield from (y, reference.dropout2d_backward(y, mask, 0.25))
    y, saved = reference.batch_norm(x, ones, ones, ones.copy(), ones.copy(), training=True)
    yield from (y, *saved, *reference.batch_norm_backward(y, x, ones, saved))
    y, saved = reference.layer_norm(x, ones, ones)
    yield from (y, *saved, *reference.layer_norm_backward(y, x, ones, saved))
    y, saved = reference.group_norm(x, ones, ones, 2)
    yield from (y, *saved, *reference.group_norm_backward(y, x, ones, saved, 2))
    for name in ("relu", "leaky_relu", "sigmoid", "tanh", "elu", "gelu", "silu", "selu", "softplus", "hardswish", "mish",
                 "softmax", "log_softmax"):
        yield from (getattr(reference, name)(x), getattr(reference, f"{name}_backward")(x, x))
    yield from (reference.prelu(x, ones), *reference.prelu_backward(x, x, ones))
    rows = x[0, 0]
    yield from (reference.linear(rows, rows[:2], ones), *reference.linear_backward(rows, rows, rows[:2]))
    y, mask = reference.dropout(x, 0.25, seed=3)
    yield from (y, reference.dropout_backward(y, mask, 0.25))
    yield reference.cross_entropy(rows, np.array([0, 1, 1, 0]), class_weight=ones, label_smoothing=0.1)[1]
    yield reference.cross_entropy(rows, rows)[1]
    yield from (reference.mse_loss(x, x + 1)[1], reference.binary_cross_entropy(x, x)[1])
    yield from (reference.l1_loss(x, x + 1)[1], reference.huber_loss(x, x + 1)[1])
    yield reference.nll_loss(rows, np.array([0, 1, 1, 0]), class_weight=ones)[1]
    yield reference.hinge_loss(rows, np.array([0, 1, 1, 0]))[1]
    yield reference.gather(np.ones((3, 2, 2, 2), np.uint8), np.array([2, 0]), ones, ones)
    yield reference.augment(np.ones((3, 2, 2, 2), np.uint8), np.array([2, 0]), unchanged(3), ones, ones)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_results_have_the_dtype_of_the_input(dtype):
    assert {result.dtype for result in every_result(normal(2, 4, 4, 2).astype(dtype))} == {np.dtype(dtype)}


def test_inputs_come_back_unmodified():
    x = normal(2, 4, 4, 2)
    x.flags.writeable = False
    assert len(list(every_result(x))) > 40


# ---- convolution -------------------------------------------------------------------------------------------


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


# ---- pooling -----------------------------------------------------------------------------------------------


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


# ---- batch norm --------------------------------------------------------------------------------------------

# mean 4, squared distances 9 1 1 9: biased variance 5, unbiased 20 / 3; with eps 4 the deviation is 3
NORM_X = np.array([1.0, 3, 5, 7])
NORM_SETTINGS = {"momentum": 0.25, "eps": 4.0}


@pytest.mark.parametrize("shape", [(4, 1), (2, 1, 2, 1)])
def test_batch_norm_by_hand(shape):
    x, gamma, beta = NORM_X.reshape(shape), np.array([2.0]), np.array([1.0])
    running_mean, running_var = np.array([10.0]), np.array([20.0])
    y, saved = reference.batch_norm(x, gamma, beta, running_mean, running_var, training=True, **NORM_SETTINGS)
    close(y.ravel(), [-1, 1 / 3, 5 / 3, 3])  # 2 (x - 4) / 3 + 1
    close(saved, [[4], [1 / 3]])
    close(running_mean, [10 * 0.75 + 4 * 0.25])
    close(running_var, [20 * 0.75 + 20 / 3 * 0.25])

    dx, dgamma, dbeta = reference.batch_norm_backward(np.array([3.0, 0, 0, 0]).reshape(shape), x, gamma, saved)
    close(dgamma, [-3])  # 3 times the normalised -1
    close(dbeta, [3])
    # gamma / deviation = 2 / 3 times (dy - 3/4 + 3/4 normalised), normalised = -1, -1/3, 1/3, 1
    close(dx.ravel(), [1, -2 / 3, -1 / 3, 0])


@pytest.mark.parametrize("shape", [(2, 2), (1, 1, 2, 2)])
def test_batch_norm_channels_are_apart(shape):
    x = np.array([[1.0, 10], [3, 50]]).reshape(shape)  # means 2, 30; biased variances 1, 400, unbiased 2, 800
    running_mean, running_var = np.zeros(2), np.zeros(2)
    settings = {"training": True, "momentum": 0.5, "eps": 0.0}
    y, _ = reference.batch_norm(x, np.array([1.0, 2]), np.zeros(2), running_mean, running_var, **settings)
    close(y.reshape(2, 2), [[-1, -2], [1, 2]])
    close(running_mean, [1, 15])
    close(running_var, [1, 400])


def test_batch_norm_inference_by_hand():
    x, gamma, beta = np.array([[7.0], [1]]), np.array([2.0]), np.array([1.0])
    running_mean, running_var = np.array([4.0]), np.array([5.0])
    y, saved = reference.batch_norm(x, gamma, beta, running_mean, running_var, training=False, eps=4.0)
    close(y, [[3], [-1]])
    assert (running_mean.item(), running_var.item()) == (4, 5)
    running_mean += 1  # what was saved must not follow
    close(saved, [[4], [1 / 3]])
    dx, dgamma, dbeta = reference.batch_norm_backward(np.array([[3.0], [6]]), x, gamma, saved, training=False)
    close(dx, [[2], [4]])
    close(dgamma, [3 - 6])
    close(dbeta, [9])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 2, 2)])
def test_batch_norm_backward(shape, training):
    C = shape[-1]
    x, gamma, beta, dy = normal(*shape), normal(C, seed=1), normal(C, seed=2), normal(*shape, seed=3)
    running = np.full(C, 0.3), np.full(C, 1.7)

    def forward():
        copies = (statistic.copy() for statistic in running)
        return reference.batch_norm(x, gamma, beta, *copies, training=training)

    gradients = reference.batch_norm_backward(dy, x, gamma, forward()[1], training=training)
    for gradient, argument in zip(gradients, (x, gamma, beta), strict=True):
        assert_gradient(gradient, lambda: np.vdot(dy, forward()[0]), argument, **SMOOTH)


def test_layer_and_group_norm_by_hand():
    x = np.array([[1.0, 3, 4, 8]])  # of the row: mean 4, deviation sqrt(26/4); of its halves: 2 and 6, deviations 1 and 2
    gamma, beta = np.array([1.0, 2, 3, 4]), np.array([0.0, 0, 10, 0])
    y, (mean, inverse_std) = reference.layer_norm(x, gamma, beta, eps=0.0)
    assert mean.tolist() == [4]
    close(1 / inverse_std**2, [6.5])
    close(y * math.sqrt(6.5), np.array([[-3, -2, 10 * math.sqrt(6.5), 16]]))
    y, (mean, inverse_std) = reference.group_norm(x, gamma, beta, 2, eps=0.0)
    assert (mean.tolist(), inverse_std.tolist()) == ([[2, 6]], [[1, 1 / 2]])
    close(y, [[-1, 2, 7, 4]])


@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 2, 8)])
@pytest.mark.parametrize("operation, options", [("layer_norm", ()), ("group_norm", (2,))])
def test_norms_of_images_backward(operation, options, shape):
    x, dy, gamma, beta = normal(*shape), normal(*shape, seed=1), normal(8, seed=2), normal(8, seed=3)
    forward, backward = getattr(reference, operation), getattr(reference, f"{operation}_backward")
    gradients = backward(dy, x, gamma, forward(x, gamma, beta, *options)[1], *options)
    for gradient, argument in zip(gradients, (x, gamma, beta), strict=True):
        assert_gradient(gradient, lambda: np.vdot(dy, forward(x, gamma, beta, *options)[0]), argument, **SMOOTH)


# ---- padding, upsampling, branches -------------------------------------------------------------------------


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


# ---- activations -------------------------------------------------------------------------------------------

ACTIVATIONS = {
    # x -> y, dy/dx, worked from the formula
    "relu": {-2.0: (0, 0), 0.0: (0, 0), 3.0: (3, 1)},
    "leaky_relu": {-2.0: (-0.02, 0.01), 0.0: (0, 0.01), 3.0: (3, 1)},
    "sigmoid": {
        0.0: (1 / 2, 1 / 4),
        LN3: (3 / 4, 3 / 16),
        -LN3: (1 / 4, 3 / 16),
        1000.0: (1, 0),
        -1000.0: (0, 0),
    },
    "tanh": {0.0: (0, 1), LN2: (3 / 5, 16 / 25), -LN2: (-3 / 5, 16 / 25)},
    "softsign": {0.0: (0, 1), 1.0: (1 / 2, 1 / 4), -3.0: (-3 / 4, 1 / 16)},
    "elu": {-LN2: (-1 / 2, 1 / 2), 3.0: (3, 1), 1000.0: (1000, 1), -1000.0: (-1, 0)},
    # normal distribution function and density at 1, from tables: 0.841344746068543, 0.241970724519143
    "gelu": {
        0.0: (0, 1 / 2),
        1.0: (0.841344746068543, 0.841344746068543 + 0.241970724519143),
        -1.0: (0.841344746068543 - 1, 1 - 0.841344746068543 - 0.241970724519143),
    },
    # s (1 + x (1 - s)), s = 3/4 or 1/4
    "silu": {
        0.0: (0, 1 / 2),
        LN3: (LN3 * 3 / 4, 3 / 4 + LN3 * 3 / 16),
        -LN3: (-LN3 / 4, 1 / 4 - LN3 * 3 / 16),
    },
    # scale alpha = 1.7580993408473766
    "selu": {-LN2: (-1.7580993408473766 / 2, 1.7580993408473766 / 2), 2.0: (2 * 1.0507009873554805, 1.0507009873554805)},
    "softplus": {0.0: (LN2, 1 / 2), LN3: (LN4, 3 / 4), 1000.0: (1000, 1), -1000.0: (0, 0)},
    "hardswish": {-3.0: (0, 0), -4.0: (0, 0), -1.0: (-1 / 3, 1 / 6), 1.0: (2 / 3, 5 / 6), 3.0: (3, 1), 4.0: (4, 1)},
    # tanh(log 4) = 15/17, 1 - t^2 = 64/289
    "mish": {0.0: (0, 3 / 5), LN3: (LN3 * 15 / 17, 15 / 17 + LN3 * 64 / 289 * 3 / 4), 1000.0: (1000, 1)},
}
FROM_X = {"gelu", "silu", "softplus", "hardswish", "mish"}  # their backward takes x, the others y


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_by_hand(name):
    forward, backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    x = np.array(list(ACTIVATIONS[name]))
    y, slope = np.array(list(ACTIVATIONS[name].values())).T
    close(forward(x), y, 1e-14)
    close(backward(np.full_like(x, 3), x if name in FROM_X else y), 3 * slope, 1e-14)


def test_activation_parameters_by_hand():
    assert reference.leaky_relu(np.array([-2.0, 3]), 0.5).tolist() == [-1, 3]
    assert reference.leaky_relu_backward(np.array([4.0, 4]), np.array([-1.0, 3]), 0.5).tolist() == [2, 4]
    close(reference.elu(np.array([-LN2, 3]), 4.0), [-2, 3])
    close(reference.elu_backward(np.array([5.0, 5, 5]), np.array([-2.0, 3, 0]), 4.0), [10, 5, 20])
    close(reference.softplus(np.array([LN3 / 2, 1.0]), 2.0, 1.5), [LN4 / 2, 1])
    close(reference.softplus_backward(np.array([4.0, 4.0]), np.array([LN3 / 2, 1.0]), 2.0, 1.5), [3, 4])
    x, slopes = np.array([[-2.0, 3], [4, -6]]), np.array([0.5, -1])
    assert reference.prelu(x, slopes).tolist() == [[-1, 3], [4, 6]]
    dx, dslope = reference.prelu_backward(np.array([[1.0, 2], [3, 4]]), x, slopes)
    assert (dx.tolist(), dslope.tolist()) == ([[0.5, 2], [3, -4]], [-2, -24])
    assert reference.prelu_backward(np.array([[1.0, 2], [3, 4]]), x, slopes[:1])[1].tolist() == [-26]


@pytest.mark.parametrize("name", ["relu", "elu"])
def test_gradient_passes_where_the_output_is_nan(name):
    assert getattr(reference, f"{name}_backward")(np.array([3.0]), np.array([NAN])).tolist() == [3]


def test_gelu_keeps_its_precision_far_below_zero():
    close(reference.gelu(np.array([-10.0])) / -7.61985302416053e-23, 1, 1e-12)  # -10 times the table's 7.6...e-24


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_backward(name):
    x = distinct(9, 9)
    dy = normal(9, 9, seed=1)
    forward, backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    gradient = backward(dy, x if name in FROM_X else forward(x))
    bounds = KINKED if name.endswith("lu") or name == "hardswish" else SMOOTH
    assert_gradient(gradient, lambda: np.vdot(dy, forward(x)), x, **bounds)


@pytest.mark.parametrize("name", [*ACTIVATIONS, "softmax", "log_softmax"])
def test_nan_stays_nan(name):
    assert np.isnan(getattr(reference, name)(np.array([NAN, NAN]))).all()


def test_softmax_by_hand():
    x = np.array([[0, LN3], [1000, 1000 + LN3]])  # the second row overflows without the shift
    close(reference.softmax(x), [[1 / 4, 3 / 4]] * 2, 1e-12)
    close(reference.log_softmax(x), [[-LN4, LN3 - LN4]] * 2, 1e-12)
    dy = np.array([[1.0, 0]])
    close(reference.softmax_backward(dy, np.array([[1 / 4, 3 / 4]])), [[3 / 16, -3 / 16]])
    close(reference.log_softmax_backward(dy, np.array([[-LN4, LN3 - LN4]])), [[3 / 4, -3 / 4]])
    assert reference.log_softmax(np.array([0.0, -1000])).tolist() == [0, -1000]


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_backward(name):
    x, dy = normal(3, 2, 4), normal(3, 2, 4, seed=1)
    forward, backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    assert_gradient(backward(dy, forward(x)), lambda: np.vdot(dy, forward(x)), x, **SMOOTH)


# ---- linear ------------------------------------------------------------------------------------------------


def test_linear_by_hand():
    x, weight = np.array([[3.0, 5]]), np.array([[1.0, 2, 3], [10, 20, 30]])
    assert reference.linear(x, weight, np.array([1.0, 2, 3])).tolist() == [[54, 108, 162]]
    dx, dweight, dbias = reference.linear_backward(np.array([[1.0, 0, 2]]), x, weight)
    assert dx.tolist() == [[1 + 6, 10 + 60]]
    assert dweight.tolist() == [[3, 0, 6], [5, 0, 10]]
    assert dbias.tolist() == [1, 0, 2]
    assert reference.linear_backward(dbias[np.newaxis], x, weight, need_dx=False)[0] is None


def test_linear_backward():
    x, weight, bias, dy = normal(4, 3), normal(3, 5), normal(5), normal(4, 5)
    gradients = reference.linear_backward(dy, x, weight)
    for gradient, argument in zip(gradients, (x, weight, bias), strict=True):
        assert_gradient(gradient, lambda: np.vdot(dy, reference.linear(x, weight, bias)), argument, **LINEAR)


# ---- dropout -----------------------------------------------------------------------------------------------

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


# ---- losses ------------------------------------------------------------------------------------------------

# probabilities 1/4 3/4 and 1/2 1/2; the labels' losses are ln 4 and ln 2
LOGITS = np.array([[0, LN3], [0, 0]])
LABELS = np.array([0, 1])
WEIGHTS = np.array([1.0, 3])
ENTROPY_CASES = {
    "labels": (LABELS, {}, (LN4 + LN2) / 2, [[-3 / 8, 3 / 8], [1 / 4, -1 / 4]]),
    # (1 ln 4 + 3 ln 2) / (1 + 3); rows weighted 1/4 and 3/4
    "class weights": (
        LABELS,
        {"class_weight": WEIGHTS},
        (LN4 + 3 * LN2) / 4,
        [[-3 / 16, 3 / 16], [3 / 8, -3 / 8]],
    ),
    # targets 0.9 0.1 and 0.1 0.9
    "label smoothing": (
        LABELS,
        {"label_smoothing": 0.2},
        (0.9 * LN4 + 0.1 * (LN4 - LN3) + LN2) / 2,
        [[(0.25 - 0.9) / 2, (0.75 - 0.1) / 2], [0.2, -0.2]],
    ),
    # targets 0.9 0.3 and 0.1 2.7, divided by 1 + 3
    "weights and smoothing": (
        LABELS,
        {"class_weight": WEIGHTS, "label_smoothing": 0.2},
        (0.9 * LN4 + 0.3 * (LN4 - LN3) + 2.8 * LN2) / 4,
        [[(0.3 - 0.9) / 4, (0.9 - 0.3) / 4], [(1.4 - 0.1) / 4, (1.4 - 2.7) / 4]],
    ),
    "one ignored": (LABELS, {"ignore_index": 0}, LN2, [[0, 0], [1 / 2, -1 / 2]]),
    "ignored, far outside": (np.array([-100, 1]), {"ignore_index": -100}, LN2, [[0, 0], [1 / 2, -1 / 2]]),
    "ignored, weights, smoothing": (
        LABELS,
        {"ignore_index": 1, "class_weight": WEIGHTS, "label_smoothing": 0.2},
        0.9 * LN4 + 0.3 * (LN4 - LN3),
        [[0.3 - 0.9, 0.9 - 0.3], [0, 0]],
    ),
    "all ignored": (np.array([7, 7]), {"ignore_index": 7}, 0, [[0, 0], [0, 0]]),
    "one-hot": (np.eye(2), {}, (LN4 + LN2) / 2, [[-3 / 8, 3 / 8], [1 / 4, -1 / 4]]),
    # probabilities are divided by N = 2, whatever the weights
    "one-hot, weights": (
        np.eye(2),
        {"class_weight": WEIGHTS},
        (LN4 + 3 * LN2) / 2,
        [[-3 / 8, 3 / 8], [3 / 4, -3 / 4]],
    ),
    "one-hot, weights and smoothing": (
        np.eye(2),
        {"class_weight": WEIGHTS, "label_smoothing": 0.2},
        (0.9 * LN4 + 0.3 * (LN4 - LN3) + 2.8 * LN2) / 2,
        [[(0.3 - 0.9) / 2, (0.9 - 0.3) / 2], [(1.4 - 0.1) / 2, (1.4 - 2.7) / 2]],
    ),
    "probabilities": (
        np.array([[1 / 4, 3 / 4], [1 / 2, 1 / 2]]),
        {},
        (LN4 - 0.75 * LN3 + LN2) / 2,
        [[0, 0], [0, 0]],
    ),
}
entropy_cases = pytest.mark.parametrize("labels, options, loss, dlogits", ENTROPY_CASES.values(), ids=ENTROPY_CASES)


@entropy_cases
def test_cross_entropy_by_hand(labels, options, loss, dlogits):
    actual, gradient = reference.cross_entropy(LOGITS, labels, **options)
    assert isinstance(actual, float)
    close(actual, loss)
    close(gradient, dlogits)


def test_cross_entropy_of_extreme_logits():
    loss, dlogits = reference.cross_entropy(np.array([[1000.0, -1000], [-INF, 3]]), np.array([1, 1]))
    assert loss == 1000  # (2000 + 0) / 2
    assert dlogits.tolist() == [[0.5, -0.5], [0, 0]]


@pytest.mark.parametrize("options", [{}, {"class_weight": np.array([0.5, 2, 0, 1])}, {"label_smoothing": 0.3}])
@pytest.mark.parametrize(
    "labels", [np.array([3, 0, 1, 3, 2]), np.abs(normal(5, 4, seed=1))], ids=["labels", "probabilities"]
)
def test_cross_entropy_backward(labels, options):
    logits = normal(5, 4)
    options = {**options, "ignore_index": 1}
    dlogits = reference.cross_entropy(logits, labels, **options)[1]
    assert_gradient(dlogits, lambda: reference.cross_entropy(logits, labels, **options)[0], logits, **SMOOTH)


def test_mse_loss_by_hand():
    loss, dprediction = reference.mse_loss(np.array([[1.0, 2], [3, 4]]), np.array([[0.0, 2], [5, 1]]))
    assert loss == (1 + 0 + 4 + 9) / 4
    assert dprediction.tolist() == [[0.5, 0], [-1, 1.5]]


def test_binary_cross_entropy_by_hand():
    loss, dlogits = reference.binary_cross_entropy(np.array([0, LN3, LN3, LN3]), np.array([1, 1, 0, 0.5]))
    close(loss, (LN2 + (LN4 - LN3) + LN4 + (LN4 - LN3 / 2)) / 4)
    close(dlogits, [-1 / 8, -1 / 16, 3 / 16, 1 / 16])
    loss, dlogits = reference.binary_cross_entropy(np.array([1000.0, -1000, 1000, -1000]), np.array([1.0, 1, 0, 0]))
    assert loss == 500  # (0 + 1000 + 1000 + 0) / 4
    assert dlogits.tolist() == [0, -0.25, 0.25, 0]


def test_l1_and_huber_loss_by_hand():
    prediction, target = np.array([1.0, 5, 2, -3]), np.array([1.0, 1, 2.5, 1])  # differences 0, 4, -1/2, -4
    loss, gradient = reference.l1_loss(prediction, target)
    assert (loss, gradient.tolist()) == (8.5 / 4, [0, 1 / 4, -1 / 4, -1 / 4])
    loss, gradient = reference.huber_loss(prediction, target, delta=2.0)
    assert (loss, gradient.tolist()) == ((6 + 1 / 8 + 6) / 4, [0, 2 / 4, -1 / 8, -2 / 4])


def test_nll_loss_by_hand():
    rows, labels = np.array([[-1.0, -2], [-4, -8], [-3, -5]]), np.array([0, 1, 1])
    loss, gradient = reference.nll_loss(rows, labels)
    close(loss, (1 + 8 + 5) / 3)
    close(gradient, [[-1 / 3, 0], [0, -1 / 3], [0, -1 / 3]])
    loss, gradient = reference.nll_loss(rows, labels, class_weight=np.array([2.0, 1]))
    assert (loss, gradient.tolist()) == ((2 + 8 + 5) / 4, [[-1 / 2, 0], [0, -1 / 4], [0, -1 / 4]])
    loss, gradient = reference.nll_loss(rows, labels, ignore_index=1)
    assert (loss, gradient.tolist()) == (1, [[-1, 0], [0, 0], [0, 0]])
    assert reference.nll_loss(rows, labels - labels, ignore_index=0)[0] == 0


def test_hinge_loss_by_hand():
    scores = np.array([[3.0, 1, 2.5, 4], [0, 5, 0, 0]])  # row 0 lacks 0, 0, 1/2 and 2; row 1 nothing
    loss, gradient = reference.hinge_loss(scores, np.array([0, 1]))
    assert (loss, gradient.tolist()) == (2.5 / 8, [[-1 / 4, 0, 1 / 8, 1 / 8], [0, 0, 0, 0]])
    assert reference.hinge_loss(scores, np.array([0, 1]), margin=2.0)[0] == (1.5 + 3) / 8


def test_l2_penalty_by_hand():
    gradient = np.array([1.0, 1])
    assert reference.l2_penalty(np.array([2.0, -4]), gradient, weight=0.5) == 5
    assert gradient.tolist() == [2, -1]


@pytest.mark.parametrize("loss", [reference.mse_loss, reference.binary_cross_entropy])
def test_loss_backward(loss):
    prediction, target = normal(3, 4), np.random.default_rng(1).random((3, 4))
    assert_gradient(loss(prediction, target)[1], lambda: loss(prediction, target)[0], prediction, **SMOOTH)


# ---- optimizers --------------------------------------------------------------------------------------------


def steps(update, parameter, gradients, *, states, **options):
    """Run an update once for each gradient, on a second parameter too that must not mix with the first."""
    parameters = np.array([parameter, -parameter], np.float64)
    state = [np.full(2, float(start)) for start in states]
    for number, value in enumerate(gradients, 1):
        gradient = np.array([value, -value])
        counted = {"step": number} if update in (reference.sgd, reference.adam, reference.adamax) else {}
        update(parameters, gradient, *state, **options, **counted)
        assert gradient.tolist() == [value, -value]
    assert parameters[1] == -parameters[0]
    return parameters[0]


SGD = {"lr": 0.1, "nesterov": False, "weight_decay": 0.0}


def test_sgd_by_hand():
    # whatever velocity holds before step 1 (here 99) is forgotten
    sgd = {"states": [99], **SGD}
    close(steps(reference.sgd, 1, [0.5, 0.5], momentum=0.0, **sgd), 1 - 0.05 - 0.05)
    close(steps(reference.sgd, 1, [0.5, 0.5], momentum=0.9, **sgd), 1 - 0.05 - 0.1 * (0.45 + 0.5))
    # weight decay: gradients 0.5 + 0.2 = 0.7, then 0.5 + 0.2 * 0.93 = 0.686; velocity 0.63 + 0.686
    close(steps(reference.sgd, 1, [0.5, 0.5], momentum=0.9, **(sgd | {"weight_decay": 0.2})), 0.93 - 0.1316)
    # Nesterov: 0.5 + 0.9 * 0.5 = 0.95; velocity 0.45 + 0.5, 0.5 + 0.9 * 0.95 = 1.355
    close(steps(reference.sgd, 1, [0.5, 0.5], momentum=0.9, **(sgd | {"nesterov": True})), 1 - 0.095 - 0.1355)


ADAM = {"states": [0, 0], "lr": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 0.5}


def test_adam_by_hand():
    plain = ADAM | {"weight_decay": 0.0, "decoupled": False}
    # step 1: the unbiased moments are g and g^2 = 0.25: 0.1 * 0.5 / (0.5 + 0.5)
    close(steps(reference.adam, 1, [0.5], **plain), 0.95)
    # step 2: first 0.5 * 0.25 + 0.5 = 5/8, over 3/4; second 0.75 / 16 + 0.25 = 19/64, over 7/16
    close(steps(reference.adam, 1, [0.5, 1.0], **plain), 0.95 - 0.1 * (5 / 6) / (math.sqrt(19 / 28) + 0.5))
    # weight decay: g = 0.3 + 0.2 * 1; decoupled: 1 - 0.1 * 0.2 first, then the step of g alone
    close(steps(reference.adam, 1, [0.3], **(plain | {"weight_decay": 0.2})), 0.95)
    close(steps(reference.adam, 1, [0.5], **(plain | {"weight_decay": 0.2, "decoupled": True})), 0.98 - 0.05)


def test_rmsprop_by_hand():
    settings = {"states": [0], "lr": 0.1, "alpha": 0.75, "eps": 1.0}
    # square 4 / 4 = 1: 0.1 * 2 / (1 + 1); then 0.75 + 0.25 * 4 * 5.25 = 6, gradient^2 = 21
    close(steps(reference.rmsprop, 1, [2.0], weight_decay=0.0, **settings), 0.9)
    second = 0.9 - 0.1 * math.sqrt(21) / (math.sqrt(6) + 1)
    close(steps(reference.rmsprop, 1, [2.0, math.sqrt(21)], weight_decay=0.0, **settings), second)
    close(steps(reference.rmsprop, 1, [1.8], weight_decay=0.2, **settings), 0.9)


def test_adagrad_by_hand():
    settings = {"states": [0], "lr": 0.1, "eps": 1.0}
    # squares 9, then 9 + 16 = 25
    close(steps(reference.adagrad, 1, [3.0, 4.0], weight_decay=0.0, **settings), 1 - 0.3 / 4 - 0.4 / 6)
    close(steps(reference.adagrad, 1, [2.8], weight_decay=0.2, **settings), 1 - 0.3 / 4)


def test_adadelta_by_hand():
    # square 4 / 4 = 1, change 3: step sqrt(4 / 2) 2, times 0.1
    settings = {"lr": 0.1, "rho": 0.75, "eps": 1.0}
    close(steps(reference.adadelta, 1, [2.0], states=[0, 3], weight_decay=0.0, **settings), 1 - 0.2 * math.sqrt(2))
    # the change becomes 3 * 3 / 4 + 8 / 4, square 3 / 4 + 36 / 4
    second = 1 - 0.2 * math.sqrt(2) - 0.6 * math.sqrt(5.25 / 10.75)
    close(steps(reference.adadelta, 1, [2.0, 6.0], states=[0, 3], weight_decay=0.0, **settings), second)
    close(steps(reference.adadelta, 1, [1.8], states=[0, 3], weight_decay=0.2, **settings), 1 - 0.2 * math.sqrt(2))


def test_adamax_by_hand():
    settings = {"states": [0, 0], "lr": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 0.0}
    # step 1: first 0.5 g over 1 - 0.5, largest |g|; step 2: first (-0.5 + 1) / 2 over 3/4, largest max(3/4, 1)
    close(steps(reference.adamax, 1, [-1.0], weight_decay=0.0, **settings), 1.1)
    close(steps(reference.adamax, 1, [-1.0, 1.0], weight_decay=0.0, **settings), 1.1 - 0.1 * 0.25 / 0.75)
    close(steps(reference.adamax, 1, [-1.0, 0.5], weight_decay=0.0, **settings), 1.1)
    close(steps(reference.adamax, 1, [-1.2], weight_decay=0.2, **settings), 1.1)


def test_lion_by_hand():
    settings = {"states": [0], "lr": 0.1, "beta1": 0.5, "beta2": 0.75}
    # the mean is 0.5 after step 1; in step 2 a gradient of -0.4 is weaker than it, one of -0.6 stronger
    assert steps(reference.lion, 1, [2.0], weight_decay=0.0, **settings) == 0.9
    close(steps(reference.lion, 1, [2.0, -0.4], weight_decay=0.0, **settings), 0.8)
    close(steps(reference.lion, 1, [2.0, -0.6], weight_decay=0.0, **settings), 1.0)
    close(steps(reference.lion, 1, [2.0], weight_decay=0.5, **settings), 0.85)


def test_clip_values_by_hand():
    gradient = np.array([-3.0, -1, 0.5, 2, NAN, INF])
    reference.clip_values(gradient, 1.5)
    np.testing.assert_array_equal(gradient, [-1.5, -1, 0.5, 1.5, NAN, 1.5])


def test_clip_norms_by_hand():
    weight = np.array([[3.0, 0.3, NAN, 0], [4.0, 0.4, 1, 2]])
    reference.clip_norms(weight, 2.0)
    close(weight, [[1.2, 0.3, NAN, 0], [1.6, 0.4, 1, 2]], 1e-7)  # norms 5, 0.5, NaN and 2


UPDATES = {
    reference.sgd: {**SGD, "momentum": 0.9, "step": 2, "weight_decay": 0.5},
    reference.adam: {"lr": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 0.5, "weight_decay": 0.5, "decoupled": True, "step": 2},
    reference.rmsprop: {"lr": 0.1, "alpha": 0.75, "eps": 1.0, "weight_decay": 0.5},
    reference.adagrad: {"lr": 0.1, "eps": 1.0, "weight_decay": 0.5},
    reference.adadelta: {"lr": 0.1, "rho": 0.5, "eps": 1.0, "weight_decay": 0.5},
    reference.adamax: {"lr": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 0.5, "weight_decay": 0.5, "step": 2},
    reference.lion: {"lr": 0.1, "beta1": 0.5, "beta2": 0.75, "weight_decay": 0.5},
}


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.__name__)
def test_a_scaled_gradient_is_that_gradient(update):
    options = UPDATES[update]
    count = 4 if update in (reference.adam, reference.adadelta, reference.adamax) else 3
    one, other = ([np.array([1.5]) for _ in range(count)] for _ in range(2))
    other[1] /= 4
    update(*one, scale=0.25, zero=True, **options)
    update(*other, **options)
    assert one[1] == 0 and other[1] == 0.375
    assert [array for array in one if array is not one[1]] == [array for array in other if array is not other[1]]


def test_gradient_norm_by_hand():
    assert reference.gradient_norm(np.array([2.0, -3.0, 6.0], np.float32)) == 7


# ---- batches -----------------------------------------------------------------------------------------------


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
