"""Checks of a machine's audio, one after the other, which ``kwsd doctor`` prints.

Nothing here needs PortAudio to be installed, and nothing waits for a frozen sound server for longer than some seconds.
"""

import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd.audio.microphone.capture import SERVER_MEND, survey
from kwsd.audio.microphone.devices import Device, find, listed
from kwsd.audio.microphone.microphone import STRIDE_MS
from kwsd.audio.microphone.signal_check import CLIP_SHARE, FULL_SCALE
from kwsd.audio.open import SourceOptions, open_source
from kwsd.audio.settings import AudioSettings
from kwsd.audio.source import Block, End, LiveSource
from kwsd.errors import KwsdError

SIGNAL_S = 2.0
SIGNAL_LIMIT_S = 8.0
PORTAUDIO_LIMIT_S = 5.0
QUIET_DBFS = -70.0  # below this: no room is so quiet, but a microphone with its gain at zero is


class Finding(NamedTuple):
    """One line of ``kwsd doctor``.

    Attributes:
        check: what was checked, in one word.
        result: ``ok``, ``warn`` or ``fail``.
        text: what was found.
        mend: how to fix it; empty if nothing needs fixing.
    """

    check: str
    result: Literal["ok", "warn", "fail"]
    text: str
    mend: str = ""


def check_audio(settings: AudioSettings, rate_hz: int) -> Iterator[Finding]:
    """All findings about this machine's audio, each check before those that depend on it.

    For a stream or file instead of a device, whether it can be heard.

    Args:
        settings: which device, which channel.
        rate_hz: the model's.
    """
    if settings.source is not None:
        yield check_signal(settings, rate_hz)
        return
    server = server_sockets(os.environ)
    yield check_permission(Path("/dev/snd"), is_root=os.geteuid() == 0, has_server=bool(server))
    yield check_server(server)
    found = survey(PORTAUDIO_LIMIT_S)
    if found.fault is not None:
        yield Finding("portaudio", "fail", f"{found.fault.what}: {found.fault.why}", found.fault.mend)
        return
    yield Finding("portaudio", "ok", found.version)
    yield check_devices(found.devices)
    if not found.devices:
        return
    try:
        device = find(found.devices, settings.device)
    except KwsdError as error:
        yield Finding("device", "fail", str(error), "Choose one that `kwsd devices` lists.")
        return
    yield Finding("device", "ok", listed([device]))
    opened = survey(PORTAUDIO_LIMIT_S, rates_of=[device.name])
    if opened.fault is not None:
        yield Finding("rate", "fail", f"{opened.fault.what}: {opened.fault.why}", opened.fault.mend)
        return
    rates = next((rates for rates in opened.rates_hz if rates is not None), [])
    yield check_rate(device, rates, rate_hz)
    if rates:
        yield check_signal(settings, rate_hz)


def check_permission(folder: Path, *, is_root: bool, has_server: bool) -> Finding:
    """Sound cards that can record, and whether this user may open them.

    Args:
        folder: /dev/snd.
        is_root: root may open everything.
        has_server: there is a sound server, which opens them for us.
    """
    captures = sorted(folder.glob("pcmC*D*c")) if folder.is_dir() else []
    if not captures:
        where = "no sound card that records" if folder.is_dir() else "no sound card"
        mend = "Plug a microphone in; in a container, pass /dev/snd or the sound server's socket through."
        if has_server:  # which may have sources of its own: a network, a virtual microphone
            return Finding("permission", "ok", f"{where} in {folder}; the sound server is asked instead")
        return Finding("permission", "warn", f"{where} in {folder}", mend)
    closed = [path.name for path in captures if not os.access(path, os.R_OK | os.W_OK)]
    if closed and not is_root:
        mend = f"sudo usermod -aG audio {os.environ.get('USER', 'USER')}, then log in again."
        result: Literal["warn", "fail"] = "warn" if has_server else "fail"
        return Finding("permission", result, f"this user may not open {', '.join(closed)}", mend)
    return Finding("permission", "ok", f"{len(captures)} capture devices in {folder} may be opened")


def server_sockets(environ: "os._Environ[str] | dict[str, str]") -> list[Path]:
    """The existing sockets of a PulseAudio or PipeWire in this user's session."""
    runtime = environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")
    places = [f"{runtime}/pulse/native", f"{runtime}/pipewire-0"]
    named = environ.get("PULSE_SERVER", "")
    if "/" in named:
        places.insert(0, named[named.index("/") :])
    return [path for path in map(Path, places) if _is_socket(path)]


