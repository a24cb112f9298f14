"""BC-ResNet (arXiv 2106.04140): 2-D residual maps, and a 1-D path over time that is broadcast back over frequency.

Sub-spectral normalisation is batch norm with separate statistics for each of five groups of adjacent bands.
"""

from functools import partial
from typing import Any

from keras import layers

from kwsd_train.networks.blocks import conv_norm, depthwise_norm, image, norm

_GROUPS = 5


def sub_spectral_norm(maps: Any) -> Any:
    """Batch norm of (batch, time, bands, channels) with separate numbers for each group of bands and channel."""
    frames, bands, channels = maps.shape[1:]
    if bands % _GROUPS:
        return norm(maps)
    size = bands // _GROUPS
    split = layers.Permute((1, 3, 2, 4))(layers.Reshape((frames, _GROUPS, size, channels))(maps))
    normed = norm(layers.Reshape((frames, size, _GROUPS * channels))(split))
    joined = layers.Permute((1, 3, 2, 4))(layers.Reshape((frames, size, _GROUPS, channels))(normed))
    return layers.Reshape((frames, bands, channels))(joined)


def _block(maps: Any, channels: int, band_stride: int, dilation: int) -> Any:
    inner = maps if maps.shape[-1] == channels else conv_norm(maps, channels, (1, 1))
    over_bands = layers.DepthwiseConv2D((1, 3), padding="same", use_bias=False)(inner)
    if band_stride > 1:
        # TFLite's depthwise convolution has one stride for both axes: keep every second band instead
        over_bands = layers.MaxPooling2D((1, 1), strides=(1, band_stride))(over_bands)
    two_d = sub_spectral_norm(over_bands)
    mean = layers.AveragePooling2D((1, two_d.shape[2]))(two_d)
    one_d = layers.Activation("swish")(depthwise_norm(mean, (3, 1), dilation=(dilation, 1)))
    one_d = layers.SpatialDropout2D(0.1)(layers.Conv2D(channels, 1, use_bias=False)(one_d))
    total = two_d + one_d
    if band_stride == 1 and maps.shape[-1] == channels:
        total = total + maps
    return layers.ReLU()(total)


def bc_resnet(features: Any, labels: int, *, tau: float) -> Any:
    """Width ``tau``: 8 tau channels at the first stage."""
    base = int(8 * tau)
    maps = conv_norm(image(features), 2 * base, (5, 5), (1, 2))
    stages = ((2, base), (2, int(1.5 * base)), (4, 2 * base), (4, int(2.5 * base)))
    for stage, (blocks, channels) in enumerate(stages):
        for block in range(blocks):
            maps = _block(maps, channels, 2 if stage in (1, 2) and block == 0 else 1, 2**stage)
    bands = maps.shape[2]
    padded = layers.ZeroPadding2D((2, 0))(maps)
    narrow = layers.DepthwiseConv2D((5, bands), use_bias=False)(padded)
    pooled = layers.GlobalAveragePooling2D()(conv_norm(narrow, 4 * base, (1, 1)))
    return layers.Dense(labels)(pooled)


BUILDERS = {f"bc_resnet_{tau:g}".replace(".", "_"): partial(bc_resnet, tau=tau) for tau in (1, 1.5, 2, 3, 6, 8)}
