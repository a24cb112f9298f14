"""Tuning: processes share one study, and the command that it prints repeats the best trial."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from kwsd_train.cli import main
from kwsd_train.commands import train
from kwsd_train.training.interruption import EndRequests

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")
optuna = pytest.importorskip("optuna", reason="Optuna is not installed (pip install 'kwsd[train]')")


def flags(data_dir, tmp_path):
    """A tiny study: two architectures, the learning rate and the shift are searched."""
    return [
        *["--data_dir", str(data_dir), "--cache_dir", str(tmp_path / "cache"), "--wanted_words", "up,down"],
        *["--model_architecture", "single_fc,tiny_conv", "--window_stride_ms", "20", "--validation_percentage", "30"],
        *["--how_many_training_steps", "4,2", "--optimizer", "adam", "--batch_size", "8", "--background_volume", "0.1"],
        *[
            "--speed_percentage",
            "0",
            "--time_masks",
            "0",
            "--band_masks",
            "0",
            "--gain_db",
            "-6",
            "6",
            "--workers",
            "0",
        ],
        *["--workers", "0", "--train_dir", str(tmp_path / "trials")],
    ]


def best_of(path):
    return json.loads(path.read_text())["best"]


@pytest.mark.parametrize("storage", ["file", "database"])
def test_two_processes_share_a_study(data_dir, tmp_path, storage):
    """Four trials, all different; and the printed command trains the best one again, to the same accuracy."""
    database = f"sqlite:///{tmp_path / 'study.db'}"
    where = {"file": str(tmp_path / "study.journal"), "database": database}[storage]
    if storage == "database":  # two processes that create one database at once are Optuna's own race
        optuna.create_study(storage=where, study_name="words", direction="maximize")
    shared = ["--storage", where, "--study_name", "words", "--trials", "2"]
    processes = [
        subprocess.Popen(
            [
                *[sys.executable, "-m", "kwsd_train", "tune", *flags(data_dir, tmp_path), *shared],
                *["--json", str(tmp_path / f"{number}.json")],
            ],
            env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    told = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    backend = optuna.storages.journal.JournalFileBackend
    study = optuna.load_study(
        storage=where if storage == "database" else optuna.storages.JournalStorage(backend(where)), study_name="words"
    )
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3]
    assert all(trial.state.name == "COMPLETE" for trial in study.trials)
    assert len({str(trial.params) for trial in study.trials}) == 4
    assert study.trials[0].params.keys() == {"learning_rate", "time_shift_ms", "model_architecture"}
    last = next(number for number, (out, _) in enumerate(told) if out.startswith("best of 4 trials"))
    best = best_of(tmp_path / f"{last}.json")
    assert best["validation_accuracy"] == max(trial.value for trial in study.trials)
    command = shlex.split(told[last][0].splitlines()[1])
    assert command == best["command"]
    assert command[:2] == ["kwsd-train", "train"]
    parser = train_parser()
    assert train.train(parser.parse_args(command[2:]), EndRequests()) == best["validation_accuracy"]


def train_parser():
    from kwsd.cli.parser import Parser

    parser = Parser()
    train.add_arguments(parser)
    return parser


def test_one_process_repeats_itself(data_dir, tmp_path):
    """Same seed and flags, same trials."""
    found = []
    for run in ("a", "b"):
        storage = ["--storage", str(tmp_path / f"{run}.journal"), "--trials", "1", "--json", str(tmp_path / run)]
        assert main(["tune", *flags(data_dir, tmp_path), *storage]) == 0
        found.append(best_of(tmp_path / run))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["--storage", "nonsense://host"], 2, "--storage: nonsense://host cannot be used"),
        (["--storage", "/proc/none/study"], 2, "--storage: /proc/none/study cannot be used"),
        (["--start_checkpoint", "latest"], 2, "every trial trains anew"),
        (["--wanted_words", "yes"], 66, "Expected to find yes in labels"),
    ],
)
def test_what_cannot_be_tuned_is_one_line(data_dir, tmp_path, capsys, more, code, told):
    assert main(["tune", *flags(data_dir, tmp_path), "--trials", "1", *more]) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert told in lines[0]
