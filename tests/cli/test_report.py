"""`fastcnn report`: one page with everything in it, and nothing that runs or is loaded from elsewhere."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import fastcnn
from fastcnn import data, doctor, extras, models
from fastcnn.cli import main
from fastcnn.pages import report
from tests.cli.setting import lines, only_line

DIGITS = data.load("digits")
EVIL = '<img src="//evil.example/x" onerror=alert(1)>&$\\alpha$'


class Page(HTMLParser):
    """Elements of a page with their attributes, and its text."""

    VOID = frozenset({"meta", "link", "img", "br", "input", "col"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text += "" if "style" in self.open else text

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def written(finished):
    assert main(["report", str(finished), "--quiet"]) == 0
    return (finished / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(written):
    return Page(written)


def test_everything_is_in_the_page(written, page):
    assert {image["src"].partition(",")[0] for image in page.all("img")} == {"data:image/png;base64",
                                                                           "data:image/svg+xml;base64"}
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r'src="data:[^"]*"', "", written))
    assert [link["href"] for link in page.all("link")] == ["data:,"] and not page.all("a")
    assert not page.all("script")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "default-src 'none'" in page.all("meta")[1]["content"]


def test_pictures_are_whole(page):
    image = pytest.importorskip("PIL.Image")
    for source in (element["src"] for element in page.all("img")):
        content = base64.b64decode(source.partition(",")[2], validate=True)
        if source.startswith("data:image/png"):
            image.open(io.BytesIO(content)).load()
        else:
            assert b"<svg" in content and b"<script" not in content and content.rstrip().endswith(b"</svg>")


def test_it_has_all_sections_and_words_for_those_who_cannot_see(page):
    assert [section["id"] for section in page.all("section")] == [
        "overview", "curves", "classes", "hardest-mistakes", "filters", "feature-maps", "layers", "configuration", "machine"]
    assert all(len(image["alt"]) > 20 for image in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table")) == 5
    assert all(head["scope"] in ("col", "row") for head in page.all("th"))
    assert page.all("html") == [{"lang": "en"}]


def test_its_numbers_are_those_of_the_model(finished, page):
    model = fastcnn.load(finished / "model.safetensors")
    probabilities = fastcnn.predict(model, DIGITS.test.images)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != DIGITS.test.labels)
    assert f"{fastcnn.evaluate(model, DIGITS.test)['accuracy']:.2%}" in page.text
    assert f"{len(wrong)} of 355 test images are wrong" in page.text
    hardest = min(wrong, key=lambda index: probabilities[index, DIGITS.test.labels[index]])
    first = page.text.partition("Hardest mistakes, by test image")[2].split("probability")[2]
    assert re.match(rf"\s*{hardest}{DIGITS.test.labels[hardest]}\d+\.\d+%{probabilities[hardest].argmax()}", first)
    for row in model.summary((8, 8, 1)).rows:
        assert row.layer in page.text
    for word in ("strided_cnn on digits", "batch size64", "lr0.001", "optimizeradam", doctor.cpu_name(), "normalisation"):
        assert word in page.text


def trained(**changes):
    model = models.create("strided_cnn", (8, 8, 1), 3)
    test = data.Split(DIGITS.test.images[:6], [0, 1, 2, 0, 1, 2], [EVIL, "b", "c"])
    fields = {"model": model, "history": [], "test": test, "probabilities": np.eye(3)[[1, 0, 2, 0, 1, 1]],
              "settings": {"dataset": f"/home/somebody/{EVIL.replace('/', '')}", "model": EVIL}, "batch_size": 2,
              "optimizer_arrays": 2}
    return report.Trained(**{**fields, **changes})


def test_names_of_others_are_text():
    run = trained()
    for section in (report._classes, report._mistakes, report._configuration):
        page = Page(section(run))
        assert EVIL.replace("/", "") in page.text.replace("/", "")
        assert all(image["src"].startswith("data:image/") for image in page.all("img"))
        assert not [name for _, attributes in page.elements for name in attributes if name == "onerror"]
    assert "somebody" not in report._configuration(run) and "somebody" not in report.title(run)


def test_the_hardest_mistakes_come_first():
    likely = np.array([[.4, .6, 0], [.9, .1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [.2, .5, .3]])
    run = trained(probabilities=likely)
    assert run.mistakes.tolist() == [1, 5, 0]
    assert run.matrix.tolist() == [[1, 1, 0], [1, 1, 0], [0, 1, 1]]


def test_answers_that_are_not_finite_are_told_and_count_as_wrong():
    likely = np.eye(3)[[0, 1, 2, 0, 1, 2]]
    likely[1:3] = np.nan
    run = trained(probabilities=likely)
    page = Page(report._overview(run))
    assert "66.67%" in page.text and "outputs for 2 test images are not finite" in page.text
    assert not len(run.mistakes) and run.matrix.sum() == 4
    run = trained(probabilities=np.full((6, 3), np.nan))
    assert report._classes(run) == report._mistakes(run) == "" and "0.00%" in report._overview(run)


def test_images_that_nobody_can_see(monkeypatch):
    model = models.create("strided_cnn", (8, 8, 2), 3)
    test = data.Split(np.zeros((6, 8, 8, 2), np.uint8), [0, 1, 2, 0, 1, 2], ["a", "b", "c"])
    model.normalisation = [.5, .5], [.5, .5]
    run = trained(model=model, test=test)
    assert not Page(report._mistakes(run)).all("img") and "Test image" not in Page(report._feature_maps(run)).text


def test_one_line_where_it_cannot_be_written(finished, tmp_path, monkeypatch, capsys):
    assert main(["report", str(finished), "--out", str(tmp_path / "none" / "page.html"), "--quiet"]) == 1
    assert f"page.html is in no folder that exists; make {tmp_path / 'none'} first" in only_line(capsys)
    assert not list(tmp_path.iterdir())
    assert main(["report", str(tmp_path / "none")]) == 1
    assert "none is no folder, expected one that train wrote" in only_line(capsys)
    monkeypatch.setitem(extras.EXTRAS, "plot", extras.EXTRAS["plot"]._replace(module="absent"))
    assert main(["report", str(finished)]) == 1
    assert only_line(capsys) == "fastcnn: drawing of pictures needs matplotlib: pip install 'fastcnn[plot]'"


def test_a_run_that_does_not_tell_its_data_set(finished, tmp_path, capsys):
    for name in ("model.safetensors", "history.jsonl"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    assert main(["report", str(tmp_path)]) == 2
    assert lines(capsys.readouterr().err)[-1].endswith(f"{tmp_path} does not tell its data set, expected --dataset")
