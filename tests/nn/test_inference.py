"""Frozen networks, and the `inference` block that makes them: norms folded, weights packed, launches recorded."""

import copy
import pickle
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastcnn
from fastcnn import functional, manual_seed, models, nn, optim
from fastcnn.kernels.jit import recording
from fastcnn.nn import activation, frozen, fusion
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


def test_only_layers_in_eval_mode_are_folded():
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
    counted, fold = [], fusion.FusedNorm.folded
    monkeypatch.setattr(fusion.FusedNorm, "folded", lambda self: counted.append(self) or fold(self))
    return counted


def test_weights_are_folded_once_in_a_block(folds):
    model, x = settle(nn.Sequential(conv(3, 4, 3), nn.BatchNorm(4), nn.Flatten())), numbers(2, 5, 5, 3)
    with nn.inference():
        for _ in range(3):
            model.forward(x)
        with nn.inference():
            model.forward(x)
        fastcnn.predict(model, x)
    assert len(folds) == 1
    with nn.inference():
        model.forward(x)
    assert len(folds) == 2


def stepped(model):
    optimizer = optim.SGD(model.parameters(), 0.1)
    optimizer.flat.grad.fill(1)
    optimizer.step()


CHANGES = {
    "an optimizer": stepped,
    "load_state_dict": lambda model: model.load_state_dict({name: 2 * value for name, value in model.state_dict().items()}),
    "set_weights": lambda model: model.set_weights({"0": [2 * array for array in model.get_weights()["0"]]}),
    "assignment": lambda model: setattr(model[0].weight, "data", 2 * model[0].weight.data),
    "a constraint": lambda model: optim.MaxNorm([model[0].weight], 0.1)(),
    "another type and back": lambda model: (model.to(np.float64), model.load_state_dict(
        {name: 2 * value for name, value in model.state_dict().items()}), model.to(np.float32)),
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
    "Upsample2D": lambda: nn.Upsample2D(2), "Pad2D": lambda: nn.Pad2D(1), "Dropout2D": nn.Dropout2D,
    "GlobalMaxPool2D": nn.GlobalMaxPool2D, "AdaptiveMaxPool2D": lambda: nn.AdaptiveMaxPool2D((2, 3)),
    "Reshape": lambda: nn.Reshape(14, 12), "Sequential": nn.Sequential,
}


@pytest.fixture
def replays(monkeypatch):
    """Counts the calls that were replayed."""
    counted, replay = [], recording.Recording.replay
    monkeypatch.setattr(recording.Recording, "replay", lambda self: counted.append(self) or replay(self))
    return counted


def test_the_table_of_replayed_layers_has_every_class():
    """For a forward that did more than launch kernels would give the result of another input."""
    tried = {type(module) for make in LAYERS.values() for _, module in make().named_modules()}
    classes = {kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Module)}
    assert tried == classes - {nn.Module, nn.Layer, nn.Frozen}


@pytest.mark.parametrize("name", LAYERS)
def test_replayed_layers_follow_their_input(name, replays):
    manual_seed(0)
    model = settle(nn.Sequential(LAYERS[name]()))
    images = [numbers(2, 6, 7, 4, seed=seed) for seed in range(5)]
    apart = [model.forward(x) for x in images]
    with nn.inference():
        together = [model.forward(x) for x in images]
    assert len(replays) == 3
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
        for _ in range(2):
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


# Writing into arrays

ARRAYS = {
    "weight": lambda model: model[0].weight.data, "bias": lambda model: model[0].bias.data,
    "gamma": lambda model: model[1].gamma.data, "running statistic": lambda model: model[1].running_var,
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_arrays_of_a_network_are_not_written_to_inside_a_block(array):
    model, x = settle(nn.Sequential(conv(3, 4, 3), nn.BatchNorm(4))), numbers(2, 5, 5, 3)
    with nn.inference():
        before = model.forward(x)
        with pytest.raises(ValueError, match="read-only"):
            array(model)[...] = 0
        with pytest.raises(ValueError, match="read-only"):
            array(model).__imul__(2)
        np.testing.assert_array_equal(model.forward(x), before)
        found = []
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: found.append(array(model).flags.writeable)).result()
        assert found == [True], "the block is that of its own thread"
    array(model)[...] = 2
    with nn.inference():
        assert not np.array_equal(model.forward(x), before)


