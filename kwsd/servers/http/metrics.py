"""Metrics for Prometheus, made from the snapshot on request, so that they cost nothing while listening."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kwsd import __version__
from kwsd.errors import UnavailableError
from kwsd.events import DetectionEvent
from kwsd.status import State

LATENCY_BUCKETS_S = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0)


class Heard:
    """Detections since the start, by word, and their latencies."""

    def __init__(self) -> None:
        self.words: Counter[str] = Counter()
        self._buckets = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self.latency_sum_s = 0.0

    def take(self, event: DetectionEvent) -> None:
        self.words[event.label] += 1
        if event.latency_ms is not None:
            latency_s = event.latency_ms / 1000
            self._buckets[sum(latency_s > limit for limit in LATENCY_BUCKETS_S)] += 1
            self.latency_sum_s += latency_s

    def buckets(self) -> list[tuple[str, int]]:
        """Pairs of an upper limit and the number of detections within it."""
        limits = [*map(str, LATENCY_BUCKETS_S), "+Inf"]
        return [(limit, sum(self._buckets[: number + 1])) for number, limit in enumerate(limits)]


class Metrics:
    """A separate registry, with kwsd's metrics only.

    Args:
        snapshot: returns the health snapshot.
        heard: the detections that the server has seen.

    Raises:
        UnavailableError: prometheus_client is not installed.
    """

    def __init__(self, snapshot: Callable[[], Mapping[str, Any]], heard: Heard) -> None:
        try:
            from prometheus_client import CollectorRegistry
        except ImportError:
            raise UnavailableError(
                "http", "prometheus_client is not installed", "Type: pip install 'kwsd[house]', or set metrics: false"
            ) from None
        self._snapshot, self._heard = snapshot, heard
        self._registry = CollectorRegistry()
        self._registry.register(self)  # type: ignore[arg-type,unused-ignore]

    def page(self, accept: str) -> tuple[bytes, str]:
        """The metrics in the scraper's preferred format, and its content type."""
        from prometheus_client import exposition

        try:
            encode, content_type = exposition.choose_encoder(accept)
        except TypeError:  # it compares the parts of a version, of which some may be text
            encode, content_type = exposition.choose_encoder("")
        return encode(self._registry), content_type

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> Iterator[Any]:
        """All metrics; called by prometheus_client."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        now = self._snapshot()
        info = GaugeMetricFamily("kwsd_info", "What runs; always 1.", labels=("version", "model", "device"))
        info.add_metric([__version__, _utf8(now["model"]), _utf8(now["device"])], 1)
        yield info
        state = GaugeMetricFamily("kwsd_state", "1 for the state that kwsd is in, else 0.", labels=("state",))
        for each in State:
            state.add_metric([each], each == now["state"])
        yield state
        for name, text, value in _gauges(now):
            yield GaugeMetricFamily(name, text, value=value)
        for name, text, value in _counters(now):
            yield CounterMetricFamily(name, text, value=value)
        yield from self._words(CounterMetricFamily("kwsd_detections", "Words heard.", labels=("label",)))
        yield HistogramMetricFamily(
            "kwsd_latency_seconds",
            "From a word's last sample to its event.",
            buckets=self._heard.buckets(),
            sum_value=self._heard.latency_sum_s,
        )
        waiting = GaugeMetricFamily("kwsd_sink_queued_events", "Events that wait.", labels=("sink",))
        events = CounterMetricFamily("kwsd_sink_events", "What became of events.", labels=("sink", "outcome"))
        for sink, counts in now["sinks"].items():
            waiting.add_metric([sink], counts["queued"])
            for outcome in ("sent", "dropped", "retried"):
                events.add_metric([sink, outcome], counts[outcome])
        yield waiting
        yield events

    def _words(self, family: Any) -> Iterator[Any]:
        for label, count in sorted(self._heard.words.items()):
            family.add_metric([label], count)
        yield family


def _utf8(name: str) -> str:
    """A name that can be encoded: that of a file may have any bytes."""
    return name.encode(errors="replace").decode()


def _gauges(now: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    yield "kwsd_uptime_seconds", "Since the start.", now["uptime_s"]
    yield "kwsd_stride_seconds", "From one scored clip to the next.", now["stride_ms"] / 1000
    yield "kwsd_resident_memory_bytes", "Of kwsd and the process that captures.", now["rss_mb"] * 2**20
    yield "kwsd_socket_clients", "Subscribers of the socket, and open pages.", now["clients"]
    yield "kwsd_armed_words", "Words that are armed.", len(now["armed"])
    yield "kwsd_level_dbfs", "The signal's level.", max(each["level_dbfs"] for each in now["listeners"].values())


def _counters(now: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    yield "kwsd_audio_seconds", "Audio heard.", now["audio_s"]
    yield "kwsd_samples_lost", "Samples that were lost.", now["samples_lost"]
    yield "kwsd_overruns", "How often audio was not taken in time.", now["overruns"]
    yield "kwsd_clips_scored", "Clips that were scored.", now["strides"]
    yield "kwsd_cpu_seconds", "User and system time.", now["cpu_s"]
