"""Spectra, and banks of triangular filters that sum them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kwsd.frontend.base import Doubles


def next_power_of_two(samples: int) -> int:
    """The smallest power of two that is at least ``samples``."""
    return 1 << (samples - 1).bit_length()


def hann(samples: int, period: int) -> Doubles:
    """A Hann window, shape (samples,): periodic where ``period`` equals ``samples``, symmetric where it is one less."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / period)


def hz_to_mel(hz: ArrayLike) -> Doubles:
    """The mel scale of the Hidden Markov Model Toolkit, as TensorFlow has it."""
    return np.asarray(1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0))


class TriangleBank:
    """Triangles that overlap by halves: each bin belongs to the falling side of one and the rising side of the next.

    Sums go over the bins of one interval between edges with ``np.add.reduceat``: few operations, no BLAS (whose
    results depend on the number of rows) and no threads.

    Args:
        falling: weight of each bin for the triangle that ends in its interval, shape (bins,).
        rising: weight of each bin for the triangle that begins in its interval, shape (bins,).
        interval: for each bin, between which edges it lies, from 0 to ``channels``, in rising order.
        channels: number of triangles; the one of number c rises in interval c and falls in interval c + 1.
    """

    def __init__(self, falling: Doubles, rising: Doubles, interval: NDArray[np.intp], channels: int) -> None:
        self._weights = np.stack((rising, falling))
        starts = np.searchsorted(interval, np.arange(channels + 1))
        filled = np.append(starts[1:], len(interval)) > starts
        # reduceat gives the element itself for an empty range, so empty intervals are left out and stay zero.
        self._starts, self._filled = starts[filled], None if filled.all() else filled
        self._channels = channels

    def __call__(self, spectrum: Doubles) -> Doubles:
        """The sums, shape (rows, channels), of a spectrum of shape (rows, bins)."""
        sums: Doubles = np.add.reduceat(spectrum[:, None, :] * self._weights, self._starts, axis=2)
        if self._filled is not None:
            some, sums = sums, np.zeros((len(spectrum), 2, self._channels + 1))
            sums[:, :, self._filled] = some
        total: Doubles = sums[:, 0, :-1] + sums[:, 1, 1:]
        return total


class MelBank:
    """Triangles of height 1 whose corners are evenly spaced in mel, as in TensorFlow.

    Args:
        bin_hz: width of a bin in Hz.
        first: the first bin that counts.
        last: the last one.
        lower_hz: where the first triangle begins.
        upper_hz: where the last one ends.
        channels: number of triangles.
    """

    def __init__(self, bin_hz: float, first: int, last: int, lower_hz: float, upper_hz: float, channels: int) -> None:
        edges = np.linspace(hz_to_mel(lower_hz), hz_to_mel(upper_hz), channels + 2)
        mel = hz_to_mel(np.arange(first, last + 1) * bin_hz)
        interval = np.clip(np.searchsorted(edges, mel) - 1, 0, channels)
        falling = (edges[interval + 1] - mel) / (edges[interval + 1] - edges[interval])
        self._used = slice(first, last + 1)
        self._bank = TriangleBank(falling, 1 - falling, interval, channels)

    def __call__(self, spectrum: Doubles) -> Doubles:
        """The sums, shape (rows, channels), of a spectrum of shape (rows, bins)."""
        return self._bank(spectrum[:, self._used])
