"""Pieces that several families use."""

from typing import Any

import tensorflow as tf
from keras import layers


class BatchNormalization(layers.BatchNormalization):  # type: ignore[misc]
    """Keras's layer, which uses a dozen operations where TensorFlow has one: a quarter of a training step of res2d1d.

    For a batch of images (rank 4) in training, that one is used; its running variance is the unbiased estimate. The
    name is Keras's, because files of weights refer to layers by name.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not training or inputs.shape.rank != 4:
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return outputs


def norm(inputs: Any) -> Any:
    """Batch normalisation; the converter folds it into the convolution before it."""
    return BatchNormalization(momentum=0.99, epsilon=1e-3)(inputs)


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
    """Features normalised to zero mean and unit deviation by batch norm, each separately.

    Scale and offset are not trained, since the next layer learns its own: so no gradient of the input is needed.
    """
    layer = BatchNormalization(momentum=0.99, epsilon=1e-3)
    normed = layer(features)
    layer.gamma.trainable = layer.beta.trainable = False
    return normed
