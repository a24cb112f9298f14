"""``log_mel``: tf.signal.stft, tf.signal.linear_to_mel_weight_matrix and a logarithm."""

import math

import numpy as np

from kwsd.frontend.base import Doubles, Floats, Frontend
from kwsd.frontend.keys import Rows
from kwsd.frontend.spectrum import hann, mel_bank


class LogMel(Frontend):
    """Natural logarithm of mel energies: ``ln(bank(|stft|**power) + floor)``.

    Source: tensorflow/python/ops/signal/{spectral_ops,window_ops,mel_ops}.py.

    Args:
        rows: how samples are cut into frames.
        lower_hz: where the bank begins.
        upper_hz: where it ends.
        mel_bins: triangles of the bank, and values in a row.
        power: 1 sums magnitudes, 2 sums their squares.
        floor: added before the logarithm; with 0, digital silence gives minus infinity.
    """

    def __init__(
        self, rows: Rows, *, lower_hz: float, upper_hz: float, mel_bins: int, power: int, floor: float
    ) -> None:
        super().__init__(rows, mel_bins)
        # What TensorFlow calls a periodic window is periodic for even lengths only.
        self._window = hann(rows.window, rows.window - rows.window % 2)
        self._fft_length = rows.fft_length
        bin_hz = rows.rate_hz / rows.fft_length
        first, last = max(1, math.ceil(lower_hz / bin_hz)), int(upper_hz / bin_hz)
        self._bank = mel_bank(bin_hz, first, last, lower_hz, upper_hz, mel_bins)
        self._power, self._floor = power, floor

    def _rows(self, frames: Doubles) -> Floats:
        spectrum = np.abs(np.fft.rfft(frames * self._window, self._fft_length)[:, self._bank.used])
        if self._power == 2:
            np.square(spectrum, out=spectrum)
        energies = self._bank(spectrum) + self._floor
        if self._floor:
            return np.log(energies).astype(np.float32)
        with np.errstate(divide="ignore"):
            return np.log(energies).astype(np.float32)
