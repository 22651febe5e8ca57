"""Optimizers, which change parameters by their gradients, constraints of these, and schedules of the learning rate."""

from .constraints import MaxNorm
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
    "MaxNorm",
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
