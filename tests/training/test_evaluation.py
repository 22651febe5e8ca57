"""Evaluation and prediction."""

import warnings

import numpy as np
import pytest

import fastcnn
from fastcnn import data, nn, optim
from fastcnn import functional as F  # noqa: N812
from fastcnn.shapes import ShapeError
from fastcnn.training import (
    Augment,
)
from fastcnn.training import answers as answers_of
from fastcnn.training import batches as batches_of
from fastcnn.training.batches import Batches, normalisation_of
from fastcnn.training.diagnosis import all_finite
from fastcnn.training.history import cells
from tests.training import setting
from tests.training.setting import DIGITS, FEW, IMAGES, LABELS, network, train


def test_predict_gives_probabilities_and_leaves_the_modes():
    model = network(0.5)
    train(model)
    model[1].eval()
    probabilities = fastcnn.predict(model, DIGITS.test.images[:50], batch_size=16)
    assert probabilities.shape == (50, 10) and np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert model.training and not model[1].training and model[5].training
    assert np.array_equal(probabilities, fastcnn.predict(model, DIGITS.test.images[:50], batch_size=50))
    right = np.mean(probabilities.argmax(axis=1) == DIGITS.test.labels[:50])
    assert right == fastcnn.evaluate(model, DIGITS.test.subset(50))["accuracy"]


def test_a_single_output_gives_the_probability_of_class_1():
    linear = nn.Linear(64, 1)
    x = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    logits = linear.forward(x).astype(np.float64)
    expected = pytest.approx(1 / (1 + np.exp(-logits)), rel=1e-5)
    assert logits.min() < 0 < logits.max() and fastcnn.predict(nn.Sequential(linear), x) == expected
    assert fastcnn.predict(nn.Sequential(linear, nn.Sigmoid()), x) == expected


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.L1Loss(), nn.HuberLoss(), nn.BCELoss()])
def test_accuracy_of_a_single_output_is_that_of_its_loss(loss):
    share = np.array([[0.2], [0.4], [0.6], [0.9]], np.float32)
    answers = np.log(share / (1 - share)) if isinstance(loss, nn.BCELoss) else share
    target = np.array([[0.0], [1.0], [1.0], [1.0]], np.float32)
    assert fastcnn.evaluate(nn.Sequential(nn.Identity()), (answers, target), loss=loss)["accuracy"] == 0.75


def test_accuracy_of_one_class_and_of_images():
    one = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    assert fastcnn.evaluate(one, (IMAGES, np.zeros(64, int)))["accuracy"] == 1
    images = IMAGES.astype(np.float32) / 255
    same_again = nn.Sequential(nn.Conv2D(1, 1, 3, padding=1))
    assert fastcnn.evaluate(same_again, (images, images), loss=nn.MSELoss())["accuracy"] == 0


def test_predict_does_not_apply_softmax_twice():
    linear = nn.Linear(64, 3)
    x = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    plain = fastcnn.predict(nn.Sequential(linear), x)
    assert np.array_equal(fastcnn.predict(nn.Sequential(linear, nn.Softmax()), x), plain)
    assert np.allclose(fastcnn.predict(nn.Sequential(linear, nn.LogSoftmax()), x), plain, atol=1e-6)


