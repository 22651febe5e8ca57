"""Train LeNet-5 on MNIST: python examples/train_mnist.py --epochs 5"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import fastcnn
from fastcnn import data, models, optim


def parse_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", help="folder that holds mnist/; downloaded to the user's cache without it")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("mnist.safetensors"), help="file for the trained model")
    return parser.parse_args()


def main() -> None:
    """Train, test, save, and look at the first test images."""
    arguments = parse_arguments()
    mnist = data.load("mnist", arguments.data_dir)

    fastcnn.manual_seed(arguments.seed)
    model = models.create("lenet5", (28, 28, 1), 10)
    print(model.summary((28, 28, 1)))
    history = fastcnn.fit(model, mnist.train, validation=mnist.test, epochs=arguments.epochs, seed=arguments.seed,
                          optimizer=optim.Adam(model.parameters(), lr=3e-3), schedule=optim.CosineLR())
    if history.interrupted:
        print(f"interrupted in epoch {len(history) + 1} of {arguments.epochs}; nothing is saved", file=sys.stderr)
        sys.exit(130)

    print(f"test accuracy {fastcnn.evaluate(model, mnist.test)['accuracy']:.2%}")
    fastcnn.save(model, arguments.out)
    probabilities = fastcnn.predict(fastcnn.load(arguments.out), mnist.test.images[:5])
    print(f"first test images: {probabilities.argmax(axis=1)}, truth: {mnist.test.labels[:5]}")


if __name__ == "__main__":
    main()
