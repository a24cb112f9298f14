"""Numbers into an interpreter, scores out of it, for all tensor types. Few numpy calls, since it runs each stride."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.model.tflite.graph import Tensor

Floats = NDArray[np.float32]
INTEGERS = ("int8", "uint8", "int16")


def fit(tensor: Tensor, clip_shape: Sequence[int]) -> tuple[int, ...] | None:
    """The shape in which ``tensor`` takes a clip, its open sizes filled in; None if the clip does not fit.

    A clip of rows (frames, width) fits any fixed shape with as many elements. Open sizes, and sizes of 1 that may stand
    for open ones, become (..., frames, width), (..., frames, width, 1), or flat.
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
    """A function that writes float32 numbers, of any shape with the right number of elements, into an input."""
    index, shape, kind = detail["index"], tuple(detail["shape"].tolist()), np.dtype(detail["dtype"])
    set_tensor = interpreter.set_tensor
    if kind == np.float32:
        return lambda values: set_tensor(index, values.reshape(shape))
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(kind)
    # Arrays without axes, since ufuncs take longer for numpy's scalars.
    low, high, scale, zero_point = (
        np.array(number, np.float32) for number in (limits.min, limits.max, scale, zero_point)
    )
    exact, quantised = np.empty(shape, np.float32), np.empty(shape, kind)

    def feed(values: Floats) -> None:
        np.divide(values.reshape(shape), scale, out=exact)
        np.rint(exact, out=exact)
        np.add(exact, zero_point, out=exact)
        exact.clip(low, high, out=exact)
        quantised[...] = exact
        set_tensor(index, quantised)

    return feed


def quantiser(detail: Mapping[str, Any]) -> Callable[[Floats], NDArray[Any]]:
    """A function from float32 numbers, of any shape, to what `feeder` would write into the input for them."""
    kind = np.dtype(detail["dtype"])
    if kind == np.float32:
        return lambda values: values
    scale, zero_point = (np.float32(each) for each in detail["quantization"])
    limits = np.iinfo(kind)

    def quantise(values: Floats) -> NDArray[Any]:
        exact = np.rint(values / scale) + zero_point
        quantised: NDArray[Any] = np.clip(exact, np.float32(limits.min), np.float32(limits.max)).astype(kind)
        return quantised

    return quantise


def reader(interpreter: Any, detail: Mapping[str, Any], *, logits: bool) -> Callable[[], Floats]:
    """A function that returns the scores, shape (labels,), float32, as probabilities."""
    index, get_tensor, scores_of = detail["index"], interpreter.get_tensor, scorer(detail, logits=logits)
    return lambda: scores_of(get_tensor(index).reshape(-1))


def scorer(detail: Mapping[str, Any], *, logits: bool) -> Callable[[NDArray[Any]], Floats]:
    """A function from an output's numbers, shape (labels,), to scores as probabilities, float32.

    Without ``logits`` it also takes the numbers of several clips, shape (clips, labels).
    """
    kind = np.dtype(detail["dtype"])
    scale, zero_point = (np.float32(each) for each in detail["quantization"])

    def dequantise(numbers: NDArray[Any]) -> Floats:
        return numbers if kind == np.float32 else (numbers.astype(np.float32) - zero_point) * scale

    def softmax(numbers: NDArray[Any]) -> Floats:
        scores = dequantise(numbers)
        powers: Floats = np.exp(scores - scores.max())
        np.divide(powers, powers.sum(), out=powers)
        return powers

    return softmax if logits else dequantise
