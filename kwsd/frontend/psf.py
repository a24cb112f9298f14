"""``psf_mfcc``: the MFCC of python_speech_features (James Lyons)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.frontend.base import Doubles, Floats, Frontend, Stream, as_samples
from kwsd.frontend.keys import Rows
from kwsd.frontend.spectrum import TriangleBank, cosines, times

WINDOWS: dict[str, Callable[[int], Doubles]] = {"rectangular": np.ones, "hamming": np.hamming, "hann": np.hanning}
LEAST = float(np.finfo(np.float64).eps)
"""Replaces an energy of zero."""


class PsfMfcc(Frontend):
    """``python_speech_features.mfcc`` of samples in -1..1.

    The last frame of a signal is padded with zeros; a stream, which does not know the last one, returns complete frames
    only. The first sample of a signal is not pre-emphasised, so the first row of a clip differs from what a stream made
    of the same samples; `finish_clip` recomputes these two. A frame longer than ``nfft`` is cut, as in the original
    (which says so in its log). Source: python_speech_features/{base,sigproc}.py, version 0.6.

    Args:
        rows: how samples are cut into frames.
        nfft: length of the Fourier transform.
        filters: triangles of the bank.
        coefficients: values in a row, at most ``filters``.
        lower_hz: where the bank begins.
        upper_hz: where it ends.
        preemphasis: share of the previous sample that is subtracted from each sample.
        lifter: length of the lifter that raises higher coefficients; 0 for none.
        append_energy: whether the logarithm of the frame's energy replaces coefficient 0.
        window: ``rectangular``, ``hamming`` or ``hann``, the latter two symmetric.
    """

    patches_clips = True

    def __init__(
        self,
        rows: Rows,
        *,
        nfft: int,
        filters: int,
        coefficients: int,
        lower_hz: float,
        upper_hz: float,
        preemphasis: float,
        lifter: float,
        append_energy: bool,
        window: str,
    ) -> None:
        super().__init__(rows, coefficients)
        self._preemphasis, self._fft_length, self._append_energy = preemphasis, nfft, append_energy
        self._window = WINDOWS[window](rows.window)
        self._bank = _bank(rows.rate_hz, nfft, lower_hz, upper_hz, filters)
        self._dct = cosines(filters, coefficients)
        self._dct[:, 0] *= np.sqrt(0.5)  # orthonormal
        if lifter > 0:
            self._dct *= 1 + lifter / 2 * np.sin(np.pi * np.arange(coefficients) / lifter)

    def frames(self, samples: int) -> int:
        """Number of rows that ``compute`` returns for this many samples: one even for a single sample."""
        if samples <= self.window_samples:
            return int(samples > 0)
        return 1 - (self.window_samples - samples) // self.stride_samples

    def compute(self, signal: Any) -> Floats:
        samples = as_samples(signal)
        emphasised = np.zeros(max(len(samples), self._end_of_frame(self.frames(len(samples)) - 1)))
        emphasised[: len(samples)] = self.emphasise(samples)
        rows: Floats = self.rows(emphasised)[: self.frames(len(samples))]
        return rows

    def stream(self) -> Stream:
        return _PsfStream(self)

    def emphasise(self, samples: Doubles, before: float = 0.0) -> Doubles:
        """Pre-emphasis, shape (n,) to (n,); ``before`` is the sample that precedes them, 0 at a signal's start."""
        shifted = np.concatenate(([before], samples))
        return samples - self._preemphasis * shifted[:-1]

    def finish_clip(self, rows: NDArray[Any], clip: Doubles) -> Floats:
        count, whole = self.frames(len(clip)), len(rows)
        if not whole:
            return self.compute(clip)
        ends = np.zeros((2, self.window_samples))
        ends[0] = self.emphasise(clip[: self.window_samples])
        start = (count - 1) * self.stride_samples
        rest = self.emphasise(clip[start:], clip[min(start, len(clip)) - 1])
        ends[1, : len(rest)] = rest[: self.window_samples]
        features = np.empty((count, self.width), np.float32)
        features[:whole] = rows
        features[0], last = self._rows(ends)
        if count > whole:
            features[-1] = last
        return features

    def _end_of_frame(self, index: int) -> int:
        return index * self.stride_samples + self.window_samples

    def _rows(self, frames: Doubles) -> Floats:
        powers = np.square(np.abs(np.fft.rfft(frames * self._window, self._fft_length))) / self._fft_length
        energies = self._bank(powers[:, self._bank.used])
        energies[energies == 0] = LEAST
        coefficients = times(np.log(energies), self._dct)
        if self._append_energy:
            total = np.add.reduceat(powers, [0], axis=1)[:, 0]
            coefficients[:, 0] = np.log(np.where(total == 0, LEAST, total))
        return coefficients.astype(np.float32)


class _PsfStream(Stream):
    """Keeps the last sample for the pre-emphasis of the next."""

    def __init__(self, frontend: PsfMfcc) -> None:
        super().__init__(frontend)
        self._psf, self._before = frontend, 0.0

    def rows(self, samples: Doubles) -> NDArray[Any]:
        emphasised = self._psf.emphasise(samples, self._before)
        if len(samples):
            self._before = float(samples[-1])
        return super().rows(emphasised)


def _bank(rate_hz: int, nfft: int, lower_hz: float, upper_hz: float, filters: int) -> TriangleBank:
    """Triangles between bins: the corners are evenly spaced in mel, then moved down to whole bins."""
    mel = np.linspace(2595 * np.log10(1 + lower_hz / 700.0), 2595 * np.log10(1 + upper_hz / 700.0), filters + 2)
    corners = np.floor((nfft + 1) * (700 * (10 ** (mel / 2595.0) - 1)) / rate_hz).astype(np.intp)
    bins = np.arange(corners[0], corners[-1])
    interval = np.searchsorted(corners, bins, side="right") - 1
    rising = (bins - corners[interval]) / np.diff(corners)[interval]
    return TriangleBank(int(corners[0]), 1 - rising, rising, interval, filters)
