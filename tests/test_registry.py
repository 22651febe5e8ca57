"""The test of all operations: every trial of every row, and every call that must be refused."""

from __future__ import annotations

import pytest

from fastcnn import registry, verification

TRIALS = [trial for row in registry.ROWS for trial in verification.trials(row)]
FAULTS = [(row, fault) for row in registry.ROWS for fault in row.faults]


@pytest.mark.parametrize("trial", TRIALS, ids=str)
def test_trial(trial):
    trial.run()


@pytest.mark.parametrize(("row", "fault"), FAULTS, ids=[f"{row.name}-{fault.name}" for row, fault in FAULTS])
def test_fault(row, fault):
    arguments = verification.Trial(row, row.cases[0], "normal", "float32").arguments("normal")
    with pytest.raises(fault.error, match=fault.pattern) as caught:
        row.fast(**{**arguments, **fault.changes})
    assert type(caught.value) is fault.error


def test_names_are_unique():
    names = [str(trial) for trial in TRIALS]
    assert len(names) == len(set(names))
