"""Forward and backward of layers and containers."""

import copy

import numpy as np
import pytest

import fastcnn
from fastcnn import gradient_check, manual_seed, nn
from fastcnn.nn import activation
from fastcnn.nn.initialise import mix
from fastcnn.shapes import ShapeError
from tests.nn.setting import numbers, small

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
