"""Recordings and pipes as sources: kwsd/audio/file.py and pipe.py."""

import io
import os
import struct
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd.audio.file import open_source, tail
from kwsd.audio.pipe import PipeDecoder
from kwsd.audio.source import Block, End
from kwsd.errors import InputError, UsageError

RATE_HZ = 16_000
DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.flac"


def noise(seconds, rate_hz=RATE_HZ, seed=1):
    """Soft noise on the grid of 16 bits, so that PCM keeps it to the bit."""
    drawn = np.random.default_rng(seed).normal(0, 3000, round(seconds * rate_hz)).clip(-32000, 32000)
    return (drawn.astype(np.int16) / 32768).astype(np.float32)


def tone(seconds, rate_hz, hz=440.0):
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def drain(source, timeout_s=5.0):
    """All samples of a source up to its end."""
    blocks = []
    try:
        while not isinstance(item := source.read(timeout_s), End):
            assert isinstance(item, Block), item
            assert item.samples.dtype == np.float32 and item.samples.ndim == 1
            blocks.append(item.samples.copy())
        assert isinstance(source.read(0), End), "the end stays the end"
    finally:
        source.close()
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def wav_bytes(samples, rate_hz=RATE_HZ, subtype="PCM_16", container="WAV"):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=container, subtype=subtype)
    return buffer.getvalue()


def encoded(samples, subtype, rate_hz=RATE_HZ):
    return wav_bytes(samples, rate_hz, subtype, "OGG")


@pytest.mark.parametrize("ending", ["wav", "flac", "raw", "mp3", ""])
@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "FLOAT"),
        ("WAVEX", "PCM_16"),
        ("RF64", "PCM_16"),
        ("FLAC", "PCM_16"),
    ],
)
def test_lossless_files_come_out_to_the_bit_whatever_their_ending(tmp_path, container, subtype, ending):
    samples = noise(0.7)
    path = tmp_path / f"clip.{ending}"
    path.write_bytes(wav_bytes(samples, subtype=subtype, container=container))
    source = open_source(str(path), RATE_HZ)
    assert (source.name, source.rate_hz, source.paced) == (path.name, RATE_HZ, False)
    np.testing.assert_array_equal(drain(source), samples)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_files_keep_length_and_tone(tmp_path, subtype):
    path = tmp_path / "clip.bin"
    path.write_bytes(wav_bytes(tone(2, RATE_HZ), subtype=subtype, container="OGG"))
    heard = drain(open_source(str(path), RATE_HZ))
    assert len(heard) == 2 * RATE_HZ
    assert np.abs(np.fft.rfft(heard)).argmax() == 880


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("same_serial", [False, True])
def test_all_links_of_a_chained_ogg_file_are_heard(tmp_path, subtype, same_serial):
    """As Icecast and cat make them."""
    parts = [encoded(noise(seconds), subtype) for seconds in (1, 2)]
    if same_serial:
        parts = parts[:1] * 2
    alone = []
    for part in parts:
        (tmp_path / "part.ogg").write_bytes(part)
        alone.append(drain(open_source(str(tmp_path / "part.ogg"), RATE_HZ)))
    (tmp_path / "chain.ogg").write_bytes(b"".join(parts))
    heard = drain(open_source(str(tmp_path / "chain.ogg"), RATE_HZ))
    np.testing.assert_array_equal(heard, np.concatenate(alone))


def test_a_chained_ogg_file_that_changes_its_rate_is_heard_so_far_and_then_told(tmp_path):
    (tmp_path / "chain.ogg").write_bytes(encoded(noise(1), "VORBIS") + encoded(noise(1), "VORBIS", rate_hz=8000))
    source = open_source(str(tmp_path / "chain.ogg"), RATE_HZ)
    count = 0
    with pytest.raises(InputError, match=r"after 1.0 s it changes from 1 channel at 16000 Hz to 1 channel at 8000"):
        while isinstance(item := source.read(1.0), Block):
            count += len(item.samples)
    source.close()
    assert count == RATE_HZ


