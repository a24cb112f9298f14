"""The content of a .tflite file, checked before any runtime sees it: runtimes crash or loop forever on broken files."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kwsd.model.tflite.flatbuffer import MalformedError, Reader
from kwsd.model.tflite.schema import CUSTOM, IDENTIFIER, PLACEHOLDER_FOR_GREATER_OP_CODES, SCHEMA, TENSOR_TYPES

FILE_BYTES_MAX = 64 * 2**20
TENSOR_BYTES_MAX = 256 * 2**20
RANK_MAX = 8


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the graph.

    Attributes:
        shape: sizes as in the file; an open one is -1.
        type: numpy's name, or ``string``, ``int4`` and the like.
        scales, zero_points: quantisation: one of each, one per channel, or none.
        buffer: index of the file's buffer that holds a constant's data; None for computed tensors.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    buffer: int | None

    @property
    def elements(self) -> int:
        """Number of elements; an open size counts as 1."""
        return math.prod(max(1, size) if size < 0 else size for size in self.shape)


@dataclass(frozen=True, slots=True)
class Operator:
    """One step of the graph: builtin operator number (32 for a custom one, which has a name), tensor indices."""

    code: int
    custom: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """The first subgraph (the one that runs), and the file's metadata by name.

    Attributes:
        subgraphs: their number; more than one means loops, branches or calls.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    metadata: Mapping[str, memoryview]
    subgraphs: int


def read(data: bytes) -> Graph:
    """The graph of a .tflite file; MalformedError, with the reason, for anything else."""
    if not data:
        raise MalformedError("it is empty")
    if len(data) > FILE_BYTES_MAX:
        raise MalformedError(f"it is larger than {FILE_BYTES_MAX >> 20} MiB")
    if data[4:8] != IDENTIFIER:
        raise MalformedError("it is not a TensorFlow Lite model (no TFL3 at byte 4)")
    reader = Reader(data, SCHEMA)
    model = reader.root("Model")
    if model["version"] != 3:
        raise MalformedError(f"its schema version is {model['version']}, not 3")
    if not model["subgraphs"]:
        raise MalformedError("it has no graph")
    buffers = [_buffer(buffer, len(data)) for buffer in model["buffers"]]
    if not any(buffer["offset"] > 1 for buffer in model["buffers"]):
        _check_end(data, reader.end)
    _check_references(model)
    graphs = [
        [_tensor(tensor, f"tensor {i} of graph {g}", buffers) for i, tensor in enumerate(subgraph["tensors"])]
        for g, subgraph in enumerate(model["subgraphs"])
    ]
    for subgraph, tensors in zip(model["subgraphs"], graphs, strict=True):
        _check_order(subgraph, tensors)
    tensors, main = graphs[0], model["subgraphs"][0]
    return Graph(
        tuple(tensors),
        tuple(_operator(operator, model["operator_codes"]) for operator in main["operators"]),
        tuple(tensors[i] for i in main["inputs"]),
        tuple(tensors[i] for i in main["outputs"]),
        {entry["name"] or "": model["buffers"][entry["buffer"]]["data"].data for entry in model["metadata"]},
        len(graphs),
    )


def _buffer(buffer: Mapping[str, Any], file_bytes: int) -> int:
    """Size of a buffer in bytes; data outside the flatbuffer (offset and size, since 2023) must be in the file too."""
    if buffer["offset"] > 1:
        if buffer["offset"] + buffer["size"] > file_bytes:
            raise MalformedError("a buffer reaches past the file's end: truncated or damaged")
        return int(buffer["size"])
    return len(buffer["data"])


def _check_end(data: bytes, end: int) -> None:
    """Only padding, or a ZIP archive (TFLite Metadata's associated files), may follow the last object.

    A builder fills the file from its end, so its last bytes belong to an object; its size is a multiple of the largest
    alignment used, 4 to 16. So even a file that lost only padding is detected.
    """
    rest = data[end:]
    if rest.lstrip(b"\0")[:4] == b"PK\3\4":
        if len(rest) < 22 or rest[-22:-18] != b"PK\5\6":
            raise MalformedError("the archive behind the model is truncated or damaged")
    elif not (len(data) % 4 == 0 and len(rest) < 4) and not (len(data) % 16 == 0 and len(rest) < 16):
        raise MalformedError(f"{len(rest)} bytes follow the last object: truncated, or not all of it is the model")


