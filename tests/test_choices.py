"""The choice of an algorithm by expected times: its coefficients, what it may depend on, and the command that checks it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import fastcnn
from fastcnn import choices, provenance, tiles
from fastcnn.cli import main
from fastcnn.functional import conv
from fastcnn.functional.conv import cost_model, problem
from fastcnn.functional.conv.algorithm import PASSES, Work
from fastcnn.kernels import machine
from fastcnn.kernels.kinds import KIND, KINDS
from fastcnn.shapes import ShapeError

WORDS = ("n8h16w16c3k32r3s3pad1", "n8h16w16c64k64r3s3pad1", "n8h16w16c6k16r5s5", "n8h16w16c64k8r1s1",
         "n2h15w15c12k6r5s5stride2pad2", "n8h16w16c32k32r3s3pad1groups32", "n8h16w16c5k5r3s3pad1groups5",
         "n4h16w16c64k32r3s3pad1groups4", "n1h20w20c1k1r3s3pad1")


@pytest.fixture
def fit(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "bench"))
    import fit
    yield fit
    del sys.modules["fit"]


def works(words):
    """Work of each algorithm that fits, for each pass."""
    for word in words:
        window = problem.parse(word).window("test")
        for one in conv.candidates(window):
            for step in PASSES if one.fit else ():
                if (work := conv.work(one.name, window, step)) is not None:
                    yield word, one.name, step, work


# Coefficients

@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_coefficients_for_all_kernels(kind, fit):
    given = json.loads((cost_model.FOLDER / f"{kind}.json").read_text(encoding="utf-8"))
    assert given["kind"] == kind and (("coefficients" in given) != ("as" in given and "why" in given))
    table = cost_model.table(kind)
    assert table["kind"] == kind
    assert all(table[name] for name in ("cpu", "date", "commit", "command"))
    needed = {work.kernels for *_, work in works([*map(str, choices.known().values()), *WORDS, *fit.drawn(100)])}
    coefficients = dict(table["coefficients"])
    assert coefficients.pop("call")[0] > 0 and needed == coefficients.keys()
    assert all(len(numbers) == 3 and min(numbers) >= 0 < max(numbers) for numbers in coefficients.values())


@pytest.mark.parametrize("word", [word for word in WORDS if "groups" not in word])
@pytest.mark.parametrize("size", ["n", "c", "k"])
def test_more_work_never_takes_less_time(word, size):
    more = word.replace(f"{size}{value_of(word, size)}", f"{size}{4 * value_of(word, size)}", 1)
    of_more = {(name, step): work for _, name, step, work in works([more])}
    for _, name, step, work in works([word]):
        after = of_more.get((name, step))
        if after is not None and after.kernels == work.kernels:
            least, most = cost_model.expected(work).time, cost_model.expected(after).time
            assert 0 < least < most if size == "n" else 0 < least <= most  # more channels may fill lanes that were empty


def value_of(word, size):
    given = problem.parse(word)
    return {"n": given.x[0], "c": given.x[3], "k": given.weight[3]}[size]


def test_a_cost_is_the_sum_of_its_terms_and_names_the_largest():
    cost = cost_model.expected(Work("some", 10, 20, 30), {"some": [1.0, 2.0, 0.5], "call": [5.0]})
    assert cost.time == 10 + 40 + 15 + 5 and cost.why == "57% for beginning and ending tiles"
    unmeasured = cost_model.expected(Work("others", 1, 1, 1), {"call": [1.0]})
    assert cost_model.expected(None).time == unmeasured.time == float("inf")


def test_a_byte_takes_half_as_long_where_vectors_are_twice_as_long():
    measured, longer = (cost_model.table(kind)["coefficients"]["winograd"] for kind in ("avx2", "avx512"))
    if "as" in json.loads((cost_model.FOLDER / "avx512.json").read_text(encoding="utf-8")):
        assert longer == [*measured[:2], measured[2] / 2]


# What a choice depends on

def test_choices_do_not_depend_on_the_number_of_threads():
    before, found = fastcnn.get_num_threads(), []
    try:
        for threads in (1, 2):
            fastcnn.set_num_threads(threads)
            found.append([[conv.cheapest(given.window("test"), step) for step in PASSES]
                          for given in choices.known().values()])
    finally:
        fastcnn.set_num_threads(before)
    assert found[0] == found[1]
    assert {name for names in found[0] for name in names} == {"direct", "few_channels", "winograd", "matmul", "depthwise"}


def test_each_pass_has_the_algorithm_of_least_expected_time_where_winograd_has_to_gain():
    for word in WORDS:
        given = problem.parse(word)
        chosen = conv.choose(given.x, given.weight, **given.geometry)
        for number, name in enumerate(chosen.names):
            times = {one.name: one.costs[number].time * (1.15 if one.name == "winograd" else 1)
                     for one in conv.candidates(chosen.window) if one.fit}
            assert times[name] == min(times.values())
        assert chosen.name == chosen.names[0] and chosen.forward is conv._MODULES[chosen.name]


@pytest.mark.parametrize(("word", "name"), [
    ("n64h32w32c64k64r3s3pad1", "winograd"), ("n64h16w16c64k64r5s5pad2", "winograd"),
    ("n1h4w4c256k256r3s3pad1", "direct"), ("n64h32w32c3k32r3s3pad1", "direct"),
    ("n64h32w32c64k128r3s3pad1stride2", "direct"), ("n64h16w16c64k128r1s1", "matmul"),
    ("n16h56w56c64k64r3s3pad1groups64", "depthwise"), ("n16h64w64c1k1r5s5pad2", "few_channels")])
def test_what_is_far_from_any_crossing_on_every_kind(word, name):
    assert conv.cheapest(problem.parse(word).window("test"), "forward") == name


# The command

def told(monkeypatch, *tables):
    """Let measurements give these times, one after the other, the last one again and again."""
    left = list(tables)
    monkeypatch.setattr(choices, "_times", lambda calls: dict(left.pop(0) if len(left) > 1 else left[0]))


WORD = "n1h4w4c4k4r3s3pad1"
SLOW = {"direct": 3.0, "few_channels": 3.0, "matmul": 3.0, "winograd": 1.0}


def test_a_choice_that_lags_again_and_again_fails(monkeypatch, capsys):
    told(monkeypatch, SLOW)
    assert "winograd" not in conv.choose((1, 4, 4, 4), (3, 3, 4, 4), padding=1).names
    assert main(["bench", "--choices", WORD, "--threads", "1"]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert "mean lag 3.000, largest 3.00; 3 of 3 choices more than 5% behind the fastest" in shown[-1]
    assert sum(line.endswith(" 3.00 <") for line in shown) == 3


def test_one_disturbed_measurement_is_no_failure(monkeypatch, capsys):
    picked = conv.choose((1, 4, 4, 4), (3, 3, 4, 4), padding=1).names
    fast = dict.fromkeys(SLOW, 1.0)
    told(monkeypatch, {name: 9.0 if name == picked[0] else 1.0 for name in SLOW}, fast)
    assert main(["bench", "--choices", WORD, "--threads", "1", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["pass"] for record in found] == list(PASSES) and {record["lag"] for record in found} == {1.0}
    assert all(record["shape"] == WORD and record["kind"] == KIND.name and record["cpu"] and record["threads"] == 1
               and record["seconds"] == fast for record in found)


def test_explain_gives_the_expected_times_of_each_pass(capsys):
    assert main(["explain", "conv", "n64h32w32c3k64r3s3pad1", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {record["algorithm"]: record for record in records}
    assert found["direct"]["fits"] and "forward" in found["direct"]["chosen"]
    assert all(found["direct"]["seconds"][step] > 0 for step in PASSES) and "multiply-adds" in found["direct"]["why"]
    assert found["loops"]["seconds"] == dict.fromkeys(PASSES) and not found["matmul"]["fits"]
    for step in PASSES:
        (name,) = (name for name in found if step in found[name]["chosen"])
        times = [record["seconds"][step] for record in records if record["seconds"].get(step)]
        assert found[name]["seconds"][step] == min(times)
    assert main(["explain", "conv", "n64h32w32c3k64r3s3pad1"]) == 0
    assert sum(line.count("<") for line in capsys.readouterr().out.splitlines() if "gradients" not in line) == 3


def test_times_are_those_of_all_algorithms_that_do_the_pass():
    found = list(choices.compare("small", problem.parse("n1h5w5c2k9r3s3pad1")))
    assert [sorted(one.seconds) for one in found] == [["direct", "few_channels", "winograd"], ["direct", "winograd"],
                                                     ["direct", "few_channels", "winograd"]]
    assert all(0 < seconds < 10 for one in found for seconds in one.seconds.values())


def test_convolutions_are_asked_for_by_name_or_as_a_word():
    assert {"LeNet 1", "LeNet 2"} == set(choices.asked(["LeNet"]))
    assert choices.asked([WORD]) == {WORD: problem.parse(WORD)}
    assert len(choices.asked([])) == len(choices.known()) > 50
    with pytest.raises(ShapeError, match="no convolution has 'Lenet9' in its name"):
        choices.asked(["Lenet9"])


# The fit

def test_the_fit_finds_the_coefficients_whatever_disturbs_some_measurements(fit):
    random = np.random.default_rng(0)
    counts, meant, call = random.uniform(1, 1000, (200, 3)), np.array([0.5, 0.0, 0.02]), 30.0
    seconds = (counts @ meant + call) * random.uniform(0.98, 1.02, 200)
    seconds[::3] *= 2
    found = fit.undisturbed(counts / seconds[:, None], 1 - call / seconds)
    np.testing.assert_allclose(found, meant, rtol=0.05, atol=0.005)


def test_no_coefficient_is_negative(fit):
    rows = np.array([[1.0, 2.0], [2.0, 3.5], [3.0, 6.5]])
    assert (fit.least_squares(rows, np.ones(3)) >= 0).all()


def test_a_fit_is_of_one_kind_of_cpu(fit, tmp_path):
    path = tmp_path / "times.jsonl"
    path.write_text(json.dumps({"kind": "other"}))
    with pytest.raises(ValueError, match=f"times are of other, expected {KIND.name}"):
        fit.records_of([path])


def test_a_fit_reads_what_the_command_prints_and_writes_a_table(fit, tmp_path, monkeypatch, capsys):
    lines, where = [], {**provenance.provenance(), "threads": 2}
    for word, name, step, work in works([*WORDS, *fit.drawn(60)]):
        seconds = 2e-10 * work.steps + 3e-9 * work.tiles + 1e-10 * work.bytes + 1e-5
        lines.append({"shape": word, "pass": step, "seconds": {name: seconds / 2}, **where})
    path = tmp_path / "times.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    monkeypatch.setattr(cost_model, "FOLDER", tmp_path)
    monkeypatch.setattr(fit, "lags", lambda records, coefficients: iter([1.0]))
    monkeypatch.setattr(sys, "argv", ["fit.py", str(path)])
    assert fit.main() == 0 and "mean lag 1.000 before, 1.000 after" in capsys.readouterr().out
    table = cost_model.table(KIND.name)
    assert table["samples"] == len(lines) and table["cpu"] == provenance.provenance()["cpu"]
    for _, _, _, work in works(WORDS):
        expected = 2e-10 * work.steps + 3e-9 * work.tiles + 1e-10 * work.bytes + 1e-5
        assert cost_model.expected(work, table["coefficients"]).time == pytest.approx(expected, rel=0.05)


# Tiles

@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_tiles_of_the_table_are_among_those_that_fit(kind):
    fitting = tiles.fitting(kind)
    assert set(kind.rows.items()) <= set(fitting) and (kind.registers, 1) not in fitting
    assert all((vectors, rows + 1) in fitting or not kind.holds(vectors, rows + 1) for vectors, rows in fitting)


@pytest.mark.parametrize(("vectors", "rows"), [(1, 2), (2, 3)])
def test_a_tile_of_any_height_multiplies_and_adds(vectors, rows):
    random = np.random.default_rng(0)
    x = random.integers(-4, 5, (rows, machine.STEPS)).astype(np.float32)
    w = random.integers(-4, 5, (machine.STEPS, vectors * KIND.lanes)).astype(np.float32)
    y = np.empty((rows, vectors * KIND.lanes), np.float32)
    machine.multiply_add(x.ravel(), w.ravel(), y.ravel(), 3, (0,) * rows, (0,) * vectors, 1)
    np.testing.assert_array_equal(y, 3 * x @ w)


def test_speeds_are_shares_of_the_fastest_tile():
    found = tiles.measure([(1, 2), (2, 3)], quiet=True)
    assert max(one.share for one in found) == 1 and all(one.rate > 1e6 for one in found)
    assert str(tiles.table(found)).splitlines()[0].split()[:3] == ["vectors", "rows", "GFLOP/s"]


def test_a_commit_is_that_of_a_clone(tmp_path):
    assert provenance.commit(tmp_path) is None
    (tmp_path / ".git").mkdir()  # of nothing
    assert provenance.commit(tmp_path) is None
