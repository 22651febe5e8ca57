"""Trainings that are stopped: Ctrl-C, early, numbers that are not finite."""

import csv
import json
import signal

import numpy as np
import pytest
import safetensors.numpy

import fastcnn
from fastcnn import models, nn, optim
from fastcnn.training import (
    BestModel,
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    JSONLogger,
    NonFiniteError,
    WeightAverage,
    load_checkpoint,
)
from fastcnn.training.history import KEYS
from tests.training.setting import DIGITS, FEW, Interrupter, network, train


def test_the_layer_is_named_that_was_not_finite_with_the_masks_of_the_step():
    """The batch that is run again drops the same elements."""
    class Broken(nn.Identity):
        def forward(self, x):
            seen.append(x.copy())
            return np.full_like(x, np.nan)

    seen = []
    fastcnn.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), Broken(), nn.Linear(64, 10))
    with pytest.raises(NonFiniteError, match="layer 2, Broken"):
        train(model)
    assert len(seen) >= 2 and np.array_equal(seen[-1], seen[-2]) and model[1].step == 1


def test_nan_in_an_output_stops_and_names_the_layer():
    class Broken(nn.ReLU):
        def forward(self, x):
            y = np.array(super().forward(x))
            y[0, 0] = np.nan
            return y

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), Broken(), nn.Linear(20, 10))
    with pytest.raises(NonFiniteError, match=r"epoch 1, step 1.*layer 2, Broken") as caught:
        train(model)
    assert isinstance(caught.value, ArithmeticError)
    assert (caught.value.epoch, caught.value.step) == (1, 1) and "layer 2" in caught.value.layer


def test_nan_in_a_gradient_stops_before_the_step():
    class Broken(nn.ReLU):
        def backward(self, dy):
            dx = np.array(super().backward(dy))
            dx[0, 0] = np.inf
            return dx

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), Broken(), nn.Linear(20, 10))
    before = model.state_dict()
    with pytest.raises(NonFiniteError, match=r"a gradient is not finite.*gradient of layer 1"):
        train(model)
    assert all(np.array_equal(before[name], now) for name, now in model.state_dict().items())


def test_no_step_exceeds_the_largest_norm():
    class Sizes(Callback):
        def __init__(self, model):
            self.model, self.before, self.steps = model, self.flat(model), []

        def flat(self, model):
            return np.concatenate([parameter.data.reshape(-1) for parameter in model.parameters()])

        def on_batch_end(self, run):
            now = self.flat(self.model)
            self.steps.append(np.linalg.norm(now - self.before))
            self.before = now

    def sizes(max_norm):
        model = network(norm=False)
        seen = Sizes(model)
        train(model, epochs=2, optimizer=optim.SGD(model.parameters(), 1.0), max_norm=max_norm, callbacks=[seen])
        return np.array(seen.steps)

    assert sizes(None)[0] > 0.02
    assert sizes(0.01) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_a_wild_learning_rate_ends_in_the_error():
    model = network(norm=False)
    with pytest.raises(NonFiniteError, match=r"lower learning rate"):
        train(model, epochs=30, optimizer=optim.SGD(model.parameters(), 1e30))


def test_nan_images_are_named():
    images = FEW.images.astype(np.float32)
    images[3, 2, 2] = np.nan
    with pytest.raises(NonFiniteError, match=r"the input images \(take out the images that hold it\)"):
        train(network(norm=False), (images, FEW.labels), batch_size=64)


def test_ctrl_c_finishes_the_batch_and_saves(tmp_path):
    ended = []

    class Ended(Callback):
        def on_train_end(self, run):
            ended.append(run.step)

    callbacks = [Checkpoint(tmp_path), Interrupter(6), Ended()]
    history = train(network(), epochs=5, callbacks=callbacks)
    assert history.interrupted and len(history) == 1 and ended == [6]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    state = load_checkpoint(tmp_path)
    assert (state["epoch"], state["position"], state["step"]) == (2, 32, 6)


