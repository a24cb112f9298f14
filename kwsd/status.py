"""The health snapshot: everything one asks when something seems wrong, in one object."""

import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kwsd.daemon.listener import Listening
    from kwsd.events import StatusEvent
    from kwsd.sinks.bus import Bus


def snapshot(state: "StatusEvent", started_s: float, listening: "Listening", bus: "Bus") -> dict[str, Any]:
    """The answer to ``{"get":"status"}``; docs/socket.md lists the keys with their units.

    Args:
        started_s: ``time.monotonic()`` when kwsd began.
    """
    capture_cpu_s, capture_rss_mb = listening.usage
    return {
        "type": "snapshot",
        "state": state.state,
        "reason": state.reason,
        "since": state.since,
        "uptime_s": round(time.monotonic() - started_s, 1),
        "audio_s": round(listening.audio_s, 2),
        "samples_lost": listening.samples_lost,
        "overruns": listening.overruns,
        "strides": listening.strides,
        "stride_ms": listening.stride_ms,
        "cpu_s": round(cpu_s() + capture_cpu_s, 2),
        "rss_mb": round(rss_mb() + capture_rss_mb, 1),
        "detections": listening.run.detections,
        "sinks": bus.counters,
        "clients": sum(getattr(sink, "clients", 0) for sink in bus.sinks),
        "device": listening.device,
        "model": listening.model.name,
    }


# Kept open: when things go wrong there may be no descriptor left to open it with.
_STATM = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)


def cpu_s() -> float:
    """User and system time of this process, and of its children that have ended."""
    ended = os.times()
    return time.process_time() + ended.children_user + ended.children_system


def rss_mb() -> float:
    """Resident memory of this process, in MiB."""
    return int(os.pread(_STATM, 200, 0).split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
