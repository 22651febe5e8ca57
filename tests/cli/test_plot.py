"""Pictures and profiles."""

import gzip
import re

import pytest

import fastcnn
from fastcnn import data, extras, models
from fastcnn.cli import main, recipes
from tests.cli.setting import lines, only_line


def test_every_picture(finished, tmp_path, capsys):
    assert main(["plot", "all", str(finished), "--out", str(tmp_path / "pictures")]) == 0
    expected = [f"{name}.{'svg' if name == 'architecture' else 'png'}" for name in recipes.PICTURES]
    assert lines(capsys.readouterr().out) == [str(tmp_path / "pictures" / name) for name in expected]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == sorted(expected)


def test_pictures_of_a_layer_and_of_chosen_images(finished, tmp_path, capsys):
    options = ["--layer", "3", "--format", "svg", "--dataset", "digits", "--index", "5", "7", "--out", str(tmp_path)]
    assert main(["plot", "filters", "features", "gradcam", str(finished), *options]) == 0
    assert "layer 3: Conv2D(12, 24, 3" in re.sub(r"<!-- (.*?) -->", r"\1", (tmp_path / "features.svg").read_text())


def test_plot_without_a_data_set(finished, tmp_path, capsys):
    (tmp_path / "model.safetensors").write_bytes((finished / "model.safetensors").read_bytes())
    (tmp_path / "history.jsonl").write_text("[1,")
    assert main(["plot", "confusion", str(tmp_path)]) == 2
    said = lines(capsys.readouterr().err)[-1]
    assert said == f"fastcnn plot: error: {tmp_path} does not tell its data set, expected --dataset"
    assert main(["plot", "curves", str(tmp_path)]) == 1
    assert "history.jsonl is damaged" in only_line(capsys)
    for line in ("[1]", "{}", '{"epoch": 1}', "3"):
        (tmp_path / "history.jsonl").write_text(f"{line}\n")
        assert main(["plot", "curves", str(tmp_path)]) == 1
        assert "history.jsonl is damaged: line 1 is no epoch, expected an object with epoch, " in only_line(capsys)
    assert main(["plot", "filters", str(tmp_path)]) == 0


def test_plot_without_matplotlib(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(extras.EXTRAS, "plot", extras.EXTRAS["plot"]._replace(module="absent"))
    assert main(["plot", "filters", str(finished), "--out", str(tmp_path)]) == 1
    assert only_line(capsys) == "fastcnn: drawing of pictures needs matplotlib: pip install 'fastcnn[plot]'"
    assert main(["plot", "architecture", str(finished), "--out", str(tmp_path)]) == 0


def test_profile(finished, capsys):
    assert main(["profile", str(finished / "model.safetensors"), "--batch-size", "8", "--repeats", "2"]) == 0
    out = lines(capsys.readouterr().out)
    assert out[0].split()[:3] == ["name", "layer", "output"] and out[2].split()[1].startswith("Conv2D(1,")
    assert re.search(r"whole step of 8 images, neighbours fused: [\d.]+ ms, [\d,]+ images/s, \d+% of .* GFLOP/s", out[-1])


def test_report_of_each_class(finished, capsys):
    assert main(["evaluate", str(finished / "model.safetensors"), "digits", "--report"]) == 0
    out = lines(capsys.readouterr().out)
    assert [line.split()[0] for line in out[1:13]] == ["class", *"0123456789", "mean"]
    assert out[-1].startswith("the true class is among the five likeliest: ")


def test_missing_data_without_a_network(tmp_path, monkeypatch, capsys):
    def refuse(file, folder):
        raise data.DownloadError(f"{file.name}: no mirror gave the file (offline)")

    monkeypatch.setattr(data, "fetch", refuse)
    assert main(["train", "mnist", "--data-dir", str(tmp_path)]) == 1
    assert "no mirror gave the file" in only_line(capsys)


def test_truncated_data(tmp_path, capsys):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (folder / f"{name}.gz").write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x05\1\2\3\4\5")[:-6])
    assert main(["train", "mnist", "--data-dir", str(tmp_path)]) == 1
    assert "train-labels-idx1-ubyte.gz" in only_line(capsys)


def test_a_model_for_other_images(finished, tmp_path, capsys):
    fastcnn.save(models.create("two_conv", (28, 28, 1), 10), tmp_path / "other.safetensors")
    assert main(["evaluate", str(tmp_path / "other.safetensors"), "digits"]) == 1
    assert "digits has images of shape (8, 8, 1), the model takes (28, 28, 1)" in only_line(capsys)
    fastcnn.save(models.create("two_conv", (8, 8, 1), 3), tmp_path / "three.safetensors")
    assert main(["evaluate", str(tmp_path / "three.safetensors"), "digits"]) == 1
    assert "digits has 10 classes, the model tells 3 apart" in only_line(capsys)


def test_missing_extra_says_what_to_install(finished, monkeypatch, capsys):
    monkeypatch.setitem(extras.EXTRAS, "image", extras.EXTRAS["image"]._replace(module="absent"))
    assert main(["predict", str(finished / "model.safetensors"), "image.png"]) == 1
    assert only_line(capsys) == "fastcnn: reading of image files needs pillow: pip install 'fastcnn[image]'"


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("FASTCNN_DEBUG", "1")
    with pytest.raises(ValueError, match="imagenet"):
        main(["train", "imagenet"])


def test_a_bug_is_not_hidden(monkeypatch):
    monkeypatch.setattr(models, "names", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["summary", "lenet5"])
