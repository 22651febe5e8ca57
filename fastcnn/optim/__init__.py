"""Optimizers, which change parameters by their gradients, and schedules of the learning rate."""

from .optimizer import Optimizer
from .optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Lion, RMSprop
from .schedules import CosineLR, MultiStepLR, OneCycleLR, PlateauLR, Schedule, StepLR, WarmupLR

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "CosineLR",
    "Lion",
    "MultiStepLR",
    "OneCycleLR",
    "Optimizer",
    "PlateauLR",
    "RMSprop",
    "Schedule",
    "StepLR",
    "WarmupLR",
]
