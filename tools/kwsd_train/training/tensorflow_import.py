"""TensorFlow takes long to load, and talks while it does: it is loaded in one place, when all else is checked."""

import importlib.util
import logging
import sys

from kwsd.model.runtime import quiet_stderr

_log = logging.getLogger("kwsd_train")


def check() -> None:
    """Whether it is there, without loading it. ModuleNotFoundError where it is not."""
    for name in ("tensorflow", "keras"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


def load() -> None:
    """Import TensorFlow and Keras, without their notes on the processor. ModuleNotFoundError where they are missing."""
    if "tensorflow" in sys.modules:
        return
    _log.info("Loading TensorFlow ...")
    with quiet_stderr():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
