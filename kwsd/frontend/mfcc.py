"""``mfcc``: TensorFlow's AudioSpectrogram (squared) followed by Mfcc, as speech_commands uses them."""

import numpy as np

from kwsd.frontend.base import Doubles, Floats, Frontend
from kwsd.frontend.keys import Rows
from kwsd.frontend.spectrum import cosines, hann, mel_bank, times

FLOOR = 1e-12


class Mfcc(Frontend):
    """Mel-frequency cepstral coefficients.

    Periodic Hann window, magnitude spectrum, triangles in mel, natural logarithm, DCT-II. The bank sums magnitudes, not
    powers; the DCT has the one factor sqrt(2/mel_bins), for coefficient 0 too. Source:
    tensorflow/core/kernels/{spectrogram,mfcc_mel_filterbank,mfcc_dct,mfcc}.cc.

    Args:
        rows: how samples are cut into frames.
        lower_hz: where the bank begins.
        upper_hz: where it ends.
        mel_bins: triangles of the bank.
        coefficients: values in a row, at most ``mel_bins``.
    """

    def __init__(self, rows: Rows, *, lower_hz: float, upper_hz: float, mel_bins: int, coefficients: int) -> None:
        super().__init__(rows, coefficients)
        self._window = hann(rows.window, rows.window)
        self._fft_length = rows.fft_length
        bin_hz = rows.rate_hz / rows.fft_length
        # The original's choice: never the constant bin, and none within half a bin above lower_hz.
        first, last = int(1.5 + lower_hz / bin_hz), int(upper_hz / bin_hz)
        self._bank = mel_bank(bin_hz, first, last, lower_hz, upper_hz, mel_bins)
        self._dct = cosines(mel_bins, coefficients)

    def _rows(self, frames: Doubles) -> Floats:
        spectrum = np.fft.rfft(frames * self._window, self._fft_length)
        energies = self._bank(np.abs(spectrum[:, self._bank.used]))
        return times(np.log(np.maximum(energies, FLOOR)), self._dct).astype(np.float32)
