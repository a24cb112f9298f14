"""Streams: the reference's algorithm to the bit, presets, and what cannot be made."""

import subprocess
import sys
import wave

import numpy as np
import pytest
from kwsd_train.batches import augment
from kwsd_train.cli import main
from kwsd_train.commands.generate_streaming_test_wav import encode_wav
from kwsd_train.data import recordings
from kwsd_train.data.folders import build_index
from kwsd_train.evaluation import stream
from kwsd_train.evaluation.score import read_rows

RATE_HZ = 16_000
CLIP = 16_000


def generate(data_dir, folder, *more, seconds=30):
    """Run the command; the samples and the rows."""
    wav, labels = folder / "stream.wav", folder / "labels.txt"
    flags = ["--data_dir", str(data_dir), "--wanted_words", "up,down", "--set", "training"]
    flags += ["--test_duration_seconds", str(seconds)]
    output = ["--output_audio_file", str(wav), "--output_labels_file", str(labels)]
    assert main(["generate-streaming-test-wav", *flags, *output, *more]) == 0
    return np.frombuffer(wav.read_bytes()[44:], "<i2"), read_rows(labels)


def reference(data_dir, seconds, seed):
    """The original's generator, straight down, one sample at a time; returns the WAV's bytes and the labels' text."""
    index = build_index(data_dir, ("up", "down"))["training"]
    clips = []
    for clip in index:
        samples = [0.0] * CLIP
        if clip.path:
            decoded = recordings.decode(clip.path, RATE_HZ)
            for i in range(min(CLIP, len(decoded))):
                samples[i] = float(np.float32(decoded[i]) / np.float32(32768))
        clips.append((samples, clip.label))
    files = sorted((data_dir / "_background_noise_").iterdir())
    backgrounds = [[float(s) / 32768 for s in recordings.decode(path, RATE_HZ)] for path in files]
    track = np.zeros(RATE_HZ * seconds, np.float32)

    def mix(track_start, sample, sample_start, duration, volume, ramp_in, ramp_out):
        for i in range(min(duration, len(track) - track_start, len(sample) - sample_start)):
            if i < ramp_in:
                envelope = i / ramp_in
            elif i > duration - ramp_out:
                envelope = (duration - i) / ramp_out
            else:
                envelope = 1.0
            track[track_start + i] = float(track[track_start + i]) + sample[sample_start + i] * envelope * volume

    np.random.seed(seed)  # the global generator, as the original uses it
    for number in range(-(-len(track) // CLIP)):
        sample = backgrounds[np.random.randint(0, len(backgrounds))]
        start = np.random.randint(0, len(sample) - CLIP)
        volume = np.random.uniform(0, 0.1)
        mix(number * CLIP, sample, start, CLIP + 8000, volume, 4000, 4000)
    gap, lines = 2 * RATE_HZ, []
    for number in range(len(track) // (CLIP + gap)):
        at = number * (CLIP + gap) + np.random.randint(0, gap)
        label = 1
        if np.random.randint(0, 100) >= 30:
            label = 2 + np.random.randint(0, 2)
        first = np.random.randint(0, len(clips))
        order = list(range(len(clips)))
        np.random.shuffle(order)
        for step in range(len(clips)):
            samples, its_label = clips[order[(first + step) % len(clips)]]
            if its_label == label:
                break
        mix(at, samples, 0, CLIP, 1.0, 500, 500)
        lines.append(f"{('_silence_', '_unknown_', 'up', 'down')[label]}, {at * 1000 / RATE_HZ:.6f}\n")
    data = bytearray()
    for value in track:
        scaled = float(value) * 32768
        whole = int(scaled + 0.5) if scaled >= 0 else -int(-scaled + 0.5)
        data += max(-32768, min(32767, whole)).to_bytes(2, "little", signed=True)
    sizes = (36 + len(data)).to_bytes(4, "little"), len(data).to_bytes(4, "little")
    form = bytes.fromhex("10000000 0100 0100 803e0000 007d0000 0200 1000")
    return b"RIFF" + sizes[0] + b"WAVEfmt " + form + b"data" + sizes[1] + bytes(data), "".join(lines)


def test_a_stream_equals_the_references_byte_for_byte(data_dir, tmp_path):
    generate(data_dir, tmp_path, "--seed", "5", seconds=21)
    wav, labels = reference(data_dir, 21, 5)
    assert (tmp_path / "stream.wav").read_bytes() == wav
    assert (tmp_path / "labels.txt").read_text() == labels


def test_one_seed_gives_one_stream_and_the_clean_preset_is_the_tutorials(data_dir, tmp_path):
    first, rows = generate(data_dir, tmp_path, "--seed", "1")
    again, _ = generate(data_dir, tmp_path, "--seed", "1", "--preset", "clean")
    other, _ = generate(data_dir, tmp_path, "--seed", "2")
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(rows) == 10
    for number, row in enumerate(rows):
        assert number * 3000 <= row.start_ms < number * 3000 + 2000


def test_a_word_without_clips_to_train_on_can_be_said(data_dir, tmp_path):
    everybody = ["--set", "testing", "--testing_percentage", "100", "--validation_percentage", "0"]
    _, rows = generate(data_dir, tmp_path, *everybody)
    assert {row.label for row in rows} <= {"up", "down", "_unknown_"} and len(rows) == 10


def test_10db_says_the_words_of_clean_with_10_db_below_each(data_dir, tmp_path):
    """The noise is what remains when the same words without background are taken away."""
    spoken, clean = generate(data_dir, tmp_path, "--background_volume", "0")
    noisy, rows = generate(data_dir, tmp_path, "--preset", "10dB")
    assert rows == clean
    for row in rows:
        start = round(row.start_ms * RATE_HZ / 1000)
        word = spoken[start : start + CLIP].astype(np.float32)
        noise = noisy[start : start + CLIP] - word
        snr_db = 10 * np.log10(augment.word_power(word) / np.mean(np.square(noise, dtype=np.float64)))
        assert snr_db == pytest.approx(10, abs=0.1)


def test_repeats_say_a_wanted_word_twice_within_1200_ms_every_5_s(data_dir, tmp_path):
    _, rows = generate(data_dir, tmp_path, "--preset", "repeats")
    assert len(rows) == 12
    for number, (first, second) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
        assert first.label == second.label in ("up", "down")
        assert second.start_ms - first.start_ms == pytest.approx(1200)
        assert number * 5000 <= first.start_ms < number * 5000 + 2800


def test_words_may_follow_each_other_closely(data_dir, tmp_path):
    flags = ["--group_words", "3", "--group_stride_ms", "700", "--word_gap_ms", "0", "--unknown_percentage", "0"]
    _, rows = generate(data_dir, tmp_path, *flags, "--reverberation", "--impulse_dir", str(rooms(tmp_path)))
    assert [row.start_ms for row in rows[:6]] == [0, 700, 1400, 2400, 3100, 3800]
    assert {row.label for row in rows} == {"up", "down"}


def rooms(folder):
    """A room with one echo."""
    (folder / "rooms").mkdir(exist_ok=True)
    response = np.zeros(3000, np.float32)
    response[[100, 2900]] = 0.9, 0.5
    (folder / "rooms" / "echo.wav").write_bytes(encode_wav(response, RATE_HZ))
    return folder / "rooms"


def test_a_room_adds_its_echo_to_the_word_and_nothing_before_it(data_dir, tmp_path):
    dry, rows = generate(data_dir, tmp_path, "--background_volume", "0")
    wet, same = generate(
        data_dir, tmp_path, "--background_volume", "0", "--reverberation", "--impulse_dir", str(rooms(tmp_path))
    )
    assert [row.label for row in rows[:1]] == [row.label for row in same[:1]]
    start = round(rows[0].start_ms * RATE_HZ / 1000)
    assert not np.array_equal(dry[start : start + CLIP], wet[start : start + CLIP])
    assert not wet[:start].any()


def test_only_recordings_of_the_sets_split_are_background(data_dir, tmp_path):
    noise = tmp_path / "noise"
    noise.mkdir()
    for name, level in (("train.wav", 0.1), ("validation.wav", 0.0)):
        (noise / name).write_bytes(encode_wav(np.full(2 * CLIP, level, np.float32), RATE_HZ))
    (noise / "noise.tsv").write_text("file\tsplit\ntrain.wav\ttrain\nvalidation.wav\tvalidation\n")
    silence = ["--unknown_percentage", "0", "--background", "noise", "--noise_dir", str(noise)]
    heard, rows = generate(data_dir, tmp_path, *silence)
    start = round(rows[0].start_ms * RATE_HZ / 1000)
    assert heard[:start].any()
    quiet, rows = generate(data_dir, tmp_path, *silence, "--set", "validation", "--validation_percentage", "40")
    gap = round(rows[0].start_ms * RATE_HZ / 1000)
    assert not quiet[:gap].any()


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--data_dir", "/nonexistent"], 66, "No .wavs found"),
        (["--wanted_words", "yes"], 66, "Expected to find yes"),
        (["--set", "testing", "--testing_percentage", "0"], 66, "no clip of other words"),
        (["--background_dir", "/nonexistent"], 66, "no such folder"),
        (["--background", "birds"], 2, "'birds' is not one of tutorial, noise, speech"),
        (["--reverberation", "--impulse_dir", "/nonexistent"], 66, "no such folder"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_no_file(data_dir, tmp_path, capsys, flags, code, told):
    wav = tmp_path / "stream.wav"
    common = ["--data_dir", str(data_dir), "--wanted_words", "up,down", "--set", "training"]
    outputs = ["--output_audio_file", str(wav), "--output_labels_file", str(tmp_path / "labels.txt")]
    assert main(["generate-streaming-test-wav", *common, *outputs, *flags]) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and told in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_without_the_folder_of_backgrounds_the_mend_is_told(data_dir, tmp_path, capsys):
    for word in ("up", "down", "bird"):
        (tmp_path / word).symlink_to(data_dir / word)
    outputs = ["--output_audio_file", str(tmp_path / "a.wav"), "--output_labels_file", str(tmp_path / "a.txt")]
    flags = ["--data_dir", str(tmp_path), "--wanted_words", "up,down", "--set", "training"]
    assert main(["generate-streaming-test-wav", *flags, *outputs]) == 66
    assert "Name one by --background_dir" in capsys.readouterr().err


def test_the_file_is_what_wav_readers_read(data_dir, tmp_path):
    samples, _ = generate(data_dir, tmp_path, seconds=4)
    with wave.open(str(tmp_path / "stream.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE_HZ)
        assert file.readframes(10**6) == samples.tobytes()


def test_samples_are_encoded_as_tensorflow_encodes_them():
    values = np.array([1.0, 0.5, 1 / 65536, -1 / 65536, -1.0, -2.0], np.float32)
    assert np.frombuffer(encode_wav(values, RATE_HZ)[44:], "<i2").tolist() == [32767, 16384, 1, -1, -32768, -32768]


def test_mixing_adds_with_ramps_and_ends_without_one_where_the_sample_ends():
    track = np.ones(10, np.float32)
    stream.mix(track, 1, np.full(6, 2.0, np.float32), 1, 8, 0.5, 2, 4)
    assert track.tolist() == [1, 1, 1.5, 2, 2, 2, 1, 1, 1, 1]


def test_no_tensorflow_is_imported():
    script = (
        "import sys; from kwsd_train.commands import generate_streaming_test_wav, test_streaming_accuracy, sweep;"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
