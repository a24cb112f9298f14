"""kwsd label: scores of single clips."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kwsd.audio.clip import read_clip
from kwsd.errors import InputError
from kwsd.model import load

MODEL = str(Path(__file__).parents[1] / "fixtures" / "models" / "waveform-open.tflite")
LABELS = ["_silence_", "_unknown_", "yes", "no"]
RATE_HZ = 16000


def tone_int16(seconds, rate_hz):
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    return (16000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)


@pytest.fixture
def tone(tmp_path):
    """Writes a WAV of a tone and gives its path."""

    def write(name, seconds=1.0, rate_hz=RATE_HZ):
        path = tmp_path / name
        soundfile.write(path, tone_int16(seconds, rate_hz), rate_hz)
        return str(path)

    return write


def test_lines_are_those_of_label_wav(kwsd, capsys, tone):
    """The three best, best first, with five digits; no file name where there is one file."""
    assert kwsd("label", MODEL, tone("a.wav")) == 0
    lines = capsys.readouterr().out.splitlines()
    samples = tone_int16(1.0, RATE_HZ) / np.float32(32768)
    scores = dict(zip(LABELS, load(MODEL).scores(samples), strict=True))
    best = sorted(scores, key=scores.get, reverse=True)[:3]
    assert [line.split()[0] for line in lines] == best
    for line, label in zip(lines, best, strict=True):
        assert line.startswith(f"{label} (score = 0.") and line.endswith(")")
        assert float(line.split()[-1].rstrip(")")) == pytest.approx(scores[label], abs=2e-5)


def test_json_is_one_line_a_file_with_every_label_and_the_path_as_given(kwsd, capsys, tone, tmp_path, monkeypatch):
    tone("a.wav")
    tone("b.flac", seconds=0.3)
    monkeypatch.chdir(tmp_path)
    assert kwsd("label", MODEL, "./a.wav", "b.flac", "--json") == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert list(first) == ["file", "label", "score", "scores"]
    assert (first["file"], second["file"]) == ("./a.wav", "b.flac")
    assert list(first["scores"]) == LABELS and first["score"] == max(first["scores"].values())
    assert first["scores"][first["label"]] == first["score"]
    assert first["scores"] != second["scores"]


def test_a_bad_file_is_told_the_rest_goes_on_and_66_is_the_end(kwsd, capsys, tone, tmp_path):
    (tmp_path / "text.wav").write_text("no sound at all")
    (tmp_path / "empty.wav").touch()
    bad = [str(tmp_path / name) for name in ("text.wav", "empty.wav", "missing.wav")]
    good = tone("good.wav")
    assert kwsd("label", MODEL, *bad, good, "--top", "1") == 66
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == good and len(out.splitlines()) == 2
    assert [line.startswith("kwsd: ") for line in err.splitlines()] == [True] * 3


def test_more_labels_than_there_are_shows_all(kwsd, capsys, tone):
    assert kwsd("label", MODEL, tone("a.wav"), "--top", "99") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(LABELS)


@pytest.mark.parametrize("top", ["0", "-1", "three"])
def test_a_top_that_is_no_count_is_wrong_use(kwsd, tone, top):
    with pytest.raises(SystemExit) as caught:
        kwsd("label", MODEL, tone("a.wav"), "--top", top)
    assert caught.value.code == 2


def test_a_refused_model_ends_with_78(kwsd, capsys, tone):
    assert kwsd("label", "nosuch", tone("a.wav")) == 78
    assert capsys.readouterr().err.startswith("kwsd: nosuch: ")


def test_a_clip_is_the_start_of_the_file_on_the_scale_of_int16(tmp_path):
    ramp = np.arange(20000, dtype=np.int16)
    soundfile.write(tmp_path / "long.wav", ramp, RATE_HZ)
    clip = read_clip(str(tmp_path / "long.wav"), RATE_HZ, 16000)
    assert clip.dtype == np.float32 and (clip * 32768).tolist() == ramp[:16000].tolist()


def test_a_short_clip_has_zeros_behind(tmp_path):
    soundfile.write(tmp_path / "short.wav", np.full(100, 8192, np.int16), RATE_HZ)
    clip = read_clip(str(tmp_path / "short.wav"), RATE_HZ, 16000)
    assert clip.shape == (16000,) and set(clip[:100].tolist()) == {0.25} and not clip[100:].any()


def test_the_first_channel_is_taken_and_other_rates_are_resampled(tmp_path):
    """A 440 Hz tone on the left of a 44.1 kHz file stays a 440 Hz tone of its level."""
    t = np.arange(44100) / 44100
    both = np.stack([0.5 * np.sin(2 * np.pi * 440 * t), np.zeros_like(t)], axis=1)
    soundfile.write(tmp_path / "stereo.wav", both, 44100)
    clip = read_clip(str(tmp_path / "stereo.wav"), RATE_HZ, 16000)
    spectrum = np.abs(np.fft.rfft(clip))
    assert spectrum.argmax() == 440 and np.abs(clip[2000:14000]).max() == pytest.approx(0.5, abs=0.01)


def test_what_is_no_recording_raises(tmp_path):
    with pytest.raises(InputError):
        read_clip(str(tmp_path / "nowhere.wav"), RATE_HZ, 16000)
