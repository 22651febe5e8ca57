"""Arguments of training that are refused."""

from types import SimpleNamespace

import numpy as np
import pytest

import fastcnn
from fastcnn import nn, optim
from fastcnn.shapes import CheckpointError, DTypeError, ShapeError
from fastcnn.training import (
    Augment,
    BestModel,
    Checkpoint,
    EarlyStopping,
)
from fastcnn.training.augment import mixed
from tests.training.setting import DIGITS, EVERYTHING, FEW, IMAGES, LABELS, network, train

REFUSED = [
    ({"epochs": 0}, ShapeError, "fit: epochs is 0"),
    ({"epochs": 1.5}, DTypeError, "fit: epochs is 1.5"),
    ({"batch_size": 0}, ShapeError, "fit: batch_size is 0"),
    ({"seed": -1}, ShapeError, "fit: seed is -1"),
    ({"augment": "mirror"}, ValueError, "fit: augment is 'mirror'"),
    ({"augment": {"crop": 4}}, DTypeError, "fit: augment is {'crop': 4}, expected an Augment, None or one of crop-flip"),
    (
        {"split": (IMAGES / 255, LABELS), "augment": Augment(contrast=0.1)},
        DTypeError,
        "images are float64, expected uint8 for brightness and contrast",
    ),
    ({"augment": "crop-flip-cutout"}, ShapeError, "fit: cutout is 16, expected less than the 8 rows and 8 columns"),
    ({"split": (IMAGES, LABELS + 5), "augment": EVERYTHING}, ValueError, "fit: labels hold "),
    ({"loss": nn.NLLLoss(), "augment": EVERYTHING}, DTypeError, "fit: loss is NLLLoss(), which takes labels"),
    ({"loss": nn.HingeLoss(), "augment": "crop-flip-mixup"}, DTypeError, "such as nn.CrossEntropyLoss(), with mixup"),
    ({"loss": nn.MSELoss}, DTypeError, "MSELoss'>, expected an object with forward and backward"),
    ({"loss": "mse"}, DTypeError, "fit: loss is 'mse', expected an object"),
    ({"penalty": 1e-4}, DTypeError, "fit: penalty is 0.0001, expected a Callable"),
    ({"optimizer": optim.Adam(network().parameters())}, ValueError, "fit: optimizer has no parameter of the model"),
    ({"seed": 2**63}, ValueError, "fit: seed is 9223372036854775808, expected 0 to 9223372036854775807"),
    ({"callbacks": BestModel()}, DTypeError, "expected an Iterable"),
    ({"optimizer": "adam"}, DTypeError, "fit: optimizer is 'adam', expected an Optimizer"),
    ({"schedule": 0.1}, DTypeError, "fit: schedule is 0.1"),
    ({"callbacks": [print]}, DTypeError, "fit: callbacks is <built-in function print>"),
    ({"callbacks": [BestModel()]}, ValueError, "BestModel: monitor is 'test_accuracy', which needs fit(validation"),
    ({"callbacks": [BestModel("test_f1", mode="max")], "validation": FEW}, ValueError,
     "BestModel: monitor is 'test_f1', which needs fit(metrics={'f1': ...}); expected one of train_loss"),
    ({"callbacks": [BestModel("train_loss", path="/")]}, CheckpointError, "BestModel: path is the folder /, expected a"),
    ({"metrics": {"f1": max}}, ValueError, "fit: metrics has f1, expected validation=... to measure them on"),
    ({"metrics": [max], "validation": FEW}, DTypeError, "fit: metrics is [<built-in function max>], expected functions by"),
    ({"metrics": {"f1": 0.5}, "validation": FEW}, DTypeError, "fit: metrics is {'f1': 0.5}, expected functions by name"),
    ({"metrics": {"f0": max, "f1": 0.5}, "validation": FEW}, DTypeError, "expected functions by name"),
    ({"metrics": {"a,b": max}, "validation": FEW}, ValueError, "fit: metrics has the name 'a,b', expected letters"),
    ({"metrics": {"loss": max}, "validation": FEW}, ValueError, "fit: metrics has the name 'loss'"),
    ({"metrics": {"f1": lambda p, y: [1, 2]}, "validation": FEW}, DTypeError, "fit: the metric 'f1' gave [1, 2]"),
    ({"model": None}, DTypeError, "fit: model is None"),
    (
        {"split": (IMAGES.reshape(64, 64) / 255, LABELS), "augment": "crop-flip"},
        ShapeError,
        "images have shape (64, 64), expected (N, H, W, C) for Augment(crop=4, flip=True",
    ),
    ({"split": DIGITS}, DTypeError, "a Dataset has .train and .test"),
    ({"split": IMAGES}, DTypeError, "data is a ndarray"),
    ({"split": SimpleNamespace(images=IMAGES)}, DTypeError, "data is a SimpleNamespace, expected a Split"),
    ({"split": (IMAGES, LABELS[:10])}, ShapeError, "labels have shape (10,), expected (64,)"),
    ({"split": (IMAGES[..., 0], LABELS)}, ShapeError, "images[..., None]"),
    ({"split": (IMAGES.astype(int), LABELS)}, DTypeError, "images are int64"),
    ({"split": (IMAGES[:0], LABELS[:0])}, ShapeError, "images have shape (0, 8, 8, 1)"),
    ({"split": (IMAGES, ["one"] * 64)}, DTypeError, "labels are <U3"),
    ({"split": (np.repeat(IMAGES, 3, axis=3), LABELS)}, ShapeError, "3 channels"),
    ({"split": (IMAGES, LABELS + 5)}, ValueError, "label"),
    ({"split": (IMAGES, LABELS - 1)}, ValueError, "label"),
    ({"validation": (IMAGES, LABELS[:5])}, ShapeError, "labels have shape (5,)"),
    ({"resume": "/nowhere/checkpoint"}, CheckpointError, "there is no file /nowhere/checkpoint"),
]


