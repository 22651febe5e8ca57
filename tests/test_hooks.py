"""What sees each forward and backward of a module: traces, lazy layers; and what of the user's is never fused away."""

import copy

import numpy as np
import pytest

import fastcnn
from fastcnn import manual_seed, nn
from fastcnn.nn.inspect.trace import traced


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)

    def backward(self, dy):
        return super().backward(2 * dy)


class Own(nn.Module):
    """A network whose layers run by call, by forward, and in a list."""

    def __init__(self, size=4):
        self.called, self.forwarded = nn.Linear(size, 4), nn.Linear(4, 4)
        self.several = [nn.ReLU(), Doubled(4, 3)]

    def forward(self, x):
        x = self.forwarded.forward(self.called(x))
        for layer in self.several:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in (*reversed(self.several), self.forwarded, self.called):
            dy = layer.backward(dy)
        return dy


NAMES = ["called", "forwarded", "several.0", "several.1"]


def test_a_trace_sees_calls_and_forwards_once_and_by_name():
    model, x = Own(), numbers(2, 4)
    seen = []
    with traced(model, lambda name, layer, forward, values: seen.append((name, layer)) or forward(values),
                lambda name, layer, backward, dy: seen.append((name, layer)) or backward(dy)):
        y = model(x)
        model.backward(y)
    assert [name for name, _ in seen] == NAMES + NAMES[::-1]
    assert [layer for _, layer in seen[:4]] == [model.called, model.forwarded, *model.several]
    np.testing.assert_array_equal(model(x), y)
    assert len(seen) == 8


def test_summary_profile_and_activations_see_each_layer():
    model, x = Own(), numbers(2, 4)
    assert [row.name for row in model.summary((4,)).rows] == NAMES
    profile = model.profile(x, repeats=1)
    assert [row.name for row in profile.rows] == NAMES and all(row.forward > 0 and row.backward > 0 for row in profile.rows)
    images = numbers(2, 4, 4, 1)
    network = nn.Sequential(nn.Conv2D(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4), Own())
    maps = fastcnn.explain.activations(network, images)
    assert list(maps) == ["0", "1", "2", "3", *(f"4.{name}" for name in NAMES)]
    np.testing.assert_array_equal(maps["4.several.1"], network.eval().forward(images))


def test_a_trace_shows_layers_that_usually_run_as_one():
    manual_seed(0)
    model, x = nn.Sequential(nn.Conv2D(3, 4, 3), nn.BatchNorm(4), nn.ReLU(), nn.MaxPool2D(2)), numbers(2, 6, 6, 3)
    apart = copy.deepcopy(model)
    with traced(model, lambda name, layer, forward, values: forward(values)):
        y = model.forward(x)
        dx = model.backward(y)
    assert [type(step) for step in model._steps] == [nn.Conv2D, nn.BatchNorm, nn.ReLU, nn.MaxPool2D]
    np.testing.assert_array_equal(apart.forward(x), y)
    np.testing.assert_array_equal(apart.backward(y), dx)
    assert len(apart._steps) == 2


def test_an_error_ends_a_trace():
    model, seen = Own(), []
    with pytest.raises(fastcnn.ShapeError), traced(model, lambda name, *_: seen.append(name) or _[1](_[2])):
        model(numbers(2, 5))
    model(numbers(2, 4))
    assert seen == ["called"]


# Functions that are set on an instance

def fused(*replaced):
    """A network all of whose layers run as one with neighbours; the forward of some is set on the instance."""
    manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm(4), nn.ReLU(), nn.Residual(nn.Sequential(nn.Linear(4, 4),
                          nn.BatchNorm(4))), nn.ReLU(), nn.BatchNorm(4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU()).eval()
    for index in replaced:
        usual = model[index].forward
        model[index].forward = lambda x, usual=usual: 1 - usual(x)
    return model


@pytest.mark.parametrize("index", range(9))
def test_a_forward_set_on_an_instance_is_never_skipped(index):
    x, model = numbers(5, 4), fused(index)
    wanted = x
    for number, layer in enumerate(fused()):
        wanted = layer.forward(wanted)
        wanted = 1 - wanted if number == index else wanted
    np.testing.assert_array_equal(model.forward(x), wanted)
    for one in (copy.deepcopy(model), nn.Frozen(model), nn.Frozen(model)):
        np.testing.assert_allclose([one(x), one(x), one(x)], [wanted] * 3, atol=1e-5)
    with nn.inference():
        np.testing.assert_allclose([model(x) for _ in range(4)], [wanted] * 4, atol=1e-5)
    if index != 3:  # whose function calls the layers of this model, where these look at those of a copy
        assert [row.name for row in model.summary((4,)).rows] == [row.name for row in fused().summary((4,)).rows]
        images = x.reshape(5, 2, 2, 1)
        assert f"1.{index}" in fastcnn.explain.activations(nn.Sequential(nn.Flatten(), model), images)
    del model[index].forward
    np.testing.assert_array_equal(model.forward(x), fused().forward(x))


