"""Layers, containers and losses: they own parameters and keep what backward needs."""

from ..runtime.packed import Store as InferenceCache
from ..runtime.packed import current as inference_cache
from .activation import (
    ELU,
    GELU,
    SELU,
    Hardswish,
    LeakyReLU,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .containers import Concat, Residual, Sequential
from .conv import Conv2D, ConvTranspose2D
from .dropout import Dropout, Dropout2D
from .initialise import init_weights, manual_seed
from .linear import Flatten, Identity, Linear, Reshape
from .loss import L2, BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, HingeLoss, HuberLoss, L1Loss, Loss, MSELoss, NLLLoss
from .module import Layer, Module, Normalisation, Origin, in_use, inference
from .norm import BatchNorm, GroupNorm, LayerNorm
from .parameter import Flat, Parameter, flatten
from .pool import AdaptiveAvgPool2D, AdaptiveMaxPool2D, AvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D
from .resample import Pad2D, Upsample2D

__all__ = [
    "ELU",
    "GELU",
    "L2",
    "SELU",
    "AdaptiveAvgPool2D",
    "AdaptiveMaxPool2D",
    "AvgPool2D",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm",
    "Concat",
    "Conv2D",
    "ConvTranspose2D",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2D",
    "Flat",
    "Flatten",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GroupNorm",
    "Hardswish",
    "HingeLoss",
    "HuberLoss",
    "Identity",
    "InferenceCache",
    "L1Loss",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Loss",
    "MSELoss",
    "MaxPool2D",
    "Mish",
    "Module",
    "NLLLoss",
    "Normalisation",
    "Origin",
    "PReLU",
    "Pad2D",
    "Parameter",
    "ReLU",
    "Reshape",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "Upsample2D",
    "flatten",
    "in_use",
    "inference",
    "inference_cache",
    "init_weights",
    "manual_seed",
]
