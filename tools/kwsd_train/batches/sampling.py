"""Which entry of the training set comes next: how a batch is composed.

``tutorial``: every entry of the set is drawn equally often, so shares follow from the numbers of clips, and
percentages of silence and of other words are numbers of clips, fixed at the start (TensorFlow's speech_commands).

``balanced``: percentages are shares of each batch, drawn from all clips, and wanted words are drawn equally
often, or by their weights. Twenty takes of a word then count as much as two thousand of another.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import UsageError
from kwsd_train.data.folders import SILENCE_INDEX, UNKNOWN_INDEX

KINDS = ("tutorial", "balanced")

NO_CLIP = -1
"""Instead of an entry of the set: digital silence."""

MADE_SHARE = 0.5
"""Share of synthesized voices for a word that is also spoken by people."""

Entries = NDArray[np.int64]


class Sampler(Protocol):
    """Draws entries of the training set."""

    def labels(self, size: int, places: int, draw: np.random.Generator) -> Sequence[int | None]:
        """The labels of ``places`` clips of a batch of ``size``; None for any."""

    def entry(self, label: int | None, draw: np.random.Generator) -> int:
        """An entry with this label, or any; `NO_CLIP` for silence."""


class Tutorial:
    """Draws every entry equally often.

    Args:
        labels: of each entry, shape (n,).
    """

    def __init__(self, labels: Entries) -> None:
        self._labels = labels
        self._entries = [np.flatnonzero(labels == label) for label in range(int(labels.max(initial=-1)) + 1)]

    def labels(self, size: int, places: int, draw: np.random.Generator) -> Sequence[int | None]:
        return [None] * places

    def entry(self, label: int | None, draw: np.random.Generator) -> int:
        if label is None:
            return int(draw.integers(len(self._labels)))
        return int(self._entries[label][draw.integers(len(self._entries[label]))])


class Balanced:
    """Draws fixed shares of each batch, and each word by its weight.

    Args:
        labels: of each entry, shape (n,); every wanted word has one.
        voices: the number of each entry's speaker, shape (n,).
        made: whether each entry is synthesized, shape (n,).
        weights: of each wanted word.
        silence, unknown: shares of a batch, 0..1.
        same_voice: share of the other words, 0..1, spoken by the voices of wanted words, each as often as it says
            wanted words, so that the network does not learn the voice. From all voices if a voice has no other words.
    """

    def __init__(
        self,
        labels: Entries,
        voices: Entries,
        made: NDArray[np.bool_],
        weights: Sequence[float],
        *,
        silence: float,
        unknown: float,
        same_voice: float,
    ) -> None:
        self._shares = {SILENCE_INDEX: silence, UNKNOWN_INDEX: unknown}
        self._weights = np.array(weights) / np.sum(weights)
        self._voices = voices
        self._words = [_Word(np.flatnonzero(labels == 2 + place), made) for place in range(len(weights))]
        self._others = np.flatnonzero((labels == UNKNOWN_INDEX) & ~made)
        self._same_voice = same_voice
        self._others_by_voice = _grouped(np.flatnonzero(labels == UNKNOWN_INDEX), voices)
        if not len(self._others):
            self._others = np.flatnonzero(labels == UNKNOWN_INDEX)

    def labels(self, size: int, places: int, draw: np.random.Generator) -> Sequence[int | None]:
        """Shares that are not whole numbers of clips are correct on average over batches."""
        chosen: list[int | None] = []
        for label, share in self._shares.items():
            if label == UNKNOWN_INDEX and not len(self._others):
                continue
            chosen += [label] * math.floor(size * share + draw.random())
        words = draw.choice(len(self._weights), max(places - len(chosen), 0), p=self._weights)
        return [*chosen, *(int(word) + 2 for word in words)][:places]

    def entry(self, label: int | None, draw: np.random.Generator) -> int:
        if label is None:
            label = self._any(draw)
        if label == SILENCE_INDEX:
            return NO_CLIP
        if label != UNKNOWN_INDEX:
            return self._words[label - 2].entry(draw)
        pool = self._others
        if draw.random() < self._same_voice:
            word = self._words[int(draw.choice(len(self._weights), p=self._weights))]
            pool = self._others_by_voice.get(int(self._voices[word.entry(draw)]), pool)
        return int(pool[draw.integers(len(pool))])

    def _any(self, draw: np.random.Generator) -> int:
        at = float(draw.random())
        for label, share in self._shares.items():
            if at < share and (label == SILENCE_INDEX or len(self._others)):
                return label
            at -= share
        return 2 + int(draw.choice(len(self._weights), p=self._weights))


class _Word:
    """The entries of a wanted word."""

    def __init__(self, entries: Entries, made: NDArray[np.bool_]) -> None:
        self._spoken, self._made = entries[~made[entries]], entries[made[entries]]

    def entry(self, draw: np.random.Generator) -> int:
        pool = self._spoken
        if not len(pool) or (len(self._made) and draw.random() < MADE_SHARE):
            pool = self._made
        return int(pool[draw.integers(len(pool))])


def _grouped(entries: Entries, voices: Entries) -> dict[int, Entries]:
    """Entries by their voice."""
    ordered = entries[np.argsort(voices[entries], kind="stable")]
    names, starts = np.unique(voices[ordered], return_index=True)
    return {int(name): part for name, part in zip(names, np.split(ordered, starts)[1:], strict=True)}


def create(
    labels: Entries, voices: Entries, made: NDArray[np.bool_], words: Sequence[str], settings: Mapping[str, Any]
) -> Sampler:
    """The sampling for ``--sampling``. UsageError for shares that leave nothing for the words, or invalid weights."""
    if settings["sampling"] == "tutorial":
        return Tutorial(labels)
    check(words, settings)
    return Balanced(
        labels,
        voices,
        made,
        list(word_weights(settings["word_weights"], words).values()),
        silence=settings["silence_percentage"] / 100,
        unknown=settings["unknown_percentage"] / 100,
        same_voice=settings["same_voice_percentage"] / 100,
    )


def percentages(settings: Mapping[str, Any]) -> float:
    """The share of everything but wanted words, in percent."""
    parts = ("silence_percentage", "unknown_percentage", "speech_percentage", "unlabelled_percentage")
    return float(sum(settings.get(part, 0.0) for part in parts))


def check(words: Sequence[str], settings: Mapping[str, Any]) -> None:
    """UsageError if the settings require what cannot be drawn."""
    weights = settings["word_weights"]
    if settings["sampling"] == "tutorial":
        if weights or settings["same_voice_percentage"]:
            flag = "--word_weights" if weights else "--same_voice_percentage"
            raise UsageError(flag, "--sampling tutorial draws every clip equally often", "Add --sampling balanced.")
        return
    word_weights(weights, words)
    taken = percentages(settings)
    if taken >= 100:
        raise UsageError(
            "--sampling",
            f"balanced: the shares of silence, other words, running speech and recordings add up to {taken:g} percent "
            "of a batch, and leave none for the words",
            "Lower --unknown_percentage or the others.",
        )


def word_weights(text: str, words: Sequence[str]) -> dict[str, float]:
    """Each word's weight from ``WORD=X,...``; 1 for those not named. Raises UsageError."""
    weights = dict.fromkeys(words, 1.0)
    for part in filter(None, (part.strip() for part in text.split(","))):
        word, _, number = part.partition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if word not in weights:
            raise UsageError("--word_weights", f"{word!r} is not a wanted word", f"They are {', '.join(words)}.")
        if not 0.001 <= weight <= 1000:
            raise UsageError("--word_weights", f"{part!r}", "Give WORD=X, X from 0.001 to 1000.")
        weights[word] = weight
    return weights
