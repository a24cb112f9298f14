"""A model that learns: takes in, the bytes of a new model out. Uses no microphone and writes no file."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kwsd import __version__
from kwsd import model as models
from kwsd.audio.signal import Signal
from kwsd.errors import ModelError, UsageError
from kwsd.learn import bank as banks
from kwsd.learn import embedding, examples, last_layer
from kwsd.learn.examples import Memory
from kwsd.learn.fit import Doubles
from kwsd.learn.last_layer import LastLayer, Row
from kwsd.learn.lesson import STREAM_STRIDE_MS, Examples, Expectation, Lesson, expect, joined, take_of
from kwsd.learn.windows import stream
from kwsd.model import Model
from kwsd.model.catalogue import bundled
from kwsd.model.metadata import ENTRY

WORD_BYTES_MAX = 100

THRESHOLD_LEAST, THRESHOLD_MOST, THRESHOLD_STEP = 0.4, 0.9, 0.05
FALSE_ALARMS_PER_HOUR, RAW_FALSE_ALARMS_PER_HOUR = 1.0, 3.0

COUNTEREXAMPLE_WEIGHT = 50
"""How often each window of a counter-example counts; duplicates take no room in a compressed file."""

SCORE_THAT_COUNTS = 0.2
"""A counter-example does not concern words whose score stays below this in it."""


@dataclass(frozen=True)
class Learned:
    """A model with a new word.

    Attributes:
        content: the .tflite file.
        threshold: the threshold of the word's averaged score.
        speech_threshold: the same in running speech.
        expectation: estimated by leave-one-out.
    """

    content: bytes
    threshold: float
    speech_threshold: float
    expectation: Expectation


class Student:
    """Adds words to a model.

    Args:
        model: a bundled model's name, or a file with negatives beside it, or a file learned from such a model.

    Attributes:
        own: the words that it has learned.

    Raises:
        ModelError: the model is rejected, or cannot learn.
    """

    def __init__(self, model: str) -> None:
        self.model = models.load(model)
        if self.model.verifier is not None:
            raise ModelError(model, "a word is learned by one model, not by two", "Name the first alone.")
        source = str(self.model.path)
        data = self.model.path.read_bytes()
        name = self.model.metadata.get("embedding", "")
        self.layer = last_layer.load(data, name, source)
        self._features = self.layer.weights.shape[1]
        self._memory = Memory(source, self.model.sha256, {})
        self._base = self.model
        if (entry := self.model.graph.metadata.get(examples.ENTRY)) is not None:
            self._memory = examples.unpack(bytes(entry), self._features, source)
            self._base = _base_of(self._memory, source)
        base = self._base
        self._bank = banks.load(base.path, base.sha256, self._features)
        self.own = list(self._memory.words)

    def learn(
        self, word: str, takes: Sequence[Signal], counterexamples: Sequence[Signal], name: str, *, only_new: bool
    ) -> Learned:
        """A model with ``word``, learned from ``takes``.

        Args:
            takes: float32 in -1..1, shape (n,) each.
            counterexamples: clips that must not be detected as the word.
            name: of the new model.
            only_new: leave out the model's other words.
        """
        self.check_word(word)
        taken = [take_of(self.model, take, number) for number, take in enumerate(takes)]
        kept = [label for label in self.model.labels if label != word and (not only_new or label.startswith("_"))]
        lesson = self.lesson(word, kept)
        wrong = self._windows_of(counterexamples)
        taken = [replace(take, examples=_with_counterexamples(take.examples, wrong)) for take in taken[:1]] + taken[1:]
        found = joined([take.examples for take in taken])
        row = lesson.row(found)
        expectation = expect(lesson, taken)
        threshold = choose_threshold(expectation, self.model.recognize)
        in_speech = max(threshold, surer_in_speech(self.model.recognize))
        facts = {
            "takes": len(takes),
            "heard": expectation.heard(threshold),
            "false_alarms_per_hour": round(expectation.false_alarms_per_hour(in_speech), 2),
        }
        rows = {**{label: self._row(label) for label in kept}, word: row}
        words = {label: value for label, value in self._memory.words.items() if label in kept} | {word: found}
        content = self._written(rows, words, {word: threshold}, {word: facts}, name)
        return Learned(content, threshold, in_speech, expectation)

    def check_word(self, word: str) -> None:
        """UsageError for a word that cannot be learned: an invalid name, or one of the original model's words."""
        if not word.isprintable() or set(word) & set(",/"):  # text that is not UTF-8 cannot be printed either
            raise UsageError("WORD", f"{word!r} cannot be a word", "It has no comma, slash or control character in it.")
        if not word or word != word.strip() or word.startswith(("_", "-")) or len(word.encode()) > WORD_BYTES_MAX:
            raise UsageError(
                "WORD", f"{word!r} cannot be a word", f"It has 1 to {WORD_BYTES_MAX} bytes, no _ in front."
            )
        if word in self.model.labels and word not in self.own:
            raise UsageError(
                "WORD", f"{self.model.name} knows {word!r} already", "Forget that first, or choose another."
            )

    def forget(self, word: str, name: str) -> bytes:
        """A model without one of its words."""
        if word not in self.model.labels or word.startswith("_"):
            known = ", ".join(label for label in self.model.labels if not label.startswith("_"))
            raise UsageError("--forget", f"{self.model.name} does not know {word!r}", f"It knows {known}.")
        rows = {label: self._row(label) for label in self.model.labels if label != word}
        if all(label.startswith("_") for label in rows):
            raise UsageError("--forget", f"{word!r} is the only word of {self.model.name}")
        words = {label: value for label, value in self._memory.words.items() if label != word}
        return self._written(rows, words, {}, {}, name)

    def correct(self, clips: Sequence[Signal], name: str) -> tuple[bytes, dict[str, tuple[float, float]]]:
        """A model that detects none of its learned words in ``clips``.

        Returns:
            The file, and for each changed word its highest score in the clips before and after.
        """
        heard = self._windows_of(clips)
        rows: dict[str, Doubles] = {label: self._row(label) for label in self.model.labels}
        words, changed = dict(self._memory.words), {}
        for word in self.own:
            lesson = self.lesson(word, [label for label in self.model.labels if label != word])
            before = float(lesson.score(rows[word], heard).max())
            if before < SCORE_THAT_COUNTS:
                continue
            words[word] = _with_counterexamples(words[word], heard)
            rows[word] = lesson.row(words[word])
            changed[word] = before, float(lesson.score(rows[word], heard).max())
        return self._written(rows, words, {}, {}, name), changed

    def _windows_of(self, clips: Sequence[Signal]) -> Doubles:
        draw = np.random.default_rng(1)
        count = self.model.clip_samples
        parts = [embedding.of_stream(self.model, stream(clip, count, draw), STREAM_STRIDE_MS) for clip in clips]
        return np.concatenate([np.zeros((0, self._features)), *parts])

    def lesson(self, word: str, kept: Sequence[str]) -> Lesson:
        """The negatives for ``word``, in a model that keeps these labels."""
        places = [self.model.labels.index(label) for label in kept]
        layer = LastLayer(self.layer.weights[places], self.layer.bias[places], self.layer.highest)
        others = [value.word for label, value in self._memory.words.items() if label in kept]
        neighbours = np.concatenate([np.zeros((0, self._features)), *others])
        return Lesson(layer, kept, self._bank.without(word), neighbours)

    def _row(self, label: str) -> Doubles:
        place = self.model.labels.index(label)
        return np.append(self.layer.weights[place], self.layer.bias[place])

    def _written(
        self,
        rows: Mapping[str, Doubles],
        words: Mapping[str, Examples],
        thresholds: Mapping[str, float],
        facts: Mapping[str, Any],
        name: str,
    ) -> bytes:
        memory = Memory(self._memory.base, self._memory.base_sha256, words)
        metadata = json.dumps(self._metadata(list(rows), thresholds, facts, name), ensure_ascii=False)
        entries = {ENTRY: metadata.encode(), examples.ENTRY: examples.pack(memory)}
        placed: list[Row] = [
            (row[:-1], float(row[-1])) if label in words else self._base.labels.index(label)
            for label, row in rows.items()
        ]
        logits = [float((value.word @ rows[label][:-1] + rows[label][-1]).max()) for label, value in words.items()]
        highest = max([self.layer.highest if np.isfinite(self.layer.highest) else 0.0, *logits])
        name_of_embedding = str(self.model.metadata["embedding"])
        return last_layer.replace(self._base.path.read_bytes(), name_of_embedding, placed, entries, highest)

    def _metadata(
        self, labels: Sequence[str], thresholds: Mapping[str, float], facts: Mapping[str, Any], name: str
    ) -> dict[str, Any]:
        """The model's own examples, for these labels."""
        old = self.model.metadata
        recognize, training = dict(old.get("recognize", {})), dict(old.get("training") or {})
        recognize["thresholds"] = _of(labels, recognize.get("thresholds")) | dict(thresholds)
        training["base"], training["learned_by"] = self._base.name, f"kwsd {__version__} learn"
        training["learned"] = _of(labels, training.get("learned")) | dict(facts)
        return {**old, "name": name, "labels": list(labels), "recognize": recognize, "training": training}


