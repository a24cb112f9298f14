"""Near misses: each rise and fall of a word's averaged score, and its outcome.

A peak explains why something fired or not: "stop reached 0.58, the threshold is 0.6".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kwsd.recognize.recognize_commands import SILENCE, UNKNOWN, RecognizeCommands, Verdict

RISE = 0.2
FALL = 0.1
LONGEST_MS = 3000

_FURTHER = (
    Verdict.BELOW_THRESHOLD,
    Verdict.HELD,
    Verdict.SUPPRESSED,
    Verdict.SPEECH,
    Verdict.NOT_ARMED,
    Verdict.FIRED,
)
"""Outcomes of a peak, in rising order."""


class Peak(NamedTuple):
    """One rise of a word's averaged score above RISE, until it fell below FALL or LONGEST_MS had passed.

    Attributes:
        score: its highest value, 0..1.
        threshold: the threshold at that time.
        verdict: the best outcome on the way.
        audio_ms: when it was highest.
    """

    label: str
    score: float
    threshold: float
    verdict: Verdict
    audio_ms: int


@dataclass(slots=True)
class _Rise:
    """A peak that is not over, and when it began."""

    since_ms: int
    score: float
    threshold: float
    verdict: Verdict
    audio_ms: int


class PeakTracker:
    """Follows the averages of a recogniser and reports each peak when it is over.

    Args:
        labels: the model's, in the order of its scores; ``_silence_`` and ``_unknown_`` have no peaks.
        tell: called with each Peak.
    """

    def __init__(self, labels: Sequence[str], tell: Callable[[Peak], None]) -> None:
        self._words = [(index, label) for index, label in enumerate(labels) if label not in (SILENCE, UNKNOWN)]
        self._tell = tell
        self._open: dict[str, _Rise] = {}

    def take(self, recognizer: RecognizeCommands, label: str, score: float, time_ms: int) -> None:
        """Records what `RecognizeCommands.process` has just returned for the clip that ends at ``time_ms``."""
        if recognizer.averages is None or recognizer.verdict is None:
            return
        if not self._open and score > 1 - RISE and label in (SILENCE, UNKNOWN):
            return  # no word can be above RISE: nearly always true, and cheap
        averages = recognizer.averages.tolist()
        for index, word in self._words:
            if (average := averages[index]) > RISE or word in self._open:
                verdict = recognizer.verdict if word == label else Verdict.BELOW_THRESHOLD
                self._follow(word, average, verdict, recognizer, time_ms)

    def end(self) -> None:
        """Reports the peaks that are not over, because the stream ends or has a gap."""
        for word in tuple(self._open):
            self._close(word)

    def _follow(self, word: str, average: float, verdict: Verdict, recognizer: RecognizeCommands, time_ms: int) -> None:
        rise = self._open.get(word)
        if rise is None:
            threshold = recognizer.threshold(word)
            rise = self._open[word] = _Rise(time_ms, average, threshold, verdict, time_ms)
        elif average > rise.score:
            rise.score, rise.threshold, rise.audio_ms = average, recognizer.threshold(word), time_ms
        if verdict is not rise.verdict:
            rise.verdict = max(rise.verdict, verdict, key=_FURTHER.index)
        if average < FALL or time_ms - rise.since_ms >= LONGEST_MS:
            self._close(word)

    def _close(self, word: str) -> None:
        rise = self._open.pop(word)
        self._tell(Peak(word, rise.score, rise.threshold, rise.verdict, rise.audio_ms))
