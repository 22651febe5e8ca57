"""Curves."""

import pytest

from fastcnn import extras, plot


def test_curves(tmp_path):
    history = [{"epoch": epoch, "train_loss": 1 / epoch, "train_accuracy": 1 - 1 / epoch, "test_loss": None,
                "test_accuracy": None} for epoch in (1, 2, 3)]
    plot.curves(history, tmp_path / "curves.png")
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
    with pytest.raises(ValueError, match="history is empty"):
        plot.curves([], tmp_path / "none.png")


def test_curves_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, "plot", extras.EXTRAS["plot"]._replace(module="absent"))
    with pytest.raises(extras.MissingExtraError, match=r"pip install 'fastcnn\[plot\]'"):
        plot.curves([{}], tmp_path / "curves.png")
