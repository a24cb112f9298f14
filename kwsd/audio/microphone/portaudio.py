"""PortAudio, in a disposable process of its own (docs/decisions/0006-portaudio-in-a-child.md).

    python -P portaudio.py devices '{"reports_to": 3, "rates_of": null}'
    python -P portaudio.py capture '{"reports_to": 3, "samples_to": 4, "device": "usb", ...}'

Reports are JSON lines. The process ends when standard input is closed, even if PortAudio hangs; output of PortAudio,
ALSA and JACK is discarded. `kwsd.audio.microphone.capture` starts it and reads from it. It does without numpy, so that
a new one starts quickly.
"""

import contextlib
import fcntl
import itertools
import json
import os
import resource
import select
import signal
import sys
import time
from array import array
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__":  # -P keeps the working folder out of the search path, and this package with it
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from kwsd.audio.microphone.devices import (
    CannotOpenError,
    Device,
    NoDeviceError,
    add_sources,
    find,
    find_again,
    list_devices,
    rates_that_open,
)
from kwsd.audio.microphone.sound_server import Watch, default_source, leading_to
from kwsd.audio.microphone.wire import Outlet
from kwsd.errors import ConfigError, KwsdError, UnavailableError

RETRY_S = 1.0  # between two attempts to open
RESCAN_EVERY = 3  # a list of devices that looks right may be stale
# The channels that ALSA's plug-ins claim regardless of the device: for PulseAudio, for PipeWire, and "plug".
PLUGIN_CHANNELS = (32, 64, 128)
PLUG_CHANNELS = 128
DEVICE_UNAVAILABLE = -9985  # PortAudio's code

Report = Callable[..., None]


class Wanted(NamedTuple):
    """What to capture.

    Attributes:
        device: index, part of a name, or None for the default one.
        full_name: full name of the device once it is known; None before.
        channel: counted from 0.
        rate_hz: rate to open the device at; if it does not support it, its own is used.
        block_ms: length of a block.
    """

    device: str | int | None
    full_name: str | None
    channel: int
    rate_hz: int
    block_ms: float


class OpenStream(NamedTuple):
    """A started ``sounddevice.RawInputStream``; ``frames`` are read at a time."""

    stream: Any
    device: Device
    rate_hz: int
    frames: int
    channels: int


def main() -> None:
    role, given = sys.argv[1], json.loads(sys.argv[2])
    stay_out_of_the_way()
    reports = given.pop("reports_to")

    def report(**what: Any) -> None:
        os.write(reports, json.dumps(what).encode() + b"\n")

    try:
        if role == "devices":
            tell_devices(report, **given)
        else:
            capture(report, given.pop("samples_to"), Wanted(**given))
    except BrokenPipeError:  # the parent has closed it
        os._exit(0)
    except KwsdError as error:
        report(failed=described(error))
    except Exception as error:
        report(ended=f"{type(error).__name__}: {error}")
    os._exit(0)  # PortAudio may hang in its exit handler


def stay_out_of_the_way() -> None:
    """Leaves signals to the parent, ends with it, and leaves no core dump of audio."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # This process and its children get SIGIO, which by default ends a process, when the parent's end of the pipe is
    # closed.
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(0, fcntl.F_SETFL, os.O_ASYNC)
    closed = select.poll()
    closed.register(0, select.POLLHUP)
    if closed.poll(0):
        os._exit(0)


def load() -> Any:
    """The module sounddevice. Raises UnavailableError if it, or PortAudio itself, is missing."""
    check_alsa()
    try:
        import sounddevice
    except ImportError as error:
        raise UnavailableError("sounddevice", str(error), "Install it: pip install sounddevice") from error
    except OSError as error:
        mend = "Install it: apt install libportaudio2"
        raise UnavailableError("PortAudio", "the library is not there", mend) from error
    return sounddevice


def check_alsa() -> None:
    """Raises UnavailableError if ALSA's configuration names no PCM, because PortAudio would abort the process."""
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


def described(error: KwsdError) -> dict[str, Any]:
    """An error as JSON; see `kwsd.audio.microphone.capture`."""
    if isinstance(error, ConfigError):
        return {"kind": "config", "faults": error.faults}
    kinds: dict[type[KwsdError], str] = {NoDeviceError: "absent", CannotOpenError: "refused"}
    return {"kind": kinds.get(type(error), "library"), "what": error.what, "why": error.why, "mend": error.mend}


