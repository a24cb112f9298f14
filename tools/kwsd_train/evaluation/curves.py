"""Miss rate against false alarms per hour over a grid of settings, and the best settings. Pure functions.

A *family* is a set of settings that differ only in their threshold; a *curve* is a family's counts over thresholds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd.recognize.settings import CompleteRecognizeSettings
from kwsd.tuning.thresholds import lowest_thresholds
from kwsd_train.evaluation.hearing import Heard
from kwsd_train.evaluation.replay import Replayer
from kwsd_train.evaluation.score import Row, strict

SAID, MISSED, WRONG, FALSE_ALARMS = range(4)

Counts = NDArray[np.int64]
"""Shape (words, 4): for each word, how often it was spoken and missed, and its wrong detections and false alarms."""


def count(replayer: Replayer, rows: Sequence[Row], settings: CompleteRecognizeSettings, words: Sequence[str]) -> Counts:
    """The strict score of one recording with these settings, word by word."""
    found = replayer.found(settings)
    result = strict(rows, found)
    place = {word: number for number, word in enumerate(words)}
    counts = np.zeros((len(words), 4), np.int64)
    for row in rows:
        if row.label in place:
            counts[place[row.label], [SAID, MISSED]] += 1
    for number, _ in result.hits:
        counts[place[rows[number].label], MISSED] -= 1
    for number in result.wrong:
        counts[place[found[number].label], WRONG] += 1
    for number in result.false_alarms:
        counts[place[found[number].label], FALSE_ALARMS] += 1
    return counts


@dataclass(frozen=True)
class Curve:
    """A family over thresholds.

    Attributes:
        settings: with any threshold.
        thresholds: ascending, shape (n,).
        counts: at each, shape (n, words, 4), summed over the recordings.
    """

    settings: CompleteRecognizeSettings
    thresholds: tuple[float, ...]
    counts: Counts

    def points(self, words: Sequence[str], hours: float) -> list[dict[str, Any]]:
        """The curve as data: rates of the mean and of each word."""
        return [
            {"detection_threshold": threshold, **rates(counts, words, hours)}
            for threshold, counts in zip(self.thresholds, self.counts, strict=True)
        ]


def rates(counts: Counts, words: Sequence[str], hours: float) -> dict[str, Any]:
    """Counts as rates. Miss rates are relative to the times a word was spoken, None if never; alarms are per hour."""

    def rate(part: float, of: float) -> float | None:
        return round(float(part / of), 5) if of else None

    per_word = {
        word: {
            "miss_rate": rate(row[MISSED], row[SAID]),
            "wrong": int(row[WRONG]),
            "false_alarms_per_hour": rate(row[FALSE_ALARMS], hours),
        }
        for word, row in zip(words, counts, strict=True)
    }
    missed = [item["miss_rate"] for item in per_word.values() if item["miss_rate"] is not None]
    total = counts.sum(axis=0)
    return {
        "miss_rate": rate(total[MISSED], total[SAID]),
        "mean_miss_rate": rate(sum(missed), len(missed)),
        "wrong_rate": rate(total[WRONG], total[SAID]),
        "false_alarms_per_hour": rate(total[FALSE_ALARMS], hours),
        "per_word": per_word,
    }


def sweep(
    heard: Sequence[tuple[Heard, Sequence[Row]]],
    family: CompleteRecognizeSettings,
    thresholds: Sequence[float],
    words: Sequence[str],
) -> Curve:
    """One family over all recordings."""
    counts = np.zeros((len(thresholds), len(words), 4), np.int64)
    for one, rows in heard:
        replayer = Replayer(one)
        for place, threshold in enumerate(thresholds):
            settings = replace(family, detection_threshold=threshold, thresholds={})
            counts[place] += count(replayer, rows, settings, words)
    return Curve(family, tuple(thresholds), counts)


class Choice(NamedTuple):
    """Settings, and their counts."""

    settings: CompleteRecognizeSettings
    counts: Counts

    @property
    def cost(self) -> tuple[int, int]:
        """The sort key to minimise: words missed or wrong, then false alarms."""
        total = self.counts.sum(axis=0)
        return int(total[MISSED] + total[WRONG]), int(total[FALSE_ALARMS])


def recommend_shared(curves: Iterable[Curve], alarms_max: float) -> Choice:
    """The settings with one threshold for all words that have the fewest errors with at most ``alarms_max`` false
    alarms in all; those with the fewest false alarms if there are none."""
    choices = [
        Choice(replace(curve.settings, detection_threshold=threshold, thresholds={}), counts)
        for curve in curves
        for threshold, counts in zip(curve.thresholds, curve.counts, strict=True)
    ]
    fitting = [choice for choice in choices if choice.cost[1] <= alarms_max]
    return min(fitting or choices, key=lambda choice: choice.cost if fitting else choice.cost[::-1])


def recommend_per_word(
    curves: Sequence[Curve],
    alarms_max: float,
    words: Sequence[str],
    replay: Callable[[CompleteRecognizeSettings], Counts],
    tries: int = 3,
) -> Choice | None:
    """The same with a threshold for each word; None if no such settings were found.

    Each word gets the threshold at which its errors plus a price for each of its false alarms are least; the price, one
    for all words, rises until the alarms are few enough, as in Lagrange's method. Words affect each other,
    so the best ``tries`` families are replayed, and the price rises further if that shows too many alarms.
    """
    ranked: list[tuple[int, int, Curve, float]] = []
    for curve in curves:
        for price in (0.0, *np.geomspace(0.01, 100, 60)):
            places = _places(curve.counts, price)
            counts = curve.counts[places, np.arange(len(words))]
            if counts[:, FALSE_ALARMS].sum() <= alarms_max:
                ranked.append((int(counts[:, [MISSED, WRONG]].sum()), len(ranked), curve, price))
                break
    best: Choice | None = None
    for _, _, curve, price in sorted(ranked, key=lambda item: item[:2])[:tries]:
        for higher in price * np.geomspace(1, 1000, 13) if price else (0.0, *np.geomspace(0.01, 100, 12)):
            thresholds = [curve.thresholds[place] for place in _places(curve.counts, float(higher))]
            said = curve.counts[0, :, SAID] > 0  # nothing is known about the others
            settings = replace(
                curve.settings,
                detection_threshold=float(np.median(thresholds)),
                thresholds={word: thresholds[place] for place, word in enumerate(words) if said[place]},
            )
            choice = Choice(settings, replay(settings))
            if choice.cost[1] <= alarms_max:
                if best is None or choice.cost < best.cost:
                    best = choice
                break
    return best


def recommend_from_negatives(
    curve: Curve, alarms_max: float, words: Sequence[str], replay: Callable[[CompleteRecognizeSettings], Counts]
) -> Choice:
    """The lowest thresholds with at most ``alarms_max`` false alarms in all, for recordings without words."""

    def settings_at(thresholds: Mapping[str, float]) -> CompleteRecognizeSettings:
        middle = float(np.median(list(thresholds.values())))
        return replace(curve.settings, detection_threshold=middle, thresholds=dict(thresholds))

    def alarms_at(thresholds: Mapping[str, float]) -> dict[str, int]:
        return dict(zip(words, replay(settings_at(thresholds))[:, FALSE_ALARMS].tolist(), strict=True))

    chosen = settings_at(lowest_thresholds(dict.fromkeys(words, curve.thresholds), alarms_at, alarms_max))
    return Choice(chosen, replay(chosen))


def _places(counts: Counts, price: float) -> NDArray[np.int64]:
    """For each word the index of the best threshold, or the middle one of several equally good; shape (words,)."""
    cost = counts[:, :, MISSED] + counts[:, :, WRONG] + price * counts[:, :, FALSE_ALARMS]
    best = np.isclose(cost, cost.min(axis=0))
    return np.array([np.flatnonzero(column)[np.count_nonzero(column) // 2] for column in best.T], np.int64)


def as_mapping(settings: CompleteRecognizeSettings) -> Mapping[str, Any]:
    """Settings in the form of a configuration's ``recognize`` section, or a model's metadata."""
    mapping: dict[str, Any] = {
        "mode": settings.mode,
        "clip_stride_ms": _whole(settings.clip_stride_ms),
        "average_window_ms": settings.average_window_ms,
        "suppression_ms": settings.suppression_ms,
        "minimum_count": settings.minimum_count,
        "detection_threshold": settings.detection_threshold,
        "speech_threshold": settings.speech_threshold,
    }
    if settings.thresholds:
        mapping["thresholds"] = dict(settings.thresholds)
    return mapping


def _whole(number: float) -> float:
    return int(number) if float(number).is_integer() else number
