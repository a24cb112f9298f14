"""Samples between PortAudio's callback and the spotter thread.

One thread writes, one reads, and the writer never waits: its only shared structure is a SimpleQueue, whose ``put``
takes no lock (CPython promises that it may even be called from a signal handler). A writer that finds no room drops
the block and counts it; the reader is told in order, by a Gap just before the next block that found room.
"""

from queue import Empty, SimpleQueue
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd.audio.source import Gap

Samples = NDArray[np.int16]


class Opened(NamedTuple):
    """What follows comes from a freshly opened stream at ``rate_hz``."""

    rate_hz: int


class RawBlock(NamedTuple):
    """What one call of the callback brought; ``samples`` (int16, shape (n,)) are valid until the next read."""

    samples: Samples
    captured_s: float
    arrived_s: float


class _Stamp(NamedTuple):
    samples: int
    captured_s: float
    arrived_s: float


class Ring:
    """A ring of ``capacity`` int16 samples, with what happened between them in order.

    Attributes:
        received: samples offered to ``write`` so far, dropped ones included.
        lost: of these, the ones dropped for want of room.
        overruns: how many blocks that were.
    """

    def __init__(self, capacity: int) -> None:
        self.received = self.lost = self.overruns = 0
        self._samples: Samples = np.zeros(capacity, np.int16)
        self._order: SimpleQueue[_Stamp | Gap | Opened] = SimpleQueue()
        # Counts of samples that never wrap. Each is written by one side only: `_written` by the writer, `_freed` by the
        # reader, who frees a block when it asks for the next.
        self._written = self._freed = 0
        self._reading = 0
        self._unsaid = 0

    @property
    def waiting(self) -> int:
        """Samples that are written and not yet done with by the reader; for any thread."""
        return self._written - self._freed

    def write(self, samples: Samples, captured_s: float, arrived_s: float) -> None:
        """Appends a block, or drops it whole where it finds no room. Runs in the audio callback.

        Args:
            samples: int16, shape (n,); need not be contiguous.
            captured_s: Unix time of the last sample.
            arrived_s: ``time.monotonic()`` of the call.
        """
        count, capacity = len(samples), len(self._samples)
        self.received += count
        if self._written + count - self._freed > capacity:
            self.lost += count
            self.overruns += 1
            self._unsaid += count
            return
        at = self._written % capacity
        head = min(count, capacity - at)
        self._samples[at : at + head] = samples[:head]
        if head < count:
            self._samples[: count - head] = samples[head:]
        self._written += count
        if self._unsaid:
            self._order.put(Gap(self._unsaid))
            self._unsaid = 0
        self._order.put(_Stamp(count, captured_s, arrived_s))

    def mark(self, what: Gap | Opened) -> None:
        """Puts something that happened in order behind what was written so far. For any thread."""
        self._order.put(what)

    def read(self, timeout_s: float) -> RawBlock | Gap | Opened | None:
        """The next thing in order; None when nothing came within ``timeout_s`` seconds."""
        self._freed, self._reading = self._freed + self._reading, 0
        try:
            item = self._order.get(timeout=timeout_s) if timeout_s > 0 else self._order.get_nowait()
        except Empty:
            return None
        if not isinstance(item, _Stamp):
            return item
        at, capacity = self._freed % len(self._samples), len(self._samples)
        samples = self._samples[at : at + item.samples]
        if at + item.samples > capacity:
            samples = np.concatenate((samples, self._samples[: at + item.samples - capacity]))
        self._reading = item.samples
        return RawBlock(samples, item.captured_s, item.arrived_s)
