"""From takes to a row of the last layer, and its expected performance.

Pure except for the network: no files, no microphone, and the same takes give the same row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from kwsd.audio.signal import Signal
from kwsd.learn import embedding
from kwsd.learn.bank import Bank
from kwsd.learn.fit import Doubles, fit_row, log_sum_exp, probability
from kwsd.learn.last_layer import LastLayer
from kwsd.learn.windows import other_windows, stream, word_windows

if TYPE_CHECKING:
    from kwsd.model import Model

WORD_WINDOWS, OTHER_WINDOWS = 32, 16
"""Of each take."""

STREAM_STRIDE_MS = 40
AVERAGED_MS = 500
FOLDS = 5

OLD_WORD_WEIGHT = 4
"""Weight of an example of a known word against any other negative, so that it is not lost to the new word."""

SEED = 59185


@dataclass(frozen=True)
class Examples:
    """Embeddings (windows, features) of one word: with it, and without it."""

    word: Doubles
    others: Doubles


@dataclass(frozen=True)
class Take:
    """What is made of one take: windows for the fit, and the stream in which it is tested."""

    examples: Examples
    stream: Doubles


def take_of(model: "Model", signal: Signal, number: int) -> Take:
    """The embeddings of a take; its ``number`` seeds what is drawn."""
    draw = np.random.default_rng((SEED, number))
    clip = model.clip_samples
    word = embedding.of_clips(model, word_windows(signal, clip, WORD_WINDOWS, draw))
    others = embedding.of_clips(model, other_windows(signal, clip, OTHER_WINDOWS, draw))
    return Take(Examples(word, others), embedding.of_stream(model, stream(signal, clip, draw), STREAM_STRIDE_MS))


def joined(parts: Sequence[Examples]) -> Examples:
    return Examples(np.concatenate([part.word for part in parts]), np.concatenate([part.others for part in parts]))


@dataclass(frozen=True)
class Lesson:
    """A word among others.

    Attributes:
        layer: the last layer of the model that gets the word, with the rows that stay.
        kept: the labels of these rows.
        bank: embeddings that are not the word.
        neighbours: embeddings (n, features) of other words learned on the spot.
    """

    layer: LastLayer
    kept: Sequence[str]
    bank: Bank
    neighbours: Doubles

    def row(self, examples: Examples) -> Doubles:
        """The word's row of the last layer, (features + 1,), the bias last."""
        bank = self.bank
        old = bank.words[[label in self.kept for label in bank.labels]]
        parts = [examples.others, self.neighbours, bank.speech, bank.words, bank.noise, *(OLD_WORD_WEIGHT - 1) * [old]]
        others = np.concatenate(parts)
        return fit_row(examples.word, self._offsets(examples.word), others, self._offsets(others))

    def score(self, row: Doubles, embeddings: Doubles) -> Doubles:
        """The word's score, shape (n,)."""
        return probability(embeddings, row, self._offsets(embeddings))

    def _offsets(self, embeddings: Doubles) -> Doubles:
        return log_sum_exp(self.layer.logits(embeddings))

    def without_fold(self, fold: int, folds: int) -> "Lesson":
        """With a part of the bank held out: every nth recording and single word."""
        bank = self.bank
        recording = np.repeat(np.arange(len(bank.ends)), np.diff(bank.ends, prepend=0))
        speech, words = recording % folds != fold, np.arange(len(bank.words)) % folds != fold
        ends = np.cumsum(np.diff(bank.ends, prepend=0)[np.arange(len(bank.ends)) % folds != fold], dtype=np.int32)
        labels = tuple(label for label, kept in zip(bank.labels, words, strict=True) if kept)
        kept = Bank(bank.speech[speech], ends, bank.stride_ms, bank.words[words], labels, bank.noise)
        return replace(self, bank=kept)


@dataclass
class Expectation:
    """Scores of held-out takes and negatives, each by a row that has not seen them.

    Attributes:
        takes: the highest averaged score of each take in a stream.
        speech: the highest score in each second of the bank's running speech.
        words: the score of each single word of the bank.
        labels: these words.
        hours: of running speech.
    """

    takes: list[float] = field(default_factory=list)
    speech: list[float] = field(default_factory=list)
    words: list[float] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    hours: float = 0.0

    def heard(self, threshold: float) -> int:
        """The number of takes that would be detected."""
        return sum(score > threshold for score in self.takes)

    def false_alarms_per_hour(self, threshold: float) -> float:
        """In running speech."""
        return sum(score > threshold for score in self.speech) / self.hours


def expect(lesson: Lesson, takes: Sequence[Take]) -> Expectation:
    """Leave-one-out over the takes, or over five parts of them if there are more; the bank is split likewise."""
    found = Expectation(takes=[0.0] * len(takes), hours=lesson.bank.hours)
    folds = min(FOLDS, len(takes))
    for fold in range(folds):
        kept = [take.examples for i, take in enumerate(takes) if i % folds != fold]
        if not kept:
            kept = [takes[0].examples]
        partial = lesson.without_fold(fold, max(folds, 2))
        row = partial.row(joined(kept))
        found.takes[fold::folds] = [peak(lesson.score(row, take.stream)) for take in takes[fold::folds]]
        _add_bank(found, lesson, row, fold, max(folds, 2))
    return found


def _add_bank(found: Expectation, lesson: Lesson, row: Doubles, fold: int, folds: int) -> None:
    bank = lesson.bank
    scores = lesson.score(row, bank.speech)
    a_second, averaged = max(1, round(1000 / bank.stride_ms)), max(1, 1 + AVERAGED_MS // bank.stride_ms)
    for i in range(fold, len(bank.ends), folds):
        begin = bank.ends[i - 1] if i else 0
        means = _running_mean(scores[begin : bank.ends[i]], averaged)
        found.speech += [float(means[at : at + a_second].max()) for at in range(0, len(means), a_second)]
    words = lesson.score(row, bank.words)
    found.words += words[fold::folds].tolist()
    found.labels += bank.labels[fold::folds]


def peak(scores: Doubles) -> float:
    """The highest score averaged as the recogniser does, over windows of a stream."""
    return float(_running_mean(scores, AVERAGED_MS // STREAM_STRIDE_MS + 1).max())


def _running_mean(scores: Doubles, count: int) -> Doubles:
    count = min(count, len(scores))
    sums = np.concatenate([[0.0], np.cumsum(scores)])
    return np.asarray((sums[count:] - sums[:-count]) / count)
