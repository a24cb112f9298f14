"""kwsd's states, and the health snapshot: everything needed to find out what is wrong, in one object."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """kwsd's states; see docs/events.md."""

    STARTING = "starting"
    LISTENING = "listening"
    WAITING = "waiting"
    STALLED = "stalled"
    RECOVERING = "recovering"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    PAUSED = "paused"


WELL = frozenset({State.LISTENING, State.DEGRADED, State.PAUSED})
"""The states in which kwsd does what it was asked to do: `kwsd status` exits with 0, and `/health` is 200."""

UNHEARD = frozenset({State.WAITING, State.STALLED, State.RECOVERING, State.PAUSED})
"""The states in which no audio is expected; steps of the main thread are the sign of life."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The answer to ``{"get":"status"}``; docs/socket.md lists the keys. Units are in the names.

    Attributes:
        since: when the state began, RFC 3339.
        sinks: each sink's counters by its name.
        recordings: the folders in which audio is kept.
        paused_until: RFC 3339; None if not paused, or if only `kwsd resume` ends the pause.
        armed: each armed word with ``until`` and ``threshold``.
        listeners: each listener's state, device, models, level and losses by its name.
    """

    state: State
    reason: str
    since: str
    uptime_s: float
    audio_s: float
    samples_lost: int
    overruns: int
    strides: int
    stride_ms: float
    cpu_s: float
    rss_mb: float
    detections: int
    sinks: Mapping[str, Mapping[str, int]]
    clients: int
    device: str
    model: str
    recordings: Sequence[str]
    paused_until: str | None
    armed: Mapping[str, Mapping[str, Any]]
    listeners: Mapping[str, Mapping[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        rounded = {name: round(getattr(self, name), digits) for name, digits in _DIGITS.items()}
        return {"type": "snapshot"} | asdict(self) | rounded


_DIGITS = {"uptime_s": 1, "audio_s": 2, "cpu_s": 2, "rss_mb": 1}

# Kept open, since there may be no descriptor left when things go wrong.
_STATM = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)


def cpu_s() -> float:
    """User and system time of this process, and of its children that have ended."""
    ended = os.times()
    return time.process_time() + ended.children_user + ended.children_system


def rss_mb() -> float:
    """Resident memory of this process, in MiB."""
    return int(os.pread(_STATM, 200, 0).split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
