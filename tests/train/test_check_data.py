"""What is wrong or thin in a folder of words is told before training, by a command of its own and by train."""

import os
import shutil

import numpy as np
import pytest
import soundfile
from kwsd_train.cli import main

RATE_HZ = 16_000


def tone(seconds, begin_s, draw):
    """A third of a second of tone in faint noise."""
    signal = draw.normal(0, 1e-3, int(seconds * RATE_HZ))
    at = int(begin_s * RATE_HZ)
    signal[at : at + RATE_HZ // 3] += 0.5 * np.sin(np.arange(RATE_HZ // 3) * 0.3)
    return signal


def write(path, signal):
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, signal, RATE_HZ, subtype="PCM_16")


@pytest.fixture
def folder(tmp_path):
    """``lumos`` by three people who say ``tree`` too, and background."""
    root, draw = tmp_path / "words", np.random.default_rng(1)
    root.mkdir()
    for word in ("lumos", "tree"):
        for speaker in ("carl", "hugo", "finn"):
            write(root / word / f"{speaker}_nohash_0.wav", tone(1, 0.2, draw))
    write(root / "_background_noise_" / "hiss.wav", draw.normal(0, 0.01, 2 * RATE_HZ))
    return root


def check(folder, capsys, *more):
    """The code, and what is printed, line by line."""
    flags = ["--wanted_words", "lumos", "--data_dir", str(folder), "--cache_dir", str(folder.parent / "cache"), *more]
    code = main(["check-data", *flags])
    return code, capsys.readouterr().out.splitlines()


def test_a_folder_that_is_fine_has_one_line(folder, capsys):
    assert check(folder, capsys) == (0, ["ok    3 clips of 1 words and 3 of other words to train on"])


def test_a_word_whose_speakers_do_not_train_is_a_failure(folder, capsys):
    for path in (folder / "lumos").iterdir():
        path.rename(path.with_name(path.name.replace(path.name.split("_")[0], "ben") + "-" + path.name[:4] + ".wav"))
    code, lines = check(folder, capsys)
    assert code == 66
    assert lines == [line for line in lines if line.startswith("fail  lumos: no clip to train on: its speakers (ben)")]
    assert check(folder, capsys, "--testing_percentage", "0")[0] == 0


def test_a_word_that_is_not_there_is_a_failure(folder, capsys):
    code, lines = check(folder, capsys, "--wanted_words", "lumos,nox")
    assert code == 66
    assert [line for line in lines if line.startswith("fail  nox: no clip of it in")]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda root: [(root / "lumos" / f"{who}_nohash_0.wav").unlink() for who in ("hugo", "finn")],
            "by one speaker, carl",
        ),
        (lambda root: shutil.rmtree(root / "tree"), "no words other than the wanted ones"),
        (lambda root: (root / "tree" / "carl_nohash_0.wav").unlink(), "lumos: no other word by carl"),
        (lambda root: (root / "Lumos").mkdir(), "the folders Lumos and lumos are one word"),
        (lambda root: (root / "lumos" / "memo.m4a").touch(), "lumos/memo.m4a: not read in training"),
    ],
)
def test_what_names_tell_is_a_warning(folder, capsys, change, told):
    change(folder)
    code, lines = check(folder, capsys)
    assert code == 0
    assert [line for line in lines if line.startswith("warn  ") and told in line], lines


def test_what_is_said_after_the_first_second_is_told(folder, capsys):
    draw = np.random.default_rng(2)
    write(folder / "lumos" / "carl_nohash_1.wav", tone(2.5, 1.5, draw))
    write(folder / "lumos" / "carl_nohash_2.wav", tone(1.5, 0.2, draw))
    _, lines = check(folder, capsys)
    assert "2 of 5 clips are longer than a clip of 1000 ms, and only their beginning is used; in 1 " in lines[0]


def test_a_silent_first_channel_and_silence_are_told(folder, capsys):
    signal = tone(1, 0.2, np.random.default_rng(2))
    write(folder / "lumos" / "carl_nohash_1.wav", np.stack([np.zeros_like(signal), signal], axis=1))
    write(folder / "lumos" / "carl_nohash_2.wav", np.zeros(RATE_HZ))
    _, lines = check(folder, capsys)
    assert lines[0].startswith("warn  lumos: the first channel of 1 of 5 clips is silent")
    assert lines[1].startswith("warn  lumos: 1 of 5 clips begin with digital silence (carl_nohash_2.wav)")


def test_words_in_a_codec_of_their_own_are_told(folder, capsys):
    for path in (folder / "tree").iterdir():
        samples, _ = soundfile.read(path)
        soundfile.write(path.with_suffix(".opus"), samples, RATE_HZ, format="OGG", subtype="OPUS")
        path.unlink()
    _, lines = check(folder, capsys)
    assert "its clips are .wav, nearly all other words are .opus" in lines[0]


def test_a_file_that_cannot_be_read_is_a_failure(folder, capsys):
    (folder / "tree" / "carl_nohash_9.wav").write_bytes(b"RIFF\xff\xff\xff\x7fWAVEnothing")
    code, lines = check(folder, capsys)
    assert code == 66
    assert "carl_nohash_9.wav: cannot be read" in lines[0]


def test_a_named_pipe_is_a_failure_and_nobody_waits_for_its_writer(folder, capsys):
    os.mkfifo(folder / "tree" / "carl_nohash_9.wav")
    code, lines = check(folder, capsys)
    assert code == 66
    assert "carl_nohash_9.wav: cannot be read: it is not a file" in lines[0]


def test_train_tells_it_too_before_it_trains(folder, caplog, tmp_path):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")
    caplog.set_level("INFO", "kwsd_train")
    shutil.rmtree(folder / "tree")
    flags = ["--wanted_words", "lumos", "--data_dir", str(folder), "--cache_dir", str(tmp_path / "cache")]
    flags += ["--train_dir", str(tmp_path / "run"), "--model_architecture", "single_fc", "--workers", "0"]
    assert (
        main(["train", *flags, "--how_many_training_steps", "1", "--learning_rate", "0.01", "--batch_size", "4"]) == 0
    )
    told = [record.getMessage().partition(" ")[2] for record in caplog.records]
    (warned,) = [place for place, line in enumerate(told) if line.startswith("no words other than the wanted ones")]
    assert warned < next(place for place, line in enumerate(told) if line.startswith("#1: "))
