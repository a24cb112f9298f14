"""Turns what the device delivered into what the spotter thread needs.

Other rates are resampled, audio that a thawed sound server delivers too late is dropped, and missing audio becomes a
gap. No thread of its own and no sound library: a test makes the blocks by hand.
"""

import time

import numpy as np
from numpy.typing import NDArray

from kwsd.audio.microphone.inlet import Inlet, Opened, RawBlock
from kwsd.audio.microphone.signal_check import SignalCheck
from kwsd.audio.microphone.stream_clock import LATE_S, StreamClock
from kwsd.audio.resample import Resampler
from kwsd.audio.source import Block, Gap


class BlockReader:
    """The blocks of an inlet, as a Source.

    Args:
        inlet: only this object may read it.
        rate_hz: of the samples returned; the inlet's are at the rate of the last Opened.
        gain_db: amplification; the result is clipped to -1..1.
        late_s, check_rate: as of StreamClock.
        keeps_ahead: the audio that a new stream sends at once, ahead of the clock, counts only at the first
            opening: the end of all audio stays as far from the clock as it was then.

    Attributes:
        samples: returned so far, at ``rate_hz``.
        samples_lost: the sum of all gaps, at ``rate_hz``.
        fault: what is wrong with the signal or its rate, in words; None while it is alive.
    """

    def __init__(
        self,
        inlet: Inlet,
        rate_hz: int,
        gain_db: float,
        *,
        late_s: float = LATE_S,
        check_rate: bool = True,
        keeps_ahead: bool = False,
    ) -> None:
        self.samples = self.samples_lost = 0
        self._late_s, self._check_rate, self._keeps_ahead = late_s, check_rate, keeps_ahead
        self._began_s: float | None = None
        self._inlet, self._rate_hz = inlet, rate_hz
        self._gain_db = gain_db
        self._scale = np.float32(10 ** (gain_db / 20) / 32768)
        self._held: RawBlock | None = None
        self._heard_s: float | None = None
        self._reopened = False
        self._late = 0
        self._begin(rate_hz)

    def read(self, timeout_s: float) -> Block | Gap | None:
        """The next block or gap; None when nothing came within ``timeout_s`` seconds."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            if self._held is not None:
                block, self._held = self._convert(self._held), None
                if block is not None:
                    return block
            item = self._inlet.read(max(0.0, deadline_s - time.monotonic()))
            if item is None:
                return None
            if isinstance(item, Opened):
                self._begin(item.rate_hz)
                self._reopened = self._heard_s is not None
            elif isinstance(item, Gap):
                self._clock.skip(item.lost)
                if self._heard_s is not None:
                    self._heard_s += item.lost / self._device_hz
                return self._gap(item.lost)
            elif (lost := self._take(item)) is not None:
                self._held = item
                if lost:
                    return self._gap(lost)

    def _begin(self, device_hz: int) -> None:
        self._device_hz = device_hz
        self._clock = StreamClock(device_hz, self._late_s, check_rate=self._check_rate)
        self._signal = SignalCheck(device_hz, self._gain_db)
        self._resampler = Resampler(device_hz, self._rate_hz)
        self._may_exceed = self._gain_db > 0 or device_hz != self._rate_hz  # full scale
        self.fault: str | None = None

    def _take(self, block: RawBlock) -> int | None:
        """How many samples (at the device's rate) are missing before ``block``; None if the block is too late."""
        count = len(block.samples)
        self._signal.take(block.samples)
        too_late, missing = self._clock.take(count, block.arrived_s)
        self.fault = self._signal.fault or self._clock.fault
        if self._reopened and self._heard_s is not None:
            missing = max(1, round(self._silent_s(block.arrived_s) * self._device_hz) - count)
        self._reopened = False
        self._heard_s = block.arrived_s
        if self._began_s is None:
            self._began_s = block.arrived_s - count / self._device_hz
        if too_late:
            self._late += count
            return None
        lost, self._late = missing + self._late, 0
        return lost

    def _silent_s(self, arrived_s: float) -> float:
        """How long there was no audio, up to the end of the first block of a reopened stream."""
        assert self._heard_s is not None
        assert self._began_s is not None
        if self._keeps_ahead:
            return arrived_s - self._began_s - (self.samples + self.samples_lost) / self._rate_hz
        return arrived_s - self._heard_s

    @property
    def late_s(self) -> float:
        """How late the last block came, as far as known."""
        return self._clock.late_s

    def _gap(self, lost: int) -> Gap:
        """A gap of ``lost`` samples at the device's rate."""
        self._resampler.reset()
        scaled = round(lost * self._rate_hz / self._device_hz)
        self.samples_lost += scaled
        return Gap(scaled)

    def _convert(self, block: RawBlock) -> Block | None:
        samples: NDArray[np.float32] = np.multiply(block.samples, self._scale, dtype=np.float32)
        if self._resampler.from_hz != self._rate_hz:
            samples = self._resampler.push(samples)
            if not len(samples):
                return None
        if self._may_exceed:
            samples = np.clip(samples, -1.0, 1.0)
        self.samples += len(samples)
        captured_s = block.captured_s - self._clock.late_s - self._resampler.lag_s
        return Block(samples, captured_s, block.arrived_s)
