"""The whole way of a new word: takes played in, the model learned, the daemon reloaded, the word heard."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from kwsd.learn.windows import stretched
from tests.helpers.kwsd_process import DEMO, ROOT, demo_words, in_order, running
from tests.helpers.virtual_mic import VirtualMic
from tests.learn.conftest import CLIPS, RATE_HZ, takes_of

TAKES = 5


def record(microphone: VirtualMic, folder: Path, output: Path) -> list[str]:
    """Runs `kwsd learn`, playing a take whenever it asks for one; what it printed."""
    said = takes_of("zero", TAKES)
    for number, take in enumerate(said):
        soundfile.write(folder / f"{number}.wav", take, RATE_HZ, subtype="PCM_16")
    command = [sys.executable, "-m", "kwsd", "learn", "zero", "--takes", str(TAKES), "--output", str(output)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **microphone.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            printed, number = [], 0
            for line in process.stdout:
                printed.append(line.strip())
                if "say 'zero' now" in line:
                    microphone.play(folder / f"{number % TAKES}.wav")
                    number += 1
            assert process.wait(60) == 0, process.stderr.read()
        finally:
            process.kill()
    return printed


def sentence(seed: int) -> np.ndarray:
    """What is no word: clips of other words backwards, close on one another, as somebody who talks."""
    draw = np.random.default_rng(seed)
    parts = []
    for word in ("bed", "cat", "happy", "one", "five"):
        clip = soundfile.read(next((CLIPS / word).glob("*.flac")), dtype="float32")[0]
        parts.append(stretched(clip[::-1], draw.uniform(0.9, 1.2))[3000:11000])
    return np.concatenate(parts)


def test_a_word_is_learned_and_the_running_daemon_hears_it(microphone: VirtualMic, tmp_path: Path) -> None:
    model, config, recording = tmp_path / "zero.tflite", tmp_path / "kwsd.yaml", tmp_path / "play.wav"
    printed = record(microphone, tmp_path, model)
    assert any(f"of {TAKES} takes recognised" in line for line in printed), printed
    config.write_text("model: default\n")
    with running("--config", config, env=microphone.env) as daemon:
        daemon.wait_for_log("listening: ")
        config.write_text(f"model: {model}\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for_log("settings read again")
        before = len(daemon.events)
        draw = np.random.default_rng(3)
        quiet = draw.normal(0, 1e-4, 2 * RATE_HZ).astype(np.float32)
        new = np.concatenate([np.concatenate([quiet, take]) for take in takes_of("zero", 4, seed=7)])
        soundfile.write(recording, np.concatenate([new, quiet]), RATE_HZ, subtype="PCM_16")
        microphone.play(recording)
        daemon.wait_for(lambda: daemon.words[before:].count("zero") >= 3, "the new word is heard", 10)
        assert set(daemon.words[before:]) == {"zero"}
        at = len(daemon.events)
        demo, rate_hz = soundfile.read(DEMO, dtype="int16")
        soundfile.write(recording, demo, rate_hz)
        microphone.play(recording)
        said = demo_words()
        daemon.wait_for(lambda: in_order(daemon.words[at:], said) >= 0.9 * len(said), "old words are heard", 10)
        assert "zero" not in daemon.words[at:]
        at = len(daemon.events)
        soundfile.write(recording, np.concatenate([quiet, sentence(1), sentence(2), quiet]), RATE_HZ, subtype="PCM_16")
        microphone.play(recording)
        assert "zero" not in daemon.words[at:]
        code, _ = daemon.stop()
    assert code == 0, daemon.log
    assert all(json.loads(line)["model"] in ("zero", "kwsd-default") for line in daemon.lines)
