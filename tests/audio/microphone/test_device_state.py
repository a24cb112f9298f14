"""kwsd/audio/microphone/device_state.py: what is done about each fault, on a clock of the test's own."""

import pytest

from kwsd.audio.microphone.device_state import Action, Facts, Recovery

NOTHING, START, START_SECOND = Action.NOTHING, Action.START, Action.START_SECOND
DROP_SECOND, PROMOTE = Action.DROP_SECOND, Action.PROMOTE_SECOND

OPENING, TRYING = Facts(), Facts(reported=True)
OPENED, SILENT, HEARD = Facts(reported=True, opened=True), Facts(opened=True), Facts(opened=True, heard=True)
BUSY, ABSENT = Facts(reported=True, failure="busy"), Facts(reported=True, failure="no input device")
GONE, CRASHED = Facts(opened=True, ended="the device went away"), Facts(ended="the audio library crashed (Aborted)")

# Each step: seconds, the first process, the second, what is wrong with the signal; what is done then, and the state.
STORIES = {
    "a start as it should be": [
        (0.0, None, None, None, START, "starting"),
        (0.2, TRYING, None, None, NOTHING, "starting"),
        (0.4, OPENED, None, None, NOTHING, "starting"),
        (0.5, HEARD, None, None, NOTHING, "listening"),
        (1.5, HEARD, None, None, NOTHING, "listening"),
    ],
    "unplugged, and back": [
        (0.0, None, None, None, START, "starting"),
        (0.5, HEARD, None, None, NOTHING, "listening"),
        (9.0, GONE, None, None, START, "recovering"),
        (9.2, TRYING, None, None, NOTHING, "recovering"),
        (9.3, ABSENT, None, None, NOTHING, "waiting"),
        (10.3, TRYING._replace(failure="no input device"), None, None, NOTHING, "waiting"),
        (10.4, OPENED, None, None, NOTHING, "waiting"),
        (10.5, HEARD, None, None, NOTHING, "listening"),
    ],
    "a device that goes away as soon as it is opened is not opened more often than every second and a half": [
        (0.0, None, None, None, START, "starting"),
        (0.1, GONE, None, None, NOTHING, "waiting"),
        (1.4, GONE, None, None, NOTHING, "waiting"),
        (1.5, GONE, None, None, START, "waiting"),
    ],
    "busy at the start": [
        (0.0, None, None, None, START, "starting"),
        (0.3, BUSY, None, None, NOTHING, "waiting"),
        (1.3, BUSY, None, None, NOTHING, "waiting"),
        (1.6, HEARD, None, None, NOTHING, "listening"),
    ],
    "a sound server that freezes, and thaws: the stream is kept": [
        (0.0, None, None, None, START, "starting"),
        (0.5, HEARD, None, None, NOTHING, "listening"),
        (2.4, SILENT, None, None, NOTHING, "listening"),
        (2.5, SILENT, None, None, START_SECOND, "stalled"),
        (4.4, SILENT, OPENING, None, NOTHING, "stalled"),
        (4.6, SILENT, OPENING, None, NOTHING, "stalled"),
        (12.5, SILENT, OPENING, None, START_SECOND, "stalled"),
        (30.0, HEARD, OPENING, None, DROP_SECOND, "listening"),
    ],
    "suspended: whichever is heard first stays": [
        (0.0, None, None, None, START, "starting"),
        (0.5, HEARD, None, None, NOTHING, "listening"),
        (2.5, SILENT, None, None, START_SECOND, "stalled"),
        (2.8, SILENT, OPENED, None, NOTHING, "stalled"),
        (4.0, SILENT, SILENT, None, NOTHING, "stalled"),
        (9.0, SILENT, HEARD, None, PROMOTE, "stalled"),
        (9.1, HEARD, None, None, NOTHING, "listening"),
    ],
    "a library that spins after opening is replaced within two seconds": [
        (0.0, None, None, None, START, "starting"),
        (0.5, HEARD, None, None, NOTHING, "listening"),
        (5.0, GONE, None, None, START, "recovering"),
        (5.3, OPENED, None, None, NOTHING, "recovering"),
        (6.2, SILENT, None, None, NOTHING, "recovering"),
        (6.3, SILENT, None, None, START_SECOND, "recovering"),
        (6.6, SILENT, OPENED, None, NOTHING, "recovering"),
        (6.7, SILENT, HEARD, None, PROMOTE, "recovering"),
        (6.8, HEARD, None, None, NOTHING, "listening"),
    ],
    "frozen before the start": [
        (0.0, None, None, None, START, "starting"),
        (0.1, TRYING, None, None, NOTHING, "starting"),
        (2.1, OPENING, None, None, START_SECOND, "waiting"),
        (2.2, OPENING, TRYING, None, NOTHING, "waiting"),
        (9.0, TRYING, OPENING, None, NOTHING, "waiting"),
        (9.2, HEARD, OPENING, None, DROP_SECOND, "listening"),
    ],
    "the second is told that the device is busy: the first held it, and is killed": [
        (0.0, None, None, None, START, "starting"),
        (0.5, HEARD, None, None, NOTHING, "listening"),
        (2.5, SILENT, None, None, START_SECOND, "stalled"),
        (2.8, SILENT, BUSY, None, PROMOTE, "stalled"),
        (2.9, BUSY, None, None, NOTHING, "waiting"),
        (3.9, HEARD, None, None, NOTHING, "listening"),
    ],
    "a card that takes its time for the first samples is not taken away from the first for that": [
        (0.0, None, None, None, START, "starting"),
        (0.3, OPENED, None, None, NOTHING, "starting"),
        (1.3, SILENT, None, None, START_SECOND, "starting"),
        (1.6, SILENT, BUSY, None, NOTHING, "starting"),
        (3.0, HEARD, BUSY, None, DROP_SECOND, "listening"),
    ],
    "a card that never brings a sample is": [
        (0.0, None, None, None, START, "starting"),
        (0.3, OPENED, None, None, NOTHING, "starting"),
        (1.3, SILENT, None, None, START_SECOND, "starting"),
        (10.3, SILENT, BUSY, None, PROMOTE, "starting"),
    ],
    "the first ends while there is a second": [
        (0.0, None, None, None, START, "starting"),
        (0.5, HEARD, None, None, NOTHING, "listening"),
        (2.5, SILENT, None, None, START_SECOND, "stalled"),
        (2.8, GONE, OPENED, None, PROMOTE, "recovering"),
        (2.9, HEARD, None, None, NOTHING, "listening"),
    ],
    "a second that crashes is followed by another": [
        (0.0, None, None, None, START, "starting"),
        (0.5, HEARD, None, None, NOTHING, "listening"),
        (2.5, SILENT, None, None, START_SECOND, "stalled"),
        (2.8, SILENT, CRASHED, None, NOTHING, "stalled"),
        (4.0, SILENT, CRASHED, None, START_SECOND, "stalled"),
    ],
    "a crash while it listens": [
        (0.0, None, None, None, START, "starting"),
        (0.5, HEARD, None, None, NOTHING, "listening"),
        (3.0, CRASHED, None, None, START, "recovering"),
        (3.3, HEARD, None, None, NOTHING, "listening"),
    ],
    "a crash at the start is tried again": [
        (0.0, None, None, None, START, "starting"),
        (0.1, CRASHED, None, None, NOTHING, "waiting"),
        (1.5, CRASHED, None, None, START, "waiting"),
    ],
    "a library that is gone for a while": [
        (0.0, None, None, None, START, "starting"),
        (0.5, HEARD, None, None, NOTHING, "listening"),
        (3.0, GONE, None, None, START, "recovering"),
        (3.2, Facts(failure="PortAudio: not there", ended="ended with 0"), None, None, NOTHING, "waiting"),
        (4.5, Facts(failure="PortAudio: not there", ended="ended with 0"), None, None, START, "waiting"),
    ],
    "a bad signal is degraded, after listening, and back": [
        (0.0, None, None, None, START, "starting"),
        (0.4, HEARD, None, "all zero", NOTHING, "listening"),
        (0.6, HEARD, None, "all zero", NOTHING, "degraded"),
        (0.8, HEARD, None, None, NOTHING, "listening"),
        (1.0, HEARD, None, "clipping", NOTHING, "degraded"),
        (3.2, SILENT, None, "clipping", START_SECOND, "stalled"),
        (3.4, HEARD, OPENING, "clipping", DROP_SECOND, "listening"),
        (3.6, HEARD, None, "clipping", NOTHING, "degraded"),
    ],
}


