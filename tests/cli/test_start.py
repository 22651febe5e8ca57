"""Starting the command line: help, versions, what is imported."""

import subprocess
import sys

import pytest

import fastcnn
from fastcnn import data, models
from fastcnn.cli import main, recipes
from fastcnn.cli import train as train_command
from fastcnn.optim import optimizers, schedules
from fastcnn.training.augment import AUGMENTATIONS


def test_help_imports_neither_numpy_nor_numba():
    for arguments in (["--help"], ["train", "--help"], ["--version"]):
        done = subprocess.run([sys.executable, "-X", "importtime", "-m", "fastcnn", *arguments], capture_output=True,
                              text=True, check=True)
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "fastcnn.cli.parser" in imported
        assert not {name for name in imported if name.partition(".")[0] in ("numpy", "numba", "llvmlite", "pooch", "tqdm")}


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fastcnn {fastcnn.__version__}\n"


def test_help_lists_what_the_library_knows():
    assert tuple(recipes.RECIPES) == data.names()
    assert models.names() == recipes.MODELS
    assert tuple(name.replace("none", "") or None for name in recipes.AUGMENTATIONS) == AUGMENTATIONS
    assert recipes.OPTIMIZERS.keys() == {name.lower() for name in optimizers.__all__}
    known = {name.removesuffix("LR").lower() for name in schedules.__all__} - {"schedule"}
    assert set(recipes.SCHEDULES) == {"none", *known}


def test_recipes_fit_their_data_sets():
    for recipe in recipes.RECIPES.values():
        assert models.create(recipe.model, recipe.image, recipe.classes).num_parameters() > 0
    digits = data.load("digits")
    assert recipes.RECIPES["digits"].image == digits.train.images.shape[1:]
    assert recipes.RECIPES["digits"].classes == len(digits.classes)


@pytest.mark.parametrize("optimizer", recipes.OPTIMIZERS)
def test_every_optimizer_and_schedule_can_be_made(optimizer):
    for schedule in recipes.SCHEDULES:
        settings = {**vars(recipes.RECIPES["digits"]), "optimizer": optimizer, "schedule": schedule, "epochs": 1}
        made = train_command.parts(settings, (8, 8, 1), 10)
        assert type(made["optimizer"]).__name__.lower() == optimizer
        assert made["schedule"].lr(0, 10, 0.1, 10) >= 0
