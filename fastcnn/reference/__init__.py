"""Every operation in plain numpy, short enough to check by eye; imports neither kernels nor shapes.

Names and signatures of `fastcnn.functional` (without algorithm and out); any float dtype in, the same out.
Layout NHWC: N images, H W rows and columns, C input channels, K output channels, R S filter, P Q output.
"""

from .activation import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    hardswish,
    hardswish_backward,
    leaky_relu,
    leaky_relu_backward,
    log_softmax,
    log_softmax_backward,
    mish,
    mish_backward,
    prelu,
    prelu_backward,
    relu,
    relu_backward,
    selu,
    selu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softmax,
    softmax_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from .arithmetic import add
from .batch import gather
from .conv import conv2d, conv2d_backward
from .dropout import dropout, dropout_backward, philox
from .linear import linear, linear_backward
from .loss import binary_cross_entropy, cross_entropy, mse_loss
from .norm import batch_norm, batch_norm_backward
from .optim import adagrad, adam, gradient_norm, rmsprop, sgd
from .pool import (
    avg_pool2d,
    avg_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)

__all__ = [
    "adagrad",
    "adam",
    "add",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "binary_cross_entropy",
    "conv2d",
    "conv2d_backward",
    "cross_entropy",
    "dropout",
    "dropout_backward",
    "elu",
    "elu_backward",
    "gather",
    "gelu",
    "gelu_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "gradient_norm",
    "hardswish",
    "hardswish_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mish",
    "mish_backward",
    "mse_loss",
    "philox",
    "prelu",
    "prelu_backward",
    "relu",
    "relu_backward",
    "rmsprop",
    "selu",
    "selu_backward",
    "sgd",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
]
