"""The training loop, its callbacks, and what it leaves on the disk."""

import csv
import json
import os
import re
import signal
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy

import fastcnn
from fastcnn import data, models, nn, optim, verification
from fastcnn import functional as F  # noqa: N812
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
    find_lr,
    load_checkpoint,
)
from fastcnn.training import answers as answers_of
from fastcnn.training import batches as batches_of
from fastcnn.training import checkpoint as checkpoint_of
from fastcnn.training.augment import NAMED, mixed
from fastcnn.training.batches import Batches, normalisation_of, order
from fastcnn.training.diagnosis import all_finite, first_gradient
from fastcnn.training.files import write_tensors
from fastcnn.training.history import KEYS, cells
from fastcnn.training.search import _SearchEndedError, _Watch
from fastcnn.training.settings import require_like

DIGITS = data.load("digits")
FEW = DIGITS.train.subset(64)
EVERYTHING = Augment(
    crop=1, flip=True, cutout=2, translate=0.1, rotate=10, scale=0.1, brightness=0.1, contrast=0.1, mixup=0.5
)


def network(dropout=0.0, norm=True):
    fastcnn.manual_seed(5)
    layers = [nn.Conv2D(1, 4, 3, padding=1), *([nn.BatchNorm(4)] if norm else []), nn.ReLU(), nn.MaxPool2D(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), nn.Linear(64, 10))


def train(model, split=FEW, **options):
    return fastcnn.fit(model, split, **{"epochs": 1, "batch_size": 16, "progress": False, **options})


def same(model, other):
    state, expected = model.state_dict(), other.state_dict()
    return state.keys() == expected.keys() and all(np.array_equal(state[name], expected[name]) for name in state)


class Interrupter(Callback):
    """Presses Ctrl-C at one batch."""

    def __init__(self, step, times=1):
        self.step, self.times = step, times

    def on_batch_end(self, run):
        if run.step == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)


# Learning


def test_64_images_are_learned_by_heart():
    model = network()
    history = train(model, epochs=40, optimizer=optim.Adam(model.parameters(), 0.01))
    assert history[-1]["train_accuracy"] == 1.0 and history[-1]["train_loss"] < 0.02
    assert fastcnn.evaluate(model, FEW)["accuracy"] == 1.0


def test_labels_without_meaning_are_not_learned():
    labels = np.random.default_rng(0).permutation(DIGITS.train.labels)
    model = network()
    train(model, (DIGITS.train.images, labels), epochs=2)
    assert fastcnn.evaluate(model, DIGITS.test)["accuracy"] < 0.3


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, 0.1, momentum=0.9),
        lambda p: optim.Adam(p, 0.01),
        lambda p: optim.AdamW(p, 0.01),
        lambda p: optim.RMSprop(p, 0.003),
        lambda p: optim.Adagrad(p, 0.05),
    ],
    ids=["sgd", "adam", "adamw", "rmsprop", "adagrad"],
)
def test_every_optimizer_lowers_the_loss(make):
    model = network()
    history = train(model, epochs=4, optimizer=make(model.parameters()))
    assert history[-1]["train_loss"] < 0.6 * history[0]["train_loss"]


def test_a_hand_written_module_trains():
    class Plain(nn.Module):
        def __init__(self):
            self.flatten, self.linear = nn.Flatten(), nn.Linear(64, 10)

        def forward(self, x):
            return self.linear.forward(self.flatten.forward(x))

        def backward(self, dy):
            return self.flatten.backward(self.linear.backward(dy))

    model = Plain()
    history = train(model, epochs=8, optimizer=optim.Adam(model.parameters(), 0.02))
    assert history[-1]["train_accuracy"] > 0.9


def test_targets_of_other_losses():
    images = FEW.images.astype(np.float32) / 255
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    one_hot = np.eye(10)[FEW.labels]
    optimizer = optim.Adam(model.parameters(), 0.01)
    history = train(model, (images, one_hot), loss=nn.MSELoss(), epochs=20, optimizer=optimizer)
    assert history[-1]["train_loss"] < history[0]["train_loss"] / 2 and history[-1]["train_accuracy"] > 0.7
    binary = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    is_zero = (FEW.labels == 0).astype(np.float32)[:, None]
    optimizer = optim.Adam(binary.parameters(), 0.01)
    history = train(binary, (images, is_zero), loss=nn.BCELoss(), epochs=20, optimizer=optimizer)
    assert history[-1]["train_accuracy"] > 0.9


def test_history_has_the_agreed_keys_and_counts_every_image():
    model = network()
    seen = []

    class Count(Callback):
        def on_batch_end(self, run):
            seen.append(run.position)

    history = train(model, DIGITS.train.subset(70), validation=DIGITS.test, epochs=2, callbacks=[Count()])
    assert seen == [16, 32, 48, 64, 70] * 2
    assert [tuple(record) for record in history] == [KEYS, KEYS]
    assert [record["epoch"] for record in history] == [1, 2] and not history.interrupted
    last = history[-1]
    result = fastcnn.evaluate(model, DIGITS.test)
    assert last["test_accuracy"] == result["accuracy"] and last["test_loss"] == pytest.approx(result["loss"], rel=1e-6)
    assert last["images_per_second"] == pytest.approx(70 / last["seconds"])
    assert train(network())[0]["test_loss"] is None


def test_the_first_epochs_loss_is_the_mean_over_its_images():
    model = network(norm=False)
    before = fastcnn.evaluate(model, FEW, batch_size=64)
    record = train(model, batch_size=64, optimizer=optim.SGD(model.parameters(), 0.0))[0]
    normalised = fastcnn.evaluate(model, FEW, batch_size=7)
    assert record["train_loss"] == pytest.approx(normalised["loss"], rel=1e-5)
    assert record["train_accuracy"] == normalised["accuracy"] and before["loss"] != normalised["loss"]


def test_training_repeats_with_the_seed():
    first, second, third = network(0.3), network(0.3), network(0.3)
    train(first, epochs=2, seed=1)
    train(second, epochs=2, seed=1)
    train(third, epochs=2, seed=2)
    assert same(first, second) and not same(first, third)


@pytest.mark.skipif(fastcnn.get_num_threads() < 2, reason="needs two threads")
@pytest.mark.parametrize("name", ["lenet5", "resnet20"])
def test_training_gives_the_same_bits_on_any_number_of_threads(name):
    count, trained = fastcnn.get_num_threads(), []
    try:
        for threads in (1, 2):
            fastcnn.set_num_threads(threads)
            fastcnn.manual_seed(0)
            trained.append(models.create(name, (8, 8, 1), 10))
            train(trained[-1], DIGITS.train.subset(160), batch_size=64)
    finally:
        fastcnn.set_num_threads(count)
    assert same(*trained)


def test_order_is_a_permutation_of_seed_and_epoch():
    orders = [order(50, 0, 1), order(50, 0, 2), order(50, 1, 1)]
    assert all(sorted(indices) == list(range(50)) for indices in orders)
    assert np.array_equal(orders[0], order(50, 0, 1))
    assert not np.array_equal(orders[0], orders[1]) and not np.array_equal(orders[0], orders[2])


def changed(images, augment, index, seed=3, epoch=2, labels=None):
    """Images and mixed targets of one batch, as fit serves them to a model of 10 classes, not normalised."""
    batches = Batches("test", (images, np.arange(len(images)) % 10 if labels is None else labels), augment)
    batches.begin_epoch(seed, epoch)
    index = np.array(index)
    x, targets = batches.serve(index, None, np.dtype(np.float32))
    return x, batches.mix(index, targets, np.zeros((len(index), 10), np.float32))


def test_crop_flip_shifts_and_mirrors():
    images = np.arange(1, 6 * 7 + 1, dtype=np.uint8).reshape(1, 6, 7, 1).repeat(300, axis=0)
    shown = np.rint(255 * changed(images, "crop-flip", range(300))[0][..., 0]).astype(int)
    padded = np.pad(images[0, ..., 0], 4)
    known = {}
    for down in range(9):
        for right in range(9):
            window = padded[down : down + 6, right : right + 7]
            known |= {window.tobytes(): (down, right, 0), window[:, ::-1].tobytes(): (down, right, 1)}
    seen = [known[image.astype(np.uint8).tobytes()] for image in shown]
    assert {down for down, _, _ in seen} == {right for _, right, _ in seen} == set(range(9))
    assert 120 < sum(mirrored for _, _, mirrored in seen) < 180


@pytest.mark.parametrize(
    ("options", "field", "least", "most"),
    [
        ({"crop": 3}, "shift", -3, 3),
        ({"translate": 0.25}, "shift", -2, 2),
        ({"brightness": 0.2}, "lift", -51, 51),
        ({"contrast": 0.4}, "gain", 0.6, 1.4),
        ({"scale": 0.5}, "matrix", 0, 2),
        ({"flip": True}, "matrix", -1, 1),
        ({"rotate": 30.0}, "matrix", -0.5, 1),
        ({"mixup": 1.0}, "share", 0, 1),
        ({"mixup": 1.0}, "partner", 0, 1999),
        ({"cutout": 5}, "hole", -2, 10),
    ],
)
def test_changes_reach_their_bounds_and_no_further(options, field, least, most):
    values = Augment(**options).draw(2000, 8, 8, 0, 1)[field]
    assert least <= values.min() < least + 0.02 * (most - least)
    assert most - 0.02 * (most - least) < values.max() <= most
    still = Augment().draw(3, 8, 8, 0, 1)
    assert np.array_equal(still["matrix"], [np.eye(2)] * 3) and not still["shift"].any() and not still["lift"].any()
    assert (still["gain"] == 1).all() and (still["share"] == 1).all()


def test_contrast_leaves_the_middle_and_turns_keep_lengths():
    contrast = Augment(contrast=0.4).draw(50, 8, 8, 0, 1)
    assert np.allclose(contrast["gain"] * 127.5 + contrast["lift"], 127.5)
    turned = Augment(rotate=40, flip=True).draw(50, 8, 8, 0, 1)["matrix"]
    assert np.allclose(turned @ turned.transpose(0, 2, 1), np.eye(2))
    assert set(np.rint(np.linalg.det(turned))) == {-1, 1}


def test_changes_are_independent_of_each_other():
    changes = EVERYTHING.draw(2000, 8, 8, 0, 1)
    numbers = [changes[name].reshape(2000, -1) for name in ("shift", "gain", "lift", "hole", "partner", "share", "matrix")]
    columns = np.concatenate([part[:, ::2] if part.shape[1] == 4 else part for part in numbers], axis=1)
    columns[:, 3] -= 255 * (1 - columns[:, 2]) / 2  # the part of the lift that belongs to the gain
    between = np.corrcoef(columns[:, :-2].T) - np.eye(columns.shape[1] - 2)
    assert np.abs(between).max() < 0.1


