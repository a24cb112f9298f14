"""``average``: the tutorial's ``--preprocess average``, a spectrogram with neighbouring bins averaged."""

import numpy as np

from kwsd.frontend.base import Doubles, Floats, Frontend
from kwsd.frontend.keys import Rows
from kwsd.frontend.spectrum import hann


class Average(Frontend):
    """Means of ``floor(spectrum's bins / bins)`` neighbouring powers; no logarithm.

    The pooling pads both ends as TensorFlow's "SAME" does, and what is padded does not count in the means, so a row is
    somewhat wider than ``bins``: 43 values where 40 were asked of 257. Source: speech_commands/input_data.py.

    Args:
        rows: how samples are cut into frames.
        bins: about how many values a row shall have.
    """

    def __init__(self, rows: Rows, *, bins: int) -> None:
        spectrum = rows.fft_length // 2 + 1
        pooled = spectrum // bins
        width = -(-spectrum // pooled)
        super().__init__(rows, width)
        self._window = hann(rows.window, rows.window)
        self._fft_length = rows.fft_length
        padded = (width * pooled - spectrum) // 2
        edges = np.clip(np.arange(width + 1) * pooled - padded, 0, spectrum)
        self._starts, self._counts = edges[:-1], np.diff(edges)

    def _rows(self, frames: Doubles) -> Floats:
        powers = np.square(np.abs(np.fft.rfft(frames * self._window, self._fft_length)))
        means: Doubles = np.add.reduceat(powers, self._starts, axis=1) / self._counts
        return means.astype(np.float32)
