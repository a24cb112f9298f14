"""Opens the source of a run: the microphone, or a file or stream instead."""

from typing import TYPE_CHECKING, NamedTuple

from kwsd.audio.settings import AudioSettings
from kwsd.audio.stream.address import StreamAddress

if TYPE_CHECKING:
    from kwsd.audio.source import Found, Source


class SourceOptions(NamedTuple):
    """The options that accompany ``--source``.

    Attributes:
        realtime: pace a file by the clock.
        raw_rate_hz, raw_channels: format of standard input if it is not WAV.
        tail: whether a clip of faint noise follows the end of a file.
        wait: whether to wait for a microphone or stream that cannot be opened.
    """

    realtime: bool = False
    raw_rate_hz: int | None = None
    raw_channels: int = 1
    tail: bool = True
    wait: bool = True


def open_source(
    settings: AudioSettings,
    options: SourceOptions,
    rate_hz: int,
    clip_stride_ms: float,
    again: "Found | None" = None,
) -> "Source":
    """The source at ``rate_hz``; the blocks of a microphone or stream are one clip stride long by default.

    Args:
        again: which microphone it was before the pause that ends now; see `Microphone`.

    Raises:
        InputError: the file cannot be read.
        ConfigError: the device's name matches several devices.
        UnavailableError: PortAudio or ffmpeg is not installed; without ``wait``, the device cannot be opened.
    """
    if settings.source is None:
        from kwsd.audio.microphone.microphone import Microphone

        return Microphone(settings, rate_hz, wait=options.wait, stride_ms=clip_stride_ms, again=again)
    if isinstance(settings.source, StreamAddress):
        from kwsd.audio.stream.stream import Stream

        return Stream(settings.source, settings, rate_hz, wait=options.wait, stride_ms=clip_stride_ms)
    from kwsd.audio.file import open_source as open_file

    return open_file(
        settings.source,
        rate_hz,
        realtime=options.realtime,
        raw_rate_hz=options.raw_rate_hz,
        raw_channels=options.raw_channels,
        channel=settings.channel,
        gain_db=settings.gain_db,
    )
