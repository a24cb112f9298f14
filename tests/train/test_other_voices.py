"""Wanted words by synthesized voices, beside the few people who have recorded them."""

import shutil

import numpy as np
import pytest
from kwsd_train.batches import sampling
from kwsd_train.batches.examples import Examples
from kwsd_train.batches.training_data import load_data
from kwsd_train.data import other_voices
from kwsd_train.flags import options

SETTINGS = options.FEATURE_DEFAULTS | options.DATA_DEFAULTS | options.AUGMENT_DEFAULTS
SETTINGS |= {"window_stride_ms": 20.0, "sampling": "balanced", "synthesized_voices": 3, "same_voice_percentage": 100.0}

needs_espeak = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")


@pytest.fixture
def few(data_dir, tmp_path):
    """One take of ``lumos``; ``up`` and ``bird`` by ten people and more."""
    root = tmp_path / "words"
    (root / "lumos").mkdir(parents=True)
    for word in ("up", "bird", "_background_noise_"):
        (root / word).symlink_to(data_dir / word)
    shutil.copy(data_dir / "down" / "speaker0_nohash_0.wav", root / "lumos" / "carl_nohash_0.wav")
    return root


def data_of(root, cache, **more):
    nowhere = root / "nowhere"
    settings = SETTINGS | {"wanted_words": "up,lumos"} | more
    return load_data(settings, options.Folders(root, nowhere, nowhere, nowhere, cache), ()), settings


@needs_espeak
def test_words_of_few_speakers_get_voices_that_say_other_words_too(few, tmp_path):
    data, settings = data_of(few, tmp_path / "cache")
    training = data.sets["training"]
    words = [data.clips.paths[number].parent.name for number in training.numbers[training.made]]
    assert words.count("lumos") == 3 * other_voices.TAKES
    assert "up" not in words
    assert len(words) - words.count("lumos") == 3 * other_voices.OTHER_TAKES
    assert all(len(data.clips[number]) == 16_000 for number in training.numbers[training.made])
    for label, word in ((1, None), (3, "lumos")):
        there = {
            data.clips.paths[number].parent.name
            for number in training.numbers[training.made & (training.labels == label)]
        }
        assert there == {word} if word else "lumos" not in there
    drawn = [Examples(data, settings)._sampler.entry(3, np.random.default_rng(seed)) for seed in range(300)]
    assert training.made[drawn].mean() == pytest.approx(sampling.MADE_SHARE, abs=0.1)


@needs_espeak
def test_they_are_made_once_and_are_the_same_again(few, tmp_path, monkeypatch):
    first, _ = data_of(few, tmp_path / "cache")
    again, _ = data_of(few, tmp_path / "other")
    for number in range(len(first.clips)):
        np.testing.assert_array_equal(first.clips[number], again.clips[number])
    monkeypatch.setattr("kwsd_train.commands.synthesize.choose", None)
    kept, _ = data_of(few, tmp_path / "cache")
    assert kept.clips.paths == first.clips.paths


def test_without_text_to_speech_training_goes_on_and_tells_what_to_install(few, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("kwsd.learn.speech_engines.installed", lambda: [])
    data, _ = data_of(few, tmp_path / "cache")
    assert not data.sets["training"].made.any()
    assert "sudo apt-get install espeak-ng" in caplog.text
