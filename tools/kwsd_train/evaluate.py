"""``kwsd-train evaluate``: how many clips of a set a frozen model names rightly."""

import argparse
import json
from pathlib import Path

import numpy as np

from kwsd_train import confusion, options
from kwsd_train.data import DEFAULT_SEED, SETS

HELP = "measure a model on the clips of a set"
EXAMPLE = "kwsd-train evaluate --model default --data_dir data/speech_commands"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_folders(parser)
    options.add_flags(parser, "data", options.DATA_DEFAULTS)
    group = parser.add_argument_group("evaluation")
    group.add_argument(
        "--model", default="default", metavar="MODEL", help="bundled name or .tflite file (default: default)"
    )
    group.add_argument("--set", choices=SETS, default="testing", help="which clips (default: testing)")
    group.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")


def run(args: argparse.Namespace) -> int:
    from kwsd import model as models
    from kwsd_train.examples import Examples, load_data

    model = models.load(args.model)
    settings = options.FEATURE_DEFAULTS | options.AUGMENT_DEFAULTS | {"batch_size": 1, "seed": DEFAULT_SEED}
    settings |= options.resolve(args, options.DATA_DEFAULTS)
    settings |= {
        "wanted_words": ",".join(label for label in model.labels if not label.startswith("_")),
        "sample_rate": model.sample_rate_hz,
        "clip_duration_ms": model.clip_ms,
    }
    examples = Examples(load_data(settings, options.folders(args)), settings, model.frontend)
    rows, labels = examples.evaluation_set(args.set)
    predicted = np.array([int(np.argmax(model.scores(clip))) for clip in rows], np.int64)
    names = examples.names
    # a model may order its labels as it likes: its numbers are brought into the order of the sets
    order = np.array([names.index(label) for label in model.labels])
    counts = confusion.matrix(labels, order[predicted], len(names))
    figures = {
        "accuracy": confusion.accuracy(counts),
        "n": len(labels),
        "labels": names,
        "confusion": counts.tolist(),
        "per_label": confusion.per_label(counts, names),
    }
    print(confusion.as_table(counts, names))
    print(f"accuracy {figures['accuracy'] * 100:.2f}% (N={len(labels)}, {args.set})")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0
