"""``python -m kwsd_train.export.convert``: a SavedModel to TFLite, in its own process: the converter can crash."""

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


def convert(saved_model: Path, quantize: str, representative: Mapping[str, Any], float_layers: int = 0) -> bytes:
    """The .tflite bytes of a SavedModel.

    Args:
        quantize: one of QUANTIZE.
        representative: for each input, values (n, ...) that show the ranges of all tensors; used for int8.
        float_layers: with int8, leave the input and this many layers with weights in floats. An integer tensor has one
            scale: if one column of features is much larger than the others, these lose their precision.
    """
    with tempfile.TemporaryDirectory() as folder:
        shown, result = Path(folder) / "representative.npz", Path(folder) / "model.tflite"
        np.savez(shown, **representative)
        files = str(saved_model), quantize, str(shown), str(result)
        command = [sys.executable, "-m", "kwsd_train.export.convert", *files, str(float_layers)]
        search_path = os.pathsep.join(path for path in sys.path if path)
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": search_path}
        )
        if done.returncode or not result.exists():
            told = done.stderr.strip().splitlines() or ["it said nothing"]
            raise KwsdError("TFLite's converter", f"ended with {done.returncode}: {told[-1]}")
        return result.read_bytes()


def convert_here(saved_model: str, quantize: str, representative: str, result: str, float_layers: str = "0") -> None:
    """Write the file ``result`` from the named files; run by ``convert`` in its own process."""
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
    if "features" not in shown:  # waveform: the front end's operators are not builtin, and have no int8 version
        converter.allow_custom_ops = True
        converter.target_spec.supported_ops = [*converter.target_spec.supported_ops, tf.lite.OpsSet.TFLITE_BUILTINS]
    elif quantize == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    if quantize == "int8" and int(float_layers):
        made = _partly_in_floats(converter, int(float_layers), tf.int8 if "features" in shown else tf.float32)
    else:
        made = converter.convert()
    Path(result).write_bytes(_in_order(made))


def _partly_in_floats(converter: Any, float_layers: int, output_type: Any) -> bytes:
    """The model in 8 bits, except for its inputs and this many layers with weights after them."""
    from tensorflow.lite.python.convert import mlir_quantize  # as called by tf.lite.experimental.QuantizationDebugger

    converter._experimental_calibrate_only = True
    calibrated = converter.convert()
    kept = _first_layers(calibrated, float_layers)
    made: bytes = mlir_quantize(calibrated, output_data_type=output_type, denylisted_nodes=kept)
    return made


def _first_layers(tflite: bytes, count: int) -> list[str]:
    """Names of the tensors on the way from the inputs to the outputs of the ``count``-th layers with weights."""
    from ai_edge_litert import schema_py_generated as schema

    operators = schema.BuiltinOperator
    weighing = {operators.CONV_2D, operators.DEPTHWISE_CONV_2D, operators.FULLY_CONNECTED, operators.BATCH_MATMUL}
    model = schema.Model.GetRootAs(tflite, 0)
    graph = model.Subgraphs(0)
    layers_before, names = dict.fromkeys(graph.InputsAsNumpy().tolist(), 0), list[str]()
    for operator in map(graph.Operators, range(graph.OperatorsLength())):
        inputs, outputs = operator.InputsAsNumpy().tolist(), operator.OutputsAsNumpy().tolist()
        before = max((layers_before[one] for one in inputs if one in layers_before), default=count)
        weighs = model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode() in weighing
        layers_before |= dict.fromkeys(outputs, before + weighs)
        if before < count:
            names += [graph.Tensors(output).Name().decode() for output in outputs]
    return names


def output_name(tflite: bytes, output: str) -> str:
    """The tensor of an exported model's ``output``. KeyError if there is none of that name."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(tflite, 0)
    index = _signature_outputs(model)[output]
    name: bytes = model.Subgraphs(0).Tensors(index).Name()
    return name.decode()


def _in_order(tflite: bytes) -> bytes:
    """The model with its inputs in the order of phone apps, samples, then their rate, and its scores before any other
    output. The converter does not keep the order.
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
    """Index of the tensor of each output, by its exported name."""
    signature = model.SignatureDefs(0)
    outputs = (signature.Outputs(place) for place in range(signature.OutputsLength()))
    return {output.Name().decode(): output.TensorIndex() for output in outputs}


if __name__ == "__main__":
    convert_here(*sys.argv[1:])
