"""The project works inside its clone, from any folder there and elsewhere, when it is installed in the ordinary way.

Python takes `fastcnn` from the current folder before the installed one, and in a clone the kernels lie beside it, not in it.
The installation is played: a folder as the wheel makes it, in processes that see no editable installation.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
LIGHT = "import fastcnn, fastcnn.kernels.folders as f; print(fastcnn.__file__); print(f.__file__)"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `clone`, `site` (what is installed) and `elsewhere`."""
    base = tmp_path_factory.mktemp("place")
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("fastcnn", "kernels", "bench", "tests"):
        shutil.copytree(HOUSE / name, base / "clone" / name, ignore=ignored)
    shutil.copy(HOUSE / "pyproject.toml", base / "clone")
    shutil.copytree(HOUSE / "fastcnn", base / "site" / "fastcnn", ignore=ignored)
    shutil.copytree(HOUSE / "kernels", base / "site" / "fastcnn" / "kernels", ignore=ignored)
    (base / "elsewhere").mkdir()
    return base


def run(place, folder, *words, **options):
    """Run Python in a folder, without what `site` would add; return its output."""
    found = [str(place / "site"), *{sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(found), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-S", *words], cwd=place / folder, env=environment, check=False,
                          capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("folder", "origin"), [("clone", "clone"), ("clone/fastcnn", "site"), ("clone/kernels", "site"),
                                                ("clone/tests", "site"), ("clone/bench", "site"), ("elsewhere", "site")])
def test_a_command_and_a_file_find_the_kernels(place, folder, origin):
    package = place / origin / "fastcnn"
    kernels = place / "clone" / "kernels" if origin == "clone" else package / "kernels"
    expected = [str(package / "__init__.py"), str(kernels / "folders.py")]
    assert run(place, folder, "-c", LIGHT).splitlines() == expected
    assert run(place, folder, "-", input=LIGHT).splitlines() == expected, "typed in"
    script = place / folder / "snippet_of_a_user.py"
    script.write_text(LIGHT)
    try:
        assert run(place, "elsewhere", str(script)).splitlines() == expected
    finally:
        script.unlink()


def test_both_have_the_same_compiled_kernels(place):
    code = "from fastcnn.kernels.jit import cache; print(cache.folder())"
    assert run(place, "clone", "-c", code) == run(place, "elsewhere", "-c", code)


def test_the_command_line_runs_in_the_clone(place):
    assert "smallcnn" in run(place, "clone", "-m", "fastcnn", "models")


def test_the_benchmarks_are_found_in_the_clone(place):
    words = "-m", "pytest", "bench", "--collect-only", "-p", "no:cacheprovider"
    assert "bench/test_bench.py::" in run(place, "clone", *words)
