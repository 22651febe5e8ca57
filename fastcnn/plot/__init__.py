"""Pictures, each written to a file: of a training run, of what a network has learned, of what it answers and why.

They are drawn by matplotlib, the extra `plot`, in the format that the file's name ends in, such as png, svg or
pdf. Only the drawing of an architecture needs nothing installed. MissingExtraError: matplotlib is not there;
OSError: the file cannot be written; ShapeError, DTypeError, ValueError: the arguments do not fit.
"""

from .answers import confusion_matrix, predictions
from .architecture import architecture, architecture_text
from .attention import grad_cam, saliency
from .history import curves
from .maps import channels, feature_maps, filters

__all__ = ["architecture", "architecture_text", "channels", "confusion_matrix", "curves", "feature_maps", "filters",
           "grad_cam", "predictions", "saliency"]
