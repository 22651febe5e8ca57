"""Named networks: sizes, shapes, names and what is refused."""

import numpy as np
import pytest

import fastcnn
from fastcnn import data, manual_seed, models, nn, optim
from fastcnn.shapes import DTypeError, ShapeError


def inception_module(inputs, outputs):
    """Parameters of the convolutions and norms, with the shares of GoogLeNet's module 3a."""
    share = outputs // 16
    convolutions = (inputs * (4 + 6 + 1 + 2) + 9 * 6 * 8 * share + 25 * 2 * share) * share
    return convolutions + 2 * share * (4 + 6 + 8 + 1 + 2 + 2)


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
    ("vgg11", (32, 32, 3)): 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 256 + 256 * 512 + 3 * 512 * 512)
                            + 2 * (64 + 128 + 2 * 256 + 4 * 512) + 5130,
    ("resnet9", (32, 32, 3)): 9 * (3 * 64 + 64 * 128 + 2 * 128 * 128 + 128 * 256 + 256 * 512 + 2 * 512 * 512)
                              + 2 * (64 + 3 * 128 + 256 + 3 * 512) + 5130,
    ("resnet20", (32, 32, 3)): 272474,
    ("resnet18", (28, 28, 1)): 11173962 - 2 * 9 * 64,
    ("resnet18", (32, 32, 3)): 11173962,
    ("inception", (32, 32, 3)): 864 + 64 + sum(inception_module(*sizes) for sizes in (
        (32, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256))) + 2570,
    ("mobilenet", (28, 28, 1)): 288 + 64 + 5130 + sum(11 * inputs + (inputs + 2) * outputs for inputs, outputs in (
        (32, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512))),
}
SMALLEST = {"four_conv": 8, "vgg11": 17}


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


def test_resnet18_by_hand():
    convolutions = 9 * 3 * 64 + 4 * 9 * 64 * 64
    for inputs in (64, 128, 256):
        convolutions += (9 * 2 + 3 * 9 * 4 + 2) * inputs * inputs
    norms = 2 * (5 * 64 + 5 * (128 + 256 + 512))
    assert convolutions + norms + 5130 == PARAMETERS["resnet18", (32, 32, 3)]
    summary = models.create("resnet18", (32, 32, 3), 10).summary((32, 32, 3))
    convs = [row for row in summary.rows if row.layer.startswith("Conv2D")]
    assert len(convs) == 17 + 3
    assert [row.output_shape for row in convs if row.layer.endswith("512, 3, padding=1, bias=False)")] == [(4, 4, 512)] * 3
    assert summary.multiply_adds == pytest.approx(556e6, rel=0.002)


@pytest.mark.parametrize(("name", "last"), [("vgg11", (1, 1, 512)), ("resnet9", (4, 4, 512)), ("inception", (8, 8, 32)),
                                            ("mobilenet", (4, 4, 512))])
def test_the_last_features_before_the_head(name, last):
    rows = models.create(name, (32, 32, 3), 10).summary((32, 32, 3)).rows
    assert rows[-3].output_shape == last
    assert rows[-1].layer.startswith("Linear(") and rows[-1].output_shape == (10,)


@pytest.mark.parametrize("name", models.names())
@pytest.mark.parametrize("shape", [(8, 8, 1), (13, 9, 2)])
def test_every_model_runs_forward_and_backward_on_small_images(name, shape):
    if name in SMALLEST:
        shape = (SMALLEST[name], SMALLEST[name], shape[2])
    model = models.create(name, shape, 3)
    x = np.random.default_rng(0).standard_normal((4, *shape)).astype(np.float32)
    y = model.forward(x)
    assert y.shape == (4, 3) and model.output_shape((4, *shape)) == (4, 3)
    model.backward(y, need_dx=False)
    assert all(np.isfinite(parameter.grad).all() for parameter in model.parameters())
    assert all(parameter.grad.any() for parameter in model.parameters() if parameter.name.endswith("weight"))