@pytest.mark.parametrize("index", range(9))
def test_a_backward_set_on_an_instance_is_never_skipped(index):
    x, dy = numbers(5, 4), numbers(5, 4, seed=1)

    def gradients(alone):
        model = fused().train()
        usual = model[index].backward
        model[index].backward = lambda dy: 3 * usual(dy)
        if alone:
            vars(model)["_fused"] = model.layers
        model.forward(x)
        return [model.backward(dy), *(parameter.grad for parameter in model.parameters())]

    together, alone = gradients(False), gradients(True)
    assert together[0].any() and together[-2].any()
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_forward_set_on_an_instance_writes_to_no_weight_inside_a_block():
    model, x = fused().eval(), numbers(5, 4)
    model[0].forward = lambda x: model[0].weight.data.__imul__(2)
    with nn.inference(), pytest.raises(ValueError, match="read-only"):
        model(x)


def test_a_method_of_the_layer_may_be_set_on_it():
    def shifted(self, x):
        return nn.Linear.forward(self, x) + 1

    model, x = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), numbers(2, 4)
    usual = model[0].forward(x)
    model[0].forward = shifted.__get__(model[0])
    other = copy.deepcopy(model)
    model[0].weight.data = np.zeros((4, 4), np.float32)
    np.testing.assert_array_equal(other.forward(x), np.maximum(usual + 1, 0))
    np.testing.assert_array_equal(model.forward(x), np.ones((2, 4)))


def test_a_lazy_layer_whose_forward_is_set_is_made_by_its_first_input():
    layer = nn.Linear(None, 3)
    usual = layer.forward
    layer.forward = lambda x: 2 * usual(x)
    manual_seed(1)
    y = layer(numbers(2, 5))
    manual_seed(1)
    np.testing.assert_array_equal(y, 2 * nn.Linear(5, 3)(numbers(2, 5)))
    model = nn.Sequential(nn.Linear(None, 3))
    model[0].forward = lambda x: x
    model.build((3,))
    assert model[0].weight.shape == (3, 3)
    np.testing.assert_array_equal(model(numbers(2, 3)), numbers(2, 3))


# Which neighbours run as one

STEPS = {
    "conv, norm, relu": ([nn.Conv2D(3, 4, 3), nn.BatchNorm(4), nn.ReLU()], ["FusedNorm"]),
    "conv, norm": ([nn.Conv2D(3, 4, 3), nn.BatchNorm(4)], ["FusedNorm"]),
    "conv, relu": ([nn.Conv2D(3, 4, 3), nn.ReLU()], ["FusedReLU"]),
    "linear, norm, relu": ([nn.Linear(3, 4), nn.BatchNorm(4), nn.ReLU()], ["FusedNorm"]),
    "norm, relu": ([nn.BatchNorm(4), nn.ReLU()], ["FusedReLU"]),
    "residual, relu": ([nn.Residual(nn.Identity()), nn.ReLU()], ["FusedReLU"]),
    "conv, relu, pooling": ([nn.Conv2D(3, 4, 3), nn.ReLU(), nn.MaxPool2D(2)], ["FusedPool"]),
    "conv, pooling": ([nn.Conv2D(3, 4, 3), nn.MaxPool2D(2), nn.ReLU()], ["FusedPool", "ReLU"]),
    "relu and pooling rather than linear": ([nn.Linear(3, 4), nn.ReLU(), nn.MaxPool2D(2)], ["Linear", "FusedReLU"]),
    "both": ([nn.Conv2D(3, 4, 3), nn.BatchNorm(4), nn.ReLU(), nn.MaxPool2D(2)], ["FusedNorm", "FusedReLU"]),
    "two norms": ([nn.Linear(3, 4), nn.BatchNorm(4), nn.BatchNorm(4), nn.ReLU()], ["FusedNorm", "FusedReLU"]),
    "two relus": ([nn.Linear(3, 4), nn.ReLU(), nn.ReLU()], ["FusedReLU", "ReLU"]),
    "average pooling": ([nn.ReLU(), nn.AvgPool2D(2)], ["ReLU", "AvgPool2D"]),
    "a subclass": ([Doubled(3, 4), nn.BatchNorm(4)], ["Doubled", "BatchNorm"]),
    "a subclass of nothing new": ([type("Same", (nn.Linear,), {})(3, 4), nn.ReLU()], ["Same", "ReLU"]),
}


@pytest.mark.parametrize("name", STEPS)
def test_neighbours_run_as_one_by_their_types(name):
    layers, steps = STEPS[name]
    assert [type(step).__name__ for step in nn.Sequential(*layers)._fused] == steps


def test_a_class_of_ones_own_has_no_options_but_those_that_it_names():
    class Plain(nn.Conv2D):
        def forward(self, x):
            return super().forward(x)

    class Adds(nn.Sequential):
        forward_options = ("relu", "add")

        def forward(self, x, relu=False, add=None):
            adds.append(add is not None)
            return super().forward(x, relu=relu, add=add)

    adds, x = [], numbers(2, 5, 5, 3)
    assert (Plain.forward_options, Plain.backward_options) == ((), nn.Conv2D.backward_options)
    for main in (Plain(3, 3, 1), Adds(nn.Conv2D(3, 3, 1))):
        residual = nn.Residual(main)
        np.testing.assert_array_equal(residual.forward(x), main.forward(x) + x)
        assert residual.backward(x).shape == x.shape
    assert adds == [True, False]
