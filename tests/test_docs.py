"""README and the pages of docs/: their code runs and prints what it says; their names, arguments, commands and links exist.

Docstrings: their examples run, and their parameters are those of the signature.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import fastcnn
from fastcnn import data, extras, functional, models, nn, optim, training
from fastcnn.cli import parser
from fastcnn.nn import activation

REPOSITORY = Path(__file__).parents[1]
PAGES = {path.relative_to(REPOSITORY).as_posix(): path.read_text(encoding="utf-8") for path in [
    REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "SECURITY.md",
    *sorted(path for path in (REPOSITORY / "docs").rglob("*.md") if not {"_build", "jupyter_execute"} & {*path.parts})]}
CONNECTED = "docs/kaggle-digits.md"  # its blocks go on from each other's files
BLOCKS = {f"{name}-{number}": block for name, text in PAGES.items() if name != CONNECTED
          for number, block in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))}
PLACES = {"fastcnn": fastcnn, "nn": nn, "optim": optim, "training": training, "data": data}
COMPARED = ["docs/coming-from-pytorch.md", "docs/coming-from-keras.md"]

# Words of a block of code, and what holds for the lines that it prints, in the folder in which it ran.
PROMISES = {
    "mnist = data.load": lambda said: "accuracy" in said[-2] and Path("lenet5.safetensors").exists(),
    "class TwoRoads": lambda said: float(said[-1]) > 0.9,
    "class Scale": lambda said: float(said[0]) < 1e-8 and any("1.factor" in line for line in said[1:]),
    "nn.BatchNorm(None)": lambda said: "Conv2D(1, 16, 3, stride=2)" in "".join(said) and "Linear(2704, 10)" in "".join(said),
    "class_weights(": lambda said: float(said[-1]) > 0.9,
    "Augment(translate": lambda said: float(said[-1]) > 0.9,
    "class GoodEnough": lambda said: len(Path("log.csv").read_text().splitlines()) == int(said[-1].split()[0]) + 1 < 51,
    "decay_groups(": lambda said: said == ["[0.0001, 0.001]"],
}

# Words of a block of code, and the optional package that it needs.
OPTIONAL = {"CNNClassifier": "sklearn", "TensorBoardLogger": "tensorboardX"}


def run(block):
    names = {"__name__": "page"}
    exec(block, names)
    return names


@pytest.fixture
def small_mnist(monkeypatch):
    """Digits in the place of MNIST: 64 images, enlarged to 28 x 28."""
    usual = data.load

    def load(name):
        if name != "mnist":
            return usual(name)
        digits = usual("digits")
        return data.Dataset(name, *(
            data.Split(np.kron(split.images[:64], np.ones((1, 4, 4, 1), np.uint8))[:, 2:-2, 2:-2], split.labels[:64],
                       split.classes) for split in (digits.train, digits.test)))

    monkeypatch.setattr(data, "load", load)


@pytest.mark.parametrize("name", BLOCKS)
def test_code_runs_and_prints_what_its_comments_say(name, small_mnist, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    block = BLOCKS[name]
    for words, package in OPTIONAL.items():
        if words in block:
            pytest.importorskip(package)
    run(block.replace("epochs=5,", "epochs=1,"))
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    said = re.findall(r"^ *print\(.*\)  # (.+)$", block, re.MULTILINE)
    assert lines == said or not said
    assert all(holds(lines) for words, holds in PROMISES.items() if words in block), lines


def test_each_promise_is_about_one_block():
    for words in PROMISES:
        assert sum(words in block for block in BLOCKS.values()) == 1, words


def test_readme_is_short_and_begins_with_two_commands():
    assert len(PAGES["README.md"].splitlines()) < 150
    install, develop = re.findall(r"```sh\n(python3 .*?)\n```", PAGES["README.md"])
    assert install.endswith("&& .venv/bin/pip install . && .venv/bin/fastcnn train digits")
    assert develop.endswith("&& .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest")


def test_index_names_every_page():
    linked = set(re.findall(r"\]\(([\w-]+\.md)", PAGES["docs/README.md"]))
    assert linked == {path.name for path in map(Path, PAGES) if path.parent.name == "docs"} - {"README.md", "index.md"}


def spans(text):
    """What stands between single backticks and begins with a name of fastcnn."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return re.findall(rf"`((?:{'|'.join(PLACES)})\.[^`]+)`", prose)


def resolved(dotted):
    first, *rest = dotted.split(".")
    found = PLACES[first]
    for name in rest:
        found = getattr(found, name)
    return found


@pytest.mark.parametrize("page", COMPARED)
def test_names_exist_and_take_the_arguments_that_a_page_gives_them(page):
    found = spans(PAGES[page])
    assert len(found) > 50
    for span in found:
        function = resolved(re.match(r"[\w.]+", span)[0])
        if "(" not in span:
            continue
        parameters = inspect.signature(function).parameters
        for name in re.findall(r"(\w+)=", span):
            assert name in parameters, span
        if ", *," in span:  # a signature, not a call
            head = ast.parse(f"def f({re.search(r'[(](.*)[)]', span)[1]}): pass").body[0].args
            for argument, default in zip(head.kwonlyargs, head.kw_defaults, strict=True):
                assert parameters[argument.arg].kind is inspect.Parameter.KEYWORD_ONLY, span
                assert parameters[argument.arg].default == ast.literal_eval(default), span


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_understood(page):
    blocks = "".join(re.findall(r"```sh\n(.*?)```", PAGES[page], re.DOTALL))
    for command in re.findall(r"^(?:.*&& )?(?:\S+/)?fastcnn (.*)", blocks, re.MULTILINE):
        parser.build().parse_args(shlex.split(command, comments=True))
    for script in re.findall(r"python (bench/\w+\.py)", PAGES[page]):
        assert (REPOSITORY / script).exists(), script
    for module in re.findall(r"python -m tests\.(\w+)", PAGES[page]):
        assert (REPOSITORY / "tests" / f"{module}.py").exists(), module


def anchors(text):
    """The anchors of the titles of a page."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_what_they_name(page):
    for words, target in re.findall(r"\[([^]]+)\]\(([^)]+)\)", PAGES[page]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        found = REPOSITORY / page if not path else (REPOSITORY / page).parent / path
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text(encoding="utf-8")), target
        if words.startswith("`"):
            name = re.split(r"[. ]", words.strip("`"))[-1]
            assert Path(words.strip("`")).name == found.name or name in found.with_suffix("").parts or re.search(
                rf"\b{name}\b", found.read_text(encoding="utf-8")), words


