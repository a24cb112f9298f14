"""The cost of a network: parameters and multiply-adds, from its file."""

import math
from collections.abc import Callable, Mapping

from kwsd.model.tflite.graph import Graph, Tensor
from kwsd.model.tflite.schema import OPERATORS

FLOATS = {"float32", "float16", "bfloat16", "float64"}


def parameters(graph: Graph) -> int:
    """Parameters: elements of the operators' constants that are floats or quantised integers.

    Biases count, including the int32 ones of int8 models; shapes, axes and scalars (rank 0) do not; a constant that is
    used twice counts once. Batch normalisation that was folded into weights does not count.
    """
    taken = {index for operator in graph.operators for index in operator.inputs if index >= 0}
    sizes = {}
    for index in taken:
        tensor = graph.tensors[index]
        if tensor.buffer is not None and tensor.shape and (tensor.type in FLOATS or tensor.scales):
            sizes[tensor.buffer] = tensor.elements
    return sum(sizes.values())


def multiply_adds(graph: Graph) -> int:
    """Multiply-adds for one clip, of the operators that have nearly all of them: convolutions, dense layers, products.

    An open size counts as 1; custom operators (a front end in the graph) and element-wise ones count as nothing.
    """
    total = 0
    for operator in graph.operators:
        count = COUNTS.get(OPERATORS.get(operator.code, ""))
        if count is not None:
            total += count([graph.tensors[i] for i in operator.inputs if i >= 0], graph.tensors[operator.outputs[0]])
    return total


def _convolution(inputs: list[Tensor], output: Tensor) -> int:
    # filter: output channels, kernel sizes..., input channels of a group
    return output.elements * math.prod(inputs[1].shape[1:])


def _depthwise(inputs: list[Tensor], output: Tensor) -> int:
    # filter: 1, height, width, output channels
    return output.elements * math.prod(inputs[1].shape[:-1])


def _convolution_3d(inputs: list[Tensor], output: Tensor) -> int:
    # filter: depth, height, width, input channels, output channels
    return output.elements * math.prod(inputs[1].shape[:-1])


def _transposed(inputs: list[Tensor], _: Tensor) -> int:
    # inputs: output's shape, filter (output channels, height, width, input channels), what is spread
    return inputs[2].elements * math.prod(inputs[1].shape[:-1])


def _dense(inputs: list[Tensor], output: Tensor) -> int:
    return output.elements * inputs[1].shape[-1]


def _product(inputs: list[Tensor], output: Tensor) -> int:
    # (..., m, k) x (..., k, n), either of them perhaps transposed: (m k)(k n) / (m n) is the square of k
    k_squared = math.prod(inputs[0].shape[-2:]) * math.prod(inputs[1].shape[-2:]) // math.prod(output.shape[-2:])
    return output.elements * math.isqrt(k_squared)


def _svdf(inputs: list[Tensor], _: Tensor) -> int:
    # weights_feature (filters, features), weights_time (filters, memory)
    return inputs[1].elements + inputs[2].elements


COUNTS: Mapping[str, Callable[[list[Tensor], Tensor], int]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "SVDF": _svdf,
    "TRANSPOSE_CONV": _transposed,
    "BATCH_MATMUL": _product,
    "CONV_3D": _convolution_3d,
}
