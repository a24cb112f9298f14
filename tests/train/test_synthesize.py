"""kwsd-train synthesize, with espeak-ng."""

import hashlib

import numpy as np
import pytest
import soundfile
from kwsd_train.batches.augment import word_power
from kwsd_train.cli import main
from kwsd_train.data.folders import which_set

from kwsd.learn import speech_engines
from kwsd.learn.speech_engines import NoVoiceError, Voice

RATE_HZ = 16_000

espeak = pytest.mark.skipif(
    "espeak-ng" not in speech_engines.installed(), reason="espeak-ng is not installed; `make test` installs it"
)


def hashes(folder):
    """File -> hash of its bytes, under ``folder``."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def synthesize(folder, *more, count=6):
    flags = ["--words", "lumos,nox=nocks", "--voices", "espeak-ng", "--count", str(count), "--output_dir", str(folder)]
    return main(["synthesize", *flags, *more])


@espeak
def test_the_same_seed_makes_the_same_bytes_and_another_one_others(tmp_path):
    for name, seed in (("one", "1"), ("two", "1"), ("three", "2")):
        assert synthesize(tmp_path / name, "--seed", seed) == 0
    one, two, three = (hashes(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert not set(one.values()) & set(three.values())
    assert len(set(one.values())) == len(one) == 12


@espeak
@pytest.mark.parametrize("codec", ["wav", "opus"])
def test_clips_are_whole_of_various_levels_and_by_speakers_of_their_own(tmp_path, codec):
    assert synthesize(tmp_path, "--codec", codec) == 0
    files = sorted((tmp_path / "lumos").iterdir())
    assert len({path.name.partition("_nohash_")[0] for path in files}) == 6
    assert all(path.name.startswith("espeak-") and path.suffix == f".{codec}" for path in files)
    levels_db = []
    for path in files:
        assert which_set(path.name, 10, 10)
        samples, rate_hz = soundfile.read(path, dtype="float32")
        assert (len(samples), rate_hz) == (RATE_HZ, RATE_HZ)
        assert 0 < np.abs(samples).max() < 1
        assert np.count_nonzero(samples) > 0.9 * RATE_HZ  # no digital silence
        levels_db.append(10 * np.log10(word_power(samples)))
    assert max(levels_db) - min(levels_db) > 3
    assert -45 < min(levels_db) < max(levels_db) < -10


@espeak
def test_what_exists_is_left_alone_and_what_is_missing_is_made(tmp_path, capsys):
    assert synthesize(tmp_path) == 0
    before = hashes(tmp_path)
    kept, lost = sorted((tmp_path / "nox").iterdir())[:2]
    kept.write_bytes(b"mine")
    lost.unlink()
    capsys.readouterr()
    assert synthesize(tmp_path) == 0
    assert "1 clips of 6 voices made, 11 were there" in capsys.readouterr().out
    after = hashes(tmp_path)
    assert after.pop(f"nox/{kept.name}") == hashlib.sha256(b"mine").hexdigest()
    assert after.items() <= before.items()


@espeak
def test_a_word_longer_than_a_clip_is_spoken_faster(tmp_path):
    flags = ["--words", "supercalifragilistic", "--voices", "espeak-ng:en-us", "--count", "1", "--speed", "0.8", "0.8"]
    assert main(["synthesize", *flags, "--output_dir", str(tmp_path)]) == 0
    assert soundfile.info(next(tmp_path.rglob("*.wav"))).frames == RATE_HZ


@espeak
def test_lines_are_spoken_whole_each_by_another_voice(tmp_path, capsys):
    text, folder = tmp_path / "text", tmp_path / "speech"
    text.write_text("the quick brown fox\n\njumps over the lazy dog again and again\nhello\n", encoding="utf-8")
    flags = ["synthesize", "--text", str(text), "--voices", "espeak-ng:en-us,espeak-ng:en-us+f3", "--codec", "opus"]
    assert main([*flags, "--output_dir", str(folder)]) == 0
    assert "3 recordings of 2 voices made, 0 were there" in capsys.readouterr().out
    files = sorted(folder.iterdir())
    speakers = [path.name.partition("_nohash_")[0] for path in files]
    assert speakers == ["espeak-en-us-f3", "espeak-en-us", "espeak-en-us"]
    second, *others = (soundfile.info(path).duration for path in files)
    assert 0.2 < min(others) < 1 < max(others) < second
    files[0].unlink()
    before = hashes(folder)
    assert main([*flags, "--output_dir", str(folder)]) == 0
    assert "1 recordings of 2 voices made, 2 were there" in capsys.readouterr().out
    assert before.items() < hashes(folder).items()
    text.write_text("and something else\n", encoding="utf-8")
    assert main([*flags, "--output_dir", str(folder)]) == 0
    assert "1 recordings of 2 voices made, 0 were there" in capsys.readouterr().out


@espeak
@pytest.mark.parametrize(
    ("voice", "told"),
    [
        ("espeak-ng:en-us+nosuch", "falls back to en-us silently"),
        ("espeak-ng:nosuch", "espeak-ng:nosuch: does not speak"),
        ("espeak-ng:en-us,espeak-ng:en-us", "speaks as espeak-ng:en-us does"),
    ],
)
def test_a_voice_that_is_none_is_refused(tmp_path, capsys, voice, told):
    assert main(["synthesize", "--words", "lumos", "--voices", voice, "--output_dir", str(tmp_path / "data")]) == 69
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert told in lines[0]
    assert not (tmp_path / "data").exists()


def test_flite_that_speaks_its_first_voice_instead_is_refused():
    if "flite" not in speech_engines.installed():
        pytest.skip("flite is not installed (apt-get install flite)")
    with pytest.raises(NoVoiceError, match="falls back to kal silently"):
        list(speech_engines.usable([Voice("flite", "nosuch")], strict=True))
    chosen = list(speech_engines.usable(speech_engines.voices("flite"), strict=False))
    assert {"kal", "slt"} <= {voice.name for voice in chosen}


def test_festival_that_ends_well_without_a_file_is_refused():
    if "festival" not in speech_engines.installed():
        pytest.skip("festival is not installed (apt-get install festival festvox-kallpc16k)")
    with pytest.raises(NoVoiceError, match="does not speak"):
        list(speech_engines.usable([Voice("festival", "nosuch")], strict=True))


def test_without_any_engine_the_packages_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["synthesize", "--words", "lumos"]) == 69
    error = capsys.readouterr().err
    assert "sudo apt-get install espeak-ng flite festival festvox-kallpc16k" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--words", "../x"], 2, "--words: '../x' is not a word"),
        (["--words", "x", "--voices", "siri"], 2, "--voices: no engine 'siri'"),
        (["--text", "/dev/null"], 2, "--output_dir: is required"),
        (["--text", "/dev/null", "--output_dir", "x"], 66, "/dev/null: contains no text"),
        (["--text", "/nosuch", "--output_dir", "x"], 66, "/nosuch: cannot be read"),
    ],
)
def test_what_makes_no_sense_is_one_line(flags, code, told, capsys):
    assert main(["synthesize", *flags]) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert told in lines[0]
