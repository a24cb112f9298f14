"""A front end of every type, and a signal that has a bit of everything."""

import numpy as np
import pytest

PSF = {
    "type": "psf_mfcc",
    "window_ms": 25,
    "stride_ms": 10,
    "nfft": 512,
    "filters": 26,
    "coefficients": 13,
    "lower_hz": 0,
    "upper_hz": 8000,
    "preemphasis": 0.97,
    "lifter": 22,
    "append_energy": True,
    "window": "hamming",
}
BAND = {"lower_hz": 20, "upper_hz": 7600, "mel_bins": 40}
EXAMPLES = {
    "mfcc": {"type": "mfcc", "window_ms": 40, "stride_ms": 20, **BAND, "coefficients": 40},
    "mfcc-short": {"type": "mfcc", "window_ms": 5, "stride_ms": 10, **BAND, "mel_bins": 8, "coefficients": 8},
    "log_mel": {"type": "log_mel", "window_ms": 30, "stride_ms": 10, **BAND, "power": 2, "floor": 1e-6},
    "psf_mfcc": PSF,
    "psf_mfcc-apart": {**PSF, "window_ms": 8, "stride_ms": 20, "append_energy": False, "lifter": 0},
    "average": {"type": "average", "window_ms": 30, "stride_ms": 20, "bins": 40},
    "micro": {"type": "micro", "window_ms": 30, "stride_ms": 20, "bins": 40},
    "waveform": {"type": "waveform"},
}


@pytest.fixture(params=EXAMPLES)
def params(request):
    """The parameters of one front end after another."""
    return EXAMPLES[request.param]


@pytest.fixture(scope="session")
def signal():
    """One second and a half at 16 kHz: noise, a chirp, digital silence, clicks; float32."""
    rng = np.random.default_rng(7)
    time_s = np.arange(24_000) / 16_000
    samples = 0.3 * np.sin(2 * np.pi * (100 + 1500 * time_s) * time_s) + rng.normal(0, 0.05, 24_000)
    samples[9_000:12_000] = 0
    samples[10_000] = 1
    samples[20_000:] *= 1e-4
    return samples.clip(-1, 1).astype(np.float32)