def test_outputs_that_are_not_finite_explain_nothing_and_are_no_answer_in_pictures(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model.normalisation = normalisation_of(FEW.images)
    model[1].bias.data[3] = np.nan
    for explained in (fastcnn.explain.saliency, fastcnn.explain.grad_cam):
        with pytest.raises(ValueError, match=f"{explained.__name__}: the model's outputs are not finite, .* a target"):
            explained(model, FEW.images[:2])
    pytest.importorskip("matplotlib")
    path = tmp_path / "answers.svg"
    fastcnn.plot.predictions(FEW.images[:2], np.full((2, 10), np.nan), path, labels=[0, 0])
    assert path.exists()
    with pytest.MonkeyPatch.context() as patch:
        titles = []
        from matplotlib.axes import Axes

        patch.setattr(Axes, "set_title", lambda self, text, **options: titles.append((text, options["color"])))
        fastcnn.plot.predictions(FEW.images[:2], np.full((2, 10), np.nan), path, labels=[0, 0])
    assert titles == [("no answer\ntruth: 0", fastcnn.plot.figure.WRONG)] * 2


def test_evaluate_and_predict_keep_nothing_for_backward():
    model = network()
    fastcnn.predict(model, FEW.images)
    with pytest.raises(RuntimeError, match="backward needs a forward"):
        model.backward(np.ones((64, 10), np.float32))


class Own(nn.Module):
    """A network with a forward of its own."""

    def __init__(self, outputs, end):
        self.linear, self.end = nn.Linear(64, outputs), end

    def forward(self, x):
        return self.end(self.linear(x))

    def backward(self, dy):
        return self.linear.backward(self.end.backward(dy))


class OwnSigmoid(nn.Module):
    """The logistic function in plain numpy."""

    def forward(self, x):
        self.y = 1 / (1 + np.exp(-x))
        return self.y

    def backward(self, dy):
        return (dy * self.y * (1 - self.y)).astype(dy.dtype)


class ByFunction(nn.Sigmoid):
    def forward(self, x):
        y = F.sigmoid(x)
        self._save(y)
        return y.reshape(len(x), -1)


POINTS = np.random.default_rng(0).standard_normal((256, 64)).astype(np.float32)
ENDS = {
    "layer": lambda: Own(1, nn.Sigmoid()),
    "layers behind": lambda: Own(1, nn.Sequential(nn.Sigmoid(), nn.Identity(), nn.Dropout(0.1), nn.Flatten())),
    "sequential": lambda: nn.Sequential(nn.Linear(64, 1), nn.Sigmoid(), nn.Sequential(nn.Reshape(1), nn.Identity())),
    "own in sequential": lambda: nn.Sequential(Own(1, nn.Sigmoid())),
    "function": lambda: Own(1, ByFunction()),
    "numpy": lambda: Own(1, OwnSigmoid()),
}


@pytest.mark.parametrize("name", ENDS)
def test_probabilities_are_not_squashed_again(name, tmp_path):
    fastcnn.manual_seed(0)
    model, target = ENDS[name](), (POINTS[:, :1] > 0.5).astype(np.float32)
    last = train(model, (POINTS, target), loss=nn.MSELoss(), epochs=30,
                 optimizer=optim.Adam(model.parameters(), 0.02))[-1]["train_accuracy"]
    outputs = model.eval().forward(POINTS)
    assert last > 0.9 and np.array_equal(fastcnn.predict(model, POINTS), outputs)
    assert np.mean((outputs > 0.5) == (target > 0.5)) == fastcnn.evaluate(model, (POINTS, target))["accuracy"]
    fastcnn.save(model, tmp_path / "model")
    loaded = fastcnn.load(tmp_path / "model", model=ENDS[name]())
    assert np.array_equal(fastcnn.predict(loaded, POINTS[:1]), outputs[:1])


@pytest.mark.parametrize("name", ["layer", "layers behind", "sequential", "own in sequential", "function"])
def test_what_a_network_ends_in_is_seen_without_training(name):
    model = ENDS[name]().eval()
    with nn.inference():
        for _ in range(4):  # as often as recorded launches need
            assert np.array_equal(fastcnn.predict(model, POINTS[:2]), model.forward(POINTS[:2]))


@pytest.mark.parametrize("end", [nn.Softmax(), nn.LogSoftmax()], ids=["softmax", "log"])
def test_softmax_in_a_module_of_ones_own_is_seen(end):
    model = Own(3, end)
    probabilities = F.softmax(model.linear(POINTS))
    assert np.allclose(fastcnn.predict(model, POINTS), probabilities, atol=1e-6)
    result = fastcnn.evaluate(model, (POINTS, probabilities.argmax(axis=1)))
    assert result["accuracy"] == 1 and result["loss"] == pytest.approx(-np.log(probabilities.max(axis=1)).mean(), rel=1e-5)


def test_softmax_in_plain_numpy_is_known_by_its_sums():
    class Plain(nn.Module):
        def forward(self, x):
            powers = np.exp(x[:, :3])
            return powers / powers.sum(axis=1, keepdims=True)

    assert np.array_equal(fastcnn.predict(Plain(), POINTS), Plain().forward(POINTS))


def test_an_unknown_output_activation_is_refused():
    model = nn.Sequential(nn.Linear(64, 3))
    model.output_activation = "relu"
    with pytest.raises(ValueError, match="output_activation is 'relu', expected one of softmax, sigmoid, exp, identity, or"):
        fastcnn.predict(model, POINTS)


def test_a_sequential_with_a_forward_of_its_own_is_run():
    class Scaled(nn.Sequential):
        def forward(self, x):
            return 3 * super().forward(x)

    model = Scaled(nn.Linear(64, 1), nn.Sigmoid())
    assert np.array_equal(fastcnn.predict(model, POINTS), F.sigmoid(model.forward(POINTS)))


class SoftmaxInUse(nn.Softmax):
    """Logits in training, probabilities in use."""

    def forward(self, x):
        self._save(False)
        return x if self.training else F.softmax(x)

    def backward(self, dy):
        self._take_saved()
        return dy


def ending(*ends):
    return nn.Sequential(nn.Linear(64, 3), *ends)


THIRDS = np.arange(256) % 3
ONE_OF_THREE = np.eye(3, dtype=np.float32)[THIRDS]
UNSUITABLE = {
    "softmax": (lambda: ending(nn.Softmax()), nn.CrossEntropyLoss(),
                r"takes logits, .* ends in Softmax\(\), which gives probabilities; take the Softmax out"),
    "softmax, other layers behind": (
        lambda: nn.Sequential(ending(nn.Softmax(), nn.Dropout(0.1)), nn.Identity(), nn.Flatten()), nn.CrossEntropyLoss(),
        r"ends in Softmax\(\)"),
    "softmax after a residual block": (
        lambda: nn.Sequential(nn.Residual(nn.Linear(64, 64)), ending(nn.Softmax())), nn.CrossEntropyLoss(),
        r"ends in Softmax\(\)"),
    "softmax in a module of one's own": (
        lambda: Own(3, nn.Softmax()), nn.CrossEntropyLoss(),
        "takes logits, and the model gives probabilities; take the last softmax or sigmoid out"),
    "softmax in a module of one's own, a view behind": (
        lambda: nn.Sequential(Own(3, nn.Softmax()), nn.Reshape(3)), nn.CrossEntropyLoss(), "gives probabilities"),
    "softmax, a subclass": (
        lambda: ending(type("Mine", (nn.Softmax,), {})()), nn.CrossEntropyLoss(), r"ends in Mine\(\), .* the Mine out"),
    "softmax before a loss of one's own": (
        lambda: ending(nn.Softmax()), type("Focal", (nn.CrossEntropyLoss,), {})(),
        r"which takes logits, .*; a loss of your own says what it takes by its output_activation"),
    "softmax before a hinge": (lambda: ending(nn.Softmax()), nn.HingeLoss(), "takes logits, .* gives probabilities"),
    "softmax before NLL": (
        lambda: ending(nn.Softmax()), nn.NLLLoss(),
        r"takes log-probabilities, .* gives probabilities; put nn\.LogSoftmax\(\) in place of the Softmax"),
    "softmax for several labels": (lambda: ending(nn.Softmax()), nn.BCELoss(), "takes logits, .* gives probabilities"),
    "log-softmax": (
        lambda: ending(nn.LogSoftmax()), nn.CrossEntropyLoss(),
        r"takes logits, .* gives log-probabilities; take the LogSoftmax out of the model, or use nn\.NLLLoss\(\)"),
    "log-softmax in a module of one's own": (
        lambda: Own(3, nn.LogSoftmax()), nn.CrossEntropyLoss(label_smoothing=0.1), "the last log-softmax out"),
    "log-softmax for several labels": (lambda: ending(nn.LogSoftmax()), nn.BCELoss(), "gives log-probabilities"),
    "sigmoid": (
        lambda: ending(nn.Sigmoid()), nn.BCELoss(),
        r"which takes logits, .* ends in Sigmoid\(\), which gives probabilities; take the Sigmoid out"),
    "sigmoid by a function": (lambda: Own(3, ByFunction()), nn.BCEWithLogitsLoss(), "the model gives probabilities"),
    "sigmoids of branches": (
        lambda: nn.Sequential(nn.Concat(*[nn.Sequential(nn.Linear(64, 1), nn.Sigmoid()) for _ in range(3)]), nn.Identity()),
        nn.BCELoss(), r"ends in Sigmoid\(\)"),
    "sigmoid for classes": (lambda: ending(nn.Sigmoid()), nn.CrossEntropyLoss(), "takes logits"),
    "logits before NLL": (
        lambda: ending(nn.Flatten()), nn.NLLLoss(),
        r"ends in Linear\(64, 3\), which gives logits; put nn\.LogSoftmax\(\) behind it, or use nn\.CrossEntropyLoss\(\)"),
    "logits of a convolution before NLL": (
        lambda: nn.Sequential(nn.Reshape(1, 1, 64), nn.Conv2D(64, 3, 1), nn.Flatten()), nn.NLLLoss(), "ends in Conv2D"),
}


def targets_of(loss):
    return ONE_OF_THREE if isinstance(loss, (nn.BCELoss, nn.MSELoss)) else THIRDS


@pytest.mark.parametrize("function", ["fit", "evaluate"])
@pytest.mark.parametrize("name", UNSUITABLE)
def test_a_loss_of_outputs_of_another_kind_is_refused(name, function):
    make, loss, words = UNSUITABLE[name]
    model = make()
    before = model.state_dict()
    with pytest.raises(ValueError, match=f"^{function}: loss is {type(loss).__name__}.*{words}"):
        {"fit": train, "evaluate": fastcnn.evaluate}[function](model, (POINTS, targets_of(loss)), loss=loss)
    assert model.output_activation is None and all(np.array_equal(model.state_dict()[key], before[key]) for key in before)


@pytest.mark.parametrize(("make", "loss"), [
    (ending, nn.CrossEntropyLoss()), (lambda: ending(nn.ReLU()), nn.BCELoss()),
    (lambda: ending(nn.LogSoftmax()), nn.NLLLoss()), (lambda: Own(3, nn.LogSoftmax()), nn.NLLLoss()),
    (lambda: ending(nn.Softmax()), nn.MSELoss()), (lambda: ending(nn.Sigmoid()), nn.MSELoss()),
    (lambda: nn.Sequential(ending(nn.Softmax()), nn.Linear(3, 3)), nn.CrossEntropyLoss()),
    (lambda: nn.Residual(ending(nn.Softmax()), nn.Linear(64, 3)), nn.CrossEntropyLoss()),
    (lambda: nn.Concat(nn.Linear(64, 2), nn.Sequential(nn.Linear(64, 1), nn.Sigmoid())), nn.BCELoss()),
], ids=["logits", "ReLU", "log-probabilities", "log-probabilities of a class of its own", "probabilities", "shares",
        "logits behind probabilities", "a sum", "branches of two kinds"])
def test_losses_of_outputs_of_their_kind_are_taken(make, loss):
    model = make()
    assert np.isfinite(train(model, (POINTS, targets_of(loss)), loss=loss)[-1]["train_loss"])
    fastcnn.evaluate(model, (POINTS, targets_of(loss)), loss=loss)


def test_a_loss_that_says_nothing_of_what_it_takes_is_taken():
    class Own:
        def forward(self, prediction, target):
            self.prediction = prediction
            return float(np.mean(prediction))

        def backward(self):
            return np.full_like(self.prediction, 1 / self.prediction.size)

    assert len(train(ending(nn.Softmax()), (POINTS, THIRDS), loss=Own())) == 1


def test_a_softmax_in_use_alone_is_no_obstacle_but_validation_warns():
    model = ending(SoftmaxInUse())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(model, (POINTS, THIRDS))
    with pytest.warns(UserWarning, match=r"fit: validation: loss is CrossEntropyLoss\(\), which takes logits, .*"):
        train(model, (POINTS, THIRDS), validation=(POINTS, THIRDS))


def test_the_refusal_comes_before_anything_is_prepared():
    told = []

    class Told(fastcnn.training.Callback):
        def on_train_begin(self, run):
            told.append(run)

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Softmax())
    with pytest.raises(ValueError, match="take the Softmax out"):
        train(model, FEW, callbacks=[Told()])
    assert not told and model.normalisation is None and model.classes == ()


