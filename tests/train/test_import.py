"""kwsd-train import: recordings of a telephone, long ones, and Common Voice's, as clips of words."""

import importlib
import os
import shutil

import numpy as np
import pytest
import soundfile
from kwsd_train.batches.augment import word_extent
from kwsd_train.cli import main
from kwsd_train.data import any_audio, pauses
from kwsd_train.data.recordings import decode

RATE_HZ = 44_100
DRAW = np.random.default_rng(5)


def tone(hz, seconds=0.5, rate_hz=RATE_HZ):
    return 0.4 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)


def said(*words_hz, pause_s=0.8, rate_hz=RATE_HZ):
    """Tones after one another in faint noise."""
    quiet = np.zeros(int(pause_s * rate_hz))
    signal = np.concatenate([quiet, *(part for hz in words_hz for part in (tone(hz, rate_hz=rate_hz), quiet))])
    return signal + DRAW.normal(0, 1e-3, len(signal))


def hz_of(samples):
    """The strongest frequency of a 16 kHz clip."""
    spectrum = np.abs(np.fft.rfft(samples.astype(float)))
    return int(np.argmax(spectrum)) * 16_000 / len(samples)


def bring_in(folder, output, capsys, *more):
    """The code, standard output, standard error."""
    code = main(["import", str(folder), "--output_dir", str(output), "--png", str(output.parent / "cuts.png"), *more])
    return code, *capsys.readouterr()


@pytest.fixture
def phone(tmp_path):
    folder = tmp_path / "phone"
    folder.mkdir()
    return folder


def test_a_long_stereo_recording_is_cut_at_its_pauses_into_the_words_said_in_turns(phone, tmp_path, capsys):
    """44.1 kHz, the left channel silent; shown as a table and a picture."""
    signal = said(400, 900, 400, 900)
    soundfile.write(phone / "memo 1.mp3", np.stack([0 * signal, signal], axis=1), RATE_HZ, format="MP3")
    code, out, _ = bring_in(phone, tmp_path / "words", capsys, "--words", "lumos,nox", "--speaker", "carl")
    assert code == 0
    assert "4 clips written" in out
    assert [line.split()[2] for line in out.splitlines()[1:5]] == ["lumos", "nox"] * 2
    assert (tmp_path / "cuts.png").read_bytes().startswith(b"\x89PNG")
    for word, hz in (("lumos", 400), ("nox", 900)):
        clips = sorted((tmp_path / "words" / word).glob("carl_nohash_*.wav"))
        assert len(clips) == 2
        for clip in clips:
            samples = decode(clip, 16_000)
            assert len(samples) == 16_000
            assert hz_of(samples) == pytest.approx(hz, abs=10)
            begin, end = word_extent(samples.astype(np.float32))
            assert abs((begin + end) / 2 - 8000) < 800  # in its middle
            assert (samples != 0).mean() > 0.5  # no digital silence around it


def test_the_folder_names_the_word_and_what_is_there_is_left_alone(phone, tmp_path, capsys):
    (phone / "Lumos").mkdir()
    soundfile.write(phone / "Lumos" / "a.wav", said(500), RATE_HZ)
    soundfile.write(phone / "Lumos" / "dora_nohash_3.wav", said(700), RATE_HZ)
    assert bring_in(phone, tmp_path / "words", capsys)[0] == 0
    names = {path.name.partition("_")[0] for path in (tmp_path / "words" / "lumos").iterdir()}
    assert names == {"phone", "dora"}
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "words" / "lumos").iterdir()}
    code, out, _ = bring_in(phone, tmp_path / "words", capsys)
    assert (code, "0 clips written" in out, "2 were there" in out) == (0, True, True)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "words" / "lumos").iterdir()} == before


def test_a_dry_run_writes_no_clip(phone, tmp_path, capsys):
    soundfile.write(phone / "a.flac", said(500), RATE_HZ)
    code, out, _ = bring_in(phone, tmp_path / "words", capsys, "--words", "lumos", "--dry_run")
    assert (code, "1 clips would be written" in out) == (0, True)
    assert not (tmp_path / "words").exists()


