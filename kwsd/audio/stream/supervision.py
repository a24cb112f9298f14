"""Decides what to do about a stream: a pure state machine, given facts and a clock.

::

    starting --audio--> listening <--fault/no fault--> degraded
        |                |    ^ audio
        | ffmpeg ends    |    +-- stalled: connected, but nothing comes; ended after a while
        v                v
    waiting <--- recovering: ffmpeg ended, another one is started

Another ffmpeg is started after a pause that doubles each time, and is short again after a stream was heard for a while.
"""

from enum import Enum
from typing import NamedTuple

from kwsd.status import State

RETRY_S, RETRY_MOST_S = 0.5, 10.0
CALM_S = 10.0  # after audio for this long, the next pause is short again
CONNECT_S = 20.0  # a stream that sends nothing for this long at first will not begin
DEAD_S = 10.0  # one that falls silent for this long is abandoned: a connection that was cut off never ends by itself


class Action(Enum):
    """What the caller should do now."""

    NOTHING = "nothing"
    START = "start ffmpeg"
    END = "end ffmpeg, which may have ended already"


class Facts(NamedTuple):
    """What ffmpeg has shown since the last step.

    Attributes:
        heard: there was audio.
        ended: how it ended, in words; None while it runs.
    """

    heard: bool = False
    ended: str | None = None


class Supervision:
    """Call ``step`` a few times a second while no audio flows, and do what it returns.

    Args:
        stall_s: how long without samples counts as a stall.
        now_s: a monotonic clock, as everywhere here.

    Attributes:
        state: one of starting, listening, degraded, stalled, recovering, waiting.
        reason: the reason in words.
        failed: why the last attempt gave no audio; None if it did, or if there was no attempt.
    """

    def __init__(self, stall_s: float, now_s: float) -> None:
        self.state, self.reason = State.STARTING, "opening the stream"
        self.failed: str | None = None
        self._stall_s = stall_s
        self._dead_s = max(DEAD_S, 2 * stall_s)
        self._retry_s, self._next_start_s = RETRY_S, now_s
        self._sign_s = now_s  # of the last audio, or of the start
        self._heard_from_s: float | None = None  # without a stall

    def step(self, facts: Facts | None, fault: str | None, now_s: float) -> Action:
        """Updates the state from the facts; returns what to do about it.

        Args:
            facts: None if no ffmpeg runs.
            fault: what is wrong with the signal, in words.
        """
        if facts is None:
            return self._start(now_s)
        if facts.heard:
            self._hear(fault, now_s)
        if facts.ended is not None:
            return self._give_up(facts.ended, now_s)
        silent_s = now_s - self._sign_s
        if self._heard_from_s is None:
            return self._give_up(f"no audio within {CONNECT_S:g} s", now_s) if silent_s >= CONNECT_S else Action.NOTHING
        if silent_s >= self._dead_s:
            return self._give_up(f"no audio for {self._dead_s:g} s", now_s)
        if silent_s >= self._stall_s:
            self.state, self.reason = State.STALLED, f"no audio for {self._stall_s:g} s"
        return Action.NOTHING

    def _start(self, now_s: float) -> Action:
        if now_s < self._next_start_s:
            return Action.NOTHING
        self._sign_s, self._heard_from_s = now_s, None
        return Action.START

    def _hear(self, fault: str | None, now_s: float) -> None:
        # Announces listening first, then what is wrong with it.
        degraded = fault is not None and self.state in (State.LISTENING, State.DEGRADED)
        self.state, self.reason = (State.DEGRADED, fault or "") if degraded else (State.LISTENING, "audio flows")
        if self._heard_from_s is None or now_s - self._sign_s >= self._stall_s:
            self._heard_from_s = now_s
        self._sign_s, self.failed = now_s, None
        if now_s - self._heard_from_s >= CALM_S:
            self._retry_s = RETRY_S

    def _give_up(self, reason: str, now_s: float) -> Action:
        if self._heard_from_s is None:
            self.state, self.failed = State.WAITING, reason
        else:
            self.state = State.RECOVERING
        self.reason = reason
        self._next_start_s = now_s + self._retry_s
        self._retry_s = min(2 * self._retry_s, RETRY_MOST_S)
        return Action.END
