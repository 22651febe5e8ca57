"""NaN, infinity, huge and denormal numbers in every float argument of every operation.

Expected is what the reference makes of them in float64, rounded to float32: NaN and infinity come out where they do there,
squares overflow nowhere that the true result is a float32, and nothing is flushed to zero. What does not depend on the
odd number keeps its bits. The exceptions are rules with a reason each, below.
"""

import numpy as np
import pytest

from fastcnn import functional, metrics, models, nn, optim, reference, registry, verification
from fastcnn.registry.row import of_sum
from fastcnn.verification import MismatchError, Trial, arrays_of

NAN, INF = float("nan"), float("inf")
HUGE, TINY = np.float32(1e30), np.float32(1e-42)  # the square of the one overflows, the other is below the normal numbers


def one(value):
    """Put the number in the middle of an array."""

    def change(array):
        array.flat[array.size // 2] = value

    return change


def all_times(scale):
    """Multiply a whole array."""

    def change(array):
        array *= np.float32(scale)

    return change


ODD = {"NaN": one(NAN), "infinity": one(INF), "minus infinity": one(-INF), "one huge": one(HUGE), "one denormal": one(TINY),
       "all huge": all_times(1e25), "all denormal": all_times(1e-40)}
LARGEST = float(np.finfo(np.float32).max)
INFINITE = {"NaN", "infinity", "minus infinity"}
HUGES = {"one huge", "all huge"}

# The rules -----------------------------------------------------------------------------------------------------------------

# An infinity may come out as NaN, or NaN as an infinity, where the formula subtracts: which one follows from its order.
ORDERED = {"batch_norm", "batch_norm_backward", "layer_norm", "layer_norm_backward", "group_norm", "group_norm_backward",
           "augment"}
# Running squares of float32 overflow to infinity, and the element then stands still, as in PyTorch: the formula in float32.
SQUARED = {"adam", "rmsprop", "adagrad", "adadelta"}
# Python's floats hold what float32 does not, and these two are summed as such.
WIDE = {"l2_penalty", "gradient_norm"}
# Arguments that are refused instead.
_SMALL = {"one denormal", "all denormal"}
REFUSED = {("gather", "mean"): INFINITE, ("gather", "std"): INFINITE | _SMALL,
           ("augment", "mean"): INFINITE, ("augment", "std"): INFINITE | _SMALL,
           ("cross_entropy", "class_weight"): INFINITE | _SMALL, ("nll_loss", "class_weight"): INFINITE | _SMALL}
# Left out: padding takes part as zeros in one algorithm and not at all in another, so that it follows from the algorithm
# whether something infinite beside it becomes NaN.
LEFT_OUT = {("conv2d_backward[few_channels]", "weight"): lambda case: True,
            ("conv2d_backward[depthwise]", "dy"): lambda case: "padding" in case.settings,
            ("conv2d[loops]", "weight"): lambda case: "padding" in case.settings,
            ("conv2d_backward[loops]", "dy"): lambda case: "padding" in case.settings}


def float_arrays(arguments):
    """Give the float arrays among the arguments, those in tuples too, under names of their own."""
    return {name: array for name, array in arrays_of(arguments) if array.ndim and array.dtype.kind == "f"}


def cases(row):
    """Take the first three cases, and the first that has a further float argument."""
    seen, chosen = set(), []
    for case in row.cases:
        if not case.bench:
            names = set(float_arrays(Trial(row, case, "normal", "float32").arguments("normal")))
            if len(chosen) < 3 or not names <= seen:
                chosen.append(case)
            seen |= names
    return chosen


def spoiled(trial, name, kind):
    arguments = trial.arguments("normal")
    with np.errstate(all="ignore"):
        ODD[kind](float_arrays(arguments)[name])
    return arguments


def expected(row, arguments, kind):
    """Give what the reference makes of the arguments, in float64 unless the rule says float32."""
    if row.operation in SQUARED and kind in HUGES:
        with np.errstate(all="ignore"):
            return verification._call(row, row.reference, arguments)
    return verification.expected(row, arguments)


def alike(results):
    """Let all that is not finite be NaN."""
    return {name: np.where(np.isfinite(array), array, array.dtype.type(NAN)) for name, array in arrays_of(results)}


def require_the_reference(row, given, came, wanted, *, loose):
    """MismatchError unless the results are the reference's; bounds are those of the `given` arguments."""
    if loose:
        came, wanted = alike(came), alike(wanted)
    beyond = [name for name, value in wanted.items() if isinstance(value, float) and LARGEST < abs(value) < INF]
    for name in beyond:
        number, value = wanted.pop(name), came.pop(name)
        if not (np.isclose(value, number, rtol=1e-6) if row.operation in WIDE else value == np.copysign(INF, number)):
            raise MismatchError(f"{name} is {value}, expected {number}")
    verification.compare(row, given, came, wanted, exact=False)


def require_no_spread(before, after, came_before, came_after):
    """MismatchError where a result changed in spite of a reference that did not."""
    for (name, old), (_, new), (_, first), (_, second) in zip(
            arrays_of(before), arrays_of(after), arrays_of(came_before), arrays_of(came_after), strict=True):
        same = (old == new) | (np.isnan(old) & np.isnan(new)) if old.dtype.kind == "f" else old == new
        changed = same & (first != second) & ~(np.isnan(first) & np.isnan(second))
        if changed.any():
            raise MismatchError(f"{name}: {changed.sum()} of {changed.size} elements changed that do not depend on it")


def check(row, case, name, kind):
    if kind in INFINITE and LEFT_OUT.get((row.name, name), lambda case: False)(case):
        return
    trial = Trial(row, case, "normal", "float32")
    clean, odd = trial.arguments("normal"), spoiled(trial, name, kind)
    if kind in REFUSED.get((row.operation, name), ()):
        with pytest.raises(ValueError, match=name):
            verification.fast(row, odd)
        return
    wanted, came = expected(row, odd, kind), verification.fast(row, odd)
    loose = row.operation in ORDERED and kind in INFINITE
    require_the_reference(row, clean if kind in INFINITE else odd, came, wanted, loose=loose)
    if kind in INFINITE:
        require_no_spread(verification.expected(row, clean), wanted, verification.fast(row, clean), came)


EXACT_ROWS = [row for row in registry.ROWS if not row.blurs]


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("row", EXACT_ROWS, ids=lambda row: row.name)
def test_odd_numbers_come_out_as_in_the_reference(row, kind):
    for case in cases(row):
        for name in float_arrays(Trial(row, case, "normal", "float32").arguments("normal")):
            try:
                check(row, case, name, kind)
            except MismatchError as problem:
                pytest.fail(f"{row.name}, {case.name}, {kind} in {name}: {problem}", pytrace=False)


# Winograd's exception ------------------------------------------------------------------------------------------------------

EPS = np.finfo(np.float32).eps
OUTLIER = 0, 5, 6, 1  # image, row, column, channel of x


def images_and_filters(C=32, K=24, taps=3):
    random = np.random.default_rng(5)
    return random.standard_normal((2, 12, 13, C), np.float32), random.standard_normal((taps, taps, C, K), np.float32)


def with_outlier(x, value):
    odd = x.copy()
    odd[OUTLIER] = value
    return odd


def largest_around(x, taps):
    """Give the largest number among the 6x6 pixels that each block of the result (same padding) is made from."""
    (_, H, W, _), edge = x.shape, 7 - taps
    size = np.pad(np.abs(x).max(axis=3), ((0, 0), (taps // 2, 7), (taps // 2, 7)))
    blocks = [[size[:, p:p + 6, q:q + 6].max(axis=(1, 2)) for q in range(0, W, edge)] for p in range(0, H, edge)]
    around = np.repeat(np.repeat(np.array(blocks), edge, axis=0), edge, axis=1)[:H, :W]
    return around.transpose(2, 0, 1)[..., None]


def error(y, x, weight):
    return np.abs(y - reference.conv2d(x.astype(np.float64), weight.astype(np.float64), padding="same"))


@pytest.mark.parametrize("value", [1.0, 1e2, 1e4, 1e6])
@pytest.mark.parametrize(("C", "taps"), [(16, 3), (64, 3), (16, 5), (64, 5)])
def test_winograd_errs_by_the_largest_number_of_its_6x6_pixels(value, C, taps):
    x, weight = images_and_filters(C, taps=taps)
    x = with_outlier(x, value)
    bound = 24 * EPS * of_sum(taps**2 * C) * np.abs(weight).max() * largest_around(x, taps)
    came = error(functional.conv2d(x, weight, padding="same", algorithm="winograd"), x, weight)
    assert (came <= bound).all()
    assert (came > bound / 24).any()  # the bound says something


def test_direct_convolution_errs_by_what_a_pixel_sees():
    x, weight = images_and_filters()
    x = with_outlier(x, 1e6)
    seen = reference.conv2d(np.abs(x).astype(np.float64), np.abs(weight).astype(np.float64), padding=1)
    bound = of_sum(weight[..., 0].size) * EPS * seen
    assert (error(functional.conv2d(x, weight, padding=1, algorithm="direct"), x, weight) <= bound).all()
    assert (error(functional.conv2d(x, weight, padding=1, algorithm="winograd"), x, weight) > 1000 * bound).any()


@pytest.mark.parametrize(("taps", "rows", "columns"), [(3, (4, 8), (4, 8)), (5, (2, 8), (4, 10))])
@pytest.mark.parametrize("value", [NAN, INF, -INF, 1e30])
def test_winograd_keeps_an_odd_number_to_the_blocks_that_hold_it(value, taps, rows, columns):
    x, weight = images_and_filters(taps=taps)
    before, after = (functional.conv2d(one, weight, padding="same", algorithm="winograd")
                     for one in (x, with_outlier(x, value)))
    changed = ((before != after) | ~np.isfinite(after)).any(axis=3)
    block = np.zeros(changed.shape, bool)
    block[0, slice(*rows), slice(*columns)] = True  # the blocks of which row 5 and column 6 are among the 6x6 pixels
    assert changed.any() and not (changed & ~block).any()


@pytest.mark.parametrize("value", [NAN, INF, -INF, 1e30])
def test_direct_convolution_keeps_an_odd_number_to_the_pixels_that_see_it(value):
    x, weight = images_and_filters()
    before, after = (functional.conv2d(one, weight, padding=1, algorithm="direct") for one in (x, with_outlier(x, value)))
    changed = (before != after) | ~np.isfinite(after)
    seen = np.zeros(changed.shape, bool)
    seen[0, 4:7, 5:8] = True
    assert np.array_equal(changed, seen)


def test_an_odd_number_in_one_image_leaves_the_answers_for_all_others():
    rng = np.random.default_rng(1)
    for name in ("lenet5", "resnet20", "inception", "mobilenet"):
        model = models.create(name, (28, 28, 1) if name == "lenet5" else (32, 32, 3), 10).eval()
        x = rng.standard_normal((5, *model.origin.input_shape)).astype(np.float32)
        with nn.inference():
            before = model.forward(x).copy()
            for value in (NAN, INF, HUGE):
                x[2, 7, 9, 0] = value
                after = model.forward(x)
                others = [0, 1, 3, 4]
                assert np.array_equal(before[others], after[others]), (name, value)


@pytest.mark.parametrize("layer", [lambda **options: nn.Conv2D(64, 64, 3, padding=1, **options),
                                   lambda **options: nn.ConvTranspose2D(64, 64, 3, padding=1, **options)])
def test_a_layer_with_direct_convolution_keeps_nan_to_the_pixels_that_see_it(layer):
    x = with_outlier(images_and_filters(64)[0], NAN)
    for one, count in ((layer(algorithm="direct"), 9), (layer(), 16)):
        assert np.isnan(one.forward(x)).any(axis=3).sum() == count
    assert "algorithm='direct'" in repr(layer(algorithm="direct")) and "algorithm" not in repr(layer())


def test_all_convolutions_of_a_model_use_the_algorithm_that_is_set():
    model = models.create("resnet20", (32, 32, 3), 10)
    assert "winograd" in str(model.summary((32, 32, 3)))
    assert model.set_algorithm("direct") is model
    assert "winograd" not in str(model.summary((32, 32, 3))) and "direct" in str(model.summary((32, 32, 3)))
    model.set_algorithm("auto")
    assert "winograd" in str(model.summary((32, 32, 3)))
    with pytest.raises(ValueError, match="set_algorithm: algorithm is 'fft', expected one of auto, direct"):
        model.set_algorithm("fft")


def test_an_algorithm_set_inside_an_inference_block_is_used():
    model = nn.Sequential(nn.Conv2D(64, 64, 3, padding=1)).eval()
    x = with_outlier(images_and_filters(64)[0], NAN)
    with nn.inference():
        counts = [np.isnan(model.forward(x)).any(axis=3).sum() for _ in range(3)]
        model.set_algorithm("direct")
        counts += [np.isnan(model.forward(x)).any(axis=3).sum() for _ in range(3)]
    assert counts == [16, 16, 16, 9, 9, 9]


# Training ------------------------------------------------------------------------------------------------------------------

OPTIMIZERS = {"SGD": lambda p: optim.SGD(p, 0.1, momentum=0.9), "Nesterov": lambda p: optim.SGD(p, 0.1, 0.9, nesterov=True),
              "Adam": optim.Adam, "AdamW": optim.AdamW, "Adamax": optim.Adamax, "RMSprop": optim.RMSprop,
              "Adagrad": optim.Adagrad, "Adadelta": optim.Adadelta, "Lion": optim.Lion}


def states(optimizer, gradient, steps=2):
    """Return parameters and states after steps with the gradient and one of ones, as rows of an array."""
    for values in (*[gradient] * steps, np.ones_like(gradient)):
        optimizer.parameters[0].grad = values
        optimizer.step()
    return np.array([optimizer.flat.data, *optimizer.state.values()])


@pytest.mark.parametrize("value", [NAN, INF, HUGE, TINY])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_odd_gradient_stays_with_its_element(make, value):
    gradient = np.random.default_rng(0).standard_normal(70).astype(np.float32)
    before = states(make([nn.Parameter(np.ones(70, np.float32))]), gradient)
    gradient[33] = value
    after = states(make([nn.Parameter(np.ones(70, np.float32))]), gradient)
    assert np.array_equal(np.delete(before, 33, axis=1), np.delete(after, 33, axis=1))
    if np.isnan(value):
        assert np.isnan(after[:, 33]).all()
    elif np.isfinite(value):
        assert np.isfinite(after[0, 33]) and not np.isnan(after[:, 33]).any()


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta"])
def test_an_element_whose_squares_overflow_stands_still(name):
    parameter = nn.Parameter(np.array([1.0, 1.0], np.float32))
    optimizer = OPTIMIZERS[name]([parameter])
    optimizer.weight_decay = 0.0
    parameter.grad = np.array([HUGE, 1.0], np.float32)
    optimizer.step()
    assert parameter.data[0] == 1.0 != parameter.data[1]


@pytest.mark.parametrize(("name", "least"), [("SGD", 1e28), ("Adamax", 1e-3), ("Lion", 1e-5)])
def test_optimizers_without_squares_step_by_a_huge_gradient(name, least):
    parameter = nn.Parameter(np.array([1.0], np.float32))
    optimizer = OPTIMIZERS[name]([parameter])
    parameter.grad = np.array([HUGE], np.float32)
    optimizer.step()
    assert least < 1 - parameter.data[0] < INF


def test_clipping_takes_gradients_whose_squares_overflow():
    optimizer = optim.SGD([nn.Parameter(np.zeros(2, np.float32))], 1.0)
    optimizer.parameters[0].grad = np.array([3e30, 4e30], np.float32)
    assert optimizer.grad_norm() == pytest.approx(5e30)
    optimizer.step(scale=optimizer.clip_scale(1.0))
    assert np.allclose(optimizer.parameters[0].data, [-0.6, -0.8])


def test_max_norm_takes_weights_whose_squares_overflow():
    weight = nn.Parameter(np.array([[3e30, 1.0], [4e30, 1.0]], np.float32))
    optim.MaxNorm([weight], 5.0)()
    assert np.allclose(weight.data, [[3.0, 1.0], [4.0, 1.0]])


LABELS = np.array([0, 2, 1, 0])
LOSSES = {"CrossEntropyLoss": (nn.CrossEntropyLoss(), LABELS), "NLLLoss": (nn.NLLLoss(), LABELS),
          "HingeLoss": (nn.HingeLoss(), LABELS), **{type(loss).__name__: (loss, np.full((4, 3), 0.5, np.float32))
          for loss in (nn.MSELoss(), nn.BCELoss(), nn.L1Loss(), nn.HuberLoss())}}


@pytest.mark.parametrize("value", [NAN, INF, -INF, HUGE])
@pytest.mark.parametrize(("loss", "target"), LOSSES.values(), ids=LOSSES)
def test_an_odd_score_leaves_the_gradients_of_other_rows(loss, target, value):
    scores = np.random.default_rng(2).standard_normal((4, 3)).astype(np.float32)
    loss.forward(scores, target)
    before = loss.backward()
    scores[1, 2] = value
    came = loss.forward(scores, target)
    after = loss.backward()
    assert np.array_equal(np.delete(before, 1, axis=0), np.delete(after, 1, axis=0))
    if not np.isinf(value):  # where infinities meet, the formula decides
        assert np.isnan(came) == np.isnan(value)


def test_a_row_to_ignore_may_hold_nan():
    scores = np.random.default_rng(2).standard_normal((4, 3)).astype(np.float32)
    scores[1] = NAN
    for loss in (nn.CrossEntropyLoss(ignore_index=-1), nn.NLLLoss(ignore_index=-1)):
        assert np.isfinite(loss.forward(scores, np.array([0, -1, 1, 2])))
        assert np.isfinite(loss.backward()).all() and not loss._evaluate(scores, np.array([0, -1, 1, 2]))[1][1].any()


# Answers -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_and_denormal_scores_are_ranked(dtype):
    scores = np.array([[HUGE, -HUGE, 0], [TINY, 0, -TINY], [LARGEST, -LARGEST, 1]], dtype)
    assert metrics.accuracy(scores, np.array([0, 0, 0])) == 1.0
    assert metrics.top_k_accuracy(scores, np.array([2, 1, 2]), 2) == 1.0
    assert metrics.top_k_accuracy(scores, np.array([2, 1, 2]), 1) == 0.0


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_scores_that_are_not_finite_are_no_right_answer(value):
    scores = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, value]], np.float32)
    labels = np.array([0, 0, 1])
    assert metrics.accuracy(scores, labels) == metrics.top_k_accuracy(scores, labels, 1) == pytest.approx(2 / 3)
