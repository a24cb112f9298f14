"""Augmentation of clips, and windows as in a stream.

Pure functions on float32 samples in -1..1, shape (n,); the caller draws random numbers.
"""

import functools

import numpy as np
from numpy.typing import NDArray
from scipy import fft  # unlike numpy's, it stays in float32

from kwsd.audio.signal import (
    FRAME_SAMPLES,
    Signal,
    fit,
    frame_powers,
    gain,
    mix_at_snr,
    shift,
    speed,
    word_extent,
    word_power,
)

__all__ = [
    "FRAME_SAMPLES",
    "Room",
    "Signal",
    "colour",
    "curve",
    "fit",
    "frame_powers",
    "gain",
    "kept_share",
    "mask_columns",
    "mask_rows",
    "mix_at_snr",
    "shift",
    "speed",
    "word_extent",
    "word_power",
]

CURVE_POINTS = 257
"""Number of frequencies of a microphone's response, about 31 Hz apart at 16 kHz."""

_CURVE_PLACES = np.linspace(0, 1, CURVE_POINTS)

CUT_DB, CUT_WIDTH = 60.0, 0.05
"""Steepness of the upper end of a narrow band: the attenuation, reached within this share of the span."""


class Room:
    """A room, by its impulse response (n,). Its spectra are cached, since many clips have the same length."""

    def __init__(self, response: Signal) -> None:
        self.delay = int(np.argmax(np.abs(response)))
        self._response = response
        self._spectra: dict[int, NDArray[np.complex64]] = {}

    def size(self, samples: int) -> int:
        """Length of the transform for a clip of ``samples`` and its reverberation."""
        return int(fft.next_fast_len(samples + len(self._response) - 1, real=True))

    def spectrum(self, size: int) -> NDArray[np.complex64]:
        if size not in self._spectra:
            self._spectra[size] = fft.rfft(self._response, size)
        return self._spectra[size]


def curve(gains_db: NDArray[np.float64], top: float = 1.0) -> NDArray[np.float32]:
    """A microphone's response, as factors at `CURVE_POINTS` equally spaced frequencies from 0 to half of the rate.

    Args:
        gains_db: at equally spaced frequencies of the same span, interpolated linearly.
        top: the share of the span that passes; above it, the response falls by 60 dB, as in a telephone or codec.
    """
    bent_db = np.interp(_CURVE_PLACES * (len(gains_db) - 1), np.arange(len(gains_db)), gains_db)
    if top < 1:
        bent_db -= np.clip((_CURVE_PLACES - top) / CUT_WIDTH, 0, 1) * CUT_DB
    return (10 ** (bent_db / 20)).astype(np.float32)


def colour(signal: Signal, room: Room | None, factors: NDArray[np.float32] | None) -> Signal:
    """Adds a room and a microphone's response; keeps the loudness, and removes the room's delay.

    Args:
        room: None for none.
        factors: the microphone's `curve`, or None for a flat one.
    """
    size = room.size(len(signal)) if room else int(fft.next_fast_len(len(signal), real=True))
    spectrum = fft.rfft(signal, size)
    delay = 0
    if room:
        spectrum *= room.spectrum(size)
        delay = room.delay
    if factors is not None:
        spectrum *= np.take(factors, _nearest(len(factors), len(spectrum)))
    heard: Signal = fft.irfft(spectrum, size)[delay : delay + len(signal)]
    before, after = word_power(signal), word_power(heard)
    return heard * np.float32(np.sqrt(before / after)) if after > 0 else heard


@functools.cache
def _nearest(points: int, count: int) -> NDArray[np.int32]:
    """For each of ``count`` places, the last of ``points`` at or before it on the same span."""
    return np.linspace(0, points - 1, count).astype(np.int32)


def kept_share(extent: tuple[int, int], start: int, count: int) -> float:
    """The share of ``extent`` within the window of ``count`` samples from ``start``, 0..1; 0 for an empty extent."""
    length = extent[1] - extent[0]
    return max(0, min(extent[1], start + count) - max(extent[0], start)) / length if length else 0.0


def mask_rows(rows: NDArray[np.float32], start: int, count: int) -> None:
    """Replace ``count`` rows (frames) from ``start`` by the clip's mean, in place (SpecAugment, arXiv 1904.08779)."""
    rows[start : start + count] = rows.mean()


def mask_columns(rows: NDArray[np.float32], start: int, count: int) -> None:
    """Replace ``count`` columns (bands) from ``start`` by the clip's mean, in place (SpecAugment)."""
    rows[:, start : start + count] = rows.mean()
