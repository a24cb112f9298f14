"""``micro``: TensorFlow's micro front end (tensorflow/lite/experimental/microfrontend), in integers as on the device.

The settings are speech_commands': 125 to 7500 Hz, noise reduction, PCAN gain control, logarithm. Tables are made in
double precision; the original makes them in single precision, so about one value in ten thousand differs by one step.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.frontend.base import Doubles, Floats, Frontend, Stream
from kwsd.frontend.fixed_fft import FixedRfft
from kwsd.frontend.keys import Rows
from kwsd.frontend.spectrum import TriangleBank, hz_to_mel

Integers = NDArray[np.int64]

LOWER_HZ, UPPER_HZ = 125.0, 7500.0
WEIGHT_BITS = 12
SMOOTHING_BITS = 10
SMOOTHING = (409, 983)  # 0.025 for even channels and 0.06 for odd ones, in 14 bits
SIGNAL_REMAINING = 819  # 0.05, in 14 bits
GAIN_BITS = 21
SNR_BITS = 12
OUTPUT_SCALE = 10 / 256
UINT32 = 0xFFFFFFFF


class Micro(Frontend):
    """Logarithmic mel energies with noise reduction and gain control, 0 to about 26.

    The noise estimate starts afresh with each signal, as in training. A stream continues it from its own start; a clip
    cut out of a stream gets its own (`finish_clip`).

    Args:
        rows: how samples are cut into frames.
        bins: values in a row.
    """

    def __init__(self, rows: Rows, *, bins: int) -> None:
        super().__init__(rows, bins)
        angles = 2 * np.pi * (np.arange(rows.window) + 0.5) / rows.window
        self._window = np.floor((0.5 - 0.5 * np.cos(angles)) * (1 << WEIGHT_BITS) + 0.5).astype(np.int32)
        self._fft_length = rows.fft_length
        self._bank = _bank(rows.rate_hz / rows.fft_length, bins)
        self._fft = FixedRfft(rows.fft_length)
        self._smoothing = np.resize(np.array(SMOOTHING), bins)
        # The FFT scales down by its length: by this many bits more than the bank's weights make up for.
        self._correction_bits = rows.fft_length.bit_length() - 1 - WEIGHT_BITS // 2
        self._gains = _gain_table(SMOOTHING_BITS - self._correction_bits)

    def finish(self, rows: Integers) -> Floats:
        return self.smooth(rows, np.zeros(self.width, np.int64))

    def smooth(self, rows: Integers, noise: Integers) -> Floats:
        """Noise reduction, gain control and logarithm.

        Args:
            rows: magnitudes, shape (count, bins).
            noise: the estimate after the previous row, shape (bins,), all zero at the start; updated.
        """
        up = (rows << SMOOTHING_BITS) & UINT32
        estimates = np.empty_like(up)
        fresh, keep = up * self._smoothing, (1 << 14) - self._smoothing
        for row, estimate in zip(fresh, estimates, strict=True):
            np.multiply(noise, keep, out=noise)
            noise += row
            noise >>= 14
            estimate[:] = noise
        reduced = (up - np.minimum(estimates, up)) >> SMOOTHING_BITS
        values = np.maximum(reduced, (rows * SIGNAL_REMAINING) >> 14)
        snr = (values * _gain(estimates, self._gains)) >> (GAIN_BITS - self._correction_bits - SNR_BITS)
        values = np.where(snr < 8192, (snr * snr) >> 20, (snr >> 6) - 64)
        return (_logarithm(values << self._correction_bits) * OUTPUT_SCALE).astype(np.float32)

    def stream(self) -> Stream:
        return _MicroStream(self)

    def _rows(self, frames: Doubles) -> Integers:
        samples = np.clip(np.trunc(frames * 32768), -32768, 32767).astype(np.int32)
        windowed = ((samples * self._window) >> WEIGHT_BITS).astype(np.int16)
        # The absolute value of -32768 wraps around to itself, here as in the original, and so is never the largest.
        largest = np.abs(windowed).max(axis=1, initial=0).astype(np.int64)
        shift = (15 - _bit_length(largest))[:, None]
        raised = np.zeros((len(frames), self._fft_length), np.int16)
        raised[:, : self.window_samples] = windowed << shift.astype(np.int16)
        parts = np.square(self._fft(raised)[:, :, self._bank.used], dtype=np.float64)
        energies: Doubles = parts[0] + parts[1]
        return _root(self._bank(energies)) >> shift


class _MicroStream(Stream):
    """Carries the noise estimate from push to push."""

    def __init__(self, frontend: Micro) -> None:
        super().__init__(frontend)
        self._micro, self._noise = frontend, np.zeros(frontend.width, np.int64)

    def _finish(self, rows: Integers) -> Floats:
        return self._micro.smooth(rows, self._noise)


def _bank(bin_hz: float, channels: int) -> TriangleBank:
    """Mel triangles with whole weights, from 125 to 7500 Hz.

    Sums of whole numbers below 2**53 are exact in doubles.
    """
    edges = np.linspace(hz_to_mel(LOWER_HZ), hz_to_mel(UPPER_HZ), channels + 2)
    first = int(1.5 + LOWER_HZ / bin_hz)
    mel = hz_to_mel(np.arange(first, int(UPPER_HZ / bin_hz) + 2) * bin_hz)
    mel = mel[mel <= edges[-1]]
    interval = np.maximum(np.searchsorted(edges, mel) - 1, 0)
    share = (edges[interval + 1] - mel) / np.diff(edges)[interval]
    falling, rising = (np.floor(part * (1 << WEIGHT_BITS) + 0.5) for part in (share, 1 - share))
    return TriangleBank(first, falling, rising, interval, channels)


def _bit_length(values: NDArray[Any]) -> Integers:
    bits: Integers = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    return bits


def _root(values: Doubles) -> Integers:
    """Square roots rounded to the nearest, except that a sum of 32 bits does not round up to 65536."""
    roots = np.floor(np.sqrt(values))
    up = (values - roots * roots > roots) & ((roots != 0xFFFF) | (values > UINT32))
    rounded: Integers = (roots + up).astype(np.int64)
    return rounded


def _gain_table(estimate_bits: int) -> Integers:
    """The gain for each bit length of a noise estimate as y0, a1, a2 of a parabola through three values of
    2**21 * (estimate / 2**estimate_bits + 80)**-0.95; shape (33, 3). Rows 0 and 1 are for estimates 0 and 1.
    """

    def exact(estimate: int) -> int:
        return min(0x7FFF, int(2.0**GAIN_BITS * (estimate / 2**estimate_bits + 80) ** -0.95 + 0.5))

    table = np.zeros((33, 3), np.int64)
    table[:2, 0] = exact(0), exact(1)
    for bits in range(2, 33):
        x0 = 1 << (bits - 1)
        y0, y1, y2 = exact(x0), exact(x0 + x0 // 2), exact(2 * x0 if bits < 32 else 2 * x0 - 1)
        a1 = 4 * (y1 - y0) - (y2 - y0)
        table[bits] = y0, a1, (y2 - y0) - a1
    return table


def _logarithm_table() -> Integers:
    """log2(1 + k/128) minus k/128, in 16 bits, for k from 0 to 128, and a 0."""
    k = np.arange(129) / 128
    return np.append(np.round(65536 * (np.log2(1 + k) - k)), 0).astype(np.int64)


LOGARITHMS = _logarithm_table()


def _gain(estimates: Integers, table: Integers) -> Integers:
    bits = _bit_length(estimates)
    y0, a1, a2 = np.moveaxis(table[bits], -1, 0)
    fraction = ((estimates << 11) >> bits) & 0x3FF  # ten bits after the leading one
    curve = (((a2 * fraction) >> 5) + (a1 << 5)) * fraction
    gains: Integers = y0 + ((curve + (1 << 14)) >> 15)
    return gains


def _logarithm(values: Integers) -> Integers:
    """About 64 times the natural logarithm; 0 for 0, and 65535 at most."""
    whole = np.maximum(_bit_length(values) - 1, 0)
    fraction = np.maximum((values << 16) >> whole, 65536) - 65536
    step = fraction >> 9
    rise = LOGARITHMS[step + 1] - LOGARITHMS[step]
    log2 = (whole << 16) + fraction + LOGARITHMS[step] + ((rise * (fraction - 512 * step)) >> 16)
    natural = (45426 * log2 + 32768) >> 16
    output = np.minimum(((natural << 6) + 32768) >> 16, 65535)
    return np.where(values > 1, output, 0)
