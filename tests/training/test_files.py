"""Files that training writes: checkpoints, models, logs."""

import json
import os

import numpy as np
import pytest
import safetensors.numpy

import fastcnn
from fastcnn import models
from fastcnn.shapes import CheckpointError, DTypeError
from fastcnn.training import checkpoint as checkpoint_of
from fastcnn.training.files import write_tensors
from tests.training.setting import DIGITS, network, same, train


def test_save_and_load_make_the_same_model(tmp_path):
    model = models.create("strided_cnn", (8, 8, 1), 10)
    train(model, DIGITS.train.subset(100))
    path = tmp_path / "deep" / "model.safetensors"
    fastcnn.save(model, path)
    other = fastcnn.load(path)
    assert same(model, other) and other.origin == model.origin and other.classes == model.classes
    images = DIGITS.test.images[:20]
    assert np.array_equal(fastcnn.predict(other, images), fastcnn.predict(model, images))
    assert [entry.name for entry in path.parent.iterdir()] == ["model.safetensors"]
    assert "0.weight" in safetensors.numpy.load_file(path)


def test_save_and_load_in_float64(tmp_path):
    model = models.create("two_conv", (8, 8, 1), 3).to(np.float64)
    fastcnn.save(model, tmp_path / "m")
    assert same(fastcnn.load(tmp_path / "m"), model)


def test_a_model_of_ones_own_is_filled(tmp_path):
    path = tmp_path / "own.safetensors"
    model = network()
    train(model)
    fastcnn.save(model, path)
    with pytest.raises(CheckpointError, match=r"load\(path, model=model\)"):
        fastcnn.load(path)
    other = network()
    assert fastcnn.load(path, model=other) is other and same(model, other)
    assert np.array_equal(other.normalisation.std, model.normalisation.std)
    wrong = network(norm=False)
    before = wrong.state_dict()
    with pytest.raises(CheckpointError, match=r"1\.gamma"):
        fastcnn.load(path, model=wrong)
    assert all(np.array_equal(before[name], now) for name, now in wrong.state_dict().items())


def write(path, model, change=None, tensors=None):
    """Save the model with another description or other arrays, and with the digest that fits them."""
    fastcnn.save(model, path)
    arrays = safetensors.numpy.load_file(path) | (tensors or {})

    with safetensors.safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()["fastcnn"])
    description.pop("sha256")
    write_tensors("test", path, arrays, description | (change or {}))


