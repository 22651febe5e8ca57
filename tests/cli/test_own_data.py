"""The command line with data of one's own: folders, tables and .npz files wherever a DATASET stands."""

import gzip
import re
import warnings

import numpy as np
import pytest
from PIL import Image

import fastcnn
from fastcnn import data
from fastcnn.cli import main

COLOURS = {"blue": (20, 20, 230), "green": (20, 230, 20), "red": (230, 20, 20)}
FAST = ["--model", "strided_cnn", "--epochs", "2", "--batch-size", "16", "--lr", "0.01", "--schedule", "none"]


def photos(folder, count=20, names=tuple(COLOURS), seed=0):
    random = np.random.default_rng(seed)
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 20, (12, 16, 3)) + np.array(COLOURS[name])
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of photographs and a run that was trained on it."""
    folder = tmp_path_factory.mktemp("own")
    photos(folder / "photos")
    assert main(["train", f"{folder}/photos/", "--size", "8,8", "--seed", "3", "--out", f"{folder}/run", *FAST]) == 0
    return folder


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Digits as tables and .npz files, and a run that was trained on one."""
    folder = tmp_path_factory.mktemp("digits")
    split = data.load("digits").train.subset(300)
    rows = [",".join(map(str, [label, *image.reshape(-1)])) for image, label in split]
    head = ",".join(["label", *(f"pixel{number}" for number in range(64))])
    (folder / "train.csv").write_text("\n".join([head, *rows]))
    (folder / "train.csv.gz").write_bytes(gzip.compress((folder / "train.csv").read_bytes()))
    (folder / "test.csv").write_text("\n".join(line.partition(",")[2] for line in [head, *rows[:5]]))
    np.savez_compressed(folder / "digits.npz", x_train=split.images[:200], y_train=split.labels[:200],
                        x_test=split.images[200:], y_test=split.labels[200:])
    np.savez(folder / "images.npz", images=split.images[:5])
    assert main(["train", str(folder / "train.csv"), "--out", str(folder / "run"), *FAST]) == 0
    return folder


def said(capsys):
    printed = capsys.readouterr()
    return printed.out.splitlines(), [line for line in printed.err.splitlines() if line.startswith("fastcnn: ")]


def test_train_on_a_folder_keeps_the_classes(place):
    model = fastcnn.load(place / "run" / "model.safetensors")
    assert model.classes == ("blue", "green", "red") and model.origin.input_shape == (8, 8, 3)


def test_train_says_what_the_folder_has(place, capsys):
    assert main(["train", f"{place}/photos", "--size", "8,8,1", "--validation", "0.5", "--resize", "crop", *FAST]) == 0
    out, _ = said(capsys)
    assert re.fullmatch(r"data     .*photos: 30 training and 30 \w+ images of 8 x 8 x 1, 3 classes", out[0])


def test_a_run_on_a_folder_goes_on_elsewhere(place, tmp_path, monkeypatch, capsys):
    options = ["--size", "8,8", "--seed", "3", *FAST, "--epochs", "1"]
    assert main(["train", f"{place}/photos", "--out", str(tmp_path / "run"), *options]) == 0
    monkeypatch.chdir(place)
    assert main(["train", "photos", "--out", str(tmp_path / "run"), "--epochs", "2", "--resume"]) == 0
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (place / "run" / "model.safetensors").read_bytes()
    capsys.readouterr()
    assert main(["train", "photos", "--out", str(tmp_path / "run"), "--validation", "0.3", "--resume"]) == 2
    assert "--validation is '0.3', expected '0.2' as the run was begun" in capsys.readouterr().err


def test_evaluate_on_a_folder(place, tmp_path, capsys):
    model = str(place / "run" / "model.safetensors")
    assert main(["evaluate", model, f"{place}/photos"]) == 0
    assert re.search(r"accuracy .*, 60 images of .*photos$", said(capsys)[0][0])
    photos(tmp_path / "two", 4, ("green", "red"))
    (tmp_path / "two" / "blue").mkdir()
    assert main(["evaluate", model, str(tmp_path / "two")]) == 0
    out, warned = said(capsys)
    assert "8 images of" in out[0] and warned == [f"fastcnn: from_folder: {tmp_path / 'two'}: no images of blue"]
    (tmp_path / "two" / "blue").rmdir()
    (tmp_path / "two" / "red").rename(tmp_path / "two" / "purple")
    assert main(["evaluate", model, str(tmp_path / "two")]) == 1
    assert "has images of green, purple, expected classes among blue, green, red" in said(capsys)[1][0]


