"""Layers, containers and losses: what they compute, keep, refuse and say."""

import contextlib
import copy
import pickle

import numpy as np
import pytest

import fastcnn
from fastcnn import functional, gradient_check, manual_seed, nn, optim
from fastcnn.nn import activation
from fastcnn.nn.initialise import he_normal, mix, orthogonal
from fastcnn.shapes import CheckpointError, DTypeError, ShapeError


def numbers(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


class HandWritten(nn.Module):
    """A network as users write it: layers as attributes, forward and backward by hand."""

    def __init__(self, in_channels, classes):
        self.conv1 = nn.Conv2D(in_channels, 4, 3, padding=1, stride=2, bias=False)
        self.norm1 = nn.BatchNorm(4)
        self.conv2 = nn.Conv2D(4, 8, 3, padding=1, stride=2, bias=False)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(2 * 2 * 8, classes)
        self.layers = {"conv1": self.conv1, "norm1": self.norm1, "conv2": self.conv2, "linear": self.linear}

    def forward(self, X):
        X = self.conv1.forward(X)
        X = self.norm1.forward(X)
        X = self.conv2.forward(X)
        X = self.flatten.forward(X)
        return self.linear.forward(X)

    def backward(self, dZ):
        dZ = self.linear.backward(dZ)
        dZ = self.flatten.backward(dZ)
        dZ = self.conv2.backward(dZ)
        dZ = self.norm1.backward(dZ)
        return self.conv1.backward(dZ)


def small():
    return nn.Sequential(nn.Conv2D(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))


# Modules and parameters


def test_a_hand_written_module_finds_its_layers_once_and_in_order():
    model = HandWritten(1, 3)
    names = [name for name, _ in model.named_parameters()]
    assert names == ["conv1.weight", "norm1.gamma", "norm1.beta", "conv2.weight", "linear.weight", "linear.bias"]
    assert [parameter.name for parameter in model.parameters()] == names
    assert [name for name, _ in model.named_modules()] == ["", "conv1", "norm1", "conv2", "flatten", "linear"]
    assert model.num_parameters() == 36 + 8 + 288 + 96 + 3


def test_a_hand_written_module_has_right_gradients():
    assert gradient_check(HandWritten(2, 3), numbers(2, 8, 8, 2)) < 1e-8


def test_weights_as_pairs_per_layer():
    model = HandWritten(1, 3)
    weights = model.get_weights()
    assert list(weights) == ["conv1", "norm1", "conv2", "linear"]
    assert weights["conv1"][1] is None and weights["conv1"][0].shape == (3, 3, 1, 4)
    assert np.array_equal(weights["norm1"][0], np.ones(4))
    x = numbers(2, 8, 8, 1)
    y = model.forward(x)
    model.set_weights({name: (2 * W, b) for name, (W, b) in weights.items() if name == "linear"})
    assert np.allclose(model.forward(x), 2 * y, atol=1e-5)
    model.set_weights(weights)
    assert np.array_equal(model.forward(x), y)
    model.backward(np.ones_like(y))
    dW, db = model.get_dweights()["linear"]
    assert dW.shape == (32, 3) and np.array_equal(db, [2, 2, 2])


def test_weights_are_copies():
    model = small()
    W, _ = model.get_weights()["3"]
    W[:] = 7
    assert not np.any(model[3].weight.data == 7)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ({"9": (np.ones((12, 2)), np.ones(2))}, CheckpointError, "'9' is unknown"),
        ({"3": (np.ones((12, 2)), None)}, CheckpointError, "1 arrays, expected 2"),
        ({"0": (np.ones((3, 3, 1, 3)), np.ones(3)), "3": (np.ones((12, 3)), np.ones(2))}, ShapeError, "(12, 2)"),
        ({"3": (np.ones((12, 2), int), np.ones(2))}, DTypeError, "int64"),
    ],
    ids=["unknown layer", "missing bias", "wrong shape", "integers"],
)
def test_unfit_weights_change_nothing(weights, error, message):
    model = small()
    before = model.state_dict()
    with pytest.raises(error) as caught:
        model.set_weights(weights)
    assert message in str(caught.value)
    assert all(np.array_equal(before[name], now) for name, now in model.state_dict().items())


def test_modules_in_lists_and_dicts_are_found():
    class Branches(nn.Module):
        def __init__(self):
            self.blocks = [nn.Linear(2, 2), {"inner": nn.Linear(2, 3)}]
            self.scale = nn.Parameter(np.ones(3), "scale")

    names = [name for name, _ in Branches().named_parameters()]
    assert names == ["scale", "blocks.0.weight", "blocks.0.bias", "blocks.1.inner.weight", "blocks.1.inner.bias"]


def test_train_and_eval_reach_every_module():
    model = nn.Sequential(nn.Residual(nn.Sequential(nn.Dropout(0.5))), nn.BatchNorm(2))
    assert all(module.training for _, module in model.named_modules())
    assert model.eval() is model
    assert not any(module.training for _, module in model.named_modules())


def test_parameter_assignment_copies_into_the_same_memory():
    parameter = nn.Parameter(np.zeros((2, 3), np.float32), "w")
    memory = parameter.data
    parameter.data = np.arange(6.0).reshape(2, 3)
    parameter.data -= 1
    parameter.grad = np.ones((2, 3), np.float16)
    assert parameter.data is memory and memory.dtype == np.float32
    assert np.array_equal(memory, [[-1, 0, 1], [2, 3, 4]]) and parameter.grad.sum() == 6


