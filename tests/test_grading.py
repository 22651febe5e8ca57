"""Functions of the user's own in the place of an operation: right ones pass, wrong ones learn in which case and how far."""

import json

import numpy as np
import pytest

from fastcnn import functional, grading, reference
from fastcnn.cli import main

# One of each kind: exact and rounded, with None among the results, numbers in place of arrays, a tuple, a change in place.
OPERATIONS = ("max_pool2d", "gelu", "linear_backward", "layer_norm", "mse_loss", "concat_backward", "sgd")


def pool(x, kernel_size, first=True):
    """Max pooling by loops, of windows side by side; the last of several maxima where not `first`."""
    R, S = np.broadcast_to(kernel_size, 2)
    N, H, W, C = x.shape
    y, argmax = np.empty((N, H // R, W // S, C), x.dtype), np.empty((N, H // R, W // S, C), np.int32)
    for n, p, q, c in np.ndindex(y.shape):
        window = x[n, p * R:(p + 1) * R, q * S:(q + 1) * S, c].reshape(-1)
        at = window.argmax() if first else R * S - 1 - window[::-1].argmax()
        y[n, p, q, c], argmax[n, p, q, c] = window[at], (p * R + at // S) * W + q * S + at % S
    return y, argmax


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_reference_passes_every_case(operation):
    grade = grading.grade(getattr(reference, operation), operation, cases=4)
    assert grade.ok, str(grade)
    assert grade.passed > 15 and not grade.left_out


def test_the_kernels_pass():
    assert grading.grade(functional.linear, "linear", cases=0).ok


def test_cases_whose_arguments_a_candidate_does_not_take_are_left_out():
    grade = grading.grade(pool, "max_pool2d", cases=2)
    assert grade.ok and grade.passed > 30 and {"padding", "dilation", "with ReLU"} <= set(grade.left_out)
    assert "2x2" not in grade.left_out
    assert str(grade).endswith(f"; {len(grade.left_out)} cases left out, whose arguments it does not take")


def test_a_small_error_is_told_with_its_place_and_the_shapes():
    def wrong(x):
        y = reference.relu(x)
        if y.ndim == 4:
            y[1, 2, 0, 3] += 1e-4
        return y

    (failure,) = grading.grade(wrong, "relu", cases=0).failures
    assert (failure.case, failure.dtype, failure.arguments) == ("images", "float32", "x (2, 3, 5, 7)")
    assert failure.problem.startswith("y[1, 2, 0, 3] is ")


def test_an_error_beyond_rounding_is_told_in_epsilon():
    grade = grading.grade(lambda x: reference.tanh(x) * (1 + 1e-4), "tanh")
    assert "epsilon, at most" in grade.failures[0].problem and grade.failures[0].dtype == "float32"
    assert len(grade.failures) == grading.ENOUGH and "failed and ended it" in str(grade)


WRONG = {
    "nothing": (lambda x: None, "0 results, expected y"),
    "a list": (lambda x: x.tolist(), "y is a list, expected an array of numpy"),
    "another element type": (lambda x: reference.relu(x).astype(np.float16), "y is float16, expected float32"),
    "another shape": (lambda x: reference.relu(x)[:0], "y has shape"),
    "its argument": (lambda x: np.maximum(x, 0, out=x), "x was changed"),
    "memory of its argument": (lambda x: x, "y lies in the memory of x"),
    "an exception": (lambda x: x[10**6], "IndexError: index 1000000 is out of bounds"),
    "what nobody wrote": (lambda x: np.empty(x.shape, x.dtype), "y[0] is np.float32(nan), expected"),
    "0 for NaN": (lambda x: np.where(x > 0, x, 0), "expected exactly np.float32(nan)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name):
    candidate, said = WRONG[name]
    grade = grading.grade(candidate, "relu")
    assert said in grade.failures[0].problem and said in str(grade)


def test_the_last_of_several_maxima_is_not_the_first():
    grade = grading.grade(lambda x, kernel_size, stride=None: pool(x, kernel_size, first=False), "max_pool2d", cases=40)
    assert any("argmax" in failure.problem for failure in grade.failures)


def test_operations_that_change_arrays_in_place_are_graded():
    def step(parameter, gradient, velocity, *, lr, momentum, nesterov, weight_decay, step, scale=1.0, zero=False):
        reference.sgd(parameter, gradient, velocity, lr=lr, momentum=momentum, nesterov=False, weight_decay=weight_decay,
                      step=step, scale=scale, zero=zero)

    assert not grading.grade(step, "sgd").ok


def test_calls_that_cannot_be_graded_are_refused():
    with pytest.raises(ValueError, match=r"operation is 'rellu', expected one of conv2d, .*; did you mean 'relu'"):
        grading.grade(reference.relu, "rellu")
    with pytest.raises(ValueError, match=r"<lambda> takes \(a\), expected parameters named as in relu\(x"):
        grading.grade(lambda a: a, "relu")


# Command line

MINE = """
import numpy as np
def good(x):
    return np.maximum(x, 0)
def bad(x):
    return np.where(x > 0, x, 0)
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "exercises_of_mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")  # as it was, afterwards
    return "exercises_of_mine"


def test_the_command_grades_a_function_of_a_file_and_of_a_module(mine, capsys):
    assert main(["verify", "relu", "--candidate", f"{mine}.py:good"]) == 0
    assert capsys.readouterr().out.startswith("good as relu: ")
    assert main(["verify", "relu", "--candidate", f"{mine}:bad", "--cases", "0"]) == 1
    assert "FAILED images, NaN in x, float32: x (2, 3, 5, 7)" in capsys.readouterr().out
    assert main(["verify", "relu", "--candidate", f"{mine}.py:bad", "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert not record["ok"] and record["failures"][0]["case"] == "images, NaN in x"


@pytest.mark.parametrize(("words", "said"), [
    (["relu", "--candidate", "good"], "--candidate: 'good', expected a file or a module and a function in it"),
    (["relu", "--candidate", "{mine}.py:better"], "has no function better, expected one of good, bad"),
    (["relu", "--candidate", "none.py:good"], "none.py:good: FileNotFoundError"),
    (["--candidate", "{mine}:good"], "--candidate is checked as one operation"),
    (["pool", "--candidate", "{mine}:good"], "--candidate is checked as one operation"),
    (["relu", "--candidate", "{mine}:good", "--all"], "expected no --all"),
])
def test_wrong_command_lines(words, said, mine, capsys):
    assert main(["verify", *(word.format(mine=mine) for word in words)]) == 2
    assert said in capsys.readouterr().err
