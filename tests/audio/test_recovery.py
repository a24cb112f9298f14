"""kwsd/audio/recovery.py as stories: facts at a time, and what is done and said about them. Nothing sleeps here."""

import pytest

from kwsd.audio.recovery import Action, Facts, Recovery

NOTHING, OPEN, CLOSE, ASK, GIVE_UP = (
    Action.NOTHING,
    Action.OPEN,
    Action.CLOSE,
    Action.ASK,
    Action.GIVE_UP,
)
OPENING, CLOSING = Facts(call="open"), Facts(call="close")
GONE = Facts(failure="device 'usb': it is gone", absent=True)


def streaming(received, **more):
    return Facts(is_open=True, received=received, **more)


# Each row: time in seconds, facts, expected action, expected state.
STORIES = {
    "an ordinary start": [
        (0.0, Facts(), OPEN, "starting"),
        (0.2, OPENING, NOTHING, "starting"),
        (0.4, streaming(0), NOTHING, "starting"),
        (0.6, streaming(3200), NOTHING, "listening"),
        (0.8, streaming(6400), NOTHING, "listening"),
    ],
    "no device: it is looked for every two seconds, and heard when it comes": [
        (0.0, Facts(), OPEN, "starting"),
        (0.2, OPENING, NOTHING, "starting"),
        (0.4, GONE, NOTHING, "waiting"),
        (1.0, GONE, OPEN, "waiting"),
        (1.2, OPENING, NOTHING, "waiting"),
        (2.0, GONE, NOTHING, "waiting"),
        (2.8, GONE, NOTHING, "waiting"),
        (3.0, GONE, OPEN, "waiting"),
        (3.2, streaming(0), NOTHING, "waiting"),
        (3.4, streaming(320), NOTHING, "listening"),
    ],
    "a device that refuses is tried every second": [
        (0.0, Facts(), OPEN, "starting"),
        (0.2, Facts(failure="busy"), NOTHING, "waiting"),
        (1.0, Facts(failure="busy"), OPEN, "waiting"),
        (1.8, Facts(failure="busy"), NOTHING, "waiting"),
        (2.0, Facts(failure="busy"), OPEN, "waiting"),
    ],
    "unplugged and plugged in again": [
        (0.0, streaming(320), NOTHING, "listening"),
        (0.2, streaming(640, ended=True), CLOSE, "recovering"),
        (0.3, CLOSING, NOTHING, "recovering"),
        (0.4, Facts(), OPEN, "recovering"),
        (0.5, OPENING, NOTHING, "recovering"),
        (0.6, GONE, NOTHING, "waiting"),
        (2.4, GONE, OPEN, "waiting"),
        (2.6, streaming(10), NOTHING, "listening"),
    ],
    "suspended: closed and opened once, then waited for": [
        (0.0, streaming(320), NOTHING, "listening"),
        (2.0, streaming(320), NOTHING, "listening"),
        (2.2, streaming(320), ASK, "stalled"),
        (2.4, streaming(320), NOTHING, "stalled"),
        (2.6, streaming(320, answers=True), CLOSE, "recovering"),
        (2.8, Facts(answers=True), OPEN, "recovering"),
        (3.0, streaming(0, answers=True), NOTHING, "recovering"),
        (5.2, streaming(0, answers=True), ASK, "stalled"),
        (5.4, streaming(0), NOTHING, "stalled"),
        (5.6, streaming(0, answers=True), NOTHING, "stalled"),
        (6.4, streaming(0, answers=True), ASK, "stalled"),
        (8.0, streaming(320), NOTHING, "listening"),
    ],
    "a device that is open for ten seconds without a sample is opened again": [
        (0.0, streaming(0), NOTHING, "starting"),
        (2.2, streaming(0), ASK, "stalled"),
        (2.6, streaming(0, answers=True), NOTHING, "stalled"),
        (10.2, streaming(0, answers=True), CLOSE, "recovering"),
    ],
    "frozen: the stream is kept, and goes on by itself": [
        (0.0, streaming(320), NOTHING, "listening"),
        (2.2, streaming(320), ASK, "stalled"),
        (4.2, streaming(320, answers=False), ASK, "stalled"),
        (4.4, streaming(320), NOTHING, "stalled"),
        (6.4, streaming(320, answers=False), ASK, "stalled"),
        (7.0, streaming(90000), NOTHING, "listening"),
    ],
    "an old answer does not count for a new stall": [
        (0.0, streaming(320, answers=True), NOTHING, "listening"),
        (2.2, streaming(320, answers=True), ASK, "stalled"),
    ],
    "opening hangs on a frozen server, and comes back when it thaws": [
        (0.0, Facts(), OPEN, "starting"),
        (0.2, OPENING, NOTHING, "starting"),
        (2.2, OPENING, ASK, "waiting"),
        (4.4, OPENING._replace(answers=False), ASK, "waiting"),
        (6.6, OPENING._replace(answers=False), ASK, "waiting"),
        (8.0, streaming(0), NOTHING, "waiting"),
        (8.2, streaming(320), NOTHING, "listening"),
    ],
    "a close that hangs is waited for, and given up ten seconds after the server answers again": [
        (0.0, streaming(320), NOTHING, "listening"),
        (2.2, streaming(320), ASK, "stalled"),
        (2.6, streaming(320, answers=True), CLOSE, "recovering"),
        (2.8, CLOSING._replace(answers=True), NOTHING, "recovering"),
        (4.8, CLOSING._replace(answers=True), ASK, "recovering"),
        (6.8, CLOSING._replace(answers=False), ASK, "recovering"),
        (8.4, CLOSING._replace(answers=True), ASK, "recovering"),
        (18.3, CLOSING._replace(answers=True), ASK, "recovering"),
        (18.5, CLOSING._replace(answers=True), GIVE_UP, "recovering"),
    ],
    "a faulty signal is degraded, after listening, and back": [
        (0.0, streaming(320, fault="all zero"), NOTHING, "listening"),
        (0.2, streaming(640, fault="all zero"), NOTHING, "degraded"),
        (0.4, streaming(960), NOTHING, "listening"),
        (0.6, streaming(1280, fault="clipping"), NOTHING, "degraded"),
        (3.0, streaming(1280, fault="clipping"), ASK, "stalled"),
        (3.2, streaming(1600, fault="clipping"), NOTHING, "listening"),
        (3.4, streaming(1920, fault="clipping"), NOTHING, "degraded"),
    ],
}


