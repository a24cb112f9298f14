"""PortAudio, with what it does not do by itself: time limits, silence on standard error, a fresh list of devices.

Any call of PortAudio, the import of sounddevice included, hangs for ever while the sound server is frozen; only a
thread or a process of its own protects against that. What it knows of devices dates from its initialisation.
"""

import atexit
import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from kwsd.audio.devices import Device
from kwsd.audio.pulse import Watch, leading_to
from kwsd.audio.ring import Ring
from kwsd.audio.source import Gap
from kwsd.errors import UnavailableError

ANSWER_LIMIT_S = 2.0

T = TypeVar("T")

_streams_open = 0


def load() -> Any:
    """The module sounddevice. Raises UnavailableError where it, or PortAudio itself, is not there."""
    _check_alsa()
    try:
        import sounddevice
    except ImportError as error:
        raise UnavailableError("sounddevice", str(error), "Install it: pip install sounddevice") from error
    except OSError as error:
        mend = "Install it: apt install libportaudio2"
        raise UnavailableError("PortAudio", "the library is not there", mend) from error
    return sounddevice


def _check_alsa() -> None:
    """Raises UnavailableError where ALSA's configuration names no PCM at all: PortAudio aborts the process then."""
    import ctypes

    try:
        alsa = ctypes.CDLL("libasound.so.2")
    except OSError:  # a PortAudio without ALSA
        return
    alsa.snd_config_update()  # kept by the library, so PortAudio does not read it again
    found = ctypes.c_void_p()
    if alsa.snd_config_search(ctypes.c_void_p.in_dll(alsa, "snd_config"), b"pcm", ctypes.byref(found)) < 0:
        mend = "Unset ALSA_CONFIG_PATH, or apt install --reinstall libasound2-data"
        raise UnavailableError("microphone", "ALSA's configuration names no devices", mend)


def rescan(sounddevice: Any) -> None:
    """Has PortAudio look for devices again; does nothing while a stream is open, which it would kill."""
    if _streams_open == 0:
        sounddevice._terminate()
        sounddevice._initialize()


@contextlib.contextmanager
def quiet() -> Iterator[Callable[[], None]]:
    """Sends what C libraries (ALSA, JACK) write to standard error to nowhere.

    Yields a function that ends this early, for the case that what runs inside hangs.
    """
    kept = os.dup(2)

    def restore() -> None:
        os.dup2(kept, 2)

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield restore
    finally:
        restore()
        os.close(kept)


def set_python_apart() -> None:
    """Gives Python's standard error, and the log on it, a descriptor of its own, which `quiet` does not touch.

    Done once; sounddevice, too, silences descriptor 2 whenever it initialises PortAudio.
    """
    spoken = sys.stderr
    try:
        if spoken is None or spoken.fileno() != 2:
            return
    except OSError:  # a test's stand-in, which has no descriptor
        return
    apart = os.fdopen(os.dup(2), "w", buffering=1, encoding=spoken.encoding, errors=spoken.errors)
    for handler in logging.getLogger("kwsd").handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is spoken:
            handler.setStream(apart)
    sys.stderr = apart


class Call(Generic[T]):
    """A function in a daemon thread, so that nobody has to wait for it. C libraries are quiet meanwhile."""

    def __init__(self, function: Callable[[], T]) -> None:
        set_python_apart()
        self._function = function
        self._result: T | None = None
        self._error: BaseException | None = None
        self._restore: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="kwsd-portaudio", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with quiet() as self._restore:
                self._result = self._function()
        except BaseException as error:  # raised again by `result`
            self._error = error
        finally:
            self._restore = None

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended, waiting up to ``timeout_s``."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def speak(self) -> None:
        """Gives standard error back although the call still hangs."""
        if (restore := self._restore) is not None:
            restore()

    def result(self) -> T:
        """What the function returned or raised; only after it has ended."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


def within(limit_s: float, function: Callable[[], T]) -> T:
    """What ``function`` returns; for commands that do one thing with PortAudio and end.

    Raises UnavailableError where it hangs; the process then ends with that error's code in spite of it.
    """
    call = Call(function)
    if not call.wait(limit_s):
        call.speak()
        end_abruptly(UnavailableError.exit_code)
        mend = "The sound server may be frozen: restart it."
        raise UnavailableError("sound system", f"no answer within {limit_s:g} s", mend)
    return call.result()


def end_abruptly(code: int) -> None:
    """Has the interpreter's exit, which would hang in PortAudio, end the process at once with ``code``."""

    def end() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    atexit.register(end)  # the last to register is the first to run, so before sounddevice's own


