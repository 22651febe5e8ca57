"""Pictures and what they show: filters, maps, answers, attention, architecture."""

import gc
import inspect
import re
import weakref
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from PIL import Image

import fastcnn
from fastcnn import data, explain, extras, metrics, models, nn, plot
from fastcnn.plot import figure

DIGITS = data.load("digits")
FEW = DIGITS.test.images[:6]


@pytest.fixture(scope="module")
def model():
    """A small network, trained a little."""
    fastcnn.manual_seed(0)
    made = models.create("smallcnn", (8, 8, 1), 10)
    fastcnn.fit(made, DIGITS.train, epochs=1, progress=False)
    made.classes = DIGITS.classes
    return made


def looked_at(path):
    """The picture as an array, neither empty nor all of one colour."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert pixels.shape[0] > 60 and pixels.shape[1] > 60 and pixels.std() > 5
    assert (pixels[[0, -1]] > 250).all() and (pixels[:, [0, -1]] > 250).all(), "something is cut off"
    return pixels


def same_state(model, before):
    return all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("layer, channels", [(None, 1), ("2", 32)], ids=["first", "deeper"])
def test_filters(layer, channels, model, tmp_path):
    plot.filters(model, tmp_path / "filters.png", layer=layer)
    looked_at(tmp_path / "filters.png")


def test_filters_in_colour_and_few(tmp_path):
    plot.filters(models.create("lenet5", (32, 32, 3), 10), tmp_path / "filters.png", most=3)
    pixels = looked_at(tmp_path / "filters.png").astype(int)
    assert (np.abs(pixels - pixels.mean(axis=2, keepdims=True)).max() > 20), "no colours"


@pytest.mark.parametrize("layer", [None, "4"], ids=["first", "pooled"])
def test_feature_maps(layer, model, tmp_path):
    before = model.state_dict()
    plot.feature_maps(model, FEW[0], tmp_path / "maps.png", layer=layer)
    looked_at(tmp_path / "maps.png")
    assert same_state(model, before)


def test_scaled_images_have_numbers_from_0_to_1_only():
    values = np.array([2.0, 4.0, 3.0, np.nan, np.inf, -np.inf], np.float32)
    assert figure.scaled(values).tolist() == [0, 1, 0.5, 1, 1, 0]
    assert figure.scaled(np.full(3, np.nan)).tolist() == [1, 1, 1] and figure.scaled(np.full(2, 7.0)).tolist() == [0, 0]


def test_channels_of_a_network_that_broke_are_drawn(tmp_path):
    plot.channels(np.full((3, 3, 2), np.nan), tmp_path / "maps.png")
    assert (tmp_path / "maps.png").stat().st_size > 0


def test_a_mosaic_shows_each_image_in_its_place():
    images = [np.full((2, 3, 3), shade / 10) for shade in range(7)]
    picture = figure.mosaic(images, "seven", side=0.5)
    whole = picture.axes[0].images[0].get_array()
    rows, columns = figure._rows_and_columns(len(images))
    height, width = whole.shape[0] // rows, whole.shape[1] // columns
    for index in range(7):
        row, column = divmod(index, columns)
        assert (whole[row * height + 1, column * width + 1] == index / 10).all()
    assert len(picture.axes[0].lines) == 7


def test_channels(tmp_path):
    plot.channels(np.random.default_rng(0).standard_normal((5, 7, 100)), tmp_path / "maps.png", title="a title", most=9)
    looked_at(tmp_path / "maps.png")


@pytest.mark.parametrize("labels", [None, DIGITS.test.labels[:6]], ids=["alone", "with truth"])
def test_predictions(labels, model, tmp_path):
    probabilities = fastcnn.predict(model, FEW)
    plot.predictions(FEW, probabilities, tmp_path / "answers.png", labels=labels, classes=DIGITS.classes)
    looked_at(tmp_path / "answers.png")


def letters_of(path):
    """The words in an SVG file, which matplotlib notes beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"))