def test_second_ctrl_c_stops_at_once():
    with pytest.raises(KeyboardInterrupt):
        train(network(), callbacks=[Interrupter(1, times=2)])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_early_stopping_waits_and_stops():
    class Worse(nn.CrossEntropyLoss):
        def forward(self, prediction, target):
            super().forward(prediction, target)
            return 1.0

    history = train(network(), epochs=20, loss=Worse(), callbacks=[EarlyStopping("train_loss", patience=3)])
    assert len(history) == 4


def test_best_model_is_put_back():
    model = network()
    best = BestModel()
    history = train(model, validation=DIGITS.test, epochs=6, callbacks=[best], optimizer=optim.SGD(model.parameters(), 0.5))
    accuracies = [record["test_accuracy"] for record in history]
    assert best.epoch == 1 + int(np.argmax(accuracies))
    assert fastcnn.evaluate(model, DIGITS.test)["accuracy"] == max(accuracies)


def test_metrics_of_ones_own_are_in_records_files_and_evaluation(tmp_path):
    def worst(probabilities, labels):
        return np.float32(fastcnn.metrics.per_class_accuracy(probabilities, labels).min())

    chosen = {"top2": lambda p, y: fastcnn.metrics.top_k_accuracy(p, y, 2), "worst": worst}
    files = [JSONLogger(tmp_path / "log.jsonl"), CSVLogger(tmp_path / "log.csv"), Checkpoint(tmp_path)]
    model = network()
    record = train(model, validation=DIGITS.test, metrics=chosen, callbacks=files)[0]
    assert tuple(record) == (*KEYS, "test_top2", "test_worst") and type(record["test_worst"]) is float
    result = fastcnn.evaluate(model, DIGITS.test, metrics=chosen, batch_size=50)
    assert {"loss", "accuracy", "top2", "worst"} == result.keys()
    probabilities = fastcnn.predict(model, DIGITS.test.images)
    for name, metric in chosen.items():
        assert record[f"test_{name}"] == result[name] == metric(probabilities, DIGITS.test.labels)
    assert json.loads((tmp_path / "log.jsonl").read_text()) == record
    train(network(), validation=DIGITS.test, metrics={**chosen, "nan": lambda p, y: np.nan}, epochs=2, callbacks=files[:2],
          resume=tmp_path)
    with open(tmp_path / "log.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert tuple(first) == (*KEYS, "test_top2", "test_worst", "test_nan")
    assert float(first["test_top2"]) == record["test_top2"]
    assert (first["test_nan"], second["test_nan"]) == ("", "nan")


@pytest.mark.parametrize(("mode", "best_epoch"), [("max", 2), ("min", 3)])
def test_the_best_model_by_a_metric_of_ones_own_is_in_its_file(mode, best_epoch, tmp_path):
    values = iter([0.5, 0.9, float("nan"), 0.1, 0.7] if mode == "max" else [0.5, 0.9, 0.1, float("-inf"), 0.7])
    model, seen, path = network(), [], tmp_path / "new" / "best.safetensors"

    class Watch(Callback):
        def on_epoch_end(self, run, record):
            seen.append(run.model.state_dict())

    best = BestModel("test_mine", path=path, mode=mode)
    train(model, validation=FEW, epochs=5, metrics={"mine": lambda p, y: next(values)}, callbacks=[best, Watch()])
    written = fastcnn.load(path, model=network()).state_dict()
    assert best.epoch == best_epoch
    for state in (seen[best_epoch - 1], model.state_dict()):
        assert all(np.array_equal(written[name], array) for name, array in state.items())
    assert fastcnn.load(path, model=network()).classes == DIGITS.classes


def test_early_stopping_by_a_metric_of_ones_own():
    values = iter([3.0, 2.0, 2.5, 2.6, 1.0])
    stop = EarlyStopping("test_mine", patience=2, mode="min")
    history = train(network(), validation=FEW, epochs=5, metrics={"mine": lambda p, y: next(values)}, callbacks=[stop])
    assert len(history) == 4


def test_what_callbacks_know_ends_with_the_run():
    stop, best = EarlyStopping("train_loss", patience=1, min_delta=100.0), BestModel("train_loss")
    lengths, trained = [], []
    for seed in range(2):
        fastcnn.manual_seed(seed)
        trained.append(models.create("strided_cnn" if seed else "two_conv", (8, 8, 1), 10))
        lengths.append(len(train(trained[-1], epochs=5, callbacks=[stop, best])))
    assert lengths == [2, 2] and best.weights.keys() == trained[1].state_dict().keys()


def test_an_average_begins_anew_with_the_run():
    average = WeightAverage(0.9)
    train(network(), callbacks=[average])
    first = average.average.copy()
    train(network(), callbacks=[average])
    assert np.array_equal(average.average, first)
    train(models.create("strided_cnn", (8, 8, 1), 10), callbacks=[average])


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), float("inf")])
def test_what_is_not_finite_is_no_best_value(value):
    class Fake:
        model, validation, step, stop = network(), None, 1, False

    best, stop, plateau = BestModel("train_loss"), EarlyStopping("train_loss", patience=2), optim.PlateauLR(patience=1)
    for epoch, loss in enumerate([value, 2.0, value, value], 1):
        for callback in (best, stop):
            callback.on_epoch_end(Fake, {"epoch": epoch, "train_loss": loss})
        plateau.observe(loss)
    assert best.epoch == 2 and Fake.stop and plateau.cuts == 1 and plateau.best == 2.0
    accuracy = BestModel("train_accuracy")
    accuracy.on_epoch_end(Fake, {"epoch": 1, "train_accuracy": value})
    assert accuracy.epoch == 0


