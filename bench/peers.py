"""Libraries for inference beside PyTorch: each makes a call from a network of PyTorch's, on as many threads as that has."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from turns import Call, first_line


def calls(network: torch.nn.Module, x: np.ndarray) -> tuple[dict[str, Call], tuple[str, ...]]:
    """Make a call of each library for images `x` (N, H, W, C), and notes on what they lack and how they work."""
    images = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    made, notes = {}, []
    for name, peer in PEERS.items():
        if missing := peer.missing():
            notes.append(f"without {name}: {' and '.join(missing)} not installed")
            continue
        try:
            made[name] = peer.make(network, images)
        except Exception as error:
            notes.append(f"without {name}: {first_line(error)}")
            continue
        if peer.note:
            notes.append(f"{name}: {peer.note}")
    return made, tuple(notes)


def versions() -> dict[str, str | None]:
    """Return the version of each library, None where a package that it needs is not installed."""
    return {name: None if peer.missing() else importlib.metadata.version(peer.packages[0]) for name, peer in PEERS.items()}


def _runtime(network: torch.nn.Module, images: np.ndarray) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.force_spinning_stop", "1")  # between runs, where others have their turn
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
        path = Path(folder, "network.onnx")
        torch.onnx.export(network, (torch.from_numpy(images),), str(path), input_names=["x"], dynamo=False)
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": images})[0]


def _openvino(network: torch.nn.Module, images: np.ndarray) -> Call:
    import openvino

    count = torch.get_num_threads()
    model = openvino.convert_model(network, example_input=torch.from_numpy(images))
    model.reshape(list(images.shape))
    options = {"INFERENCE_NUM_THREADS": count, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32",
               "ENABLE_HYPER_THREADING": True}  # without it two threads of one core may become one
    compiled = openvino.Core().compile_model(model, "CPU", options)
    if (found := compiled.get_property("INFERENCE_NUM_THREADS")) != count:
        raise RuntimeError(f"it takes {found} threads where {count} are asked for")
    request = compiled.create_infer_request()
    return lambda: request.infer([images], share_inputs=True, share_outputs=True)[0]


def _ncnn(network: torch.nn.Module, images: np.ndarray) -> Call:
    import ncnn
    import pnnx

    net = ncnn.Net()
    net.opt.num_threads = torch.get_num_threads()
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    with tempfile.TemporaryDirectory() as folder:
        torch.jit.trace(network, torch.from_numpy(images[:1])).save(str(Path(folder, "network.pt")))
        shape = ",".join(map(str, images[:1].shape))
        subprocess.run([pnnx.EXEC_PATH, "network.pt", f"inputshape=[{shape}]", "fp16=0"], cwd=folder, check=True,
                       capture_output=True)
        if net.load_param(str(Path(folder, "network.ncnn.param"))) or net.load_model(str(Path(folder, "network.ncnn.bin"))):
            raise RuntimeError("it does not read what pnnx has written")
    return lambda: np.stack([_of_one_image(net, image) for image in images])


def _of_one_image(net: Any, image: np.ndarray) -> np.ndarray:
    import ncnn

    with net.create_extractor() as extractor:
        extractor.input("in0", ncnn.Mat(image))
        return np.array(extractor.extract("out0")[1])


class Peer(NamedTuple):
    """A library: its packages, what makes a call, whether the kind of CPU can be set, and what to know of its figures."""

    packages: tuple[str, ...]
    make: Callable[[torch.nn.Module, np.ndarray], Call]
    is_held: bool
    note: str = ""

    def missing(self) -> list[str]:
        """Return the packages that are not installed."""
        return [package for package in self.packages if importlib.util.find_spec(package) is None]


PEERS = {
    "ONNX Runtime": Peer(("onnxruntime", "onnx"), _runtime, is_held=False),
    "OpenVINO": Peer(("openvino",), _openvino, is_held=True),  # by the variable of oneDNN, which does its convolutions
    "ncnn": Peer(("ncnn", "pnnx"), _ncnn, is_held=False, note="a batch is done image by image"),
}
