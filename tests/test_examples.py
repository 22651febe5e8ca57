"""The examples, each on a small slice of the real data, or of noise in its format, or of the bundled digits."""

import json
import os
import re
import runpy
import signal
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

import fastcnn
from fastcnn import data
from fastcnn.training.history import KEYS

REPOSITORY = Path(__file__).parent.parent
DATA = Path(os.environ.get("FASTCNN_DATA") or REPOSITORY.parent / "shared" / "data")
IMAGES = 192
SHAPES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}


def real(name):
    """The data set, or noise of its shape where it is missing."""
    try:
        return data.load(name, DATA, download=False)
    except FileNotFoundError:
        random = np.random.default_rng(0)
        splits = [data.Split(random.integers(0, 256, (IMAGES, *SHAPES[name]), np.uint8), np.arange(IMAGES) % 10,
                             [str(number) for number in range(10)]) for _ in range(2)]
        return data.Dataset(name, *splits)


def run(example, monkeypatch, *arguments):
    path = REPOSITORY / "examples" / example
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
    runpy.run_path(str(path), run_name="__main__")


def write_idx(path, array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.tobytes())


@pytest.fixture
def mnist(tmp_path):
    """Folder with the first images of MNIST."""
    dataset = real("mnist")
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for part, split in (("train", dataset.train), ("t10k", dataset.test)):
        write_idx(folder / f"{part}-images-idx3-ubyte", split.images[:IMAGES, ..., 0])
        write_idx(folder / f"{part}-labels-idx1-ubyte", split.labels[:IMAGES].astype("u1"))
    return folder.parent


@pytest.fixture
def cifar10(tmp_path):
    """Folder with the first images of CIFAR-10."""
    dataset = real("cifar10")
    folder = tmp_path / "data" / "cifar10"
    folder.mkdir(parents=True)
    for number, name in enumerate([f"data_batch_{batch}.bin" for batch in range(1, 6)] + ["test_batch.bin"]):
        split = dataset.test if name.startswith("test") else dataset.train
        chosen = slice(number * 32, number * 32 + 32)
        planes = split.images[chosen].transpose(0, 3, 1, 2)
        records = [bytes([label]) + plane.tobytes() for label, plane in zip(split.labels[chosen], planes, strict=True)]
        (folder / name).write_bytes(b"".join(records))
    return folder.parent


LONGEST = {"train_mnist.py": 60, "train_cifar10.py": 60, "pytorch_style.py": 120, "functional_style.py": 120,
           "from_paper.py": 120, "two_conv_mnist.py": 120}


def test_examples_are_short():
    assert {path.name for path in (REPOSITORY / "examples").glob("*.py")} == set(LONGEST)
    for example, lines in LONGEST.items():
        assert len((REPOSITORY / "examples" / example).read_text().splitlines()) < lines, example


def history(folder):
    """The records of a run, whose keys are those of the command line."""
    records = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert all(tuple(record) == KEYS for record in records)
    return records


def test_train_mnist(mnist, tmp_path, monkeypatch, capsys):
    model = tmp_path / "mnist.safetensors"
    run("train_mnist.py", monkeypatch, "--data-dir", mnist, "--epochs", 2, "--out", model)
    assert "test accuracy " in capsys.readouterr().out
    assert fastcnn.load(model).origin.name == "lenet5"


def test_train_cifar10(cifar10, tmp_path, monkeypatch, capsys):
    run("train_cifar10.py", monkeypatch, "--data-dir", cifar10, "--epochs", 1, "--out", tmp_path / "run")
    assert "test accuracy " in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"history.jsonl", "model.safetensors",
                                                                   "checkpoint-00000002.safetensors"}


