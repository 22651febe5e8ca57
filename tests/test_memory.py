"""A training step in its stride allocates nothing large: buffers are used again, and nothing is kept that is not needed."""

import gc
import tracemalloc

import numpy as np
import pytest

from fastcnn import models, nn, optim
from fastcnn.functional import arrays

LARGE = 1024 * 1024  # bytes; the first activation alone takes more than twice that


def stepper(name, shape, batch):
    model = models.create(name, shape, 10)
    optimizer, loss = optim.Adam(model.parameters(), lr=1e-3), nn.CrossEntropyLoss()
    random = np.random.default_rng(0)
    x, labels = random.standard_normal((batch, *shape)).astype(np.float32), random.integers(0, 10, batch)

    def step():
        loss.forward(model(x), labels)
        model.backward(loss.backward(), need_dx=False)
        optimizer.step()

    return step


@pytest.mark.parametrize(("name", "shape"), [("lenet5", (28, 28, 1)), ("resnet20", (20, 20, 3))])
def test_a_step_allocates_nothing_large(name, shape):
    step = stepper(name, shape, 128)
    for _ in range(3):
        step()
    gc.collect()
    tracemalloc.start()
    try:
        step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LARGE


def test_a_buffer_is_used_again_only_when_nobody_holds_it():
    arrays.release_buffers()
    shape, dtype = (64, 1024), np.dtype(np.float32)
    first = arrays.empty(shape, dtype)
    view, address = first[3:], first.ctypes.data
    del first
    assert arrays.empty(shape, dtype).ctypes.data != address
    del view
    held = [arrays.empty(shape, dtype) for _ in range(2)]
    assert address in {array.ctypes.data for array in held}
