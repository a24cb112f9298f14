"""Recordings heard for the sake of thresholds: every peak in them, as if any score were enough to fire."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kwsd.audio.file import open_source, tail
from kwsd.audio.source import Block, End
from kwsd.recognize.peaks import RISE, Peak
from kwsd.recognize.recognize_commands import Verdict
from kwsd.recognize.settings import CompleteRecognizeSettings
from kwsd.spotter import Spotter
from kwsd.tuning.ground_truth import Found, Row, Strict, strict
from kwsd.tuning.thresholds import Quiet

if TYPE_CHECKING:
    from kwsd.model import Model

HELD_BACK = (Verdict.BELOW_THRESHOLD, Verdict.SPEECH)
"""Peaks that would fire at no threshold: another label was always larger, or somebody talked.

What came just after another word, or is that word still, may fire once thresholds are higher, and counts.
"""


@dataclass(frozen=True)
class Recording:
    """What a model heard in a recording, and what was said in it.

    Attributes:
        hours: its length.
        found: peaks in order of time, each with its highest score: a detection at every threshold below.
        rows: what was said; empty where nobody meant a word.
    """

    hours: float
    found: tuple[Found, ...]
    rows: tuple[Row, ...] = ()

    def score(self, word: str, threshold: float) -> Strict:
        """The strict score of one word at a threshold; rows of other words are there to be wrong at."""
        return strict(self.rows, [one for one in self.found if one.label == word and one.score > threshold])

    def alarms(self, word: str) -> list[float]:
        """The scores of a word's peaks where nothing was said."""
        found = [one for one in self.found if one.label == word]
        return [found[place].score for place in strict(self.rows, found).false_alarms]


def hear(
    model: "Model", path: str, settings: CompleteRecognizeSettings, channel: int = 0, gain_db: float = 0.0
) -> tuple[float, tuple[Found, ...]]:
    """Hours and peaks of a file, heard as ``kwsd --source`` hears it, but for the thresholds.

    Raises:
        InputError: the file cannot be read.
    """
    peaks: list[Peak] = []
    spotter = Spotter(model, **vars(at_the_lowest(settings, model.labels)))
    spotter.tell_peaks(peaks.append)
    with contextlib.closing(open_source(path, model.sample_rate_hz, channel=channel, gain_db=gain_db)) as source:
        while not isinstance(item := source.read(1.0), End):
            if isinstance(item, Block):
                spotter.push(item.samples)
    end_ms = spotter.position_ms
    spotter.push(tail(model.clip_samples))
    spotter.end()
    firing = [peak for peak in peaks if peak.verdict not in HELD_BACK]
    found = (Found(peak.label, min(peak.audio_ms, end_ms), peak.score) for peak in firing)
    return end_ms / 3_600_000, tuple(sorted(found, key=lambda one: one.time_ms))


def quiet_of(recordings: Sequence[Recording], words: Iterable[str]) -> Quiet:
    """What was heard where nothing was said; where something was, it is a hit or a wrong word, and no false alarm."""
    scores = {word: [score for one in recordings for score in one.alarms(word)] for word in words}
    return Quiet(sum(recording.hours for recording in recordings), scores)


def at_the_lowest(settings: CompleteRecognizeSettings, labels: Sequence[str]) -> CompleteRecognizeSettings:
    """These settings with every word so sensitive that each peak tells whether it would ever fire."""
    return replace(settings, detection_threshold=RISE, thresholds=dict.fromkeys(labels, RISE), on_demand=())
