"""ONNX's own tests of operators, run through fastcnn.

    python -m tests.onnx_operators                 counts of both lists; those that do not pass by name
    python -m tests.onnx_operators --all           a line for each test

The first list is what a convolutional network and its training need: 175 tests. The second one has 95 of its neighbours.
Tests come from the package onnx, of the version that is installed; the rule that chooses them is below.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastcnn.interop.onnx.calls import UnsupportedError
from fastcnn.interop.onnx.evaluation import evaluate

ACTIVATIONS = ("Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Relu", "Selu", "Sigmoid",
               "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu")
CORE = ("Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "BatchNormalization", "Gemm", "Softmax",
        "LogSoftmax", "Flatten", "Dropout", "SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss", "Adam", "Momentum",
        "Adagrad", *ACTIVATIONS)
QUANTISED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger")
LATER = ("ConvTranspose", "Reshape", "Add", "Sum", "Concat", "Identity", "Pad", "LayerNormalization", "GroupNormalization",
         "InstanceNormalization", "LRN", *QUANTISED)
FLOAT = 1
# Their masks follow from a generator of random numbers that the standard does not fix.
RANDOM = {"test_training_dropout_default", "test_training_dropout_default_mask", "test_training_dropout",
          "test_training_dropout_mask"}


def of_files(*names: str) -> list[Any]:
    """Return the tests that some files of onnx/backend/test/case/node/ make: those of all take ten seconds."""
    from onnx.backend.test.case import node

    for name in names:
        importlib.import_module(f"{node.__name__}.{name}")
    return list(node._NodeTestCases)


def cases(tests: list[Any] | None = None) -> Iterator[tuple[str, Any]]:
    """Give list, "core" or "later", and test: one operator each, of floats and of images where it has windows."""
    if tests is None:
        from onnx.backend.test.loader import load_model_tests

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of numpy, while expected results are computed
            tests = load_model_tests(kind="node")
    for test in tests:
        graph = test.model.graph
        if len(graph.node) != 1 or "_expanded" in test.name or test.name in RANDOM:
            continue
        operator = graph.node[0].op_type
        chosen = "core" if operator in CORE else "later" if operator in LATER else None
        if chosen is None or any(word in test.name for word in ("_1d_", "_3d_") if "Pool" in operator) or (
                test.name.endswith(("_1d", "_3d")) and operator == "ConvTranspose"):
            continue
        kind = graph.input[0].type
        if operator in QUANTISED or (kind.HasField("tensor_type") and kind.tensor_type.elem_type == FLOAT):
            yield chosen, test


def outcome(test: Any) -> str:
    """Return "passed", "not covered", or "failed" with the reason."""
    content = test.model.SerializeToString()
    for given in test.data_sets:
        inputs, expected = ([plain(value) for value in values] for values in given)
        try:
            found = evaluate(content, inputs)
        except UnsupportedError as error:
            return f"not covered: {error}"
        except Exception as error:
            return f"failed: {type(error).__name__}: {error}"
        try:
            compare(found, expected, test)
        except AssertionError as error:
            return f"failed: {' '.join(str(error).split())}"
    return "passed"


def plain(value: Any) -> Any:
    """Return an array in place of a message, which numbers of types that numpy lacks come as."""
    from onnx import TensorProto, numpy_helper

    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value


def compare(found: list[Any], expected: list[Any], test: Any) -> None:
    """As onnx.backend.test.runner compares."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype, f"{one.dtype} in place of {other.dtype}"
        np.testing.assert_array_equal(one.shape, other.shape)
        if one.size and one.dtype.kind != "O":
            np.testing.assert_allclose(one, other, rtol=test.rtol, atol=test.atol)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.onnx_operators")
    parser.add_argument("--all", action="store_true", help="a line for each test")
    arguments = parser.parse_args()
    counts: dict[str, Counter[str]] = {"core": Counter(), "later": Counter()}
    for chosen, test in cases():
        result = outcome(test)
        counts[chosen][result.partition(":")[0]] += 1
        if arguments.all or result != "passed":
            print(f"{chosen}  {test.name}  {result[:200]}")
    for chosen, count in counts.items():
        words = ", ".join(f"{count[word]} {word}" for word in ("passed", "failed", "not covered"))
        print(f"{chosen}: {sum(count.values())} tests, {words}")
    return int(any(count["failed"] for count in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