def test_long_names_are_shown_where_there_is_room_and_dollars_are_dollars(model, tmp_path):
    names = ["a class number 10", "triangle with a long and longer name", "aquarium_fish", "$5", "x$y$", *"56789"]
    chosen = np.arange(6) % 5
    plot.predictions(FEW, np.eye(10)[chosen], tmp_path / "answers.svg", labels=chosen[::-1], classes=names)
    words = letters_of(tmp_path / "answers.svg")
    assert {"a class number 10 100%", "aquarium_fish 100%", "$5 100%", "x$y$ 100%"} <= set(words)
    assert "truth: x$y$" in words
    assert any(re.fullmatch(r"triangle with .*….* name 100%", word) for word in words)
    plot.saliency(model, FEW, tmp_path / "saliency.svg", classes=["$a$ and some more"] * 10)
    assert sum(word.startswith("$a$ and some more ") for word in letters_of(tmp_path / "saliency.svg")) == 6
    plot.confusion_matrix(np.eye(10, dtype=int), tmp_path / "matrix.svg", classes=names)
    assert letters_of(tmp_path / "matrix.svg").count("triangle with a long and longer name") == 2


@pytest.mark.parametrize("most, labels", [(1, None), (2, [1, 0]), (35, None)])
@pytest.mark.parametrize("length", [1, 13, 25, 80])
def test_no_words_are_cut_off_or_written_over_others(most, labels, length, tmp_path):
    names = [f"{number}{letter * (length - 1)}" for number, letter in enumerate("ml")]
    images = np.resize(DIGITS.test.images, (min(most, 20), 8, 8, 1))
    answers = np.eye(2)[np.arange(len(images)) % 2]
    made = plot.predictions(images, answers, labels=labels, classes=names, most=most)
    made.draw_without_rendering()
    titles = [place.title.get_window_extent() for place in made.axes if place.get_title()]
    assert all(box.x0 >= 0 and box.x1 <= made.bbox.width for box in titles)
    assert not any(one.overlaps(other) for index, one in enumerate(titles) for other in titles[:index])


# Orders of arguments


RUNGS = [{"rung": name, "threads": count, "rate": rate, "share_of_peak": rate / 4e11, "times_as_fast_as_above": gain}
         for name, count, rate, gain in (("numpy reference", None, 2e10, None), ("textbook loops", 1, 1e10, 0.5),
                                         ("register tile", 8, 3e11, 30.0), ("Winograd", 8, 9e11, 3.0))]
DRAWN = {
    "curves": lambda model: ([{"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5, "test_loss": None,
                               "test_accuracy": None}],),
    "ladder": lambda model: (RUNGS,), "filters": lambda model: (model,), "feature_maps": lambda model: (model, FEW[0]),
    "channels": lambda model: (np.eye(4)[..., None],), "predictions": lambda model: (FEW, np.eye(10)[:6]),
    "confusion_matrix": lambda model: (np.eye(3, dtype=int),), "saliency": lambda model: (model, FEW),
    "grad_cam": lambda model: (model, FEW), "architecture": lambda model: (model,)}


@pytest.mark.parametrize("name", DRAWN)
def test_without_a_path_the_picture_is_returned_and_pyplot_does_not_know_of_it(name, model, tmp_path):
    made = getattr(plot, name)(*DRAWN[name](model))
    if name == "architecture":
        assert ElementTree.fromstring(made._repr_svg_()).tag.endswith("svg")
    else:
        assert isinstance(made, Figure) and made._repr_png_().startswith(b"\x89PNG")
    path = tmp_path / "picture.svg"
    assert getattr(plot, name)(*DRAWN[name](model), path) is None and path.stat().st_size > 500
    assert [found.name for found in tmp_path.iterdir()] == ["picture.svg"]
    assert not pyplot.get_fignums()


