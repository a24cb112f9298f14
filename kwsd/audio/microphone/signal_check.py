"""Checks that a microphone's signal is alive: not all zero, stuck at one value or clipping (itself or by the gain)."""

import math

import numpy as np
from numpy.typing import NDArray

LOOK_S = 0.2  # checked together, at about the cost of one block
SILENT_S = 2.3  # noise gates give short runs of zeros; no working microphone gives this
CLIP_WINDOW_S = 1.4  # reported within two of them, whenever it begins
CLIP_SHARE = 0.01
CLIP_CALM_S = 10.0  # cleared after this long, so that loud words with pauses between them are one fault
FULL_SCALE = 32_767


class SignalCheck:
    """Checks the samples a few times a second. Pure: time is counted in samples.

    Args:
        rate_hz: of the samples.
        gain_db: the gain applied to them afterwards.

    Attributes:
        fault: what is wrong with the signal, in words; None while it is alive.
    """

    def __init__(self, rate_hz: int, gain_db: float = 0.0) -> None:
        self.fault: str | None = None
        self._rate_hz, self._gain_db = rate_hz, gain_db
        # From here on a sample is at full scale once the gain is applied.
        self._full_scale = min(FULL_SCALE, math.ceil(FULL_SCALE / 10 ** (gain_db / 20)))
        self._collected = np.zeros(round(LOOK_S * rate_hz), np.int16)
        self._count = 0
        self._value: int | None = None
        self._constant = 0
        self._window = self._full = self._device_full = 0  # samples; at full scale after the gain; and before it
        self._calm = 0
        self._clipping: str | None = None

    def take(self, samples: NDArray[np.int16]) -> None:
        """The next samples, as delivered by the device, shape (n,)."""
        end = self._count + len(samples)
        if end > len(self._collected):
            self._look(self._collected[: self._count])
            self._count, end = 0, len(samples)
            if end > len(self._collected):
                self._look(samples)
                return
        self._collected[self._count : end] = samples
        self._count = end

    def _look(self, samples: NDArray[np.int16]) -> None:
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
        if highest >= self._full_scale or lowest <= -self._full_scale:
            self._full += _at(self._full_scale, samples)
            self._device_full += _at(FULL_SCALE, samples)
        if self._window >= CLIP_WINDOW_S * self._rate_hz:
            self._calm += self._window
            if self._full > CLIP_SHARE * self._window:
                self._calm = 0
                self._clipping = self._clipping or self._told()
            elif self._calm >= CLIP_CALM_S * self._rate_hz:
                self._clipping = None
            self._window = self._full = self._device_full = 0
        return self._clipping

    def _told(self) -> str:
        told = f"clipping: {self._full / self._window:.0%} of the samples are at full scale"
        if self._device_full > CLIP_SHARE * self._window:
            return f"{told} (lower the microphone's gain)"
        return f"{told} after audio.gain_db of {self._gain_db:g} dB (lower that)"


def _at(full_scale: int, samples: NDArray[np.int16]) -> int:
    """How many samples are at this value or beyond it."""
    return int(np.count_nonzero((samples >= full_scale) | (samples <= -full_scale)))