@pytest.mark.parametrize(
    ("value", "error"),
    [(np.zeros((3, 2)), ShapeError), (np.zeros((2, 3), int), DTypeError), (1.0, ShapeError), ("x", ShapeError)],
)
def test_parameter_refuses(value, error):
    parameter = nn.Parameter(np.zeros((2, 3)), "conv1.weight", np.float64)
    with pytest.raises(error, match=r"conv1\.weight"):
        parameter.data = value


def test_flatten_moves_once_and_keeps_values_and_gradients():
    parameters = small().parameters()
    values = [parameter.data.copy() for parameter in parameters]
    parameters[0].grad = np.full((3, 3, 1, 3), 5.0)
    flat = nn.flatten(parameters)
    assert flat.data.size == sum(value.size for value in values)
    assert all(np.shares_memory(parameter.data, flat.data) for parameter in parameters)
    assert all(np.array_equal(p.data, value) for p, value in zip(parameters, values, strict=True))
    assert flat.grad[:27].sum() == 135
    again = nn.flatten(parameters)
    assert np.shares_memory(again.data, flat.data)
    flat.data[:] = 1
    assert parameters[-1].data.tolist() == [1, 1]
    inner = nn.flatten(parameters[1:3])
    assert np.shares_memory(inner.data, flat.data) and inner.data.size == 3 + 24


def test_copies_of_a_model_have_memory_of_their_own():
    model = small()
    nn.flatten(model.parameters())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert all(np.array_equal(model.state_dict()[name], now) for name, now in other.state_dict().items())
        nn.flatten(other.parameters()).data[:] = 0
        assert other[3].weight.data.sum() == 0 and model[3].weight.data.any()


def test_state_dict_holds_running_statistics_and_is_a_copy():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm(3))
    state = model.state_dict()
    assert list(state) == ["0.weight", "0.bias", "1.gamma", "1.beta", "1.running_mean", "1.running_var"]
    model.forward(numbers(8, 2))
    assert not state["1.running_mean"].any() and model.state_dict()["1.running_mean"].any()
    other = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm(3))
    other.load_state_dict(model.state_dict())
    x = numbers(4, 2, seed=1)
    assert np.array_equal(model.eval().forward(x), other.eval().forward(x))


def test_load_state_dict_lists_every_problem_and_changes_nothing():
    model = small()
    state = model.state_dict()
    state["0.weight"] = np.zeros((3, 3, 1, 4), np.float32)
    state["3.weight"] = np.zeros((12, 2))
    state["4.weight"] = np.zeros(1, np.float32)
    state["0.bias"] = np.full(3, 9, np.float32)
    del state["3.bias"]
    with pytest.raises(CheckpointError) as caught:
        model.load_state_dict(state)
    for part in (
        "0.weight has shape (3, 3, 1, 4), expected (3, 3, 1, 3)",
        "3.weight is float64, expected float32",
        "3.bias is missing",
        "4.weight is unknown",
    ):
        assert part in str(caught.value)
    assert not model[0].bias.data.any()
    model.load_state_dict({"0.bias": np.full(3, 9, np.float32), "other": np.ones(1)}, strict=False)
    assert model[0].bias.data.tolist() == [9, 9, 9]


def test_to_converts_parameters_and_buffers():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm(3)).to(np.float64)
    assert {array.dtype for array in model.state_dict().values()} == {np.dtype(np.float64)}
    assert model.forward(numbers(4, 2, dtype=np.float64)).dtype == np.float64
    with pytest.raises(DTypeError, match="int64"):
        model.to(np.int64)


# Forward and backward

