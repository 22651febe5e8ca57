"""Completion in real shells, and what it costs to print the script."""

import shutil
import subprocess
import sys

import pytest

from fastcnn import data
from fastcnn.cli import main, parser, recipes
from tests.cli.setting import records

_BASH = """source ./script
COMP_WORDS=({words} "")
[ -n "{last}" ] && COMP_WORDS=({words} "{last}")
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_fastcnn
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
_ZSH = """compdef() {{ : }}
_files() {{ print -l -- {last}* }}
compadd() {{ shift; (( $# )) || return 1; print -l -- ${{(M)@:#{last}*}} }}
source ./script
words=({words} "{last}")
CURRENT=$#words
_fastcnn
"""
_FISH = "source ./script; complete -C '{words} {last}'"
SHELLS = {"bash": (_BASH, ["bash", "--norc", "-c"]), "zsh": (_ZSH, ["zsh", "-f", "-c"]),
          "fish": (_FISH, ["fish", "-N", "-c"])}


@pytest.fixture(params=SHELLS)
def complete(request, tmp_path, capsys):
    """A function that gives what a shell offers behind some words for one that has begun."""
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    assert main(["completion", request.param]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "photos.csv").touch()
    text, command = SHELLS[request.param]

    def offered(words, last):
        done = subprocess.run([*command, text.format(words=words, last=last)], cwd=tmp_path, capture_output=True, text=True,
                              check=True)
        assert not done.stderr
        return {line.partition("\t")[0] for line in done.stdout.splitlines()}

    return offered


def test_commands_options_and_names_are_offered(complete):
    assert complete("fastcnn", "") >= set(parser._COMMANDS)
    assert complete("fastcnn", "ev") == {"evaluate"}
    assert complete("fastcnn train", "--see") == {"--seed"}
    assert complete("fastcnn train digits --model", "res") == {"resnet9", "resnet18", "resnet20"}
    assert complete("fastcnn train digits --optimizer", "") >= set(recipes.OPTIMIZERS)
    assert complete("fastcnn train", "") >= set(data.names())
    assert complete("fastcnn evaluate run/model.safetensors", "cif") == {"cifar10", "cifar100"}
    assert complete("fastcnn summary", "vgg") == {"vgg", "vgg11"}
    assert complete("fastcnn completion", "f") == {"fish"}


@pytest.mark.parametrize("name", parser._COMMANDS)
def test_every_option_is_in_every_script(name, capsys):
    options = {option for action in parser.commands_of(parser.build())[name]._actions for option in action.option_strings
               if option.startswith("--")}
    for shell in SHELLS:
        assert main(["completion", shell]) == 0
        script = capsys.readouterr().out
        before = f"__fish_seen_subcommand_from {name}' -l " if shell == "fish" else "--"
        assert all(before + option.removeprefix("--") in script for option in options)


def test_the_script_as_json_and_a_shell_that_is_unknown(capsys):
    (found,), _ = records(capsys, ["completion", "bash"])
    assert found["shell"] == "bash" and "complete -o default -F _fastcnn fastcnn" in found["script"]
    assert main(["completion", "tcsh"]) == 2
    assert "SHELL: 'tcsh', expected one of bash, zsh, fish" in capsys.readouterr().err


def test_a_shell_need_not_wait_for_numpy_and_numba():
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "fastcnn", "completion", "bash"], capture_output=True,
                          text=True, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"numpy", "numba", "llvmlite", "tqdm"}
