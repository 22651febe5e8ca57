"""Training: fit, evaluate, predict, callbacks, and models and training states on disk."""

from .augment import Augment
from .average import WeightAverage
from .callbacks import BestModel, Callback, CSVLogger, EarlyStopping, JSONLogger
from .checkpoint import Checkpoint, load, load_checkpoint, save, save_checkpoint
from .diagnosis import NonFiniteError
from .evaluation import evaluate, predict
from .gradients import gradient_check
from .history import History
from .loggers import Logger, MLflowLogger, TensorBoardLogger, WandbLogger
from .loop import Run, fit
from .search import LearningRates, find_lr

__all__ = [
    "Augment",
    "BestModel",
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "JSONLogger",
    "LearningRates",
    "Logger",
    "MLflowLogger",
    "NonFiniteError",
    "Run",
    "TensorBoardLogger",
    "WandbLogger",
    "WeightAverage",
    "evaluate",
    "find_lr",
    "fit",
    "gradient_check",
    "load",
    "load_checkpoint",
    "predict",
    "save",
    "save_checkpoint",
]
