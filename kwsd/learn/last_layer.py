"""The last layer of a .tflite file, a dense layer from the embedding to a score per label: reading and replacing it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import ModelError
from kwsd.model.tflite.flatbuffer import Reader
from kwsd.model.tflite.graph import Graph, Tensor, read
from kwsd.model.tflite.rewrite import TensorChange, rewrite
from kwsd.model.tflite.schema import SCHEMA

Doubles = NDArray[np.float64]

Row = int | tuple[Doubles, float]
"""An old label's row by its index, or weights (features,) and bias."""

_MEND = "Take a model that comes with kwsd, or one frozen by `kwsd-train freeze --embedding`."

FULLY_CONNECTED, SOFTMAX = 9, 25
WEIGHT_MAX = 127
TYPES = {"float32": "<f4", "int8": "<i1", "int32": "<i4"}


@dataclass(frozen=True)
class LastLayer:
    """A dense layer, in real numbers: logits are ``embedding @ weights.T + bias``.

    Attributes:
        weights: float64, shape (labels, features).
        bias: float64, shape (labels,).
        highest: the largest logit that the file can represent; infinity unless logits have 8 bits.
    """

    weights: Doubles
    bias: Doubles
    highest: float

    def logits(self, embeddings: Doubles) -> Doubles:
        """Shape (n, labels), from embeddings of shape (n, features)."""
        return np.asarray(embeddings @ self.weights.T + self.bias)


@dataclass(frozen=True)
class _Place:
    """Where the layer is: indices of tensors, and the graph that they are in."""

    features: int
    weights: int
    bias: int
    logits: int
    scores: int
    graph: Graph

    def tensor(self, index: int) -> Tensor:
        return self.graph.tensors[index]


def load(data: bytes, embedding: str, source: str) -> LastLayer:
    """The last layer of a .tflite file.

    Args:
        data: the file, checked by `kwsd.model.load`.
        embedding: name of the output that is the layer's input.
        source: the file's name, for ModelError.

    Raises:
        ModelError: the embedding is not followed by a single dense layer with weights of float32 or int8.
    """
    place = _find(read(data), embedding, source)
    weights, bias, logits = place.tensor(place.weights), place.tensor(place.bias), place.tensor(place.logits)
    scale, zero = (logits.scales[0], logits.zero_points[0]) if logits.scales else (np.inf, 0)
    return LastLayer(_values(data, weights), _values(data, bias), float((WEIGHT_MAX - zero) * scale))


def replace(
    data: bytes,
    embedding: str,
    rows: Sequence[Row],
    entries: Mapping[str, bytes],
    highest: float,
) -> bytes:
    """``data`` with another last layer.

    Args:
        embedding: name of the output that is the layer's input.
        rows: for each new label, the old one whose bytes to copy, or weights and bias.
        entries: metadata entries, see `rewrite`.
        highest: the largest logit to represent. If that exceeds the file's range, the range of 8 bits is moved up with
            the same step, so that logits stay unchanged down to the range's new lower end.
    """
    place = _find(read(data), embedding, "model")
    content, tensors = _new_rows(data, place, rows)
    logits, scores = place.tensor(place.logits), place.tensor(place.scores)
    zero_points = logits.zero_points
    if logits.scales:
        zero_points = (min(zero_points[0], int(np.floor(WEIGHT_MAX - highest / logits.scales[0]))),)
        zero_points = (max(-128, zero_points[0]),)
    tensors[place.logits] = TensorChange((1, len(rows)), logits.scales, zero_points)
    if place.scores != place.logits:
        tensors[place.scores] = TensorChange((1, len(rows)), scores.scales, scores.zero_points)
    return rewrite(data, buffers=content, tensors=tensors, entries=entries)


