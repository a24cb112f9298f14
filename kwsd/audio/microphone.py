"""The microphone as a Source that outlives its device.

Two threads use it. The spotter thread calls ``read``. The main thread calls ``step`` a few times a second; it opens,
watches and reopens the device, never blocks for long, and raises what cannot be mended by waiting::

    microphone = Microphone(settings.audio, rate_hz)   # begins to open the device, does not wait for it
    while ...:
        microphone.step(time.monotonic())              # raises KwsdError
        state, reason, since_s = microphone.state      # contracts: starting, listening, waiting, ...
    microphone.close()                                 # at most 0.4 s
    if microphone.hung: os._exit(code)                 # else the interpreter's exit would hang in PortAudio

What to do is decided by ``recovery.py``; here it is done. Every call of PortAudio runs in a thread of its own.
"""

import contextlib
import time
from typing import NamedTuple, Protocol

from kwsd.audio.devices import NoDeviceError, add_sources, find, find_again, list_devices
from kwsd.audio.portaudio import Call, ServerQuestion, Stream, load, rescan
from kwsd.audio.reader import Reader
from kwsd.audio.recovery import Action, Facts, Recovery
from kwsd.audio.ring import Opened, Ring
from kwsd.audio.source import Block, End, Gap
from kwsd.errors import ConfigError, KwsdError, UnavailableError

RING_SAMPLES = 1 << 18  # 16 s at 16 kHz, 5 s at 48 kHz, half a megabyte
CLOSE_LIMIT_S = 0.2
RESCAN_EVERY = 3  # a list of devices that looks right may be stale all the same

_UNAVAILABLE = -9985  # PortAudio's code


class AudioSettings(Protocol):
    """What ``kwsd.config.AudioSettings`` has; see docs/config.md."""

    @property
    def device(self) -> str | int | None: ...
    @property
    def channel(self) -> int: ...
    @property
    def gain_db(self) -> float: ...
    @property
    def stall_s(self) -> float: ...
    @property
    def block_ms(self) -> int: ...


class State(NamedTuple):
    """``since_s`` is Unix time."""

    state: str
    reason: str
    since_s: float


