"""Sounds that are made, not recorded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kwsd_train.batches import made_noise

RATE_HZ = 16_000


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([4_000, 8_000, 16_000]), st.sampled_from([8_000, 16_000, 48_000]))
def test_a_sound_fits_its_clip_and_is_as_loud_as_it_says(seed, count, rate_hz):
    sound = made_noise.make(count, rate_hz, np.random.default_rng(seed))
    assert sound.shape == (count,) and sound.dtype == np.float32
    assert np.isfinite(sound).all()
    peak = np.abs(sound).max()
    assert peak == 0 or 10 ** (-40 / 20) * 0.99 <= peak <= 10 ** (-6 / 20) * 1.01


def test_the_generator_alone_decides():
    one, two, other = (made_noise.make(RATE_HZ, RATE_HZ, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


@pytest.mark.parametrize("kind", [made_noise.ticks, made_noise.hum, made_noise.whistle, made_noise.rustle])
def test_every_kind_sounds(kind):
    heard = [kind(RATE_HZ, RATE_HZ, np.random.default_rng(seed)) for seed in range(20)]
    assert np.mean([np.abs(sound).max() > 0 for sound in heard]) > 0.8


def test_ticks_are_short_and_hum_is_low():
    tick = made_noise.ticks(RATE_HZ, RATE_HZ, np.random.default_rng(5))
    loud = np.abs(tick) > 0.05 * np.abs(tick).max()
    assert loud.mean() < 0.5
    spectrum = np.abs(np.fft.rfft(made_noise.hum(RATE_HZ, RATE_HZ, np.random.default_rng(5)))) ** 2
    assert spectrum[:6000].sum() > 0.95 * spectrum.sum()
