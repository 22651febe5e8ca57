"""The training loop."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ..nn import CrossEntropyLoss, Dropout, HingeLoss, Module, NLLLoss, Normalisation, evaluation
from ..nn.initialise import mix
from ..optim import Adam, Optimizer, Schedule
from ..shapes import Caller, CheckpointError, DTypeError, integer, real
from . import answers
from .alone import alone
from .augment import Augment
from .batches import Batches, normalisation_of, order, warn_of_range
from .callbacks import Callback, Record
from .checkpoint import Checkpoint, load_checkpoint
from .diagnosis import NonFiniteError, all_finite, first_gradient, first_output, shared_parameters
from .evaluation import Measures, Metrics, checked_loss, checked_metrics, score
from .history import KEYS, History
from .interrupt import Interrupt, StoppedError, interruptible
from .passes import Passes, can_be_recorded
from .progress import progress_callback
from .settings import described, require_like
from .writing import StrPath


def fit(
    model: Module,
    train: Any,
    *,
    validation: Any = None,
    loss: Any = None,
    optimizer: Optimizer | None = None,
    epochs: int,
    batch_size: int = 128,
    schedule: Schedule | None = None,
    augment: Augment | str | None = None,
    max_norm: float | None = None,
    penalty: Callable[[], float] | None = None,
    constraint: Callable[[], None] | None = None,
    metrics: Metrics | None = None,
    callbacks: Iterable[Callback] = (),
    seed: int = 0,
    progress: bool = True,
    resume: StrPath | None = None,
) -> History:
    """Train the model for `epochs` epochs and return the record of each.

    Parameters
    ----------
    model : Module
    train, validation : Split, or pair (images, targets)
        Images uint8 (N, H, W, C) are normalised by the mean and standard deviation of each channel of the training images,
        kept as `model.normalisation` and computed where that is None; float images (N, ...) are used as they are. Targets
        are int64 labels (N,), or what `loss` takes.
    loss : Loss, optional
        By default CrossEntropyLoss.
    optimizer : Optimizer, optional
        By default Adam with lr 1e-3. At the end it has the rate that it had at the start.
    epochs, batch_size : int
    schedule : Schedule, optional
        By default the learning rate is constant.
    augment : Augment or str, optional
        Such as "crop-flip". With mixup, `loss` is given probabilities (N, classes) in place of labels.
    max_norm : float, optional
        Gradients whose common norm is larger are scaled down to it.
    penalty : callable, optional
        Called after each backward, such as nn.L2: adds a term to the loss and its gradient to the gradients.
    constraint : callable, optional
        Called after each step, such as optim.MaxNorm: brings parameters back to where they may be.
    metrics : dict of callables, optional
        As in `evaluate`, measured on the validation; a record has each as "test_" and its name.
    callbacks : iterable of Callback
    seed : int
        Determines the order of the images, their changes and the dropout masks.
    progress : bool
        Show a progress bar.
    resume : path, optional
        A checkpoint, or a folder of them, from which to continue.

    Returns
    -------
    history : History
        A record per epoch: train_loss, train_accuracy, test_loss, test_accuracy, learning_rate, ...

    Raises
    ------
    ShapeError, DTypeError, ValueError
        An argument does not fit, such as a loss of logits for a model that ends in Softmax or Sigmoid.
    NonFiniteError
        A loss or a gradient is NaN or infinite.
    CheckpointError
        `resume` has no checkpoint of such a run.
    RuntimeError
        Another call of `fit` is training the model, or a part of it.

    Notes
    -----
    Ctrl-C, SIGTERM and SIGHUP end the run after the current batch. Other threads may evaluate the model meanwhile: they see
    the parameters of that moment, possibly in the middle of a step.

    Examples
    --------
    >>> fastcnn.manual_seed(0)
    >>> digits = data.load("digits")
    >>> model = models.create("strided_cnn", (8, 8, 1), 10)
    >>> history = fastcnn.fit(model, digits.train, validation=digits.test, epochs=2, progress=False)
    >>> [record["epoch"] for record in history], history[-1]["test_accuracy"] > 0.5
    ([1, 2], True)
    """
    with alone(_checked("model", model, Module)):
        run = Run(
            model,
            train,
            validation=validation,
            loss=CrossEntropyLoss() if loss is None else loss,
            optimizer=optimizer,
            schedule=schedule,
            epochs=epochs,
            batch_size=batch_size,
            augment=augment,
            max_norm=max_norm,
            penalty=penalty,
            constraint=constraint,
            metrics=metrics,
            callbacks=[*([progress_callback()] if progress else []), *_checked("callbacks", callbacks, Iterable)],
            seed=seed,
        )
        if resume is not None:
            run.load_state_dict(load_checkpoint(resume))
        with interruptible() as interrupt:
            run.train_all(interrupt)
    return run.history


class Run:
    """One training: what it works on and how far it is.

    `epoch` counts from 1, `position` is the number of images of that epoch that are done, `step` the number
    of all batches done; `loss_sum` and `right` are over the images of the running epoch.
    """

    def __init__(
        self,
        model: Module,
        train: Any,
        *,
        validation: Any,
        loss: Any,
        optimizer: Optimizer | None,
        schedule: Schedule | None,
        epochs: int,
        batch_size: int,
        augment: Augment | str | None,
        max_norm: float | None,
        penalty: Callable[[], float] | None,
        constraint: Callable[[], None] | None,
        metrics: Metrics | None,
        callbacks: Iterable[Callback],
        seed: int,
    ) -> None:
        """Check the arguments and stand at the beginning; arguments and errors as in `fit`."""
        self.model, self.loss = _checked("model", model, Module), checked_loss("fit", loss)
        self.train = Batches("fit", train, augment)
        self._given = Caller("fit", f"images have shape {self.train.images.shape}")
        with self._given:
            self.model.build(self.train.images.shape[1:])
        self.validation = None if validation is None else Batches("fit", validation)
        self.epochs = integer("fit", "epochs", epochs, 1)
        self.batch_size = integer("fit", "batch_size", batch_size, 1)
        self.max_norm = None if max_norm is None else real("fit", "max_norm", max_norm, 0.0)
        self.penalty = None if penalty is None else _checked("penalty", penalty, Callable)
        self.constraint = None if constraint is None else _checked("constraint", constraint, Callable)
        self.metrics = checked_metrics("fit", metrics)
        if self.metrics and self.validation is None:
            raise ValueError(f"fit: metrics has {', '.join(self.metrics)}, expected validation=... to measure them on")
        self.keys = (*KEYS, *(f"test_{name}" for name in self.metrics))
        self.seed = integer("fit", "seed", seed, 0)
        if self.seed >= _SEEDS:
            raise ValueError(f"fit: seed is {seed}, expected 0 to {_SEEDS - 1}")
        self.schedule = _checked("schedule", Schedule() if schedule is None else schedule, Schedule)
        self.schedule.restart()
        checked = [_checked("callbacks", callback, Callback) for callback in callbacks]
        self.callbacks = sorted(checked, key=lambda callback: isinstance(callback, Checkpoint))
        optimizer = Adam(model.parameters()) if optimizer is None else optimizer
        self.optimizer = _checked("optimizer", optimizer, Optimizer)
        self._require_companions()
        self.base_lr = self.optimizer.lr
        self.history = History()
        self.epoch, self.step, self.stop, self.activation = 1, 0, False, ""
        self._begin_epoch()
        self._prepare_model()
        self.settings = self._settings()

    def _require_companions(self) -> None:
        """ValueError: the optimizer is that of another model, or the loss takes other outputs than the model gives;
        DTypeError: the loss cannot take what mixup makes.
        """
        own = {id(parameter) for _, parameter in self.model.named_parameters()}
        if own.isdisjoint(map(id, self.optimizer.parameters)):
            raise ValueError("fit: optimizer has no parameter of the model, expected one made with its model.parameters()")
        if self.train.augment and self.train.augment.mixup and isinstance(self.loss, (HingeLoss, NLLLoss)):
            raise DTypeError(f"fit: loss is {self.loss!r}, which takes labels, expected one that takes probabilities, "
                             "such as nn.CrossEntropyLoss(), with mixup")
        answers.require_suited("fit", self.loss, self.model)

    def _prepare_model(self) -> None:
        """Give the model what belongs to its data, and its dropout layers masks that follow from the seed."""
        images = self.train.images
        if images.dtype == np.uint8 and self.model.normalisation is None:
            self.model.normalisation = normalisation_of(images)
        self._settle_classes()
        for batches in (self.train, *([] if self.validation is None else [self.validation])):
            warn_of_range("fit", batches.images, self.model.normalisation, stacklevel=5)
        for shared in shared_parameters(self.model):
            warnings.warn(f"fit: {shared} are one Parameter, whose gradient is that of the layer whose backward runs last, "
                          "expected a Parameter for each layer, or a backward of your own that adds them up", stacklevel=4)
        for index, layer in enumerate(self._dropouts().values()):
            layer.key, layer.step = mix(self.seed, index), 0

    def _settle_classes(self) -> None:
        """Let labels count in the model's classes; those of training become the model's where it knows none of them.

        ValueError: the model knows only some of the classes, or others in another number; or the loss weighs or ignores
        classes by numbers that are not the model's.
        """
        model, train = self.model, self.train
        if train.classes and set(train.classes).isdisjoint(model.classes):
            if model.classes and len(model.classes) != len(train.classes):
                raise ValueError(f"fit: train has the classes {', '.join(train.classes)}, expected some of the model's, "
                                 f"{', '.join(model.classes)}, or as many others; model.classes = () lets it learn any")
            model.classes = train.classes
        changed = train.count_in("fit: train", model.classes)
        by_number = [name for name in ("class_weight", "ignore_index") if getattr(self.loss, name, None) is not None]
        if changed and by_number:
            raise ValueError(f"fit: {by_number[0]} of the loss goes by number, and train has its classes in another order "
                             "than the model, expected train.as_classes(model.classes) for both")
        if self.validation is not None:
            self.validation.count_in("fit: validation", model.classes)

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return -(-len(self.train) // self.batch_size)

    @property
    def mean_loss(self) -> float:
        """Mean training loss of the running epoch so far."""
        return self.loss_sum / max(1, self.position)

    @property
    def accuracy(self) -> float:
        """Training accuracy of the running epoch so far."""
        return self.right / max(1, self.position)

    def train_all(self, interrupt: Interrupt) -> None:
        """Run all epochs, or up to a stop."""
        try:
            self._tell("on_train_begin")
            while self.epoch <= self.epochs and not self.stop:
                self._tell("on_epoch_begin")
                self._train_epoch(interrupt)
                with contextlib.suppress(StoppedError):
                    self._end_epoch(interrupt)
                if interrupt.requested and self.epoch <= self.epochs:
                    self.history.interrupted = True
                    self._tell("on_interrupt")
                    return
        finally:
            self.optimizer.lr = self.base_lr
            self._tell("on_train_end")

    def _tell(self, turn: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, turn)(self, *arguments)

    def _begin_epoch(self) -> None:
        self.position, self.loss_sum, self.right, self.seconds = 0, 0.0, 0.0, 0.0

    def _train_epoch(self, interrupt: Interrupt) -> None:
        """Train on what is left of the epoch, or up to an interruption."""
        shuffled = order(len(self.train), self.seed, self.epoch)
        self.train.begin_epoch(self.seed, self.epoch)
        self.model.train()
        self._passes = Passes(self.model, can_be_recorded(self.model, self._others()))
        for start in range(self.position, len(self.train), self.batch_size):
            began = time.perf_counter()
            self._train_batch(shuffled[start : start + self.batch_size])
            self.seconds += time.perf_counter() - began
            self._tell("on_batch_end")
            if interrupt.requested:
                return

    def _others(self) -> list[Any]:
        """Return what besides the model runs in a step, or before the next one."""
        given = self.loss, self.optimizer, self.schedule, self.penalty, self.constraint, *self.callbacks
        return [one for one in given if one is not None]

    def _train_batch(self, index: np.ndarray) -> None:
        """Make one step of the optimizer."""
        steps = self.epochs * self.steps_per_epoch
        self.optimizer.lr = self.schedule.lr(self.step, steps, self.base_lr, self.steps_per_epoch)
        with self._given:
            x, target = self.train.serve(index, self.model.normalisation, self.optimizer.flat.data.dtype)
            prediction = self._passes.forward(x) if self.activation else self._first_forward(x)
        target = self.train.mix(index, target, prediction)
        loss = self.loss.forward(prediction, target)
        if not np.isfinite(loss):
            raise NonFiniteError(f"the loss ({loss})", self.epoch, self.step + 1, first_output(self.model, x))
        right = answers.count_right(prediction, target, self.activation, self.train.one_class)
        self._passes.backward(self.loss.backward())
        loss += 0.0 if self.penalty is None else self.penalty()
        self.optimizer.step(scale=self._gradient_scale())
        if self.constraint is not None:
            self.constraint()
        self.step += 1
        self.position += len(index)
        self.loss_sum += loss * len(index)
        self.right += right

    def _first_forward(self, x: np.ndarray) -> Any:
        """Return the outputs for the first inputs and take note of what they mean; ValueError: the loss takes others.

        UserWarning: the loss takes others than the model gives in eval mode, which validation measures.
        """
        prediction = answers.forward_of_training(self.model, x, self.loss)
        with evaluation():
            self.activation = self.model.output_activation = answers.of_model(self.model, x, self.loss)
        unsuited = answers.unsuited(self.loss, self.model, self.activation)
        if unsuited and self.validation is not None:
            warnings.warn(f"fit: validation: {unsuited}", stacklevel=5)
        return prediction

    def _gradient_scale(self) -> float:
        """Return what the step is to multiply gradients by; NonFiniteError: one of them is not finite."""
        norm = self.optimizer.grad_norm()
        if not np.isfinite(norm) and not all_finite(self.optimizer.flat.grad):
            raise NonFiniteError("a gradient", self.epoch, self.step + 1, first_gradient(self.model.parameters()))
        return 1.0 if self.max_norm is None else self.optimizer.clip_scale(self.max_norm, norm)

    def _end_epoch(self, interrupt: Interrupt) -> None:
        """Validate, record, tell, and stand before the next epoch; StoppedError: the epoch is to end in a resumed run."""
        interrupt.check()
        test: Mapping[str, float | None] = {"loss": None, "accuracy": None}
        if self.validation is not None:
            measures = Measures(self.loss, self.metrics, self.activation, "fit")
            test = score(self.model, self.validation, self.batch_size, measures, interrupt.check)
        record: Record = {
            "epoch": self.epoch,
            "train_loss": self.mean_loss,
            "train_accuracy": self.accuracy,
            "test_loss": test["loss"],
            "test_accuracy": test["accuracy"],
            "learning_rate": self.optimizer.lr,
            "seconds": self.seconds,
            "images_per_second": self.position / max(self.seconds, 1e-9),
            **{f"test_{name}": test[name] for name in self.metrics},
        }
        self.history.append(record)
        self.schedule.observe(self.mean_loss if test["loss"] is None else test["loss"])
        self.epoch += 1
        self._begin_epoch()
        self._tell("on_epoch_end", record)

    def _dropouts(self) -> dict[str, Dropout]:
        return {name: module for name, module in self.model.named_modules() if isinstance(module, Dropout)}

    def _settings(self) -> dict[str, Any]:
        """Return what must be the same in a run that goes on."""
        return {
            "images": len(self.train),
            "classes": list(self.model.classes),
            "batch_size": self.batch_size,
            "augment": self.train.augment and asdict(self.train.augment),
            "seed": self.seed,
            "max_norm": self.max_norm,
            **{name: described(getattr(self, name)) for name in ("loss", "optimizer", "schedule", "penalty", "constraint")},
        }

    def _require_settings(self, state: Mapping[str, Any]) -> None:
        """CheckpointError: the run in the checkpoint was given other settings."""
        theirs, own = state["settings"], self.settings
        if state["optimizer"]["kind"] != type(self.optimizer).__name__:
            raise CheckpointError(f"resume: the checkpoint is of a run with the optimizer {state['optimizer']['kind']}, "
                                  f"expected {type(self.optimizer).__name__}")
        other = list(_differences("", theirs, {name: value for name, value in own.items() if name in theirs}))
        if other:
            raise CheckpointError(f"resume: the checkpoint is of a run with {'; '.join(other)}; others need "
                                  "a run of their own, which may begin with fastcnn.load of the checkpoint")

    def state_dict(self) -> dict[str, Any]:
        """Return, besides the model's arrays, all that the rest of the training depends on."""
        normalisation = self.model.normalisation
        return {
            **self._counts(),
            "settings": self.settings,
            "normalisation": normalisation and normalisation._asdict(),
            "output_activation": self.model.output_activation,
            "optimizer": self.optimizer.state_dict(),
            "callbacks": {name: callback.state_dict() for name, callback in self._named_callbacks().items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Stand where another run stood; CheckpointError: its data, settings or model were others."""
        try:
            require_like({"settings": {}, "callbacks": {}}, state, "")
            self._require_settings(state)
            self.model.load_state_dict(state["model"])
            require_like(self._counts(), state, "")
            require_like([{}] * len(state["history"]), state["history"], "history")
            real("resume", "base_lr", state["base_lr"], 0.0)
            self.model.normalisation = state["normalisation"] and Normalisation(**state["normalisation"])
            self.model.output_activation = state["output_activation"]
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            for name, layer in self._dropouts().items():
                layer.key, layer.step = state["dropouts"][name]
            for name, callback in self._named_callbacks().items():
                if name in state["callbacks"]:
                    callback.load_state_dict(state["callbacks"][name])
            self.history.extend(state["history"])
            for name in _PROGRESS:
                setattr(self, name, state[name])
        except CheckpointError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            raise CheckpointError(
                f"resume: the checkpoint has no fit {error}; expected one that this version of fit wrote"
            ) from error

    def _counts(self) -> dict[str, Any]:
        """Return the numbers that a run which goes on takes over as they are."""
        return {
            **{name: getattr(self, name) for name in _PROGRESS},
            "schedule": self.schedule.state_dict(),
            "dropouts": {name: [layer.key, layer.step] for name, layer in self._dropouts().items()},
            "history": list(self.history),
        }

    def _named_callbacks(self) -> dict[str, Callback]:
        """Return the callbacks under the names of their classes, numbered where there are several of one."""
        named: dict[str, Callback] = {}
        for callback in self.callbacks:
            kind = type(callback).__name__
            named[f"{kind} {sum(name.startswith(kind + ' ') for name in named)}"] = callback
        return named


def _checked(name: str, value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "IO" else "a"
        raise DTypeError(f"fit: {name} is {value!r}, expected {article} {kind.__name__}")
    return value


_SEEDS = 1 << 63  # the generators' keys are of 64 bits
_PROGRESS = ("epoch", "position", "step", "loss_sum", "right", "seconds", "base_lr")


def _differences(name: str, theirs: Any, own: Any) -> Iterator[str]:
    """Say which settings are others, by the names that lead to them."""
    if isinstance(theirs, Mapping) and isinstance(own, Mapping) and theirs.get("kind") == own.get("kind"):
        for inner, value in own.items():
            yield from _differences(f"{name} {inner}".strip(), theirs.get(inner), value)
    elif theirs != own:
        yield f"{name} {_in_short(theirs)}, expected {_in_short(own)}"


def _in_short(setting: Any) -> str:
    return str(setting["kind"]) if isinstance(setting, Mapping) and "kind" in setting else repr(setting)
