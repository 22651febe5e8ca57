"""The test of all operations: every trial of every row, and every call that must be refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fastcnn import faults, functional, registry, shapes, verification

TRIALS = [trial for row in registry.ROWS for trial in verification.trials(row)]
FAULTS = [pytest.param(row, fault, id=f"{row.name}-{fault.name}") for row in registry.ROWS for fault in row.faults]


@pytest.mark.parametrize("trial", TRIALS, ids=str)
def test_trial(trial):
    trial.run()


@pytest.mark.parametrize(("row", "fault"), FAULTS)
def test_fault(row, fault):
    arguments = verification.Trial(row, row.cases[0], "normal", "float32").arguments("normal") | fault.changes
    with verification.untouched(row, arguments):
        refused(fault, lambda: row.fast(**arguments))


@pytest.mark.parametrize("refusal", faults.REFUSALS, ids=lambda refusal: refusal.name)
def test_refusal(refusal, tmp_path):
    given = refusal.given(tmp_path)
    before = contents(tmp_path)
    refused(refusal, lambda: refusal.call(given))
    assert contents(tmp_path) == before, "something was left behind"


def refused(fault, call):
    with pytest.raises(fault.error) as caught:
        call()
    assert re.search(fault.pattern, str(caught.value)), str(caught.value)


def contents(folder):
    """Every file and folder, with what is in it; a lock is no content."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*") if path.name != ".lock"}


def test_names_are_unique():
    for names in ([str(trial) for trial in TRIALS], [refusal.name for refusal in faults.REFUSALS]):
        assert len(names) == len(set(names))


def test_images_of_more_pixels_than_argmax_can_name_are_refused(monkeypatch):
    """One of 2**31 + 1 pixels takes 8 GB: a limit of 20 pixels stands for it."""
    monkeypatch.setattr(shapes, "MOST", 19)  # geometries are remembered: these sizes come up nowhere else
    fits, large = np.ones((1, 4, 5, 7), np.float32), np.ones((1, 3, 7, 7), np.float32)
    for pool in (lambda x: functional.max_pool2d(x, 1, stride=3), functional.global_max_pool2d,
                 lambda x: functional.adaptive_max_pool2d(x, 2)):
        pool(fits)
        with pytest.raises(shapes.ShapeError, match=r"max_pool2d: x has 21 pixels \(3 x 7\), expected at most 20"):
            pool(large)
