"""What Sphinx makes pages of, without Sphinx: operations with formulas and figures, the notebook, Kaggle's digits."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from fastcnn import data, functional, registry
from tests.test_docs import CONNECTED, PAGES, REPOSITORY, run

OPERATIONS = {name: text for name, text in PAGES.items() if name.startswith("docs/operations/")}
FAMILIES = {"activation": "activations", "arithmetic": "sums", "batch": "batches", "conv": "convolution", "loss": "losses",
            "norm": "normalisation", "optim": "optimizers", "pool": "pooling", "resample": "resampling"}


def test_from_the_tables_of_kaggle_to_a_submission(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"```python\n(.*?)```", PAGES[CONNECTED], re.DOTALL):
        fewer = block.replace("images, digits.train.labels", "images[:600], digits.train.labels[:600]")  # to save time
        run(fewer.replace("epochs=8,", "epochs=5,"))
    digits = data.load("digits").test
    assert Path("train.csv").read_text().startswith("label,pixel0,pixel1,")
    said = capsys.readouterr().out
    assert float(re.search(r"validation: ([\d.]+)%", said)[1]) > 70 and "precision" in said
    first, *lines = Path("submission.csv").read_text().splitlines()
    numbers, answers = np.array([line.split(",") for line in lines], int).T
    assert first == "ImageId,Label" and (numbers == np.arange(1, len(digits) + 1)).all()
    assert np.mean(answers == digits.labels) > 0.7


def test_every_operation_is_on_the_page_of_its_family():
    for row in registry.ROWS:
        family = row.fast.__module__.removeprefix("fastcnn.functional.").partition(".")[0]
        page = "transposed-convolution" if row.operation.startswith("conv_transpose") else FAMILIES.get(family, family)
        if family != "loops":
            name = row.operation.removesuffix("_backward")
            assert f"`{name}" in OPERATIONS[f"docs/operations/{page}.md"], name


@pytest.mark.parametrize("name", OPERATIONS)
def test_figures_of_speed_are_measured_ones(name):
    speed = OPERATIONS[name].partition("\n## Speed")[2].partition("\n## ")[0]
    assert name.endswith("index.md") or "not measured" in speed.lower()
    for figure in re.findall(r"\d+\.\d+", speed):
        assert figure in PAGES["docs/measured.md"], figure


def test_ratios_of_convolutions_are_those_of_their_rows():
    tables = PAGES["docs/measured.md"].split("\n## Beside PyTorch")[1:]
    assert [table.partition("\n")[0].rpartition(": ")[2] for table in tables] == ["AVX2", "AVX-512"]
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \| ([\d.]+) \| not measured \|$", OPERATIONS["docs/operations/convolution.md"],
                      re.MULTILINE)
    assert len(rows) == 7
    for kind, *figures in rows:
        for table, figure in zip(tables, figures, strict=True):
            assert re.search(rf"^\| {re.escape(kind)} \| \d+ \| {re.escape(figure)} \|", table, re.MULTILINE), (kind, figure)


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_pages_include_from_the_source_is_there(name):
    for path, options in re.findall(r"```{literalinclude} (\S+)\n(.*?)```", OPERATIONS[name], re.DOTALL):
        source = (REPOSITORY / name).parent.joinpath(path).read_text(encoding="utf-8")
        for option, words in re.findall(r"^:([\w-]+): (.+)$", options, re.MULTILINE):
            assert option == "language" or (f"def {words}(" if option == "pyobject" else words) in source, words


def test_exercises_name_operations():
    for text in OPERATIONS.values():
        for operation in re.findall(r"^fastcnn verify (\w+) --candidate", text, re.MULTILINE):
            assert hasattr(functional, operation)


def test_the_notebook_runs_and_its_exercises_are_graded(capsys):
    notebook = json.loads((REPOSITORY / "docs" / "notebooks" / "ladder.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    names = run("\n".join(cells))
    said = capsys.readouterr().out
    assert [name for name, _ in names["rungs"]] == [
        "loops in Python", "numpy", "the loops, compiled, one thread", "the loops, all threads", "register tile", "Winograd"]
    assert "FAILED images, NaN in x" in said and re.search(r"^relu as relu: \d+ checks passed, error 0", said, re.MULTILINE)
    assert re.search(r"^relu_backward as relu_backward: \d+ checks passed, 3 failed", said, re.MULTILINE)
    assert "0 results, expected y, argmax" in said
