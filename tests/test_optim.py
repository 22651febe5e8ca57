"""Optimizers against their formulas, schedules against PyTorch's values."""

import copy
import math

import numpy as np
import pytest

from fastcnn import nn, optim
from fastcnn.shapes import CheckpointError, DTypeError, ShapeError

GRADIENTS = [np.array([0.5, -1.0, 2.0]), np.array([-0.25, 0.0, 1.0]), np.array([1.0, 1.0, -3.0])]


def parameters(dtype=np.float64):
    return [nn.Parameter([1.0, -2.0], "a", dtype), nn.Parameter([[3.0]], "b", dtype)]


def run(optimizer, gradients=GRADIENTS):
    """Take a step for each gradient and return the parameters as one vector."""
    first, second = optimizer.parameters
    for gradient in gradients:
        first.grad, second.grad = gradient[:2], gradient[2:].reshape(1, 1)
        optimizer.step()
    return np.concatenate([first.data, second.data.reshape(-1)])


# One function per optimizer: theta, gradients -> theta, written from the papers, one element after the other.


def sgd(theta, lr, momentum=0.0, nesterov=False, decay=0.0):
    velocity = None
    for step in GRADIENTS:
        gradient = step + decay * theta
        velocity = gradient if velocity is None else momentum * velocity + gradient
        theta = theta - lr * (gradient + momentum * velocity if nesterov else velocity)
    return theta


def adam(theta, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, decay=0.0, decoupled=False):
    first = second = np.zeros(3)
    for t, step in enumerate(GRADIENTS, 1):
        gradient = step if decoupled else step + decay * theta
        theta = theta * (1 - lr * decay) if decoupled else theta
        first = betas[0] * first + (1 - betas[0]) * gradient
        second = betas[1] * second + (1 - betas[1]) * gradient**2
        theta = theta - lr * (first / (1 - betas[0] ** t)) / (np.sqrt(second / (1 - betas[1] ** t)) + eps)
    return theta


def rmsprop(theta, lr=1e-2, alpha=0.99, eps=1e-8, decay=0.0):
    square = np.zeros(3)
    for step in GRADIENTS:
        gradient = step + decay * theta
        square = alpha * square + (1 - alpha) * gradient**2
        theta = theta - lr * gradient / (np.sqrt(square) + eps)
    return theta


def adagrad(theta, lr=1e-2, eps=1e-10, decay=0.0):
    square = np.zeros(3)
    for step in GRADIENTS:
        gradient = step + decay * theta
        square = square + gradient**2
        theta = theta - lr * gradient / (np.sqrt(square) + eps)
    return theta


START = np.array([1.0, -2.0, 3.0])
CASES = {
    "sgd": (lambda p: optim.SGD(p, 0.1), lambda: sgd(START, 0.1)),
    "sgd, momentum": (lambda p: optim.SGD(p, 0.1, 0.9), lambda: sgd(START, 0.1, 0.9)),
    "sgd, nesterov, decay": (
        lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        lambda: sgd(START, 0.1, 0.9, True, 0.01),
    ),
    "adam": (optim.Adam, lambda: adam(START)),
    "adam, all set": (
        lambda p: optim.Adam(p, 0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1),
        lambda: adam(START, 0.1, (0.8, 0.9), 1e-3, 0.1),
    ),
    "adamw": (lambda p: optim.AdamW(p, 0.1), lambda: adam(START, 0.1, decay=1e-2, decoupled=True)),
    "rmsprop": (optim.RMSprop, lambda: rmsprop(START)),
    "rmsprop, all set": (
        lambda p: optim.RMSprop(p, 0.1, alpha=0.5, eps=1e-3, weight_decay=0.1),
        lambda: rmsprop(START, 0.1, 0.5, 1e-3, 0.1),
    ),
    "adagrad": (optim.Adagrad, lambda: adagrad(START)),
    "adagrad, all set": (
        lambda p: optim.Adagrad(p, 0.1, eps=1e-3, weight_decay=0.1),
        lambda: adagrad(START, 0.1, 1e-3, 0.1),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-6)])
def test_three_steps_follow_the_formula(name, dtype, tolerance):
    make, expected = CASES[name]
    assert np.allclose(run(make(parameters(dtype))), expected(), rtol=tolerance, atol=0)


def test_first_sgd_step_by_hand():
    optimizer = optim.SGD(parameters(), 0.1)
    assert np.allclose(run(optimizer, GRADIENTS[:1]), [0.95, -1.9, 2.8])


