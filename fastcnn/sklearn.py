"""An estimator of scikit-learn: a convolutional network that classifies rows of pixels, or images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import safetensors.numpy

from . import extras, models, training
from .nn import CrossEntropyLoss, Module, Normalisation
from .nn.initialise import seeded
from .shapes import DTypeError, ShapeError, integer
from .training import Augment, choices

extras.require("sklearn")  # an ImportError that says how to install it

from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: E402
from sklearn.utils.class_weight import compute_class_weight  # noqa: E402
from sklearn.utils.multiclass import check_classification_targets  # noqa: E402
from sklearn.utils.validation import check_is_fitted, validate_data  # noqa: E402

__all__ = ["CNNClassifier"]

Shape = tuple[int, int, int]
_LARGER = 64  # pixels by which the side of an image may grow until the network takes it


class CNNClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify images by a convolutional network.

    X is rows (N, features), which are images of `image_shape`, or images (N, H, W) or (N, H, W, C) themselves; of bytes or
    of any other numbers. Each channel is brought to mean 0 and deviation 1 by the values that it has in `fit`. A fit is a
    function of its data and of `seed`: it gives the same bits again, on any number of threads.

    Parameters
    ----------
    model : str or callable
        One of `models.names()`, or a function of the image shape (H, W, C) and the number of classes that returns a Module.
    image_shape : (H, W) or (H, W, C), optional
        Of the images in rows of pixels, channels last. None: side * side features are a grey image and 3 * side * side a
        coloured one; rows of any other number, or too small for the network, are filled up with zeros at the end to the
        smallest square grey image that it takes.
    epochs, batch_size : int
    optimizer : str
        "adam", "sgd", ... as `fastcnn train --optimizer`.
    lr : float
    schedule : str, optional
        Of the learning rate: "cosine", "onecycle", ... as `fastcnn train --schedule`.
    augment : Augment or str, optional
        Random changes of the images, as in `fastcnn.fit`.
    seed : int
        Decides the first weights, the order of the images, their changes and the dropout masks.
    class_weight : dict or "balanced", optional
        Weights by class, as in other classifiers.
    verbose : bool
        Show a progress bar.

    Attributes
    ----------
    classes_ : (K,) array
    n_features_in_ : int
        Numbers per image; `feature_names_in_` has their names where X has them.
    image_shape_ : (H, W, C)
    model_ : Module
        The trained network.
    history_ : History
        A record per epoch.
    n_iter_ : int
        Epochs.

    Raises
    ------
    MissingExtraError
        scikit-learn is not installed; an ImportError, raised by the import of this module.

    Examples
    --------
    >>> from fastcnn.sklearn import CNNClassifier
    >>> digits = data.load("digits")
    >>> rows = digits.train.images.reshape(-1, 64)
    >>> estimator = CNNClassifier("strided_cnn", epochs=3, lr=3e-3).fit(rows, digits.train.labels)
    >>> estimator.image_shape_, estimator.score(digits.test.images, digits.test.labels) > 0.8
    ((8, 8, 1), True)
    """

    def __init__(
        self,
        model: str | Callable[[Shape, int], Module] = "lenet5",
        image_shape: tuple[int, ...] | None = None,
        epochs: int = 10,
        batch_size: int = 128,
        optimizer: str = "adam",
        lr: float = 1e-3,
        schedule: str | None = None,
        augment: Augment | str | None = None,
        seed: int = 0,
        *,
        class_weight: Mapping[Any, float] | str | None = None,
        verbose: bool = False,
    ) -> None:
        """Keep the parameters; `fit` checks them."""
        self.model = model
        self.image_shape = image_shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.schedule = schedule
        self.augment = augment
        self.seed = seed
        self.class_weight = class_weight
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn wants to know: images are taken, too."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: Any, y: Any) -> CNNClassifier:
        """Train a new network on images X and their classes y (N,), of any kind that scikit-learn takes, and return self.

        KeyboardInterrupt: Ctrl-C was pressed. ShapeError, DTypeError, ValueError: an argument or a parameter does not fit.
        """
        X, shape = _as_rows(X)
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"CNNClassifier: y has 1 class, {self.classes_.tolist()[0]!r}, expected at least 2")
        weight = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        self.image_shape_, self.model_ = self._first_that_fits(shape)
        images = self._as_images(X)
        self._mean_and_std = None if images.dtype == np.uint8 else _mean_and_std(images)
        self.history_ = training.fit(
            self.model_,
            (self._as_input(images), labels),
            loss=CrossEntropyLoss(class_weight=weight.astype(np.float32)),
            optimizer=choices.optimizer(self.optimizer, self.model_.parameters(), self.lr, "CNNClassifier"),
            schedule=choices.schedule(self.schedule or "none", self.epochs, self.lr, "CNNClassifier"),
            epochs=self.epochs,
            batch_size=self.batch_size,
            augment=self.augment,
            seed=self.seed,
            progress=bool(self.verbose),
        )
        if self.history_.interrupted:
            raise KeyboardInterrupt
        self.n_iter_ = len(self.history_)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class (N, K), float32, in the order of `classes_`.

        NotFittedError: `fit` comes first. ShapeError, ValueError: images are of another shape than in `fit`.
        """
        check_is_fitted(self)
        X, shape = _as_rows(X)
        if shape not in (None, self.image_shape_):
            raise ShapeError(f"CNNClassifier: X has images of shape {shape}, expected {self.image_shape_} as in fit")
        images = self._as_images(validate_data(self, X, reset=False))
        return training.predict(self.model_, self._as_input(images))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each image (N,); errors as `predict_proba`."""
        probabilities = self.predict_proba(X)
        classes: np.ndarray = self.classes_[probabilities.argmax(axis=1)]
        return classes

    def _first_that_fits(self, given: Shape | None) -> tuple[Shape, Module]:
        """Return the shape of an image and a new network for it; ShapeError: there is none."""
        for shape in self._shapes(given):
            try:
                return shape, self._new_model(shape)
            except ShapeError as error:
                problem = error
        raise problem

    def _shapes(self, given: Shape | None) -> Iterator[Shape]:
        """Give the shapes that an image may have, of which the first that the network takes is meant.

        ShapeError: neither the images nor their number of features are those of `image_shape`.
        """
        count = self.n_features_in_
        if self.image_shape is not None:
            shape = _three_numbers(self.image_shape)
            if given not in (None, shape):
                raise ShapeError(f"CNNClassifier: X has images of shape {given}, expected image_shape {shape}")
            if math.prod(shape) != count:
                raise ShapeError(f"CNNClassifier: X has {count} features, expected {math.prod(shape)} for image_shape "
                                 f"{shape}")
            yield shape
        elif given is not None:
            yield given
        else:
            if (side := math.isqrt(count // 3)) ** 2 * 3 == count:
                yield side, side, 3
            least = math.isqrt(count - 1) + 1
            yield from ((side, side, 1) for side in range(least, least + _LARGER))

    def _new_model(self, shape: Shape) -> Module:
        """Return the network with the weights that follow from the seed; DTypeError: a function returned another object."""
        with seeded(self.seed):
            if not callable(self.model):
                return models.create(self.model, shape, len(self.classes_))
            model = self.model(shape, len(self.classes_))
            if not isinstance(model, Module):
                raise DTypeError(f"CNNClassifier: model returned {model!r}, expected a Module")
            model.build(shape)
            return model

    def _as_images(self, rows: np.ndarray) -> np.ndarray:
        """Return rows as images (N, H, W, C), zeros at the end of each row where there are more pixels."""
        missing = math.prod(self.image_shape_) - rows.shape[1]
        filled = np.pad(rows, ((0, 0), (0, missing))) if missing else rows
        return filled.reshape(-1, *self.image_shape_)

    def _as_input(self, images: np.ndarray) -> np.ndarray:
        """Return what the network takes: bytes, which it normalises, or normalised float32.

        ValueError: `fit` was given bytes, and these are other numbers.
        """
        if self._mean_and_std is not None:
            mean, std = self._mean_and_std
            return ((images - mean) / std).astype(np.float32)
        with np.errstate(invalid="ignore"):
            bytes_ = images.astype(np.uint8)
        if not np.array_equal(bytes_, images):
            raise ValueError(f"CNNClassifier: X has {images.dtype} from {images.min():g} to {images.max():g}, "
                             "expected whole numbers from 0 to 255 as in fit")
        return bytes_

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes, the network as the bytes of a safetensors file."""
        state = dict(super().__getstate__())
        if "model_" in state:
            model = state["model_"]
            state["model_"] = {"weights": safetensors.numpy.save(model.state_dict()),
                               "normalisation": model.normalisation and tuple(model.normalisation),
                               "output_activation": model.output_activation}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over the attributes and make the network again."""
        super().__setstate__(state)
        if "model_" in state:
            kept, model = state["model_"], self._new_model(self.image_shape_)
            model.load_state_dict(safetensors.numpy.load(kept["weights"]))
            model.normalisation = kept["normalisation"] and Normalisation(*kept["normalisation"])
            model.output_activation = kept["output_activation"]
            self.model_ = model


def _as_rows(X: Any) -> tuple[Any, Shape | None]:
    """Return images (N, H, W) or (N, H, W, C) as rows, and their shape (H, W, C); anything else as it is, and None."""
    if getattr(X, "ndim", 2) not in (3, 4):
        return X, None
    images = np.asarray(X)
    shape = _three_numbers(images.shape[1:])
    return images.reshape(len(images), -1), shape


def _three_numbers(shape: Any) -> Shape:
    """Return (H, W) or (H, W, C) as (H, W, C); ShapeError, DTypeError: it is neither."""
    if not isinstance(shape, (tuple, list)) or len(shape) not in (2, 3):
        raise ShapeError(f"CNNClassifier: image_shape is {shape!r}, expected (H, W) or (H, W, C)")
    height, width, channels = (integer("CNNClassifier", "image_shape", size, 1) for size in (*shape, 1)[:3])
    return height, width, channels


def _mean_and_std(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each channel (C,), 1 for one that is constant."""
    mean, std = images.mean(axis=(0, 1, 2), dtype=np.float64), images.std(axis=(0, 1, 2), dtype=np.float64)
    return np.asarray(mean), np.where(std > 0, std, 1.0)
