"""What goes wrong with data, disks and checkpoints is one line, and leaves nothing half-written behind."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from kwsd_train.cli import main
from kwsd_train.export import metadata_writer
from kwsd_train.training import checkpoint

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")


def flags(data_dir, tmp_path, folder="run"):
    """A short run; dropout and the optimiser have a state that a resumed one needs."""
    return [
        *["--data_dir", str(data_dir), "--cache_dir", str(tmp_path / "cache"), "--train_dir", str(tmp_path / folder)],
        *["--wanted_words", "up,down", "--model_architecture", "tiny_conv", "--window_stride_ms", "20"],
    ]


def steps(count):
    """And how long it is."""
    return [
        *["--how_many_training_steps", str(count), "--learning_rate", "0.003", "--optimizer", "adam"],
        *["--average_decay", "0.9", "--batch_size", "8", "--save_step_interval", "2", "--workers", "0"],
    ]


@contextlib.contextmanager
def small_files(size=100_000):
    """A disk that takes so many bytes a file, for writing to a full one; for no longer than the program runs, since
    the tests' own output may go to a file too."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def one_line(capsys):
    """The only line on standard error."""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("kwsd-train: ")
    return line


def left_over(folder):
    """Temporary files, whole or not."""
    return [path for path in folder.rglob("*") if "tmp" in path.suffix or path.name.startswith(".")]


def test_a_corrupt_file_is_named(data_dir, tmp_path, capsys):
    broken = tmp_path / "data"
    shutil.copytree(data_dir, broken)
    (broken / "up" / "speaker3_nohash_0.wav").write_bytes(b"RIFF\xff\xff\xff\x7fWAVEnothing")
    assert main(["train", *flags(broken, tmp_path), *steps(1)]) == 66
    assert f"{broken / 'up' / 'speaker3_nohash_0.wav'}: cannot be read" in one_line(capsys)
    assert not (tmp_path / "run").exists()
    assert not left_over(tmp_path / "cache")


def test_a_link_that_leads_nowhere_is_named(data_dir, tmp_path, capsys):
    broken = tmp_path / "data"
    shutil.copytree(data_dir, broken)
    link = broken / "up" / "lost_nohash_0.wav"
    link.symlink_to(tmp_path / "nosuch.wav")
    assert main(["train", *flags(broken, tmp_path), *steps(1)]) == 66
    assert f"{link}: cannot be read: No such file or directory. Repair or remove it." in one_line(capsys)


def test_a_word_whose_folder_is_empty_is_told(data_dir, tmp_path, capsys):
    (tmp_path / "data" / "left").mkdir(parents=True)
    shutil.copytree(data_dir, tmp_path / "data", dirs_exist_ok=True)
    assert main(["train", *flags(tmp_path / "data", tmp_path), *steps(1), "--wanted_words", "up,left"]) == 66
    assert "Expected to find left in labels but only found bird, down, up" in one_line(capsys)


def test_a_full_disk_for_the_cache_is_told(data_dir, tmp_path, capsys):
    with small_files():
        assert main(["train", *flags(data_dir, tmp_path), *steps(1)]) == 74
    assert "cannot be written: " in one_line(capsys)
    assert not left_over(tmp_path / "cache")


def test_a_full_disk_for_a_checkpoint_is_told_and_the_last_one_stays(data_dir, tmp_path, capsys):
    assert main(["train", *flags(data_dir, tmp_path), *steps(2)]) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    capsys.readouterr()
    with small_files():
        assert main(["train", *flags(data_dir, tmp_path), *steps(4), "--start_checkpoint", "latest"]) == 74
    line = one_line(capsys)
    assert "tiny_conv.ckpt-4: cannot be written: File too large" in line
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_full_disk_for_a_model_is_told(data_dir, tmp_path, capsys, monkeypatch):
    """First where the converter works, then where the model is to be."""
    assert main(["train", *flags(data_dir, tmp_path), *steps(2)]) == 0
    capsys.readouterr()
    output = tmp_path / "out" / "words.tflite"
    output.parent.mkdir()
    command = ["freeze", *flags(data_dir, tmp_path), "--start_checkpoint", "latest", "--output_file", str(output)]
    with monkeypatch.context() as patch, contextlib.ExitStack() as full:
        written = metadata_writer.write

        def write(*arguments):
            full.enter_context(small_files(10_000))
            return written(*arguments)

        patch.setattr(metadata_writer, "write", write)
        assert main(command) == 74
    assert f"{output}: cannot be written: File too large" in capsys.readouterr().err.splitlines()[-1]
    with small_files(10_000):
        assert main(command) == 74
    assert f"{tempfile.gettempdir()}: cannot be written: " in one_line(capsys)
    assert not list(output.parent.iterdir())


