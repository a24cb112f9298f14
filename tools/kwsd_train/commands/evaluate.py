"""``kwsd-train evaluate``: the accuracy of a frozen model on a set of clips, and its mistakes."""

import argparse
import json
from pathlib import Path

import numpy as np

from kwsd.whole_file import write_whole
from kwsd_train.data.folders import ALL_SETS, BACKGROUND_FOLDER, DEFAULT_SEED, SETS
from kwsd_train.evaluation import confusion, mistakes, pictures
from kwsd_train.flags import flag as flags
from kwsd_train.flags import options
from kwsd_train.flags import table as flag_table
from kwsd_train.training import progress

HELP = "measure a model's accuracy on a set of clips"
EXAMPLE = "kwsd-train evaluate --model default --data_dir data/speech_commands --png matrix.png --errors errors.tsv"

_SHOWN = 5
"""Number of mistakes to print."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_folders(parser)
    options.add_flags(parser, "data", flag_table.SET)
    group = parser.add_argument_group("evaluation")
    group.add_argument(
        "--model",
        default="default",
        metavar="MODEL",
        help="bundled model, by name, or .tflite file, or two as FIRST+VERIFIER (default: default)",
    )
    flags.add(group, flag_table.EVALUATE)
    group.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    group.add_argument("--png", type=Path, metavar="FILE", help="draw the confusion matrix as PNG")
    group.add_argument(
        "--errors", type=Path, metavar="FILE", help="list the misclassified clips, highest score first (TSV)"
    )


def run(args: argparse.Namespace) -> int:
    from kwsd import model as models
    from kwsd_train.batches.examples import Examples
    from kwsd_train.batches.training_data import load_data
    from kwsd_train.training import teacher

    if args.png:
        pictures.need_matplotlib()
    progress.log_plainly()
    model = models.load(args.model)
    settings = options.FEATURE_DEFAULTS | options.AUGMENT_DEFAULTS | {"batch_size": 1, "seed": DEFAULT_SEED}
    settings |= options.resolve(args, options.DATA_DEFAULTS)
    settings |= {
        "wanted_words": ",".join(label for label in model.labels if not label.startswith("_")),
        "sample_rate": model.sample_rate_hz,
        "clip_duration_ms": model.clip_ms,
    }
    where, only = options.folders(args), SETS if args.set == ALL_SETS else (args.set,)
    if args.silence_percentage is None and not (where.data / BACKGROUND_FOLDER).is_dir():
        settings["silence_percentage"] = 0.0  # such as when a person has recorded a word or two
    data = load_data(settings, where, only=only)
    examples = Examples(data, settings, model.frontend)
    parts = [examples.evaluation_set(name) for name in only]
    rows, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    names = examples.names
    told = np.array([model.scores(clip) for clip in rows], np.float32).reshape(len(rows), len(model.labels))
    scores = teacher.folded(told, model.labels, names)
    predicted = scores.argmax(axis=1)
    counts = confusion.matrix(labels, predicted, len(names))
    figures = {
        "accuracy": confusion.accuracy(counts),
        "n": len(labels),
        "labels": names,
        "confusion": counts.tolist(),
        "per_label": confusion.per_label(counts, names),
    }
    total = f"accuracy {figures['accuracy'] * 100:.2f}% (N={len(labels)}, {args.set})"
    numbers = [number for name in only for number in data.sets[name].numbers]
    files = [data.clips.paths[number] if number >= 0 else None for number in numbers]
    wrong = mistakes.find(files, labels, predicted, scores, names)
    print(confusion.as_table(counts, names))
    print(total)
    if wrong:
        print(f"\nThe surest of {len(wrong)} mistakes with a recording:\n{mistakes.as_text(wrong[:_SHOWN])}")
    if args.json:
        write_whole(args.json, json.dumps(figures, indent=1) + "\n")
    if args.errors:
        write_whole(args.errors, mistakes.as_tsv(wrong))
    if args.png:
        from kwsd_train.evaluation import confusion_plot

        write_whole(args.png, confusion_plot.draw(counts, names, f"{model.name}: {total}"))
    return 0
