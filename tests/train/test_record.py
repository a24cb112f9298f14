"""kwsd-train record, with a virtual microphone and without one."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from kwsd_train.cli import main
from kwsd_train.commands.record import Listener
from kwsd_train.data import own_clips
from kwsd_train.data.folders import which_set

from kwsd.audio.source import Block, Gap

RATE_HZ = 16_000
CLIPS = Path(__file__).resolve().parents[1] / "data" / "clips"


@contextmanager
def recording(folder, env, *more):
    """The command as a process, its standard output a pipe."""
    flags = ["--words", "lumos", "--takes", "2", "--speaker", "anna", "--output_dir", str(folder), *more]
    with subprocess.Popen(
        [sys.executable, "-m", "kwsd_train", "record", *flags],
        env={**env, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def sounds(tmp_path):
    """A word and a burst of full-scale noise, as WAV files."""
    word, rate_hz = soundfile.read(next((CLIPS / "yes").glob("*.flac")))
    assert rate_hz == RATE_HZ
    soundfile.write(tmp_path / "word.wav", 0.5 * word / np.abs(word).max(), RATE_HZ, subtype="PCM_16")
    burst = np.sign(np.random.default_rng(1).normal(size=RATE_HZ // 2))
    soundfile.write(tmp_path / "clipped.wav", burst, RATE_HZ, subtype="PCM_16")
    return {"word": tmp_path / "word.wav", "clipped": tmp_path / "clipped.wav", None: None}


def test_words_are_asked_for_recorded_and_kept_and_useless_takes_are_asked_for_again(microphone, sounds, tmp_path):
    """Silence, then clipping, are refused; two words are kept; another run finds them there."""
    folder, heard = tmp_path / "data", []
    to_play = iter([None, "clipped", "word", "word"])
    with recording(folder, microphone.env) as process:
        for line in process.stdout:
            heard.append(line.strip())
            if "say 'lumos' now" in line and (sound := sounds[next(to_play)]):
                microphone.play(sound)
        assert process.wait() == 0, process.stderr.read()
    assert sum(line.startswith("again, please: ") for line in heard) == 2, heard
    assert any("muted" in line for line in heard), heard
    assert any("clipped" in line for line in heard), heard
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == ["lumos/anna_nohash_0.wav", "lumos/anna_nohash_1.wav"]
    for name in files:
        samples, rate_hz = soundfile.read(folder / name)
        assert (len(samples), rate_hz) == (RATE_HZ, RATE_HZ)
        assert np.abs(samples).max() == pytest.approx(0.5, abs=0.05)
    assert "which_set puts this speaker into" in heard[-1]
    with recording(folder, microphone.env) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "lumos: 2 of 2 are there" in said
    assert "0 clips of anna recorded" in said


def test_other_words_by_the_same_voice_are_asked_for_once_each(microphone, sounds, tmp_path):
    """And a speaker from whom nothing would be learnt is told before anybody speaks."""
    folder, heard = tmp_path / "data", []
    with recording(folder, microphone.env, "--takes", "1", "--other_words", "2", "--speaker", "ben") as process:
        for line in process.stdout:
            heard.append(line.strip())
            if "' now" in line:
                microphone.play(sounds["word"])
        assert process.wait() == 0, process.stderr.read()
    assert heard[0].startswith("which_set puts ben into the testing set")
    suggested = heard[0].split("With the name ")[1].split()[0]
    assert which_set(f"{suggested}_nohash_0", 10, 10) == "training"
    words = {path.parent.name for path in folder.rglob("ben_nohash_0.wav")}
    assert len(words) == 3
    assert "lumos" in words


def test_ctrl_c_leaves_whole_files_and_the_next_run_goes_on(microphone, sounds, tmp_path):
    folder = tmp_path / "data"
    with recording(folder, microphone.env) as process:
        for line in process.stdout:
            if "say 'lumos' now" in line:
                microphone.play(sounds["word"])
            if line.startswith("kept "):
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["anna_nohash_0.wav"]
    assert own_clips.numbers(folder / "lumos", "anna") == [0]


def test_a_microphone_that_stays_silent_is_given_up(microphone, tmp_path):
    with recording(tmp_path, microphone.env, "--take_s", "1", "--pause_s", "0") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 69
    assert errors.startswith("kwsd-train: microphone: 10 takes in a row were unusable; all samples are zero")
    assert not list(tmp_path.iterdir())


def test_no_microphone_is_one_line_and_69(tmp_path):
    with recording(tmp_path / "data", os.environ, "--device", "no such device") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 69, errors
    assert len(errors.splitlines()) == 1
    assert errors.startswith("kwsd-train: ")


class Scripted:
    """A microphone that hands out what it is given."""

    name, rate_hz = "scripted", RATE_HZ

    def __init__(self, *items):
        self._items = iter(items)

    def step(self, now_s):
        """Nothing to look after."""

    def read(self, timeout_s):
        return next(self._items)


def test_nothing_is_joined_across_a_gap_and_the_level_is_shown(capsys):
    old, new = (Block(np.full(RATE_HZ, level, np.float32), 0.0, 0.0) for level in (1.0, 0.1))
    heard = Listener(Scripted(old, Gap(5), new, new), on_terminal=True).hear(2.0, "say it")
    np.testing.assert_array_equal(heard, np.full(2 * RATE_HZ, 0.1, np.float32))
    shown = capsys.readouterr().out
    assert shown.startswith("\rsay it  ##############################    0.0 dBFS  CLIPPED")


def test_a_user_without_a_name_is_asked_for_one(monkeypatch, capsys):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert main(["record", "--words", "x"]) == 2
    assert "--speaker: is missing, and this user has no login name. Give a name." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--words", "a/b"], "--words: 'a/b' is not a word"),
        (["--words", "_silence_"], "--words: '_silence_' cannot be a wanted word"),
        (["--words", "x,x"], "--words: 'x' is there twice"),
        (["--words", "x", "--speaker", "a_nohash_b"], "--speaker: 'a_nohash_b' is not a name"),
        (["--words", "x", "--take_s", "0.5"], "--take_s: must be as long as a clip"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_2(flags, told, capsys):
    assert main(["record", *flags]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert told in lines[0]
