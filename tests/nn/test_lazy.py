"""Layers that learn the size of their input from the first input."""

import copy

import numpy as np
import pytest

import fastcnn
from fastcnn import data, gradient_check, manual_seed, nn
from fastcnn.shapes import ShapeError
from fastcnn.training import find_lr

LAYERS = {
    "conv": (lambda size: nn.Conv2D(size, 6, 3, groups=2, bias=False), (2, 5, 5, 4)),
    "transposed conv": (lambda size: nn.ConvTranspose2D(size, 6, 3, stride=2, groups=2), (2, 5, 5, 4)),
    "linear": (lambda size: nn.Linear(size, 3), (2, 4)),
    "batch norm": (nn.BatchNorm, (2, 5, 5, 4)),
    "group norm": (lambda size: nn.GroupNorm(2, size), (2, 5, 5, 4)),
    "layer norm": (nn.LayerNorm, (2, 3, 4)),
    "prelu": (nn.PReLU, (2, 5, 5, 4)),
}


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def network(known=False):
    """A network with branches, whose layers know the sizes of their inputs or not."""
    sizes = (1, 8, 8, 8, 288) if known else (None,) * 5
    return nn.Sequential(
        nn.Conv2D(sizes[0], 8, 3), nn.BatchNorm(sizes[1]), nn.ReLU(),
        nn.Residual(nn.Sequential(nn.Conv2D(sizes[2], 8, 3, padding=1), nn.BatchNorm(sizes[3]))), nn.ReLU(),
        nn.Flatten(), nn.Linear(sizes[4], 10),
    )


class Branches(nn.Module):
    """A module of a user's own."""

    def __init__(self, auxiliary=False):
        self.left, self.right = nn.Conv2D(None, 4, 3, padding=1), nn.Conv2D(None, 4, 1)
        self.head = nn.Sequential(nn.GlobalAvgPool2D(), nn.Linear(None, 3))
        if auxiliary:
            self.unused = nn.Linear(None, 3)

    def forward(self, x):
        return self.head(self.left(x) + self.right(x))

    def backward(self, dy):
        dy = self.head.backward(dy)
        return self.left.backward(dy) + self.right.backward(dy)


@pytest.mark.parametrize("name", LAYERS)
def test_the_first_input_makes_the_layer_that_knows_its_size(name):
    make, shape = LAYERS[name]
    x, seed = numbers(*shape), 5
    manual_seed(seed)
    known = make(4)
    manual_seed(seed)
    late = make(None)
    assert "None" in repr(late)
    np.testing.assert_array_equal(late(x), known(x))
    assert repr(late) == repr(known)
    dy = numbers(*known.output_shape(shape))
    np.testing.assert_array_equal(late.backward(dy), known.backward(dy))
    for one, other in zip(late.parameters(), known.parameters(), strict=True):
        np.testing.assert_array_equal(one.grad, other.grad)
    assert "forward" not in vars(late)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_that_waits_says_what_to_do(name):
    late = LAYERS[name][0](None)
    for ask in (late.parameters, late.state_dict, late.get_weights, lambda: late.to(np.float64)):
        with pytest.raises(RuntimeError, match=r"is None and its parameters .* expected .* model\.build"):
            ask()
    parameter = "slope" if name == "prelu" else "gamma" if "norm" in name else "weight"
    with pytest.raises(AttributeError, match=rf"is None and {parameter} will come"):
        getattr(late, parameter)
    with pytest.raises(AttributeError, match="object has no attribute 'nothing'"):
        _ = LAYERS[name][0](4).nothing


def test_build_makes_the_same_network_as_sizes_by_hand():
    manual_seed(1)
    known = network(known=True)
    manual_seed(1)
    built = network().build((8, 8, 1))
    assert repr(built) == repr(known)
    assert not any("forward" in vars(module) for _, module in built.named_modules())  # nothing is left of the waiting
    x = numbers(3, 8, 8, 1)
    np.testing.assert_array_equal(built(x), known(x))
    state = built.state_dict()
    assert built.build((4, 4, 1)) is built  # nothing waits any more
    assert all(np.array_equal(state[name], array) for name, array in built.state_dict().items())


def test_the_first_forward_makes_all_layers_of_a_module():
    model = Branches()
    assert model(numbers(2, 5, 5, 7)).shape == (2, 3)
    assert [parameter.shape for parameter in model.parameters()] == [(3, 3, 7, 4), (4,), (1, 1, 7, 4), (4,), (4, 3), (3,)]
    assert gradient_check(model, numbers(2, 5, 5, 7)) < 1e-8


@pytest.mark.parametrize("first", [lambda model: model.build((2, 2, 1)), lambda model: model[0](numbers(1, 2, 2, 1)),
                                   lambda model: model[0](numbers(3, 4)), lambda model: model[0](np.float32(1))])
def test_an_input_that_does_not_fit_leaves_the_layers_waiting(first):
    model = network()
    with pytest.raises(ShapeError, match="expected"):
        first(model)
    assert model[0].in_channels is None and model[1].channels is None
    assert model(numbers(2, 8, 8, 3)).shape == (2, 10)
    assert model[0].in_channels == 3


def test_groups_that_do_not_divide_the_channels_of_the_first_input():
    layer = nn.Conv2D(None, 4, 1, groups=4)
    with pytest.raises(ShapeError, match="groups is 4, expected a divisor of in_channels 6 and out_channels 4"):
        layer(numbers(1, 2, 2, 6))
    assert layer(numbers(1, 2, 2, 8)).shape == (1, 2, 2, 4)


def test_build_refuses_a_network_that_leaves_layers_out():
    model = Branches(auxiliary=True)
    with pytest.raises(ShapeError, match="no input reaches unused, expected a forward"):
        model.build((5, 5, 2))
    assert model.left.in_channels is None


def test_copies_wait_each_for_themselves():
    model = network()
    other = copy.deepcopy(model).build((8, 8, 1))
    assert model[0].in_channels is None and other[0].in_channels == 1
    assert model(numbers(1, 9, 9, 2)).shape == (1, 10)
    assert other(numbers(1, 8, 8, 1)).shape == (1, 10)


def test_an_inference_block_folds_a_network_that_it_made():
    model = network().eval()
    x = numbers(2, 8, 8, 1)
    with nn.inference():
        first, second = model(x), model(x)
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model(x), model(x))


def test_summary_profile_and_fit_build_the_network():
    assert network().summary((8, 8, 1)).parameters == network(known=True).num_parameters()
    assert len(network().profile(numbers(2, 8, 8, 1), repeats=1).rows) == 8
    manual_seed(0)
    history = fastcnn.fit(network(), data.load("digits").train, epochs=3, batch_size=32, progress=False)
    assert history[-1]["train_accuracy"] > 0.8
    model = network()
    assert find_lr(model, data.load("digits").train, steps=5).suggestion > 0
    assert model[0].in_channels is None  # it tries on a copy
