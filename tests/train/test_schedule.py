"""The learning rate of each step."""

import pytest
from kwsd_train.training.schedule import make_schedule

from kwsd.errors import UsageError


def test_the_tutorials_stages():
    schedule = make_schedule((15000, 3000), (0.001, 0.0001), "stages", 0)
    assert schedule.total == 18000
    assert [schedule.rate(step) for step in (1, 15000, 15001, 18000, 18001)] == [0.001, 0.001, 0.0001, 0.0001, 0.0001]


def test_cosine_falls_to_zero_after_a_warm_up():
    schedule = make_schedule((1000,), (0.1,), "cosine", 100)
    rates = [schedule.rate(step) for step in range(1, 1001)]
    assert rates[0] == pytest.approx(0.001, rel=1e-3)
    assert max(rates) == pytest.approx(0.0976, abs=1e-4)
    assert rates[499] == pytest.approx(0.05)
    assert rates[-1] == 0
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_lists_that_do_not_fit_are_told():
    with pytest.raises(UsageError, match="must be equal length lists, but are 2 and 1 long instead"):
        make_schedule((10, 20), (0.1,), "stages", 0)
