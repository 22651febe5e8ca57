"""Training at the edges of what is taken: defaults, limits and turns of a run, each by itself and with tiny networks."""

import json
import os
import signal
import stat
import sys
import threading
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import fastcnn
from fastcnn import functional as F  # noqa: N812
from fastcnn import models, nn, optim
from fastcnn.shapes import CheckpointError, DTypeError, ShapeError
from fastcnn.training import (
    Augment,
    BestModel,
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    JSONLogger,
    NonFiniteError,
    WeightAverage,
    answers,
    batches,
    callbacks,
    checkpoint,
    diagnosis,
    evaluation,
    files,
    find_lr,
    gradients,
    loop,
    progress,
    search,
    settings,
    writing,
)
from fastcnn.training.augment import NAMED, mixed
from fastcnn.training.batches import Batches
from fastcnn.training.history import KEYS, History, cells
from fastcnn.training.interrupt import Interrupt, StoppedError

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.standard_normal((9, 4)).astype(np.float32), np.arange(9) % 3
BYTES = RANDOM.integers(0, 256, (6, 2, 3, 1), dtype=np.uint8)
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


def linear(*ends):
    return nn.Sequential(nn.Linear(4, 3), *ends)


def fit(model=None, data=(X, Y), **options):
    return fastcnn.fit(model or linear(), data, **{"epochs": 1, "batch_size": 2, "progress": False} | options)


def run_of(model=None, data=(X, Y), **options):
    """A run that has not begun."""
    usual = dict.fromkeys(("validation", "optimizer", "schedule", "augment", "max_norm", "penalty", "constraint", "metrics"))
    given = usual | {"loss": nn.CrossEntropyLoss(), "epochs": 2, "batch_size": 2, "callbacks": [], "seed": 0}
    return loop.Run(model or linear(), data, **given | options)


class Record(Callback):
    """Takes note of what is to be seen at each batch."""

    def __init__(self, look):
        self.look, self.seen = look, []

    def on_batch_end(self, run):
        self.seen.append(self.look(run))


# Gradients


