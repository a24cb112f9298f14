"""``kwsd-train tune``: trains many times with different settings, and reports which did best on the validation set."""

import argparse
import json
import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kwsd.errors import InputError, KwsdError, UsageError
from kwsd.whole_file import write_whole
from kwsd_train import networks
from kwsd_train.commands import train
from kwsd_train.flags import flag as flags
from kwsd_train.flags import options
from kwsd_train.flags import table as flag_table
from kwsd_train.training import progress
from kwsd_train.training.interruption import EndRequests

HELP = "find good settings for train by trial (Optuna), shared by several processes and machines"
EXAMPLE = "kwsd-train tune --trials 50 --model_architecture tc_resnet8,tc_resnet8_1_5 --storage /shared/words.journal"

_log = logging.getLogger("kwsd_train")

SEARCH: dict[str, Callable[[Any], Any]] = {
    "learning_rate": lambda trial: float(f"{trial.suggest_float('learning_rate', 1e-4, 1e-1, log=True):.3g}"),
    "batch_size": lambda trial: trial.suggest_categorical("batch_size", (32, 64, 100, 200)),
    "background_volume": lambda trial: round(trial.suggest_float("background_volume", 0.0, 0.5, step=0.05), 2),
    "time_shift_ms": lambda trial: trial.suggest_float("time_shift_ms", 0.0, 200.0, step=20.0),
    "speed_percentage": lambda trial: trial.suggest_float("speed_percentage", 0.0, 20.0, step=2.0),
    "time_masks": lambda trial: trial.suggest_int("time_masks", 0, 2),
    "band_masks": lambda trial: trial.suggest_int("band_masks", 0, 2),
}
"""Flags of ``train`` that are searched unless given, and their ranges."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("search")
    flags.add(group, flag_table.TUNE)
    group.add_argument(
        "--storage",
        metavar="FILE|URL",
        help="storage that all processes of a study share: a file on a common disk (NFS works), or a database URL for "
        "SQLAlchemy (default: tune.journal in --train_dir)",
    )
    group.add_argument(
        "--study_name",
        default="kwsd",
        metavar="TEXT",
        help="name of the study; a storage can hold several (default: kwsd)",
    )
    group.add_argument("--json", type=Path, metavar="FILE", help="write the best trial as JSON")
    train.add_arguments(parser)
    parser.set_defaults(learning_rate=None, batch_size=None, verbosity="WARN")
    parser.epilog = (parser.epilog or "") + (
        "\n\nSearched, unless given: " + ", ".join(SEARCH) + "; and the architecture, if --model_architecture names "
        "several, divided by commas, such as the widths of a family."
    )


def run(args: argparse.Namespace) -> int:
    progress.log_to(sys.stderr, times=args.log_times is not False)
    if args.start_checkpoint or args.distribute not in (None, "none"):
        raise UsageError(
            "tune", "every trial trains anew, on this machine", "Leave out --start_checkpoint, --distribute."
        )
    candidates = (args.model_architecture or options.FEATURE_DEFAULTS["model_architecture"]).split(",")
    for name in candidates:
        networks.check(name)
    study = _study(args)
    trainer = _train_parser()
    for _ in range(args.trials):
        trial, sampled = _ask(study, args, candidates)
        command = _command(args, sampled, args.train_dir / f"trial-{trial.number}")
        try:
            accuracy = train.train(trainer.parse_args([*command, "--verbosity", args.verbosity]), EndRequests())
            if accuracy is None:
                raise InputError(
                    str(options.folders(args).data),
                    "no clip falls into the validation set, by which trials are compared",
                    "Raise --validation_percentage.",
                )
        except (KwsdError, KeyboardInterrupt):
            study.tell(trial, state=_failed())
            raise
        finally:
            _log.setLevel(logging.INFO)
        trial.set_user_attr("command", ["kwsd-train", "train", *command])
        study.tell(trial, accuracy)
        told = ", ".join(f"{name} {value}" for name, value in sampled.items())
        _log.info("Trial %d: Validation accuracy = %.1f%% (%s)", trial.number, accuracy * 100, told)
    done = _done(study)  # trials of other processes that are still running do not count
    best = max(done, key=lambda trial: trial.value)
    print(f"best of {len(done)} trials: {best.number}, validation accuracy {best.value * 100:.1f}%")
    print(shlex.join(best.user_attrs["command"]))
    if args.json:
        figures = {
            "study": study.study_name,
            "trials": len(done),
            "best": {
                "number": best.number,
                "validation_accuracy": best.value,
                "parameters": best.params,
                "command": best.user_attrs["command"],
            },
        }
        write_whole(args.json, json.dumps(figures, indent=1) + "\n")
    return 0


def _done(study: Any) -> list[Any]:
    from optuna.trial import TrialState

    return list(study.get_trials(states=(TrialState.COMPLETE,)))


def _study(args: argparse.Namespace) -> Any:
    """The study, new or joined."""
    import optuna
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = args.storage or str(args.train_dir / "tune.journal")
    shared: Any
    try:
        if "://" in storage:
            shared = optuna.storages.RDBStorage(storage)
        else:
            Path(storage).parent.mkdir(parents=True, exist_ok=True)
            backend = JournalFileBackend(storage)
            shared = optuna.storages.JournalStorage(backend)
        return optuna.create_study(
            storage=shared, study_name=args.study_name, direction="maximize", load_if_exists=True
        )
    except (OSError, ValueError, ImportError, SQLAlchemyError) as error:
        why = str(error).splitlines()[0]
        raise UsageError(
            "--storage", f"{storage} cannot be used: {why}", "Name a file, or a database's URL."
        ) from error


def _ask(study: Any, args: argparse.Namespace, candidates: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """A new trial and its values.

    It is seeded by its number, so that processes of a study draw differently and a single one is reproducible.
    """
    import optuna

    trial = study.ask()
    seed = options.DATA_DEFAULTS["seed"] if args.seed is None else args.seed
    study.sampler = optuna.samplers.TPESampler(seed=(seed + trial.number) % 2**32)
    sampled = {name: draw(trial) for name, draw in SEARCH.items() if getattr(args, name) is None}
    if len(candidates) > 1:
        sampled["model_architecture"] = trial.suggest_categorical("model_architecture", candidates)
    return trial, sampled


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL


def _train_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return parser


def _command(args: argparse.Namespace, sampled: dict[str, Any], train_dir: Path) -> list[str]:
    """The arguments of ``train`` that repeat a trial."""
    defaults = vars(_train_parser().parse_args([]))
    values = {name: getattr(args, name) for name in defaults} | sampled | {"train_dir": train_dir}
    rate = values["learning_rate"]
    if isinstance(rate, float):  # each stage a tenth of the one before, as in the tutorial
        stages = len(train.filled(args).how_many_training_steps)
        values["learning_rate"] = tuple(float(f"{rate * 0.1**stage:.3g}") for stage in range(stages))
    rows = {flag.name: flag for flag in flag_table.TRAIN}
    command: list[str] = []
    for name, value in values.items():
        if value == defaults[name] or name == "verbosity":
            continue
        if name in rows:
            command += rows[name].arguments(value)
        else:
            for one in value if name == "teacher" else [value]:
                command += [f"--{name}", str(one)]
    return command
