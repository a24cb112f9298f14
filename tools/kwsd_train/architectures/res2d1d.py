"""Residual network that is two-dimensional first, so that a voice's pitch moves maps and not channels, and
one-dimensional later, where a 2-D map would cost more than it tells. All convolutions dense: fast to train on a CPU.
"""

from functools import partial
from typing import Any

from keras import layers

from kwsd_train.architectures.blocks import conv_norm, image, scaled


def _block(maps: Any, channels: int, kernel: tuple[int, int], strides: tuple[int, int]) -> Any:
    inner = conv_norm(maps, channels, kernel, strides)
    inner = conv_norm(inner, channels, kernel, relu=False)
    if strides != (1, 1) or maps.shape[-1] != channels:
        maps = conv_norm(maps, channels, (1, 1), strides, relu=False)
    return layers.ReLU()(maps + inner)


def res2d1d(features: Any, labels: int, *, maps: tuple[int, int, int], channels: tuple[int, int], kernel: int) -> Any:
    """``maps``: channels of the 2-D layers, the bands halved at each; ``channels`` of the 1-D blocks, time halved."""
    two_d = conv_norm(image(scaled(features)), maps[0], (3, 5), (1, 2))
    two_d = _block(two_d, maps[1], (3, 3), (1, 2))
    two_d = _block(two_d, maps[2], (3, 3), (2, 2))
    frames, bands, count = two_d.shape[1:]
    one_d = conv_norm(layers.Reshape((frames, 1, bands * count))(two_d), channels[0], (1, 1))
    one_d = _block(one_d, channels[0], (kernel, 1), (1, 1))
    one_d = _block(one_d, channels[1], (kernel, 1), (2, 1))
    pooled = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(one_d))
    return layers.Dense(labels)(pooled)


BUILDERS = {"res2d1d": partial(res2d1d, maps=(16, 24, 32), channels=(48, 64), kernel=5)}
