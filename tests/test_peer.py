"""The table beside other libraries: what its figures are, and each row is there when it is done, whatever ends the table."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fastcnn.kernels.jit import recording
from fastcnn.reference import conv2d, conv2d_backward
from fastcnn.training import passes
from tests import bench_modules


@pytest.fixture
def peer():
    with bench_modules.imported("peer") as module:
        yield module


@pytest.fixture
def turns(peer, monkeypatch):
    module = sys.modules["turns"]
    for name in ("PAUSE", "WAKE"):
        monkeypatch.setattr(module, name, 0)
    monkeypatch.setattr(module, "SAMPLE", 1e-6)
    return module


def contest(turns, name, peers=("numpy",), **options):
    values = {"work": 1e9, "flops": 1e9, "view": np.asarray, "kind": "direct"} | options
    return turns.Contest(name, lambda: np.ones(3), {peer: lambda: np.ones(3) for peer in peers}, **values)


def test_each_row_is_said_when_it_is_done_and_totals_when_interrupted(peer, turns, monkeypatch, capsys):
    said, seen, results = [], [], []

    def compete(contest, seconds, multiplying):
        seen.append((contest.name, len(said)))
        if contest.name == "differs":
            raise peer.MismatchError("differs: by much")
        if contest.name == "three":
            raise KeyboardInterrupt
        return peer.Result(contest, 0.5, (turns.Peer("numpy", 1.0, 2.0),), 1e10)

    names = ("one", "two", "differs", "three")
    contests = lambda fits: (contest(turns, name) for name in names if fits(name))  # noqa: E731
    monkeypatch.setitem(sys.modules, "layers", SimpleNamespace(layers=contests))
    monkeypatch.setattr(peer, "compete", compete)
    with pytest.raises(KeyboardInterrupt):
        peer._run("layers", "", 1.0, said.append, results)
    assert seen == [("one", 0), ("two", 2), ("differs", 3), ("three", 3)]
    head, first, second, totals = said
    title, ruler = head.splitlines()[-2:]
    assert {len(line) for line in (title, ruler, first, second)} == {len(title)} and title.split("|")[1].strip() == "what"
    cells = dict(zip(map(str.strip, title.split("|")), map(str.strip, first.split("|")), strict=True))
    assert (cells["what"], cells["ratio"], cells["of peak"], cells["peer of peak"]) == ("one", "2.00", "20%", "10%")
    assert "geometric mean of 2 ratios to the fastest peer: 2.00" in totals
    assert "differs: by much" in capsys.readouterr().err
    assert [result.contest.name for result in results] == ["one", "two"]


def test_the_fastest_way_of_each_library_counts_and_the_fastest_of_all_comes_first(peer, turns):
    ways = (turns.Peer("A, slow", 4.0, 8.0), turns.Peer("B", 3.0, 6.0), turns.Peer("A, fast", 2.0, 4.0))
    result = turns.Result(contest(turns, "one", work=6), 0.5, ways, 2e10)
    assert [way.name for way in result.best()] == ["A, fast", "B"] and result.ratio == 4
    first, second = peer.lines(result, "images/s")
    assert "one" in first and "| A, fast" in first and " 4.00 " in first
    assert "one" not in second and "| B " in second and " 6.00 " in second and len(first) == len(second)
    assert list(peer.totals([result])) == [
        "geometric mean of 1 ratios to the fastest peer: 4.00", "behind: 0", "geometric mean of 1 ratios to A: 4.00",
        "geometric mean of 1 ratios to B: 6.00"]
    figures = json.loads(json.dumps(peer._figures(result)))
    assert figures["share"] == 0.1 and figures["peer"] == "A, fast" and figures["ratio"] == 4 and figures["flops"] == 1e9
    assert [way["share"] for way in figures["peers"]] == [1e9 / 2e10 / way.seconds for way in ways]


def test_results_are_compared_before_anything_is_timed(turns):
    cases = {r"our shape is \(3,\), that of A is \(4,\)": np.ones(4), "differ by 1.0e-03": np.full(3, 1.001),
             "differ by nan": np.full(3, np.nan)}
    for message, wrong in cases.items():
        given = contest(turns, "one", peers=())
        given.peers["A"] = lambda wrong=wrong: wrong
        with pytest.raises(turns.MismatchError, match=message):
            turns.compete(given, 0.0, (1, pytest.fail))


def test_ours_the_peak_and_the_peers_take_turns(turns):
    called = []
    given = turns.Contest("one", lambda: called.append("ours") or np.ones(3),
                          {"A": lambda: called.append("A") or np.ones(3)}, 1, 1, np.asarray)
    result = turns.compete(given, 0.0, (10, lambda: called.append("peak")))
    assert "".join(name[0] for name in called).endswith("ooppAA" * turns.LEAST), "one call untimed, one timed"
    assert result.seconds > 0 and result.peak > 0 and [way.name for way in result.peers] == ["A"]


def test_rows_compute_what_they_say():
    with bench_modules.imported("rows") as rows:
        titles = [row.title for table in rows.ROWS.values() for row in table]
        assert len(titles) == len(set(titles))
        shape = rows.Shape("tiny", 2, 4, 5, 3, 4, 3, stride=2, padding=1)
        found, row = {}, None
        for direction in rows.DIRECTIONS:
            row = rows.Convolution(shape, direction)
            with row.call(*row.inputs()) as call:
                found[direction] = call()
        x, weight, dy = row.inputs()
        dx, dweight, _ = conv2d_backward(dy, x, weight, **row.geometry)
        for direction, expected in {"forward": conv2d(x, weight, **row.geometry), "backward input": dx,
                                    "backward weight": dweight}.items():
            np.testing.assert_allclose(found[direction], expected, rtol=1e-4, atol=1e-5)
        assert row.flops == row.work == 2 * (2 * 2 * 3 * 4) * (3 * 3 * 3)


def test_operations_of_networks_are_those_of_a_direct_computation():
    layers = [28 * 28 * 6 * 25, 10 * 10 * 16 * 6 * 25, 400 * 120, 120 * 84, 84 * 10]  # of LeNet-5, first the padded one
    with bench_modules.imported("rows") as rows:
        assert rows.Inference("lenet5", (3, 28, 28, 1)).flops == 3 * 2 * sum(layers)
        assert rows.Step("lenet5", (3, 28, 28, 1)).flops == 3 * 2 * (3 * sum(layers) - layers[0]), "images need no gradient"


def test_operations_of_a_step_leave_out_filters_that_are_not_trained():
    layers = [31 * 31 * 24 * 3 * 4,
              31 * 31 * 24 * 64 * 9, 15 * 15 * 64 * 64 * 9, 15 * 15 * 64 * 256 * 9, 7 * 7 * 256 * 256 * 9,
              7 * 7 * 256 * 256 * 9, 3 * 3 * 256 * 256 * 9, 256 * 10]
    with bench_modules.imported("rows") as rows:
        assert rows.Step("airbench94", (5, 32, 32, 3)).flops == 5 * 2 * (3 * sum(layers) - 2 * layers[0])


def test_a_step_of_airbench94_gives_the_gradients_of_its_twin(peer):
    torch = pytest.importorskip("torch")
    import networks
    import rows

    row = rows.Step("airbench94", (4, 32, 32, 3))
    model, x = row.inputs()
    filters = model[0].weight.data.copy()
    network = networks.twin(model, x.shape).train()
    step = networks._peer_step(row.labels(), network, torch.from_numpy(x).permute(0, 3, 1, 2))
    with row.call(model, x) as ours:
        np.testing.assert_allclose(ours(), step().item(), rtol=1e-5)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter, other in zip(model.parameters(), trained, strict=True):
        expected = other.grad.numpy()
        expected = expected.transpose(2, 3, 1, 0) if expected.ndim == 4 else expected.T
        np.testing.assert_allclose(parameter.grad, expected, rtol=0, atol=1e-3 * abs(expected).max())
    np.testing.assert_array_equal(model[0].weight.data, filters)


def test_steps_that_are_timed_are_replays_where_fit_has_them(monkeypatch):
    counted, replay = [], recording.Recording.replay
    monkeypatch.setattr(recording.Recording, "replay", lambda self: counted.append(self) or replay(self))
    losses = []
    with bench_modules.imported("rows") as rows:
        row = rows.Step("strided_cnn", (4, 8, 8, 1))
        for module in passes, None:  # None: a commit without
            monkeypatch.setitem(sys.modules, "fastcnn.training.passes", module)
            with row.call(*row.inputs()) as step:
                losses.append([step() for _ in range(4)])
    assert losses[0] == losses[1] and len(counted) == 2 * 2, "forward and backward of the third and the fourth"


def test_what_is_not_installed_is_named(peer, monkeypatch):
    pytest.importorskip("torch")
    import peers

    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    made, notes = peers.calls(None, np.zeros((1, 4, 4, 1), np.float32))
    assert made == {} and notes == ("without ONNX Runtime: onnxruntime and onnx not installed",
                                    "without OpenVINO: openvino not installed", "without ncnn: ncnn and pnnx not installed")
    assert peers.versions() == dict.fromkeys(peers.PEERS)
    head = peer._head(1e11, {"PyTorch": "2", **peers.versions()}, is_held=True)
    assert "PyTorch 2, ONNX Runtime (not installed)" in head and head.endswith("on their own: ONNX Runtime, ncnn.")
    assert "Not held" not in peer._head(1e11, {"PyTorch": "2"}, is_held=False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of tracing, in PyTorch
@pytest.mark.parametrize("name", ["ONNX Runtime", "OpenVINO", "ncnn"])
def test_a_library_computes_the_same_network(peer, monkeypatch, name):
    torch = pytest.importorskip("torch")
    import networks
    import peers
    import rows

    if missing := peers.PEERS[name].missing():
        pytest.skip(f"{' and '.join(missing)} not installed")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # others would wait for each other on a busy machine
    model, x = rows.Inference("lenet5", (2, 28, 28, 1)).inputs()
    network = networks.twin(model, x.shape).eval()
    call = peers.PEERS[name].make(network, np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    with torch.no_grad():
        expected = network(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()
    for _ in range(2):
        np.testing.assert_allclose(call(), expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_a_library_that_fails_leaves_a_note(peer, monkeypatch):
    pytest.importorskip("torch")
    import peers

    def make(network, images):
        raise RuntimeError("no such operation\nat length")

    broken = peers.Peer(("numpy",), make, is_held=False)
    monkeypatch.setattr(peers, "PEERS", {"Broken": broken})
    assert peers.calls(None, np.zeros((1, 4, 4, 1), np.float32)) == ({}, ("without Broken: no such operation",))


@pytest.mark.parametrize(("words", "message"), [
    (["--threads", "0"], "--threads is 0, expected 1 to"), (["nonsense"], "invalid choice: 'nonsense'"),
    (["--pairs", "2"], "--pairs is 2, expected 1 to 100, with --against"),
    (["--against", "HEAD", "--pairs", "0"], "--pairs is 0, expected 1 to 100"),
    (["--against", "no such commit"], "--against is 'no such commit', expected a commit")])
def test_arguments_are_checked(peer, monkeypatch, capsys, words, message):
    monkeypatch.setattr(sys, "argv", ["peer.py", *words])
    with pytest.raises(SystemExit) as ended:
        peer.main()
    assert ended.value.code == 2 and message in capsys.readouterr().err


def test_the_conditions_of_a_run_are_on_record(peer):
    found = json.loads(json.dumps(peer.record.conditions(2e11)))
    assert found["peak"] == 2e11 and found["threads"] >= 1 and found["kind"] == peer.KIND.name
    assert {"fastcnn", "commit", "cpu", "machine"} < found.keys()
    assert {"Python", "numba", "numpy"} == found["versions"].keys()
