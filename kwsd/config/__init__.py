"""The configuration: the keys of a file, and the settings in effect once all layers are combined."""

from kwsd.config.read import flag, load, read
from kwsd.config.settings import Settings

__all__ = ["Settings", "flag", "load", "read"]
