"""Changes to clips that a model should not mind, and windows as a stream shows them.

Pure functions on float32 samples in -1..1, shape (n,); what is drawn is drawn by the caller.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft  # unlike numpy's it keeps to float32

Signal = NDArray[np.float32]

FRAME_SAMPLES = 320
"""20 ms at 16 kHz: the grain in which loudness is looked at."""

CURVE_POINTS = 257
"""Frequencies at which a microphone's curve is known, about 31 Hz apart at 16 kHz."""

CUT_DB, CUT_WIDTH = 60.0, 0.05
"""How steep the upper end of a narrow band is: so much lower within this share of the span."""


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
    last = len(signal) - 1
    places = last / 2 * (1 - factor) + np.arange(len(signal)) * factor
    before = np.floor(places).astype(np.int32)
    share = (places - before).astype(np.float32)
    inside = slice(*np.searchsorted(places, (0, last)))
    before, share = before[inside], share[inside]
    heard = np.zeros_like(signal)
    heard[inside] = signal[before] * (1 - share) + signal[before + 1] * share
    return heard


class Room:
    """A room by its impulse response (n,). Its spectra are kept: many clips of one length are heard in it."""

    def __init__(self, response: Signal) -> None:
        self.delay = int(np.argmax(np.abs(response)))
        self._response = response
        self._spectra: dict[int, NDArray[np.complex64]] = {}

    def size(self, samples: int) -> int:
        """How long a transform has to be for a clip of so many ``samples`` and its echo."""
        return int(fft.next_fast_len(samples + len(self._response) - 1, real=True))

    def spectrum(self, size: int) -> NDArray[np.complex64]:
        if size not in self._spectra:
            self._spectra[size] = fft.rfft(self._response, size)
        return self._spectra[size]


def curve(gains_db: NDArray[np.float64], top: float = 1.0) -> NDArray[np.float32]:
    """A microphone's curve as factors at `CURVE_POINTS` equally spaced frequencies from 0 to half of the rate.

    Args:
        gains_db: at equally spaced frequencies of the same span, straight lines between them.
        top: what share of the span it passes at all; above, it falls by 60 dB, as in a telephone or a narrow codec.
    """
    places = np.linspace(0, 1, CURVE_POINTS)
    bent_db = np.interp(places, np.linspace(0, 1, len(gains_db)), gains_db)
    bent_db -= np.clip((places - top) / CUT_WIDTH, 0, 1) * CUT_DB
    return (10 ** (bent_db / 20)).astype(np.float32)


def colour(signal: Signal, room: Room | None, factors: NDArray[np.float32] | None) -> Signal:
    """Heard in a room and through a microphone, as loud as before and with the room's delay taken out.

    Args:
        room: None for none.
        factors: the microphone's `curve`, or None for an even one.
    """
    size = room.size(len(signal)) if room else int(fft.next_fast_len(len(signal), real=True))
    spectrum = fft.rfft(signal, size)
    delay = 0
    if room:
        spectrum *= room.spectrum(size)
        delay = room.delay
    if factors is not None:
        places = np.linspace(0, len(factors) - 1, len(spectrum)).astype(np.int32)
        spectrum *= factors[places]
    heard = fft.irfft(spectrum, size)[delay : delay + len(signal)]
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
