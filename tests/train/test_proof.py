"""The whole way on real recordings: trained, frozen, heard by the daemon."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from kwsd_train.cli import main

WORDS = ("yes", "stop", "left")


@pytest.fixture(scope="module")
def frozen(real_clips, tmp_path_factory):
    """tiny_conv after 250 steps on twelve recordings of three words, as kwsd takes it."""
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")
    folder = tmp_path_factory.mktemp("proof")
    places = ["--data_dir", str(real_clips), "--cache_dir", str(folder / "cache"), "--train_dir", str(folder)]
    flags = ["--wanted_words", ",".join(WORDS), "--model_architecture", "tiny_conv", "--window_stride_ms", "20"]
    flags += ["--how_many_training_steps", "250", "--learning_rate", "0.003", "--optimizer", "adam"]
    flags += ["--batch_size", "32", "--unknown_percentage", "50", "--silence_percentage", "30", "--workers", "0"]
    flags += ["--time_shift_ms", "300"]
    assert main(["train", *places, *flags, "--save_step_interval", "250"]) == 0
    output = folder / "words.tflite"
    checkpoint = ["--start_checkpoint", "latest", "--output_file", str(output)]
    assert main(["freeze", *places, *checkpoint]) == 0
    return output


def test_the_daemon_hears_the_words_that_were_trained(real_clips, frozen, tmp_path):
    """Each recording once, with pauses: most are heard, at their places, and next to nothing else is."""
    clips = sorted(path for word in WORDS for path in (real_clips / word).glob("*.flac"))
    clips = list({path.resolve(): path for path in clips}.values())
    assert len(clips) == 12
    samples = np.random.default_rng(3).normal(0, 1e-4, (2 * len(clips) + 1) * 16_000)
    for place, path in enumerate(clips):
        signal = soundfile.read(path)[0]
        samples[(2 * place + 1) * 16_000 :][: len(signal)] += signal
    recording = tmp_path / "words.wav"
    soundfile.write(recording, samples, 16_000)
    done = subprocess.run(
        [sys.executable, "-m", "kwsd", "--model", str(frozen), "--source", str(recording)],
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    heard = [(event["label"], event["audio_ms"]) for event in events if event["type"] == "detection"]
    wanted = [(path.parent.name, 2000 * place + 1000) for place, path in enumerate(clips)]
    hits = [
        (label, start_ms)
        for label, start_ms in wanted
        if any(label == other and start_ms <= at_ms <= start_ms + 2000 for other, at_ms in heard)
    ]
    assert len(hits) >= 10, (wanted, heard)
    assert len(heard) - len(hits) <= 2, (wanted, heard)
