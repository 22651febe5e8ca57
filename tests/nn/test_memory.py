"""A training step in its stride allocates nothing large: buffers are used again, and nothing is kept that is not needed."""

import gc
import os
import re
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

import fastcnn
from fastcnn import data, models, nn, optim
from fastcnn.nn.inspect import memory, summary
from fastcnn.runtime import buffers
from fastcnn.training import Callback

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
    buffers.release_buffers()
    shape, dtype = (64, 1024), np.dtype(np.float32)
    first = buffers.empty(shape, dtype)
    view, address = first[3:], first.ctypes.data
    del first
    assert buffers.empty(shape, dtype).ctypes.data != address
    del view
    held = [buffers.empty(shape, dtype) for _ in range(2)]
    assert address in {array.ctypes.data for array in held}


def test_buffers_of_similar_sizes_are_one():
    buffers.release_buffers()
    dtype = np.dtype(np.float32)
    address = buffers.empty((100_000,), dtype).ctypes.data
    assert buffers.empty((51, 1000), dtype).ctypes.data == address, "a buffer up to twice as large will do"
    assert buffers.empty((49, 1000), dtype).ctypes.data != address, "a larger one is too good"
    assert buffers.empty((60_000,), np.dtype(np.int32)).ctypes.data == address


def test_a_buffer_that_became_too_small_is_replaced():
    buffers.release_buffers()
    tracemalloc.start()
    try:
        for size in (100_000, 150_000, 190_000, 100_000, 150_000):
            buffers.empty((size,), np.dtype(np.float32))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 200_000 * 4


def test_batches_of_several_sizes_find_their_buffers_again():
    model = models.create("four_conv", (16, 16, 3), 10)
    requests = []
    with buffers.rehearsal():
        for _ in range(6):
            for batch in (64, 50, 16):
                dy = buffers.empty((batch, 10), np.dtype(np.float32))
                model.forward(buffers.empty((batch, 16, 16, 3), np.dtype(np.float32)))
                model.backward(dy, need_dx=False)
            requests.append([id(buffer) for buffer in buffers._thread.pool.buffers])
    assert requests[-1] == requests[-2]


# Forecast


def peak_of_training(name, shape, batch):
    """Most bytes allocated at once while a model is made and trained for some steps, in a thread without buffers."""

    def train():
        tracemalloc.start()
        try:
            step = stepper(name, shape, batch)
            for _ in range(4):
                step()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    step = stepper(name, shape, batch)
    step()  # compiles
    with ThreadPoolExecutor(1) as new_thread:
        return new_thread.submit(train).result()


@pytest.mark.parametrize("batch", [32, 100])
@pytest.mark.parametrize(("name", "shape"), [("lenet5", (28, 28, 1)), ("resnet20", (24, 24, 3)), ("four_conv", (16, 16, 3))])
def test_the_forecast_of_a_training_step(name, shape, batch):
    summary = models.create(name, shape, 10).summary(shape, batch_size=batch)
    assert summary.training.peak == pytest.approx(peak_of_training(name, shape, batch), rel=0.15)


def test_the_forecast_changes_nothing():
    model = models.create("resnet20", (16, 16, 3), 10)
    model[0].weight.grad = np.ones(model[0].weight.shape)
    before, dweights = model.state_dict(), model.get_dweights()
    buffers.release_buffers()
    held = len(buffers._thread.pool.buffers)
    model.summary((16, 16, 3), batch_size=64)
    assert len(buffers._thread.pool.buffers) == held
    assert all(np.array_equal(before[name], now) for name, now in model.state_dict().items())
    assert np.array_equal(model.get_dweights()["0"][0], dweights["0"][0])


def test_the_forecast_counts_what_the_optimizer_keeps():
    model = models.create("lenet5", (28, 28, 1), 10)
    model.summary((28, 28, 1), batch_size=8)  # plans are made and kept
    sgd, adam = (model.summary((28, 28, 1), batch_size=8, optimizer_arrays=count).training for count in (1, 2))
    assert adam.optimizer == 2 * sgd.optimizer == 2 * adam.parameters == 2 * 4 * model.num_parameters()
    assert adam.peak - sgd.peak == pytest.approx(sgd.optimizer, rel=0.01)


