"""`fastcnn demo`: a page to draw on, served to browsers on this machine."""

from __future__ import annotations

import webbrowser
from argparse import Namespace

import numpy as np

from .. import training
from ..pages.predictor import Predictor
from ..pages.server import Server
from .output import Output
from .train import use_threads


def demo(arguments: Namespace, output: Output) -> int:
    """Serve the page until Ctrl-C."""
    predictor = Predictor(training.load(arguments.model))
    use_threads(arguments.threads)
    with Server(predictor, arguments.port) as server:
        with output.compiling():  # better now than at the first stroke
            predictor.of_image(np.zeros(predictor.shape, np.uint8))
        output.result({"model": arguments.model, "url": server.url}, server.url)
        output.note("Ctrl-C ends it")
        if not arguments.no_browser:
            _show(server.url)
        server.serve_forever()
    return 0


def _show(url: str) -> None:
    """Open a browser, where there is one that does not take the terminal."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if type(browser) is not webbrowser.GenericBrowser:
        browser.open(url)
