"""The package."""

import ast
import inspect
import sys
from pathlib import Path

import numpy as np
import pytest

from fastcnn import reference
from tests.reference.setting import (
    normal,
    unchanged,
)


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
