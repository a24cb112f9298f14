"""``kwsd-train sweep``: scores recordings once, then tries hundreds of recogniser settings on the stored scores."""

import argparse
import csv
import functools
import io
import json
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from kwsd import config
from kwsd.errors import InputError, UsageError
from kwsd.model import Model
from kwsd.recognize.settings import CompleteRecognizeSettings
from kwsd.tuning.plot import draw_alarms
from kwsd.whole_file import write_whole
from kwsd_train.evaluation import curves, pictures, score
from kwsd_train.evaluation.curves import Counts, Curve
from kwsd_train.evaluation.hearing import Heard, audio_files, hear_all
from kwsd_train.evaluation.replay import Replayer
from kwsd_train.evaluation.score import Row
from kwsd_train.flags import flag as flags
from kwsd_train.flags import layers
from kwsd_train.flags import table as flag_table
from kwsd_train.training import progress

HELP = "find the best settings of the recogniser for a given rate of false alarms"
EXAMPLE = (
    "kwsd-train sweep --wav /tmp/clean.wav --ground_truth /tmp/clean.txt --negatives data/running_speech/validation "
    "--false_alarms_per_hour 1 --png /tmp/det.png --write_config kwsd.yaml"
)

GRID: dict[str, tuple[str, str, str]] = {
    "modes": ("mode", "repeat,rearm,tensorflow", "modes of the recogniser"),
    "average_windows_ms": ("average_window_ms", "300,400,500,700", "averaging times in ms"),
    "suppressions_ms": ("suppression_ms", "500,700,1000", "suppression times in ms"),
    "minimum_counts": ("minimum_count", "3", "minimum numbers of scores in an average"),
    "detection_thresholds": (
        "detection_threshold",
        "0.2,0.25,0.3,0.35,0.4,0.45,0.5,0.55,0.6,0.65,0.7,0.75,0.8,0.85,0.88,0.9,0.92,0.94,0.96,0.97,0.98,0.99",
        "thresholds, tried with every combination of the others",
    ),
}
"""Flag -> setting, default values, help."""

_log = logging.getLogger("kwsd_train")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    layers.add_model_arguments(parser)
    group = parser.add_argument_group("recordings")
    add = group.add_argument
    add("--wav", type=Path, nargs="+", default=[], metavar="FILE", help="recordings that contain words")
    add(
        "--ground_truth",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="for each recording, the list of its words",
    )
    add(
        "--negatives",
        type=Path,
        nargs="*",
        default=[],
        metavar="FILE",
        help="recordings, or folders of them, without any word; without --wav, thresholds are found from these alone",
    )
    group = parser.add_argument_group("settings to try, values separated by commas")
    for name, (_, values, text) in GRID.items():
        group.add_argument(f"--{name}", default=values, metavar="LIST", help=f"{text} (default: {values})")
    group.add_argument("--clip_strides_ms", metavar="LIST", help="clip strides in ms (default: the model's)")
    group.add_argument(
        "--speech_thresholds",
        metavar="LIST",
        help="thresholds in running speech, for mode repeat (default: 0, and the model's or 0.9)",
    )
    group = parser.add_argument_group("result")
    add = group.add_argument
    flags.add(group, flag_table.SWEEP)
    add(
        "--shared_threshold",
        action="store_true",
        help="recommend a single threshold for all words instead of one per word",
    )
    add("--json", type=Path, metavar="FILE", help="write curves and recommended settings as JSON")
    add("--csv", type=Path, metavar="FILE", help="write the curves as a table")
    add("--png", type=Path, metavar="FILE", help="draw the curves of the recommended mode and times as PNG")
    add("--write_config", type=Path, metavar="FILE", help="write the recommended settings into this configuration file")
    add(
        "--write_model", type=Path, metavar="FILE", help="write a copy of the model with these settings in its metadata"
    )


