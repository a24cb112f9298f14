"""A sink: a destination of events, with its own bounded queue, thread and counters.

At any moment

    events put = queued + sent + dropped

so that the last log line can account for every event. Only a sink's own thread uses its connections.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Self

from kwsd.events import DetectionEvent, Event

OnDeath = Callable[["Sink", BaseException], None]


VERBS = ("pause", "resume", "arm", "disarm")
"""The verbs of requests to `Services.control`; see docs/socket.md."""


class Services(NamedTuple):
    """The daemon's services for its sinks.

    Attributes:
        hello: the first line for each client of a socket.
        snapshot: the answer to a request for the status.
        on_broken: called when standard output is the only sink and cannot be written.
        control: carries out a request such as ``{"pause":{}}``, from any thread, and returns the answer.
        report: the answer to a request for the report.
        new_spotter: creates a pipeline (like `kwsd.Spotter`) for a client's audio. Raises KwsdError.
    """

    hello: Callable[[], dict[str, Any]]
    snapshot: Callable[[], dict[str, Any]]
    on_broken: Callable[["Sink", OSError], None]
    control: Callable[[Mapping[str, Any]], dict[str, Any]]
    report: Callable[[], dict[str, Any]]
    new_spotter: Callable[[], Any]


class Sink:
    """A destination of events. Subclasses implement `deliver` (or `run`, if not one event at a time).

    Args:
        settings: its configuration; a sink with equal settings survives a reload.
        only: the labels whose detections it takes; None for all. Other types of events are not filtered.

    Attributes:
        name: its name in counters and the log.
        types: the types of events it takes.
        drain_limit_s: time limit for delivering its queue when kwsd ends by itself.
        queue_max: how many events may wait.
        audio_ms: how much audio before and after a word it wants, as events of type ``recording``; None for none.
        keeps_recordings_in: the folder in which it keeps recordings, if it does.
        alone: whether it is the only sink; set by the bus.
        on_death: called in the sink's thread with the error that ended it; set by the bus.
    """

    name = "sink"
    types = frozenset({"detection"})
    drain_limit_s = 1.0
    queue_max = 1024
    audio_ms: tuple[int, int] | None = None
    keeps_recordings_in: str | None = None

    def __init__(self, settings: Any, only: Iterable[str] | None = None) -> None:
        self.settings = settings
        self.only = None if only is None else frozenset(only)
        self.alone = False
        self.on_death: OnDeath | None = None
        self._queue: deque[Event] = deque()
        self._in_hand = 0
        self._sent = self._dropped = self._retried = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def create(cls, settings: Any, _services: Services) -> Self:
        """The sink with these settings, not started. Raises ConfigError."""
        return cls(settings, settings.only)

    # Called by the bus, from other threads.

    def wants(self, event_type: str) -> bool:
        """Whether an event of this type would be delivered anywhere."""
        return event_type in self.types

    def put(self, event: Event) -> None:
        """Queues an event, if this sink takes its type; never waits. If the queue is full, the oldest is dropped."""
        if not self.wants(event.type) or (
            self.only is not None and isinstance(event, DetectionEvent) and event.label not in self.only
        ):
            return
        with self._changed:
            if self._stopping.is_set():
                self._dropped += 1
                return
            if len(self._queue) >= self.queue_max:
                self._queue.popleft()
                self._dropped += 1
            self._queue.append(event)
            self._changed.notify_all()
        if self._thread is not None:
            self.wake()

    def start(self) -> None:
        """Opens what it needs, in the caller's thread, then starts its own thread. Raises KwsdError if that fails."""
        self.open()
        self._thread = threading.Thread(target=self._main, name=f"sink-{self.name}", daemon=True)
        self._thread.start()

    def can_adopt(self, new: "Sink") -> bool:
        """Whether this sink, with its queue and connections, can continue in place of ``new``.

        Raises KwsdError if it could, but a resource of ``new`` is not available.
        """
        return type(self) is type(new) and self.settings == new.settings

    def adopt(self, new: "Sink") -> None:
        """Takes over the settings of ``new``, which `can_adopt` has accepted and which is never started."""

    def check_beside(self, other: "Sink") -> None:
        """Raises ConfigError if this one, not started yet, cannot be started while ``other`` still is served."""

    def drain(self, deadline_s: float) -> bool:
        """Waits until everything queued is delivered, at most until ``time.monotonic()`` is ``deadline_s``."""
        with self._changed:
            return self._changed.wait_for(lambda: self.backlog() == 0, max(0.0, deadline_s - time.monotonic()))

    def halt(self) -> None:
        """Asks the thread to end, without waiting for it."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        if self._thread is not None:
            self.wake()

    def stop(self, join_s: float = 0.2) -> None:
        """Ends the thread, waits at most ``join_s`` for it, and counts the remaining events as dropped."""
        self.halt()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(join_s)
        with self._changed:
            self._dropped += len(self._queue) + self._in_hand
            self._queue.clear()
            self._in_hand = 0

    @property
    def counters(self) -> dict[str, int]:
        """Numbers of events waiting, delivered and dropped, and of repeated attempts."""
        with self._changed:
            return {
                "queued": self.backlog(),
                "sent": self._sent,
                "dropped": self._dropped,
                "retried": self._retried,
            }

    # Defined by subclasses.

    def open(self) -> None:
        """Opens what the sink needs, before its thread starts."""

    def deliver(self, event: Event) -> bool:
        """Delivers one event, in the sink's thread; False if it is dropped. Waits with `pause`, which `stop` ends."""
        raise NotImplementedError

    def wake(self) -> None:
        """Wakes a `run` that does not wait on the queue; called when the queue or `_stopping` changed."""

    def backlog(self) -> int:
        """Events neither delivered nor dropped. Called with the queue's lock held."""
        return len(self._queue) + self._in_hand

    def run(self) -> None:
        """The sink's thread: delivers one event after another until `stop`."""
        while (event := self.take()) is not None:
            self.finish(self.deliver(event))

    # Used by subclasses, in the sink's thread.

    def take(self) -> Event | None:
        """The next event, which is in progress until `finish`; None if the sink is to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping.is_set())
            if self._stopping.is_set():
                return None
            self._in_hand += 1
            return self._queue.popleft()

    def finish(self, sent: bool) -> None:
        """Counts an event in progress as sent or dropped."""
        with self._changed:
            if self._in_hand:  # else `stop` has counted it already
                self._in_hand -= 1
                self._sent += sent
                self._dropped += not sent
            self._changed.notify_all()

    def pause(self, seconds: float) -> bool:
        """Waits, but not past `stop`; returns whether the sink is to stop."""
        return self._stopping.wait(seconds)

    def _main(self) -> None:
        try:
            self.run()
        except BaseException as error:
            if self.on_death is None:
                raise
            self.on_death(self, error)
