"""The reference beside PyTorch: `python bench/reference.py --cases 1000`, on the drawn cases of the registry, in float64.

Values, gradients by autograd, indices of maxima, and what is updated in place. Operations without a counterpart are named.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as peer

from fastcnn import reference, registry, verification

Tensors = dict[str, Any]
Results = dict[str, Any]
BOUND = 1e-11  # relative to the largest value, or to 1 where all are smaller: both round, in float64
# Why nothing is compared.
WITHOUT = {
    "dropout": "random numbers of its own", "dropout2d": "random numbers of its own", "lion": "not in torch.optim",
    "gather": "no such operation", "augment": "no such operation",
}


def planes(x: Any) -> Any:
    """(N, H, W, C) -> (N, C, H, W)."""
    return x.permute(0, 3, 1, 2)


def pixels(x: Any) -> Any:
    """(N, C, H, W) -> (N, H, W, C)."""
    return x.permute(0, 2, 3, 1)


def both(value: Any) -> tuple[int, int]:
    """Give rows and columns."""
    return (value, value) if isinstance(value, int) else tuple(value)


def surroundings(a: Tensors, extent: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Give ((top, bottom), (left, right)) of any padding of x."""
    padding = a.get("padding", 0)
    if padding == "same":
        steps = both(a.get("stride") or 1) if a.get("stride") else both(a.get("kernel_size", 1))
        totals = [max(0, (-(-size // step) - 1) * step + reach - size)
                  for size, step, reach in zip(a["x"].shape[1:3], steps, extent, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    if padding == "valid":
        return (0, 0), (0, 0)
    return tuple(both(side) for side in both(padding))


def reach(sizes: Iterable[int], dilation: Any) -> tuple[int, int]:
    """Give the rows and columns that a dilated filter covers."""
    return tuple((size - 1) * space + 1 for size, space in zip(sizes, both(dilation), strict=True))


def around(x: Any, sides: Any, value: float = 0.0) -> Any:
    """Pad planes by ((top, bottom), (left, right))."""
    return peer.pad(x, (*sides[1], *sides[0]), value=value)


def existing(y: Any, x: Any, sides: Any, stride: Any) -> Any:
    """Cut off planes of windows that begin in the padding behind x, as PyTorch does where it knows what is padding."""
    counts = (min(found, -(-(size + before) // step)) for found, size, (before, _), step in
              zip(y.shape[2:], x.shape[2:], sides, stride, strict=True))
    rows, columns = counts
    return y[:, :, :rows, :columns]


def finished(y: Any, a: Tensors) -> Any:
    """Apply ReLU where it is asked for."""
    return peer.relu(y) if a.get("relu") else y


# Operations: arguments by name, as tensors in our layout -> results by name ------------------------------------------------


def conv2d(a: Tensors) -> Results:
    """Convolution."""
    dilation = both(a.get("dilation", 1))
    sides = surroundings({"stride": 1, **a}, reach(a["weight"].shape[:2], dilation))
    y = peer.conv2d(around(planes(a["x"]), sides), a["weight"].permute(3, 2, 0, 1).contiguous(), a["bias"],
                    both(a.get("stride", 1)), 0, dilation, a.get("groups", 1))
    return {"y": finished(pixels(y), a)}


def conv_transpose2d(a: Tensors) -> Results:
    """Transposed convolution; PyTorch's padding is the same on both sides, so that others are cut off."""
    (top, bottom), (left, right) = surroundings(a, (1, 1))
    same = top == bottom and left == right
    stride, dilation = both(a.get("stride", 1)), both(a.get("dilation", 1))
    weight = a["weight"].permute(3, 2, 0, 1).contiguous()
    y = peer.conv_transpose2d(planes(a["x"]), weight, a["bias"], stride, (top, left) if same else 0,
                              both(a.get("output_padding", 0)), a.get("groups", 1), dilation)
    y = y if same else y[:, :, top:y.shape[2] - bottom, left:y.shape[3] - right]
    return {"y": pixels(y)}


def max_pool2d(a: Tensors) -> Results:
    """Max pooling; what PyTorch cannot pad is padded before, and windows behind ours are cut off."""
    size, dilation = both(a["kernel_size"]), both(a.get("dilation", 1))
    sides = surroundings(a, reach(size, dilation))
    (top, bottom), (left, right) = sides
    known = top == bottom and left == right and a.get("padding") != "same"
    x = planes(a["x"]) if known else around(planes(a["x"]), sides, -torch.inf)
    y, index = peer.max_pool2d(x, size, a.get("stride"), (top, left) if known else 0, dilation, a.get("ceil_mode", False),
                               return_indices=True)
    if not known:
        y, index = (existing(found, planes(a["x"]), sides, both(a.get("stride") or size)) for found in (y, index))
        row, column = index // x.shape[3] - top, index % x.shape[3] - left
        index = row * a["x"].shape[2] + column
    return {"y": finished(pixels(y), a), "argmax": pixels(index)}


def avg_pool2d(a: Tensors) -> Results:
    """Average pooling; what PyTorch cannot pad is padded before and divided by what counts."""
    size, stride, ceil_mode = both(a["kernel_size"]), a.get("stride"), a.get("ceil_mode", False)
    sides, counts = surroundings(a, size), a.get("count_include_pad", True)
    (top, bottom), (left, right) = sides
    if top == bottom and left == right and a.get("padding") != "same":
        return {"y": pixels(peer.avg_pool2d(planes(a["x"]), size, stride, (top, left), ceil_mode, counts))}
    total, number = (peer.avg_pool2d(around(x, sides, fill), size, stride, 0, ceil_mode, divisor_override=1) for x, fill in (
        (planes(a["x"]), 0.0), (torch.ones_like(planes(a["x"])), float(counts))))
    return {"y": pixels(existing(total / number, planes(a["x"]), sides, both(stride or size)))}


def adaptive_max_pool2d(a: Tensors) -> Results:
    """Max pooling of parts."""
    y, index = peer.adaptive_max_pool2d(planes(a["x"]), both(a["output_size"]), return_indices=True)
    return {"y": pixels(y), "argmax": pixels(index)}


def global_max_pool2d(a: Tensors) -> Results:
    """Max pooling of whole images."""
    return {name: value[:, 0, 0] for name, value in adaptive_max_pool2d({**a, "output_size": 1}).items()}


def pad2d(a: Tensors) -> Results:
    """Padding."""
    sides, mode = surroundings(a, (1, 1)), a.get("mode", "constant")
    options = {"value": a.get("value", 0.0)} if mode == "constant" else {}
    return {"y": pixels(peer.pad(planes(a["x"]), (*sides[1], *sides[0]), mode, **options))}


def upsample2d(a: Tensors) -> Results:
    """Upsampling."""
    mode = a.get("mode", "nearest")
    options = {"align_corners": False} if mode == "bilinear" else {}
    return {"y": pixels(peer.interpolate(planes(a["x"]), scale_factor=both(a["scale"]), mode=mode, **options))}


def prelu(a: Tensors) -> Results:
    """PReLU; PyTorch wants the channels on the second axis."""
    x = a["x"].reshape(-1, a["x"].shape[-1])
    return {"y": peer.prelu(x, a["slope"]).reshape(a["x"].shape)}


def channels_second(x: Any) -> Any:
    """Images as planes, and rows as they are."""
    return planes(x) if x.ndim == 4 else x


def channels_last(x: Any) -> Any:
    """The reverse."""
    return pixels(x) if x.ndim == 4 else x


def batch_norm(a: Tensors) -> Results:
    """Batch norm, which also moves the running statistics."""
    y = peer.batch_norm(channels_second(a["x"]), a["running_mean"], a["running_var"], a["gamma"], a["beta"], a["training"],
                        a.get("momentum", 0.1), a.get("eps", 1e-5))
    return {"y": finished(channels_last(y), a), **{name: a[name] for name in ("running_mean", "running_var")}}


def group_norm(a: Tensors) -> Results:
    """Group norm."""
    y = peer.group_norm(channels_second(a["x"]), a["groups"], a["gamma"], a["beta"], a.get("eps", 1e-5))
    return {"y": channels_last(y)}


def classified(loss: Callable[..., Any], first: str) -> Callable[[Tensors], Results]:
    """Make the peer of a loss of classes; where no row counts PyTorch gives NaN, and we promise 0."""

    def compute(a: Tensors) -> Results:
        labels, ignored = a["labels"], a.get("ignore_index")
        if labels.ndim == 1 and ignored is not None and bool((labels == ignored).all()):
            return {}
        options = {"label_smoothing": a["label_smoothing"]} if "label_smoothing" in a else {}
        return {"loss": loss(a[first], labels if labels.ndim == 1 else labels.to(a[first].dtype), a["class_weight"],
                             ignore_index=-100 if ignored is None else ignored, **options)}

    return compute


def stepped(make: Callable[[list[Any], Tensors], torch.optim.Optimizer], **names: str) -> Callable[[Tensors], Results]:
    """Make the peer of an optimizer's step; `names` are PyTorch's of what it remembers, SGD only with momentum."""

    def compute(a: Tensors) -> Results:
        parameter = torch.nn.Parameter(a["parameter"].clone())
        parameter.grad = a["gradient"] * a.get("scale", 1.0)
        optimizer = make([parameter], a)
        state = {theirs: a[ours].clone() for ours, theirs in names.items()}
        if a.get("step", 2) > 1 or "velocity" not in names:
            optimizer.state[parameter] = {**state, "step": torch.tensor(float(a.get("step", 1) - 1))}
        optimizer.step()
        after = optimizer.state[parameter]
        return {"parameter": parameter.detach(), **{ours: after[theirs] for ours, theirs in names.items()
                                                    if after.get(theirs) is not None and a.get("momentum", 1) > 0}}

    return compute


def usual(a: Tensors) -> Tensors:
    """Give what all optimizers take."""
    return {"lr": a["lr"], "weight_decay": a["weight_decay"], "foreach": False}


def simply(function: Callable[..., Any], *options: str) -> Callable[[Tensors], Results]:
    """Make the peer of a function of x and some options of the same names."""
    return lambda a: {"y": function(a["x"], **{name: a[name] for name in options if name in a})}


def between(function: Callable[..., Any], first: str, *options: str) -> Callable[[Tensors], Results]:
    """Make the peer of a loss of two arrays."""
    return lambda a: {"loss": function(a[first], a["target"], **{name: a[name] for name in options if name in a})}


def clipped(a: Tensors) -> Results:
    """Clip the values of a gradient."""
    parameter = torch.nn.Parameter(torch.zeros_like(a["gradient"]))
    parameter.grad = a["gradient"].clone()
    torch.nn.utils.clip_grad_value_([parameter], a["limit"])
    return {"gradient": parameter.grad}


def penalised(a: Tensors) -> Results:
    """The penalty, whose slope by autograd is added to the gradient."""
    parameter = a["parameter"].clone().requires_grad_()
    loss = a["weight"] / 2 * parameter.square().sum()
    return {"loss": loss.detach(), "gradient": a["gradient"] + torch.autograd.grad(loss, parameter)[0]}


PEERS: dict[str, Callable[[Tensors], Results]] = {
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "linear": lambda a: {"y": finished(peer.linear(a["x"], a["weight"].T, a["bias"]), a)},
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "adaptive_max_pool2d": adaptive_max_pool2d,
    "adaptive_avg_pool2d": lambda a: {"y": pixels(peer.adaptive_avg_pool2d(planes(a["x"]), both(a["output_size"])))},
    "global_max_pool2d": global_max_pool2d,
    "global_avg_pool2d": lambda a: {"y": a["x"].mean(dim=(1, 2))},
    "pad2d": pad2d,
    "upsample2d": upsample2d,
    "concat": lambda a: {"y": torch.cat(a["parts"], dim=-1)},
    "add": lambda a: {"y": finished(a["a"] + a["b"], a)},
    "relu": simply(peer.relu),
    "leaky_relu": lambda a: {"y": peer.leaky_relu(a["x"], a.get("slope", 0.01))},
    "sigmoid": simply(torch.sigmoid),
    "tanh": simply(torch.tanh),
    "elu": simply(peer.elu, "alpha"),
    "gelu": simply(peer.gelu),
    "silu": simply(peer.silu),
    "prelu": prelu,
    "selu": simply(peer.selu),
    "softplus": simply(peer.softplus, "beta", "threshold"),
    "hardswish": simply(peer.hardswish),
    "mish": simply(peer.mish),
    "softmax": lambda a: {"y": peer.softmax(a["x"], dim=-1)},
    "log_softmax": lambda a: {"y": peer.log_softmax(a["x"], dim=-1)},
    "batch_norm": batch_norm,
    "layer_norm": lambda a: {"y": peer.layer_norm(a["x"], a["x"].shape[-1:], a["gamma"], a["beta"], a.get("eps", 1e-5))},
    "group_norm": group_norm,
    "cross_entropy": classified(peer.cross_entropy, "logits"),
    "nll_loss": classified(peer.nll_loss, "log_probabilities"),
    "hinge_loss": lambda a: {"loss": peer.multi_margin_loss(a["scores"], a["labels"], margin=a.get("margin", 1.0))},
    "mse_loss": between(peer.mse_loss, "prediction"),
    "l1_loss": between(peer.l1_loss, "prediction"),
    "huber_loss": between(peer.huber_loss, "prediction", "delta"),
    "binary_cross_entropy": between(peer.binary_cross_entropy_with_logits, "logits"),
    "l2_penalty": penalised,
    "sgd": stepped(lambda p, a: torch.optim.SGD(p, momentum=a["momentum"], nesterov=a["nesterov"] and a["momentum"] > 0,
                                                **usual(a)), velocity="momentum_buffer"),
    "adam": stepped(lambda p, a: (torch.optim.AdamW if a["decoupled"] else torch.optim.Adam)(
        p, betas=(a["beta1"], a["beta2"]), eps=a["eps"], **usual(a)), first="exp_avg", second="exp_avg_sq"),
    "rmsprop": stepped(lambda p, a: torch.optim.RMSprop(p, alpha=a["alpha"], eps=a["eps"], **usual(a)), square="square_avg"),
    "adagrad": stepped(lambda p, a: torch.optim.Adagrad(p, eps=a["eps"], **usual(a)), square="sum"),
    "adadelta": stepped(lambda p, a: torch.optim.Adadelta(p, rho=a["rho"], eps=a["eps"], **usual(a)), square="square_avg",
                        change="acc_delta"),
    "adamax": stepped(lambda p, a: torch.optim.Adamax(p, betas=(a["beta1"], a["beta2"]), eps=a["eps"], **usual(a)),
                      first="exp_avg", largest="exp_inf"),
    "clip_values": clipped,
    "clip_norms": lambda a: {"weight": torch.renorm(a["weight"], 2, a["weight"].ndim - 1, a["limit"])},
    "gradient_norm": lambda a: {"norm": torch.linalg.vector_norm(a["gradient"])},
}


def tensors(value: Any, differentiable: bool = False) -> Any:
    """Give arrays as tensors, in tuples too."""
    if isinstance(value, tuple) and value and isinstance(value[0], np.ndarray):
        return tuple(map(tensors, value))
    return torch.from_numpy(value.copy()).requires_grad_(differentiable) if isinstance(value, np.ndarray) else value


def compare(row: registry.Row, number: int) -> tuple[float, float]:
    """Return the largest relative errors of values and of gradients; MismatchError where one is beyond the bound.

    Of several NaN in a window PyTorch takes the last, and we the first, as of other equals and as ONNX and numpy have it; of
    a window that sees no pixel it names one, and we none. There only the values are compared.
    """
    trial = verification.Trial(row, verification.drawn_case(row, number), "normal", "float64")
    arguments = trial.arguments("normal")
    ours = verification.results(row, reference, arguments)
    given = {name: tensors(value, name in row.wrt) for name, value in arguments.items()}
    theirs = PEERS[row.operation](given)
    if not theirs:
        return 0.0, 0.0
    found = {name: value.detach().numpy() for name, value in theirs.items()}
    sure = np.isfinite(ours.get("y", 0.0))
    if "argmax" in found:
        sure &= ours["argmax"] >= 0
        found["argmax"] = np.where(sure, found["argmax"], ours["argmax"])
    values = max(differing(name, ours[name], value) for name, value in found.items())
    wrt = [name for name in row.wrt if arguments[name] is not None]
    if not wrt or not np.all(sure):
        return values, 0.0
    dy, gradients = verification.gradients(row, arguments, ours, trial.seed, reference)
    main = theirs[row.results[0]]
    slopes = torch.autograd.grad(main, [given[name] for name in wrt], tensors(dy.astype(np.float64)).reshape(main.shape))
    return values, max(differing(f"gradient of {name}", gradients[name], slope.numpy())
                       for name, slope in zip(wrt, slopes, strict=True))


def differing(name: str, ours: Any, theirs: np.ndarray) -> float:
    """Return the largest difference, relative to the largest value but at least to 1."""
    ours = np.asarray(ours)
    if ours.shape != theirs.shape:
        raise verification.MismatchError(f"{name} has shape {ours.shape}, in PyTorch {theirs.shape}")
    finite = np.isfinite(theirs)
    other = ~finite & ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
    largest = np.abs(theirs, where=finite, out=np.zeros(theirs.shape)).max(initial=1.0)
    with np.errstate(invalid="ignore"):
        error = np.where(finite, np.abs(ours - theirs), 0) / largest
    if other.any() or not error.max() <= (0 if name == "argmax" else BOUND):
        at = np.unravel_index((other | ~(error <= BOUND)).argmax() if other.any() else error.argmax(), ours.shape)
        raise verification.MismatchError(f"{name}{list(map(int, at))} is {ours[at]!r}, in PyTorch {theirs[at]!r}")
    return float(error.max())


def main() -> int:
    """Compare; 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", help="operations whose name contains one of these")
    parser.add_argument("--cases", type=int, default=100, help="drawn cases of each operation (100)")
    parser.add_argument("--first", type=int, default=0, help="number of the first one (0)")
    arguments = parser.parse_args()
    failures = 0
    chosen = [row for row in registry.ROWS if row.algorithm is None and not row.operation.endswith("_backward")
              and (not arguments.patterns or any(pattern in row.name for pattern in arguments.patterns))]
    for row in chosen:
        if row.operation in WITHOUT:
            print(f"{row.name:22} not in PyTorch: {WITHOUT[row.operation]}")
            continue
        worst, failed = [0.0, 0.0], 0
        for number in range(arguments.first, arguments.first + arguments.cases):
            try:
                worst = [max(pair) for pair in zip(worst, compare(row, number), strict=True)]
            except Exception as problem:
                failed += 1
                print(f"  {row.name}-drawn {number}: {type(problem).__name__}: {problem}\n"
                      f"  repeat: python bench/reference.py {row.name} --first {number} --cases 1\n"
                      f"  with {verification.drawn_case(row, number).settings}", flush=True)
        failures += failed
        print(f"{row.name:22} {arguments.cases - failed:6} cases agree, {failed} differ; largest relative error of values "
              f"{worst[0]:.1e}, of gradients {worst[1]:.1e}", flush=True)
    print(f"{failures} differ")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
