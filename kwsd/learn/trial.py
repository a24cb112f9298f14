"""Write a model only if it runs: under a temporary name, tried, then renamed."""

import contextlib
import os
from pathlib import Path

from kwsd import model as models
from kwsd.errors import OutputError


def write_tried(path: Path, content: bytes) -> None:
    """Write a .tflite file that `kwsd.model.load` takes; readers of ``path`` see either the old one or the new one.

    Raises:
        ModelError: the model does not run; nothing was changed.
        OutputError: the file cannot be written.
    """
    trial = path.with_name(f".{path.stem}.{os.getpid()}.tflite")
    try:
        trial.write_bytes(content)
        models.load(trial)
        trial.replace(path)
    except OSError as error:
        why = f"cannot be written: {error.strerror or error}"
        raise OutputError(str(path), why, "Make room, or name another --output.") from error
    finally:
        with contextlib.suppress(OSError):  # renamed, or never created
            trial.unlink()