def test_attributes_of_a_layer_that_change_inside_a_block_are_seen():
    model, x = settle(nn.Sequential(nn.LeakyReLU(0.5), nn.BatchNorm(3), nn.Dropout(0.5))), numbers(2, 5, 5, 3)
    with nn.inference():
        for _ in range(4):
            model.forward(x)
        model[0].slope, model[1].eps = 0.1, 3.0
        seen = [model.forward(x) for _ in range(4)]
        model[2].train()
        assert (model.forward(x) == 0).any()
    model[2].eval()
    np.testing.assert_allclose(seen, [model.forward(x)] * 4, rtol=1e-6, atol=1e-6)


def test_another_thread_that_trains_does_not_reach_into_a_block():
    model, x = settle(nn.Sequential(conv(3, 4, 3), nn.BatchNorm(4), nn.ReLU())), numbers(2, 5, 5, 3)
    with nn.inference(), ThreadPoolExecutor(1) as pool:
        before = model.forward(x)
        pool.submit(stepped, model).result()
        np.testing.assert_array_equal([model.forward(x) for _ in range(4)], [before] * 4)
    with nn.inference():
        assert not np.array_equal(model.forward(x), before)


# Frozen networks

class Own(nn.Module):
    """A network of the user's, whose layers run by call and by forward."""

    def __init__(self):
        self.first = nn.Sequential(conv(3, 8, 3, padding=1), nn.BatchNorm(8), nn.ReLU())
        self.conv, self.doubled, self.scale = conv(8, 8, 3, padding=1), Doubled(8, 8, 1), np.float32(0.5)
        self.heads = {"a": [nn.GlobalAvgPool2D(), nn.Linear(8, 5)]}

    def forward(self, x):
        x = self.first(x)
        x = self.doubled(self.conv.forward(x)) * self.scale + x
        for layer in self.heads["a"]:
            x = layer(x)
        return x


FROZEN = {**NETWORKS, "own": (Own, (2, 9, 7, 3)), "one layer": (lambda: nn.Linear(11, 6), (5, 11)),
          "computed": (lambda: nn.Sequential(nn.Pad2D(1), conv(3, 4, 3), nn.BatchNorm(4), nn.Upsample2D(2)), (2, 9, 7, 3)),
          "own inside": (lambda: nn.Sequential(conv(3, 3, 3), nn.BatchNorm(3), Own(), nn.ReLU()), (2, 9, 7, 3))}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FROZEN)
def test_a_frozen_network_gives_the_bits_of_a_block_and_keeps_them(name, dtype):
    make, shape = FROZEN[name]
    manual_seed(0)
    model = settle(make()).to(dtype)
    images = [numbers(*shape, seed=seed, dtype=dtype) for seed in range(5)]
    with nn.inference():
        wanted = [model.forward(x) for x in images]
    frozen_one = nn.Frozen(model)
    assert frozen_one.dtype == dtype
    for one in (frozen_one, copy.deepcopy(frozen_one), pickle.loads(pickle.dumps(frozen_one))):
        np.testing.assert_array_equal([one(x) for x in images[:3]] + [one.forward(x) for x in images[3:]], wanted)
    for _, tensor in model._tensors().items():
        tensor[...] = np.nan
    model.train()
    np.testing.assert_array_equal([frozen_one(x) for x in images], wanted)


def test_a_frozen_network_folds_packs_and_records_once(folds, forms, replays):
    model, x = settle(nn.Sequential(conv(16, 16, 3, padding=1), nn.BatchNorm(16), nn.ReLU())), numbers(1, 8, 8, 16)
    one = nn.Frozen(model)
    for _ in range(5):
        one(x)
    with nn.inference():
        one(x)
    with nn.evaluation():
        one(x)
    assert (len(folds), len(forms), len(replays)) == (1, 1, 5)


def test_recordings_of_many_shapes_make_room_for_new_ones(monkeypatch, replays):
    monkeypatch.setattr(frozen, "_MOST", 2)
    one = nn.Frozen(settle(nn.Sequential(conv(3, 4, 3), nn.ReLU())))
    images = {width: numbers(1, 5, width, 3) for width in (5, 6, 7)}
    wanted = {width: one(x) for width, x in images.items()}
    for width in (7, 7, 7, 6, 6, 6, 5):  # of 7 once and of 6 twice the first calls are behind; 5 has to begin again
        np.testing.assert_array_equal(one(images[width]), wanted[width])
    assert len(replays) == 2 + 2 and len(one._replays._of) == 2


