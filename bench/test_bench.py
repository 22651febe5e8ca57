"""The bench of all operations: `pytest bench`, or `pytest bench -k conv2d`; a table of rates follows pytest-benchmark's."""

from __future__ import annotations

import pytest

from fastcnn import benchmark as timing
from fastcnn import verification

CASES = list(timing.cases())


@pytest.fixture(scope="module")
def table(request):
    lines = [timing.HEAD]
    yield lines
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("", *lines, sep="\n")


@pytest.mark.parametrize(("row", "case"), CASES, ids=[f"{row.name}-{case.name}" for row, case in CASES])
def test_bench(benchmark, table, row, case):
    measurement = timing.measure(row, case)  # checks first, and compiles
    arguments = verification.Trial(row, case, "normal", "float32").arguments("normal")
    benchmark.extra_info |= {
        measurement.unit: round(measurement.rate / 1e9, 1),
        "share of best": round(measurement.rate / measurement.best, 3),
        "reference / fast": round(measurement.reference_seconds / measurement.seconds, 2)}
    benchmark(verification.repeatable(row, arguments)[0])
    table.append(str(measurement))
