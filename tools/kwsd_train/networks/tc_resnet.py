"""TC-ResNet (arXiv 1904.03814): residual convolutions over time alone; the bands are the first layer's channels."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from keras import layers

from kwsd_train.networks.blocks import conv_norm


def tc_resnet(features: Any, labels: int, *, channels: Sequence[int], width: float = 1.0) -> Any:
    """A block for each of ``channels``; if they change, time is halved. ``width`` multiplies all channels."""
    frames, bands = features.shape[1:]
    maps = conv_norm(layers.Reshape((frames, 1, bands))(features), int(16 * width), (3, 1))
    for count in (int(count * width) for count in channels):
        shortcut = maps
        strides = (1, 1)
        if maps.shape[-1] != count:
            strides = (2, 1)
            shortcut = conv_norm(maps, count, (1, 1), strides)
        inner = conv_norm(maps, count, (9, 1), strides)
        maps = layers.ReLU()(shortcut + conv_norm(inner, count, (9, 1), relu=False))
    pooled = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(maps))
    return layers.Dense(labels, use_bias=False)(pooled)


_8 = (24, 32, 48)
_14 = (24, 24, 32, 32, 48, 48)

BUILDERS = {
    "tc_resnet8": partial(tc_resnet, channels=_8),
    "tc_resnet14": partial(tc_resnet, channels=_14),
    "tc_resnet8_1_5": partial(tc_resnet, channels=_8, width=1.5),
    "tc_resnet14_1_5": partial(tc_resnet, channels=_14, width=1.5),
}