def run(args: argparse.Namespace) -> int:
    progress.log_plainly()
    from kwsd import model as models

    if args.png:
        pictures.need_matplotlib()
    negatives = audio_files(args.negatives, "--negatives")
    if not args.wav and not negatives:
        raise UsageError(
            "--wav", "there is nothing to listen to", "Give recordings with words, or --negatives without."
        )
    if len(args.wav) != len(args.ground_truth):
        raise UsageError("--ground_truth", f"{len(args.ground_truth)} files for {len(args.wav)} recordings")
    rows = [score.read_rows(path) for path in args.ground_truth] + [[] for _ in negatives]
    files = [*args.wav, *negatives]
    said = layers.read(args)
    model = models.load(**said.load)
    if model.verifier is not None and args.write_model:
        raise UsageError(
            "--write_model", "the settings hold for two models together, not for one", "Use --write_config."
        )
    words = [label for label in model.labels if score.is_wanted(label)]
    if args.wav and not any(row.label in words for truth in rows for row in truth):
        names = " ".join(map(str, args.ground_truth))
        raise UsageError(
            "--ground_truth", f"no row of {names} names one of the model's words", f"It has {', '.join(words)}."
        )
    base = said.complete(model)
    strides = _values("clip_stride_ms", "clip_strides_ms", args.clip_strides_ms or f"{base.clip_stride_ms:g}")
    tasks = [
        (file, {**layers.spotter_settings(base), "clip_stride_ms": stride}) for stride in strides for file in files
    ]
    heard = hear_all(said.load, tasks, args.workers)
    by_stride = {
        stride: list(zip(heard[place * len(files) :][: len(files)], rows, strict=True))
        for place, stride in enumerate(strides)
    }
    hours = sum(one.duration_ms for one, _ in by_stride[strides[0]]) / 3_600_000
    if not hours:
        raise InputError(str(files[0]), "too short to count false alarms in", "Name longer recordings.")
    families, thresholds = _grid(args, base, strides)
    if not args.wav:  # without words, only thresholds can be found
        families = [replace(base, thresholds={})]
    _log.info("%d settings on %.2f h", len(families) * len(thresholds), hours)
    swept = _sweep(by_stride, families, thresholds, words, args.workers)

    def replayed(settings: CompleteRecognizeSettings) -> Counts:
        recordings = by_stride[settings.clip_stride_ms]
        counts = [curves.count(Replayer(one), truth, settings, words) for one, truth in recordings]
        total: Counts = np.sum(counts, axis=0, dtype=np.int64)
        return total

    alarms_max = args.false_alarms_per_hour * hours
    choice = curves.recommend_shared(swept, alarms_max)
    if not args.wav:
        choice = _from_negatives(swept[0], alarms_max, words, replayed, shared=args.shared_threshold)
    elif not args.shared_threshold:
        choice = curves.recommend_per_word(swept, alarms_max, words, replayed) or choice
    figures = curves.rates(choice.counts, words, hours)
    # Set for each word with a threshold in a farther layer, which would otherwise be moved away from what was tried.
    shared = dict.fromkeys(base.thresholds, choice.settings.detection_threshold)
    complete = replace(choice.settings, thresholds={**shared, **choice.settings.thresholds})
    recommended = dict(curves.as_mapping(complete))
    if figures["false_alarms_per_hour"] > args.false_alarms_per_hour:
        _log.warning("no settings have so few false alarms; these have the fewest")
    print(_as_text(recommended, figures))
    _write(args, model, swept, words, hours, recommended, figures)
    return 0


def _from_negatives(
    curve: Curve, alarms_max: float, words: Sequence[str], replay: Callable[..., Counts], *, shared: bool
) -> curves.Choice:
    if alarms_max < 1:
        _log.warning("The recordings are too short to measure so few false alarms: give longer ones")
    if not shared:
        return curves.recommend_from_negatives(curve, alarms_max, words, replay)
    alarms = curve.counts[:, :, curves.FALSE_ALARMS].sum(axis=1)
    place = next((place for place, count in enumerate(alarms) if count <= alarms_max), len(alarms) - 1)
    settings = replace(curve.settings, detection_threshold=curve.thresholds[place], thresholds={})
    return curves.Choice(settings, curve.counts[place])


def _values(setting: str, flag: str, text: str) -> list[Any]:
    """The values of a list, each checked like the configuration's. Raises UsageError."""
    read = config.flag("recognize", setting)
    try:
        return list(dict.fromkeys(read(item.strip()) for item in text.split(",")))
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"--{flag}", str(error)) from error


def _grid(
    args: argparse.Namespace, base: CompleteRecognizeSettings, strides: Sequence[float]
) -> tuple[list[CompleteRecognizeSettings], list[float]]:
    """Settings that differ in more than their threshold, and the thresholds."""
    values = {setting: _values(setting, flag, getattr(args, flag)) for flag, (setting, _, _) in GRID.items()}
    thresholds = sorted(values.pop("detection_threshold"))
    values["clip_stride_ms"] = list(strides)
    in_speech = args.speech_thresholds or f"0,{base.speech_threshold or 0.9:g}"
    values["speech_threshold"] = _values("speech_threshold", "speech_thresholds", in_speech)
    families = [
        replace(base, thresholds={}, **dict(zip(values, chosen, strict=True))) for chosen in product(*values.values())
    ]
    least = min(values["speech_threshold"])  # one is enough if it makes no difference
    return [one for one in families if one.mode == "repeat" or one.speech_threshold == least], thresholds


