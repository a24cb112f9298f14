"""kwsd/audio/microphone/signal_check.py: dead and clipping microphones are told from live ones."""

import itertools

import numpy as np
import pytest

from kwsd.audio.microphone.signal_check import SignalCheck

RATE_HZ = 16_000
NOISE = np.random.default_rng(3).normal(0, 200, 20 * RATE_HZ).astype(np.int16)


def faults(signal, block=320, gain_db=0.0):
    """The fault after each block."""
    check, seen = SignalCheck(RATE_HZ, gain_db), []
    for at in range(0, len(signal), block):
        check.take(signal[at : at + block])
        seen.append(check.fault)
    return seen


@pytest.mark.parametrize("block", [1, 17, 320, 4800])
@pytest.mark.parametrize(
    ("value", "words"), [(0, "all samples are zero"), (-7, "stuck at -7"), (1200, "stuck at 1200")]
)
def test_a_constant_signal_is_told_within_three_seconds_and_forgiven_at_once(value, words, block):
    dead = np.full(4 * RATE_HZ, value, np.int16)
    seen = faults(np.concatenate((NOISE[:RATE_HZ], dead, NOISE[: 4 * RATE_HZ])), block)
    told = next(at for at, fault in enumerate(seen) if fault and words in fault)
    assert 3.2 * RATE_HZ <= (told + 1) * block <= 3.8 * RATE_HZ + block
    assert seen[-1] is None


def test_a_quiet_room_is_alive():
    assert set(faults((NOISE // 150).astype(np.int16))) == {None}


@pytest.mark.parametrize("begin_s", [1.0, 1.3, 1.39, 2.0])
def test_clipping_is_told_within_three_seconds_and_taken_back_after_ten(begin_s):
    begin = int(begin_s * RATE_HZ)
    clipped = np.clip(NOISE[: 6 * RATE_HZ].astype(np.int32) * 400, -32768, 32767).astype(np.int16)
    seen = faults(np.concatenate((NOISE[:begin], clipped, NOISE[: 15 * RATE_HZ])))
    told = next(at for at, fault in enumerate(seen) if fault and fault.startswith("clipping: "))
    assert begin <= (told + 1) * 320 <= begin + 3 * RATE_HZ
    assert seen[(begin + 14 * RATE_HZ) // 320] is not None and seen[-1] is None


def test_loud_words_with_pauses_between_are_one_fault():
    """Else the log would say it at every word."""
    word = np.full(RATE_HZ // 2, 32767, np.int16)
    seen = faults(np.concatenate([np.concatenate((word, NOISE[: 4 * RATE_HZ])) for _ in range(5)]))
    changes = sum((before is None) != (after is None) for before, after in itertools.pairwise(seen))
    assert changes == 1


@pytest.mark.parametrize(("gain_db", "told"), [(0, None), (20, None), (40, "audio.gain_db of 40 dB (lower that)")])
def test_a_gain_that_clips_is_told_as_such(gain_db, told):
    """40 dB make a quiet room's noise clip; 20 dB do not."""
    fault = faults(NOISE[: 4 * RATE_HZ], gain_db=gain_db)[-1]
    assert (fault is None) == (told is None)
    assert told is None or (fault.startswith("clipping: ") and fault.endswith(told))


def test_a_microphone_that_clips_itself_is_told_so_whatever_the_gain():
    clipped = np.clip(NOISE[: 4 * RATE_HZ].astype(np.int32) * 400, -32768, 32767).astype(np.int16)
    assert faults(clipped, gain_db=40)[-1].endswith("(lower the microphone's gain)")


def test_an_attenuated_microphone_that_clips_itself_is_told_all_the_same():
    clipped = np.clip(NOISE[: 4 * RATE_HZ].astype(np.int32) * 400, -32768, 32767).astype(np.int16)
    assert "clipping" in faults(clipped, gain_db=-20)[-1]


def test_a_single_click_at_full_scale_is_no_clipping():
    click = NOISE[: 9 * RATE_HZ].copy()
    click[RATE_HZ : RATE_HZ + 20] = -32768
    assert set(faults(click)) == {None}


def test_an_empty_block_changes_nothing():
    check = SignalCheck(RATE_HZ)
    check.take(np.zeros(0, np.int16))
    assert check.fault is None
