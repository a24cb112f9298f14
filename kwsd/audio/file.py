"""Recordings and pipes as a Source: the same pipeline as the microphone, with an end.

A file is decoded block by block by libsndfile, which recognises it by its content; anything but a regular file
(standard input, a named pipe) is read as it comes (``pipe.py``). Both may be paced by the clock.
"""

import logging
import math
import os
import re
import stat
import sys
import time
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kwsd.audio.pipe import UNKNOWN_FROM, PipeDecoder, check_format
from kwsd.audio.resample import Resampler
from kwsd.audio.source import Block, End, Gap
from kwsd.errors import InputError, UnavailableError, UsageError

Samples = NDArray[np.float32]

BLOCK_MS = 20  # if paced: what a microphone would deliver
DECODE_MS = 100  # otherwise: fewer, longer calls
TAIL_DBFS = -90
CLIP_LOOK_S, CLIP_SHARE = 1.0, 0.01  # as of a microphone
_EXACT_SUBTYPES = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")
LOUDEST = np.float32(1000)  # 60 dB above full scale: what a recording in floating point may hold before its gain

log = logging.getLogger(__name__)


def open_source(
    path: str,
    rate_hz: int,
    *,
    realtime: bool = False,
    raw_rate_hz: int | None = None,
    raw_channels: int = 1,
    channel: int = 0,
    gain_db: float = 0.0,
    decode_ms: int = DECODE_MS,
    any_format: bool = False,
) -> "FileSource":
    """A recording or standard input as a Source at ``rate_hz``.

    Args:
        path: a WAV, FLAC or Ogg (Vorbis, Opus) file, or ``-`` for standard input: WAV, or signed 16-bit little endian.
        rate_hz: rate of the samples returned; other rates are resampled as a stream.
        realtime: pace the samples by the clock. A source that is not paced runs as fast as it is read, even a
            pipe with live sound, because its writer is unknown.
        raw_rate_hz: rate of standard input that is not WAV; by default ``rate_hz``.
        raw_channels: its channels, interleaved.
        channel: which channel to take, counted from 0.
        gain_db: amplification; the result is clipped to -1..1.
        decode_ms: how much of a file is decoded at a time; it does not change the samples.
        any_format: take files in all formats of libsndfile, such as MP3.

    Raises:
        InputError: missing, unreadable, a directory, not a sound file, empty, without that channel. Faults of a
            pipe, and damage further on in a file, are raised by ``read`` after everything before them was returned.
        UsageError: standard input is a terminal.
        UnavailableError: libsndfile is missing.
    """
    decoder: Decoder
    if path == "-":
        if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
            raise UsageError("--source -", "standard input is a terminal or closed", "Pipe sound into it.")
        decoder = PipeDecoder("-", os.dup(sys.stdin.fileno()), raw_rate_hz or rate_hz, raw_channels, channel)
    else:
        decoder = _open_path(path, raw_rate_hz or rate_hz, raw_channels, channel, decode_ms, any_format=any_format)
    return FileSource(Path(path).name or path, decoder, rate_hz, realtime=realtime, gain_db=gain_db)


def tail(n: int) -> Samples:
    """``n`` samples of white noise at -90 dBFS, always the same, shape (n,): what follows the end of a file."""
    noise = np.random.default_rng(59185).standard_normal(n, np.float32)
    return noise * np.float32(10 ** (TAIL_DBFS / 20))


class Decoder(Protocol):
    """Samples of one channel at the recording's own rate."""

    @property
    def rate_hz(self) -> int:
        """Known once ``read`` has returned samples."""

    def read(self, timeout_s: float) -> Samples | None:
        """The next samples, shape (n,), n = 0 if none came in time; None at the end."""

    def close(self) -> None: ...


