"""What to do about the microphone's device: a state machine, fed with facts and a clock, that does nothing itself.

::

    starting --open ok, samples--> listening <--fault/no fault--> degraded
        |                           |    ^ samples
    open fails          no samples  |    |
        v                           v    |
    waiting --open ok, samples--> (listening)
                                 stalled --server frozen: wait, keep the stream
                                    | server answers: close, open again
                                    v
                                recovering --open fails--> waiting

A stream that ended by itself goes to recovering at once. A frozen sound server makes every call of PortAudio hang for
ever, closing included, and goes on by itself when it thaws; a suspended device looks just the same, and wants to be
opened again. So before anything is closed, the server is asked, from outside PortAudio, whether it answers.
"""

from enum import Enum
from typing import Literal, NamedTuple

CALL_LIMIT_S = 2.0  # a call of PortAudio that takes longer hangs
ASK_AGAIN_S = 1.0  # at first; each question costs the start of a process, so they become rarer
ASK_AGAIN_MOST_S = 5.0
RETRY_S = 1.0  # between two attempts to open
RETRY_ABSENT_S = 2.0  # the same where the device is not there, and looking for it costs more
DELIVERS_NOTHING_S = 10.0  # a stream opened afresh that never brings a sample is closed again after this
HANGS_S = 10.0  # PortAudio that hangs although the server answers is given up after this


class Action(Enum):
    """What the machine wants to be done now."""

    NOTHING = "nothing"
    OPEN = "open"
    CLOSE = "close"
    ASK = "ask whether the sound server answers"
    GIVE_UP = "give up: PortAudio hangs for good"


class Facts(NamedTuple):
    """What is known at one moment.

    Attributes:
        call: the call of PortAudio that is under way, if any.
        is_open: there is a stream.
        ended: the stream ended by itself.
        received: samples that this stream has brought so far.
        failure: why the last attempt to open failed; None after a success.
        absent: it failed because no such device is there.
        answers: whether the sound server answers; None until the last question has its answer.
        fault: what is wrong with the signal, in words.
    """

    call: Literal["open", "close"] | None = None
    is_open: bool = False
    ended: bool = False
    received: int = 0
    failure: str | None = None
    absent: bool = False
    answers: bool | None = None
    fault: str | None = None


class Recovery:
    """Call ``step`` a few times a second, and do what it returns.

    Args:
        stall_s: how long no samples may come before it counts as a stall.

    Attributes:
        state: one of starting, listening, degraded, stalled, recovering, waiting.
        reason: in words.
        since_s: when the state began, on the clock that ``step`` is given.
        hangs: a call of PortAudio has taken longer than CALL_LIMIT_S and has not come back.
    """

    def __init__(self, stall_s: float, now_s: float) -> None:
        self.state, self.reason, self.since_s = "starting", "opening the microphone", now_s
        self.hangs = False
        self._stall_s = stall_s
        self._received = 0
        self._heard_s: float | None = None  # last sample, or when the stream was opened
        self._opened_s = now_s
        self._call_since_s: float | None = None
        self._next_open_s = now_s
        self._first_asked_s: float | None = None
        self._asked_s: float | None = None
        self._answers_since_s: float | None = None
        self._pending = False

    def step(self, facts: Facts, now_s: float) -> Action:
        """The state follows from the facts; returns what is to be done about it."""
        if facts.call is not None:
            return self._calling(facts, now_s)
        self._call_since_s, self.hangs = None, False
        if facts.is_open:
            return self._watching(facts, now_s)
        self._heard_s, self._received = None, 0
        return self._reopening(facts, now_s)

    def _calling(self, facts: Facts, now_s: float) -> Action:
        """A call of PortAudio is under way: it may hang, and come back when the server thaws."""
        if self._call_since_s is None:
            self._call_since_s = now_s
            self._forget_answers()
        if now_s - self._call_since_s < CALL_LIMIT_S:
            return Action.NOTHING
        self.hangs = True
        state = "recovering" if self.state in ("recovering", "stalled") else "waiting"
        doing = "opening" if facts.call == "open" else "closing"
        self._become(state, f"{doing} the device hangs: the sound system does not answer", now_s)
        answers = self._answer(facts, now_s)
        if answers and self._answers_since_s is not None and now_s - self._answers_since_s >= HANGS_S:
            return Action.GIVE_UP
        return self._ask(now_s)

    def _watching(self, facts: Facts, now_s: float) -> Action:
        """A stream is open."""
        if self._heard_s is None:
            self._heard_s = self._opened_s = now_s
        if facts.ended:
            self._become("recovering", "the device went away", now_s)
            self._next_open_s = now_s
            return Action.CLOSE
        if facts.received != self._received:
            self._received, self._heard_s = facts.received, now_s
            self._forget_answers()
            # Listening comes first, what is wrong with it after.
            if facts.fault and self.state in ("listening", "degraded"):
                self._become("degraded", facts.fault, now_s)
            else:
                self._become("listening", "audio flows", now_s)
            return Action.NOTHING
        if now_s - self._heard_s <= self._stall_s:
            return Action.NOTHING
        return self._stalled(facts, now_s)

    def _stalled(self, facts: Facts, now_s: float) -> Action:
        answers = self._answer(facts, now_s)
        if answers is None:
            if self.state != "stalled":
                self._become("stalled", f"no samples for {self._stall_s:g} s", now_s)
        elif not answers:
            self._become("stalled", "no samples: the sound server does not answer", now_s)
        elif self._received or now_s - self._opened_s >= DELIVERS_NOTHING_S:
            self._become("recovering", "no samples although the sound server answers: opening again", now_s)
            self._next_open_s = now_s
            self._forget_answers()
            return Action.CLOSE
        else:
            self._become("stalled", "the device is open but brings no samples (suspended?)", now_s)
        return self._ask(now_s)

    def _reopening(self, facts: Facts, now_s: float) -> Action:
        """There is no stream."""
        if facts.failure is not None:
            self._become("waiting", facts.failure, now_s)
        if now_s < self._next_open_s:
            return Action.NOTHING
        self._next_open_s = now_s + (RETRY_ABSENT_S if facts.absent else RETRY_S)
        return Action.OPEN

    def _become(self, state: str, reason: str, now_s: float) -> None:
        if state != self.state:
            self.state, self.since_s = state, now_s
        self.reason = reason

    def _ask(self, now_s: float) -> Action:
        """Asks, unless a question is open or the last one is too fresh."""
        if self._first_asked_s is None:
            self._first_asked_s = now_s
        interval_s = min(ASK_AGAIN_MOST_S, ASK_AGAIN_S + (now_s - self._first_asked_s) / 10)
        if self._pending or (self._asked_s is not None and now_s - self._asked_s < interval_s):
            return Action.NOTHING
        self._asked_s, self._pending = now_s, True
        return Action.ASK

    def _answer(self, facts: Facts, now_s: float) -> bool | None:
        """The answer to a question of this incident; None before there is one."""
        if self._asked_s is None:
            return None
        if facts.answers is not None:
            self._pending = False
            if not facts.answers:
                self._answers_since_s = None
            elif self._answers_since_s is None:
                self._answers_since_s = now_s
        return facts.answers

    def _forget_answers(self) -> None:
        self._first_asked_s = self._asked_s = self._answers_since_s = None
        self._pending = False
