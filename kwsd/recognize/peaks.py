"""Near misses: each rise and fall of a word's averaged score, and its outcome.

A peak explains why something fired or not: "stop reached 0.58, the threshold is 0.6".
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kwsd.recognize.recognize_commands import SILENCE, UNKNOWN, RecognizeCommands, Verdict

RISE = 0.2
FALL = 0.1
LONGEST_MS = 3000

_RANK = {
    verdict: rank
    for rank, verdict in enumerate(
        (
            Verdict.BELOW_THRESHOLD,
            Verdict.HELD,
            Verdict.SUPPRESSED,
            Verdict.SPEECH,
            Verdict.NOT_ARMED,
            Verdict.FIRED,
        )
    )
}


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


class PeakTracker:
    """Follows the averages of a recogniser and reports each peak when it is over.

    Args:
        labels: the model's, in the order of its scores; ``_silence_`` and ``_unknown_`` have no peaks.
        tell: called with each Peak.
    """

    def __init__(self, labels: Sequence[str], tell: Callable[[Peak], None]) -> None:
        self._words = [(index, label) for index, label in enumerate(labels) if label not in (SILENCE, UNKNOWN)]
        self._tell = tell
        self._open: dict[str, tuple[int, Peak]] = {}  # each with the time of its rise

    def take(self, recognizer: RecognizeCommands, label: str, score: float, time_ms: int) -> None:
        """Records what `RecognizeCommands.process` has just returned for the clip that ends at ``time_ms``."""
        if recognizer.averages is None or recognizer.verdict is None:
            return
        if not self._open and label in (SILENCE, UNKNOWN) and score > 1 - RISE:
            return  # no word can be above RISE: nearly always true, and cheap
        averages = recognizer.averages.tolist()
        for index, word in self._words:
            average = averages[index]
            if word in self._open or average > RISE:
                verdict = recognizer.verdict if word == label else Verdict.BELOW_THRESHOLD
                self._follow(word, average, verdict, recognizer, time_ms)

    def end(self) -> None:
        """Reports the peaks that are not over, because the stream ends or has a gap."""
        for _, peak in self._open.values():
            self._tell(peak)
        self._open.clear()

    def _follow(self, word: str, average: float, verdict: Verdict, recognizer: RecognizeCommands, time_ms: int) -> None:
        new = Peak(word, average, recognizer.threshold(word), verdict, time_ms)
        since_ms, peak = self._open.get(word, (time_ms, new))
        furthest = max(peak.verdict, verdict, key=_RANK.__getitem__)
        peak = (new if average > peak.score else peak)._replace(verdict=furthest)
        if average < FALL or time_ms - since_ms >= LONGEST_MS:
            self._open.pop(word, None)
            self._tell(peak)
        else:
            self._open[word] = since_ms, peak
