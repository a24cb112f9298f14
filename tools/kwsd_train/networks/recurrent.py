"""Recurrent networks: GRU and LSTM, with convolutions before them (CRNN), with attention after them.

If the batch is fixed, as in frozen models, cells are unrolled: TFLite then has a sequence of plain operators, which
every runtime supports, instead of loops.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from keras import layers

from kwsd_train.networks.blocks import conv_norm, image, norm


def _unrolled(cell: Callable[..., Any], features: Any) -> Callable[..., Any]:
    return partial(cell, unroll=features.shape[0] is not None)


def one_layer(features: Any, labels: int, *, cell: Callable[..., Any], units: int) -> Any:
    """One recurrent layer and a dense one on its last state (Hello Edge, arXiv 1711.07128)."""
    return layers.Dense(labels)(_unrolled(cell, features)(units)(features))


def crnn(features: Any, labels: int, *, filters: int, strides: tuple[int, int], units: int, dense: int) -> Any:
    """A convolution, two GRU layers, two dense ones (arXiv 1703.05390 in the form of Hello Edge)."""
    convolved = layers.Conv2D(filters, (10, 4), strides=strides, use_bias=False)(image(features))
    maps = layers.ReLU()(norm(convolved))
    frames, bands = maps.shape[1:3]
    rows = layers.Reshape((frames, bands * filters))(maps)
    gru = _unrolled(layers.GRU, features)
    state = gru(units)(gru(units, return_sequences=True)(rows))
    return layers.Dense(labels)(layers.Dense(dense, activation="relu")(state))


def attention(
    features: Any, labels: int, *, cell: Callable[..., Any], units: int, heads: int, dense: tuple[int, ...]
) -> Any:
    """Two bidirectional layers, and a mean of their rows, weighted by their match with the middle one.

    Att-RNN (arXiv 1808.08929) with one head of LSTM, MHAtt-RNN (arXiv 2005.06720) with four of GRU.
    """
    maps = conv_norm(conv_norm(image(features), 10, (5, 1)), 1, (5, 1))
    rows = layers.Reshape(features.shape[1:])(maps)
    step = _unrolled(cell, features)
    for _ in range(2):
        rows = layers.Bidirectional(step(units, return_sequences=True))(rows)
    frames = rows.shape[1]
    middle = layers.Flatten()(layers.Cropping1D((frames // 2, frames - frames // 2 - 1))(rows))
    heard = []
    for _ in range(heads):
        answers = layers.Dot(axes=(1, 2))([layers.Dense(2 * units)(middle), rows])
        heard.append(layers.Dot(axes=(1, 1))([layers.Softmax()(answers), rows]))
    flat = layers.Concatenate()(heard) if heads > 1 else heard[0]
    if heads > 1:
        flat = layers.Dropout(0.2)(flat)
    for place, size in enumerate(dense):
        flat = layers.Dense(size, activation="relu" if place == 0 else None)(flat)
    return layers.Dense(labels)(flat)


BUILDERS = {
    "gru": partial(one_layer, cell=layers.GRU, units=154),
    "lstm": partial(one_layer, cell=layers.LSTM, units=118),
    "crnn_s": partial(crnn, filters=48, strides=(2, 2), units=60, dense=84),
    "crnn_m": partial(crnn, filters=128, strides=(2, 2), units=76, dense=164),
    "crnn_l": partial(crnn, filters=100, strides=(2, 1), units=136, dense=188),
    "att_rnn": partial(attention, cell=layers.LSTM, units=64, heads=1, dense=(64, 32)),
    "mhatt_rnn": partial(attention, cell=layers.GRU, units=128, heads=4, dense=(64,)),
}
