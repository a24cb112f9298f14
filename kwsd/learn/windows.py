"""Windows of a take, as the model would see them in a stream: with the whole word, and with other sounds.

Takes of one person are few and alike, so windows vary in speed, position in the clip, room, microphone and noise. The
other sounds are made from the same voice, or the voice would be learned instead of the word: pieces of the word, its
halves exchanged, and the word backwards.
"""

from collections.abc import Callable

import numpy as np

from kwsd.audio.signal import FRAME_SAMPLES, Signal, gain, word_extent, word_power

Draw = np.random.Generator

SPEED_SHARE = 0.12
CUT_SHARE = 0.15
"""How much of the word may be outside a window that counts as the word."""

NOISE_SHARE, SNR_DB = 0.6, (3.0, 30.0)
ROOM_SHARE, ROOM_RT60_S, ROOM_BELOW_DB = 0.3, (0.1, 0.5), (3.0, 12.0)
MICROPHONE_SHARE, MICROPHONE_DB, MICROPHONE_POINTS = 0.7, 5.0, 6
GAIN_DB = (-20.0, 6.0)
FAINT = 1e-4
MARGIN_SAMPLES = 800


def word_windows(take: Signal, clip_samples: int, count: int, draw: Draw) -> list[Signal]:
    """``count`` windows (clip_samples,) that hold the word of a take.

    Args:
        take: float32 in -1..1, shape (n,), a word with or without silence around it.
    """
    return [_window(take, clip_samples, _whole, draw) for _ in range(count)]


def other_windows(take: Signal, clip_samples: int, count: int, draw: Draw) -> list[Signal]:
    """``count`` windows (clip_samples,) of the same voice that do not hold the word."""
    kinds = (_beginning, _end, _backwards, _halves_exchanged)
    return [_window(take, clip_samples, kinds[i % len(kinds)], draw) for i in range(count)]


def stream(take: Signal, clip_samples: int, draw: Draw) -> Signal:
    """A take within faint noise, long enough for every window of a stream that touches its word."""
    word = _word(take)
    signal = np.zeros(2 * clip_samples + len(word), np.float32)
    signal[clip_samples : clip_samples + len(word)] = word
    return _with_faint_noise(signal, draw)


def _window(take: Signal, clip_samples: int, kind: Callable[[Signal, int, Draw], Signal], draw: Draw) -> Signal:
    word = stretched(_word(take), draw.uniform(1 - SPEED_SHARE, 1 + SPEED_SHARE))
    return _heard(kind(word, clip_samples, draw), word_power(word), draw)


def _word(take: Signal) -> Signal:
    begin, end = word_extent(take)
    return take[max(0, begin - MARGIN_SAMPLES) : end + MARGIN_SAMPLES] if end else take


def _whole(word: Signal, count: int, draw: Draw) -> Signal:
    cut = int(CUT_SHARE * len(word))
    low, high = sorted((-cut, count - len(word) + cut))
    return placed(word, int(draw.integers(low, high + 1)), count)


def _beginning(word: Signal, count: int, draw: Draw) -> Signal:
    return placed(word, count - int(len(word) * draw.uniform(0.15, 0.55)), count)


def _end(word: Signal, count: int, draw: Draw) -> Signal:
    return placed(word, -int(len(word) * draw.uniform(0.45, 0.85)), count)


def _backwards(word: Signal, count: int, draw: Draw) -> Signal:
    return _whole(word[::-1], count, draw)


def _halves_exchanged(word: Signal, count: int, draw: Draw) -> Signal:
    middle = int(len(word) * draw.uniform(0.4, 0.6))
    return _whole(np.concatenate([word[middle:], word[:middle]]), count, draw)


def placed(word: Signal, start: int, count: int) -> Signal:
    """``count`` samples of silence with the word from ``start`` on, cut off at the end."""
    window = np.zeros(count, np.float32)
    begin, end = max(0, start), min(count, start + len(word))
    if begin < end:
        window[begin:end] = word[begin - start : end - start]
    return window


def stretched(signal: Signal, factor: float) -> Signal:
    """``factor`` times as fast, and as much higher in pitch."""
    places = np.arange(int(len(signal) / factor)) * factor
    return np.asarray(np.interp(places, np.arange(len(signal)), signal), np.float32)


def _heard(window: Signal, power: float, draw: Draw) -> Signal:
    if draw.random() < ROOM_SHARE:
        window = in_room(window, draw)
    if draw.random() < MICROPHONE_SHARE:
        window = by_microphone(window, draw)
    if draw.random() < NOISE_SHARE:
        level = np.sqrt(power) * 10 ** (-draw.uniform(*SNR_DB) / 20)
        window = window + coloured_noise(len(window), draw) * np.float32(level)
    return _with_faint_noise(gain(window, draw.uniform(*GAIN_DB)), draw)


def _with_faint_noise(signal: Signal, draw: Draw) -> Signal:
    """A microphone's own noise: real recordings have no digital silence."""
    noisy: Signal = signal + draw.normal(0, FAINT, len(signal)).astype(np.float32)
    return noisy.clip(-1, 1)


def in_room(signal: Signal, draw: Draw) -> Signal:
    """With reverberation, as exponentially decaying noise: RT60 and level are drawn."""
    rate_hz = 50 * FRAME_SAMPLES
    count = int(draw.uniform(*ROOM_RT60_S) * rate_hz)
    echo = draw.normal(0, 1, count) * 10 ** (-3 * np.arange(count) / count)
    echo *= 10 ** (-draw.uniform(*ROOM_BELOW_DB) / 20) / np.sqrt(np.square(echo).sum())
    echo[0] = 1
    size = 1 << (len(signal) + count - 1).bit_length()
    heard = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(echo, size), size)
    return heard[: len(signal)].astype(np.float32)


def by_microphone(signal: Signal, draw: Draw) -> Signal:
    """With a microphone's frequency response: gains at equally spaced frequencies are drawn."""
    spectrum = np.fft.rfft(signal)
    points_db = draw.uniform(-MICROPHONE_DB, MICROPHONE_DB, MICROPHONE_POINTS)
    gains_db = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, MICROPHONE_POINTS), points_db)
    return np.fft.irfft(spectrum * 10 ** (gains_db / 20), len(signal)).astype(np.float32)


def coloured_noise(count: int, draw: Draw) -> Signal:
    """Noise between white and brown, with power 1."""
    spectrum = np.fft.rfft(draw.normal(0, 1, count))
    spectrum *= np.maximum(np.arange(len(spectrum)), 20.0) ** -draw.uniform(0, 1)
    noise = np.fft.irfft(spectrum, count)
    return np.asarray(noise / np.sqrt(np.mean(np.square(noise))), np.float32)
