"""How each data set is trained where the command line does not say otherwise. Standard library only: help needs it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Settings of a training run; `image` is the shape of the data set's images (H, W, C)."""

    image: tuple[int, int, int]
    classes: int
    model: str
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    schedule: str
    augment: str


RECIPES = {
    "digits": Recipe((8, 8, 1), 10, "smallcnn", 10, 64, "adam", 3e-3, "cosine", "none"),
    "mnist": Recipe((28, 28, 1), 10, "lenet5", 5, 128, "adam", 3e-3, "cosine", "none"),
    "fashion-mnist": Recipe((28, 28, 1), 10, "lenet5", 5, 128, "adam", 3e-3, "cosine", "none"),
    "cifar10": Recipe((32, 32, 3), 10, "resnet20", 10, 128, "sgd", 0.2, "onecycle", "crop-flip"),
    "cifar100": Recipe((32, 32, 3), 100, "resnet20", 10, 128, "sgd", 0.2, "onecycle", "crop-flip"),
}

OWN = Recipe((64, 64, 3), 0, "resnet20", 10, 64, "adam", 3e-3, "cosine", "none")  # a folder, a table or an .npz file

# The names that the command line's help lists; a test holds them equal to those that the library knows.
MODELS = ("lenet5", "smallcnn", "strided_cnn", "two_conv", "four_conv", "vgg", "vgg11", "resnet9", "resnet18", "resnet20",
          "inception", "mobilenet")
AUGMENTATIONS = ("none", "crop-flip", "crop-flip-cutout", "crop-flip-colour", "crop-flip-mixup", "shift")
RESIZINGS = ("stretch", "crop", "pad")
ON_ERROR = ("raise", "skip")
PICTURES = ("curves", "filters", "features", "predictions", "confusion", "saliency", "gradcam", "architecture")
SCHEDULES = ("none", "step", "multistep", "cosine", "onecycle", "warmup", "plateau")
# Learning rates for an optimizer that is not the recipe's own.
OPTIMIZERS = {"sgd": 0.05, "adam": 1e-3, "adamw": 1e-3, "adamax": 2e-3, "rmsprop": 1e-3, "adagrad": 1e-2, "adadelta": 1.0,
              "lion": 1e-4}


def home_of(model: str) -> Recipe:
    """Return the recipe that uses the model, or else CIFAR-10's, whose images are large enough for all."""
    return next((recipe for recipe in RECIPES.values() if recipe.model == model), RECIPES["cifar10"])


def recipe_for(dataset: str) -> Recipe:
    """Return the data set's recipe, or that of data of one's own."""
    return RECIPES.get(dataset, OWN)