def test_a_frozen_network_is_its_own(tmp_path):
    model = settle(nn.Sequential(conv(3, 4, 3), nn.Flatten(), nn.Linear(60, 2))).train()
    model.normalisation, model.classes = ([0.5] * 3, [0.2] * 3), ("cat", "dog")
    x = numbers(2, 7, 5, 3)
    y = model.forward(x)
    one = nn.Frozen(model)
    one(x)
    with pytest.raises(NotImplementedError, match="Frozen has no backward"):
        one.backward(y)
    assert model.backward(y).shape == x.shape, "what the model saved is still there"
    assert one.parameters() == [] and one.get_weights() == {} and one.classes == ("cat", "dog")
    for ask in (one.state_dict, lambda: one.load_state_dict({}), lambda: fastcnn.save(one, tmp_path / "model")):
        with pytest.raises(RuntimeError, match="Frozen: a frozen copy has no state, expected the network"):
            ask()
    assert list(tmp_path.iterdir()) == []
    bytes_ = np.random.default_rng(0).integers(0, 256, (6, 7, 5, 3)).astype(np.uint8)
    np.testing.assert_array_equal(fastcnn.predict(one, bytes_), fastcnn.predict(model, bytes_))
    assert fastcnn.evaluate(one, (bytes_, np.arange(6) % 2)) == fastcnn.evaluate(model, (bytes_, np.arange(6) % 2))
    with pytest.raises(RuntimeError, match=r"is None and its parameters .* model\.build"):
        nn.Frozen(nn.Sequential(nn.Linear(None, 3)))


@pytest.mark.parametrize("end", [nn.Softmax, nn.Sigmoid, nn.LogSoftmax, nn.Flatten])
def test_predict_knows_what_a_frozen_network_ends_in(end):
    for model in (settle(nn.Sequential(nn.Flatten(), nn.Linear(12, 3), end())), nn.Sequential(Ending(end()))):
        one, x = nn.Frozen(model.eval()), numbers(2, 2, 2, 3)
        for _ in range(4):
            one(x)
        np.testing.assert_array_equal(fastcnn.predict(one, x), fastcnn.predict(model, x))


def test_layers_behind_a_frozen_network_train():
    features = nn.Frozen(settle(nn.Sequential(conv(3, 4, 3), nn.BatchNorm(4), nn.ReLU(), nn.Flatten())))
    model, images = nn.Sequential(features, nn.Linear(36, 2)), numbers(20, 5, 5, 3)
    before = features(images)
    history = fastcnn.fit(model, (images, (images.mean(axis=(1, 2, 3)) > 0).astype(int)), epochs=30, batch_size=20,
                          optimizer=optim.Adam(model.parameters(), 0.05), progress=False)
    assert history[-1]["train_accuracy"] > 0.9
    np.testing.assert_array_equal(features(images), before)


class Ending(nn.Module):
    def __init__(self, end):
        self.end = end

    def forward(self, x):
        return self.end(x.reshape(2, -1))


def test_threads_share_a_frozen_network():
    for model in (settle(nn.Sequential(conv(3, 24, 3), nn.BatchNorm(24), nn.ReLU(), conv(24, 8, 3))), settle(Own())):
        one, images = nn.Frozen(model), [numbers(2, 9, 9, 3, seed=seed) for seed in range(4)]
        wanted = [nn.Frozen(model)(x) for x in images]

        def calls(index, one=one, images=images):
            return [one(images[index]) for _ in range(30)]

        with ThreadPoolExecutor(4) as pool:
            for result, expected in zip(pool.map(calls, range(4)), wanted, strict=True):
                np.testing.assert_array_equal(result, [expected] * 30)


def test_activations_saved_for_backward_are_not_copied():
    for model in (nn.Sequential(nn.ReLU(), nn.Dropout(0.5)), Ending(nn.ReLU())):
        model.forward(numbers(2, 300_000))
        tracemalloc.start()
        try:
            one = nn.Frozen(model)
            assert tracemalloc.get_traced_memory()[1] < 100_000
        finally:
            tracemalloc.stop()
        assert all(module._saved is None for _, module in one.network.named_modules())
