"""Named layers, an L2-regularised loss and a learning rate that falls by iteration: python examples/from_paper.py

After the layers that O'Shea and Nash, "An Introduction to Convolutional Neural Networks", 2015, section 2 describe.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import fastcnn
from fastcnn import data, nn, optim, plot
from fastcnn.training import JSONLogger


def parse_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=data.names(), default="mnist")
    parser.add_argument("--data-dir", help="folder of the data sets; downloaded to the user's cache without it")
    parser.add_argument("--images", type=int, help="training images to use (all)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=4, help="images of one iteration")
    parser.add_argument("--steps", type=int, nargs="+", default=[10_000, 30_000], help="iterations that lower the rate")
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--lam", type=float, default=1e-5, help="weight of the squared norm of all weights in the loss")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for history.jsonl and curves.png")
    return parser.parse_args()


class Named(nn.Sequential):
    """Layers in a row, each under a name of its own."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__(*layers.values())
        self.names = tuple(layers)

    def children(self):
        """Give the layers by name."""
        return zip(self.names, self.layers, strict=True)


def network(shape: tuple[int, ...], classes: int) -> Named:
    """Return convolution and leaky ReLU, twice, with pooling after each, and two fully connected layers."""
    height, width, channels = shape
    return Named(
        conv1=nn.Conv2D(channels, 16, 3, padding=1), activation1=nn.LeakyReLU(0.01), pool1=nn.MaxPool2D(2, stride=2),
        conv2=nn.Conv2D(16, 16, 3, padding=1), activation2=nn.LeakyReLU(0.01), pool2=nn.MaxPool2D(2, stride=2),
        flatten=nn.Flatten(),
        fully1=nn.Linear((height // 4) * (width // 4) * 16, 64), activation3=nn.LeakyReLU(0.01),
        fully2=nn.Linear(64, classes),
    )


class RegularizedCrossEntropy(nn.CrossEntropyLoss):
    """Cross-entropy plus lam times the squared norm of all weights.

    The gradient of the second part, 2 lam W, is what an optimizer with weight_decay = 2 lam adds to each step.
    """

    def __init__(self, model: nn.Module, lam: float) -> None:
        super().__init__()
        self.model, self.lam = model, lam

    def forward(self, prediction: np.ndarray, target: np.ndarray) -> float:
        """Return the loss of scores (N, classes) with labels (N,)."""
        norm = sum(float(np.vdot(parameter.data, parameter.data)) for parameter in self.model.parameters())
        return super().forward(prediction, target) + self.lam * norm


class ByIteration(optim.Schedule):
    """A tenth of the learning rate after each of the steps, the larger ones included."""

    def __init__(self, steps: list[int]) -> None:
        self.steps = steps

    def lr(self, step: int, total_steps: int, base_lr: float, steps_per_epoch: int = 1) -> float:
        """Return the learning rate of an iteration."""
        return base_lr * 0.1 ** sum(step > limit for limit in self.steps)


def main() -> None:
    """Train, say what the rate did, draw the curves."""
    arguments = parse_arguments()
    dataset = data.load(arguments.dataset, arguments.data_dir)
    train = dataset.train.subset(min(arguments.images or len(dataset.train), len(dataset.train)))
    fastcnn.manual_seed(arguments.seed)
    model = network(train.images.shape[1:], len(train.classes))
    print(model.summary(train.images.shape[1:]))
    history = fastcnn.fit(
        model, train, validation=dataset.test, loss=RegularizedCrossEntropy(model, arguments.lam), epochs=arguments.epochs,
        batch_size=arguments.batch_size, schedule=ByIteration(arguments.steps), seed=arguments.seed,
        optimizer=optim.SGD(model.parameters(), arguments.lr, momentum=0.9, weight_decay=2 * arguments.lam),
        callbacks=[JSONLogger(arguments.out / "history.jsonl")] if arguments.out else [])
    if history.interrupted:
        print(f"interrupted in epoch {len(history) + 1} of {arguments.epochs}", file=sys.stderr)
        sys.exit(130)
    print("learning rate at the end of each epoch: " + ", ".join(f"{record['learning_rate']:g}" for record in history))
    print(f"test accuracy {history[-1]['test_accuracy']:.2%}")
    if arguments.out:
        plot.curves(history, arguments.out / "curves.png")


if __name__ == "__main__":
    main()