class Microphone:
    """See above.

    Args:
        settings: device, channel, gain, time limit, block length.
        rate_hz: of the samples handed out; a device that does not do it is resampled as a stream.
        wait: whether a device that cannot be opened at first is waited for; else ``step`` raises UnavailableError.

    Attributes:
        name: the device's full name; before it is known, what was asked for.
        state: what it is doing.
        steps: how often ``step`` was called.
    """

    paced = True

    def __init__(self, settings: AudioSettings, rate_hz: int, *, wait: bool = True) -> None:
        self.rate_hz = rate_hz
        self.name = "default" if settings.device is None else str(settings.device)
        self.steps = 0
        now_s = time.monotonic()
        self._settings, self._wait = settings, wait
        self._ring = Ring(RING_SAMPLES)
        self._recovery = Recovery(settings.stall_s, now_s)
        self.state = State(self._recovery.state, self._recovery.reason, time.time())
        # The main thread's.
        self._stream: Stream | None = None
        self._opening: Call[Stream] | None = None
        self._closing: Call[None] | None = None
        self._question: ServerQuestion | None = None
        self._received_before = 0
        self._opened_once = False
        self._full_name: str | None = None
        self._failures = 0
        self._failure: KwsdError | None = None
        self._abandoned = False
        self._overflows = 0
        self._reader = Reader(self._ring, rate_hz, settings.gain_db)  # the spotter thread's
        self.step(now_s)

    # The main thread's side.

    def step(self, now_s: float) -> None:
        """One look at the device, and the next thing to be done about it.

        Args:
            now_s: ``time.monotonic()``.

        Raises:
            UnavailableError: PortAudio is not there, or, without ``wait``, the device.
            ConfigError: at start, the name fits several devices, or the device has no such channel.
            KwsdError: PortAudio hangs for good, or the callback failed.
        """
        self.steps += 1
        self._collect()
        action = self._recovery.step(self._facts(now_s), now_s)
        recovery = self._recovery
        if (recovery.state, recovery.reason) != self.state[:2]:
            since_s = self.state.since_s if recovery.state == self.state.state else time.time()
            self.state = State(recovery.state, recovery.reason, since_s)
        if recovery.hangs:
            self._tell_hanging()
        if action is Action.OPEN:
            self._opening = Call(self._open)
        elif action is Action.CLOSE and self._stream is not None:
            self._overflows += self._stream.overflows
            self._closing, self._stream = Call(self._stream.close), None
        elif action is Action.ASK:
            self._question = ServerQuestion(now_s)
        elif action is Action.GIVE_UP:
            raise KwsdError(
                "microphone", "PortAudio hangs although the sound server answers again", "Start kwsd again."
            )

    @property
    def hung(self) -> bool:
        """A call of PortAudio hangs, so the interpreter's own exit would hang too: leave by ``os._exit``."""
        return self._recovery.hangs or self._abandoned

    @property
    def counters(self) -> dict[str, float]:
        """``samples_lost`` (at ``rate_hz``), ``overruns`` (blocks that found no room), ``audio_s`` handed out.

        And ``waiting``: samples that nobody has read yet, at the device's rate.
        """
        overruns = self._ring.overruns + self._overflows + (self._stream.overflows if self._stream else 0)
        return {
            "samples_lost": self._reader.samples_lost,
            "overruns": overruns,
            "audio_s": round(self._reader.samples / self.rate_hz, 3),
            "waiting": self._ring.waiting,
        }

    def close(self) -> None:
        """Lets go of the device, as far as that can be done within 0.4 s; ``hung`` says whether it could."""
        if self._question:
            self._question.end()
        call = self._opening or self._closing
        if call and not call.wait(CLOSE_LIMIT_S):
            self._abandoned = True
            call.speak()
            return
        if self._opening:
            with contextlib.suppress(KwsdError):  # it did not open, so there is nothing to close
                self._stream = self._opening.result()
        self._opening = self._closing = None
        if self._stream:
            closing, self._stream = Call(self._stream.close), None
            if not closing.wait(CLOSE_LIMIT_S):
                self._abandoned = True
                closing.speak()

    def _facts(self, now_s: float) -> Facts:
        stream = self._stream
        return Facts(
            call="open" if self._opening else "close" if self._closing else None,
            is_open=stream is not None,
            ended=stream is not None and stream.ended,
            received=self._ring.received - self._received_before,
            failure=str(self._failure) if self._failure else None,
            absent=isinstance(self._failure, NoDeviceError),
            answers=self._question.answer(now_s) if self._question else None,
            fault=self._reader.fault,
        )

    def _collect(self) -> None:
        """Takes over what calls of PortAudio have come to."""
        if self._stream is not None and self._stream.error is not None:
            error = self._stream.error
            raise KwsdError("audio callback", f"{type(error).__name__}: {error}") from error
        if self._closing and self._closing.wait(0):
            closing, self._closing = self._closing, None
            closing.result()
        if self._opening and self._opening.wait(0):
            opening, self._opening = self._opening, None
            try:
                stream = opening.result()
            except NoDeviceError as error:
                self._failed(error)
            except (ConfigError, UnavailableError) as error:
                if not self._opened_once:
                    raise
                self._failed(error)
            except _CannotOpenError as error:
                self._failed(error)
            else:
                self._stream, self._failure, self._failures = stream, None, 0
                self._opened_once = True
                self.name = stream.device.name
                if self._settings.device is not None:
                    self._full_name = self.name

    def _failed(self, error: KwsdError) -> None:
        self._failure = error
        self._failures += 1
        if not self._wait and not self._opened_once:
            raise UnavailableError(error.what, error.why, "kwsd doctor tells more.") from error

    def _tell_hanging(self) -> None:
        for call in (self._opening, self._closing):
            if call is not None:
                call.speak()
        if not self._wait and not self._opened_once:
            raise UnavailableError("microphone", "the sound system does not answer", "Restart the sound server.")

    def _open(self) -> Stream:
        """Opens the wanted device; runs in a thread of its own."""
        sounddevice = load()
        if isinstance(self._failure, NoDeviceError) or self._failures % RESCAN_EVERY == RESCAN_EVERY - 1:
            rescan(sounddevice)
        try:
            devices = list_devices(sounddevice)
            if isinstance(self._settings.device, str):
                devices = add_sources(devices)
            if self._full_name is None:
                device = find(devices, self._settings.device)
            else:
                device = find_again(devices, self._full_name)
            channel, block_ms = self._settings.channel, self._settings.block_ms
            if channel >= device.channels:
                raise ConfigError(f"channel {channel}: device {device.name!r} has {device.channels}, counted from 0")
            rate_hz = self.rate_hz
            try:
                stream = Stream(sounddevice, device, rate_hz, self._ring, channel=channel, block_ms=block_ms)
            except sounddevice.PortAudioError:
                if device.rate_hz == rate_hz:
                    raise
                rate_hz = device.rate_hz
                stream = Stream(sounddevice, device, rate_hz, self._ring, channel=channel, block_ms=block_ms)
        except sounddevice.PortAudioError as error:
            raise _CannotOpenError(self.name, error) from error
        self._received_before = self._ring.received
        # Before the first sample, so that whoever reads them knows their rate.
        self._ring.mark(Opened(rate_hz))
        try:
            stream.start()
        except sounddevice.PortAudioError as error:
            stream.close()
            raise _CannotOpenError(device.name, error) from error
        return stream

    # The spotter thread's side.

    def read(self, timeout_s: float) -> Block | Gap | End | None:
        """The next block or gap; see Source. Never ends."""
        return self._reader.read(timeout_s)


class _CannotOpenError(KwsdError):
    """PortAudio refuses."""

    def __init__(self, name: str, error: Exception) -> None:
        code = error.args[1] if len(error.args) > 1 else None
        mend = "Another program may be using it." if code == _UNAVAILABLE else ""
        why = str(error).removeprefix("Error opening InputStream: ")
        super().__init__(f"device {name!r}", f"cannot be opened ({why})", mend)
