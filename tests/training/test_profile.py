"""Profiles of a training step."""

from types import SimpleNamespace

import numpy as np
import pytest

import fastcnn
from fastcnn import models, nn, optim
from fastcnn.training import (
    Callback,
    Checkpoint,
    NonFiniteError,
    WeightAverage,
    find_lr,
)
from fastcnn.training import answers as answers_of
from fastcnn.training.diagnosis import first_gradient
from fastcnn.training.search import _SearchEndedError, _Watch
from tests.training.setting import DIGITS, FEW, network, train


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
