"""Curves and the settings recommended from them, on made-up counts; sections of configurations."""

from dataclasses import replace

import numpy as np
import pytest
from kwsd_train.evaluation import curves
from kwsd_train.evaluation.curves import Curve

from kwsd.recognize.settings import CompleteRecognizeSettings

WORDS = ("yes", "no")
SETTINGS = CompleteRecognizeSettings()


def curve(*counts, **changed):
    """Thresholds 0.1, 0.2, ...; at each (missed, wrong, false alarms) of either word, said ten times."""
    array = np.array([[(10, *word) for word in point] for point in counts], np.int64)
    thresholds = tuple((place + 1) / 10 for place in range(len(counts)))
    return Curve(replace(SETTINGS, **changed), thresholds, array)


LOOSE_TO_STRICT = curve(
    [(0, 1, 9), (0, 0, 0)],
    [(1, 0, 3), (2, 0, 0)],
    [(4, 0, 0), (6, 0, 0)],
)


@pytest.mark.parametrize(("alarms_max", "threshold"), [(9, 0.1), (8, 0.2), (3, 0.2), (2.9, 0.3)])
def test_one_threshold_is_the_one_that_errs_least_within_the_alarms(alarms_max, threshold):
    choice = curves.recommend_shared([LOOSE_TO_STRICT], alarms_max)
    assert choice.settings.detection_threshold == threshold


def test_the_better_of_two_families_is_taken():
    better = curve([(0, 0, 1), (1, 0, 0)], suppression_ms=500)
    assert curves.recommend_shared([LOOSE_TO_STRICT, better], 5).settings.suppression_ms == 500


def test_where_nothing_is_quiet_enough_the_quietest_is_taken():
    choice = curves.recommend_shared([curve([(0, 0, 9), (0, 0, 9)], [(9, 0, 4), (9, 0, 4)])], 1)
    assert choice.settings.detection_threshold == 0.2


def independent(settings):
    """As if words did not get in each other's way."""
    places = [round(settings.thresholds[word] * 10) - 1 for word in WORDS]
    return LOOSE_TO_STRICT.counts[places, np.arange(2)]


@pytest.mark.parametrize(
    ("alarms_max", "expected"),
    [(9, {"yes": 0.2, "no": 0.1}), (3, {"yes": 0.2, "no": 0.1}), (0, {"yes": 0.3, "no": 0.1})],
)
def test_each_word_gets_a_threshold_of_its_own(alarms_max, expected):
    """The word "no" gives no false alarm at the loosest threshold, so that only "yes" has to be stricter."""
    choice = curves.recommend_per_word([LOOSE_TO_STRICT], alarms_max, WORDS, independent)
    assert choice is not None
    assert choice.settings.thresholds == expected


def test_no_thresholds_are_made_up_where_none_are_quiet_enough():
    loud = curve([(0, 0, 9), (0, 0, 9)])
    assert curves.recommend_per_word([loud], 1, WORDS, independent) is None


def test_rates_are_shares_of_what_was_said_and_per_hour():
    rates = curves.rates(LOOSE_TO_STRICT.counts[1], WORDS, 0.5)
    assert rates["miss_rate"] == 0.15
    assert rates["wrong_rate"] == 0
    assert rates["false_alarms_per_hour"] == 6
    assert rates["per_word"]["no"] == {"miss_rate": 0.2, "wrong": 0, "false_alarms_per_hour": 0}
