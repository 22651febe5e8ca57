"""NaN, infinity, huge and denormal numbers in every float argument of every operation.

Expected is what the reference makes of them in float64, rounded to float32: NaN and infinity come out where they do there,
squares overflow nowhere that the true result is a float32, and nothing is flushed to zero. What does not depend on the
odd number keeps its bits. The exceptions are rules with a reason each, below.
"""

import numpy as np
import pytest

from fastcnn import registry, verification
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
LEFT_OUT = {("conv2d_backward[narrow]", "weight"): lambda case: True,
            ("conv2d_backward[depthwise]", "dy"): lambda case: "padding" in case.settings}


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
