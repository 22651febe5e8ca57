"""The estimator beside scikit-learn: its own checks of estimators, its tools for models, and the formats of images."""

import copy
import pickle
import pickletools
import signal
import sys
import threading

import numpy as np
import pytest

import fastcnn
from fastcnn import data, extras, nn
from fastcnn.shapes import DTypeError, ShapeError

sklearn = pytest.importorskip("sklearn", reason="the estimator needs scikit-learn")

from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import MinMaxScaler  # noqa: E402
from sklearn.utils import estimator_checks  # noqa: E402

from fastcnn.sklearn import CNNClassifier  # noqa: E402

DIGITS = data.load("digits")
X, Y = DIGITS.train.images[:300], DIGITS.train.labels[:300]
NAMES = np.array(DIGITS.classes)[Y]


def small(**changes):
    return CNNClassifier(**{"model": "strided_cnn", "epochs": 2, "lr": 1e-2, **changes})


@pytest.fixture(scope="module")
def fitted():
    return small(epochs=1).fit(X, Y)


def rows(images):
    return images.reshape(len(images), -1)


@estimator_checks.parametrize_with_checks([CNNClassifier()])
def test_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)


def test_the_checks_are_many_and_none_is_expected_to_fail():
    names = [check.func.__name__ for _, check in estimator_checks.estimator_checks_generator(CNNClassifier())]
    assert len(names) > 50
    assert {"check_methods_sample_order_invariance", "check_methods_subset_invariance", "check_fit_idempotent",
            "check_class_weight_classifiers", "check_estimators_pickle", "check_classifiers_train"} <= set(names)


def test_learns_digits_from_rows_of_any_numbers():
    floats = small(epochs=4).fit(1e3 - rows(DIGITS.train.images) / 16.0, DIGITS.train.labels)
    assert floats.score(1e3 - rows(DIGITS.test.images) / 16.0, DIGITS.test.labels) > 0.9
    assert floats.n_iter_ == len(floats.history_) == 4 and floats.n_features_in_ == 64


def test_classes_are_of_the_kind_that_was_given():
    fitted = small().fit(X, NAMES)
    assert list(fitted.classes_) == sorted(DIGITS.classes) and set(fitted.predict(X)) <= set(DIGITS.classes)
    probabilities = fitted.predict_proba(X)
    assert np.array_equal(fitted.classes_[probabilities.argmax(axis=1)], fitted.predict(X))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("form", [
    rows(X), X, X[..., 0], X.astype(np.int64), rows(X).astype(np.float64), np.asfortranarray(X), X[::-1][::-1],
    rows(X).tolist(), X.astype(">f4")],
    ids=["rows", "NHWC", "NHW", "int64", "float64", "Fortran", "view", "list", "big-endian"])
def test_images_in_any_form_get_the_same_probabilities(form, fitted):
    assert np.array_equal(fitted.predict_proba(form), fitted.predict_proba(X))


@pytest.mark.parametrize("fit_on", [X[..., 0], rows(X)], ids=["NHW", "rows"])
def test_images_in_any_form_give_the_same_network(fit_on):
    assert np.array_equal(small().fit(fit_on, Y).predict_proba(X), small().fit(X, Y).predict_proba(X))


def test_bytes_and_whole_numbers_train_alike():
    bytes_, numbers = small().fit(X, Y).predict_proba(X), small().fit(X.astype(np.int64), Y).predict_proba(X)
    np.testing.assert_allclose(numbers, bytes_, atol=1e-3)


@pytest.mark.parametrize(("features", "shape"), [
    (64, (8, 8, 1)), (192, (8, 8, 3)), (48, (4, 4, 3)), (16, (4, 4, 1)), (20, (5, 5, 1)), (2, (4, 4, 1)), (1, (4, 4, 1)),
    (3, (4, 4, 1)), (9, (4, 4, 1)), (65, (9, 9, 1))])
def test_rows_without_a_shape_are_squares(features, shape):
    table = np.random.default_rng(0).standard_normal((6, features))
    fitted = CNNClassifier(epochs=1).fit(table, [0, 1] * 3)
    assert fitted.image_shape_ == shape and fitted.n_features_in_ == features
    images = fitted._as_images(table)
    assert images.shape == (6, *shape) and np.array_equal(rows(images)[:, :features], table)
    assert not rows(images)[:, features:].any()


