"""Saved models at work: evaluate, predict, summary."""

import json
import re

import pytest

import fastcnn
from fastcnn import data, models
from fastcnn.cli import main, recipes
from fastcnn.nn.inspect import memory, summary
from tests.cli.setting import lines, only_line


def test_evaluate(finished, capsys):
    assert main(["evaluate", str(finished / "model.safetensors"), "digits"]) == 0
    last = json.loads((finished / "history.jsonl").read_text().splitlines()[-1])
    expected = f"test accuracy {last['test_accuracy']:.2%}, loss {last['test_loss']:.4f}, 355 images of digits\n"
    assert capsys.readouterr().out == expected


def test_predict_image_files(finished, tmp_path, capsys):
    from PIL import Image

    digits = data.load("digits").test
    grey = Image.fromarray(digits.images[0, ..., 0])
    grey.save(tmp_path / "grey.png")
    Image.fromarray(255 - digits.images[0, ..., 0]).save(tmp_path / "dark.png")
    grey.resize((40, 40), Image.Resampling.NEAREST).convert("RGB").save(tmp_path / "large.jpg", quality=95)
    model = str(finished / "model.safetensors")
    assert main(["predict", model, str(tmp_path / "grey.png"), str(tmp_path / "large.jpg"), "--top", "2"]) == 0
    first, second = lines(capsys.readouterr().out)
    assert main(["predict", model, str(tmp_path / "dark.png"), "--invert", "--top", "2"]) == 0
    assert lines(capsys.readouterr().out)[0].split()[1:] == first.split()[1:]
    probability = fastcnn.predict(fastcnn.load(model), digits.images[:1])[0]
    best = probability.argmax()
    assert re.fullmatch(rf".*grey\.png +{best} {probability[best]:.1%}, \d [\d.]+%", first)
    assert re.search(rf"large\.jpg +{best} ", second)


def test_predict_test_images(finished, capsys):
    model = str(finished / "model.safetensors")
    assert main(["predict", model, "--dataset", "digits", "--index", "3", "17", "--top", "1"]) == 0
    labels = data.load("digits").test.labels
    out = lines(capsys.readouterr().out)
    assert [line.split()[0] for line in out] == ["3", "17"]
    assert all(line.endswith(f"; truth {labels[index]}") for line, index in zip(out, (3, 17), strict=True))


def test_export(finished, tmp_path, capsys):
    model, path = str(finished / "model.safetensors"), tmp_path / "digits.onnx"
    assert main(["export", model, str(path), "--normalise"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{path}: {path.stat().st_size:,} bytes; takes uint8 images (batch, C, H, W), which it ")
    images = data.load("digits").test.images[:5]
    expected = fastcnn.predict(fastcnn.load(model), images)
    assert abs(fastcnn.predict(fastcnn.import_onnx(path), images) - expected).max() < 1e-5
    assert main(["export", model, str(tmp_path / "digits.bin")]) == 2
    assert capsys.readouterr().err.endswith("expected a name that ends in .onnx\n")


@pytest.mark.parametrize("name", recipes.MODELS)
def test_summary_of_every_model(name, capsys):
    assert main(["summary", name]) == 0
    assert "multiply-adds" in capsys.readouterr().out


def test_models_are_listed_with_their_parameters(capsys):
    assert main(["models"]) == 0
    head, *rows = lines(capsys.readouterr().out)
    assert head.split()[:2] == ["name", "parameters"]
    assert [row.split()[0] for row in rows] == list(models.names())
    for row in rows:
        name, parameters, shape, text = re.fullmatch(r"(\w+) +([\d,]+)  ([\dx ]*\d)  +(.+)", row).groups()
        model = models.create(name, tuple(map(int, shape.split(" x "))), 10)
        assert parameters == f"{model.num_parameters():,}" and text == models.describe(name)


def test_summary_of_a_file_and_of_another_shape(finished, capsys):
    assert main(["summary", str(finished / "model.safetensors")]) == 0
    assert "4 x 4 x 12" in capsys.readouterr().out
    assert main(["summary", "lenet5", "--input-shape", "32,32,3", "--classes", "7"]) == 0
    assert "Linear(84, 7)" in capsys.readouterr().out


def test_summary_tells_the_memory_of_training(monkeypatch, capsys):
    monkeypatch.setattr(summary, "free_memory", lambda: 1 << 30)
    said = []
    for options in ([], ["--batch-size", "64"], ["--optimizer", "sgd"]):
        assert main(["summary", "lenet5", *options]) == 0
        said.append(capsys.readouterr().out.splitlines()[-3:])
    usual, smaller, sgd = said
    assert "training on batches of 128 takes" in usual[0] and "optimizer 482.1 KiB" in usual[1]
    assert "training on batches of 64 takes" in smaller[0]
    assert "optimizer 241.0 KiB" in sgd[1]
    assert usual[2] == "batches of up to 16,384 fit into the 1.0 GiB that are free here"


def test_train_tells_its_memory_and_refuses_what_does_not_fit(monkeypatch, capsys):
    monkeypatch.setattr(memory, "free_memory", lambda: 20 << 20)
    one = ["--threads", "1"]  # each thread has working memory of its own
    assert main(["train", "digits", "--epochs", "1", *one]) == 0
    assert re.search(r"^memory   \d\.\d MiB for a step, 20\.0 MiB free$", capsys.readouterr().out, re.MULTILINE)
    assert main(["train", "digits", "--batch-size", "1000", *one]) == 1
    said = only_line(capsys)
    assert re.search(r"size 1000 takes \d+\.\d MiB for a step, 20\.0 MiB free; expected --batch-size 256 or less", said)
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    assert main(["train", "digits", *one]) == 1
    fastcnn.set_num_threads(fastcnn.kernels.jit.threads.available())
    assert only_line(capsys).endswith("expected a smaller --batch-size or --model")


def test_train_refuses_a_batch_that_the_system_does_not_promise(monkeypatch, capsys):
    def refuse(*_):
        raise MemoryError

    monkeypatch.setattr(memory, "forecast", refuse)
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    assert main(["train", "digits"]) == 1
    expected = "fastcnn: batch size 64 takes more than there is for a step; expected a smaller --batch-size or --model"
    assert only_line(capsys) == expected