def test_all_parameters_lie_in_one_buffer():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    optimizer = optim.Adam(model.parameters())
    assert all(np.shares_memory(optimizer.flat.data, parameter.data) for parameter in model.parameters())
    assert all(np.shares_memory(optimizer.flat.grad, parameter.grad) for parameter in model.parameters())
    model[0].weight.grad = np.ones((3, 4))
    assert optimizer.flat.grad.sum() == 12
    optimizer.zero_grad()
    assert not model[0].weight.grad.any()


KINDS = {"sgd": lambda p: optim.SGD(p, 0.1, momentum=0.9), "adam": optim.Adam, "rmsprop": optim.RMSprop,
         "adagrad": optim.Adagrad, "adadelta": optim.Adadelta, "adamax": optim.Adamax, "lion": optim.Lion}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_step_scales_and_zeroes_gradients_as_it_goes(make, dtype):
    random = np.random.default_rng(0)
    start = random.standard_normal(40001).astype(dtype)
    at_once, one_by_one = (make([nn.Parameter(start, "a", start.dtype)]) for _ in range(2))
    for _ in range(2):
        at_once.flat.grad[:] = one_by_one.flat.grad[:] = random.standard_normal(len(start))
        at_once.step(scale=0.25, zero=True)
        one_by_one.flat.grad[:] *= dtype(0.25)
        one_by_one.step()
        assert not at_once.flat.grad.any() and one_by_one.flat.grad.all()
    assert np.array_equal(at_once.flat.data, one_by_one.flat.data)


def test_clipping_by_the_norm_of_all_gradients():
    optimizer = optim.SGD(parameters(), 1.0)
    optimizer.flat.grad[:] = 2.0, -3.0, 6.0
    assert optimizer.grad_norm() == 7
    assert optimizer.clip_scale(3.5) == pytest.approx(0.5)
    assert optimizer.clip_scale(3.5, norm=14.0) == pytest.approx(0.25)
    assert optimizer.clip_scale(8) == 1
    before = optimizer.flat.data.copy()
    optimizer.step(scale=optimizer.clip_scale(0.7))
    assert np.linalg.norm(optimizer.flat.data - before) == pytest.approx(0.7)
    optimizer.flat.grad[1] = np.nan
    assert np.isnan(optimizer.grad_norm())
    for wrong in (-1.0, np.inf):
        with pytest.raises(ValueError, match="max_norm"):
            optimizer.clip_scale(wrong)
        with pytest.raises(ValueError, match="scale"):
            optimizer.step(scale=wrong)


def test_the_clip_scale_of_gradients_with_nan_is_refused_by_the_step():
    optimizer = optim.SGD(parameters(), lr=0.1)
    optimizer.parameters[0].grad = np.array([1.0, np.nan])
    assert math.isnan(optimizer.clip_scale(1.0))
    with pytest.raises(ValueError, match="SGD: scale is nan"):
        optimizer.step(scale=optimizer.clip_scale(1.0))
    assert np.array_equal(optimizer.parameters[0].data, [1.0, -2.0])


def test_clipping_each_element():
    optimizer = optim.SGD(parameters(), 0.1)
    optimizer.flat.grad[:] = [-3, 0.5, 2]
    optimizer.clip_values(1.5)
    assert optimizer.flat.grad.tolist() == [-1.5, 0.5, 1.5]


def test_max_norm_holds_for_each_filter_of_the_parameters_it_was_given():
    conv, linear = nn.Conv2D(2, 5, 3), nn.Linear(4, 3)
    before, norms = conv.weight.data.copy(), np.sqrt((conv.weight.data**2).sum(axis=(0, 1, 2)))
    limit, other = float(np.sort(norms)[2:4].mean()), linear.weight.data.copy()
    optim.MaxNorm([conv.weight], limit)()
    after = np.sqrt((conv.weight.data**2).sum(axis=(0, 1, 2)))
    np.testing.assert_allclose(after, np.minimum(norms, limit), rtol=1e-6)
    unchanged = norms <= limit
    assert unchanged.sum() == 3 and np.array_equal(conv.weight.data[..., unchanged], before[..., unchanged])
    assert np.array_equal(linear.weight.data, other)


