"""The microphone as a Source that outlives its device.

Two threads use it. The spotter thread calls ``read``. The main thread calls ``step``, at least once a second, and
immediately after ``read`` returned nothing or a gap; it looks after the capture processes, never blocks, and raises
errors that waiting cannot fix::

    microphone = Microphone(settings.audio, rate_hz)   # begins to open the device, does not wait for it
    while ...:
        microphone.step(time.monotonic())              # raises KwsdError
        state, reason, since_s = microphone.state      # contracts: starting, listening, waiting, ...
    microphone.close()                                 # kills whatever hangs

``device_state.py`` decides what to do; this module does it.
"""

import math
import os
import time
from typing import Any

from kwsd.audio.microphone.capture import Capture
from kwsd.audio.microphone.device_state import Action, Facts, Recovery
from kwsd.audio.microphone.devices import CannotOpenError, NoDeviceError
from kwsd.audio.microphone.inlet import Inlet
from kwsd.audio.microphone.reader import BlockReader
from kwsd.audio.settings import AudioSettings
from kwsd.audio.source import Block, DeviceStatus, End, Found, Gap
from kwsd.errors import UnavailableError

STRIDE_MS = 30.0
BLOCK_LEAST_MS, BLOCK_MOST_MS = 5.0, 100.0


class Microphone:
    """See above.

    Args:
        settings: device, channel, gain, time limit, block length.
        rate_hz: of the samples returned; a device with another rate is resampled as a stream.
        wait: whether to wait for a device that cannot be opened at first; otherwise ``step`` raises UnavailableError.
        stride_ms: the clip stride: the default length of a block.
        again: what was found before a pause, if this is opened after one: that device is opened, and whatever hinders
            it is waited for, as when a device in use is lost.

    Attributes:
        name: the device's full name; before it is known, the requested one.
        state: what it is doing.
        steps: how often ``step`` was called.
        usage: user and system time, in seconds, and resident memory, in MiB, of the capture processes at the last
            step.
    """

    paced = True

    def __init__(
        self,
        settings: AudioSettings,
        rate_hz: int,
        *,
        wait: bool = True,
        stride_ms: float = STRIDE_MS,
        again: Found | None = None,
    ) -> None:
        full_name = again.full_name if again is not None and again.device == settings.device else None
        self.rate_hz = rate_hz
        self.name = full_name or ("default" if settings.device is None else str(settings.device))
        self.steps = 0
        self.usage = 0.0, 0.0
        now_s = time.monotonic()
        self._wanted: dict[str, Any] = {
            "device": settings.device,
            "full_name": full_name,
            "channel": settings.channel,
            "rate_hz": rate_hz,
            "block_ms": block_ms_for(stride_ms) if settings.block_ms is None else settings.block_ms,
        }
        self._wait = wait
        self._recovery = Recovery(settings.stall_s, now_s)
        self.state = DeviceStatus(self._recovery.state, self._recovery.reason, time.time())
        self._first: Capture | None = None
        self._second: Capture | None = None
        self._at_the_start = again is None  # until the device is open for the first time
        self._overruns = 0  # of captures that have ended
        self._waiting_s = 0.0
        self._received = 0  # at the last step
        self._inlet = Inlet()
        self._reader = BlockReader(self._inlet, rate_hz, settings.gain_db)  # the spotter thread's
        self.step(now_s)

    # The main thread's side.

    def step(self, now_s: float) -> None:
        """Checks the device, and takes the next action.

        Args:
            now_s: ``time.monotonic()``.

        Raises:
            UnavailableError: PortAudio is missing or, without ``wait``, the device.
            ConfigError: at start, the name matches several devices, or the device has no such channel.
        """
        self.steps += 1
        first, second = self._facts_of_first(), self._facts_of_second()
        action = self._recovery.step(first, second, self.fault, now_s)
        state, reason = self._recovery.state, self._recovery.reason
        if (state, reason) != self.state[:2]:
            self.state = DeviceStatus(state, reason, self.state.since_s if state == self.state.state else time.time())
        if self._at_the_start:
            self._raise_at_the_start()
        self._carry_out(action)
        usages = [capture.usage() for capture in (self._first, self._second) if capture]
        self.usage = sum(time_s for time_s, _ in usages), sum(memory_mb for _, memory_mb in usages)

    @property
    def found(self) -> Found:
        """Which device this is. The default device is whatever it is next time, so that its name is not kept."""
        return Found(self._wanted["device"], self._wanted["full_name"])

    @property
    def counters(self) -> dict[str, float]:
        """``samples_lost``, ``overruns`` (blocks that did not fit), ``audio_s`` returned; for any thread.

        And ``waiting``: samples not read yet at the last step. Samples are at ``rate_hz``.
        """
        first = self._first
        return {
            "samples_lost": self._reader.samples_lost,
            "overruns": self._overruns + (first.overruns if first else 0),
            "audio_s": round(self._reader.samples / self.rate_hz, 3),
            "waiting": round(self._waiting_s * self.rate_hz),
        }

    def close(self) -> None:
        """Releases the device, even if something hangs; must not be called during a read."""
        self._end(self._second)
        self._end(self._first)
        self._first = self._second = None
        self._inlet.close()

    def _facts_of_first(self) -> Facts | None:
        if (capture := self._first) is None:
            return None
        reported = capture.step()
        if capture.opened is not None:
            self._at_the_start = False
            self.name = capture.opened
            if self._wanted["device"] is not None:
                self._wanted["full_name"] = self.name
        received, self._received = self._received, self._inlet.received
        self._waiting_s = capture.waiting_s()
        # Audio that waits for a slow spotter is audio.
        return _facts(capture, reported, heard=self._received != received or self._waiting_s > 0)

    def _facts_of_second(self) -> Facts | None:
        if (capture := self._second) is None:
            return None
        reported = capture.step()
        return _facts(capture, reported, heard=capture.waiting_s() > 0)

    def _raise_at_the_start(self) -> None:
        """Raises errors that waiting cannot fix; without ``wait``, anything that keeps the device from being heard."""
        if self._first is None:
            return
        failure = self._first.failure
        if failure is not None and not isinstance(failure, NoDeviceError | CannotOpenError):
            raise failure
        if self._wait:
            return
        if failure is not None:
            raise UnavailableError(failure.what, failure.why, "Run kwsd doctor.")
        if self._first.ended is not None:
            raise UnavailableError("microphone", self._first.ended, "Run kwsd doctor.")
        if self._recovery.hangs:
            raise UnavailableError("microphone", "the sound system does not answer", "Restart the sound server.")

    def _carry_out(self, action: Action) -> None:
        if action is Action.START:
            self._end(self._first)
            self._follow(Capture(self._wanted))
        elif action is Action.START_SECOND:
            self._end(self._second)
            self._second = Capture(self._wanted)
        elif action is Action.DROP_SECOND:
            self._end(self._second)
            self._second = None
        elif action is Action.PROMOTE_SECOND and self._second:
            self._end(self._first)
            second, self._second = self._second, None
            self._follow(second)

    def _follow(self, capture: Capture) -> None:
        self._first = capture
        if capture.ended is None:
            self._inlet.follow(os.dup(capture.samples_from))

    def _end(self, capture: Capture | None) -> None:
        if capture:
            self._overruns += capture.overruns
            capture.kill()

    # The spotter thread's side.

    @property
    def fault(self) -> str | None:
        """What is wrong with the signal or its rate, in words."""
        return self._reader.fault

    def read(self, timeout_s: float) -> Block | Gap | End | None:
        """The next block or gap, or None; see Source. Never ends."""
        return self._reader.read(timeout_s)


def block_ms_for(stride_ms: float) -> float:
    """One block per stride, or several if the stride is long."""
    return max(BLOCK_LEAST_MS, stride_ms / math.ceil(stride_ms / BLOCK_MOST_MS))


def _facts(capture: Capture, reported: bool, heard: bool) -> Facts:
    failure = str(capture.failure) if capture.failure else None
    return Facts(reported, capture.opened is not None, heard, failure, capture.ended)
