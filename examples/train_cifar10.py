"""Train a residual network of 20 layers on CIFAR-10: python examples/train_cifar10.py --epochs 10"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import fastcnn
from fastcnn import data, models, optim
from fastcnn.training import Checkpoint, JSONLogger


def parse_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", help="folder that holds cifar10/; downloaded to the user's cache without it")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.2, help="the highest learning rate, reached after a third of the way")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/cifar10"), help="folder for model, history and checkpoints")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in that folder")
    return parser.parse_args()


def main() -> None:
    """Train with a one-cycle learning rate, keep checkpoints, test, save."""
    arguments = parse_arguments()
    cifar10 = data.load("cifar10", arguments.data_dir)

    fastcnn.manual_seed(arguments.seed)
    model = models.create("resnet20", (32, 32, 3), 10)
    optimizer = optim.SGD(model.parameters(), arguments.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    history = fastcnn.fit(
        model, cifar10.train, validation=cifar10.test, epochs=arguments.epochs, seed=arguments.seed, optimizer=optimizer,
        schedule=optim.OneCycleLR(arguments.lr), augment="crop-flip", resume=arguments.out if arguments.resume else None,
        callbacks=[JSONLogger(arguments.out / "history.jsonl"), Checkpoint(arguments.out)])
    if history.interrupted:
        print(f"interrupted in epoch {len(history) + 1} of {arguments.epochs}; --resume goes on from there", file=sys.stderr)
        sys.exit(130)

    print(f"test accuracy {fastcnn.evaluate(model, cifar10.test)['accuracy']:.2%}")
    fastcnn.save(model, arguments.out / "model.safetensors")


if __name__ == "__main__":
    main()
