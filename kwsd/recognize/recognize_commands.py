"""From a stream of scores to words: each word is reported once, when its score has been high for a while.

A port of RecognizeCommands of TensorFlow's speech_commands example (tensorflow/examples/speech_commands/
recognize_commands.cc), of its two best known descendants, and two rules of kwsd's own. All average the scores of the
last ``average_window_ms``, and consider the label with the largest average (the first of equals). It fires if its
average is above the threshold and

    tensorflow  it is not the label that fired last, and more than ``suppression_ms`` have passed since that one
    rearm       as in tensorflow; or it is the word that fired last, its score has fallen in the meantime and is up
                again, and more than ``suppression_ms`` have passed (see below)
    repeat      as in rearm; or it is the word that fired last, its score is still up, and more than a clip's length has
                passed: a word that is held longer fires again and again, once a clip (see below)
    android     more than ``suppression_ms`` have passed: a held word fires again and again. Results that come less
                than 30 ms after the last are ignored, a short span of results holds nothing back
                (TFLite's Android app of 2022, RecognizeCommands.java)
    micro       it is not the label that fired last, or more than ``suppression_ms`` have passed; at most 50 results
                are kept, and one that comes when all of them are recent is lost (tflite-micro's micro_speech of 2023,
                recognize_commands.cc). The original counts in integers from 0 to 255, because its network does; here
                the scores are floats, and averages are not rounded down

After ``_silence_`` has fired, nothing is suppressed. ``_silence_`` and ``_unknown_`` fire like words, and the caller
must ignore them.

**rearm.** In mode ``tensorflow`` a word can fire twice in a row only if another label, usually ``_silence_``, wins in
between. A clip of one second still holds most of the first "stop" when the second begins, so for words said 1.2 s
apart silence rarely wins, and the second one is lost. So ``rearm`` watches the score of the word that fired
last, like a Schmitt trigger, by its mean over the newest ``1/REARM_WINDOW_DIVISOR`` of the averaging window: when
that falls below ``REARM_RATIO`` of the word's threshold, the word may fire again, once this mean and the average are
both above the threshold. The short mean is needed because a dip between two words (about 1200 ms less the time for
which one word fills the clip, often not much more than 200 ms) hardly shows in an average over 500 ms; a quarter of
the window is still three or four strides, more than the fluctuation of a held word. Half the threshold is far below
the score of a held word, and far above what remains of it in a dip. ``_silence_`` and ``_unknown_`` never fire twice
in a row: that would only suppress the word after them. If no word follows itself, the rule changes nothing.

**repeat.** Words in close succession leave no dip: the second is completely in the clip before the first has left it.
But a word that was in the clip when it fired has left it a clip's length later, so a score that is still high then
means that the word was said again, or is held for longer than a clip, as words rarely are.

**Running speech.** People say a command after a pause; what sounds like one in the middle of a sentence is a syllable
of another word, or not meant as a command. So in mode ``repeat`` the more speech came before a word, the higher is the
average that it needs. What counts is the mean of ``_unknown_`` in the clips that ended one to ``1 + SPEECH_CLIPS`` clip
lengths ago: these hold what came before the clip with the word. Up to ``SPEECH_MEAN_FROM`` the word's own threshold
applies, from ``SPEECH_MEAN_TO`` on ``speech_threshold``, and between them the requirement rises linearly.
"""

import math
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kwsd.recognize.score_window import ScoreWindow
from kwsd.recognize.settings import MODES, CompleteRecognizeSettings

SILENCE = "_silence_"
UNKNOWN = "_unknown_"

REARMING_MODES = ("rearm", "repeat")
REARM_WINDOW_DIVISOR = 4
REARM_RATIO = 0.5

SPEECH_CLIPS = 2
SPEECH_MEAN_FROM = 0.4
SPEECH_MEAN_TO = 0.9

ANDROID_RESULT_GAP_MIN_MS = 30
MICRO_RESULTS_MAX = 50
NEVER_MS = -(2**63)


