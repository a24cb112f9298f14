"""A run that is asked to end saves what it has, says so, and tells the shell by its code."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from kwsd_train.cli import main
from kwsd_train.training import checkpoint

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")


def flags(data_dir, tmp_path, folder, steps):
    """A run that saves by itself only at its end."""
    return [
        *["train", "--data_dir", str(data_dir), "--cache_dir", str(tmp_path / "cache"), "--wanted_words", "up,down"],
        *["--model_architecture", "tiny_conv", "--window_stride_ms", "20", "--validation_percentage", "20"],
        *["--how_many_training_steps", str(steps), "--learning_rate", "0.003", "--optimizer", "adam"],
        *["--batch_size", "8", "--average_decay", "0.9", "--save_step_interval", "1000000"],
        *["--train_dir", str(tmp_path / folder)],
    ]


def started(arguments, *command):
    """In a session of its own, so that signals can be sent to all of its processes."""
    return subprocess.Popen(
        [*(command or (sys.executable, "-m", "kwsd_train")), *arguments],
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(process, part):
    for line in process.stderr:
        if part in line:
            return line
    raise AssertionError(f"it ended with {process.wait()} before a line with {part!r}")


@pytest.mark.parametrize(
    ("number", "code", "to_all"),
    [(signal.SIGINT, 130, True), (signal.SIGTERM, 143, True), (signal.SIGTERM, 143, False)],
)
def test_the_step_at_work_is_done_and_saved(data_dir, tmp_path, number, code, to_all):
    """Also when the processes that make features get the signal, as from a terminal or a batch system."""
    with started([*flags(data_dir, tmp_path, "run", 100_000), "--workers", "1"]) as process:
        until(process, "Step #3: ")
        (os.killpg if to_all else os.kill)(process.pid, number)
        lines = process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == code
    path = checkpoint.latest(tmp_path / "run")
    step = checkpoint.load(path).step
    assert lines[-2].endswith(f' Saving to "{path}"')
    how = f"{signal.Signals(number).name}: ended after step {step}, which is saved"
    assert lines[-1] == f"kwsd-train: {how}. Go on with --start_checkpoint latest."
    assert step >= 3


def test_it_goes_on_to_the_bits_of_a_run_without_a_break(data_dir, tmp_path):
    with started([*flags(data_dir, tmp_path, "broken", 100_000), "--workers", "0"]) as process:
        until(process, "Step #3: ")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    steps = checkpoint.load(checkpoint.latest(tmp_path / "broken")).step + 3
    more = ["--workers", "0", "--start_checkpoint", "latest"]
    assert main([*flags(data_dir, tmp_path, "broken", steps), *more]) == 0
    assert main([*flags(data_dir, tmp_path, "whole", steps), "--workers", "0"]) == 0
    ends = [checkpoint.load(checkpoint.latest(tmp_path / folder)).variables for folder in ("whole", "broken")]
    for group, arrays in ends[0].items():
        for expected, array in zip(arrays, ends[1][group], strict=True):
            np.testing.assert_array_equal(array, expected)


SLOW_TO_SAVE = """
import sys, time
from kwsd_train.training import checkpoint
from kwsd_train.cli import main
def save(*_):
    print("saving for ever", file=sys.stderr, flush=True)
    time.sleep(1000)
checkpoint.save = save
sys.exit(main())
"""


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once(data_dir, tmp_path, second):
    arguments = [*flags(data_dir, tmp_path, "run", 100_000), "--workers", "1"]
    with started(arguments, sys.executable, "-c", SLOW_TO_SAVE) as process:
        until(process, "Step #3: ")
        process.send_signal(signal.SIGINT)
        until(process, "saving for ever")
        process.send_signal(second)
        assert process.wait(timeout=20) == 128 + second
    assert not list((tmp_path / "run").glob("*.ckpt-*"))


def test_before_the_first_step_there_is_nothing_to_save(data_dir, tmp_path):
    """Here while a URL is asked for the data, which never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/words.tar.gz"
        arguments = [*flags(tmp_path / "none", tmp_path, "run", 10), "--data_url", url]
        with started(arguments) as process, server.accept()[0]:
            process.send_signal(signal.SIGINT)
            last = process.communicate(timeout=60)[1].splitlines()[-1]
    assert (process.returncode, last) == (
        130,
        "kwsd-train: SIGINT: ended before the first step, so there is nothing to save",
    )