def test_a_parameter_of_two_layers_is_warned_of_because_one_gradient_overwrites_the_other():
    first, last = nn.Linear(64, 64), nn.Linear(64, 64)
    last.weight = first.weight
    model = nn.Sequential(first, nn.Tanh(), last)
    with pytest.warns(UserWarning, match=r"fit: 0\.weight and 2\.weight are one Parameter, .* for each layer") as told:
        train(model, (POINTS, POINTS), loss=nn.MSELoss())
    assert [one.filename for one in told] == [setting.__file__]  # where fit was called
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(nn.Sequential(first, nn.Tanh(), nn.Linear(64, 64)), (POINTS, POINTS), loss=nn.MSELoss())


def test_several_labels_at_once(tmp_path):
    targets = (POINTS[:, :3] > [-1.0, 0.0, 1.0]).astype(np.float32)
    fastcnn.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 3))
    record = train(model, (POINTS, targets), validation=(POINTS, targets), loss=nn.BCELoss(), epochs=30,
                   optimizer=optim.Adam(model.parameters(), 0.02))[-1]
    probabilities = fastcnn.predict(model, POINTS)
    assert np.array_equal(probabilities, F.sigmoid(model.forward(POINTS)))
    share = np.mean((probabilities > 0.5) == (targets > 0.5))
    assert share > 0.95 and record["test_accuracy"] == fastcnn.metrics.accuracy(probabilities, targets) == share
    result = fastcnn.evaluate(model, (POINTS, targets))
    assert result == fastcnn.evaluate(model, (POINTS, targets), loss=nn.BCELoss()) and result["accuracy"] == share
    assert abs(record["train_accuracy"] - share) < 0.02
    fastcnn.save(model, tmp_path / "model")
    loaded = fastcnn.load(tmp_path / "model", model=nn.Sequential(nn.Linear(64, 3)))
    assert np.array_equal(fastcnn.predict(loaded, POINTS), probabilities)


