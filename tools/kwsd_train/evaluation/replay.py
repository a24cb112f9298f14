"""A recogniser's results from stored scores, with any settings, without processing the recording again.

For modes ``tensorflow``, ``rearm`` and ``repeat``, averages are computed for a whole recording at once and shared by
all thresholds and suppression times; only the rules after them run clip by clip. The results equal those of
`kwsd.recognize.RecognizeCommands` to the last bit, which tests check. Other modes replay that class itself.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kwsd.recognize.recognize_commands import (
    REARM_RATIO,
    REARM_WINDOW_DIVISOR,
    REARMING_MODES,
    SILENCE,
    SPEECH_CLIPS,
    UNKNOWN,
    RecognizeCommands,
    threshold_in_speech,
)
from kwsd.recognize.settings import CompleteRecognizeSettings
from kwsd_train.evaluation.hearing import Heard
from kwsd_train.evaluation.score import Found

FAST_MODES = ("tensorflow", *REARMING_MODES)


class Averages:
    """A recording's scores, averaged over a window of time.

    Attributes:
        best: the label with the largest average after each clip, shape (n,); -1 if there are too few results.
        score: its average, float32.
    """

    def __init__(self, heard: Heard, average_window_ms: int, minimum_count: int) -> None:
        self.heard, self._window_ms = heard, average_window_ms
        times_ms = heard.times_ms
        first = np.searchsorted(times_ms, times_ms - average_window_ms, side="left")
        counts = np.arange(len(times_ms)) - first + 1
        averages = np.zeros_like(heard.scores)
        for count in np.unique(counts):
            ends = np.flatnonzero(counts == count)
            shares = heard.scores / np.float32(count)
            for back in range(count - 1, -1, -1):  # oldest first, in the recogniser's order
                averages[ends] += shares[ends - back]
        valid = (counts >= max(minimum_count, 1)) & (times_ms - times_ms[first] >= average_window_ms // 4)
        self.valid = np.flatnonzero(valid)
        self.best = np.where(valid, averages.argmax(axis=1), -1)
        self.score = averages.max(axis=1, initial=-np.inf)

    @cached_property
    def recent(self) -> NDArray[np.float64]:
        """Means over the newest part of the window, which show when a word falls, shape (n, labels)."""
        times_ms, scores = self.heard.times_ms, self.heard.scores
        first = np.searchsorted(times_ms, times_ms - self._window_ms // REARM_WINDOW_DIVISOR, side="left")
        counts = np.arange(len(times_ms)) - first + 1
        sums = np.zeros(scores.shape)
        for count in np.unique(counts):
            ends = np.flatnonzero(counts == count)
            for back in range(count - 1, -1, -1):
                sums[ends] += scores[ends - back]
        return sums / counts[:, None]


class Replayer:
    """Replays one recording; averages are kept from call to call."""

    def __init__(self, heard: Heard) -> None:
        self.heard = heard
        self._averages: dict[tuple[int, int], Averages] = {}
        self._before: dict[int, list[float]] = {}

    def found(self, settings: CompleteRecognizeSettings, *, with_unknown: bool = False) -> list[Found]:
        """The detections, at the clip stride of the stored scores; times are never after the recording's end.

        Args:
            with_unknown: include ``_unknown_``, which the tutorial's scoring counts and the daemon never reports.
        """
        heard = self.heard
        fired = self._fire(settings) if settings.mode in FAST_MODES else _replay(heard, settings)
        return [
            Found(heard.labels[label], min(int(heard.times_ms[clip]), heard.duration_ms), score)
            for clip, label, score in fired
            if heard.labels[label] != SILENCE and (with_unknown or heard.labels[label] != UNKNOWN)
        ]

    def _fire(self, settings: CompleteRecognizeSettings) -> list[tuple[int, int, float]]:
        """(clip, label, average) of everything that fires, by the rules of `kwsd.recognize`."""
        key = settings.average_window_ms, settings.minimum_count
        if key not in self._averages:
            self._averages[key] = Averages(self.heard, *key)
        averages, labels = self._averages[key], self.heard.labels
        limits = _limits(labels, settings)
        best, score = averages.best, averages.score
        candidates = np.flatnonzero((best >= 0) & (score > limits[best]))
        times_ms = self.heard.times_ms[candidates].tolist()
        fired: list[tuple[int, int, float]] = []
        speech_limit = float(np.float32(settings.speech_threshold))
        silence = labels.index(SILENCE) if SILENCE in labels else -1
        held, held_ms, may_repeat_from = silence, None, None
        for clip, label, time_ms in zip(candidates.tolist(), best[candidates].tolist(), times_ms, strict=True):
            if held != silence and held_ms is not None and time_ms - held_ms <= settings.suppression_ms:
                continue
            is_word = labels[label] not in (SILENCE, UNKNOWN)
            if label == held:
                is_back = may_repeat_from is not None and clip >= may_repeat_from
                outlives_clip = settings.mode == "repeat" and is_word and time_ms - held_ms > self.heard.clip_ms
                if not ((is_back or outlives_clip) and averages.recent[clip, label] > limits[label]):
                    continue
            needed = float(limits[label])
            if settings.mode == "repeat" and is_word and score[clip] <= speech_limit:
                needed = threshold_in_speech(needed, speech_limit, self._unknown_before(clip))
            if not score[clip] > needed:
                continue
            held, held_ms = label, time_ms
            may_repeat_from = None
            if settings.mode in REARMING_MODES and is_word:
                may_repeat_from = self._falls(averages, label, float(limits[label]), clip)
            fired.append((clip, label, float(score[clip])))
        return fired

    def _unknown_before(self, clip: int) -> list[float]:
        """Scores of ``_unknown_`` that indicate running speech; the same for all settings, so they are found once."""
        if clip not in self._before:
            times_ms, clip_ms = self._times_ms, self.heard.clip_ms
            first = bisect_left(times_ms, times_ms[clip] - (1 + SPEECH_CLIPS) * clip_ms)
            end = bisect_right(times_ms, times_ms[clip] - clip_ms)
            self._before[clip] = self._unknown_scores[first:end]
        return self._before[clip]

    @cached_property
    def _times_ms(self) -> list[int]:
        times_ms: list[int] = self.heard.times_ms.tolist()
        return times_ms

    @cached_property
    def _unknown_scores(self) -> list[float]:
        if UNKNOWN not in self.heard.labels:
            return []
        scores: list[float] = self.heard.scores[:, self.heard.labels.index(UNKNOWN)].tolist()
        return scores

    def _falls(self, averages: Averages, label: int, limit: float, clip: int) -> int | None:
        """The first clip after ``clip`` at which the word's recent mean is below the mark; None if it never is."""
        valid = averages.valid
        after = valid[bisect_right(valid, clip) :]
        for start in range(0, len(after), 64):
            some = after[start : start + 64]
            low = averages.recent[some, label] < REARM_RATIO * limit
            if low.any():
                return int(some[low.argmax()])
        return None


def _limits(labels: tuple[str, ...], settings: CompleteRecognizeSettings) -> NDArray[np.float64]:
    thresholds: Mapping[str, float] = settings.thresholds
    limits = [thresholds.get(label, settings.detection_threshold) for label in labels]
    return np.array(limits, np.float32).astype(np.float64)


def _replay(heard: Heard, settings: CompleteRecognizeSettings) -> list[tuple[int, int, float]]:
    recognizer = RecognizeCommands.of(heard.labels, settings, heard.clip_ms)
    fired = []
    for clip, (scores, time_ms) in enumerate(zip(heard.scores, heard.times_ms.tolist(), strict=True)):
        label, score, is_new = recognizer.process(scores, time_ms)
        if is_new:
            fired.append((clip, heard.labels.index(label), score))
    return fired