RESIDENT = """
import threading
from pathlib import Path
import numpy as np
from fastcnn import models, nn, optim

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

def train(batch):
    model = models.create("four_conv", (32, 32, 3), 10)
    optimizer, loss = optim.Adam(model.parameters()), nn.CrossEntropyLoss()
    for _ in range(2):
        x = np.full((batch, 32, 32, 3), 0.5, np.float32)
        loss.forward(model.forward(x), np.zeros(batch, np.int64))
        model.backward(loss.backward(), need_dx=False)
        optimizer.step()
    return model

compiling = threading.Thread(target=train, args=(32,))  # its buffers end with it
compiling.start()
compiling.join()
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the largest size is counted from here
model = train(32)
print(status("VmHWM") - before, model.summary((32, 32, 3), batch_size=32).training.peak)
"""
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the largest size is read from /proc")


def largest_size_can_be_reset():
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


@pytest.mark.skipif(not largest_size_can_be_reset(), reason="the largest size is reset through /proc/self/clear_refs")
def test_the_forecast_is_what_the_system_provides():
    apart = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # bytes from which the C library gives back what is freed
    said = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, check=True, env=apart).stdout
    grown, forecast = map(int, said.split())
    assert forecast == pytest.approx(grown, rel=0.05)


# Long runs


class ResidentSize(Callback):
    """Notes the resident size of the process after each epoch."""

    def __init__(self):
        self.sizes = []

    def on_epoch_end(self, run, record):
        self.sizes.append(psutil.Process().memory_info().rss)


def test_two_thousand_steps_take_no_more_memory_than_two_hundred():
    images = data.load("digits").train
    few = images.subset(100 * 8 - 5)
    model = nn.Sequential(nn.Conv2D(1, 8, 3, padding=1), nn.BatchNorm(8), nn.ReLU(), nn.MaxPool2D(2), nn.Flatten(),
                          nn.Dropout(0.1), nn.Linear(128, 10))
    resident = ResidentSize()
    fastcnn.fit(model, few, validation=images.subset(70), epochs=20, batch_size=8, callbacks=[resident], progress=False)
    gc.collect()
    assert max(resident.sizes[2:]) - resident.sizes[1] < LARGE


FORECAST = """
import sys
import numpy as np
from fastcnn import models
from fastcnn.nn.inspect import memory

def most():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

model, before = models.create(sys.argv[1], (32, 32, 3), 10), most()
forecast = memory.forecast(model, (512, 32, 32, 3), np.dtype(np.float32), 2)
print(most() - before, forecast.parameters + forecast.gradients + forecast.activations // 8)
"""


@needs_proc
@pytest.mark.parametrize("name", ["resnet18", "inception", "mobilenet"])
def test_the_forecast_takes_no_memory(name):
    said = subprocess.run([sys.executable, "-c", FORECAST, name], capture_output=True, text=True, check=True).stdout
    taken, limit = map(int, said.split())
    assert taken < limit


@pytest.mark.parametrize("name", ["lenet5", "mobilenet"])
def test_the_largest_batch_fits_and_twice_as_many_do_not(name):
    model, shape = models.create(name, (20, 20, 1), 10), (20, 20, 1)

    def takes(batch):
        return memory.forecast(model, (batch, *shape), np.dtype(np.float32), 2).peak

    for room in (takes(64), takes(200), takes(1024) - 1, takes(8192)):
        batch = memory.largest_batch(model, shape, np.dtype(np.float32), 2, room)
        assert takes(batch) <= room < takes(2 * batch)
    assert memory.largest_batch(model, shape, np.dtype(np.float32), 2, takes(1)) >= 1
    assert memory.largest_batch(model, shape, np.dtype(np.float32), 2, 1000) == 0


@pytest.mark.parametrize(("free", "advice"), [
    (3 << 29, "\nbatches of up to 1,024 fit into the 1.5 GiB that are free here"),
    (1000, "\nnot even batches of 1 fit into the 1000 B that are free here"), (None, "")])
