"""DS-CNN (Hello Edge, arXiv 1711.07128): a convolution, then depthwise-separable ones, and the mean over the map."""

from functools import partial
from typing import Any

from keras import layers

from kwsd_train.networks.blocks import conv_norm, depthwise_norm, image


def ds_cnn(features: Any, labels: int, *, filters: int, first: tuple[int, int], blocks: int, second_stride: int) -> Any:
    """``blocks`` separable convolutions of ``filters`` channels; strides of the first two layers as given."""
    maps = conv_norm(image(features), filters, (10, 4), first)
    for block in range(blocks):
        strides = second_stride if block == 0 else 1
        maps = layers.ReLU()(depthwise_norm(maps, (3, 3), strides))
        maps = conv_norm(maps, filters, (1, 1))
    return layers.Dense(labels)(layers.GlobalAveragePooling2D()(maps))


BUILDERS = {
    "ds_cnn_s": partial(ds_cnn, filters=64, first=(2, 2), blocks=4, second_stride=1),
    "ds_cnn_m": partial(ds_cnn, filters=172, first=(2, 1), blocks=4, second_stride=2),
    "ds_cnn_l": partial(ds_cnn, filters=276, first=(2, 1), blocks=5, second_stride=2),
}
