"""Windows made of takes: always a clip long, never louder than full scale, whatever the take."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd.audio.signal import word_power
from kwsd.learn.windows import coloured_noise, other_windows, placed, stream, stretched, word_windows

CLIP = 16_000


def word(samples, seed=1):
    draw = np.random.default_rng(seed)
    return (draw.normal(0, 0.1, samples) * np.hanning(samples)).astype(np.float32)


@given(st.integers(400, 40_000), st.integers(0, 100), st.sampled_from([word_windows, other_windows]))
@settings(max_examples=40, deadline=None)
def test_windows_are_clips(samples, seed, make):
    take = np.pad(word(samples, seed), 2000)
    for window in make(take, CLIP, 8, np.random.default_rng(seed)):
        assert window.shape == (CLIP,)
        assert window.dtype == np.float32
        assert np.isfinite(window).all()
        assert np.abs(window).max() <= 1


@pytest.mark.parametrize("take", [np.zeros(16_000, np.float32), np.ones(10, np.float32), word(100)])
def test_takes_that_hold_no_word_make_windows_too(take):
    """They are refused before; nothing may fail on them all the same."""
    assert len(word_windows(take, CLIP, 4, np.random.default_rng(1))) == 4


def test_the_same_draws_give_the_same_windows():
    first, second = (word_windows(word(8000), CLIP, 5, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@given(st.integers(-20_000, 20_000), st.integers(1, 20_000))
def test_a_word_is_placed_where_it_was_asked_for(start, samples):
    signal = np.arange(1, samples + 1, dtype=np.float32)
    window = placed(signal, start, CLIP)
    for at in (0, CLIP // 2, CLIP - 1):
        inside = 0 <= at - start < samples
        assert window[at] == (signal[at - start] if inside else 0)


def test_a_stretched_tone_is_shorter_and_higher():
    tone = np.sin(2 * np.pi * 440 * np.arange(CLIP) / CLIP).astype(np.float32)
    faster = stretched(tone, 1.25)
    assert len(faster) == CLIP / 1.25
    peak = np.abs(np.fft.rfft(faster)).argmax() * CLIP / len(faster)
    assert peak == pytest.approx(550, abs=3)


def test_a_stream_shows_the_word_from_before_its_first_sample_to_after_its_last():
    signal = stream(np.pad(word(8000), 3000), CLIP, np.random.default_rng(1))
    assert len(signal) > 2 * CLIP
    assert word_power(signal[:CLIP]) < 1e-6 < word_power(signal[CLIP:-CLIP])


def test_noise_has_power_one():
    for seed in range(5):
        assert np.mean(np.square(coloured_noise(CLIP, np.random.default_rng(seed)))) == pytest.approx(1, rel=1e-3)
