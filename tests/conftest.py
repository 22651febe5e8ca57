"""What every test begins with."""

import signal

import pytest

import fastcnn

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it for what a script starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def seed():
    """Weights that are drawn are the same whatever ran before: some would lie near the kinks of a gradient."""
    fastcnn.manual_seed(0)
