"""A made-up data set: two "words" that are rising and falling tones, another word, and noise."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE_HZ = 16_000


def tone(start_hz: float, end_hz: float, draw: np.random.Generator) -> np.ndarray:
    """Half a second of a gliding tone somewhere in a second of faint noise, float64 (16000,)."""
    count = RATE_HZ // 2
    hz = np.linspace(start_hz, end_hz, count) * draw.uniform(0.9, 1.1)
    signal = draw.normal(0, 1e-3, RATE_HZ)
    at = int(draw.integers(RATE_HZ - count))
    signal[at : at + count] += 0.5 * np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ)
    return signal


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Word folders with ``up``, ``down`` and ``bird``, 12 speakers each, and ``_background_noise_``."""
    root = tmp_path_factory.mktemp("speech_commands")
    draw = np.random.default_rng(1)
    for word, ends_hz in {"up": (400, 2000), "down": (2000, 400), "bird": (3000, 3000)}.items():
        (root / word).mkdir()
        for speaker in range(12):
            path = root / word / f"speaker{speaker}_nohash_0.wav"
            soundfile.write(path, tone(*ends_hz, draw), RATE_HZ, subtype="PCM_16")
    (root / "_background_noise_").mkdir()
    noise = draw.normal(0, 0.1, 2 * RATE_HZ)
    soundfile.write(root / "_background_noise_" / "hiss.flac", noise, RATE_HZ, subtype="PCM_16")
    return root
