"""Networks and layers to ONNX and back: the checker of onnx, ONNX Runtime's answers, and those of what is read again.

    python -m tests.onnx_models                    every network of fastcnn.models and every layer of fastcnn.nn
    python -m tests.onnx_models resnet Pool        those whose names contain one of these
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastcnn
from fastcnn import models, nn

LIMIT_RUNTIME, LIMIT_AGAIN = 1e-5, 1e-6  # relative to the largest number
Case = tuple[Callable[[], nn.Module], tuple[int, ...]]
IMAGE, ROW = (7, 9, 4), (10,)
CHANNELS = {"BatchNorm": 4, "GroupNorm": 4, "LayerNorm": 4, "PReLU": 4}


def branch() -> nn.Module:
    return nn.Sequential(nn.Conv2D(4, 4, 3, padding=1), nn.ReLU())


# Settings of layers, by class; a class without any takes no arguments, on images.
LAYERS: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "AdaptiveAvgPool2D": [((1,), {}), ((3,), {}), (((7, 3),), {}), (((3, 4),), {})],
    "AdaptiveMaxPool2D": [((1,), {}), ((3,), {}), (((7, 3),), {}), (((3, 4),), {})],
    "AvgPool2D": [((2,), {}), ((3,), {"stride": 2, "padding": 1}), ((2,), {"ceil_mode": True}),
                  ((3,), {"stride": 2, "padding": 1, "count_include_pad": False}), ((3, 2), {"padding": "same"}),
                  (((3, 2), (3, 4)), {"padding": 1, "ceil_mode": True}),
                  ((4, 3, 1), {"ceil_mode": True, "count_include_pad": False})],
    "BatchNorm": [((4,), {}), ((4,), {"eps": 1e-3, "momentum": 0.3})],
    "Concat": [((branch(), nn.Identity(), nn.MaxPool2D(3, 1, 1)), {})],
    "Conv2D": [((4, 6, 3), {}), ((4, 6, 3), {"stride": 2, "padding": "same"}),
               ((4, 8, (3, 2)), {"groups": 2, "bias": False}),
               ((4, 4, 3), {"groups": 4, "padding": ((1, 2), (0, 3)), "dilation": (2, 1)}), ((4, 32, 1), {})],
    "ConvTranspose2D": [((4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1}), ((4, 6, 2), {"stride": (2, 3)}),
                        ((4, 8, 3), {"groups": 2, "dilation": 2, "bias": False, "padding": ((1, 0), (2, 1))})],
    "Dropout": [((0.25,), {}), ((0,), {})],
    "Dropout2D": [((0.25,), {})],
    "GroupNorm": [((2, 4), {}), ((1, 4), {"eps": 1e-3}), ((4, 4), {})],
    "LayerNorm": [((4,), {}), ((4,), {"eps": 1e-3})],
    "LeakyReLU": [((), {}), ((0.2,), {})],
    "Linear": [((10, 7), {}), ((10, 3), {"bias": False})],
    "MaxPool2D": [((2,), {}), ((3,), {"stride": 2, "padding": 1}), ((2,), {"ceil_mode": True}),
                  ((3, 2), {"padding": "same"}), (((3, 2), (3, 4)), {"padding": 1, "ceil_mode": True}),
                  ((2, 1), {"dilation": 2, "padding": ((0, 1), (1, 0))}), ((3, 3), {"ceil_mode": True})],
    "PReLU": [((4,), {}), ((1,), {})],
    "Pad2D": [((1,), {}), ((((1, 2), (0, 3)),), {"value": 2.5}), ((2,), {"mode": "reflect"}), ((2,), {"mode": "replicate"})],
    "Reshape": [((4, 7, 9), {}), ((252,), {}), ((7, 36), {})],
    "Residual": [((branch(),), {}), ((branch(), nn.Conv2D(4, 4, 1)), {}), ((nn.Identity(), nn.ReLU()), {})],
    "Sequential": [((), {}), ((nn.Conv2D(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(5 * 7 * 3, 5)), {}),
                   ((nn.Sequential(nn.Tanh()), nn.Flatten()), {})],
    "Softplus": [((), {}), ((2.0, 1.0), {}), ((0.5, 30.0), {})],
    "Upsample2D": [((2,), {}), (((2, 3),), {"mode": "bilinear"}), (((3, 1),), {})],
}
ROWS = {"Linear": [((10, 7), {}), ((10, 3), {"bias": False})], "BatchNorm": [((10,), {})], "LayerNorm": [((10,), {})],
        "GroupNorm": [((5, 10), {})], "PReLU": [((10,), {}), ((1,), {})], "Flatten": [((), {})], "Softmax": [((), {})],
        "LogSoftmax": [((), {})], "Reshape": [((5, 2), {}), ((1, 5, 2), {})], "Tanh": [((), {})], "ReLU": [((), {})]}
OTHERS = {"Frozen", "Lazy", "Layer", "Module"}  # bases, and a copy of another module


def cases() -> Iterator[tuple[str, Case]]:
    """Give name, constructor and shape of one input."""
    for name in models.names():
        shape = (28, 28, 1) if name == "lenet5" else (32, 32, 3)
        yield name, (lambda name=name, shape=shape: models.create(name, shape, 10), shape)  # type: ignore[misc]
    classes = [name for name, kind in vars(nn).items() if isinstance(kind, type) and issubclass(kind, nn.Module)
               and name in nn.__all__ and name not in OTHERS]
    for table, shape in ((LAYERS, IMAGE), (ROWS, ROW)):
        for name in classes if table is LAYERS else table:
            if table is LAYERS and name == "Linear":
                continue
            for arguments, options in table.get(name, [((), {})]):
                said = ", ".join([*map(str, arguments), *(f"{key}={value}" for key, value in options.items())])
                yield f"{name}({said}) of {shape}", (
                    lambda name=name, arguments=arguments, options=options: getattr(nn, name)(*arguments, **options),  # type: ignore[misc]
                    shape)
    yield "Frozen", (lambda: nn.Frozen(models.create("resnet20", (32, 32, 3), 10)), (32, 32, 3))


def trained(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give all arrays of a model numbers as training would leave them."""
    chance = np.random.default_rng(seed)
    for name, array in model._tensors().items() if not isinstance(model, nn.Frozen) else ():
        if name.endswith(("running_var", "gamma", "slope")):
            array[...] = chance.uniform(0.5, 1.5, array.shape)
        elif name.endswith(("running_mean", "beta", "bias")):
            array[...] = chance.normal(0, 0.3, array.shape)
    return model.eval()


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest error, relative to the largest number."""
    if found.shape != expected.shape:
        return np.inf
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))


def in_onnx(x: np.ndarray) -> np.ndarray:
    """Return images (N, C, H, W) of (N, H, W, C)."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x


