"""Peaks: each rise of a word's averaged score is told once, with what became of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwsd.recognize import RecognizeCommands
from kwsd.recognize.peaks import FALL, LONGEST_MS, RISE, PeakTracker
from kwsd.recognize.recognize_commands import Verdict

LABELS = ("_silence_", "_unknown_", "stop", "go")
STRIDE_MS = 40


def scores(stop, go, rest="_silence_"):
    """Scores of these two words, and all the rest for one label."""
    return np.float32(
        [
            {"_silence_": 1 - stop - go, "_unknown_": 1 - stop - go, "stop": stop, "go": go}[label]
            * (label in (rest, "stop", "go"))
            for label in LABELS
        ]
    )


def heard(*levels, rest="_silence_", **settings):
    """The peaks and the words that fire, for the scores of stop and go, one clip after the other."""
    how = {"average_window_ms": 0, "minimum_count": 1, "detection_threshold": 0.6, "suppression_ms": 700} | settings
    armed = how.pop("armed", {})
    recognizer = RecognizeCommands(LABELS, **how)
    recognizer.arm(armed)
    peaks, fired = [], []
    tracker = PeakTracker(LABELS, peaks.append)
    for at, (stop, go) in enumerate(levels):
        label, score, is_new = recognizer.process(scores(stop, go, rest), at * STRIDE_MS)
        tracker.take(recognizer, label, score, at * STRIDE_MS)
        if is_new and not label.startswith("_"):
            fired.append(label)
    tracker.end()
    return peaks, fired


NOTHING = (0.0, 0.0)


def test_a_word_that_nearly_fires_is_told_with_its_highest_score():
    peaks, fired = heard(NOTHING, (0.3, 0), (0.58, 0), (0.4, 0), NOTHING)
    assert fired == []
    (peak,) = peaks
    assert (peak.label, peak.verdict, peak.audio_ms) == ("stop", Verdict.BELOW_THRESHOLD, 2 * STRIDE_MS)
    assert (peak.score, peak.threshold) == pytest.approx((0.58, 0.6))


def test_a_word_that_fires_is_told_once_when_it_is_over():
    peaks, fired = heard(NOTHING, (0.7, 0), (0.95, 0), (0.7, 0), (0.15, 0), (0.09, 0), NOTHING)
    assert fired == ["stop"]
    assert [(peak.verdict, round(peak.score, 2)) for peak in peaks] == [(Verdict.FIRED, 0.95)]


def test_a_word_so_soon_after_another_is_suppressed():
    peaks, fired = heard(NOTHING, (0.9, 0), (0.05, 0.9), NOTHING)
    assert fired == ["stop"]
    assert [(peak.label, peak.verdict) for peak in peaks] == [("stop", Verdict.FIRED), ("go", Verdict.SUPPRESSED)]


def test_a_word_that_is_held_for_long_is_told_every_three_seconds():
    clips = LONGEST_MS // STRIDE_MS
    peaks, fired = heard(NOTHING, *[(0.9, 0)] * (2 * clips), mode="tensorflow")
    assert fired == ["stop"]
    assert [peak.verdict for peak in peaks] == [Verdict.FIRED, Verdict.HELD]


def test_in_running_speech_a_word_is_held_back():
    how = {"mode": "repeat", "clip_ms": 200, "speech_threshold": 0.9, "rest": "_unknown_"}
    peaks, fired = heard(*[NOTHING] * 20, (0.8, 0), NOTHING, **how)
    assert (fired, [peak.verdict for peak in peaks]) == ([], [Verdict.SPEECH])
    peaks, fired = heard(*[NOTHING] * 20, (0.8, 0), NOTHING, armed={"stop": None}, **how)
    assert (fired, [peak.verdict for peak in peaks]) == (["stop"], [Verdict.FIRED])


def test_a_word_on_demand_fires_only_while_armed():
    how = {"on_demand": ("stop",)}
    peaks, fired = heard(NOTHING, (0.9, 0), NOTHING, **how)
    assert (fired, [peak.verdict for peak in peaks]) == ([], [Verdict.NOT_ARMED])
    peaks, fired = heard(NOTHING, (0.5, 0), NOTHING, armed={"stop": 0.45}, **how)
    assert (fired, [round(peak.threshold, 2) for peak in peaks]) == (["stop"], [0.45])


def test_an_armed_word_goes_before_unknown_but_not_before_another_word():
    assert heard((0.3, 0), NOTHING, armed={"stop": 0.25}, rest="_unknown_")[1] == ["stop"]
    assert heard(NOTHING, (0.3, 0.65), NOTHING, armed={"stop": 0.25})[1] == ["go"]
    assert heard(NOTHING, (0.55, 0), NOTHING, armed={"stop": None}, armed_threshold=0.5)[1] == ["stop"]


def test_what_is_no_word_of_the_model_cannot_be_armed():
    with pytest.raises(ValueError, match="cannot arm zzz"):
        RecognizeCommands(LABELS).arm({"zzz": None})
    with pytest.raises(ValueError, match="on_demand name zzz"):
        RecognizeCommands(LABELS, on_demand=["zzz"])


levels = st.tuples(st.floats(0, 0.5, width=16), st.floats(0, 0.5, width=16))


@given(st.lists(levels, max_size=120), st.sampled_from(["tensorflow", "rearm", "repeat"]))
def test_every_rise_is_told_and_nothing_else(clips, mode):
    """Against the definition, clip by clip; and peaks change nothing of what fires."""
    peaks, fired = heard(*clips, mode=mode, detection_threshold=0.3)
    alone = RecognizeCommands(
        LABELS, average_window_ms=0, minimum_count=1, detection_threshold=0.3, suppression_ms=700, mode=mode
    )
    words = []
    for at, (stop, go) in enumerate(clips):
        label, _, is_new = alone.process(scores(stop, go), at * STRIDE_MS)
        words += [label] if is_new and not label.startswith("_") else []
    assert fired == words
    for index, word in enumerate(("stop", "go")):
        expected, highest, since = [], None, 0
        for at, both in enumerate(clips):
            score = float(np.float32(both[index]))
            if highest is None and score > RISE:
                highest, since = score, at * STRIDE_MS
            elif highest is not None:
                highest = max(highest, score)
                if score < FALL or at * STRIDE_MS - since >= LONGEST_MS:
                    expected.append(highest)
                    highest = None
        expected += [] if highest is None else [highest]
        assert [peak.score for peak in peaks if peak.label == word] == expected
    assert sum(peak.verdict is Verdict.FIRED for peak in peaks) <= len(fired)
