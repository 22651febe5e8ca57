"""Threads of Python on one model and on one set of weights: the same bits as one after the other."""

import copy
import io
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import fastcnn
from fastcnn import functional, manual_seed, models, nn, optim
from fastcnn.kernels.jit import notice
from tests import stress


@pytest.fixture(autouse=True)
def hasty_switches():
    """Let Python's threads take turns after ten microseconds in place of five milliseconds."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def network():
    """Of all that a model in training writes: statistics, masks, what backward needs, steps that run as one."""
    manual_seed(0)
    body = nn.Sequential(nn.Conv2D(6, 6, 3, padding=1), nn.BatchNorm(6), nn.Dropout(0.3))
    return nn.Sequential(nn.Conv2D(3, 6, 3, padding=1), nn.BatchNorm(6), nn.ReLU(), nn.Residual(body), nn.ReLU(),
                         nn.MaxPool2D(2), nn.Concat(nn.Conv2D(6, 4, 1), nn.Identity()), nn.Dropout2D(0.2), nn.Flatten(),
                         nn.Linear(160, 5))


def trained_for_a_step(model, x=None):
    """The model in training mode, with statistics that differ from those of its last batch."""
    x = numbers(8, 8, 8, 3, seed=1) if x is None else x
    model.train()
    model.backward(numbers(*model.forward(x).shape, seed=2))
    return model


def state(model):
    """All that a model holds, also in lists and in the steps that run as one, by where it lies."""
    found, seen = {}, set()

    def note(place, value):
        if isinstance(value, np.ndarray):
            found[place] = value.dtype.str, value.shape, hash(value.tobytes())
        elif isinstance(value, (nn.Module, nn.Parameter)):
            found[place] = id(value)
            if id(value) not in seen:
                seen.add(id(value))
                slots = {name: getattr(value, name) for name in ("name", "data", "grad")} if isinstance(
                    value, nn.Parameter) else vars(value)
                for name, part in slots.items():
                    note(f"{place}.{name}", part)
        elif isinstance(value, (list, tuple)):
            found[place] = len(value)
            for index, part in enumerate(value):
                note(f"{place}[{index}]", part)
        else:
            found[place] = repr(value)

    note("model", model)
    return found


@pytest.mark.parametrize("name", models.names())
def test_evaluation_writes_nothing_to_a_model_in_training(name):
    shape = (32, 32, 3)
    model = models.create(name, shape, 5)
    before = state(model)
    images, labels = numbers(4, *shape), np.arange(4) % 5
    fastcnn.predict(model, images)
    fastcnn.evaluate(model, (images, labels))
    fastcnn.predict(model[0], images)
    assert state(model) == before


def test_evaluation_writes_nothing_between_forward_and_backward():
    model, x = trained_for_a_step(network()), numbers(8, 8, 8, 3)
    model.forward(x)
    before = state(model)
    fastcnn.predict(model, numbers(3, 8, 8, 3))
    fastcnn.evaluate(model, (x, np.arange(8) % 5))
    model.summary((8, 8, 3), batch_size=4)
    model.profile(x, repeats=1)
    assert state(model) == before


def test_an_inference_block_leaves_what_backward_needs():
    model, x, dy = network(), numbers(8, 8, 8, 3), numbers(8, 5, seed=1)
    apart = copy.deepcopy(model)
    apart.forward(x)
    wanted = apart.backward(dy)
    model.forward(x)
    used = copy.deepcopy(model).eval()
    with nn.inference():
        used.forward(numbers(2, 8, 8, 3))
        fastcnn.predict(model, numbers(2, 8, 8, 3))
    np.testing.assert_array_equal(model.backward(dy), wanted)


def test_a_layer_of_the_user_sees_that_it_is_in_use():
    class Noisy(nn.Module):
        def forward(self, x):
            seen.append(self.training)
            return x + self.training

    seen = []
    model = nn.Sequential(nn.Flatten(), Noisy()).train()
    fastcnn.predict(model, numbers(2, 1, 1, 3))
    model.forward(numbers(2, 1, 1, 3))
    model.eval().forward(numbers(2, 1, 1, 3))
    assert seen[-2:] == [True, False] and not any(seen[:-2])
    assert model.training is False and model.train()[1].training is True


def test_dropout_put_in_training_by_hand_draws_in_forward_and_not_in_predict():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5)).eval()
    x = numbers(2, 4, 4, 3)
    model[1].train()
    draws = [model.forward(x) for _ in range(2)]
    assert not np.array_equal(*draws)
    with nn.inference():
        assert not np.array_equal(model.forward(x), x.reshape(2, -1))
    step = model[1].step
    np.testing.assert_array_equal(fastcnn.predict(model, x), functional.softmax(x.reshape(2, -1)))
    assert model[1].step == step and model[1].training


@pytest.mark.parametrize("normalise", [False, True])
def test_answers_of_threads_on_one_model_in_training(normalise):
    model = trained_for_a_step(network())
    images, labels = numbers(6, 8, 8, 3, seed=3), np.arange(6) % 5
    if normalise:
        model.normalisation = nn.Normalisation(np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32))
        images = np.random.default_rng(3).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    wanted = fastcnn.predict(model, images), fastcnn.evaluate(model, (images, labels))
    before = state(model)

    def answer(number):
        if number % 2:
            return np.array_equal(fastcnn.predict(model, images), wanted[0])
        return fastcnn.evaluate(model, (images, labels)) == wanted[1]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(answer, range(400))) == [True] * 400
    assert state(model) == before


@pytest.fixture
def evaluators():
    """Start threads that do something over and over until the test ends; what they raise is raised there."""
    stop, running = threading.Event(), []

    def start(work):
        def loop():
            while not stop.is_set():
                work()

        running.append(pool.submit(loop))

    with ThreadPoolExecutor(4) as pool:
        yield start
        stop.set()
    for one in running:
        one.result()


def test_forward_and_backward_while_other_threads_evaluate_the_model(evaluators):
    model, x, images = network(), numbers(8, 8, 8, 3), numbers(3, 8, 8, 3, seed=4)
    apart = copy.deepcopy(model)

    def steps(trained):
        for number in range(60):
            dx = trained.backward(trained.forward(x) + number)
        return [dx, *trained.state_dict().values(), *(parameter.grad for parameter in trained.parameters())]

    wanted = steps(apart)
    evaluators(lambda: fastcnn.predict(model, images))
    evaluators(lambda: fastcnn.evaluate(model, (images, np.arange(3))))
    evaluators(lambda: model.summary((8, 8, 3)))
    for one, other in zip(steps(model), wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_fit_gives_the_same_bits_while_other_threads_evaluate_the_model(evaluators):
    train, test = (numbers(60, 8, 8, 3), np.arange(60) % 5), (numbers(10, 8, 8, 3, seed=5), np.arange(10) % 5)
    loss = nn.CrossEntropyLoss()

    def fit(model):
        history = fastcnn.fit(model, train, validation=test, loss=loss, optimizer=optim.Adam(model.parameters()), epochs=5,
                              batch_size=20, progress=False)
        return [record["test_loss"] for record in history], model.state_dict()

    wanted, weights = fit(network())
    model = network()
    evaluators(lambda: fastcnn.predict(model, test[0]))
    evaluators(lambda: fastcnn.evaluate(model, test, loss=loss))
    losses, after = fit(model)
    assert losses == wanted
    for name, tensor in weights.items():
        np.testing.assert_array_equal(after[name], tensor)
    assert all(module.training for _, module in model.named_modules())


def test_a_model_is_in_one_fit_at_a_time():
    model, other = network(), network()
    train = numbers(8, 8, 8, 3), np.arange(8) % 5
    raised = []

    class Another(fastcnn.training.Callback):
        def __init__(self, inner):
            self.inner = inner

        def on_batch_end(self, run):
            def fit():
                try:
                    fastcnn.fit(self.inner, train, epochs=1, progress=False)
                except RuntimeError as error:
                    raised.append(str(error))

            thread = threading.Thread(target=fit)
            thread.start()
            thread.join(60)
            assert not thread.is_alive()

    def fit(inner):
        return fastcnn.fit(model, train, epochs=1, progress=False, callbacks=[Another(inner)])

    fit(other)
    assert raised == []
    part = nn.Sequential(model[0], nn.Flatten(), nn.Linear(6 * 8 * 8, 5))
    fit(model)
    fit(part)
    assert len(raised) == 2 and all("in training" in message for message in raised)
    fastcnn.fit(part, train, epochs=1, progress=False)


def test_threads_that_meet_at_the_first_input_of_a_model_make_its_parameters_once():
    for number in range(20):
        model = nn.Sequential(nn.Conv2D(None, 4, 3), nn.BatchNorm(None), nn.PReLU(None), nn.Flatten(), nn.Linear(None, 3))
        gate, x = threading.Barrier(4), numbers(2, 6, 6, 3, seed=number)

        def answer(_, model=model, gate=gate, x=x):
            gate.wait(30)
            return fastcnn.predict(model, x)

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(answer, range(4)))
        np.testing.assert_array_equal(answers, [fastcnn.predict(model, x)] * 4)
        assert not any("forward" in vars(module) for _, module in model.named_modules())


# Processes of their own, with another threading layer each

HOUSE = Path(__file__).parents[1]


def run(module, *arguments, **environment):
    """Run a module of the tests in a new process; it fails where it takes minutes."""
    return subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False, cwd=HOUSE,
                          env=os.environ | environment, timeout=300)


@pytest.mark.parametrize("layer", stress.LAYERS)
def test_bits_of_threads_that_use_shared_weights(layer):
    done = run("tests.stress", "--threads=6", "--rounds=20", f"--layers={layer}")
    assert f"{layer}: 6 threads, 120 calls, 0 with other bits than serial" in done.stdout and done.returncode == 0


FORKS = ("os.fork", "os.fork in a thread", "os.fork while threads compute", "fork")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize(("layer", "more"), [("tbb", ("spawn", "concurrent.futures")), ("omp", ("forkserver", "joblib")),
                                             ("workqueue", ())])
def test_child_processes_give_the_same_bits_or_one_clear_error(layer, more):
    ways = (*FORKS, *more)
    done = run("tests.children", *ways, NUMBA_THREADING_LAYER=layer)
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)  # TBB's own words have none
    assert said.pop("os.fork before use") == "the same bits", done.stderr
    said = {way: answer for way, answer in said.items() if answer != "joblib is not installed"}
    wanted = {way: "ForkSafetyError" if layer == "omp" and way in FORKS else "the same bits" for way in ways if way in said}
    assert said == wanted and set(ways) - set(said) <= {"joblib"}


# Compiling

COMPILE = """
import signal, sys, threading
import numpy as np
import fastcnn
from fastcnn import functional

