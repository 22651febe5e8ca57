"""Calls of layers, optimizers, files and training that must be refused; those of operations stand in the registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.refusals import REFUSALS, Refusal


def contents(folder: Path) -> dict[Path, bytes | None]:
    """Every file and folder, with what is in it; a lock is no content."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*") if path.name != ".lock"}


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_refused_with_nothing_left_behind(refusal: Refusal, tmp_path: Path) -> None:
    given = refusal.given(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(refusal.error, match=refusal.pattern):
        refusal.call(given)
    assert contents(tmp_path) == before


def test_names_are_unique() -> None:
    names = [refusal.name for refusal in REFUSALS]
    assert len(names) == len(set(names))
