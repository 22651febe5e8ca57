"""Pytest plugin (`-p tests.contexts`): which test runs which line, and how long each takes.

Coverage notes the test with each line, also on the workers of xdist. `--seconds FILE` writes the seconds of every test that
passed as JSON; `--at-most SECONDS` skips tests that compute for longer.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path

import coverage
import pytest


def pytest_addoption(parser):
    parser.addoption("--seconds", type=Path)
    parser.addoption("--at-most", type=float, default=0.0)


def pytest_configure(config):
    if config.getoption("seconds") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Seconds(config.getoption("seconds")))


class _Seconds:
    def __init__(self, path):
        self.path, self.seconds, self.failed = path, {}, set()

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if not report.passed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self):
        passed = {test: round(seconds, 4) for test, seconds in self.seconds.items() if test not in self.failed}
        self.path.write_text(json.dumps(passed))


def _too_long(number, frame):
    pytest.skip("longer than --at-most")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    running = coverage.Coverage.current()
    if running is not None:
        running.switch_context(item.nodeid)
    try:
        return (yield)
    finally:
        if running is not None:
            running.switch_context("")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    seconds = item.config.getoption("at_most")
    if not seconds:
        return (yield)
    before = signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
