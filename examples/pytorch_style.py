"""A network as a class with its own forward and backward: python examples/pytorch_style.py --dataset mnist --epochs 2"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import fastcnn
from fastcnn import data, metrics, nn, optim, plot
from fastcnn.training import JSONLogger


def parse_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=data.names(), default="digits")
    parser.add_argument("--data-dir", help="folder of the data sets; downloaded to the user's cache without it")
    parser.add_argument("--images", type=int, help="training images to use (all)")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--loss", choices=("cross-entropy", "mse", "bce"), default="cross-entropy")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for history.jsonl and the confusion matrix")
    return parser.parse_args()


class CNN(nn.Module):
    """Two convolutions of stride 2, each with batch norm and ReLU, and a linear layer whose softmax the loss applies."""

    def __init__(self, in_shape: tuple[int, ...], out_size: int) -> None:
        """Make the layers for images of in_shape (H, W, C); parameters are found by themselves."""
        self.convo1 = nn.Conv2D(in_shape[-1], 12, kernel_size=3, padding=1, stride=2, bias=False)
        self.batchnorm1 = nn.BatchNorm(12)
        self.relu1 = nn.ReLU()
        self.convo2 = nn.Conv2D(12, 24, kernel_size=3, padding=1, stride=2, bias=False)
        self.batchnorm2 = nn.BatchNorm(24)
        self.relu2 = nn.ReLU()
        self.flatten = nn.Flatten()
        height, width = (-(-size // 4) for size in in_shape[:2])
        self.linear = nn.Linear(height * width * 24, out_size)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the scores (N, classes) of images (N, H, W, C)."""
        x = self.relu1(self.batchnorm1(self.convo1(x)))
        x = self.relu2(self.batchnorm2(self.convo2(x)))
        return self.linear(self.flatten(x))

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Write all gradients and return that of the images."""
        dy = self.flatten.backward(self.linear.backward(dy))
        dy = self.convo2.backward(self.batchnorm2.backward(self.relu2.backward(dy)))
        return self.convo1.backward(self.batchnorm1.backward(self.relu1.backward(dy)))


class SquaredErrorOfProbabilities(nn.MSELoss):
    """Softmax, then the mean squared error: a loss is anything with such a forward and backward."""

    output_activation = "softmax"  # what predict is to make of the scores

    def __init__(self) -> None:
        self.softmax = nn.Softmax()

    def forward(self, prediction: np.ndarray, target: np.ndarray) -> float:
        """Return the loss of scores (N, classes) against one-hot rows."""
        return super().forward(self.softmax(prediction), target)

    def backward(self) -> np.ndarray:
        """Return the gradient of the scores."""
        return self.softmax.backward(super().backward())


def fully_connected(in_shape: tuple[int, ...], out_size: int) -> nn.Module:
    """Return a network without convolutions, to compare."""
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(in_shape)), 128), nn.ReLU(), nn.Linear(128, out_size))


def main() -> None:
    """Check the gradients, train both networks, look at the weights and at what is confused."""
    arguments = parse_arguments()
    dataset = data.load(arguments.dataset, arguments.data_dir)
    train = dataset.train.subset(min(arguments.images or len(dataset.train), len(dataset.train)))
    shape, count = train.images.shape[1:], len(dataset.classes)
    loss = {"cross-entropy": nn.CrossEntropyLoss, "mse": SquaredErrorOfProbabilities, "bce": nn.BCELoss}[arguments.loss]()
    one_hot = np.eye(count, dtype=np.float32)
    pairs = [(split.images, split.labels if arguments.loss == "cross-entropy" else one_hot[split.labels])
             for split in (train, dataset.test)]
    fastcnn.manual_seed(arguments.seed)
    model = CNN(shape, count)
    few = np.random.default_rng(arguments.seed).standard_normal((4, *shape), np.float32)
    print(f"gradient check: largest relative error {fastcnn.gradient_check(model, few):.1e} (network), "
          f"{fastcnn.gradient_check(nn.CrossEntropyLoss(), few.reshape(4, -1)[:, :count], np.arange(4) % count):.1e} (loss)")
    for name, network in (("CNN", model), ("fully connected", fully_connected(shape, count))):
        print(f"{name}: {network.num_parameters():,} parameters")
        folder = arguments.out and (arguments.out if network is model else arguments.out / "fully-connected")
        history = fastcnn.fit(
            network, pairs[0], validation=pairs[1], loss=loss, epochs=arguments.epochs, batch_size=64, seed=arguments.seed,
            optimizer=optim.Adam(network.parameters(), lr=2e-3), schedule=optim.CosineLR(),
            callbacks=[JSONLogger(folder / "history.jsonl")] if folder else [])
        if history.interrupted:
            print(f"interrupted in epoch {len(history) + 1} of {arguments.epochs} of {name}", file=sys.stderr)
            sys.exit(130)
        probabilities = fastcnn.predict(network, dataset.test.images)
        print(f"{name}: test accuracy {metrics.accuracy(probabilities, dataset.test.labels):.2%}")
        if folder:
            matrix = metrics.confusion_matrix(probabilities, dataset.test.labels)
            plot.confusion_matrix(matrix, folder / "confusion.png", classes=dataset.classes)

    gradients = model.get_dweights()
    for name, (W, b) in model.get_weights().items():
        print(f"{name}: W {W.shape}, b {'none' if b is None else b.shape}, |dW| {np.linalg.norm(gradients[name][0]):.3g}")
    twin = CNN(shape, count)
    twin.set_weights(model.get_weights())
    print(f"a twin with the same weights gives the same scores: {np.array_equal(twin(few), model.train()(few))}")


if __name__ == "__main__":
    main()