@pytest.mark.parametrize("story", STORIES)
def test_story(story):
    recovery = Recovery(stall_s=2.0, now_s=0.0)
    for now_s, first, second, fault, action, state in STORIES[story]:
        assert (recovery.step(first, second, fault, now_s), recovery.state) == (action, state), f"at {now_s} s"
        assert recovery.reason


def test_a_silence_is_told_in_words_as_far_as_the_second_process_knows():
    recovery = Recovery(2.0, 0.0)
    recovery.step(None, None, None, 0.0)
    recovery.step(HEARD, None, None, 0.5)
    recovery.step(SILENT, None, None, 2.5)
    assert recovery.reason == "no samples for 2 s"
    recovery.step(SILENT, OPENING, None, 4.5)
    assert recovery.reason == "no samples: the sound system does not answer"
    recovery.step(SILENT, OPENED, None, 4.6)
    recovery.step(SILENT, SILENT, None, 5.7)
    assert "suspended" in recovery.reason


def test_whatever_happens_a_stall_is_told_within_a_second_of_its_limit():
    """From every kind of beginning, with looks at odd times."""
    for beginning in ([HEARD], [HEARD, HEARD], [OPENED]):
        recovery, now_s = Recovery(2.0, 0.0), 0.0
        recovery.step(None, None, None, 0.0)
        for facts in beginning:
            recovery.step(facts, None, "a fault", now_s)
        second = None
        while now_s < 3.0 and recovery.state != "stalled":
            now_s += 0.23
            if recovery.step(SILENT, second, "a fault", now_s) is START_SECOND:
                second = OPENED
            elif second is not None:
                second = SILENT
        assert recovery.state == "stalled"


def test_a_second_process_is_replaced_ever_more_rarely():
    recovery, second, starts = Recovery(2.0, 0.0), None, []
    recovery.step(None, None, None, 0.0)
    recovery.step(HEARD, None, None, 0.0)
    for now_s in range(1, 3000):
        if recovery.step(SILENT, second, None, now_s) is START_SECOND:
            second = OPENING
            starts.append(now_s)
    assert starts == [2, 12, 32, 72, 152, 312, 612, 912, 1212, 1512, 1812, 2112, 2412, 2712]


def test_hanging_is_known_only_until_it_is_over():
    recovery = Recovery(2.0, 0.0)
    recovery.step(None, None, None, 0.0)
    recovery.step(OPENING, None, None, 2.5)
    assert recovery.hangs
    recovery.step(HEARD, None, None, 2.6)
    assert not recovery.hangs
