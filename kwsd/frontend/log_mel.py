"""``log_mel``: tf.signal.stft, tf.signal.linear_to_mel_weight_matrix and a logarithm."""

import numpy as np

from kwsd.frontend.base import Doubles, Floats, Frontend
from kwsd.frontend.spectrum import MelBank, hann, next_power_of_two


class LogMel(Frontend):
    """Natural logarithm of mel energies: ``ln(bank(|stft|**power) + floor)``.

    Source: tensorflow/python/ops/signal/{spectral_ops,window_ops,mel_ops}.py, in double precision.

    Args:
        rate_hz: rate of the samples.
        window_samples: length of a frame.
        stride_samples: from frame to frame.
        lower_hz: where the bank begins.
        upper_hz: where it ends.
        mel_bins: triangles of the bank, and values in a row.
        power: 1 sums magnitudes, 2 sums their squares.
        floor: added before the logarithm.
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
        power: int,
        floor: float,
    ) -> None:
        self.window_samples, self.stride_samples, self.width = window_samples, stride_samples, mel_bins
        # What TensorFlow calls a periodic window is periodic for even lengths only.
        self._window = hann(window_samples, window_samples - window_samples % 2)
        self._fft_length = next_power_of_two(window_samples)
        bin_hz = rate_hz / self._fft_length
        first, last = max(1, int(np.ceil(lower_hz / bin_hz))), int(upper_hz / bin_hz)
        self._bank = MelBank(bin_hz, first, last, lower_hz, upper_hz, mel_bins)
        self._power, self._floor = power, floor

    def _rows(self, frames: Doubles) -> Floats:
        spectrum = np.abs(np.fft.rfft(frames * self._window, self._fft_length))
        if self._power == 2:
            np.square(spectrum, out=spectrum)
        return np.log(self._bank(spectrum) + self._floor).astype(np.float32)
