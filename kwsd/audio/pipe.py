"""Sound from a pipe, returned as it arrives: WAV (recognised by its header) or raw signed 16-bit little endian.

A pipe cannot be rewound, so libsndfile cannot read it. The header is read here, with the sizes that programs write
if they do not know the length beforehand: 0, 0xFFFFFFFF (ffmpeg), and sizes near 2 GiB (sox, arecord) mean "until it
ends".
Layout: RIFF WAVE as in Microsoft's mmreg.h; RF64 as in EBU Tech 3306.
"""

import logging
import os
import select
import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import InputError

Samples = NDArray[np.float32]

READ_BYTES = 1 << 16  # a Linux pipe's capacity
HEADER_BYTES = 1 << 20  # without "data" by then it is not a recording
UNKNOWN_FROM = 0x7FFF_F000
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
RATES_HZ = range(1000, 768_001)
GUESS_S = 5  # of samples as they are read; silence alone would not tell
ALIKE = 0.25

log = logging.getLogger(__name__)


class Format(NamedTuple):
    """How samples lie in the stream: ``kind`` is ``u`` (unsigned), ``i`` (signed) or ``f`` (floating point)."""

    kind: str
    sample_bytes: int
    channels: int
    rate_hz: int

    @property
    def frame_bytes(self) -> int:
        return self.sample_bytes * self.channels


def check_format(name: str, rate_hz: int, channels: int, channel: int) -> None:
    """Raises InputError if a recording's rate is absurd or it does not have the wanted channel."""
    if rate_hz not in RATES_HZ:
        raise InputError(name, f"a sample rate of {rate_hz} Hz; {RATES_HZ[0]} to {RATES_HZ[-1]} are possible")
    if not 0 <= channel < channels:
        raise InputError(
            name,
            f"it has {channels} channel{'s' * (channels != 1)}, channel {channel} (counted from 0) was asked for",
            f"Choose --channel 0{f' to {channels - 1}' if channels > 1 else ''}.",
        )


class StereoGuess:
    """Whether samples taken for one channel look like two interleaved ones.

    Samples of two channels at the same time are alike; in one channel, all neighbours are equally alike.

    Args:
        samples: how many samples are examined.
    """

    def __init__(self, samples: int) -> None:
        self._left, self._is_second, self._last = samples, False, np.zeros(0, np.float32)
        self._differences = [0.0, 0.0]  # squared differences within a pair, and to the next pair

    def take(self, samples: Samples) -> bool:
        """The next samples; returns True once, if they look like two channels."""
        if self._left <= 0 or not len(samples):
            return False
        self._left -= len(samples)
        differences = np.diff(np.concatenate((self._last, samples)))
        self._differences[self._is_second] += float(np.sum(differences[::2] ** 2))
        self._differences[not self._is_second] += float(np.sum(differences[1::2] ** 2))
        self._is_second ^= bool(len(differences) % 2)
        self._last = samples[-1:]
        return self._left <= 0 and self._differences[0] < ALIKE * self._differences[1]


