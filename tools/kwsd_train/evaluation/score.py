"""Scores of detections against the words spoken: pure functions from rows and detections to counts.

Three ways of counting. ``tutorial`` is StreamingAccuracyStats of TensorFlow's speech_commands (accuracy_utils.cc and
accuracy_utils.py, Apache-2.0), in which each detection takes the first row in reach regardless of its label.
``strict`` is one to one: a word counts once, and a detection without a word is a false alarm; see
`kwsd.tuning.ground_truth`.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kwsd.tuning.ground_truth import Found, Row, Strict, is_wanted, parse_rows, read_rows, strict

__all__ = ["Found", "Row", "Strict", "is_wanted", "parse_rows", "read_rows", "strict"]

Scoring = Literal["cpp", "python"]


def parse_detections(text: str) -> list[Found]:
    """Detections from JSON lines with ``audio_ms`` and ``label`` (and perhaps ``score``); lines of other types, which
    receivers may have stored, are ignored. Raises a ValueError that names the line."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
            if event.get("type", "detection") != "detection":
                continue
            label, time_ms, score = event["label"], float(event["audio_ms"]), float(event.get("score") or 0)
            if not isinstance(label, str) or not math.isfinite(time_ms):
                raise ValueError
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ValueError(f'line {number} is not a JSON object with "audio_ms" and "label"') from None
        found.append(Found(label, time_ms, score))
    return found


@dataclass(frozen=True)
class Tutorial:
    """Counts of the tutorial's scoring; ``words`` are the rows up to the given time."""

    words: int
    matched: int
    correct: int
    wrong: int
    false_positives: int

    def line(self, scoring: Scoring) -> str:
        """The statistics as printed by the original program."""
        if not self.words:
            return f"No ground truth yet, {self.false_positives}{' ' * (scoring == 'cpp')}false positives"
        shares = [
            f"{count * 100 / self.words:.1f}%"
            for count in (self.matched, self.correct, self.wrong, self.false_positives)
        ]
        if scoring == "cpp":
            return "{} matched, {} correctly, {} wrongly, {} false positives ".format(*shares)
        return "{} matched, {} correct, {} wrong, {} false positive".format(*shares)

    def __add__(self, other: "Tutorial") -> "Tutorial":
        return Tutorial(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def tutorial(
    rows: Sequence[Row],
    found: Iterable[Found],
    tolerance_ms: float,
    scoring: Scoring = "cpp",
    up_to_ms: float | None = None,
) -> Tutorial:
    """The tutorial's counts. Rows and detections are in order of time, which is the start of the clip for both.

    Each detection takes the first row within the tolerance, both ends included, right or wrong, and a row that was
    taken makes every later detection wrong. ``matched`` counts different times (``cpp``) or every hit (``python``).
    Times of rows become whole ms: truncated as float32 (``cpp``), or rounded, half to even (``python``).
    """
    limit_ms = math.inf if up_to_ms is None else up_to_ms + tolerance_ms
    said = [(row.label, int(np.float32(row.start_ms)) if scoring == "cpp" else round(row.start_ms)) for row in rows]
    words = next((place for place, (_, start_ms) in enumerate(said) if start_ms > limit_ms), len(said))
    taken: set[float] = set()
    hits = correct = wrong = false_positives = 0
    for label, time_ms, _ in found:
        row = next((row for row in said[:words] if row[1] >= time_ms - tolerance_ms), None)
        if row is None or row[1] > time_ms + tolerance_ms:
            false_positives += 1
            continue
        hits += 1
        if row[0] == label and row[1] not in taken:
            correct += 1
        else:
            wrong += 1
        taken.add(row[1])
    return Tutorial(words, len(taken) if scoring == "cpp" else hits, correct, wrong, false_positives)


def running_lines(rows: Sequence[Row], found: Sequence[Found], tolerance_ms: float, scoring: Scoring) -> Iterable[str]:
    """The lines of ``--verbose``: each detection, followed by the statistics up to its time."""
    before = Tutorial(0, 0, 0, 0, 0)
    for place, (label, time_ms, score) in enumerate(found, 1):
        now = tutorial(rows, found[:place], tolerance_ms, scoring, time_ms)
        if now.false_positives == before.false_positives + 1:
            verdict = "False Positive"
        else:
            verdict = "Correct" if now.correct == before.correct + 1 else "Wrong"
        if scoring == "cpp":
            yield f"{time_ms:.0f}ms: {label}: {score:.6g} ({verdict})"
        else:
            yield f"{time_ms:.0f}ms {label}:{score}({verdict})"
        yield now.line(scoring)
        before = now


def summary(scores: Iterable[Strict], duration_ms: float) -> dict[str, Any]:
    """The strict scores of recordings with a total length of ``duration_ms``, in the form of the JSON."""
    scores = list(scores)
    latencies_ms = [latency for score in scores for latency in score.latencies_ms]
    words, hit = sum(score.words for score in scores), sum(len(score.hits) for score in scores)
    false_alarms = sum(len(score.false_alarms) for score in scores)
    return {
        "words": words,
        "hit": hit,
        "missed": words - hit,
        "wrong": sum(len(score.wrong) for score in scores),
        "false_alarms": false_alarms,
        "false_alarms_per_hour": round(false_alarms * 3_600_000 / duration_ms, 2) if duration_ms else None,
        "latency_ms": {
            f"p{rank}": round(float(np.percentile(latencies_ms, rank)), 1) if latencies_ms else None
            for rank in (50, 95)
        },
    }