def check_server(sockets: list[Path]) -> Finding:
    """Whether a sound server accepts connections on these sockets."""
    if not sockets:
        text = "no PulseAudio or PipeWire of this user; ALSA is used directly"
        mend = "If another user's session owns the microphone, run kwsd in that session (systemd/kwsd-user.service)."
        return Finding("server", "ok", text, mend)
    for path in sockets:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2.0)
            try:
                connection.connect(str(path))
            except OSError as error:
                return Finding("server", "fail", f"{path} exists, but: {error.strerror or error}", SERVER_MEND)
    return Finding("server", "ok", f"a server listens on {', '.join(map(str, sockets))}")


def check_devices(devices: list[Device]) -> Finding:
    if devices:
        return Finding("devices", "ok", listed(devices))
    mend = "Plug a microphone in, see to `permission` and `server` above, and install libasound2-plugins for a server."
    return Finding("devices", "fail", "PortAudio sees no input device", mend)


def check_rate(device: Device, rates_hz: list[int], rate_hz: int) -> Finding:
    if rate_hz in rates_hz:
        return Finding("rate", "ok", f"opens at the model's {rate_hz} Hz")
    if device.rate_hz in rates_hz:
        return Finding("rate", "ok", f"opens at {device.rate_hz} Hz, resampled to the model's {rate_hz}")
    mend = "Another program may be using it (fuser -v /dev/snd/*); or its server has no source: pactl list sources."
    return Finding("rate", "fail", f"opens neither at {rate_hz} Hz nor at its own {device.rate_hz}", mend)


def check_signal(settings: AudioSettings, rate_hz: int) -> Finding:
    """Listens for two seconds."""
    blocks: list[NDArray[np.float32]] = []
    missing = round(SIGNAL_S * rate_hz)
    deadline_s = time.monotonic() + SIGNAL_LIMIT_S
    try:
        with closing(
            open_source(replace(settings, gain_db=0.0), SourceOptions(wait=False), rate_hz, STRIDE_MS)
        ) as source:
            while missing > 0 and time.monotonic() < deadline_s:
                if isinstance(source, LiveSource):
                    source.step(time.monotonic())
                if isinstance(item := source.read(0.1), Block):
                    blocks.append(item.samples.copy())
                    missing -= len(item.samples)
                elif isinstance(item, End):
                    break
    except KwsdError as error:
        return Finding("signal", "fail", "; ".join(error.lines))
    if missing > 0:
        mend = "It may be suspended (pactl list sources short), or its cable or driver is at fault (dmesg)."
        return Finding("signal", "fail", f"less than {SIGNAL_S:g} s of samples in {SIGNAL_LIMIT_S:g} s", mend)
    return judge_signal(np.concatenate(blocks), settings.gain_db)


def judge_signal(samples: NDArray[np.float32], gain_db: float = 0.0) -> Finding:
    """Whether a stretch of signal is alive.

    Args:
        samples: as delivered by the device, -1..1, shape (n,), n > 0.
        gain_db: the gain applied to them afterwards.
    """
    amplified = samples * np.float32(10 ** (gain_db / 20))
    peak, rms_dbfs = dbfs(float(np.abs(amplified).max())), dbfs(float(np.sqrt(np.mean(np.square(amplified)))))
    levels = f"peak {min(peak, 0.0):.1f} dBFS, RMS {min(rms_dbfs, 0.0):.1f} dBFS"
    if gain_db:
        levels += f" after audio.gain_db of {gain_db:g} dB"
    if not samples.any():
        mend = "Unmute it: pactl set-source-mute @DEFAULT_SOURCE@ 0, or alsamixer; is it the right device?"
        return Finding("signal", "fail", "all samples are zero", mend)
    if samples.min() == samples.max():
        return Finding("signal", "fail", f"all samples are {samples[0]:.4f}", "Unplug it and plug it in again.")
    if (share := _clipped(samples)) > CLIP_SHARE:
        return Finding("signal", "warn", f"{levels}; {share:.0%} of the samples clip", "Lower its gain (alsamixer).")
    if (share := _clipped(amplified)) > CLIP_SHARE:
        return Finding("signal", "warn", f"{levels}; {share:.0%} of the samples clip", "Lower audio.gain_db.")
    if rms_dbfs < QUIET_DBFS:
        return Finding("signal", "warn", f"{levels}; very quiet", "Raise its gain (alsamixer), or set audio.gain_db.")
    return Finding("signal", "ok", levels)


def _clipped(samples: NDArray[np.float32]) -> float:
    """The share of samples at full scale."""
    return float(np.mean(np.abs(samples) >= FULL_SCALE / 32768))


def dbfs(amplitude: float) -> float:
    """Decibels below full scale of an amplitude of 0..1; -200 for silence."""
    return 20 * float(np.log10(max(amplitude, 1e-10)))


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False
