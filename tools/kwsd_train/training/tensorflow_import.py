"""TensorFlow is slow to load, and prints messages: it is loaded in one place, after all other checks."""

import importlib.util
import logging
import sys

from kwsd.model.runtime import quiet_stderr

_log = logging.getLogger("kwsd_train")


def check() -> None:
    """ModuleNotFoundError if it is missing; does not load it."""
    for name in ("tensorflow", "keras"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


def load() -> None:
    """Import TensorFlow and Keras, without their notes on the processor. ModuleNotFoundError if they are missing."""
    if "tensorflow" in sys.modules:
        return
    _log.info("Loading TensorFlow ...")
    with quiet_stderr():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