def threshold_in_speech(threshold: float, speech_threshold: float, unknown_scores: Sequence[float]) -> float:
    """What a word's average must be above after clips with these scores of ``_unknown_``; never below ``threshold``."""
    if not unknown_scores or speech_threshold <= threshold:
        return threshold
    mean = math.fsum(unknown_scores) / len(unknown_scores)
    share = (mean - SPEECH_MEAN_FROM) / (SPEECH_MEAN_TO - SPEECH_MEAN_FROM)
    return threshold + (speech_threshold - threshold) * min(max(share, 0.0), 1.0)


class Verdict(Enum):
    """The outcome for the label considered in one call of `RecognizeCommands.process`."""

    FIRED = "fired"
    BELOW_THRESHOLD = "below_threshold"
    NOT_ARMED = "not_armed"
    SUPPRESSED = "suppressed"
    HELD = "held"
    SPEECH = "speech"


class Result(NamedTuple):
    """The result of `RecognizeCommands.process` for the scores so far.

    Attributes:
        label: the label with the largest average (an armed word above its threshold wins over ``_silence_`` and
            ``_unknown_``); the label that fired last while there are too few results.
        score: its average, or 0.0 while there are too few results.
        is_new: whether the label fires now.
    """

    label: str
    score: float
    is_new: bool


