"""What the daemon remembers of peaks, and how sure a rate can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

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


def test_counts_by_word_hour_outcome_and_score():
    counts = PeakCounts()
    for at_s, label, score, outcome in [
        (0, "stop", 0.58, "below_threshold"),
        (10, "stop", 0.59, "below_threshold"),
        (4000, "stop", 0.91, "fired"),
        (4000, "go", 0.7, "not_armed"),
    ]:
        counts.take(label, score, 0.6, outcome, at_s)
    counts.listened(1800, 1800)
    counts.listened(2700, 4500)
    report = counts.report(4500)
    assert report["hours"] == 0.75
    assert report["words"]["stop"] == {
        "threshold": 0.6,
        "peaks": {"below_threshold": {"0.55": 2}, "fired": {"0.90": 1}},
    }
    assert report["by_hour"] == [
        {"hour": "1970-01-01T00:00:00.000Z", "listened_s": 1800.0, "fired": {}},
        {"hour": "1970-01-01T01:00:00.000Z", "listened_s": 900.0, "fired": {"stop": 1}},
    ]


def test_a_month_is_kept_and_no_more():
    counts = PeakCounts()
    for hour in range(HOURS_MAX + 100):
        counts.take("stop", 0.5, 0.6, "below_threshold", hour * 3600)
        counts.listened((hour + 1) * 3600, hour * 3600)
    report = counts.report((HOURS_MAX + 99) * 3600)
    assert len(report["by_hour"]) == HOURS_MAX
    assert report["hours"] == HOURS_MAX
    assert report["words"]["stop"]["peaks"]["below_threshold"] == {"0.50": HOURS_MAX}