def runtime(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return what ONNX Runtime makes of a batch, of values as the file has them."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {session.get_inputs()[0].name: x})[0]


def errors(model: nn.Module, shape: tuple[int, ...], path: Path) -> tuple[float, float]:
    """Return the errors of ONNX Runtime and of the model read again, the larger ones of batches of 1 and 3."""
    import onnx

    fastcnn.export_onnx(model, path, shape)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    run, again = runtime(path), fastcnn.import_onnx(path).eval()
    found = []
    for batch in (1, 3):
        x = np.random.default_rng(batch).standard_normal((batch, *shape)).astype(np.float32)
        expected = model.forward(x)
        found.append((error(run(in_onnx(x)), in_onnx(expected)), error(again.forward(x), expected)))
    return max(one for one, _ in found), max(other for _, other in found)


def main() -> int:
    patterns, failures, count = sys.argv[1:], 0, 0
    worst = [0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        for name, (make, shape) in cases():
            if patterns and not any(pattern in name for pattern in patterns):
                continue
            count += 1
            try:
                by_runtime, again = errors(trained(make()), shape, Path(folder, "model.onnx"))
            except Exception as problem:
                failures += 1
                print(f"{name}: {type(problem).__name__}: {str(problem)[:500]}")
                continue
            worst = [max(worst[0], by_runtime), max(worst[1], again)]
            bad = by_runtime > LIMIT_RUNTIME or again > LIMIT_AGAIN
            failures += bad
            print(f"{name}: {by_runtime:.1e} from ONNX Runtime, {again:.1e} read again{'  TOO LARGE' if bad else ''}")
    print(f"{count} networks and layers, {failures} failures, at most {worst[0]:.1e} and {worst[1]:.1e}")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
