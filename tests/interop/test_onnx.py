"""ONNX files: written and read again, compared with ONNX Runtime and PyTorch; files that must be refused."""

import os

import numpy as np
import pytest

import fastcnn
from fastcnn import models, nn, optim
from fastcnn.interop.onnx import schema, tensors, wire
from fastcnn.interop.onnx.assembly import assembled
from fastcnn.interop.onnx.layers import Affine, Clip, HardSigmoid, Permute
from fastcnn.interop.onnx.network import Network, Product, Stack, Sum
from fastcnn.shapes import DataFormatError, DTypeError, ShapeError
from tests import onnx_models


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def graph_of(path):
    return wire.decoded(schema.Model, path.read_bytes())


def written(path, *nodes, arrays=None, shape=(1, 4, 8, 8), opset=17, output="y"):
    """Write a graph with the input x; a node is operator, inputs, and attributes as messages."""
    dims = [schema.Dimension(dim_value=size) for size in shape]
    model = schema.Model(ir_version=8, opset_import=[schema.OperatorSet(version=opset)], graph=schema.Graph(
        node=[schema.Node(op_type=kind, input=list(inputs), output=list(outputs), attribute=list(attributes))
              for kind, inputs, outputs, attributes in nodes],
        initializer=[tensors.tensor_of(name, array) for name, array in (arrays or {}).items()],
        input=[schema.ValueInfo("x", schema.Type(schema.TensorType(1, schema.Shape(dims))))],
        output=[schema.ValueInfo(output)]))
    path.write_bytes(wire.encoded(model))
    return path


# Written and read again


SAMPLE = [case for name, case in onnx_models.cases() if name in ("lenet5", "resnet20") or " of " in name]