class OffBy(nn.Identity):
    """Gives the gradient of its first element with an error."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def backward(self, dy):
        dx = dy.copy()
        dx.reshape(-1)[0] += self.error
        OffBy.dy = dy
        return dx


class Useless(nn.Module):
    """y = x, with a parameter that does nothing, whose gradient is said to be 1e-6."""

    def __init__(self):
        self.scale = nn.Parameter(np.ones(1, np.float32))

    def forward(self, x):
        return x.copy()

    def backward(self, dy):
        self.scale.grad[...] = 1e-6
        Useless.dy = dy
        return dy


def test_an_error_is_relative_to_the_largest_element_of_the_gradient():
    check = fastcnn.gradient_check(OffBy(0.5), np.ones((1, 4)))
    worst, = check.differences
    largest = max(np.abs(OffBy.dy).max(), np.abs(OffBy.dy.reshape(-1)[0] + 0.5))
    assert check == pytest.approx(0.5 / largest, rel=1e-6) and worst.place == (0, 0)
    assert worst.came - worst.expected == pytest.approx(0.5, rel=1e-6)


def test_a_gradient_that_is_nothing_beside_others_is_measured_against_a_thousandth_of_the_largest():
    check = fastcnn.gradient_check(Useless(), np.ones((1, 1)))
    assert check == pytest.approx(1e-6 / (1e-3 * np.abs(Useless.dy).max()), rel=1e-4)
    assert [one.gradient for one in check.differences] == ["scale", "dx"]


def test_64_elements_of_a_large_array_are_checked_and_all_of_a_small_one():
    class Count(nn.Identity):
        calls = 0

        def forward(self, x):
            Count.calls += 1
            return super().forward(x)

    for size, calls in ((100, 129), (10, 21)):
        Count.calls = 0
        fastcnn.gradient_check(Count(), np.ones((1, size)))
        assert Count.calls == calls


def test_elements_and_weights_of_a_gradient_check_follow_from_the_seed():
    def places(**options):
        return repr(fastcnn.gradient_check(nn.Tanh(), np.linspace(-1, 1, 300).reshape(1, 300), **options))

    assert places() == places(seed=0) != places(seed=1)


def test_limits_of_a_gradient_check():
    assert fastcnn.gradient_check(nn.Identity(), np.zeros((1, 2)), eps=1e-12) < 1e-3
    assert fastcnn.gradient_check(nn.Linear(3, 2), np.ones((2, 3)), samples=1) < 1e-6
    with pytest.raises(ValueError, match=r"eps is 1\.5e-13"):
        fastcnn.gradient_check(nn.Identity(), np.zeros((1, 2)), eps=1.5e-13)
    with pytest.raises(ShapeError, match="samples is 0"):
        fastcnn.gradient_check(nn.Identity(), np.zeros((1, 2)), samples=0)
    with pytest.raises(DTypeError, match="2 arguments after x, expected 1"):
        fastcnn.gradient_check(nn.MSELoss(), np.zeros((1, 2)), np.zeros((1, 2)), 3)


def test_a_gradient_of_another_shape_is_refused():
    class Turned(nn.Identity):
        def backward(self, dy):
            return dy.T

    with pytest.raises(ShapeError, match=r"dx has shape \(4, 1\), expected \(1, 4\)"):
        fastcnn.gradient_check(Turned(), np.ones((1, 4)))


@pytest.mark.parametrize("module", [nn.Linear(None, 2), nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))])
def test_layers_that_wait_or_draw_are_checked(module):
    assert fastcnn.gradient_check(module, RANDOM.standard_normal((5, 3))) < 1e-8


def test_functions_whose_backward_takes_their_result_are_checked():
    x = RANDOM.standard_normal((3, 4)) + 0.1
    for function in (F.sigmoid, F.relu, F.tanh):
        assert fastcnn.gradient_check(function, x) < 1e-8
    weight = RANDOM.standard_normal((4, 2))
    assert fastcnn.gradient_check(F.linear, x, weight, relu=True) < 1e-8
    assert fastcnn.gradient_check(F.linear, x, weight, relu=False) < 1e-8


def test_differences_are_sorted_with_what_is_no_number_first():
    errors = {"a": 0.1, "b": np.nan, "c": 1.0}
    check = gradients.GradientCheck(gradients.Difference(name, error, (0,), 1.0, 1.0) for name, error in errors.items())
    assert np.isnan(check) and [one.gradient for one in check.differences] == ["b", "c", "a"]


# What outputs mean


class Plain(nn.Module):
    def __init__(self, function):
        self.function, self.calls = function, []

    def forward(self, x):
        self.calls.append(len(x))
        return self.function(x)


class Scaled(nn.Sequential):
    def forward(self, x):
        return 3 * super().forward(x)


class Summed(nn.Concat):
    def forward(self, x):
        return super().forward(x).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("make", "told"), [
    (lambda: Scaled(nn.Linear(4, 1), nn.Sigmoid()), (None, False)),
    (lambda: Summed(nn.Sigmoid(), nn.Sigmoid()), (None, False)),
    (lambda: nn.Residual(nn.Softmax()), (None, False)),
    (nn.Sequential, (None, True)),
    (nn.LogSoftmax, ("exp", True)),
])
def test_what_a_structure_tells_of_outputs(make, told):
    assert answers.of_structure(make()) == told


def test_branches_of_one_kind_are_named_after_the_first():
    branches = nn.Concat(nn.Linear(4, 2), nn.Linear(4, 1))
    assert "ends in Linear(4, 2), which gives logits" in answers.unsuited(nn.NLLLoss(), branches)
    assert answers.unsuited(nn.NLLLoss(), nn.Concat(nn.Linear(4, 2), nn.LogSoftmax())) == ""


class Silent:
    """A loss that does not say what it takes."""

    def forward(self, prediction, target):
        self.shape = prediction.shape
        return 1.0

    def backward(self):
        return np.zeros(self.shape, np.float32)


def shares(x):
    powers = np.exp(x[:, :3])
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("model", "loss", "own", "told", "runs"), [
    (lambda: linear(nn.Softmax()), None, "sigmoid", "identity", 0),
    (linear, None, "sigmoid", "sigmoid", 0),
    (linear, nn.MSELoss(), "sigmoid", "identity", 0),
    (linear, Silent(), "sigmoid", "sigmoid", 0),
    (linear, None, None, "softmax", 1),
    (lambda: Plain(shares), None, None, "identity", 1),
    (lambda: Plain(shares), None, "softmax", "softmax", 0),
    (lambda: Plain(shares), nn.CrossEntropyLoss(), "identity", "softmax", 1),
    (lambda: Plain(F.sigmoid), nn.CrossEntropyLoss(), None, "identity", 1),
    (lambda: Plain(lambda x: x[:, :1]), None, None, "sigmoid", 1),
])
def test_what_is_known_of_outputs_in_its_order(model, loss, own, told, runs):
    """What the network does, then what the loss takes, then what it was trained for, then the values."""
    network = model()
    network.output_activation = own
    assert answers.of_model(network, X, loss) == told
    assert len(getattr(network, "calls", [0] * runs)) == runs


def test_outputs_that_are_there_are_not_computed_again():
    network = linear()
    network.forward = None
    assert answers.of_model(network, X, None, np.zeros((9, 3))) == "softmax"
    assert answers.of_model(network, X, None, np.full((9, 3), 1 / 3)) == "identity"
    plain = Plain(lambda x: x[:, :3])
    assert answers.of_model(plain, np.zeros((40, 4), np.float32), None, np.zeros((40, 3))) == "softmax"
    assert len(plain.calls) == 1 and plain.calls[0] < 40, "a few inputs tell it"


@pytest.mark.parametrize(("activation", "target", "kind"), [
    ("sigmoid", np.zeros((2, 3)), nn.BCELoss), ("identity", np.zeros((2, 3)), nn.MSELoss),
    ("softmax", np.zeros((2, 3)), nn.CrossEntropyLoss), ("exp", np.zeros((2, 3)), nn.CrossEntropyLoss),
    ("softmax", np.zeros(2, int), nn.CrossEntropyLoss), ("sigmoid", np.zeros(2, int), nn.CrossEntropyLoss),
])
def test_the_loss_where_nobody_chose_one(activation, target, kind):
    assert type(answers.suitable_loss(activation, target)) is kind


def test_the_loss_of_probabilities_is_finite_where_one_is_zero():
    loss = answers.suitable_loss("identity", np.array([0, 1]))
    p = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    assert loss.forward(p, np.array([0, 1])) == pytest.approx(-np.log([0.25, 0.5]).mean(), rel=1e-6)
    assert 80 < loss.forward(np.array([[0.0, 1.0]], np.float32), np.array([0])) < 100


def test_an_image_with_an_output_that_is_not_finite_has_no_probabilities():
    y = np.array([[[0.0], [1.0]], [[np.inf], [2.0]]], np.float32)
    made = answers.to_probabilities(y, "identity")
    assert np.array_equal(made[0], y[0]) and np.isnan(made[1]).all()


# Random changes and batches


@pytest.mark.parametrize(("name", "most"), [
    ("translate", 1), ("rotate", 180), ("brightness", 1), ("contrast", 1), ("mixup", 1e3)])
def test_how_much_may_change(name, most):
    assert getattr(Augment(**{name: most}), name) == most and getattr(Augment(**{name: 0}), name) == 0
    assert type(getattr(Augment(**{name: most}), name)) is float
    for beyond in (1.001 * most, -0.001):
        with pytest.raises(ValueError, match=f"Augment: {name} is "):
            Augment(**{name: beyond})


def test_without_arguments_nothing_changes():
    pairs = Batches("test", (BYTES, np.arange(6)), Augment())
    pairs.begin_epoch(0, 1)
    x, targets = pairs.serve(np.arange(6), None, np.dtype(np.float32))
    assert np.allclose(x, BYTES / 255, atol=1e-7) and targets.tolist() == list(range(6))


def test_changes_that_have_a_name():
    usual = vars(Augment())
    assert {name: {key: value for key, value in vars(augment).items() if value != usual[key]}
            for name, augment in NAMED.items()} == {
        "crop-flip": {"crop": 4, "flip": True}, "crop-flip-cutout": {"crop": 4, "flip": True, "cutout": 16},
        "crop-flip-colour": {"crop": 4, "flip": True, "brightness": 0.2, "contrast": 0.2},
        "crop-flip-mixup": {"crop": 4, "flip": True, "mixup": 1.0},
        "shift": {"translate": 0.1, "rotate": 10.0, "scale": 0.1}}


def test_targets_that_are_no_labels_are_mixed_as_numbers():
    share = np.array([0.25, 1.0])
    assert mixed(np.array([2.0, 4.0]), np.array([6.0, 8.0]), share, 1).tolist() == [5.0, 4.0]
    assert mixed(np.array([[4], [0]]), np.array([[8], [8]]), share, 1).tolist() == [[7.0], [0.0]]
    assert mixed(np.array([0, 1]), np.array([1, 1]), share, 3).tolist() == [[0.25, 0.75, 0.0], [0.0, 1.0, 0.0]]


def test_targets_are_mixed_where_images_are():
    given, targets, index = (BYTES, np.linspace(0, 1, 6)), np.arange(6.0), np.arange(6)
    for augment in (None, Augment(crop=1)):
        pairs = Batches("test", given, augment)
        pairs.begin_epoch(0, 1)
        assert pairs.mix(index, targets, np.zeros((6, 1))) is targets
    pairs = Batches("test", given, Augment(mixup=1.0))
    assert pairs.mix(index, targets, np.zeros((6, 1))) is targets, "no epoch has begun"
    pairs.begin_epoch(0, 1)
    made = pairs.mix(index, targets, np.zeros(6))
    assert made.shape == (6,) and not np.array_equal(made, targets), "outputs without an axis of classes"
    labels = Batches("test", (BYTES, Y[:6]), Augment(mixup=1.0))
    labels.begin_epoch(0, 1)
    made = labels.mix(index, Y[:6], np.zeros((6, 3)))
    assert made.shape == (6, 3) and np.allclose(made.sum(axis=1), 1) and 0 < made.max(axis=1).min() < 1


def test_targets_are_served_in_the_type_of_the_model():
    for targets, kind in ((np.arange(9), np.int64), (np.ones((9, 2)), np.float32), (np.arange(9, dtype=np.uint8), np.int64)):
        x, served = Batches("test", (X.astype(np.float64), targets)).serve(np.array([3, 1]), None, np.dtype(np.float32))
        assert served.dtype == kind and x.dtype == np.float32 and np.array_equal(served, targets[[3, 1]])
        assert np.array_equal(x, X[[3, 1]])


@pytest.mark.parametrize(("given", "kept"), [("u1", "u1"), ("f2", "f4"), ("f4", "f4"), ("f8", "f8"), (">f8", "f8")])
def test_images_are_kept_in_their_type(given, kept):
    array = batches.checked_images("test", BYTES.astype(given)[::-1])
    assert array.dtype == np.dtype(kept) and array.flags.c_contiguous and np.array_equal(array, BYTES[::-1])


def test_the_smallest_images():
    assert batches.checked_images("test", np.ones((1, 1), np.float32)).shape == (1, 1)
    for unfit in (np.ones(3, np.float32), np.ones((2, 3, 3), np.uint8), np.ones((2, 3), np.uint8), np.ones((0, 3))):
        with pytest.raises(ShapeError, match="test: images have shape"):
            batches.checked_images("test", unfit)


@pytest.mark.parametrize(("data", "error", "message"), [
    (BYTES[:2], DTypeError, "data is a ndarray"), ((BYTES,), DTypeError, "data is a tuple"),
    ([X, Y, Y], DTypeError, "data is a list"), (SimpleNamespace(labels=Y), DTypeError, "data is a SimpleNamespace"),
    ((X, 5), ShapeError, r"labels have shape \(\), expected \(9,\)"),
    ((X, Y[:8]), ShapeError, r"labels have shape \(8,\), expected \(9,\)"),
    ((X, Y > 1), DTypeError, "labels are bool, expected int64"),
])
def test_pairs_that_are_none(data, error, message):
    with pytest.raises(error, match=f"test: {message}"):
        Batches("test", data)
    assert len(Batches("test", [X, Y])) == 9


def test_bytes_are_normalised_as_in_training_and_floats_are_not():
    normalisation = nn.Normalisation(np.array([0.5]), np.array([0.25]))
    index, dtype = np.array([2, 0]), np.dtype(np.float64)
    assert np.allclose(batches.as_input(BYTES, index, normalisation, dtype), (BYTES[[2, 0]] / 255 - 0.5) / 0.25)
    assert np.allclose(batches.as_input(BYTES, index, None, dtype), BYTES[[2, 0]] / 255)
    floats = BYTES.astype(np.float32)
    assert np.array_equal(batches.as_input(floats, index, normalisation, dtype), floats[[2, 0]])


def test_the_last_pixel_counts_for_the_normalisation_where_it_is_alone(monkeypatch):
    monkeypatch.setattr(batches, "_CHUNK", BYTES.size - 1)
    mean, std = batches.normalisation_of(BYTES)
    assert mean == pytest.approx([BYTES.mean() / 255], rel=1e-6) and std == pytest.approx([BYTES.std() / 255], rel=1e-6)


def test_a_warning_of_the_range_is_shown_where_the_function_is_called():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
    model.normalisation = [0.5], [0.25]
    images = BYTES.astype(np.float32)
    for call in (lambda: fastcnn.predict(model, images), lambda: fastcnn.evaluate(model, (images, Y[:6]))):
        with pytest.warns(UserWarning, match="images are float32 from") as caught:
            call()
        assert caught[0].filename == __file__


# Evaluation


class Half(nn.Module):
    """Gives what it gets, and takes note of how many images these were."""

    def __init__(self):
        self.counts = []

    def forward(self, x):
        self.counts.append(len(x))
        return x


def test_256_images_are_taken_at_a_time():
    model, x = Half(), np.ones((257, 2), np.float32)
    fastcnn.predict(model, x)
    assert [count for count in model.counts if count > answers._FEW] == [256] and model.counts[-1] == 1
    model.counts.clear()
    fastcnn.evaluate(model, (x, np.zeros(257, int)))
    assert [count for count in model.counts if count > answers._FEW] == [256] and model.counts[-1] == 1


def test_loss_and_accuracy_are_means_over_the_images():
    logits, labels = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]], np.float32), np.array([0, 0, 0])
    expected = np.mean([np.log1p(np.exp(-2.0)), np.log1p(np.exp(1.0)), np.log1p(np.exp(-3.0))])
    seen = []
    for size in (1, 2, 3, 9):
        result = fastcnn.evaluate(nn.Sequential(nn.Identity()), (logits, labels), batch_size=size, metrics={
            "shape": lambda p, y: seen.append((p.shape, y.tolist(), np.allclose(p.sum(axis=1), 1))) or 7})
        assert result == {"loss": pytest.approx(expected, rel=1e-6), "accuracy": 2 / 3, "shape": 7.0}
    assert seen == [((3, 2), [0, 0, 0], True)] * 4


def test_a_stop_is_looked_for_before_each_batch():
    looked = []
    pairs, measures = Batches("test", (X, Y)), evaluation.Measures(nn.CrossEntropyLoss())
    evaluation.score(linear(), pairs, 4, measures, lambda: looked.append(len(looked)))
    assert looked == [0, 1, 2]


@pytest.mark.parametrize(("metrics", "error"), [
    ([max], DTypeError), ({"f1": 1}, DTypeError), ({"f0": max, "f1": 1}, DTypeError), ({1: max}, ValueError),
    ({"loss": max}, ValueError), ({"accuracy": max}, ValueError), ({"top 5": max}, ValueError), ({"": max}, ValueError),
])
def test_metrics_that_are_none(metrics, error):
    with pytest.raises(error, match="test: metrics "):
        evaluation.checked_metrics("test", metrics)
    assert evaluation.checked_metrics("test", None) == {} and evaluation.checked_metrics("test", {"f1": max}) == {"f1": max}


@pytest.mark.parametrize("loss", [nn.MSELoss, SimpleNamespace(forward=max), SimpleNamespace(backward=max), 3])
def test_losses_that_are_none(loss):
    with pytest.raises(DTypeError, match=r"test: loss is .*, expected an object with forward and backward"):
        evaluation.checked_loss("test", loss)
    whole = SimpleNamespace(forward=max, backward=max)
    assert evaluation.checked_loss("test", whole) is whole


def test_images_whose_answers_are_none_are_counted():
    x = np.zeros((5, 3), np.float32)
    x[[1, 4], 2] = np.nan
    model = nn.Sequential(nn.Identity())
    with pytest.warns(UserWarning, match="outputs for 2 of 5 images are not finite") as caught:
        made = fastcnn.predict(model, x)
    assert np.isnan(made).all(axis=1).tolist() == [False, True, False, False, True] and caught[0].filename == __file__


# Callbacks


def fake(step=0, validation=True, keys=KEYS, **more):
    return SimpleNamespace(step=step, validation=validation, keys=keys, stop=False, **more)


@pytest.mark.parametrize("monitor", ["epoch", "learning_rate", "seconds", 5, None])
def test_what_cannot_be_monitored(monitor):
    with pytest.raises(ValueError, match=r"EarlyStopping: monitor is .*, expected one of train_loss, train_accuracy, test"):
        EarlyStopping(monitor)
    for name in KEYS[1:5]:
        assert EarlyStopping(name).mode == ("min" if name.endswith("loss") else "max")
    assert EarlyStopping("train_loss", mode="max").mode == "max" and BestModel("test_f1", mode="min").mode == "min"


def test_how_patient_an_early_stopping_is():
    stop = EarlyStopping()
    assert (stop.monitor, stop.patience, stop.min_delta, stop.waited) == ("test_loss", 5, 0.0, 0)
    stop, run = EarlyStopping("train_loss", patience=2, min_delta=0.25), fake()
    stop.on_train_begin(run)
    waited = []
    for loss in (1.0, 0.8, 0.7, 0.6, 0.6):
        stop.on_epoch_end(run, {"train_loss": loss})
        waited.append((stop.waited, run.stop))
    assert waited == [(0, False), (1, False), (0, False), (1, False), (2, True)] and stop.best == -0.7
    assert EarlyStopping(patience=1).patience == 1 and EarlyStopping(min_delta=0.5).min_delta == 0.5


def test_what_an_early_stopping_knows_goes_on_in_a_resumed_run_alone():
    first = EarlyStopping("train_loss", patience=1)
    for loss in (1.0, 2.0):
        first.on_epoch_end(fake(), {"train_loss": loss})
    state = first.state_dict()
    assert state == {"best": -1.0, "waited": 1}
    for step, patience, stops, best in ((8, 1, True, -1.0), (8, 2, False, -1.0), (1, 1, True, -1.0), (0, 1, False, None)):
        again, run = EarlyStopping("train_loss", patience=patience), fake(step)
        again.load_state_dict(state)
        again.on_train_begin(run)
        assert (run.stop, again.best) == (stops, best) and again.waited == (0 if step == 0 else 1)
    run = fake(4)
    run.stop = True
    EarlyStopping("train_loss").on_train_begin(run)
    EarlyStopping("train_loss").on_epoch_end(run, {"train_loss": 1.0})
    assert run.stop is True, "what another callback has decided stays"


def test_the_best_model_is_that_of_the_first_of_equal_epochs():
    model, best = linear(), BestModel("train_accuracy")
    assert (best.epoch, best.weights, best.path) == (0, {}, None) and BestModel().monitor == "test_accuracy"
    for epoch, accuracy in enumerate((0.5, 0.75, 0.75, 0.25), 1):
        model[0].bias.data[...] = epoch
        best.on_epoch_end(fake(model=model), {"epoch": epoch, "train_accuracy": accuracy})
    assert (best.best, best.epoch) == (0.75, 2)
    best.on_train_end(fake(model=model))
    assert model[0].bias.data.tolist() == [2, 2, 2]
    best.on_train_begin(fake(step=3))
    assert best.epoch == 2
    best.on_train_begin(fake(step=0))
    assert (best.best, best.epoch, best.weights) == (None, 0, {})
    best.on_train_end(fake(model=model))
    assert model[0].bias.data.tolist() == [2, 2, 2], "nothing is put back where nothing was kept"


def test_the_best_model_is_written_where_there_is_a_path(tmp_path):
    model, best = linear(), BestModel("train_loss", path=tmp_path / "new" / "best")
    best.on_train_begin(fake())
    for epoch, loss in ((1, 1.0), (2, 2.0)):
        model[0].bias.data[...] = epoch
        best.on_epoch_end(fake(model=model), {"epoch": epoch, "train_loss": loss})
    assert fastcnn.load(tmp_path / "new" / "best", model=linear())[0].bias.data.tolist() == [1, 1, 1]


def test_a_callback_without_a_state_has_an_empty_one():
    assert Callback().state_dict() == {} and Callback().load_state_dict({}) is None


RECORDS = [dict.fromkeys(KEYS, 0.5) | {"epoch": epoch, "test_loss": None} for epoch in (1, 2, 3)]
ROWS = [f"{epoch},0.5,0.5,,0.5,0.5,0.5,0.5\n" for epoch in (1, 2, 3)]


@pytest.mark.parametrize(("make", "lines"), [
    (JSONLogger, [json.dumps(record) + "\n" for record in RECORDS]), (CSVLogger, [",".join(KEYS) + "\n", *ROWS])])
def test_a_log_has_the_epochs_that_are_done_and_each_that_follows(make, lines, tmp_path):
    path = tmp_path / "new" / "folder" / "log"
    logger, run = make(path), SimpleNamespace(history=RECORDS[:1], keys=KEYS)
    head = len(lines) - 3
    for _ in range(2):  # the file of an earlier run is cut
        logger.on_train_begin(run)
        assert path.read_text() == "".join(lines[: head + 1])
        logger.on_epoch_end(run, RECORDS[1])
        assert path.read_text() == "".join(lines[: head + 2])
    path.unlink()
    run.history = RECORDS
    logger.on_epoch_end(run, RECORDS[2])
    logger.on_train_end(run)
    assert path.read_text() == "".join(lines), "a file that was deleted is written anew"


@posix
def test_a_log_that_goes_to_a_pipe_closes_it_at_the_end(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for _ in range(2):
        got = []
        reader = threading.Thread(target=lambda got=got: got.append((tmp_path / "pipe").read_text()))
        reader.start()
        logger = JSONLogger(tmp_path / "pipe")
        logger.on_train_begin(SimpleNamespace(history=RECORDS[:1], keys=KEYS))
        logger.on_epoch_end(None, RECORDS[1])
        logger.on_train_end(None)
        logger.on_train_end(None)
        reader.join(10)
        assert not reader.is_alive() and got == ["".join(json.dumps(record) + "\n" for record in RECORDS[:2])]


def test_a_logger_needs_a_line(tmp_path):
    with pytest.raises(NotImplementedError, match="_Logger has no line: define line"):
        callbacks._Logger(tmp_path / "log").line({})


def test_a_weight_average_by_itself():
    flat = SimpleNamespace(data=np.array([1.0, 2.0], np.float32))
    run, average = SimpleNamespace(optimizer=SimpleNamespace(flat=flat), step=0), WeightAverage(0.75)
    assert WeightAverage().decay == 0.999 and WeightAverage(0).decay == 0
    for decay in (1.0, -0.1):
        with pytest.raises(ValueError, match="WeightAverage: decay is"):
            WeightAverage(decay)
    with pytest.raises(RuntimeError, match="there is no average yet"):
        average.swap()
    average.on_train_begin(run)
    flat.data[...] = 5.0, 10.0
    average.on_batch_end(run)
    assert average.average.tolist() == [2.0, 4.0]
    run.step = 1
    average.on_train_begin(run)
    assert average.state_dict()["average"].tolist() == [2.0, 4.0], "a run that goes on goes on with it"
    other = WeightAverage()
    other.load_state_dict({"average": [3.0, 4.0]})
    with pytest.raises(RuntimeError, match="there is no average yet"):
        other.swap()
    other.on_train_begin(run)
    with other.swapped():
        assert flat.data.tolist() == [3.0, 4.0] and other.average.tolist() == [5.0, 10.0]
    assert flat.data.tolist() == [5.0, 10.0] and other.average.tolist() == [3.0, 4.0]
    run.step = 0
    average.on_train_begin(run)
    assert average.average.tolist() == [5.0, 10.0]


def test_a_network_in_use_sees_that_weights_were_exchanged_with_their_average():
    model, average = nn.Sequential(nn.Conv2D(3, 16, 3), nn.Flatten()), WeightAverage(0.5)
    x = RANDOM.standard_normal((1, 3, 3, 3)).astype(np.float32)
    fit(model, (x, [0]), callbacks=[average], optimizer=optim.SGD(model.parameters(), 1.0))
    model.eval()
    with nn.inference():
        before = [np.array(model.forward(x)) for _ in range(4)][-1]
        with average.swapped():
            expected = np.tensordot(x, model[0].weight.data, 3) + model[0].bias.data
            assert np.allclose(model.forward(x), expected, atol=1e-5) and not np.allclose(before, expected, atol=1e-3)


# Checkpoints and models on disk


def test_every_epoch_is_kept_and_the_last_two_of_them(tmp_path):
    written = []

    class Noted(Checkpoint):
        def _write(self, run):
            written.append(run.step)

    usual = Checkpoint(tmp_path)
    assert (usual.every, usual.keep) == (1, 2) and Checkpoint(tmp_path, 1, 1).keep == 1
    chosen = Noted(tmp_path, every=3)
    for epoch in range(1, 8):
        chosen.on_epoch_end(SimpleNamespace(step=epoch), {"epoch": epoch})
    chosen.on_interrupt(SimpleNamespace(step=99))
    assert written == [3, 6, 99]


@pytest.mark.parametrize(("keep", "left"), [(1, [12]), (2, [8, 12]), (3, [4, 8, 12]), (9, [4, 8, 12])])
def test_which_checkpoints_are_left(keep, left, tmp_path, monkeypatch):
    """The newest of those that an unbroken run has, and none of a run that was given up."""
    monkeypatch.setattr(checkpoint, "save_checkpoint", lambda model, path, state: path.write_text(state["text"]))
    for step in (4, 5, 8, 10, 14, 16):
        (tmp_path / f"checkpoint-{step:08d}.safetensors").write_text("")
    run = SimpleNamespace(model=None, step=12, steps_per_epoch=2, state_dict=lambda: {"text": "new"})
    Checkpoint(tmp_path, every=2, keep=keep)._write(run)
    assert list(checkpoint.checkpoints(tmp_path)) == left[::-1]
    assert (tmp_path / "checkpoint-00000012.safetensors").read_text() == "new"


@pytest.mark.parametrize(("step", "left"), [(12, [8, 12]), (11, [4, 8, 12])])
def test_a_run_that_goes_on_from_a_checkpoint_deletes_older_ones(step, left, tmp_path):
    for number in (4, 8, 12):
        (tmp_path / f"checkpoint-{number:08d}.safetensors").write_text("")
    Checkpoint(tmp_path).on_train_begin(SimpleNamespace(step=step, steps_per_epoch=4))
    assert list(checkpoint.checkpoints(tmp_path)) == left[::-1]


def test_the_newest_sound_checkpoint_of_a_folder(tmp_path):
    for step in (4, 8):
        checkpoint.save_checkpoint(linear(), tmp_path / f"checkpoint-{step:08d}.safetensors", {"step": step})
    assert checkpoint.load_checkpoint(tmp_path)["step"] == 8
    (tmp_path / "checkpoint-00000012.safetensors").write_bytes(b"damaged")
    assert checkpoint.load_checkpoint(tmp_path)["step"] == 8
    for step in (4, 8):
        (tmp_path / f"checkpoint-{step:08d}.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no sound checkpoint-\*\.safetensors\n  resume: .*00000012.* is damaged"):
        checkpoint.load_checkpoint(tmp_path)
    fastcnn.save(linear(), tmp_path / "model")
    with pytest.raises(CheckpointError, match="model is a saved model, expected a checkpoint of a training"):
        checkpoint.load_checkpoint(tmp_path / "model")


def test_a_checkpoint_that_somebody_else_deletes_is_no_error(tmp_path, monkeypatch):
    gone = {step: tmp_path / f"checkpoint-{step:08d}.safetensors" for step in (9, 2, 1)}
    monkeypatch.setattr(checkpoint, "checkpoints", lambda folder: gone)
    monkeypatch.setattr(checkpoint, "save_checkpoint", lambda *_: None)
    run = SimpleNamespace(model=None, step=4, steps_per_epoch=1, state_dict=dict)
    Checkpoint(tmp_path, keep=1)._write(run)
    Checkpoint(tmp_path / "new" / "folder").on_train_begin(run)
    Checkpoint(tmp_path / "new" / "folder").on_train_begin(run)
    assert (tmp_path / "new" / "folder").is_dir()


def test_the_largest_model_that_a_file_may_name():
    def named(shape, classes):
        return checkpoint._is_origin({"name": "two_conv", "input_shape": shape, "num_classes": classes})

    assert named([4_194_304, 1, 1], 65_536) and named([1, 1, 1], 1)
    for shape, classes in (([4_194_305, 1, 1], 10), ([8, 8, 1], 65_537), ([8, 8, 1], 0), ([8, 0, 1], 1), ([8, 8], 1),
                           ([8, 8, 1, 1], 1), ([8, 8, "1"], 1), ("881", 1), ([8, 8, 1], "1"), ([8.0, 8, 1], 1)):
        assert not named(shape, classes)


def test_a_file_may_lack_half_a_million_weights_of_its_model(tmp_path):
    """Which can then be named; a file of few numbers makes no model of many."""
    parameters = models.create("two_conv", (28, 28, 1), 600).parameters()
    drawn = sum(parameter.size for parameter in parameters if parameter.data.ndim > 1)
    origin = {"name": "two_conv", "input_shape": [28, 28, 1], "num_classes": 600}
    description = {"kind": "model", "origin": origin, "classes": [], "normalisation": None}
    for lacking, message in ((524_288, "does not fit the model"), (524_289, "its model cannot be made")):
        assert drawn > lacking
        files.write_tensors("test", tmp_path / "file", {"x": np.zeros(drawn - lacking, np.float32)}, description)
        with pytest.raises(CheckpointError, match=message):
            fastcnn.load(tmp_path / "file")


@pytest.mark.parametrize(("value", "fits"), [
    (None, True), ([[0.5], [1.0]], True), ([[0.5, 0.1], [1.0, 0.2]], True), ([[0.5], [1]], False), ([[1], [0.5]], False),
    ([[0.5, 0.5], [0.0, 1.0]], False), ([[0.5, np.inf], [1.0, 1.0]], False), ([[0.5], [np.nan]], False),
    ([[0.5]], False), ([[0.5], [1.0], [1.0]], False), ([[], []], False), ([[0.5], [-1.0]], False), ("ab", False),
    ([[0.5, 0.5], [1.0]], False), ([0.5, 1.0], False),
])
def test_normalisations_in_a_file(value, fits):
    assert checkpoint._FIELDS["normalisation"](value) == fits


@pytest.mark.parametrize(("name", "value", "fits"), [
    ("classes", ["a", "b"], True), ("classes", [], True), ("classes", ["a", 1], False), ("classes", "ab", False),
    ("kind", "model", True), ("kind", "checkpoint", True), ("kind", "other", False),
    ("output_activation", None, True), ("output_activation", "exp", True), ("output_activation", "relu", False),
    ("origin", None, True), ("origin", [], False), ("origin", {"name": "two_conv"}, False),
])
def test_what_a_file_says_of_its_model(name, value, fits):
    assert checkpoint._FIELDS[name](value) == fits


def test_a_small_model_and_what_belongs_to_it_come_back(tmp_path):
    model, path = linear(), tmp_path / "new" / "folder" / "model"
    model.normalisation, model.classes, model.output_activation = ([0.5] * 4, [0.25] * 4), ("a", "b", "c"), "sigmoid"
    for _ in range(2):
        fastcnn.save(model, path)
    other = linear()
    assert fastcnn.load(path, model=other) is other and np.array_equal(other[0].weight.data, model[0].weight.data)
    assert (other.classes, other.output_activation) == (("a", "b", "c"), "sigmoid")
    assert np.array_equal(other.normalisation, model.normalisation)
    fastcnn.save(linear(), path)
    assert fastcnn.load(path, model=other).classes == () and other.normalisation is other.output_activation is None
    with pytest.raises(CheckpointError, match=r"does not fit the model: [^$]*0\.weight has shape"):
        fastcnn.load(path, model=nn.Sequential(nn.Linear(5, 3)))


def test_files_of_versions_without_an_output_activation_are_loaded(tmp_path):
    description = {"kind": "model", "origin": None, "classes": [], "normalisation": None}
    files.write_tensors("test", tmp_path / "file", linear().state_dict(), description)
    assert fastcnn.load(tmp_path / "file", model=linear()).output_activation is None


@pytest.mark.parametrize("other", [
    {"b": np.zeros(2), "a": np.ones(2)}, {"c": np.zeros(2), "d": np.ones(2)}, {"a": np.zeros((1, 2)), "b": np.ones(2)},
    {"a": np.zeros(2, np.int64), "b": np.ones(2)}, {"a": np.zeros(2), "b": np.zeros(2)},
], ids=["exchanged names", "other names", "another shape", "another type", "other numbers"])
def test_arrays_of_other_names_shapes_or_numbers_are_not_those_that_were_written(other, tmp_path):
    files.write_tensors("test", tmp_path / "file", {"a": np.zeros(2), "b": np.ones(2)}, {})
    with safetensors.safe_open(tmp_path / "file", framework="numpy") as file:
        metadata = file.metadata()
    safetensors.numpy.save_file(other, tmp_path / "other", metadata)
    assert files.read_tensors("test", tmp_path / "file")[0]["b"].tolist() == [1, 1]
    with pytest.raises(CheckpointError, match="its arrays are not those that were written"):
        files.read_tensors("test", tmp_path / "other")


def test_a_state_comes_back_as_it_was(tmp_path):
    state = {"a": np.arange(3.0), "b": [np.ones(2), 1.5, float("inf"), None], "c": {"d": float("-inf"), "e": True, "f": "x"}}
    checkpoint.save_checkpoint(linear(), tmp_path / "file", state)
    read = checkpoint.load_checkpoint(tmp_path / "file")
    assert read.keys() == {"model", *state} and read["model"].keys() == linear().state_dict().keys()
    assert read["a"].tolist() == [0, 1, 2] and read["b"][0].tolist() == [1, 1] and read["b"][1:] == state["b"][1:]
    assert read["c"] == state["c"] and read["c"]["e"] is True
    with safetensors.safe_open(tmp_path / "file", framework="numpy") as file:
        json.loads(file.metadata()["fastcnn"], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert safetensors.numpy.load_file(tmp_path / "file").keys() == {"a", "b/0", "model/0.weight", "model/0.bias"}
    assert np.array_equal(fastcnn.load(tmp_path / "file", model=linear())[0].weight.data, read["model"]["0.weight"])


# Files


@posix
def test_a_file_and_its_name_are_on_the_disk_before_the_writer_returns(tmp_path, monkeypatch):
    synced, usual = [], os.fsync

    def sync(descriptor):
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        usual(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    for _ in range(2):
        synced.clear()
        writing.write_atomically(tmp_path / "file", b"abc")
        assert synced == [False, True]
    synced.clear()
    writing.append(tmp_path / "file", b"def")
    assert synced == [False] and (tmp_path / "file").read_bytes() == b"abcdef"


@posix
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="nothing lists open files here")
def test_no_file_stays_open(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "second").write_bytes(b"")
    os.link(tmp_path / "second", tmp_path / "third")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    before = os.listdir("/proc/self/fd")
    for _ in range(2):
        for name in ("file", "second", "pipe"):
            writing.write_atomically(tmp_path / name, b"abc")
        writing.append(tmp_path / "file", b"def")
        stream = writing.Stream(tmp_path / "pipe")
        stream.write(b"x")
        stream.close()
    with pytest.raises(FileNotFoundError):
        writing.append(tmp_path / "none", b"")
    assert not set(os.listdir("/proc/self/fd")) - set(before) and os.read(reader, 9) == b"abcxabcx"
    os.close(reader)


@posix
def test_owner_and_group_of_an_old_file_are_asked_for_one_by_one(tmp_path, monkeypatch):
    """One may be allowed where the other is not."""
    asked = []

    def chown(path, user, group):
        asked.append((user, group))
        raise PermissionError

    monkeypatch.setattr(os, "chown", chown)
    (tmp_path / "file").write_bytes(b"")
    own = (tmp_path / "file").stat()
    for user, group, calls in ((0, 0, []), (1, 0, [(own.st_uid + 1, -1)]), (0, 2, [(-1, own.st_gid + 2)]),
                               (1, 2, [(-1, own.st_gid + 2), (own.st_uid + 1, -1)])):
        asked.clear()
        present = SimpleNamespace(st_uid=own.st_uid + user, st_gid=own.st_gid + group)
        writing._resemble(tmp_path / "file", tmp_path / "file", present)
        assert asked == calls


@posix
def test_a_lock_is_had_by_one():
    import fcntl
    import tempfile

    with tempfile.NamedTemporaryFile() as first, open(first.name, "rb") as second:
        assert writing._lock(first.fileno()) is True and writing._lock(second.fileno()) is False
        fcntl.flock(first, fcntl.LOCK_UN)
        assert writing._lock(second.fileno()) is True
    assert writing._lock(1 << 20) is None, "no such file is open"


@posix
@pytest.mark.parametrize("lost", ["locked by another", "deleted by another"])
def test_a_temporary_file_that_another_writer_took_is_given_up(lost, tmp_path, monkeypatch):
    usual, seen = writing._lock, []

    def lock(descriptor):
        seen.append(descriptor)
        if len(seen) > 1:
            return usual(descriptor)
        if lost.startswith("deleted"):
            next(tmp_path.iterdir()).unlink()
        return lost.startswith("deleted")

    monkeypatch.setattr(writing, "_lock", lock)
    path, descriptor = writing._new(tmp_path)
    assert len(seen) == 2 and os.path.samestat(path.stat(), os.fstat(descriptor))
    assert seen[1] <= seen[0], "the first is closed, and its number is free"
    os.close(descriptor)


@posix
def test_a_new_file_may_be_read_and_written_by_all_whom_the_umask_allows(tmp_path):
    before = os.umask(0)
    try:
        writing.write_atomically(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666


@posix
def test_only_temporary_files_of_this_writer_are_swept(tmp_path):
    for name in (".fastcnn-1", "1.tmp", "fastcnn-1.tmp", "target"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".fastcnn-2.tmp").symlink_to(tmp_path / "target")
    (tmp_path / ".fastcnn-3.tmp").mkdir()
    (tmp_path / ".fastcnn-4.tmp").write_bytes(b"")
    left = {path.name for path in tmp_path.iterdir()} - {".fastcnn-4.tmp"}
    writing._sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == left


@posix
def test_without_locks_a_temporary_file_is_abandoned_after_a_day(tmp_path, monkeypatch):
    import fcntl

    def no_locks(*_):
        raise OSError("no locks")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    for name, hours in ((".fastcnn-young.tmp", 23.5), (".fastcnn-old.tmp", 24.5)):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (time.time() - 3600 * hours,) * 2)
    writing._sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".fastcnn-young.tmp"]


@posix
def test_what_is_special(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    assert [writing.is_special(tmp_path / name) for name in ("file", "pipe", "none", ".")] == [False, True, False, False]


# History and what is shown


def record(epoch=1, **changes):
    return {"epoch": epoch, "train_loss": 0.5, "train_accuracy": 0.75, "test_loss": None, "test_accuracy": None,
            "learning_rate": 0.1, "seconds": 1.25, "images_per_second": 12345.6, **changes}


def test_a_history_is_aligned_to_the_right():
    history = History([record(), record(10, test_loss=0.25, test_accuracy=1.0, images_per_second=9.0)])
    assert not history.interrupted
    assert str(history).splitlines() == [
        "epoch    loss  accuracy  validation loss  accuracy  seconds  images/s",
        "    1  0.5000    75.00%                                 1.2    12,346",
        "   10  0.5000    75.00%           0.2500   100.00%      1.2         9"]
    assert str(History([record()])).splitlines()[1] == "    1  0.5000    75.00%      1.2    12,346"


def test_what_was_not_measured_is_left_out():
    assert cells(record(test_loss=0.5), True)[3:5] == cells(record(), True)[3:5] == ("", "")
    assert cells(record(), False) == ("1", "0.5000", "75.00%", "1.2", "12,346")
    line = json.loads(History([record(train_loss=float("inf"), seconds=float("nan"))]).json_lines())
    assert line == record(train_loss=None, seconds=None)


def shown_run(**changes):
    return SimpleNamespace(**{"epochs": 9, "epoch": 1, "validation": None, "train": range(40), "position": 0, "seconds": 2.0,
                              "mean_loss": 0.123456, "accuracy": 0.5} | changes)


def test_the_table_without_validation_as_it_is_read(capsys):
    table, run = progress.ProgressLines(), shown_run()
    for _ in range(2):
        table.on_train_begin(run)
        for epoch in (1, 2):
            table.on_epoch_begin(run)
            table.on_epoch_end(run, record(epoch))
    head = ["                 training", "epoch      loss  accuracy  seconds  images/s"]
    rows = [f"  {epoch}/9    0.5000    75.00%      1.2    12,346" for epoch in (1, 2)]
    assert capsys.readouterr().err.splitlines() == 2 * [*head, *rows], "a head for each training"


def test_the_bar_follows_the_images_and_is_wiped_away(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_columns", lambda: 80)
    bar, run = progress.ProgressBar(), shown_run(position=8)
    bar.on_train_end(run)
    bar.on_train_begin(run)
    bar.on_epoch_begin(run)
    assert bar._bar.n == 8
    for run.position in (16, 40):
        bar.on_batch_end(run)
        assert bar._bar.n == run.position
    bar.on_epoch_end(run, record())
    bar.on_train_end(run)
    shown = capsys.readouterr().err
    assert "1/9  20%|" in shown and "| loss 0.1235  " in shown and shown.count("\n") == 3
    assert shown.endswith("\r  1/9    0.5000    75.00%      1.2    12,346\n")


def test_the_bar_of_a_notebook_has_80_columns(capsys, monkeypatch):
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # without which a bar is text
    bar, run = progress.ProgressBar(), shown_run(position=8)
    bar.on_train_begin(run)
    bar.on_epoch_begin(run)
    bar.on_train_end(run)
    out, err = capsys.readouterr()
    assert [len(part) for part in out.split("\r") if "%|" in part] == [80] and err == ""


def test_the_bar_without_a_stream_is_none(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    bar, run = progress.ProgressBar(), shown_run()
    bar.on_train_begin(run)
    bar.on_epoch_begin(run)
    assert bar._bar.disable
    bar.on_train_end(run)


WORDS = ["loss 0.1235", "accuracy 50.00%", "00:00 left", "8/s"]


@pytest.mark.parametrize("count", [4, 3, 2, 1])
def test_the_bar_has_as_many_words_as_leave_it_ten_letters(count, monkeypatch):
    """Beside the number of the epoch, the share in percent with its two bars, the words, and the last column, kept free."""
    fits = len("  1/9") + len(" 100%|| ") + 10 + len("  ".join(WORDS[:count])) + 1
    words = "  ".join(WORDS[:count]).replace("00:00", "{remaining}")
    run = shown_run(position=16)
    for columns in (fits, fits + 3 if count < 4 else 1000):
        monkeypatch.setattr(progress, "_columns", lambda columns=columns: columns)
        assert progress._format(run) == "{desc} {percentage:3.0f}%|{bar}| " + words
    monkeypatch.setattr(progress, "_columns", lambda: fits - 1)
    fewer = "  ".join(WORDS[: max(count - 1, 1)]).replace("00:00", "{remaining}")
    assert progress._format(run) == "{desc} {percentage:3.0f}%|{bar}| " + fewer, "one word is always there"
    assert progress._format(shown_run()) == "{desc} {percentage:3.0f}%|{bar}|", "nothing is known yet"


def test_a_rate_in_no_time(monkeypatch):
    monkeypatch.setattr(progress, "_columns", lambda: 1000)
    assert progress._format(shown_run(position=16, seconds=0.0)).endswith("  16,000,000,000/s")


def test_the_columns_of_a_table_stand_closer_where_the_terminal_is_narrow(monkeypatch):
    run = shown_run()
    for columns, gap in ((65, "  "), (64, " ")):
        monkeypatch.setattr(progress, "_columns", lambda columns=columns: columns)
        assert progress._gap(run) == gap


def test_there_are_80_columns_where_nothing_tells(monkeypatch, capsys):
    assert progress._columns() == 80
    stream = SimpleNamespace(fileno=lambda: 1)
    monkeypatch.setattr(progress, "_stream", lambda: stream)
    for columns, expected in ((120, 120), (0, 80)):
        monkeypatch.setattr(os, "get_terminal_size", lambda _, columns=columns: os.terminal_size((columns, 24)))
        assert progress._columns() == expected


@pytest.mark.parametrize(("terminal", "kernel", "kind"), [
    (False, False, progress.ProgressLines), (True, False, progress.ProgressBar), (False, True, progress.ProgressBar)])
def test_a_bar_is_for_terminals_and_notebooks(terminal, kernel, kind, monkeypatch):
    monkeypatch.setattr("fastcnn.streams.is_terminal", lambda stream: terminal)
    shell = SimpleNamespace(config={"IPKernelApp": {}} if kernel else {})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert type(progress.progress_callback()) is kind
    assert progress._stream() is (sys.stdout if kernel else sys.stderr)


# The loop


def test_progress_is_shown_and_the_seed_is_0_where_nothing_says_otherwise(capsys):
    fastcnn.manual_seed(0)
    first, second = linear(), linear()
    second.load_state_dict(first.state_dict())
    fastcnn.fit(first, (X, Y), epochs=1, batch_size=2)
    assert "training" in capsys.readouterr().err
    fit(second, seed=0)
    assert capsys.readouterr().err == "" and np.array_equal(first[0].weight.data, second[0].weight.data)


def test_every_image_is_trained_on_once():
    seen = Record(lambda run: (run.step, run.position))
    history = fit(callbacks=[seen], epochs=2)
    assert seen.seen == [(step, min(2 * ((step - 1) % 5 + 1), 9)) for step in range(1, 11)]
    assert [one["epoch"] for one in history] == [1, 2]
    assert run_of().steps_per_epoch == 5 and run_of(batch_size=3).steps_per_epoch == 3


@pytest.mark.parametrize("count", [1, 9])
def test_loss_and_accuracy_of_an_epoch_are_means_over_its_images(count):
    model = linear()
    labels = np.array(model.forward(X[:count])).argmax(axis=1)
    labels[1::3] = (labels[1::3] + 1) % 3
    one = fit(model, (X[:count], labels), optimizer=optim.SGD(model.parameters(), 0.0))[0]
    expected = fastcnn.evaluate(model, (X[:count], labels))
    assert one["train_loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert one["train_accuracy"] == expected["accuracy"] == (1.0 if count == 1 else 2 / 3)


def test_a_training_ends_with_the_rate_that_it_began_with_and_says_so_to_all():
    told = []

    class Told(Callback):
        def on_train_end(self, run):
            told.append(run.optimizer.lr)

    model = linear()
    optimizer = optim.SGD(model.parameters(), 0.5)
    fit(model, optimizer=optimizer, schedule=optim.CosineLR(), callbacks=[Told(), Told()])
    assert told == [0.5, 0.5] and optimizer.lr == 0.5


def test_nothing_is_measured_before_the_first_batch():
    run = run_of()
    assert (run.mean_loss, run.accuracy, run.epoch, run.position, run.step, run.stop) == (0.0, 0.0, 1, 0, 0, False)


def test_seconds_are_those_of_training(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(clock))
    assert [(one["seconds"], one["images_per_second"]) for one in fit(epochs=2)] == [(5, 9 / 5)] * 2
    monkeypatch.setattr(loop.time, "perf_counter", lambda: 0.0)
    assert fit()[0]["images_per_second"] == pytest.approx(9e9)


class Press(Callback):
    """Presses Ctrl-C behind a batch or an epoch."""

    def __init__(self, step=0, epoch=0):
        self.step, self.epoch = step, epoch

    def on_batch_end(self, run):
        if run.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


    def on_epoch_end(self, run, record):
        if record["epoch"] == self.epoch:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("at", "interrupted", "epochs", "step"), [
    ({"step": 3}, True, 0, 3), ({"step": 5}, True, 0, 5), ({"step": 8}, True, 1, 8), ({"step": 10}, True, 1, 10),
    ({"epoch": 1}, True, 1, 5), ({"epoch": 2}, False, 2, 10)])
def test_a_run_that_is_interrupted_behind_its_last_epoch_is_complete(at, interrupted, epochs, step):
    told = []

    class Told(Callback):
        def on_interrupt(self, run):
            told.append(run.step)

    history = fit(epochs=2, callbacks=[Press(**at), Told()])
    assert (history.interrupted, len(history), told) == (interrupted, epochs, [step] * interrupted)


def test_the_second_request_interrupts():
    interrupt = Interrupt()
    interrupt.check()
    interrupt.note(2, None)
    assert interrupt.requested is True
    with pytest.raises(StoppedError):
        interrupt.check()
    with pytest.raises(KeyboardInterrupt):
        interrupt.note(2, None)


def test_a_checkpoint_knows_what_the_callbacks_before_and_behind_it_know(tmp_path):
    first, last = Record(len), Record(len)
    run = run_of(callbacks=[first, Checkpoint(tmp_path), last])
    assert run.callbacks[:2] == [first, last] and type(run.callbacks[2]) is Checkpoint
    assert list(run._named_callbacks()) == ["Record 0", "Record 1", "Checkpoint 0"]
    assert list(run._named_callbacks().values()) == run.callbacks


def test_a_training_with_validation_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(validation=(X, Y))


@pytest.mark.parametrize(("loss", "targets", "activation"), [
    (None, Y, "softmax"), (nn.BCELoss(), np.eye(3)[Y], "sigmoid"), (nn.MSELoss(), np.eye(3)[Y], "identity")])
def test_a_model_knows_afterwards_what_its_outputs_mean(loss, targets, activation, monkeypatch):
    asked, usual = [], answers.of_model
    monkeypatch.setattr(answers, "of_model", lambda *arguments: asked.append(arguments) or usual(*arguments))
    model = linear()
    fit(model, (X, targets), loss=loss)
    assert model.output_activation == activation and len(asked) == 1, "once, not for each batch"


def test_a_normalisation_that_the_model_has_stays():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
    model.normalisation = [0.5], [0.25]
    run_of(model, (BYTES, Y[:6]))
    assert model.normalisation.mean.tolist() == [0.5]
    model.normalisation = None
    run_of(model, (BYTES, Y[:6]))
    assert model.normalisation.mean == pytest.approx([BYTES.mean() / 255], rel=1e-6)


def test_a_schedule_hears_the_loss_of_the_validation_where_there_is_one():
    class Heard(optim.Schedule):
        def __init__(self):
            self.told, self.asked = [], []

        def lr(self, step, total_steps, base_lr, steps_per_epoch=1):
            self.asked.append((step, total_steps, base_lr, steps_per_epoch))
            return base_lr

        def observe(self, loss):
            self.told.append(loss)

    heard, other = Heard(), Heard()
    history = fit(validation=(X[:4], Y[:4]), schedule=heard)
    assert heard.told == [history[0]["test_loss"]] and heard.asked == [(step, 5, 0.001, 5) for step in range(5)]
    assert fit(schedule=other)[0]["train_loss"] == other.told[0] != heard.told[0]


def test_a_norm_that_overflows_is_no_reason_to_stop_where_all_gradients_are_finite():
    def scale(grad, norm, max_norm=None):
        optimizer = SimpleNamespace(grad_norm=lambda: norm, flat=SimpleNamespace(grad=np.array(grad)),
                                    clip_scale=lambda most, norm: most / norm)
        run = SimpleNamespace(optimizer=optimizer, max_norm=max_norm, epoch=3, step=7, model=linear())
        return loop.Run._gradient_scale(run)

    assert scale([1e30], np.inf) == scale([1.0], 1.0) == 1.0 and scale([4.0], 4.0, 2.0) == 0.5
    with pytest.raises(NonFiniteError, match="a gradient is not finite in epoch 3, step 8"):
        scale([np.nan], np.nan)


def test_a_penalty_counts_for_the_loss_that_is_shown():
    model = linear()
    plain = fit(model, optimizer=optim.SGD(model.parameters(), 0.0))[0]["train_loss"]
    charged = fit(model, optimizer=optim.SGD(model.parameters(), 0.0), penalty=lambda: 2.5)[0]["train_loss"]
    assert charged == pytest.approx(plain + 2.5, rel=1e-6)


def test_limits_of_a_training():
    assert run_of(seed=2**63 - 1).seed == 2**63 - 1 and run_of(max_norm=0).max_norm == 0 and run_of(epochs=1).epochs == 1
    for options, error, message in (
        ({"max_norm": -1}, ValueError, "max_norm is -1"), ({"seed": 2**63}, ValueError, "seed is 9223372036854775808"),
        ({"constraint": 1}, DTypeError, "constraint is 1, expected a Callable"), ({"epochs": 0}, ShapeError, "epochs is 0"),
    ):
        with pytest.raises(error, match=f"fit: {message}"):
            run_of(**options)


def state_of(run):
    return {"model": run.model.state_dict(), **run.state_dict()}


@pytest.mark.parametrize("change", [
    {"model": None}, {"epoch": "1"}, {"step": 1.5}, {"position": None}, {"loss_sum": float("nan")}, {"base_lr": -1.0},
    {"history": [1]}, {"history": {}}, {"callbacks": []}, {"settings": 3}, {"normalisation": {"mean": [0.5]}},
    {"optimizer": {}}, {"schedule": {"best": []}}, {"dropouts": {}}, {"dropouts": {"1": [1]}},
    {"callbacks": {"BestModel 0": {}}},
])
def test_a_state_with_something_unfit_is_refused(change):
    def make():
        return run_of(linear(nn.Dropout(0.5)), callbacks=[BestModel("train_loss")], schedule=optim.PlateauLR())

    state = state_of(make())
    make().load_state_dict(state)
    with pytest.raises(CheckpointError, match="resume: "):
        make().load_state_dict(state | change)
    for name in change:
        with pytest.raises(CheckpointError, match="resume: the checkpoint has no fit "):
            make().load_state_dict({key: value for key, value in state.items() if key != name})


def test_a_state_is_taken_over():
    run = run_of(linear(nn.Dropout(0.5)), callbacks=[EarlyStopping("train_loss")])
    run.epoch, run.position, run.step, run.loss_sum, run.right, run.seconds, run.base_lr = 2, 4, 7, 1.5, 3.0, 0.25, 0.125
    run.callbacks[0].waited, run.model[1].step, run.model[0].bias.data[0] = 3, 11, 5.0
    run.history.append(record())
    run.model.output_activation = "sigmoid"
    run.model.normalisation = [0.5] * 4, [0.25] * 4
    other = run_of(linear(nn.Dropout(0.5)), callbacks=[EarlyStopping("train_loss")])
    other.load_state_dict(state_of(run))
    assert all(getattr(other, name) == getattr(run, name) for name in loop._PROGRESS) and other.base_lr == 0.125
    assert (other.callbacks[0].waited, other.model[1].step, other.model[0].bias.data[0]) == (3, 11, 5.0)
    assert other.history == run.history and other.model.output_activation == "sigmoid"
    assert np.array_equal(other.model.normalisation, run.model.normalisation)
    run.model.normalisation = None
    other.load_state_dict(state_of(run))
    assert other.model.normalisation is None


def test_what_an_optimizer_and_a_schedule_have_become_is_taken_over():
    def make():
        model = linear()
        return run_of(model, optimizer=optim.SGD(model.parameters(), 0.5, momentum=0.5), schedule=optim.PlateauLR())

    run, other = make(), make()
    run.optimizer.flat.grad[...] = 1.0
    run.optimizer.step()
    run.schedule.observe(0.25)
    other.load_state_dict(state_of(run))
    assert other.schedule.state_dict() == run.schedule.state_dict() != make().schedule.state_dict()
    for one in (run, other):
        one.optimizer.flat.grad[...] = 1.0
        one.optimizer.step()
    assert np.array_equal(run.optimizer.flat.data, other.optimizer.flat.data)


def test_a_run_of_another_optimizer_or_of_other_settings_is_refused_in_words():
    state, model = state_of(run_of()), linear()
    with pytest.raises(CheckpointError, match=r"of a run with the optimizer Adam, expected SGD$"):
        run_of(model, optimizer=optim.SGD(model.parameters(), 0.1)).load_state_dict(state)
    with pytest.raises(CheckpointError, match=r"of a run with batch_size 2, expected 3; seed 0, expected 1; others need"):
        run_of(batch_size=3, seed=1).load_state_dict(state)
    with pytest.raises(CheckpointError, match=r"0\.weight has shape \(4, 3\), expected \(4, 5\)"):
        run_of(nn.Sequential(nn.Linear(4, 5))).load_state_dict(state)


def test_settings_that_differ_are_said_by_name():
    def said(theirs, own):
        return list(loop._differences("", theirs, own))

    assert said({"seed": 1, "loss": {"kind": "A", "x": 1}}, {"seed": 1, "loss": {"kind": "A", "x": 1}}) == []
    assert said({"seed": 1, "loss": {"kind": "A", "x": 1}}, {"seed": 2, "loss": {"kind": "A", "x": 3}}) == [
        "seed 1, expected 2", "loss x 1, expected 3"]
    assert said({"loss": {"kind": "A"}}, {"loss": {"kind": "B", "x": 1}}) == ["loss A, expected B"]
    assert said({"loss": None, "a": {"x": 1}}, {"loss": {"kind": "B"}, "a": [1]}) == [
        "loss None, expected B", "a {'x': 1}, expected [1]"]


# Diagnosis


class Broken(nn.Identity):
    def forward(self, x):
        return np.full_like(x, np.nan)


def test_the_first_layer_whose_output_is_not_finite():
    assert "layer 1, Broken" in diagnosis.first_output(nn.Sequential(nn.Identity(), Broken(), Broken()), X)
    assert diagnosis.first_output(linear(), X) == "the loss itself"
    assert diagnosis.first_output(linear(), np.full((1, 4), np.inf, np.float32)) == "the input images"


def test_the_gradient_nearest_to_the_loss():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    for parameter in model.parameters():
        parameter.grad = np.zeros_like(parameter.data)
    assert diagnosis.first_gradient(model.parameters()) == diagnosis.first_gradient([]) == "the gradients"
    model[0].weight.grad[0, 0] = model[1].weight.grad[0, 0] = np.nan
    assert diagnosis.first_gradient(model.parameters()).startswith("the gradient of layer 1, ")


def test_layers_that_share_a_parameter():
    layers = [nn.Linear(4, 4) for _ in range(4)]
    for layer in layers[1:3]:
        layer.weight = layers[0].weight
    model = nn.Sequential(*layers)
    assert diagnosis.shared_parameters(model) == ["0.weight and 1.weight and 2.weight"]
    layers[0].freeze()
    layers[1].freeze()
    assert diagnosis.shared_parameters(model) == []


# The search for a learning rate


def test_a_search_from_a_millionth_to_1_in_200_steps():
    found = find_lr(linear(), (X, Y), loss=Silent(), batch_size=2)
    assert len(found.rates) == len(found.losses) == 200 and found.rates[0] == 1e-6
    assert found.rates[-1] == pytest.approx(1.0) and np.allclose(np.diff(np.log(found.rates)), np.log(1e6) / 199)
    assert np.allclose(found.losses, 1.0)


def test_a_tenth_of_the_rate_of_the_least_loss_is_suggested(capsys):
    class Falling(Silent):
        left = 9.0

        def forward(self, prediction, target):
            super().forward(prediction, target)
            self.left = abs(self.left - 1.0)  # 8, 7, ... 1, 0, 1, ...
            return self.left + 1.0

    found = find_lr(linear(), (X, Y), loss=Falling(), batch_size=2, steps=30)
    least = int(np.argmin(found.losses))
    assert 0 < least < len(found.rates) - 1 and found.suggestion == pytest.approx(found.rates[least] / 10)
    assert capsys.readouterr() == ("", ""), "a search shows no progress"


def test_limits_of_a_search():
    assert find_lr(linear(), (X, Y), loss=Silent(), low=1e-30, steps=2).rates == pytest.approx([1e-30, 1.0])
    assert len(find_lr(linear(), (X, Y), loss=Silent(), low=0.5, high=0.5, steps=2).rates) == 2
    for options, error, message in (
        ({"steps": 1}, ShapeError, "steps is 1"), ({"low": 1.0, "high": 0.5}, ValueError, "high is 0.5"),
        ({"low": 0.0}, ValueError, "low is 0.0"), ({"optimizer": 1}, DTypeError, "optimizer is 1"),
    ):
        with pytest.raises(error, match=f"find_lr: {message}"):
            find_lr(linear(), (X, Y), **options)
    with pytest.raises(DTypeError, match="find_lr: model is 1, expected a Module"):
        find_lr(1, (X, Y))
    for option in ("schedule", "penalty", "constraint", "callbacks", "resume"):
        with pytest.raises(ValueError, match=f"find_lr: options have {option}, expected none of these"):
            find_lr(linear(), (X, Y), **{option: None})
    waiting = nn.Sequential(nn.Linear(None, 3))
    assert len(find_lr(waiting, (X, Y), steps=3).rates) == 3 and not hasattr(waiting[0], "weight")


@pytest.mark.parametrize(("second", "ends"), [(6.6, False), (6.8, True)])
def test_a_search_ends_where_the_smoothed_loss_is_four_times_the_least(second, ends):
    watch, run = search._Watch(steps=9), SimpleNamespace(optimizer=SimpleNamespace(lr=0.1), loss_sum=1.0, position=1)
    watch.on_epoch_begin(run)
    watch.on_batch_end(run)
    run.loss_sum, run.position = 1.0 + second, 2
    if ends:
        with pytest.raises(search._SearchEndedError):
            watch.on_batch_end(run)
    else:
        watch.on_batch_end(run)
    assert watch.losses == pytest.approx([1.0, (0.9 + second) / 1.9])


# Settings of a run


def some_function():
    pass


class Some:
    def __init__(self):
        self.shown, self._hidden = (1, [2.5]), 3


@pytest.mark.parametrize(("value", "plain"), [
    (None, None), (True, True), (3, 3), (0.5, 0.5), ("a", "a"), (np.arange(2), [0, 1]), (np.float32(0.5), 0.5),
    (nn.Parameter(np.zeros((2, 3))), [2, 3]), ({1: (2, None)}, {"1": [2, None]}), ([np.int64(1)], [1]),
    (some_function, {"kind": "some_function"}), (Some(), {"kind": "Some", "shown": [1, [2.5]]}),
    (nn.Linear(2, 3), {"kind": "Linear"}), (max, {"kind": "max"}), (object(), {"kind": "object"}),
])
def test_settings_are_plain_data(value, plain):
    described = settings.described(value)
    json.dumps(described)
    assert described == plain


def test_settings_of_losses_and_schedules_are_among_their_attributes():
    loss = settings.described(nn.CrossEntropyLoss(label_smoothing=0.1))
    assert loss.items() >= {"kind": "CrossEntropyLoss", "class_weight": None, "label_smoothing": 0.1}.items()
    assert settings.described(optim.StepLR(2)) == {"kind": "StepLR", "step_size": 2, "gamma": 0.1}


def test_what_an_optimizer_was_given_and_not_what_it_has_become():
    model = linear()
    optimizer = optim.SGD([{"parameters": model.parameters(), "lr": 0.5, "weight_decay": 0.25}], 0.125, momentum=0.5)
    before = settings.described(optimizer)
    assert (before["kind"], before["lr"], before["groups"], before["momentum"]) == ("SGD", 0.125, [[0.5, 0.25]], 0.5)
    assert not before.keys() & {"parameters", "steps", "state"} and not [name for name in before if name.startswith("_")]
    fit(model, optimizer=optimizer)
    assert settings.described(optimizer) == before
    plateau = optim.PlateauLR(patience=3)
    before = settings.described(plateau)
    plateau.observe(1.0)
    assert settings.described(plateau) == before and before["patience"] == 3
