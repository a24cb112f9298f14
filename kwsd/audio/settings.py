"""The settings of the microphone."""

from dataclasses import dataclass

from kwsd.audio.stream.address import SourcePlace, StreamAddress
from kwsd.validation.keys import key
from kwsd.validation.kinds import DeviceName, Number, Whole


@dataclass(frozen=True)
class AudioSettings:
    """The section ``audio`` of a configuration; units as in the names."""

    source: StreamAddress | str | None = key(
        SourcePlace(),
        None,
        "A stream or file instead of the device; of an address, only scheme and host are ever shown.",
    )
    device: str | int | None = key(DeviceName(), None, "The input device; the system's default when null.")
    channel: int = key(Whole(0, 255), 0, "The channel of the device to use, counted from 0.")
    gain_db: float = key(Number(-60, 60), 0.0, "Gain, applied before everything else.", unit="dB")
    stall_s: float = key(Number(0.5, 60), 2.0, "A device that delivers no audio for this long has stalled.", unit="s")
    block_ms: int | None = key(
        Whole(5, 500), None, "How much audio the device delivers at a time; one clip stride when null.", unit="ms"
    )