@pytest.mark.parametrize("augment", [*NAMED, EVERYTHING], ids=str)
def test_changes_are_a_function_of_seed_epoch_and_image(augment):
    images = FEW.images.repeat(3, axis=1).repeat(3, axis=2)
    x, targets = changed(images, augment, range(64))
    for index in ([5, 9, 60], [60], range(63, -1, -1)):
        for workers in (1, 3):
            with verification.spread_over(workers):
                some, their = changed(images, augment, index)
            assert np.array_equal(some, x[list(index)]) and np.array_equal(their, targets[list(index)])
    for other in ({"seed": 4}, {"epoch": 3}):
        assert not np.array_equal(changed(images, augment, range(64), **other)[0], x)


def test_fit_changes_the_images_of_training_only():
    plain, different = network(), network()
    train(plain)
    train(different, augment="shift")
    assert not same(plain, different)
    model = network()
    record = train(model, validation=FEW, augment="shift")[0]
    assert record["test_loss"] == pytest.approx(fastcnn.evaluate(model, FEW)["loss"], rel=1e-6)


def test_float_images_are_changed_like_bytes():
    augment = Augment(crop=2, flip=True, rotate=20, cutout=3, mixup=0.5)
    by_bytes, _ = changed(FEW.images, augment, range(64))
    by_floats, _ = changed((FEW.images / 255).astype(np.float32), augment, range(64))
    assert by_floats.dtype == np.float32 and np.allclose(by_floats, by_bytes, atol=1e-6)


def test_mixup_mixes_images_and_targets_alike():
    flat = np.arange(0, 250, 25, dtype=np.uint8).repeat(20)  # the brightness of an image tells its label
    images = flat[:, None, None, None].repeat(4, axis=1).repeat(4, axis=2)
    x, targets = changed(images, Augment(mixup=1.0), range(200), labels=flat.astype(np.int64) // 25)
    assert targets.dtype == np.float32 and np.allclose(targets.sum(axis=1), 1)
    assert np.allclose(targets @ np.arange(10), 255 * x[:, 0, 0, 0] / 25, atol=1e-4)
    assert (np.count_nonzero(targets, axis=1) == 2).mean() > 0.8
    heaviest = targets.max(axis=1)[np.count_nonzero(targets, axis=1) == 2]
    assert abs(heaviest.mean() - 0.75) < 0.04  # of two shares that are equally likely to be anything
    both = changed(images, Augment(mixup=1.0), range(200), labels=flat[:, None] / 250)
    assert np.allclose(both[1][:, 0], x[:, 0, 0, 0] * 255 / 250, atol=1e-6)


def test_a_loss_gets_probabilities_from_mixup():
    seen = []

    class Watch(nn.CrossEntropyLoss):
        def forward(self, prediction, target):
            seen.append(target)
            return super().forward(prediction, target)

    record = train(network(), epochs=1, loss=Watch(), augment=Augment(mixup=0.4))[0]
    assert {target.shape for target in seen} == {(16, 10)} and np.isfinite(record["train_loss"])
    assert 0 < record["train_accuracy"] < 1


def test_normalisation_is_that_of_the_training_images():
    images = np.random.default_rng(0).integers(0, 200, (30, 5, 4, 3), dtype=np.uint8)
    images[..., 2] = 17
    mean, std = normalisation_of(images)
    assert np.allclose(mean, images.mean(axis=(0, 1, 2)) / 255, rtol=1e-6)
    assert np.allclose(std[:2], images.std(axis=(0, 1, 2))[:2] / 255, rtol=1e-6) and std[2] == 1
    model = network()
    train(model)
    assert np.array_equal(model.normalisation.mean, normalisation_of(FEW.images).mean)
    assert model.classes == FEW.classes


def test_a_model_has_the_classes_that_it_was_trained_for_last():
    model = network()
    model.classes = tuple("abcdefghij")
    train(model, (IMAGES, LABELS))
    assert model.classes == tuple("abcdefghij")
    train(model, FEW)
    assert model.classes == DIGITS.classes


COLOURS = ("blue", "green", "red")


def colours(order=COLOURS, only=COLOURS, named=True):
    """Bytes of one colour each, whose labels count in `order`."""
    names = [name for name in only for _ in range(8)]
    images = np.zeros((len(names), 2, 2, 3), np.uint8)
    for image, name in zip(images, names, strict=True):
        image[..., COLOURS.index(name)] = 200
    labels = np.array([order.index(name) for name in names])
    return data.Split(images, labels, order) if named else (images, labels)


def knows_colours(classes=COLOURS):
    """A network that is always right, by the channel of each colour."""
    linear = nn.Linear(12, 3)
    linear.weight.data = np.tile(np.eye(3, dtype=np.float32), (4, 1))
    model = nn.Sequential(nn.Flatten(), linear)
    model.normalisation, model.classes = normalisation_of(colours().images), classes
    return model


@pytest.mark.parametrize("order", [("blue", "red"), ("red", "blue"), ("red", "violet", "green", "blue")])
def test_classes_are_compared_by_name(order):
    split = colours(order, [name for name in order if name in COLOURS])
    assert fastcnn.evaluate(knows_colours(), split)["accuracy"] == 1
    model = knows_colours()
    record = train(model, colours(), validation=split, optimizer=optim.SGD(model.parameters(), 0.0))[0]
    assert record["train_accuracy"] == record["test_accuracy"] == 1
    assert fastcnn.evaluate(model, split[:4])["accuracy"] == 1


def test_labels_without_names_are_numbers_of_outputs():
    assert fastcnn.evaluate(knows_colours(), colours(named=False))["accuracy"] == 1
    assert fastcnn.evaluate(knows_colours(()), colours(("red", "green", "blue")))["accuracy"] == 1 / 3
    numbered = data.Split(*colours(only=("blue",), named=False))
    assert not numbered.named and not numbered[:3].named and fastcnn.evaluate(knows_colours(), numbered)["accuracy"] == 1
    model = knows_colours()
    train(model, numbered)
    assert model.classes == COLOURS


@pytest.mark.parametrize("call", ["evaluate", "validation", "train"])
def test_unknown_classes_are_refused_with_both_lists(call):
    split = colours(("yellow", *COLOURS), COLOURS)
    split.labels[:3] = 0
    message = r"evaluate: split" if call == "evaluate" else f"fit: {call}"
    with pytest.raises(ValueError, match=f"{message} has images of yellow, blue, green, red, expected .* blue, green, red"):
        if call == "evaluate":
            fastcnn.evaluate(knows_colours(), split)
        else:
            given = {"split": split} if call == "train" else {"split": colours(), "validation": split}
            train(knows_colours(), **given)


def test_fine_tuning_on_fewer_classes_keeps_the_names_of_all_outputs(tmp_path):
    fastcnn.save(knows_colours(), tmp_path / "model")
    model = fastcnn.load(tmp_path / "model", model=knows_colours(()))
    record = train(model, colours(("red", "blue"), ("red", "blue")), optimizer=optim.SGD(model.parameters(), 0.0))[0]
    assert model.classes == COLOURS and record["train_accuracy"] == 1


def test_fine_tuning_on_other_classes_takes_their_names_or_refuses():
    model = knows_colours()
    train(model, data.Split(*colours(named=False), ["cat", "dog", "fly"]))
    assert model.classes == ("cat", "dog", "fly")
    with pytest.raises(ValueError, match="train has the classes ant, bee, expected some of the model's, cat, dog, fly"):
        train(model, data.Split(*colours(only=("blue", "green"), named=False), ["ant", "bee"]))


def test_weights_by_number_need_classes_in_the_order_of_the_model():
    split = colours(("red", "green", "blue"))
    with pytest.raises(ValueError, match="fit: class_weight of the loss goes by number"):
        train(knows_colours(), split, loss=nn.CrossEntropyLoss([1, 2, 3]))
    train(knows_colours(), split.as_classes(COLOURS), loss=nn.CrossEntropyLoss([1, 2, 3]))


def test_float_images_are_taken_as_they_are():
    mean, std = normalisation_of(FEW.images)
    ready = ((FEW.images / 255 - mean) / std).astype(np.float32)
    by_bytes, by_floats = network(), network()
    a = train(by_bytes, epochs=2)
    b = train(by_floats, (ready.astype(np.float64), FEW.labels), epochs=2)
    assert by_floats.normalisation is None
    assert a[-1]["train_loss"] == pytest.approx(b[-1]["train_loss"], rel=1e-3)


def learned():
    model = network()
    train(model, epochs=12, optimizer=optim.Adam(model.parameters(), 0.01))
    return model


UNFIT_RANGES = {"bytes as floats": lambda x: x.astype(np.float32), "over 255": lambda x: x / np.float32(255)}


@pytest.mark.parametrize("name", UNFIT_RANGES)
@pytest.mark.parametrize("call", ["evaluate", "predict", "validation", "train", "saliency"])
def test_floats_where_the_model_normalises_bytes_are_warned_of(name, call):
    model, images = network(), UNFIT_RANGES[name](FEW.images)
    model.normalisation = normalisation_of(FEW.images)
    function = "fit" if call in ("validation", "train") else call
    advice = "np.rint(255 * images)" if name == "over 255" else "images.astype(np.uint8)"
    pair = images, FEW.labels
    calls = {"evaluate": lambda: fastcnn.evaluate(model, pair), "predict": lambda: fastcnn.predict(model, images),
             "validation": lambda: train(model, validation=pair), "train": lambda: train(model, pair),
             "saliency": lambda: fastcnn.explain.saliency(model, images)}
    with pytest.warns(UserWarning, match=re.escape(f"{function}: images are float32 from 0 to ")) as caught:
        calls[call]()
    assert advice in str(caught[0].message) and caught[0].filename == __file__


@pytest.mark.parametrize("call", ["evaluate", "predict", "validation"])
def test_bytes_where_the_model_normalises_none_are_warned_of(call):
    model = network()
    calls = {"evaluate": lambda: fastcnn.evaluate(model, FEW), "predict": lambda: fastcnn.predict(model, FEW.images),
             "validation": lambda: train(model, (FEW.images / 255, FEW.labels), validation=FEW)}
    with pytest.warns(UserWarning, match="images are uint8 and the model has no normalisation.*model.normalisation ="):
        calls[call]()


@pytest.mark.filterwarnings("error::UserWarning")
def test_images_as_in_training_are_not_warned_of():
    model = learned()
    mean, std = model.normalisation
    ready = ((FEW.images / 255 - mean) / std).astype(np.float32)
    assert fastcnn.evaluate(model, (ready, FEW.labels))["accuracy"] == fastcnn.evaluate(model, FEW)["accuracy"] > 0.9
    model.normalisation = [0.0], [1.0]
    fastcnn.predict(model, FEW.images / np.float32(255))
    fastcnn.predict(network(norm=False), FEW.images / np.float32(255))


def test_a_loaded_model_normalises_as_the_saved_one_did(tmp_path):
    fastcnn.save(network(), tmp_path / "model")
    model = learned()
    assert fastcnn.load(tmp_path / "model", model=model).normalisation is None


def test_a_normalisation_may_be_a_pair_of_lists(tmp_path):
    model = learned()
    expected = fastcnn.predict(model, FEW.images)
    mean, std = (float(part[0]) for part in model.normalisation)
    for pair in (([mean], [std]), (mean, std), [np.array([mean]), (std,)]):
        model.normalisation = None
        model.normalisation = pair
        assert np.array_equal(fastcnn.predict(model, FEW.images), expected)
    fastcnn.save(model, tmp_path / "model")
    assert np.array_equal(fastcnn.predict(fastcnn.load(tmp_path / "model", model=network()), FEW.images), expected)


@pytest.mark.parametrize(("pair", "error"), [
    ("imagenet", DTypeError), (0.5, DTypeError), ([0.5], DTypeError), ((["a"], ["b"]), DTypeError),
    (([0.5, 0.5], [0.2]), ShapeError), (([], []), ShapeError),
    (([0.5], [0.0]), ValueError), (([np.nan], [1.0]), ValueError), (([123.7], [58.4]), ValueError)])
def test_a_normalisation_that_is_none_says_what_it_wants(pair, error):
    model = network()
    with pytest.raises(error, match=r"normalisation .*expected mean and deviation of each channel where a byte is a number"):
        model.normalisation = pair
    assert model.normalisation is None


def test_schedule_is_followed_step_by_step():
    model = network()
    rates = []

    class Watch(Callback):
        def on_batch_end(self, run):
            rates.append(run.optimizer.lr)

    schedule = optim.WarmupLR(optim.CosineLR(), epochs=1)
    optimizer = optim.SGD(model.parameters(), 0.1)
    train(model, epochs=2, optimizer=optimizer, schedule=schedule, callbacks=[Watch()])
    assert rates == [schedule.lr(step, 8, 0.1, 4) for step in range(8)]


def test_the_optimizer_gets_its_rate_back():
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    rates = [train(model, optimizer=optimizer, schedule=optim.StepLR(1), epochs=3)[-1]["learning_rate"] for _ in range(2)]
    assert rates == pytest.approx([1e-3, 1e-3]) and optimizer.lr == 0.1


def test_plateau_hears_of_each_epoch():
    model = network()
    schedule = optim.PlateauLR(patience=0, threshold=1.0)
    history = train(model, epochs=3, schedule=schedule, optimizer=optim.SGD(model.parameters(), 0.1))
    assert np.allclose([record["learning_rate"] for record in history], [0.1, 0.01, 0.001])


# Use


def test_predict_gives_probabilities_and_leaves_the_modes():
    model = network(0.5)
    train(model)
    model[1].eval()
    probabilities = fastcnn.predict(model, DIGITS.test.images[:50], batch_size=16)
    assert probabilities.shape == (50, 10) and np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert model.training and not model[1].training and model[5].training
    assert np.array_equal(probabilities, fastcnn.predict(model, DIGITS.test.images[:50], batch_size=50))
    right = np.mean(probabilities.argmax(axis=1) == DIGITS.test.labels[:50])
    assert right == fastcnn.evaluate(model, DIGITS.test.subset(50))["accuracy"]


def test_a_single_output_gives_the_probability_of_class_1():
    linear = nn.Linear(64, 1)
    x = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    logits = linear.forward(x).astype(np.float64)
    expected = pytest.approx(1 / (1 + np.exp(-logits)), rel=1e-5)
    assert logits.min() < 0 < logits.max() and fastcnn.predict(nn.Sequential(linear), x) == expected
    assert fastcnn.predict(nn.Sequential(linear, nn.Sigmoid()), x) == expected


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.L1Loss(), nn.HuberLoss(), nn.BCELoss()])
def test_accuracy_of_a_single_output_is_that_of_its_loss(loss):
    share = np.array([[0.2], [0.4], [0.6], [0.9]], np.float32)
    answers = np.log(share / (1 - share)) if isinstance(loss, nn.BCELoss) else share
    target = np.array([[0.0], [1.0], [1.0], [1.0]], np.float32)
    assert fastcnn.evaluate(nn.Sequential(nn.Identity()), (answers, target), loss=loss)["accuracy"] == 0.75


