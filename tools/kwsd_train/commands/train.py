"""``kwsd-train train``: checks and prepares a training run."""

import argparse
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

from kwsd.errors import UsageError
from kwsd.whole_file import check_folder, write_whole
from kwsd_train import networks
from kwsd_train.commands import download
from kwsd_train.data import findings
from kwsd_train.data.folders import labels_of
from kwsd_train.flags import options, recipes
from kwsd_train.flags import table as flag_table
from kwsd_train.training import checkpoint, distribute, finetune, progress, tensorflow_import
from kwsd_train.training.interruption import EndRequests
from kwsd_train.training.loop import Loop
from kwsd_train.training.schedule import make_schedule

HELP = "train a network on word folders"
EXAMPLE = "kwsd-train train --data_dir data/speech_commands --model_architecture tiny_conv --window_stride_ms 20"

_log = logging.getLogger("kwsd_train")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_folders(parser)
    options.add_flags(parser, "features and network", flag_table.FEATURES)
    options.add_flags(parser, "data", flag_table.DATA)
    options.add_flags(parser, "augmentation (all but background and shift are off by default)", flag_table.AUGMENTATION)
    options.add_flags(parser, "training", flag_table.TRAINING)
    group = parser.add_argument_group("files and models")
    group.add_argument(
        "--train_dir",
        type=Path,
        default=Path("/tmp/speech_commands_train"),
        metavar="DIR",
        help="folder for checkpoints (default: /tmp/speech_commands_train)",
    )
    group.add_argument(
        "--start_checkpoint",
        default="",
        metavar="FILE",
        help="checkpoint to resume from (`latest` is the newest in --train_dir), or a bundled model's name or "
        ".weights.h5 file to fine-tune",
    )
    options.add_trust(group)
    group.add_argument(
        "--teacher",
        action="append",
        default=[],
        metavar="MODEL",
        help="model whose scores to learn from too (repeatable)",
    )
    group.add_argument(
        "--unlabelled_dir",
        type=Path,
        metavar="DIR",
        help="folder of recordings without labels, of any length: learn the teachers' scores of them",
    )
    group.add_argument(
        "--data_url",
        default="",
        metavar="URL",
        help="archive of word folders to download if --data_dir has none (default: download nothing)",
    )
    group.add_argument(
        "--summaries_dir", type=Path, metavar="DIR", help="write accuracy and loss to this folder, for TensorBoard"
    )


def run(args: argparse.Namespace) -> int:
    with EndRequests() as requests:
        train(args, requests)
    return 0


def filled(args: argparse.Namespace, recipe: str = recipes.TUTORIAL) -> argparse.Namespace:
    """``args`` with the recipe's value for each flag of training that was not given."""
    values = options.resolve(args, recipes.defaults(recipe, flag_table.TRAINING))
    return argparse.Namespace(**{**vars(args), **values, "recipe": recipe})


def train(args: argparse.Namespace, requests: EndRequests) -> float | None:
    """Train according to the flags. Returns the last validation's accuracy, 0..1; None without validation data."""
    donor = finetune.find(args.start_checkpoint)
    start = None
    if args.start_checkpoint and donor is None:
        start = checkpoint.load(checkpoint.find(args.start_checkpoint, args.train_dir))
    recipe = args.recipe or (recipes.OWN_WORDS if donor else start.settings.get("recipe") if start else None)
    args = filled(args, recipe or recipes.TUTORIAL)
    level = {"WARN": logging.WARNING, "FATAL": logging.CRITICAL}.get(args.verbosity, args.verbosity)
    bar = progress.log_to(sys.stderr, times=args.log_times)
    _log.setLevel(level)
    schedule = make_schedule(
        args.how_many_training_steps, args.learning_rate, args.learning_rate_schedule, args.warmup_steps
    )
    if args.quantize:
        raise UsageError(
            "--quantize", "training in 8 bits went with TensorFlow 1", "Use kwsd-train freeze --quantize int8."
        )
    _check_teachers(args)
    if args.distribute == "multi_worker":
        distribute.check_cluster()
    if args.data_url:
        _fetch(args)
    stored = finetune.stored_settings(donor, args.wanted_words) if donor else start.settings if start else None
    settings = options.resolve(args, options.FEATURE_DEFAULTS, stored)
    rows = (*flag_table.DATA, *flag_table.AUGMENTATION)
    settings |= options.resolve(args, recipes.defaults(args.recipe, rows))
    settings |= {name: getattr(args, name) for name in ("batch_size", "unlabelled_percentage", "recipe")}
    settings = recipes.as_percentages_are_meant(settings, options.given(args, settings))
    options.check(settings)
    options.check_trusted(args, settings)
    networks.check(settings["model_architecture"])
    where = options.folders(args)
    _check_folders(args)
    tensorflow_import.check()
    settings = recipes.without_what_is_missing(settings, options.given(args, vars(args)), where)
    if begun := donor or finetune.find(start.settings.get("donor", "") if start else ""):
        settings |= finetune.inherited(begun, options.words(settings))
        if args.recipe == recipes.OWN_WORDS and settings["sampling"] == "balanced" and args.word_weights is None:
            settings["word_weights"] = finetune.word_weights(begun, options.words(settings))
        if args.original_share is None and not finetune.known(begun, options.words(settings)):
            settings["original_share"] = 0.0  # it is for the words that stay
        args = finetune.taught_by(begun, args, settings)
    _warn(findings.of_names(findings.Folder(where.data, settings), options.words(settings), settings))

    from kwsd_train.batches.training_data import load_data

    live = args.teacher_hears == "batches"
    data = load_data(settings, where, args.teacher, args.unlabelled_dir, teachers_hear_batches=live)
    _warn(findings.of_sound(data, settings))
    labels = labels_of(options.words(settings))
    labels_file = args.train_dir / f"{networks.title(settings['model_architecture'])}_labels.txt"
    write_whole(labels_file, "".join(f"{label}\n" for label in labels))
    try:
        loop = Loop(args, settings, schedule, data, requests, bar)
        loop.take(start, donor)
        return loop.run()
    finally:
        bar.end()


def _check_folders(args: argparse.Namespace) -> None:
    """OutputError if checkpoints or summaries cannot be written; checked before hours of work."""
    for flag in ("train_dir", "summaries_dir"):
        if (folder := getattr(args, flag)) is not None:
            check_folder(folder, str(folder), f"Name another --{flag}.")


def _warn(found: Iterable[findings.Finding]) -> None:
    """Warn about weaknesses of the data; training itself reports errors."""
    for finding in found:
        if finding.level == findings.WARN:
            _log.warning("%s", finding.text)


def _fetch(args: argparse.Namespace) -> None:
    """Like the tutorial's --data_url: existing data are not downloaded again."""
    folder = options.folders(args).data
    if not any(path.is_dir() for path in folder.glob("*")):
        fetch = argparse.Namespace(data_url=args.data_url, data_dir=folder, sha256=None, keep_archive=False)
        download.run(fetch)


def _check_teachers(args: argparse.Namespace) -> None:
    if (args.unlabelled_dir is None) != (args.unlabelled_percentage == 0):
        raise UsageError("--unlabelled_dir", "requires --unlabelled_percentage above 0", "Give both, or neither.")
    if args.teacher_hears == "batches" and not args.teacher:
        raise UsageError("--teacher_hears", "batches requires a teacher", "Add --teacher MODEL.")
    if args.unlabelled_dir and not args.teacher:
        raise UsageError("--unlabelled_dir", "requires a teacher, which labels it", "Add --teacher MODEL.")
