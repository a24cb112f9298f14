"""The format of the pipe from the capture process to the spotter thread: blocks of one size.

PREAMBLE, then for each block a HEADER and its samples, int16. `kwsd.audio.microphone.inlet` reads it. No numpy here:
the capture process does not import it.
"""

import fcntl
import os
import struct
import time
from collections.abc import Callable

PREAMBLE = struct.Struct("=II")
"""Rate in Hz, and samples in a block."""

HEADER = struct.Struct("=idd")
"""The gap before the block, and when its last sample arrived: Unix time, and ``time.monotonic()``."""

JOINED, UNKNOWN = -1, 0
"""A gap is a count of lost samples, or UNKNOWN; JOINED where the block follows on from the one before."""

PIPE_BYTES = 1 << 20
"""31 s at 16 kHz in blocks of 20 or 40 ms; the limit for an ordinary user (/proc/sys/fs/pipe-max-size)."""

TELL_S = 0.2


def widen(descriptor: int, size: int) -> None:
    """Enlarges a pipe to ``size`` bytes, or as much of that as this user may have."""
    while True:
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size)
        except OSError:
            size //= 2
            if size < 1 << 16:  # the default size
                return
        else:
            return


class Outlet:
    """The write end, which never blocks: a block that does not fit is dropped as a whole, and counted.

    Args:
        descriptor: the pipe's.
        rate_hz: of all samples.
        frames: samples in each block.
        tell_overruns: called with the number of dropped blocks so far, at most five times a second.
    """

    def __init__(self, descriptor: int, rate_hz: int, frames: int, tell_overruns: Callable[[int], None]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor, self._frames, self._tell_overruns = descriptor, frames, tell_overruns
        self._rest = PREAMBLE.pack(rate_hz, frames)  # partly written
        self._gap = JOINED
        self._overruns = self._told = 0
        self._next_tell_s = 0.0

    def write(self, samples: bytes | memoryview, overflowed: bool) -> None:
        """Appends a block of int16 samples; ``overflowed`` if an unknown number of samples before it was lost."""
        if overflowed:
            self._overruns += 1
            self._gap = max(self._gap, UNKNOWN)
        has_room = self._send(samples)
        if not has_room:
            self._overruns += 1
            self._gap = max(self._gap, 0) + self._frames
        if self._overruns != self._told and (has_room or time.monotonic() >= self._next_tell_s):
            self._told, self._next_tell_s = self._overruns, time.monotonic() + TELL_S
            self._tell_overruns(self._overruns)

    def _send(self, samples: bytes | memoryview) -> bool:
        """Whether the block was written or is partly written."""
        header = HEADER.pack(self._gap, time.time(), time.monotonic())
        try:
            while self._rest:
                self._rest = self._rest[os.write(self._descriptor, self._rest) :]
            written = os.writev(self._descriptor, (header, samples))
        except BlockingIOError:
            return False
        if written < len(header) + len(samples):
            self._rest = (header + bytes(samples))[written:]
        self._gap = JOINED
        return True
