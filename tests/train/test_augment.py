"""What augmentation does to samples."""

import numpy as np
import pytest
from kwsd_train.batches import augment

RATE_HZ = 16_000


def burst(start: int, end: int, count: int = RATE_HZ) -> np.ndarray:
    """A full-scale tone from ``start`` to ``end``, zeros around it."""
    signal = np.zeros(count, np.float32)
    signal[start:end] = np.sin(np.arange(end - start) * 0.3)
    return signal


@pytest.mark.parametrize("samples", [-16000, -700, 0, 1, 700, 16000])
def test_a_shift_moves_samples_and_brings_zeros(samples):
    signal = np.arange(1, 16001, dtype=np.float32)
    shifted = augment.shift(signal, samples)
    expected = [signal[i - samples] if 0 <= i - samples < 16000 else 0 for i in range(16000)]
    np.testing.assert_array_equal(shifted, expected)


@pytest.mark.parametrize("snr_db", [-5, 0, 20])
def test_noise_is_mixed_in_at_the_ratio_asked_for(snr_db):
    draw = np.random.default_rng(0)
    word = burst(4000, 12000)
    noise = draw.normal(0, 0.01, RATE_HZ).astype(np.float32)
    added = augment.mix_at_snr(word, noise, snr_db) - word
    measured_db = 10 * np.log10(augment.word_power(word) / np.mean(np.square(added, dtype=np.float64)))
    assert measured_db == pytest.approx(snr_db, abs=0.01)


def test_mixing_leaves_silence_and_silent_noise_alone():
    word, silence = burst(0, 8000), np.zeros(RATE_HZ, np.float32)
    np.testing.assert_array_equal(augment.mix_at_snr(word, silence, 0), word)
    np.testing.assert_array_equal(augment.mix_at_snr(silence, word, 0), silence)


def test_a_room_does_not_move_or_weaken_the_word():
    word = burst(4800, 9600)
    response = np.zeros(1600, np.float32)
    response[[40, 800]] = 0.9, 0.2
    heard = augment.colour(word, augment.Room(response), None)
    assert augment.word_power(heard) == pytest.approx(augment.word_power(word), rel=1e-3)
    assert augment.word_extent(heard)[0] == 4800


def test_a_flat_microphone_changes_nothing():
    word = burst(4800, 9600)
    np.testing.assert_allclose(augment.colour(word, None, augment.curve(np.zeros(8))), word, atol=1e-5)


def test_a_narrow_microphone_passes_nothing_above_its_end():
    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32)
    heard = augment.colour(noise, None, augment.curve(np.zeros(8), top=0.5))
    spectrum = np.abs(np.fft.rfft(heard)) ** 2
    assert spectrum[4500:].sum() < 1e-5 * spectrum[:4000].sum()
    assert spectrum[:3900].sum() > 0.95 * spectrum.sum()


@pytest.mark.parametrize("factor", [0.88, 1.0, 1.12])
def test_speed_interpolates_as_numpy_does(factor):
    signal = np.random.default_rng(1).normal(0, 0.1, RATE_HZ).astype(np.float32)
    places = (RATE_HZ - 1) / 2 * (1 - factor) + np.arange(RATE_HZ) * factor
    expected = np.interp(places, np.arange(RATE_HZ), signal, 0, 0)
    np.testing.assert_allclose(augment.speed(signal, factor)[1:-1], expected[1:-1], atol=1e-5)


def test_speed_shortens_the_word_about_the_middle():
    start, end = augment.word_extent(augment.speed(burst(4000, 12000), 1.25))
    assert (start, end) == pytest.approx((8000 - 3200, 8000 + 3200), abs=augment.FRAME_SAMPLES)


def test_the_extent_of_a_word_is_where_it_is_loud():
    faint = 1e-3 * np.random.default_rng(0).normal(0, 1, RATE_HZ).astype(np.float32)
    assert augment.word_extent(burst(3200, 6400) + faint) == (3200, 6400)
    assert augment.word_extent(np.zeros(RATE_HZ, np.float32)) == (0, 0)


@pytest.mark.parametrize(("start", "share"), [(0, 1.0), (5000, 0.5), (6000, 0.0), (-15500, 0.0), (-11500, 0.25)])
def test_the_share_of_a_word_in_a_window(start, share):
    assert augment.kept_share((4000, 6000), start, RATE_HZ) == share


def test_masks_hide_rows_and_columns():
    rows = np.arange(20, dtype=np.float32).reshape(5, 4)
    augment.mask_rows(rows, 1, 2)
    assert (rows[1:3] == 9.5).all()
    assert (rows[[0, 3, 4]] != 9.5).all()
    augment.mask_columns(rows, 3, 1)
    assert len(set(rows[:, 3])) == 1
