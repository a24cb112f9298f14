"""What the daemon remembers of peaks, so that thresholds can be judged later: counts, no audio."""

import math
import threading
from collections import Counter
from typing import Any, NamedTuple

HOURS_MAX = 30 * 24
STEP = 0.05
NEAR = 0.15
"""So far below its threshold a peak is a near miss."""

MOVABLE = ("fired", "below_threshold")
"""Outcomes that another threshold would change."""


class Kind(NamedTuple):
    """What is counted together: ``step`` is the score's, so that step 11 holds scores from 0.55 to 0.6."""

    label: str
    outcome: str
    step: int


class PeakCounts:
    """Peaks by word, hour, outcome and score in steps of STEP, for the last HOURS_MAX hours; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hours: dict[int, Counter[Kind]] = {}
        self._listened_s: dict[int, float] = {}
        self._thresholds: dict[str, float] = {}
        self._audio_s = 0.0

    def take(self, label: str, score: float, threshold: float, outcome: str, unix_s: float) -> None:
        """Counts one peak."""
        kind = Kind(label, outcome, step_of(score))
        with self._lock:
            self._thresholds[label] = threshold
            self._hours.setdefault(int(unix_s // 3600), Counter())[kind] += 1
            self._forget(int(unix_s // 3600))

    def listened(self, audio_s: float, unix_s: float) -> None:
        """Takes note of how much audio was heard since the start; called now and then."""
        hour = int(unix_s // 3600)
        with self._lock:
            if audio_s > self._audio_s:
                self._listened_s[hour] = self._listened_s.get(hour, 0.0) + audio_s - self._audio_s
                self._forget(hour)
            self._audio_s = audio_s

    def _forget(self, hour: int) -> None:
        for kept in (self._hours, self._listened_s):
            if kept and next(iter(kept)) <= hour - HOURS_MAX:
                for old in [each for each in kept if each <= hour - HOURS_MAX]:
                    del kept[old]

    def report(self, unix_s: float) -> dict[str, Any]:
        """The answer to ``{"get":"report"}``; docs/socket.md lists its keys."""
        from kwsd.events import rfc3339

        with self._lock:
            self._forget(int(unix_s // 3600))
            total: Counter[Kind] = sum(self._hours.values(), Counter())
            hours = sorted({*self._hours, *self._listened_s})
            return {
                "type": "report",
                "since": rfc3339(hours[0] * 3600) if hours else None,
                "hours": round(sum(self._listened_s.values()) / 3600, 4),
                "words": {label: self._word(label, total) for label in sorted(self._thresholds)},
                "by_hour": [
                    {
                        "hour": rfc3339(hour * 3600),
                        "listened_s": round(self._listened_s.get(hour, 0.0), 1),
                        "fired": _fired(self._hours.get(hour, Counter())),
                    }
                    for hour in hours
                ],
            }

    def _word(self, label: str, total: "Counter[Kind]") -> dict[str, Any]:
        peaks: dict[str, dict[str, int]] = {}
        for kind, count in sorted(total.items()):
            if kind.label == label:
                peaks.setdefault(kind.outcome, {})[f"{kind.step * STEP:.2f}"] = count
        return {"threshold": round(self._thresholds[label], 3), "peaks": peaks}


def step_of(score: float) -> int:
    """The step that a score is counted in."""
    return min(int(score / STEP + 1e-6), round(1 / STEP) - 1)


def _fired(peaks: "Counter[Kind]") -> dict[str, int]:
    counts: Counter[str] = Counter()
    for kind, count in peaks.items():
        if kind.outcome == "fired":
            counts[kind.label] += count
    return dict(sorted(counts.items()))


def poisson_interval(count: int, share: float = 0.95) -> tuple[float, float]:
    """Exact bounds of the mean of a Poisson distribution of which ``count`` was drawn (F. Garwood, Biometrika 1936)."""
    tail = (1 - share) / 2
    low = 0.0 if count == 0 else _mean_at(lambda mean: 1 - _at_most(count - 1, mean), tail, rising=True)
    return low, _mean_at(lambda mean: _at_most(count, mean), tail, rising=False)


def rate_in_words(count: int, hours: float) -> str:
    """``0.5 [0.013..2.8]``: so many an hour, with the 95 % interval."""
    low, high = poisson_interval(count)
    return f"{_short(count / hours)} [{_short(low / hours)}..{_short(high / hours)}]"


def _short(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.2g}"


def _at_most(count: int, mean: float) -> float:
    """The chance of at most ``count`` events."""
    if mean == 0:
        return 1.0
    return math.fsum(math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) for n in range(count + 1))


def _mean_at(chance: Any, wanted: float, *, rising: bool) -> float:
    """The mean at which a chance that rises or falls with it has the value that is wanted, by bisection."""
    low, high = 0.0, 10.0
    while (chance(high) < wanted) == rising:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if (chance(middle) < wanted) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2