def test_a_checkpoint_of_another_architecture_is_refused(data_dir, tmp_path, capsys):
    assert main(["train", *flags(data_dir, tmp_path), *steps(2)]) == 0
    capsys.readouterr()
    more = ["--start_checkpoint", "latest", "--model_architecture", "single_fc"]
    assert main(["train", *flags(data_dir, tmp_path), *steps(4), *more]) == 2
    assert "--model_architecture: single_fc does not agree with the checkpoint, made with tiny_conv" in one_line(capsys)


def test_a_run_killed_in_the_middle_of_a_save_goes_on_to_the_same_bits(data_dir, tmp_path, capsys):
    """SIGKILL when step 4 is written and not yet renamed: step 2 is the newest; the end is that of a whole run."""
    script = f"""
import os, signal, sys
from kwsd_train.training import checkpoint
from kwsd_train.export import metadata_writer
from kwsd_train.cli import main
saves = 0
def die_at_the_second(descriptor):
    global saves
    saves += 1
    if saves == 2:
        os.kill(os.getpid(), {signal.SIGKILL:d})
checkpoint.os.fsync = die_at_the_second
main(sys.argv[1:])
"""
    killed = subprocess.run(
        [sys.executable, "-c", script, "train", *flags(data_dir, tmp_path, "killed"), *steps(6)],
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert checkpoint.latest(tmp_path / "killed").name == "tiny_conv.ckpt-2"
    assert left_over(tmp_path / "killed")  # what was being written
    resume = ["--start_checkpoint", "latest"]
    assert main(["train", *flags(data_dir, tmp_path, "killed"), *steps(6), *resume]) == 0
    assert main(["train", *flags(data_dir, tmp_path, "whole"), *steps(6)]) == 0
    ends = [checkpoint.load(checkpoint.latest(tmp_path / folder)) for folder in ("whole", "killed")]
    assert [end.step for end in ends] == [6, 6]
    for group, arrays in ends[0].variables.items():
        for expected, array in zip(arrays, ends[1].variables[group], strict=True):
            np.testing.assert_array_equal(array, expected)
    assert not left_over(tmp_path / "killed")  # the resumed run wrote the same name, and renamed it


def test_all_bad_files_are_told_at_once_and_may_be_left_out(data_dir, tmp_path, capsys, caplog):
    words = tmp_path / "words"
    shutil.copytree(data_dir, words)
    bad = [words / "up" / "carl_nohash_0.wav", words / "down" / "dora_nohash_0.wav"]
    for path in bad:
        path.write_bytes(b"RIFF, and no more")
    (words / "up" / "gone_nohash_0.wav").symlink_to(tmp_path / "nowhere.wav")
    flags = ["--data_dir", str(words), "--cache_dir", str(tmp_path / "cache"), "--train_dir", str(tmp_path / "run")]
    flags += ["--wanted_words", "up,down", "--model_architecture", "tiny_conv", "--window_stride_ms", "20"]
    flags += ["--how_many_training_steps", "1", "--learning_rate", "0.001", "--batch_size", "8", "--workers", "0"]
    flags += ["--validation_percentage", "20"]
    assert main(["train", *flags]) == 66
    told = capsys.readouterr().err
    assert all(str(path) in told for path in bad) and "gone_nohash_0.wav" in told
    assert main(["train", *flags, "--skip_bad"]) == 0
    assert caplog.text.count("left out: ") == 3