def test_several_labels_of_a_squared_error():
    targets = (POINTS[:, :3] > [-1.0, 0.0, 1.0]).astype(np.float32)
    model = nn.Sequential(nn.Linear(64, 3))
    train(model, (POINTS, targets), loss=nn.MSELoss())
    outputs = fastcnn.predict(model, POINTS)
    assert np.array_equal(outputs, model.forward(POINTS))
    assert fastcnn.evaluate(model, (POINTS, targets))["accuracy"] == np.mean((outputs > 0.5) == (targets > 0.5))


def spoiled(value):
    """A network that is right, but for one output of every other image."""
    class Spoil(nn.Module):
        def forward(self, x):
            y = np.ones((len(x), 3), np.float32)
            y[::2, 1] = value
            return y

    return Spoil()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_not_finite_are_never_right(value):
    model, labels = spoiled(value), np.zeros(len(POINTS), np.int64)
    assert fastcnn.evaluate(model, (POINTS, labels))["accuracy"] == 0.5
    assert fastcnn.evaluate(model, (POINTS, np.ones((256, 3), "f4")), loss=nn.BCELoss())["accuracy"] == pytest.approx(5 / 6)
    with pytest.warns(UserWarning, match="predict: the model's outputs for 128 of 256 images are not finite"):
        probabilities = fastcnn.predict(model, POINTS)
    assert np.isnan(probabilities[::2]).all() and np.isfinite(probabilities[1::2]).all()
    single = nn.Sequential(nn.Identity())
    answers = np.array([[value], [1.0]], np.float32)
    assert fastcnn.evaluate(single, (answers, np.ones((2, 1), "f4")), loss=nn.BCELoss())["accuracy"] == 0.5


