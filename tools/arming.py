#!/usr/bin/env python3
"""Measures what arming a word gains, and what it costs, and writes docs/accuracy.md's table.

    KWSD_DATA=data tools/arming.py --write docs/accuracy.md

Each of the words is armed alone, as it is while a timer rings, at each of the thresholds. `armed_threshold` is chosen
by this table, so the words come from the speakers of the validation part.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from accuracy_table import make_stream, negative_files, put_table  # noqa: E402
from kwsd_train.evaluation.hearing import Heard, hear_all  # noqa: E402
from kwsd_train.evaluation.score import Found, Row, read_rows, strict  # noqa: E402

from kwsd import model as models  # noqa: E402
from kwsd.config.effective import recognize_in_force  # noqa: E402
from kwsd.recognize import RecognizeCommands  # noqa: E402
from kwsd.recognize.settings import CompleteRecognizeSettings  # noqa: E402

WORDS = ("stop", "go", "on", "off")
THRESHOLDS = (0.5, 0.4, 0.3)
STREAMS = ("clean", "10 dB", "over a voice, 10 dB")
NEGATIVES = ("running speech", "noise, music, television")
STREAM_S = 900
SEED = 11
MARKS = "<!-- table: tools/arming.py -->\n", "<!-- end of the table of arming -->\n"


class Recording(NamedTuple):
    """What a model made of a recording, and what is said in it."""

    heard: Heard
    rows: list[Row]


class Counts(NamedTuple):
    """Of all words together, each listened for by itself."""

    said: int
    missed: int
    wrong: int
    false_alarms: int
    hours: float

    def line(self) -> str:
        """The cells of a table: of what was said missed and wrong in percent, and false alarms an hour of a word."""
        alarms = f"{self.false_alarms / self.hours / len(WORDS):.1f}"
        if not self.said:
            return f"{alarms} ({self.false_alarms})"
        return f"{self.missed * 100 / self.said:.1f}, {self.wrong * 100 / self.said:.1f}, {alarms}/h"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default", help="bundled name or .tflite file (default: default)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="replace the table in this page; else it is printed")
    parser.add_argument("--streams_dir", type=Path, metavar="DIR", help="keep the streams here, for the next model")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        streams_dir = args.streams_dir or Path(folder)
        streams_dir.mkdir(parents=True, exist_ok=True)
        text = as_markdown(args.model, hear_streams(args.model, streams_dir, Path(folder)))
    if args.write:
        put_table(args.write, MARKS, text)
    else:
        print(text, end="")
    return 0


def hear_streams(name: str, streams_dir: Path, folder: Path) -> dict[str, list[Recording]]:
    """All recordings of each kind."""
    files: dict[str, list[tuple[Path, list[Row]]]] = {}
    for kind in STREAMS:
        wav, rows = make_stream(streams_dir, kind, "validation", SEED, "--test_duration_seconds", STREAM_S)
        files[kind] = [(wav, read_rows(rows))]
    for kind, paths in negative_files(folder):
        if kind in NEGATIVES:
            files[kind] = [(path, []) for path in paths]
    every = [(path, {}) for pairs in files.values() for path, _ in pairs]
    heard = iter(hear_all({"path_or_name": name}, every, workers=1))
    return {kind: [Recording(next(heard), rows) for _, rows in pairs] for kind, pairs in files.items()}


def count(recordings: Sequence[Recording], settings: CompleteRecognizeSettings, armed: float | None) -> Counts:
    """Each word by itself, armed at this threshold or (None) not armed."""
    said = missed = wrong = false_alarms = 0
    for heard, rows in recordings:
        for word, words in found(heard, settings, armed).items():
            score = strict(rows, words)
            here = sum(row.label == word for row in rows)
            said, missed = said + here, missed + here - len(score.hits)
            wrong, false_alarms = wrong + len(score.wrong), false_alarms + len(score.false_alarms)
    hours = sum(recording.heard.duration_ms for recording in recordings) / 3_600_000
    return Counts(said, missed, wrong, false_alarms, hours)


def found(heard: Heard, settings: CompleteRecognizeSettings, armed: float | None) -> dict[str, list[Found]]:
    """When each word fires, armed alone, or (None) with all of them as they always are."""
    if armed is None:
        return fired(heard, settings, {})
    return {word: fired(heard, settings, {word: armed})[word] for word in WORDS}


def fired(heard: Heard, settings: CompleteRecognizeSettings, armed: dict[str, float]) -> dict[str, list[Found]]:
    """When each word fires while these are armed."""
    recognizer = RecognizeCommands.of(heard.labels, settings, heard.clip_ms)
    recognizer.arm(armed)
    words: dict[str, list[Found]] = {word: [] for word in WORDS}
    for scores, time_ms in zip(heard.scores, heard.times_ms.tolist(), strict=True):
        label, score, is_new = recognizer.process(scores, time_ms)
        if is_new and label in words:
            words[label].append(Found(label, min(time_ms, heard.duration_ms), score))
    return words


def said(recordings: dict[str, list[Recording]]) -> str:
    """How many of the words each stream holds."""
    counts = (sum(row.label in WORDS for one in recordings[kind] for row in one.rows) for kind in STREAMS)
    return ", ".join(map(str, counts))


def as_markdown(name: str, recordings: dict[str, list[Recording]]) -> str:
    """The table."""
    model = models.load(name)
    settings = recognize_in_force(model)
    lines = [
        f"`{model.name} {model.metadata.get('version', '')}`; {', '.join(WORDS)}; validation speakers, "
        f"{STREAM_S // 60} minutes of each stream, seed {SEED}, {said(recordings)} words. "
        "Cells are missed %, wrong %, and false alarms an hour of one armed word; for recordings without words, only "
        "the latter, and in brackets the number of false alarms of all four words.",
        "",
        "| armed at | " + " | ".join(recordings) + " |",
        "|---" * (len(recordings) + 1) + "|",
    ]
    for armed in (None, *THRESHOLDS):
        cells = [count(some, settings, armed).line() for some in recordings.values()]
        lines.append(f"| {'not armed' if armed is None else f'{armed:.2f}'} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
