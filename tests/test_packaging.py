"""What is installed: every package is in the list, and a wheel is compared with the tree."""

from __future__ import annotations

import re

import pytest

from tests import wheel

PYPROJECT = (wheel.REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")


def listed(name):
    """The strings of a list in pyproject.toml."""
    return re.findall(r'"([^"]+)"', re.search(rf"^{name} = \[(.*?)\]", PYPROJECT, re.MULTILINE | re.DOTALL)[1])


def test_every_package_is_in_the_list_of_packages():
    names = {name.rpartition("/")[0].replace("/", ".") for name in wheel.expected() if name.endswith("/__init__.py")}
    assert len(names) > 10 and set(listed("packages")) == names


def test_a_complete_wheel_differs_in_nothing():
    assert wheel.differences([*wheel.expected(), "fastcnn-0.1.0.dist-info/METADATA"]) == []


def test_a_file_that_is_missing_in_a_wheel_is_named_and_so_is_one_that_is_left():
    packed = [name for name in wheel.expected() if not name.startswith("fastcnn/plot/")]
    missing = sorted(set(wheel.expected()) - set(packed))
    found = wheel.differences([*packed, "fastcnn/kernels/gone.py"])
    assert len(missing) > 4
    assert found == [*(f"{name} is missing in the wheel: is its package in pyproject.toml?" for name in missing),
                     "fastcnn/kernels/gone.py is in the wheel alone: is it left of an earlier build?"]


@pytest.mark.parametrize("key", ["version", "license"])
def test_the_citation_agrees_with_the_project(key):
    value = re.search(rf'^{key} = "([^"]+)"', PYPROJECT, re.MULTILINE)[1]
    assert f"\n{key}: {value}\n" in (wheel.REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