def _find(graph: Graph, embedding: str, source: str) -> _Place:
    operators = graph.operators
    scores = [output for output in graph.outputs if output.name != embedding]
    names = [tensor.name for tensor in graph.tensors]
    if embedding not in names or len(scores) != 1:
        raise ModelError(source, "it has no embedding, the features before its last layer", _MEND)
    last = operators[-1]
    softmax = last if last.code == SOFTMAX else None
    dense = operators[-2] if softmax and len(operators) > 1 else last
    shape = graph.tensors[dense.inputs[1]].shape if len(dense.inputs) == 3 else ()
    if dense.code != FULLY_CONNECTED or len(shape) != 2 or names[dense.inputs[0]] != embedding:
        raise ModelError(source, "behind its embedding is not one dense layer with a bias", _MEND)
    features, weights, bias = dense.inputs
    place = _Place(features, weights, bias, dense.outputs[0], (softmax or dense).outputs[0], graph)
    for index in (place.weights, place.bias):
        tensor = place.tensor(index)
        if tensor.type not in TYPES or tensor.buffer is None:
            raise ModelError(source, f"the weights of its last layer are {tensor.type}, not float32 or int8", _MEND)
    if graph.tensors[place.scores] is not scores[0]:
        raise ModelError(source, "its scores do not come from its last layer", _MEND)
    return place


def _raw(data: bytes, tensor: Tensor) -> NDArray[np.generic]:
    model = Reader(data, SCHEMA).root("Model")
    content = model["buffers"][tensor.buffer]["data"].tobytes()
    return np.frombuffer(content, TYPES[tensor.type]).reshape(tensor.shape)


def _values(data: bytes, tensor: Tensor) -> Doubles:
    """The real numbers of a constant; along its first axis if it has several scales."""
    raw = _raw(data, tensor).astype(np.float64)
    if not tensor.scales:
        return raw
    scales = np.asarray(tensor.scales, np.float32).astype(np.float64)
    zeros = np.asarray(tensor.zero_points or (0,), np.float64)
    return np.asarray(((raw.T - zeros) * scales).T)


class _StoredRow(NamedTuple):
    """A row as stored in the file, and the scale of its numbers."""

    weights: NDArray[np.generic]
    scale: float
    bias: Any
    bias_scale: float


def _new_rows(data: bytes, place: _Place, rows: Sequence[Row]) -> tuple[dict[int, bytes], dict[int, TensorChange]]:
    """New contents of the two buffers, and the new shapes and scales of the two tensors."""
    weights, bias = place.tensor(place.weights), place.tensor(place.bias)
    old = _stored_rows(data, weights, bias)
    stored = [old[row] if isinstance(row, int) else _stored(*row, place) for row in rows]
    content = {
        weights.buffer: np.stack([row.weights for row in stored]).tobytes(),
        bias.buffer: np.array([row.bias for row in stored], TYPES[bias.type]).tobytes(),
    }
    return {buffer: part for buffer, part in content.items() if buffer is not None}, {
        place.weights: _change((len(rows), weights.shape[1]), weights, [row.scale for row in stored]),
        place.bias: _change((len(rows),), bias, [row.bias_scale for row in stored]),
    }


def _stored_rows(data: bytes, weights: Tensor, bias: Tensor) -> list[_StoredRow]:
    rows, biases = _raw(data, weights), _raw(data, bias)
    scales, bias_scales = _each(weights, len(rows)), _each(bias, len(rows))
    return [_StoredRow(*row) for row in zip(rows, scales, biases, bias_scales, strict=True)]


def _stored(values: Doubles, offset: float, place: _Place) -> _StoredRow:
    """A new row; with 8 bits, its largest weight is 127 steps."""
    weights, bias, features = place.tensor(place.weights), place.tensor(place.bias), place.tensor(place.features)
    scale = max(float(np.abs(values).max()), 1e-6) / WEIGHT_MAX if weights.scales else 1.0
    bias_scale = scale * (features.scales[0] if features.scales else 1.0) if bias.scales else 1.0
    kept_bias = _quantised(np.asarray(offset / bias_scale), bias)[()]
    return _StoredRow(_quantised(values / scale, weights), scale, kept_bias, bias_scale)


def _each(tensor: Tensor, count: int) -> Sequence[float]:
    scales = tensor.scales or (1.0,)
    return scales if len(scales) == count else scales * count


def _quantised(values: Doubles, tensor: Tensor) -> NDArray[np.generic]:
    kind = np.dtype(TYPES[tensor.type])
    if kind.kind == "f":
        return values.astype(kind)
    limits = np.iinfo(kind)
    return np.rint(values).clip(limits.min, limits.max).astype(kind)


def _change(shape: Sequence[int], tensor: Tensor, scales: Sequence[float]) -> TensorChange:
    return TensorChange(shape, tuple(scales), (0,) * len(scales)) if tensor.scales else TensorChange(shape)
