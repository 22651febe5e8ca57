"""What notebooks show of models, data sets and results: HTML that is well formed and escaped."""

import copy
from xml.etree import ElementTree

import numpy as np
import pytest

from fastcnn import data, extras, metrics, models, nn
from fastcnn.data import Dataset, Split
from fastcnn.tables import Table
from fastcnn.training import History

DIGITS = data.load("digits")
EVIL = "<script>alert('&')</script>"


def parsed(shown):
    """The HTML of an object, as XML: what is not escaped or not closed does not parse."""
    return ElementTree.fromstring(f"<p>{shown._repr_html_()}</p>")


def letters(shown):
    return " ".join("".join(element.itertext()) for element in parsed(shown).iter("td"))


class Named(nn.Module):
    def __init__(self):
        self.scale = nn.Parameter(np.ones(3, np.float32))
        self.inner = nn.Linear(3, 2)

    def __repr__(self):
        return EVIL


def record(epoch, **changes):
    return {"epoch": epoch, "train_loss": 0.5, "train_accuracy": 0.75, "test_loss": None, "test_accuracy": None,
            "learning_rate": 0.1, "seconds": 1.25, "images_per_second": 12345.6, **changes}


def test_a_model_shows_its_layers_and_parameters():
    words = letters(models.create("lenet5", (28, 28, 1), 10))
    assert "Conv2D(1, 6, 5, padding='same')" in words and "48,120" in words
    assert "".join(parsed(models.create("lenet5", (28, 28, 1), 10)).find("table/tfoot").itertext()) == "total61,706"
    assert EVIL in letters(Named())  # as words, not as an element
    assert [element.tag for element in parsed(Named()).iter() if element.tag == "script"] == []


def test_a_model_that_waits_for_its_input_is_shown():
    assert "not known yet" in letters(nn.Sequential(nn.Conv2D(None, 3, 3), nn.ReLU()))


def test_summary_and_profile_are_tables_in_notebooks_and_at_the_prompt():
    model = models.create("strided_cnn", (8, 8, 1), 10)
    for shown in (model.summary((8, 8, 1), batch_size=4), model.profile(np.ones((4, 8, 8, 1), np.float32), repeats=1)):
        assert "Conv2D(1, 12, 3, stride=2, padding=1" in letters(shown)
        assert repr(shown) == str(shown) and repr(shown).startswith("name ")


def test_data_sets_show_an_image_of_each_class():
    split = parsed(DIGITS.train)
    images = list(split.iter("img"))
    assert len(images) == 10 and all(image.attrib["src"].startswith("data:image/png;base64,") for image in images)
    assert "1,442 images of 8 x 8 x 1, uint8; 10 classes" in "".join(split.itertext())
    assert len(list(parsed(DIGITS).iter("img"))) == 20 and repr(DIGITS).startswith("Dataset('digits', train=Split((1442,")


@pytest.mark.parametrize("images", [
    np.zeros((3, 4, 5, 2), np.uint8), np.full((3, 4, 5, 3), np.nan, np.float32), np.full((3, 4, 5, 1), np.inf),
    np.random.default_rng(0).standard_normal((3, 4, 5, 3))], ids=["two channels", "NaN", "infinite", "floats"])
def test_data_sets_of_odd_images_are_shown(images):
    split = Split(images, [0, 2, 2], [EVIL, "empty", "b"])
    assert EVIL in letters(split) and len(list(parsed(split).iter("img"))) == (0 if images.shape[3] == 2 else 2)
    assert EVIL in "".join(parsed(Dataset(EVIL, split, split)).itertext())


def test_data_sets_are_shown_without_pillow(monkeypatch):
    monkeypatch.setattr(extras, "is_installed", lambda name: False)
    assert not list(parsed(DIGITS.train).iter("img"))


def test_data_sets_of_many_classes_show_the_first():
    split = Split(np.zeros((30, 2, 2, 1), np.uint8), np.arange(30))
    assert letters(split).endswith("and 20 more classes")


def test_a_report_is_a_string_and_a_table():
    report = metrics.report([0, 1, 1], [0, 1, 0], [EVIL, "b"])
    assert isinstance(report, str) and report.splitlines()[0].split() == ["class", "precision", "recall", "F1", "images"]
    assert repr(report) == report and EVIL in letters(report)
    assert copy.deepcopy(report) == report and copy.deepcopy(report).records == report.records
    assert list(report.records[0].values()) == [EVIL, 1.0, 0.5, pytest.approx(2 / 3), 2]
    assert report.records[-1]["class"] == "mean" and report.records[-1]["images"] == 3


def test_a_history_is_a_list_and_a_table():
    history = History([record(1), record(2, train_loss=12345.678)])
    assert history == [record(1), record(2, train_loss=12345.678)] and copy.deepcopy(history) == history
    assert str(history).splitlines()[0].split() == ["epoch", "loss", "accuracy", "seconds", "images/s"]
    assert "1.23e+04" in letters(history)
    validated = History([record(1, test_loss=0.25, test_accuracy=1.0), record(2)])
    assert "validation loss" in str(validated) and "0.2500 100.00%" in letters(validated)
    assert str(History()).split()[0] == "epoch"


def panels(history):
    """What the curves of a history show: words, and the points of each line."""
    space = "{http://www.w3.org/2000/svg}"
    for panel in parsed(history).iter(f"{space}g"):
        lines = [[tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
                 for line in panel.iter(f"{space}polyline")]
        yield [text.text for text in panel.iter(f"{space}text")], lines


def test_a_history_shows_its_curves():
    history = History([record(epoch, train_loss=3.0 - epoch, test_loss=2.5 - epoch, test_accuracy=0.25)
                       for epoch in (1, 2, 3)])
    (words, (train, test)), (_, (_, level)) = panels(history)
    assert words == ["loss", "2", "epoch 1", "-0.5", "3", "training", "validation"]
    assert [x for x, _ in train] == [x for x, _ in test] and train[0][0] < train[1][0] < train[2][0]
    assert train[0][1] < train[1][1] < train[2][1]
    assert train[1][1] - train[0][1] == pytest.approx(train[2][1] - train[1][1], abs=0.2)
    assert test[0][1] > train[0][1] and len({y for _, y in level}) == 1


def test_curves_leave_out_what_has_no_place():
    (words, (train,)), (_, (accuracy,)) = panels(History([record(1), record(2, train_loss=float("nan"))]))
    assert len(train) == 1 and len(accuracy) == 2 and words == ["loss", "0.5", "epoch 1", "training"]
    assert [len(lines) for _, lines in panels(History([record(1, train_loss=float("inf"))]))] == [1]
    assert not list(panels(History()))


def test_a_table_that_is_too_wide_has_its_words_in_lines_of_their_own():
    table = Table(("name", "words", "count"), [("a", "some long words of a layer", "1"), ("b", "few", "22")],
                  foot=("total", "", "23"), notes=["a note that goes over the edge"], right=(2,), wordy=(1,))
    assert table.text(40) == str(table)
    assert table.text(20).splitlines() == [
        "name   count", "    words", "-" * 19, "a          1", "    some long words", "    of a layer", "b         22",
        "    few", "-" * 19, "total     23", "a note that goes", "over the edge"]