manual_seed(0)
LAYERS = {
    "conv": (nn.Conv2D(2, 3, 3, padding=1), (2, 5, 4, 2)),
    "conv, strided, grouped, no bias": (nn.Conv2D(4, 6, (3, 2), stride=2, groups=2, bias=False), (2, 6, 5, 4)),
    "conv, same, dilated": (nn.Conv2D(2, 2, 3, padding="same", dilation=2), (1, 6, 6, 2)),
    "linear": (nn.Linear(5, 4), (3, 5)),
    "linear without bias": (nn.Linear(5, 4, bias=False), (3, 5)),
    "batch norm of images": (nn.BatchNorm(3), (2, 4, 3, 3)),
    "batch norm of rows": (nn.BatchNorm(3), (6, 3)),
    "batch norm in use": (nn.BatchNorm(3).eval(), (6, 3)),
    "layer norm": (nn.LayerNorm(4), (2, 3, 2, 4)),
    "group norm": (nn.GroupNorm(2, 4), (2, 3, 2, 4)),
    "group norm of rows": (nn.GroupNorm(2, 6), (3, 6)),
    "max pool": (nn.MaxPool2D(2), (2, 5, 4, 2)),
    "max pool, padded, ceil": (nn.MaxPool2D(3, 2, 1, ceil_mode=True), (2, 6, 5, 2)),
    "max pool, dilated": (nn.MaxPool2D(2, 1, dilation=2), (1, 5, 5, 2)),
    "average pool": (nn.AvgPool2D(2), (2, 5, 4, 2)),
    "average pool, padded": (nn.AvgPool2D(3, 2, 1, count_include_pad=False), (2, 5, 6, 2)),
    "global average pool": (nn.GlobalAvgPool2D(), (2, 3, 4, 2)),
    "global max pool": (nn.GlobalMaxPool2D(), (2, 3, 4, 2)),
    "adaptive average pool": (nn.AdaptiveAvgPool2D((2, 3)), (2, 5, 4, 2)),
    "adaptive max pool": (nn.AdaptiveMaxPool2D(2), (2, 5, 4, 2)),
    "padding": (nn.Pad2D(((1, 0), (2, 1)), value=0.5), (2, 3, 4, 2)),
    "padding, mirrored": (nn.Pad2D(2, "reflect"), (2, 3, 4, 2)),
    "upsampling": (nn.Upsample2D((2, 3)), (2, 3, 4, 2)),
    "upsampling, bilinear": (nn.Upsample2D(2, "bilinear"), (2, 3, 4, 2)),
    "transposed conv": (nn.ConvTranspose2D(2, 3, 3, stride=2, padding=1, output_padding=1), (2, 3, 4, 2)),
    "transposed conv, grouped, no bias": (nn.ConvTranspose2D(4, 2, (2, 3), groups=2, bias=False), (2, 3, 4, 4)),
    "dropout of channels": (nn.Dropout2D(0.4), (5, 2, 3, 6)),
    "branches": (nn.Concat(nn.Conv2D(2, 3, 1), nn.Sequential(nn.Tanh(), nn.Conv2D(2, 1, 3, padding=1)), nn.Identity()),
                 (2, 3, 4, 2)),
    "flatten": (nn.Flatten(), (2, 3, 4, 2)),
    "reshape": (nn.Reshape(2, 6, 2), (2, 3, 4, 2)),
    "identity": (nn.Identity(), (2, 3)),
    **{name: (getattr(nn, name)(), (4, 5)) for name in activation.__all__},
    "leaky relu": (nn.LeakyReLU(0.2), (4, 5)),
    "prelu": (nn.PReLU(5), (4, 5)),
    "softplus": (nn.Softplus(2.0, 3.0), (4, 5)),
    "dropout": (nn.Dropout(0.3), (6, 7)),
    "residual": (nn.Residual(nn.Sequential(nn.Conv2D(2, 2, 3, padding=1), nn.Tanh())), (2, 4, 4, 2)),
    "residual with shortcut": (
        nn.Residual(nn.Conv2D(2, 3, 3, stride=2, padding=1), nn.Conv2D(2, 3, 1, stride=2)),
        (2, 4, 4, 2),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_every_layer(name):
    layer, shape = LAYERS[name]
    assert gradient_check(layer, numbers(*shape, seed=3)) < 1e-7


@pytest.mark.parametrize("name", LAYERS)
def test_output_shape_is_the_shape_of_the_output(name):
    layer, shape = LAYERS[name]
    assert layer.output_shape(shape) == layer.forward(numbers(*shape)).shape
    layer.backward(layer.forward(numbers(*shape)))


@pytest.mark.parametrize("name", LAYERS)
def test_backward_needs_a_forward_and_names_the_layer(name):
    layer, shape = LAYERS[name]
    if isinstance(layer, nn.Identity):
        pytest.skip("nothing to keep")
    layer = copy.deepcopy(layer)
    x = numbers(*shape)
    with nn.inference():
        y = layer.forward(x)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="backward needs a forward") as caught:
            layer.backward(y)
        assert "(" in str(caught.value).partition(":")[0]
        layer.forward(x)
        layer.backward(y)


def test_the_table_of_layers_has_every_class():
    modules = {type(module) for layer, _ in LAYERS.values() for _, module in layer.named_modules()}
    public = [getattr(nn, name) for name in nn.__all__]
    classes = {kind for kind in public if isinstance(kind, type) and issubclass(kind, nn.Module)}
    assert modules == classes - {nn.Module, nn.Layer, nn.Frozen}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_used_twice_in_a_step_raises_in_backward_and_works_again_afterwards(name):
    layer, shape = LAYERS[name]
    layer, x = copy.deepcopy(layer), numbers(*shape)
    network = nn.Concat(layer, layer)
    y = network.forward(x)
    if isinstance(layer, nn.Identity):  # it keeps nothing
        assert np.array_equal(network.backward(y), 2 * x)
        return
    with pytest.raises(RuntimeError, match=r"a layer that is used twice .* make one for each use"):
        network.backward(y)
    alone = copy.deepcopy(layer)
    dy = layer.forward(x)
    assert np.array_equal(layer.backward(dy), alone.backward(alone.forward(x)))
    assert all(np.array_equal(a.grad, b.grad) for a, b in zip(layer.parameters(), alone.parameters(), strict=True))


@pytest.mark.parametrize("make", [
    lambda layer: nn.Sequential(layer, nn.Tanh(), layer), lambda layer: nn.Residual(layer, layer),
    lambda layer: nn.Residual(nn.Sequential(layer, layer)), lambda layer: nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU()),
    lambda layer: nn.Sequential(layer, nn.BatchNorm(4), layer, nn.BatchNorm(4)),
    lambda layer: nn.Sequential(layer, nn.Sequential(nn.Residual(nn.ReLU()), nn.Sequential(layer))),
])
def test_a_linear_layer_used_twice_raises_wherever_it_stands(make):
    network, x = make(nn.Linear(4, 4)), numbers(3, 4)
    y = network.forward(x)
    for need_dx in (True, False):
        network.forward(x)
        with pytest.raises(RuntimeError, match=r"^Linear\(4, 4\): backward needs a forward"):
            network.backward(y, need_dx=need_dx)
    with pytest.raises(RuntimeError, match="make one for each use"):
        fastcnn.fit(network, (x, np.arange(3)), epochs=1, progress=False)


def test_a_relu_used_twice_in_a_sequential_gives_right_gradients_where_other_layers_take_it_over():
    relu = nn.ReLU()
    network = nn.Sequential(nn.Linear(4, 5), relu, nn.Linear(5, 3), relu)
    assert gradient_check(network, numbers(3, 4, seed=1)) < 1e-7


def test_backward_belongs_to_the_last_forward():
    layer, first, last = nn.Linear(4, 3), numbers(2, 4), numbers(5, 4, seed=1)
    layer.forward(first)
    dy = layer.forward(last)
    layer.backward(dy)
    assert np.allclose(layer.weight.grad, last.T @ dy)


