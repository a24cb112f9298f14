"""``python -m kwsd_train.convert``: a SavedModel to TFLite, in a process of its own, as the converter can crash."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kwsd.errors import KwsdError

QUANTIZE = ("none", "float16", "dynamic", "int8")


def convert(saved_model: Path, quantize: str, representative: Mapping[str, Any]) -> bytes:
    """The .tflite bytes of a SavedModel.

    Args:
        quantize: one of QUANTIZE.
        representative: for each input its values (n, ...) that show the ranges of all tensors; used for int8.
    """
    with tempfile.TemporaryDirectory() as folder:
        shown, result = Path(folder) / "representative.npz", Path(folder) / "model.tflite"
        np.savez(shown, **representative)
        command = [sys.executable, "-m", "kwsd_train.convert", str(saved_model), quantize, str(shown), str(result)]
        search_path = os.pathsep.join(path for path in sys.path if path)
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": search_path}
        )
        if done.returncode or not result.exists():
            told = done.stderr.strip().splitlines() or ["it said nothing"]
            raise KwsdError("TFLite's converter", f"ended with {done.returncode}: {told[-1]}")
        return result.read_bytes()


def convert_here(saved_model: str, quantize: str, representative: str, result: str) -> None:
    """Write the file ``result`` from the files named; see ``convert``, which runs this in a process of its own."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    shown = dict(np.load(representative))
    if quantize == "int8":
        converter.representative_dataset = lambda: (
            dict(zip(shown, clip, strict=True)) for clip in zip(*shown.values(), strict=True)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if "features" not in shown:  # waveform: the front end's operators are no builtin ones, and have no int8
        converter.allow_custom_ops = True
        converter.target_spec.supported_ops = [*converter.target_spec.supported_ops, tf.lite.OpsSet.TFLITE_BUILTINS]
    elif quantize == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    Path(result).write_bytes(_in_order(converter.convert()))


def output_name(tflite: bytes, output: str) -> str:
    """The tensor that an exported model's ``output`` has become. KeyError where there is none of that name."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(tflite, 0)
    index = _signature_outputs(model)[output]
    name: bytes = model.Subgraphs(0).Tensors(index).Name()
    return name.decode()


def _in_order(tflite: bytes) -> bytes:
    """The model with its inputs in the order of phone apps, samples, then their rate, and its scores before any other
    output. The converter keeps no order.
    """
    from ai_edge_litert import schema_py_generated as schema

    content = bytearray(tflite)
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    inputs, outputs = graph.InputsAsNumpy(), graph.OutputsAsNumpy()
    inputs[:] = sorted(inputs, key=lambda index: graph.Tensors(index).Type() != schema.TensorType.FLOAT32)
    scores = _signature_outputs(model).get("scores")
    outputs[:] = sorted(outputs, key=lambda index: index != scores)
    return bytes(content)


def _signature_outputs(model: Any) -> dict[str, int]:
    """Index of the tensor of each output by the name that it was exported under."""
    signature = model.SignatureDefs(0)
    outputs = (signature.Outputs(place) for place in range(signature.OutputsLength()))
    return {output.Name().decode(): output.TensorIndex() for output in outputs}


if __name__ == "__main__":
    convert_here(*sys.argv[1:])
