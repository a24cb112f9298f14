"""Cuts the audio around events out of the stream, for sinks that keep it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kwsd.audio.recent import RecentAudio, Samples, span_ms
from kwsd.events import DetectionEvent, Event, PeakEvent, RecordingEvent

HINDSIGHT_MS = 5000
"""A peak is reported when it is over, up to 3 s after its maximum; blocks gather meanwhile, or come fast from files."""

NEAR_MISSES = ("below_threshold", "speech")
"""Outcomes of near misses."""


class _Wish(NamedTuple):
    event: DetectionEvent | PeakEvent
    start: int
    end: int


class Cutter:
    """Sits between the spotter thread and the bus, and keeps the last seconds of audio while a sink wants them.

    Only the spotter thread calls it. If the source ends, loses samples or is replaced before the audio after an event
    has come, the recording ends there.

    Args:
        publish: called with each event, and later with its recording.
        wanted_ms: how much audio before and after a word the sinks want; None if none does.
        rate_hz: of the stream.
    """

    def __init__(
        self, publish: Callable[[Event], None], wanted_ms: Callable[[], tuple[int, int] | None], rate_hz: int
    ) -> None:
        self._publish, self._wanted_ms, self._rate_hz = publish, wanted_ms, rate_hz
        self._position = 0
        self._kept_ms: tuple[int, int] | None = None
        self._recent: RecentAudio | None = None
        self._wishes: list[_Wish] = []

    def publish(self, event: Event) -> None:
        """Passes an event on, and remembers that its audio is wanted."""
        self._publish(event)
        if isinstance(event, DetectionEvent):
            self._wish(event)

    def remember(self, peak: PeakEvent) -> None:
        """Remembers that the audio of a near miss is wanted; ignores other peaks."""
        if peak.outcome in NEAR_MISSES:
            self._wish(peak)

    def _wish(self, event: DetectionEvent | PeakEvent) -> None:
        if self._kept_ms is not None:
            start_ms, end_ms = span_ms(event.audio_ms, *self._kept_ms)
            self._wishes.append(_Wish(event, self._samples(start_ms), self._samples(end_ms)))

    def push(self, samples: Samples) -> None:
        """Takes the next samples, before the spotter does."""
        if (wanted_ms := self._wanted_ms()) != self._kept_ms:
            self._keep(wanted_ms)
        self._position += len(samples)
        if self._recent is None:
            return
        self._recent.push(samples)
        if self._wishes:
            due = [wish for wish in self._wishes if wish.end <= self._position]
            self._wishes = [wish for wish in self._wishes if wish.end > self._position]
            self._cut(due)

    def gap(self, lost: int) -> None:
        """Records missing samples; 0 if their number is unknown."""
        self.finish()
        self._position += lost
        if self._recent is not None:
            self._recent.lose(lost)

    def restart(self, rate_hz: int, position_ms: int) -> None:
        """Continues with a stream of another rate."""
        self.finish()
        self._rate_hz = rate_hz
        self._position = self._samples(position_ms)
        self._keep(self._kept_ms)

    def finish(self) -> None:
        """Ends the recordings of the events so far."""
        wishes, self._wishes = self._wishes, []
        self._cut(wishes)

    def _keep(self, wanted_ms: tuple[int, int] | None) -> None:
        self.finish()
        self._kept_ms = wanted_ms
        capacity = 0 if wanted_ms is None else self._samples(sum(wanted_ms) + HINDSIGHT_MS)
        self._recent = RecentAudio(capacity, self._position) if capacity else None

    def _cut(self, wishes: list[_Wish]) -> None:
        for wish in wishes:
            assert self._recent is not None
            start, cut = self._recent.cut(wish.start, wish.end)
            if len(cut):
                samples = np.clip(np.rint(cut * 32768), -32768, 32767).astype(np.int16)
                self._publish(RecordingEvent(wish.event, samples, self._rate_hz, start))

    def _samples(self, ms: int) -> int:
        return ms * self._rate_hz // 1000
