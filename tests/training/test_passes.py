"""Steps whose launches are recorded and replayed: the same bits as steps that run as they are."""

import os
import signal

import numpy as np
import pytest

import fastcnn
from fastcnn import models, nn, optim
from fastcnn.kernels.jit import recording
from fastcnn.training import Callback, NonFiniteError, WeightAverage, passes
from tests.training.setting import EVERYTHING, FEW, same, train

SPLIT = fastcnn.data.Split(np.concatenate([FEW.images, FEW.images[:6]]), np.concatenate([FEW.labels, FEW.labels[:6]]))
EPOCHS = 2  # of four batches of 16 images, and one of 6
REPLAYED = 2 * (1 + 2)  # passes: the first epoch begins with a step that finds out what the outputs mean


def seeded(make):
    """Let a function make the same network each time."""
    def made():
        fastcnn.manual_seed(5)
        return make()

    return made


conv = nn.Conv2D
LAYERS = {
    "winograd": lambda: (conv(1, 16, 3, padding=1), nn.ReLU(), conv(16, 16, 3, padding=1), nn.ReLU(), nn.GlobalAvgPool2D(),
                         nn.Linear(16, 10)),
    "strides": lambda: (conv(1, 6, 3, padding=1), nn.Tanh(), conv(6, 4, 3, stride=2, padding=1), nn.ReLU(),
                        conv(4, 6, 3, stride=2), nn.Flatten(), nn.Linear(6, 10)),
    "few channels": lambda: (conv(1, 6, 3), nn.ReLU(), conv(6, 4, 3, algorithm="few_channels"), nn.Flatten(),
                             nn.Linear(64, 10)),
    "depthwise, 1x1": lambda: (conv(1, 8, 3, padding=1), nn.Sequential(conv(8, 8, 3, groups=8), nn.Sigmoid()),
                               conv(8, 12, 1), nn.AvgPool2D(2), nn.Flatten(), nn.Linear(108, 10)),
    "groups, dilation": lambda: (conv(1, 6, 3), nn.ReLU(), conv(6, 9, 3, groups=3, dilation=2, bias=False), nn.MaxPool2D(2),
                                 nn.Flatten(), nn.Identity(), nn.Linear(9, 10, bias=False)),
    "frozen layers": lambda: (conv(1, 4, 3).freeze(), nn.ReLU(), conv(4, 5, 3).freeze(), nn.MaxPool2D(2), nn.Flatten(),
                              nn.Linear(20, 10)),
    "norms": lambda: (conv(1, 4, 3, bias=False), nn.BatchNorm(4), nn.ReLU(), conv(4, 5, 3), nn.BatchNorm(5, momentum=0.3),
                      nn.Flatten(), nn.Linear(80, 12), nn.BatchNorm(12), nn.ReLU(), nn.Linear(12, 10)),
    "frozen norms": lambda: (conv(1, 4, 3), nn.BatchNorm(4).freeze(), nn.ReLU(), conv(4, 5, 3), nn.BatchNorm(5).freeze(),
                             nn.Flatten(), nn.Linear(80, 10)),
    "other norms": lambda: (conv(1, 6, 3), nn.GroupNorm(2, 6), nn.ReLU(), conv(6, 4, 3), nn.LayerNorm(4), nn.Flatten(),
                            nn.Linear(64, 12), nn.GroupNorm(3, 12), nn.LayerNorm(12), nn.Linear(12, 10)),
    "dropout": lambda: (conv(1, 6, 3), nn.Dropout2D(0.3), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Dropout(0),
                        nn.Linear(216, 10), nn.Dropout(0.1)),
    "sums": lambda: (conv(1, 8, 3), nn.Residual(nn.Sequential(conv(8, 8, 3, padding=1), nn.BatchNorm(8))), nn.ReLU(),
                     nn.Residual(conv(8, 6, 3), conv(8, 6, 3)), nn.Concat(nn.ReLU(), conv(6, 4, 1), nn.Identity()),
                     nn.GlobalMaxPool2D(), nn.Linear(16, 10)),
    "activations": lambda: (conv(1, 4, 3), nn.LeakyReLU(), conv(4, 4, 1), nn.ELU(), conv(4, 4, 1), nn.SELU(), conv(4, 4, 1),
                            nn.GELU(), conv(4, 4, 1), nn.SiLU(), conv(4, 4, 1), nn.Mish(), nn.Flatten(), nn.Linear(144, 10)),
    "more activations": lambda: (conv(1, 4, 3), nn.Hardswish(), conv(4, 4, 1), nn.Softplus(), conv(4, 4, 1), nn.Softsign(),
                                 conv(4, 4, 1), nn.PReLU(4), conv(4, 4, 1), nn.PReLU(), conv(4, 4, 1), nn.Softmax(),
                                 conv(4, 4, 1), nn.LogSoftmax(), nn.Flatten(), nn.Linear(144, 10)),
    "sizes": lambda: (nn.Pad2D(1, "reflect"), conv(1, 4, 3), nn.AdaptiveMaxPool2D(5), nn.Upsample2D(2, "bilinear"),
                      nn.ConvTranspose2D(4, 4, 3, stride=2), nn.Tanh(), nn.AdaptiveAvgPool2D((3, 4)), nn.Reshape(4, 12),
                      nn.Flatten(), nn.Linear(48, 10)),
    "textbook kernels": lambda: (conv(1, 4, 3, algorithm="loops"), nn.Flatten(), nn.Linear(144, 10)),
    "layer of a user": lambda: (nn.Flatten(), nn.Linear(64, 20), Mine(), nn.Linear(20, 10)),
}
NETWORKS = {
    "lenet5": seeded(lambda: models.create("lenet5", (8, 8, 1), 10)),
    **{name: seeded(lambda layers=layers: nn.Sequential(*layers())) for name, layers in LAYERS.items()},
}
RECORDED = [name for name in NETWORKS if name not in ("textbook kernels", "layer of a user")]