def test_figures_are_let_go(model):
    made = plot.filters(model)
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("name", DRAWN)
def test_every_picture_takes_data_then_a_path_then_options_by_name(name, model):
    draw, data_first = getattr(plot, name), DRAWN[name](model)
    kinds = [(parameter.name, parameter.kind) for parameter in inspect.signature(draw).parameters.values()]
    assert [kind for _, kind in kinds[:len(data_first) + 1]] == [inspect.Parameter.POSITIONAL_OR_KEYWORD] * (
        len(data_first) + 1) and kinds[len(data_first)][0] == "path"
    assert all(kind is inspect.Parameter.KEYWORD_ONLY for _, kind in kinds[len(data_first) + 1:])
    expected = rf"expected {name}\(.*path=None"
    for wrong in (("a.svg", *data_first), (*data_first, "a.svg", (8, 8, 1)), (*data_first[1:],), (*data_first, FEW)):
        with pytest.raises(fastcnn.DTypeError, match=expected) as caught:
            draw(*wrong)
        assert str(caught.value).startswith(f"{name}: ") and len(str(caught.value)) < 400
    with pytest.raises(fastcnn.DTypeError, match=expected):
        draw(*data_first, colour="red")


def test_names_that_do_not_fit(model, tmp_path):
    with pytest.raises(fastcnn.ShapeError, match="saliency: classes has 2 names, expected 10"):
        plot.saliency(model, FEW, tmp_path / "saliency.png", classes=["a", "b"])
    with pytest.raises(fastcnn.ShapeError, match="grad_cam: classes has 2 names, expected 10"):
        plot.grad_cam(model, FEW, tmp_path / "cam.png", classes=["a", "b"], elementwise=True)
    with pytest.raises(fastcnn.ShapeError, match=r"feature_maps: image has shape \(6, 8, 8, 1\), expected \(H, W, C\)"):
        plot.feature_maps(model, FEW, tmp_path / "maps.png")
    with pytest.raises(fastcnn.DTypeError, match="feature_maps: images are int64"):
        plot.feature_maps(model, FEW[0].astype(int), tmp_path / "maps.png")
    few = models.create("two_conv", (8, 8, 1), 10)
    few.layers[-1].bias.data = np.arange(10) * 100.0
    few.classes = ("0", "1")  # of images of the first two of its ten classes
    plot.saliency(few, FEW, tmp_path / "saliency.svg")
    assert "9 100%" in letters_of(tmp_path / "saliency.svg")


@pytest.mark.parametrize("classes", [10, 30, 100])
def test_confusion_matrix(classes, tmp_path):
    labels = np.arange(classes * 20) % classes
    given = np.where(np.arange(len(labels)) % 7, labels, labels[::-1])
    matrix = metrics.confusion_matrix(given, labels)
    plot.confusion_matrix(matrix, tmp_path / "matrix.png", classes=[f"class number {n}" for n in range(classes)])
    looked_at(tmp_path / "matrix.png")


def test_saliency_and_grad_cam(model, tmp_path):
    before = model.state_dict()
    plot.saliency(model, FEW, tmp_path / "saliency.png")
    plot.grad_cam(model, FEW, tmp_path / "cam.png", layer="3", target=3)
    plot.grad_cam(model, FEW, tmp_path / "hirescam.png", elementwise=True)
    for name in ("saliency", "cam", "hirescam"):
        looked_at(tmp_path / f"{name}.png")
    plot.grad_cam(model, FEW[:1], tmp_path / "cam.svg", elementwise=True)
    assert "Grad-CAM, pixel by pixel (HiResCAM)" in letters_of(tmp_path / "cam.svg")
    assert same_state(model, before) and model.training is not None


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_formats(ending, tmp_path):
    path = tmp_path / f"maps.{ending}"
    plot.channels(np.eye(4)[..., None], path)
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_an_unknown_format_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="docx"):
        plot.channels(np.eye(4)[..., None], tmp_path / "maps.docx")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib(model, tmp_path, monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, "plot", extras.EXTRAS["plot"]._replace(module="absent"))
    for draw in (lambda path: plot.filters(model, path), lambda path: plot.saliency(model, FEW, path),
                 lambda path: plot.confusion_matrix(np.eye(3, dtype=int), path)):
        with pytest.raises(extras.MissingExtraError, match=r"pip install 'fastcnn\[plot\]'"):
            draw(tmp_path / "picture.png")
    plot.architecture(model, tmp_path / "architecture.svg")


