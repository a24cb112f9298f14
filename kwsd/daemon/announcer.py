"""Reports what kwsd is doing, each thing once, to the log, the service manager and the sinks."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from kwsd.events import Event, StatusEvent, rfc3339
from kwsd.status import UNHEARD, State

if TYPE_CHECKING:
    from kwsd.daemon.listener import Listener
    from kwsd.daemon.systemd import Notifier

LOSSES_EVERY_S = 10.0  # an overloaded machine loses samples all the time
CALM = (State.STARTING, State.LISTENING, State.STOPPING, State.PAUSED)

logger = logging.getLogger("kwsd.daemon")


class Announcer:
    """Remembers what was reported last.

    Args:
        notifier: the service manager.
        publish: the sinks; set once there are any.

    Attributes:
        state: the last one reported.
    """

    def __init__(self, notifier: "Notifier") -> None:
        self.publish: Callable[[Event], None] = lambda event: None
        self.state = status_event(State.STARTING, "starting", time.time())
        self._notifier = notifier
        self._lost_told: dict[str, int] = {}  # samples of each listener
        self._next_losses_s: dict[str, float] = {}

    def tell(self, state: State, reason: str, since_s: float, *, log: bool = True, again: bool = False) -> None:
        """Reports a state if it is new; ``since_s`` is Unix time.

        Args:
            again: send it to subscribers even if it is not new, because of a request.
        """
        if (state, reason) == (self.state.state, self.state.reason):
            if again:
                self.publish(status_event(state, reason, since_s))
            return
        if state == State.DEGRADED and self.state.state in UNHEARD:  # first that it listens again, then what is wrong
            self.tell(State.LISTENING, "audio flows again", since_s)
        self.state = status_event(state, reason, since_s)
        if log:
            logger.log(logging.INFO if state in CALM else logging.WARNING, "%s: %s", state, reason)
        self._notifier.status(f"{state}: {reason}")
        self.publish(self.state)

    def tell_words(self, listener: "Listener", sinks: Iterable[str]) -> None:
        """Logs what is heard and where, and at level debug to which sinks it goes."""
        for model, _, only in listener.plans:
            version = model.metadata.get("version", "")
            words = ", ".join(label for label in model.labels if label in only)
            logger.info("%s%s on %s: %s", _of(listener), f"{model.name} {version}".rstrip(), listener.device, words)
        names = ", ".join(sinks)
        logger.log(logging.DEBUG if names else logging.WARNING, "events go %s", f"to {names}" if names else "nowhere")

    def tell_losses(self, listener: "Listener", now_s: float) -> None:
        """Logs what audio was lost since the last such report."""
        name = listener.name
        # A microphone that is opened after a pause, or a listener made anew, counts from 0.
        told = self._lost_told[name] = min(self._lost_told.get(name, 0), listener.samples_lost)
        lost = listener.samples_lost - told
        if lost == 0 or now_s < self._next_losses_s.get(name, 0.0):
            return
        self._lost_told[name], self._next_losses_s[name] = listener.samples_lost, now_s + LOSSES_EVERY_S
        lost_s = lost / listener.sample_rate_hz
        logger.warning("%s%.2f s of audio lost; no word is joined across it", _of(listener), lost_s)

    def tell_totals(self, audio_s: float, detections: int, counters: Mapping[str, Mapping[str, int]]) -> None:
        """A summary of what was heard, and of each sink's events."""
        sinks = [
            f"{name}: {', '.join(f'{count} {what}' for what, count in counts.items() if count) or 'nothing sent'}"
            for name, counts in counters.items()
        ]
        words = f"{detections} detection{'' if detections == 1 else 's'}"
        logger.info("heard %.1f s of audio, %s; %s", audio_s, words, "; ".join(sinks) or "no sinks")


def status_event(state: State, reason: str, since_s: float) -> StatusEvent:
    """The text about a state that began at ``since_s``, Unix time."""
    return StatusEvent(rfc3339(time.time()), state, reason, rfc3339(since_s))


def _of(listener: "Listener") -> str:
    """Prefix of a log line that names the listener, if the configuration names listeners."""
    return "" if listener.name == "default" else f"{listener.name}: "