def test_plot_of_a_run_on_a_folder_shows_its_validation_images(place, tmp_path, monkeypatch):
    from fastcnn.cli import draw

    seen = []
    monkeypatch.setattr(draw.metrics, "confusion_matrix",
                        lambda probabilities, labels, *_, **__: seen.append(len(labels)) or np.eye(3, dtype=int))
    assert main(["plot", "confusion", f"{place}/run", "--out", str(tmp_path)]) == 0
    assert main(["plot", "confusion", f"{place}/run", "--dataset", f"{place}/photos", "--out", str(tmp_path)]) == 0
    assert seen == [12, 60]


def test_a_folder_that_is_divided_already(tmp_path, capsys):
    photos(tmp_path / "data" / "train", 8)
    photos(tmp_path / "data" / "val", 2)
    assert main(["train", str(tmp_path / "data"), "--size", "8,8", "--out", str(tmp_path / "run"), *FAST]) == 0
    assert re.search(r": 24 training and 6 ", said(capsys)[0][0])
    assert main(["evaluate", str(tmp_path / "run" / "model.safetensors"), str(tmp_path / "data")]) == 0
    assert ", 6 images of" in said(capsys)[0][0]


def test_validation_on_another_folder(place, tmp_path, capsys):
    photos(tmp_path / "other", 5, ("red", "blue"), seed=1)
    options = ["--size", "8,8", "--validation", str(tmp_path / "other")]
    assert main(["train", f"{place}/photos", *options, *FAST]) == 0
    assert re.search(r": 60 training and 10 ", said(capsys)[0][0])


@pytest.mark.parametrize("name, counts", [("train.csv", (300, 240)), ("train.csv.gz", (300, 240)),
                                          ("digits.npz", (100, 200))])
def test_tables_and_npz_files(name, counts, digits, capsys):
    assert main(["evaluate", str(digits / "run" / "model.safetensors"), str(digits / name)]) == 0
    assert f", {counts[0]} images of " in said(capsys)[0][0]
    assert main(["train", str(digits / name), *FAST]) == 0
    assert re.search(rf": {counts[1]} training and \d+ \w+ images of 8 x 8 x 1, 10 classes", said(capsys)[0][0])


def test_predict_without_labels(digits, capsys):
    model = str(digits / "run" / "model.safetensors")
    answers = []
    for name in ("test.csv", "images.npz", "train.csv"):
        assert main(["predict", model, str(digits / name), "--top", "1"]) == 0
        out, _ = said(capsys)
        assert out[0].startswith(f"{digits / name}[0]")
        answers.append([line.split()[1:] for line in out[:5]])
    assert answers[0] == answers[1] == answers[2]
    assert main(["predict", model, "--dataset", str(digits / "train.csv"), "--index", "0", "--top", "1"]) == 0
    assert said(capsys)[0][0].startswith(f"0  {answers[0][0][0]} {answers[0][0][1]}; truth ")


def test_predict_answers_for_the_good_files(place, tmp_path, capsys):
    model = str(place / "run" / "model.safetensors")
    good = [str(place / "photos" / "red" / f"{number}.png") for number in (0, 1)]
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(99))
    assert main(["predict", model, good[0], str(tmp_path / "broken.jpg"), str(tmp_path / "none.png"), good[1]]) == 1
    out, problems = said(capsys)
    assert [line.split()[0] for line in out] == good
    first, second = problems
    assert "broken.jpg cannot be read as an image" in first and "none.png: No such" in second


def test_predict_the_images_of_a_folder(place, tmp_path, capsys):
    model = str(place / "run" / "model.safetensors")
    photos(tmp_path / "new", 2, ("red",))
    (tmp_path / "new" / "notes.txt").write_text("nothing")
    (tmp_path / "empty").mkdir()
    assert main(["predict", model, str(tmp_path / "new"), "--resize", "pad"]) == 0
    out, warned = said(capsys)
    assert [line.split()[0] for line in out] == [str(tmp_path / "new" / "red" / f"{number}.png") for number in (0, 1)]
    assert warned == [f"fastcnn: predict: {tmp_path / 'new'}: left out files that end in .txt (1)"]
    assert main(["predict", model, str(tmp_path / "empty"), str(tmp_path / "new")]) == 1
    out, problems = said(capsys)
    assert len(out) == 2 and problems[0].endswith("empty has no image files")


