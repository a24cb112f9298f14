"""Which second of a take is kept, and which takes are refused."""

import numpy as np
import pytest

from kwsd.audio.takes import fault, loudest

RATE_HZ = 16_000


def take(start_s=0.7, length_s=0.5, level=0.3, noise=1e-3, seconds=2.0):
    """Seconds of noise with a buzzing "word" in it."""
    draw = np.random.default_rng(1)
    signal = draw.normal(0, noise, round(seconds * RATE_HZ))
    start, count = round(start_s * RATE_HZ), round(length_s * RATE_HZ)
    signal[start : start + count] += level * np.sin(np.arange(count) * 0.3)
    return signal.clip(-1, 1).astype(np.float32)


def test_the_loudest_second_holds_the_word_in_its_middle():
    second = loudest(take(), RATE_HZ)
    loud = np.flatnonzero(np.abs(second) > 0.05)
    assert len(second) == RATE_HZ
    assert abs(loud[0] - (RATE_HZ - 1 - loud[-1])) < 0.05 * RATE_HZ
    assert loud[-1] - loud[0] > 0.49 * RATE_HZ


@pytest.mark.parametrize("start_s", [0.0, 1.5])
def test_a_word_at_either_end_is_kept_whole(start_s):
    assert np.count_nonzero(np.abs(loudest(take(start_s), RATE_HZ)) > 0.05) > 0.4 * RATE_HZ


def test_a_take_shorter_than_a_clip_stays_as_it_is():
    assert len(loudest(take(seconds=0.5, start_s=0, length_s=0.2), RATE_HZ)) == RATE_HZ // 2


def test_a_word_in_quiet_is_fine():
    assert fault(take(), RATE_HZ) is None


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (np.zeros(2 * RATE_HZ, np.float32), "muted"),
        (take(level=3.0), "clipped"),
        (take(level=1e-3, noise=1e-5), "too quiet"),
        (take(level=0, noise=0.1), "no word stands out"),
        (take(start_s=0), "cut off"),
        (take(start_s=1.5), "cut off"),
        (take(start_s=0.3, length_s=1.4), "longer than a clip"),
    ],
)
def test_a_take_of_no_use_is_refused_in_words(bad, told):
    why = fault(bad, RATE_HZ)
    assert why is not None
    assert told in why
