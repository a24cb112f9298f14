"""The expected performance of a learned word, for people and for programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kwsd.learn.lesson import Expectation

if TYPE_CHECKING:
    from kwsd.learn.student import Learned

RESEMBLES_SHARE = 0.05
RESEMBLES_LEAST = 2
FEW_TAKES = 5


def resembles(expectation: Expectation, threshold: float) -> dict[str, float]:
    """Words that are mistaken for the new one, and the share of each, largest first."""
    fired = Counter(
        label
        for label, score in zip(expectation.labels, expectation.words, strict=True)
        if score > threshold and not label.startswith("_")
    )
    all_ = Counter(expectation.labels)
    shares = {word: count / all_[word] for word, count in fired.items() if count >= RESEMBLES_LEAST}
    return dict(sorted(((w, s) for w, s in shares.items() if s > RESEMBLES_SHARE), key=lambda pair: -pair[1]))


def strangers(expectation: Expectation, threshold: float) -> list[int]:
    """Numbers, from 1, of takes that a model trained on the others misses."""
    return [number for number, score in enumerate(expectation.takes, 1) if score <= threshold]


def to_dict(word: str, learned: "Learned") -> dict[str, Any]:
    expectation, threshold = learned.expectation, learned.threshold
    return {
        "word": word,
        "takes": len(expectation.takes),
        "heard": expectation.heard(threshold),
        "threshold": threshold,
        "speech_threshold": learned.speech_threshold,
        "false_alarms_per_hour": round(expectation.false_alarms_per_hour(learned.speech_threshold), 2),
        "speech_hours": round(expectation.hours, 3),
        "resembles": {label: round(share, 3) for label, share in resembles(expectation, threshold).items()},
        "take_scores": [round(score, 3) for score in expectation.takes],
    }


def lines(word: str, learned: "Learned", names: Sequence[str]) -> list[str]:
    """The report for people. ``names`` are the names of the takes."""
    expectation, threshold = learned.expectation, learned.threshold
    count, heard = len(expectation.takes), expectation.heard(threshold)
    an_hour = expectation.false_alarms_per_hour(learned.speech_threshold)
    told = [
        f"{word}: {heard} of {count} takes recognised, each by a model of the others; threshold {threshold:g}",
        f"false alarms: {an_hour:.1f} an hour of running speech ({expectation.hours:.2f} h of it come with the model)",
    ]
    if alike := resembles(expectation, threshold):
        words = ", ".join(f"{label} ({100 * share:.0f} %)" for label, share in list(alike.items())[:5])
        told.append(f"warning: {word} sounds like {words}: expect mistakes")
    if odd := strangers(expectation, threshold):
        named = ", ".join(names[number - 1] for number in odd[:5])
        told.append(f"not recognised: {named}: spoken differently from the rest, or cut off")
    if count < FEW_TAKES:
        told.append(f"{count} takes are few: ten give better estimates, and a better model")
    return told


def to_numbers(scores: Mapping[str, tuple[float, float]]) -> dict[str, list[float]]:
    """Scores before and after a correction, rounded."""
    return {word: [float(np.round(value, 3)) for value in pair] for word, pair in scores.items()}
