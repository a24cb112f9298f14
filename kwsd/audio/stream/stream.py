"""A network stream as a Source that outlives its server; used like `kwsd.audio.microphone.microphone`.

``supervision.py`` decides what to do; this module does it.
"""

import os
import time

from kwsd.audio.microphone.microphone import STRIDE_MS, block_ms_for
from kwsd.audio.microphone.reader import BlockReader
from kwsd.audio.microphone.stream_clock import LATE_S
from kwsd.audio.settings import AudioSettings
from kwsd.audio.source import Block, DeviceStatus, End, Found, Gap
from kwsd.audio.stream.address import StreamAddress
from kwsd.audio.stream.ffmpeg import Ffmpeg, RawInlet, find
from kwsd.audio.stream.supervision import Action, Facts, Supervision
from kwsd.errors import UnavailableError


class Stream:
    """A Device.

    Args:
        address: the address for ffmpeg to open.
        settings: channel, gain, time limit, block length.
        rate_hz: of the samples returned.
        wait: whether to wait for a stream that cannot be opened at first; otherwise ``step`` raises UnavailableError.
        stride_ms: the clip stride: the default length of a block.

    Attributes:
        name: the address, as far as it may be shown.
        state: what it is doing.
        found: nothing: an address has one meaning only.
        steps: how often ``step`` was called.
        usage: user and system time, in seconds, and resident memory, in MiB, of ffmpeg at the last step.

    Raises:
        UnavailableError: ffmpeg is not installed.
    """

    paced = True
    found = Found()

    def __init__(
        self,
        address: StreamAddress,
        settings: AudioSettings,
        rate_hz: int,
        *,
        wait: bool = True,
        stride_ms: float = STRIDE_MS,
    ) -> None:
        find()
        self.name, self.rate_hz = str(address), rate_hz
        self.steps = 0
        self.usage = 0.0, 0.0
        now_s = time.monotonic()
        self._address, self._channel, self._wait = address, settings.channel, wait
        self._supervision = Supervision(settings.stall_s, now_s)
        self.state = DeviceStatus(self._supervision.state, self._supervision.reason, time.time())
        self._ffmpeg: Ffmpeg | None = None
        self._waiting = 0  # samples
        self._received = 0  # at the last step
        self._opened_once = False
        block_ms = block_ms_for(stride_ms) if settings.block_ms is None else settings.block_ms
        self._inlet = RawInlet(rate_hz, max(1, round(rate_hz * block_ms / 1000)))
        self._reader = BlockReader(  # the spotter thread's
            self._inlet,
            rate_hz,
            settings.gain_db,
            late_s=max(LATE_S, settings.stall_s),
            check_rate=False,
            keeps_ahead=True,
        )
        self.step(now_s)

    # The main thread's side.

    def step(self, now_s: float) -> None:
        """Checks ffmpeg, and takes the next action.

        Raises:
            UnavailableError: ffmpeg is missing or, without ``wait``, the stream.
        """
        self.steps += 1
        supervision = self._supervision
        action = supervision.step(self._facts(), self.fault, now_s)
        if (supervision.state, supervision.reason) != self.state[:2]:
            since_s = self.state.since_s if supervision.state == self.state.state else time.time()
            self.state = DeviceStatus(supervision.state, supervision.reason, since_s)
        if action is Action.END:
            self._end()
        elif action is Action.START:
            self._start()
        if not (self._wait or self._opened_once) and supervision.failed is not None:
            raise UnavailableError(self.name, supervision.failed, "Without --no-wait it is waited for.")
        self.usage = (0.0, 0.0) if self._ffmpeg is None else self._ffmpeg.usage()

    def _facts(self) -> Facts | None:
        if self._ffmpeg is None:
            return None
        ended = self._ffmpeg.ended()
        self._waiting = self._ffmpeg.waiting()
        received, self._received = self._received, self._inlet.received
        heard = self._received != received or self._waiting > 0
        self._opened_once = self._opened_once or heard
        return Facts(heard, ended)

    def _start(self) -> None:
        try:
            self._received = self._inlet.received
            self._ffmpeg = Ffmpeg(self._address, self.rate_hz, self._channel)
            self._inlet.follow(os.dup(self._ffmpeg.samples_from))
        except OSError:  # out of descriptors, processes or memory at the moment: the next step tries again
            self._end()

    def _end(self) -> None:
        if self._ffmpeg is not None:
            self._ffmpeg.kill()
            self._ffmpeg, self._waiting = None, 0

    @property
    def counters(self) -> dict[str, float]:
        """``samples_lost``, ``audio_s`` returned, and ``waiting`` samples not read yet at the last step."""
        return {
            "samples_lost": self._reader.samples_lost,
            "overruns": 0,
            "audio_s": round(self._reader.samples / self.rate_hz, 3),
            "waiting": self._waiting,
        }

    def close(self) -> None:
        """Ends ffmpeg; must not be called during a read."""
        self._end()
        self._inlet.close()

    # The spotter thread's side.

    @property
    def fault(self) -> str | None:
        """What is wrong with the signal, in words."""
        return self._reader.fault

    def read(self, timeout_s: float) -> Block | Gap | End | None:
        """The next block or gap, or None; see Source. Never ends."""
        item = self._reader.read(timeout_s)
        if not isinstance(item, Block):
            return item
        # Audio that waits because spotting is slow arrived earlier; audio that a server sends ahead of time did not.
        behind_s = min(self._inlet.waiting() / self.rate_hz, self._reader.late_s)
        return item._replace(arrived_s=item.arrived_s - behind_s) if behind_s > 0 else item
