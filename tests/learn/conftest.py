"""Takes of a word: one real recording of it, said faster and slower, and in noise."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kwsd.learn.windows import coloured_noise, stretched

CLIPS = Path(__file__).parents[1] / "data" / "clips"
RATE_HZ = 16_000


def takes_of(word, count, seed=1):
    """``count`` takes, (samples,) each, not one like another."""
    draw = np.random.default_rng(seed)
    paths = sorted((CLIPS / word).glob("*.flac"))
    found = []
    for number in range(count):
        clip = soundfile.read(paths[number % len(paths)], dtype="float32")[0]
        said = stretched(clip, draw.uniform(0.85, 1.15)) * np.float32(draw.uniform(0.4, 1.2))
        padded = np.pad(said, 4000)
        noise = coloured_noise(len(padded), draw) * np.float32(draw.uniform(1e-4, 2e-3))
        found.append((padded + noise).clip(-1, 1))
    return found


@pytest.fixture
def folder(tmp_path):
    """Ten takes of "zero", as files."""
    target = tmp_path / "takes"
    target.mkdir()
    for number, take in enumerate(takes_of("zero", 10)):
        soundfile.write(target / f"{number}.flac", take, RATE_HZ)
    return target
