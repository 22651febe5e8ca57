"""Two convolutions and a dense layer on a few images: python examples/two_conv_mnist.py --images 1000 --epochs 20"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

import fastcnn
from fastcnn import data, models, nn, optim, plot
from fastcnn.training import Callback, JSONLogger, Run


def parse_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=data.names(), default="mnist")
    parser.add_argument("--data-dir", help="folder of the data sets; downloaded to the user's cache without it")
    parser.add_argument("--images", type=int, default=1000, help="training images to use")
    parser.add_argument("--test-images", type=int, default=10, help="images to show the answers for")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--model", choices=("two-conv", "resnet20"), default="two-conv")
    parser.add_argument("--dropout", type=float, default=0.0, help="share of the dense layer's inputs to drop in training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for history.jsonl, model and curves of the error")
    return parser.parse_args()


class Processing(Callback):
    """Shows a bar while an epoch runs and a line when it is done."""

    def on_epoch_begin(self, run: Run) -> None:
        """Open the bar."""
        self.bar = tqdm(total=len(run.train), desc="Processing", leave=False, disable=None if sys.stderr else True)

    def on_batch_end(self, run: Run) -> None:
        """Move the bar."""
        self.bar.update(run.position - self.bar.n)

    def on_epoch_end(self, run: Run, record: dict[str, Any]) -> None:
        """Replace the bar by the line."""
        self.bar.close()
        print(f"Epoch {record['epoch']} Loss= {record['train_loss']:.6f} Run in: {record['seconds']:.2f} seconds",
              flush=True)


def two_conv(shape: tuple[int, ...], classes: int, dropout: float) -> nn.Module:
    """Return two convolutions, each pooled, and a dense layer, for images of `shape` (H, W, C)."""
    height, width, channels = shape
    return nn.Sequential(
        nn.Conv2D(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2D(2),
        nn.Conv2D(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2D(2),
        nn.Flatten(), nn.Dropout(dropout), nn.Linear((height // 4) * (width // 4) * 32, classes),
    )


def main() -> None:
    """Train on a few images, show answers beside truths, keep the run."""
    began = time.perf_counter()
    arguments = parse_arguments()
    print("processing data...")
    dataset = data.load(arguments.dataset, arguments.data_dir)
    train = dataset.train.subset(min(arguments.images, len(dataset.train)))
    shown = dataset.test.subset(min(arguments.test_images, len(dataset.test)))
    print(f"data processed successfully: {len(train):,} training and {len(dataset.test):,} test images")

    fastcnn.manual_seed(arguments.seed)
    shape, classes = train.images.shape[1:], len(train.classes)
    if arguments.model == "two-conv":
        model = two_conv(shape, classes, arguments.dropout)
    else:
        model = models.create(arguments.model, shape, classes)
    print("training network...")
    callbacks: list[Callback] = [Processing()]
    if arguments.out is not None:
        callbacks.append(JSONLogger(arguments.out / "history.jsonl"))
    history = fastcnn.fit(model, train, validation=dataset.test, epochs=arguments.epochs, batch_size=arguments.batch_size,
                          optimizer=optim.Adam(model.parameters(), arguments.lr), seed=arguments.seed,
                          callbacks=callbacks, progress=False)
    if history.interrupted:
        print(f"interrupted in epoch {len(history) + 1} of {arguments.epochs}", file=sys.stderr)
        sys.exit(130)
    print("network trained")
    answers = fastcnn.predict(model, shown.images).argmax(axis=1)
    for answer, truth in zip(answers, shown.labels, strict=True):
        print(f"pred: {shown.classes[answer]} \ttrue: {shown.classes[truth]}")
    print(f"accuracy on all {len(dataset.test):,} test images: {history[-1]['test_accuracy']:.2%}")
    if arguments.out is not None:
        fastcnn.save(model, arguments.out / "model.safetensors")
        plot.curves(history, arguments.out / "curves.png")
    print(f"\n >>> Program run in {time.perf_counter() - began:.2f} seconds <<<")


if __name__ == "__main__":
    main()
