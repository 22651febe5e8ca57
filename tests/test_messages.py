"""What messages say: the caller's function, and the name that was meant."""

import numpy as np
import pytest

import fastcnn
from fastcnn import data, explain, functional, models, nn, plot, registry, shapes, training, verification
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
    (lambda: EarlyStopping("tets_accuracy"), "EarlyStopping: monitor is 'tets_accuracy'", "test_accuracy"),
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


GREY, COLOUR = np.ones((4, 28, 28, 1), np.uint8), np.ones((4, 28, 28, 3), np.uint8)
LENET5.normalisation = nn.Normalisation(np.zeros(1, np.float32), np.ones(1, np.float32))
NAMED = [
    (lambda: training.fit(LENET5, (COLOUR, np.zeros(4, int)), epochs=1, progress=False), "fit: images have shape (4, 28"),
    (lambda: training.evaluate(LENET5, (COLOUR, np.zeros(4, int))), "evaluate: images have shape (4, 28, 28, 3)"),
    (lambda: training.predict(LENET5, COLOUR), "predict: images have shape (4, 28, 28, 3)"),
    (lambda: explain.saliency(LENET5, COLOUR), "saliency: images have shape (4, 28, 28, 3)"),
    (lambda: training.fit(nn.Sequential(nn.Conv2D(None, 2, 30), nn.Flatten()), (COLOUR, np.zeros(4, int)), epochs=1,
                          progress=False), "fit: images have shape (4, 28, 28, 3)"),
    (lambda: training.evaluate(LENET5, (np.ones((2, 9, 9, 1), np.float32), np.zeros(2, int))), "evaluate: images have"),
    (lambda: training.predict(LENET5, np.ones((2, 9, 9, 1), np.float32)), "predict: images have shape (2, 9, 9, 1)"),
    (lambda: LENET5.summary((9, 9, 1)), "summary: input_shape is (9, 9, 1)"),
    (lambda: LENET5.profile(np.ones((2, 9, 9, 1), np.float32)), "profile: x is float32 of shape (2, 9, 9, 1)"),
    (lambda: explain.activations(LENET5, np.ones((2, 9, 9, 1), np.float32)), "activations: images have shape"),
    (lambda: explain.saliency(LENET5, np.ones((2, 9, 9, 1), np.float32)), "saliency: images have shape (2, 9, 9, 1)"),
    (lambda: explain.grad_cam(LENET5, np.ones((2, 9, 9, 1), np.float32)), "grad_cam: images have shape (2, 9, 9, 1)"),
    (lambda: plot.feature_maps(LENET5, np.ones((9, 9, 1), np.float32)), "feature_maps: images have shape (1, 9, 9, 1)"),
    (lambda: plot.grad_cam(LENET5, np.ones((2, 9, 9, 1), np.float32)), "grad_cam: images have shape (2, 9, 9, 1)"),
    (lambda: models.create("lenet5", (2, 2, 1), 10), "create: input_shape is (2, 2, 1)"),
]


@pytest.mark.parametrize(("call", "begins"), NAMED, ids=[f"{index} {row[1]}" for index, row in enumerate(NAMED)])
def test_images_that_a_model_does_not_take_are_said_of_the_function_that_got_them(call, begins):
    with pytest.raises((fastcnn.ShapeError, fastcnn.DTypeError)) as caught:
        call()
    assert str(caught.value).startswith(begins)


def test_an_error_of_a_loss_is_none_of_the_images():
    with pytest.raises(ValueError, match=r"cross_entropy: labels\[0\] is 11|fit: labels"):
        training.fit(LENET5, (GREY, np.full(4, 11)), epochs=1, progress=False)