class FileSource:
    """A Source that ends. See ``open_source``; after the last sample, ``read`` always returns End."""

    def __init__(self, name: str, decoder: Decoder, rate_hz: int, *, realtime: bool, gain_db: float) -> None:
        self.name, self.rate_hz, self.paced = name, rate_hz, realtime
        self._decoder = decoder
        self._gain = np.float32(10 ** (gain_db / 20))
        self._resampler: Resampler | None = None
        self._waiting: Samples = np.zeros(0, np.float32)
        self._fault: InputError | None = None
        self._ended = False
        self._block_samples = rate_hz * BLOCK_MS // 1000
        self._begun_s: float | None = None
        self._came_s = 0.0  # when the decoder last returned samples after a wait
        self._handed_out = 0
        self._amplified, self._clipped = 0.0, 0  # samples

    def read(self, timeout_s: float) -> Block | Gap | End | None:
        """The next block; see Source. Raises InputError if the recording is damaged or the pipe carries no sound."""
        deadline_s = time.monotonic() + timeout_s
        while not len(self._waiting):
            if self._ended:
                if self._fault:
                    raise self._fault
                return End()
            left_s = deadline_s - time.monotonic()
            if not self._decode(max(0.0, left_s)) and left_s <= 0:
                return None
        if self.paced:
            return self._paced_block(deadline_s)
        return self._hand_out(len(self._waiting), time.monotonic())

    def close(self) -> None:
        self._decoder.close()

    def go_on(self) -> None:
        """Restarts its clock, so that audio held up by a pause comes at its own pace, not all at once."""
        self._begun_s, self._handed_out = None, 0

    def _decode(self, timeout_s: float) -> bool:
        """Fills ``_waiting`` from the decoder; False when nothing came."""
        try:
            decoded = self._decoder.read(0.0)
            if decoded is not None and not len(decoded):
                decoded = self._decoder.read(timeout_s)
                self._came_s = time.monotonic()
        except InputError as fault:
            # Samples before it still count.
            self._fault, decoded = fault, None
        if decoded is None:
            self._ended = True
            decoded = self._resampler.flush() if self._resampler else self._waiting
        elif not len(decoded):
            return False
        else:
            if self._resampler is None:
                self._resampler = Resampler(self._decoder.rate_hz, self.rate_hz)
            # Values that are not finite must not enter the filter, where they would spread.
            if not np.isfinite(decoded).all():
                decoded = np.nan_to_num(decoded, posinf=float(LOUDEST), neginf=float(-LOUDEST))
            decoded = self._resampler.push(np.clip(decoded, -LOUDEST, LOUDEST))
        amplified = decoded * self._gain
        self._waiting = np.clip(amplified, -1.0, 1.0)
        if self._gain > 1:
            self._look_for_clipping(amplified)
        return True

    def _look_for_clipping(self, amplified: Samples) -> None:
        """Says once that the gain is too high."""
        self._amplified += len(amplified)
        self._clipped += int(np.count_nonzero(np.abs(amplified) > 1))
        if self._amplified >= CLIP_LOOK_S * self.rate_hz and self._clipped > CLIP_SHARE * self._amplified:
            share = self._clipped / self._amplified
            log.warning("%s: audio.gain_db clips %.0f %% of the samples; lower it", self.name, 100 * share)
            self._amplified, self._clipped = -math.inf, 0

    def _paced_block(self, deadline_s: float) -> Block | None:
        """A block at the time its last sample would have been captured; counted in samples, so without drift."""
        now_s = time.monotonic()
        if self._begun_s is None:
            self._begun_s = now_s
        count = min(len(self._waiting), self._block_samples)
        due_s = self._begun_s + (self._handed_out + count) / self.rate_hz
        if due_s > now_s:
            time.sleep(max(0.0, min(due_s, deadline_s) - now_s))
            if due_s > deadline_s:
                return None
        # The time set by the clock, however late a slow reader asks; a pipe may have delivered later.
        return self._hand_out(count, max(due_s, self._came_s))

    def _hand_out(self, count: int, arrived_s: float) -> Block:
        samples, self._waiting = self._waiting[:count], self._waiting[count:]
        self._handed_out += count
        return Block(samples, time.time() - (time.monotonic() - arrived_s), arrived_s)