def test_max_norm_inside_an_inference_block_is_noticed():
    layer, x = nn.Linear(3, 2).eval(), np.ones((1, 3), np.float32)
    with nn.inference():
        layer(x)
        optim.MaxNorm([layer.weight], 0.0)()
        assert not layer(x).any()


# Groups

GROUPED = {
    "sgd": lambda p, **options: optim.SGD(p, **options, momentum=0.9, nesterov=True), "adam": optim.Adam,
    "adamw": optim.AdamW, "rmsprop": optim.RMSprop, "adagrad": optim.Adagrad, "adadelta": optim.Adadelta,
    "adamax": optim.Adamax, "lion": optim.Lion,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", GROUPED.values(), ids=GROUPED)
def test_groups_give_the_bits_of_optimizers_of_their_own(make, dtype):
    random = np.random.default_rng(0)
    starts = [random.standard_normal(size).astype(dtype) for size in (20011, 3, 33001, 70)]
    together, apart = ([nn.Parameter(start, dtype=start.dtype) for start in starts] for _ in range(2))
    one = make([{"parameters": together[2:], "lr": 0.03, "weight_decay": 0.01}, {"parameters": together[:2]}], lr=0.1,
               weight_decay=0.002)
    others = [make(apart[2:], lr=0.03, weight_decay=0.01), make(apart[:2], lr=0.1, weight_decay=0.002)]
    for _ in range(3):
        for first, second in zip(together, apart, strict=True):
            first.grad = second.grad = random.standard_normal(first.shape)
        for optimizer in (one, *others):
            optimizer.step(scale=0.5)
    assert all(np.array_equal(first.data, second.data) for first, second in zip(together, apart, strict=True))
    assert not any(np.array_equal(first.data, start) for first, start in zip(together, starts, strict=True))


def in_groups():
    first, second = parameters()
    return optim.SGD([{"parameters": [first]}, {"parameters": [second], "lr": 0.02}], lr=0.1)


def test_the_rates_of_groups_rise_and_fall_together():
    optimizer = in_groups()
    assert optimizer.rates == [0.1, 0.02] and [group.size for group in optimizer.groups] == [2, 1]
    schedule = optim.WarmupLR(optim.StepLR(3, gamma=0.25), epochs=2, start=0.0)
    seen = []
    for step in range(4):
        optimizer.lr = schedule.lr(step, 4, 0.1)
        seen.append(optimizer.rates)
    assert seen[0] == [0, 0]
    assert np.allclose(seen[1:], [[0.05, 0.01], [0.1, 0.02], [0.025, 0.005]], rtol=1e-15)
    assert np.array_equal(run(optimizer, GRADIENTS[:1]), START - GRADIENTS[0] * [0.025, 0.025, 0.005])


def test_a_group_of_rate_zero_stays():
    first, second = parameters()
    result = run(optim.SGD([{"parameters": [first], "lr": 0}, {"parameters": [second]}], 0.1))
    assert np.array_equal(result[:2], START[:2]) and result[2] != START[2]


def test_only_weights_decay():
    model = nn.Sequential(nn.Conv2D(2, 3, 3), nn.BatchNorm(3), nn.PReLU(), nn.Conv2D(3, 3, 3, groups=3), nn.LayerNorm(3),
                          nn.Flatten(), nn.Linear(3, 2))
    before = model.state_dict()
    optimizer = optim.SGD(optim.decay_groups(model, 0.5), lr=0.5)
    optimizer.step()
    for name, array in model.state_dict().items():
        assert np.array_equal(array, before[name] * np.float32(0.75 if name.endswith(".weight") else 1)), name
    decaying = [parameter.name for parameter in optimizer.groups[0].parameters]
    assert decaying == ["0.weight", "3.weight", "6.weight"]
    assert len(optimizer.parameters) == len(model.parameters()) == 11


def test_groups_of_a_kind_that_a_model_lacks_are_left_out():
    assert len(optim.decay_groups(nn.Linear(2, 2, bias=False), 0.1)) == 1
    model = nn.Sequential(nn.Linear(2, 2).freeze(), nn.BatchNorm(2))
    assert [group["weight_decay"] for group in optim.decay_groups(model, 0.1)] == [0.0]


@pytest.mark.parametrize("make", GROUPED.values(), ids=GROUPED)
def test_a_saved_state_of_groups_goes_on_to_the_same_bits(make):
    def optimizer():
        first, second = parameters()
        return make([{"parameters": [second], "lr": 0.02}, {"parameters": [first], "weight_decay": 0.1}], lr=0.1)

    def halves(one):
        one.flat.grad[:] = GRADIENTS[0]
        one.step()
        one.lr = 0.03
        one.flat.grad[:] = GRADIENTS[1]
        one.step()

    whole, first, second = optimizer(), optimizer(), optimizer()
    halves(whole)
    halves(first)
    second.flat.data[:] = first.flat.data
    second.load_state_dict(first.state_dict())
    for one in (whole, second):
        one.flat.grad[:] = GRADIENTS[2]
        one.step()
    assert np.array_equal(second.flat.data, whole.flat.data) and second.rates == whole.rates


def test_states_of_other_groups_are_refused():
    state = in_groups().state_dict()
    with pytest.raises(CheckpointError, match=r"groups have \[2, 1\] elements, expected \[3\]"):
        optim.SGD(parameters(), 0.1).load_state_dict(state)
    del state["groups"]  # as optimizers without groups wrote it
    with pytest.raises(CheckpointError, match=r"groups have \[3\] elements, expected \[2, 1\]"):
        in_groups().load_state_dict(state)
    optimizer = optim.SGD(parameters(), 0.7)
    optimizer.load_state_dict(state)
    assert optimizer.lr == 0.1


def test_groups_are_named_in_the_representation():
    assert repr(in_groups()) == "SGD(lr=0.1, 2 groups)"


def test_two_optimizers_of_the_same_parameters_take_turns():
    def train(again):
        shared = parameters()
        first = optim.SGD(shared, 0.1, momentum=0.9)
        second = optim.SGD(list(reversed(shared)) if again else shared, 0.01)
        for gradient in GRADIENTS:
            for optimizer in (first, second):
                shared[0].grad, shared[1].grad = gradient[:2], gradient[2:].reshape(1, 1)
                optimizer.step()
        return np.concatenate([shared[0].data, shared[1].data[0]])

    assert np.array_equal(train(False), train(True))


def test_optimizers_of_different_layers_leave_each_other_alone():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    optim.Adam(model.parameters())
    optimizer = optim.SGD(model[1].parameters(), 1.0)
    before = model.state_dict()
    optim.Adam(model.parameters()).flat.grad.fill(1)
    optimizer.step()
    assert np.array_equal(model[0].weight.data, before["0.weight"])
    assert np.allclose(model[1].weight.data, before["1.weight"] - 1)


def test_state_is_kept_when_parameters_move():
    plain = optim.Adam(parameters())
    moved = optim.Adam(parameters())
    expected = run(plain)
    run(moved, GRADIENTS[:2])
    optim.SGD(list(reversed(moved.parameters)), 0.1)
    assert np.array_equal(run(moved, GRADIENTS[2:]), expected)


def test_state_follows_the_dtype():
    optimizer = optim.Adam(parameters(np.float32))
    run(optimizer, GRADIENTS[:1])
    for parameter in optimizer.parameters:
        parameter.to(np.float64)
    result = run(optimizer, GRADIENTS[1:])
    assert result.dtype == np.float64 and np.allclose(result, adam(START), rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_saved_state_goes_on_to_the_same_bits(name):
    make, _ = CASES[name]
    whole = run(make(parameters()))
    first = make(parameters())
    run(first, GRADIENTS[:2])
    state = first.state_dict()
    run(first, GRADIENTS[2:])
    shared = parameters()
    second = make(shared)
    run(make(shared), GRADIENTS[:2])
    second.load_state_dict(state)
    assert np.array_equal(run(second, GRADIENTS[2:]), whole)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"kind": "SGD"}, "state is of SGD"),
        ({"kind": "Adam", "lr": 0.1, "steps": 1}, "state is of Adam with kind, lr, steps"),
        (optim.Adam([nn.Parameter([1.0, 1.0], "c", np.float64)]).state_dict(),
         r"first is float64 \(2,\), expected float64 \(3,\)"),
        (optim.Adam(parameters(np.float32)).state_dict(), r"first is float32 \(3,\)"),
    ],
    ids=["another kind", "without moments", "other parameters", "another dtype"],
)
def test_foreign_states_are_refused(state, message):
    with pytest.raises(CheckpointError, match=message):
        optim.Adam(parameters()).load_state_dict(state)


