"""How well `kwsd learn` learns words of real people from few takes, beside a nearest template.

    KWSD_DATA=data python tools/learn_words.py --model proof.tflite --words zero,eight,five,one

Of each word a case takes some clips of one person, or one clip each of several, learns the word, and listens with the
model's own recogniser, as the daemon would:

    heard          takes by the same person that were kept back (one person), or clips by others (several); each in
                   quiet, and with noise 10 dB below
    other words    single words by the same person, taken for the word (one person)
    an hour        events of the word in running speech of the validation set, in its half of the readers
    old words      clips of the words that the model knows, named right before and after

and, where asked for, takes by a synthesiser, tried on clips by people.

`--part choose` takes the first half of the people and of the readers, and clips of the validation set: by it settings
were chosen. `--part report` takes the other half, and clips of the testing set. --template tells the same of the
nearest template by dynamic time warping over frames (Raven works so), at the lowest threshold that keeps to one event
an hour in the first half.

The figures flatter where the model's network has heard the word before, as the shipped ones have heard all of the data
set as `_unknown_`: docs/own-words.md says how one is made that has not.
"""

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from kwsd_train.data.folders import which_set

from kwsd.audio.signal import fit, word_extent, word_power
from kwsd.frontend import create
from kwsd.learn import embedding
from kwsd.learn.lesson import STREAM_STRIDE_MS, Take, expect, joined, take_of
from kwsd.learn.sources import VOICES, synthesized
from kwsd.learn.student import Student, choose_threshold
from kwsd.learn.windows import coloured_noise
from kwsd.recognize.recognize_commands import RecognizeCommands

PEOPLE, GROUPS = 12, 3
OTHERS = 100
SNR_DB = 10.0
FAINT = 3e-4

CEPSTRA, FRAMES_A_SECOND, TEMPLATE_SAMPLES_LEAST = 12, 50, 3200


class Corpus:
    """Clips, and their embeddings by a student's model, each made once."""

    def __init__(self, data: Path, student: Student, part: str) -> None:
        self.data, self.student, self.model = data, student, student.model
        self._first = part == "choose"
        self._kept: dict[Any, Any] = {}
        self.clips: dict[str, dict[str, list[Path]]] = {}

    def by_person(self, word: str) -> dict[str, list[Path]]:
        if word not in self.clips:
            found = self.clips.setdefault(word, defaultdict(list))
            for path in sorted((self.data / "speech_commands" / word).iterdir()):
                found[path.name.partition("_")[0]].append(path)
        return self.clips[word]

    def halved(self, things: Sequence[Any]) -> list[Any]:
        """This part's half."""
        return list(things[0 if self._first else 1 :: 2])

    @property
    def kept_aside(self) -> str:
        return "validation" if self._first else "testing"

    def once(self, key: Any, make: Any) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def take(self, path: Path) -> Any:
        return self.once(("take", path), lambda: take_of(self.model, read(path), 0))

    def stream(self, path: Path, noisy: bool) -> Any:
        make = lambda: embedding.of_stream(self.model, in_a_stream(read(path), noisy), STREAM_STRIDE_MS)  # noqa: E731
        return self.once(("stream", path, noisy), make)

    def recordings(self) -> list[Path]:
        return self.halved(sorted((self.data / "running_speech" / "validation").glob("*.opus")))

    def speech(self) -> list[Any]:
        def make() -> list[Any]:
            signals = (read(path) for path in self.recordings())
            noisy = (signal + np.random.default_rng(1).normal(0, 1e-4, len(signal)) for signal in signals)
            return [embedding.of_stream(self.model, one.astype(np.float32), STREAM_STRIDE_MS) for one in noisy]

        return self.once("speech", make)

    def old_words(self) -> Any:
        """Labels and embeddings of clips of the words that the model knows."""

        def make() -> Any:
            labels, clips = [], []
            for word in (label for label in self.model.labels if not label.startswith("_")):
                for person, paths in self.by_person(word).items():
                    if which_set(f"{person}_nohash_0", 10, 10) == self.kept_aside:
                        labels += [word] * len(paths)
                        clips += [fit(read(path), self.model.clip_samples) for path in paths]
            return labels, embedding.of_clips(self.model, clips)

        return self.once("old words", make)