def test_an_utterance_longer_than_a_clip_gives_its_loudest_part():
    long = np.concatenate([0.1 * tone(300, 1, 16_000), tone(600, 1, 16_000), 0.1 * tone(300, 1, 16_000)])
    (piece,) = pauses.pieces(np.pad(long, 8000).astype(np.float32), 16_000, 300)
    cut = pauses.clip(np.pad(long, 8000).astype(np.float32), piece, 0, 64_000, 16_000)
    assert hz_of(cut) == pytest.approx(600, abs=5)
    assert np.abs(cut).min() >= 0
    assert np.sqrt(np.mean(cut**2)) > 0.25


def test_clicks_are_no_words_and_neighbours_stay_out_of_a_clip():
    signal = said(400, 900, pause_s=0.4, rate_hz=16_000)
    signal[2000:2160] = 0.9
    found = pauses.pieces(signal.astype(np.float32), 16_000, 300)
    assert len(found) == 2
    middle = (found[0].end + found[1].begin) // 2
    first = pauses.clip(signal.astype(np.float32), found[0], 0, middle, 16_000)
    spectrum = np.abs(np.fft.rfft(first))
    assert spectrum[900] < 0.05 * spectrum[400]


def test_what_is_of_no_use_is_shown_and_left_out(phone, tmp_path, capsys):
    soundfile.write(phone / "faint.wav", 0.003 * said(500), RATE_HZ, subtype="FLOAT")
    soundfile.write(phone / "loud.wav", np.clip(9 * said(500), -1, 1), RATE_HZ)
    soundfile.write(phone / "nothing.wav", np.zeros(RATE_HZ), RATE_HZ)
    code, out, _ = bring_in(phone, tmp_path / "words", capsys, "--words", "lumos")
    assert code == 66
    assert "left out: too quiet" in out
    assert "left out: clipped" in out
    assert "no word in it" in out
    assert not (tmp_path / "words").exists()