SHARES = np.array([[0.2, 0.6, 0.7]])


@pytest.mark.parametrize(("outputs", "target", "activation", "one_class", "right"), [
    ([[-1.0, -2.0, 3.0]], [[0.0, 0.0, 1.0]], "softmax", True, 1),
    ([[-1.0, -2.0, 3.0]], [[0.0, 0.5, 0.9]], "softmax", False, 1),
    ([[-1.0, -2.0, 3.0]], [[0.0, 0.9, 0.5]], "exp", False, 0),
    ([[-1.0, -2.0, 3.0], [3.0, 2.0, 1.0]], [2, 2], "softmax", True, 1),
    ([[-1.0, 2.0, 3.0]], [[0.0, 1.0, 1.0]], "sigmoid", False, 1),
    ([[-1.0, 2.0, 3.0]], [[0.0, 1.0, 0.0]], "sigmoid", True, 2 / 3),
    (SHARES, [[0.0, 1.0, 1.0]], "identity", False, 1),
    (SHARES, [[0.0, 1.0, 0.0]], "identity", False, 2 / 3),
    (SHARES, [[0.0, 1.0, 0.0]], "identity", True, 0),
    ([[0.5], [0.6]], [[0.0], [1.0]], "identity", False, 2),
    ([[0.0], [0.1]], [[0.5], [0.6]], "sigmoid", False, 2),
    (np.log([[0.4], [0.6]]), [[0.0], [1.0]], "exp", False, 2),
    ([0.1, -0.1, -0.2], [1, 1, 0], "sigmoid", True, 2),
    ([[2.0, -1.0]], [[1.0, 0.0]], "softmax", True, 1),
    ([[2.0, -1.0]], [[1.0, 0.0]], "sigmoid", False, 1),
    ([[-1.0], [-1.0]], [[0.0], [1.0]], "softmax", True, 1),
    ([[0.1], [0.2]], [0, 0], "softmax", True, 2),
    (np.zeros((2, 3, 4)), [0, 0], "softmax", True, 0),
    ([[np.inf, 0.0], [2.0, 1.0]], [0, 0], "softmax", True, 1),
    ([[-np.inf], [-1.0]], [[0.0], [0.0]], "sigmoid", False, 1),
])
def test_which_outputs_are_right(outputs, target, activation, one_class, right):
    assert answers_of.count_right(np.array(outputs), np.array(target), activation, one_class) == pytest.approx(right)


