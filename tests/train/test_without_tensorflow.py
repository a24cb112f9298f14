"""kwsd-train where only kwsd is installed: one line says what brings the rest."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(","), None))  # as if they were not installed
from kwsd_train.cli import main
sys.exit(main(sys.argv[2:]))
"""


def run(absent, *arguments):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, absent, *map(str, arguments)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tools'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("absent", "what", "arguments"),
    [
        ("tensorflow,keras", "TensorFlow", ["train", "--wanted_words", "yes,no"]),
        ("tensorflow,keras", "TensorFlow", ["train", "--start_checkpoint", "default", "--wanted_words", "yes"]),
        ("tensorflow,keras", "TensorFlow", ["models"]),
        ("keras", "TensorFlow", ["models", "--model_architecture", "examples/own_network.py:two_convolutions"]),
        ("optuna", "Optuna", ["tune"]),
        ("matplotlib", "matplotlib", ["evaluate", "--model", "default", "--png", "x.png"]),
    ],
)
def test_what_is_missing_is_one_line_with_the_command_that_brings_it(tmp_path, absent, what, arguments):
    folders = ["--data_dir", ROOT / "tests/data/clips"] if arguments[0] in ("train", "evaluate", "tune") else []
    places = ["--train_dir", tmp_path] if arguments[0] in ("train", "tune") else []
    done = run(absent, *arguments, *folders, *places)
    assert done.returncode == 69, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last == f"kwsd-train: {what}: it is not installed. Install it: pip install 'kwsd[train]'"
    assert "Traceback" not in done.stderr


def test_a_module_that_somebody_s_file_lacks_is_told_as_that_file_s_fault(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("import nosuchmodule\n")
    done = run("optuna", "models", "--model_architecture", f"{own}:network")
    assert done.returncode == 2, done.stderr
    assert "does not build a network: ModuleNotFoundError: No module named 'nosuchmodule'" in done.stderr


def test_what_needs_no_tensorflow_goes_without(tmp_path):
    clip = next((ROOT / "tests/data/clips/stop").glob("*.flac"))
    done = run("tensorflow,keras,matplotlib,optuna", "label-wav", "--wav", clip, "--graph", "default")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("stop")