def test_bytes_between_links_are_passed_over(tmp_path):
    one = encoded(noise(1), "VORBIS")
    (tmp_path / "chain.ogg").write_bytes(one + bytes(100_000) + b"Ogg" + one)
    assert len(drain(open_source(str(tmp_path / "chain.ogg"), RATE_HZ))) == 2 * RATE_HZ


@pytest.mark.parametrize("rate_hz", [8000, 22_050, 44_100, 48_000, 96_000])
def test_other_rates_are_resampled_as_one_stream(tmp_path, rate_hz):
    path = tmp_path / "clip.wav"
    path.write_bytes(wav_bytes(tone(1.5, rate_hz), rate_hz))
    heard = drain(open_source(str(path), RATE_HZ))
    assert abs(len(heard) - 1.5 * RATE_HZ) <= 1
    middle = slice(2000, 20_000)  # away from the ends, where the filter meets silence
    np.testing.assert_allclose(heard[middle], tone(1.5, RATE_HZ)[: len(heard)][middle], atol=2e-3)


def test_the_chosen_channel_is_heard_amplified_and_clipped(tmp_path):
    left, right = noise(0.3, seed=1), noise(0.3, seed=2)
    path = tmp_path / "stereo.wav"
    path.write_bytes(wav_bytes(np.stack([left, right], 1)))
    np.testing.assert_array_equal(drain(open_source(str(path), RATE_HZ)), left)
    loud = drain(open_source(str(path), RATE_HZ, channel=1, gain_db=20))
    np.testing.assert_allclose(loud, (right * 10).clip(-1, 1), rtol=1e-6)
    assert np.abs(loud).max() == 1


@pytest.mark.parametrize(("gain_db", "told"), [(0, 0), (-20, 0), (3, 0), (40, 1)])
def test_a_gain_that_clips_a_recording_is_told_once(tmp_path, caplog, gain_db, told):
    soundfile.write(tmp_path / "noise.wav", noise(5), RATE_HZ, subtype="PCM_16")
    drain(open_source(str(tmp_path / "noise.wav"), RATE_HZ, gain_db=gain_db))
    assert caplog.text.count("audio.gain_db clips ") == told


def test_samples_that_are_no_numbers_become_silence(tmp_path):
    path = tmp_path / "nan.wav"
    path.write_bytes(wav_bytes(np.array([0.5, np.nan, np.inf, -np.inf], np.float32), subtype="FLOAT"))
    assert drain(open_source(str(path), RATE_HZ)).tolist() == [0.5, 0, 1, -1]


def test_a_sample_that_is_no_number_does_not_silence_its_neighbours_when_resampled(tmp_path):
    """One broken sample of a second at 48 kHz: the rest is heard as if it were not there."""
    samples = noise(1, rate_hz=48_000).astype(np.float64)
    clean, broken = tmp_path / "clean.wav", tmp_path / "broken.wav"
    clean.write_bytes(wav_bytes(samples, 48_000, "DOUBLE"))
    samples[24_000:24_004] = [np.nan, np.inf, -np.inf, 1e300]
    broken.write_bytes(wav_bytes(samples, 48_000, "DOUBLE"))
    heard = drain(open_source(str(broken), RATE_HZ))
    expected = drain(open_source(str(clean), RATE_HZ))
    apart = np.flatnonzero(np.abs(heard - expected) > 0.01)
    assert len(apart) and apart[0] > 7000 and apart[-1] < 9000
    assert np.isfinite(heard).all()


def test_doubles_too_large_for_a_float_come_through_a_pipe_without_a_warning():
    data = wav_bytes(np.array([0.5, 1e300, -1e300]), subtype="DOUBLE")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, heard = pipe_decoder(data, [len(data)])
    assert heard.tolist() == [0.5, np.inf, -np.inf]


