"""Levels of words and simple changes to them. Pure functions on float32 samples in -1..1, shape (n,); numpy alone."""

import math

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float32]

FRAME_SAMPLES = 320
"""20 ms at 16 kHz: the frames in which loudness is measured."""


def fit(signal: Signal, count: int) -> Signal:
    """The first ``count`` samples, padded with zeros."""
    if len(signal) >= count:
        return signal[:count]
    fitted = np.zeros(count, np.float32)
    fitted[: len(signal)] = signal
    return fitted


def shift(signal: Signal, samples: int) -> Signal:
    """Shifted later by ``samples`` (earlier if negative), padded with zeros; the length stays."""
    shifted = np.zeros_like(signal)
    if samples >= 0:
        shifted[samples:] = signal[: max(len(signal) - samples, 0)]
    else:
        shifted[:samples] = signal[-samples:]
    return shifted


def frame_powers(signal: Signal) -> NDArray[np.float64]:
    """Mean square of each whole 20 ms frame, shape (frames,)."""
    frames = signal[: len(signal) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return np.asarray(np.einsum("ij,ij->i", frames, frames), np.float64) / FRAME_SAMPLES


def word_power(signal: Signal) -> float:
    """Mean power of the louder half of the 20 ms frames: a word's level, regardless of the silence around it."""
    powers = np.sort(frame_powers(signal))
    return float(powers[len(powers) // 2 :].mean()) if len(powers) else 0.0


def mix_at_snr(signal: Signal, noise: Signal, snr_db: float) -> Signal:
    """``signal`` plus ``noise``, scaled so that the word's power is ``snr_db`` above the mean power of the noise."""
    noise_power = float(np.mean(np.square(noise), dtype=np.float64))
    power = word_power(signal)
    if noise_power == 0 or power == 0:
        return signal
    return signal + np.float32(np.sqrt(power / noise_power) * 10 ** (-snr_db / 20)) * noise


def gain(signal: Signal, gain_db: float) -> Signal:
    """Amplified by ``gain_db``."""
    return signal * np.float32(10 ** (gain_db / 20))


def speed(signal: Signal, factor: float) -> Signal:
    """``factor`` times as fast, and as much higher in pitch, by linear interpolation about the middle."""
    last = len(signal) - 1
    first = last / 2 * (1 - factor)
    begin, end = max(0, math.ceil(-first / factor)), min(len(signal), math.ceil((last - first) / factor))
    places = np.arange(begin, end, dtype=np.float64) * factor + first
    before = places.astype(np.int32)
    share = (places - before).astype(np.float32)
    left, right = (np.take(part, before, mode="clip") for part in (signal, signal[1:]))
    heard = np.zeros_like(signal)
    heard[begin:end] = left + share * (right - left)
    return heard


def word_extent(signal: Signal, below_peak_db: float = 25.0) -> tuple[int, int]:
    """First and past-the-end sample of the part that is louder than ``below_peak_db`` under the loudest frame."""
    powers = frame_powers(signal)
    if not len(powers) or powers.max() == 0:
        return 0, 0
    loud = np.flatnonzero(powers > powers.max() * 10 ** (-below_peak_db / 10))
    return int(loud[0]) * FRAME_SAMPLES, (int(loud[-1]) + 1) * FRAME_SAMPLES