def tell_devices(report: Report, rates_of: list[str] | None) -> None:
    """Reports PortAudio's version, all devices, and the rates at which those of these names (None: all) open."""
    sounddevice = load()
    report(version=sounddevice.get_portaudio_version()[1])
    devices = add_sources(list_devices(sounddevice))
    report(devices=[asdict(device) for device in devices])
    for position, device in enumerate(devices):
        if rates_of is None or device.name in rates_of:
            report(rates=[(position, rates_that_open(sounddevice, device))])
    report(done=True)


def capture(report: Report, samples_to: int, wanted: Wanted) -> None:
    """Opens the device, however long that takes, and passes on its samples until it goes away."""
    report(trying=0)
    sounddevice = load()
    opened = open_patiently(sounddevice, report, wanted)
    outlet = Outlet(samples_to, opened.rate_hz, opened.frames, lambda overruns: report(overruns=overruns))
    source = opened.device.source
    watch = Watch(source) if source is not None else None
    report(opened=(opened.device.name, opened.rate_hz))
    with contextlib.suppress(sounddevice.PortAudioError):
        while watch is None or not watch.gone():
            interleaved, overflowed = opened.stream.read(opened.frames)
            outlet.write(pick(interleaved, opened.channels, wanted.channel), overflowed)
    report(ended="the device went away")


def open_patiently(sounddevice: Any, report: Report, wanted: Wanted) -> OpenStream:
    """Tries until the device opens; reports each attempt and each failure."""
    for attempt in itertools.count(1):
        report(trying=attempt)
        try:
            return open_stream(sounddevice, wanted)
        except (NoDeviceError, ConfigError, CannotOpenError) as error:
            report(failed=described(error))
            time.sleep(RETRY_S)
            if isinstance(error, NoDeviceError) or attempt % RESCAN_EVERY == 0:
                sounddevice._terminate()
                sounddevice._initialize()
    raise AssertionError


def open_stream(sounddevice: Any, wanted: Wanted) -> OpenStream:
    """Opens and starts a stream. Raises NoDeviceError, ConfigError, CannotOpenError."""
    device = wanted_device(sounddevice, wanted)
    own = own_channels(device, wanted.channel)
    refused: Exception | None = None
    for rate_hz in dict.fromkeys((wanted.rate_hz, device.rate_hz)):
        frames = max(1, round(rate_hz * wanted.block_ms / 1000))
        for channels in dict.fromkeys((own, wanted.channel + 1)):
            try:
                # A block size of 0 would mean 1 to 64 frames, as the plug-in likes.
                with leading_to(device.source):
                    stream = sounddevice.RawInputStream(
                        samplerate=rate_hz, blocksize=frames, device=device.index, channels=channels, dtype="int16"
                    )
                stream.start()
            except sounddevice.PortAudioError as error:
                refused = refused or error
            else:
                return OpenStream(stream, device, rate_hz, frames, channels)
    assert refused is not None
    code = refused.args[1] if len(refused.args) > 1 else None
    mend = "Another program may be using it." if code == DEVICE_UNAVAILABLE else ""
    why = str(refused).removeprefix("Error opening RawInputStream: ")
    raise CannotOpenError(f"device {device.name!r}", f"cannot be opened ({why})", mend) from refused


def wanted_device(sounddevice: Any, wanted: Wanted) -> Device:
    try:
        devices = list_devices(sounddevice)
    except sounddevice.PortAudioError as error:
        raise CannotOpenError("microphone", str(error)) from error
    if isinstance(wanted.device, str):
        devices = add_sources(devices)
    if wanted.full_name is None:
        return find(devices, wanted.device)
    return find_again(devices, wanted.full_name)


def own_channels(device: Device, channel: int) -> int:
    """How many channels to open: all of the device, or others may be mixed into the one that is wanted.

    Raises ConfigError if it does not have that one.
    """
    own: int | None = device.channels
    if device.channels in PLUGIN_CHANNELS and "(hw:" not in device.name:  # a mixing desk has 32, too
        default = default_source() if device.channels != PLUG_CHANNELS else None
        own = default.channels if default is not None else None
    if own is None:
        return max(channel + 1, 2)
    if channel >= own:
        raise ConfigError(f"channel {channel}: device {device.name!r} has {own}, counted from 0")
    return own


def pick(interleaved: Any, channels: int, channel: int) -> memoryview | bytes:
    """One channel of interleaved int16 samples."""
    if channels == 1:
        return memoryview(interleaved)
    samples = array("h")
    samples.frombytes(interleaved)
    return samples[channel::channels].tobytes()


if __name__ == "__main__":
    main()