def test_accuracy_of_one_class_and_of_images():
    one = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    assert fastcnn.evaluate(one, (IMAGES, np.zeros(64, int)))["accuracy"] == 1
    images = IMAGES.astype(np.float32) / 255
    same_again = nn.Sequential(nn.Conv2D(1, 1, 3, padding=1))
    assert fastcnn.evaluate(same_again, (images, images), loss=nn.MSELoss())["accuracy"] == 0


def test_predict_does_not_apply_softmax_twice():
    linear = nn.Linear(64, 3)
    x = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    plain = fastcnn.predict(nn.Sequential(linear), x)
    assert np.array_equal(fastcnn.predict(nn.Sequential(linear, nn.Softmax()), x), plain)
    assert np.allclose(fastcnn.predict(nn.Sequential(linear, nn.LogSoftmax()), x), plain, atol=1e-6)


def test_outputs_that_are_not_finite_explain_nothing_and_are_no_answer_in_pictures(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model.normalisation = normalisation_of(FEW.images)
    model[1].bias.data[3] = np.nan
    for explained in (fastcnn.explain.saliency, fastcnn.explain.grad_cam):
        with pytest.raises(ValueError, match=f"{explained.__name__}: the model's outputs are not finite, .* a target"):
            explained(model, FEW.images[:2])
    pytest.importorskip("matplotlib")
    path = tmp_path / "answers.svg"
    fastcnn.plot.predictions(FEW.images[:2], np.full((2, 10), np.nan), path, labels=[0, 0])
    assert path.exists()
    with pytest.MonkeyPatch.context() as patch:
        titles = []
        from matplotlib.axes import Axes

        patch.setattr(Axes, "set_title", lambda self, text, **options: titles.append((text, options["color"])))
        fastcnn.plot.predictions(FEW.images[:2], np.full((2, 10), np.nan), path, labels=[0, 0])
    assert titles == [("no answer\ntruth: 0", fastcnn.plot.figure.WRONG)] * 2


def test_evaluate_and_predict_keep_nothing_for_backward():
    model = network()
    fastcnn.predict(model, FEW.images)
    with pytest.raises(RuntimeError, match="backward needs a forward"):
        model.backward(np.ones((64, 10), np.float32))


class Own(nn.Module):
    """A network with a forward of its own."""

    def __init__(self, outputs, end):
        self.linear, self.end = nn.Linear(64, outputs), end

    def forward(self, x):
        return self.end(self.linear(x))

    def backward(self, dy):
        return self.linear.backward(self.end.backward(dy))


class OwnSigmoid(nn.Module):
    """The logistic function in plain numpy."""

    def forward(self, x):
        self.y = 1 / (1 + np.exp(-x))
        return self.y

    def backward(self, dy):
        return (dy * self.y * (1 - self.y)).astype(dy.dtype)


class ByFunction(nn.Sigmoid):
    def forward(self, x):
        y = F.sigmoid(x)
        self._save(y)
        return y.reshape(len(x), -1)


POINTS = np.random.default_rng(0).standard_normal((256, 64)).astype(np.float32)
ENDS = {
    "layer": lambda: Own(1, nn.Sigmoid()),
    "layers behind": lambda: Own(1, nn.Sequential(nn.Sigmoid(), nn.Identity(), nn.Dropout(0.1), nn.Flatten())),
    "sequential": lambda: nn.Sequential(nn.Linear(64, 1), nn.Sigmoid(), nn.Sequential(nn.Reshape(1), nn.Identity())),
    "own in sequential": lambda: nn.Sequential(Own(1, nn.Sigmoid())),
    "function": lambda: Own(1, ByFunction()),
    "numpy": lambda: Own(1, OwnSigmoid()),
}


@pytest.mark.parametrize("name", ENDS)
def test_probabilities_are_not_squashed_again(name, tmp_path):
    fastcnn.manual_seed(0)
    model, target = ENDS[name](), (POINTS[:, :1] > 0.5).astype(np.float32)
    last = train(model, (POINTS, target), loss=nn.MSELoss(), epochs=30,
                 optimizer=optim.Adam(model.parameters(), 0.02))[-1]["train_accuracy"]
    outputs = model.eval().forward(POINTS)
    assert last > 0.9 and np.array_equal(fastcnn.predict(model, POINTS), outputs)
    assert np.mean((outputs > 0.5) == (target > 0.5)) == fastcnn.evaluate(model, (POINTS, target))["accuracy"]
    fastcnn.save(model, tmp_path / "model")
    loaded = fastcnn.load(tmp_path / "model", model=ENDS[name]())
    assert np.array_equal(fastcnn.predict(loaded, POINTS[:1]), outputs[:1])


@pytest.mark.parametrize("name", ["layer", "layers behind", "sequential", "own in sequential", "function"])
def test_what_a_network_ends_in_is_seen_without_training(name):
    model = ENDS[name]().eval()
    with nn.inference():
        for _ in range(4):  # as often as recorded launches need
            assert np.array_equal(fastcnn.predict(model, POINTS[:2]), model.forward(POINTS[:2]))


@pytest.mark.parametrize("end", [nn.Softmax(), nn.LogSoftmax()], ids=["softmax", "log"])
def test_softmax_in_a_module_of_ones_own_is_seen(end):
    model = Own(3, end)
    probabilities = F.softmax(model.linear(POINTS))
    assert np.allclose(fastcnn.predict(model, POINTS), probabilities, atol=1e-6)
    result = fastcnn.evaluate(model, (POINTS, probabilities.argmax(axis=1)))
    assert result["accuracy"] == 1 and result["loss"] == pytest.approx(-np.log(probabilities.max(axis=1)).mean(), rel=1e-5)


def test_softmax_in_plain_numpy_is_known_by_its_sums():
    class Plain(nn.Module):
        def forward(self, x):
            powers = np.exp(x[:, :3])
            return powers / powers.sum(axis=1, keepdims=True)

    assert np.array_equal(fastcnn.predict(Plain(), POINTS), Plain().forward(POINTS))


def test_an_unknown_output_activation_is_refused():
    model = nn.Sequential(nn.Linear(64, 3))
    model.output_activation = "relu"
    with pytest.raises(ValueError, match="output_activation is 'relu', expected one of softmax, sigmoid, exp, identity, or"):
        fastcnn.predict(model, POINTS)


def test_a_sequential_with_a_forward_of_its_own_is_run():
    class Scaled(nn.Sequential):
        def forward(self, x):
            return 3 * super().forward(x)

    model = Scaled(nn.Linear(64, 1), nn.Sigmoid())
    assert np.array_equal(fastcnn.predict(model, POINTS), F.sigmoid(model.forward(POINTS)))


class SoftmaxInUse(nn.Softmax):
    """Logits in training, probabilities in use."""

    def forward(self, x):
        self._save(False)
        return x if self.training else F.softmax(x)

    def backward(self, dy):
        self._take_saved()
        return dy


def ending(*ends):
    return nn.Sequential(nn.Linear(64, 3), *ends)


THIRDS = np.arange(256) % 3
ONE_OF_THREE = np.eye(3, dtype=np.float32)[THIRDS]
UNSUITABLE = {
    "softmax": (lambda: ending(nn.Softmax()), nn.CrossEntropyLoss(),
                r"takes logits, .* ends in Softmax\(\), which gives probabilities; take the Softmax out"),
    "softmax, other layers behind": (
        lambda: nn.Sequential(ending(nn.Softmax(), nn.Dropout(0.1)), nn.Identity(), nn.Flatten()), nn.CrossEntropyLoss(),
        r"ends in Softmax\(\)"),
    "softmax after a residual block": (
        lambda: nn.Sequential(nn.Residual(nn.Linear(64, 64)), ending(nn.Softmax())), nn.CrossEntropyLoss(),
        r"ends in Softmax\(\)"),
    "softmax in a module of one's own": (
        lambda: Own(3, nn.Softmax()), nn.CrossEntropyLoss(),
        "takes logits, and the model gives probabilities; take the last softmax or sigmoid out"),
    "softmax in a module of one's own, a view behind": (
        lambda: nn.Sequential(Own(3, nn.Softmax()), nn.Reshape(3)), nn.CrossEntropyLoss(), "gives probabilities"),
    "softmax, a subclass": (
        lambda: ending(type("Mine", (nn.Softmax,), {})()), nn.CrossEntropyLoss(), r"ends in Mine\(\), .* the Mine out"),
    "softmax before a loss of one's own": (
        lambda: ending(nn.Softmax()), type("Focal", (nn.CrossEntropyLoss,), {})(),
        r"which takes logits, .*; a loss of your own says what it takes by its output_activation"),
    "softmax before a hinge": (lambda: ending(nn.Softmax()), nn.HingeLoss(), "takes logits, .* gives probabilities"),
    "softmax before NLL": (
        lambda: ending(nn.Softmax()), nn.NLLLoss(),
        r"takes log-probabilities, .* gives probabilities; put nn\.LogSoftmax\(\) in place of the Softmax"),
    "softmax for several labels": (lambda: ending(nn.Softmax()), nn.BCELoss(), "takes logits, .* gives probabilities"),
    "log-softmax": (
        lambda: ending(nn.LogSoftmax()), nn.CrossEntropyLoss(),
        r"takes logits, .* gives log-probabilities; take the LogSoftmax out of the model, or use nn\.NLLLoss\(\)"),
    "log-softmax in a module of one's own": (
        lambda: Own(3, nn.LogSoftmax()), nn.CrossEntropyLoss(label_smoothing=0.1), "the last log-softmax out"),
    "log-softmax for several labels": (lambda: ending(nn.LogSoftmax()), nn.BCELoss(), "gives log-probabilities"),
    "sigmoid": (
        lambda: ending(nn.Sigmoid()), nn.BCELoss(),
        r"which takes logits, .* ends in Sigmoid\(\), which gives probabilities; take the Sigmoid out"),
    "sigmoid by a function": (lambda: Own(3, ByFunction()), nn.BCEWithLogitsLoss(), "the model gives probabilities"),
    "sigmoids of branches": (
        lambda: nn.Sequential(nn.Concat(*[nn.Sequential(nn.Linear(64, 1), nn.Sigmoid()) for _ in range(3)]), nn.Identity()),
        nn.BCELoss(), r"ends in Sigmoid\(\)"),
    "sigmoid for classes": (lambda: ending(nn.Sigmoid()), nn.CrossEntropyLoss(), "takes logits"),
    "logits before NLL": (
        lambda: ending(nn.Flatten()), nn.NLLLoss(),
        r"ends in Linear\(64, 3\), which gives logits; put nn\.LogSoftmax\(\) behind it, or use nn\.CrossEntropyLoss\(\)"),
    "logits of a convolution before NLL": (
        lambda: nn.Sequential(nn.Reshape(1, 1, 64), nn.Conv2D(64, 3, 1), nn.Flatten()), nn.NLLLoss(), "ends in Conv2D"),
}


def targets_of(loss):
    return ONE_OF_THREE if isinstance(loss, (nn.BCELoss, nn.MSELoss)) else THIRDS


@pytest.mark.parametrize("function", ["fit", "evaluate"])
@pytest.mark.parametrize("name", UNSUITABLE)
def test_a_loss_of_outputs_of_another_kind_is_refused(name, function):
    make, loss, words = UNSUITABLE[name]
    model = make()
    before = model.state_dict()
    with pytest.raises(ValueError, match=f"^{function}: loss is {type(loss).__name__}.*{words}"):
        {"fit": train, "evaluate": fastcnn.evaluate}[function](model, (POINTS, targets_of(loss)), loss=loss)
    assert model.output_activation is None and all(np.array_equal(model.state_dict()[key], before[key]) for key in before)


@pytest.mark.parametrize(("make", "loss"), [
    (ending, nn.CrossEntropyLoss()), (lambda: ending(nn.ReLU()), nn.BCELoss()),
    (lambda: ending(nn.LogSoftmax()), nn.NLLLoss()), (lambda: Own(3, nn.LogSoftmax()), nn.NLLLoss()),
    (lambda: ending(nn.Softmax()), nn.MSELoss()), (lambda: ending(nn.Sigmoid()), nn.MSELoss()),
    (lambda: nn.Sequential(ending(nn.Softmax()), nn.Linear(3, 3)), nn.CrossEntropyLoss()),
    (lambda: nn.Residual(ending(nn.Softmax()), nn.Linear(64, 3)), nn.CrossEntropyLoss()),
    (lambda: nn.Concat(nn.Linear(64, 2), nn.Sequential(nn.Linear(64, 1), nn.Sigmoid())), nn.BCELoss()),
], ids=["logits", "ReLU", "log-probabilities", "log-probabilities of a class of its own", "probabilities", "shares",
        "logits behind probabilities", "a sum", "branches of two kinds"])
def test_losses_of_outputs_of_their_kind_are_taken(make, loss):
    model = make()
    assert np.isfinite(train(model, (POINTS, targets_of(loss)), loss=loss)[-1]["train_loss"])
    fastcnn.evaluate(model, (POINTS, targets_of(loss)), loss=loss)


def test_a_loss_that_says_nothing_of_what_it_takes_is_taken():
    class Own:
        def forward(self, prediction, target):
            self.prediction = prediction
            return float(np.mean(prediction))

        def backward(self):
            return np.full_like(self.prediction, 1 / self.prediction.size)

    assert len(train(ending(nn.Softmax()), (POINTS, THIRDS), loss=Own())) == 1


def test_a_softmax_in_use_alone_is_no_obstacle_but_validation_warns():
    model = ending(SoftmaxInUse())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(model, (POINTS, THIRDS))
    with pytest.warns(UserWarning, match=r"fit: validation: loss is CrossEntropyLoss\(\), which takes logits, .*"):
        train(model, (POINTS, THIRDS), validation=(POINTS, THIRDS))


def test_the_refusal_comes_before_anything_is_prepared():
    told = []

    class Told(fastcnn.training.Callback):
        def on_train_begin(self, run):
            told.append(run)

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax())
    with pytest.raises(ValueError, match="take the Softmax out"):
        train(model, FEW, callbacks=[Told()])
    assert not told and model.normalisation is None and model.classes == ()