BAD_FILES = {
    "empty": b"",
    "text": b"yes no up down\n" * 50,
    "no-samples.wav": wav_bytes(np.zeros(0, np.float32)),
    "header-only": b"RIFF",
    "half-a-header": wav_bytes(noise(0.1))[:30],
    "no-samples.flac": wav_bytes(np.zeros(0, np.float32), container="FLAC"),
    "flac-beginning": b"fLaC" + bytes(200),
    "mp3": b"\xff\xfb\x90\x00" + bytes(400),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_what_is_no_sound_file_is_refused_in_one_line(tmp_path, capfd, name):
    path = tmp_path / name
    path.write_bytes(BAD_FILES[name])
    with pytest.raises(InputError) as refused:
        drain(open_source(str(path), RATE_HZ))
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)
    assert refused.value.exit_code == 66
    assert capfd.readouterr() == ("", "")


def test_missing_files_directories_and_channels_are_refused(tmp_path):
    path = tmp_path / "mono.wav"
    path.write_bytes(wav_bytes(noise(0.1)))
    for bad, why in [
        (tmp_path / "nowhere.wav", "No such file"),
        (tmp_path, "directory"),
        (path / "x.wav", "Not a directory"),
    ]:
        with pytest.raises(InputError, match=why):
            open_source(str(bad), RATE_HZ)
    with pytest.raises(InputError, match=r"it has 1 channel, channel 1 \(counted from 0\)"):
        open_source(str(path), RATE_HZ, channel=1)


def test_an_absurd_rate_is_refused(tmp_path):
    path = tmp_path / "slow.wav"
    path.write_bytes(wav_bytes(noise(0.1), rate_hz=7))
    with pytest.raises(InputError, match="sample rate of 7 Hz"):
        open_source(str(path), RATE_HZ)


def test_a_truncated_wav_is_heard_as_far_as_it_goes_with_a_warning(tmp_path, caplog):
    samples = noise(1)
    path = tmp_path / "cut.wav"
    path.write_bytes(wav_bytes(samples)[: 44 + 2 * 9000])
    np.testing.assert_array_equal(drain(open_source(str(path), RATE_HZ)), samples[:9000])
    assert "shorter than its header says" in caplog.text


