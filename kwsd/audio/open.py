"""Opens the source of a run: the microphone, or what stands in for it."""

from typing import TYPE_CHECKING, NamedTuple

from kwsd.audio.settings import AudioSettings
from kwsd.audio.stream.address import StreamAddress

if TYPE_CHECKING:
    from kwsd.audio.source import Source


class SourceOptions(NamedTuple):
    """What the companions of ``--source`` ask for.

    Attributes:
        realtime: pace a file by the clock.
        raw_rate_hz, raw_channels: what standard input is where it is not WAV.
        tail: whether a clip of faint noise follows the end of a file.
        wait: whether a microphone or stream that cannot be opened is waited for.
    """

    realtime: bool = False
    raw_rate_hz: int | None = None
    raw_channels: int = 1
    tail: bool = True
    wait: bool = True


def open_source(settings: AudioSettings, options: SourceOptions, rate_hz: int, clip_stride_ms: float) -> "Source":
    """The source at ``rate_hz``; a microphone or stream hands over a clip stride of samples at once.

    Raises:
        InputError: the file cannot be read.
        ConfigError: the device's name fits several.
        UnavailableError: PortAudio or ffmpeg is not installed; without ``wait``, the device cannot be opened.
    """
    if settings.source is None:
        from kwsd.audio.microphone.microphone import Microphone

        return Microphone(settings, rate_hz, wait=options.wait, stride_ms=clip_stride_ms)
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
