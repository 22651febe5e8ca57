"""What a training begins with."""

import csv
import sys

import pytest

import fastcnn
from fastcnn.training import (
    Checkpoint,
    CSVLogger,
)
from fastcnn.training.history import KEYS
from tests.training.setting import DIGITS, network, train


def test_importing_the_package_imports_no_compiler():
    import subprocess

    code = "import sys, fastcnn; print([name for name in ('numba', 'numpy', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_there():
    for name in (
        "fit",
        "evaluate",
        "predict",
        "save",
        "load",
        "set_num_threads",
        "get_num_threads",
        "manual_seed",
        "gradient_check",
        "History",
        "nn",
        "optim",
        "models",
        "data",
        "functional",
        "kernels",
    ):
        assert getattr(fastcnn, name) is not None and name in dir(fastcnn)
    with pytest.raises(AttributeError, match="'fastfit'"):
        _ = fastcnn.fastfit


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    history = train(network(), validation=DIGITS.test, epochs=2, callbacks=[CSVLogger(path), Checkpoint(tmp_path)])
    history = train(network(), epochs=4, callbacks=[CSVLogger(path)], resume=tmp_path)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [tuple(row) for row in rows] == [KEYS] * 4
    assert [float(row["train_loss"]) for row in rows] == [record["train_loss"] for record in history]
    assert rows[1]["test_loss"] and rows[3]["test_loss"] == ""