# What they show


def test_ladder(tmp_path):
    for rungs, name in ((RUNGS, "ladder"), (RUNGS[1:2], "one rung")):
        plot.ladder(rungs, tmp_path / f"{name}.png", title="a convolution", subtitle="a machine")
        looked_at(tmp_path / f"{name}.png")
    plot.ladder(RUNGS, tmp_path / "ladder.svg", title="a convolution", subtitle="a machine")
    words = "\n".join(letters_of(tmp_path / "ladder.svg"))
    for expected in ("a convolution", "loops, 1 thread", "Winograd, 8 threads", "(30.00x the rung above)", "peak: 400"):
        assert expected in words
    with pytest.raises(ValueError, match="ladder: rungs is empty, expected at least one"):
        plot.ladder([])


def test_activations_are_those_of_the_layers(model):
    given = explain.activations(model, FEW)
    assert list(given) == [str(number) for number in range(len(model))]
    scores = given[str(len(model) - 1)]
    assert np.array_equal(scores.argmax(axis=1), fastcnn.predict(model, FEW).argmax(axis=1))
    assert np.array_equal(given["1"], np.maximum(given["0"], 0))


def test_saliency_is_the_gradient_of_the_score():
    fastcnn.manual_seed(1)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    images = np.random.default_rng(0).standard_normal((2, 2, 2, 3)).astype(np.float32)
    weight = linear[1].weight.data.reshape(2, 2, 3, 3)
    assert explain.saliency(linear, images, 2) == pytest.approx(np.abs(weight[..., 2]).max(axis=2)[None].repeat(2, axis=0))
    assert explain.saliency(linear, images, [0, 1])[1] == pytest.approx(np.abs(weight[..., 1]).max(axis=2))


def test_grad_cam_of_a_network_that_averages_is_its_class_activation_map():
    fastcnn.manual_seed(2)
    network = nn.Sequential(nn.Conv2D(1, 4, 3, padding=1), nn.ReLU(), nn.GlobalAvgPool2D(), nn.Linear(4, 3))
    images = np.random.default_rng(0).standard_normal((3, 6, 5, 1)).astype(np.float32)
    maps = explain.activations(network, images)["1"]
    expected = np.maximum(maps @ network[3].weight.data[:, 1], 0)
    expected /= np.maximum(expected.max(axis=(1, 2), keepdims=True), 1e-30)
    assert explain.grad_cam(network, images, 1) == pytest.approx(expected, abs=1e-5)
    assert explain.grad_cam(network, images, 1, elementwise=True) == pytest.approx(expected, abs=1e-5)


def test_maps_grow_to_the_size_of_the_image():
    maps = np.array([[[0.0, 1.0]]])
    assert explain._resized(maps, 2, 4)[0].tolist() == [[0, 0.25, 0.75, 1]] * 2
    assert explain._resized(np.ones((1, 1, 1)), 3, 2).tolist() == np.ones((1, 3, 2)).tolist()


# Architecture


@pytest.mark.parametrize("name", models.names())
def test_architecture(name, tmp_path):
    network = models.create(name, (32, 32, 3), 10)
    plot.architecture(network, tmp_path / "drawing.svg")
    tree = ElementTree.parse(tmp_path / "drawing.svg")
    words = [element.text for element in tree.iter() if element.tag.endswith("text")]
    counted = sum(int(number.replace(",", "")) for text in words for number in re.findall(r"([\d,]+) parameters", text))
    assert counted == network.num_parameters()
    drawing = plot.architecture_text(network)
    assert drawing.count("+-> sum") == drawing.count("+--.") == sum(
        isinstance(module, nn.Residual) for _, module in network.named_modules())
    assert drawing.splitlines()[0].split() == ["input", "32", "x", "32", "x", "3"]