class RecognizeCommands:
    """Averages scores over time and reports new words; the rules are in the module's docstring.

    Averages are float32, equal to the original's to the last bit: each score is divided by the number of results and
    added, oldest first. (A running sum would be cheaper and drift.)

    Args:
        labels: names of the scores.
        average_window_ms: results older than this are discarded; at least 0.
        detection_threshold: an average must be above it to fire.
        suppression_ms: after a word, no other fires for this long.
        minimum_count: with fewer results in the window, nothing fires.
        mode: one of `kwsd.recognize.settings.MODES`.
        thresholds: words with a threshold of their own, in every mode.
        clip_ms: how much audio a result covers; used only in mode ``repeat``.
        speech_threshold: threshold of a word in running speech; used only in mode ``repeat``.
        on_demand: words that fire only while they are armed (`arm`).
        armed_threshold: the threshold of an armed word, unless it was armed with its own.

    Attributes:
        averages: float32, shape (labels,), of the last call; None if there were too few results.
        verdict: the outcome for the label of the last result; None if there were too few results.

    Raises:
        ValueError: an unknown mode, a threshold for a word that is not in ``labels``, a negative window.
    """

    averages: NDArray[np.float32] | None

    def __init__(
        self,
        labels: Sequence[str],
        *,
        average_window_ms: int = 1000,
        detection_threshold: float = 0.2,
        suppression_ms: int = 500,
        minimum_count: int = 3,
        mode: str = "tensorflow",
        thresholds: Mapping[str, float] | None = None,
        clip_ms: float = 1000,
        speech_threshold: float = 0.0,
        on_demand: Collection[str] = (),
        armed_threshold: float = 0.5,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}, but must be one of {', '.join(MODES)}")
        if average_window_ms < 0:
            raise ValueError(f"average_window_ms is {average_window_ms}, but must be at least 0")
        thresholds = thresholds or {}
        for name, words in (("thresholds", thresholds), ("on_demand", on_demand)):
            if foreign := sorted(set(words) - set(labels)):
                raise ValueError(f"{name} name {', '.join(foreign)}, but the labels are {', '.join(labels)}")
        self.labels = tuple(labels)
        self.mode = mode
        self._average_window_ms = int(average_window_ms)
        self._span_min_ms = 0 if mode == "android" else self._average_window_ms // 4
        self._suppression_ms = suppression_ms
        self._minimum_count = max(minimum_count, 1)
        self._clip_ms = clip_ms
        # The original compares in float32, where 0.2 is not above 0.2.
        self._thresholds = [float(np.float32(thresholds.get(label, detection_threshold))) for label in labels]
        self._needed = self._thresholds  # in force now: an armed word has one of its own
        self._speech_threshold = float(np.float32(speech_threshold))
        self._on_demand = frozenset(map(self.labels.index, on_demand))
        self._armed_threshold = armed_threshold
        self._armed: dict[int, float] = {}
        self._words = frozenset(index for index, label in enumerate(labels) if label not in (SILENCE, UNKNOWN))
        self._may_follow_itself = self._words if mode in REARMING_MODES else frozenset()
        self._unknown = self.labels.index(UNKNOWN) if mode == "repeat" and UNKNOWN in self.labels else None
        self._results = ScoreWindow(len(labels))
        self.reset()

    @classmethod
    def of(cls, labels: Sequence[str], settings: CompleteRecognizeSettings, clip_ms: float) -> "RecognizeCommands":
        """The recogniser with these settings, for clips of this length."""
        return cls(
            labels,
            average_window_ms=settings.average_window_ms,
            detection_threshold=settings.detection_threshold,
            suppression_ms=settings.suppression_ms,
            minimum_count=settings.minimum_count,
            mode=settings.mode,
            thresholds=settings.thresholds,
            clip_ms=clip_ms,
            speech_threshold=settings.speech_threshold,
            on_demand=settings.on_demand or (),
            armed_threshold=settings.armed_threshold,
        )

    def arm(self, thresholds: Mapping[str, float | None]) -> None:
        """Makes exactly these the armed words, in place of any armed before.

        An armed word fires above its threshold here (None: ``armed_threshold``), also where ``_silence_`` or
        ``_unknown_`` have a larger average, and running speech does not hold it back.

        Raises:
            ValueError: a word that is not in ``labels``.
        """
        if foreign := sorted(set(thresholds) - set(self.labels)):
            raise ValueError(f"cannot arm {', '.join(foreign)}: the labels are {', '.join(self.labels)}")
        self._armed = {
            self.labels.index(word): float(np.float32(self._armed_threshold if own is None else own))
            for word, own in thresholds.items()
        }
        self._needed = [self._armed.get(index, threshold) for index, threshold in enumerate(self._thresholds)]

    def threshold(self, label: str) -> float:
        """The current threshold of this label."""
        return self._needed[self.labels.index(label)]

    def reset(self) -> None:
        """Discards all results and what has fired."""
        self._results.clear()
        self.averages = None
        self.verdict: Verdict | None = None
        self._held_label = SILENCE
        self._held_score = 0.0
        self._held_ms = NEVER_MS
        # Index of the word that fired last, until its score has fallen.
        self._falling: int | None = None
        # Times and scores of `_unknown_`, by which running speech is known.
        self._unknown_scores: deque[tuple[int, float]] = deque()

    def take_over(self, other: "RecognizeCommands") -> None:
        """Continues, with its own settings, from the state of ``other`` for the same labels, which is then spent."""
        self._results, self.averages = other._results, other.averages
        self._held_label, self._held_score, self._held_ms = other._held_label, other._held_score, other._held_ms
        self._falling, self.verdict = other._falling, other.verdict
        self._unknown_scores = other._unknown_scores

    def process(self, scores: ArrayLike, time_ms: int) -> Result:
        """Takes the scores of one clip.

        Args:
            scores: one number for each label.
            time_ms: their time, on any clock; may be negative, and may go back within the window.

        Raises:
            ValueError: the number of scores is not that of the labels, or ``time_ms`` is before the oldest result in
                the window. The state is then unchanged, and calls may continue.
        """
        latest = np.asarray(scores, np.float32)
        time_ms = int(time_ms)
        results = self._results
        times_ms = results.times_ms
        if latest.size != len(self.labels):
            raise ValueError(
                f"The results for recognition should contain {len(self.labels)} elements, but there are {latest.size}"
            )
        if times_ms and time_ms < times_ms[0]:
            raise ValueError(
                f"Results must be fed in increasing time order, but received a timestamp of {time_ms} "
                f"that was earlier than the previous one of {times_ms[0]}"
            )
        if self.mode == "android" and len(times_ms) > 1 and time_ms - times_ms[-1] < ANDROID_RESULT_GAP_MIN_MS:
            return Result(self._held_label, self._held_score, False)

        if self.mode != "micro" or len(times_ms) < MICRO_RESULTS_MAX:
            results.append(latest, time_ms)
        results.forget_before(time_ms - self._average_window_ms)
        if self._unknown is not None:
            self._unknown_scores.append((time_ms, latest.item(self._unknown)))
            while self._unknown_scores[0][0] < time_ms - (1 + SPEECH_CLIPS) * self._clip_ms:
                self._unknown_scores.popleft()
        count = len(times_ms)
        if count < self._minimum_count or time_ms - times_ms[0] < self._span_min_ms:
            self.averages = self.verdict = None
            return Result(self._held_label, 0.0, False)

        self.averages = averages = results.average()
        best = int(averages.argmax())
        if self._armed and best not in self._words:
            best = self._armed_word_above(averages, best)
        label, score = self.labels[best], averages.item(best)
        if self._falling is not None and self.mode in REARMING_MODES:
            recent = self._recent_mean(self._falling, time_ms)
            if recent < REARM_RATIO * self._needed[self._falling]:
                self._falling = None
        self.verdict = verdict = self._judge(best, score, time_ms)
        is_new = verdict is Verdict.FIRED
        if is_new:
            self._held_label, self._held_score, self._held_ms = label, score, time_ms
            self._falling = best if best in self._words else None
        return Result(label, score, is_new)

    @property
    def idle_results(self) -> int:
        """How many further results, with scores in 0..1 and at the same rate, cannot make a word fire.

        Each of the n results in the window moves an average by at most 1/n.
        """
        if self.averages is None:
            return 0
        averages = self.averages.tolist()
        margin = min((self._needed[index] - averages[index] for index in self._words), default=0.0)
        return int(min(margin, 1.0) * len(self._results.times_ms) - 0.01) if margin > 0 else 0

    def _armed_word_above(self, averages: NDArray[np.float32], otherwise: int) -> int:
        """The armed word that is farthest above its threshold; ``otherwise`` if none is above."""
        score, armed = max((averages.item(index) - threshold, index) for index, threshold in self._armed.items())
        return armed if score > 0 else otherwise

    def _judge(self, index: int, score: float, time_ms: int) -> Verdict:
        """The outcome for the label with the largest average."""
        if not score > self._needed[index]:  # which includes values that are not numbers
            return Verdict.BELOW_THRESHOLD
        is_armed = index in self._armed
        if index in self._on_demand and not is_armed:
            return Verdict.NOT_ARMED
        if not self._may_fire(index, time_ms):
            return Verdict.HELD if self.labels[index] == self._held_label else Verdict.SUPPRESSED
        is_free = is_armed or score > self._speech_threshold or index not in self._words
        return Verdict.FIRED if is_free or score > self._threshold_in_speech(index, time_ms) else Verdict.SPEECH

    def _may_fire(self, index: int, time_ms: int) -> bool:
        """Whether a label whose average is above its threshold counts as new."""
        is_other = self.labels[index] != self._held_label
        is_rested = (
            self._held_label == SILENCE or self._held_ms == NEVER_MS or time_ms - self._held_ms > self._suppression_ms
        )
        if self.mode == "android":
            return is_rested
        if self.mode == "micro":
            return is_other or is_rested
        return is_rested and (is_other or (index in self._may_follow_itself and self._is_said_again(index, time_ms)))

    def _is_said_again(self, index: int, time_ms: int) -> bool:
        """Whether the word that fired last fell and rose again, or outlasts its clip (modes ``rearm``, ``repeat``)."""
        outlives_clip = self.mode == "repeat" and time_ms - self._held_ms > self._clip_ms
        if self._falling is not None and not outlives_clip:
            return False
        return self._recent_mean(index, time_ms) > self._needed[index]

    def _threshold_in_speech(self, index: int, time_ms: int) -> float:
        """The word's threshold with regard to what came before what is in the clip now (mode ``repeat``)."""
        before = [score for then_ms, score in self._unknown_scores if then_ms <= time_ms - self._clip_ms]
        return threshold_in_speech(self._thresholds[index], self._speech_threshold, before)

    def _recent_mean(self, index: int, time_ms: int) -> float:
        recent = self._results.column_since(index, time_ms - self._average_window_ms // REARM_WINDOW_DIVISOR)
        return sum(recent) / len(recent)