def test_layers_and_networks_are_the_same_in_onnx_runtime_and_read_again(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    for make, shape in SAMPLE:
        model = onnx_models.trained(make())
        by_runtime, again = onnx_models.errors(model, shape, tmp_path / "model.onnx")
        assert by_runtime <= onnx_models.LIMIT_RUNTIME and again <= onnx_models.LIMIT_AGAIN, model


def test_every_layer_has_a_form():
    """But for bases, and what only stands for another module."""
    from fastcnn.interop.onnx.export import _CONTAINERS, RULES

    layers = {kind for name, kind in vars(nn).items() if name in nn.__all__ and isinstance(kind, type)
              and issubclass(kind, nn.Module)}
    assert layers - {nn.Module, nn.Layer} <= {*RULES, *_CONTAINERS}


@pytest.mark.parametrize("name", ["strided_cnn", "mobilenet", "resnet20", "inception"])
def test_networks_are_read_as_they_were_written(name, tmp_path):
    model = onnx_models.trained(models.create(name, (32, 32, 3), 10))
    fastcnn.export_onnx(model, tmp_path / "model.onnx")
    again = fastcnn.import_onnx(tmp_path / "model.onnx").eval()
    assert repr(again) == repr(model)
    x = numbers(2, 32, 32, 3)
    assert np.array_equal(again(x), model(x))


def test_bytes_are_normalised_in_the_graph(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    assert onnxruntime
    path, model = tmp_path / "model.onnx", models.create("lenet5", (28, 28, 1), 10)
    with pytest.raises(ValueError, match="normalisation is None"):
        fastcnn.export_onnx(model, path, normalise=True)
    model.normalisation, model.classes = ([0.3], [0.2]), tuple("abcdefghij")
    model.output_activation = "softmax"
    fastcnn.export_onnx(model, path, normalise=True)
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8)
    again = fastcnn.import_onnx(path)
    assert again.classes == model.classes and np.allclose(again.normalisation, model.normalisation)
    expected = fastcnn.predict(model, images)
    assert np.abs(fastcnn.predict(again, images) - expected).max() < 1e-6
    logits = onnx_models.runtime(path)(onnx_models.in_onnx(images)).astype(np.float64)
    assert np.abs(np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - expected).max() < 1e-5


def test_the_batch_is_free_and_images_have_channels_first(tmp_path):
    fastcnn.export_onnx(models.create("lenet5", (28, 20, 3), 7), tmp_path / "model.onnx")
    graph = graph_of(tmp_path / "model.onnx").graph
    dims = [[dim.dim_value or dim.dim_param for dim in info.type.tensor_type.shape.dim]
            for info in graph.input + graph.output]
    assert dims == [["batch", 3, 28, 20], ["batch", 7]]


@pytest.mark.parametrize("model, options, error, words", [
    (3, {}, DTypeError, "expected a Module"), (nn.Sequential(nn.ReLU()), {}, ShapeError, "input_shape is None"),
    (nn.Conv2D(None, 3, 3), {"input_shape": (8, 8, 3)}, DTypeError, "model.build"),
    (nn.Conv2D(4, 3, 3), {"input_shape": (8, 8, 3)}, ShapeError, "4"),
    (type("Own", (nn.ReLU,), {})(), {"input_shape": (3,)}, DTypeError, "class Own"),
])
def test_what_cannot_be_written_is_named(model, options, error, words, tmp_path):
    with pytest.raises(error, match=words) as caught:
        fastcnn.export_onnx(model, tmp_path / "model.onnx", **options)
    assert str(caught.value).startswith("export_onnx: ") and not list(tmp_path.iterdir())


def test_operators_pass_the_tests_of_onnx():
    """Some of them; `python -m tests.onnx_operators` runs all."""
    pytest.importorskip("onnx")
    from tests import onnx_operators

    names = ("conv", "maxpool", "averagepool", "batch_normalization", "gemm", "adam", "momentum", "adagrad", "selu",
             "negativeloglikelihoodloss")
    found = {test.name: onnx_operators.outcome(test) for _, test in onnx_operators.cases(onnx_operators.of_files(*names))}
    assert len(found) > 60 and set(found.values()) == {"passed"}


# From PyTorch


@pytest.mark.parametrize("name", ["lenet", "mobile", "mixed"])  # `python -m tests.onnx_torch` tries all
def test_networks_of_pytorch_give_its_answers(name, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from tests import onnx_torch

    make, shape = onnx_torch.NETWORKS[name]
    network = onnx_torch.lively(make)
    onnx_torch.exported(network, shape, tmp_path / "model.onnx", dynamo=False)
    model = fastcnn.import_onnx(tmp_path / "model.onnx")
    assert isinstance(model, nn.Sequential)
    assert onnx_torch.compared(network, model, shape) < onnx_torch.LIMIT
    if name == "mobile":  # back again, with layers that only imported networks have
        fastcnn.export_onnx(model, tmp_path / "again.onnx", (*shape[1:], shape[0]))
        assert onnx_torch.compared(network, fastcnn.import_onnx(tmp_path / "again.onnx"), shape) < onnx_torch.LIMIT


# Networks that are no chain


def gated():
    conv = nn.Conv2D(3, 4, 3, padding=1)
    gate = nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Conv2D(4, 4, 1), HardSigmoid())
    channels = Affine([1.0, 2, 3, 4], [0.5])
    return Network([conv, gate, Product(), Clip(-1, 0.8), channels, Stack(), Sum(), Permute(0, 3, 1, 2)],
                   [(0,), (1,), (1, 2), (3,), (1,), (4, 5), (6, 6), (7,)])


def test_gradients_of_a_network_are_those_of_differences():
    assert fastcnn.gradient_check(gated().to(np.float64), numbers(2, 5, 6, 3).astype(np.float64)) < 1e-8


def test_an_imported_network_can_be_trained_further(tmp_path):
    model = nn.Sequential(gated(), nn.Flatten(), nn.Linear(240, 3))
    fastcnn.export_onnx(model, tmp_path / "model.onnx", (5, 6, 3))
    again = fastcnn.import_onnx(tmp_path / "model.onnx")
    x, labels = numbers(8, 5, 6, 3), np.arange(8) % 3
    assert np.abs(again.eval()(x) - model.eval()(x)).max() < 1e-5
    loss, optimizer = nn.CrossEntropyLoss(), optim.Adam(again.train().parameters(), 1e-2)
    losses = []
    for _ in range(30):
        losses.append(loss(again(x), labels))
        again.backward(loss.backward())
        optimizer.step()
    assert losses[-1] < losses[0] / 2
    fastcnn.save(again, tmp_path / "model.safetensors")
    twin = fastcnn.load(tmp_path / "model.safetensors", model=fastcnn.import_onnx(tmp_path / "model.onnx"))
    assert np.array_equal(twin.eval()(x), again.eval()(x))


@pytest.mark.parametrize("steps, expected", [
    ([(nn.ReLU(), (0,)), (nn.Tanh(), (1,))], "Sequential(ReLU(),Tanh(),)"),
    ([(nn.ReLU(), (0,)), (nn.Tanh(), (0,))], "Sequential(Tanh(),)"),
    ([(nn.ReLU(), (0,)), (Sum(), (0, 1))], "Sequential(Residual(ReLU()),)"),
    ([(nn.ReLU(), (0,)), (nn.Tanh(), (1,)), (Sum(), (1, 2)), (nn.ELU(), (3,))],
     "Sequential(ReLU(),Residual(Tanh()),ELU(),)"),
    ([(nn.ReLU(), (0,)), (nn.Tanh(), (0,)), (Stack(), (1, 2, 0)), (Sum(), (3, 0))],
     "Sequential(Residual(Concat(ReLU(),Tanh(),Identity())),)"),
    ([(nn.ReLU(), (0,)), (nn.Tanh(), (1,)), (Sum(), (0, 2)), (Sum(), (1, 3))],
     "Network(1:ReLU()of0,2:Tanh()of1,3:Sum()of0,2,4:Sum()of1,3,)"),
])
def test_steps_become_the_simplest_module(steps, expected):
    assert "".join(repr(assembled(steps, len(steps))).split()) == expected


# Files


def test_arrays_in_fields_of_their_types_are_read():
    onnx = pytest.importorskip("onnx")
    values = {1: [0.5, -2.0], 6: [3, -7], 7: [1 << 40, -1], 9: [1, 0], 10: [1.5, -2.0], 11: [0.1, 1e300], 2: [255, 0],
              3: [-128, 5], 12: [1 << 31, 1], 13: [(1 << 64) - 1, 1]}
    for kind, value in values.items():
        message = onnx.helper.make_tensor("t", kind, [2, 1], value)
        array = tensors.Loader(None).array(wire.decoded(schema.Tensor, message.SerializeToString()))
        assert array.shape == (2, 1) and np.array_equal(array, onnx.numpy_helper.to_array(message))


def test_messages_are_those_of_protocol_buffers(tmp_path):
    onnx = pytest.importorskip("onnx")
    fastcnn.export_onnx(models.create("strided_cnn", (8, 8, 1), 10), tmp_path / "model.onnx")
    raw = (tmp_path / "model.onnx").read_bytes()
    model = onnx.load_from_string(raw)
    assert model.producer_name == "fastcnn" and model.opset_import[0].version == 17
    assert wire.encoded(wire.decoded(schema.Model, model.SerializeToString())) == raw


@pytest.mark.parametrize("raw, words", [
    (b"", "no graph"), (b"\x80", "ends inside a number"), (b"\xff" * 12, "more than 10 bytes"),
    (b"\x3a\x7f", "ends inside a field"),
    (b"\x0b", "wire type 3"), (b"\x3a\x02\x0a\x00" * 2, "opset"), (b"\x0d\x00\x00\x00\x00", "wire type 5"),
    (b"\x12\x01\xff", "UTF-8"), (b"\x3a\x00" * ((1 << 20) + 1), "fields"), (b"hello", "ends|wire|graph"),
])
def test_damaged_files_are_refused(raw, words, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(raw)
    with pytest.raises(DataFormatError, match=words) as caught:
        fastcnn.import_onnx(path)
    assert str(caught.value).startswith(f"import_onnx: {path}: ")


CONV = ("Conv", ("x", "w"), ("y",), ())


@pytest.mark.parametrize("nodes, arrays, words", [
    ([("Loop", ("x",), ("y",), ())], {}, "Loop.*no layer for this operator"),
    ([CONV], {}, "its input 'w' is made by no node"),
    ([("Relu", ("y",), ("z",), ()), ("Relu", ("z",), ("y",), ())], {}, "made by no node before it"),
    ([("Relu", ("x",), ("x",), ())], {}, "there already"),
    ([CONV], {"w": numbers(4, 3, 3, 3)}, "channels"), ([CONV], {"w": numbers(4, 4, 3)}, "3 dimensions"),
    ([CONV], {"w": numbers(4, 4, 9, 9)}, "covers 9 rows"), ([CONV], {"w": np.ones((4, 4, 1, 1), np.int64)}, "int64"),
    ([("Reshape", ("x", "w"), ("y",), ())], {"w": np.array([3, -1])}, "keep the batch"),
    ([("Add", ("x", "w"), ("y",), ())], {"w": numbers(8)}, "one for each channel"),
    ([("Transpose", ("x",), ("y",), ())], {}, "axes are .2, 3, 0, 1."),
    ([("Relu", ("x",), ("z",), ())], {}, "output 'y' does not follow"),
])
def test_what_no_layer_can_is_named(nodes, arrays, words, tmp_path):
    with pytest.raises(DataFormatError, match=words):
        fastcnn.import_onnx(written(tmp_path / "model.onnx", *nodes, arrays=arrays))


def test_few_bytes_make_no_large_arrays(tmp_path):
    doubled = [("Concat", (f"a{n}", f"a{n}"), (f"a{n + 1}",), (schema.Attribute("axis", i=0, type=2),)) for n in range(60)]
    with pytest.raises(DataFormatError, match="far more memory"):
        fastcnn.import_onnx(written(tmp_path / "model.onnx", *doubled, arrays={"a0": numbers(4)}))
    many = [("Conv", (f"a{n}" if n else "x", "w"), (f"a{n + 1}",), ()) for n in range(200)]
    with pytest.raises(DataFormatError, match="far more memory"):
        fastcnn.import_onnx(written(tmp_path / "model.onnx", *many, arrays={"w": numbers(99, 99, 1, 1)},
                                    shape=(1, 99, 8, 8)))
    huge = schema.Tensor(dims=[1 << 40, 1 << 40], data_type=1, name="w", raw_data=b"")
    with pytest.raises(DataFormatError, match="larger than"):
        tensors.Loader(None).array(huge)


def external(location, **place):
    entries = {"location": location, **place}
    return schema.Tensor(dims=[2, 3], data_type=1, name="w", data_location=1,
                         external_data=[schema.Entry(key, str(value)) for key, value in entries.items()])


def test_arrays_in_other_files_of_the_folder_are_read(tmp_path):
    array = numbers(2, 3)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(b"1234" + array.tobytes() + b"567")
    loader = tensors.Loader(tmp_path)
    assert np.array_equal(loader.array(external("sub/w.bin", offset=4, length=24)), array)
    assert np.array_equal(loader.array(external("./sub/w.bin", offset=4)), array)


@pytest.mark.parametrize("location, place, words", [
    ("../secret", {}, "below the model's folder"), ("sub/../../secret", {}, "below"), ("/etc/passwd", {}, "below"),
    ("", {}, "below"), ("link", {}, "a link out"), ("folder/secret", {}, "a link out"),
    ("pipe", {}, "a pipe"), ("inner", {}, "a folder"),
    ("none", {}, "not there"), ("w.bin", {"offset": 10}, "at most 24"), ("w.bin", {"offset": -1}, "digits"),
    ("w.bin", {"length": 23}, "expected 24"), ("w.bin", {"offset": "1" * 30}, "digits"), ("a\0b", {}, "below"),
])
def test_other_files_outside_the_folder_are_refused(location, place, words, tmp_path):
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(bytes(24))
    (folder / "w.bin").write_bytes(bytes(24))
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    with pytest.raises(DataFormatError, match=words):
        tensors.Loader(folder).array(external(location, **place))


def test_a_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        fastcnn.import_onnx(tmp_path / "none.onnx")
    with pytest.raises(DataFormatError, match="a folder"):
        fastcnn.import_onnx(tmp_path)
