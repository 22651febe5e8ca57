"""`fastcnn predict` on folders, as a CSV table: order, quotes, files that cannot be read, and what stays behind."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

import fastcnn
from fastcnn import data
from fastcnn.cli import main, use
from tests.cli.setting import lines, records

DIGITS = data.load("digits").test
NAMES = ["10.png", "2.jpg", "a, b.png", "sub/0.png", "\"q\".PNG"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of images, one of them in a sub-folder, beside a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "sub").mkdir()
    for number, name in enumerate(NAMES):
        image = Image.fromarray(DIGITS.images[number, ..., 0])
        image.save(folder / name, **({"quality": 100} if name.endswith("jpg") else {}))
    (folder / "5.png").write_bytes(b"no image")
    return folder


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def expected(model, folder):
    """Class and probability of each image, by its path."""
    pixels = [np.asarray(Image.open(folder / name))[None, ..., None] for name in sorted(NAMES)]
    rows = fastcnn.predict(fastcnn.load(model), np.concatenate(pixels))
    return [(str(folder / name), str(row.argmax()), float(row.max())) for name, row in zip(sorted(NAMES), rows, strict=True)]


@pytest.mark.parametrize("at_once", [1, 2, 256])
def test_a_folder_as_a_table(at_once, finished, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(use, "_AT_ONCE", at_once)
    model = str(finished / "model.safetensors")
    capsys.readouterr()
    assert main(["predict", model, str(photos), "--csv"]) == 1
    printed = capsys.readouterr()
    said = [line for line in lines(printed.err) if not line.startswith("compil")]
    assert len(said) == 1 and "5.png cannot be read as an image" in said[0]
    assert printed.out.splitlines()[0] == "file,class,probability"
    found = [(row["file"], row["class"], float(row["probability"])) for row in table(printed.out)]
    assert found == [(name, label, pytest.approx(share, rel=1e-5)) for name, label, share in expected(model, photos)]
    out = tmp_path / "new" / "answers.csv"
    assert main(["predict", model, str(photos), "--out", str(out)]) == 1
    assert out.read_text() == printed.out and capsys.readouterr().out == f"{out}: 5 images\n"


def test_several_classes_and_numbers_of_test_images(finished, capsys):
    model = str(finished / "model.safetensors")
    assert main(["predict", model, "--dataset", "digits", "--index", "3", "17", "--csv", "--top", "2"]) == 0
    rows = table(capsys.readouterr().out)
    probabilities = fastcnn.predict(fastcnn.load(model), DIGITS.images[[3, 17]])
    assert [row["file"] for row in rows] == ["3", "3", "17", "17"]
    for row, share in zip(rows, np.sort(probabilities)[:, :-3:-1].reshape(-1), strict=True):
        assert float(row["probability"]) == pytest.approx(share, rel=1e-6)


def test_the_file_as_json_says(finished, photos, tmp_path, capsys):
    out = tmp_path / "answers.csv"
    found, _ = records(capsys, ["predict", str(finished / "model.safetensors"), str(photos), "--out", str(out)], code=1)
    assert found[-1] == {"path": str(out), "images": 5, "problems": 1} and found[0]["image"] == str(photos / "5.png")


def test_no_table_is_left_behind_by_a_problem(finished, photos, tmp_path, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise MemoryError("none left")

    monkeypatch.setattr("fastcnn.training.predict", fail)
    assert main(["predict", str(finished / "model.safetensors"), str(photos), "--out", str(tmp_path / "a.csv")]) == 1
    assert not list(tmp_path.iterdir()) and "none left" in capsys.readouterr().err


def test_an_answer_that_is_none_has_empty_cells(finished, photos, monkeypatch, capsys):
    monkeypatch.setattr("fastcnn.training.predict", lambda model, images: np.full((len(images), 10), np.nan))
    assert main(["predict", str(finished / "model.safetensors"), str(photos / "10.png"), "--csv"]) == 0
    assert table(capsys.readouterr().out) == [{"file": str(photos / "10.png"), "class": "", "probability": ""}]


@pytest.mark.parametrize("options, message", [
    (["--csv", "--json"], "--csv prints a table on stdout, expected no --json beside it"),
    (["--csv", "--out", "a.csv"], "--csv prints a table on stdout, expected no --out beside it"),
    (["--out", "{folder}"], "is a folder, expected a file such as predictions.csv"),
])
def test_what_does_not_go_together(options, message, finished, photos, capsys):
    options = [option.replace("{folder}", str(photos)) for option in options]
    assert main(["predict", str(finished / "model.safetensors"), str(photos), *options]) == 2
    assert message in capsys.readouterr().err


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_shown_where_it_is_not_in_the_way(finished, photos, tmp_path, monkeypatch):
    model, terminal = str(finished / "model.safetensors"), _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    for options, shows in ((["--csv"], True), (["--csv", "--quiet"], False), (["--out", str(tmp_path / "a.csv")], True)):
        terminal.truncate(0)
        assert main(["predict", model, str(photos), *options]) == 1
        assert ("/6 [" in terminal.getvalue()) == shows
    terminal.truncate(0)
    assert main(["evaluate", model, "digits", "--batch-size", "100"]) == 0
    assert "/355 [" in terminal.getvalue()
    monkeypatch.setattr("sys.stdout", _Terminal())
    terminal.truncate(0)
    assert main(["predict", model, str(photos)]) == 1 and "/6 [" not in terminal.getvalue()
