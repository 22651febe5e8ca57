"""The table of a network."""

import contextlib

import numpy as np
import pytest

from fastcnn import functional, gradient_check, manual_seed, nn, optim
from fastcnn.shapes import DTypeError, ShapeError
from tests.nn.setting import HandWritten, numbers


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
        model = nn.Sequential(nn.Conv2D(2, 6, 3, padding=1), nn.MaxPool2D(2), nn.Conv2D(6, 6, 3, padding=2), nn.ReLU(),
                              nn.Conv2D(6, 6, 1), nn.ReLU(), nn.MaxPool2D(2), nn.BatchNorm(6), nn.ReLU(),
                              nn.Residual(main), nn.ReLU(), nn.Flatten(), nn.Linear(54, 9), nn.ReLU(), nn.Linear(9, 4))
        if not fused:
            vars(model)["_fused"] = model.layers
        x = np.random.default_rng(0).standard_normal((5, 8, 8, 2)).astype(np.float32)
        y = model(x)
        dx = model.backward(np.random.default_rng(1).standard_normal(y.shape).astype(np.float32))
        steps = len(model._steps)
        return steps, [y, dx, *(parameter.grad for parameter in model.parameters()), *model.state_dict().values()]

    (few, together), (many, alone) = gradients(True), gradients(False)
    assert (few, many) == (8, 15)
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