def test_a_truncated_flac_is_heard_as_far_as_it_goes_and_then_told(tmp_path):
    path = tmp_path / "cut.flac"
    data = wav_bytes(noise(2), container="FLAC")
    path.write_bytes(data[: len(data) // 2])
    source = open_source(str(path), RATE_HZ)
    heard = 0
    with pytest.raises(InputError, match=r"damaged after 0\.\d s"):
        while isinstance(item := source.read(1), Block):
            heard += len(item.samples)
    source.close()
    assert RATE_HZ * 0.5 < heard < RATE_HZ * 1.1


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_file_whose_writer_never_filled_in_the_size_is_heard_whole(tmp_path, caplog, size):
    samples = noise(0.5)
    data = bytearray(wav_bytes(samples))
    data[40:44] = struct.pack("<I", size)
    path = tmp_path / "streamed.wav"
    path.write_bytes(data)
    np.testing.assert_array_equal(drain(open_source(str(path), RATE_HZ)), samples)
    assert not caplog.text


def test_a_long_file_is_not_loaded_whole(tmp_path):
    """Twenty minutes of 16-bit sound are 38 MB; the first block costs a tiny part of that."""
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, "PCM_16") as file:
        for _ in range(20):
            file.write(np.zeros(60 * RATE_HZ, np.int16))
    source = open_source(str(path), RATE_HZ)
    assert len(source.read(1).samples) <= RATE_HZ
    source.close()


def test_a_paced_file_takes_its_own_time_and_honours_the_timeout(tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(wav_bytes(noise(0.3)))
    source = open_source(str(path), RATE_HZ, realtime=True)
    assert source.paced
    begun_s = time.monotonic()
    assert source.read(0.001) is None
    heard = 0
    while not isinstance(item := source.read(1), End):
        heard += len(item.samples)
        assert len(item.samples) <= RATE_HZ // 50
        assert time.monotonic() - begun_s >= heard / RATE_HZ - 1e-3, "no block comes before its last sample"
    source.close()
    assert heard == 0.3 * RATE_HZ


def test_a_paced_file_that_goes_on_after_a_pause_does_not_catch_up(tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(wav_bytes(noise(2)))
    source = open_source(str(path), RATE_HZ, realtime=True)
    source.read(1)
    time.sleep(0.3)
    source.go_on()
    went_on_s = time.monotonic()
    for block in range(1, 4):
        assert len(source.read(1).samples) == RATE_HZ // 50
        assert time.monotonic() - went_on_s >= block / 50 - 1e-3
    source.close()


def pipe_decoder(data, chunks, **how):
    """Feeds ``data`` to a PipeDecoder in pieces of the given sizes; returns all it decodes."""
    reader, writer = os.pipe()
    decoder = PipeDecoder("-", reader, how.get("rate_hz", RATE_HZ), how.get("channels", 1), how.get("channel", 0))
    decoded = []
    try:
        for chunk in chunks:
            os.write(writer, data[:chunk])
            data = data[chunk:]
            if (samples := decoder.read(0)) is not None:
                decoded.append(samples)
        os.close(writer)
        while (samples := decoder.read(1)) is not None:
            decoded.append(samples)
    finally:
        decoder.close()
    return decoder.rate_hz, np.concatenate(decoded)


def cut(total, sizes):
    """Chunk sizes that add up to ``total``, cycling through ``sizes``."""
    at, chunks = 0, []
    while at < total:
        chunks.append(min(sizes[len(chunks) % len(sizes)], total - at))
        at += chunks[-1]
    return chunks


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=8),
    subtype=st.sampled_from(["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]),
    container=st.sampled_from(["WAV", "WAVEX", "RF64"]),
    channels=st.integers(1, 3),
)
def test_a_wav_from_a_pipe_equals_the_file_however_it_is_cut(sizes, subtype, container, channels):
    samples = np.random.default_rng(5).uniform(-0.9, 0.9, (500, channels))
    data = wav_bytes(samples, 22_050, subtype, container)
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    rate_hz, heard = pipe_decoder(data, cut(len(data), sizes), channel=channels - 1)
    assert rate_hz == 22_050
    np.testing.assert_allclose(heard, expected[:, -1], atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 333), min_size=1, max_size=8), channels=st.integers(1, 4))
def test_raw_samples_from_a_pipe_survive_any_cut(sizes, channels):
    frames = np.random.default_rng(6).integers(-32768, 32768, (400, channels)).astype("<i2")
    _, heard = pipe_decoder(frames.tobytes(), cut(frames.nbytes, sizes), channels=channels, channel=0)
    np.testing.assert_array_equal(heard, frames[:, 0] / np.float32(32768))


def test_a_raw_stream_that_ends_within_a_sample_loses_only_that():
    _, heard = pipe_decoder(b"\x00\x40\x00\x40\x00", [5])
    assert heard.tolist() == [0.5, 0.5]


def test_chunks_after_the_samples_are_not_heard():
    data = wav_bytes(noise(0.1)) + b"LIST" + struct.pack("<I", 4) + b"abcd"
    assert len(pipe_decoder(data, [len(data)])[1]) == 1600


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "nothing came"),
        (b"\0", "no samples"),
        (b"RIFF\0\0\0\0AVI LIST", "no WAVE"),
        (wav_bytes(noise(0.1))[:40], "ends within its header"),
        (wav_bytes(noise(0.1), container="FLAC"), "FLAC and Ogg cannot be read from a pipe"),
        (wav_bytes(noise(0.1), subtype="ULAW"), "format 7 with 1 channels of 8 bits"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0ab", "without a format"),
    ],
)
def test_a_pipe_without_sound_is_refused_in_one_line(data, why):
    with pytest.raises(InputError, match=why):
        pipe_decoder(data, [len(data)])


