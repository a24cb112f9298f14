"""tflite-runtime lives in an environment of its own, with numpy 1: $KWSD_TFLITE_PYTHON is its interpreter."""

import os
import subprocess
from pathlib import Path

import numpy as np

PYTHON = os.environ.get("KWSD_TFLITE_PYTHON")
MISSING = "KWSD_TFLITE_PYTHON does not name a Python that has tflite-runtime"

_SCRIPT = """
import sys, numpy as np
from kwsd.model import load
model = load(sys.argv[1], backend="tflite-runtime")
np.save(sys.argv[3], [model.scores(features) for features in np.load(sys.argv[2])])
"""


def scores(model: Path, inputs: np.ndarray, folder: Path) -> np.ndarray:
    """What a model says there of inputs, shape (n, ...): (n, labels). Files are left in ``folder``."""
    given, said = folder / "inputs.npy", folder / "scores.npy"
    np.save(given, inputs)
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [str(PYTHON), "-c", _SCRIPT, model, given, said], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return np.load(said)
