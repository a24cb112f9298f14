"""Batches: a function of the seed and the step, with the labels that were asked for."""

from collections import Counter

import numpy as np
import pytest
from kwsd_train import options
from kwsd_train.batches import batches
from kwsd_train.data import SILENCE_INDEX, UNKNOWN_INDEX
from kwsd_train.examples import Examples, load_data

from kwsd.errors import InputError

SETTINGS = options.FEATURE_DEFAULTS | options.DATA_DEFAULTS | options.AUGMENT_DEFAULTS
SETTINGS |= {"wanted_words": "up,down", "window_stride_ms": 20.0, "batch_size": 40, "validation_percentage": 20.0}


def folders(data_dir, cache_dir):
    """Data without running speech, noise or rooms."""
    nowhere = data_dir / "nowhere"
    return options.Folders(data_dir, nowhere, nowhere, nowhere, cache_dir)


@pytest.fixture(scope="module")
def data(data_dir, tmp_path_factory):
    return load_data(SETTINGS, folders(data_dir, tmp_path_factory.mktemp("cache")))


def test_a_batch_is_a_function_of_seed_and_step(data):
    rows, targets = Examples(data, SETTINGS).batch(7)
    again = Examples(data, SETTINGS)
    again.batch(3)
    np.testing.assert_array_equal(again.batch(7)[0], rows)
    assert not np.array_equal(again.batch(8)[0], rows)
    assert not np.array_equal(Examples(data, SETTINGS | {"seed": 1}).batch(7)[0], rows)
    assert rows.shape == (40, 49, 40)
    assert (targets.sum(axis=1) == 1).all()


def test_workers_make_the_same_batches_in_order(data):
    alone = list(batches(data, SETTINGS, 3, 6, workers=0))
    ahead = list(batches(data, SETTINGS, 3, 6, workers=2))
    assert len(alone) == len(ahead) == 4
    for (rows, targets), (other_rows, other_targets) in zip(alone, ahead, strict=True):
        np.testing.assert_array_equal(rows, other_rows)
        np.testing.assert_array_equal(targets, other_targets)


def test_every_augmentation_together_keeps_rows_finite_and_targets_whole(data):
    many = {
        "gain_db": (-40.0, 6.0),
        "speed_percentage": 10.0,
        "equalizer_db": 6.0,
        "stream_frequency": 0.5,
        "repeat_frequency": 0.5,
        "quiet_frequency": 0.5,
        "time_masks": 2,
        "band_masks": 2,
        "mixup": 0.3,
    }
    rows, targets = Examples(data, SETTINGS | many).batch(1)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)


def test_windows_of_a_stream_hold_words_half_words_and_nothing(data):
    settings = SETTINGS | {"stream_frequency": 1.0, "unknown_percentage": 0.0, "batch_size": 200}
    _, targets = Examples(data, settings).batch(1)
    counts = targets.sum(axis=0)
    assert counts[UNKNOWN_INDEX] > 10
    assert counts[SILENCE_INDEX] > 10
    assert counts[2:].min() > 10


def test_a_word_said_again_leaves_halves_of_itself_that_are_no_word(data):
    examples = Examples(data, SETTINGS | {"stream_frequency": 1.0, "repeat_frequency": 1.0})
    seen = Counter()
    for seed in range(400):
        draw = np.random.default_rng(seed)
        first = examples._word(draw, label=2)
        seen[examples._stream_window(first, draw).label] += 1
    assert set(seen) <= {2, UNKNOWN_INDEX, SILENCE_INDEX}  # no other word was near
    assert min(seen[2], seen[UNKNOWN_INDEX]) > 50


def test_an_evaluation_set_is_the_same_each_time_and_in_parts(data):
    examples = Examples(data, SETTINGS)
    rows, labels = examples.evaluation_set("validation")
    parts = [examples.evaluation_set("validation", start, 3)[0] for start in range(0, len(labels), 3)]
    np.testing.assert_array_equal(np.concatenate(parts), rows)
    assert set(labels) == {0, 1, 2, 3}


def test_silence_without_noise_is_told(data_dir, tmp_path):
    for word in ("up", "down"):
        (tmp_path / word).symlink_to(data_dir / word)
    with pytest.raises(InputError, match="no _background_noise_ folder to make silence from"):
        load_data(SETTINGS, folders(tmp_path, tmp_path / "cache"))


def test_noise_shorter_than_a_clip_is_told(data_dir, tmp_path):
    with pytest.raises(InputError, match="Background sample is too short! Need more than 48000 samples"):
        load_data(SETTINGS | {"clip_duration_ms": 3000}, folders(data_dir, tmp_path / "cache"))


def test_speech_that_is_not_there_is_told(data_dir, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load_data(SETTINGS | {"speech_percentage": 10.0}, folders(data_dir, tmp_path / "cache"))
