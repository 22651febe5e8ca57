"""Named networks: sizes, shapes, names and what is refused."""

import numpy as np
import pytest

from fastcnn import manual_seed, models, nn
from fastcnn.shapes import DTypeError, ShapeError

# Parameters counted by hand: convolutions R * S * C * K (+ K), batch norm 2 * K, linear in * out + out
PARAMETERS = {
    ("lenet5", (32, 32, 1)): 156 + 2416 + 48120 + 10164 + 850,
    ("lenet5", (28, 28, 1)): 156 + 2416 + 48120 + 10164 + 850,
    ("lenet5", (32, 32, 3)): 456 + 2416 + 48120 + 10164 + 850,
    ("lenet5", (8, 8, 1)): 156 + 2416 + 64 * 120 + 120 + 10164 + 850,
    ("smallcnn", (8, 8, 1)): 320 + 9248 + 18496 + 4 * 4 * 64 * 10 + 10,
    ("strided_cnn", (28, 28, 1)): 108 + 24 + 2592 + 48 + 7 * 7 * 24 * 10 + 10,
    ("two_conv", (28, 28, 1)): 160 + 4640 + 7 * 7 * 32 * 10 + 10,
    ("four_conv", (32, 32, 3)): 1792 + 73856 + 147584 + 295168 + 1048832 + 16448 + 650,
    ("vgg", (32, 32, 3)): 864 + 9216 + 18432 + 36864 + 73728 + 147456 + 4 * (32 + 64 + 128) + 1290,
    ("resnet20", (32, 32, 3)): 272474,
}


@pytest.mark.parametrize(("name", "shape"), PARAMETERS)
def test_number_of_parameters(name, shape):
    assert models.create(name, shape, 10).num_parameters() == PARAMETERS[name, shape]


def test_resnet20_by_hand():
    convolutions = 3 * 9 * 16 + 6 * 9 * 16 * 16
    for inputs, outputs in ((16, 32), (32, 64)):
        convolutions += 9 * inputs * outputs + 5 * 9 * outputs * outputs + inputs * outputs
    norms = 2 * (7 * 16 + 7 * 32 + 7 * 64)
    assert convolutions + norms + 650 == PARAMETERS["resnet20", (32, 32, 3)]
    summary = models.create("resnet20", (32, 32, 3), 10).summary((32, 32, 3))
    convs = [row for row in summary.rows if row.layer.startswith("Conv2D")]
    assert len(convs) == 19 + 2
    assert summary.rows[-2].output_shape == (64,)
    assert summary.multiply_adds == pytest.approx(40.8e6, rel=0.02)


@pytest.mark.parametrize("name", models.names())
@pytest.mark.parametrize("shape", [(8, 8, 1), (13, 9, 2)])
def test_every_model_runs_forward_and_backward_on_small_images(name, shape):
    if name == "four_conv":
        shape = (8, 8, shape[2])
    model = models.create(name, shape, 3)
    x = np.random.default_rng(0).standard_normal((4, *shape)).astype(np.float32)
    y = model.forward(x)
    assert y.shape == (4, 3) and model.output_shape((4, *shape)) == (4, 3)
    model.backward(y, need_dx=False)
    assert all(np.isfinite(parameter.grad).all() for parameter in model.parameters())
    assert all(parameter.grad.any() for parameter in model.parameters() if parameter.name.endswith("weight"))


def test_a_model_remembers_how_it_was_made():
    model = models.create("two_conv", (8, 8, 1), 4)
    assert model.origin == nn.Origin("two_conv", (8, 8, 1), 4)


def test_the_seed_decides_the_weights():
    def weights(seed):
        manual_seed(seed)
        return models.create("lenet5", (8, 8, 1), 10).state_dict()["0.weight"]

    assert np.array_equal(weights(1), weights(1)) and not np.array_equal(weights(1), weights(2))


def test_names_and_descriptions():
    assert {"lenet5", "smallcnn", "strided_cnn", "two_conv", "four_conv", "vgg", "resnet20"} == set(models.names())
    assert all(models.describe(name).endswith(".") for name in models.names())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("lenet", (28, 28, 1), 10), ValueError, "name is 'lenet', expected one of lenet5"),
        ((None, (28, 28, 1), 10), ValueError, "name is None"),
        (("lenet5", (28, 28), 10), ShapeError, "input_shape is (28, 28), expected (H, W, C)"),
        (("lenet5", 28, 10), ShapeError, "input_shape is 28"),
        (("lenet5", (28, 0, 1), 10), ShapeError, "input_shape is 0"),
        (("lenet5", (28, 28.0, 1), 10), DTypeError, "input_shape is 28.0"),
        (("lenet5", (28, 28, 1), 0), ShapeError, "num_classes is 0"),
        (("lenet5", (2, 2, 1), 10), ShapeError, "MaxPool2D: kernel_size covers 2 rows"),
        (("vgg", (4, 4, 1), 10), ShapeError, "MaxPool2D"),
    ],
)
def test_refused_arguments(arguments, error, message):
    with pytest.raises(error) as caught:
        models.create(*arguments)
    assert message in str(caught.value)
