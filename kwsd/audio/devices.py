"""Input devices: which there are, and which one is meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kwsd.errors import ConfigError, UnavailableError

COMMON_RATES_HZ = (8000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000)


@dataclass(frozen=True)
class Device:
    """An input device as PortAudio tells it.

    Attributes:
        index: PortAudio's number; changes when devices come and go.
        name: its full name.
        host_api: ALSA, JACK, ...
        channels: how many inputs it claims to have.
        rate_hz: its default rate.
        is_default: the one that is taken when none is asked for.
    """

    index: int
    name: str
    host_api: str
    channels: int
    rate_hz: int
    is_default: bool


class NoDeviceError(UnavailableError):
    """No input device fits just now; one may come."""


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


def find(devices: Sequence[Device], wanted: str | int | None) -> Device:
    """The device that ``wanted`` means: its index, its name, or part of its name; None is the default one.

    Case does not matter, and a whole name wins over parts.

    Raises:
        NoDeviceError: none fits; the line names those there are.
        ConfigError: several fit.
    """
    if wanted is None:
        fitting = [device for device in devices if device.is_default] or list(devices[:1])
    elif isinstance(wanted, int):
        fitting = [device for device in devices if device.index == wanted]
    else:
        sought = wanted.casefold()
        fitting = [device for device in devices if device.name.casefold() == sought] or [
            device for device in devices if sought in device.name.casefold()
        ]
    if len(fitting) > 1:
        raise ConfigError(
            f"device {wanted!r}: fits several: {_listed(fitting)}. Give more of the name, or the index in front of it"
        )
    if not fitting:
        what = "microphone" if wanted is None else f"device {wanted!r}"
        raise NoDeviceError(
            what, f"no such input device; there are: {_listed(devices)}" if devices else "no input device"
        )
    return fitting[0]


def find_again(devices: Sequence[Device], name: str) -> Device:
    """The device of exactly this name. Raises NoDeviceError."""
    for device in devices:
        if device.name == name:
            return device
    raise NoDeviceError(f"device {name!r}", f"it is gone; there are: {_listed(devices)}" if devices else "it is gone")


def rates_that_open(sounddevice: Any, device: Device) -> list[int]:
    """Those of the common rates that the device accepts; it is opened for each, so it must not be in use."""
    rates = []
    for rate_hz in sorted({*COMMON_RATES_HZ, device.rate_hz}):
        try:
            sounddevice.check_input_settings(device=device.index, channels=1, dtype="int16", samplerate=rate_hz)
        except sounddevice.PortAudioError:
            continue
        rates.append(rate_hz)
    return rates


def _listed(devices: Sequence[Device]) -> str:
    return ", ".join(f"{device.index} {device.name!r}" for device in devices)