class Stream:
    """An open input stream that writes one channel into a ring.

    Attributes:
        device: where it listens.
        rate_hz: the rate it was opened at.
        error: what the callback raised, if it did.
        overflows: how often PortAudio said that samples were lost.
    """

    def __init__(
        self, sounddevice: Any, device: Device, rate_hz: int, ring: Ring, *, channel: int, block_ms: int
    ) -> None:
        """Opens and starts it. Raises sounddevice.PortAudioError."""
        global _streams_open
        self.device, self.rate_hz = device, rate_hz
        self._ended = False
        self.error: BaseException | None = None
        self.overflows = 0
        self._ring, self._channel = ring, channel
        self._listening = True
        # A block size of 0 would mean 1 to 64 frames at the plug-in's whim.
        with leading_to(device.source):
            self._stream = sounddevice.InputStream(
                samplerate=rate_hz,
                blocksize=max(1, rate_hz * block_ms // 1000),
                device=device.index,
                channels=channel + 1,
                dtype="int16",
                callback=self._callback,
                finished_callback=self._finished,
            )
        _streams_open += 1
        self._watch = Watch(device.source) if device.source is not None else None

    @property
    def ended(self) -> bool:
        """It has ended by itself: the device, its source or the server went away."""
        return self._ended or (self._watch is not None and self._watch.gone())

    def start(self) -> None:
        self._stream.start()

    def close(self) -> None:
        """Hangs where the sound server is frozen."""
        global _streams_open
        self._listening = False
        if self._watch is not None:
            self._watch.close()
        self._stream.close(ignore_errors=True)
        _streams_open -= 1

    def _callback(self, frames: NDArray[np.int16], _count: int, _time: Any, status: Any) -> None:
        if not self._listening:
            return
        try:
            if status:  # PortAudio knows that samples were lost, but not how many
                self.overflows += 1
                self._ring.mark(Gap(0))
            self._ring.write(frames[:, self._channel], time.time(), time.monotonic())
        except BaseException as error:  # raised again by the main thread; here it would only be printed
            self.error = error

    def _finished(self) -> None:
        self._ended = True


class ServerQuestion:
    """Does the sound system answer? A child process finds out by initialising PortAudio, which hangs if not.

    Attributes:
        hangs: the child had to be ended.
    """

    # Finding no input counts as no answer: connections left over from earlier questions fill a frozen server's queue,
    # and from then on it refuses at once where it hung before.
    _PROGRAM = (
        "import os, sounddevice;"
        "os._exit(0 if any(device['max_input_channels'] for device in sounddevice.query_devices()) else 1)"
    )

    def __init__(self, now_s: float, limit_s: float = ANSWER_LIMIT_S) -> None:
        self.hangs = False
        self._until_s = now_s + limit_s
        self._answers: bool | None = None
        self._child = subprocess.Popen(
            [sys.executable, "-c", self._PROGRAM],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def answer(self, now_s: float) -> bool | None:
        """None while it is not known."""
        if self._answers is None:
            if (code := self._child.poll()) is not None:
                self._answers = code == 0
            elif now_s >= self._until_s:
                self.end()
                self.hangs, self._answers = True, False
        return self._answers

    def end(self) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