def test_rows_of_a_given_shape_have_the_channels_last():
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), np.uint8)
    labels = np.arange(20) % 2
    told, shown = small(image_shape=(6, 5, 3)).fit(rows(images), labels), small().fit(images, labels)
    assert told.image_shape_ == shown.image_shape_ == (6, 5, 3)
    assert np.array_equal(told.predict_proba(rows(images)), shown.predict_proba(images))


@pytest.mark.parametrize(("changes", "images", "message"), [
    ({"image_shape": (8, 9)}, rows(X), r"X has 64 features, expected 72 for image_shape \(8, 9, 1\)"),
    ({"image_shape": (8, 9)}, X, r"images of shape \(8, 8, 1\), expected image_shape \(8, 9, 1\)"),
    ({"image_shape": (64,)}, rows(X), r"image_shape is \(64,\), expected \(H, W\) or \(H, W, C\)"),
    ({"image_shape": (8, 8.0)}, rows(X), r"image_shape is 8\.0"),
    ({"model": "lenet"}, rows(X), "expected one of lenet5"),
    ({"model": lambda shape, classes: 3}, rows(X), "model returned 3, expected a Module"),
    ({"model": "lenet5"}, X[:, :2], r"input_shape is \(2, 8, 1\), expected larger images for lenet5"),
    ({"optimizer": "adm"}, rows(X), "CNNClassifier: optimizer is 'adm', expected one of .*; did you mean 'adam'"),
    ({"schedule": "cosin"}, rows(X), "CNNClassifier: schedule is 'cosin', expected one of .*; did you mean 'cosine'"),
    ({"epochs": 0}, rows(X), "epochs is 0"),
    ({"seed": -1}, rows(X), "seed is -1"),
])
def test_what_does_not_fit_is_refused_in_one_line(changes, images, message):
    with pytest.raises((ShapeError, DTypeError, ValueError), match=message) as refused:
        small(**changes).fit(images, Y)
    assert "\n" not in str(refused.value)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="y has 1 class, 'a', expected at least 2"):
        small().fit(X[:3], ["a", "a", "a"])


def test_predicting_refuses_other_images_and_other_numbers(fitted):
    with pytest.raises(NotFittedError):
        small().predict(X)
    with pytest.raises(ShapeError, match=r"images of shape \(4, 16, 1\), expected \(8, 8, 1\) as in fit"):
        fitted.predict(X.reshape(-1, 4, 16))
    with pytest.raises(ValueError, match="X has 63 features, but CNNClassifier is expecting 64"):
        fitted.predict(rows(X)[:, :63])
    with pytest.raises(ValueError, match=r"X has float64 from .* expected whole numbers from 0 to 255 as in fit"):
        fitted.predict(X / 255)