@pytest.mark.parametrize(("options", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_refused_arguments(options, error, message):
    with pytest.raises(error) as caught:
        train(**{"model": network(), **options})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: EarlyStopping("loss"), ValueError, "monitor is 'loss', expected one of train_loss"),
        (lambda: EarlyStopping("test_f1"), ValueError, "EarlyStopping: mode is None, expected 'min' or 'max'"),
        (lambda: BestModel(mode="highest"), ValueError, "BestModel: mode is 'highest', expected 'min' or 'max'"),
        (lambda: EarlyStopping(patience=0), ShapeError, "patience is 0"),
        (lambda: EarlyStopping(min_delta=float("nan")), ValueError, "min_delta is nan"),
        (lambda: Augment(crop=-1), ShapeError, "Augment: crop is -1, expected at least 0"),
        (lambda: Augment(cutout=2.5), DTypeError, "Augment: cutout is 2.5, expected an integer"),
        (lambda: Augment(flip=0.5), DTypeError, "Augment: flip is 0.5, expected True or False"),
        (lambda: Augment(translate=1.5), ValueError, "Augment: translate is 1.5"),
        (lambda: Augment(rotate=-10), ValueError, "Augment: rotate is -10.0"),
        (lambda: Augment(scale=1), ValueError, "Augment: scale is 1.0, expected a finite number of at least 0 and below 1"),
        (lambda: Augment(brightness=float("nan")), ValueError, "Augment: brightness is nan"),
        (lambda: Augment(contrast="much"), DTypeError, "Augment: contrast is 'much'"),
        (lambda: Augment(mixup=-0.1), ValueError, "Augment: mixup is -0.1"),
        (lambda: Checkpoint("x", every=0), ShapeError, "every is 0"),
        (lambda: Checkpoint("x", keep=0), ShapeError, "keep is 0"),
        (lambda: fastcnn.predict(network(), IMAGES[0]), ShapeError, "images[..., None]"),
        (lambda: fastcnn.predict(network(), IMAGES, batch_size=0), ShapeError, "batch_size is 0"),
        (lambda: fastcnn.evaluate(network(), FEW, batch_size=0), ShapeError, "batch_size is 0"),
        (lambda: fastcnn.predict(network(), np.ones(3)), ShapeError, "images have shape (3,), expected (N, H, W, C)"),
        (lambda: mixed(np.array([9]), np.array([10]), np.ones(1), 10), ValueError, "labels hold 10 to 10, expected 0 to 9"),
        (lambda: mixed(np.array([-1]), np.array([9]), np.ones(1), 10), ValueError, "labels hold -1 to -1, expected 0 to 9"),
        (lambda: fastcnn.evaluate(network(), FEW, batch_size="all"), DTypeError, "batch_size is 'all'"),
        (lambda: fastcnn.predict(network(), FEW), DTypeError, "predict: images are a Split, expected an array such as its"),
        (lambda: fastcnn.predict(IMAGES, network()), DTypeError, "expected a Module"),
        (lambda: fastcnn.evaluate("lenet5", FEW), DTypeError, "evaluate: model is 'lenet5', expected a Module"),
        (lambda: fastcnn.load("lenet5", model=nn.Sequential), DTypeError, "Sequential'>, expected a Module"),
        (lambda: fastcnn.evaluate(network(), FEW, loss=nn.MSELoss), DTypeError, "evaluate: loss is <class"),
        (lambda: fastcnn.gradient_check("conv", IMAGES), DTypeError, "model_or_op is 'conv'"),
        (lambda: fastcnn.gradient_check(nn.Linear, IMAGES), DTypeError, "Linear'>, expected a Module, a Loss or a function"),
        (lambda: fastcnn.gradient_check(nn.MSELoss(), IMAGES), DTypeError, "0 arguments after x, expected 1: the target"),
        (lambda: fastcnn.gradient_check(nn.ReLU(), IMAGES, eps=0.0), ValueError, "eps is 0.0"),
    ],
)
def test_refused_elsewhere(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
