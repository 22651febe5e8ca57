"""Networks in use: batch norms folded into the layers before them, once for an `inference` block."""

import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastcnn
from fastcnn import functional, manual_seed, models, nn, optim
from fastcnn.kernels.jit import recording
from fastcnn.nn import activation, fusion
from fastcnn.runtime import packed
from fastcnn.shapes import DTypeError, ShapeError


def numbers(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def settle(model):
    """Give every array of the model telling values: gammas of both signs, biases, running statistics."""
    random = np.random.default_rng(1)
    for _, module in model.named_modules():
        if isinstance(module, nn.BatchNorm):
            C = module.channels
            module.gamma.data, module.beta.data = random.normal(1, 0.5, C), random.normal(0, 0.5, C)
            module.running_mean[:], module.running_var[:] = random.normal(0, 0.5, C), random.uniform(0.3, 3, C)
        elif getattr(module, "bias", None) is not None:
            module.bias.data = random.normal(0, 0.5, module.bias.shape)
    return model.eval()


def conv(*arguments, **options):
    return nn.Conv2D(*arguments, **options)


NETWORKS = {
    "resnet20": (lambda: models.create("resnet20", (16, 16, 3), 10), (4, 16, 16, 3)),
    "strided_cnn": (lambda: models.create("strided_cnn", (28, 28, 1), 10), (3, 28, 28, 1)),
    "bias, no ReLU": (lambda: nn.Sequential(conv(3, 20, 3, padding=1), nn.BatchNorm(20)), (2, 9, 7, 3)),
    "1x1 and ReLU": (lambda: nn.Sequential(conv(5, 7, 1), nn.BatchNorm(7), nn.ReLU()), (2, 9, 7, 5)),
    "depthwise": (lambda: nn.Sequential(conv(6, 6, 3, groups=6), nn.BatchNorm(6), nn.ReLU()), (2, 9, 7, 6)),
    "groups, dilation": (lambda: nn.Sequential(conv(6, 9, 3, groups=3, dilation=2), nn.BatchNorm(9)), (2, 9, 7, 6)),
    "linear": (lambda: nn.Sequential(nn.Linear(11, 6), nn.BatchNorm(6), nn.ReLU(), nn.Linear(6, 3, bias=False),
                                     nn.BatchNorm(3)), (5, 11)),
    "two in a row": (lambda: nn.Sequential(conv(3, 4, 3), nn.BatchNorm(4), nn.BatchNorm(4), nn.ReLU()), (2, 9, 7, 3)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NETWORKS)
def test_folding_changes_values_by_rounding_alone(name, dtype):
    make, shape = NETWORKS[name]
    manual_seed(0)
    model, x = settle(make()).to(dtype), numbers(*shape, dtype=dtype)
    apart = model.forward(x)
    with nn.inference():
        folded = model.forward(x)
    assert folded.dtype == dtype and np.abs(folded - apart).max() > 0
    np.testing.assert_allclose(folded, apart, rtol=0, atol=50 * np.finfo(dtype).eps * np.abs(apart).max())


def test_only_layers_in_use_are_folded():
    manual_seed(0)
    model, x = settle(nn.Sequential(conv(3, 4, 3), nn.BatchNorm(4), nn.ReLU())), numbers(2, 5, 5, 3)
    with nn.inference():
        used = model.forward(x)
        trained = model.train().forward(x)
        assert not np.allclose(used, trained, atol=0.1)
        assert not np.array_equal(model.eval().forward(x), used), "the running statistics moved"


class Doubled(nn.Conv2D):
    def forward(self, x):
        return 2 * super().forward(x)


def test_a_layer_with_a_forward_of_its_own_is_not_folded():
    model, x = settle(nn.Sequential(Doubled(3, 4, 3), nn.BatchNorm(4))), numbers(2, 5, 5, 3)
    apart = model.forward(x)
    with nn.inference():
        assert np.array_equal(model.forward(x), apart)


def test_training_and_backward_are_those_of_the_single_layers():
    def results(merged):
        manual_seed(3)
        model = nn.Sequential(conv(3, 8, 3), nn.BatchNorm(8), nn.ReLU(), nn.Flatten(), nn.Linear(72, 5), nn.BatchNorm(5))
        if not merged:
            vars(model)["_fused"] = model.layers
        y = model.forward(numbers(4, 5, 5, 3))
        dx = model.backward(numbers(*y.shape, seed=1))
        return len(model._steps), [y, dx, *(parameter.grad for parameter in model.parameters())]

    (few, together), (many, alone) = results(True), results(False)
    assert (few, many) == (3, 6)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nothing_is_left_for_backward():
    model, x = settle(nn.Sequential(conv(3, 4, 3), nn.BatchNorm(4))), numbers(2, 5, 5, 3)
    with nn.inference():
        dy = model.forward(x)
    with pytest.raises(RuntimeError, match="backward needs a forward"):
        model.backward(dy)


@pytest.mark.parametrize("size", [1, 37, 300_001])
def test_a_relu_in_place_gives_the_same_bits(size):
    x = numbers(size)
    x[0] = np.nan
    wanted, y = functional.relu(x), x.copy()
    assert functional.relu(y, out=y) is y
    np.testing.assert_array_equal(y, wanted)
    other = np.empty_like(x)
    assert functional.relu(x, out=other) is other
    np.testing.assert_array_equal(other, wanted)
    integers = np.ones(3, int)
    with pytest.raises(DTypeError, match="relu: out is a int64 array"):
        functional.relu(integers, out=integers)


@pytest.fixture
def folds(monkeypatch):
    """Counts how often weights are folded."""
    counted, fold = [], fusion.Normalised._folded
    monkeypatch.setattr(fusion.Normalised, "_folded", lambda self: counted.append(self) or fold(self))
    return counted


def test_weights_are_folded_once_in_a_block(folds):
    model, x = settle(nn.Sequential(conv(3, 4, 3), nn.BatchNorm(4))), numbers(2, 5, 5, 3)
    with nn.inference():
        for _ in range(3):
            model.forward(x)
        with nn.inference():
            model.forward(x)
        fastcnn.predict(nn.Sequential(model, nn.Flatten()), x)
    assert len(folds) == 1
    with nn.inference():
        model.forward(x)
    assert len(folds) == 2
    assert nn.inference_cache() is None


def stepped(model):
    optimizer = optim.SGD(model.parameters(), 0.1)
    optimizer.flat.grad.fill(1)
    optimizer.step()


CHANGES = {
    "an optimizer": stepped,
    "load_state_dict": lambda model: model.load_state_dict({name: 2 * value for name, value in model.state_dict().items()}),
    "set_weights": lambda model: model.set_weights({"0": [2 * array for array in model.get_weights()["0"]]}),
    "assignment": lambda model: setattr(model[0].weight, "data", 2 * model[0].weight.data),
    "assignment in place": lambda model: setattr(model[0].weight, "data", model[0].weight.data.__imul__(2)),
    "a forward in training": lambda model: (model.train().forward(numbers(2, 5, 5, 3)), model.eval()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_parameters_are_folded_again(change, folds):
    model, x = settle(nn.Sequential(conv(3, 4, 3), nn.BatchNorm(4))), numbers(2, 5, 5, 3)
    with nn.inference():
        before = model.forward(x)
        change(model)
        after = model.forward(x)
    assert len(folds) == 2
    assert not np.allclose(before, after, rtol=1e-2)
    np.testing.assert_allclose(after, model.forward(x), rtol=0, atol=1e-5 * np.abs(after).max())


def test_what_is_prepared_belongs_to_its_owner_and_name():
    one, other = nn.Identity(), nn.Identity()
    with nn.inference():
        cache = nn.inference_cache()
        assert [cache.get(owner, name, lambda number=number: number)
                for number, (owner, name) in enumerate([(one, "a"), (one, "b"), (other, "a"), (one, "a")])] == [0, 1, 2, 0]


# Weights in the form that kernels read

ALGORITHMS = {
    "direct": (lambda: conv(3, 20, 5), (2, 9, 7, 3)),
    "groups": (lambda: conv(6, 9, 3, groups=3), (2, 9, 7, 6)),
    "winograd": (lambda: conv(16, 20, 3, padding=1), (2, 9, 7, 16)),
    "few channels": (lambda: conv(1, 6, 5, padding=2), (2, 28, 28, 1)),
    "1x1": (lambda: conv(5, 7, 1), (2, 9, 7, 5)),
    "depthwise": (lambda: conv(6, 6, 3, groups=6), (2, 9, 7, 6)),
    "linear": (lambda: nn.Linear(11, 6), (5, 11)),
}


@pytest.fixture
def forms(monkeypatch):
    """Counts how often weights are written in another form."""
    counted, written = [], packed._written
    monkeypatch.setattr(packed, "_written", lambda target, write: counted.append(target) or written(target, write))
    return counted


@pytest.mark.parametrize("name", ALGORITHMS)
def test_weights_are_packed_once_in_a_block_with_the_same_bits(name, forms):
    make, shape = ALGORITHMS[name]
    manual_seed(0)
    model, x = settle(nn.Sequential(make(), nn.ReLU())), numbers(*shape)
    apart = model.forward(x)
    outside = len(forms)
    assert outside <= 1
    with nn.inference():
        for _ in range(3):
            np.testing.assert_array_equal(model.forward(x), apart)
    assert len(forms) == 2 * outside
    np.testing.assert_array_equal(model.forward(x), apart)
    assert len(forms) == 3 * outside, "outside of a block nothing is kept"


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_weights_are_packed_again(change):
    model, x = settle(nn.Sequential(conv(3, 4, 3), nn.ReLU(), nn.BatchNorm(4))), numbers(2, 5, 5, 3)
    with nn.inference():
        model.forward(x)
        change(model)
        after = model.forward(x)
    with nn.inference():
        np.testing.assert_array_equal(after, model.forward(x))


def test_weights_that_nobody_promised_are_read_at_every_call(forms):
    x, weight = numbers(5, 11), numbers(11, 6)
    with nn.inference():
        before = functional.linear(x, weight)
        weight *= 2
        np.testing.assert_array_equal(functional.linear(x, weight), 2 * before)
        layer = nn.Linear(11, 6)  # in training
        layer.forward(x)
        before = len(forms)
        layer.forward(x)
        assert len(forms) == before + 1


def test_packed_weights_are_freed_at_the_end_of_the_block(forms):
    model, x = nn.Linear(11, 6).eval(), numbers(5, 11)
    with nn.inference():
        model.forward(x)
        packed = [weakref.ref(target) for target in forms]
        forms.clear()
        assert all(one() is not None for one in packed)
    assert all(one() is None for one in packed)


# Launches made again without Python between

LAYERS = {
    "Conv2D": lambda: nn.Conv2D(4, 5, 3), "Conv2D winograd": lambda: nn.Conv2D(4, 16, 3, padding=1),
    "Conv2D groups": lambda: nn.Conv2D(4, 6, 3, stride=2, groups=2),
    "Conv2D depthwise": lambda: nn.Conv2D(4, 4, 3, groups=4),
    "Conv2D few channels": lambda: nn.Conv2D(4, 2, 5, padding=2), "Conv2D 1x1": lambda: nn.Conv2D(4, 7, 1),
    "BatchNorm": lambda: nn.BatchNorm(4), "GroupNorm": lambda: nn.GroupNorm(2, 4), "LayerNorm": lambda: nn.LayerNorm(4),
    **{name: getattr(nn, name) for name in activation.__all__},
    "PReLU": lambda: nn.PReLU(4), "Dropout": nn.Dropout, "Identity": nn.Identity,
    "MaxPool2D": lambda: nn.MaxPool2D(3, stride=2, padding=1), "AvgPool2D": lambda: nn.AvgPool2D(2),
    "GlobalAvgPool2D": nn.GlobalAvgPool2D, "AdaptiveAvgPool2D": lambda: nn.AdaptiveAvgPool2D(3),
    "Flatten": nn.Flatten, "Linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(6 * 7 * 4, 3)),
    "Residual": lambda: nn.Residual(nn.Conv2D(4, 4, 3, padding=1), nn.BatchNorm(4)),
    "Concat": lambda: nn.Concat(nn.Conv2D(4, 3, 1), nn.Identity()), "ConvTranspose2D": lambda: nn.ConvTranspose2D(4, 3, 3),
    "Upsample2D": lambda: nn.Upsample2D(2), "Pad2D": lambda: nn.Pad2D(1),
}


@pytest.fixture
def replays(monkeypatch):
    """Counts the calls that were replayed."""
    counted, replay = [], recording.Recording.replay
    monkeypatch.setattr(recording.Recording, "replay", lambda self: counted.append(self) or replay(self))
    return counted


@pytest.mark.parametrize("name", LAYERS)
def test_replayed_layers_follow_their_input(name, replays):
    manual_seed(0)
    model = settle(nn.Sequential(LAYERS[name]()))
    images = [numbers(2, 6, 7, 4, seed=seed) for seed in range(5)]
    apart = [model.forward(x) for x in images]
    with nn.inference():
        together = [model.forward(x) for x in images]
    assert len(replays) == (3 if all(layer.only_launches for layer in model) else 0)
    for one, other in zip(apart, together, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-5)
    if "Residual" not in name:  # whose batch norm is not folded
        np.testing.assert_array_equal(together, apart)


def test_textbook_kernels_are_not_replayed_and_follow_their_input(replays):
    manual_seed(0)
    model = settle(nn.Sequential(conv(4, 5, 3, algorithm="loops"), nn.ReLU(), conv(5, 3, 3, algorithm="loops")))
    images = [numbers(2, 6, 7, 4, seed=seed) for seed in range(5)]
    apart = [model.forward(x) for x in images]
    with nn.inference():
        together = [model.forward(x) for x in images]
    np.testing.assert_array_equal(together, apart)
    assert not replays
    near = model.set_algorithm("direct").forward(images[-1])
    np.testing.assert_allclose(together[-1], near, rtol=0, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "linear"])
def test_replays_give_the_same_bits_on_any_number_of_threads(name, threads, replays, monkeypatch):
    make, shape = NETWORKS[name]
    manual_seed(0)
    model, images = settle(make()), [numbers(*shape, seed=seed) for seed in range(4)]
    before = fastcnn.get_num_threads()
    try:
        fastcnn.set_num_threads(1)
        with nn.inference(), monkeypatch.context() as patch:
            patch.setattr(recording, "is_possible", lambda: False)
            alone = [model.forward(x) for x in images]
        fastcnn.set_num_threads(threads)
        with nn.inference():
            np.testing.assert_array_equal([model.forward(x) for x in images], alone)
    finally:
        fastcnn.set_num_threads(before)
    assert len(replays) == 2


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_replays_end_with_a_change_of_the_parameters(change, replays):
    model, x = settle(nn.Sequential(conv(3, 4, 3), nn.BatchNorm(4), nn.ReLU())), numbers(2, 5, 5, 3)
    with nn.inference():
        for _ in range(4):
            before = model.forward(x)
        change(model)
        after = [model.forward(x) for _ in range(4)]
    with nn.inference():
        wanted = model.forward(x)
    assert len(replays) == 4
    assert not np.allclose(before, wanted, rtol=1e-2)
    np.testing.assert_array_equal(after, [wanted] * 4)


def test_replays_end_where_forward_is_another(replays):
    model, x = settle(nn.Sequential(conv(3, 4, 3), nn.Sequential(nn.Dropout(0.5)))), numbers(2, 5, 5, 3)
    with nn.inference():
        for _ in range(3):
            used = model.forward(x)
        assert not np.array_equal(model.train().forward(x), used)
        model.eval()[0].forward = lambda x: x
        assert np.array_equal(model.forward(x), x)
        del model[0].forward
        assert np.array_equal(model.forward(x), used)
    assert len(replays) == 2


def test_a_layer_of_the_user_is_not_replayed(replays):
    model, x = settle(nn.Sequential(Doubled(3, 4, 3), nn.Sequential(conv(4, 2, 3)))), numbers(2, 7, 7, 3)
    apart = model.forward(x)
    with nn.inference():
        np.testing.assert_array_equal([model.forward(x) for _ in range(4)], [apart] * 4)
    assert len(replays) == 2, "the part of it that is known is"


def test_results_of_replays_are_the_callers_own():
    model, images = settle(nn.Sequential(conv(3, 4, 3), nn.ReLU())), [numbers(1, 5, 5, 3, seed=seed) for seed in range(4)]
    with nn.inference():
        results = [model.forward(x) for x in images]
        for result in results[:-1]:
            result.fill(0)
        np.testing.assert_array_equal(model.forward(images[-1]), results[-1])
        wrong = numbers(1, 5, 5, 4)
        with pytest.raises(ShapeError, match="4 channels"):
            model.forward(wrong)


def test_threads_of_python_replay_apart():
    model = settle(nn.Sequential(conv(3, 24, 3), nn.ReLU(), conv(24, 8, 3)))
    images = [numbers(2, 30, 30, 3, seed=seed) for seed in (0, 1)]
    apart = [model.forward(x) for x in images]

    def calls(index):
        with nn.inference():
            return [model.forward(images[index]) for _ in range(50)]

    with ThreadPoolExecutor(2) as pool:
        for result, wanted in zip(pool.map(calls, (0, 1)), apart, strict=True):
            np.testing.assert_array_equal(result, [wanted] * 50)


def test_no_launch_of_a_replay_begins_before_the_one_before_it_ends(replays):
    if fastcnn.kernels.jit.threads.available() < 2:
        pytest.skip("on one core, threads take turns")
    manual_seed(0)
    model = settle(nn.Sequential(*(conv(24, 24, 3, padding=1, bias=False) for _ in range(8))))
    x, before = numbers(1, 16, 16, 24), fastcnn.get_num_threads()
    try:
        fastcnn.set_num_threads(2)
        with nn.inference():
            first = model.forward(x)
            assert all(np.array_equal(model.forward(x), first) for _ in range(300))
    finally:
        fastcnn.set_num_threads(before)
    assert max(replays[-1]._shares) == 2


def test_more_launches_than_a_recording_holds_are_made_as_usual(monkeypatch, replays):
    monkeypatch.setattr(recording, "_MOST", 3)
    x = numbers(1, 5, 5, 3)
    with nn.inference():
        for depth in (3, 4):
            model = nn.Sequential(*(conv(3, 3, 1, bias=False) for _ in range(depth))).eval()
            apart = nn.Sequential(*model).eval().forward(x)
            np.testing.assert_array_equal([model.forward(x) for _ in range(4)], [apart] * 4)
    assert len(replays) == 2
