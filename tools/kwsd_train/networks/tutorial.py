"""The six networks of TensorFlow's speech_commands ``models.py`` (Apache-2.0), layer by layer.

Kernels are time x frequency. Weights start normally distributed with deviation 0.01, truncated at
two deviations; biases at 0.
"""

from typing import Any

import keras
from keras import layers

_DROPOUT = 0.5


def _normal(deviation: float = 0.01) -> Any:
    return keras.initializers.TruncatedNormal(0.0, deviation)


def _dense(units: int) -> Any:
    return layers.Dense(units, kernel_initializer=_normal())


def _conv(inputs: Any, filters: int, kernel: tuple[int, int], strides: tuple[int, int], padding: str) -> Any:
    convolved = layers.Conv2D(
        filters, kernel, strides=strides, padding=padding, activation="relu", kernel_initializer=_normal()
    )(inputs)
    return layers.Dropout(_DROPOUT)(convolved)


def _image(features: Any) -> Any:
    return layers.Reshape((*features.shape[1:], 1))(features)


def single_fc(features: Any, labels: int) -> Any:
    """One dense layer."""
    return layers.Dense(labels, kernel_initializer=_normal(0.001))(layers.Flatten()(features))


def conv(features: Any, labels: int) -> Any:
    """Two convolutions and a dense layer: "cnn-trad-fpool3" of Sainath and Parada, Interspeech 2015, as built there."""
    first = _conv(_image(features), 64, (20, 8), (1, 1), "same")
    pooled = layers.MaxPooling2D(2, strides=2, padding="same")(first)
    return _dense(labels)(layers.Flatten()(_conv(pooled, 64, (10, 4), (1, 1), "same")))


def low_latency_conv(features: Any, labels: int) -> Any:
    """One convolution over the whole time axis, then dense layers: "cnn-one-fstride4" there."""
    flat = layers.Flatten()(_conv(_image(features), 186, (features.shape[1], 8), (1, 1), "valid"))
    for _ in range(2):
        flat = layers.Dropout(_DROPOUT)(_dense(128)(flat))
    return _dense(labels)(flat)


@keras.saving.register_keras_serializable("kwsd")
class Bias(layers.Layer):  # type: ignore[misc]
    """Adds one trained number to each channel."""

    def build(self, shape: Any) -> None:
        self.bias = self.add_weight(shape=(shape[-1],), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        return inputs + self.bias


def low_latency_svdf(features: Any, labels: int) -> Any:
    """A rank-2 SVDF layer of 1280 units (Nakkiran et al., Interspeech 2015), then dense layers.

    Each of 2560 filters weights the bands of a frame, then the frames; two filters add up to one unit.
    """
    units, rank = 1280, 2
    over_bands = layers.Conv1D(units * rank, 1, use_bias=False, kernel_initializer=_normal())(features)
    over_time = layers.DepthwiseConv2D((features.shape[1], 1), use_bias=False, depthwise_initializer=_normal())(
        layers.Reshape((features.shape[1], 1, units * rank))(over_bands)
    )
    summed = keras.ops.sum(layers.Reshape((units, rank))(over_time), axis=-1)
    flat = layers.Dropout(_DROPOUT)(layers.ReLU()(Bias()(summed)))
    for _ in range(2):
        flat = layers.Dropout(_DROPOUT)(_dense(256)(flat))
    return _dense(labels)(flat)


def tiny_conv(features: Any, labels: int) -> Any:
    """One small convolution and a dense layer: the network of TensorFlow's micro_speech."""
    return _dense(labels)(layers.Flatten()(_conv(_image(features), 8, (10, 8), (2, 2), "same")))


def tiny_embedding_conv(features: Any, labels: int) -> Any:
    """Two small convolutions and a dense layer."""
    first = _conv(_image(features), 8, (10, 8), (2, 2), "same")
    return _dense(labels)(layers.Flatten()(_conv(first, 8, (10, 8), (8, 8), "same")))


BUILDERS = {
    builder.__name__: builder
    for builder in (single_fc, conv, low_latency_conv, low_latency_svdf, tiny_conv, tiny_embedding_conv)
}
