"""All listeners of a run as one object, for the main thread and for requests."""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from kwsd.errors import InputError
from kwsd.status import State

if TYPE_CHECKING:
    from kwsd.daemon.listener import Listener
    from kwsd.daemon.systemd import Watchdog

_WORST_LAST = (
    *(State.PAUSED, State.LISTENING, State.DEGRADED, State.STARTING),
    *(State.RECOVERING, State.STALLED, State.WAITING, State.STOPPING),
)


class Heard(NamedTuple):
    """What several listeners have counted since their start."""

    audio_s: float = 0.0
    samples_lost: int = 0
    overruns: int = 0
    strides: int = 0

    def and_of(self, listener: "Listener") -> "Heard":
        """The same with one listener more."""
        return Heard(*(before + getattr(listener, name) for name, before in self._asdict().items()))


class Listeners:
    """Each has its own source, models, thread and state; none waits for another.

    Args:
        listeners: at least one; their names differ.
        watchdog: makes one for each; None without a watchdog.
    """

    def __init__(self, listeners: "Iterable[Listener]", watchdog: "Callable[[], Watchdog] | None") -> None:
        self._by_name = {listener.name: listener for listener in listeners}
        self._new_watchdog = watchdog
        self._watchdogs: dict[str, Watchdog] = {}
        self._alive: set[str] = set()  # those with a sign of life since the last one was passed on
        self._told_errors: set[BaseException | None] = set()
        self._of_gone = Heard()  # so that no sum ever decreases

    def __iter__(self) -> "Iterator[Listener]":
        return iter(tuple(self._by_name.values()))

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> "Listener | None":
        return self._by_name.get(name)

    def replace(self, listeners: "Iterable[Listener]") -> None:
        """Continues with these, some of which may be the same; the others have ended, and still count in the sums."""
        after = tuple(listeners)
        gone = [listener for listener in self if listener not in after]
        self._by_name = {listener.name: listener for listener in after}
        self._of_gone = functools.reduce(Heard.and_of, gone, self._of_gone)
        self._told_errors &= {listener.error for listener in self}  # the next error of that name is another one
        self._alive.clear()

    def stop(self, timeout_s: float) -> bool:
        """Ends all threads; returns whether all ended within about ``timeout_s``."""
        for listener in self:
            listener.ask_to_stop()
        return all([listener.stop(timeout_s / len(self)) for listener in self])

    @property
    def ended(self) -> bool:
        """Whether all listeners have ended."""
        return all(listener.ended for listener in self)

    def raise_error(self) -> None:
        """Raises the error that ended a thread, if any; for a damaged recording only once all have ended."""
        for listener in self:
            if listener.error is not None and (self.ended or not isinstance(listener.error, InputError)):
                raise listener.error

    def newly_failed(self) -> "Iterator[tuple[Listener, BaseException]]":
        """Listeners that an error has ended since the last call, while others go on."""
        for listener in self:
            if listener.error is not None and listener.error not in self._told_errors:
                self._told_errors.add(listener.error)
                yield listener, listener.error

    @property
    def state(self) -> tuple[State, str, float] | None:
        """The worst state, with its listener's name if there are several; None if there is nothing to report."""
        known = [
            (listener, state)
            for listener in self
            if (not listener.ended or self.ended) and (state := listener.state) is not None
        ]
        if not known:
            return None
        listener, (worst, reason, since_s) = max(known, key=lambda each: _WORST_LAST.index(each[1][0]))
        return worst, reason if len(self) == 1 else f"{listener.name}: {reason}", since_s

    def lives(self, now: float) -> bool:
        """Whether each has shown a sign of life since this was last true."""
        for listener in self:
            if listener.ended or self._new_watchdog is None:
                self._alive.add(listener.name)
                continue
            watchdog = self._watchdogs.setdefault(listener.name, self._new_watchdog())
            state = (listener.state or (State.STARTING,))[0]
            if watchdog.due(now, listener.samples, listener.strides, state, listener.recovery_steps):
                self._alive.add(listener.name)
        if self._alive < set(self._by_name):
            return False
        self._alive.clear()
        return True

    # Sums and lists, for requests.

    @property
    def first_block(self) -> bool:
        """Whether audio has come to any."""
        return any(listener.first_block for listener in self)

    @property
    def behind(self) -> bool:
        return any(listener.behind for listener in self)

    @property
    def changing(self) -> bool:
        return any(listener.changing for listener in self)

    @property
    def labels(self) -> list[str]:
        return list(dict.fromkeys(label for listener in self for label in listener.labels))

    @property
    def only(self) -> frozenset[str]:
        return frozenset().union(*(listener.only for listener in self))

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(model for listener in self for model in listener.models))

    @property
    def device(self) -> str:
        return ", ".join(listener.device for listener in self)

    @property
    def heard(self) -> Heard:
        """The sums, with those of listeners that a reload has removed."""
        return functools.reduce(Heard.and_of, self, self._of_gone)

    @property
    def stride_ms(self) -> float:
        """The widest."""
        return max(listener.stride_ms for listener in self)

    @property
    def usage(self) -> tuple[float, float]:
        usages = [listener.usage for listener in self]
        return sum(cpu_s for cpu_s, _ in usages), sum(rss_mb for _, rss_mb in usages)

    def armed_threshold(self, word: str) -> float:
        """The score that an armed word needs, unless the request set another: of the first listener that reports it."""
        tellers = [listener for listener in self if word in listener.only] or list(self)
        return tellers[0].armed_threshold(word)
