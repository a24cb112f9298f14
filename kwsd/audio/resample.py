"""Sample rates, changed as a stream."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


class Resampler:
    """float32 mono samples at ``from_hz`` in, the same signal at ``to_hz`` out (soxr, quality HQ).

    How the stream is cut into blocks does not affect the output. If the rates are equal, samples pass through.

    Attributes:
        lag_s: how far the output lags behind the input (about 30 ms at 48 kHz).
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self.from_hz, self.to_hz = from_hz, to_hz
        self.reset()

    def reset(self) -> None:
        """Discards its state, as after a gap."""
        self._taken = self._given = 0
        self._stream = None
        if self.from_hz != self.to_hz:
            import soxr

            self._stream = soxr.ResampleStream(self.from_hz, self.to_hz, 1, dtype="float32")

    def push(self, samples: Samples) -> Samples:
        """The output that ``samples`` complete, shape (n,); often none, then more."""
        return self._resample(samples, last=False)

    def flush(self) -> Samples:
        """The remaining output, at the end of the stream."""
        return self._resample(np.zeros(0, np.float32), last=True)

    @property
    def lag_s(self) -> float:
        return self._taken / self.from_hz - self._given / self.to_hz

    def _resample(self, samples: Samples, last: bool) -> Samples:
        resampled: Samples = samples
        if self._stream is not None:
            resampled = self._stream.resample_chunk(samples, last=last)
        self._taken += len(samples)
        self._given += len(resampled)
        return resampled
