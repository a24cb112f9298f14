"""Models: a .tflite file and its description in, scores out."""

from kwsd.model.model import Model, bundled_names, load

__all__ = ["Model", "bundled_names", "load"]
