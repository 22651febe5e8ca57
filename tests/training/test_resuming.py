"""Resuming."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

import fastcnn
from fastcnn import nn, optim
from fastcnn.shapes import CheckpointError
from fastcnn.training import (
    Augment,
    BestModel,
    Checkpoint,
    EarlyStopping,
    JSONLogger,
    load_checkpoint,
)
from fastcnn.training import checkpoint as checkpoint_of
from fastcnn.training.files import write_tensors
from fastcnn.training.history import KEYS
from fastcnn.training.settings import require_like
from tests.training.setting import DIGITS, EVERYTHING, Interrupter, network, same, train


def test_a_best_model_goes_on_with_what_it_knew():
    best, other = BestModel("train_loss"), BestModel("train_loss")
    best.on_epoch_end(SimpleNamespace(model=network()), {"epoch": 3, "train_loss": 0.5})
    other.load_state_dict(best.state_dict())
    assert (other.best, other.epoch) == (-0.5, 3) and other.weights.keys() == network().state_dict().keys()


def test_a_run_that_goes_on_deletes_what_it_was_to_delete(tmp_path):
    """It may have been killed between two files; one that begins deletes nothing before it has written its own."""
    for step in (4, 8, 12):
        (tmp_path / f"checkpoint-{step:08d}.safetensors").touch()
    for step, left in ((10, {4, 8, 12}), (12, {8, 12})):
        Checkpoint(tmp_path).on_train_begin(SimpleNamespace(step=step, steps_per_epoch=4))
        assert checkpoint_of.checkpoints(tmp_path).keys() == left


@pytest.mark.parametrize(("tree", "message"), [
    ({"a": {"array": "a"}}, "is damaged: its state lacks 'a'"),
    ({"a": {"float": "much"}}, "is damaged: its state lacks could not convert"),
    ([1, 2], "is damaged: its state is list, expected dict"),
], ids=["no such array", "no number", "a list"])
def test_a_state_that_is_none(tmp_path, tree, message):
    description = {"kind": "checkpoint", "origin": None, "classes": [], "normalisation": None, "state": tree}
    write_tensors("test", tmp_path / "file", {"x": np.zeros(1, np.float32)}, description)
    with pytest.raises(CheckpointError, match=f"resume: .*file {message}"):
        load_checkpoint(tmp_path / "file")


@pytest.mark.parametrize(("own", "state", "fits"), [
    (None, 1, True), (None, "a", True), (None, None, True), (None, [1], False), (None, {}, False),
    (1, 2, True), (1, 2.0, False), (1, True, False), (1, None, False),
    (1.0, 2, True), (1.0, 2.5, True), (1.0, float("nan"), False), (True, False, True), (True, 1, False),
    ([], [1, 2], True), ([1], [2], True), ([1], [1, 2], False), ([1], ["a"], False), ([1], 1, False),
    ({"a": 1}, {"a": 2, "b": 3}, True), ({"a": 1}, {"a": "x"}, False), ({"a": 1}, [1], False), ("a", 5, True),
])
def test_a_state_is_like_the_runs_own(own, state, fits):
    if fits:
        require_like(own, state, "state")
    else:
        with pytest.raises(TypeError, match="state"):
            require_like(own, state, "state")


@pytest.mark.parametrize("step", [4, 6, 8, 11], ids=["epoch end", "mid-epoch", "last batch of an epoch", "third epoch"])
def test_a_resumed_run_ends_in_the_same_bits(tmp_path, step):
    def callbacks(folder):
        return [Checkpoint(folder, every=100), BestModel("train_loss"), EarlyStopping("train_loss", patience=50)]

    def options(model):
        optimizer = optim.SGD(model.parameters(), 0.05, momentum=0.9)
        given = {"epochs": 4, "seed": 3, "augment": EVERYTHING, "validation": DIGITS.test}
        return {**given, "optimizer": optimizer, "schedule": optim.CosineLR()}

    whole = network(0.3)
    expected = train(whole, **options(whole), callbacks=callbacks(tmp_path / "whole"))
    first = network(0.3)
    history = train(first, **options(first), callbacks=[*callbacks(tmp_path), Interrupter(step)])
    assert history.interrupted
    second = network(0.3)
    history = train(second, **options(second), callbacks=callbacks(tmp_path), resume=tmp_path)
    assert same(second, whole)
    measured = {"seconds", "images_per_second"}
    for record, other in zip(history, expected, strict=True):
        assert {key: record[key] for key in KEYS if key not in measured} == {
            key: other[key] for key in KEYS if key not in measured
        }


def test_a_resumed_run_of_groups_ends_in_the_same_bits(tmp_path):
    def run(callbacks, resume=None):
        model = network()
        groups = [*optim.decay_groups(model[0], 0.1), {"parameters": model[-1].parameters(), "lr": 0.02}]
        optimizer = optim.SGD(groups, 0.05, momentum=0.9)
        train(model, epochs=2, optimizer=optimizer, schedule=optim.CosineLR(), callbacks=callbacks, resume=resume)
        return model, optimizer

    whole, optimizer = run([])
    run([Checkpoint(tmp_path), Interrupter(6)])
    resumed, other = run([], resume=tmp_path)
    assert same(resumed, whole) and other.rates == optimizer.rates
    assert optimizer.rates == pytest.approx([optimizer.lr, optimizer.lr, 0.4 * optimizer.lr])


def test_more_epochs_after_a_finished_run(tmp_path):
    whole, first, second = network(), network(), network()
    train(whole, epochs=3)
    train(first, epochs=2, callbacks=[Checkpoint(tmp_path)])
    train(second, epochs=3, resume=tmp_path)
    assert same(second, whole)


def test_a_stopped_run_stays_stopped(tmp_path):
    def callbacks():
        return [Checkpoint(tmp_path), EarlyStopping("train_loss", patience=1, min_delta=100.0)]

    first = network()
    assert len(train(first, epochs=9, callbacks=callbacks())) == 2
    second = network()
    assert len(train(second, epochs=9, callbacks=callbacks(), resume=tmp_path)) == 2 and same(first, second)


def test_a_file_for_checkpoints_is_refused_before_the_first_epoch(tmp_path):
    (tmp_path / "runs").write_text("")
    model = network()
    before = model.state_dict()
    with pytest.raises(FileExistsError):
        train(model, callbacks=[Checkpoint(tmp_path / "runs")])
    assert all(np.array_equal(before[name], now) for name, now in model.state_dict().items())


def test_checkpoints_keep_the_newest_and_survive_a_damaged_one(tmp_path):
    model = network()
    train(model, epochs=4, callbacks=[Checkpoint(tmp_path)])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkpoint-00000012.safetensors", "checkpoint-00000016.safetensors"]
    newest = tmp_path / names[1]
    assert same(fastcnn.load(newest, model=network()), model)
    newest.write_bytes(newest.read_bytes()[:-100])
    assert load_checkpoint(tmp_path)["step"] == 12
    (tmp_path / names[0]).unlink()
    with pytest.raises(CheckpointError, match=r"no sound checkpoint.*\n.*00000016"):
        train(network(), resume=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 8}, "with batch_size 16, expected 8;"),
        ({"seed": 1}, "with seed 0, expected 1;"),
        ({"split": DIGITS.train.subset(32)}, "with images 64, expected 32;"),
        ({"augment": "crop-flip"}, "with augment None, expected {'crop': 4"),
        ({"augment": Augment(rotate=5)}, "'rotate': 5.0"),
    ],
)
def test_a_run_of_other_settings_cannot_go_on(tmp_path, options, message):
    train(network(), callbacks=[Checkpoint(tmp_path)])
    with pytest.raises(CheckpointError, match=message):
        train(network(), **options, resume=tmp_path)


class Slow(optim.Schedule):
    """A schedule that counts what it was asked."""

    asked = 0

    def lr(self, step, total_steps, base_lr, steps_per_epoch=1):
        self.asked += 1
        return base_lr / 2


HOW = {
    "lr": (lambda m: {"optimizer": optim.Adam(m.parameters(), 0.5)}, "with optimizer lr 0.001, expected 0.5;"),
    "betas": (lambda m: {"optimizer": optim.Adam(m.parameters(), betas=(0.5, 0.999))}, "betas [0.9, 0.999], expected [0.5"),
    "weight_decay": (lambda m: {"optimizer": optim.Adam(optim.decay_groups(m[0], 0.1) + optim.decay_groups(m[-1], 0.1))},
                     "optimizer groups [[None, None]], expected [[None, 0.1]"),
    "schedule": (lambda m: {"schedule": optim.CosineLR()}, "with schedule StepLR, expected CosineLR;"),
    "its numbers": (lambda m: {"schedule": optim.StepLR(2)}, "with schedule step_size 1, expected 2;"),
    "inside": (lambda m: {"schedule": optim.WarmupLR(optim.PlateauLR())}, "with schedule StepLR, expected WarmupLR;"),
    "loss": (lambda m: {"loss": nn.HingeLoss()}, "with loss CrossEntropyLoss, expected HingeLoss;"),
    "smoothing": (lambda m: {"loss": nn.CrossEntropyLoss(label_smoothing=0.1)}, "label_smoothing 0.0, expected 0.1;"),
    "max_norm": (lambda m: {"max_norm": 1.0}, "with max_norm None, expected 1.0;"),
    "penalty": (lambda m: {"penalty": nn.L2(m.parameters(), 0.1)}, "with penalty None, expected L2;"),
    "constraint": (lambda m: {"constraint": optim.MaxNorm([m[-1].weight], 1.0)}, "with constraint None, expected MaxNorm;"),
}


@pytest.mark.parametrize("name", HOW)
def test_a_run_that_trains_in_another_way_cannot_go_on(tmp_path, name):
    model = network(norm=False)
    usual = {"schedule": optim.StepLR(1), "callbacks": [Checkpoint(tmp_path)]}
    train(model, **usual)
    before, (options, message) = model.state_dict(), HOW[name]
    with pytest.raises(CheckpointError, match=re.escape(message)):
        train(model, **{**usual, "epochs": 2, **options(model)}, resume=tmp_path)
    assert all(np.array_equal(before[key], array) for key, array in model.state_dict().items())
    assert len(train(network(norm=False), **{**usual, "epochs": 2}, resume=tmp_path)) == 2


@pytest.mark.parametrize("schedule", [lambda: optim.WarmupLR(optim.PlateauLR(0.5, patience=0)), Slow])
def test_what_changes_in_training_is_no_setting(tmp_path, schedule):
    train(network(), epochs=2, schedule=schedule(), callbacks=[Checkpoint(tmp_path)])
    assert len(train(network(), epochs=3, schedule=schedule(), resume=tmp_path)) == 3


def test_a_checkpoint_of_another_model_or_optimizer_is_refused(tmp_path):
    train(network(), callbacks=[Checkpoint(tmp_path)])
    with pytest.raises(CheckpointError, match="is missing"):
        train(network(norm=False), resume=tmp_path)
    model = network()
    with pytest.raises(CheckpointError, match="is of a run with the optimizer Adam, expected SGD"):
        train(model, optimizer=optim.SGD(model.parameters(), 0.1), resume=tmp_path)
    fastcnn.save(model, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="is a saved model"):
        train(network(), resume=tmp_path / "model.safetensors")


def test_history_file_has_one_object_per_epoch_and_is_cut_on_resume(tmp_path):
    path = tmp_path / "run" / "history.jsonl"
    history = train(network(), epochs=2, callbacks=[JSONLogger(path), Checkpoint(tmp_path)])
    assert [json.loads(line) for line in path.read_text().splitlines()] == list(history)
    path.write_text(path.read_text() + '{"epoch": 3}\n{"epo')
    history = train(network(), epochs=4, callbacks=[JSONLogger(path)], resume=tmp_path)
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2, 3, 4] and records == list(history)
