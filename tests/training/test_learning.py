"""Networks learn: losses, schedules, callbacks, histories."""

import re

import numpy as np
import pytest

import fastcnn
from fastcnn import data, models, nn, optim, verification
from fastcnn.shapes import DTypeError, ShapeError
from fastcnn.training import (
    Augment,
    Callback,
)
from fastcnn.training.augment import NAMED
from fastcnn.training.batches import Batches, normalisation_of, order
from fastcnn.training.history import KEYS
from tests.training import setting
from tests.training.setting import DIGITS, EVERYTHING, FEW, IMAGES, LABELS, network, same, train


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
    assert advice in str(caught[0].message) and caught[0].filename in (__file__, setting.__file__)


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
