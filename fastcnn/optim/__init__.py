"""Optimizers, which change parameters by their gradients, and schedules of the learning rate."""

from .groups import Group, decay_groups
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
    "Group",
    "Lion",
    "MultiStepLR",
    "OneCycleLR",
    "Optimizer",
    "PlateauLR",
    "RMSprop",
    "Schedule",
    "StepLR",
    "WarmupLR",
    "decay_groups",
]
