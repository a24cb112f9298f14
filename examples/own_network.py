"""A custom network for kwsd-train.

    kwsd-train train --model_architecture examples/own_network.py:two_convolutions ...

A function gets features, a Keras tensor (batch, frames, width), and the number of labels; it gives logits, a Keras
tensor (batch, labels). Softmax and loss are added by kwsd-train.
"""

from keras import layers


def two_convolutions(features, labels):
    """Two convolutions over time, bands as channels, and the mean over time."""
    rows = layers.BatchNormalization()(features)
    for channels in (24, 32):
        rows = layers.Conv1D(channels, 9, strides=2, padding="same", activation="relu")(rows)
    return layers.Dense(labels)(layers.GlobalAveragePooling1D()(rows))