def test_probabilities_sum_to_1_within_their_rounding():
    kinds = [answers_of._of_values(np.array([[0.5, 0.5], [0.25, last]])) for last in (0.750009, 0.750015, 0.749985)]
    assert kinds == ["identity", "softmax", "softmax"]
    assert answers_of._of_values(np.array([[-0.5, 1.5]])) == "softmax"
    assert answers_of._of_values(np.array([[0.0, 1.0]])) == "identity"
    assert answers_of._of_values(np.array([[[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]])) == "identity"
    assert answers_of._of_values(np.zeros((2, 3, 3, 1))) == "sigmoid"
    assert answers_of._of_values(np.array([[1.0], [1.0]])) == answers_of._of_values(np.ones(2)) == "sigmoid"


@pytest.mark.parametrize(("make", "told"), [
    (nn.Softmax, ("identity", True)),
    (lambda: nn.Sequential(nn.Linear(2, 2), nn.LogSoftmax(), nn.Flatten()), ("exp", True)),
    (lambda: nn.Sequential(nn.Sigmoid(), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))), (None, True)),
    (lambda: nn.Sequential(nn.Flatten(), nn.Identity()), (None, True)),
    (lambda: nn.Sequential(nn.Linear(64, 3), OwnSigmoid()), (None, False)),
    (lambda: Own(3, nn.Softmax()), (None, False)),
    (type("OwnReLU", (nn.ReLU,), {}), (None, False)),
    (lambda: nn.Concat(nn.Sigmoid(), nn.Sequential(nn.Linear(2, 2), nn.Sigmoid())), ("identity", True)),
    (lambda: nn.Concat(nn.Sigmoid(), nn.Linear(2, 2)), (None, False)),
    (lambda: nn.Concat(nn.Sigmoid(), nn.Identity()), (None, False)),
])
def test_what_the_last_layer_tells(make, told):
    assert answers_of.of_structure(make()) == told


