"""Counts of peaks that the daemon keeps, so that thresholds can be judged later; no audio."""

import math
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

HOURS_MAX = 30 * 24
STEP = 0.05
NEAR = 0.15
"""How far below its threshold a peak is still a near miss."""

MOVABLE = ("fired", "below_threshold")
"""Outcomes that another threshold would change."""


class Kind(NamedTuple):
    """The key of a count: ``step`` is that of the score; step 11 is scores from 0.55 to 0.6."""

    listener: str
    label: str
    outcome: str
    step: int


class PeakCounts:
    """Peaks of each listener by word, hour, outcome and score in steps of STEP, for the last HOURS_MAX hours.

    Any thread may use it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hours: dict[int, Counter[Kind]] = {}
        self._listened_s: dict[int, dict[str, float]] = {}  # by hour, then by listener
        self._audio_s: Mapping[str, float] = {}

    def take(self, listener: str, label: str, score: float, outcome: str, unix_s: float) -> None:
        """Counts one peak."""
        hour, kind = int(unix_s // 3600), Kind(listener, label, outcome, step_of(score))
        with self._lock:
            self._hours.setdefault(hour, Counter())[kind] += 1
            self._forget(hour)

    def listened(self, audio_s: Mapping[str, float], unix_s: float) -> None:
        """Records how much audio each listener has processed since its start; called now and then."""
        hour = int(unix_s // 3600)
        with self._lock:
            for name, heard_s in audio_s.items():
                if (new_s := heard_s - self._audio_s.get(name, 0.0)) > 0:
                    of_hour = self._listened_s.setdefault(hour, {})
                    of_hour[name] = of_hour.get(name, 0.0) + new_s
            self._audio_s = dict(audio_s)
            self._forget(hour)

    def _forget(self, hour: int) -> None:
        """Forgets hours too long ago, and those to come, counted when the clock was ahead; a peak may be told late."""
        wanted = range(hour - HOURS_MAX + 1, hour + 2)
        for kept in (self._hours, self._listened_s):
            for other in kept.keys() - wanted:
                del kept[other]

    def report(self, unix_s: float, thresholds: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
        """The answer to ``{"get":"report"}``; docs/socket.md lists its keys.

        Args:
            thresholds: in force, for each listener there is those of its words; others are left out.
        """
        from kwsd.events import rfc3339

        with self._lock:
            self._forget(int(unix_s // 3600))
            total: Counter[Kind] = sum(self._hours.values(), Counter())
            hours = sorted({*self._hours, *self._listened_s})
            return {
                "type": "report",
                "since": rfc3339(hours[0] * 3600) if hours else None,
                "hours": self._heard_hours(),
                "words": _words(total, _lowest(thresholds.values())),
                "by_hour": [
                    {
                        "hour": rfc3339(hour * 3600),
                        "listened_s": round(sum(self._listened_s.get(hour, {}).values()), 1),
                        "fired": _fired(self._hours.get(hour, Counter())),
                    }
                    for hour in hours
                ],
                "listeners": {
                    name: {
                        "hours": self._heard_hours(name),
                        "words": _words(Counter({k: n for k, n in total.items() if k.listener == name}), own),
                    }
                    for name, own in thresholds.items()
                },
            }

    def _heard_hours(self, listener: str | None = None) -> float:
        """Hours of audio, of one listener or of all."""
        each = (heard for of_hour in self._listened_s.values() for heard in of_hour.items())
        return round(sum(heard_s for name, heard_s in each if listener in (None, name)) / 3600, 4)


def _words(total: "Counter[Kind]", thresholds: Mapping[str, float]) -> dict[str, Any]:
    """What was counted of each word that has a threshold."""
    peaks: dict[str, dict[str, dict[str, int]]] = {}
    for kind, count in sorted(total.items(), key=lambda item: item[0][1:]):
        if kind.label in thresholds:
            scores = peaks.setdefault(kind.label, {}).setdefault(kind.outcome, {})
            score = f"{kind.step * STEP:.2f}"
            scores[score] = scores.get(score, 0) + count
    return {label: {"threshold": round(thresholds[label], 3), "peaks": each} for label, each in peaks.items()}


def _lowest(several: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Each word's lowest threshold."""
    found: dict[str, float] = {}
    for thresholds in several:
        found |= {label: min(score, found.get(label, score)) for label, score in thresholds.items()}
    return found


def step_of(score: float) -> int:
    """The step in which a score is counted."""
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
    """``0.5 [0.013..2.8]``: events per hour, with the 95 % interval."""
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
    """The mean at which a monotonic probability has the wanted value, by bisection."""
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
