"""The step: what is learnt, and what its layers make of a batch."""

import keras
import numpy as np
import pytest
from kwsd_train import networks
from kwsd_train.batches.examples import Batch
from kwsd_train.batches.training_data import NOT_NAMED
from kwsd_train.networks.blocks import BatchNormalization
from kwsd_train.training.trainer import Trainer

from kwsd.errors import UsageError

SETTINGS = {"model_architecture": "res2d1d_tiny", "seed": 1}


def batch(spoken):
    draw = np.random.default_rng(0)
    targets = np.eye(4, dtype=np.float32)[draw.integers(4, size=20)]
    return Batch(draw.normal(size=(20, 49, 40)).astype(np.float32), targets, np.full(20, spoken, np.int32))


def test_batch_norm_in_one_operation_equals_keras():
    draw = np.random.default_rng(0)
    images = draw.normal(2, 3, (8, 5, 6, 7)).astype(np.float32)
    ours, theirs = BatchNormalization(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)
    np.testing.assert_allclose(ours(images, training=True), theirs(images, training=True), atol=1e-5)
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, atol=1e-5)
    np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, rtol=0.01)  # n - 1 for n
    np.testing.assert_allclose(ours(images, training=False), theirs(images, training=False), rtol=0.02, atol=0.01)


def test_a_second_loss_teaches_the_features_and_leaves_the_model_as_it_is():
    trainer = Trainer(SETTINGS, (49, 40), 4, spoken=3, spoken_weight=1.0)
    plain = Trainer(SETTINGS, (49, 40), 4)
    assert [v.shape for v in trainer.model.variables] == [v.shape for v in plain.model.variables]
    for one in (trainer, plain):
        one.step(batch(2), 0.1, 1)
    pairs = zip(trainer.model.trainable_variables, plain.model.trainable_variables, strict=True)
    assert any(np.abs(np.asarray(a) - np.asarray(b)).max() > 1e-4 for a, b in pairs)


def test_words_that_nobody_named_teach_no_second_layer():
    trainer = Trainer(SETTINGS, (49, 40), 4, spoken=3, spoken_weight=1.0)
    before = trainer.variables()["second"]
    trainer.step(batch(NOT_NAMED), 0.1, 1)
    for old, new in zip(before, trainer.variables()["second"], strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_network_that_ends_otherwise_has_no_embedding():
    with pytest.raises(UsageError, match="does not end in one dense layer"):
        networks.embedding(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Softmax()]))
