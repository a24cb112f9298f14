"""What is done about a stream, told the time."""

from hypothesis import given
from hypothesis import strategies as st

from kwsd.audio.stream.supervision import CALM_S, CONNECT_S, DEAD_S, RETRY_MOST_S, RETRY_S, Action, Facts, Supervision
from kwsd.status import State

HEARD, SILENT = Facts(heard=True), Facts()


def started(now_s=0.0):
    supervision = Supervision(2.0, now_s)
    assert supervision.step(None, None, now_s) is Action.START
    return supervision


def pauses(supervision, facts, count):
    """How long the pauses are where each ffmpeg shows these facts and ends."""
    found, now_s = [], 0.0
    for _ in range(count):
        for each in facts:
            supervision.step(each, None, now_s)
        assert supervision.step(Facts(ended="refused"), None, now_s) is Action.END
        since_s = now_s
        while supervision.step(None, None, now_s) is Action.NOTHING:
            now_s += 0.25
        found.append(now_s - since_s)
    return found


def test_pauses_double_up_to_a_limit():
    supervision = started()
    assert pauses(supervision, [], 7) == [0.5, 1, 2, 4, 8, 10, 10]
    assert supervision.state == State.WAITING
    assert supervision.failed == "refused"


def test_a_stream_that_breaks_off_at_once_is_not_asked_for_ever_more_often():
    assert pauses(started(), [HEARD], 4) == [0.5, 1, 2, 4]


def test_a_stream_that_was_heard_for_a_while_is_asked_for_at_once():
    supervision = started()
    assert pauses(supervision, [], 5)[-1] == 8
    now_s = 100.0
    while now_s <= 100 + CALM_S + 1:
        supervision.step(HEARD, None, now_s)
        now_s += 0.5
    assert supervision.step(Facts(ended="the stream ended"), None, now_s) is Action.END
    assert (supervision.state, supervision.reason) == (State.RECOVERING, "the stream ended")
    assert supervision.step(None, None, now_s + RETRY_S) is Action.START


def test_silence_is_a_stall_and_then_the_end():
    supervision = started()
    supervision.step(HEARD, None, 1.0)
    supervision.step(SILENT, None, 2.9)
    assert supervision.state == State.LISTENING
    supervision.step(SILENT, None, 3.0)
    assert supervision.state == State.STALLED
    supervision.step(HEARD, None, 4.0)
    assert supervision.state == State.LISTENING
    assert supervision.step(SILENT, None, 4 + DEAD_S) is Action.END
    assert supervision.state == State.RECOVERING


def test_who_never_sends_anything_is_given_up():
    supervision = started()
    assert supervision.step(SILENT, None, CONNECT_S - 0.1) is Action.NOTHING
    assert supervision.state == State.STARTING
    assert supervision.step(SILENT, None, CONNECT_S) is Action.END
    assert supervision.state == State.WAITING


def test_listening_comes_before_what_is_wrong_with_it():
    supervision = started()
    supervision.step(HEARD, "all zero", 1.0)
    assert supervision.state == State.LISTENING
    supervision.step(HEARD, "all zero", 1.1)
    assert (supervision.state, supervision.reason) == (State.DEGRADED, "all zero")


@given(st.lists(st.tuples(st.sampled_from([HEARD, SILENT, Facts(ended="x"), Facts(True, "x")]), st.floats(0.01, 30))))
def test_whatever_happens_a_stream_is_asked_for_again(story):
    supervision, runs, now_s = started(), True, 0.0
    for facts, later_s in story:
        now_s += later_s
        action = supervision.step(facts if runs else None, None, now_s)
        runs = action is Action.START or (runs and action is not Action.END)
        assert supervision.state in (
            *(State.STARTING, State.LISTENING, State.STALLED, State.RECOVERING, State.WAITING),
        )
    if not runs:
        assert supervision.step(None, None, now_s + RETRY_MOST_S) is Action.START
