"""The configuration: what a file may say, and what holds once all that was said is laid over each other."""

from kwsd.config.read import flag, load, read
from kwsd.config.settings import Settings

__all__ = ["Settings", "flag", "load", "read"]
