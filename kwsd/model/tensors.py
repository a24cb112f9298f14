"""Numbers into an interpreter, scores out of it, whatever the tensors' types. Few numpy calls: it runs each stride."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.model.tflite.graph import Tensor

Floats = NDArray[np.float32]
INTEGERS = ("int8", "uint8", "int16")


def fit(tensor: Tensor, clip_shape: Sequence[int]) -> tuple[int, ...] | None:
    """The shape in which ``tensor`` takes a clip, its open sizes filled in; None where the clip does not fit.

    A clip of rows (frames, width) goes into any closed shape of as many elements. Open sizes, and sizes of 1 where the
    file says no more than that, become (..., frames, width), (..., frames, width, 1), or flat.
    """
    count = math.prod(clip_shape)
    closed = all(size >= 0 for size in tensor.shape)
    if closed and math.prod(tensor.shape) == count:
        return tensor.shape
    free = (-1,) if not closed else (-1, 1)
    for tail in (tuple(clip_shape), (*clip_shape, 1), (count,), (count, 1)):
        shape = (1,) * (len(tensor.shape) - len(tail)) + tail
        if len(shape) == len(tensor.shape) and all(
            own in free or own == wish for own, wish in zip(tensor.shape, shape, strict=True)
        ):
            return shape
    return None


def feeder(interpreter: Any, detail: Mapping[str, Any]) -> Callable[[Floats], None]:
    """A function that puts float32 numbers, of any shape with the right number of elements, into an input."""
    index, shape, kind = detail["index"], tuple(detail["shape"].tolist()), np.dtype(detail["dtype"])
    set_tensor = interpreter.set_tensor
    if kind == np.float32:
        return lambda values: set_tensor(index, values.reshape(shape))
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(kind)
    low, high = np.float32(limits.min), np.float32(limits.max)
    scale, zero_point = np.float32(scale), np.float32(zero_point)
    exact, quantised = np.empty(shape, np.float32), np.empty(shape, kind)

    def feed(values: Floats) -> None:
        np.divide(values.reshape(shape), scale, out=exact)
        np.rint(exact, out=exact)
        np.add(exact, zero_point, out=exact)
        np.maximum(exact, low, out=exact)
        np.minimum(exact, high, out=exact)
        quantised[...] = exact
        set_tensor(index, quantised)

    return feed


def reader(interpreter: Any, detail: Mapping[str, Any], *, logits: bool) -> Callable[[], Floats]:
    """A function that gives the scores, shape (labels,), float32, as probabilities."""
    index, kind = detail["index"], np.dtype(detail["dtype"])
    get_tensor = interpreter.get_tensor
    scale, zero_point = np.float32(detail["quantization"][0]), np.float32(detail["quantization"][1])

    def read() -> Floats:
        scores: Floats = get_tensor(index).reshape(-1)
        return scores if kind == np.float32 else (scores.astype(np.float32) - zero_point) * scale

    def read_softmax() -> Floats:
        scores = read()
        powers: Floats = np.exp(scores - scores.max())
        np.divide(powers, powers.sum(), out=powers)
        return powers

    return read_softmax if logits else read
