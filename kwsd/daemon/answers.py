"""The daemon's answers to requests over a socket, a broker or a page."""

import time
from typing import TYPE_CHECKING, Any

from kwsd import __version__
from kwsd.sinks.socket.protocol import PROTOCOL
from kwsd.status import Snapshot, cpu_s, rss_mb
from kwsd.validation.kinds import SPECIAL_LABELS

if TYPE_CHECKING:
    from kwsd.daemon.announcer import Announcer
    from kwsd.daemon.control import Control
    from kwsd.daemon.listeners import Listeners
    from kwsd.daemon.spotter_thread import Run
    from kwsd.report import PeakCounts
    from kwsd.sinks.bus import Bus


class Answers:
    """Builds answers from the daemon's parts; any thread may ask.

    Attributes:
        listeners, bus, control: set before the first request.
    """

    listeners: "Listeners"
    bus: "Bus"
    control: "Control"

    def __init__(self, announcer: "Announcer", run: "Run", peaks: "PeakCounts") -> None:
        self._announcer, self._run, self._peaks = announcer, run, peaks
        self._started_s = time.monotonic()

    def words(self) -> list[str]:
        """The words of the models in use."""
        return [label for label in self.listeners.labels if label not in SPECIAL_LABELS]

    def wanted(self) -> frozenset[str]:
        """Those that make events, in some listener."""
        return self.listeners.only

    def hello(self) -> dict[str, Any]:
        """The first line on a socket."""
        return {
            "type": "hello",
            "protocol": PROTOCOL,
            "version": __version__,
            "run": self._run.id,
            "model": ", ".join(self.listeners.models),
            "labels": self.listeners.labels,
            "state": self._announcer.state.state,
        }

    def report(self) -> dict[str, Any]:
        """The answer for `kwsd report`."""
        return self._peaks.report(time.time(), {each.name: each.thresholds for each in self.listeners})

    def snapshot(self) -> dict[str, Any]:
        """The answer for `kwsd status`."""
        listeners, told, paused = self.listeners, self._announcer.state, self.control.paused
        heard = listeners.heard
        capture_cpu_s, capture_rss_mb = listeners.usage
        return Snapshot(
            state=told.state,
            reason=told.reason,
            since=told.since,
            uptime_s=time.monotonic() - self._started_s,
            audio_s=heard.audio_s,
            samples_lost=heard.samples_lost,
            overruns=heard.overruns,
            strides=heard.strides,
            stride_ms=listeners.stride_ms,
            cpu_s=cpu_s() + capture_cpu_s,
            rss_mb=rss_mb() + capture_rss_mb,
            detections=self._run.detections,
            sinks=self.bus.counters,
            clients=sum(getattr(sink, "clients", 0) for sink in self.bus.sinks),
            device=listeners.device,
            model=", ".join(listeners.models),
            paused_until=None if paused is None else paused.until,
            armed=self._armed(),
            recordings=[sink.keeps_recordings_in for sink in self.bus.sinks if sink.keeps_recordings_in is not None],
            listeners={each.name: each.to_dict() for each in self.listeners},
        ).to_dict()

    def _armed(self) -> dict[str, dict[str, Any]]:
        """The armed words, with the thresholds in effect."""
        default = self.listeners.armed_threshold
        return {
            label: {
                "until": word.term.until,
                "threshold": default(label) if word.threshold is None else word.threshold,
            }
            for label, word in self.control.armed.items()
        }