DAMAGES = {
    "empty": (lambda path: path.write_bytes(b""), "damaged or no safetensors file"),
    "text": (lambda path: path.write_text("hello, I am no model"), "damaged or no safetensors file"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-8]), "damaged or no safetensors file"),
    "half a header": (lambda path: path.write_bytes(path.read_bytes()[:60]), "damaged or no safetensors file"),
    "flipped bit": (
        lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
        "its arrays are not those that were written",
    ),
    "longer": (lambda path: path.write_bytes(path.read_bytes() + b"x"), "damaged or no safetensors file"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "path is the folder"),
    "missing": (lambda path: path.unlink(), "there is no file"),
    "foreign": (
        lambda path: safetensors.numpy.save_file({"w": np.ones(2)}, path, metadata={"format": "pt"}),
        "was not written by fastcnn (its metadata has ['format'])",
    ),
    "no metadata": (lambda path: safetensors.numpy.save_file({"w": np.ones(2)}, path), "was not written by fastcnn"),
    "no JSON": (
        lambda path: safetensors.numpy.save_file({"w": np.ones(2)}, path, metadata={"fastcnn": "{"}),
        "its metadata is no JSON",
    ),
    "a list": (
        lambda path: safetensors.numpy.save_file({"w": np.ones(2)}, path, metadata={"fastcnn": "[]"}),
        "format version None",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files_are_refused(tmp_path, name):
    damage, message = DAMAGES[name]
    path = tmp_path / "model.safetensors"
    fastcnn.save(models.create("two_conv", (8, 8, 1), 3), path)
    damage(path)
    with pytest.raises(CheckpointError) as caught:
        fastcnn.load(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


ORIGIN = {"name": "two_conv", "input_shape": [8, 8, 1], "num_classes": 3}
UNFIT = {
    "version": ({"version": 2}, None, "format version 2, expected 1"),
    "kind": ({"kind": "recipe"}, None, "no valid kind"),
    "unknown model": ({"origin": ORIGIN | {"name": "../../etc"}}, None, "no valid origin"),
    "huge input": ({"origin": ORIGIN | {"input_shape": [10**6, 10**6, 1]}}, None, "no valid origin"),
    "huge classes": ({"origin": ORIGIN | {"num_classes": 10**9}}, None, "no valid origin"),
    "input of text": ({"origin": ORIGIN | {"input_shape": "big"}}, None, "no valid origin"),
    "too small an input": ({"origin": ORIGIN | {"input_shape": [1, 1, 1]}}, None, "cannot be made"),
    "other classes": ({"origin": ORIGIN | {"num_classes": 4}}, None, "7.weight has shape (128, 3), expected (128, 4)"),
    "class names": ({"classes": [1, 2]}, None, "no valid classes"),
    "normalisation": ({"normalisation": [[0.5], [0.0]]}, None, "no valid normalisation"),
    "normalisation of NaN": ({"normalisation": [[float("nan")], [1.0]]}, None, "no valid normalisation"),
    "normalisation of nothing": ({"normalisation": [[], []]}, None, "no valid normalisation"),
    "normalisation of one part": ({"normalisation": [[0.5]]}, None, "no valid normalisation"),
    "normalisation of three parts": ({"normalisation": [[0.5], [1.0], [1.0]]}, None, "no valid normalisation"),
    "normalisation of two lengths": ({"normalisation": [[0.5, 0.5], [1.0]]}, None, "no valid normalisation"),
    "normalisation of integers": ({"normalisation": [[0], [1]]}, None, "no valid normalisation"),
    "normalisation of text": ({"normalisation": "ab"}, None, "no valid normalisation"),
    "input of two sizes": ({"origin": ORIGIN | {"input_shape": [8, 8]}}, None, "no valid origin"),
    "input of no rows": ({"origin": ORIGIN | {"input_shape": [0, 8, 1]}}, None, "no valid origin"),
    "no classes": ({"origin": ORIGIN | {"num_classes": 0}}, None, "no valid origin"),
    "origin of text": ({"origin": "two_conv"}, None, "no valid origin"),
    "origin of two": ({"origin": {"name": "two_conv", "input_shape": [8, 8, 1]}}, None, "no valid origin"),
    "one NaN": ({}, {"0.bias": np.append(np.zeros(15, np.float32), np.float32(np.nan))}, "not finite, the first in 0.bias"),
    "NaN": ({}, {"0.bias": np.full(16, np.nan, np.float32)}, "not finite, the first in 0.bias"),
    "integers": ({}, {"0.bias": np.zeros(16, np.int32)}, "0.bias is int32, expected float32"),
    "another shape": ({}, {"0.bias": np.zeros(15, np.float32)}, "0.bias has shape (15,), expected (16,)"),
    "one too many": ({}, {"extra": np.zeros(1, np.float32)}, "extra is unknown"),
}


def test_the_largest_model_that_a_file_may_ask_for():
    assert checkpoint_of._is_origin(ORIGIN | {"num_classes": checkpoint_of._MOST_CLASSES})
    assert checkpoint_of._is_origin(ORIGIN | {"input_shape": [checkpoint_of._LARGEST_INPUT, 1, 1], "num_classes": 1})
    assert checkpoint_of._is_origin(None) is checkpoint_of._is_normalisation(None) is True
    assert not checkpoint_of._is_origin(ORIGIN | {"num_classes": checkpoint_of._MOST_CLASSES + 1})
    assert not checkpoint_of._is_origin(ORIGIN | {"input_shape": [checkpoint_of._LARGEST_INPUT + 1, 1, 1]})
    assert not checkpoint_of._is_origin(ORIGIN | {"num_classes": True})


def test_other_files_and_folders_are_no_checkpoints(tmp_path):
    for name in ("checkpoint-00000002.safetensors", "checkpoint-00000010.safetensors", "notes.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "checkpoint-00000030.safetensors").mkdir()
    assert list(checkpoint_of.checkpoints(tmp_path)) == [10, 2]


@pytest.mark.parametrize("name", UNFIT)
def test_unfit_contents_are_refused(tmp_path, name):
    change, tensors, message = UNFIT[name]
    path = tmp_path / "model.safetensors"
    write(path, models.create("two_conv", (8, 8, 1), 3), change, tensors)
    with pytest.raises(CheckpointError) as caught:
        fastcnn.load(path)
    assert message in str(caught.value)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    model = models.create("two_conv", (8, 8, 1), 3)
    fastcnn.save(model, path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fastcnn.save(models.create("two_conv", (8, 8, 1), 4), path)
    assert path.read_bytes() == before and [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_save_refuses_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match="path is the folder"):
        fastcnn.save(network(), tmp_path)
    with pytest.raises(DTypeError, match="model is 'lenet5'"):
        fastcnn.save("lenet5", tmp_path / "m")
