"""Write a model only if it runs: under a temporary name, tried, then renamed."""

from pathlib import Path

from kwsd import model as models
from kwsd.whole_file import write_whole


def write_tried(path: Path, content: bytes) -> None:
    """Write a .tflite file that `kwsd.model.load` takes; readers of ``path`` see either the old one or the new one.

    Raises:
        ModelError: the model does not run; nothing was changed.
        OutputError: the file cannot be written.
    """
    write_whole(path, content, accept=models.load)