@pytest.mark.parametrize(("builder", "width"), [(models.resnet9, 8), (models.resnet18, 8), (models.vgg11, 8),
                                                (models.inception, 16), (models.mobilenet, 8)])
def test_a_narrow_model_learns_64_images_by_heart(builder, width):
    digits = data.load("digits").train.subset(64)
    images = digits.images.repeat(3, axis=1).repeat(3, axis=2)
    manual_seed(1)
    model = builder((24, 24, 1), 10, width=width)
    history = fastcnn.fit(model, (images, digits.labels), epochs=12, batch_size=16, progress=False,
                          optimizer=optim.Adam(model.parameters(), lr=3e-3))
    assert history[0]["train_accuracy"] < 0.7 and history[-1]["train_accuracy"] == 1
    result = fastcnn.evaluate(model, (images, digits.labels))
    assert result["accuracy"] == 1 and result["loss"] < 0.2


@pytest.mark.parametrize("name", models.names())
def test_every_model_comes_back_from_a_file(name, tmp_path):
    size = SMALLEST.get(name, 8)
    model = models.create(name, (size, size, 1), 3)
    x = np.random.default_rng(0).standard_normal((4, size, size, 1)).astype(np.float32)
    model(x)  # running statistics move
    fastcnn.save(model, tmp_path / "model.safetensors")
    loaded = fastcnn.load(tmp_path / "model.safetensors")
    assert loaded.origin == model.origin and repr(loaded) == repr(model)
    assert np.array_equal(loaded.eval()(x), model.eval()(x))


def test_a_narrow_model_is_filled_from_a_file(tmp_path):
    first, second = (models.inception((8, 8, 1), 3, width=16) for _ in range(2))
    fastcnn.save(first, tmp_path / "model.safetensors")
    fastcnn.load(tmp_path / "model.safetensors", model=second)
    assert all(np.array_equal(second.state_dict()[name], array) for name, array in first.state_dict().items())


def test_a_model_remembers_how_it_was_made():
    model = models.create("two_conv", (8, 8, 1), 4)
    assert model.origin == nn.Origin("two_conv", (8, 8, 1), 4)


def test_the_seed_decides_the_weights():
    def weights(seed):
        manual_seed(seed)
        return models.create("lenet5", (8, 8, 1), 10).state_dict()["0.weight"]

    assert np.array_equal(weights(1), weights(1)) and not np.array_equal(weights(1), weights(2))


def test_names_and_descriptions():
    assert {"lenet5", "smallcnn", "strided_cnn", "two_conv", "four_conv", "vgg", "vgg11", "resnet9", "resnet18", "resnet20",
            "inception", "mobilenet"} == set(models.names())
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
        (("lenet5", (2, 2, 1), 10), ShapeError, "expected larger images for lenet5 (kernel_size covers 2 rows"),
        (("vgg", (4, 4, 1), 10), ShapeError, "create: input_shape is (4, 4, 1), expected larger images for vgg ("),
        (("resnet9", (7, 8, 3), 10), ShapeError, "create: input_shape is (7, 8, 3), expected larger images for resnet9"),
    ],
)
def test_refused_arguments(arguments, error, message):
    with pytest.raises(error) as caught:
        models.create(*arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("builder", "width", "error", "message"),
    [
        (models.resnet9, 0, ShapeError, "resnet9: width is 0, expected at least 1"),
        (models.resnet18, 1.5, DTypeError, "resnet18: width is 1.5"),
        (models.vgg11, -1, ShapeError, "vgg11: width is -1"),
        (models.inception, 24, ShapeError, "inception: width is 24, expected a multiple of 16"),
        (models.inception, 8, ShapeError, "inception: width is 8, expected at least 16"),
        (models.mobilenet, True, DTypeError, "mobilenet: width is True"),
    ],
)
def test_refused_widths(builder, width, error, message):
    with pytest.raises(error) as caught:
        builder((32, 32, 3), 10, width=width)
    assert message in str(caught.value)
