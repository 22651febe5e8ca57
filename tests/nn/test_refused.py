"""Arguments of layers that are refused."""

import numpy as np
import pytest

from fastcnn import nn
from fastcnn.shapes import DTypeError, ShapeError
from tests.nn.setting import small

REFUSED = [
    (lambda: nn.Conv2D(3, 0, 3), ShapeError, "out_channels is 0"),
    (lambda: nn.Conv2D(0, 3, 3), ShapeError, "in_channels is 0"),
    (lambda: nn.Conv2D(3, 8, 0), ShapeError, "kernel_size is 0"),
    (lambda: nn.Conv2D(3, 8, (3, 3, 3)), ShapeError, "kernel_size is (3, 3, 3)"),
    (lambda: nn.Conv2D(3, 8, 3, stride=0), ShapeError, "stride is 0"),
    (lambda: nn.Conv2D(3, 8, 3, padding=-1), ShapeError, "padding is -1"),
    (lambda: nn.Conv2D(3, 8, 3, padding="full"), ShapeError, "padding is 'full'"),
    (lambda: nn.Conv2D(3, 8, 3, dilation=0), ShapeError, "dilation is 0"),
    (lambda: nn.Conv2D(3, 8, 3, groups=2), ShapeError, "groups is 2"),
    (lambda: nn.Conv2D(3, 8.5, 3), DTypeError, "out_channels is 8.5"),
    (lambda: nn.Conv2D(3, True, 3), DTypeError, "out_channels is True"),
    (lambda: nn.Conv2D(3, 8, 3, algorithm="fastest"), ValueError, "algorithm is 'fastest'"),
    (lambda: nn.Linear(0, 2), ShapeError, "in_features is 0"),
    (lambda: nn.Linear(2, "2"), DTypeError, "out_features is '2'"),
    (lambda: nn.BatchNorm(0), ShapeError, "channels is 0"),
    (lambda: nn.BatchNorm(3, eps=float("nan")), ValueError, "eps is nan"),
    (lambda: nn.BatchNorm(3, eps=-1.0), ValueError, "eps is -1.0"),
    (lambda: nn.BatchNorm(3, momentum=2), ValueError, "momentum is 2.0"),
    (lambda: nn.Dropout(1.5), ValueError, "p is 1.5"),
    (lambda: nn.Dropout(1.0), ValueError, "p is 1.0"),
    (lambda: nn.Dropout(float("nan")), ValueError, "p is nan"),
    (lambda: nn.Dropout("half"), DTypeError, "p is 'half'"),
    (lambda: nn.LeakyReLU(-1), ValueError, "slope is -1.0"),
    (lambda: nn.MaxPool2D(0), ShapeError, "kernel_size is 0"),
    (lambda: nn.MaxPool2D(2, 0), ShapeError, "stride is 0"),
    (lambda: nn.MaxPool2D(3, padding=2), ShapeError, "padding is 2"),
    (lambda: nn.AvgPool2D(2, padding=-1), ShapeError, "padding is -1"),
    (lambda: nn.Sequential(nn.ReLU(), "relu"), DTypeError, "argument 1 is 'relu'"),
    (lambda: nn.Residual(None), DTypeError, "argument 0 is None"),
    (lambda: nn.CrossEntropyLoss(label_smoothing=1.5), ValueError, "label_smoothing is 1.5"),
    (lambda: nn.CrossEntropyLoss(class_weight=[[1.0]]), ShapeError, "class_weight has shape (1, 1)"),
    (lambda: nn.CrossEntropyLoss(class_weight=[1.0, -1.0]), ValueError, "class_weight is [1.0, -1.0]"),
    (lambda: nn.CrossEntropyLoss(class_weight="even"), DTypeError, "class_weight has dtype"),
    (lambda: nn.CrossEntropyLoss(ignore_index=0.5), DTypeError, "ignore_index is 0.5"),
    (lambda: nn.Parameter(np.ones(2, int), "w"), DTypeError, "Parameter w: data has dtype int64"),
    (lambda: nn.Module().forward(1), NotImplementedError, "Module has no forward"),
    (lambda: small().summary((28, 28, 1, 1)), ShapeError, "input_shape is (28, 28, 1, 1)"),
    (lambda: small().summary((28, 28, 3)), ShapeError, "3 channels"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_refused_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
