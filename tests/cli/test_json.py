"""Results for programs."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import fastcnn
from fastcnn import data, doctor, extras, functional, ladder, models, verification
from fastcnn.cli import main, output
from tests.cli.setting import QUICK, lines, only_line, records


def test_json_of_evaluate(finished, capsys):
    model = str(finished / "model.safetensors")
    (found,), _ = records(capsys, ["evaluate", model, "digits", "--report"])
    expected = fastcnn.evaluate(fastcnn.load(model), data.load("digits").test)
    assert {key: found[key] for key in ("model", "dataset", "images", "loss", "accuracy")} == {
        "model": model, "dataset": "digits", "images": 355, **expected}
    assert [row["class"] for row in found["classes"]] == [*"0123456789", "mean"] and 0.9 < found["top_5_accuracy"] <= 1


def test_json_of_predict(finished, capsys):
    model = str(finished / "model.safetensors")
    found, _ = records(capsys, ["predict", model, "--dataset", "digits", "--index", "3", "17", "--top", "2"])
    digits = data.load("digits").test
    expected = fastcnn.predict(fastcnn.load(model), digits.images[[3, 17]])
    for record, index, probabilities in zip(found, (3, 17), expected, strict=True):
        best = int(probabilities.argmax())
        assert len(record["likeliest"]) == 2
        assert (record["image"], record["truth"]) == (str(index), str(digits.labels[index]))
        assert record["likeliest"][0] == {"class": str(best), "probability": float(probabilities[best])}


def test_json_of_summary_and_profile(finished, capsys):
    model = str(finished / "model.safetensors")
    (found,), _ = records(capsys, ["summary", model])
    assert found["parameters"] == sum(layer["parameters"] for layer in found["layers"])
    assert found["layers"][0]["name"] == "0" and found["layers"][0]["output_shape"] == [4, 4, 12]
    assert found["training_memory"]["peak"] > 0 and found["input_shape"] == [8, 8, 1]
    (found,), _ = records(capsys, ["profile", model, "--batch-size", "8", "--repeats", "1"])
    assert found["batch_size"] == 8 and found["step_seconds"] > 0 and found["layers"][0]["forward"] > 0


def test_json_of_bench_and_verify(capsys):
    found, said = records(capsys, ["bench", "global_avg_pool2d_backward"])
    assert found and all(row["operation"] == "global_avg_pool2d_backward" and row["unit"] == "bytes/s" and row["seconds"] > 0
                         for row in found)
    assert any("reference: how many times as long plain numpy takes" in line for line in said)
    found, said = records(capsys, ["verify", "global_avg_pool2d_backward"])
    assert [(row["row"], row["failures"]) for row in found] == [("global_avg_pool2d_backward", [])]
    assert found[0]["passed"] > 3 and said[-1].startswith(f"{found[0]['passed']} checks passed, 0 failed, 1 rows")


LADDER = "bench", "ladder", "--layer", "1,5,6,3,4", "--threads"
RUNGS = ("numpy reference", None), ("textbook loops", 1), ("textbook loops", 2), ("register tile", 2), ("Winograd", 2)


@pytest.fixture
def threads_set():
    """Let the command set the number of threads for one test."""
    before = fastcnn.get_num_threads()
    yield
    fastcnn.set_num_threads(before)


@pytest.mark.usefixtures("threads_set")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_json_of_the_ladder(threads, tmp_path, capsys):
    path = tmp_path / "ladder.png"
    (*found, picture), said = records(capsys, [*LADDER, threads, "--out", str(path)])
    said = [line for line in said if not line.startswith("compil")]
    expected = RUNGS if threads == "2" else [(name, count and 1) for name, count in RUNGS if (name, count) != RUNGS[2]]
    assert [(rung["rung"], rung["threads"]) for rung in found] == list(expected)
    assert all(rung["rate"] * rung["seconds"] == pytest.approx(2 * 5 * 6 * 4 * 27) for rung in found)
    for above, rung in itertools.pairwise(found):
        assert rung["times_as_fast_as_above"] == pytest.approx(above["seconds"] / rung["seconds"])
    assert picture == {"picture": "ladder", "path": str(path)} and path.stat().st_size > 1000
    assert said[0].startswith("3x3 convolution of 1 image of 5x6, 3 to 4 channels")
    assert doctor.cpu_name() in said[1] and f"{threads} thread" in said[1]


@pytest.mark.usefixtures("threads_set")
def test_the_ladder_fits_80_columns_and_checks_before_it_times(capsys, monkeypatch):
    assert main([*LADDER, "2"]) == 0
    printed = lines(capsys.readouterr().out)
    assert max(map(len, printed[2:])) < 80 and printed[2].split()[:2] == ["rung", "threads"] and len(printed) == 11
    wrong = functional.loops.forward
    monkeypatch.setattr(functional.loops, "forward", lambda x, *others: wrong(2 * x, *others))
    assert main([*LADDER, "2"]) == 1
    assert "expected" in only_line(capsys)


@pytest.mark.usefixtures("threads_set")
def test_the_ladder_without_matplotlib(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(extras.EXTRAS, "plot", extras.EXTRAS["plot"]._replace(module="absent"))
    monkeypatch.setattr(ladder, "climb", lambda layer: pytest.fail("it is measured first"))
    assert main([*LADDER, "2", "--out", str(tmp_path / "ladder.png")]) == 1
    assert only_line(capsys) == "fastcnn: drawing of pictures needs matplotlib: pip install 'fastcnn[plot]'"


def test_json_of_verify_has_the_failures(monkeypatch, capsys):
    monkeypatch.setattr(verification.Trial, "run", lambda trial: 1 / 0)
    (found,), _ = records(capsys, ["verify", "global_avg_pool2d_backward"], code=1)
    assert found["failures"] and all("ZeroDivisionError" in failure for failure in found["failures"])
    assert main(["verify", "global_avg_pool2d_backward", "--quiet"]) == 1
    assert "FAILED" in lines(capsys.readouterr().out)[0]


def test_json_of_models_doctor_plot_warmup_and_train(finished, tmp_path, capsys):
    found, _ = records(capsys, ["models"])
    assert [row["name"] for row in found] == list(models.names())
    found, _ = records(capsys, ["datasets", "--data-dir", str(tmp_path)])
    assert [(row["name"], row["present"]) for row in found] == [(name, name == "digits") for name in data.names()]
    assert [len(row["classes"]) for row in found] == [10, 10, 10, 10, 100]
    found, _ = records(capsys, ["doctor"])
    assert {"subject", "text", "fix", "broken"} == set(found[0])
    found, _ = records(capsys, ["plot", "filters", str(finished), "--out", str(tmp_path)])
    assert found == [{"picture": "filters", "path": str(tmp_path / "filters.png")}]
    found, _ = records(capsys, ["warmup", "strided_cnn"])
    assert found[0]["models"] == ["strided_cnn"]
    (found,), said = records(capsys, [*QUICK, "--epochs", "1", "--out", str(tmp_path / "run")])
    assert found["epoch"] == 1 and found["model"] == str(tmp_path / "run" / "model.safetensors")
    assert said[0].startswith("data     digits")


def test_json_has_null_for_what_is_no_number():
    plain = output._plain({"a": np.float32("nan"), "b": [np.inf, (np.int64(3), np.array([1.5, -np.inf]))], 3: Path("x"),
                           "c": True, "d": None})
    assert plain == {"a": None, "b": [None, [3, [1.5, None]]], "3": "x", "c": True, "d": None}
    assert json.dumps(plain, allow_nan=False)


def test_quiet_leaves_results_alone(finished, tmp_path, capsys):
    model = str(finished / "model.safetensors")
    for arguments, expected in (
            (["evaluate", model, "digits"], 1), (["predict", model, "--dataset", "digits", "--index", "1", "2"], 2),
            (["bench", "global_avg_pool2d_backward"], 1), (["verify", "global_avg_pool2d_backward"], 0),
            ([*QUICK, "--epochs", "1"], 1), (["plot", "filters", str(finished), "--out", str(tmp_path)], 1)):
        assert main([*arguments, "--quiet"]) == 0
        printed = capsys.readouterr()
        assert (len(lines(printed.out)), printed.err) == (expected, ""), arguments
