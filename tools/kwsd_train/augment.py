"""Changes to clips that a model should not mind, and windows as a stream shows them.

Pure functions on float32 samples in -1..1, shape (n,); what is drawn is drawn by the caller.
"""

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float32]

FRAME_SAMPLES = 320
"""20 ms at 16 kHz: the grain in which loudness is looked at."""


def fit(signal: Signal, count: int) -> Signal:
    """The first ``count`` samples, padded with zeros."""
    if len(signal) >= count:
        return signal[:count]
    fitted = np.zeros(count, np.float32)
    fitted[: len(signal)] = signal
    return fitted


def shift(signal: Signal, samples: int) -> Signal:
    """Later by ``samples`` (earlier when negative), zeros moving in, the length kept."""
    shifted = np.zeros_like(signal)
    if samples >= 0:
        shifted[samples:] = signal[: max(len(signal) - samples, 0)]
    else:
        shifted[:samples] = signal[-samples:]
    return shifted


def frame_powers(signal: Signal) -> NDArray[np.float64]:
    """Mean square of each whole 20 ms frame, shape (frames,)."""
    frames = signal[: len(signal) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return np.asarray(np.einsum("ij,ij->i", frames, frames, dtype=np.float64) / FRAME_SAMPLES)


def word_power(signal: Signal) -> float:
    """Mean power of the louder half of the 20 ms frames: a word's level, whatever silence lies around it."""
    powers = np.sort(frame_powers(signal))
    return float(powers[len(powers) // 2 :].mean()) if len(powers) else 0.0


def mix_at_snr(signal: Signal, noise: Signal, snr_db: float) -> Signal:
    """``signal`` plus ``noise`` at a level that leaves ``snr_db`` between the word's power and the noise's mean."""
    noise_power = float(np.mean(np.square(noise), dtype=np.float64))
    power = word_power(signal)
    if noise_power == 0 or power == 0:
        return signal
    return signal + np.float32(np.sqrt(power / noise_power) * 10 ** (-snr_db / 20)) * noise


def gain(signal: Signal, gain_db: float) -> Signal:
    """Louder by ``gain_db``."""
    return signal * np.float32(10 ** (gain_db / 20))


def speed(signal: Signal, factor: float) -> Signal:
    """Spoken ``factor`` times as fast, and pitched as much higher, by linear interpolation about the middle."""
    middle = (len(signal) - 1) / 2
    places = middle + (np.arange(len(signal)) - middle) * factor
    return np.interp(places, np.arange(len(signal)), signal, 0, 0).astype(np.float32)


def colour(
    signal: Signal, response: Signal | None, curve_db: NDArray[np.float64] | None, curve_top_hz: float
) -> Signal:
    """Heard in a room and through a microphone.

    Args:
        response: the room's impulse response, or None. The result is as late as its strongest peak says, minus
            that delay, and as loud as ``signal``.
        curve_db: gains of the microphone at equally spaced points from 0 Hz to half of the rate, straight lines
            between them, or None.
        curve_top_hz: half of the rate in Hz, where ``curve_db`` ends.
    """
    size = 1 << (len(signal) + (0 if response is None else len(response)) - 1).bit_length()
    spectrum = np.fft.rfft(signal, size)
    delay = 0
    if response is not None:
        spectrum *= np.fft.rfft(response, size)
        delay = int(np.argmax(np.abs(response)))
    if curve_db is not None:
        bins = np.linspace(0, curve_top_hz, len(spectrum))
        spectrum *= 10 ** (np.interp(bins, np.linspace(0, curve_top_hz, len(curve_db)), curve_db) / 20)
    heard = np.fft.irfft(spectrum, size)[delay : delay + len(signal)].astype(np.float32)
    before, after = word_power(signal), word_power(heard)
    return heard * np.float32(np.sqrt(before / after)) if after > 0 else heard


def word_extent(signal: Signal, below_peak_db: float = 25.0) -> tuple[int, int]:
    """First and past-the-end sample of the part that is louder than ``below_peak_db`` under the loudest frame."""
    powers = frame_powers(signal)
    if not len(powers) or powers.max() == 0:
        return 0, 0
    loud = np.flatnonzero(powers > powers.max() * 10 ** (-below_peak_db / 10))
    return int(loud[0]) * FRAME_SAMPLES, (int(loud[-1]) + 1) * FRAME_SAMPLES


def kept_share(extent: tuple[int, int], start: int, count: int) -> float:
    """How much of ``extent`` lies in the window of ``count`` samples from ``start``, 0..1; 0 for an empty extent."""
    length = extent[1] - extent[0]
    return max(0, min(extent[1], start + count) - max(extent[0], start)) / length if length else 0.0


def mask_rows(rows: NDArray[np.float32], start: int, count: int) -> None:
    """Hide ``count`` rows (frames) from ``start`` behind the clip's mean, in place (SpecAugment, arXiv 1904.08779)."""
    rows[start : start + count] = rows.mean()


def mask_columns(rows: NDArray[np.float32], start: int, count: int) -> None:
    """Hide ``count`` columns (bands) from ``start`` behind the clip's mean, in place (SpecAugment)."""
    rows[:, start : start + count] = rows.mean()
