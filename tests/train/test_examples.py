"""Batches: a function of the seed and the step, with the labels that were asked for."""

from collections import Counter

import numpy as np
import pytest
import soundfile
from kwsd_train.batches import augment
from kwsd_train.batches.examples import Examples
from kwsd_train.batches.training_data import NOT_NAMED, load_data
from kwsd_train.batches.workers import batches
from kwsd_train.data.folders import SILENCE_INDEX, UNKNOWN_INDEX
from kwsd_train.export import waveform
from kwsd_train.flags import options

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
    rows, targets, _ = Examples(data, SETTINGS).batch(7)
    again = Examples(data, SETTINGS)
    again.batch(3)
    np.testing.assert_array_equal(again.batch(7).rows, rows)
    assert not np.array_equal(again.batch(8).rows, rows)
    assert not np.array_equal(Examples(data, SETTINGS | {"seed": 1}).batch(7).rows, rows)
    assert rows.shape == (40, 49, 40)
    assert (targets.sum(axis=1) == 1).all()


def test_workers_make_the_same_batches_in_order(data):
    alone = list(batches(data, SETTINGS, 3, 6, workers=0))
    ahead = list(batches(data, SETTINGS, 3, 6, workers=2))
    assert len(alone) == len(ahead) == 4
    for batch, other in zip(alone, ahead, strict=True):
        for part, other_part in zip(batch, other, strict=True):
            np.testing.assert_array_equal(part, other_part)


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
    rows, targets, _ = Examples(data, SETTINGS | many).batch(1)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)


def test_a_word_is_shifted_farther_as_long_as_it_is_whole(data):
    examples = Examples(data, SETTINGS | {"time_shift_ms": 0.0, "whole_shift_ms": 400.0})
    word = np.zeros(16_000, np.float32)
    word[6400:9600] = 0.5
    draw = np.random.default_rng(0)
    starts = [augment.word_extent(examples._shifted(word, draw))[0] for _ in range(200)]
    assert min(starts) < 1000
    assert max(starts) > 11_800
    assert all(np.count_nonzero(examples._shifted(word, draw)) == 3200 for _ in range(50))


def test_words_are_heard_over_a_voice_and_keep_their_label(data_dir, tmp_path):
    speech = tmp_path / "speech"
    speech.mkdir()
    draw = np.random.default_rng(0)
    soundfile.write(speech / "talk.wav", draw.normal(0, 0.1, 80_000), 16_000, subtype="PCM_16")
    where = options.Folders(data_dir, speech, speech, speech, tmp_path / "cache")
    alone = SETTINGS | {"voice_frequency": 0.0, "background_frequency": 0.0, "time_shift_ms": 0.0}
    over = alone | {"voice_frequency": 1.0, "voice_snr_db": (10.0, 10.0)}
    with_voice = Examples(load_data(over, where), over)
    word = with_voice._word(draw, label=3)
    below = with_voice._over_voice(word.signal, draw) - word.signal
    ratio_db = 10 * np.log10(augment.word_power(word.signal) / np.mean(np.square(below)))
    assert ratio_db == pytest.approx(10, abs=0.01)
    assert {2, 3} <= set(with_voice.batch(1).targets.argmax(axis=1))


def test_a_batch_says_which_word_is_spoken(data):
    batch = Examples(data, SETTINGS | {"batch_size": 200}).batch(1)
    labels = batch.targets.argmax(axis=1)
    for word, label in (("up", 2), ("down", 3)):
        assert set(batch.spoken[labels == label]) == {data.spoken.index(word)}
    assert set(batch.spoken[labels == SILENCE_INDEX]) == {NOT_NAMED}


def test_windows_of_a_stream_hold_words_half_words_and_nothing(data):
    settings = SETTINGS | {"stream_frequency": 1.0, "unknown_percentage": 0.0, "batch_size": 200}
    _, targets, _ = Examples(data, settings).batch(1)
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


@pytest.mark.parametrize("front", [None, {**waveform.FRONTEND, "sample_rate_hz": 16_000}])
def test_no_clips_have_the_shape_of_some(data, front):
    """Sets are joined, and one of them may be empty."""
    examples = Examples(data, SETTINGS, front)
    none, one = (examples.features(np.zeros((count, 16_000), np.float32)) for count in (0, 1))
    assert np.concatenate([none, one]).shape == one.shape


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
