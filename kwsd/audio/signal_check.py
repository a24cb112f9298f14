"""Whether a microphone's signal is alive: all zero, stuck at one value, clipping."""

import numpy as np
from numpy.typing import NDArray

SILENT_S = 2.5  # noise gates give short stretches of zeros; no microphone that hears gives this
CLIP_WINDOW_S = 1.4  # told within two of them, whenever it begins
CLIP_SHARE = 0.01
CLIP_CALM_S = 10.0  # forgiven after so long, so that loud words with pauses between are one fault
FULL_SCALE = 32_767


class SignalCheck:
    """Looks at every block; a few microseconds each. Pure: time is counted in samples.

    Args:
        rate_hz: of the samples.

    Attributes:
        fault: in words, what is wrong with the signal; None while it is alive.
    """

    def __init__(self, rate_hz: int) -> None:
        self.fault: str | None = None
        self._rate_hz = rate_hz
        self._value: int | None = None
        self._constant = 0
        self._window = self._full = 0
        self._calm = 0
        self._clipping: str | None = None

    def take(self, samples: NDArray[np.int16]) -> None:
        """The next samples as the device gave them, shape (n,)."""
        if not len(samples):
            return
        lowest, highest = int(samples.min()), int(samples.max())
        self.fault = self._check_constant(lowest, highest, len(samples)) or self._check_clipping(
            samples, lowest, highest
        )

    def _check_constant(self, lowest: int, highest: int, count: int) -> str | None:
        if lowest != highest:
            self._value, self._constant = None, 0
            return None
        if lowest != self._value:
            self._value, self._constant = lowest, 0
        self._constant += count
        if self._constant < SILENT_S * self._rate_hz:
            return None
        if lowest == 0:
            return "all samples are zero (muted, or the wrong device?)"
        return f"all samples are stuck at {lowest}"

    def _check_clipping(self, samples: NDArray[np.int16], lowest: int, highest: int) -> str | None:
        self._window += len(samples)
        if highest >= FULL_SCALE or lowest <= -FULL_SCALE:
            self._full += int(np.count_nonzero((samples >= FULL_SCALE) | (samples <= -FULL_SCALE)))
        if self._window >= CLIP_WINDOW_S * self._rate_hz:
            share = self._full / self._window
            self._calm += self._window
            if share > CLIP_SHARE:
                self._calm = 0
                self._clipping = f"clipping: {share:.0%} of the samples are at full scale (lower the gain)"
            elif self._calm >= CLIP_CALM_S * self._rate_hz:
                self._clipping = None
            self._window = self._full = 0
        return self._clipping