def test_a_parameter_of_two_layers_is_warned_of_because_one_gradient_overwrites_the_other():
    first, last = nn.Linear(64, 64), nn.Linear(64, 64)
    last.weight = first.weight
    model = nn.Sequential(first, nn.Tanh(), last)
    with pytest.warns(UserWarning, match=r"fit: 0\.weight and 2\.weight are one Parameter, .* for each layer") as told:
        train(model, (POINTS, POINTS), loss=nn.MSELoss())
    assert [one.filename for one in told] == [__file__]  # where fit was called
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(nn.Sequential(first, nn.Tanh(), nn.Linear(64, 64)), (POINTS, POINTS), loss=nn.MSELoss())


def test_several_labels_at_once(tmp_path):
    targets = (POINTS[:, :3] > [-1.0, 0.0, 1.0]).astype(np.float32)
    fastcnn.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 3))
    record = train(model, (POINTS, targets), validation=(POINTS, targets), loss=nn.BCELoss(), epochs=30,
                   optimizer=optim.Adam(model.parameters(), 0.02))[-1]
    probabilities = fastcnn.predict(model, POINTS)
    assert np.array_equal(probabilities, F.sigmoid(model.forward(POINTS)))
    share = np.mean((probabilities > 0.5) == (targets > 0.5))
    assert share > 0.95 and record["test_accuracy"] == fastcnn.metrics.accuracy(probabilities, targets) == share
    result = fastcnn.evaluate(model, (POINTS, targets))
    assert result == fastcnn.evaluate(model, (POINTS, targets), loss=nn.BCELoss()) and result["accuracy"] == share
    assert abs(record["train_accuracy"] - share) < 0.02
    fastcnn.save(model, tmp_path / "model")
    loaded = fastcnn.load(tmp_path / "model", model=nn.Sequential(nn.Linear(64, 3)))
    assert np.array_equal(fastcnn.predict(loaded, POINTS), probabilities)


