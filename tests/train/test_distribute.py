"""Several processes that train one model end where one process does."""

import json
import os
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from kwsd_train.cli import main
from kwsd_train.training import checkpoint, distribute
from kwsd_train.training.interruption import EndRequests

from kwsd.errors import UsageError

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")

STEP = re.compile(r"Step #(\d+): .* cross entropy (\S+)$", re.M)


def flags(data_dir, tmp_path, folder):
    """A short run of the network without dropout, whose draws depend on the replica."""
    return [
        *["train", "--data_dir", str(data_dir), "--cache_dir", str(tmp_path / "cache"), "--wanted_words", "up,down"],
        *["--model_architecture", "single_fc", "--window_stride_ms", "20", "--validation_percentage", "20"],
        *["--how_many_training_steps", "5", "--learning_rate", "0.01", "--optimizer", "adam", "--batch_size", "16"],
        *["--average_decay", "0.9", "--workers", "0", "--train_dir", str(tmp_path / folder)],
    ]


def workers(arguments, count, places=None):
    """Start workers of a cluster of so many on this machine: all, or those of these places."""
    holders = [socket.socket() for _ in range(count)]
    for holder in holders:
        holder.bind(("127.0.0.1", 0))
    cluster = {"worker": [f"127.0.0.1:{holder.getsockname()[1]}" for holder in holders]}
    for holder in holders:
        holder.close()
    return [
        subprocess.Popen(
            [sys.executable, "-m", "kwsd_train", *arguments, "--distribute", "multi_worker"],
            env=os.environ
            | {"PYTHONPATH": ":".join(sys.path)}
            | {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})},
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in (range(count) if places is None else places)
    ]


def test_two_workers_reach_the_loss_of_one_process(data_dir, tmp_path, caplog):
    """Every step's loss and the final weights, to float32's precision; the first worker alone writes them."""
    caplog.set_level("INFO", "kwsd_train")
    assert main(flags(data_dir, tmp_path, "alone")) == 0
    alone = dict(STEP.findall("\n".join(caplog.messages)))
    assert len(alone) == 5
    processes = workers(flags(data_dir, tmp_path, "shared"), 2)
    told = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    for text in told:
        losses = dict(STEP.findall(text))
        assert losses.keys() == alone.keys()
        for step, loss in losses.items():
            assert float(loss) == pytest.approx(float(alone[step]), rel=1e-4)
    assert ["Saving to" in text for text in told] == [True, False]
    one, both = (checkpoint.load(checkpoint.latest(tmp_path / folder)) for folder in ("alone", "shared"))
    for group, arrays in one.variables.items():
        for expected, array in zip(arrays, both.variables[group], strict=True):
            np.testing.assert_allclose(array, expected, rtol=1e-3, atol=1e-5)


def test_a_worker_that_is_killed_ends_the_others_with_one_line(data_dir, tmp_path):
    endless = ["100000" if flag == "5" else flag for flag in flags(data_dir, tmp_path, "killed")]
    first, second = workers(endless, 2)
    with first, second:
        try:
            assert any("Step #3: " in line for line in first.stderr)
            second.kill()
            last = first.communicate(timeout=240)[1].splitlines()[-1]
        finally:
            first.kill()
            second.kill()
    assert first.returncode == 70
    assert last.startswith("kwsd-train: --distribute: another worker has gone.")


def until(process, part):
    for line in process.stderr:
        if part in line:
            return line
    raise AssertionError(f"it ended with {process.wait()} before a line with {part!r}")


@pytest.mark.parametrize("place", [0, 1])
def test_a_worker_that_waits_says_so_and_ends_at_sigterm(data_dir, tmp_path, place):
    """For whom, again and again; nobody else has been started."""
    (process,) = workers(flags(data_dir, tmp_path, "run"), 2, places=[place])
    with process:
        told = [until(process, "Waiting for worker ") for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        last = process.communicate(timeout=60)[1].splitlines()[-1]
    assert all(f" Waiting for worker {1 - place} (127.0.0.1:" in line for line in told)
    assert process.returncode == 143
    assert last == "kwsd-train: SIGTERM: ended before the first step, so there is nothing to save"


def test_workers_that_are_asked_to_end_do_so_after_the_same_step(data_dir, tmp_path):
    """Whoever was not asked says who was."""
    endless = ["100000" if flag == "5" else flag for flag in flags(data_dir, tmp_path, "run")]
    first, second = workers(endless, 2)
    with first, second:
        try:
            until(first, "Step #3: ")
            second.send_signal(signal.SIGTERM)
            lasts = [process.communicate(timeout=120)[1].splitlines()[-1] for process in (first, second)]
        finally:
            first.kill()
            second.kill()
    step = checkpoint.load(checkpoint.latest(tmp_path / "run")).step
    mend = "Go on with --start_checkpoint latest."
    assert lasts == [
        f"kwsd-train: --distribute: another worker was asked to end, after step {step}. {mend}",
        f"kwsd-train: SIGTERM: ended after step {step}, which is saved. {mend}",
    ]
    assert (first.returncode, second.returncode) == (70, 143)


def test_a_worker_ends_at_sigterm_though_another_hangs(data_dir, tmp_path):
    endless = ["100000" if flag == "5" else flag for flag in flags(data_dir, tmp_path, "run")]
    first, second = workers(endless, 2)
    with first, second:
        try:
            until(first, "Step #3: ")
            second.send_signal(signal.SIGSTOP)
            first.send_signal(signal.SIGTERM)
            last = first.communicate(timeout=120)[1].splitlines()[-1]
        finally:
            first.kill()
            second.kill()
    assert first.returncode == 143
    assert last.startswith("kwsd-train: SIGTERM: ended in the middle of a step")


def test_mirrored_on_one_device_is_training_as_ever(data_dir, tmp_path):
    assert main(flags(data_dir, tmp_path, "alone")) == 0
    assert main([*flags(data_dir, tmp_path, "mirrored"), "--distribute", "mirrored"]) == 0
    one, other = (checkpoint.load(checkpoint.latest(tmp_path / folder)) for folder in ("alone", "mirrored"))
    for expected, array in zip(one.variables["model"], other.variables["model"], strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("", "names no workers"),
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "names no workers"),
        ('{"cluster": []}', "names no workers"),
        ('{"cluster": {"worker": "a:1"}}', "names no workers"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"index": 1}}', "its task is not one of the workers"),
        ('{"cluster": {"worker": ["a:1"]}, "task": 0}', "its task is not one of the workers"),
        ('{"cluster": {"worker": ["a"]}}', "'a' is not HOST:PORT"),
        ('{"cluster": {"worker": ["a:0", "a:1"]}}', "'a:0' is not HOST:PORT"),
    ],
)
def test_workers_without_a_cluster_are_told(monkeypatch, told, why):
    monkeypatch.setenv("TF_CONFIG", told)
    with pytest.raises(UsageError, match=why):
        distribute.strategy("multi_worker", EndRequests())


@pytest.mark.parametrize(
    ("name", "task", "chief"),
    [("multi_worker", 0, True), ("multi_worker", 1, False), ("mirrored", 1, True), ("none", 1, True)],
)
def test_the_first_worker_writes(monkeypatch, name, task, chief):
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": task}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    assert distribute.is_chief(name) is chief


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    class Three:
        num_replicas_in_sync = 3

    with pytest.raises(UsageError, match="16 clips cannot be shared evenly by 3 replicas"):
        distribute.check_batch(Three(), 16)