NAN = float("nan")
REFUSED = [
    (lambda p: optim.SGD(p, NAN), ValueError, "SGD: lr is nan"),
    (lambda p: optim.SGD(p, -0.1), ValueError, "SGD: lr is -0.1"),
    (lambda p: optim.SGD(p, math.inf), ValueError, "SGD: lr is inf"),
    (lambda p: optim.SGD(p, "fast"), DTypeError, "SGD: lr is 'fast'"),
    (lambda p: optim.SGD(p, None), DTypeError, "SGD: lr is None"),
    (lambda p: optim.SGD(p, 0.1, momentum=-1), ValueError, "SGD: momentum is -1.0"),
    (lambda p: optim.SGD(p, 0.1, nesterov=True), ValueError, "SGD: nesterov is True"),
    (lambda p: optim.SGD(p, 0.1, weight_decay=NAN), ValueError, "SGD: weight_decay is nan"),
    (lambda p: optim.Adam(p, betas=(0.9, 1.0)), ValueError, "Adam: betas[1] is 1.0"),
    (lambda p: optim.Adam(p, betas=0.9), ShapeError, "Adam: betas is 0.9"),
    (lambda p: optim.AdamW(p, eps=-1), ValueError, "AdamW: eps is -1.0"),
    (lambda p: optim.RMSprop(p, alpha=2), ValueError, "RMSprop: alpha is 2.0"),
    (lambda p: optim.Adagrad(p, lr=True), DTypeError, "Adagrad: lr is True"),
    (lambda p: optim.Adam([]), ShapeError, "Adam: parameters is empty"),
    (lambda p: optim.Adam(p[0]), DTypeError, "expected a list such as model.parameters()"),
    (lambda p: optim.Adam([np.ones(3)]), DTypeError, "expected Parameters such as model.parameters()"),
    (lambda p: optim.Adam([p[0], nn.Parameter(np.ones(1, np.float32), "c")]), DTypeError, "c is float32"),
    (lambda p: optim.Adam({"parameters": p}), DTypeError, "Adam: parameters is a dict, expected a list of such groups"),
    (lambda p: optim.Adam([{"parameters": p}, p[0]]), DTypeError,
     "Adam: group 1 is Parameter('a', (2,), float64), expected a dict"),
    (lambda p: optim.Adam([{"params": p}]), ValueError, "Adam: group 0 has params, expected parameters and"),
    (lambda p: optim.Adam([{}]), ValueError, "Adam: group 0 has nothing, expected parameters and"),
    (lambda p: optim.Adam([{"parameters": p, "betas": 1}]), ValueError, "Adam: group 0 has parameters, betas, expected"),
    (lambda p: optim.Adam([{"parameters": p[:1]}, {"parameters": []}]), ShapeError, "Adam: group 1: parameters is empty"),
    (lambda p: optim.Adam([{"parameters": p[0]}]), DTypeError, "Adam: group 0: parameters is Parameter("),
    (lambda p: optim.Adam([{"parameters": p, "lr": NAN}]), ValueError, "Adam: group 0: lr is nan"),
    (lambda p: optim.Adam([{"parameters": p, "weight_decay": -1}]), ValueError, "Adam: group 0: weight_decay is -1.0"),
    (lambda p: optim.Adam([{"parameters": p}, {"parameters": p[1:]}]), ValueError,
     "Adam: Parameter('b', (1, 1), float64) is in group 0 and in group 1, expected in one"),
    (lambda p: optim.Adam([{"parameters": p, "lr": 0.1}], lr=0), ValueError, "Adam: lr is 0.0, expected above 0 where"),
    (lambda p: optim.decay_groups(p, 0.1), DTypeError, "decay_groups: model is [Parameter("),
    (lambda p: optim.decay_groups(nn.Linear(1, 1), NAN), ValueError, "decay_groups: weight_decay is nan"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_refused_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call(parameters())
    assert message in str(caught.value)


def test_lr_is_checked_whenever_it_is_set():
    optimizer = optim.SGD(parameters(), 0.1)
    optimizer.lr = 0.01
    with pytest.raises(ValueError, match="lr is nan"):
        optimizer.lr = NAN
    assert optimizer.lr == 0.01


# Schedules: the values of PyTorch's schedulers for base_lr 0.1 (one of its steps is one step here)


def rates(schedule, count, total=None, steps_per_epoch=1):
    return [schedule.lr(step, total or count, 0.1, steps_per_epoch) for step in range(count)]


def test_step_lr():
    assert np.allclose(rates(optim.StepLR(2), 5), [0.1, 0.1, 0.01, 0.01, 0.001])
    assert np.allclose(rates(optim.StepLR(2, gamma=0.5), 6, steps_per_epoch=2), [0.1] * 4 + [0.05] * 2)


def test_multi_step_lr():
    assert np.allclose(rates(optim.MultiStepLR([1, 3], gamma=0.1), 5), [0.1, 0.01, 0.01, 0.001, 0.001])
    assert np.allclose(rates(optim.MultiStepLR([2, 2]), 3), [0.1, 0.1, 0.001])


def test_cosine_lr():
    expected = [0.1, 0.05 + 0.05 * math.sqrt(0.5), 0.05, 0.05 - 0.05 * math.sqrt(0.5)]
    assert np.allclose(rates(optim.CosineLR(), 4), expected)
    assert np.allclose(rates(optim.CosineLR(minimum=0.02), 5, total=4)[-1], 0.02)


def test_one_cycle_lr():
    # max_lr 1, total 10, pct_start 0.3: up from 0.04 to 1 at step 2, down to 4e-6 at step 9
    values = rates(optim.OneCycleLR(1.0), 10)
    middle = 4e-6 + (1 - 4e-6) * (1 + math.cos(math.pi * 3 / 7)) / 2
    assert np.allclose([values[0], values[1], values[2], values[5], values[9]], [0.04, 0.52, 1.0, middle, 4e-6])
    assert max(values) == values[2] and values[2:] == sorted(values[2:], reverse=True)
    for total in (1, 2, 3):
        assert all(0 < value <= 1 for value in rates(optim.OneCycleLR(1.0), total))


def annealed(start, end, share):
    return (start + end) / 2 + (start - end) / 2 * math.cos(math.pi * share)


@pytest.mark.parametrize("total", range(1, 11))
@pytest.mark.parametrize("pct_start", [0.0, 0.1, 0.25, 0.3, 0.5, 0.95, 1.0])
def test_one_cycle_lr_of_few_steps(pct_start, total):
    # PyTorch's two phases: up until step top, whether there is such a step or not, then down until the last one
    first, least, top = 0.5 / 25, 0.5 / 25 / 1e4, pct_start * total - 1
    expected = [annealed(first, 0.5, step / top) if step < top
                else 0.5 if step == top  # where top is 0, PyTorch divides by it
                else annealed(0.5, least, (step - top) / (total - 1 - top)) for step in range(total)]
    came = [optim.OneCycleLR(0.5, pct_start=pct_start).lr(step, total, 0.1) for step in range(total)]
    assert np.allclose(came, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("pct_start", "expected"), [  # what PyTorch 2.13 gives
    (0.3, [[2e-6], [0.4058728269748815, 2e-6], [0.49720771772545586, 0.23131855133348753, 2e-6]]),
    (0.0, [[2e-6], [0.250001, 2e-6], [0.3750005, 0.12500150000000002, 2e-6]]),
    (1.0, [[0.5], [0.02, 0.5], [0.02, 0.26, 0.5]])])
def test_one_cycle_lr_of_one_to_three_steps(pct_start, expected):
    schedule = optim.OneCycleLR(0.5, pct_start=pct_start)
    came = [[schedule.lr(step, total, 0.1) for step in range(total)] for total in (1, 2, 3)]
    assert [pytest.approx(rates, rel=1e-12) for rates in expected] == came


def test_warmup_lr():
    # LinearLR(start_factor=1/3, total_iters=4), alone and multiplied with StepLR(5)
    expected = [0.1 / 3, 0.05, 0.2 / 3, 0.25 / 3, 0.1, 0.1]
    assert np.allclose(rates(optim.WarmupLR(epochs=4), 6), expected)
    chained = rates(optim.WarmupLR(optim.StepLR(5), epochs=4), 6)
    assert np.allclose(chained, [*expected[:5], 0.01])
    assert np.allclose(rates(optim.WarmupLR(epochs=2, start=0.0), 5, steps_per_epoch=2)[:5], [0, 0.025, 0.05, 0.075, 0.1])
    assert rates(optim.WarmupLR(epochs=0), 1) == [0.1]


def test_plateau_lr():
    schedule = optim.PlateauLR(factor=0.5, patience=1, cooldown=1, minimum=0.03)
    seen = []
    for loss in (1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5):
        schedule.observe(loss)
        seen.append(schedule.lr(0, 1, 0.1))
    assert np.allclose(seen, [0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.03, 0.03, 0.03])


def test_plateau_counts_only_falls_above_the_threshold():
    schedule = optim.PlateauLR(patience=0, threshold=0.1)
    schedule.observe(1.0)
    schedule.observe(0.95)
    assert schedule.lr(0, 1, 1.0) == pytest.approx(0.1)
    schedule.observe(0.8)
    schedule.observe(float("nan"))
    assert schedule.lr(0, 1, 1.0) == pytest.approx(0.01)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_is_no_progress_for_plateau_lr(loss):
    schedule = optim.PlateauLR(patience=1, factor=0.5)
    for value in (1.0, loss, loss, 0.5, loss):
        schedule.observe(value)
    assert (schedule.best, schedule.lr(0, 1, 1.0)) == (0.5, 0.5)


def test_plateau_lr_makes_no_cut_of_a_hundred_millionth_or_less():
    schedule, seen = optim.PlateauLR(factor=0.1, patience=0), []
    for _ in range(4):
        schedule.observe(1.0)
        seen.append(schedule.lr(0, 1, 1e-7))
    assert seen == pytest.approx([1e-7, 1e-8, 1e-8, 1e-8], rel=1e-12)


def test_the_minimum_of_plateau_lr_raises_no_smaller_rate():
    schedule = optim.PlateauLR(factor=0.1, patience=0, minimum=0.2)
    schedule.observe(1.0)
    schedule.observe(1.0)
    assert schedule.lr(0, 1, 0.1) == 0.1


@pytest.mark.parametrize("make", [
    lambda optimizer: optim.OneCycleLR(optimizer, max_lr=0.1), lambda optimizer: optim.StepLR(optimizer, 10),
    lambda optimizer: optim.CosineLR(optimizer, T_max=10), lambda optimizer: optim.PlateauLR(optimizer=optimizer)])
def test_a_schedule_says_that_it_needs_no_optimizer(make):
    with pytest.raises(DTypeError, match=r"LR: came with SGD\(lr=0.1\), expected no optimizer: fit\(optimizer="):
        make(optim.SGD(parameters(), lr=0.1))


def test_a_copy_of_a_schedule_goes_on():
    schedule = optim.PlateauLR(patience=0)
    schedule.observe(1.0)
    twin = copy.deepcopy(schedule)
    twin.observe(1.0)
    assert (schedule.cuts, twin.cuts) == (0, 1)


def test_plateau_state_goes_on():
    one = optim.WarmupLR(optim.PlateauLR(patience=0), epochs=0)
    one.observe(1.0)
    one.observe(2.0)
    other = optim.WarmupLR(optim.PlateauLR(patience=0), epochs=0)
    other.load_state_dict(one.state_dict())
    other.observe(1.0)
    assert other.lr(5, 9, 1.0) == pytest.approx(0.01)
    with pytest.raises(CheckpointError, match="StepLR"):
        optim.StepLR(1).load_state_dict(one.state_dict())


REFUSED_SCHEDULES = [
    (lambda: optim.StepLR(0), ShapeError, "StepLR: step_size is 0"),
    (lambda: optim.StepLR(1, gamma=NAN), ValueError, "StepLR: gamma is nan"),
    (lambda: optim.MultiStepLR(5), DTypeError, "MultiStepLR: milestones is 5"),
    (lambda: optim.MultiStepLR([3, 1]), ValueError, "MultiStepLR: milestones is [3, 1]"),
    (lambda: optim.CosineLR(-1), ValueError, "CosineLR: minimum is -1.0"),
    (lambda: optim.OneCycleLR(NAN), ValueError, "OneCycleLR: max_lr is nan"),
    (lambda: optim.OneCycleLR(1, pct_start=2), ValueError, "OneCycleLR: pct_start is 2.0"),
    (lambda: optim.WarmupLR(0.1), DTypeError, "WarmupLR: schedule is 0.1"),
    (lambda: optim.WarmupLR(start=2), ValueError, "WarmupLR: start is 2.0"),
    (lambda: optim.PlateauLR(factor=1), ValueError, "PlateauLR: factor is 1.0"),
    (lambda: optim.PlateauLR(patience=-1), ShapeError, "PlateauLR: patience is -1"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED_SCHEDULES)
def test_refused_schedules(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
