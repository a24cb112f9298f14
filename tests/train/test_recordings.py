"""Files of any kind and rate come out as int16 at the model's rate, once decoded."""

import pickle

import numpy as np
import pytest
import soundfile
from kwsd_train.data import recordings

from kwsd.errors import InputError


def test_the_first_channel_of_any_kind_at_the_rate_asked_for(tmp_path):
    wave = 0.5 * np.sin(np.arange(8000) * 0.05)
    for name, rate_hz in (("a.wav", 16000), ("b.flac", 8000), ("c.ogg", 48000)):
        soundfile.write(tmp_path / name, np.stack([wave, 0 * wave], 1), rate_hz)
    loaded = recordings.load(sorted(tmp_path.glob("?.*")), 16000, tmp_path / "cache")
    assert [loaded.length(number) for number in range(3)] == pytest.approx([8000, 16000, 2667], abs=1)
    np.testing.assert_allclose(loaded[0], wave, atol=1e-4)
    assert all(0.4 < np.abs(loaded[number]).max() < 0.6 for number in range(3))


def test_a_second_load_and_a_pickled_one_need_no_file(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.linspace(-1, 1, 100), 16000)
    first = recordings.load([path], 16000, tmp_path / "cache")
    again = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(again[0], first[0])
    np.testing.assert_array_equal(again.excerpt(0, 90, 50), first[0][90:])
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()}
    recordings.load([path], 16000, tmp_path / "cache")
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").iterdir()}


def test_a_changed_file_is_decoded_again(tmp_path):
    path = tmp_path / "a.wav"
    for count in (100, 200):
        soundfile.write(path, np.zeros(count), 16000)
        assert recordings.load([path], 16000, tmp_path / "cache").length(0) == count


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "broken.wav"
    path.write_bytes(b"RIFF and no more")
    with pytest.raises(InputError, match=r"broken\.wav: cannot be read"):
        recordings.load([path], 16000, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*"))


def test_samples_kept_as_floats_are_as_loud_as_those_kept_as_integers(tmp_path):
    """A float WAV, as editors write it, decodes to what the 16-bit one of the same sound does."""
    tone = np.sin(np.arange(1600) / 5).astype(np.float32) * 0.5
    for name, subtype in (("float.wav", "FLOAT"), ("whole.wav", "PCM_16")):
        soundfile.write(tmp_path / name, tone, 16000, subtype=subtype)
    floats, whole = (recordings.decode(tmp_path / name, 16000) for name in ("float.wav", "whole.wav"))
    assert np.abs(floats.astype(int) - whole).max() <= 1 and np.abs(whole).max() > 16000


def test_a_new_take_of_a_word_leaves_the_other_words_decoded(tmp_path, monkeypatch):
    """Twenty takes are added one evening to a hundred thousand clips of others."""
    for place, name in enumerate(("bird/a", "bird/b", "lumos/a", "lumos/b", "tree/a")):
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.full(100 + place, 0.1 * place), 16000)
    paths = sorted(tmp_path.glob("*/*.wav"))
    cache, asked = tmp_path / "cache", []
    recordings.load([path for path in paths if path.parts[-2:] != ("lumos", "b.wav")], 16000, cache)
    plain = recordings.decode
    monkeypatch.setattr(recordings, "decode", lambda path, rate_hz: asked.append(path) or plain(path, rate_hz))
    loaded = pickle.loads(pickle.dumps(recordings.load(paths, 16000, cache)))
    assert {path.parent.name for path in asked} == {"lumos"}
    assert [loaded.length(number) for number in range(5)] == [100, 101, 102, 103, 104]
    assert loaded.bounds.tolist() == [0, 100, 201, 303, 406, 510]
    for number in range(5):
        np.testing.assert_allclose(loaded[number], 0.1 * number, atol=1e-4)
    np.testing.assert_array_equal(loaded.excerpt(3, 100, 50), loaded[3][100:])
