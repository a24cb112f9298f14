"""Scores of a recording, in order -> the words in it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.recognize import SILENCE, UNKNOWN, RecognizeCommands
from kwsd.recognize.settings import CompleteRecognizeSettings
from kwsd.scan.chunks import Grid


@dataclass(frozen=True, slots=True)
class Word:
    """A word in a recording.

    Attributes:
        score: the recogniser's averaged score, 0..1.
        start_ms, end_ms: the clip that decided; ``end_ms`` is the ``audio_ms`` of an event.
    """

    label: str
    score: float
    start_ms: int
    end_ms: int

    def to_dict(self, file: str, model: str) -> dict[str, Any]:
        """The object that is written for it; keys as in docs/scan.md."""
        return {
            "type": "found",
            "file": file,
            "label": self.label,
            "score": round(self.score, 3),
            "start_ms": self.start_ms,
            "end_ms": self.end_ms,
            "model": model,
        }


class Recognition:
    """The recogniser of one recording.

    Args:
        labels: names of the scores.
        only: the wanted words.
        rate_hz: of the grid's samples.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        settings: CompleteRecognizeSettings,
        only: frozenset[str],
        grid: Grid,
        rate_hz: int,
        clip_ms: int,
    ) -> None:
        self._recognizer = RecognizeCommands.of(labels, settings, clip_ms)
        self._only = only - {SILENCE, UNKNOWN}
        self._grid, self._rate_hz, self._clip_ms = grid, rate_hz, clip_ms
        self._found: list[tuple[str, float, int]] = []
        self.clips = 0

    def process(self, scores: NDArray[np.float32]) -> None:
        """Takes the scores of the next clips, shape (clips, labels)."""
        for each in scores:
            time_ms = self._to_ms(self._grid.end(self.clips))
            label, score, is_new = self._recognizer.process(each, time_ms)
            self.clips += 1
            if is_new and label in self._only:
                self._found.append((label, score, time_ms))

    def words(self, samples: int) -> tuple[Word, ...]:
        """The words found in a recording of this many samples; times are never after its end."""
        duration_ms = self._to_ms(samples)
        return tuple(
            Word(label, score, max(0, min(time_ms, duration_ms) - self._clip_ms), min(time_ms, duration_ms))
            for label, score, time_ms in self._found
        )

    def _to_ms(self, samples: int) -> int:
        return samples * 1000 // self._rate_hz
