"""A recording as samples at the model's rate, identical to those of ``kwsd --source FILE``."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kwsd.audio.file import Decoder, FileSource, SoundFileDecoder
from kwsd.audio.pipe import PipeDecoder
from kwsd.audio.source import Block, End
from kwsd.errors import InputError
from kwsd.scan.chunks import Samples

DECODE_MS = 1000


@dataclass(frozen=True)
class Version:
    """Identifies a version of a file."""

    device: int
    inode: int
    bytes: int
    changed_ns: int


def version(path: str, name: str) -> Version:
    """The current version of the file. InputError if it is none: opening a named pipe would wait for its writer."""
    try:
        status = Path(path).stat()
    except OSError as error:
        raise InputError(name, error.strerror or str(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(name, "it is not a file")
    return Version(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def check_unchanged(path: str, name: str, before: Version) -> None:
    """Raises InputError if the file has changed."""
    if version(path, name) != before:
        raise InputError(name, "it changed while it was read", "Scan it again when no program writes to it.")


def exact_frames(path: str, name: str, rate_hz: int) -> int | None:
    """Number of frames of a recording with exact seeking; None if it must be read from its beginning.

    The latter is the case for lossy formats and rates other than the model's: the output of a decoder or resampler then
    depends on everything before. Raises InputError, UnavailableError.
    """
    try:
        decoder = _decoder(path, name, 0)
    except InputError:
        return None  # reading all of it will show why, or use ffmpeg
    try:
        is_exact = decoder.can_seek and decoder.rate_hz == rate_hz and 0 < decoder.frames < 2**48
        return decoder.frames if is_exact else None
    finally:
        decoder.close()


def read_span(
    path: str, name: str, rate_hz: int, channel: int, gain_db: float, start: int, count: int
) -> Iterator[Samples]:
    """This many samples from ``start`` on, of a recording that has `exact_frames`; fewer if it ends before.

    Raises InputError.
    """
    decoder = _decoder(path, name, channel)
    with contextlib.closing(FileSource(name, decoder, rate_hz, realtime=False, gain_db=gain_db)) as source:
        decoder.seek(start)
        for block in _blocks(source):
            yield block[:count]
            count -= len(block)
            if count <= 0:
                return


def read_all(path: str, name: str, rate_hz: int, channel: int, gain_db: float) -> Iterator[Samples]:
    """All of it, block by block. Raises InputError, UnavailableError."""
    with contextlib.closing(_open(path, name, rate_hz, channel, gain_db)) as source:
        yield from _blocks(source)


def _open(path: str, name: str, rate_hz: int, channel: int, gain_db: float) -> FileSource:
    """Opens it like ``--source``; also other formats of libsndfile (MP3, AIFF, CAF, ...), and more through ffmpeg."""
    return FileSource(name, _any_decoder(path, name, rate_hz, channel), rate_hz, realtime=False, gain_db=gain_db)


def _any_decoder(path: str, name: str, rate_hz: int, channel: int) -> Decoder:
    if not Path(path).is_file():
        raise InputError(name, "it is not a file")
    try:
        first = _decoder(path, name, 0)
    except InputError as fault:
        if version(path, name).bytes == 0:
            raise
        from kwsd.scan import ffmpeg

        return ffmpeg.Decoder(path, name, channel, fault)
    first.close()
    if first.frames:
        return _decoder(path, name, channel)
    if first.container != "WAV":
        raise InputError(name, "it holds no samples")
    # A WAV whose writer never filled in its sizes, which libsndfile does not read.
    return PipeDecoder(name, os.open(path, os.O_RDONLY), rate_hz, 1, channel)


def _decoder(path: str, name: str, channel: int) -> SoundFileDecoder:
    try:
        file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - the decoder closes it
    except OSError as error:
        raise InputError(name, error.strerror or str(error)) from error
    try:
        return SoundFileDecoder(name, file, channel, DECODE_MS, any_format=True)
    except BaseException:
        file.close()
        raise


def _blocks(source: FileSource) -> Iterator[Samples]:
    while not isinstance(item := source.read(1.0), End):
        if isinstance(item, Block):
            yield item.samples
