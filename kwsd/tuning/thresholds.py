"""From a room's sounds to the lowest thresholds that give no more false alarms than allowed. Pure functions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kwsd.report import MOVABLE, STEP, poisson_interval

LOWEST = 0.4
"""The lowest threshold considered: below it, other words are mistaken for the word (docs/accuracy.md)."""

NEVER = 1.0
"""A threshold that no score exceeds: the word never fires."""

GRID = (*(round(LOWEST + place * STEP, 2) for place in range(12)), NEVER)
"""The thresholds tried: 0.4, 0.45, ... 0.95, and never; the steps that a daemon's report counts in."""


@dataclass(frozen=True)
class Quiet:
    """What was heard while nobody meant a word.

    Attributes:
        hours: of audio.
        scores: for each word the highest scores of its peaks; each is a false alarm at every threshold below it.
    """

    hours: float
    scores: Mapping[str, Sequence[float]]

    def alarms(self, word: str, threshold: float) -> int:
        """How often a word would have fired at a threshold."""
        return sum(score > threshold for score in self.scores.get(word, ()))


def quiet_of_report(report: Mapping[str, Any]) -> Quiet:
    """From the answer to ``{"get":"report"}``, taking each score for the highest of its step.

    Peaks held back by running speech do not count, although with a much lower threshold, which also lowers what is
    needed after a little speech, some would fire. Peaks below their threshold count, though some of them might have
    been held back too.
    """
    words = report["words"].items()
    return Quiet(report["hours"], {word: tuple(_scores(one["peaks"])) for word, one in words})


def _scores(peaks: Mapping[str, Mapping[str, int]]) -> Iterator[float]:
    for outcome in MOVABLE:
        for step, count in peaks.get(outcome, {}).items():
            yield from [round(float(step) + STEP, 2)] * count


def lowest_thresholds(
    steps: Mapping[str, Sequence[float]],
    alarms_at: Callable[[Mapping[str, float]], Mapping[str, int]],
    alarms_max: float,
) -> dict[str, float]:
    """The lowest thresholds with at most ``alarms_max`` false alarms in all.

    All begin at their lowest, and the word with the most alarms (of several, the one with the lowest threshold) is
    raised step by step, at worst to its highest. Then each is lowered again as far as possible: the last of several
    steps may have been enough.

    Args:
        steps: for each word the thresholds to try, ascending.
        alarms_at: returns how many false alarms each word gives with such thresholds.
    """
    places = dict.fromkeys(steps, 0)
    while True:
        thresholds = {word: steps[word][place] for word, place in places.items()}
        alarms = alarms_at(thresholds)
        can = [word for word, place in places.items() if alarms[word] and place + 1 < len(steps[word])]
        if sum(alarms.values()) <= alarms_max:
            return _lowered(thresholds, steps, alarms_at, alarms_max)
        if not can:
            return thresholds
        places[max(can, key=lambda word: (alarms[word], -thresholds[word]))] += 1


def _lowered(
    thresholds: dict[str, float],
    steps: Mapping[str, Sequence[float]],
    alarms_at: Callable[[Mapping[str, float]], Mapping[str, int]],
    alarms_max: float,
) -> dict[str, float]:
    for word, some in steps.items():
        for lower in reversed(some[: some.index(thresholds[word])]):
            tried = thresholds | {word: lower}
            if sum(alarms_at(tried).values()) > alarms_max:
                break
            thresholds = tried
    return thresholds


def fit(quiet: Quiet, now: Mapping[str, float], alarms_per_hour: float) -> dict[str, float]:
    """A threshold for each word of ``now``: the lowest with no more false alarms per hour, in all.

    If the time is shorter than that in which one false alarm is allowed, having heard none is no reason to lower a
    threshold: each word then keeps its threshold, or gets a higher one.

    Args:
        now: the words' current thresholds.
        alarms_per_hour: of all words together.
    """
    alarms_max = alarms_per_hour * quiet.hours
    steps = {word: GRID if alarms_max >= 1 else _from(threshold) for word, threshold in now.items()}
    return lowest_thresholds(
        steps,
        lambda thresholds: {word: quiet.alarms(word, threshold) for word, threshold in thresholds.items()},
        alarms_max,
    )


def _from(threshold: float) -> tuple[float, ...]:
    return (threshold, *(one for one in GRID if one > threshold))


def hours_needed(alarms_per_hour: float) -> float:
    """How many hours without a false alarm show, with 95 % confidence, that this rate is not exceeded."""
    return poisson_interval(0)[1] / alarms_per_hour