def test_scores_of_one_image_become_probabilities():
    class Plain(nn.Module):
        def forward(self, x):
            return x[:, :3]

    assert np.allclose(fastcnn.predict(Plain(), POINTS[:1]), F.softmax(POINTS[:1, :3]), atol=1e-6)


def test_inputs_are_of_the_type_of_the_parameters():
    assert batches_of.input_dtype(network().to(np.float64)) == np.float64
    assert batches_of.input_dtype(network()) == batches_of.input_dtype(nn.ReLU()) == np.float32


def test_targets_tell_one_class_where_each_row_sums_to_1():
    for last, one_class in ((0.5005, True), (0.5015, False), (0.4985, False)):
        targets = np.array([[0.0, 1.0], [0.5, last]])
        assert Batches("test", (IMAGES[:2], targets)).one_class == one_class
    assert Batches("test", (IMAGES[:2], LABELS[:2])).one_class


def test_labels_are_counted_in_other_classes_once():
    batches = Batches("test", data.Split(IMAGES[:3], [0, 1, 1], ["a", "b"]))
    assert batches.count_in("test", ("b", "c", "a")) is True and batches.targets.tolist() == [2, 0, 0]
    assert batches.count_in("test", ("b", "c", "a")) is False and batches.targets.tolist() == [2, 0, 0]
    assert Batches("test", (IMAGES[:3], LABELS[:3])).count_in("test", ("b", "a")) is False
    assert Batches("test", data.Split(IMAGES[:3], [0, 1, 1], ["a", "b"])).count_in("test", ()) is False


def test_one_image_at_a_time():
    model = network()
    model.normalisation = normalisation_of(FEW.images)
    assert np.allclose(fastcnn.predict(model, FEW.images, batch_size=1), fastcnn.predict(model, FEW.images), atol=1e-6)
    one, all_ = fastcnn.evaluate(model, FEW, batch_size=1), fastcnn.evaluate(model, FEW)
    assert one["accuracy"] == all_["accuracy"] and one["loss"] == pytest.approx(all_["loss"], rel=1e-5)
    assert len(train(model, FEW.subset(3), batch_size=1)) == 1


