"""Chained Ogg: several recordings in one file, as made by Icecast and ``cat``; libsndfile reads only the first.

Layout: RFC 3533. The sound library is imported only if there is a second link.
"""

import io
import os
from typing import IO, Any

from kwsd.errors import InputError

_HEADER_BYTES = 27
_PAGE_BYTES = 65_307  # the longest
_BEGINS = 0x02  # flag of a stream's first page


def links(fd: int) -> list[int]:
    """Where each link of an Ogg file begins, in bytes. Anything that is not a page is skipped."""
    starts, at, begun = [], 0, False
    while len(header := os.pread(fd, _HEADER_BYTES + 255, at)) >= _HEADER_BYTES:
        if not header.startswith(b"OggS"):
            found = os.pread(fd, _PAGE_BYTES, at).find(b"OggS", 1)
            at += found if found > 0 else _PAGE_BYTES - 3
            continue
        begins = bool(header[5] & _BEGINS)
        if begins and not begun:  # several in a row are streams side by side
            starts.append(at)
        begun = begins
        segments = header[26]
        at += _HEADER_BYTES + segments + sum(header[_HEADER_BYTES : _HEADER_BYTES + segments])
    return starts


class Part(io.RawIOBase):
    """The bytes ``start`` to ``end`` of a file, as a file."""

    def __init__(self, fd: int, start: int, end: int) -> None:
        self._fd, self._start, self._size = fd, start, end - start
        self._at = 0

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._fd, min(len(buffer), max(0, self._size - self._at)), self._start + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


class Chain:
    """The links of a file as one ``soundfile.SoundFile``, as long as their formats agree.

    Args:
        name: for messages.
        file: remains owned by the caller.
        starts: where its links begin.
    """

    def __init__(self, name: str, file: IO[bytes], starts: list[int]) -> None:
        self._name, self._fd = name, file.fileno()
        ends = [*starts[1:], os.fstat(self._fd).st_size]
        self._later = list(zip(starts, ends, strict=True))
        self._heard = 0  # frames
        self._link = self._open_next()
        self.samplerate, self.channels = self._link.samplerate, self._link.channels

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def read(self, frames: int, dtype: str, always_2d: bool) -> Any:
        """The next frames; none at the end of the last link. Raises InputError if a link's format differs."""
        while not len(sound := self._link.read(frames, dtype=dtype, always_2d=always_2d)) and self._later:
            over, self._link = self._link, self._open_next()
            over.close()
            if (self._link.samplerate, self._link.channels) != (self.samplerate, self.channels):
                over_s = self._heard / self.samplerate
                raise InputError(
                    self._name,
                    f"after {over_s:.1f} s it changes from {_words(self)} to {_words(self._link)}",
                    "Cut it there, or make one recording of it: ffmpeg -i FILE -ac 1 -ar 16000 OTHER.flac",
                )
        self._heard += len(sound)
        return sound

    def tell(self) -> int:
        return self._heard

    def seekable(self) -> bool:
        """Seeking across links is not supported."""
        return False

    def _open_next(self) -> Any:
        import soundfile

        return soundfile.SoundFile(Part(self._fd, *self._later.pop(0)))


def _words(sound: Any) -> str:
    return f"{sound.channels} channel{'s' * (sound.channels != 1)} at {sound.samplerate} Hz"