def test_architecture_of_branches(tmp_path):
    network = nn.Sequential(
        nn.Concat(nn.Conv2D(1, 4, 1), nn.Sequential(nn.MaxPool2D(3, 1, 1), nn.Conv2D(1, 2, 1)), nn.ReLU()),
        nn.Concat(nn.Conv2D(7, 2, 1)), nn.Residual(nn.Conv2D(2, 2, 1)))
    drawing = plot.architecture_text(network, (8, 8, 1))
    assert [line.split("  ")[0] for line in drawing.splitlines()] == [
        "input", "+-- branch 0", "| Conv2D(1, 4, 1)", "+-- branch 1", "| MaxPool2D(3, stride=1, padding=1)",
        "| Conv2D(1, 2, 1)", "+-- branch 2", "| ReLU()", "+-> concat", "+-- branch 0", "| Conv2D(7, 2, 1)", "+-> concat",
        "+--.", "| Conv2D(2, 2, 1)", "+-> sum"]
    plot.architecture(network, tmp_path / "drawing.svg", input_shape=(8, 8, 1))
    paths = [element.attrib["d"] for element in ElementTree.parse(tmp_path / "drawing.svg").iter()
             if element.tag.endswith("path")]
    assert sum(path.count("H") == 2 and path.endswith("H50") for path in paths) == 2  # into branches 1 and 2
    assert sum(path.startswith("M50") and path.count("H") == 2 for path in paths) == 2  # out of branches 0 and 1


def test_architecture_of_blocks_in_blocks(tmp_path):
    def block(channels):
        return nn.Residual(nn.Sequential(nn.Conv2D(channels, channels, 1), nn.GroupNorm(2, channels), nn.PReLU()))

    inner = nn.Concat(nn.Conv2D(4, 2, 1), nn.Sequential(nn.Conv2D(4, 4, 1), block(4)))
    network = nn.Sequential(nn.Concat(nn.Conv2D(4, 4, 1), nn.Sequential(nn.Conv2D(4, 4, 1), block(4), nn.Mish()), inner),
                            nn.Residual(nn.Concat(nn.Conv2D(14, 7, 1), nn.Conv2D(14, 7, 1)), nn.Conv2D(14, 14, 1)))
    assert plot.architecture_text(network, (8, 8, 4)).splitlines() == [
        "input                           8 x 8 x 4",
        "+-- branch 0",
        "| Conv2D(4, 4, 1)               8 x 8 x 4   20 parameters",
        "+-- branch 1",
        "| Conv2D(4, 4, 1)               8 x 8 x 4   20 parameters",
        "| Residual of 3 layers + Mish   8 x 8 x 4   29 parameters",
        "+-- branch 2",
        "| Concat of 5 layers            8 x 8 x 6   59 parameters",
        "+-> concat",
        "+--.",
        "| around: Conv2D(14, 14, 1)     8 x 8 x 14   210 parameters",
        "| Concat of 2 layers            8 x 8 x 14   210 parameters",
        "+-> sum"]
    assert plot.architecture_text(block(4), (8, 8, 4)).splitlines()[1:] == [
        "+--.", "| Conv2D(4, 4, 1) + GroupNorm + PReLU   8 x 8 x 4   29 parameters", "+-> sum"]
    plot.architecture(network, tmp_path / "drawing.svg", input_shape=(8, 8, 4))
    assert (tmp_path / "drawing.svg").read_text().count("<circle") == 1


def test_architecture_of_a_network_of_your_own():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3), nn.Softmax())
    assert [line.split("  ")[0] for line in plot.architecture_text(network, (2, 2, 3)).splitlines()] == [
        "input", "Flatten()", "Linear(12, 3) + Softmax"]
