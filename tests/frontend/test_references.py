"""Each definition gives what its reference gives. TensorFlow's values are in tests/golden/frontends.npz."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from kwsd.frontend import create

with np.load(Path(__file__).parent.parent / "golden" / "frontends.npz") as golden:
    GOLDEN = dict(golden)

SIGNALS = {key.removeprefix("signal/"): GOLDEN[key] for key in GOLDEN if key.startswith("signal/")}
CASES = {key.removeprefix("params/"): json.loads(str(GOLDEN[key])) for key in GOLDEN if key.startswith("params/")}


def as_float32(samples):
    return samples.astype(np.float32) / 32768


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("case", CASES)
def test_equals_tensorflow(case, name):
    """The rows of every type but psf_mfcc equal those of TensorFlow's operations within 1e-4."""
    reference = GOLDEN[f"{case}/{name}"]
    rows = create(CASES[case]).compute(as_float32(SIGNALS[name]))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, reference, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("micro")])
def test_micro_equals_tensorflows_integers(case, name):
    """The integers behind the features are the same ones."""
    rows = create(CASES[case]).compute(as_float32(SIGNALS[name]))
    np.testing.assert_array_equal(np.round(rows * 25.6), np.round(GOLDEN[f"{case}/{name}"] * 25.6))


PSF = {"lower_hz": 0, "upper_hz": 8000, "preemphasis": 0.97, "lifter": 22, "append_energy": True}
PSF_CASES = {
    "defaults": {"window_ms": 25, "stride_ms": 10, "nfft": 512, "filters": 26, "coefficients": 13, **PSF},
    "as-long-as-nfft": {"window_ms": 32, "stride_ms": 16, "nfft": 512, "filters": 40, "coefficients": 40, **PSF},
    "cut-to-nfft": {"window_ms": 40, "stride_ms": 20, "nfft": 512, "filters": 26, "coefficients": 13, **PSF},
    "apart": {"window_ms": 5, "stride_ms": 20, "nfft": 128, "filters": 10, "coefficients": 10, **PSF},
    "plain": {
        **{"window_ms": 25, "stride_ms": 10, "nfft": 1024, "filters": 32, "coefficients": 20},
        **{"lower_hz": 300, "upper_hz": 3700, "preemphasis": 0, "lifter": 0, "append_energy": False},
    },
    "crowded": {"window_ms": 8, "stride_ms": 8, "nfft": 128, "filters": 60, "coefficients": 12, **PSF},
}


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("window", ["rectangular", "hamming", "hann"])
@pytest.mark.parametrize("case", PSF_CASES)
@pytest.mark.filterwarnings("ignore:The 'warn' function:DeprecationWarning")
def test_equals_python_speech_features(case, window, name, monkeypatch):
    """psf_mfcc equals python_speech_features.mfcc, the padded last frame and frames longer than nfft included."""
    import python_speech_features

    monkeypatch.setattr(logging.getLogger(), "disabled", True)  # it warns of frames longer than nfft
    params = PSF_CASES[case]
    functions = {"rectangular": np.ones, "hamming": np.hamming, "hann": np.hanning}
    for samples in (SIGNALS[name], SIGNALS[name][:7777], SIGNALS[name][:50]):
        signal = as_float32(samples)
        reference = python_speech_features.mfcc(
            signal.astype(np.float64),
            samplerate=16000,
            winlen=params["window_ms"] / 1000,
            winstep=params["stride_ms"] / 1000,
            numcep=params["coefficients"],
            nfilt=params["filters"],
            nfft=params["nfft"],
            lowfreq=params["lower_hz"],
            highfreq=params["upper_hz"],
            preemph=params["preemphasis"],
            ceplifter=params["lifter"],
            appendEnergy=params["append_energy"],
            winfunc=functions[window],
        )
        frontend = create({"type": "psf_mfcc", "window": window, **params})
        rows = frontend.compute(signal)
        assert rows.shape == (frontend.frames(len(signal)), frontend.width)
        np.testing.assert_allclose(rows, reference, rtol=0, atol=1e-4)


def test_digital_silence_is_the_floor_in_coefficient_0():
    """-12 ln(10) 40 sqrt(2/40), as in TensorFlow; the others are nothing."""
    rows = create(CASES["mfcc-tutorial"]).compute(np.zeros(16000, np.float32))
    assert rows.shape == (98, 40)
    np.testing.assert_allclose(rows[:, 0], -247.139366, atol=1e-4)
    np.testing.assert_allclose(rows[:, 1:], 0, atol=1e-9)


def test_mfcc_tells_magnitudes_from_powers():
    """Twice the signal adds ln 2, not 2 ln 2, to each channel, and so 40 sqrt(2/40) ln 2 to coefficient 0."""
    noise = as_float32(SIGNALS["noise"])
    frontend = create(CASES["mfcc-tutorial"])
    difference = frontend.compute(2 * noise) - frontend.compute(noise)
    np.testing.assert_allclose(difference[:, 0], 40 * np.sqrt(2 / 40) * np.log(2), atol=1e-4)
    np.testing.assert_allclose(difference[:, 1:], 0, atol=1e-4)


def test_log_mel_without_a_floor_is_minus_infinity_in_silence():
    """What the formula says; a model load finds it out, since it tries a silent clip."""
    params = CASES["log_mel-power"] | {"floor": 0}
    assert np.isneginf(create(params).compute(np.zeros(1000, np.float32))).all()
