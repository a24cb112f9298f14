"""What the daemon remembers of peaks, and how sure a rate can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kwsd.cli.report import in_words
from kwsd.report import HOURS_MAX, STEP, PeakCounts, poisson_interval, step_of


@given(st.integers(0, 300), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_is_the_exact_one(count, share):
    """SciPy has it by the quantiles of chi-square."""
    low, high = poisson_interval(count, share)
    tail = (1 - share) / 2
    assert low == pytest.approx(stats.chi2.ppf(tail, 2 * count) / 2 if count else 0, rel=1e-6)
    assert high == pytest.approx(stats.chi2.ppf(1 - tail, 2 * count + 2) / 2, rel=1e-6)


@given(st.floats(0, 1))
def test_a_score_is_in_its_step(score):
    step = step_of(score)
    assert 0 <= step <= 19
    assert step * STEP - 1e-6 <= score <= (step + 1) * STEP + 1e-6


THRESHOLDS = {"default": {"stop": 0.6, "go": 0.8}}


def test_counts_by_word_hour_outcome_and_score():
    counts = PeakCounts()
    for at_s, label, score, outcome in [
        (0, "stop", 0.58, "below_threshold"),
        (10, "stop", 0.59, "below_threshold"),
        (4000, "stop", 0.91, "fired"),
        (4000, "go", 0.7, "not_armed"),
    ]:
        counts.take("default", label, score, outcome, at_s)
    counts.listened({"default": 1800}, 1800)
    counts.listened({"default": 2700}, 4500)
    report = counts.report(4500, THRESHOLDS)
    assert report["hours"] == 0.75
    assert report["words"]["stop"] == {
        "threshold": 0.6,
        "peaks": {"below_threshold": {"0.55": 2}, "fired": {"0.90": 1}},
    }
    assert report["by_hour"] == [
        {"hour": "1970-01-01T00:00:00.000Z", "listened_s": 1800.0, "fired": {}},
        {"hour": "1970-01-01T01:00:00.000Z", "listened_s": 900.0, "fired": {"stop": 1}},
    ]
    assert report["listeners"] == {"default": {"hours": 0.75, "words": report["words"]}}


def test_a_month_is_kept_and_no_more():
    counts = PeakCounts()
    for hour in range(HOURS_MAX + 100):
        counts.take("default", "stop", 0.5, "below_threshold", hour * 3600)
        counts.listened({"default": (hour + 1) * 3600}, hour * 3600)
    report = counts.report((HOURS_MAX + 99) * 3600, THRESHOLDS)
    assert len(report["by_hour"]) == HOURS_MAX
    assert report["hours"] == HOURS_MAX
    assert report["words"]["stop"]["peaks"]["below_threshold"] == {"0.50": HOURS_MAX}


def test_a_clock_that_was_once_ahead_leaves_no_trace():
    """Without this, what follows would never be too old: hours and peaks would be of different times."""
    counts = PeakCounts()
    counts.listened({"default": 3600}, 130 * 365 * 86_400)
    for hour in range(2 * HOURS_MAX):
        counts.take("default", "stop", 0.5, "below_threshold", hour * 3600)
        counts.listened({"default": (hour + 2) * 3600}, hour * 3600)
    report = counts.report((2 * HOURS_MAX - 1) * 3600, THRESHOLDS)
    assert len(report["by_hour"]) == report["hours"] == HOURS_MAX
    assert report["words"]["stop"]["peaks"]["below_threshold"] == {"0.50": HOURS_MAX}


def test_a_peak_told_after_the_hour_has_passed_takes_nothing_away():
    counts = PeakCounts()
    counts.listened({"default": 3600}, 3600)
    counts.take("default", "stop", 0.5, "below_threshold", 3599)
    report = counts.report(3600, THRESHOLDS)
    assert report["hours"] == 1 and report["words"]["stop"]["peaks"] == {"below_threshold": {"0.50": 1}}


def test_each_listener_has_its_own_counts_and_thresholds():
    """In the sum, the lowest threshold stands for all."""
    counts = PeakCounts()
    counts.take("kitchen", "stop", 0.58, "below_threshold", 0)
    counts.take("porch", "stop", 0.58, "fired", 0)
    counts.take("porch", "go", 0.58, "fired", 0)
    counts.take("attic", "go", 0.58, "fired", 0)
    counts.listened({"kitchen": 3600, "porch": 1800, "attic": 10}, 0)
    report = counts.report(0, {"kitchen": {"stop": 0.7}, "porch": {"stop": 0.5, "go": 0.8}})
    kitchen, porch = report["listeners"].values()
    assert kitchen == {"hours": 1.0, "words": {"stop": {"threshold": 0.7, "peaks": {"below_threshold": {"0.55": 1}}}}}
    assert porch["hours"] == 0.5 and list(porch["words"]) == ["go", "stop"]
    assert report["words"]["stop"]["threshold"] == 0.5
    assert report["words"]["stop"]["peaks"] == {"below_threshold": {"0.55": 1}, "fired": {"0.55": 1}}


def test_people_are_told_of_each_listener_by_its_name():
    counts = PeakCounts()
    counts.take("porch", "stop", 0.58, "fired", 0)
    counts.listened({"kitchen": 3600, "porch": 1800}, 0)
    both = {"kitchen": {"stop": 0.7}, "porch": {"stop": 0.5}}
    told = list(in_words(counts.report(0, both)))
    assert told[0] == "kitchen: listened for 1.00 hours since 1970-01-01T00:00:00.000Z"
    assert "porch: listened for 0.50 hours since 1970-01-01T00:00:00.000Z" in told
    assert told[-11].startswith("stop: threshold 0.5, fired 1 (2 an hour")
    (alone, *_) = in_words(counts.report(0, {"porch": both["porch"]}))
    assert alone == "listened for 0.50 hours since 1970-01-01T00:00:00.000Z"