def test_a_bad_file_is_told_and_the_rest_goes_on(phone, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(any_audio.shutil, "which", lambda name: None)
    (phone / "memo.m4a").write_bytes(b"\0\0\0\x18ftypM4A nothing")
    soundfile.write(phone / "fine.wav", said(500), RATE_HZ)
    code, out, err = bring_in(phone, tmp_path / "words", capsys, "--words", "lumos")
    assert code == 66
    assert "1 clips written" in out
    assert "memo.m4a: cannot be read without ffmpeg. sudo apt-get install ffmpeg" in err


def test_a_picture_that_cannot_be_written_costs_no_clip_unless_it_was_asked_for(phone, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(phone / "fine.wav"))
    soundfile.write(phone / "fine.wav", said(500), RATE_HZ)
    flags = ["import", str(phone), "--output_dir", str(tmp_path / "words"), "--words", "lumos"]
    assert main([*flags, "--png", str(phone / "fine.wav" / "cuts.png")]) == 74
    capsys.readouterr()
    assert main(flags) == 0
    out = capsys.readouterr().out
    assert "no picture" in out and "1 clips written" in out


def test_background_noise_among_word_folders_is_left_out(phone, tmp_path, capsys):
    for word in ("lumos", "_background_noise_"):
        (phone / word).mkdir()
        soundfile.write(phone / word / "a.wav", said(500), RATE_HZ)
    code, out, _ = bring_in(phone, tmp_path / "words", capsys)
    assert (code, [path.name for path in (tmp_path / "words").iterdir()]) == (0, ["lumos"])
    assert f"{phone / '_background_noise_'}: left out, it holds no words" in out


def test_a_named_pipe_is_told_and_nobody_waits_for_its_writer(phone, tmp_path, capsys):
    os.mkfifo(phone / "memo.wav")
    soundfile.write(phone / "fine.wav", said(500), RATE_HZ)
    code, out, err = bring_in(phone, tmp_path / "words", capsys, "--words", "lumos")
    assert (code, "1 clips written" in out) == (66, True)
    assert "memo.wav: cannot be read: it is not a file" in err


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_m4a_is_read_through_ffmpeg(phone, tmp_path, capsys):
    soundfile.write(tmp_path / "memo.wav", said(500), RATE_HZ)
    any_audio.subprocess.run(
        ["ffmpeg", "-v", "error", "-i", tmp_path / "memo.wav", "-c:a", "aac", phone / "memo.m4a"], check=True
    )
    assert bring_in(phone, tmp_path / "words", capsys, "--words", "lumos")[0] == 0
    (clip,) = (tmp_path / "words" / "lumos").iterdir()
    assert hz_of(decode(clip, 16_000)) == pytest.approx(500, abs=10)


def test_single_words_of_common_voice_come_with_their_speakers(tmp_path, capsys):
    corpus = tmp_path / "en"
    (corpus / "clips").mkdir(parents=True)
    rows = [
        ("a" * 128, "1.mp3", "Hey!"),
        ("b" * 128, "2.mp3", "hey"),
        ("a" * 128, "3.mp3", "I say hey"),
        ("c" * 128, "4.mp3", "No"),
    ]
    for _, name, _ in rows:
        soundfile.write(corpus / "clips" / name, said(500), RATE_HZ, format="MP3")
    lines = ["client_id\tpath\tsentence\tup_votes", *("\t".join([*row, "2"]) for row in rows)]
    (corpus / "validated.tsv").write_text("\n".join(lines) + "\n")
    (corpus / "invalidated.tsv").write_text("\n".join(lines) + "\n")
    assert bring_in(corpus, tmp_path / "words", capsys, "--words", "hey")[0] == 0
    names = sorted(path.name.partition("_nohash_")[0] for path in (tmp_path / "words" / "hey").iterdir())
    assert names == ["cv-" + "a" * 16, "cv-" + "b" * 16]
    assert bring_in(corpus, tmp_path / "all", capsys)[0] == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["hey", "no"]


@pytest.mark.parametrize(
    ("make", "more", "code", "told"),
    [
        (lambda folder: None, [], 66, "no recording there"),
        (lambda folder: (folder / "a.wav").touch(), [], 2, "--words: the word in a.wav is unknown"),
        (lambda folder: (folder / "a.wav").touch(), ["--words", "../x"], 2, "is not a word"),
        (lambda folder: shutil.rmtree(folder), [], 66, "no such folder"),
    ],
)
def test_wrong_use_is_one_line(phone, tmp_path, capsys, make, more, code, told):
    make(phone)
    found, _, err = bring_in(phone, tmp_path / "words", capsys, *more)
    assert (found, told in err, len(err.splitlines())) == (code, True, 1)


def test_mp3_is_read_wherever_wav_is(tmp_path):
    soundfile.write(tmp_path / "a.mp3", said(500), RATE_HZ, format="MP3")
    assert importlib.import_module("kwsd_train.data.recordings").is_audio(tmp_path / "a.mp3")
    assert hz_of(decode(tmp_path / "a.mp3", 16_000)) == pytest.approx(500, abs=5)


@pytest.mark.parametrize(
    "command",
    [
        ["label-wav", "--graph", "tiny", "--wav"],
        ["label-wav-dir", "--graph", "tiny", "--wav_dir"],
        ["wav-to-features", "--output_csv_file", "FILE", "--input_wav"],
        ["test-streaming-accuracy", "--model", "tiny", "--ground_truth", "none", "--wav"],
    ],
    ids=lambda command: command[0],
)
def test_mp3_is_read_by_every_command(tmp_path, command):
    soundfile.write(tmp_path / "a.mp3", said(500), RATE_HZ, format="MP3")
    of = tmp_path if command[0] == "label-wav-dir" else tmp_path / "a.mp3"
    assert main([*(str(tmp_path / "out") if word == "FILE" else word for word in command), str(of)]) == 0
