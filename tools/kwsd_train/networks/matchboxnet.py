"""MatchboxNet BxRxC (arXiv 2004.08531): separable convolutions over time, dilated at the end; bands are channels."""

from functools import partial
from typing import Any

from keras import layers

from kwsd_train.networks.blocks import conv_norm, depthwise, norm


def _separable(maps: Any, channels: int, kernel: int, dilation: int = 1, relu: bool = True) -> Any:
    return conv_norm(depthwise(maps, (kernel, 1), dilation=(dilation, 1)), channels, (1, 1), relu=relu)


def matchboxnet(features: Any, labels: int, *, blocks: int, repeats: int, channels: int) -> Any:
    """``blocks`` residual blocks of ``repeats`` separable convolutions of ``channels``; kernels grow from 13 by 2."""
    frames, bands = features.shape[1:]
    maps = _separable(layers.Reshape((frames, 1, bands))(features), 128, 11)
    for block in range(blocks):
        inner = maps
        for repeat in range(repeats):
            last = repeat == repeats - 1
            inner = _separable(inner, channels, 13 + 2 * block, relu=not last)
            if not last:
                inner = layers.Dropout(0.1)(inner)
        shortcut = norm(layers.Conv2D(channels, 1, use_bias=False)(maps))
        maps = layers.Dropout(0.1)(layers.ReLU()(layers.Add()([shortcut, inner])))
    maps = _separable(maps, 128, 29, dilation=2)
    maps = conv_norm(maps, 128, (1, 1))
    return layers.Dense(labels)(layers.GlobalAveragePooling2D()(maps))


BUILDERS = {
    f"matchboxnet_{blocks}x{repeats}x{channels}": partial(
        matchboxnet, blocks=blocks, repeats=repeats, channels=channels
    )
    for blocks, repeats, channels in ((3, 1, 64), (3, 2, 64), (6, 2, 64))
}
