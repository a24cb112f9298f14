"""kwsd learn: takes in, a model out, one line and a code for everything that is wrong."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from kwsd import model as models
from tests.learn.conftest import RATE_HZ, folder, takes_of  # noqa: F401 (a fixture)


@pytest.fixture(scope="module")
def zero(tmp_path_factory):
    """A model that has learned "zero", from the command itself."""
    from kwsd.cli.main import main

    target = tmp_path_factory.mktemp("zero")
    (target / "takes").mkdir()
    for number, take in enumerate(takes_of("zero", 4)):
        soundfile.write(target / "takes" / f"{number}.wav", take, RATE_HZ)
    path = target / "zero.tflite"
    assert main(["learn", "zero", "--from", str(target / "takes"), "--output", str(path), "-m", "tiny"]) == 0
    return path


def one_line(capsys):
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_takes_of_a_folder_become_a_model(kwsd, capsys, folder, tmp_path, monkeypatch):  # noqa: F811
    """WORD.tflite in the working folder; bad takes are told, and the rest goes on."""
    monkeypatch.chdir(tmp_path)
    soundfile.write(folder / "silent.wav", np.zeros(RATE_HZ), RATE_HZ)
    soundfile.write(folder / "clipped.wav", np.sign(np.random.default_rng(1).normal(size=RATE_HZ)), RATE_HZ)
    soundfile.write(folder / "long.wav", np.concatenate(takes_of("zero", 4)), RATE_HZ)
    (folder / "notes.txt").write_text("zero")
    assert kwsd("learn", "zero", "--from", str(folder), "-m", "tiny") == 0
    told = capsys.readouterr()
    bad = told.err.splitlines()
    assert [line.split(": ")[1].rpartition("/")[2] for line in bad] == [
        "clipped.wav",
        "long.wav",
        "notes.txt",
        "silent.wav",
    ]
    assert "of 10 takes recognised" in told.out
    assert "written: zero.tflite" in told.out
    assert models.load("zero.tflite").labels[-1] == "zero"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["takes", "zero.tflite"]


def test_the_command_to_hear_it_can_be_typed_as_it_is(kwsd, capsys, folder, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    assert kwsd("learn", "zero", "--from", str(folder), "-m", "tiny", "-o", "my zap.tflite") == 0
    assert capsys.readouterr().out.endswith("Hear it: kwsd --model 'my zap.tflite'\n")


def test_json_is_one_object(kwsd, capsys, folder, tmp_path):  # noqa: F811
    target = tmp_path / "z.tflite"
    assert kwsd("learn", "zero", "--from", str(folder), "-m", "tiny", "--output", str(target), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["word"] == "zero"
    assert told["output"] == str(target)
    assert 0 <= told["heard"] <= told["takes"] == 10
    assert told["threshold"] == models.load(target).recognize["thresholds"]["zero"]


def test_a_word_is_forgotten_in_the_file_itself(kwsd, capsys, zero, tmp_path):
    path = tmp_path / "m.tflite"
    shutil.copy(zero, path)
    assert kwsd("learn", "--forget", "zero", "-m", str(path)) == 0
    assert "without zero" in capsys.readouterr().out
    assert "zero" not in models.load(path).labels


def test_a_counter_example_changes_the_file_itself(kwsd, capsys, zero, tmp_path):
    path, clip = tmp_path / "m.tflite", tmp_path / "clip.flac"
    shutil.copy(zero, path)
    soundfile.write(clip, takes_of("zero", 1, seed=5)[0], RATE_HZ)
    assert kwsd("learn", "-m", str(path), "--not", str(clip)) == 0
    assert capsys.readouterr().out.startswith("zero: its highest score in these clips was ")
    assert path.read_bytes() != zero.read_bytes()
    soundfile.write(clip, takes_of("stop", 1)[0], RATE_HZ)
    assert kwsd("learn", "-m", str(path), "--not", str(clip)) == 66
    assert "none of zero is detected in it" in one_line(capsys)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "WORD: is required"),
        (["stop"], 2, "knows 'stop' already"),
        (["_lumos_"], 2, "cannot be a word"),
        (["lumos/nox"], 2, "cannot be a word"),
        (["lumos\udcff"], 2, "cannot be a word"),
        (["lumos", "--synthesize", "--say", "lumos\udcff"], 2, "--say: "),
        (["lumos", "-o", "FOLDER/lumos\udcff.tflite"], 74, "a model is named after its file"),
        (["--forget", "go", "lumos"], 2, "--forget: goes alone"),
        (["--forget", "go"], 2, "--output: is required"),
        (["-m", "tiny", "--not", "a.wav", "-o", "FOLDER/y.tflite"], 2, "--not: tiny has no learned word"),
        (["--forget", "lumos", "-o", "FOLDER/x.tflite"], 2, "does not know 'lumos'"),
        (["--only-new", "--not", "a.wav"], 2, "WORD: is required with"),
        (["lumos", "--keep", "FOLDER", "--synthesize"], 2, "--keep: keeps what is recorded"),
        (["lumos", "--say", "loomoss"], 2, "--say: needs --synthesize"),
        (["lumos", "--from", "FOLDER/none"], 66, "cannot be read"),
        (["lumos", "--from", "FOLDER"], 66, "has no recordings"),
        (["lumos", "--not", "FOLDER/none.wav", "--from", "FOLDER"], 66, "none.wav"),
        (["lumos", "-o", "FOLDER"], 74, "cannot be written"),
        (["lumos", "-o", f"FOLDER/{300 * 'x'}.tflite"], 74, "File name too long"),
        (["lumos", "-o", "FOLDER/none/lumos.tflite"], 74, "cannot be written"),
        (["lumos", "-m", "FOLDER/none.tflite"], 78, "no such file"),
        (["lumos", "-m", "tests/fixtures/models/rows.tflite"], 78, "has no embedding"),
        (["lumos", "--device", "no such device"], 69, "no such device"),
    ],
)
def test_what_is_wrong_is_one_line(kwsd, capsys, tmp_path, monkeypatch, arguments, code, told):
    words = [word.replace("FOLDER", str(tmp_path)) for word in arguments]
    if "-o" not in words:
        words += ["-o", str(tmp_path / "out.tflite")] if "--output: is required" not in told else []
    assert kwsd("learn", *words) == code
    line = one_line(capsys)
    assert told in line
    assert line.startswith("kwsd: ")
    assert not list(tmp_path.iterdir())


def test_too_few_takes_are_66_and_nothing_is_written(kwsd, capsys, tmp_path):
    for number, take in enumerate(takes_of("zero", 2)):
        soundfile.write(tmp_path / f"{number}.wav", take, RATE_HZ)
    target = tmp_path / "m.tflite"
    assert kwsd("learn", "zero", "--from", str(tmp_path), "-m", "tiny", "-o", str(target)) == 66
    assert "2 of 2 takes are of use, and 3 are required" in one_line(capsys)
    assert not target.exists()


def test_takes_that_teach_nothing_are_66_and_what_was_there_stays(kwsd, capsys, tmp_path):
    """Three other words: none is heard by what the other two taught."""
    for number, word in enumerate(("zero", "stop", "cat")):
        soundfile.write(tmp_path / f"{number}.wav", takes_of(word, 1)[0], RATE_HZ)
    target = tmp_path / "models" / "m.tflite"
    target.parent.mkdir()
    target.write_bytes(b"an older model")
    assert kwsd("learn", "mixed", "--from", str(tmp_path), "-m", "tiny", "-o", str(target)) == 66
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(
        "kwsd: mixed: none of its 3 takes is recognised by a model that learned the others, so no model was "
    )
    assert target.read_bytes() == b"an older model"


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed; `make test` installs it")
def test_a_synthesized_word(kwsd, capsys, tmp_path):
    target = tmp_path / "m.tflite"
    assert kwsd("learn", "computer", "--synthesize", "-m", "tiny", "-o", str(target), "--only-new") == 0
    assert "of 20 takes recognised" in capsys.readouterr().out
    assert models.load(target).labels == ("_silence_", "_unknown_", "computer")


def test_without_a_synthesiser_it_says_what_to_install(kwsd, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("kwsd.learn.speech_engines.installed", lambda: [])
    assert kwsd("learn", "computer", "--synthesize", "-o", str(tmp_path / "m.tflite")) == 69
    assert "sudo apt-get install espeak-ng flite" in one_line(capsys)
