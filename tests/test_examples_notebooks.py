"""The notebooks of examples/: they are stored without outputs, and every cell runs."""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# What the outputs hold, one after the other, by kind.
SHOWN = {
    "digits": {"text/html": ["1,442 images of 8 x 8 x 1", "multiply-adds", "<svg", "precision"], "image/png": [""] * 3},
    "scikit_learn": {"text/html": ["<svg", "GridSearchCV"], "image/png": [""]},
}


def test_each_notebook_has_a_promise():
    assert {path.stem for path in NOTEBOOKS} == set(SHOWN)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs(path):
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 4 and not any(cell["outputs"] or cell["execution_count"] for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path):
    nbclient = pytest.importorskip("nbclient", reason="runs notebooks")
    nbformat = pytest.importorskip("nbformat", reason="reads notebooks")
    for package in ("ipykernel", "matplotlib", "PIL", "sklearn"):
        pytest.importorskip(package, reason="the notebooks use it")
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    for kind, promised in SHOWN[path.stem].items():
        found = ["".join(output["data"][kind]) for output in outputs if kind in output.get("data", {})]
        assert len(found) == len(promised) and all(words in shown for words, shown in zip(promised, found, strict=True))
    said = "".join(output["text"] for output in outputs if output.get("name") == "stdout")
    accuracy = float(said.rpartition("test accuracy ")[2].partition("%")[0])
    assert accuracy > 93