def test_several_labels_of_a_squared_error():
    targets = (POINTS[:, :3] > [-1.0, 0.0, 1.0]).astype(np.float32)
    model = nn.Sequential(nn.Linear(64, 3))
    train(model, (POINTS, targets), loss=nn.MSELoss())
    outputs = fastcnn.predict(model, POINTS)
    assert np.array_equal(outputs, model.forward(POINTS))
    assert fastcnn.evaluate(model, (POINTS, targets))["accuracy"] == np.mean((outputs > 0.5) == (targets > 0.5))


def spoiled(value):
    """A network that is right, but for one output of every other image."""
    class Spoil(nn.Module):
        def forward(self, x):
            y = np.ones((len(x), 3), np.float32)
            y[::2, 1] = value
            return y

    return Spoil()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_not_finite_are_never_right(value):
    model, labels = spoiled(value), np.zeros(len(POINTS), np.int64)
    assert fastcnn.evaluate(model, (POINTS, labels))["accuracy"] == 0.5
    assert fastcnn.evaluate(model, (POINTS, np.ones((256, 3), "f4")), loss=nn.BCELoss())["accuracy"] == pytest.approx(5 / 6)
    with pytest.warns(UserWarning, match="predict: the model's outputs for 128 of 256 images are not finite"):
        probabilities = fastcnn.predict(model, POINTS)
    assert np.isnan(probabilities[::2]).all() and np.isfinite(probabilities[1::2]).all()
    single = nn.Sequential(nn.Identity())
    answers = np.array([[value], [1.0]], np.float32)
    assert fastcnn.evaluate(single, (answers, np.ones((2, 1), "f4")), loss=nn.BCELoss())["accuracy"] == 0.5


SHARES = np.array([[0.2, 0.6, 0.7]])


@pytest.mark.parametrize(("outputs", "target", "activation", "one_class", "right"), [
    ([[-1.0, -2.0, 3.0]], [[0.0, 0.0, 1.0]], "softmax", True, 1),
    ([[-1.0, -2.0, 3.0]], [[0.0, 0.5, 0.9]], "softmax", False, 1),
    ([[-1.0, -2.0, 3.0]], [[0.0, 0.9, 0.5]], "exp", False, 0),
    ([[-1.0, -2.0, 3.0], [3.0, 2.0, 1.0]], [2, 2], "softmax", True, 1),
    ([[-1.0, 2.0, 3.0]], [[0.0, 1.0, 1.0]], "sigmoid", False, 1),
    ([[-1.0, 2.0, 3.0]], [[0.0, 1.0, 0.0]], "sigmoid", True, 2 / 3),
    (SHARES, [[0.0, 1.0, 1.0]], "identity", False, 1),
    (SHARES, [[0.0, 1.0, 0.0]], "identity", False, 2 / 3),
    (SHARES, [[0.0, 1.0, 0.0]], "identity", True, 0),
    ([[0.5], [0.6]], [[0.0], [1.0]], "identity", False, 2),
    ([[0.0], [0.1]], [[0.5], [0.6]], "sigmoid", False, 2),
    (np.log([[0.4], [0.6]]), [[0.0], [1.0]], "exp", False, 2),
    ([0.1, -0.1, -0.2], [1, 1, 0], "sigmoid", True, 2),
    ([[2.0, -1.0]], [[1.0, 0.0]], "softmax", True, 1),
    ([[2.0, -1.0]], [[1.0, 0.0]], "sigmoid", False, 1),
    ([[-1.0], [-1.0]], [[0.0], [1.0]], "softmax", True, 1),
    ([[0.1], [0.2]], [0, 0], "softmax", True, 2),
    (np.zeros((2, 3, 4)), [0, 0], "softmax", True, 0),
    ([[np.inf, 0.0], [2.0, 1.0]], [0, 0], "softmax", True, 1),
    ([[-np.inf], [-1.0]], [[0.0], [0.0]], "sigmoid", False, 1),
])
def test_which_outputs_are_right(outputs, target, activation, one_class, right):
    assert answers_of.count_right(np.array(outputs), np.array(target), activation, one_class) == pytest.approx(right)


def test_probabilities_sum_to_1_within_their_rounding():
    kinds = [answers_of._of_values(np.array([[0.5, 0.5], [0.25, last]])) for last in (0.750009, 0.750015, 0.749985)]
    assert kinds == ["identity", "softmax", "softmax"]
    assert answers_of._of_values(np.array([[-0.5, 1.5]])) == "softmax"
    assert answers_of._of_values(np.array([[0.0, 1.0]])) == "identity"
    assert answers_of._of_values(np.array([[[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]])) == "identity"
    assert answers_of._of_values(np.zeros((2, 3, 3, 1))) == "sigmoid"
    assert answers_of._of_values(np.array([[1.0], [1.0]])) == answers_of._of_values(np.ones(2)) == "sigmoid"


@pytest.mark.parametrize(("make", "told"), [
    (nn.Softmax, ("identity", True)),
    (lambda: nn.Sequential(nn.Linear(2, 2), nn.LogSoftmax(), nn.Flatten()), ("exp", True)),
    (lambda: nn.Sequential(nn.Sigmoid(), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))), (None, True)),
    (lambda: nn.Sequential(nn.Flatten(), nn.Identity()), (None, True)),
    (lambda: nn.Sequential(nn.Linear(64, 3), OwnSigmoid()), (None, False)),
    (lambda: Own(3, nn.Softmax()), (None, False)),
    (type("OwnReLU", (nn.ReLU,), {}), (None, False)),
    (lambda: nn.Concat(nn.Sigmoid(), nn.Sequential(nn.Linear(2, 2), nn.Sigmoid())), ("identity", True)),
    (lambda: nn.Concat(nn.Sigmoid(), nn.Linear(2, 2)), (None, False)),
    (lambda: nn.Concat(nn.Sigmoid(), nn.Identity()), (None, False)),
])
def test_what_the_last_layer_tells(make, told):
    assert answers_of.of_structure(make()) == told


def test_scores_of_one_image_become_probabilities():
    class Plain(nn.Module):
        def forward(self, x):
            return x[:, :3]

    assert np.allclose(fastcnn.predict(Plain(), POINTS[:1]), F.softmax(POINTS[:1, :3]), atol=1e-6)


def test_inputs_are_of_the_type_of_the_parameters():
    assert batches_of.input_dtype(network().to(np.float64)) == np.float64
    assert batches_of.input_dtype(network()) == batches_of.input_dtype(nn.ReLU()) == np.float32


def test_targets_tell_one_class_where_each_row_sums_to_1():
    for last, one_class in ((0.5005, True), (0.5015, False), (0.4985, False)):
        targets = np.array([[0.0, 1.0], [0.5, last]])
        assert Batches("test", (IMAGES[:2], targets)).one_class == one_class
    assert Batches("test", (IMAGES[:2], LABELS[:2])).one_class


def test_labels_are_counted_in_other_classes_once():
    batches = Batches("test", data.Split(IMAGES[:3], [0, 1, 1], ["a", "b"]))
    assert batches.count_in("test", ("b", "c", "a")) is True and batches.targets.tolist() == [2, 0, 0]
    assert batches.count_in("test", ("b", "c", "a")) is False and batches.targets.tolist() == [2, 0, 0]
    assert Batches("test", (IMAGES[:3], LABELS[:3])).count_in("test", ("b", "a")) is False
    assert Batches("test", data.Split(IMAGES[:3], [0, 1, 1], ["a", "b"])).count_in("test", ()) is False


def test_one_image_at_a_time():
    model = network()
    model.normalisation = normalisation_of(FEW.images)
    assert np.allclose(fastcnn.predict(model, FEW.images, batch_size=1), fastcnn.predict(model, FEW.images), atol=1e-6)
    one, all_ = fastcnn.evaluate(model, FEW, batch_size=1), fastcnn.evaluate(model, FEW)
    assert one["accuracy"] == all_["accuracy"] and one["loss"] == pytest.approx(all_["loss"], rel=1e-5)
    assert len(train(model, FEW.subset(3), batch_size=1)) == 1


@pytest.mark.parametrize("name", ["predict", "evaluate"])
def test_a_model_that_waits_for_its_input_is_made_when_it_is_used(name):
    def use(model):
        return fastcnn.predict(model, FEW.images) if name == "predict" else fastcnn.evaluate(model, FEW)

    model = nn.Sequential(nn.Conv2D(None, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(None, 10))
    model.normalisation = [0.0], [1.0]
    unfit = nn.Sequential(nn.Linear(None, 4), nn.Conv2D(None, 4, 9))
    unfit.normalisation = [0.0], [1.0]
    with pytest.raises(ShapeError, match=r"images have shape \(64, 8, 8, 1\)"):
        use(unfit)
    assert not hasattr(unfit[0], "weight")
    use(model)
    assert model[0].weight.shape == (3, 3, 1, 4) and model[3].weight.shape == (144, 10)


def test_a_cutout_leaves_something_of_each_row_and_column():
    images = np.ones((2, 8, 4, 1), np.uint8)
    Batches("test", (images, LABELS[:2]), Augment(cutout=3))
    for cutout in (4, 5):
        with pytest.raises(ShapeError, match=f"cutout is {cutout}, expected less than the 8 rows and 4 columns"):
            Batches("test", (images, LABELS[:2]), Augment(cutout=cutout))


def test_channels_are_those_of_the_training():
    three = normalisation_of(np.zeros((1, 2, 2, 3), np.uint8))
    with pytest.raises(ShapeError, match=r"images have 1 channels \(shape \(64, 8, 8, 1\)\), expected 3 as in training"):
        batches_of.as_input(IMAGES, np.arange(2), three, np.dtype(np.float32))


@pytest.mark.parametrize(("mean", "std", "least", "most", "advice"), [
    ([0.5, 0.2], [0.25, 0.2], 0.0, 1.0, "np.rint(255 * images).astype(np.uint8), or floats like those, from -2 to 4"),
    ([0.5, 0.2], [0.25, 0.2], 0.0, 1.5, "images.astype(np.uint8), or floats like those, from -2 to 4"),
    ([0.5, 0.2], [0.25, 0.2], -0.1, 3.0, None),
    ([0.5, 0.2], [0.25, 0.2], 0.0, 0.0, None),
    ([0.0, 0.0], [1.0, 0.5], 0.0, 1.9, None),
    ([0.0, 0.0], [1.0, 0.5], 0.0, 2.0005, None),
    ([0.0, 0.0], [1.0, 0.5], 0.0, 2.0015, "images.astype(np.uint8)"),
    ([0.0015, 0.0], [1.0, 1.0], 0.0, 0.5, "np.rint(255 * images)"),
    ([0.0005, 0.0], [1.0, 1.0], 0.0, 0.5, None),
])
def test_which_floats_are_warned_of(mean, std, least, most, advice, recwarn):
    images = np.linspace(least, most, 8).reshape(1, 2, 2, 2)
    batches_of.warn_of_range("test", images, nn.Normalisation(np.array(mean), np.array(std)))
    assert len(recwarn) == (advice is not None)
    assert advice is None or advice in str(recwarn[0].message)


def test_every_pixel_counts_for_the_normalisation(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 2), dtype=np.uint8)
    monkeypatch.setattr(batches_of, "_CHUNK", 7)
    mean, std = normalisation_of(images)
    assert np.allclose(mean, images.mean(axis=(0, 1, 2)) / 255, rtol=1e-6)
    assert np.allclose(std, images.std(axis=(0, 1, 2)) / 255, rtol=1e-6)


