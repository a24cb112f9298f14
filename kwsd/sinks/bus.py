"""The bus: one event in, and a queue, a thread and counters for every sink.

A sink that is slow, stuck or dead costs the others nothing and never delays the spotter: `put` only appends to a
bounded queue, and if that is full the oldest event is dropped and counted.
"""

import copy
import itertools
import logging
import threading
import time
from collections.abc import Iterable, Sequence

from kwsd.events import Event, StatusEvent
from kwsd.sinks.sink import OnDeath, Sink

log = logging.getLogger(__name__)


class Bus:
    """Passes every event to every sink.

    Args:
        sinks: not yet started.
        on_death: called in the thread of a sink that ended with an error, with the sink and the error.

    Attributes:
        audio_ms: how much audio before and after a word the sinks want; None if none does.
    """

    def __init__(self, sinks: Sequence[Sink], on_death: OnDeath) -> None:
        self._on_death = on_death
        self._lock = threading.Lock()  # held during a publish or a change of the list, never during a wait
        self._changing = threading.Lock()  # held while sinks are started and stopped
        self._sinks = tuple(sinks)
        self._state: StatusEvent | None = None  # the last one published, for sinks that come later
        self._retiring: dict[Sink, object] = {}  # each with the mark of its retirement, which may be reversed
        self._introduce()

    @property
    def sinks(self) -> tuple[Sink, ...]:
        return self._sinks

    @property
    def serving(self) -> tuple[Sink, ...]:
        """The sinks, including those of an earlier configuration that are still delivering."""
        return (*self._sinks, *self._retiring)

    def start(self) -> None:
        """Opens and starts every sink. After an error, those already started are stopped, and it is raised."""
        self._start(self._sinks)

    def wants(self, event_type: str) -> bool:
        """Whether any sink would take an event of this type now; avoids creating events that nothing reads."""
        return any(sink.wants(event_type) for sink in self._sinks)

    def publish(self, event: Event) -> None:
        """Puts the event on every sink's queue; never waits for any of them."""
        with self._lock:
            if isinstance(event, StatusEvent):
                self._state = event
            for sink in self._sinks:
                sink.put(event)

    def replace(self, new_sinks: Sequence[Sink]) -> None:
        """Switches to other sinks, none of which is started yet, without losing an event.

        A sink that can adopt its successor's settings continues with its queue and connections, even if it was
        retiring. The others are started, and receive the current state. Sinks no longer wanted drain in the background.
        After an error nothing is changed, and it is raised.
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
            for new, served in itertools.product(fresh, old):
                new.check_beside(served)
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
                if self._state is not None:
                    for sink in fresh:
                        sink.put(self._state)
        for sink in retired:
            sign = self._retiring[sink]
            threading.Thread(target=self._retire, args=(sink, sign), name=f"retire-{sink.name}", daemon=True).start()

    def drain(self, deadline_s: float) -> bool:
        """Waits until all queues are delivered; returns whether they were.

        Each sink has its ``drain_limit_s``, and all together have until ``time.monotonic()`` is ``deadline_s``
        (``math.inf`` if only the sinks' own limits count).
        """
        began_s = time.monotonic()
        sinks = self.serving
        return all([sink.drain(min(deadline_s, began_s + sink.drain_limit_s)) for sink in sinks])

    def stop(self) -> None:
        """Ends every sink; events still queued count as dropped."""
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
        wanted = [sink.audio_ms for sink in self._sinks if sink.audio_ms is not None]
        self.audio_ms = (max(before for before, _ in wanted), max(after for _, after in wanted)) if wanted else None

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
            if self._retiring.get(sink) is not sign:  # its retirement was reversed
                return
            sink.stop()
            with self._lock:
                self._retiring = {other: sign for other, sign in self._retiring.items() if other is not sink}
        left = sink.counters["dropped"]
        log.info("%s is no longer served; %d events were not delivered", sink.name, left)


def _adopt_all(pairs: Iterable[tuple[Sink, Sink]]) -> None:
    """Each first sink adopts the settings of its second; all of them, or none and an error."""
    done: list[tuple[Sink, Sink]] = []
    try:
        for keeper, new in pairs:
            done.append((keeper, copy.copy(keeper)))
            keeper.adopt(new)
    except BaseException:
        for keeper, before in reversed(done):
            keeper.adopt(before)
        raise
