"""How well a model learns words of one's own from few takes of few people: fine-tunes for each case and measures.

    python tools/own_words.py --start_checkpoint backbone.weights.h5 --words zero,eight,five

Of each word the folder of words has takes by hundreds of people; a case takes some of one or five of them and leaves
the others to be tested on. --start_checkpoint must be a model that has never heard these words, or figures flatter:
docs/training.md says how one is made, and what came out. A case is a fine-tuning as that page has it, of a folder
of links; what is printed is how many of these clips are named the word (the highest score is its):

    same person     takes of the same people that were kept back
    other persons   takes by speakers of the validation and testing sets, of whom nothing at all was heard in training
    same voice      other words by the same people, none of which were heard in training
    other words     other words by speakers of the validation and testing sets
    an hour         events in running speech of the validation set, in mode and at thresholds of the start's model
    old words       right among the testing clips of the words that the start knows, before and after (with --added)
    in a stream     other persons' takes, each a recording of its own, in which the word fires, as the daemon hears it
    CPU, memory     what the commands took, largest process, TensorFlow and the decoding of all clips included

With --learn, `kwsd learn` learns the word of the same takes too, and is measured in the same way. It needs the start's
network with an `embedding` and negatives beside it:

    kwsd-train freeze ... --embedding --quantize int8 --output_file proof.tflite
    python tools/negatives.py proof.tflite --without zero,eight,five,one,unidentified
    python tools/own_words.py --start_checkpoint start.weights.h5 --added --learn proof.tflite
"""

import argparse
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from kwsd_train.batches.augment import fit
from kwsd_train.data.folders import BACKGROUND_FOLDER, data_root, says, speaker_of, which_set
from kwsd_train.data.recordings import decode, is_audio
from kwsd_train.evaluation import hearing
from kwsd_train.training import finetune

from kwsd import model as models

QUIET = ("--verbosity", "ERROR", "--save_step_interval", "10000")
MEANS = ("old words", "CPU, memory")
"""Figures of which several cases give the mean, not the sum."""

KEPT_BACK = 1
"""Takes of each person that are tested on."""


