"""A model with a word of its own, for tests of several models together."""

from pathlib import Path

from kwsd.model import load
from kwsd.model.metadata import ENTRY
from kwsd.model.tflite.graph import read
from kwsd.model.tflite.rewrite import rewrite


def zap_model(folder: Path) -> Path:
    """A copy of tiny that calls "stop" "zap", and itself kwsd-zap; ``zap.tflite`` in the folder."""
    data = load("tiny").path.read_bytes()
    told = bytes(read(data).metadata[ENTRY]).replace(b'"stop"', b'"zap"').replace(b"kwsd-tiny", b"kwsd-zap")
    path = folder / "zap.tflite"
    path.write_bytes(rewrite(data, buffers={}, tensors={}, entries={ENTRY: told}))
    return path