class SoundFileDecoder:
    """A regular file through libsndfile, which recognises it by its content.

    Takes over ``file``; ``name`` is for messages. Raises InputError, UnavailableError.

    Args:
        decode_ms: how much is decoded at a time.
        any_format: accept all formats of libsndfile, not only WAV, FLAC and Ogg.

    Attributes:
        rate_hz, frames: as stated in the file.
        can_seek: whether `seek` is exact; it is not in lossy formats.
    """

    def __init__(
        self, name: str, file: IO[bytes], channel: int, decode_ms: int = DECODE_MS, *, any_format: bool = False
    ) -> None:
        self._name, self._file, self._channel = name, file, channel
        magic = file.read(4)
        if not magic:
            raise InputError(name, "the file is empty")
        if not any_format and magic not in (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS"):
            raise InputError(name, "not a WAV, FLAC or Ogg file")
        file.seek(0)
        try:
            import soundfile
        except OSError as error:
            raise UnavailableError("libsndfile", str(error), "Install it: apt install libsndfile1") from error
        self._errors = soundfile.SoundFileError
        try:
            chain = _chain(name, file) if magic == b"OggS" else None
            # By descriptor: given a name, soundfile would go by its extension.
            self._sound: Any = chain or soundfile.SoundFile(file.fileno(), closefd=False)
        except soundfile.SoundFileError as error:
            raise InputError(name, f"libsndfile cannot read it ({_words(error)})") from error
        self.rate_hz = int(self._sound.samplerate)
        check_format(name, self.rate_hz, self._sound.channels, channel)
        self.frames: int = self._sound.frames
        self.container = "WAV" if magic.startswith(b"R") else str(self._sound.format)
        said = re.search(r"^data : (\d+) \(should be", self._sound.extra_info, re.MULTILINE)
        if said and int(said[1]) < UNKNOWN_FROM:
            log.warning("%s: shorter than its header says; the existing part is used", name)
        self.can_seek = self._sound.seekable() and self._sound.subtype.startswith(_EXACT_SUBTYPES)
        self._frames = max(1, self.rate_hz * decode_ms // 1000)

    def seek(self, frame: int) -> None:
        """Continues at this frame, counted from 0. Raises InputError."""
        try:
            self._sound.seek(frame)
        except self._errors as error:
            raise InputError(self._name, f"frame {frame} cannot be found ({_words(error)})") from error

    def read(self, timeout_s: float) -> Samples | None:
        try:
            frames: Samples = self._sound.read(self._frames, dtype="float32", always_2d=True)
        except self._errors as error:
            heard_s = self._sound.tell() / self.rate_hz
            raise InputError(self._name, f"damaged after {heard_s:.1f} s ({_words(error)})") from error
        return frames[:, self._channel] if len(frames) else None

    def close(self) -> None:
        self._sound.close()
        self._file.close()


def _chain(name: str, file: IO[bytes]) -> Any:
    """The recordings of an Ogg file that holds several; None where it holds one."""
    from kwsd.audio.ogg import Chain, links

    return Chain(name, file, starts) if len(starts := links(file.fileno())) > 1 else None


def _open_path(
    path: str, raw_rate_hz: int, raw_channels: int, channel: int, decode_ms: int, *, any_format: bool
) -> Decoder:
    file: IO[bytes] | None = None
    try:
        if stat.S_ISDIR(Path(path).stat().st_mode):
            raise InputError(path, "this is a directory")
        if not stat.S_ISREG(Path(path).stat().st_mode):
            # Without O_NONBLOCK, opening a named pipe would wait for its writer.
            return PipeDecoder(path, os.open(path, os.O_RDONLY | os.O_NONBLOCK), raw_rate_hz, raw_channels, channel)
        file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - the decoder closes it
        decoder = SoundFileDecoder(path, file, channel, decode_ms, any_format=any_format)
        if decoder.frames:
            return decoder
        if decoder.container != "WAV":
            raise InputError(path, "it holds no samples")
        decoder.close()
        # Empty, or a WAV whose writer never filled in its sizes, which libsndfile does not read.
        return PipeDecoder(path, os.open(path, os.O_RDONLY), raw_rate_hz, raw_channels, channel)
    except OSError as error:
        if file:
            file.close()
        raise InputError(path, error.strerror or str(error)) from error
    except (InputError, UnavailableError):
        if file:
            file.close()
        raise


def _words(error: Exception) -> str:
    """libsndfile's message, or its number: Python's soundfile does not have a text for every code."""
    text = str(getattr(error, "error_string", "")) or f"code {getattr(error, 'code', '?')}"
    return text.strip().rstrip(".")
