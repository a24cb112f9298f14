"""The interface of all sources of samples to the spotter thread.

A source returns, in order, blocks of samples, gaps where samples were lost, and finally an end.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kwsd.status import State


class Block(NamedTuple):
    """Samples that directly follow the previous ones.

    Attributes:
        samples: float32 in -1..1, shape (n,), mono, at the source's ``rate_hz``. Valid until the next read.
        captured_s: Unix time at which the last sample was captured.
        arrived_s: ``time.monotonic()`` at which the last sample arrived in this process.
    """

    samples: NDArray[np.float32]
    captured_s: float
    arrived_s: float


class Gap(NamedTuple):
    """Samples that never arrived, or were dropped: nothing may be joined across a gap.

    Attributes:
        lost: how many samples are missing, at the source's ``rate_hz``; 0 if unknown.
    """

    lost: int


class End(NamedTuple):
    """No more samples will follow."""


class Source(Protocol):
    """Where samples come from.

    Attributes:
        name: its name in events (a device's name, a file's base name, ``-``).
        rate_hz: the rate of the samples returned, which is the model's.
        paced: whether samples arrive in real time, so that a latency is meaningful.
    """

    name: str
    rate_hz: int
    paced: bool

    def read(self, timeout_s: float) -> Block | Gap | End | None:
        """The next item, or None if nothing came within ``timeout_s`` seconds."""

    def close(self) -> None:
        """Releases the device or file; reading afterwards is an error."""


@runtime_checkable
class Resumable(Source, Protocol):
    """A source that continues after a pause, such as a file."""

    def go_on(self) -> None:
        """Called after a pause, before it is read again."""


class DeviceStatus(NamedTuple):
    """The state of a device, the reason for it, and the Unix time since when."""

    state: State
    reason: str
    since_s: float


class Found(NamedTuple):
    """The device that a name or index in the settings has turned out to be.

    Attributes:
        device: as the settings name it; None for the default device, which may be another one next time.
        full_name: None as long as it is not known.
    """

    device: str | int | None = None
    full_name: str | None = None


@runtime_checkable
class LiveSource(Source, Protocol):
    """A source that may vanish and come back, supervised by the main thread."""

    @property
    def state(self) -> DeviceStatus:
        """What it is doing."""

    @property
    def found(self) -> Found:
        """Which device it is, for the one that takes its place after a pause."""

    @property
    def fault(self) -> str | None:
        """What is wrong with the signal, in words, as found by the reading thread."""

    @property
    def steps(self) -> int:
        """How often `step` was called; a sign of life while no audio is expected."""

    @property
    def counters(self) -> Mapping[str, float]:
        """``samples_lost``, ``overruns``, and ``waiting`` (samples available but not read yet); at ``rate_hz``."""

    @property
    def usage(self) -> tuple[float, float]:
        """User and system time, in seconds, and resident memory, in MiB, of its child processes."""

    def step(self, now_s: float) -> None:
        """Supervises the device; ``now_s`` is ``time.monotonic()``. Never blocks for long."""