@pytest.mark.parametrize(("pixels", "deviation"), [(256, 1.0), (254, np.sqrt(253) / 254 / 255)])
def test_a_channel_that_hardly_varies_is_only_shifted(pixels, deviation):
    """Less than a sixteenth of one step of a byte is rounding, not content."""
    images = np.zeros((1, 1, pixels, 1), np.uint8)
    images[0, 0, 0] = 1
    assert normalisation_of(images).std == pytest.approx([deviation])


def test_sums_that_overflow_are_of_finite_numbers():
    assert all_finite(np.full(3, 3e38, np.float32)) and all_finite(np.zeros(3))
    assert not all_finite(np.array([1.0, np.inf])) and not all_finite(np.array([np.inf, -np.inf]))


def test_large_losses_are_shown_in_few_letters():
    def shown(loss):
        return cells({"epoch": 3, "train_loss": loss, "train_accuracy": 0.5, "seconds": 1.25, "images_per_second": 1234.5},
                     False)

    assert shown(999.5) == ("3", "999.5000", "50.00%", "1.2", "1,234")
    assert shown(1000.0)[1] == "1.00e+03" and shown(-1000.0)[1] == "-1.00e+03"


# Stops


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


# Resuming


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


# Files


def test_save_and_load_make_the_same_model(tmp_path):
    model = models.create("strided_cnn", (8, 8, 1), 10)
    train(model, DIGITS.train.subset(100))
    path = tmp_path / "deep" / "model.safetensors"
    fastcnn.save(model, path)
    other = fastcnn.load(path)
    assert same(model, other) and other.origin == model.origin and other.classes == model.classes
    images = DIGITS.test.images[:20]
    assert np.array_equal(fastcnn.predict(other, images), fastcnn.predict(model, images))
    assert [entry.name for entry in path.parent.iterdir()] == ["model.safetensors"]
    assert "0.weight" in safetensors.numpy.load_file(path)


def test_save_and_load_in_float64(tmp_path):
    model = models.create("two_conv", (8, 8, 1), 3).to(np.float64)
    fastcnn.save(model, tmp_path / "m")
    assert same(fastcnn.load(tmp_path / "m"), model)


def test_a_model_of_ones_own_is_filled(tmp_path):
    path = tmp_path / "own.safetensors"
    model = network()
    train(model)
    fastcnn.save(model, path)
    with pytest.raises(CheckpointError, match=r"load\(path, model=model\)"):
        fastcnn.load(path)
    other = network()
    assert fastcnn.load(path, model=other) is other and same(model, other)
    assert np.array_equal(other.normalisation.std, model.normalisation.std)
    wrong = network(norm=False)
    before = wrong.state_dict()
    with pytest.raises(CheckpointError, match=r"1\.gamma"):
        fastcnn.load(path, model=wrong)
    assert all(np.array_equal(before[name], now) for name, now in wrong.state_dict().items())


def write(path, model, change=None, tensors=None):
    """Save the model with another description or other arrays, and with the digest that fits them."""
    fastcnn.save(model, path)
    arrays = safetensors.numpy.load_file(path) | (tensors or {})
    from fastcnn.training.files import write_tensors

    with safetensors.safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()["fastcnn"])
    description.pop("sha256")
    write_tensors("test", path, arrays, description | (change or {}))


