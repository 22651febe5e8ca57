"""What messages say: the caller's function, and the name that was meant."""

import numpy as np
import pytest

import fastcnn
from fastcnn import data, functional, models, nn, registry, shapes, training, verification
from fastcnn.training import EarlyStopping

LENET5 = models.create("lenet5", (28, 28, 1), 10)
x, weight = np.ones((1, 5, 5, 1), np.float32), np.ones((3, 3, 1, 2), np.float32)

MISSPELT = [
    (lambda: models.create("resnet21", (32, 32, 3), 10), "create: name is 'resnet21'", "resnet20"),
    (lambda: models.describe("LeNet-5"), "describe: name is 'LeNet-5'", "lenet5"),
    (lambda: data.load("minst"), "load: name is 'minst'", "mnist"),
    (lambda: data.load("cifar-10"), "load: name is 'cifar-10'", "cifar10"),
    (lambda: functional.conv2d(x, weight, algorithm="winogard"), "conv2d: algorithm is 'winogard'", "winograd"),
    (lambda: nn.Conv2D(1, 2, 3, algorithm="Direct"), "Conv2D: algorithm is 'Direct'", "direct"),
    (lambda: functional.pad2d(x, 1, mode="reflekt"), "pad2d: mode is 'reflekt'", "reflect"),
    (lambda: LENET5.set_weights({"00": ()}), "set_weights: layer '00'", "0"),
    (lambda: EarlyStopping("test_acuracy"), "EarlyStopping: monitor is 'test_acuracy'", "test_accuracy"),
    (lambda: training.fit(LENET5, (np.ones((2, 28, 28, 1), np.uint8), np.zeros(2, int)), epochs=1, augment="crop_flip"),
     "fit: augment is 'crop_flip'", "crop-flip"),
    (lambda: data.from_arrays(np.ones((1, 2, 2, 1), np.uint8), ["dig"], ["cat", "dog"]), "from_arrays: label 'dig'", "dog"),
    (lambda: models.create("transformer", (32, 32, 3), 10), "create: name is 'transformer', expected one of lenet5", None),
    (lambda: models.create(20, (32, 32, 3), 10), "create: name is 20, expected one of lenet5", None),
]


@pytest.mark.parametrize(("call", "begins", "meant"), MISSPELT, ids=[row[1] for row in MISSPELT])
def test_did_you_mean(call, begins, meant):
    with pytest.raises(ValueError) as caught:
        call()
    said = str(caught.value)
    assert begins in said
    assert said.endswith(f"; did you mean {meant!r}?") if meant else "did you mean" not in said


def test_a_misspelt_name_of_the_package_is_suggested():
    with pytest.raises(AttributeError) as caught:
        fastcnn.evalute  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("evalute", fastcnn)  # from which Python makes its suggestion


def test_suggestions_are_for_words_alone():
    assert shapes.suggestion(3, ["3"]) == shapes.suggestion(None, ["none"]) == shapes.suggestion("", ["a"]) == ""


@pytest.mark.parametrize("row", registry.ROWS, ids=lambda row: row.name)
def test_refused_calls_name_the_operation_that_was_called(row):
    for fault in row.faults:
        arguments = verification.Trial(row, row.cases[0], "normal", "float32").arguments("normal") | fault.changes
        with pytest.raises(fault.error) as caught:
            row.fast(**arguments)
        assert str(caught.value).startswith(f"{row.operation}: "), f"{fault.name}: {caught.value}"