class Corpus:
    """Clips by word and speaker."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir
        self.clips: dict[str, dict[str, list[Path]]] = {}
        for folder in sorted(one for one in data_dir.iterdir() if one.is_dir() and one.name != BACKGROUND_FOLDER):
            takes = self.clips.setdefault(folder.name, defaultdict(list))
            for path in sorted(path for path in folder.iterdir() if is_audio(path)):
                takes[speaker_of(path)].append(path)

    def able(self, word: str, takes: int) -> list[str]:
        """Speakers for training with so many takes of a word and one more."""
        return [
            speaker
            for speaker, paths in self.clips[word].items()
            if len(paths) >= takes + KEPT_BACK and which_set(f"{speaker}_nohash_0", 10, 10) == "training"
        ]


def link(
    corpus: Corpus, target: Path, word: str, people: dict[str, int], hidden: Sequence[str]
) -> dict[str, list[Path]]:
    """A folder of words to train on, and what is left to be tested on.

    Args:
        people: speaker -> takes of the word.
        hidden: words of which nothing is trained on; of the people, none of the words in every second folder either.
    """
    tests: dict[str, list[Path]] = defaultdict(list)
    (target / BACKGROUND_FOLDER).parent.mkdir(parents=True)
    (target / BACKGROUND_FOLDER).symlink_to((corpus.path / BACKGROUND_FOLDER).resolve())
    shuffled = sorted(set(corpus.clips) - {word})
    random.Random(word).shuffle(shuffled)
    unheard = {*shuffled[::2], *hidden}
    for name, by_speaker in corpus.clips.items():
        (target / name).mkdir()
        for speaker, paths in by_speaker.items():
            training = which_set(f"{speaker}_nohash_0", 10, 10) == "training"
            if name == word:
                learnt = paths[: people.get(speaker, 0)]
                if speaker in people:
                    tests["same person"] += paths[len(learnt) :]
                elif not training:
                    tests["other persons"] += paths
            else:
                mine = speaker in people and name in unheard
                learnt = [] if name in hidden or mine else paths
                if mine:
                    tests["same voice"] += paths
                elif not training:
                    tests["other words"] += paths
            for path in learnt:
                (target / name / path.name).symlink_to(path.resolve())
    return tests


class Way(NamedTuple):
    """A model that has the word, and what it took: seconds of processor time, and bytes of the largest process."""

    model: Path
    cpu_s: float
    memory_bytes: float


def train(args: argparse.Namespace, data_dir: Path, folder: Path, wanted: str, more: Sequence[str]) -> Way:
    """Fine-tune and freeze."""
    places = ["--data_dir", str(data_dir), *(["--cache_dir", str(args.cache_dir)] if args.cache_dir else [])]
    run, model = ["--start_checkpoint", args.start_checkpoint, "--seed", str(args.seed)], folder / "own.tflite"
    places += ["--train_dir", str(folder)]
    return called(
        model,
        ["kwsd_train", "train", *places, *run, "--wanted_words", wanted, *QUIET, *more],
        ["kwsd_train", "freeze", *places, "--start_checkpoint", "latest", "--output_file", str(model)],
    )


def learn(args: argparse.Namespace, word: str, takes: Sequence[Path], folder: Path) -> Way:
    """`kwsd learn`, of the same takes."""
    (folder / "takes").mkdir()
    for path in takes:
        (folder / "takes" / path.name).symlink_to(path.resolve())
    model = folder / "learnt.tflite"
    only = [] if args.added else ["--only-new"]
    command = ["kwsd", "learn", word, "--from", str(folder / "takes"), "-m", str(args.learn), "-o", str(model), *only]
    return called(model, command)


def called(model: Path, *commands: Sequence[str]) -> Way:
    """Runs modules of Python, each in a process of its own, whose children count too."""
    cpu_s, largest = 0.0, 0
    for command in commands:
        child = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(child.returncode)
        cpu_s += usage.ru_utime + usage.ru_stime
        largest = max(largest, usage.ru_maxrss * 1024)
    return Way(model, cpu_s, largest)


_features: dict[tuple[str, Path], Any] = {}
"""Of clips, by the front end, which several models share."""


def named(model: Any, paths: Iterable[Path]) -> list[str]:
    """The label of the highest score of each clip."""
    front, heard = json.dumps([model.frontend, model.clip_samples]), []
    for path in paths:
        if (front, path) not in _features:
            signal = decode(path, model.sample_rate_hz).astype(np.float32) / 32768
            _features[front, path] = model.features(fit(signal, model.clip_samples))
        heard.append(model.labels[int(np.argmax(model.scores(_features[front, path])))])
    return heard


def in_a_stream(path: Path, word: str, takes: Sequence[Path]) -> tuple[int, int]:
    """Takes in which the word fires, and takes."""
    heard = hearing.hear_all({"path_or_name": path}, [(take, {}) for take in takes])
    return sum(any(found.label == word for found in one.found) for one in heard), len(heard)


def in_speech(path: Path, word: str, folder: Path) -> tuple[int, float]:
    """Events of the word in recordings that do not hold it, and their hours."""
    files = [one for one in hearing.audio_files([folder], "--speech_dir") if not _holds(one, word)]
    heard = hearing.hear_all({"path_or_name": path}, [(file, {}) for file in files])
    events = sum(found.label == word for one in heard for found in one.found)
    return events, sum(one.duration_ms for one in heard) / 3_600_000


def _holds(recording: Path, word: str) -> bool:
    rows = [line.split("\t") for line in (recording.parent / "transcripts.tsv").read_text().splitlines()]
    column = rows[0].index("transcript")
    return any(row[0] == recording.name and says(row[column], [word]) for row in rows[1:])


def old_words(corpus: Corpus, model: Any, words: Sequence[str]) -> float:
    """The share of testing clips of ``words`` that are named right, mean over words."""
    shares = []
    for word in words:
        by_speaker = corpus.clips[word].items()
        paths = [path for who, them in by_speaker for path in them if which_set(f"{who}_nohash_0", 10, 10) == "testing"]
        shares.append(np.mean([label == word for label in named(model, paths)]))
    return float(np.mean(shares))


def case(
    args: argparse.Namespace, corpus: Corpus, word: str, people: dict[str, int], more: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The word learnt and measured, by each way: its name -> `measured`."""
    donor = finetune.find(args.start_checkpoint)
    assert donor is not None
    old = [label for label in donor.labels if not label.startswith("_")] if args.added else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hidden = [other for other in args.hidden.split(",") if other and other != word]
        tests = link(corpus, folder / "words", word, people, hidden)
        ways = {"fine-tuned": train(args, folder / "words", folder, ",".join([*old, word]), more)}
        if args.learn:
            takes = [path for who, count in people.items() for path in corpus.clips[word][who][:count]]
            ways["learnt"] = learn(args, word, takes, folder)
        starts = {"fine-tuned": donor.model, "learnt": args.learn}
        return {kind: measured(args, corpus, word, old, tests, starts[kind], way) for kind, way in ways.items()}