def test_history_links_what_is_here():
    assert len(re.findall(r"\]\(", PAGES["docs/history.md"])) > 80


def test_guide_names_all_layers_losses_optimizers_schedules_and_models():
    kinds = nn.Module, nn.Loss, nn.L2, optim.Optimizer, optim.Schedule
    public = {name: getattr(place, name) for place in (nn, optim) for name in place.__all__}
    bases = {"Layer", "Loss", "Optimizer", "Schedule"}
    names = {name for name, value in public.items() if isinstance(value, type) and issubclass(value, kinds)} - bases
    names -= set(activation.__all__)  # whose file lists them
    assert len(names) > 40
    there = PAGES["docs/guide.md"].partition("\n## What there is")[2].partition("\n## ")[0]
    assert {*names, *models.names()} <= set(re.findall(r"`(\w+)`", there))


def test_weights_move_from_pytorch_as_the_page_says():
    torch = pytest.importorskip("torch")
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", PAGES["docs/coming-from-pytorch.md"], re.DOTALL)
                if "as PyTorch has them" in block]
    names = run(block)
    state = {name: torch.from_numpy(weight).float() for name, weight in names["state"].items()}
    images, filters, matrix = torch.from_numpy(names["images"]), state["conv.weight"], state["fc.weight"]
    scores = torch.nn.functional.linear(torch.nn.functional.conv2d(images, filters).flatten(1), matrix)
    assert np.allclose(names["scores"], scores, atol=1e-4)