class PipeDecoder:
    """Samples of one channel out of a pipe; a Decoder of ``file.py``.

    Owns the descriptor. Nothing is read, and no fault is raised, before the first ``read``.

    Args:
        name: for messages.
        fd: file descriptor; may be non-blocking.
        raw_rate_hz, raw_channels: format of the stream if it is not WAV.
        channel: counted from 0.
    """

    def __init__(self, name: str, fd: int, raw_rate_hz: int, raw_channels: int, channel: int) -> None:
        self._name, self._fd, self._channel = name, fd, channel
        self._raw = Format("i", 2, raw_channels, raw_rate_hz)
        self._guess = StereoGuess(GUESS_S * raw_rate_hz if raw_channels == 1 else 0)
        self._format: Format | None = None
        self._bytes = b""
        self._left: int | None = None  # bytes of sound to come; None is "until it ends"
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._empty = True

    @property
    def rate_hz(self) -> int:
        return (self._format or self._raw).rate_hz

    def read(self, timeout_s: float) -> Samples | None:
        """What has arrived; empty if nothing did within ``timeout_s``; None at the end. Raises InputError."""
        if self._left == 0:
            return None
        events = self._poll.poll(timeout_s * 1000)
        if not events:
            return np.zeros(0, np.float32)
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return np.zeros(0, np.float32)
        except OSError as error:
            raise InputError(self._name, error.strerror or str(error)) from error
        self._bytes += data
        if self._format is None:
            self._begin(ended=not data)
        if self._format is None:
            return np.zeros(0, np.float32)
        samples = self._take(self._format)
        if len(samples):
            self._empty = False
        elif not data or self._left == 0:
            if self._empty:
                raise InputError(self._name, "it holds no samples")
            return None
        return samples

    def close(self) -> None:
        os.close(self._fd)

    def _begin(self, ended: bool) -> None:
        """Detects the stream's format, once enough of it is there."""
        if ended and not self._bytes:
            raise InputError(self._name, "nothing came out of it")
        if len(self._bytes) < 4 and not ended:
            return
        if self._bytes[:4] in (b"fLaC", b"OggS"):
            raise InputError(self._name, "FLAC and Ogg cannot be read from a pipe", "Give the file, or pipe it as WAV.")
        if self._bytes[:4] in (b"RIFF", b"RF64"):
            self._parse_header(ended)
        else:
            self._format = self._raw
            channels = f"{self._raw.channels} channel{'s' * (self._raw.channels != 1)}"
            log.info(
                "%s: no WAV; read as raw 16-bit samples, %s at %d Hz (--raw-rate, --raw-channels)",
                self._name,
                channels,
                self._raw.rate_hz,
            )
        if self._format:
            check_format(self._name, self._format.rate_hz, self._format.channels, self._channel)

    def _parse_header(self, ended: bool) -> None:
        """Sets ``_format`` and ``_left``, and drops the header from ``_bytes``, once all of it is there."""
        header, at = self._bytes, 12
        found: Format | None = None
        if len(header) >= 12 and header[8:12] != b"WAVE":
            raise InputError(self._name, "a RIFF file, but no WAVE")
        while len(header) >= at + 8:
            chunk, size = struct.unpack_from("<4sI", header, at)
            body = at + 8
            if chunk == b"data":
                if found is None:
                    raise InputError(self._name, "a WAV without a format before its data")
                self._format, self._bytes = found, header[body:]
                self._left = None if size == 0 or size >= UNKNOWN_FROM else size
                return
            if chunk == b"fmt " and len(header) >= body + size:
                found = self._parse_format(header[body : body + size])
            at = body + size + size % 2
        if ended:
            raise InputError(self._name, "a WAV that ends within its header")
        if at > HEADER_BYTES:
            raise InputError(self._name, "a WAV whose header does not end")

    def _parse_format(self, fmt: bytes) -> Format:
        if len(fmt) < 16:
            raise InputError(self._name, "a WAV with a broken format chunk")
        tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", fmt)
        if tag == _EXTENSIBLE and len(fmt) >= 26:
            tag = struct.unpack_from("<H", fmt, 24)[0]
        known = {
            (_PCM, 8): "u",
            (_PCM, 16): "i",
            (_PCM, 24): "i",
            (_PCM, 32): "i",
            (_FLOAT, 32): "f",
            (_FLOAT, 64): "f",
        }
        if (tag, bits) not in known or channels == 0 or frame_bytes != channels * bits // 8:
            raise InputError(
                self._name,
                f"a WAV of format {tag} with {channels} channels of {bits} bits cannot be read from a pipe",
                "Pipe it as 16-bit PCM.",
            )
        return Format(known[tag, bits], bits // 8, channels, rate_hz)

    def _take(self, fmt: Format) -> Samples:
        """The wanted channel of all complete frames that have arrived; incomplete ones wait for their other bytes."""
        available = len(self._bytes) if self._left is None else min(len(self._bytes), self._left)
        taken = available - available % fmt.frame_bytes
        frames, self._bytes = self._bytes[:taken], self._bytes[taken:]
        if self._left is not None:
            self._left -= taken
            if self._left < fmt.frame_bytes:
                self._left = 0
        samples = decode_pcm(frames, fmt, self._channel)
        if fmt is self._raw and self._guess.take(samples):
            mend = "if so, say --raw-channels 2, and the rate with --raw-rate"
            log.warning("%s: looks like two channels that are read as one; %s", self._name, mend)
        return samples


def decode_pcm(frames: bytes, fmt: Format, channel: int) -> Samples:
    """One channel of interleaved frames as float32 in -1..1, shape (n,)."""
    width = fmt.sample_bytes
    columns = np.frombuffer(frames, np.uint8).reshape(-1, fmt.channels, width)[:, channel]
    if fmt.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):  # a double may be too large for a float: infinite, then
            return np.ascontiguousarray(columns).view(f"<f{width}")[:, 0].astype(np.float32)
    if fmt.kind == "u":
        return (columns[:, 0].astype(np.float32) - np.float32(128)) / np.float32(128)
    # A sample's bytes at the upper end of 32 bits, which gives the right sign and scale.
    words = np.zeros((len(columns), 4), np.uint8)
    words[:, 4 - width :] = columns
    return words.view("<i4")[:, 0].astype(np.float32) / np.float32(1 << 31)
