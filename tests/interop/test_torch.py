"""Weights from PyTorch and to PyTorch: names, layouts and equal logits."""

import copy
import json

import numpy as np
import pytest
import safetensors

import fastcnn
from fastcnn import models, nn
from fastcnn.cli import main
from fastcnn.interop import torch_names
from fastcnn.models import resnet

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")
tnn = torch.nn


def lively(module, seed=0):
    """Give a module statistics and biases that are not those of a new one, and evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            elif tensor.ndim == 1:
                tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.2)
    return module.eval()


def images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def tensors(state):
    return {name: torch.from_numpy(array) for name, array in state.items()}


def require_equal(model, module, x):
    """The logits of both, of images (N, H, W, C)."""
    channels_first = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    with torch.no_grad():
        expected = module(torch.from_numpy(np.ascontiguousarray(channels_first))).numpy()
    found = model.eval()(x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(expected).max()))
    assert expected.std() > 1e-3


def require_both_ways(model, module, fresh, x, **shape):
    """From the module into the model, and from the model, as it is after a change, into a fresh module."""
    assert fastcnn.from_torch(model, module.state_dict(), **shape) is model
    require_equal(model, module, x)
    for parameter in model.parameters():
        parameter.data = parameter.data * np.float32(1.05)
    assert not fresh.load_state_dict(tensors(fastcnn.to_torch(model, **shape)), strict=True).missing_keys
    require_equal(model, fresh.eval(), x)


def plain():
    """One of each kind of layer, and Flatten of an image that is no square."""
    return (tnn.Sequential(tnn.Conv2d(3, 8, 3, padding=1), tnn.BatchNorm2d(8), tnn.PReLU(8), tnn.MaxPool2d(2),
                           tnn.Conv2d(8, 8, 3, stride=2, groups=4, bias=False), tnn.GroupNorm(2, 8), tnn.ReLU(),
                           tnn.ConvTranspose2d(8, 6, (2, 3), stride=2), tnn.Flatten(), tnn.Dropout(0.3),
                           tnn.BatchNorm1d(6 * 4 * 7), tnn.Linear(6 * 4 * 7, 16), tnn.BatchNorm1d(16), tnn.LayerNorm(16),
                           tnn.ReLU(), tnn.Linear(16, 5, bias=False)),
            nn.Sequential(nn.Conv2D(3, 8, 3, padding=1), nn.BatchNorm(8), nn.PReLU(8), nn.MaxPool2D(2),
                          nn.Conv2D(8, 8, 3, stride=2, groups=4, bias=False), nn.GroupNorm(2, 8), nn.ReLU(),
                          nn.ConvTranspose2D(8, 6, (2, 3), stride=2), nn.Flatten(), nn.Dropout(0.3),
                          nn.BatchNorm(6 * 4 * 7), nn.Linear(6 * 4 * 7, 16), nn.BatchNorm(16), nn.LayerNorm(16),
                          nn.ReLU(), nn.Linear(16, 5, bias=False)))


def test_a_sequential_of_every_kind_of_layer():
    module, model = plain()
    require_both_ways(model, lively(module), plain()[0], images(4, 10, 14, 3), input_shape=(10, 14, 3))
    assert [*fastcnn.to_torch(model, input_shape=(10, 14, 3))] == [*module.state_dict()]


def test_layers_that_wait_for_their_input_are_made():
    module = lively(tnn.Sequential(tnn.Conv2d(2, 4, 3), tnn.Flatten(), tnn.Linear(4 * 3 * 5, 3)))
    model = nn.Sequential(nn.Conv2D(None, 4, 3), nn.Flatten(), nn.Linear(None, 3))
    with pytest.raises(RuntimeError, match="in_channels is None"):
        fastcnn.from_torch(model, module.state_dict())
    require_equal(fastcnn.from_torch(model, module.state_dict(), input_shape=(5, 7, 2)), module, images(3, 5, 7, 2))


def test_sizes_of_layers_tell_the_channels_of_flattened_images():
    module = lively(tnn.Sequential(tnn.Conv2d(1, 6, 5, padding=2), tnn.ReLU(), tnn.MaxPool2d(2), tnn.Flatten(),
                                   tnn.Linear(6 * 14 * 14, 10)))
    model = nn.Sequential(nn.Conv2D(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2D(2), nn.Flatten(),
                          nn.Linear(6 * 14 * 14, 10))
    require_equal(fastcnn.from_torch(model, module.state_dict()), module, images(2, 28, 28, 1))


def test_flattened_images_whose_shape_nobody_tells_are_refused():
    model = nn.Sequential(nn.Conv2D(1, 6, 3), nn.Flatten(), nn.Linear(6 * 4 * 5, 10))
    state = fastcnn.to_torch(model, input_shape=(6, 7, 1))
    for call in (lambda: fastcnn.from_torch(model, state), lambda: fastcnn.to_torch(model)):
        with pytest.raises(fastcnn.ShapeError, match=r"input_shape is None, expected the shape \(H, W, C\)"):
            call()
    with pytest.raises(fastcnn.ShapeError, match=r"from_torch: input_shape is \(9, 9, 1\), which the model does not take"):
        fastcnn.from_torch(model, state, input_shape=(9, 9, 1))
    decoder = nn.Sequential(nn.Linear(4, 32), nn.Reshape(4, 4, 2))
    with pytest.raises(fastcnn.CheckpointError, match=r"1 makes images of features.*expected no Reshape\(4, 4, 2\)"):
        fastcnn.to_torch(decoder, input_shape=(4,))


# --- names of others ---


class Block(tnn.Module):
    """A block of a ResNet; `way` is what the path around it is called."""

    def __init__(self, inputs, width, stride, way, bottleneck):
        super().__init__()
        outputs = 4 * width if bottleneck else width
        sizes = ([(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)] if bottleneck
                 else [(inputs, width, 3, stride), (width, width, 3, 1)])
        for number, (above, below, size, step) in enumerate(sizes, 1):
            self.add_module(f"conv{number}", tnn.Conv2d(above, below, size, step, size // 2, bias=False))
            self.add_module(f"bn{number}", tnn.BatchNorm2d(below))
        around = [tnn.Conv2d(inputs, outputs, 1, stride, bias=False), tnn.BatchNorm2d(outputs)] * (inputs != outputs)
        self.add_module(way, tnn.Sequential(*around))
        self.count, self.way = len(sizes), way

    def forward(self, x):
        y = x
        for number in range(1, self.count + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            y = y if number == self.count else y.relu()
        return (y + getattr(self, self.way)(x)).relu()


class ResNet(tnn.Module):
    """conv1, bn1, layer1.0.conv1 and so on, with the stem for large images or for small ones."""

    def __init__(self, widths, blocks, way="downsample", head="fc", bottleneck=False, large=False):
        super().__init__()
        self.conv1 = tnn.Conv2d(3, widths[0], *((7, 2, 3) if large else (3, 1, 1)), bias=False)
        self.bn1 = tnn.BatchNorm2d(widths[0])
        self.pool = tnn.MaxPool2d(3, 2, 1) if large else tnn.Identity()
        channels = widths[0]
        for stage, width in enumerate(widths, 1):
            inside = []
            for number in range(blocks):
                inside.append(Block(channels, width, 2 if stage > 1 and number == 0 else 1, way, bottleneck))
                channels = 4 * width if bottleneck else width
            self.add_module(f"layer{stage}", tnn.Sequential(*inside))
        self.add_module(head, tnn.Linear(channels, 10))
        self.stages, self.head = len(widths), head

    def forward(self, x):
        x = self.pool(self.bn1(self.conv1(x)).relu())
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        return getattr(self, self.head)(x.mean((2, 3)))


def large_resnet(widths, blocks, bottleneck):
    """The ResNet of torchvision for large images, of layers here."""
    layers = [nn.Conv2D(3, widths[0], 7, stride=2, padding=3, bias=False), nn.BatchNorm(widths[0]), nn.ReLU(),
              nn.MaxPool2D(3, stride=2, padding=1)]
    channels = widths[0]
    for stage, width in enumerate(widths):
        for number in range(blocks):
            stride = 2 if stage and not number else 1
            outputs = 4 * width if bottleneck else width
            sizes = ([(channels, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)] if bottleneck
                     else [(channels, width, 3, stride), (width, width, 3, 1)])
            main = [part for above, below, size, step in sizes
                    for part in (nn.Conv2D(above, below, size, stride=step, padding=size // 2, bias=False),
                                 nn.BatchNorm(below), nn.ReLU())][:-1]
            around = nn.Sequential(nn.Conv2D(channels, outputs, 1, stride=stride, bias=False), nn.BatchNorm(outputs))
            layers += [nn.Residual(nn.Sequential(*main), around if channels != outputs else None), nn.ReLU()]
            channels = outputs
    return nn.Sequential(*layers, nn.GlobalAvgPool2D(), nn.Linear(channels, 10))


RESNETS = {  # the module, the model, and whether the model's own choice of names is the module's
    "resnet20 for CIFAR": (lambda: ResNet((16, 32, 64), 3, "shortcut", "linear"),
                           lambda: models.create("resnet20", (16, 16, 3), 10), True),
    "resnet20 with fc": (lambda: ResNet((16, 32, 64), 3), lambda: models.create("resnet20", (16, 16, 3), 10), False),
    "resnet18": (lambda: ResNet((8, 16, 32, 64), 2), lambda: models.resnet18((16, 16, 3), 10, width=8), True),
    "basic blocks": (lambda: ResNet((8, 16), 2, large=True), lambda: large_resnet((8, 16), 2, False), True),
    "bottlenecks": (lambda: ResNet((8, 16), 3, bottleneck=True, large=True), lambda: large_resnet((8, 16), 3, True), True),
}


@pytest.mark.parametrize("name", RESNETS)
def test_resnets(name, tmp_path):
    module, model, is_usual = (part() if callable(part) else part for part in RESNETS[name])
    fresh = copy.deepcopy(module)
    assert (fastcnn.to_torch(model).keys() == module.state_dict().keys()) == is_usual
    x = images(2, 24, 24, 3)
    require_both_ways(model, lively(module), fresh, x)
    safetensors_torch.save_file(module.state_dict(), tmp_path / "net.safetensors", metadata={"format": "pt"})
    require_equal(fastcnn.from_torch(RESNETS[name][1](), tmp_path / "net.safetensors"), module, x)
    assert fastcnn.to_torch(RESNETS[name][1](), like=module.state_dict()).keys() == module.state_dict().keys()


def vgg(features, classifier):
    """features.N and classifier.N, as torchvision has them."""
    module = tnn.Module()
    module.features, module.classifier = tnn.Sequential(*features), tnn.Sequential(*classifier)
    module.forward = lambda x: module.classifier(module.features(x).flatten(1))
    return module


def small_vgg():
    return (vgg([tnn.Conv2d(3, 8, 3, padding=1), tnn.BatchNorm2d(8), tnn.ReLU(), tnn.MaxPool2d(2),
                 *(part for _ in range(5) for part in (tnn.Conv2d(8, 8, 3, padding=1), tnn.BatchNorm2d(8), tnn.ReLU())),
                 tnn.AdaptiveAvgPool2d((7, 7))],
                [tnn.Linear(8 * 49, 32), tnn.ReLU(), tnn.Dropout(), tnn.Linear(32, 32), tnn.ReLU(), tnn.Dropout(),
                 tnn.Linear(32, 10)]),
            nn.Sequential(nn.Conv2D(3, 8, 3, padding=1), nn.BatchNorm(8), nn.ReLU(), nn.MaxPool2D(2),
                          *(part for _ in range(5) for part in (nn.Conv2D(8, 8, 3, padding=1), nn.BatchNorm(8), nn.ReLU())),
                          nn.AdaptiveAvgPool2D(7), nn.Flatten(), nn.Linear(8 * 49, 32), nn.ReLU(), nn.Dropout(),
                          nn.Linear(32, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10)))


def test_names_of_vgg_are_matched_by_order_and_given_back(tmp_path):
    module, model = small_vgg()
    x = images(2, 20, 20, 3)
    require_both_ways(model, lively(module), small_vgg()[0], x, input_shape=(20, 20, 3))
    safetensors_torch.save_file(module.state_dict(), tmp_path / "net.safetensors")  # features.10 before features.4
    again = small_vgg()[1]
    require_equal(fastcnn.from_torch(again, tmp_path / "net.safetensors"), module, x)
    require_equal(fastcnn.from_torch(again, safetensors_torch.load_file(tmp_path / "net.safetensors")), module, x)


def inverted(inputs, outputs, stride, factor):
    """A block of MobileNetV2, as torchvision nests it: conv.0.0, conv.0.1, conv.1.0, conv.2, conv.3."""
    wide = factor * inputs
    block = tnn.Module()
    block.conv = tnn.Sequential(tnn.Sequential(tnn.Conv2d(inputs, wide, 1, bias=False), tnn.BatchNorm2d(wide), tnn.ReLU()),
                                tnn.Sequential(tnn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
                                               tnn.BatchNorm2d(wide), tnn.ReLU()),
                                tnn.Conv2d(wide, outputs, 1, bias=False), tnn.BatchNorm2d(outputs))
    block.forward = lambda x: x + block.conv(x) if stride == 1 and inputs == outputs else block.conv(x)
    ours = nn.Sequential(nn.Conv2D(inputs, wide, 1, bias=False), nn.BatchNorm(wide), nn.ReLU(),
                         nn.Conv2D(wide, wide, 3, stride=stride, padding=1, groups=wide, bias=False), nn.BatchNorm(wide),
                         nn.ReLU(), nn.Conv2D(wide, outputs, 1, bias=False), nn.BatchNorm(outputs))
    return block, nn.Residual(ours) if stride == 1 and inputs == outputs else ours


def small_mobilenet():
    blocks = [inverted(8, 8, 1, 2), inverted(8, 12, 2, 2), inverted(12, 12, 1, 2)]
    stem = tnn.Sequential(tnn.Conv2d(3, 8, 3, 2, 1, bias=False), tnn.BatchNorm2d(8), tnn.ReLU())
    module = vgg([stem, *(block for block, _ in blocks), tnn.AdaptiveAvgPool2d(1)], [tnn.Dropout(0.2), tnn.Linear(12, 10)])
    model = nn.Sequential(nn.Conv2D(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm(8), nn.ReLU(),
                          *(ours for _, ours in blocks), nn.GlobalAvgPool2D(), nn.Dropout(0.2), nn.Linear(12, 10))
    return module, model


def test_names_of_mobilenet_v2_are_matched_by_order_and_given_back(tmp_path):
    module, model = small_mobilenet()
    x = images(2, 20, 20, 3)
    require_both_ways(model, lively(module), small_mobilenet()[0], x)
    safetensors_torch.save_file(module.state_dict(), tmp_path / "net.safetensors")
    require_equal(fastcnn.from_torch(small_mobilenet()[1], tmp_path / "net.safetensors"), module, x)


@pytest.mark.parametrize("name", models.names())
def test_every_named_model_goes_there_and_back_to_the_same_bits(name):
    def make():
        if name in ("resnet18", "vgg11"):  # which have millions of weights
            return getattr(models, name)((24, 24, 3), 10, width=8)
        return models.create(name, (24, 24, 3), 10)

    model = make()
    before, state = model.state_dict(), fastcnn.to_torch(model)
    assert len(state) == len(before) + sum(key.endswith("num_batches_tracked") for key in state)
    fastcnn.manual_seed(1)
    again = fastcnn.from_torch(make(), state).state_dict()
    assert all((again[key] == before[key]).all() for key in before)


def test_a_global_pooling_counts_as_two_modules_of_a_sequential():
    module = lively(tnn.Sequential(tnn.Conv2d(3, 4, 3), tnn.AdaptiveAvgPool2d(1), tnn.Flatten(), tnn.Linear(4, 2)))
    model = nn.Sequential(nn.Conv2D(3, 4, 3), nn.GlobalAvgPool2D(), nn.Linear(4, 2))
    module.load_state_dict(tensors(fastcnn.to_torch(model)), strict=True)
    require_equal(model, module, images(2, 8, 8, 3))


def test_a_layer_by_itself_and_names_with_a_prefix():
    module = lively(tnn.Linear(4, 3))
    x = images(5, 4)
    require_equal(fastcnn.from_torch(nn.Linear(4, 3), module.state_dict()), module, x)
    wrapped = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    require_equal(fastcnn.from_torch(nn.Sequential(nn.Linear(4, 3)), wrapped), module, x)


# --- types ---


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_floats_of_any_width(dtype, tmp_path):
    module = lively(tnn.Sequential(tnn.Conv2d(2, 4, 3), tnn.BatchNorm2d(4))).to(dtype)
    state = module.state_dict()
    safetensors_torch.save_file(state, tmp_path / "net.safetensors")
    expected = state["0.weight"].float().numpy().transpose(2, 3, 1, 0)
    for given in (state, tmp_path / "net.safetensors", str(tmp_path / "net.safetensors")):
        model = fastcnn.from_torch(nn.Sequential(nn.Conv2D(2, 4, 3), nn.BatchNorm(4)), given)
        assert model[0].weight.dtype == np.float32 and (model[0].weight.data == expected).all()
    wide = nn.Sequential(nn.Conv2D(2, 4, 3), nn.BatchNorm(4)).to(np.float64)
    found = fastcnn.to_torch(fastcnn.from_torch(wide, state))
    assert all((tensor.double().numpy() == found[name]).all() for name, tensor in state.items())


def test_parameters_and_gradients_are_left_to_pytorch():
    module = tnn.Linear(3, 2)
    named = dict(module.named_parameters())  # which require gradients
    model = fastcnn.from_torch(nn.Linear(3, 2), named)
    model.weight.data = model.weight.data + 1
    assert (named["weight"].detach().numpy() + 1 == model.weight.data.T).all()
    state = fastcnn.to_torch(model)
    state["weight"][:] = 0
    assert model.weight.data.any()


# --- what does not fit ---

SMALL = {"0.weight": (4, 3, 3, 3), "0.bias": (4,), "1.weight": (4,), "1.bias": (4,), "1.running_mean": (4,),
         "1.running_var": (4,), "1.num_batches_tracked": (), "4.weight": (2, 4), "4.bias": (2,)}


def small():
    return nn.Sequential(nn.Conv2D(3, 4, 3), nn.BatchNorm(4), nn.ReLU(), nn.GlobalAvgPool2D(), nn.Linear(4, 2))


@pytest.mark.parametrize("change, message", [
    ({"0.weight": (4, 1, 3, 3)}, r"0\.weight has shape \(4, 1, 3, 3\), expected \(4, 3, 3, 3\) for 0, Conv2D\(3, 4, 3\)"),
    ({"0.weight": (3, 3, 3, 4)}, r"0\.weight has shape \(3, 3, 3, 4\), expected \(4, 3, 3, 3\) for 0"),
    ({"0.bias": None}, r"0\.bias is missing, expected shape \(4,\) for 0, Conv2D\(3, 4, 3\)"),
    ({"1.running_var": None}, r"1\.running_var is missing, expected shape \(4,\) for 1, BatchNorm\(4\)"),
    ({"4.weight": (2, 5)}, r"4\.weight has shape \(2, 5\), expected \(2, 4\) for 4, Linear\(4, 2\)"),
    ({"4.weight": None, "4.bias": None}, r"no arrays came for 4, Linear\(4, 2\), expected a weight of shape \(2, 4\)"),
    ({"7.weight": (2, 2)}, r"7\.weight of shape \(2, 2\) is of no layer, expected 1 of the kind linear layer"),
    ({"7.weight": (2, 2, 2)}, r"7\.weight of shape \(2, 2, 2\) is of no layer here, expected arrays of the kinds"),
    ({"7.gamma": (2,)}, r"7\.gamma of shape \(2,\) is unknown, expected names that end in weight, bias, running_mean"),
    ({"1.extra.bias": (2,)}, r"1\.extra\.bias of shape \(2,\) is of no layer here"),
])
def test_what_does_not_fit_is_named_and_nothing_is_loaded(change, message):
    state = {name: np.ones(shape, np.float32) for name, shape in (SMALL | change).items() if shape is not None}
    model = small()
    before = model.state_dict()
    with pytest.raises(fastcnn.CheckpointError, match=f"^from_torch: {message}") as caught:
        fastcnn.from_torch(model, state)
    assert "\n" not in str(caught.value) and not model.torch_names
    assert all((array == before[name]).all() for name, array in model.state_dict().items())


@pytest.mark.parametrize("value, message", [
    (np.full((2, 4), np.nan, np.float32), r"4\.weight holds numbers that are not finite in float32"),
    (np.full((2, 4), 1e300), r"4\.weight holds numbers that are not finite in float32"),
    (np.ones((2, 4), np.int64), r"4\.weight is int64, expected floats"),
    ({"weight": 1}, r"'4\.weight' is a dict of its own, expected an array; the weights may be state\['4\.weight'\]"),
])
def test_what_is_no_weight_is_refused(value, message):
    state = {name: np.ones(shape, np.float32) for name, shape in SMALL.items()} | {"4.weight": value}
    model = small()
    before = model.state_dict()
    with pytest.raises(fastcnn.CheckpointError, match=f"^from_torch: {message}"):
        fastcnn.from_torch(model, state)
    assert all((array == before[name]).all() for name, array in model.state_dict().items())


def test_a_file_whose_names_do_not_tell_the_order_is_refused(tmp_path):
    """Two equal layers, `body` and `stem`, which a file has in the order of the alphabet."""
    module = tnn.Module()
    module.stem, module.body = tnn.Linear(4, 4), tnn.Linear(4, 4)
    safetensors_torch.save_file(module.state_dict(), tmp_path / "net.safetensors")
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    with pytest.raises(fastcnn.CheckpointError, match="the state has body and stem with arrays of shape"):
        fastcnn.from_torch(model, tmp_path / "net.safetensors")
    fastcnn.from_torch(model, module.state_dict())
    assert (model[0].weight.data == module.stem.weight.detach().numpy().T).all()


def test_files_that_are_none_and_arguments_of_other_types(tmp_path):
    torch.save(tnn.Linear(4, 2).state_dict(), tmp_path / "net.pt")
    with pytest.raises(fastcnn.CheckpointError, match=r"net\.pt is damaged or no safetensors file .*pickles"):
        fastcnn.from_torch(nn.Linear(4, 2), tmp_path / "net.pt")
    with pytest.raises(fastcnn.CheckpointError, match="there is no file none, expected one that"):
        fastcnn.from_torch(nn.Linear(4, 2), "none")
    with pytest.raises(fastcnn.DTypeError, match="state is int, expected names and their arrays"):
        fastcnn.from_torch(nn.Linear(4, 2), 3)
    with pytest.raises(fastcnn.DTypeError, match=r"model is .*expected a Module, and not a frozen copy"):
        fastcnn.to_torch(nn.Frozen(nn.Linear(4, 2)))
    with pytest.raises(fastcnn.DTypeError, match="model is 'lenet5', expected a Module"):
        fastcnn.from_torch("lenet5", {})


class Scale(nn.Module):
    def __init__(self):
        self.factor = nn.Parameter(np.ones(1))


def test_layers_of_ones_own_have_no_counterpart():
    with pytest.raises(fastcnn.CheckpointError, match="to_torch: 0 is Scale, whose parameters have no known layout"):
        fastcnn.to_torch(nn.Sequential(Scale()))


def test_names_that_were_kept_give_way_where_the_model_has_changed():
    model = fastcnn.from_torch(nn.Sequential(nn.Linear(4, 3)), {"head.weight": np.ones((3, 4), np.float32),
                                                               "head.bias": np.ones(3, np.float32)})
    assert [*fastcnn.to_torch(model)] == ["head.weight", "head.bias"]
    assert [*fastcnn.to_torch(copy.deepcopy(model))] == ["head.weight", "head.bias"]
    longer = nn.Sequential(*model, nn.Linear(3, 2))
    longer.torch_names = model.torch_names
    assert [*fastcnn.to_torch(longer)] == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_only_resnets_get_their_names():
    assert torch_names._resnet(models.create("resnet9", (16, 16, 3), 10), "downsample", "fc") is None
    assert torch_names._resnet(models.create("vgg", (16, 16, 3), 10), "downsample", "fc") is None
    assert torch_names._pairs(resnet._block(4, 8, 2).main) == ["0", "1", "3", "4"]


# --- fastcnn convert ---


def metadata(path):
    with safetensors.safe_open(path, framework="numpy") as file:
        return file.metadata()


def test_convert_there_and_back(tmp_path, capsys):
    net, ours, theirs = (str(tmp_path / name) for name in ("net.st", "new/ours.safetensors", "new/theirs.safetensors"))
    module = lively(ResNet((16, 32, 64), 3))
    safetensors_torch.save_file(module.state_dict(), net, metadata={"format": "pt"})
    assert main(["convert", net, ours, "--to", "fastcnn", "--model", "resnet20", "--input-shape", "16,16,3", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["model"], record["classes"], record["path"]) == ("resnet20", 10, ours)
    model = fastcnn.load(ours)
    x = images(2, 16, 16, 3)
    require_equal(model, module, x)
    assert main(["convert", ours, theirs, "--to", "torch", "--like", net]) == 0
    assert metadata(theirs) == {"format": "pt"} and "fastcnn" in metadata(ours)
    fresh = ResNet((16, 32, 64), 3).eval()
    fresh.load_state_dict(safetensors_torch.load_file(theirs), strict=True)
    require_equal(model, fresh, x)
    assert main(["convert", ours, theirs, "--to", "torch"]) == 0
    fresh = ResNet((16, 32, 64), 3, "shortcut", "linear").eval()
    fresh.load_state_dict(safetensors_torch.load_file(theirs), strict=True)
    require_equal(model, fresh, x)


def test_convert_tells_the_normalisation(tmp_path, capsys):
    model = models.create("strided_cnn", (8, 8, 1), 10)
    model.normalisation, model.classes = ([0.5], [0.25]), tuple("0123456789")
    fastcnn.save(model, tmp_path / "ours.st")
    assert main(["convert", str(tmp_path / "ours.st"), str(tmp_path / "theirs.st"), "--to", "torch", "--json"]) == 0
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert record["normalisation"] == {"mean": [0.5], "std": [0.25]} and record["classes"] == [*"0123456789"]
    assert "normalised by mean [0.5] and deviation [0.25]" in printed.err


@pytest.mark.parametrize("arguments, code, message", [
    (["net.st", "out.st", "--to", "fastcnn"], 2, "--to fastcnn needs --model, expected one of lenet5"),
    (["net.st", "out.st", "--to", "keras"], 2, "--to: 'keras', expected one of torch, fastcnn"),
    (["net.st", "out.st", "--to", "torch", "--classes", "3"], 2, "--classes is for --to fastcnn alone"),
    (["net.st", "out.st", "--to", "fastcnn", "--model", "lenet5", "--like", "a.st"], 2, "--like is for --to torch alone"),
    (["net.st", "out.st", "--to", "fastcnn", "--model", "lenet5"], 1,
     "from_torch: no arrays came for 0, Conv2D(1, 6, 5, padding='same'), expected a weight of shape (6, 1, 5, 5)"),
    (["net.st", "out.st", "--to", "torch"], 1, "net.st was not written by fastcnn"),
    (["none.st", "out.st", "--to", "fastcnn", "--model", "lenet5"], 1, "there is no file none.st"),
])
def test_convert_says_what_is_wrong_and_writes_nothing(arguments, code, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    safetensors_torch.save_file(tnn.Linear(3, 2).state_dict(), "net.st")
    assert main(["convert", *arguments]) == code
    said = capsys.readouterr().err.splitlines()
    assert message in said[-1] and len(said) == code
    assert [path.name for path in tmp_path.iterdir()] == ["net.st"]
