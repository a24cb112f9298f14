"""wav-to-spectrogram and wav-to-features."""

import ctypes
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from kwsd_train.cli import main
from kwsd_train.commands import wav_to_spectrogram
from kwsd_train.commands.wav_to_features import QUANTIZED_RANGES, quantized

from kwsd.frontend import create

RATE_HZ = 16000
MFCC = {"type": "mfcc", "window_ms": 30, "stride_ms": 10, "lower_hz": 20, "upper_hz": 4000, "mel_bins": 40}


@pytest.fixture
def wav(tmp_path):
    """One second of two channels: a gliding tone, and silence."""
    t = np.arange(RATE_HZ) / RATE_HZ
    left = 0.5 * np.sin(2 * np.pi * (200 + 2000 * t) * t)
    path = tmp_path / "My clip-1.wav"
    soundfile.write(path, np.stack([left, 0 * left], axis=1), RATE_HZ, subtype="PCM_16")
    return path


def signal_of(wav):
    """The first channel, float32 in -1..1."""
    return soundfile.read(wav, dtype="float32")[0][:, 0]


class TestSpectrogram:
    """wav-to-spectrogram."""

    def test_the_picture_is_frames_high_bins_wide_and_grey(self, tmp_path, wav):
        image = pytest.importorskip("PIL.Image", reason="Pillow is not installed (pip install 'kwsd[train]')")
        output = tmp_path / "out.png"
        assert main(["wav-to-spectrogram", "--input_wav", str(wav), "--output_png", str(output)]) == 0
        with image.open(output) as picture:
            assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (129, 1 + (RATE_HZ - 256) // 128))
            rows = np.asarray(picture)
        # the tone rises: 200 Hz at the top, 4200 Hz at the bottom, 62.5 Hz a column
        assert rows[0].argmax() == pytest.approx(200 / 62.5, abs=1)
        assert rows[-1].argmax() == pytest.approx(4200 / 62.5, abs=1.5)
        assert rows.max() == 255

    def test_a_sample_that_is_no_number_is_drawn_as_silence(self, tmp_path):
        pytest.importorskip("PIL", reason="Pillow is not installed (pip install 'kwsd[train]')")
        drawn = []
        for hole in (0.0, np.nan):
            signal = np.full(RATE_HZ, 0.1)
            signal[4000:5000] = hole
            soundfile.write(tmp_path / "a.wav", signal, RATE_HZ, subtype="FLOAT")
            flags = ["--input_wav", str(tmp_path / "a.wav"), "--output_png", str(tmp_path / "a.png")]
            assert main(["wav-to-spectrogram", *flags]) == 0
            drawn.append((tmp_path / "a.png").read_bytes())
        assert drawn[0] == drawn[1]

    def test_a_magnitude_becomes_its_product_with_the_brightness_cut_off(self):
        """A constant 1/64 has magnitude 256 / 2 / 64 = 2 in bin 0, half of it in bin 1, nothing beyond."""
        assert wav_to_spectrogram.grey(np.full(256, 1 / 64), 256, 128, 10.9)[0, :3].tolist() == [21, 10, 0]

    @pytest.mark.parametrize(("window", "stride", "brightness"), [(256, 128, 64.0), (480, 160, 3.3), (513, 200, 1000)])
    def test_bytes_equal_tensorflows(self, wav, window, stride, brightness):
        """The operations of wav_to_spectrogram, run by TensorFlow."""
        tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")
        signal = signal_of(wav)
        spectrogram = tf.raw_ops.AudioSpectrogram(input=signal[:, None], window_size=window, stride=stride)
        expected = tf.cast(tf.minimum(spectrogram * brightness, 255.0), tf.uint8)[0].numpy()
        np.testing.assert_array_equal(wav_to_spectrogram.grey(signal, window, stride, brightness), expected)

    @pytest.mark.parametrize(
        ("flags", "code", "told"),
        [
            (["--input_wav", "nosuch.wav"], 66, "nosuch.wav: cannot be read"),
            (["--input_wav", __file__], 66, "cannot be read"),
            (["--input_wav", "NAN"], 66, "none of its samples is a finite number"),
            (["--window_size", "20000"], 66, "less than a window"),
            (["--output_image", "/dev/null/a.png"], 74, "/dev/null/a.png: cannot be written"),
        ],
    )
    def test_what_cannot_be_drawn_is_one_line(self, tmp_path, wav, capsys, flags, code, told):
        pytest.importorskip("PIL", reason="Pillow is not installed (pip install 'kwsd[train]')")
        output, nan = tmp_path / "out.png", tmp_path / "nan.wav"
        soundfile.write(nan, np.full(RATE_HZ, np.nan), RATE_HZ, subtype="FLOAT")
        flags = [str(nan) if flag == "NAN" else flag for flag in flags]
        assert main(["wav-to-spectrogram", f"--input_wav={wav}", f"--output_image={output}", *flags]) == code
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        assert told in err
        assert not output.exists()


class TestFeatures:
    """wav-to-features."""

    def test_npz_and_csv_hold_the_front_ends_rows_exactly(self, tmp_path, wav):
        npz, csv = tmp_path / "a.npz", tmp_path / "a.csv"
        assert (
            main(["wav-to-features", f"--input_wav={wav}", f"--output_npz_file={npz}", f"--output_csv_file={csv}"]) == 0
        )
        expected = create({**MFCC, "coefficients": 40}).compute(signal_of(wav))
        with np.load(npz) as arrays:
            np.testing.assert_array_equal(arrays["features"], expected)
            assert json.loads(str(arrays["frontend"])) == {**MFCC, "coefficients": 40, "sample_rate_hz": RATE_HZ}
        np.testing.assert_array_equal(np.loadtxt(csv, np.float32, delimiter=","), expected)

    @pytest.mark.parametrize(
        ("preprocess", "whole_numbers"),
        [("log_mel", False), *((kind, whole) for kind in QUANTIZED_RANGES for whole in (False, True))],
    )
    def test_the_c_file_compiles_to_the_numbers(self, tmp_path, wav, preprocess, whole_numbers):
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("there is no C compiler here")
        source, library = tmp_path / "a.c", tmp_path / "a.so"
        flags = [f"--preprocess={preprocess}", "--window_stride_ms=20", f"--output_c_file={source}"]
        assert main(["wav-to-features", f"--input_wav={wav}", *flags, *["--quantize"][: int(whole_numbers)]]) == 0
        strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic-errors", "-shared", "-fPIC"]
        subprocess.run([compiler, *strict, "-o", str(library), str(source)], check=True)
        compiled = ctypes.CDLL(str(library))
        height = ctypes.c_int.in_dll(compiled, "g_my_clip_1_height").value
        width = ctypes.c_int.in_dll(compiled, "g_my_clip_1_width").value
        kind = ctypes.c_ubyte if whole_numbers else ctypes.c_float
        data = np.ctypeslib.as_array((kind * (height * width)).in_dll(compiled, "g_my_clip_1_data"))
        npz = tmp_path / "a.npz"
        assert main(["wav-to-features", f"--input_wav={wav}", *flags[:2], f"--output_npz_file={npz}"]) == 0
        with np.load(npz) as arrays:
            rows = arrays["features"]
        expected = quantized(rows, preprocess) if whole_numbers else rows
        np.testing.assert_array_equal(data.reshape(height, width), expected)

    def test_the_ranges_ends_become_0_and_255(self):
        low, high = QUANTIZED_RANGES["mfcc"]
        shown = np.array([low - 1, low, (low + high) / 2 + 0.1, high, high + 1], np.float32)
        assert quantized(shown, "mfcc").tolist() == [0, 0, 128, 255, 255]

    def test_lines_have_ten_numbers(self, tmp_path, wav):
        source = tmp_path / "a.c"
        main(["wav-to-features", f"--input_wav={wav}", "--quantize", f"--output_c_file={source}"])
        numbers = [line for line in Path(source).read_text().splitlines() if line.startswith("    ")]
        assert {line.count(",") for line in numbers} == {10}
        assert len(numbers) == 98 * 40 / 10

    @pytest.mark.parametrize(
        ("flags", "code", "told"),
        [
            ([], 2, "no file to write"),
            (["--output_c_file=/dev/null/a.c"], 74, "/dev/null/a.c: cannot be written"),
            (["--output_c_file=a.c", "--preprocess=log_mel", "--quantize"], 2, "log_mel has no range"),
            (["--output_c_file=a.c", "--input_wav=nosuch.wav"], 66, "nosuch.wav"),
            (["--output_c_file=a.c", "--feature_bin_count=41"], 2, "1 to 40 coefficients"),
        ],
    )
    def test_what_cannot_be_written_is_one_line(self, wav, capsys, flags, code, told, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert main(["wav-to-features", f"--input_wav={wav}", *flags]) == code
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        assert told in err
        assert not (tmp_path / "a.c").exists()