@pytest.fixture
def replays(monkeypatch):
    """Counts the passes that were replayed."""
    counted, replay = [], recording.Recording.replay
    monkeypatch.setattr(recording.Recording, "replay", lambda self: counted.append(self) or replay(self))
    return counted


def trained(make, **options):
    """Return the arrays of a new model after training, and the loss of each epoch."""
    history = train(model := make(), SPLIT, **{"epochs": EPOCHS, **options})
    return model.state_dict() | {"losses": np.array([record["train_loss"] for record in history])}


def unrecorded(monkeypatch, make, **options):
    """Return the same after steps that run as they are."""
    with monkeypatch.context() as patch:
        patch.setattr(passes, "is_possible", lambda: False)
        return trained(make, **options)


def equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def on_threads(count, function):
    """Return function() on so many threads."""
    before = fastcnn.get_num_threads()
    fastcnn.set_num_threads(count)
    try:
        return function()
    finally:
        fastcnn.set_num_threads(before)


def test_networks_have_all_layers_that_are_recorded():
    tried = {type(module) for name in RECORDED for _, module in NETWORKS[name]().named_modules()}
    assert tried == passes._RECORDED


@pytest.mark.parametrize("name", RECORDED)
def test_replayed_steps_give_the_same_bits(name, replays, monkeypatch):
    expected = unrecorded(monkeypatch, NETWORKS[name])
    found = on_threads(2, lambda: trained(NETWORKS[name]))
    assert equal(found, expected) and len(replays) == REPLAYED


