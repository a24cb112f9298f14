"""Samples from the capture process to the spotter thread: the read end of its pipe.

The spotter thread reads; the main thread says which pipe to follow next. Samples wait in the pipe: this process holds
only the current block.
"""

import os
import select
import threading
import time
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd.audio.microphone.wire import HEADER, JOINED, PREAMBLE
from kwsd.audio.source import Gap


class Opened(NamedTuple):
    """The following blocks come from a newly opened stream at ``rate_hz``."""

    rate_hz: int


class RawBlock(NamedTuple):
    """One block from the device; ``samples`` (int16, shape (n,)) are valid until the next read."""

    samples: NDArray[np.int16]
    captured_s: float
    arrived_s: float


class Inlet:
    """The blocks of one pipe after another, and what happened between them, in order.

    Attributes:
        received: samples read so far.
    """

    def __init__(self) -> None:
        self.received = 0
        self._next: deque[int] = deque()
        self._followed = threading.Event()
        self._pipe: int | None = None
        self._poll = select.poll()
        self._message = memoryview(bytearray(PREAMBLE.size))
        self._filled = 0
        self._samples: NDArray[np.int16] | None = None  # of a block's message; None before the preamble
        self._held: RawBlock | None = None

    def follow(self, pipe: int) -> None:
        """Continues with this pipe once the one before is empty, and closes it at its end. For any thread."""
        self._next.append(pipe)
        self._followed.set()

    def close(self) -> None:
        """Closes its pipes; must not be called during a read."""
        self._leave()
        while self._next:
            os.close(self._next.popleft())

    def read(self, timeout_s: float) -> RawBlock | Gap | Opened | None:
        """The next thing in order; None when nothing came within ``timeout_s`` seconds, or the pipe has just ended."""
        if self._held is not None:
            block, self._held = self._held, None
            return block
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, deadline_s - time.monotonic())
            if self._pipe is None:
                if not self._take_next(left_s):
                    return None
            elif self._poll.poll(left_s * 1000):
                count = os.readv(self._pipe, [self._message[self._filled :]])
                if count == 0:
                    self._leave()
                    return None
                self._filled += count
                if self._filled == len(self._message):
                    self._filled = 0
                    return self._understood()
            elif self._next:  # the process at its other end was abandoned, and may hang forever
                self._leave()
            else:
                return None

    def _take_next(self, timeout_s: float) -> bool:
        if not self._next and self._followed.wait(timeout_s):
            self._followed.clear()
        if not self._next:
            return False
        self._pipe = self._next.popleft()
        self._poll.register(self._pipe, select.POLLIN)
        self._filled = 0
        self._begin()
        return True

    def _begin(self) -> None:
        """Expects what a pipe begins with."""
        self._message, self._samples = memoryview(bytearray(PREAMBLE.size)), None

    def _leave(self) -> None:
        if self._pipe is not None:
            self._poll.unregister(self._pipe)
            os.close(self._pipe)
            self._pipe = None

    def _understood(self) -> RawBlock | Gap | Opened:
        """The content of the complete message."""
        if self._samples is None:
            rate_hz, frames = PREAMBLE.unpack(self._message)
            self._message = memoryview(bytearray(HEADER.size + 2 * frames))
            self._samples = np.frombuffer(self._message, np.int16, offset=HEADER.size)
            return Opened(rate_hz)
        gap, captured_s, arrived_s = HEADER.unpack_from(self._message)
        self.received += len(self._samples)
        block = RawBlock(self._samples, captured_s, arrived_s)
        if gap == JOINED:
            return block
        self._held = block
        return Gap(gap)
