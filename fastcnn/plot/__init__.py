"""Pictures of a training run, of what a network has learned, of what it answers and why.

All take their data first, then `path`, then options by name. With a path the picture is written to that file, in the format
that its name ends in, such as png, svg or pdf, and None is returned; without one, a matplotlib Figure that notebooks show
and pyplot does not know of. `architecture` needs nothing installed and gives the text of an SVG file; the others need the
extra `plot`. MissingExtraError: matplotlib is not there; OSError: the file cannot be written; ShapeError, DTypeError,
ValueError: the arguments do not fit.
"""

from .answers import confusion_matrix, predictions
from .architecture import architecture, architecture_text
from .attention import grad_cam, saliency
from .history import curves
from .ladder import ladder
from .maps import channels, feature_maps, filters

__all__ = ["architecture", "architecture_text", "channels", "confusion_matrix", "curves", "feature_maps", "filters",
           "grad_cam", "ladder", "predictions", "saliency"]