def test_a_loss_used_twice_in_a_step_raises_in_backward():
    loss = nn.MSELoss()
    loss.forward(numbers(2, 3), numbers(2, 3, seed=1))
    loss.forward(numbers(2, 3), numbers(2, 3, seed=2))
    loss.backward()
    with pytest.raises(RuntimeError, match=r"^MSELoss\(\): backward needs a forward.* a loss that is used twice"):
        loss.backward()


def test_sequential_without_dx_gives_the_same_gradients_and_runs_nothing_upstream():
    class Watched(nn.Tanh):
        calls = 0

        def backward(self, dy):
            Watched.calls += 1
            return super().backward(dy)

    manual_seed(0)
    model = nn.Sequential(Watched(), nn.Sequential(Watched(), nn.Conv2D(1, 2, 3)), nn.ReLU(), nn.Flatten())
    x = numbers(2, 4, 4, 1)
    dy = numbers(*model.forward(x).shape)
    assert model.backward(dy).shape == x.shape and Watched.calls == 2
    gradients = model.get_dweights()
    model.forward(x)
    assert model.backward(dy, need_dx=False) is None and Watched.calls == 2
    for name, (dW, db) in model.get_dweights().items():
        assert np.array_equal(dW, gradients[name][0]) and np.array_equal(db, gradients[name][1])


def test_sequential_without_parameters_has_nothing_to_do_without_dx():
    model = nn.Sequential(nn.ReLU(), nn.Flatten())
    assert model.backward(model.forward(numbers(2, 3)), need_dx=False) is None


def test_sequential_hands_dx_to_modules_that_know_no_better():
    class Doubled(nn.Module):
        def __init__(self):
            self.linear = nn.Linear(3, 3)

        def forward(self, x):
            return 2 * self.linear(x)

        def backward(self, dy):
            return self.linear.backward(2 * dy)

    model = nn.Sequential(Doubled(), nn.ReLU())
    y = model(numbers(2, 3))
    model.backward(np.ones_like(y), need_dx=False)
    assert model.get_dweights()["0.linear"][0].any()
    assert gradient_check(model, numbers(2, 3)) < 1e-8


def test_sequential_is_a_sequence():
    model = small()
    assert len(model) == 4 and isinstance(model[3], nn.Linear) and model[-1] is model[3]
    assert [type(layer) for layer in model] == [nn.Conv2D, nn.ReLU, nn.Flatten, nn.Linear]
    inner = "Sequential(\n  Conv2D(1, 3, 3),\n  ReLU(),\n  Flatten(),\n  Linear(12, 2),\n)"
    assert repr(model) == inner
    assert repr(nn.Sequential(model)) == "Sequential(\n  " + inner.replace("\n", "\n  ") + ",\n)"


def test_residual_says_which_shapes_differ():
    block = nn.Residual(nn.Conv2D(1, 2, 3, padding=1))
    with pytest.raises(ShapeError, match=r"main gives shape \(1, 4, 4, 2\), expected \(1, 4, 4, 1\)"):
        block.forward(numbers(1, 4, 4, 1))


def test_layers_keep_nothing_after_backward():
    model = small()
    y = model.forward(numbers(2, 4, 4, 1))
    model.backward(y)
    assert all(module._saved is None for _, module in model.named_modules())


def test_inference_is_undone_after_an_error():
    layer = nn.Linear(2, 2)
    with pytest.raises(ShapeError), nn.inference():
        layer.forward(numbers(1, 3))
    y = layer.forward(numbers(1, 2))
    assert layer.backward(y).shape == (1, 2)


def test_batch_norm_normalises_and_remembers():
    layer = nn.BatchNorm(2, momentum=0.5)
    x = numbers(50, 2) * [2, 3] + [5, -1]
    y = layer.forward(x.astype(np.float32))
    assert np.allclose(y.mean(axis=0), 0, atol=1e-5) and np.allclose(y.std(axis=0), 1, atol=1e-3)
    assert np.allclose(layer.running_mean, x.mean(axis=0) / 2, rtol=1e-5)
    assert np.allclose(layer.running_var, 0.5 + x.var(axis=0, ddof=1) / 2, rtol=1e-5)
    before = layer.running_mean.copy()
    used = layer.eval().forward(x.astype(np.float32))
    expected = (x - before) / np.sqrt(layer.running_var + 1e-5)
    assert np.allclose(used, expected, atol=1e-5) and np.array_equal(layer.running_mean, before)


def test_dropout_masks_repeat_with_the_seed_and_change_with_the_step():
    def masks(seed):
        manual_seed(seed)
        first, second = nn.Dropout(0.25), nn.Dropout(0.25)
        ones = np.ones((40, 50), np.float32)
        return [first.forward(ones), first.forward(ones), second.forward(ones)]

    once, again, other = masks(1), masks(1), masks(2)
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    different = [once[0], once[1], once[2], other[0]]
    pairs = [(a, b) for i, a in enumerate(different) for b in different[:i]]
    assert all(0.2 < np.mean((a == 0) & (b == 0)) / 0.25 < 0.3 for a, b in pairs)
    assert abs(np.mean(once[0] == 0) - 0.25) < 0.03 and set(np.unique(once[0])) == {0, np.float32(4 / 3)}


def test_dropout_in_use_is_the_identity():
    x = numbers(3, 4)
    assert nn.Dropout(0.5).eval().forward(x) is x


def test_dropout_backward_uses_the_mask_of_forward():
    layer = nn.Dropout(0.5)
    y = layer.forward(np.ones((30, 30), np.float32))
    assert np.array_equal(layer.backward(np.ones((30, 30), np.float32)), y)