DAMAGES = {
    "empty": (lambda path: path.write_bytes(b""), "damaged or no safetensors file"),
    "text": (lambda path: path.write_text("hello, I am no model"), "damaged or no safetensors file"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-8]), "damaged or no safetensors file"),
    "half a header": (lambda path: path.write_bytes(path.read_bytes()[:60]), "damaged or no safetensors file"),
    "flipped bit": (
        lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
        "its arrays are not those that were written",
    ),
    "longer": (lambda path: path.write_bytes(path.read_bytes() + b"x"), "damaged or no safetensors file"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "path is the folder"),
    "missing": (lambda path: path.unlink(), "there is no file"),
    "foreign": (
        lambda path: safetensors.numpy.save_file({"w": np.ones(2)}, path, metadata={"format": "pt"}),
        "was not written by fastcnn (its metadata has ['format'])",
    ),
    "no metadata": (lambda path: safetensors.numpy.save_file({"w": np.ones(2)}, path), "was not written by fastcnn"),
    "no JSON": (
        lambda path: safetensors.numpy.save_file({"w": np.ones(2)}, path, metadata={"fastcnn": "{"}),
        "its metadata is no JSON",
    ),
    "a list": (
        lambda path: safetensors.numpy.save_file({"w": np.ones(2)}, path, metadata={"fastcnn": "[]"}),
        "format version None",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files_are_refused(tmp_path, name):
    damage, message = DAMAGES[name]
    path = tmp_path / "model.safetensors"
    fastcnn.save(models.create("two_conv", (8, 8, 1), 3), path)
    damage(path)
    with pytest.raises(CheckpointError) as caught:
        fastcnn.load(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


ORIGIN = {"name": "two_conv", "input_shape": [8, 8, 1], "num_classes": 3}
UNFIT = {
    "version": ({"version": 2}, None, "format version 2, expected 1"),
    "kind": ({"kind": "recipe"}, None, "unfit kind"),
    "unknown model": ({"origin": ORIGIN | {"name": "../../etc"}}, None, "unfit origin"),
    "huge input": ({"origin": ORIGIN | {"input_shape": [10**6, 10**6, 1]}}, None, "unfit origin"),
    "huge classes": ({"origin": ORIGIN | {"num_classes": 10**9}}, None, "unfit origin"),
    "input of text": ({"origin": ORIGIN | {"input_shape": "big"}}, None, "unfit origin"),
    "too small an input": ({"origin": ORIGIN | {"input_shape": [1, 1, 1]}}, None, "cannot be made"),
    "other classes": ({"origin": ORIGIN | {"num_classes": 4}}, None, "7.weight has shape (128, 3), expected (128, 4)"),
    "class names": ({"classes": [1, 2]}, None, "unfit classes"),
    "normalisation": ({"normalisation": [[0.5], [0.0]]}, None, "unfit normalisation"),
    "normalisation of NaN": ({"normalisation": [[float("nan")], [1.0]]}, None, "unfit normalisation"),
    "normalisation of nothing": ({"normalisation": [[], []]}, None, "unfit normalisation"),
    "normalisation of one part": ({"normalisation": [[0.5]]}, None, "unfit normalisation"),
    "normalisation of three parts": ({"normalisation": [[0.5], [1.0], [1.0]]}, None, "unfit normalisation"),
    "normalisation of two lengths": ({"normalisation": [[0.5, 0.5], [1.0]]}, None, "unfit normalisation"),
    "normalisation of integers": ({"normalisation": [[0], [1]]}, None, "unfit normalisation"),
    "normalisation of text": ({"normalisation": "ab"}, None, "unfit normalisation"),
    "input of two sizes": ({"origin": ORIGIN | {"input_shape": [8, 8]}}, None, "unfit origin"),
    "input of no rows": ({"origin": ORIGIN | {"input_shape": [0, 8, 1]}}, None, "unfit origin"),
    "no classes": ({"origin": ORIGIN | {"num_classes": 0}}, None, "unfit origin"),
    "origin of text": ({"origin": "two_conv"}, None, "unfit origin"),
    "origin of two": ({"origin": {"name": "two_conv", "input_shape": [8, 8, 1]}}, None, "unfit origin"),
    "one NaN": ({}, {"0.bias": np.append(np.zeros(15, np.float32), np.float32(np.nan))}, "not finite, the first in 0.bias"),
    "NaN": ({}, {"0.bias": np.full(16, np.nan, np.float32)}, "not finite, the first in 0.bias"),
    "integers": ({}, {"0.bias": np.zeros(16, np.int32)}, "0.bias is int32, expected float32"),
    "another shape": ({}, {"0.bias": np.zeros(15, np.float32)}, "0.bias has shape (15,), expected (16,)"),
    "one too many": ({}, {"extra": np.zeros(1, np.float32)}, "extra is unknown"),
}


def test_the_largest_model_that_a_file_may_ask_for():
    assert checkpoint_of._is_origin(ORIGIN | {"num_classes": checkpoint_of._MOST_CLASSES})
    assert checkpoint_of._is_origin(ORIGIN | {"input_shape": [checkpoint_of._LARGEST_INPUT, 1, 1], "num_classes": 1})
    assert checkpoint_of._is_origin(None) is checkpoint_of._is_normalisation(None) is True
    assert not checkpoint_of._is_origin(ORIGIN | {"num_classes": checkpoint_of._MOST_CLASSES + 1})
    assert not checkpoint_of._is_origin(ORIGIN | {"input_shape": [checkpoint_of._LARGEST_INPUT + 1, 1, 1]})
    assert not checkpoint_of._is_origin(ORIGIN | {"num_classes": True})


def test_other_files_and_folders_are_no_checkpoints(tmp_path):
    for name in ("checkpoint-00000002.safetensors", "checkpoint-00000010.safetensors", "notes.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "checkpoint-00000030.safetensors").mkdir()
    assert list(checkpoint_of.checkpoints(tmp_path)) == [10, 2]


@pytest.mark.parametrize("name", UNFIT)
def test_unfit_contents_are_refused(tmp_path, name):
    change, tensors, message = UNFIT[name]
    path = tmp_path / "model.safetensors"
    write(path, models.create("two_conv", (8, 8, 1), 3), change, tensors)
    with pytest.raises(CheckpointError) as caught:
        fastcnn.load(path)
    assert message in str(caught.value)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    model = models.create("two_conv", (8, 8, 1), 3)
    fastcnn.save(model, path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fastcnn.save(models.create("two_conv", (8, 8, 1), 4), path)
    assert path.read_bytes() == before and [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_save_refuses_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match="path is the folder"):
        fastcnn.save(network(), tmp_path)
    with pytest.raises(DTypeError, match="model is 'lenet5'"):
        fastcnn.save("lenet5", tmp_path / "m")


# Refused arguments

IMAGES, LABELS = FEW.images, FEW.labels
REFUSED = [
    ({"epochs": 0}, ShapeError, "fit: epochs is 0"),
    ({"epochs": 1.5}, DTypeError, "fit: epochs is 1.5"),
    ({"batch_size": 0}, ShapeError, "fit: batch_size is 0"),
    ({"seed": -1}, ShapeError, "fit: seed is -1"),
    ({"augment": "mirror"}, ValueError, "fit: augment is 'mirror'"),
    ({"augment": {"crop": 4}}, DTypeError, "fit: augment is {'crop': 4}, expected an Augment, None or one of crop-flip"),
    (
        {"split": (IMAGES / 255, LABELS), "augment": Augment(contrast=0.1)},
        DTypeError,
        "images are float64, expected uint8 for brightness and contrast",
    ),
    ({"augment": "crop-flip-cutout"}, ShapeError, "fit: cutout is 16, expected less than the 8 rows and 8 columns"),
    ({"split": (IMAGES, LABELS + 5), "augment": EVERYTHING}, ValueError, "fit: labels hold "),
    ({"loss": nn.NLLLoss(), "augment": EVERYTHING}, DTypeError, "fit: loss is NLLLoss(), which takes labels"),
    ({"loss": nn.HingeLoss(), "augment": "crop-flip-mixup"}, DTypeError, "such as nn.CrossEntropyLoss(), with mixup"),
    ({"loss": nn.MSELoss}, DTypeError, "MSELoss'>, expected an object with forward and backward"),
    ({"loss": "mse"}, DTypeError, "fit: loss is 'mse', expected an object"),
    ({"penalty": 1e-4}, DTypeError, "fit: penalty is 0.0001, expected a Callable"),
    ({"optimizer": optim.Adam(network().parameters())}, ValueError, "fit: optimizer has no parameter of the model"),
    ({"seed": 2**63}, ValueError, "fit: seed is 9223372036854775808, expected 0 to 9223372036854775807"),
    ({"callbacks": BestModel()}, DTypeError, "expected an Iterable"),
    ({"optimizer": "adam"}, DTypeError, "fit: optimizer is 'adam', expected an Optimizer"),
    ({"schedule": 0.1}, DTypeError, "fit: schedule is 0.1"),
    ({"callbacks": [print]}, DTypeError, "fit: callbacks is <built-in function print>"),
    ({"callbacks": [BestModel()]}, ValueError, "BestModel: monitor is 'test_accuracy', which needs fit(validation"),
    ({"callbacks": [BestModel("test_f1", mode="max")], "validation": FEW}, ValueError,
     "BestModel: monitor is 'test_f1', which needs fit(metrics={'f1': ...}); expected one of train_loss"),
    ({"callbacks": [BestModel("train_loss", path="/")]}, CheckpointError, "BestModel: path is the folder /, expected a"),
    ({"metrics": {"f1": max}}, ValueError, "fit: metrics has f1, expected validation=... to measure them on"),
    ({"metrics": [max], "validation": FEW}, DTypeError, "fit: metrics is [<built-in function max>], expected functions by"),
    ({"metrics": {"f1": 0.5}, "validation": FEW}, DTypeError, "fit: metrics is {'f1': 0.5}, expected functions by name"),
    ({"metrics": {"f0": max, "f1": 0.5}, "validation": FEW}, DTypeError, "expected functions by name"),
    ({"metrics": {"a,b": max}, "validation": FEW}, ValueError, "fit: metrics has the name 'a,b', expected letters"),
    ({"metrics": {"loss": max}, "validation": FEW}, ValueError, "fit: metrics has the name 'loss'"),
    ({"metrics": {"f1": lambda p, y: [1, 2]}, "validation": FEW}, DTypeError, "fit: the metric 'f1' gave [1, 2]"),
    ({"model": None}, DTypeError, "fit: model is None"),
    (
        {"split": (IMAGES.reshape(64, 64) / 255, LABELS), "augment": "crop-flip"},
        ShapeError,
        "images have shape (64, 64), expected (N, H, W, C) for Augment(crop=4, flip=True",
    ),
    ({"split": DIGITS}, DTypeError, "a Dataset has .train and .test"),
    ({"split": IMAGES}, DTypeError, "data is a ndarray"),
    ({"split": SimpleNamespace(images=IMAGES)}, DTypeError, "data is a SimpleNamespace, expected a Split"),
    ({"split": (IMAGES, LABELS[:10])}, ShapeError, "labels have shape (10,), expected (64,)"),
    ({"split": (IMAGES[..., 0], LABELS)}, ShapeError, "images[..., None]"),
    ({"split": (IMAGES.astype(int), LABELS)}, DTypeError, "images are int64"),
    ({"split": (IMAGES[:0], LABELS[:0])}, ShapeError, "images have shape (0, 8, 8, 1)"),
    ({"split": (IMAGES, ["one"] * 64)}, DTypeError, "labels are <U3"),
    ({"split": (np.repeat(IMAGES, 3, axis=3), LABELS)}, ShapeError, "3 channels"),
    ({"split": (IMAGES, LABELS + 5)}, ValueError, "label"),
    ({"split": (IMAGES, LABELS - 1)}, ValueError, "label"),
    ({"validation": (IMAGES, LABELS[:5])}, ShapeError, "labels have shape (5,)"),
    ({"resume": "/nowhere/checkpoint"}, CheckpointError, "there is no file /nowhere/checkpoint"),
]


@pytest.mark.parametrize(("options", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_refused_arguments(options, error, message):
    with pytest.raises(error) as caught:
        train(**{"model": network(), **options})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: EarlyStopping("loss"), ValueError, "monitor is 'loss', expected one of train_loss"),
        (lambda: EarlyStopping("test_f1"), ValueError, "EarlyStopping: mode is None, expected 'min' or 'max'"),
        (lambda: BestModel(mode="highest"), ValueError, "BestModel: mode is 'highest', expected 'min' or 'max'"),
        (lambda: EarlyStopping(patience=0), ShapeError, "patience is 0"),
        (lambda: EarlyStopping(min_delta=float("nan")), ValueError, "min_delta is nan"),
        (lambda: Augment(crop=-1), ShapeError, "Augment: crop is -1, expected at least 0"),
        (lambda: Augment(cutout=2.5), DTypeError, "Augment: cutout is 2.5, expected an integer"),
        (lambda: Augment(flip=0.5), DTypeError, "Augment: flip is 0.5, expected True or False"),
        (lambda: Augment(translate=1.5), ValueError, "Augment: translate is 1.5"),
        (lambda: Augment(rotate=-10), ValueError, "Augment: rotate is -10.0"),
        (lambda: Augment(scale=1), ValueError, "Augment: scale is 1.0, expected a finite number of at least 0 and below 1"),
        (lambda: Augment(brightness=float("nan")), ValueError, "Augment: brightness is nan"),
        (lambda: Augment(contrast="much"), DTypeError, "Augment: contrast is 'much'"),
        (lambda: Augment(mixup=-0.1), ValueError, "Augment: mixup is -0.1"),
        (lambda: Checkpoint("x", every=0), ShapeError, "every is 0"),
        (lambda: Checkpoint("x", keep=0), ShapeError, "keep is 0"),
        (lambda: fastcnn.predict(network(), IMAGES[0]), ShapeError, "images[..., None]"),
        (lambda: fastcnn.predict(network(), IMAGES, batch_size=0), ShapeError, "batch_size is 0"),
        (lambda: fastcnn.evaluate(network(), FEW, batch_size=0), ShapeError, "batch_size is 0"),
        (lambda: fastcnn.predict(network(), np.ones(3)), ShapeError, "images have shape (3,), expected (N, H, W, C)"),
        (lambda: mixed(np.array([9]), np.array([10]), np.ones(1), 10), ValueError, "labels hold 10 to 10, expected 0 to 9"),
        (lambda: mixed(np.array([-1]), np.array([9]), np.ones(1), 10), ValueError, "labels hold -1 to -1, expected 0 to 9"),
        (lambda: fastcnn.evaluate(network(), FEW, batch_size="all"), DTypeError, "batch_size is 'all'"),
        (lambda: fastcnn.predict(network(), FEW), DTypeError, "predict: images are a Split, expected an array such as its"),
        (lambda: fastcnn.predict(IMAGES, network()), DTypeError, "expected a Module"),
        (lambda: fastcnn.evaluate("lenet5", FEW), DTypeError, "evaluate: model is 'lenet5', expected a Module"),
        (lambda: fastcnn.load("lenet5", model=nn.Sequential), DTypeError, "Sequential'>, expected a Module"),
        (lambda: fastcnn.evaluate(network(), FEW, loss=nn.MSELoss), DTypeError, "evaluate: loss is <class"),
        (lambda: fastcnn.gradient_check("conv", IMAGES), DTypeError, "model_or_op is 'conv'"),
        (lambda: fastcnn.gradient_check(nn.Linear, IMAGES), DTypeError, "Linear'>, expected a Module, a Loss or a function"),
        (lambda: fastcnn.gradient_check(nn.MSELoss(), IMAGES), DTypeError, "0 arguments after x, expected 1: the target"),
        (lambda: fastcnn.gradient_check(nn.ReLU(), IMAGES, eps=0.0), ValueError, "eps is 0.0"),
    ],
)
def test_refused_elsewhere(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


# Gradient check


def test_gradient_check_of_functions():
    random = np.random.default_rng(0)
    x, weight, bias = random.random((2, 5, 5, 2)), random.random((3, 3, 2, 4)), random.random(4)
    assert fastcnn.gradient_check(F.conv2d, x, weight, bias, stride=2, padding=1) < 1e-9
    assert fastcnn.gradient_check(F.linear, random.random((3, 4)), random.random((4, 2))) < 1e-9
    assert fastcnn.gradient_check(F.max_pool2d, x, 2) < 1e-9
    assert fastcnn.gradient_check(F.gelu, x) < 1e-8
    assert fastcnn.gradient_check(F.cross_entropy, random.random((3, 4)), np.array([0, 1, 3])) < 1e-8
    ones = np.ones(2)
    assert fastcnn.gradient_check(F.batch_norm, x, ones, ones, 0 * ones, ones, training=True) < 1e-8


def test_gradient_check_of_losses():
    prediction = np.random.default_rng(0).standard_normal((3, 4))
    assert fastcnn.gradient_check(nn.MSELoss(), prediction, np.ones((3, 4), np.float32)) < 1e-8
    assert fastcnn.gradient_check(nn.CrossEntropyLoss(), prediction, np.array([0, 3, 1])) < 1e-8


def test_gradient_check_shows_each_gradient():
    check = fastcnn.gradient_check(nn.Linear(4, 2), np.random.default_rng(0).random((3, 4)))
    first, *lines = repr(check).split("\n")
    assert float(first) == check and len(lines) == 3
    assert {one.gradient for one in check.differences} == {"dx", "weight", "bias"}
    worst = check.differences[0]
    at = f"{worst.gradient}[{', '.join(map(str, worst.place))}]"
    assert worst.error == check
    assert lines[0] == f"  {at} is {worst.came:.8g}, expected {worst.expected:.8g}: error {worst.error:.2g}"


def test_gradient_check_sees_a_wrong_gradient():
    class Wrong(nn.Linear):
        def backward(self, dy, need_dx=True):
            dx = super().backward(dy, need_dx)
            self.bias.grad *= 1.01
            return dx

    x = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    assert 0.005 < fastcnn.gradient_check(Wrong(4, 2), x) < 0.02
    assert fastcnn.gradient_check(nn.Linear(4, 2), x) < 1e-9


def test_gradient_check_sees_a_gradient_that_is_no_number():
    class Wrong(nn.Linear):
        def backward(self, dy, need_dx=True):
            dx = super().backward(dy, need_dx)
            self.bias.grad[1] = np.nan
            return dx

    assert np.isnan(fastcnn.gradient_check(Wrong(4, 2), np.random.default_rng(0).random((3, 4))))


def test_gradient_check_leaves_the_model_alone():
    model = network(0.5)
    before = model.state_dict()
    assert fastcnn.gradient_check(model, np.random.default_rng(0).random((2, 8, 8, 1)), samples=10) < 1e-6
    assert all(np.array_equal(before[name], now) for name, now in model.state_dict().items())
    assert model[5].step == 0


# Start


def test_importing_the_package_imports_no_compiler():
    import subprocess

    code = "import sys, fastcnn; print([name for name in ('numba', 'numpy', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_there():
    for name in (
        "fit",
        "evaluate",
        "predict",
        "save",
        "load",
        "set_num_threads",
        "get_num_threads",
        "manual_seed",
        "gradient_check",
        "History",
        "nn",
        "optim",
        "models",
        "data",
        "functional",
        "kernels",
    ):
        assert getattr(fastcnn, name) is not None and name in dir(fastcnn)
    with pytest.raises(AttributeError, match="'fastfit'"):
        _ = fastcnn.fastfit


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    history = train(network(), validation=DIGITS.test, epochs=2, callbacks=[CSVLogger(path), Checkpoint(tmp_path)])
    history = train(network(), epochs=4, callbacks=[CSVLogger(path)], resume=tmp_path)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [tuple(row) for row in rows] == [KEYS] * 4
    assert [float(row["train_loss"]) for row in rows] == [record["train_loss"] for record in history]
    assert rows[1]["test_loss"] and rows[3]["test_loss"] == ""


# Profiles


def test_profile_has_every_layer_and_leaves_the_model_alone():
    model = models.create("resnet20", (8, 8, 1), 10)
    before = model.state_dict()
    profile = model.profile(np.ones((4, 8, 8, 1), np.float32), repeats=2)
    assert [row.name for row in profile.rows] == [row.name for row in model.summary((8, 8, 1)).rows]
    assert all(row.forward > 0 and row.backward > 0 for row in profile.rows)
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())
    assert profile.step > 0 and profile.peak > 1e9 and profile.batch_size == 4


def test_profile_counts_the_work_of_both_directions():
    model = nn.Sequential(nn.Conv2D(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))
    convolution, relu, _, linear = model.profile(np.ones((2, 8, 8, 1), np.float32), repeats=1).rows
    assert convolution.forward_work == 2 * 2 * 64 * 36
    assert convolution.backward_work == convolution.forward_work  # nobody needs the gradient of the images
    assert linear.forward_work == 2 * 2 * 2560 and linear.backward_work == 2 * linear.forward_work
    assert relu.forward_work == relu.backward_work == 0


def test_profile_of_a_module_of_your_own():
    class Twice(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(3, 3)

        def forward(self, x):
            return 2 * self.inner(x)

        def backward(self, dy):
            return self.inner.backward(2 * dy)

    profile = Twice().profile(np.ones((5, 3), np.float32), repeats=1)
    assert [row.name for row in profile.rows] == ["inner"]
    assert "whole step of 5 images" in str(profile)


def test_a_penalty_of_all_parameters_is_weight_decay():
    images, labels = np.random.default_rng(0).standard_normal((8, 5)).astype(np.float32), np.arange(8) % 3

    def trained(decay, weight):
        fastcnn.manual_seed(0)
        model = nn.Linear(5, 3)
        penalty = nn.L2(model.parameters(), weight)
        history = train(model, (images, labels), epochs=2, batch_size=4, penalty=penalty,
                        optimizer=optim.SGD(model.parameters(), 0.1, weight_decay=decay))
        return model.weight.data, history[0]["train_loss"]

    (with_penalty, larger), (with_decay, smaller) = trained(0.0, 0.5), trained(0.5, 0.0)
    np.testing.assert_allclose(with_penalty, with_decay, rtol=1e-5)
    assert larger > smaller


def test_a_schedule_that_is_used_again_begins_anew():
    images, labels = np.random.default_rng(0).standard_normal((8, 5)).astype(np.float32), np.arange(8) % 3
    plateau = optim.PlateauLR(patience=0, threshold=0.99)
    schedule = optim.WarmupLR(plateau, epochs=1)
    model = nn.Linear(5, 3)
    for _ in range(2):
        history = train(model, (images, labels), epochs=4, batch_size=4, schedule=schedule,
                        optimizer=optim.SGD(model.parameters(), 0.1))
        assert history[1]["learning_rate"] == 0.1 and plateau.cuts == 3


def test_a_constraint_holds_after_each_step():
    images, labels = np.random.default_rng(0).standard_normal((8, 5)).astype(np.float32), np.arange(8) % 3
    model, norms = nn.Linear(5, 3), []

    class Watch(Callback):
        def on_batch_end(self, run):
            norms.append(np.sqrt((run.model.weight.data**2).sum(axis=0)).max())

    constraint = optim.MaxNorm([model.weight], 0.5)
    train(model, (images, labels), epochs=3, batch_size=4, constraint=constraint, callbacks=[Watch()],
          optimizer=optim.SGD(model.parameters(), 5.0))
    np.testing.assert_allclose(norms, 0.5, rtol=1e-5)  # so long a step always ends beyond


def test_an_average_follows_the_weights_and_is_exchanged_with_them():
    model, average, seen = network(), WeightAverage(0.75), []

    class Watch(Callback):
        def on_batch_end(self, run):
            seen.append(run.optimizer.flat.data.copy())

    start = np.concatenate([parameter.data.reshape(-1) for parameter in model.parameters()])
    train(model, epochs=2, callbacks=[average, Watch()])
    for weights in seen:
        start = 0.75 * start + 0.25 * weights
    with average.swapped():
        now = np.concatenate([parameter.data.reshape(-1) for parameter in model.parameters()])
        np.testing.assert_allclose(now, start, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([parameter.data.reshape(-1) for parameter in model.parameters()]), seen[-1])


def test_an_average_goes_on_in_a_resumed_run(tmp_path):
    whole, part = WeightAverage(0.9), WeightAverage(0.9)
    train(network(), epochs=2, callbacks=[whole])
    train(network(), epochs=1, callbacks=[part, Checkpoint(tmp_path)])
    resumed = WeightAverage(0.9)
    train(network(), epochs=2, callbacks=[resumed], resume=tmp_path)
    np.testing.assert_array_equal(resumed.average, whole.average)


def test_a_search_tries_rising_rates_on_a_copy():
    model = network()
    before = model.state_dict()
    found = find_lr(model, FEW, optimizer=optim.SGD, low=1e-4, high=100.0, steps=40, batch_size=16)
    assert len(found.rates) == len(found.losses) <= 40
    assert np.allclose(np.diff(np.log(found.rates)), np.log(1e6) / 39)
    assert found.suggestion == found.rates[int(np.argmin(found.losses))] / 10
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_a_search_does_not_hide_what_no_rate_can_help():
    images = FEW.images / np.float32(255)
    images[:] = np.nan
    with pytest.raises(NonFiniteError, match="the first such value is in the input images"):
        find_lr(network(), (images, FEW.labels))
    for option in ({"penalty": nn.L2(network().parameters(), 0.1)}, {"schedule": optim.CosineLR()}, {"callbacks": []}):
        with pytest.raises(ValueError, match=f"find_lr: options have {next(iter(option))}, expected none of these"):
            find_lr(network(), FEW, **option)


def test_losses_of_a_search_are_smoothed_without_a_start_from_zero():
    """Equal losses stay what they are; others weigh 0.9 times as much with each batch that follows."""
    watch, run = _Watch(steps=9), SimpleNamespace(optimizer=SimpleNamespace(lr=0.1), loss_sum=0.0, position=0)
    watch.on_epoch_begin(run)
    for loss in (2.0, 2.0, 4.0):
        run.loss_sum, run.position = run.loss_sum + 16 * loss, run.position + 16
        watch.on_batch_end(run)
    np.testing.assert_allclose(watch.losses, [2.0, 2.0, (0.81 * 2 + 0.9 * 2 + 4) / (0.81 + 0.9 + 1)])
    run.loss_sum, run.position = run.loss_sum + 16 * 100.0, run.position + 16
    with pytest.raises(_SearchEndedError):
        watch.on_batch_end(run)


def test_batches_have_128_images_where_nothing_says_how_many():
    steps = []

    class Count(Callback):
        def on_batch_end(self, run):
            steps.append(run.position)

    fastcnn.fit(network(), DIGITS.train.subset(130), epochs=1, progress=False, callbacks=[Count()])
    assert steps == [128, 130]


def test_one_output_is_on_from_a_score_of_zero_or_a_probability_of_a_half():
    target = np.array([[1.0], [0.0]])
    for activation, middle in (("softmax", 0.0), ("sigmoid", 0.0), ("exp", np.log(0.5)), ("identity", 0.5)):
        for distance, right in ((0.1, 2), (-0.1, 0)):
            prediction = middle + np.array([[distance], [-distance]])
            assert answers_of.count_right(prediction, target, activation, one_class=False) == right


def test_where_all_gradients_are_finite_none_is_named():
    assert first_gradient(network().parameters()) == "the gradients"
