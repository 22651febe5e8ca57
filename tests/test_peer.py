"""The table beside other libraries: each row is there when it is done, whatever ends the table."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture
def peer(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "bench"))
    import peer

    def contests(fits):
        return [turns.Contest(name, print, {"numpy": print}, 1e9, print, kind="direct")
                for name in ("one", "two", "differs", "three") if fits(name)]

    turns = sys.modules["turns"]
    monkeypatch.setitem(sys.modules, "layers", SimpleNamespace(layers=contests))
    yield peer
    for name in ("peer", "turns"):
        del sys.modules[name]


def test_each_row_is_said_when_it_is_done_and_totals_when_interrupted(peer, monkeypatch, capsys):
    said, seen, results = [], [], []

    def compete(contest, seconds):
        seen.append((contest.name, len(said)))
        if contest.name == "differs":
            raise peer.MismatchError("differs: by much")
        if contest.name == "three":
            raise KeyboardInterrupt
        return peer.Result(contest, 0.5, "numpy", 1.0, 2.0)

    monkeypatch.setattr(peer, "compete", compete)
    with pytest.raises(KeyboardInterrupt):
        peer._run("layers", "", None, 1e10, said.append, results)
    assert seen == [("one", 0), ("two", 2), ("differs", 3), ("three", 3)]
    head, first, second, totals = said
    title, ruler = head.splitlines()[-2:]
    assert {len(line) for line in (title, ruler, first, second)} == {len(title)} and title.split("|")[1].strip() == "what"
    assert first.split("|")[1].strip() == "one" and "2.00" in first
    assert "geometric mean of 2 ratios: 2.00" in totals
    assert "differs: by much" in capsys.readouterr().err
    assert [result.contest.name for result in results] == ["one", "two"]
