"""Pieces that several families use."""

from typing import Any

from keras import layers


def norm(inputs: Any) -> Any:
    """Batch normalisation; the converter folds it into the convolution before it."""
    return layers.BatchNormalization(momentum=0.99, epsilon=1e-3)(inputs)


def conv_norm(
    inputs: Any, filters: int, kernel: tuple[int, int], strides: tuple[int, int] = (1, 1), relu: bool = True
) -> Any:
    """Convolution without bias, batch norm, ReLU; "same" padding, kernel time x frequency."""
    normed = norm(layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(inputs))
    return layers.ReLU()(normed) if relu else normed


def depthwise(inputs: Any, kernel: tuple[int, int], strides: int = 1, dilation: tuple[int, int] = (1, 1)) -> Any:
    """Depthwise convolution without bias; "same" padding, kernel time x frequency."""
    return layers.DepthwiseConv2D(kernel, strides=strides, dilation_rate=dilation, padding="same", use_bias=False)(
        inputs
    )


def depthwise_norm(inputs: Any, kernel: tuple[int, int], strides: int = 1, dilation: tuple[int, int] = (1, 1)) -> Any:
    """The same and batch norm."""
    return norm(depthwise(inputs, kernel, strides, dilation))


def image(features: Any) -> Any:
    """(batch, frames, width) -> (batch, frames, width, 1)."""
    return layers.Reshape((*features.shape[1:], 1))(features)


def scaled(features: Any) -> Any:
    """Features brought near zero mean and unit deviation by batch norm, one pair of numbers for each of them."""
    return norm(features)
