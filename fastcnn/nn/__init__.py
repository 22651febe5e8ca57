"""Layers, containers and losses: they own parameters and keep what backward needs."""

from ..functional.prepared import Store as InferenceCache
from ..functional.prepared import current as inference_cache
from .activation import ELU, GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Tanh
from .containers import Residual, Sequential
from .conv import Conv2D
from .dropout import Dropout
from .initialise import manual_seed
from .linear import Flatten, Identity, Linear
from .loss import BCELoss, CrossEntropyLoss, Loss, MSELoss
from .module import Layer, Module, Normalisation, Origin, inference
from .norm import BatchNorm
from .parameter import Flat, Parameter, flatten
from .pool import AvgPool2D, GlobalAvgPool2D, MaxPool2D

__all__ = [
    "ELU",
    "GELU",
    "AvgPool2D",
    "BCELoss",
    "BatchNorm",
    "Conv2D",
    "CrossEntropyLoss",
    "Dropout",
    "Flat",
    "Flatten",
    "GlobalAvgPool2D",
    "Identity",
    "InferenceCache",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Loss",
    "MSELoss",
    "MaxPool2D",
    "Module",
    "Normalisation",
    "Origin",
    "Parameter",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "flatten",
    "inference",
    "inference_cache",
    "manual_seed",
]