def test_mix_is_the_published_sequence():
    assert [mix(1234567, step) for step in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


# Random weights


def test_the_same_seed_gives_the_same_model():
    def weights(seed):
        manual_seed(seed)
        return small().state_dict()

    once, again, other = weights(3), weights(3), weights(4)
    assert all(np.array_equal(once[name], again[name]) for name in once)
    assert not np.array_equal(once["0.weight"], other["0.weight"])


def test_he_normal_keeps_the_scale_through_relu():
    weights = he_normal((100, 400), 100)
    assert weights.dtype == np.float32
    assert abs(weights.std() - np.sqrt(2 / 100)) < 0.002 and abs(weights.mean()) < 0.002


@pytest.mark.parametrize(("how", "deviation"), [("he_normal", np.sqrt(2 / 90)), ("he_uniform", np.sqrt(2 / 90)),
                                                ("xavier_normal", np.sqrt(2 / 450)), ("xavier_uniform", np.sqrt(2 / 450)),
                                                ("truncated_normal", 0.02 * 0.8796), ("orthogonal", np.sqrt(1 / 90))])
def test_initialisers_draw_numbers_of_the_right_size(how, deviation):
    manual_seed(0)
    layer = nn.Conv2D(10, 40, 3)
    nn.init_weights(nn.Sequential(layer, nn.BatchNorm(40)), how)
    weights = layer.weight.data
    assert abs(weights.std() / deviation - 1) < 0.03 and abs(weights.mean()) < 0.1 * deviation
    if how.endswith("uniform"):
        assert abs(np.abs(weights).max() / (deviation * np.sqrt(3)) - 1) < 0.01
    if how.startswith("truncated"):
        assert np.abs(weights).max() <= 0.04


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (3, 3, 2, 7)])
def test_orthogonal_weights_are_orthogonal(shape):
    matrix = orthogonal(shape, 2.0).reshape(-1, shape[-1]).astype(np.float64)
    product = matrix.T @ matrix if len(matrix) >= shape[-1] else matrix @ matrix.T
    assert np.allclose(product, 4 * np.eye(len(product)), atol=1e-6)


@pytest.mark.parametrize(("seed", "error"), [(-1, ShapeError), (1.5, DTypeError), ("1", DTypeError)])
def test_manual_seed_refuses(seed, error):
    with pytest.raises(error, match="seed"):
        manual_seed(seed)


# Losses


def test_cross_entropy_of_even_logits_is_the_log_of_the_classes():
    loss = nn.CrossEntropyLoss()
    value = loss.forward(np.zeros((2, 4), np.float32), np.array([1, 3]))
    assert isinstance(value, float) and value == pytest.approx(np.log(4))
    assert np.allclose(loss.backward(), [[0.125, -0.375, 0.125, 0.125], [0.125, 0.125, 0.125, -0.375]])


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(class_weight=[1, 2, 0.5], label_smoothing=0.1),
        nn.CrossEntropyLoss(ignore_index=1),
    ],
)
def test_cross_entropy_gradients(loss):
    assert gradient_check(loss, numbers(4, 3), np.array([0, 1, 2, 1])) < 1e-8


@pytest.mark.parametrize("loss", [nn.NLLLoss(), nn.NLLLoss([1, 2, 0.5], ignore_index=1), nn.HingeLoss(0.3)])
def test_labelled_loss_gradients(loss):
    assert gradient_check(loss, numbers(4, 3), np.array([0, 1, 2, 1])) < 1e-8


def test_a_penalty_adds_its_slope_to_the_gradients_and_counts_each_parameter_once():
    layer = nn.Linear(2, 3)
    layer.weight.data, layer.bias.data = np.full((2, 3), 2.0), np.ones(3)
    layer.weight.grad = np.ones((2, 3))
    assert nn.L2([layer.weight, layer.weight], 0.5)() == 0.25 * 24
    assert np.array_equal(layer.weight.grad, np.full((2, 3), 2.0)) and not layer.bias.grad.any()


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.BCELoss(), nn.L1Loss(), nn.HuberLoss(0.4)])
def test_other_loss_gradients(loss):
    assert gradient_check(loss, numbers(4, 3), np.random.default_rng(0).random((4, 3))) < 1e-8


def test_losses_by_hand():
    assert nn.MSELoss()(np.float32([[1, 2]]), np.float32([[0, 4]])) == pytest.approx(2.5)
    assert nn.BCELoss()(np.zeros((2, 1), np.float32), np.float32([[0], [1]])) == pytest.approx(np.log(2))
    with pytest.raises(RuntimeError, match="MSELoss"):
        nn.MSELoss().backward()


# Refused arguments

