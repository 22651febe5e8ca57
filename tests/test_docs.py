"""The pages of docs/: their code runs and prints what it says, and their names, arguments, commands and links exist."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import fastcnn
from fastcnn import data, nn, optim, training
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