def without_nan(text):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_no_file_of_a_run_holds_numbers_that_json_does_not_know(tmp_path):
    class Spoilt(nn.CrossEntropyLoss):
        def forward(self, prediction, target):
            loss = super().forward(prediction, target)
            return loss if self._gradient is not None else float("nan")  # of the validation only

    class Knows(Callback):
        def state_dict(self):
            return {"seen": [float("inf"), -float("inf"), {"deep": float("nan")}, np.arange(3)]}

        def load_state_dict(self, state):
            self.state = state

    options = {"validation": FEW, "loss": Spoilt(), "schedule": optim.PlateauLR(), "epochs": 2}
    knows, files = Knows(), [JSONLogger(tmp_path / "log.jsonl"), CSVLogger(tmp_path / "log.csv")]
    history = train(network(), callbacks=[*files, knows, Checkpoint(tmp_path)], **options)
    records = [without_nan(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [record["test_loss"] for record in records] == [None, None]
    assert (tmp_path / "log.jsonl").read_text() == history.json_lines()
    with safetensors.safe_open(next(tmp_path.glob("*.safetensors")), framework="numpy") as file:
        without_nan(file.metadata()["fastcnn"])
    resumed = train(network(), callbacks=[*files, knows], **{**options, "epochs": 3}, resume=tmp_path)
    assert np.isnan([record["test_loss"] for record in resumed]).all()
    assert resumed[0]["train_loss"] == records[0]["train_loss"] == history[0]["train_loss"]
    first, second, third, array = knows.state["seen"]
    assert (first, second) == (np.inf, -np.inf) and np.isnan(third["deep"]) and array.tolist() == [0, 1, 2]
    with open(tmp_path / "log.csv", newline="") as file:
        assert all(np.isnan(float(row["test_loss"])) for row in csv.DictReader(file))


def test_nan_is_no_best_value():
    class Fake:
        model, validation, step, stop = network(), None, 1, False

    best, stop = BestModel("train_loss"), EarlyStopping("train_loss", patience=2)
    for epoch, loss in enumerate([float("nan"), 2.0, float("nan"), 1.0], 1):
        for callback in (best, stop):
            callback.on_epoch_end(Fake, {"epoch": epoch, "train_loss": loss})
    assert best.epoch == 4 and not Fake.stop