REFUSED = [
    (lambda: nn.Conv2D(3, 0, 3), ShapeError, "out_channels is 0"),
    (lambda: nn.Conv2D(0, 3, 3), ShapeError, "in_channels is 0"),
    (lambda: nn.Conv2D(3, 8, 0), ShapeError, "kernel_size is 0"),
    (lambda: nn.Conv2D(3, 8, (3, 3, 3)), ShapeError, "kernel_size is (3, 3, 3)"),
    (lambda: nn.Conv2D(3, 8, 3, stride=0), ShapeError, "stride is 0"),
    (lambda: nn.Conv2D(3, 8, 3, padding=-1), ShapeError, "padding is -1"),
    (lambda: nn.Conv2D(3, 8, 3, padding="full"), ShapeError, "padding is 'full'"),
    (lambda: nn.Conv2D(3, 8, 3, dilation=0), ShapeError, "dilation is 0"),
    (lambda: nn.Conv2D(3, 8, 3, groups=2), ShapeError, "groups is 2"),
    (lambda: nn.Conv2D(3, 8.5, 3), DTypeError, "out_channels is 8.5"),
    (lambda: nn.Conv2D(3, True, 3), DTypeError, "out_channels is True"),
    (lambda: nn.Conv2D(3, 8, 3, algorithm="fastest"), ValueError, "algorithm is 'fastest'"),
    (lambda: nn.Linear(0, 2), ShapeError, "in_features is 0"),
    (lambda: nn.Linear(2, "2"), DTypeError, "out_features is '2'"),
    (lambda: nn.BatchNorm(0), ShapeError, "channels is 0"),
    (lambda: nn.BatchNorm(3, eps=float("nan")), ValueError, "eps is nan"),
    (lambda: nn.BatchNorm(3, eps=-1.0), ValueError, "eps is -1.0"),
    (lambda: nn.BatchNorm(3, momentum=2), ValueError, "momentum is 2.0"),
    (lambda: nn.Dropout(1.5), ValueError, "p is 1.5"),
    (lambda: nn.Dropout(1.0), ValueError, "p is 1.0"),
    (lambda: nn.Dropout(float("nan")), ValueError, "p is nan"),
    (lambda: nn.Dropout("half"), DTypeError, "p is 'half'"),
    (lambda: nn.LeakyReLU(-1), ValueError, "slope is -1.0"),
    (lambda: nn.MaxPool2D(0), ShapeError, "kernel_size is 0"),
    (lambda: nn.MaxPool2D(2, 0), ShapeError, "stride is 0"),
    (lambda: nn.MaxPool2D(3, padding=2), ShapeError, "padding is 2"),
    (lambda: nn.AvgPool2D(2, padding=-1), ShapeError, "padding is -1"),
    (lambda: nn.Sequential(nn.ReLU(), "relu"), DTypeError, "argument 1 is 'relu'"),
    (lambda: nn.Residual(None), DTypeError, "argument 0 is None"),
    (lambda: nn.CrossEntropyLoss(label_smoothing=1.5), ValueError, "label_smoothing is 1.5"),
    (lambda: nn.CrossEntropyLoss(class_weight=[[1.0]]), ShapeError, "class_weight has shape (1, 1)"),
    (lambda: nn.CrossEntropyLoss(class_weight=[1.0, -1.0]), ValueError, "class_weight is [1.0, -1.0]"),
    (lambda: nn.CrossEntropyLoss(class_weight="even"), DTypeError, "class_weight has dtype"),
    (lambda: nn.CrossEntropyLoss(ignore_index=0.5), DTypeError, "ignore_index is 0.5"),
    (lambda: nn.Parameter(np.ones(2, int), "w"), DTypeError, "Parameter w: data has dtype int64"),
    (lambda: nn.Module().forward(1), NotImplementedError, "Module has no forward"),
    (lambda: small().summary((28, 28, 1, 1)), ShapeError, "input_shape is (28, 28, 1, 1)"),
    (lambda: small().summary((28, 28, 3)), ShapeError, "3 channels"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_refused_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


# Summary


def test_summary_counts_without_running_a_kernel():
    model = nn.Sequential(
        nn.Conv2D(1, 4, 3, padding=1),
        nn.Residual(nn.Sequential(nn.Conv2D(4, 4, 3, padding=1), nn.ReLU())),
        nn.MaxPool2D(2),
        nn.Flatten(),
        nn.Linear(64, 10, bias=False),
    )
    summary = model.summary((8, 8, 1))
    rows = {row.name: row for row in summary.rows}
    assert list(rows) == ["0", "1.main.0", "1.main.1", "2", "3", "4"]
    assert rows["0"].output_shape == (8, 8, 4) and rows["0"].multiply_adds == 64 * 36
    assert rows["0"].memory == 8 * 8 * 4 * 4 and rows["3"].memory == 0
    assert rows["4"].parameters == 640 and rows["4"].multiply_adds == 640
    assert rows["1.main.0"].algorithm
    assert summary.parameters == model.num_parameters() == 40 + 148 + 640
    assert summary.multiply_adds == 64 * 36 + 64 * 144 + 640
    text = str(summary)
    assert "Conv2D(4, 4, 3, padding=1)" in text and "828" in text and "8 x 8 x 4" in text
    assert model.forward(numbers(1, 8, 8, 1)).shape == (1, 10)


def test_summary_follows_a_hand_written_forward():
    summary = HandWritten(1, 3).summary((8, 8, 1))
    assert [row.name for row in summary.rows] == ["conv1", "norm1", "conv2", "flatten", "linear"]
    assert [row.output_shape for row in summary.rows] == [(4, 4, 4), (4, 4, 4), (2, 2, 8), (32,), (3,)]


def test_layers_say_how_they_were_made():
    for layer, text in (
        (nn.Conv2D(3, 8, (3, 5), stride=2, groups=1, bias=False), "Conv2D(3, 8, (3, 5), stride=2, bias=False)"),
        (nn.MaxPool2D(3, 2, 1), "MaxPool2D(3, stride=2, padding=1)"),
        (nn.Dropout(0.25), "Dropout(0.25)"),
        (nn.Linear(3, 4, bias=False), "Linear(3, 4, bias=False)"),
        (nn.GELU(), "GELU()"),
        (nn.ConvTranspose2D(3, 4, 2, stride=2, bias=False), "ConvTranspose2D(3, 4, 2, stride=2, bias=False)"),
        (nn.AdaptiveMaxPool2D(3), "AdaptiveMaxPool2D(3)"),
        (nn.Pad2D((1, 2), "reflect"), "Pad2D((1, 2), mode='reflect')"),
        (nn.Upsample2D(2, "bilinear"), "Upsample2D(2, mode='bilinear')"),
        (nn.Dropout2D(0.25), "Dropout2D(0.25)"),
        (nn.Concat(nn.ReLU(), nn.Identity()), "Concat(ReLU(), Identity())"),
        (nn.Reshape(4, 4, 2), "Reshape(4, 4, 2)"),
    ):
        assert repr(layer) == text


def test_a_relu_that_rides_along_gives_the_bits_of_one_that_runs_alone():
    def gradients(fused):
        manual_seed(3)
        main = nn.Sequential(nn.Conv2D(6, 6, 3, padding=1), nn.BatchNorm(6))
        model = nn.Sequential(nn.Conv2D(2, 6, 3), nn.ReLU(), nn.Conv2D(6, 6, 1), nn.ReLU(), nn.MaxPool2D(2),
                              nn.BatchNorm(6), nn.ReLU(), nn.Residual(main), nn.ReLU(), nn.Flatten(), nn.Linear(54, 9),
                              nn.ReLU(), nn.Linear(9, 4))
        if not fused:
            vars(model)["_fused"] = model.layers
        x = np.random.default_rng(0).standard_normal((5, 8, 8, 2)).astype(np.float32)
        y = model(x)
        dx = model.backward(np.random.default_rng(1).standard_normal(y.shape).astype(np.float32))
        steps = len(model._steps)
        return steps, [y, dx, *(parameter.grad for parameter in model.parameters()), *model.state_dict().values()]

    (few, together), (many, alone) = gradients(True), gradients(False)
    assert (few, many) == (8, 13)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_frozen_layers_stay_as_they_are_and_the_others_train():
    manual_seed(0)
    model = nn.Sequential(nn.Conv2D(1, 3, 3), nn.BatchNorm(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4), nn.Linear(4, 2))
    model[0].freeze()
    model[1].freeze()
    model[5].freeze()
    assert [parameter.name for parameter in model.parameters()] == ["4.weight", "4.bias"]
    before = model.state_dict()
    optimizer = optim.SGD(model.parameters(), 0.1)
    x, dy = numbers(5, 4, 4, 1), numbers(5, 2)
    for need_dx in (True, False):
        model.forward(x)
        dx = model.backward(dy, need_dx=need_dx)
        assert (dx is not None) == need_dx
        optimizer.step()
    after = model.state_dict()
    assert {name for name in before if not np.array_equal(before[name], after[name])} == {"4.weight", "4.bias"}
    assert not any(parameter.grad.any() for parameter in (model[0].weight, model[0].bias))
    assert len(model.unfreeze().parameters()) == 8


def test_nothing_runs_before_the_first_layer_that_trains():
    model = nn.Sequential(nn.Conv2D(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2))
    model[0].freeze()
    model.backward(model.forward(numbers(2, 4, 4, 1)), need_dx=False)
    assert model[0]._saved is not None and model[3].weight.grad.any()


@pytest.mark.parametrize("mode", ["training", "in use", "in use, folded"])
@pytest.mark.parametrize("branches", ["identity", "projection", "ends with ReLU", "one layer", "no layer", "nested"])
def test_a_residual_sum_in_its_layers_gives_the_same_bits(branches, mode):
    def block():
        manual_seed(4)
        layers = [nn.Conv2D(16, 16, 3, padding=1), nn.BatchNorm(16), nn.ReLU(),
                  nn.Conv2D(16, 16, 3, padding=1), nn.BatchNorm(16)]
        main = {"ends with ReLU": [*layers, nn.ReLU()], "one layer": layers[:1], "no layer": [],
                "nested": [nn.Sequential(*layers[:3]), nn.Sequential(*layers[3:])]}.get(branches, layers)
        shortcut = nn.Conv2D(16, 16, 1, bias=False) if branches == "projection" else None
        return nn.Sequential(nn.Residual(nn.Sequential(*main), shortcut), nn.ReLU())

    def apart(model, x, dy):
        main, shortcut = model[0].main, model[0].shortcut or nn.Identity().train(model.training)
        y = functional.relu(functional.add(main.forward(x), shortcut.forward(x)))
        if mode != "training":
            return [y]
        dy = functional.relu_backward(dy, y)
        dx = functional.add(main.backward(dy), shortcut.backward(dy))
        return [y, dx, *(parameter.grad for parameter in model.parameters())]

    def together(model, x, dy):
        y = model.forward(x)
        return [y] if mode != "training" else [y, model.backward(dy), *(parameter.grad for parameter in model.parameters())]

    x, dy = numbers(2, 9, 7, 16), numbers(2, 9, 7, 16, seed=1)
    results = []
    for run in (apart, together):
        with nn.inference() if mode == "in use, folded" else contextlib.nullcontext():
            results.append(run(block().train(mode == "training"), x, dy))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


class WithOneWrong(nn.Linear):
    """Gradients are right but for one element of one of them."""

    def __init__(self, name, value):
        super().__init__(4, 3)
        self.wrong, self.value = name, value

    def backward(self, dy, need_dx=True):
        dx = super().backward(dy, need_dx)
        gradient = dx if self.wrong == "dx" else getattr(self, self.wrong.rpartition(".")[2]).grad
        gradient[(0,) * (gradient.ndim - 1) + (1,)] = self.value
        return dx


@pytest.mark.parametrize(("wrong", "place"), [("dx", "dx[0, 1]"), ("1.weight", "1.weight[0, 1]"), ("1.bias", "1.bias[1]")])
@pytest.mark.parametrize("value", [123.0, np.nan, np.inf])
def test_gradient_check_says_which_gradient_is_wrong(wrong, place, value):
    layer = WithOneWrong(wrong, value)
    model = layer if wrong == "dx" else nn.Sequential(nn.ReLU(), layer)
    came = gradient_check(model, numbers(5, 4))
    worst = came.differences[0]
    assert isinstance(came, float) and (float(came) > 0.5 or np.isnan(came))
    assert worst.gradient == wrong and worst.came == pytest.approx(value, nan_ok=True) and abs(worst.expected) < 100
    assert repr(came).splitlines()[1].startswith(f"  {place} is {value:.8g}, expected {worst.expected:.8g}: error ")
    assert {one.gradient.rpartition(".")[2] for one in came.differences} == {"dx", "weight", "bias"}
    assert all(one.error < 1e-8 for one in came.differences[1:])


def test_gradient_check_names_the_arguments_of_functions_and_losses():
    arguments = numbers(2, 5, 5, 3), numbers(3, 3, 3, 2), numbers(2)
    assert {one.gradient for one in gradient_check(functional.conv2d, *arguments).differences} == {"dx", "dweight", "dbias"}
    (only,) = gradient_check(nn.MSELoss(), numbers(2, 3), numbers(2, 3) + 1).differences
    assert only.gradient == "dprediction" and len(only.place) == 2


def test_gradient_check_refuses_a_gradient_of_another_shape():
    class Flat(nn.ReLU):
        def backward(self, dy):
            return super().backward(dy).reshape(-1)

    with pytest.raises(ShapeError, match=r"gradient_check: dx has shape \(6,\), expected \(2, 3\)"):
        gradient_check(Flat(), numbers(2, 3))


def test_a_parameter_is_float32_unless_asked_otherwise():
    given = np.full((2, 3), 1 / 3)
    assert nn.Parameter(given).dtype == nn.Parameter([0.5, 1.0]).dtype == np.float32
    kept = nn.Parameter(given, "w", dtype=np.float64)
    assert kept.dtype == kept.grad.dtype == np.float64 and np.array_equal(kept.data, given)
    for dtype in (None, np.float16, int):
        with pytest.raises(DTypeError, match=r"Parameter w: dtype is .*, expected float32 or float64"):
            nn.Parameter(given, "w", dtype=dtype)


def test_a_layer_with_a_parameter_of_numpy_trains_beside_others():
    class Scaled(nn.Module):
        def __init__(self):
            self.scale, self.linear = nn.Parameter(np.ones(3)), nn.Linear(3, 2)

        def forward(self, x):
            self._x = x
            return self.linear(x * self.scale.data)

        def backward(self, dy):
            dx = self.linear.backward(dy)
            self.scale.grad = (dx * self._x).sum(axis=0)
            return dx * self.scale.data

    model = Scaled()
    model(numbers(4, 3).astype(np.float32))
    model.backward(np.ones((4, 2), np.float32))
    optim.Adam(model.parameters()).step()
    assert model.scale.dtype == np.float32 and (model.scale.data != 1).all()
    assert gradient_check(model, numbers(4, 3)) < 1e-8


HINTS = [
    (lambda: nn.Conv2D(3, 8, 3)(ones32(2, 3, 16, 16)),
     "conv2d: x has 16 channels (shape (2, 3, 16, 16)), weight (3, 3, 3, 8) expects 3 (images are (N, H, W, C): "
     "x.transpose(0, 2, 3, 1) makes them of (N, C, H, W))"),
    (lambda: functional.conv2d(ones32(2, 16, 16, 3), ones32(8, 3, 5, 5)),
     "weight (8, 3, 5, 5) expects 5 (filters are (R, S, C, K): weight.transpose(2, 3, 1, 0) makes them of (K, C, R, S))"),
    (lambda: nn.ConvTranspose2D(3, 8, 3)(ones32(2, 3, 16, 16)), "x.transpose(0, 2, 3, 1) makes them of (N, C, H, W))"),
    (lambda: nn.BatchNorm(3)(ones32(2, 3, 16, 16)), "x.transpose(0, 2, 3, 1) makes them of (N, C, H, W))"),
    (lambda: nn.GroupNorm(1, 3)(ones32(2, 3, 16, 16)), "x.transpose(0, 2, 3, 1) makes them of (N, C, H, W))"),
    (lambda: nn.Conv2D(1, 8, 3)(ones32(28, 28, 1)), "expected 4: (N, H, W, C) (one image: x[None]; images of one channel"),
    (lambda: nn.Linear(12, 2)(ones32(5, 2, 2, 3)),
     "linear: x has 4 dimensions (shape (5, 2, 2, 3)), expected 2: (N, in features) (nn.Flatten before it gives (5, 12))"),
]


def ones32(*shape):
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(("call", "message"), HINTS)
def test_shape_errors_say_what_would_fit(call, message):
    with pytest.raises(ShapeError) as caught:
        call()
    assert message in str(caught.value)


def test_shape_errors_give_no_hint_where_no_axis_would_fit():
    for call in (lambda: nn.Conv2D(3, 8, 3)(ones32(2, 5, 16, 16)), lambda: nn.BatchNorm(3)(ones32(2, 5, 16, 16))):
        with pytest.raises(ShapeError) as caught:
            call()
        assert "transpose" not in str(caught.value)


@pytest.mark.parametrize("device", ["cpu", "cuda:0", object()])
def test_a_model_has_no_device_to_move_to(device):
    with pytest.raises(DTypeError, match=r"to: dtype is .*, expected float32 or float64; a model is always in the memory of "
                                         r"the CPU, there is no other device"):
        nn.Linear(2, 2).to(device)
    with pytest.raises(DTypeError, match="to: dtype is None, expected float32 or float64"):
        nn.Linear(2, 2).to(None)