def test_predict_holds_to_the_largest_image(place, capsys):
    image = str(place / "photos" / "red" / "0.png")
    assert main(["predict", str(place / "run" / "model.safetensors"), image, "--max-pixels", "100"]) == 1
    assert "it takes 192 pixels, expected at most 100" in said(capsys)[1][0]


def test_files_that_cannot_be_read_are_left_out_on_request(tmp_path, capsys):
    photos(tmp_path / "photos", 5)
    (tmp_path / "photos" / "red" / "0.png").write_bytes(b"")
    assert main(["train", str(tmp_path / "photos"), "--size", "8,8", *FAST]) == 1
    assert "red/0.png cannot be read as an image" in said(capsys)[1][0]
    assert main(["train", str(tmp_path / "photos"), "--size", "8,8", "--on-error", "skip", *FAST]) == 0
    assert "left out files that cannot be read (1)" in said(capsys)[1][0]


def test_the_name_of_a_data_set_wins_over_a_folder(place, tmp_path, monkeypatch, capsys):
    photos(tmp_path / "digits", 5)
    monkeypatch.chdir(tmp_path)
    assert main(["train", "digits", *FAST]) == 0
    assert "1,442 training" in said(capsys)[0][0]
    assert main(["train", "digits/", "--size", "8,8", *FAST]) == 0
    assert ": 12 training and 3 " in said(capsys)[0][0]


@pytest.mark.parametrize("arguments, code, message", [
    (["train", "digits", "--size", "8,8"], 2, "--size is for data of your own, not for digits"),
    (["train", "photos", "--validation", "2"], 2, "--validation is 2, expected a share above 0 and below 1"),
    (["train", "photos", "--validation", "nowhere"], 2, "--validation is 'nowhere', expected a share such as 0.2"),
    (["train", "notes.txt"], 2, "notes.txt, expected a folder of images, a table (.csv, .csv.gz) or an .npz file"),
    (["train", "digts"], 2, "or an .npz file; did you mean 'digits'?"),
    (["train", "photos", "--size", "8"], 2, "--size: '8', expected height and width such as 64,64"),
])
def test_wrong_command_lines_about_own_data(arguments, code, message, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    (place / "notes.txt").write_text("nothing")
    assert main(arguments) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["test.csv", "images.npz"])
def test_predict_of_images_without_labels_by_number(digits, name, capsys):
    capsys.readouterr()
    assert main(["predict", f"{digits}/run/model.safetensors", "--dataset", f"{digits}/{name}", "--index", "0", "4"]) == 0
    out, _ = said(capsys)
    assert [line.split()[0] for line in out] == ["0", "4"] and "truth" not in "".join(out)
    assert main(["predict", f"{digits}/run/model.safetensors", "--dataset", f"{digits}/{name}", "--index", "5"]) == 2


def test_advice_is_worded_for_the_command_line(digits, tmp_path, capsys):
    capsys.readouterr()
    assert main(["evaluate", f"{digits}/run/model.safetensors", f"{digits}/test.csv"]) == 1
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"broken")
    assert main(["train", str(tmp_path), *FAST]) == 1
    _, (of_table, of_folder) = said(capsys)
    assert of_table.endswith("; a table without labels is for predict alone") and "label=None" not in of_table
    assert of_folder.endswith("; --on-error skip leaves them out") and "on_error=" not in of_folder


def test_a_warning_is_a_line_without_a_place_in_the_source(place, capsys, monkeypatch):
    def evaluate(*arguments, **options):
        warnings.warn("what is\nto know", stacklevel=1)
        return {"loss": 0.0, "accuracy": 1.0}

    monkeypatch.setattr("fastcnn.training.evaluate", evaluate)
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["evaluate", f"{place}/run/model.safetensors", f"{place}/photos"]) == 0
    assert capsys.readouterr().err == "fastcnn: what is to know\n"