def read(path: Path) -> Any:
    return soundfile.read(path, dtype="float32")[0]


def in_a_stream(clip: Any, noisy: bool) -> Any:
    draw = np.random.default_rng(7)
    signal = np.zeros(40_000, np.float32)
    signal[12_000 : 12_000 + len(clip)] = clip[:16_000]
    if noisy:
        level = np.sqrt(word_power(clip)) * 10 ** (-SNR_DB / 20)
        signal += coloured_noise(len(signal), draw) * np.float32(level)
    return signal + draw.normal(0, FAINT, len(signal)).astype(np.float32)


class Heard:
    """What a model with a new word hears, from embeddings."""

    def __init__(self, student: Student, word: str, row: Any, threshold: float) -> None:
        self.labels, self._word, self._row = [*student.model.labels, word], word, row
        self._layer, self._recognize = student.layer, dict(student.model.recognize)
        self._recognize.pop("clip_stride_ms", None)
        self._recognize["thresholds"] = {**self._recognize.get("thresholds", {}), word: threshold}

    def scores(self, embeddings: Any) -> Any:
        logits = np.column_stack([self._layer.logits(embeddings), embeddings @ self._row[:-1] + self._row[-1]])
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    def events(self, embeddings: Any) -> int:
        """How often the word fires in a stream."""
        recognizer = RecognizeCommands(self.labels, **self._recognize)
        results = [
            recognizer.process(scores, 1000 + STREAM_STRIDE_MS * i)
            for i, scores in enumerate(self.scores(embeddings).astype(np.float32))
        ]
        return sum(result.is_new and result.label == self._word for result in results)

    def right(self, labels: Sequence[str], embeddings: Any) -> tuple[float, float]:
        """The share of clips named right without and with the new word."""
        logits = self._layer.logits(embeddings)
        old = np.array([self.labels[i] for i in logits.argmax(1)]) == labels
        new = np.array([self.labels[i] for i in self.scores(embeddings).argmax(1)]) == labels
        return float(old.mean()), float(new.mean())


def share(flags: Sequence[bool]) -> str:
    return f"{100 * float(np.mean(flags)):.0f} % of {len(flags)}" if len(flags) else "-"