def _check_references(model: Mapping[str, Any]) -> None:
    """Checks that every index (of a buffer, a tensor, an operator code, a graph) refers to something that exists."""
    buffers, codes, subgraphs = len(model["buffers"]), len(model["operator_codes"]), model["subgraphs"]
    for entry in model["metadata"]:
        _check_range([entry["buffer"]], 0, buffers, "metadata's buffer")
    for subgraph in subgraphs:
        tensors = len(subgraph["tensors"])
        _check_range((tensor["buffer"] for tensor in subgraph["tensors"]), 0, buffers, "a tensor's buffer")
        _check_range(subgraph["inputs"], 0, tensors, "an input")
        _check_range(subgraph["outputs"], 0, tensors, "an output")
        for operator in subgraph["operators"]:
            _check_range([operator["opcode_index"]], 0, codes, "an operator's code")
            _check_range(operator["inputs"], -1, tensors, "an operator's input")
            _check_range(operator["outputs"], 0, tensors, "an operator's output")
            _check_range(operator["intermediates"], -1, tensors, "an operator's intermediate")
            if operator["large_custom_options_offset"] > 1:
                raise MalformedError("it keeps custom options outside the flatbuffer")
    for signature in model["signature_defs"]:
        _check_range([signature["subgraph_index"]], 0, len(subgraphs), "a signature's graph")
        count = len(subgraphs[signature["subgraph_index"]]["tensors"])
        for entry in (*signature["inputs"], *signature["outputs"]):
            _check_range([entry["tensor_index"]], 0, count, "a signature's tensor")


def _check_order(subgraph: Mapping[str, Any], tensors: list[Tensor]) -> None:
    """Checks the order of operators: each takes tensors that exist by then, and nothing is computed twice."""
    known = set(subgraph["inputs"].tolist())
    for i, (tensor, facts) in enumerate(zip(tensors, subgraph["tensors"], strict=True)):
        if tensor.buffer is not None or facts["is_variable"] or tensor.elements == 0:
            known.add(i)
    for operator in subgraph["operators"]:
        if not known.issuperset(index for index in operator["inputs"].tolist() if index >= 0):
            raise MalformedError("an operator takes a tensor that is not computed before it")
        outputs = operator["outputs"].tolist()
        if not known.isdisjoint(outputs):
            raise MalformedError("a tensor is computed twice")
        known.update(outputs)
    if not known.issuperset(subgraph["outputs"].tolist()):
        raise MalformedError("an output is never computed")


def _check_range(indices: Iterable[int] | np.ndarray[Any, Any], low: int, end: int, what: str) -> None:
    for index in indices:
        if not low <= index < end:
            raise MalformedError(f"{what} has the index {index}, which does not exist")


def _tensor(tensor: Mapping[str, Any], where: str, buffers: list[int]) -> Tensor:
    name = tensor["name"] or where
    if tensor["type"] not in TENSOR_TYPES:
        raise MalformedError(f"{where} is of the unknown type {tensor['type']}")
    kind, bits = TENSOR_TYPES[tensor["type"]]
    shape = tuple(tensor["shape"].tolist())
    signature = tuple(tensor["shape_signature"].tolist())
    if len(shape) > RANK_MAX or any(size < -1 for size in shape + signature):
        raise MalformedError(f"{where} has the impossible shape {list(shape)}")
    if signature and len(signature) != len(shape):
        raise MalformedError(f"{where} has {len(shape)} sizes but a signature of {len(signature)}")
    quantization = tensor["quantization"] or {"scale": np.empty(0), "zero_point": np.empty(0), "quantized_dimension": 0}
    scales, zero_points = quantization["scale"].tolist(), quantization["zero_point"].tolist()
    if len(scales) > 1:
        axis = quantization["quantized_dimension"]
        if not (0 <= axis < len(shape) and shape[axis] == len(scales)) or len(zero_points) not in (0, 1, len(scales)):
            raise MalformedError(f"{where} has {len(scales)} scales that do not fit its shape {list(shape)}")
    size_bytes = (math.prod(max(size, 1) if size < 0 else size for size in shape) * bits + 7) // 8
    if size_bytes > TENSOR_BYTES_MAX:
        raise MalformedError(f"{where} is larger than {TENSOR_BYTES_MAX >> 20} MiB")
    held_bytes = buffers[tensor["buffer"]]
    constant = held_bytes > 0 and not tensor["is_variable"]
    if constant and tensor["sparsity"] is None and held_bytes < size_bytes:
        raise MalformedError(f"{where} needs {size_bytes} bytes but its buffer has {held_bytes}")
    open_shape = tuple(-1 if wish == -1 else size for wish, size in zip(signature or shape, shape, strict=True))
    return Tensor(name, open_shape, kind, tuple(scales), tuple(zero_points), tensor["buffer"] if constant else None)


def _operator(operator: Mapping[str, Any], codes: list[dict[str, Any]]) -> Operator:
    code = codes[operator["opcode_index"]]
    # old files have the number in an 8-bit field, new ones have 127 there and the number in the new field
    number = max(code["deprecated_builtin_code"], code["builtin_code"])
    if code["deprecated_builtin_code"] == PLACEHOLDER_FOR_GREATER_OP_CODES:
        number = code["builtin_code"]
    custom = (code["custom_code"] or "") if number == CUSTOM else ""
    return Operator(number, custom, tuple(operator["inputs"].tolist()), tuple(operator["outputs"].tolist()))
