"""Training."""

import json
import os
import re
import signal

import pytest

import fastcnn
from fastcnn import training
from fastcnn.cli import main
from fastcnn.cli import train as train_command
from fastcnn.training.history import KEYS
from tests.cli.setting import QUICK, lines, only_line


def test_a_run_writes_exactly_its_files(finished):
    names = sorted(path.name for path in finished.iterdir())
    assert names == ["checkpoint-00000023.safetensors", "checkpoint-00000046.safetensors", "curves.png", "history.jsonl",
                     "model.safetensors"]
    records = [json.loads(line) for line in (finished / "history.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2]
    assert all(tuple(record) == KEYS for record in records)
    assert (finished / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_what_a_run_prints(capsys):
    assert main([*QUICK, "--epochs", "1", "--seed", "3", "--threads", "1"]) == 0
    fastcnn.set_num_threads(fastcnn.kernels.jit.threads.available())
    printed = capsys.readouterr()
    out, progress = lines(printed.out), lines(printed.err)
    assert out[0] == "data     digits: 1,442 training and 355 test images of 8 x 8 x 1, 10 classes"
    assert re.fullmatch(r"model    strided_cnn: [\d,]+ parameters", out[1])
    assert out[2] == ("training 1 epochs of batch size 64, adam, lr 0.001, schedule none, augment none, seed 3")
    assert re.fullmatch(r"machine  1 threads, \w+, \d+ float32 lanes", out[3])
    assert re.fullmatch(r"memory   \d+\.\d .iB for a step(, \d+\.\d .iB free)?", out[4])
    assert out[5] == "writing  nothing; --out DIR keeps the model"
    assert re.fullmatch(r"test accuracy \d+\.\d\d%, loss \d\.\d{4}, \d+\.\d s of training", out[6])
    assert re.match(r"  1/1 +\d\.\d{4} +\d+\.\d\d% ", progress[-1])


def test_resumed_run_gives_the_same_bits(finished, tmp_path, capsys):
    assert main([*QUICK, "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert main(["train", "digits", "--epochs", "2", "--out", str(tmp_path), "--resume"]) == 0
    assert f"resuming {tmp_path}, which has 1 of 2 epochs" in capsys.readouterr().out
    assert (tmp_path / "model.safetensors").read_bytes() == (finished / "model.safetensors").read_bytes()


@pytest.mark.parametrize("content", ["nothing", "no folder", "model", "other"])
def test_resuming_where_no_run_is_makes_nothing(content, finished, tmp_path, capsys):
    folder = tmp_path / "typo"
    if content != "no folder":
        folder.mkdir()
    if content in ("model", "other"):
        (folder / ("model.safetensors" if content == "model" else "notes.txt")).write_bytes(b"x")
    before = sorted(tmp_path.rglob("*"))
    assert main([*QUICK, "--epochs", "1", "--out", str(folder), "--resume"]) == 1
    assert f"--out {folder} holds no run to go on with" in only_line(capsys)
    assert sorted(tmp_path.rglob("*")) == before


def test_curves_of_a_run_whose_validation_was_not_finite(finished, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    lines_before = (finished / "history.jsonl").read_text().splitlines()
    records = [{**json.loads(line), "test_loss": value} for line, value in zip(lines_before, (None, 0.5), strict=True)]
    (tmp_path / "history.jsonl").write_text(training.History(records).json_lines() + training.History(
        [{**records[1], "epoch": 3, "test_loss": float("nan"), "train_loss": float("inf")}]).json_lines())
    (tmp_path / "model.safetensors").write_bytes((finished / "model.safetensors").read_bytes())
    assert main(["plot", "curves", str(tmp_path)]) == 0
    assert (tmp_path / "curves.png").exists() and "NaN" not in (tmp_path / "history.jsonl").read_text()


def test_a_run_that_has_no_checkpoint_yet_begins_again(tmp_path, capsys):
    (tmp_path / "history.jsonl").touch()
    assert main([*QUICK, "--epochs", "1", "--out", str(tmp_path), "--resume"]) == 0
    assert f"resuming {tmp_path}, which has no checkpoint yet: from its beginning" in capsys.readouterr().out


def test_more_epochs_keep_the_schedule_of_a_run(tmp_path):
    assert main([*QUICK, "--epochs", "2", "--schedule", "multistep", "--out", str(tmp_path)]) == 0
    assert main(["train", "digits", "--epochs", "3", "--out", str(tmp_path), "--resume"]) == 0
    records = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [record["learning_rate"] for record in records] == pytest.approx([1e-3, 1e-5, 1e-5])


def test_a_damaged_checkpoint_is_passed_over(tmp_path, capsys):
    assert main([*QUICK, "--epochs", "2", "--out", str(tmp_path)]) == 0
    newest = tmp_path / "checkpoint-00000046.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    capsys.readouterr()
    assert main(["train", "digits", "--out", str(tmp_path), "--resume"]) == 0
    assert "which has 1 of 2 epochs" in capsys.readouterr().out


def test_an_existing_run_is_not_overwritten(finished, capsys):
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    assert main([*QUICK, "--out", str(finished)]) == 1
    assert "already holds a run" in only_line(capsys)
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


def test_a_resumed_run_keeps_its_settings(finished, capsys):
    assert main(["train", "digits", "--lr", "0.5", "--model", "lenet5", "--out", str(finished), "--resume"]) == 2
    text = lines(capsys.readouterr().err)[-1]
    assert "--lr is 0.5, expected 0.001 as the run was begun" in text
    assert "--model is 'lenet5', expected 'strided_cnn'" in text


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    class Interrupter(training.Callback):
        def on_batch_end(self, run):
            if run.step == 30:
                os.kill(os.getpid(), signal.SIGINT)

    usual = train_command._callbacks
    monkeypatch.setattr(train_command, "_callbacks", lambda *arguments: [Interrupter(), *usual(*arguments)])
    assert main([*QUICK, "--epochs", "3", "--out", str(tmp_path)]) == 130
    assert lines(capsys.readouterr().err)[-1] == (
        f"interrupted in epoch 2 of 3; go on with: fastcnn train digits --out {tmp_path} --resume")
    assert (tmp_path / "checkpoint-00000030.safetensors").exists()
    assert (tmp_path / "model.safetensors").exists()


def test_a_loss_that_is_not_finite_ends_in_one_line(capsys):
    assert main([*QUICK, "--optimizer", "sgd", "--lr", "1e30", "--epochs", "1"]) == 1
    assert re.search(r"fastcnn: fit: .* is not finite in epoch 1, step \d+; .*layer", capsys.readouterr().err)