@pytest.mark.parametrize("name", ["predict", "evaluate"])
def test_a_model_that_waits_for_its_input_is_made_when_it_is_used(name):
    def use(model):
        return fastcnn.predict(model, FEW.images) if name == "predict" else fastcnn.evaluate(model, FEW)

    model = nn.Sequential(nn.Conv2D(None, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(None, 10))
    model.normalisation = [0.0], [1.0]
    misfit = nn.Sequential(nn.Linear(None, 4), nn.Conv2D(None, 4, 9))
    misfit.normalisation = [0.0], [1.0]
    with pytest.raises(ShapeError, match=r"images have shape \(64, 8, 8, 1\)"):
        use(misfit)
    assert not hasattr(misfit[0], "weight")
    use(model)
    assert model[0].weight.shape == (3, 3, 1, 4) and model[3].weight.shape == (144, 10)


def test_a_cutout_leaves_something_of_each_row_and_column():
    images = np.ones((2, 8, 4, 1), np.uint8)
    Batches("test", (images, LABELS[:2]), Augment(cutout=3))
    for cutout in (4, 5):
        with pytest.raises(ShapeError, match=f"cutout is {cutout}, expected less than the 8 rows and 4 columns"):
            Batches("test", (images, LABELS[:2]), Augment(cutout=cutout))


def test_channels_are_those_of_the_training():
    three = normalisation_of(np.zeros((1, 2, 2, 3), np.uint8))
    with pytest.raises(ShapeError, match=r"images have 1 channels \(shape \(64, 8, 8, 1\)\), expected 3 as in training"):
        batches_of.as_input(IMAGES, np.arange(2), three, np.dtype(np.float32))


@pytest.mark.parametrize(("mean", "std", "least", "most", "advice"), [
    ([0.5, 0.2], [0.25, 0.2], 0.0, 1.0, "np.rint(255 * images).astype(np.uint8), or floats like those, from -2 to 4"),
    ([0.5, 0.2], [0.25, 0.2], 0.0, 1.5, "images.astype(np.uint8), or floats like those, from -2 to 4"),
    ([0.5, 0.2], [0.25, 0.2], -0.1, 3.0, None),
    ([0.5, 0.2], [0.25, 0.2], 0.0, 0.0, None),
    ([0.0, 0.0], [1.0, 0.5], 0.0, 1.9, None),
    ([0.0, 0.0], [1.0, 0.5], 0.0, 2.0005, None),
    ([0.0, 0.0], [1.0, 0.5], 0.0, 2.0015, "images.astype(np.uint8)"),
    ([0.0015, 0.0], [1.0, 1.0], 0.0, 0.5, "np.rint(255 * images)"),
    ([0.0005, 0.0], [1.0, 1.0], 0.0, 0.5, None),
])
def test_which_floats_are_warned_of(mean, std, least, most, advice, recwarn):
    images = np.linspace(least, most, 8).reshape(1, 2, 2, 2)
    batches_of.warn_of_range("test", images, nn.Normalisation(np.array(mean), np.array(std)))
    assert len(recwarn) == (advice is not None)
    assert advice is None or advice in str(recwarn[0].message)


def test_every_pixel_counts_for_the_normalisation(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 2), dtype=np.uint8)
    monkeypatch.setattr(batches_of, "_CHUNK", 7)
    mean, std = normalisation_of(images)
    assert np.allclose(mean, images.mean(axis=(0, 1, 2)) / 255, rtol=1e-6)
    assert np.allclose(std, images.std(axis=(0, 1, 2)) / 255, rtol=1e-6)


@pytest.mark.parametrize(("pixels", "deviation"), [(256, 1.0), (254, np.sqrt(253) / 254 / 255)])
def test_a_channel_that_hardly_varies_is_only_shifted(pixels, deviation):
    """Less than a sixteenth of one step of a byte is rounding, not content."""
    images = np.zeros((1, 1, pixels, 1), np.uint8)
    images[0, 0, 0] = 1
    assert normalisation_of(images).std == pytest.approx([deviation])


def test_sums_that_overflow_are_of_finite_numbers():
    assert all_finite(np.full(3, 3e38, np.float32)) and all_finite(np.zeros(3))
    assert not all_finite(np.array([1.0, np.inf])) and not all_finite(np.array([np.inf, -np.inf]))


def test_large_losses_are_shown_in_few_letters():
    def shown(loss):
        return cells({"epoch": 3, "train_loss": loss, "train_accuracy": 0.5, "seconds": 1.25, "images_per_second": 1234.5},
                     False)

    assert shown(999.5) == ("3", "999.5000", "50.00%", "1.2", "1,234")
    assert shown(1000.0)[1] == "1.00e+03" and shown(-1000.0)[1] == "-1.00e+03"
