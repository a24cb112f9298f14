"""The bus: one event in, and for every sink a queue, a thread and counters of its own.

A sink that is slow, stuck or dead costs the others nothing and never delays the spotter: `put` only appends to a
bounded queue, and where that is full the oldest event goes and is counted. At any moment

    events put = queued + sent + dropped

so that the last log line can say what became of every one of them. Only a sink's own thread touches its connections.
"""

import copy
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kwsd.events import DetectionEvent, Event, encode

log = logging.getLogger(__name__)

OnDeath = Callable[["Sink", BaseException], None]


def json_line(message: Mapping[str, Any]) -> bytes:
    """One message as the bytes of its line, line end included.

    UTF-8; only where a text cannot be written in it (the name of a file may hold any bytes) all of it is escaped.
    """
    try:
        return f"{encode(message)}\n".encode()
    except UnicodeEncodeError:
        return f"{json.dumps(message, separators=(',', ':'))}\n".encode()


class Sink:
    """Somewhere that events go. Subclasses say how, in `deliver` (or in `run`, where one by one will not do).

    Args:
        settings: what the configuration says of this sink; a sink of equal settings lives on through a reload.
        only: the labels whose detections it takes; None for all. Other types of events are not filtered.

    Attributes:
        name: what counters and the log call it.
        types: the types of events it takes.
        drain_limit_s: how long its queue may take to be delivered when kwsd ends by itself.
        queue_max: how many events may wait.
        alone: whether it is the only sink; set by the bus.
        on_death: called in the sink's thread with what ended it, when that was an error; set by the bus.
    """

    name = "sink"
    types = frozenset({"detection"})
    drain_limit_s = 1.0
    queue_max = 1024

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

    # What the bus calls, from other threads.

    def wants(self, event_type: str) -> bool:
        """Whether an event of this type would go anywhere."""
        return event_type in self.types

    def put(self, event: Event) -> None:
        """Queues an event, if this sink takes such; never waits. Where the queue is full, the oldest goes."""
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
        """Opens what it needs, in the caller's thread, then starts its own. Raises KwsdError where that fails."""
        self.open()
        self._thread = threading.Thread(target=self._main, name=f"sink-{self.name}", daemon=True)
        self._thread.start()

    def can_adopt(self, new: "Sink") -> bool:
        """Whether this sink, with its queue and its connections, can go on in the place of ``new``.

        Raises KwsdError where it could, but what ``new`` wants cannot be had.
        """
        return type(self) is type(new) and self.settings == new.settings

    def adopt(self, new: "Sink") -> None:
        """Takes over what a sink that `can_adopt` found fit, and that is never started, does differently."""

    def drain(self, deadline_s: float) -> bool:
        """Waits until everything queued is delivered, at most until ``time.monotonic()`` is ``deadline_s``."""
        with self._changed:
            return self._changed.wait_for(lambda: self.backlog() == 0, max(0.0, deadline_s - time.monotonic()))

    def halt(self) -> None:
        """Tells the thread to end, without waiting for it."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        if self._thread is not None:
            self.wake()

    def stop(self, join_s: float = 0.2) -> None:
        """Ends the thread, waits for it at most ``join_s``, and counts what is left as dropped."""
        self.halt()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(join_s)
        with self._changed:
            self._dropped += len(self._queue) + self._in_hand
            self._queue.clear()
            self._in_hand = 0

    @property
    def counters(self) -> dict[str, int]:
        """Events: waiting now, delivered, given up, and how often a delivery was tried again."""
        with self._changed:
            return {
                "queued": self.backlog(),
                "sent": self._sent,
                "dropped": self._dropped,
                "retried": self._retried,
            }

    # What subclasses define.

    def open(self) -> None:
        """Opens what the sink needs, before its thread starts."""

    def deliver(self, event: Event) -> bool:
        """Delivers one event, in the sink's thread. False: given up. Waits by `pause`, so that `stop` ends it."""
        raise NotImplementedError

    def wake(self) -> None:
        """Wakes a `run` that waits for something else than the queue; called when that or `_stopping` changed."""

    def backlog(self) -> int:
        """Events that are neither delivered nor given up. Called with the queue's lock held."""
        return len(self._queue) + self._in_hand

    def run(self) -> None:
        """The sink's thread: delivers one event after the other until `stop`."""
        while (event := self.take()) is not None:
            self.finish(self.deliver(event))

    # What subclasses use, in the sink's thread.

    def take(self) -> Event | None:
        """The next event, which is then in hand until `finish`; None when the sink is to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping.is_set())
            if self._stopping.is_set():
                return None
            self._in_hand = 1
            return self._queue.popleft()

    def finish(self, sent: bool) -> None:
        """Counts the event in hand as sent or dropped."""
        with self._changed:
            if self._in_hand:  # else `stop` has counted it already
                self._in_hand = 0
                self._sent += sent
                self._dropped += not sent
            self._changed.notify_all()

    def pause(self, seconds: float) -> bool:
        """Waits, but not past `stop`; whether the sink is to stop."""
        return self._stopping.wait(seconds)

    def _main(self) -> None:
        try:
            self.run()
        except BaseException as error:
            if self.on_death is None:
                raise
            self.on_death(self, error)


class Bus:
    """Hands every event to every sink.

    Args:
        sinks: not yet started.
        on_death: called, in the thread of a sink that died by an error, with the sink and the error.
    """

    def __init__(self, sinks: Sequence[Sink], on_death: OnDeath) -> None:
        self._on_death = on_death
        self._lock = threading.Lock()  # held for a publish or a change of the list, never while anything is waited for
        self._changing = threading.Lock()  # held while sinks are started and stopped
        self._sinks = tuple(sinks)
        self._retiring: dict[Sink, object] = {}  # each with the sign of its retirement; it may be taken back
        self._introduce()

    @property
    def sinks(self) -> tuple[Sink, ...]:
        return self._sinks

    @property
    def serving(self) -> tuple[Sink, ...]:
        """The sinks, and those of an earlier configuration that are still delivering what they had."""
        return (*self._sinks, *self._retiring)

    def start(self) -> None:
        """Opens and starts every sink. On an error those already started are stopped, and it is raised."""
        self._start(self._sinks)

    def wants(self, event_type: str) -> bool:
        """Whether any sink would take an event of this type now; spares making what nobody reads."""
        return any(sink.wants(event_type) for sink in self._sinks)

    def publish(self, event: Event) -> None:
        """Puts the event on every sink's queue; never waits for any of them."""
        with self._lock:
            for sink in self._sinks:
                sink.put(event)

    def replace(self, new_sinks: Sequence[Sink]) -> None:
        """Changes over to other sinks, none of which is started, without losing an event.

        A sink that can adopt its successor's settings goes on with its queue and its connections, even if it has been
        retiring. The others are started. What is no longer wanted drains beside. On an error nothing changes, and it is
        raised.
        """
        with self._changing:
            old = [*self._sinks, *self._retiring]
            kept: dict[int, Sink] = {}
            for index, new in enumerate(new_sinks):
                keeper = next((sink for sink in old if sink.can_adopt(new)), None)
                if keeper is not None:
                    old.remove(keeper)
                    kept[index] = keeper
            fresh = [new for index, new in enumerate(new_sinks) if index not in kept]
            self._start(fresh)
            try:
                _adopt_all([(keeper, new_sinks[index]) for index, keeper in kept.items()])
            except BaseException:
                for sink in fresh:
                    sink.stop()
                raise
            retired = [sink for sink in self._sinks if sink in old]
            with self._lock:
                self._sinks = tuple(kept.get(index, new) for index, new in enumerate(new_sinks))
                self._retiring = {sink: sign for sink, sign in self._retiring.items() if sink in old}
                self._retiring |= {sink: object() for sink in retired}
                self._introduce()
        for sink in retired:
            sign = self._retiring[sink]
            threading.Thread(target=self._retire, args=(sink, sign), name=f"retire-{sink.name}", daemon=True).start()

    def drain(self, deadline_s: float) -> bool:
        """Waits until all queues are delivered; whether they were.

        Each sink has its ``drain_limit_s``, and all together have until ``time.monotonic()`` is ``deadline_s``
        (``math.inf`` where only the sinks' own limits count).
        """
        began_s = time.monotonic()
        sinks = self.serving
        return all([sink.drain(min(deadline_s, began_s + sink.drain_limit_s)) for sink in sinks])

    def stop(self) -> None:
        """Ends every sink; what is still queued counts as dropped."""
        sinks = self.serving
        for sink in sinks:
            sink.halt()
        for sink in sinks:
            sink.stop()

    @property
    def counters(self) -> dict[str, dict[str, int]]:
        """The counters of every sink by its name; the second of one name is ``name-2``, and so on."""
        counters: dict[str, dict[str, int]] = {}
        for sink in self.serving:
            name, count = sink.name, 1
            while name in counters:
                count += 1
                name = f"{sink.name}-{count}"
            counters[name] = sink.counters
        return counters

    def _introduce(self) -> None:
        for sink in self._sinks:
            sink.on_death = self._on_death
            sink.alone = len(self._sinks) == 1

    def _start(self, sinks: Iterable[Sink]) -> None:
        started: list[Sink] = []
        try:
            for sink in sinks:
                sink.on_death = self._on_death
                sink.start()
                started.append(sink)
        except BaseException:
            for sink in started:
                sink.stop()
            raise

    def _retire(self, sink: Sink, sign: object) -> None:
        sink.drain(time.monotonic() + sink.drain_limit_s)
        with self._changing:
            if self._retiring.get(sink) is not sign:  # it was taken back
                return
            sink.stop()
            with self._lock:
                self._retiring = {other: sign for other, sign in self._retiring.items() if other is not sink}
        left = sink.counters["dropped"]
        log.info("%s is no longer served; %d events were not delivered", sink.name, left)


def _adopt_all(pairs: Iterable[tuple[Sink, Sink]]) -> None:
    """Each first sink takes over what its second does differently; all of them, or none and an error."""
    done: list[tuple[Sink, Sink]] = []
    try:
        for keeper, new in pairs:
            done.append((keeper, copy.copy(keeper)))
            keeper.adopt(new)
    except BaseException:
        for keeper, before in reversed(done):
            keeper.adopt(before)
        raise