def _sweep(
    by_stride: dict[float, list[tuple[Heard, list[Row]]]],
    families: Sequence[CompleteRecognizeSettings],
    thresholds: Sequence[float],
    words: Sequence[str],
    workers: int | None,
) -> list[Curve]:
    """Each family's curve; families are distributed to processes, which get the scores once."""
    count = min(workers or os.cpu_count() or 1, len(families))
    task = functools.partial(_sweep_family, thresholds=thresholds, words=words)
    if count <= 1:
        _take(by_stride)
        return [task(family) for family in families]
    with ProcessPoolExecutor(count, initializer=_take, initargs=(by_stride,)) as pool:
        return list(pool.map(task, families))


_heard: dict[float, list[tuple[Heard, list[Row]]]] = {}


def _take(by_stride: dict[float, list[tuple[Heard, list[Row]]]]) -> None:
    _heard.clear()
    _heard.update(by_stride)


def _sweep_family(family: CompleteRecognizeSettings, thresholds: Sequence[float], words: Sequence[str]) -> Curve:
    return curves.sweep(_heard[family.clip_stride_ms], family, thresholds, words)


def _as_text(recommended: dict[str, Any], figures: dict[str, Any]) -> str:
    lines = ["recommended:", *(f"  {key}: {value}" for key, value in recommended.items())]
    missed, wrong, alarms = (figures[name] for name in ("miss_rate", "wrong_rate", "false_alarms_per_hour"))
    if missed is None:
        lines.append(f"{alarms:.2f} false alarms an hour")
    else:
        lines.append(f"{missed * 100:.1f}% missed, {wrong * 100:.1f}% wrong, {alarms:.2f} false alarms an hour")
    return "\n".join(lines)


def _write(
    args: argparse.Namespace,
    model: Model,
    swept: Sequence[Curve],
    words: Sequence[str],
    hours: float,
    recommended: dict[str, Any],
    figures: dict[str, Any],
) -> None:
    """Writes the requested files."""
    data = [(_family(curve.settings), curve.points(words, hours)) for curve in swept]
    if args.json:
        document = {
            "model": model.name,
            "model_sha256": model.fingerprint,
            "hours": round(hours, 5),
            "recommended": recommended,
            "rates": figures,
            "curves": [{"settings": settings, "points": points} for settings, points in data],
        }
        write_whole(args.json, json.dumps(document, indent=1) + "\n")
    if args.csv:
        write_whole(args.csv, _as_csv(data))
    if args.png:
        from kwsd_train.evaluation import det_plot

        same = {name: value for name, value in recommended.items() if name not in ("detection_threshold", "thresholds")}
        points = next(points for settings, points in data if settings == same)
        title = f"{model.name}: " + ", ".join(f"{key} {value}" for key, value in same.items())
        drawn = det_plot.draw(points, title, figures) if args.wav else _draw_alarms(points, title)
        write_whole(args.png, drawn)
    if args.write_config:
        from kwsd.config.write import write_recognize

        write_recognize(args.write_config, recommended)
        _log.info("Wrote the settings to %s", args.write_config)
    if args.write_model:
        from kwsd_train.export.settings_writer import write_model

        write_model(model, args.write_model, recommended)
        _log.info("Wrote the model with the settings to %s", args.write_model)


def _draw_alarms(points: Sequence[dict[str, Any]], title: str) -> bytes:
    per_word = {
        word: [point["per_word"][word]["false_alarms_per_hour"] for point in points] for word in points[0]["per_word"]
    }
    return draw_alarms([point["detection_threshold"] for point in points], per_word, title)


def _family(settings: CompleteRecognizeSettings) -> dict[str, Any]:
    """The settings common to a curve's points."""
    return {key: value for key, value in curves.as_mapping(settings).items() if key != "detection_threshold"}


def _as_csv(data: Sequence[tuple[Any, Sequence[dict[str, Any]]]]) -> str:
    """A row for each setting and word; the word ``*`` means all together."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    keys = list(data[0][0])
    writer.writerow([*keys, "detection_threshold", "word", "miss_rate", "false_alarms_per_hour"])
    for settings, points in data:
        for point in points:
            start = [*(settings[key] for key in keys), point["detection_threshold"]]
            for word, item in {"*": point, **point["per_word"]}.items():
                writer.writerow([*start, word, item["miss_rate"], item["false_alarms_per_hour"]])
    return buffer.getvalue()
