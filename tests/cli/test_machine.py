"""The machine and the kernels: doctor, warmup, verify, bench."""

import re
import sys

from numba import njit

from fastcnn import doctor, extras
from fastcnn.cli import main
from fastcnn.warmup import compiling
from tests.cli.setting import lines


def test_doctor(capsys, tmp_path):
    assert main(["doctor", "--data-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for subject in ("versions", "CPU", "threads", "layer", "cache", "memory", "data", "extras"):
        assert re.search(rf"^{subject} ", out, re.MULTILINE)
    assert "mnist, fashion-mnist, cifar10, cifar100: downloaded to there on first use" in out
    assert lines(out)[-1] == "all is well"


def test_doctor_names_what_is_broken_and_the_fix(monkeypatch, capsys):
    monkeypatch.setattr(doctor.cache, "is_private", lambda: False)
    monkeypatch.setattr(doctor.threads, "quota", lambda: 1.5)
    monkeypatch.setattr(extras, "is_installed", lambda name: name != "plot")
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "BROKEN: " in out
    assert "FASTCNN_CACHE" in out
    assert "container quota of 1.5 CPUs" in out
    assert "pip install 'fastcnn[plot]'" in out
    assert lines(out)[-1] == "1 to repair"


def test_doctor_explains_the_threading_layer(monkeypatch):
    monkeypatch.setattr(doctor.threads, "layer", lambda: "workqueue")
    finding = next(finding for finding in doctor.examine() if finding.subject == "layer")
    assert "one Python thread at a time" in finding.text
    monkeypatch.setattr(doctor.numba, "get_num_threads", lambda: (_ for _ in ()).throw(ValueError("No threading layer")))
    finding = next(finding for finding in doctor.examine() if finding.subject == "layer")
    assert finding.broken
    assert "NUMBA_THREADING_LAYER" in finding.fix


def test_warmup(capsys):
    assert main(["warmup", "strided_cnn"]) == 0
    assert main(["warmup", "strided_cnn"]) == 0
    printed = capsys.readouterr()
    assert lines(printed.out)[-1] == "nothing to compile: the kernels of strided_cnn were ready"


def test_compilation_is_announced_in_plain_lines(capsys):
    inner = njit(lambda x: x + 1)
    outer = njit(lambda x: inner(x) + 1)
    with compiling() as compilation:
        assert outer(1) == 3
    assert compilation.kernels == 1
    begun, done = lines(capsys.readouterr().err)
    assert begun == "compiling kernels, once on this machine, for a minute or so ..."
    assert re.fullmatch(r"compiled 1 kernel in \d+\.\d s", done)


def test_compilation_is_announced_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with compiling():
        njit(lambda x: x + 2)(1)
    shown = capsys.readouterr().err
    assert "\r\x1b[2Kcompiling kernels, once on this machine: 1, <lambda> (0 s)" in shown
    assert shown.endswith(" s\n")


def test_nothing_is_announced_where_nothing_is_compiled(capsys):
    with compiling():
        pass
    assert capsys.readouterr().err == ""


def test_verify(capsys):
    assert main(["verify", "linear"]) == 0
    assert re.fullmatch(r"\d+ checks passed, 0 failed, \d+ rows, \d+ s", lines(capsys.readouterr().out)[-1])
