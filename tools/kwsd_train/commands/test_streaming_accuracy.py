"""``kwsd-train test-streaming-accuracy``: compares detections in recordings with the words spoken."""

import argparse
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kwsd.errors import InputError, UsageError, reason
from kwsd.whole_file import write_whole
from kwsd_train.data.folders import UNKNOWN
from kwsd_train.evaluation import score
from kwsd_train.evaluation.score import Found, Row
from kwsd_train.flags import flag as flags
from kwsd_train.flags import layers
from kwsd_train.flags import table as flag_table
from kwsd_train.training import progress

HELP = "run recordings through the daemon's pipeline, and count hits, misses and false alarms"
EXAMPLE = "kwsd-train test-streaming-accuracy --wav /tmp/clean.wav --ground_truth /tmp/clean.txt --verbose"

TOLERANCE_MS = {"cpp": 750, "python": 1500}
NO_WORDS = "none"
DETECTIONS_CLIP_MS = 1000

_log = logging.getLogger("kwsd_train")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    layers.add_model_arguments(parser)
    group = parser.add_argument_group("recordings")
    add = group.add_argument
    add("--wav", type=Path, nargs="+", metavar="FILE", help="recordings, or folders of them")
    add(
        "--ground_truth",
        nargs="+",
        metavar="FILE",
        help="for each recording, the list of its words, with rows `label, start in ms[, end in ms]`; "
        f"{NO_WORDS} if no recording contains words",
    )
    add(
        "--detections",
        type=Path,
        metavar="FILE",
        help='score the JSON lines (with "audio_ms" and "label") of any program, without running a model; '
        "--wav then only gives the recording's length",
    )
    group = parser.add_argument_group("scoring")
    add = group.add_argument
    flags.add(group, flag_table.SCORING)
    add("--verbose", action="store_true", help="print each detection and the statistics so far")
    add("--json", type=Path, metavar="FILE", help="write the counts as JSON")
    layers.add_layer_arguments(parser)
    for name in ("input_data_name", "input_rate_name", "output_name", "clip_duration_ms"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)  # a model says this itself
    parser.add_argument("--input_names", nargs=2, help=argparse.SUPPRESS)


@dataclass(frozen=True)
class Case:
    """One recording: the words spoken, the detections (including ``_unknown_``), the lengths of clip and recording."""

    rows: Sequence[Row]
    found: Sequence[Found]
    clip_ms: float
    duration_ms: float


def run(args: argparse.Namespace) -> int:
    progress.log_plainly()
    tolerance_ms = TOLERANCE_MS[args.scoring] if args.time_tolerance_ms is None else args.time_tolerance_ms
    cases = _detected(args) if args.detections else _heard(args)
    totals = score.Tutorial(0, 0, 0, 0, 0)
    for case in cases:
        shift_ms = case.clip_ms if args.anchor == "start" else 0
        found = [Found(label, time_ms - shift_ms, value) for label, time_ms, value in case.found]
        if args.verbose:
            for line in score.running_lines(case.rows, found, tolerance_ms, args.scoring):
                _log.info("%s", line)
        totals += score.tutorial(case.rows, found, tolerance_ms, args.scoring)
    if args.ground_truth != [NO_WORDS]:  # the tutorial's false positives include _silence_ and _unknown_
        _log.info("%s", totals.line(args.scoring))
    words = [[found for found in case.found if score.is_wanted(found.label)] for case in cases]
    scores = [score.strict(case.rows, found) for case, found in zip(cases, words, strict=True)]
    duration_ms = sum(case.duration_ms for case in cases)
    figures = score.summary(scores, duration_ms)
    alarms = Counter(found[place].label for one, found in zip(scores, words, strict=True) for place in one.false_alarms)
    print(_as_text(figures, duration_ms, alarms))
    if args.json:
        counts = {
            "scoring": args.scoring,
            "ground_truth": totals.words,
            "matched": totals.matched,
            "correct": totals.correct,
            "wrong": totals.wrong,
            "false_positives": totals.false_positives,
            "strict": figures,
        }
        write_whole(args.json, json.dumps(counts, indent=1) + "\n")
    return 0


def _as_text(figures: dict[str, Any], duration_ms: float, alarms: Counter[str]) -> str:
    words, latency = figures["words"], figures["latency_ms"]
    lines = []
    if words:
        missed, wrong = (figures[name] * 100 / words for name in ("missed", "wrong"))
        lines.append(f"{words} words: {figures['hit']} hit, {missed:.1f}% missed, {wrong:.1f}% wrong")
    rate = figures["false_alarms_per_hour"]
    often = ", ".join(f"{label} {count}" for label, count in alarms.most_common(5))
    lines.append(
        f"{figures['false_alarms']} false alarms in {duration_ms / 3_600_000:.3f} h"
        + ("" if rate is None else f", {rate:.1f} an hour")
        + (f" ({often})" if often else "")
    )
    if latency["p50"] is not None:
        lines.append(f"latency after the clip's end: p50 {latency['p50']:.0f} ms, p95 {latency['p95']:.0f} ms")
    return "\n".join(lines)


def _ground_truth(args: argparse.Namespace, count: int) -> list[list[Row]]:
    """The rows of each of ``count`` recordings."""
    if not args.ground_truth:
        raise UsageError("--ground_truth", "is missing", f"Name a file for each recording, or say {NO_WORDS}.")
    if args.ground_truth == [NO_WORDS]:
        return [[] for _ in range(count)]
    if len(args.ground_truth) != count:
        raise UsageError("--ground_truth", f"{len(args.ground_truth)} files for {count} recordings")
    return [score.read_rows(Path(name)) for name in args.ground_truth]


def _heard(args: argparse.Namespace) -> list[Case]:
    from kwsd import model as models
    from kwsd_train.evaluation import hearing
    from kwsd_train.evaluation.replay import Replayer

    if not args.wav:
        raise UsageError("--wav", "is missing", "Name a recording, or --detections.")
    files = hearing.audio_files(args.wav, "--wav")
    rows = _ground_truth(args, len(files))
    said = layers.read(args)
    settings = said.complete(models.load(**said.load))
    heard = hearing.hear_all(said.load, [(file, layers.spotter_settings(settings)) for file in files])
    cases = []
    for truth, one in zip(rows, heard, strict=True):
        # the daemon never reports _unknown_, which the tutorial's scoring counts: it is found in the same scores
        replayed = Replayer(one).found(settings, with_unknown=True)
        found = [*one.found, *(word for word in replayed if word.label == UNKNOWN)]
        cases.append(Case(truth, sorted(found, key=lambda word: word.time_ms), one.clip_ms, one.duration_ms))
    return cases


def _detected(args: argparse.Namespace) -> list[Case]:
    from kwsd_train.evaluation import hearing

    files = hearing.audio_files(args.wav, "--wav") if args.wav else []
    if len(files) > 1:
        raise UsageError("--wav", f"one recording goes with --detections, not {len(files)}")
    (rows,) = _ground_truth(args, 1)
    try:
        found = score.parse_detections(args.detections.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(str(args.detections), reason(error)) from error
    found.sort(key=lambda word: word.time_ms)
    ends_ms = [row.end_ms for row in rows] + [word.time_ms for word in found]
    duration_ms = hearing.duration_ms(files[0]) if files else max(ends_ms, default=0)
    return [Case(rows, found, DETECTIONS_CLIP_MS, duration_ms)]
