"""The examples, each on a small slice of the real data."""

import os
import runpy
import struct
import sys
from pathlib import Path

import pytest

import fastcnn
from fastcnn import data

REPOSITORY = Path(__file__).parent.parent
DATA = Path(os.environ.get("FASTCNN_DATA") or REPOSITORY.parent / "shared" / "data")
IMAGES = 192


def real(name):
    try:
        return data.load(name, DATA, download=False)
    except FileNotFoundError as error:
        pytest.skip(f"needs the real data: {error}")


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


@pytest.mark.parametrize("example", ["train_mnist.py", "train_cifar10.py"])
def test_examples_are_short(example):
    assert len((REPOSITORY / "examples" / example).read_text().splitlines()) < 60


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