def test_the_summary_advises_a_batch(monkeypatch, free, advice):
    monkeypatch.setattr(summary, "free_memory", lambda: free)
    table = str(models.create("resnet20", (24, 24, 3), 10).summary((24, 24, 3), batch_size=8))
    assert table.partition("scratch ")[2].partition("B)")[2] == advice


@pytest.fixture
def group(tmp_path):
    """Write a control group's files below a folder that stands for /sys/fs/cgroup."""
    def write(name, **files):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (tmp_path / name / file.replace("__", ".")).write_text(f"{text}\n")

    return write


def left(tmp_path, *groups):
    """What the limits leave a process in these groups, as /proc/self/cgroup names them."""
    own = tmp_path / "own"
    own.write_text("".join(f"{line}\n" for line in groups))
    return sorted(memory._left_to_groups(tmp_path, own))


def test_memory_of_containers(tmp_path, group):
    group("a/b", memory__max="max", memory__current=7, memory__stat="anon 5\ninactive_file 2")
    assert left(tmp_path, "0::/a/b") == [], "no limit"
    group("a", memory__max=1000, memory__current=700, memory__stat="anon 9\ninactive_file 50")
    assert left(tmp_path, "0::/a/b") == [350], "what files hold gives way"
    group("a/b", memory__max=500, memory__current=400, memory__stat="inactive_file 0")
    assert left(tmp_path, "0::/a/b") == [100, 350]
    group("", memory__max=90, memory__current=20, memory__stat="inactive_file 0")
    assert left(tmp_path, "0::/elsewhere/x") == [70], "a container's own group is the root of what it sees"
    assert list(memory._left_to_groups(tmp_path, tmp_path / "no file")) == []


def test_memory_of_containers_of_the_first_version(tmp_path, group):
    group("memory/docker/x", memory__limit_in_bytes=1 << 40, memory__usage_in_bytes=1 << 39,
          memory__stat="cache 1\ninactive_file 8\ntotal_inactive_file 16")
    group("memory", memory__limit_in_bytes=4096, memory__usage_in_bytes=96, memory__stat="total_inactive_file 0")
    assert left(tmp_path, "5:cpu,cpuacct:/docker/x", "4:memory:/docker/x", "0::/") == [4000, (1 << 39) + 16]


def test_free_memory_is_the_least_of_all_limits(monkeypatch):
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=4096))
    monkeypatch.setattr(memory, "_left_to_groups", lambda root: [5000, 300])
    monkeypatch.setattr(memory, "_left_to_process", lambda: [400])
    assert memory.free_memory() == 300
    monkeypatch.setattr(memory, "_left_to_groups", lambda root: [-7])
    assert memory.free_memory() == 0

    def fail():
        raise OSError

    monkeypatch.setattr(memory.psutil, "virtual_memory", fail)
    assert memory.free_memory() is None


HUGE = """
import resource
import numpy as np
from fastcnn import functional, nn

resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
one = np.ones((1, 1, 1, 1), np.float32)
for bits in (40, 50, 58, 60, 62):
    H, W = 1 << (bits - 2) // 2, 1 << bits - 2 - (bits - 2) // 2
    around = ((0, H - 1), (0, W - 1))
    for call in (lambda: functional.global_avg_pool2d_backward(one[0, 0], (1, H, W, 1)),
                 lambda: functional.pad2d(one, around), lambda: functional.upsample2d(one, (H, W)),
                 lambda: functional.conv2d(one, one, padding=around), lambda: nn.Linear(H, W),
                 lambda: functional.relu(np.broadcast_to(np.float32(1), (1, H, W, 1)))):
        try:
            call()
            print("no error")
        except (MemoryError, ValueError) as error:
            print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to a limit of addresses")
def test_shapes_of_up_to_2_to_the_62_bytes_are_refused_with_the_bytes():
    done = subprocess.run([sys.executable, "-c", HUGE], capture_output=True, text=True, check=True, timeout=200)
    lines = done.stdout.splitlines()
    assert len(lines) == 30
    for line in lines:
        assert re.match(r"(MemoryError|ValueError|ShapeError) .*(\d+ bytes|[\d.]+ [TPE]iB)", line), line
