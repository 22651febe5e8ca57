"""ONNX files: networks of fastcnn as graphs that other runtimes run, and graphs as networks to train. No dependency."""

from .export import export_onnx
from .importer import import_onnx

__all__ = ["export_onnx", "import_onnx"]
