"""``mfcc``: TensorFlow's AudioSpectrogram (squared) followed by Mfcc, as speech_commands uses them."""

import numpy as np

from kwsd.frontend.base import Doubles, Floats, Frontend
from kwsd.frontend.spectrum import MelBank, hann, next_power_of_two

FLOOR = 1e-12


class Mfcc(Frontend):
    """Mel-frequency cepstral coefficients.

    Periodic Hann window, magnitude spectrum, triangles in mel, natural logarithm, DCT-II. The bank sums magnitudes, not
    powers; the DCT has the one factor sqrt(2/mel_bins), for row 0 too. Double precision up to the last step. Source:
    tensorflow/core/kernels/{spectrogram,mfcc_mel_filterbank,mfcc_dct,mfcc}.cc.

    Args:
        rate_hz: rate of the samples.
        window_samples: length of a frame.
        stride_samples: from frame to frame.
        lower_hz: where the bank begins.
        upper_hz: where it ends.
        mel_bins: triangles of the bank.
        coefficients: values in a row, at most ``mel_bins``.
    """

    def __init__(
        self,
        rate_hz: int,
        window_samples: int,
        stride_samples: int,
        *,
        lower_hz: float,
        upper_hz: float,
        mel_bins: int,
        coefficients: int,
    ) -> None:
        self.window_samples, self.stride_samples, self.width = window_samples, stride_samples, coefficients
        self._window = hann(window_samples, window_samples)
        self._fft_length = next_power_of_two(window_samples)
        bin_hz = rate_hz / self._fft_length
        # The original's choice of bins: never the constant one, and the first may lie half a bin above lower_hz.
        self._bank = MelBank(bin_hz, int(1.5 + lower_hz / bin_hz), int(upper_hz / bin_hz), lower_hz, upper_hz, mel_bins)
        angles = np.pi / mel_bins * np.outer(np.arange(mel_bins) + 0.5, np.arange(coefficients))
        self._dct = np.sqrt(2 / mel_bins) * np.cos(angles)

    def _rows(self, frames: Doubles) -> Floats:
        magnitudes = np.abs(np.fft.rfft(frames * self._window, self._fft_length))
        logs = np.log(np.maximum(self._bank(magnitudes), FLOOR))
        # One product of a vector and the matrix for each row: a product of matrices would round by the number of rows.
        rows: Doubles = np.matmul(logs[:, None, :], self._dct)[:, 0]
        return rows.astype(np.float32)