OPTIONS = {
    "one thread": {},
    "float64": {},
    "mixup": {"augment": EVERYTHING},
    "validation, average": {"validation": FEW, "callbacks": [WeightAverage(0.9)], "max_norm": 0.1},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_replayed_steps_give_the_same_bits_with(name, replays, monkeypatch):
    def make():
        model = NETWORKS["lenet5" if name != "validation, average" else "norms"]()
        return model.to(np.float64) if name == "float64" else model

    expected = unrecorded(monkeypatch, make, **OPTIONS[name])
    validated = len(replays)
    assert equal(trained(make, **OPTIONS[name]), expected) and len(replays) == 2 * validated + REPLAYED


def replaced():
    model = NETWORKS["lenet5"]()
    model[0].forward = model[0].forward
    return model


class Mine(nn.ReLU):
    """A layer of a user."""


class MyLoss(nn.CrossEntropyLoss):
    """A loss of a user."""


UNRECORDED = {
    "textbook kernels": (NETWORKS["textbook kernels"], {}),
    "layer": (NETWORKS["layer of a user"], {}),
    "replaced": (replaced, {}),
    "loss": (NETWORKS["lenet5"], {"loss": MyLoss()}),
    "callback": (NETWORKS["lenet5"], {"callbacks": [type("Watch", (Callback,), {})()]}),
    "penalty": (NETWORKS["lenet5"], {"penalty": lambda: 0.0}),
}


@pytest.mark.parametrize("name", UNRECORDED)
def test_steps_with_more_than_known_launches_run_as_they_are(name, replays, monkeypatch):
    make, options = UNRECORDED[name]
    expected = unrecorded(monkeypatch, make, **options)
    assert equal(trained(make, **options), expected) and not replays


def test_a_recording_that_would_keep_much_memory_is_given_up(replays, monkeypatch):
    expected = unrecorded(monkeypatch, NETWORKS["lenet5"])
    monkeypatch.setattr(passes, "_MOST", 10_000)
    assert equal(trained(NETWORKS["lenet5"]), expected) and not replays
    steps = passes.Passes(NETWORKS["lenet5"](), True)
    for _ in range(2):
        steps.forward(np.zeros((4, 8, 8, 1), np.float32))
    assert steps._forward is None, "it holds no memory"


def test_predictions_are_the_callers_own_and_gradients_follow_them(replays):
    model, random = NETWORKS["lenet5"](), np.random.default_rng(0)
    recorded, apart = passes.Passes(model, True), []
    inputs, slopes = (random.standard_normal((5, 4, *shape)).astype(np.float32) for shape in ((8, 8, 1), (10,)))
    for run in passes.Passes(model, False), recorded:
        results = []
        for x, dy in zip(inputs, slopes, strict=True):
            results.append([run.forward(x)])
            run.backward(dy)
            results[-1] += [parameter.grad.copy() for parameter in model.parameters()]
        apart.append(results)
    assert len(replays) == 2 * 3
    for one, other in zip(*apart, strict=True):
        assert all(map(np.array_equal, one, other))


@pytest.mark.parametrize("name", ["lenet5", "dropout"])
def test_numbers_that_are_not_finite_end_a_replayed_step_as_any_other(name, replays, monkeypatch):
    images = SPLIT.images / np.float32(255)
    images[np.random.Generator(np.random.Philox(key=[0, 1])).permutation(len(images))[3 * 16]] = np.nan  # in step 4
    models, said = [], []
    for possible in False, True:
        with monkeypatch.context() as patch, pytest.raises(NonFiniteError) as caught:
            patch.setattr(passes, "is_possible", lambda possible=possible: possible)
            models.append(NETWORKS[name]())
            train(models[-1], (images, SPLIT.labels))
        said.append(str(caught.value))
    assert said[0] == said[1] and "step 4" in said[0]
    assert same(*models) and len(replays) == 1, "its forward"


def test_ctrl_c_ends_a_run_of_replayed_steps_after_the_batch(replays, monkeypatch):
    step, histories, models = optim.Adam.step, [], []

    def interrupted(self, **options):
        step(self, **options)
        if self.steps == 4:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(optim.Adam, "step", interrupted)
    for possible in False, True:
        with monkeypatch.context() as patch:
            patch.setattr(passes, "is_possible", lambda possible=possible: possible)
            models.append(NETWORKS["lenet5"]())
            histories.append(train(models[-1], SPLIT, epochs=EPOCHS))
    assert [history.interrupted for history in histories] == [True, True]
    assert same(*models) and len(replays) == 2


@pytest.mark.parametrize("number", [1, 2])
def test_a_model_whose_replayed_step_was_broken_off_trains_on(number, monkeypatch):
    """In forward, and in backward."""
    def broken(self):
        counted.append(self)
        if len(counted) == number:
            raise KeyboardInterrupt
        replay(self)

    counted, replay, model = [], recording.Recording.replay, NETWORKS["lenet5"]()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(recording.Recording, "replay", broken)
        train(model, SPLIT)
    state = model.state_dict()
    train(model, SPLIT, epochs=EPOCHS)
    model.load_state_dict(state)
    other = NETWORKS["lenet5"]()
    other.load_state_dict(state)
    train(model, SPLIT)
    train(other, SPLIT)
    assert same(model, other)
