"""Pause and armed words: the requests in effect, and until when.

Any thread may make a request (a socket's, a broker's, a page's). The main thread and the spotter thread carry it out.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kwsd.events import rfc3339
from kwsd.sinks.sink import VERBS
from kwsd.status import State
from kwsd.uptime import uptime_s
from kwsd.validation.json_text import shown as as_json
from kwsd.validation.kinds import nearest
from kwsd.validation.yaml import shown

FOR_MAX_S = 604_800  # a week


class ControlError(ValueError):
    """What is wrong with a request, for its sender."""


class Clock(NamedTuple):
    """The same moment on two clocks: that of `kwsd.uptime`, for time limits, and Unix time, for people.

    The first is never set and goes on while the machine sleeps, so that a pause ends when people were told it would.
    """

    uptime_s: float
    unix_s: float


def now() -> Clock:
    return Clock(uptime_s(), time.time())


@dataclass(frozen=True, slots=True)
class Term:
    """Until when something is in effect; forever if both are None."""

    end_s: float | None = None  # on the clock of `kwsd.uptime`
    until: str | None = None  # RFC 3339

    @classmethod
    def of(cls, for_s: float | None, clock: Clock) -> "Term":
        if for_s is None:
            return cls()
        return cls(clock.uptime_s + for_s, rfc3339(clock.unix_s + for_s))

    def is_over(self, clock: Clock) -> bool:
        return self.end_s is not None and clock.uptime_s >= self.end_s


@dataclass(frozen=True, slots=True)
class Armed:
    """An armed word: until when, and its threshold (None: ``armed_threshold``)."""

    term: Term
    threshold: float | None


class Control:
    """What is currently requested of the daemon.

    Args:
        words: returns the words of the models.
        wanted: returns those that make events (`only`); arming others would change nothing.
        changed: called after each change, in the requesting thread; the request is answered when it returns.
    """

    def __init__(
        self,
        words: Callable[[], Sequence[str]],
        wanted: Callable[[], Collection[str]],
        changed: Callable[[], object],
    ) -> None:
        self._words, self._wanted, self._changed = words, wanted, changed
        self._lock = threading.Lock()
        self._paused: Term | None = None
        self._armed: dict[str, Armed] = {}
        self._thresholds: Mapping[str, float | None] = {}

    def ask(self, request: Mapping[str, Any], clock: Clock | None = None) -> dict[str, Any]:
        """Carries out one request of docs/socket.md, such as ``{"pause":{"for_s":60}}``; the answer, as an object."""
        try:
            if len(request) != 1:
                raise ControlError(f"a request is an object with one key, one of {', '.join(VERBS)}")
            (verb,) = request
            if verb not in VERBS:
                raise ControlError(f"{shown(verb)} is not one of {', '.join(VERBS)}")
            wishes = request[verb]
            if not isinstance(wishes, dict):
                raise ControlError(f"{verb} takes an object, such as {{}}, not {as_json(wishes)}")
            getattr(self, f"_{verb}")(wishes, clock or now())
        except ControlError as error:
            return {"type": "error", "message": str(error)}
        self._changed()
        return {"type": "done", "did": verb}

    @property
    def paused(self) -> Term | None:
        """Until when kwsd is paused; None if it is not."""
        return self._paused

    @property
    def armed(self) -> Mapping[str, Armed]:
        """The armed words."""
        return dict(self._armed)

    @property
    def thresholds(self) -> Mapping[str, float | None]:
        """The armed words with their thresholds; a new object after each change, never modified."""
        return self._thresholds

    def reason_of(self, state: State, reason: str) -> str:
        """The reason of a state, with the current requests."""
        if state == State.PAUSED and (term := self._paused) is not None:
            return f"until {term.until}" if term.until else "until resumed"
        armed = ", ".join(self._thresholds)
        return f"{reason}; armed: {armed}" if armed else reason

    def expire(self, clock: Clock | None = None) -> None:
        """Ends what has run out."""
        clock = clock or now()
        with self._lock:
            if self._paused is not None and self._paused.is_over(clock):
                self._paused = None
            if any(word.term.is_over(clock) for word in self._armed.values()):
                self._set({label: word for label, word in self._armed.items() if not word.term.is_over(clock)})

    def next_end_s(self) -> float | None:
        """When the next request runs out, on the clock of `kwsd.uptime`; None if none will."""
        with self._lock:
            terms = [word.term for word in self._armed.values()]
            terms += [] if self._paused is None else [self._paused]
        return min((term.end_s for term in terms if term.end_s is not None), default=None)

    def _pause(self, wishes: Mapping[str, Any], clock: Clock) -> None:
        _only_keys("pause", wishes, "for_s")
        term = Term.of(_for_s(wishes), clock)
        with self._lock:
            self._paused = term

    def _resume(self, wishes: Mapping[str, Any], _clock: Clock) -> None:
        _only_keys("resume", wishes)
        with self._lock:
            self._paused = None

    def _arm(self, wishes: Mapping[str, Any], clock: Clock) -> None:
        _only_keys("arm", wishes, "labels", "for_s", "threshold")
        if "labels" not in wishes:
            raise ControlError('arm needs "labels", a list of words')
        armed = Armed(Term.of(_for_s(wishes), clock), _threshold(wishes))
        labels = self._labels(wishes["labels"])
        wanted = self._wanted()
        if never := [label for label in labels if label not in wanted]:
            raise ControlError(f"{shown(never[0])} cannot fire, as `only` leaves it out")
        with self._lock:
            self._set(self._armed | dict.fromkeys(labels, armed))

    def _disarm(self, wishes: Mapping[str, Any], _clock: Clock) -> None:
        _only_keys("disarm", wishes, "labels")
        labels = self._labels(wishes["labels"]) if "labels" in wishes else list(self._armed)
        with self._lock:
            self._set({label: armed for label, armed in self._armed.items() if label not in labels})

    def _set(self, armed: dict[str, Armed]) -> None:
        self._armed = armed
        self._thresholds = {label: word.threshold for label, word in armed.items()}

    def _labels(self, labels: Any) -> list[str]:
        if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
            raise ControlError(f'"labels" is a list of words, at least one, not {as_json(labels)}')
        words = list(self._words())
        for label in labels:
            if label not in words and label not in self._armed:  # armed before a reload took its model away
                raise ControlError(f"the model has no word {shown(label)}; {nearest(label, words)}")
        return labels


def _only_keys(verb: str, wishes: Mapping[str, Any], *known: str) -> None:
    for key in wishes:
        if key not in known:
            allowed = f"{nearest(key, known)}" if known else "it takes none"
            raise ControlError(f"{verb}: unknown key {shown(key)}; {allowed}")


def _for_s(wishes: Mapping[str, Any]) -> float | None:
    value = wishes.get("for_s")
    if value is None and "for_s" not in wishes:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= FOR_MAX_S:
        raise ControlError(f'"for_s" is a number of seconds from 1 to {FOR_MAX_S}, not {as_json(value)}')
    return float(value)


def _threshold(wishes: Mapping[str, Any]) -> float | None:
    value = wishes.get("threshold")
    if value is None and "threshold" not in wishes:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ControlError(f'"threshold" is a number from 0 to 1, not {as_json(value)}')
    return float(value)