NAMES = {"BatchNorm2d": "BatchNorm", "ReduceLROnPlateau": "PlateauLR"}
ARGUMENTS = {"slope": "negative_slope", "channels": "num_parameters", "minimum": "min_lr"}


@pytest.mark.parametrize("name", [
    "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "LeakyReLU", "PReLU", "Softplus", "Dropout", "BatchNorm2d",
    "GroupNorm", "LayerNorm", "HuberLoss", "StepLR", "MultiStepLR", "OneCycleLR", "ReduceLROnPlateau"])
def test_defaults_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")
    own = arguments(NAMES.get(name, name), nn, optim)
    theirs = arguments(name, torch.nn, torch.optim, torch.optim.lr_scheduler)
    pairs = [(parameter.default, theirs[ARGUMENTS.get(key, key)].default) for key, parameter in own.items()
             if ARGUMENTS.get(key, key) in theirs and parameter.default is not inspect.Parameter.empty]
    assert pairs and all(default == expected for default, expected in pairs), pairs


def arguments(name, *places):
    """The parameters of the constructor of that name in the first place that has one."""
    kind = next(getattr(place, name) for place in places if hasattr(place, name))
    return {key: parameter for key, parameter in inspect.signature(kind.__init__).parameters.items() if key != "self"}


# Docstrings

MODULES = [importlib.import_module(".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"))
           for path in sorted((REPOSITORY / "fastcnn").rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")
           and (path.name != "sklearn.py" or extras.is_installed("sklearn"))]
EXAMPLES = {example.name: example for module in MODULES for example in doctest.DocTestFinder(exclude_empty=True).find(
    module, extraglobs={"np": np, "fastcnn": fastcnn, "F": functional, "data": data, "models": models, "nn": nn,
                        "optim": optim})}
OPERATIONS = [name for name in functional.__all__ if callable(getattr(functional, name))]
DOCUMENTED = {f"{place.__name__}.{name}": getattr(place, name) for place in (functional, nn, optim, data, models, training)
              for name in place.__all__ if "Parameters\n" in (getattr(place, name).__doc__ or "")}
VERBS = {"Add", "Average", "Clip", "Compute", "Convolve", "Cross-correlate", "Enlarge", "Join", "Multiply", "Normalise",
         "Pick", "Return", "Scale", "Set", "Split", "Take"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_docstrings_give_what_they_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(EXAMPLES[name], out=report.append).failed == 0, "".join(report)


def section(function, title):
    """The text below that title of a docstring in the style of numpydoc, or None."""
    found = re.search(rf"\n{title}\n-+\n(.*?)(?=\n\n\w+\n-+\n|\Z)", inspect.getdoc(function), re.DOTALL)
    return found and found[1]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_parameters_are_those_of_the_signature(name):
    function = DOCUMENTED[name]
    heads = re.findall(r"^(\w+(?:, \w+)*)(?: : .+)?$", section(function, "Parameters"), re.MULTILINE)
    signature = inspect.signature(function.__init__ if isinstance(function, type) else function)
    assert [name for head in heads for name in head.split(", ")] == [name for name in signature.parameters if name != "self"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_have_a_sentence_that_begins_with_a_verb_sections_and_a_short_example(name):
    function = getattr(functional, name)
    assert f"{functional.__name__}.{name}" in DOCUMENTED
    sentence = inspect.getdoc(function).partition("\n")[0]
    assert sentence.split()[0] in VERBS and sentence.endswith("."), sentence
    assert (section(function, "Returns") is None) == (inspect.signature(function).return_annotation == "None")
    shown = "".join(example.want for example in EXAMPLES[f"{function.__module__}.{name}"].examples)
    assert 1 <= len(re.findall(r"[\d.]+|True|False", shown.replace("int32", ""))) <= 12