def _of(labels: Sequence[str], values: Mapping[str, Any] | None) -> dict[str, Any]:
    """The values that belong to one of the labels."""
    return {label: value for label, value in (values or {}).items() if label in labels}


def _with_counterexamples(examples: Examples, wrong: Doubles) -> Examples:
    return Examples(examples.word, np.concatenate([examples.others, *COUNTEREXAMPLE_WEIGHT * [wrong]]))


def surer_in_speech(recognize: Mapping[str, Any]) -> float:
    """The additional threshold in running speech, from a model's settings; 0 if they have none."""
    return float(recognize.get("speech_threshold", 0.0)) if recognize.get("mode") == "repeat" else 0.0


def choose_threshold(expectation: Expectation, recognize: Mapping[str, Any]) -> float:
    """The lowest threshold that gives at most FALSE_ALARMS_PER_HOUR in the bank's running speech with the model's own
    rule for it, and RAW_FALSE_ALARMS_PER_HOUR without.
    """
    surer = surer_in_speech(recognize)
    steps = round((THRESHOLD_MOST - THRESHOLD_LEAST) / THRESHOLD_STEP)
    for step in range(steps):
        threshold = round(THRESHOLD_LEAST + step * THRESHOLD_STEP, 2)
        raw = expectation.false_alarms_per_hour(threshold)
        ruled = expectation.false_alarms_per_hour(max(threshold, surer))
        if ruled <= FALSE_ALARMS_PER_HOUR and raw <= (RAW_FALSE_ALARMS_PER_HOUR if surer else FALSE_ALARMS_PER_HOUR):
            return threshold
    return THRESHOLD_MOST


def _base_of(memory: Memory, source: str) -> Model:
    """The model from which a learned one was made, wherever that file is now."""
    for path in (*bundled().values(), Path(memory.base)):
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == memory.base_sha256:
            return models.load(path)
    why = f"it was made from {memory.base}, which is not here in that version"
    raise ModelError(source, why, "Learn its words again, from a model that comes with this kwsd.")