def test_a_model_may_be_a_function():
    def build(shape, classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(None, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(None, classes))

    fitted = small(model=build, epochs=4).fit(X, NAMES)
    assert fitted.score(X, NAMES) > 0.6 and np.array_equal(clone(fitted).fit(X, NAMES).predict(X), fitted.predict(X))
    copied = copy.deepcopy(fitted)
    assert np.array_equal(copied.predict_proba(X), fitted.predict_proba(X))


def test_class_weights_move_the_answers():
    noise = np.random.default_rng(0).standard_normal((200, 8, 8))
    labels = (np.arange(200) % 4 == 0).astype(int)
    shares = [np.mean(small(class_weight=weight).fit(noise, labels).predict_proba(noise)[:, 1])
              for weight in (None, "balanced", {0: 1, 1: 30})]
    assert shares[0] < 0.35 < shares[1] - 0.05 and shares[1] < shares[2] - 0.1


@pytest.mark.parametrize(("optimizer", "schedule"), [("sgd", "onecycle"), ("lion", "plateau")])
def test_optimizers_and_schedules_go_by_name(optimizer, schedule):
    fitted = small(optimizer=optimizer, schedule=schedule).fit(X, Y)
    assert len(fitted.history_) == 2 and (schedule == "plateau" or fitted.history_[1]["learning_rate"] < 1e-2)


def test_images_are_augmented():
    plain, mirrored = small().fit(X, Y), small(augment=fastcnn.training.Augment(flip=True)).fit(X, Y)
    assert plain.history_[0]["train_loss"] != mirrored.history_[0]["train_loss"]
    assert clone(mirrored).augment == mirrored.augment


def test_the_seed_alone_decides_and_the_global_one_is_left_alone():
    fastcnn.manual_seed(5)
    expected = nn.Linear(3, 3).weight.data
    fastcnn.manual_seed(5)
    first = small(seed=3).fit(X, Y).predict_proba(X)
    assert np.array_equal(nn.Linear(3, 3).weight.data, expected)
    assert np.array_equal(small(seed=3).fit(X, Y).predict_proba(X), first)
    assert not np.array_equal(small(seed=4).fit(X, Y).predict_proba(X), first)


def test_threads_that_fit_at_once_and_numbers_of_threads_give_the_same_bits():
    expected, found = small().fit(X, Y).predict_proba(X), {}
    workers = [threading.Thread(target=lambda number=number: found.update({number: small().fit(X, Y).predict_proba(X)}))
               for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    before = fastcnn.get_num_threads()
    fastcnn.set_num_threads(1)
    found["one thread"] = small().fit(X, Y).predict_proba(X)
    fastcnn.set_num_threads(before)
    assert len(found) == 4 and all(np.array_equal(one, expected) for one in found.values())


@pytest.mark.parametrize("images", [X, X / 16.0], ids=["bytes", "floats"])
def test_a_pickle_holds_the_weights_as_safetensors(images):
    fitted = small().fit(images, NAMES)
    content = pickle.dumps(fitted)
    named = " ".join(str(argument) for _, argument, _ in pickletools.genops(content) if isinstance(argument, str))
    assert "fastcnn.nn" not in named and "CNNClassifier" in named
    weights = fitted.__getstate__()["model_"]["weights"]
    assert isinstance(weights, bytes) and weights in content
    back = pickle.loads(content)
    assert np.array_equal(back.predict_proba(images), fitted.predict_proba(images))
    assert back.history_ == fitted.history_ and back.model_ is not fitted.model_
    assert isinstance(fitted.model_, nn.Module)  # pickling leaves the estimator as it is


def test_joblib_and_a_model_file_keep_the_estimator(tmp_path):
    joblib = pytest.importorskip("joblib")
    fitted = small().fit(X, NAMES)
    joblib.dump(fitted, tmp_path / "estimator.joblib")
    assert np.array_equal(joblib.load(tmp_path / "estimator.joblib").predict_proba(X), fitted.predict_proba(X))
    fastcnn.save(fitted.model_, tmp_path / "model.safetensors")
    assert np.array_equal(fastcnn.predict(fastcnn.load(tmp_path / "model.safetensors"), X), fitted.predict_proba(X))


def threads_of(estimator, images, labels):
    """The number of threads that kernels run on where a fold is scored."""
    return fastcnn.get_num_threads()


def test_a_grid_search_in_processes_gives_what_one_process_gives():
    pipeline = make_pipeline(MinMaxScaler(), small(epochs=1))
    searches = [GridSearchCV(pipeline, {"cnnclassifier__lr": [1e-4, 1e-2]}, cv=2, n_jobs=jobs).fit(rows(X), NAMES)
                for jobs in (None, 2)]
    one, two = (search.cv_results_["mean_test_score"] for search in searches)
    assert np.array_equal(one, two) and searches[1].best_params_ == {"cnnclassifier__lr": 1e-2}
    assert np.array_equal(searches[0].predict_proba(rows(X)), searches[1].predict_proba(rows(X)))
    counts = cross_val_score(small(epochs=1), X, Y, cv=2, n_jobs=2, scoring=threads_of)
    joblib = pytest.importorskip("joblib")
    assert set(counts) == {max(1, min(fastcnn.get_num_threads(), joblib.cpu_count() // 2))}


def test_ctrl_c_ends_a_fit(monkeypatch):
    usual = fastcnn.training.fit

    class Interrupter(fastcnn.training.Callback):
        def on_batch_end(self, run):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(fastcnn.training, "fit", lambda *given, **options: usual(
        *given, **options, callbacks=[Interrupter()]))
    with pytest.raises(KeyboardInterrupt):
        small().fit(X, Y)


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(extras.EXTRAS, "sklearn", extras.EXTRAS["sklearn"]._replace(module="absent"))
    monkeypatch.delitem(sys.modules, "fastcnn.sklearn")
    with pytest.raises(ImportError, match=r"^fastcnn\.sklearn needs scikit-learn: pip install 'fastcnn\[sklearn\]'$"):
        import fastcnn.sklearn  # noqa: F401
