"""kwsd: a daemon that hears its words."""

__version__ = "0.1.0"