class Nearest:
    """The nearest template: takes against streams, frame by frame, by dynamic time warping.

    Frames are cepstra (2 to 13) of the model's own log-mel rows, of length 1, so that a product is a
    cosine. A path takes 1:1, 1:2 or 2:1 frames, so that speech may be half or twice as fast, and may begin at any frame
    of the stream. The score is the mean cosine along the best path that ends now, of the best take.
    """

    def __init__(self, corpus: "Corpus", takes: Sequence[Path]) -> None:
        self._front = create(corpus.model.frontend)
        words = [read(path) for path in takes]
        frames = [self.frames(word[slice(*word_extent(word))]) for word in words]
        self._lengths = np.array([len(template) for template in frames])
        self._templates = np.stack([np.pad(one, ((0, self._lengths.max() - len(one)), (0, 0))) for one in frames])

    def frames(self, signal: Any) -> Any:
        """Shape (frames, CEPSTRA)."""
        rows = self._front.compute(fit(signal, max(len(signal), TEMPLATE_SAMPLES_LEAST)))
        bands = np.arange(rows.shape[1]) + 0.5
        cepstra = rows @ np.cos(np.pi * np.outer(bands, np.arange(1, CEPSTRA + 1)) / len(bands))
        return cepstra / np.maximum(np.linalg.norm(cepstra, axis=1, keepdims=True), 1e-6)

    def highest(self, signals: Sequence[Any]) -> Any:
        """The highest score in each second of each signal, shape (signals, seconds); 0 behind its end."""
        frames = [self.frames(signal) for signal in signals]
        longest = max(map(len, frames))
        streams = np.stack([np.pad(one, ((0, longest - len(one)), (0, 0))) for one in frames])
        scores = self._scores(streams)
        for row, one in zip(scores, frames, strict=True):
            row[len(one) :] = 0
        seconds = -(-longest // FRAMES_A_SECOND)
        return (
            np.pad(scores, ((0, 0), (0, seconds * FRAMES_A_SECOND - longest)))
            .reshape(len(signals), seconds, FRAMES_A_SECOND)
            .max(2)
        )

    def _scores(self, streams: Any) -> Any:
        """(signals, frames), from frames (signals, frames, CEPSTRA)."""
        count, width = len(self._templates), self._templates.shape[1]
        shape = (len(streams), count, width + 2)  # places before a template's first frame: none, and a free start
        before, earlier = np.full(shape, -np.inf), np.full(shape, -np.inf)
        before[..., 1] = earlier[..., 1] = 0
        found = np.zeros(streams.shape[:2])
        ends = np.arange(count), self._lengths + 1
        for place in range(streams.shape[1]):
            alike = np.einsum("tnc,sc->stn", self._templates, streams[:, place])
            skipped = before[..., :-2] + np.pad(alike, ((0, 0), (0, 0), (1, 0)))[..., :-1]
            now = np.full(shape, -np.inf)
            now[..., 1] = 0
            now[..., 2:] = alike + np.maximum(np.maximum(before[..., 1:-1], earlier[..., 1:-1]), skipped)
            found[:, place] = (now[:, ends[0], ends[1]] / self._lengths).max(1)
            before, earlier = now, before
        return found


def nearest_case(corpus: Corpus, takes: list[Path], tests: list[Path], others: list[Path], table: "Table") -> None:
    nearest = Nearest(corpus, takes)

    def hour(recordings: Sequence[Path]) -> tuple[Any, float]:
        highest = nearest.highest([read(path) for path in recordings])
        return highest, sum(soundfile.info(path).duration for path in recordings) / 3600

    every = sorted((corpus.data / "running_speech" / "validation").glob("*.opus"))
    known, hours = hour(every[0::2])
    threshold = np.sort(known.ravel())[::-1][int(hours)]
    for name, noisy in (("quiet", False), ("10 dB", True)):
        table.flags[name] += (nearest.highest([in_a_stream(read(p), noisy) for p in tests]).max(1) > threshold).tolist()
    if others:
        heard = nearest.highest([in_a_stream(read(path), False) for path in others]).max(1) > threshold
        table.flags["other words"] += heard.tolist()
    fired, hours = hour(every[1::2])
    table.hour.append(float((fired > threshold).sum()) / hours)
    table.thresholds.append(float(threshold))
    table.expected.append(float("nan"))


class Table:
    """Sums over cases."""

    def __init__(self) -> None:
        self.flags: dict[str, list[bool]] = defaultdict(list)
        self.hour: list[float] = []
        self.old: list[tuple[float, float]] = []
        self.thresholds: list[float] = []
        self.expected: list[float] = []

    def row(self, title: str) -> str:
        old = 100 * np.mean(self.old, axis=0) if self.old else (0, 0)
        return (
            f"| {title} | {len(self.hour)} | {share(self.flags['quiet'])} | {share(self.flags['10 dB'])} "
            f"| {share(self.flags['other words'])} | {np.mean(self.hour):.2f} | {old[0]:.2f} -> {old[1]:.2f} "
            f"| {np.median(self.thresholds):.2f} | {100 * np.mean(self.expected):.0f} % |"
        )


HEAD = "| takes | cases | heard | at 10 dB | other words | an hour | old words % | threshold | expected |"


def case(corpus: Corpus, word: str, taken: list[Take], tests: list[Path], others: list[Path], table: Table) -> None:
    student = corpus.student
    kept = student.model.labels
    lesson = student.lesson(word, kept)
    row = lesson.row(joined([take.examples for take in taken]))
    expectation = expect(lesson, taken)
    threshold = choose_threshold(expectation, student.model.recognize)
    heard = Heard(student, word, row, threshold)
    for name, noisy in (("quiet", False), ("10 dB", True)):
        table.flags[name] += [heard.events(corpus.stream(path, noisy)) > 0 for path in tests]
    table.flags["other words"] += [heard.events(corpus.stream(path, False)) > 0 for path in others]
    speech = corpus.speech()
    hours = sum(map(len, speech)) * STREAM_STRIDE_MS / 3_600_000
    table.hour.append(sum(map(heard.events, speech)) / hours)
    table.old.append(heard.right(*corpus.old_words()))
    table.thresholds.append(threshold)
    table.expected.append(expectation.heard(threshold) / len(taken))


def one_person(corpus: Corpus, word: str, takes: int, people: int) -> list[tuple[list[Path], list[Path], list[Path]]]:
    """Cases: takes, what was kept back, and other words by the same person."""
    able = [who for who, paths in corpus.by_person(word).items() if len(paths) > takes]
    cases = []
    for who in corpus.halved(able)[:people]:
        paths = corpus.by_person(word)[who]
        named = [folder.name for folder in sorted((corpus.data / "speech_commands").iterdir()) if folder.is_dir()]
        strange = [name for name in named if name not in (word, *corpus.model.labels) and name[0] not in "_u"]
        others = [path for name in strange for path in corpus.by_person(name).get(who, [])]
        cases.append((paths[:takes], paths[takes:], others))
    return cases


def several(corpus: Corpus, word: str, takes: int, groups: int) -> list[tuple[list[Path], list[Path], list[Path]]]:
    """Cases: one take each of so many people, and clips by people who are kept aside."""
    people = corpus.by_person(word)
    training = [who for who in people if which_set(f"{who}_nohash_0", 10, 10) == "training"]
    aside = [who for who in people if which_set(f"{who}_nohash_0", 10, 10) == corpus.kept_aside]
    tests = [path for who in aside for path in people[who]][:OTHERS]
    chosen = corpus.halved(training)
    parts = [chosen[i * takes :][:takes] for i in range(min(groups, GROUPS))]
    return [([people[who][0] for who in part], tests, []) for part in parts if len(part) == takes]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", default="default", help="bundled model or file (default: default)")
    add("--words", default="zero,eight,five,one", metavar="W,...")
    add("--one", default="2,4", metavar="N,...", help="takes by one person; nobody has more than 5 (default: 2,4)")
    add("--several", default="5,10,20", metavar="N,...", help="takes by as many people (default: 5,10,20)")
    add("--synthesized", action="store_true", help="takes by espeak-ng and flite, too")
    add("--template", action="store_true", help="measure the nearest template instead")
    add("--people", type=int, default=PEOPLE, metavar="N", help="people of a word, one after another (default: 12)")
    add("--part", choices=("choose", "report"), default="report")
    add("--data", type=Path, default=Path(os.environ.get("KWSD_DATA", "data")), help="default: $KWSD_DATA")
    args = parser.parse_args()
    corpus = Corpus(args.data, Student(args.model), args.part)
    print(HEAD, "|" + "---|" * (HEAD.count("|") - 1), sep="\n")
    for title, counts, cases in (("one person", args.one, one_person), ("several people", args.several, several)):
        for count in (int(part) for part in counts.split(",") if part):
            table = Table()
            for word in args.words.split(","):
                for takes, tests, others in cases(corpus, word, count, args.people):
                    if args.template:
                        nearest_case(corpus, takes, tests, others, table)
                    else:
                        case(corpus, word, [corpus.take(path) for path in takes], tests, others, table)
            print(table.row(f"{count}, {title}"), flush=True)
    if args.synthesized:
        table = Table()
        for word in args.words.split(","):
            spoken = synthesized(word, VOICES, corpus.model.sample_rate_hz, corpus.model.clip_samples)
            taken = [take_of(corpus.model, signal, number) for number, signal in enumerate(spoken)]
            case(corpus, word, taken, several(corpus, word, 1, 1)[0][1], [], table)
        print(table.row(f"{VOICES}, synthesized"), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
