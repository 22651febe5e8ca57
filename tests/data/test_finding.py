"""Finding files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from fastcnn import data
from fastcnn.shapes import DataFormatError
from tests.data.setting import (
    BATCH,
    BATCHES100,
    IDX_CONTENT,
    IDX_NAMES,
    idx,
    packed,
    put,
    small_idx,
    tar,
)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_load_idx(tmp_path: Path, name: str) -> None:
    put(tmp_path / name, IDX_CONTENT)
    loaded = data.load(name, root=str(tmp_path), download=False)
    assert loaded.train.images.shape == (20, 28, 28, 1) and loaded.test.images.shape == (10, 28, 28, 1)
    assert loaded.classes[9] == ("9" if name == "mnist" else "Ankle boot")


def test_load_idx_not_gzipped_and_from_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {name.removesuffix(".gz"): gzip.decompress(content) for name, content in IDX_CONTENT.items()}
    put(tmp_path / "mnist", plain)
    monkeypatch.setenv("FASTCNN_DATA", str(tmp_path))
    assert len(data.load("mnist", download=False).train) == 20
    assert len(data.load("mnist", root=tmp_path, download=False).test) == 10


def test_user_cache_folder_is_the_last_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FASTCNN_DATA", "FASTCNN_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path))
    put(tmp_path / "data" / "mnist", IDX_CONTENT)
    assert len(data.load("mnist", download=False).train) == 20


BATCHES = {f"data_batch_{n}.bin": BATCH for n in range(1, 6)} | {"test_batch.bin": BATCH[:3073]}


@pytest.mark.parametrize("place", ["cifar10", "cifar-10", "cifar10/cifar-10-batches-bin"])
def test_load_cifar10(tmp_path: Path, place: str) -> None:
    put(tmp_path / place, BATCHES)
    loaded = data.load("cifar10", root=tmp_path, download=False)
    assert loaded.train.images.shape == (15, 32, 32, 3) and len(loaded.test) == 1
    assert loaded.classes[:2] == ("airplane", "automobile")


@pytest.mark.parametrize("place", ["cifar100", "cifar-100/cifar-100-binary"])
def test_load_cifar100(tmp_path: Path, place: str) -> None:
    put(tmp_path / place, BATCHES100)
    loaded = data.load("cifar100", root=tmp_path, download=False)
    assert loaded.train.labels.tolist() == [99, 0, 50]
    assert (loaded.classes[0], loaded.classes[99]) == ("apple", "worm")


@pytest.mark.parametrize(
    ("name", "archive", "folder", "files"),
    [
        ("cifar10", "cifar-10-binary.tar.gz", "cifar-10-batches-bin", BATCHES),
        ("cifar100", "cifar-100-binary.tar.gz", "cifar-100-binary", BATCHES100),
    ],
)
def test_load_cifar_archive(
    tmp_path: Path, name: str, archive: str, folder: str, files: dict[str, bytes]
) -> None:
    members = {f"{folder}/{file}": content for file, content in files.items()}
    put(tmp_path / name, {archive: packed(tar(members))})
    loaded = data.load(name, root=tmp_path, download=False)
    assert len(loaded.train) == 3 * (len(files) - 1) and len(loaded.test) == 1


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100"])
def test_missing_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"{name}: no .*gz.* in .*{name}.*download=True") as caught:
        data.load(name, root=tmp_path, download=False)
    assert str(tmp_path) in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_missing_files_are_named(tmp_path: Path) -> None:
    put(tmp_path / "mnist", {name: IDX_CONTENT[name] for name in IDX_NAMES[:3]})
    with pytest.raises(FileNotFoundError, match=r"mnist: no t10k-labels-idx1-ubyte.gz in "):
        data.load("mnist", root=tmp_path, download=False)


def test_load_refuses_what_does_not_fit(tmp_path: Path) -> None:
    folder = put(tmp_path / "mnist", IDX_CONTENT | {IDX_NAMES[1]: small_idx(19, 1)[1]})
    with pytest.raises(DataFormatError, match="20 images; expected 19, as the label file says"):
        data.load("mnist", root=tmp_path, download=False)
    put(folder, IDX_CONTENT | {IDX_NAMES[0]: packed(idx(np.zeros((20, 8, 8))))})
    with pytest.raises(DataFormatError, match="images of 8x8 pixels; expected 28x28"):
        data.load("mnist", root=tmp_path, download=False)
    (folder / IDX_NAMES[0]).unlink()
    (folder / IDX_NAMES[0]).mkdir()
    with pytest.raises(DataFormatError, match="a folder; expected a file"):
        data.load("mnist", root=tmp_path)
