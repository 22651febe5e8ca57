"""Optimizers, which change parameters by their gradients, and schedules of the learning rate."""

from .optimizer import Optimizer
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .schedules import CosineLR, MultiStepLR, OneCycleLR, PlateauLR, Schedule, StepLR, WarmupLR

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineLR",
    "MultiStepLR",
    "OneCycleLR",
    "Optimizer",
    "PlateauLR",
    "RMSprop",
    "Schedule",
    "StepLR",
    "WarmupLR",
]
