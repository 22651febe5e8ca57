"""The names that PyTorch has for a network's layers."""

from __future__ import annotations

from collections.abc import Iterator

from ..nn import BatchNorm, Conv2D, GlobalAvgPool2D, GlobalMaxPool2D, Linear, Module, Parameter, Residual, Sequential

Names = dict[str, str]  # of a module here: that of its counterpart
_TORCHVISION = "downsample", "fc"  # the way around a block and the last layer of a ResNet
_CIFAR = "shortcut", "linear"


def namings(model: Module) -> list[Names]:
    """Return the names that the layers may have in PyTorch, the usual ones first.

    They are those that the model was filled with, those of a ResNet, those of a Sequential whose global pooling is two
    modules, `AdaptiveAvgPool2d(1)` and `Flatten()`, and the model's own.
    """
    own = {name: name for name, _ in model.named_modules()}
    families = (_CIFAR, _TORCHVISION) if model.origin and model.origin.name == "resnet20" else (_TORCHVISION, _CIFAR)
    resnets = [names for family in families if (names := _resnet(model, *family))]
    return [dict(model.torch_names), *resnets, dict(_sequential(model, "", "")), own]


def _sequential(model: Module, name: str, torch_name: str) -> Iterator[tuple[str, str]]:
    """Give the names of a module and of those inside, each global pooling in a Sequential counted twice."""
    yield name, torch_name
    shift = 0
    for inner, child in model._members(Module):
        counted = str(int(inner) + shift) if isinstance(model, Sequential) else inner
        yield from _sequential(child, _join(name, inner), _join(torch_name, counted))
        shift += isinstance(child, (GlobalAvgPool2D, GlobalMaxPool2D))


def _resnet(model: Module, way: str, head: str) -> Names | None:
    """Return conv1, bn1, layer1.0.conv1 and so on where the model is such a ResNet: blocks between these and a Linear."""
    if not isinstance(model, Sequential):
        return None
    layers = [(name, layer) for name, layer in model._members(Module) if isinstance(layer, Residual) or _has_weights(layer)]
    blocks = [(name, layer) for name, layer in layers if isinstance(layer, Residual)]
    if not blocks or [type(layer) for _, layer in layers] != [Conv2D, BatchNorm, *[Residual] * len(blocks), Linear]:
        return None
    names, stage, number = {layers[0][0]: "conv1", layers[1][0]: "bn1", layers[-1][0]: head}, 0, 0
    for name, block in blocks:
        begins = stage == 0 or block.shortcut is not None
        stage, number = (stage + 1, 0) if begins else (stage, number + 1)
        inside = _block(block, way)
        if inside is None:
            return None
        names.update((f"{name}.{layer}", f"layer{stage}.{number}.{torch_name}") for layer, torch_name in inside.items())
    return names


def _block(block: Residual, way: str) -> Names | None:
    """Return the names inside a block, None where it is no such block."""
    main, around = _pairs(block.main), [] if block.shortcut is None else _pairs(block.shortcut)
    if main is None or around is None:
        return None
    names = {f"main.{name}": f"{('conv', 'bn')[place % 2]}{place // 2 + 1}" for place, name in enumerate(main)}
    return names | {f"shortcut.{name}": f"{way}.{place}" for place, name in enumerate(around)}


def _pairs(branch: Module) -> list[str] | None:
    """Return the names of convolutions and batch norms by turns, None where a branch is something else."""
    layers = [(name, type(layer)) for name, layer in branch._members(Module) if _has_weights(layer)]
    if not isinstance(branch, Sequential) or [kind for _, kind in layers] != [Conv2D, BatchNorm] * (len(layers) // 2):
        return None
    return [name for name, _ in layers]


def _has_weights(layer: Module) -> bool:
    return bool(layer._members(Parameter))


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
