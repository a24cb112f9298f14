"""Input devices: listing them, and choosing one by name or index."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kwsd.audio.microphone import sound_server
from kwsd.errors import ConfigError, UnavailableError

_PULSE = "PulseAudio"
COMMON_RATES_HZ = (8000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000)


@dataclass(frozen=True)
class Device:
    """An input device as reported by PortAudio, or a source of the sound server.

    Attributes:
        index: PortAudio's number, for a source that of the device through which it is opened; changes when devices
            come and go.
        name: its full name.
        host_api: ALSA, JACK, ..., or PulseAudio for a source.
        channels: the number of inputs that it claims to have.
        rate_hz: its default rate.
        is_default: whether it is used if no device is named.
        description: a source's human-readable name.
        is_monitor: whether the source is the monitor of a loudspeaker.
    """

    index: int
    name: str
    host_api: str
    channels: int
    rate_hz: int
    is_default: bool
    description: str = ""
    is_monitor: bool = False

    @property
    def source(self) -> str | None:
        """The argument for `kwsd.audio.microphone.sound_server.leading_to` while it is opened."""
        return self.name if self.host_api == _PULSE else None


class NoDeviceError(UnavailableError):
    """No input device matches at the moment; one may come."""


class CannotOpenError(UnavailableError):
    """The device cannot be opened at the moment."""


def list_devices(sounddevice: Any) -> list[Device]:
    """All devices with inputs, as PortAudio saw them when it was last initialised."""
    default = sounddevice.default.device[0]
    apis = [api["name"] for api in sounddevice.query_hostapis()]
    return [
        Device(
            index=index,
            name=info["name"],
            host_api=apis[info["hostapi"]],
            channels=info["max_input_channels"],
            rate_hz=round(info["default_samplerate"]),
            is_default=index == default,
        )
        for index, info in enumerate(sounddevice.query_devices())
        if info["max_input_channels"] > 0
    ]


def add_sources(devices: Sequence[Device]) -> list[Device]:
    """These devices of PortAudio, and the sources of the sound server if one of the devices leads to it."""
    door = next((device for device in devices if device.name == sound_server.DOOR), None)
    if door is None:
        return list(devices)
    sources = [
        Device(door.index, each.name, _PULSE, each.channels, each.rate_hz, False, each.description, each.is_monitor)
        for each in sound_server.list_sources()
    ]
    return [*devices, *sources]


def find(devices: Sequence[Device], wanted: str | int | None) -> Device:
    """The device that ``wanted`` names: an index, a name, or part of a name; None is the default device.

    Case is ignored, and a full name wins over a partial one. Sources match by their description too. Partial names are
    searched in PortAudio's own devices first, then in sources, and last in monitors of loudspeakers.

    Raises:
        NoDeviceError: none matches; the message names the existing ones.
        ConfigError: several match.
    """
    if wanted is None:
        fitting = [device for device in devices if device.is_default] or list(devices[:1])
    elif isinstance(wanted, int):
        fitting = [device for device in devices if device.index == wanted and device.source is None]
    else:
        fitting = _fitting(devices, wanted.casefold())
    if len(fitting) > 1:
        raise ConfigError(
            f"device {wanted!r}: fits several: {listed(fitting)}. Give more of the name, or the index in front of it"
        )
    if not fitting:
        what = "microphone" if wanted is None else f"device {wanted!r}"
        raise NoDeviceError(
            what, f"no such input device; there are: {listed(devices)}" if devices else "no input device"
        )
    return fitting[0]


def _fitting(devices: Sequence[Device], sought: str) -> list[Device]:
    """The devices of that name; if there is none, those of the first kind with it in a name."""
    whole = [device for device in devices if sought in _names(device)]
    parts = [device for device in devices if any(sought in name for name in _names(device))]
    first = min(map(_kind, parts), default=0)
    return whole or [device for device in parts if _kind(device) == first]


def _names(device: Device) -> list[str]:
    return [name.casefold() for name in (device.name, device.description) if name]


def _kind(device: Device) -> int:
    return 0 if device.source is None else 2 if device.is_monitor else 1


def find_again(devices: Sequence[Device], name: str) -> Device:
    """The device of exactly this name. Raises NoDeviceError."""
    for device in devices:
        if device.name == name:
            return device
    raise NoDeviceError(f"device {name!r}", f"it is gone; there are: {listed(devices)}" if devices else "it is gone")


def rates_that_open(sounddevice: Any, device: Device) -> list[int]:
    """The common rates that the device accepts; it is opened for each, so it must not be in use."""
    asked = sorted({*COMMON_RATES_HZ, device.rate_hz})
    if device.source is not None:  # the server resamples; opening its sources takes up to two seconds each time
        return asked
    rates = []
    for rate_hz in asked:
        try:
            sounddevice.check_input_settings(device=device.index, channels=1, dtype="int16", samplerate=rate_hz)
        except sounddevice.PortAudioError:
            continue
        rates.append(rate_hz)
    return rates


def listed(devices: Iterable[Device]) -> str:
    """A one-line list of devices, by the names that select them."""
    return ", ".join(
        f"{device.index} {device.name!r}" if device.source is None else repr(device.name) for device in devices
    )