def test_live_samples_are_handed_on_as_they_arrive_and_silence_times_out(tmp_path):
    """A named pipe: no waiting for more than what was written, none for a writer that is not there."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    source = open_source(str(path), RATE_HZ)
    assert source.read(0.01) is None
    with path.open("wb", buffering=0) as writer:
        for count in (2, 160, 3):
            writer.write(bytes(2 * count))
            assert len(source.read(5).samples) == count
        assert source.read(0.01) is None
    assert isinstance(source.read(5), End)
    source.close()


def test_a_paced_pipe_is_cut_into_blocks():
    reader, writer = os.pipe()
    stdin = os.fdopen(reader, "rb")
    from kwsd.audio.file import FileSource

    os.write(writer, bytes(2 * 1600))
    os.close(writer)
    decoder = PipeDecoder("-", os.dup(stdin.fileno()), RATE_HZ, 1, 0)
    stdin.close()
    source = FileSource("-", decoder, RATE_HZ, realtime=True, gain_db=0)
    begun_s = time.monotonic()
    assert len(source.read(5).samples) == 320
    assert len(drain(source)) == 1280
    assert time.monotonic() - begun_s >= 0.099


STDIN_PROGRAM = """
import sys
from kwsd.audio.file import open_source
from kwsd.audio.source import End
source = open_source("-", 16000, raw_rate_hz=8000, raw_channels=2, channel=1)
total = 0
while not isinstance(item := source.read(1), End):
    total += len(item.samples) if item else 0
print(source.name, total)
"""


def test_standard_input_is_read_raw_with_its_rate_and_channels():
    data = np.zeros((8000, 2), "<i2").tobytes()
    done = subprocess.run(
        [sys.executable, "-c", STDIN_PROGRAM], input=data, capture_output=True, timeout=60, check=True
    )
    assert done.stdout.split() == [b"-", b"16000"]


def fed(samples, sizes=(4096,), **raw):
    """Reads 16-bit samples from a pipe."""
    data = (samples * 32767).astype("<i2").tobytes()
    pipe_decoder(data, cut(len(data), sizes), **raw)


def test_what_is_taken_for_raw_samples_is_told(caplog):
    caplog.set_level("INFO", "kwsd")
    fed(noise(0.1))
    assert "no WAV; read as raw 16-bit samples, 1 channel at 16000 Hz (--raw-rate, --raw-channels)" in caplog.text


@pytest.mark.parametrize("sizes", [[4096], [2, 4, 6, 1000, 4000, 6], [1, 3, 4095]])
def test_two_channels_that_are_read_as_one_are_told_once(caplog, sizes):
    heard, _ = soundfile.read(DEMO, dtype="float32")
    both = np.stack([heard, 0.9 * heard + 0.0005 * noise(len(heard) / RATE_HZ)], 1)
    fed(both[: 4 * RATE_HZ].ravel(), sizes)
    assert caplog.text.count("looks like two channels") == 1


@pytest.mark.parametrize("what", ["speech", "noise", "tone", "silence"])
def test_one_channel_is_not_taken_for_two(caplog, what):
    speech, _ = soundfile.read(DEMO, dtype="float32")
    samples = {"speech": speech, "noise": noise(8), "tone": tone(8, RATE_HZ, 4000), "silence": np.zeros(8 * RATE_HZ)}
    fed(samples[what][: 8 * RATE_HZ])
    assert "looks like" not in caplog.text


def test_a_terminal_is_no_recording(monkeypatch):
    class Terminal:
        closed = False

        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(UsageError, match="terminal"):
        open_source("-", RATE_HZ)


def test_the_tail_is_faint_and_always_the_same():
    first, second = tail(RATE_HZ), tail(RATE_HZ)
    assert first.dtype == np.float32 and first.shape == (RATE_HZ,)
    np.testing.assert_array_equal(first, second)
    assert 20 * np.log10(first.std()) == pytest.approx(-90, abs=0.2)


def test_importing_the_module_loads_no_sound_library():
    """Start-up time: soundfile, soxr and numpy.random are loaded only when they are used."""
    program = (
        "import sys, kwsd.audio.file; print([m for m in ('soundfile', 'soxr', 'numpy.random') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
