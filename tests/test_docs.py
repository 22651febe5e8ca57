"""The pages of docs/: their code runs and prints what it says, and their names, arguments, commands and links exist.

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
from fastcnn import data, functional, models, nn, optim, training
from fastcnn.cli import parser

REPOSITORY = Path(__file__).parents[1]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / "docs").glob("*.md"))}
BLOCKS = [pytest.param(block, id=f"{name}-{number}") for name, text in PAGES.items()
          for number, block in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))]
PLACES = {"fastcnn": fastcnn, "nn": nn, "optim": optim, "training": training, "data": data}
COMPARED = ["coming-from-pytorch.md", "coming-from-keras.md"]


def run(block):
    names = {"__name__": "page"}
    exec(block, names)
    return names


@pytest.mark.parametrize("block", BLOCKS)
def test_code_runs_and_prints_what_its_comments_say(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(block)
    said = re.findall(r"^ *print\(.*\)  # (.+)$", block, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == said or not said


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
    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGES[page], re.DOTALL) for line in block.splitlines()
                if line.startswith("fastcnn ")]
    for command in commands:
        parser.build().parse_args(shlex.split(command, comments=True)[1:])


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#]+)\)", PAGES[page]):
        assert target.startswith("https://") or (REPOSITORY / "docs" / target).exists(), target


def test_weights_move_from_pytorch_as_the_page_says():
    torch = pytest.importorskip("torch")
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", PAGES["coming-from-pytorch.md"], re.DOTALL)
                if "as PyTorch has them" in block]
    names = run(block)
    images, filters, matrix = (torch.from_numpy(names[name]) for name in ("images", "filters", "matrix"))
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
           for path in sorted((REPOSITORY / "fastcnn").rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
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
    assert [name for head in heads for name in head.split(", ")] == list(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_have_a_sentence_that_begins_with_a_verb_sections_and_a_short_example(name):
    function = getattr(functional, name)
    assert f"{functional.__name__}.{name}" in DOCUMENTED
    sentence = inspect.getdoc(function).partition("\n")[0]
    assert sentence.split()[0] in VERBS and sentence.endswith("."), sentence
    assert (section(function, "Returns") is None) == (inspect.signature(function).return_annotation == "None")
    shown = "".join(example.want for example in EXAMPLES[f"{function.__module__}.{name}"].examples)
    assert 1 <= len(re.findall(r"[\d.]+|True|False", shown.replace("int32", ""))) <= 12
