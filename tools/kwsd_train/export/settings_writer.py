"""Writes the recogniser's settings into a model's metadata; `kwsd.config.write` writes them into a configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kwsd.model import Model
from kwsd.whole_file import write_whole


def write_model(model: Model, target: Path, recognize: Mapping[str, Any]) -> None:
    """Writes ``model`` with these settings in its metadata to ``target``, possibly its own file. Raises ModelError."""
    from kwsd_train.export import metadata_writer

    metadata = {**model.metadata, "recognize": dict(recognize)}
    write_whole(target, metadata_writer.write(model.path.read_bytes(), metadata))
