"""Input devices: which there are, and which one is meant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kwsd.audio.microphone import sound_server
from kwsd.errors import ConfigError, UnavailableError

_PULSE = "PulseAudio"
COMMON_RATES_HZ = (8000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000)


@dataclass(frozen=True)
class Device:
    """An input device as PortAudio tells it, or a source of the sound server.

    Attributes:
        index: PortAudio's number, of a source that of the device through which it is opened; changes when devices
            come and go.
        name: its full name.
        host_api: ALSA, JACK, ..., or PulseAudio of a source.
        channels: how many inputs it claims to have.
        rate_hz: its default rate.
        is_default: the one that is taken when none is asked for.
        description: a source's name for people.
        is_monitor: the source hears what a loudspeaker plays.
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
        """What `kwsd.audio.microphone.sound_server.leading_to` takes while it is opened."""
        return self.name if self.host_api == _PULSE else None


class NoDeviceError(UnavailableError):
    """No input device fits just now; one may come."""


class CannotOpenError(UnavailableError):
    """The device cannot be opened just now."""


def list_devices(sounddevice: Any) -> list[Device]:
    """All devices with inputs, as PortAudio saw them when it was initialised last."""
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
    """These devices of PortAudio's, and the sources of the sound server where one of them leads to it."""
    door = next((device for device in devices if device.name == sound_server.DOOR), None)
    if door is None:
        return list(devices)
    sources = [
        Device(door.index, each.name, _PULSE, each.channels, each.rate_hz, False, each.description, each.is_monitor)
        for each in sound_server.list_sources()
    ]
    return [*devices, *sources]


def find(devices: Sequence[Device], wanted: str | int | None) -> Device:
    """The device that ``wanted`` means: its index, its name, or part of its name; None is the default one.

    Case does not matter, and a whole name wins over parts. A source goes by its description, too. Parts are looked for
    in PortAudio's own devices first, then in sources, in those that hear a loudspeaker last.

    Raises:
        NoDeviceError: none fits; the line names those there are.
        ConfigError: several fit.
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
    """The devices of that name; where there is none, those of the first kind that has it in a name."""
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
    """Those of the common rates that the device accepts; it is opened for each, so it must not be in use."""
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
    """Devices as one line, by what they may be named by."""
    return ", ".join(
        f"{device.index} {device.name!r}" if device.source is None else repr(device.name) for device in devices
    )
