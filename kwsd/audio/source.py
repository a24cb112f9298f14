"""What every source of samples looks like to the spotter thread.

A source hands out, in order, blocks of samples, gaps where samples were lost, and at last an end.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kwsd.status import State


class Block(NamedTuple):
    """Samples that follow on from the ones before.

    Attributes:
        samples: float32 in -1..1, shape (n,), mono, at the source's ``rate_hz``. Valid until the next read.
        captured_s: Unix time at which the last sample was captured.
        arrived_s: ``time.monotonic()`` at which the last sample arrived in this process.
    """

    samples: NDArray[np.float32]
    captured_s: float
    arrived_s: float


class Gap(NamedTuple):
    """Samples that never arrived, or were dropped: nothing may be joined across it.

    Attributes:
        lost: how many samples are missing, at the source's ``rate_hz``; 0 where nobody knows.
    """

    lost: int


class End(NamedTuple):
    """No sample will follow."""


class Source(Protocol):
    """Where samples come from.

    Attributes:
        name: what events call it (a device's name, a file's base name, ``-``).
        rate_hz: the rate of the samples handed out, which is the model's.
        paced: whether samples arrive by the clock, so that a latency has a meaning.
    """

    name: str
    rate_hz: int
    paced: bool

    def read(self, timeout_s: float) -> Block | Gap | End | None:
        """The next thing, or None when nothing came within ``timeout_s`` seconds."""

    def close(self) -> None:
        """Lets go of the device or file; reading after it is an error."""


@runtime_checkable
class Resumable(Source, Protocol):
    """A source that is read on after a pause, such as a file."""

    def go_on(self) -> None:
        """Called after a pause, in which nobody read it, before it is read again."""


class DeviceStatus(NamedTuple):
    """What a device is doing, why, and the Unix time since when."""

    state: State
    reason: str
    since_s: float


@runtime_checkable
class LiveSource(Source, Protocol):
    """A source that may vanish and come back, and is looked after by the main thread."""

    @property
    def state(self) -> DeviceStatus:
        """What it is doing."""

    @property
    def fault(self) -> str | None:
        """In words, what is wrong with the signal, as the thread that reads finds it."""

    @property
    def steps(self) -> int:
        """How often `step` was called; a sign of life where no audio is expected."""

    @property
    def counters(self) -> Mapping[str, float]:
        """``samples_lost``, ``overruns``, and ``waiting``, samples that are there and not read yet; at ``rate_hz``."""

    @property
    def usage(self) -> tuple[float, float]:
        """User and system time, in seconds, and resident memory, in MiB, of its child processes."""

    def step(self, now_s: float) -> None:
        """Looks after the device; ``now_s`` is ``time.monotonic()``. Never blocks long."""