def interrupt():
    signal.raise_signal(signal.SIGINT)

fastcnn.set_num_threads(2)
x = np.ones(1_000_000, np.float32)
if "interrupted" in sys.argv:
    for after in (0.05, 0.3, 0.7):
        clock = threading.Timer(after, interrupt)
        try:
            clock.start()
            functional.relu(x)
            clock.join()
        except KeyboardInterrupt:
            pass
        clock.join()
gate, answers = threading.Barrier(4), []

def work():
    gate.wait(60)
    answers.append(bool((functional.relu(x) == 1).all() and (functional.add(x, x) == 2).all()))

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(answers)
"""


def test_threads_and_processes_that_compile_at_once_into_an_empty_cache(tmp_path):
    environment = os.environ | {"FASTCNN_CACHE": str(tmp_path)}
    ways = (), (), ("interrupted",)
    running = [subprocess.Popen([sys.executable, "-c", COMPILE, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env=environment) for more in ways]
    for one, way in zip(running, ways, strict=True):
        out, err = one.communicate(timeout=300)
        assert out.strip() == "[True, True, True, True]", err
        assert way or not err  # Python reports an interruption that falls into a finalizer, and goes on


class Terminal(io.StringIO):
    def isatty(self):
        return True


def compiled(seconds, monkeypatch, stderr):
    """What is said while one kernel is compiled after the other, each of which compiles one more inside."""
    now = [0.0]
    monkeypatch.setattr(notice.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", stderr)
    listener = notice.Notice()
    for one in seconds:
        listener.on_start(None)
        now[0] += one
        listener.on_start(None)
        listener.on_end(None)
        listener.on_end(None)
    return None if stderr is None or stderr.closed else stderr.getvalue().count("compiling kernels")


def test_long_compilation_is_said_once_where_a_person_reads(monkeypatch):
    monkeypatch.delenv("FASTCNN_QUIET", raising=False)
    assert compiled([0.3] * 3, monkeypatch, Terminal()) == 0
    assert compiled([0.3] * 9, monkeypatch, Terminal()) == 1
    assert compiled([1.5], monkeypatch, Terminal()) == 1, "not only with the next kernel"
    assert compiled([2.0] * 3, monkeypatch, io.StringIO()) == 0, "a file"
    notebook = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})
    assert compiled([2.0] * 3, monkeypatch, notebook()) == 1
    closed = Terminal()
    closed.close()
    assert compiled([2.0], monkeypatch, closed) is None and compiled([2.0], monkeypatch, None) is None
    monkeypatch.setenv("FASTCNN_QUIET", "1")
    assert compiled([2.0] * 3, monkeypatch, Terminal()) == 0