def measured(
    args: argparse.Namespace,
    corpus: Corpus,
    word: str,
    old: Sequence[str],
    tests: dict[str, list[Path]],
    start: Path,
    way: Way,
) -> dict[str, Any]:
    """Name -> (clips named the word, clips), and the like."""
    model = models.load(way.model)
    figures: dict[str, Any] = {}
    for kind, paths in tests.items():
        heard = named(model, paths)
        figures[kind] = (heard.count(word), len(heard))
    figures["in a stream"] = in_a_stream(way.model, word, tests["other persons"])
    if args.speech_dir:
        figures["an hour"] = in_speech(way.model, word, args.speech_dir)
    if old:
        figures["old words"] = (old_words(corpus, models.load(start), old), old_words(corpus, model, old))
    figures["CPU, memory"] = (way.cpu_s, way.memory_bytes / 1e6)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--start_checkpoint", required=True, help="model that never heard the words: a .weights.h5 beside its .tflite")
    add(
        "--words",
        default="zero,eight,five",
        help="words that have folders, each learnt alone (default: zero,eight,five)",
    )
    add(
        "--hidden",
        default="zero,eight,five,one,unidentified",
        help="folders that the model never heard, nor hears here",
    )
    add("--people", default="1,5", help="numbers of people (default: 1,5)")
    add(
        "--takes",
        default="4",
        help="numbers of takes by each (default: 4, most that the data set has with one kept back)",
    )
    add("--rounds", type=int, default=1, help="other people each time (default: 1)")
    add(
        "--added",
        action="store_true",
        help="add each word to those that the model knows, in place of learning it alone",
    )
    add("--data_dir", type=Path, default=data_root() / "speech_commands", help="word folders")
    add("--speech_dir", type=Path, default=data_root() / "running_speech" / "validation", help="running speech")
    add("--learn", type=Path, metavar="MODEL", help="let kwsd learn do it too, from this model")
    add("--cache_dir", type=Path, help="as for kwsd-train")
    add("--seed", type=int, default=1)
    args, more = parser.parse_known_args()  # what is left goes to `kwsd-train train`
    logging.getLogger("kwsd_train").setLevel(logging.ERROR)
    corpus = Corpus(args.data_dir)
    for count in map(int, args.people.split(",")):
        for takes in map(int, args.takes.split(",")):
            totals: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
            for word in args.words.split(","):
                able = corpus.able(word, takes)
                random.Random(args.seed).shuffle(able)
                for round_ in range(args.rounds):
                    people = dict.fromkeys(able[round_ * count :][:count], takes)
                    for way, figures in case(args, corpus, word, people, more).items():
                        print(f"  {way}, {word} {' '.join(people)}: {tell(figures)}", flush=True)
                        for kind, pair in figures.items():
                            totals[way][kind].append(pair)
            for way, pairs_of in totals.items():
                summed = {
                    kind: tuple((np.mean if kind in MEANS else np.sum)(pairs, axis=0))
                    for kind, pairs in pairs_of.items()
                }
                print(f"{way}, {count} people, {takes} takes: {tell(summed)}", flush=True)
    return 0


def tell(figures: dict[str, Any]) -> str:
    parts = []
    for kind, (first, second) in figures.items():
        if kind == "an hour":
            parts.append(f"{first / second:.1f} an hour ({second:.2f} h)")
        elif kind == "old words":
            parts.append(f"old words {100 * first:.1f} % -> {100 * second:.1f} %")
        elif kind == "CPU, memory":
            parts.append(f"{first:.0f} s of CPU, {second:.0f} MB")
        else:
            parts.append(f"{kind} {100 * first / max(second, 1):.1f} % of {second}")
    return ", ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
