"""Every operation called by hand, forward and backward: python examples/functional_style.py --dataset cifar10"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from fastcnn import data, plot
from fastcnn import functional as F  # noqa: N812
from fastcnn.training import History


def parse_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=data.names(), default="cifar10")
    parser.add_argument("--data-dir", help="folder of the data sets; downloaded to the user's cache without it")
    parser.add_argument("--images", type=int, default=20_000, help="training images to use")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for history.jsonl and pictures")
    return parser.parse_args()


def init_kernel_bias(random: np.random.Generator, *size: int) -> list[np.ndarray]:
    """Return kernels (R, S, C, K), or weights (inputs, outputs), and a bias for each output."""
    scale = np.float32(math.sqrt(2 / math.prod(size[:-1])))  # He et al., "Delving Deep into Rectifiers", 2015
    return [random.standard_normal(size, np.float32) * scale, np.zeros(size[-1], np.float32)]


def feed_forward(x: np.ndarray, weights: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return everything from the images (N, H, W, C) to the scores, by name."""
    w0, b0, w1, b1, w2, b2, w3, b3, w4, b4, w5, b5, w6, b6 = weights
    conv0 = F.conv2d(x, w0, b0, padding=1)  # (N, 32, 32, 64) where images have 32 x 32 pixels
    aconv0 = F.relu(conv0)
    conv1 = F.conv2d(aconv0, w1, b1, padding=1)
    aconv1 = F.relu(conv1)
    pool1, max_index1 = F.max_pool2d(aconv1, 2)  # (N, 16, 16, 128)
    conv2 = F.conv2d(pool1, w2, b2, padding=1)
    aconv2 = F.relu(conv2)
    pool2, max_index2 = F.max_pool2d(aconv2, 2)  # (N, 8, 8, 128)
    conv3 = F.conv2d(pool2, w3, b3, padding=1)
    aconv3 = F.relu(conv3)
    pool3, max_index3 = F.max_pool2d(aconv3, 2)  # (N, 4, 4, 256)
    flat = pool3.reshape(len(x), -1)
    hidden0 = F.relu(F.linear(flat, w4, b4))  # the whole batch at once
    hidden1 = F.relu(F.linear(hidden0, w5, b5))
    scores = F.linear(hidden1, w6, b6)
    return {name: value for name, value in locals().items() if name[0] not in "wb"}


def back_propagate(dscores: np.ndarray, kept: dict[str, np.ndarray], weights: list[np.ndarray]) -> list[np.ndarray | None]:
    """Return the gradients of all weights and biases."""
    w = weights[::2]
    dhidden1, dw6, db6 = F.linear_backward(dscores, kept["hidden1"], w[6])
    dhidden0, dw5, db5 = F.linear_backward(F.relu_backward(dhidden1, kept["hidden1"]), kept["hidden0"], w[5])
    dflat, dw4, db4 = F.linear_backward(F.relu_backward(dhidden0, kept["hidden0"]), kept["flat"], w[4])
    daconv3 = F.max_pool2d_backward(dflat.reshape(kept["pool3"].shape), kept["max_index3"], kept["aconv3"].shape)
    dpool2, dw3, db3 = F.conv2d_backward(F.relu_backward(daconv3, kept["aconv3"]), kept["pool2"], w[3], padding=1)
    daconv2 = F.max_pool2d_backward(dpool2, kept["max_index2"], kept["aconv2"].shape)
    dpool1, dw2, db2 = F.conv2d_backward(F.relu_backward(daconv2, kept["aconv2"]), kept["pool1"], w[2], padding=1)
    daconv1 = F.max_pool2d_backward(dpool1, kept["max_index1"], kept["aconv1"].shape)
    daconv0, dw1, db1 = F.conv2d_backward(F.relu_backward(daconv1, kept["aconv1"]), kept["aconv0"], w[1], padding=1)
    dconv0 = F.relu_backward(daconv0, kept["aconv0"])
    _, dw0, db0 = F.conv2d_backward(dconv0, kept["x"], w[0], padding=1, need_dx=False)  # nothing is before layer 0
    return [dw0, db0, dw1, db1, dw2, db2, dw3, db3, dw4, db4, dw5, db5, dw6, db6]


def main() -> None:
    """Train, test, draw."""
    arguments = parse_arguments()
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
    dataset = data.load(arguments.dataset, arguments.data_dir)
    train, test = dataset.train.subset(min(arguments.images, len(dataset.train))), dataset.test
    pixels = train.images[:10_000] / np.float32(255)
    scale = pixels.mean(axis=(0, 1, 2)), pixels.std(axis=(0, 1, 2))
    (height, width, channels), random = train.images.shape[1:], np.random.default_rng(arguments.seed)
    sizes = [(3, 3, channels, 64), (3, 3, 64, 128), (3, 3, 128, 128), (3, 3, 128, 256),
             ((height // 8) * (width // 8) * 256, 256), (256, 64), (64, len(train.classes))]
    weights = [array for size in sizes for array in init_kernel_bias(random, *size)]
    means = [(np.zeros_like(array), np.zeros_like(array)) for array in weights]  # of gradients and of their squares
    step, steps, history = 0, arguments.epochs * -(-len(train) // 64), []
    for epoch in range(1, arguments.epochs + 1):
        began, total, right = time.perf_counter(), 0.0, 0
        order = random.permutation(len(train))
        for start in tqdm(range(0, len(train), 64), f"epoch {epoch}", leave=False, unit=" batches", disable=None):
            chosen = order[start : start + 64]
            kept = feed_forward(F.gather(train.images, chosen, *scale), weights)
            loss, dscores = F.cross_entropy(kept["scores"], train.labels[chosen])
            lr, step = 5e-4 * (1 + math.cos(math.pi * step / steps)), step + 1
            for array, gradient, (first, second) in zip(weights, back_propagate(dscores, kept, weights), means, strict=True):
                F.adam(array, gradient, first, second, lr=lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0,
                       decoupled=False, step=step)
            total, right = total + loss * len(chosen), right + np.sum(kept["scores"].argmax(1) == train.labels[chosen])
        seconds = time.perf_counter() - began
        scores = np.concatenate([feed_forward(F.gather(test.images, part, *scale), weights)["scores"]
                                 for part in np.array_split(np.arange(len(test)), -(-len(test) // 256))])
        history.append({"epoch": epoch, "train_loss": total / len(train), "train_accuracy": right / len(train),
                        "test_loss": F.cross_entropy(scores, test.labels)[0],
                        "test_accuracy": np.mean(scores.argmax(1) == test.labels), "learning_rate": lr,
                        "seconds": seconds, "images_per_second": len(train) / seconds})
        print(", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in history[-1].items()), flush=True)
    if arguments.out is not None:
        (arguments.out / "history.jsonl").write_text(History(history).json_lines(), encoding="utf-8")
        plot.predictions(test.images[:24], F.softmax(scores[:24]), arguments.out / "predictions.png",
                         labels=test.labels[:24], classes=test.classes)
        maps = feed_forward(F.gather(test.images, np.arange(1), *scale), weights)
        for name in [name for name in maps if "conv" in name]:  # conv0 before the activation, aconv0 after it, and so on
            plot.channels(maps[name][0], arguments.out / f"{name}.png", title=name)


if __name__ == "__main__":
    main()
