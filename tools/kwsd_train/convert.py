"""``python -m kwsd_train.convert``: a SavedModel to TFLite, in a process of its own, as the converter can crash."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from kwsd.errors import KwsdError

QUANTIZE = ("none", "float16", "dynamic", "int8")


def convert(saved_model: Path, quantize: str, representative: Any) -> bytes:
    """The .tflite bytes of a SavedModel with one input.

    Args:
        quantize: one of QUANTIZE.
        representative: features (n, frames, width) that show the ranges of all tensors; used for int8.
    """
    with tempfile.TemporaryDirectory() as folder:
        shown, result = Path(folder) / "representative.npy", Path(folder) / "model.tflite"
        np.save(shown, representative)
        command = [sys.executable, "-m", "kwsd_train.convert", str(saved_model), quantize, str(shown), str(result)]
        search_path = os.pathsep.join(path for path in sys.path if path)
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": search_path}
        )
        if done.returncode or not result.exists():
            told = done.stderr.strip().splitlines() or ["it said nothing"]
            raise KwsdError("TFLite's converter", f"ended with {done.returncode}: {told[-1]}")
        return result.read_bytes()


def _main(saved_model: str, quantize: str, representative: str, result: str) -> None:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        features = np.load(representative)
        converter.representative_dataset = lambda: ([clip[None]] for clip in features)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    Path(result).write_bytes(converter.convert())


if __name__ == "__main__":
    _main(*sys.argv[1:])
