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


CLIPS = Path(__file__).parents[1] / "data" / "clips"


@pytest.fixture(scope="session")
def real_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Word folders with the repository's recordings, four or one of each word, and ``_background_noise_`` made up.

    Each recording is there under a name of the training, the validation and the testing set: three sets that are the
    same show that words are learnt, and not how well the words of others are.
    """
    from kwsd_train.data.folders import SETS, which_set

    root = tmp_path_factory.mktemp("real_clips")
    for path in sorted(CLIPS.glob("*/*.flac")):
        (root / path.parent.name).mkdir(exist_ok=True)
        for name in SETS:
            names = (f"{path.name.partition('_')[0]}{number}_nohash_0.flac" for number in range(1000))
            chosen = next(one for one in names if which_set(one, 10, 10) == name)
            (root / path.parent.name / chosen).symlink_to(path)
    (root / "_background_noise_").mkdir()
    noise = np.random.default_rng(2).normal(0, 0.05, 10 * RATE_HZ)
    soundfile.write(root / "_background_noise_" / "hiss.flac", noise, RATE_HZ, subtype="PCM_16")
    return root