@pytest.mark.parametrize("loss", ["cross-entropy", "mse", "bce"])
def test_pytorch_style(loss, tmp_path, monkeypatch, capsys):
    run("pytorch_style.py", monkeypatch, "--images", IMAGES, "--epochs", 2, "--loss", loss, "--out", tmp_path)
    out = capsys.readouterr().out
    errors = re.findall(r"\d\.\de-\d\d", out.splitlines()[0])
    assert len(errors) == 2 and all(float(error) < 1e-6 for error in errors)
    assert "a twin with the same weights gives the same scores: True" in out
    assert len(history(tmp_path)) == len(history(tmp_path / "fully-connected")) == 2
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_pytorch_style_on_cifar10(cifar10, monkeypatch, capsys):
    run("pytorch_style.py", monkeypatch, "--dataset", "cifar10", "--data-dir", cifar10, "--epochs", 1)
    assert "CNN: test accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(("example", "options"), [
    ("train_mnist.py", ["--out", "{out}/model"]), ("train_cifar10.py", ["--out", "{out}"]),
    ("from_paper.py", ["--dataset", "digits", "--batch-size", 32]), ("pytorch_style.py", []),
    ("two_conv_mnist.py", ["--dataset", "digits", "--images", 100]),
], ids=lambda value: value if isinstance(value, str) else "")
def test_an_interrupted_example_says_so_and_nothing_of_accuracy(example, options, tmp_path, monkeypatch, capsys):
    usual = fastcnn.fit
    few = {name: data.Dataset(name, real(name).train.subset(IMAGES), real(name).test.subset(16))
           for name in SHAPES if example == f"train_{name}.py"}

    def interrupted(model, train, callbacks=(), **given):
        class Interrupter(fastcnn.training.Callback):
            def on_batch_end(self, run):
                run.step == 1 and signal.raise_signal(signal.SIGINT)

        return usual(model, train, callbacks=[*callbacks, Interrupter()], **given)

    monkeypatch.setattr(fastcnn, "fit", interrupted)
    if few:
        monkeypatch.setattr(data, "load", lambda name, *rest: few[name])
    with pytest.raises(SystemExit) as ended:
        run(example, monkeypatch, *[str(option).format(out=tmp_path) for option in options])
    printed = capsys.readouterr()
    assert ended.value.code == 130 and "interrupted in epoch 1 of" in printed.err and "test accuracy" not in printed.out
    if example == "train_cifar10.py":
        assert "--resume goes on from there" in printed.err
        monkeypatch.setattr(fastcnn, "fit", usual)
        run(example, monkeypatch, "--out", tmp_path, "--resume", "--epochs", 1)
        assert "test accuracy" in capsys.readouterr().out and len(history(tmp_path)) == 1


def test_functional_style(tmp_path, monkeypatch):
    run("functional_style.py", monkeypatch, "--dataset", "digits", "--images", 640, "--epochs", 2, "--out", tmp_path)
    first, last = history(tmp_path)
    assert last["test_accuracy"] > 0.5 and last["train_loss"] < first["train_loss"]
    pictures = {f"{layer}{number}.png" for layer in ("conv", "aconv") for number in range(4)}
    assert {path.name for path in tmp_path.glob("*.png")} == {"predictions.png", *pictures}


def test_functional_style_on_images_whose_size_does_not_halve(mnist, tmp_path, monkeypatch):
    run("functional_style.py", monkeypatch, "--dataset", "mnist", "--data-dir", mnist, "--images", 70, "--epochs", 1)


def test_from_paper_reaches_both_steps(tmp_path, monkeypatch, capsys):
    run("from_paper.py", monkeypatch, "--dataset", "digits", "--epochs", 3, "--batch-size", 32, "--steps", 50, 100,
        "--lr", 0.02, "--out", tmp_path)
    rates = [record["learning_rate"] for record in history(tmp_path)]
    assert rates == pytest.approx([0.02, 0.002, 0.0002])
    out = capsys.readouterr().out
    assert "conv1" in out and "learning rate at the end of each epoch: 0.02, 0.002, 0.0002" in out
    assert (tmp_path / "curves.png").exists()


def test_two_conv_mnist(mnist, tmp_path, monkeypatch, capsys):
    run("two_conv_mnist.py", monkeypatch, "--data-dir", mnist, "--images", 100, "--epochs", 2, "--out", tmp_path)
    out = capsys.readouterr().out
    assert re.search(r"Epoch 2 Loss= \d\.\d{6} Run in: \d+\.\d\d seconds", out)
    assert len(re.findall(r"pred: \d \ttrue: \d", out)) == 10
    _, last = history(tmp_path)
    assert f"accuracy on all {IMAGES} test images: {last['test_accuracy']:.2%}" in out
    assert (tmp_path / "curves.png").exists()


@pytest.mark.parametrize("options", [["--model", "resnet20"], ["--dropout", 0.5]], ids=["resnet", "dropout"])
def test_two_conv_mnist_can_be_another_network(options, monkeypatch, capsys):
    run("two_conv_mnist.py", monkeypatch, "--dataset", "digits", "--images", 64, "--epochs", 1, *options)
    assert "Epoch 1 Loss=" in capsys.readouterr().out
