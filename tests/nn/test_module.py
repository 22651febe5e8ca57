"""Modules and parameters."""

import copy
import pickle

import numpy as np
import pytest

from fastcnn import gradient_check, nn
from fastcnn.shapes import CheckpointError, DTypeError, ShapeError
from tests.nn.setting import HandWritten, numbers, small


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
def test_weights_that_do_not_fit_change_nothing(weights, error, message):
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
