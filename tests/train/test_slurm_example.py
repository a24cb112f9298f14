"""examples/train_on_slurm.sh, with processes of this machine in place of a cluster's nodes."""

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")

SCRIPT = Path(__file__).parents[2] / "examples" / "train_on_slurm.sh"
STEP = re.compile(r"Step #(\d+): .* cross entropy (\S+)$", re.M)


def program(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def cluster(tmp_path):
    """PATH with Slurm's programs as far as the script uses them: two nodes, both of which are here."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program(programs, "scontrol", '[ "$1 $2 $3" = "show hostnames node[1-2]" ] && echo 127.0.0.1 && echo localhost')
    log = shlex.quote(str(tmp_path / "task"))
    program(
        programs,
        "srun",
        f"""shift
for task in 0 1; do SLURM_PROCID=$task "$@" 2> {log}$task & eval "pid$task=$!"; done
wait "$pid0" && wait "$pid1" """,
    )
    program(programs, "kwsd-train", f'exec {shlex.quote(sys.executable)} -m kwsd_train "$@"')
    return f"{programs}:{os.environ['PATH']}"


def two_free_ports():
    """The first of two in a row."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("", port + 1))
            except OSError:
                continue
            return port


def test_two_nodes_train_one_model(data_dir, tmp_path, cluster):
    flags = ["--data_dir", data_dir, "--cache_dir", tmp_path / "cache", "--wanted_words", "up,down"]
    flags += ["--model_architecture", "single_fc", "--window_stride_ms", "20", "--batch_size", "16"]
    flags += ["--how_many_training_steps", "3", "--learning_rate", "0.01", "--workers", "0"]
    environment = {"PATH": cluster, "PYTHONPATH": ":".join(sys.path), "PORT": str(two_free_ports())}
    done = subprocess.run(
        [SCRIPT, *flags, "--train_dir", tmp_path / "run"],
        env=os.environ | environment | {"SLURM_JOB_NODELIST": "node[1-2]"},
        timeout=280,
        capture_output=True,
        text=True,
    )
    logs = [(tmp_path / f"task{task}").read_text() for task in (0, 1)]
    assert done.returncode == 0, (done.stderr, logs)
    losses = [STEP.findall(log) for log in logs]
    assert [step for step, _ in losses[0]] == ["1", "2", "3"]
    assert losses[0] == losses[1]
    assert [path.name for path in (tmp_path / "run").glob("*.ckpt-*")] == ["single_fc.ckpt-3"]
