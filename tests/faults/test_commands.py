"""kwsd devices, doctor and meter on a virtual microphone that lives, is silent, or is frozen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def kwsd(microphone):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "kwsd", *arguments],
            cwd=ROOT,
            env={**os.environ, **microphone.env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def noise(microphone, tmp_path):
    """Half a minute of soft noise being played."""
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(8).normal(0, 0.02, 30 * 16_000), 16_000)
    env = {**os.environ, **microphone.env}
    player = subprocess.Popen(
        ["paplay", "--device=mic", str(tmp_path / "noise.wav")], env=env, stdin=subprocess.DEVNULL
    )
    yield
    player.terminate()
    player.wait()


def findings(done):
    return {finding["check"]: finding for finding in json.loads(done.stdout)["checks"]}


def test_devices_lists_it_with_its_rates_and_keeps_chatter_off(kwsd):
    done = kwsd("devices", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (default,) = [device for device in json.loads(done.stdout) if device["is_default"]]
    assert default["name"] == "default"
    assert {16_000, 44_100, 48_000} <= set(default["rates_hz"])
    assert "* " in kwsd("devices").stdout


def test_the_doctor_finds_a_living_microphone_well(kwsd, noise):
    done = kwsd("doctor", "--json")
    found = findings(done)
    assert done.returncode == 0, found
    assert {"server", "portaudio", "devices", "device", "rate", "signal"} <= set(found)
    assert found["signal"]["result"] == "ok" and "RMS -34" in found["signal"]["text"]


def test_the_doctor_finds_a_silent_microphone_ill(kwsd):
    done = kwsd("doctor", "--json")
    assert done.returncode == 69
    assert "zero" in findings(done)["signal"]["text"]


def test_the_doctor_names_devices_when_the_wanted_one_is_none_of_them(kwsd):
    done = kwsd("doctor", "--json", "--device", "nosuch")
    assert done.returncode == 69
    assert "'default'" in findings(done)["device"]["text"]


def test_the_doctor_does_not_hang_on_a_frozen_server(kwsd, microphone):
    microphone.do("freeze")
    try:
        done = kwsd("doctor", "--json")
    finally:
        microphone.do("thaw")
    assert done.returncode == 69
    assert "no answer within" in findings(done)["portaudio"]["text"]


def test_the_meter_shows_the_level_and_ends_in_time(kwsd, noise):
    done = kwsd("meter", "--seconds", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert any("level  -3" in line for line in done.stdout.splitlines()), done.stdout
