"""What a command finds out, and says, before it does what takes long."""

import logging
import subprocess
import sys

import pytest
from kwsd_train.cli import main
from kwsd_train.data import recordings

SCRIPT = """
import sys
from kwsd_train.cli import main
code = main(sys.argv[1:])
print(code, "tensorflow" in sys.modules)
"""


def run(*arguments):
    """A command in a process of its own: what it gives, whether it has loaded TensorFlow, standard error."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    code, loaded = done.stdout.split()[-2:]
    return int(code), loaded == "True", done.stderr


@pytest.fixture
def no_folder(tmp_path):
    """A file: nothing can be written below it, whoever one is."""
    path = tmp_path / "file"
    path.touch()
    return path


@pytest.mark.parametrize("flag", ["data_dir", "train_dir", "summaries_dir"])
def test_a_folder_that_will_not_do_is_told_before_tensorflow_is_loaded(flag, no_folder, data_dir, tmp_path):
    flags = {"data_dir": data_dir, "cache_dir": tmp_path / "cache", "train_dir": tmp_path / "run"}
    flags[flag] = no_folder / "sub" / "folder"
    arguments = [part for name, path in flags.items() for part in (f"--{name}", path)]
    code, loaded, told = run("train", "--wanted_words=up,down", *arguments)
    assert (code, loaded) == (66 if flag == "data_dir" else 74, False)
    assert told.count("\n") == 1 and told.startswith(f"kwsd-train: {flags[flag]}: "), told
    assert not (tmp_path / "cache").exists() and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "command",
    [
        "import none.wav --words lumos --output_dir FILE",
        "record --words lumos --output_dir FILE",
        "synthesize --words lumos --output_dir FILE",
        "freeze --start_checkpoint none --output_file FILE",
        "freeze --start_checkpoint none --output_file words.tflite --weights_file FILE",
        "evaluate --json FILE",
        "evaluate --png FILE",
        "evaluate --errors FILE",
        "models --json FILE",
        "sweep --negatives none.wav --write_model FILE",
        "sweep --negatives none.wav --csv FILE",
        "test-streaming-accuracy --wav none.wav --ground_truth none.txt --json FILE",
        "generate-streaming-test-wav --output_audio_file FILE",
        "wav-to-features --input_wav none.wav --output_npz_file FILE",
        "wav-to-spectrogram --input_wav none.wav --output_image FILE",
        "tune --json FILE",
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_anything_is_read(command, no_folder, tmp_path, capsys):
    for path in (no_folder / "result", *([] if "output_dir" in command else [tmp_path])):
        assert main([str(path) if part == "FILE" else part for part in command.split()]) == 74
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and told.startswith(f"kwsd-train: {path}: cannot be written: "), told
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_tensorflow_is_loaded_without_its_notes_and_told():
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")
    code, loaded, told = run("models", "--model_architecture", "single_fc")
    assert (code, loaded, told) == (0, True, "Loading TensorFlow ...\n")


def test_that_many_recordings_are_decoded_is_told_once(data_dir, tmp_path, caplog, monkeypatch):
    """And not where they are found in the cache."""
    caplog.set_level(logging.INFO, "kwsd_train")
    monkeypatch.setattr(recordings, "_MANY", 3)
    paths = sorted(data_dir.glob("*/speaker1*.wav"))
    first = recordings.load(paths, 16_000, tmp_path)
    again = recordings.load(paths, 16_000, tmp_path)
    assert caplog.messages == [f"Decoding {len(paths)} recordings, once: they stay in {tmp_path}"]
    assert len(first) == len(again) == len(paths)
