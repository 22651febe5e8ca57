"""What the tests of the command line share."""

import json
from pathlib import Path

import pytest

from fastcnn.cli import main

REPOSITORY = Path(__file__).parents[2]
QUICK = ["train", "digits", "--model", "strided_cnn", "--batch-size", "64", "--lr", "0.001",
         "--schedule", "none"]


def lines(text):
    return [line for line in text.splitlines() if line]


def only_line(capsys):
    """The only line on stderr besides progress."""
    printed = capsys.readouterr()
    said = [line for line in lines(printed.err) if not line.startswith("compil")]
    assert len(said) == 1, printed.err
    assert said[0].startswith("fastcnn: ")
    return said[0]


def records(capsys, arguments, code=0):
    """What a command prints with --json, and the lines on stderr."""
    assert main([*arguments, "--json"]) == code
    printed = capsys.readouterr()
    return [json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
            for line in printed.out.splitlines()], lines(printed.err)
