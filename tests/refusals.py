"""Calls beyond single operations that must be refused: of layers, optimizers, files and training.

Those of operations stand beside their rows in the registry. A message names the argument, what came and what was expected.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fastcnn
from fastcnn.registry.row import ones
from fastcnn.shapes import CheckpointError, DataFormatError, DTypeError, ShapeError

api: Any = fastcnn  # untyped: wrong arguments are the point


@dataclass(frozen=True)
class Refusal:
    """A call beyond single operations: `given` makes its argument from an empty folder, `call` is refused."""

    name: str
    error: type[Exception]
    pattern: str
    call: Callable[[Any], Any]
    given: Callable[[Path], Any] = lambda folder: folder


def network() -> Any:
    """Make a network for images of 2x2 pixels and three classes."""
    return api.nn.Sequential(api.nn.Flatten(), api.nn.Linear(12, 3))


def parameters() -> Any:
    """Make something to optimize."""
    return network().parameters()


def train(images: Any = None, labels: Any = None, **options: Any) -> Any:
    """Train on eight images, but for what is at fault."""
    images = ones(8, 2, 2, 3) if images is None else images
    labels = np.arange(8) % 3 if labels is None else labels
    return api.fit(network(), (images, labels), **{"epochs": 1, "batch_size": 4, "progress": False, **options})


def fit_ending_in(end: Any, loss: Any = None) -> Any:
    """Train a network that ends in `end` on eight images."""
    model = api.nn.Sequential(network(), end)
    return api.fit(model, (ones(8, 2, 2, 3), np.arange(8) % 3), loss=loss, epochs=1, progress=False)


def few() -> Any:
    """Make a data set of eight images."""
    return api.data.Split(ones(8, 2, 2, 3), np.arange(8) % 3)


def load(path: Path) -> Any:
    """Load a model."""
    return api.load(path)


def saved(folder: Path) -> Path:
    """Save a model."""
    path = folder / "model.safetensors"
    api.save(api.models.create("lenet5", (28, 28, 1), 10), path)
    return path


def cut(count: int) -> Callable[[Path], Path]:
    """Save a model, and cut the end off the file."""

    def given(folder: Path) -> Path:
        path = saved(folder)
        path.write_bytes(path.read_bytes()[:-count])
        return path

    return given


def flipped(folder: Path) -> Path:
    """Save a model, and change one bit near the end of the file."""
    path = saved(folder)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    return path


def of_another_model(folder: Path) -> tuple[Path, Any]:
    """Save a model, and make a network that it does not fit."""
    return saved(folder), network()


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    """Write a file of these bytes."""

    def given(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return given


IMAGES, LABELS = struct.pack(">4I", 2051, 2, 28, 28), struct.pack(">2I", 2049, 2)


def mnist(*, images: bytes = IMAGES + bytes(2 * 784), labels: bytes = LABELS + b"\3\4") -> Callable[[Path], Path]:
    """Write MNIST with two images in each split; the training files may be at fault."""

    def given(folder: Path) -> Path:
        written("mnist/train-images-idx3-ubyte", images)(folder)
        written("mnist/train-labels-idx1-ubyte", labels)(folder)
        written("mnist/t10k-images-idx3-ubyte", IMAGES + bytes(2 * 784))(folder)
        written("mnist/t10k-labels-idx1-ubyte", LABELS + b"\3\4")(folder)
        return folder

    return given


def load_mnist(folder: Path) -> Any:
    """Load what lies in the folder."""
    return api.data.load("mnist", folder, download=False)


def cifar_with_a_folder(folder: Path) -> Path:
    """Write CIFAR-10 with a folder where the test images should be."""
    for number in range(1, 6):
        written(f"cifar10/data_batch_{number}.bin", bytes(3073))(folder)
    (folder / "cifar10" / "test_batch.bin").mkdir()
    return folder


def fetch_from_nowhere(folder: Path) -> Any:
    """Download from an address where nobody listens."""
    from fastcnn.data.download import fetch
    from fastcnn.data.sources import RemoteFile

    return fetch(RemoteFile("train.bin", 10, "0" * 64, ("https://127.0.0.1:9/train.bin",)), folder)


LAYER_REFUSALS = (
    Refusal("no channels", ShapeError, r"Conv2D: in_channels is 0, expected at least 1",
            lambda _: api.nn.Conv2D(0, 4, 3)),
    Refusal("float channels", DTypeError, r"Conv2D: out_channels is 4\.0, expected an integer",
            lambda _: api.nn.Conv2D(3, 4.0, 3)),
    Refusal("filter of size 0", ShapeError, r"Conv2D: kernel_size is 0, expected at least 1",
            lambda _: api.nn.Conv2D(3, 4, 0)),
    Refusal("layer with stride 0", ShapeError, r"Conv2D: stride is 0, expected at least 1",
            lambda _: api.nn.Conv2D(3, 4, 3, stride=0)),
    Refusal("layer with negative padding", ShapeError, r"Conv2D: padding is -1, expected at least 0",
            lambda _: api.nn.Conv2D(3, 4, 3, padding=-1)),
    Refusal("layer with padding by a wrong name", ShapeError, r"Conv2D: padding is 'full', expected 'same'",
            lambda _: api.nn.Conv2D(3, 4, 3, padding="full")),
    Refusal("layer with groups that divide nothing", ShapeError, r"Conv2D: groups is 2, expected a divisor of in_channels 3",
            lambda _: api.nn.Conv2D(3, 4, 3, groups=2)),
    Refusal("layer with unknown algorithm", ValueError, r"Conv2D: algorithm is 'fft', expected one of auto",
            lambda _: api.nn.Conv2D(3, 4, 3, algorithm="fft")),
    Refusal("no features", ShapeError, r"Linear: in_features is 0, expected at least 1", lambda _: api.nn.Linear(0, 3)),
    Refusal("features of a string", DTypeError, r"Linear: out_features is '3', expected an integer",
            lambda _: api.nn.Linear(4, "3")),
    Refusal("reshaped to nothing", ShapeError, r"Reshape: shape is 0, expected at least 1", lambda _: api.nn.Reshape(4, 0)),
    Refusal("reshaped to other elements", ShapeError, r"Reshape: x has shape \(2, 12\), expected .* 8 elements",
            lambda _: api.nn.Reshape(2, 4)(ones(2, 12))),
    Refusal("norm without channels", ShapeError, r"BatchNorm: channels is 0, expected at least 1",
            lambda _: api.nn.BatchNorm(0)),
    Refusal("norm with momentum 2", ValueError, r"BatchNorm: momentum is 2\.0, expected .* at most 1",
            lambda _: api.nn.BatchNorm(4, momentum=2)),
    Refusal("window of size 0", ShapeError, r"MaxPool2D: kernel_size is 0, expected at least 1",
            lambda _: api.nn.MaxPool2D(0)),
    Refusal("padding above half the window", ShapeError, r"AvgPool2D: padding is 2, expected at most half of kernel_size 2",
            lambda _: api.nn.AvgPool2D(2, padding=2)),
    Refusal("dropping everything", ValueError, r"Dropout: p is 1\.0, expected .* below 1", lambda _: api.nn.Dropout(1)),
    Refusal("dropping a string", DTypeError, r"Dropout: p is 'half', expected a finite number",
            lambda _: api.nn.Dropout("half")),
    Refusal("negative slope", ValueError, r"LeakyReLU: slope is -1\.0, expected", lambda _: api.nn.LeakyReLU(-1)),
    Refusal("no slopes", ShapeError, r"PReLU: channels is 0, expected at least 1", lambda _: api.nn.PReLU(0)),
    Refusal("softplus of beta 0", ValueError, r"Softplus: beta is 0\.0, expected", lambda _: api.nn.Softplus(0)),
    Refusal("a corner of no size", ValueError, r"HuberLoss: delta is 0\.0, expected", lambda _: api.nn.HuberLoss(0)),
    Refusal("margin NaN", ValueError, r"HingeLoss: margin is nan, expected", lambda _: api.nn.HingeLoss(math.nan)),
    Refusal("penalty of a layer", DTypeError, r"L2: parameters is Linear\(2, 3\), expected a list",
            lambda _: api.nn.L2(api.nn.Linear(2, 3), 0.1)),
    Refusal("a constraint of biases", ShapeError,
            r"MaxNorm: parameters holds Parameter\('bias'.*, expected two axes or more",
            lambda _: api.optim.MaxNorm(api.nn.Linear(2, 3).parameters(), 3.0)),
    Refusal("a constraint of nothing", ShapeError, r"MaxNorm: parameters is empty, expected",
            lambda _: api.optim.MaxNorm([], 3.0)),
    Refusal("a negative norm", ValueError, r"MaxNorm: limit is -1\.0, expected",
            lambda _: api.optim.MaxNorm([api.nn.Linear(2, 3).weight], -1)),
    Refusal("penalty of nothing", ShapeError, r"L2: parameters is empty, expected", lambda _: api.nn.L2([], 0.1)),
    Refusal("no parts", ShapeError, r"AdaptiveAvgPool2D: output_size is 0, expected at least 1",
            lambda _: api.nn.AdaptiveAvgPool2D(0)),
    Refusal("padding by an unknown mode", ValueError, r"Pad2D: mode is 'circular', expected one of constant",
            lambda _: api.nn.Pad2D(1, "circular")),
    Refusal("upsampling by nothing", ShapeError, r"Upsample2D: scale is 0, expected at least 1",
            lambda _: api.nn.Upsample2D(0)),
    Refusal("output padding of a stride", ShapeError, r"ConvTranspose2D: output_padding is \(1, 1\), expected less than",
            lambda _: api.nn.ConvTranspose2D(3, 4, 3, output_padding=1)),
    Refusal("transposed groups that divide nothing", ShapeError, r"ConvTranspose2D: groups is 2, expected a divisor",
            lambda _: api.nn.ConvTranspose2D(3, 4, 3, groups=2)),
    Refusal("no branches", DTypeError, r"Concat: no branches came, expected at least one Module", lambda _: api.nn.Concat()),
    Refusal("branches of other pixels", ShapeError, r"Concat: branch 1 gives shape \(1, 2, 2, 1\), expected \(1, 4",
            lambda _: api.nn.Concat(api.nn.Identity(), api.nn.MaxPool2D(2))(ones(1, 4, 4, 1))),
    Refusal("groups that divide no channels", ShapeError, r"GroupNorm: groups is 4, expected a divisor of the 6 channels",
            lambda _: api.nn.GroupNorm(4, 6)),
    Refusal("unknown initialiser", ValueError, r"init_weights: how is 'ones', expected one of he_normal, he_uniform",
            lambda _: api.nn.init_weights(network(), "ones")),
    Refusal("no module", DTypeError, r"Sequential: argument 0 is 3, expected a Module", lambda _: api.nn.Sequential(3)),
    Refusal("a class for a module", DTypeError, r"Sequential: argument 1 is <class .*ReLU'>, expected a Module",
            lambda _: api.nn.Sequential(api.nn.ReLU(), api.nn.ReLU)),
    Refusal("branches that differ", ShapeError, r"Residual: main gives shape \(2, 3\), expected \(2, 4\)",
            lambda _: api.nn.Residual(api.nn.Linear(4, 3))(ones(2, 4))),
    Refusal("input of other features", ShapeError, r"linear: x has 8 features \(shape \(5, 8\)\), weight .* expects 12",
            lambda _: network()(ones(5, 2, 2, 2))),
    Refusal("backward before forward", RuntimeError, r"Linear.*: backward needs a forward of its own before it",
            lambda _: api.nn.Linear(4, 3).backward(ones(2, 3))),
    Refusal("the name of a file as a state", DTypeError, r"load_state_dict: state is 'a\.safetensors', expected names",
            lambda _: network().load_state_dict("a.safetensors")),
    Refusal("weights of nothing", DTypeError, r"init_weights: module is 1, expected a Module",
            lambda _: api.nn.init_weights(1, "orthogonal")),
    Refusal("weights before their size is known", RuntimeError, r"Linear: in_features is None and its parameters will come",
            lambda _: api.nn.init_weights(api.nn.Linear(None, 3), "orthogonal")),
    Refusal("parameters before their size is known", RuntimeError,
            r"Linear: in_features is None .* expected in_features as a number",
            lambda _: api.optim.SGD(api.nn.Linear(None, 3).parameters(), 0.1)),
    Refusal("built for a batch", ShapeError, r"build: input_shape is \(8, 2, 2, 3\), expected \(H, W, C\)",
            lambda _: api.nn.Conv2D(None, 3, 1).build((8, 2, 2, 3))),
    Refusal("built for no features", ShapeError, r"build: input_shape is 0, expected at least 1",
            lambda _: api.nn.Linear(None, 3).build((0,))),
    Refusal("summary of a batch", ShapeError, r"summary: input_shape is \(8, 2, 2, 3\), expected \(H, W, C\)",
            lambda _: network().summary((8, 2, 2, 3))),
    Refusal("state without an array", CheckpointError, r"load_state_dict: .*\n  1\.bias is missing, expected shape \(3,\)",
            lambda _: network().load_state_dict({"1.weight": ones(12, 3)})),
    Refusal("state with another shape", CheckpointError, r"1\.bias has shape \(4,\), expected \(3,\)",
            lambda _: network().load_state_dict({"1.weight": ones(12, 3), "1.bias": ones(4)})),
    Refusal("weights of an unknown layer", CheckpointError, r"set_weights: layer 'conv1' is unknown, expected some of 1",
            lambda _: network().set_weights({"conv1": (ones(3), None)})),
    Refusal("gradient of another shape", ShapeError, r"Parameter 1\.weight: grad has shape \(3,\), expected \(12, 3\)",
            lambda _: setattr(parameters()[0], "grad", ones(3))),
)

OPTIMIZER_REFUSALS = (
    Refusal("rate NaN", ValueError, r"SGD: lr is nan, expected a finite number of at least 0",
            lambda _: api.optim.SGD(parameters(), lr=math.nan)),
    Refusal("negative rate", ValueError, r"Adam: lr is -0\.1, expected a finite number of at least 0",
            lambda _: api.optim.Adam(parameters(), lr=-0.1)),
    Refusal("rate of a string", DTypeError, r"SGD: lr is '0\.1', expected a finite number",
            lambda _: api.optim.SGD(parameters(), lr="0.1")),
    Refusal("rate set to infinity", ValueError, r"SGD: lr is inf, expected a finite number",
            lambda _: setattr(api.optim.SGD(parameters(), lr=0.1), "lr", math.inf)),
    Refusal("Nesterov without momentum", ValueError, r"SGD: nesterov is True, expected False where momentum is 0",
            lambda _: api.optim.SGD(parameters(), lr=0.1, nesterov=True)),
    Refusal("one beta", ShapeError, r"Adam: betas is 0\.9, expected a pair of numbers",
            lambda _: api.optim.Adam(parameters(), betas=0.9)),
    Refusal("beta of 1", ValueError, r"AdamW: betas\[1\] is 1\.0, expected .* below 1",
            lambda _: api.optim.AdamW(parameters(), betas=(0.9, 1))),
    Refusal("negative decay", ValueError, r"RMSprop: weight_decay is -1\.0, expected a finite number of at least 0",
            lambda _: api.optim.RMSprop(parameters(), weight_decay=-1)),
    Refusal("one beta of Lion", ShapeError, r"Lion: betas is 0\.9, expected a pair of numbers",
            lambda _: api.optim.Lion(parameters(), betas=0.9)),
    Refusal("rho above 1", ValueError, r"Adadelta: rho is 1\.5, expected .* at most 1",
            lambda _: api.optim.Adadelta(parameters(), rho=1.5)),
    Refusal("clipping to NaN", ValueError, r"SGD: limit is nan, expected a finite number",
            lambda _: api.optim.SGD(parameters(), lr=0.1).clip_values(math.nan)),
    Refusal("nothing to optimize", ShapeError, r"Adagrad: parameters is empty, expected at least one",
            lambda _: api.optim.Adagrad([])),
    Refusal("arrays to optimize", DTypeError, r"SGD: parameters holds .* expected Parameters",
            lambda _: api.optim.SGD([ones(3)], lr=0.1)),
    Refusal("group of unknown entries", ValueError, r"SGD: group 0 has params, expected parameters and,.* weight_decay",
            lambda _: api.optim.SGD([{"params": parameters()}], lr=0.1)),
    Refusal("group among parameters", DTypeError, r"SGD: group 0 is Parameter\(.*, expected a dict as the other groups",
            lambda _: api.optim.SGD([*parameters(), {"parameters": parameters()}], lr=0.1)),
    Refusal("rate of a group NaN", ValueError, r"SGD: group 0: lr is nan, expected a finite number",
            lambda _: api.optim.SGD([{"parameters": parameters(), "lr": math.nan}], lr=0.1)),
    Refusal("parameter in two groups", ValueError, r"Adam: Parameter\(.*\) is in group 0 and in group 1, expected in one",
            lambda _: api.optim.Adam([{"parameters": shared} for shared in [parameters()] * 2])),
    Refusal("rates of groups beside none", ValueError, r"Adam: lr is 0\.0, expected above 0 where groups have rates",
            lambda _: api.optim.Adam([{"parameters": parameters(), "lr": 0.1}], lr=0)),
    Refusal("state of other groups", CheckpointError, r"load_state_dict: groups have \[39\] elements, expected \[36, 3\]",
            lambda _: api.optim.Adam(api.optim.decay_groups(network(), 0.1)).load_state_dict(
                api.optim.Adam(parameters()).state_dict())),
    Refusal("state of another optimizer", CheckpointError, r"load_state_dict: state is of SGD with .* expected Adam with",
            lambda _: api.optim.Adam(parameters()).load_state_dict(api.optim.SGD(parameters(), lr=1).state_dict())),
    Refusal("steps of no size", ShapeError, r"StepLR: step_size is 0, expected at least 1",
            lambda _: api.optim.StepLR(0)),
    Refusal("milestones that fall", ValueError, r"MultiStepLR: milestones is \[5, 3\], expected rising epochs",
            lambda _: api.optim.MultiStepLR([5, 3])),
    Refusal("cycle to NaN", ValueError, r"OneCycleLR: max_lr is nan, expected a finite number",
            lambda _: api.optim.OneCycleLR(math.nan)),
)

MODEL_REFUSALS = (
    Refusal("unknown model", ValueError, r"create: name is 'alexnet', expected one of .*lenet5",
            lambda _: api.models.create("alexnet", (28, 28, 1), 10)),
    Refusal("model for flat input", ShapeError, r"create: input_shape is \(784,\), expected \(H, W, C\)",
            lambda _: api.models.create("lenet5", (784,), 10)),
    Refusal("model without classes", ShapeError, r"create: num_classes is 0, expected at least 1",
            lambda _: api.models.create("lenet5", (28, 28, 1), 0)),
    Refusal("saving no model", DTypeError, r"save: model is 3, expected a Module",
            lambda folder: api.save(3, folder / "model.safetensors")),
    Refusal("saving to a folder", CheckpointError, r"save: path is the folder .*, expected a file",
            lambda folder: api.save(network(), folder)),
    Refusal("loading what is not there", CheckpointError,
            r"load: there is no file .*model\.safetensors; expected one written",
            lambda folder: load(folder / "model.safetensors")),
    Refusal("loading a folder", CheckpointError, r"load: path is the folder .*, expected a file", load),
    Refusal("loading an empty file", CheckpointError, r"load: .* is damaged or no safetensors file", load,
            written("model.safetensors", b"")),
    Refusal("loading a pickle", CheckpointError, r"load: .* is damaged or no safetensors file", load,
            written("model.pt", b"\x80\x04cposix\nsystem\n(S'true'\ntR.")),
    Refusal("loading a file cut by one byte", CheckpointError, r"load: .* is damaged", load, cut(1)),
    Refusal("loading a file cut in half", CheckpointError, r"load: .* is damaged", load, cut(120_000)),
    Refusal("loading a file with a changed bit", CheckpointError, r"load: .* is damaged: its arrays are not those", load,
            flipped),
    Refusal("loading another model", CheckpointError, r"load: .* does not fit the model: .*\n.* expected shape",
            lambda given: api.load(given[0], model=given[1]), of_another_model),
    Refusal("resuming from a model", CheckpointError, r"resume: .* is a saved model, expected a checkpoint",
            lambda path: train(resume=path), saved),
    Refusal("resuming from an empty folder", CheckpointError, r"resume: folder .* has no sound checkpoint",
            lambda folder: train(resume=folder)),
)

DATA_REFUSALS = (
    Refusal("unknown data set", ValueError, r"load: name is 'imagenet', expected one of digits, mnist",
            lambda folder: api.data.load("imagenet", folder)),
    Refusal("data that is not there", FileNotFoundError,
            r"mnist: no train-images.* put them there, or load with download=True",
            load_mnist),
    Refusal("no network", OSError, r"train\.bin: no mirror gave the file \(https://127.*\); try again later",
            fetch_from_nowhere),
    Refusal("images cut short", DataFormatError, r"train-images-idx3-ubyte: the header promises 1568 bytes .* at most 100",
            load_mnist, mnist(images=IMAGES + bytes(100))),
    Refusal("images with something behind", DataFormatError, r"train-images-idx3-ubyte: more bytes after the first 1584",
            load_mnist, mnist(images=IMAGES + bytes(1569))),
    Refusal("images of another size", DataFormatError, r"train-images.*: images of 32x32 pixels; expected 28x28",
            load_mnist, mnist(images=struct.pack(">4I", 2051, 2, 32, 32) + bytes(2048))),
    Refusal("more images than labels", DataFormatError, r"train-images.*: 3 images; expected 2, as the label file says",
            load_mnist, mnist(images=struct.pack(">4I", 2051, 3, 28, 28) + bytes(3 * 784))),
    Refusal("labels for images", DataFormatError, r"train-images.*: it starts with .*idx labels.*; expected .*idx images",
            load_mnist, mnist(images=LABELS + b"\3\4")),
    Refusal("a web page for labels", DataFormatError, r"train-labels.*: it starts with b'<!do' \(not an idx file",
            load_mnist, mnist(labels=b"<!doctype html>")),
    Refusal("labels that promise the world", DataFormatError, r"train-labels.*: the header promises 4294967295 bytes",
            load_mnist, mnist(labels=struct.pack(">2I", 2049, 2**32 - 1))),
    Refusal("empty file", DataFormatError, r"train-labels.*: the file ends within the magic number", load_mnist,
            mnist(labels=b"")),
    Refusal("label 10 in a file", DataFormatError, r"train-labels.*: label 10 \(largest 10\); expected 0 to 9", load_mnist,
            mnist(labels=LABELS + b"\3\12")),
    Refusal("damaged gzip", DataFormatError, r"train-labels.*: damaged gzip data .* expected an intact gzip file",
            load_mnist,
            mnist(labels=b"\x1f\x8b\x08\x00garbage garbage garbage")),
    Refusal("folder for a file", DataFormatError, r"test_batch\.bin: a folder; expected a file",
            lambda folder: api.data.load("cifar10", folder, download=False), cifar_with_a_folder),
    Refusal("split of another length", ShapeError, r"Split: labels have shape \(3,\), expected \(2,\): one label per image",
            lambda _: api.data.Split(np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, np.int64))),
    Refusal("split of int64 images", DTypeError, r"Split: images are int64, expected uint8 or float",
            lambda _: api.data.Split(np.zeros((2, 4, 4, 1), np.int64), np.zeros(2, np.int64))),
)

TRAINING_REFUSALS = (
    Refusal("fewer labels than images", ShapeError, r"fit: labels have shape \(7,\), expected \(8,\): one label per image",
            lambda _: train(labels=np.zeros(7, np.int64))),
    Refusal("label beyond the classes", ValueError, r"cross_entropy: labels\[\d\] is 3, expected 0 to 2",
            lambda _: train(labels=np.full(8, 3))),
    Refusal("no images", ShapeError, r"fit: images have shape \(0, 2, 2, 3\), expected at least one image",
            lambda _: train(images=ones(0, 2, 2, 3), labels=np.zeros(0, np.int64))),
    Refusal("int64 images", DTypeError, r"fit: images are int64, expected uint8 or float32",
            lambda _: train(images=ones(8, 2, 2, 3, dtype=int))),
    Refusal("one array for images and labels", DTypeError, r"fit: data is a ndarray, expected a Split or \(images, labels\)",
            lambda _: api.fit(network(), ones(8, 2, 2, 3), epochs=1)),
    Refusal("softmax before cross-entropy", ValueError,
            r"fit: loss is CrossEntropyLoss\(\), which takes logits, .* ends in Softmax\(\), .* take the Softmax out",
            lambda _: fit_ending_in(api.nn.Softmax())),
    Refusal("log-softmax before cross-entropy", ValueError, r"ends in LogSoftmax\(\), .* use nn\.NLLLoss\(\)",
            lambda _: fit_ending_in(api.nn.LogSoftmax())),
    Refusal("sigmoid before binary cross-entropy", ValueError,
            r"fit: loss is BCELoss\(\), which takes logits, and the model ends in Sigmoid\(\), .* take the Sigmoid out",
            lambda _: fit_ending_in(api.nn.Sigmoid(), api.nn.BCEWithLogitsLoss())),
    Refusal("softmax before negative log-likelihood", ValueError,
            r"fit: loss is NLLLoss\(\), which takes log-probabilities, .* put nn\.LogSoftmax\(\) in place of the Softmax",
            lambda _: fit_ending_in(api.nn.Softmax(), api.nn.NLLLoss())),
    Refusal("logits before negative log-likelihood", ValueError,
            r"ends in Linear\(12, 3\), which gives logits; put nn\.LogSoftmax\(\) behind it, or use nn\.Cross",
            lambda _: train(loss=api.nn.NLLLoss())),
    Refusal("measured by a loss of logits", ValueError, r"evaluate: loss is BCELoss\(\), .* ends in Sigmoid\(\)",
            lambda _: api.evaluate(api.nn.Sequential(network(), api.nn.Sigmoid()), (ones(8, 2, 2, 3), ones(8, 3)),
                                   loss=api.nn.BCELoss())),
    Refusal("no epochs", ShapeError, r"fit: epochs is 0, expected at least 1", lambda _: train(epochs=0)),
    Refusal("batches of no images", ShapeError, r"fit: batch_size is 0, expected at least 1", lambda _: train(batch_size=0)),
    Refusal("negative norm", ValueError, r"fit: max_norm is -1\.0, expected a finite number of at least 0",
            lambda _: train(max_norm=-1)),
    Refusal("average that never moves", ValueError, r"WeightAverage: decay is 1\.0, expected .* below 1",
            lambda _: api.training.WeightAverage(1)),
    Refusal("average before training", RuntimeError, r"WeightAverage: there is no average yet, expected fit",
            lambda _: api.training.WeightAverage().swap()),
    Refusal("search of one step", ShapeError, r"find_lr: steps is 1, expected at least 2",
            lambda _: api.training.find_lr(network(), (ones(8, 2, 2, 3), np.arange(8) % 3), steps=1)),
    Refusal("search with an optimizer that is no class", DTypeError, r"find_lr: optimizer is 'adam', expected a class",
            lambda _: api.training.find_lr(network(), (ones(8, 2, 2, 3), np.arange(8) % 3), optimizer="adam")),
    Refusal("unknown augmentation", ValueError, r"fit: augment is 'mixup', expected an Augment, None or one of",
            lambda _: train(augment="mixup")),
    Refusal("schedule of a number", DTypeError, r"fit: schedule is 0\.1, expected a Schedule",
            lambda _: train(schedule=0.1)),
    Refusal("monitoring what is not measured", ValueError, r"EarlyStopping: monitor is 'f1', expected one of",
            lambda _: api.training.EarlyStopping(monitor="f1")),
    Refusal("images of NaN", ArithmeticError, r"the loss \(nan\).* epoch .* step",
            lambda _: train(images=np.full((8, 2, 2, 3), np.nan, np.float32))),
    Refusal("no threads", ValueError, r"set_num_threads: count is 0, expected 1 to", lambda _: api.set_num_threads(0)),
    Refusal("half a thread", TypeError, r"set_num_threads: count is 0\.5, expected an int",
            lambda _: api.set_num_threads(0.5)),
    Refusal("the gradient of a number", DTypeError, r"gradient_check: model_or_op is 3, expected a Module",
            lambda _: api.gradient_check(3, ones(2))),
)

OWN_DATA_REFUSALS = (
    Refusal("labels for other images", ShapeError, r"Split: labels have shape \(3,\), expected \(2,\)",
            lambda _: api.data.from_arrays(np.zeros((2, 4, 4), np.uint8), [0, 1, 1])),
    Refusal("a name that is no class", ValueError, r"from_arrays: label 'cow' is unknown, expected one of cat, dog",
            lambda _: api.data.from_arrays(np.zeros((2, 4, 4), np.uint8), ["cat", "cow"], ["cat", "dog"])),
    Refusal("no folder of images", FileNotFoundError, r"from_folder: there is no folder .*none",
            lambda folder: api.data.from_folder(folder / "none", (8, 8))),
    Refusal("a folder without classes", DataFormatError, r"from_folder: .* has no sub-folders, expected one for each class",
            lambda folder: api.data.from_folder(folder, (8, 8))),
    Refusal("a class without images", DataFormatError, r"from_folder: .*cats has no image files, expected some that end in",
            lambda folder: api.data.from_folder(folder, (8, 8)),
            lambda folder: written("cats/a.txt", b"")(folder).parents[1]),
    Refusal("a file that is no image", DataFormatError, r"from_folder: .*a\.png cannot be read as an image",
            lambda folder: api.data.from_folder(folder, (8, 8)),
            lambda folder: written("cats/a.png", b"text")(folder).parents[1]),
    Refusal("images of one size", ShapeError, r"from_folder: size is 8, expected \(height, width\)",
            lambda folder: api.data.from_folder(folder, 8)),
    Refusal("images larger than memory", ShapeError, r"from_folder: 1 images of size .* expected at most .* smaller size",
            lambda folder: api.data.from_folder(folder, (1 << 16, 1 << 16)),
            lambda folder: written("cats/a.png", b"")(folder).parents[1]),
    Refusal("no table", FileNotFoundError, r"No such file", lambda folder: api.data.from_csv(folder / "none.csv", (1, 2))),
    Refusal("a table without lines", DataFormatError, r"from_csv: .* has no images, expected a line for each",
            lambda path: api.data.from_csv(path, (1, 2)), written("a.csv", b"label,a,b\n")),
    Refusal("a line too short", DataFormatError, r"line 2 has 2 values, expected 3: a label and 2 pixels",
            lambda path: api.data.from_csv(path, (1, 2)), written("a.csv", b"0,1,2\n0,1\n")),
    Refusal("a pixel of 256", DataFormatError, r"line 1 has pixel 256, expected whole numbers from 0 to 255",
            lambda path: api.data.from_csv(path, (1, 2)), written("a.csv", b"0,1,256\n")),
    Refusal("a pixel of NaN", DataFormatError, r"line 1 has pixel nan, expected whole numbers",
            lambda path: api.data.from_csv(path, (1, 2)), written("a.csv", b"0,1,nan\n")),
    Refusal("a pixel of letters", DataFormatError, r"line 1: could not convert .*; expected pixels from 0 to 255",
            lambda path: api.data.from_csv(path, (1, 2)), written("a.csv", b"0,1,x\n")),
    Refusal("a label in no column", DataFormatError, r"line 1 has 3 values, expected a label in column 7",
            lambda path: api.data.from_csv(path, (1, 2), label=7), written("a.csv", b"0,1,2\n")),
    Refusal("a label of another name", DataFormatError, r"has no column 'y' in its first line, expected one of label, a, b",
            lambda path: api.data.from_csv(path, (1, 2), label="y"), written("a.csv", b"label,a,b\n0,1,2\n")),
    Refusal("a picture for a table", DataFormatError, r"from_csv: .* is no table of text",
            lambda path: api.data.from_csv(path, (1, 2)), written("a.csv", b"\x89PNG\r\n\x1a\n\0\xff")),
    Refusal("a flat shape", ShapeError, r"from_csv: shape is \(784,\), expected \(H, W\) or \(H, W, C\)",
            lambda path: api.data.from_csv(path, (784,)), written("a.csv", b"")),
    Refusal("no validation", ValueError, r"train_validation_split: share is 0 of 8 images, which leaves one part empty",
            lambda _: api.data.train_validation_split(few(), 0)),
    Refusal("validation alone", ValueError, r"train_validation_split: share is 1\.0, expected .* below 1",
            lambda _: api.data.train_validation_split(few(), 1)),
    Refusal("parts of an array", DTypeError, r"train_validation_split: split is a ndarray, expected a Split",
            lambda _: api.data.train_validation_split(ones(8, 2, 2, 3))),
    Refusal("weights of float labels", DTypeError, r"class_weights: labels are float32, expected integers",
            lambda _: api.data.class_weights(ones(3))),
    Refusal("weights of a label beyond", ValueError, r"class_weights: labels hold 0 to 3, expected 0 to 2",
            lambda _: api.data.class_weights([0, 3], 3)),
)

METRIC_REFUSALS = (
    Refusal("more labels than answers", ShapeError, r"accuracy: labels have shape \(3,\), expected \(2,\)",
            lambda _: api.metrics.accuracy([0, 1], [0, 1, 1])),
    Refusal("labels of scores", ShapeError, r"recall: labels has shape \(2, 3\) of float32, expected \(N,\)",
            lambda _: api.metrics.recall([0, 1], ones(2, 3))),
    Refusal("float answers", DTypeError, r"precision: prediction has dtype float32, expected integers",
            lambda _: api.metrics.precision(ones(2), [0, 1])),
    Refusal("answers of NaN", ValueError, r"confusion_matrix: prediction has 2 rows that are not finite",
            lambda _: api.metrics.confusion_matrix(np.full((2, 3), np.nan), [0, 1])),
    Refusal("a class below 0", ValueError, r"accuracy: labels holds -1, expected classes from 0",
            lambda _: api.metrics.accuracy([0, 1], [0, -1])),
    Refusal("no answers", ShapeError, r"accuracy: prediction has shape \(0,\) .*, N at least 1",
            lambda _: api.metrics.accuracy([], [])),
    Refusal("a class beyond the matrix", ValueError, r"confusion_matrix: the largest class is 5, expected 0 to 2",
            lambda _: api.metrics.confusion_matrix([0, 1], [0, 5], 3)),
    Refusal("a matrix of gigabytes", ValueError, r"confusion_matrix: the largest class is 1000000, expected 0 to",
            lambda _: api.metrics.confusion_matrix([0, 1], [0, 10**6])),
    Refusal("unknown average", ValueError, r"precision: average is 'mean', expected None, 'macro'",
            lambda _: api.metrics.precision([0, 1], [0, 1], average="mean")),
    Refusal("more classes than scores", ShapeError, r"top_k_accuracy: k is 4, expected at most the 3 classes",
            lambda _: api.metrics.top_k_accuracy(ones(2, 3), [0, 1], 4)),
    Refusal("top k of classes", ShapeError, r"top_k_accuracy: scores have shape \(2,\), expected \(N, K\)",
            lambda _: api.metrics.top_k_accuracy([0, 1], [0, 1])),
)

INSIGHT_REFUSALS = (
    Refusal("profile of bytes", DTypeError, r"profile: x is uint8 .*x has dtype uint8, expected float32",
            lambda _: network().profile(np.zeros((4, 2, 2, 3), np.uint8))),
    Refusal("profile of no steps", ShapeError, r"profile: repeats is 0, expected at least 1",
            lambda _: network().profile(ones(4, 2, 2, 3), repeats=0)),
    Refusal("profile of one image", ShapeError, r"x has 3 features|expects 12", lambda _: network().profile(ones(2, 2, 3))),
    Refusal("saliency of one image", ShapeError, r"saliency: images have shape \(2, 3\), expected \(N, H, W, C\)",
            lambda _: api.explain.saliency(network(), ones(2, 3))),
    Refusal("saliency for class 3", ValueError, r"saliency: target is 3, expected 0 to 2",
            lambda _: api.explain.saliency(network(), ones(4, 2, 2, 3), 3)),
    Refusal("two classes of four images", ShapeError, r"saliency: target has shape \(2,\), expected one class",
            lambda _: api.explain.saliency(network(), ones(4, 2, 2, 3), [0, 1])),
    Refusal("saliency for half a class", DTypeError, r"saliency: target is 0\.5, expected an integer",
            lambda _: api.explain.saliency(network(), ones(4, 2, 2, 3), 0.5)),
    Refusal("saliency of maps", ShapeError, r"saliency: the model gives shape \(4, 2, 2, 3\), expected scores \(N, K\)",
            lambda _: api.explain.saliency(api.nn.ReLU(), ones(4, 2, 2, 3))),
    Refusal("Grad-CAM without maps", ValueError, r"grad_cam: layer is None, expected one that gives images: none here",
            lambda _: api.explain.grad_cam(api.nn.Sequential(api.nn.Flatten(), api.nn.Linear(12, 3)), ones(4, 2, 2, 3))),
    Refusal("history without epochs", ValueError, r"curves: history is empty, expected at least one epoch",
            lambda folder: api.plot.curves([], folder / "curves.png")),
    Refusal("filters of a linear layer", ValueError, r"filters: layer is '1', expected a Conv2D: one of none here",
            lambda folder: api.plot.filters(network(), folder / "a.png", layer="1")),
    Refusal("maps of an unknown layer", ValueError, r"feature_maps: layer is 'conv9', expected one of 0, 1",
            lambda folder: api.plot.feature_maps(network(), ones(2, 2, 3), folder / "a.png", layer="conv9")),
    Refusal("maps of a linear layer", ShapeError, r"feature_maps: layer 1 gives shape \(1, 3\), expected images",
            lambda folder: api.plot.feature_maps(network(), ones(2, 2, 3), folder / "a.png", layer="1")),
    Refusal("channels of a batch", ShapeError, r"channels: maps have shape \(2, 3, 3, 4\), expected \(H, W, C\)",
            lambda folder: api.plot.channels(ones(2, 3, 3, 4), folder / "a.png")),
    Refusal("a picture of two channels", ShapeError, r"predictions: images have shape .* expected \(N, H, W, 1\)",
            lambda folder: api.plot.predictions(ones(2, 4, 4, 2), ones(2, 3), folder / "a.png")),
    Refusal("answers for other images", ShapeError, r"predictions: probabilities have shape \(3, 3\), expected \(2, K\)",
            lambda folder: api.plot.predictions(ones(2, 4, 4, 1), ones(3, 3), folder / "a.png")),
    Refusal("a true class that is not there", ValueError, r"predictions: labels hold 0 to 3, expected 0 to 2",
            lambda folder: api.plot.predictions(ones(2, 4, 4, 1), ones(2, 3), folder / "a.png", labels=[0, 3])),
    Refusal("names for other classes", ShapeError, r"predictions: classes has 2 names, expected 3",
            lambda folder: api.plot.predictions(ones(2, 4, 4, 1), ones(2, 3), folder / "a.png", classes=["a", "b"])),
    Refusal("a matrix that is not square", ShapeError, r"confusion_matrix: matrix has shape \(2, 3\), expected \(K, K\)",
            lambda folder: api.plot.confusion_matrix(ones(2, 3, dtype=int), folder / "a.png")),
    Refusal("a matrix of shares", DTypeError, r"confusion_matrix: matrix is float32, expected integers",
            lambda folder: api.plot.confusion_matrix(ones(3, 3), folder / "a.png")),
    Refusal("a drawing of unknown size", ShapeError, r"architecture: input_shape is None, expected \(H, W, C\)",
            lambda folder: api.plot.architecture(network(), folder / "a.svg")),
)

REFUSALS = (LAYER_REFUSALS + OPTIMIZER_REFUSALS + MODEL_REFUSALS + DATA_REFUSALS + OWN_DATA_REFUSALS + METRIC_REFUSALS
            + INSIGHT_REFUSALS + TRAINING_REFUSALS)
