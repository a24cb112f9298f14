"""Spectra, and banks of triangular filters that sum them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kwsd.errors import ConfigError
from kwsd.frontend.base import Doubles


def hann(samples: int, period: int) -> Doubles:
    """A Hann window, shape (samples,): periodic where ``period`` equals ``samples``, symmetric where it is one less."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / period)


def hz_to_mel(hz: ArrayLike) -> Doubles:
    """The mel scale of the Hidden Markov Model Toolkit, as in TensorFlow."""
    return np.asarray(1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0))


class TriangleBank:
    """Triangles that overlap by halves: each bin is on the falling side of one and on the rising side of the next.

    Sums go over the bins of one interval between edges with ``np.add.reduceat``: few operations, no threads, and no
    BLAS, whose results depend on the number of rows.

    Args:
        first: the first bin that counts.
        falling: weight of it and of those after it in the triangle that ends in the bin's interval, shape (bins,).
        rising: their weights in the triangle that begins there, shape (bins,).
        interval: between which edges each lies, from 0 to ``channels``, in rising order.
        channels: number of triangles; number c rises in interval c and falls in interval c + 1.

    Raises:
        ConfigError: there is no bin.
    """

    def __init__(
        self, first: int, falling: Doubles, rising: Doubles, interval: NDArray[np.intp], channels: int
    ) -> None:
        if not len(interval):
            raise ConfigError("frontend: no bin of the spectrum is in the bank's band; a longer window has more bins")
        self.used = slice(first, first + len(interval))
        self._weights = np.stack((rising, falling))
        starts = np.searchsorted(interval, np.arange(channels + 1))
        filled = np.append(starts[1:], len(interval)) > starts
        # reduceat gives the element itself for an empty range, so empty intervals are left out and stay zero.
        self._starts, self._filled = starts[filled], None if filled.all() else filled
        self._channels = channels

    def __call__(self, spectrum: Doubles) -> Doubles:
        """The sums, shape (rows, channels), of the bins ``used`` of a spectrum, shape (rows, used bins)."""
        sums: Doubles = np.add.reduceat(spectrum[:, None, :] * self._weights, self._starts, axis=2)
        if self._filled is not None:
            some, sums = sums, np.zeros((len(spectrum), 2, self._channels + 1))
            sums[:, :, self._filled] = some
        total: Doubles = sums[:, 0, :-1] + sums[:, 1, 1:]
        return total


def mel_bank(bin_hz: float, first: int, last: int, lower_hz: float, upper_hz: float, channels: int) -> TriangleBank:
    """Triangles of height 1 whose corners are evenly spaced in mel, as in TensorFlow.

    Args:
        bin_hz: width of a bin in Hz.
        first: the first bin that counts.
        last: the last one.
        lower_hz: where the first triangle begins.
        upper_hz: where the last one ends.
        channels: number of triangles.
    """
    edges = np.linspace(hz_to_mel(lower_hz), hz_to_mel(upper_hz), channels + 2)
    mel = hz_to_mel(np.arange(first, last + 1) * bin_hz)
    interval = np.clip(np.searchsorted(edges, mel) - 1, 0, channels)
    falling = np.clip((edges[interval + 1] - mel) / np.diff(edges)[interval], 0, 1)
    return TriangleBank(first, falling, 1 - falling, interval, channels)


def cosines(channels: int, coefficients: int) -> Doubles:
    """The matrix of a DCT-II with the one factor sqrt(2/channels), shape (channels, coefficients)."""
    angles = np.pi / channels * np.outer(np.arange(channels) + 0.5, np.arange(coefficients))
    return np.asarray(np.sqrt(2 / channels) * np.cos(angles))


def times(rows: Doubles, matrix: Doubles) -> Doubles:
    """Multiplies rows by the matrix, one by one: in a single product, BLAS would round by their number."""
    product: Doubles = np.matmul(rows[:, None, :], matrix)[:, 0]
    return product
