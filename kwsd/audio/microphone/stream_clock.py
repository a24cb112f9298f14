"""Compares samples with the clock: which audio is late, where some is missing, and whether the rate is right.

Neither PortAudio nor a sound server reports any of this. After a stall, two cases look alike at first: a server that
was frozen delivers all that was captured meanwhile at once, one that was suspended continues with new audio. Only the
pace of what follows tells them apart.
"""

STALL_S = 0.3  # between two blocks, beyond their own duration; ordinary jitter stays below 0.1 s
LATE_S = 2.0  # older audio is useless to a listener
NEAR_S = 0.1  # jitter
PACE_S = 0.4  # how long a pace is observed before it is trusted
RATE_WINDOW_S = 10.0
RATE_LOOK_S = 2.5  # a rate that is far off is seen sooner
RATE_FAR = 0.25  # 48 kHz as 16, 44.1 as 16, 48 as 32; jitter that long would be a stall
RATE_TOLERANCE = 0.04  # 44.1 kHz for 48 is off by 0.08; a busy machine delays an end of the window by 0.2 s


class StreamClock:
    """Observes the arrival of the blocks of one stream. Pure: the caller passes the time.

    Args:
        rate_hz: the rate that the device claims.
        late_s: older audio is dropped.
        check_rate: whether to check the rate.

    Attributes:
        late_s: how long before its arrival the end of the last block was captured, as far as known.
    """

    def __init__(self, rate_hz: int, late_s: float = LATE_S, *, check_rate: bool = True) -> None:
        self.late_s = 0.0
        self._too_late_s, self._check_rate = late_s, check_rate
        self._rate_hz = rate_hz
        self._audio_s = 0.0  # all audio so far, in the device's own seconds
        self._arrived_s: float | None = None
        self._baseline_s = 0.0  # arrival minus audio when nothing is late
        self._watching: tuple[float, float] | None = (
            None  # after a stall: (arrival, offset) from which the pace is measured
        )
        self._rate_from: tuple[float, float] | None = None  # (arrival, audio) at the start of the rate's window
        self._off_hz: float | None = None

    def take(self, count: int, arrived_s: float) -> tuple[bool, int]:
        """Records a block.

        Args:
            count: its samples.
            arrived_s: when its last sample arrived (monotonic).

        Returns:
            Whether the block is too late to be of use, and how many samples before it are missing (never
            captured, not just late).
        """
        duration_s = count / self._rate_hz
        self._audio_s += duration_s
        offset_s = arrived_s - self._audio_s
        if self._arrived_s is None:
            self._baseline_s, self._rate_from = offset_s, (arrived_s, self._audio_s)
        else:
            waited_s = arrived_s - self._arrived_s
            if waited_s - duration_s > STALL_S:
                self._watching, self._rate_from = (arrived_s, offset_s), None
            elif self._watching is None:
                # Follows a device whose clock is slower than ours, so that hours of drift do not count as lateness.
                self._baseline_s = min(offset_s, self._baseline_s + 0.2 * waited_s)
                self._measure_rate(arrived_s)
        self._arrived_s = arrived_s
        missing = self._settle(arrived_s, offset_s) if self._watching else 0
        self.late_s = max(0.0, offset_s - self._baseline_s)
        return self._watching is not None and self.late_s > self._too_late_s, missing

    def skip(self, count: int) -> None:
        """Records samples that arrived in time and were dropped, so that they do not count as missing too."""
        self._audio_s += count / self._rate_hz
        if self._arrived_s is not None:
            self._arrived_s += count / self._rate_hz

    @property
    def fault(self) -> str | None:
        """The fault in words if the rate is not what the device claims."""
        if self._off_hz is None:
            return None
        return f"the device claims {self._rate_hz} Hz but delivers {self._off_hz:.0f} samples per second"

    def _settle(self, arrived_s: float, offset_s: float) -> int:
        """Whether the stall has been worked off; how many samples turn out to be missing."""
        assert self._watching is not None
        since_s, offset_then_s = self._watching
        if offset_s - self._baseline_s < NEAR_S:  # all that was late has come
            self._restart(offset_s, arrived_s)
        elif arrived_s - since_s >= PACE_S:
            if offset_then_s - offset_s < NEAR_S:  # audio comes at its normal pace: what is missing was never captured
                missing_s = offset_s - self._baseline_s
                self._restart(offset_s, arrived_s)
                return round(missing_s * self._rate_hz)
            self._watching = arrived_s, offset_s
        return 0

    def _restart(self, baseline_s: float, arrived_s: float) -> None:
        self._watching, self._baseline_s = None, baseline_s
        self._rate_from = arrived_s, self._audio_s

    def _measure_rate(self, arrived_s: float) -> None:
        if not self._check_rate:
            return
        if self._rate_from is None:
            self._rate_from = arrived_s, self._audio_s
        elapsed_s = arrived_s - self._rate_from[0]
        if elapsed_s < RATE_LOOK_S:
            return
        ratio = (self._audio_s - self._rate_from[1]) / elapsed_s
        if abs(ratio - 1) > RATE_FAR:
            self._tell_rate(ratio)
        if elapsed_s >= RATE_WINDOW_S:
            if abs(ratio - 1) > RATE_TOLERANCE:
                self._tell_rate(ratio)
            else:
                self._off_hz = None
            self._rate_from = arrived_s, self._audio_s

    def _tell_rate(self, ratio: float) -> None:
        """Keeps the text while it is about true, so that the same fault is not reported every ten seconds."""
        measured_hz = ratio * self._rate_hz
        if self._off_hz is None or abs(measured_hz / self._off_hz - 1) > RATE_TOLERANCE:
            self._off_hz = measured_hz
