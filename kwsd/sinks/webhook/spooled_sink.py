"""A sink that may keep undelivered events in a spool: `WebhookSink` without HTTP."""

import logging
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kwsd.events import DetectionEvent, Event
from kwsd.sinks.sink import Sink
from kwsd.uptime import uptime_s

if TYPE_CHECKING:
    from kwsd.sinks.webhook.spool import Spool

log = logging.getLogger(__name__)

JOIN_S = 0.1
"""How long to wait for the thread at the end: a cut request returns at once, but a name look-up cannot be cut."""

ATTEND_S = 1.0
"""How often the spool is checked while there is anything in it, or while it could not be opened."""

CLOCK_SLACK_S = 1.0
"""How far ahead of the clock a spooled event may be dated before its age counts as unknown."""


class SpooledSink(Sink):
    """Delivers detections one after another, as long as they are fresh.

    Args:
        settings: with ``max_age_s``, and ``spool``: the file, or None.
    """

    def __init__(self, settings: Any, only: Iterable[str] | None) -> None:
        super().__init__(settings, only)
        self.drain_limit_s = settings.max_age_s
        self._current: Event | None = None
        self._mirrored: dict[str, DetectionEvent] = {}
        self._on_disk: frozenset[str] = frozenset()
        self._left_on_disk = 0
        self._spooler: threading.Thread | None = None
        self._spool = _spool_at(settings.spool)

    def attempt(self, event: DetectionEvent) -> bool | None:
        """Tries until the event is delivered (True), or rejected or too old (False); None if kwsd stops before that."""
        raise NotImplementedError

    # Called by the bus.

    def open(self) -> None:
        if self._spool is not None:
            self._owe(*self._spool.open())
            self._spooler = threading.Thread(target=self._spooler_main, name=f"{self.name}-spool", daemon=True)
            self._spooler.start()

    def stop(self, join_s: float = JOIN_S) -> None:
        self.halt()
        if self._spooler is not None:
            self._spooler.join(3 * join_s)
            with self._changed:
                # Events on disk are neither sent nor dropped: they stay queued for the next run.
                spooled = len(self._backlog_events().keys() & self._on_disk)
                self._dropped += self.backlog() - spooled
                self._left_on_disk += spooled
                self._queue.clear()
                self._in_hand = 0
        super().stop(join_s)

    @property
    def counters(self) -> dict[str, int]:
        counters = super().counters
        counters["queued"] += self._left_on_disk
        if self._spool is not None:
            counters["unspooled"] = self._spool.unspooled
        return counters

    # The sink's thread.

    def take(self) -> Event | None:
        with self._changed:  # so that an event is never missing from both places
            self._current = super().take()
            return self._current

    def run(self) -> None:
        while (event := self.take()) is not None:
            assert isinstance(event, DetectionEvent)
            sent = self.attempt(event)
            if sent is None:
                return  # still in progress: `stop` counts it
            with self._changed:
                self._current = None
                self.finish(sent)

    # The spool's thread. It writes during a delivery, so that a SIGKILL loses milliseconds, not events.

    def _owe(self, left: list[DetectionEvent], damaged: int) -> None:
        """Queues the events that an earlier run left in the spool, before all others; drops stale or unwanted ones."""
        now = uptime_s()
        # Dated ahead: the clock was set back meanwhile (no battery), and the age is unknown.
        fresh = [event for event in left if -CLOCK_SLACK_S <= now - event.heard_s < self.settings.max_age_s]
        with self._changed:
            known = self._backlog_events()
            wanted = [event for event in fresh if self.only is None or event.label in self.only]
            owed = [event for event in wanted if event.id not in known]
            self._queue.extendleft(reversed(owed))
            self._dropped += len(left) - len(wanted) + damaged
            self._changed.notify_all()
        if left:
            text = "%s: %d spooled events to deliver, %d too old"
            log.info(text, self.settings.url, len(owed), len(left) - len(fresh))

    def _backlog_events(self) -> dict[str, DetectionEvent]:
        """Events neither delivered nor dropped, by id, oldest first. Called with the queue's lock held."""
        in_hand = [self._current] if self._in_hand else []
        return {event.id: event for event in [*in_hand, *self._queue] if isinstance(event, DetectionEvent)}

    def _spooler_main(self) -> None:
        assert self._spool is not None
        try:
            self._mirror(self._spool)
            while not self._stopping.is_set():
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._stopping.is_set() or self._backlog_events().keys() != self._mirrored.keys(),
                        ATTEND_S if self._mirrored or not self._spool.is_open else None,
                    )
                self._mirror(self._spool)
            if self._thread is not None:
                self._thread.join(JOIN_S)  # its last request may just have succeeded
            self._mirror(self._spool)
            if not self._spool.is_open:  # it has just turned out to be damaged
                self._mirror(self._spool)
            self._spool.close()
        except BaseException as error:
            if self.on_death is None:
                raise
            self.on_death(self, error)

    def _mirror(self, spool: "Spool") -> None:
        self._owe(*spool.attend())
        with self._changed:
            self._mirrored = self._backlog_events()
        spool.mirror(self._mirrored)
        self._on_disk = frozenset(spool.ids)


def _spool_at(path: str | None) -> "Spool | None":
    if path is None:
        return None
    from kwsd.sinks.webhook.spool import Spool  # and with it SQLite

    return Spool(path)