@pytest.mark.parametrize("story", STORIES)
def test_story(story):
    recovery = Recovery(stall_s=2.0, now_s=0.0)
    for now_s, facts, action, state in STORIES[story]:
        assert (recovery.step(facts, now_s), recovery.state) == (action, state), f"at {now_s} s"
        assert recovery.reason


def test_a_state_begins_once_though_its_reason_may_change():
    recovery = Recovery(2.0, 0.0)
    recovery.step(Facts(failure="busy"), 1.0)
    recovery.step(Facts(failure="no input device", absent=True), 2.0)
    assert (recovery.state, recovery.since_s, recovery.reason) == ("waiting", 1.0, "no input device")


def test_whatever_happens_a_stall_is_told_within_a_second_of_its_limit():
    """From every kind of beginning, with looks at odd times."""
    for beginning in ([streaming(1)], [streaming(1, fault="x"), streaming(2, fault="x")], [streaming(0)]):
        recovery, now_s = Recovery(2.0, 0.0), 0.0
        for facts in beginning:
            recovery.step(facts, now_s)
        while now_s < 3.0:
            now_s += 0.23
            recovery.step(beginning[-1], now_s)
        assert recovery.state == "stalled"
        assert recovery.since_s <= 2.3


def test_hanging_is_known_only_while_a_call_is_out():
    recovery = Recovery(2.0, 0.0)
    recovery.step(OPENING, 0.0)
    recovery.step(OPENING, 2.5)
    assert recovery.hangs
    recovery.step(streaming(1), 2.6)
    assert not recovery.hangs
