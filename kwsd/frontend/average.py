"""``average``: the tutorial's ``--preprocess average``, a spectrogram with neighbouring bins averaged."""

import numpy as np

from kwsd.frontend.base import Doubles, Floats, Frontend
from kwsd.frontend.keys import Rows
from kwsd.frontend.spectrum import hann


class Average(Frontend):
    """Means of ``floor(spectrum's bins / bins)`` neighbouring powers; no logarithm.

    The pooling pads both ends like TensorFlow's "SAME", and padding does not count in the means, so a row is somewhat
    wider than ``bins``: 43 values for 40 bins of 257. Powers are rounded to float32 and added one
    after the other as in the original, whose powers go into the thousands, where float32 itself is coarser than 1e-4.
    Source: speech_commands/input_data.py and the operations AudioSpectrogram and AvgPool.

    Args:
        rows: how samples are cut into frames.
        bins: approximate number of values in a row.
    """

    def __init__(self, rows: Rows, *, bins: int) -> None:
        self._spectrum = rows.fft_length // 2 + 1
        self._pooled = self._spectrum // bins
        super().__init__(rows, -(-self._spectrum // self._pooled))
        self._window = hann(rows.window, rows.window)
        self._fft_length = rows.fft_length
        self._before = (self.width * self._pooled - self._spectrum) // 2
        edges = np.arange(self.width + 1) * self._pooled - self._before
        self._counts = np.diff(np.clip(edges, 0, self._spectrum)).astype(np.float32)

    def _rows(self, frames: Doubles) -> Floats:
        spectrum = np.fft.rfft(frames * self._window, self._fft_length)
        powers = np.zeros((len(frames), self.width * self._pooled), np.float32)
        powers[:, self._before : self._before + self._spectrum] = np.square(spectrum.real) + np.square(spectrum.imag)
        sums = np.zeros((len(frames), self.width), np.float32)
        for i in range(self._pooled):
            sums += powers[:, i :: self._pooled]
        return sums / self._counts
