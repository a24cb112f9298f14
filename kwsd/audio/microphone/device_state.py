"""Decides what to do about the microphone: a pure state machine, given facts and a clock.

::

    starting --audio--> listening <--fault/no fault--> degraded
        |                |    ^ audio
        | cannot         |    |
        | be opened      |    +-- stalled: no audio, though the device seems open
        v                |
    waiting <--- recovering: its process ended, a new one opens the device

One process captures. When it is silent, the cause is unknown: a suspended device, a frozen sound server and a library
that spins or hangs all look alike. So a second process tries beside it, and the first of the two to deliver audio
stays. A server that was frozen delivers to the first process what it has kept meanwhile; if only the second delivers
audio, the first was at fault, and is killed.
"""

from enum import Enum
from typing import NamedTuple

from kwsd.status import State

REPORT_S = 2.0  # a process that reports nothing for this long while opening the device hangs
FIRST_AUDIO_S = 1.0  # after opening, a device has this long before a second process tries too,
NEVER_AUDIO_S = 10.0  # and this long before the first is blamed if the second cannot open the device
RESTART_S = 1.5  # from the start of a process that never delivered audio to that of the next
SECOND_S = 10.0  # a second process that is no better than the first is replaced by another, less and less often
SECOND_MOST_S = 300.0


class Action(Enum):
    """What the caller should do now."""

    NOTHING = "nothing"
    START = "start a process, where one has ended or there never was one"
    START_SECOND = "start a second process, and end the second one that may be there"
    DROP_SECOND = "end the second process"
    PROMOTE_SECOND = "end the first process, the second takes its place"


class Facts(NamedTuple):
    """What one process has shown since the last step.

    Attributes:
        reported: it reported something.
        opened: the device is open.
        heard: there was audio.
        failure: why the last attempt to open the device failed; the process retries by itself.
        ended: how it ended; None while it runs.
    """

    reported: bool = False
    opened: bool = False
    heard: bool = False
    failure: str | None = None
    ended: str | None = None


class _Process:
    """What one process has shown so far."""

    def __init__(self, now_s: float) -> None:
        self.started_s = self.sign_s = now_s
        self.was_heard = False

    def take(self, facts: Facts, now_s: float) -> None:
        if facts.heard or facts.reported:
            self.sign_s = now_s
        self.was_heard = self.was_heard or facts.heard


class Recovery:
    """Call ``step`` a few times a second while no audio flows, and do what it returns.

    Args:
        stall_s: how long without samples counts as a stall.

    Attributes:
        state: one of starting, listening, degraded, stalled, recovering, waiting.
        reason: the reason in words.
        hangs: whether the first process neither opens the device nor reports why.
    """

    def __init__(self, stall_s: float, now_s: float) -> None:
        self.state, self.reason = State.STARTING, "opening the microphone"
        self.hangs = False
        self._stall_s = stall_s
        self._next_start_s = now_s
        self._first = self._second = _Process(now_s)
        self._second_s = SECOND_S

    def step(self, first: Facts | None, second: Facts | None, fault: str | None, now_s: float) -> Action:
        """Updates the state from the facts; returns what to do about it.

        Args:
            first, second: None if there is no such process.
            fault: what is wrong with the signal, in words.
        """
        self.hangs = False
        if second is not None:
            self._second.take(second, now_s)
        if first is None:
            return self._start(now_s)
        if first.ended is not None:
            self._tell_end(first)
            return Action.PROMOTE_SECOND if second is not None else self._start(now_s)
        self._first.take(first, now_s)
        if first.heard:
            self._tell_heard(fault)
            self._second_s = SECOND_S
            return Action.NOTHING if second is None else Action.DROP_SECOND
        if second is not None and second.heard:
            return self._promote()
        silent_s = now_s - self._first.sign_s
        if first.failure is not None and silent_s < REPORT_S:
            self._become(State.WAITING, first.failure)
            return Action.NOTHING if second is None else Action.DROP_SECOND
        if silent_s < self._patience_s(first):
            return Action.NOTHING
        self._tell_silence(first, second, now_s)
        return self._try_second(first, second, now_s)

    def _start(self, now_s: float) -> Action:
        if now_s < self._next_start_s:
            return Action.NOTHING
        self._first = _Process(now_s)
        self._next_start_s = now_s + RESTART_S
        return Action.START

    def _promote(self) -> Action:
        self._first = self._second
        return Action.PROMOTE_SECOND

    def _patience_s(self, first: Facts) -> float:
        if self._first.was_heard:
            return self._stall_s
        return FIRST_AUDIO_S if first.opened else REPORT_S

    def _try_second(self, first: Facts, second: Facts | None, now_s: float) -> Action:
        if second is not None and second.ended is None:
            if second.failure is not None and (
                self._first.was_heard or not first.opened or now_s - self._first.sign_s >= NEVER_AUDIO_S
            ):
                return self._promote()
            if now_s - self._second.started_s < self._second_s:
                return Action.NOTHING
            self._second_s = min(2 * self._second_s, SECOND_MOST_S)
        elif second is not None and now_s - self._second.started_s < RESTART_S:
            return Action.NOTHING
        self._second = _Process(now_s)
        return Action.START_SECOND

    # The state in words.

    def _tell_heard(self, fault: str | None) -> None:
        # Announces listening first, then what is wrong with it.
        if fault and self.state in (State.LISTENING, State.DEGRADED):
            self._become(State.DEGRADED, fault)
        else:
            self._become(State.LISTENING, "audio flows")

    def _tell_end(self, first: Facts) -> None:
        assert first.ended is not None
        if self._first.was_heard:
            self._next_start_s = 0
            self._become(State.RECOVERING, first.ended)
        elif first.failure is not None:
            self._become(State.WAITING, first.failure)
        else:
            self._become(self._unheard, first.ended)

    @property
    def _unheard(self) -> State:
        """Recovering if it was heard before, else waiting."""
        return State.RECOVERING if self.state in (State.RECOVERING, State.STALLED) else State.WAITING

    def _tell_silence(self, first: Facts, second: Facts | None, now_s: float) -> None:
        server_hangs = second is not None and not second.opened and now_s - self._second.sign_s >= REPORT_S
        if not first.opened:
            self.hangs = True
            self._become(self._unheard, "opening the device hangs: the sound system does not answer")
        elif server_hangs:
            self._become(State.STALLED, "no samples: the sound system does not answer")
        elif second is not None and second.opened and now_s - self._second.sign_s >= FIRST_AUDIO_S:
            self._become(State.STALLED, "the device is open but brings no samples (suspended?)")
        elif self._first.was_heard and self.state != State.STALLED:
            self._become(State.STALLED, f"no samples for {self._stall_s:g} s")

    def _become(self, state: State, reason: str) -> None:
        self.state, self.reason = state, reason
