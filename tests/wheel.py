"""Whether a wheel has all files of the package and no others: `python -m tests.wheel fastcnn-0.1.0-py3-none-any.whl`."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
FOLDERS = {"fastcnn": "fastcnn", "kernels": "fastcnn/kernels"}  # where the files of a folder lie in a wheel


def expected(repository: Path = REPOSITORY) -> Iterator[str]:
    """Give the name in the wheel of every file that belongs to the package."""
    for folder, inside in FOLDERS.items():
        for path in (repository / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{inside}/{path.relative_to(repository / folder).as_posix()}"


def differences(names: Iterable[str], repository: Path = REPOSITORY) -> list[str]:
    """Return a line for each file that is missing among the names in a wheel, or that the repository does not have."""
    packed = {name for name in names if ".dist-info/" not in name}
    meant = set(expected(repository))
    return [*(f"{name} is missing in the wheel: is its package in pyproject.toml?" for name in sorted(meant - packed)),
            *(f"{name} is in the wheel alone: is it left of an earlier build?" for name in sorted(packed - meant))]


def main(path: str) -> int:
    """Compare one wheel, and return the exit code."""
    with zipfile.ZipFile(path) as wheel:
        found = differences(wheel.namelist())
    print("\n".join(found) or f"{path}: complete")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
