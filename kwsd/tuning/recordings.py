"""Recordings processed to find thresholds: every peak in them, as if any score were enough to fire."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from kwsd.audio.file import open_source, tail
from kwsd.audio.source import Block, End
from kwsd.errors import InputError
from kwsd.recognize.peaks import RISE, Peak
from kwsd.recognize.recognize_commands import Verdict
from kwsd.recognize.settings import CompleteRecognizeSettings
from kwsd.spotter import Spotter
from kwsd.tuning.ground_truth import Found, Row, Strict, strict
from kwsd.tuning.thresholds import Quiet

if TYPE_CHECKING:
    from kwsd.model import Model

HELD_BACK = (Verdict.BELOW_THRESHOLD, Verdict.SPEECH)
"""Outcomes of peaks that would not fire at any threshold: another label was always larger, or it was running speech.

Peaks just after another word, or of that same word, may fire with higher thresholds, and count.
"""


class Hearing(Protocol):
    """A model with the settings in force, and the words that are its own to tell; `kwsd.config.effective` makes it."""

    @property
    def model(self) -> "Model": ...
    @property
    def recognize(self) -> CompleteRecognizeSettings: ...
    @property
    def only(self) -> frozenset[str]: ...


@dataclass(frozen=True)
class Recording:
    """What a model detected in a recording, and the words in it.

    Attributes:
        hours: its length.
        found: peaks in order of time, each with its highest score: a detection at every lower threshold.
        rows: the words spoken; empty if nobody meant a word.
    """

    hours: float
    found: tuple[Found, ...]
    rows: tuple[Row, ...] = ()

    def score(self, word: str, threshold: float) -> Strict:
        """The strict score of one word at a threshold; detections at rows of other words are wrong."""
        return strict(self.rows, [one for one in self.found if one.label == word and one.score > threshold])

    def alarms(self, word: str) -> list[float]:
        """The scores of a word's peaks away from all rows."""
        found = [one for one in self.found if one.label == word]
        return [found[place].score for place in strict(self.rows, found).false_alarms]


def hear(
    models: Sequence[Hearing], path: str, channel: int = 0, gain_db: float = 0.0
) -> tuple[float, tuple[Found, ...]]:
    """Hours and peaks of a file, processed as by ``kwsd --source``, except for the thresholds.

    Args:
        models: of one rate; no two of them tell the same word.

    Raises:
        InputError: the file cannot be read, or there is nothing in it.
    """
    ears = [_Ear(model) for model in models]
    rate_hz = models[0].model.sample_rate_hz
    opened = open_source(path, rate_hz, channel=channel, gain_db=gain_db, any_format=True)
    with contextlib.closing(opened) as source:
        while not isinstance(item := source.read(1.0), End):
            if isinstance(item, Block):
                for ear in ears:
                    ear.spotter.push(item.samples)
    end_ms = ears[0].spotter.position_ms
    if not end_ms:
        raise InputError(path, "is shorter than 1 ms")
    found = [one for ear in ears for one in ear.finish(end_ms)]
    return end_ms / 3_600_000, tuple(sorted(found, key=lambda one: one.time_ms))


class _Ear:
    """One model, so sensitive that every peak is told."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing, self._peaks = hearing, list[Peak]()
        settings = at_the_lowest(hearing.recognize, hearing.model.labels)
        self.spotter = Spotter(hearing.model, **vars(settings))
        self.spotter.tell_peaks(self._peaks.append)

    def finish(self, end_ms: int) -> Iterator[Found]:
        """The peaks that would fire at some threshold, none of them past the end."""
        self.spotter.push(tail(self._hearing.model.clip_samples))
        self.spotter.end()
        for peak in self._peaks:
            if peak.verdict not in HELD_BACK and peak.label in self._hearing.only:
                yield Found(peak.label, min(peak.audio_ms, end_ms), peak.score)


def quiet_of(recordings: Sequence[Recording], words: Iterable[str]) -> Quiet:
    """Peaks away from all rows; those at a row are hits or wrong words, not false alarms."""
    scores = {word: [score for one in recordings for score in one.alarms(word)] for word in words}
    return Quiet(sum(recording.hours for recording in recordings), scores)


def at_the_lowest(settings: CompleteRecognizeSettings, labels: Sequence[str]) -> CompleteRecognizeSettings:
    """These settings with thresholds so low that each peak shows whether it would ever fire."""
    return replace(settings, detection_threshold=RISE, thresholds=dict.fromkeys(labels, RISE), on_demand=())
