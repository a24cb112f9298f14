"""Residual network that is two-dimensional first, so that a voice's pitch shifts maps, not channels, and
one-dimensional later, where a 2-D map would not be worth its cost.

The 2-D convolutions are dense, which trains fast on a CPU; the 1-D ones separable and wide over time, as in
MatchboxNet (arXiv 2004.08531), which makes better use of its parameters.
"""

from functools import partial
from typing import Any

from keras import layers

from kwsd_train.networks.blocks import conv_norm, depthwise_norm, image, scaled


def _block_2d(maps: Any, channels: int, strides: tuple[int, int]) -> Any:
    inner = conv_norm(maps, channels, (3, 3), strides)
    inner = conv_norm(inner, channels, (3, 3), relu=False)
    return layers.ReLU()(conv_norm(maps, channels, (1, 1), strides, relu=False) + inner)


def _block_1d(maps: Any, kernel: int) -> Any:
    channels = maps.shape[-1]
    inner = conv_norm(depthwise_norm(maps, (kernel, 1)), channels, (1, 1))
    inner = conv_norm(depthwise_norm(inner, (kernel, 1)), channels, (1, 1), relu=False)
    return layers.ReLU()(maps + inner)


def res2d1d(features: Any, labels: int, *, maps: tuple[int, int, int], channels: int, kernels: tuple[int, ...]) -> Any:
    """``maps``: channels of the 2-D layers, the bands halved at each; ``kernels`` of the 1-D blocks of ``channels``."""
    two_d = conv_norm(image(scaled(features)), maps[0], (3, 5), (1, 2))
    two_d = _block_2d(two_d, maps[1], (1, 2))
    two_d = _block_2d(two_d, maps[2], (2, 2))
    frames, bands, count = two_d.shape[1:]
    one_d = conv_norm(layers.Reshape((frames, 1, bands * count))(two_d), channels, (1, 1))
    for kernel in kernels:
        one_d = _block_1d(one_d, kernel)
    pooled = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(one_d))
    return layers.Dense(labels)(pooled)


BUILDERS = {
    "res2d1d_tiny": partial(res2d1d, maps=(7, 11, 16), channels=42, kernels=(9, 9, 9)),
    "res2d1d": partial(res2d1d, maps=(16, 24, 32), channels=88, kernels=(9, 9, 9)),
    "res2d1d_large": partial(res2d1d, maps=(24, 40, 56), channels=160, kernels=(9, 11, 13, 15)),
}
