"""What `create` refuses, and how it says so."""

import pytest

from kwsd.errors import ConfigError
from kwsd.frontend import create

MFCC = {
    "type": "mfcc",
    "window_ms": 40,
    "stride_ms": 20,
    "lower_hz": 20,
    "upper_hz": 7600,
    "mel_bins": 40,
    "coefficients": 40,
}
LOG_MEL = {**{key: MFCC[key] for key in MFCC if key != "coefficients"}, "type": "log_mel", "power": 2, "floor": 1e-6}
MICRO = {"type": "micro", "window_ms": 30, "stride_ms": 20, "bins": 40}
AVERAGE = {**MICRO, "type": "average"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (None, "frontend: got nothing; allowed: a mapping"),
        ({}, "frontend: key 'type' is missing; allowed: mfcc, log_mel, psf_mfcc, average, micro or waveform"),
        ({**MFCC, "type": "mfc"}, "frontend: key 'type': got 'mfc'; allowed: mfcc,"),
        ({**MFCC, "type": ["mfcc"]}, "frontend: key 'type': got a list"),
        ({**MFCC, "sample_rate_hz": 16000.5}, "key 'sample_rate_hz': got 16000.5; allowed: a whole number"),
        ({**MFCC, "mel_bin": 40}, "frontend mfcc: unknown key 'mel_bin'; the nearest is 'mel_bins'"),
        ({**LOG_MEL, "coefficients": 40}, "frontend log_mel: unknown key 'coefficients'"),
        ({**MFCC, "window_ms": "40"}, "key 'window_ms': got '40'; allowed: a number"),
        ({**MFCC, "window_ms": float("nan")}, "key 'window_ms': got nan"),
        ({**MFCC, "window_ms": True}, "key 'window_ms': got true"),
        ({**MFCC, "window_ms": 0.1}, "key 'window_ms': 1 samples at 16000 Hz; allowed: 2 to 65536 samples"),
        ({**MFCC, "window_ms": 50_000}, "key 'window_ms': 800000 samples at 16000 Hz; allowed: 2 to 65536 samples"),
        ({**MFCC, "stride_ms": 0.05}, "key 'stride_ms': less than one sample at 16000 Hz"),
        ({**MFCC, "lower_hz": 7600}, "key 'upper_hz': 7600 Hz is not above lower_hz, 7600 Hz"),
        ({**MFCC, "lower_hz": -1}, "key 'lower_hz': got -1; allowed: a number from 0"),
        ({**MFCC, "upper_hz": 8001}, "key 'upper_hz': 8001 Hz is above half the rate of the samples, 8000 Hz"),
        ({**MFCC, "coefficients": 41}, "key 'coefficients': 41 are more than mel_bins, 40"),
        ({**MFCC, "mel_bins": 0}, "key 'mel_bins': got 0; allowed: a whole number from 1"),
        ({**MFCC, "mel_bins": 40.0}, "key 'mel_bins': got 40.0; allowed: a whole number"),
        ({**MFCC, "mel_bins": 10**9}, "key 'mel_bins': got 1000000000"),
        ({**MFCC, "lower_hz": 7590}, "no bin of the spectrum is in the bank's band"),
        ({**LOG_MEL, "power": 3}, "key 'power': got 3; allowed: a whole number from 1 to 2"),
        ({**LOG_MEL, "floor": -1e-6}, "key 'floor': got -1e-06"),
        ({**AVERAGE, "bins": 258}, "key 'bins': 258 are more than the spectrum's 257"),
        ({**MICRO, "sample_rate_hz": 8000}, "its bank ends at 7500 Hz; 8000 Hz is a rate below 15000 Hz"),
        ({**MICRO, "window_ms": 2, "bins": 8}, "key 'window_ms': 32 samples at 16000 Hz; allowed: 33"),
        ({"type": "waveform", "window_ms": 30}, "frontend waveform: unknown key 'window_ms'"),
    ],
)
def test_refused_in_words_that_name_the_key(wrong, told):
    """One line that says which key, what it got, and what is allowed."""
    with pytest.raises(ConfigError) as refused:
        create(wrong)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", [key for key in MFCC if key != "type"])
def test_nothing_about_a_front_end_is_guessed(key):
    """Every key of the type has to be there."""
    with pytest.raises(ConfigError, match=f"frontend mfcc: key '{key}' is missing"):
        create({name: value for name, value in MFCC.items() if name != key})


def test_all_faults_are_told_at_once():
    """One line each."""
    with pytest.raises(ConfigError) as refused:
        create({**MFCC, "upper_hz": 9000, "coefficients": 50, "stride_ms": 0})
    assert len(refused.value.lines) == 3


def test_the_rate_is_16000_where_left_out(params):
    """As the contract has it."""
    with_rate = create({**params, "sample_rate_hz": 16000})
    without = create({key: value for key, value in params.items() if key != "sample_rate_hz"})
    assert with_rate.window_samples == without.window_samples
    assert with_rate.frames(16_000) == without.frames(16_000)


def test_the_callers_mapping_is_left_alone(params):
    """It belongs to the model."""
    before = dict(params)
    create(params)
    assert params == before


@pytest.mark.parametrize(("kind", "window"), [(MFCC, 330), ({**LOG_MEL}, 330)])
def test_tensorflows_programs_cut_off_where_python_speech_features_rounds(kind, window):
    """30 ms at 11025 Hz are 330.75 samples."""
    assert create({**kind, "sample_rate_hz": 11_025, "upper_hz": 5000, "window_ms": 30}).window_samples == window
    psf = {"nfft": 512, "filters": 26, "preemphasis": 0.97, "lifter": 22, "append_energy": True, "window": "hann"}
    rounded = {**MFCC, **psf, "type": "psf_mfcc", "upper_hz": 5000, "coefficients": 13, "window_ms": 30}
    del rounded["mel_bins"]
    assert create({**rounded, "sample_rate_hz": 11_025}).window_samples == 331
