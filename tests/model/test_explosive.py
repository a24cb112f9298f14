"""Small files that cost much more than their size, or crash a runtime: refused in one line."""

import hashlib
import subprocess
from pathlib import Path

import numpy as np
import pytest

from kwsd.errors import ModelError
from kwsd.model import catalogue, load
from kwsd.model.tflite.flatbuffer import MalformedError
from kwsd.model.tflite.graph import read

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="ai-edge-litert is not installed")
flatbuffers = pytest.importorskip("flatbuffers", reason="flatbuffers is not installed")


def packed(model) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def unpacked(path: Path):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))


@pytest.mark.parametrize("kept", [0, 1])
def test_operators_without_their_inputs_crash_no_more_than_a_child(models, backend, tmp_path, kept) -> None:
    """Each operator in turn; the runtime reads past the end of a list."""
    broken = tmp_path / "broken.tflite"
    count = len(unpacked(models / "rows.tflite").subgraphs[0].operators)
    for place in range(count):
        model = unpacked(models / "rows.tflite")
        operator = model.subgraphs[0].operators[place]
        operator.inputs = operator.inputs[:kept]
        broken.write_bytes(packed(model))
        try:
            load(broken, backend=backend)
        except ModelError as refused:
            assert len(refused.lines) == 1


def test_an_operator_that_asks_for_gigabytes_is_refused(models, backend, tmp_path) -> None:
    model = unpacked(models / "rows.tflite")
    graph = model.subgraphs[0]
    sizes, value = np.array([1 << 15, 1 << 15, 4], np.int32), np.zeros(1, np.float32)
    for shape, kind, data in (([3], schema.TensorType.INT32, sizes), ([], schema.TensorType.FLOAT32, value)):
        graph.tensors.append(schema.TensorT(shape=shape, type=kind, buffer=len(model.buffers), name="made"))
        model.buffers.append(schema.BufferT(data=np.frombuffer(data.tobytes(), np.uint8)))
    graph.tensors.append(schema.TensorT(shape=[1], type=schema.TensorType.FLOAT32, buffer=0, name="filled"))
    last = len(graph.tensors) - 1
    model.operatorCodes.append(schema.OperatorCodeT(deprecatedBuiltinCode=94, builtinCode=94, version=1))
    graph.operators.append(
        schema.OperatorT(opcodeIndex=len(model.operatorCodes) - 1, inputs=[last - 2, last - 1], outputs=[last])
    )
    path = tmp_path / "fill.tflite"
    path.write_bytes(packed(model))
    with pytest.raises(ModelError, match="refuses it"):
        load(path, backend=backend)


def test_a_vector_that_many_operators_share_is_not_read_as_often() -> None:
    builder = flatbuffers.Builder(1024)
    inputs = builder.CreateNumpyVector(np.zeros(250_000, np.int32))
    schema.OperatorStart(builder)
    schema.OperatorAddInputs(builder, inputs)
    operator = schema.OperatorEnd(builder)
    schema.SubGraphStartOperatorsVector(builder, 50_000)
    for _ in range(50_000):
        builder.PrependUOffsetTRelative(operator)
    operators = builder.EndVector()
    schema.SubGraphStart(builder)
    schema.SubGraphAddOperators(builder, operators)
    graph = schema.SubGraphEnd(builder)
    schema.ModelStartSubgraphsVector(builder, 1)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, graphs)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    with pytest.raises(MalformedError, match="overlap"):
        read(bytes(builder.Output()))


def test_the_hashes_of_the_bundled_models_are_theirs() -> None:
    names = catalogue.bundled()
    for name, path in names.items():
        assert catalogue.is_bundled(path, hashlib.sha256(path.read_bytes()).hexdigest()), f"{name}: run sha256sum again"
    listed = (next(iter(names.values())).parent / catalogue.SUMS).read_text().splitlines()
    assert len(listed) == len(names)


def test_bundled_models_are_not_tried_and_others_are(backend, tmp_path, monkeypatch) -> None:
    tried = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *args, **how: (tried.append(args), run(*args, **how))[1])
    load("tiny", backend=backend)
    assert not tried
    copy = tmp_path / "tiny.tflite"
    copy.write_bytes(catalogue.bundled()["tiny"].read_bytes())
    load(copy, backend=backend)
    assert len(tried) == 1
