"""Some thousands of mutated files; `python -m tests.fuzz` tries a million."""

import importlib.util
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("fuzz", Path(__file__).with_name("fuzz.py"))
fuzz = sys.modules["fuzz"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fuzz)
COUNT = 20_000


@pytest.mark.parametrize("name", fuzz.FORMATS)
def test_mutated_files_are_read_or_refused(name, tmp_path):
    runner, report = fuzz.Runner(name, 0, tmp_path), fuzz.Report()
    for task in fuzz.tasks(list(fuzz.FORMATS), 0, 0, COUNT):
        if task[0] == name:
            for number in range(task[2], task[2] + task[3]):
                runner.run(number, report)
    assert not [failure for failure in report.failures if not failure.endswith(" s")], "\n".join(report.failures[:20])
    assert report.outcomes["accepted"] and (name == "folder" or len(report.outcomes) > 1)


@pytest.mark.parametrize("name", fuzz.FORMATS)
def test_the_intact_files_are_read(name, tmp_path):
    for number, raw in enumerate(fuzz.seeds_of(name)):
        path = tmp_path / str(number) / "class" / f"file{fuzz.FORMATS[name].ending}"
        path.parent.mkdir(parents=True)
        path.write_bytes(raw)
        if name != "idx" or number == 0:  # the other is of labels
            fuzz.FORMATS[name].read(path)


def test_an_input_follows_from_its_number():
    for name in fuzz.FORMATS:
        once = fuzz.seeds_of(name)
        fuzz.seeds_of.cache_clear()
        assert fuzz.seeds_of(name) == once
    for name in ("csv", "npz", "image", "resume"):
        assert [fuzz.made(name, 3, number) for number in range(50)] == [fuzz.made(name, 3, number) for number in range(50)]
        assert len({fuzz.made(name, 3, number) for number in range(50)}) > 40


@pytest.mark.parametrize("read, fault", [
    (lambda path: {}["x"], "KeyError: \"'x'\""), (lambda path: None, "bytes of memory"),
    (lambda path: [number for number in range(3_000_000) if number < 0], " s")],
    ids=["error of another kind", "memory", "time"])
def test_what_is_wrong_is_found_and_can_be_repeated(read, fault, tmp_path, monkeypatch):
    monkeypatch.setitem(fuzz.FORMATS, "idx", fuzz.Format(lambda: [b"seed"], lambda path: None))
    monkeypatch.setattr(fuzz, "MOST_SECONDS", 0.02)
    fuzz.seeds_of.cache_clear()
    monkeypatch.setattr(fuzz, "peak", iter((0, 1 << 40)).__next__ if "memory" in fault else lambda: 0)
    runner, report = fuzz.Runner("idx", 7, tmp_path, tmp_path / "kept"), fuzz.Report()
    runner.format = fuzz.Format(lambda: [b"seed"], read)
    runner.run(5, report)
    fuzz.seeds_of.cache_clear()
    assert fault in report.failures[0]
    assert report.failures[0].startswith("python -m tests.fuzz --format idx --seed 7 --first 5 --count 1   # ")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["idx-7-5"]


def large_model(raw):
    """A saved model that says it is of images of 2048 x 2048 pixels."""
    tensors, description = files_of(raw)
    return signed(tensors, {**description, "origin": {"name": "lenet5", "input_shape": [2048, 2048, 1], "num_classes": 10}})


def files_of(raw):
    header = fuzz.json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return fuzz.safetensors.numpy.load(raw), fuzz.json.loads(header["__metadata__"]["fastcnn"])


def signed(tensors, description):
    description = {**description, "sha256": fuzz.files._digest(tensors)}
    return fuzz.safetensors.numpy.save(tensors, metadata={"fastcnn": fuzz.json.dumps(description)})


def test_a_small_file_makes_no_large_model(tmp_path):
    (tmp_path / "file").write_bytes(large_model(fuzz.seeds_of("safetensors")[0]))
    before = fuzz.peak()
    with pytest.raises(fuzz.CheckpointError, match=r"its model cannot be made .*more than there are in the file"):
        fuzz.read_model(tmp_path / "file")
    assert fuzz.peak() - before < 1 << 24


@pytest.mark.parametrize("change", [
    {"epoch": "x"}, {"step": 1.5}, {"base_lr": float("nan")}, {"base_lr": -1.0}, {"schedule": []}, {"history": 3},
    {"history": ["x"]}, {"normalisation": {"mean": [0.5], "std": [float("nan")]}}, {"dropouts": 1}, {"optimizer": {}},
    {"callbacks": None}, {"settings": []}], ids=str)
def test_a_state_that_fit_did_not_write_is_refused(change, tmp_path):
    tensors, description = files_of(fuzz.seeds_of("checkpoint")[0])
    (tmp_path / "file").write_bytes(signed(tensors, {**description, "state": {**description["state"], **change}}))
    with pytest.raises(fuzz.CheckpointError, match="resume: "):
        fuzz.resume(tmp_path / "file")
