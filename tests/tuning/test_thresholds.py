"""Thresholds from what a room sounds like: never more false alarms than wanted, on what was heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwsd.report import MOVABLE, PeakCounts, poisson_interval
from kwsd.tuning.thresholds import GRID, LOWEST, NEVER, Quiet, fit, hours_needed, lowest_thresholds, quiet_of_report

WORDS = ("stop", "go", "up")
scores = st.floats(0.2, 1.0)
rooms = st.builds(
    Quiet,
    hours=st.floats(0.01, 100),
    scores=st.fixed_dictionaries({word: st.lists(scores, max_size=30) for word in WORDS}),
)
now = st.fixed_dictionaries({word: st.floats(0, 1) for word in WORDS})


def alarms(quiet, thresholds):
    return sum(quiet.alarms(word, threshold) for word, threshold in thresholds.items())


@given(rooms, now, st.floats(0.01, 50))
def test_there_are_never_more_false_alarms_than_wanted(quiet, now, wanted):
    found = fit(quiet, now, wanted)
    assert set(found) == set(WORDS)
    assert alarms(quiet, found) <= wanted * quiet.hours


@given(rooms, now, st.floats(0.01, 50))
def test_no_threshold_could_be_a_step_lower(quiet, now, wanted):
    found = fit(quiet, now, wanted)
    if wanted * quiet.hours >= 1:
        for word, threshold in found.items():
            place = GRID.index(threshold)
            assert place == 0 or alarms(quiet, found | {word: GRID[place - 1]}) > wanted * quiet.hours


@given(rooms, now, st.floats(0.01, 50))
def test_too_little_data_lowers_nothing(quiet, now, wanted):
    found = fit(quiet, now, wanted)
    if wanted * quiet.hours < 1:
        assert all(found[word] >= now[word] for word in WORDS)


THRESHOLDS = {"default": dict.fromkeys(WORDS, 0.6)}


@given(st.dictionaries(st.sampled_from(WORDS), st.lists(scores, max_size=30)), st.floats(0.01, 50))
def test_a_report_never_counts_fewer_than_its_peaks(peaks, hours):
    counts = PeakCounts()
    for word, some in peaks.items():
        for place, score in enumerate(some):
            counts.take("default", word, score, MOVABLE[place % 2], 0.0)
    quiet = quiet_of_report(counts.report(0.0, THRESHOLDS))
    for word, some in peaks.items():
        for threshold in GRID:
            assert quiet.alarms(word, threshold) >= sum(score > threshold for score in some)
        assert quiet.alarms(word, NEVER) == 0


def test_what_another_threshold_would_not_change_does_not_count():
    counts = PeakCounts()
    for outcome in ("speech", "held", "suppressed", "not_armed", "not_wanted"):
        counts.take("default", "stop", 0.9, outcome, 0.0)
    assert quiet_of_report(counts.report(0.0, THRESHOLDS)).alarms("stop", LOWEST) == 0


def test_an_hour_of_a_room():
    """Golden: ten peaks in four hours, of which eight, four and none may be false alarms."""
    quiet = Quiet(4.0, {"stop": [0.32, 0.41, 0.44, 0.52, 0.58, 0.71], "go": [0.34, 0.62, 0.91], "up": [0.97]})
    now = {"stop": 0.6, "go": 0.6, "up": 0.8}
    assert fit(quiet, now, 2.0) == {"stop": 0.4, "go": 0.4, "up": 0.4}
    assert fit(quiet, now, 1.0) == {"stop": 0.6, "go": 0.4, "up": 0.4}
    assert fit(quiet, now, 0.1) == {"stop": 0.75, "go": 0.95, "up": NEVER}


def test_the_word_with_the_most_alarms_is_raised_first():
    steps = {"stop": (0.3, 0.4, 0.5), "go": (0.3, 0.4)}
    table = {("stop", 0.3): 5, ("stop", 0.4): 3, ("stop", 0.5): 0, ("go", 0.3): 4, ("go", 0.4): 4}

    def alarms_at(thresholds):
        return {word: table[word, threshold] for word, threshold in thresholds.items()}

    assert lowest_thresholds(steps, alarms_at, 9) == {"stop": 0.3, "go": 0.3}
    assert lowest_thresholds(steps, alarms_at, 7) == {"stop": 0.4, "go": 0.3}
    assert lowest_thresholds(steps, alarms_at, 0) == {"stop": 0.5, "go": 0.4}  # and cannot be raised any more


@given(st.floats(0.01, 100))
def test_so_many_hours_without_a_false_alarm_show_the_rate(wanted):
    assert poisson_interval(0)[1] / hours_needed(wanted) == pytest.approx(wanted)
