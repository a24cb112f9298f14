"""The microphone goes away in all the ways a sound server knows and comes back: told and heard within three seconds."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

PROGRAM = Path(__file__).with_name("microphone_process.py")
ROOT = Path(__file__).resolve().parents[2]
RATE_HZ = 16_000
PROMISED_S = 3.0
LIMIT_S = 30.0


class Listener:
    """A process with a Microphone in it."""

    def __init__(self, virtual, folder, rate_hz=RATE_HZ, *options):
        self.path = folder / "heard.raw"
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(self.path), str(rate_hz), *options],
            env={**os.environ, **virtual.env, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.told = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        with self.process.stdout as lines:
            self.told.extend(json.loads(line) for line in lines)

    def samples(self):
        return np.frombuffer(self.path.read_bytes(), "<i2") if self.path.exists() else np.zeros(0, "<i2")

    def wait_for(self, condition, what):
        deadline_s = time.monotonic() + LIMIT_S
        while (found := condition()) is None:
            assert time.monotonic() < deadline_s, f"not within {LIMIT_S} s: {what}; told so far: {self.told}"
            assert self.process.poll() is None, f"ended before {what}; told: {self.told}"
            time.sleep(0.01)
        return found

    def wait_for_state(self, *states, since_s=0.0):
        """The first time after ``since_s`` at which one of the states was told."""

        def told():
            return next(
                (line for line in list(self.told) if line.get("state") in states and line["at"] > since_s), None
            )

        return self.wait_for(told, f"state {states}")

    def end(self):
        self.process.stdin.close()
        code = self.process.wait(LIMIT_S)
        self._reader.join()
        return code


@pytest.fixture
def listen(microphone, tmp_path):
    listeners = []

    def begin(*options, rate_hz=RATE_HZ):
        listeners.append(Listener(microphone, tmp_path, rate_hz, *options))
        return listeners[-1]

    yield begin
    for listener in listeners:
        if listener.process.poll() is None:
            listener.process.kill()
        listener.process.wait()
        listener.process.stdin.close()
        listener._reader.join()


def goes_and_comes(listener, virtual, away, back, states):
    """Takes the microphone away and brings it back; returns what was told in between."""
    listener.wait_for_state("listening", "degraded")
    gone_s = time.monotonic()
    virtual.do(away)
    told = listener.wait_for_state(*states, since_s=gone_s)
    assert told["at"] - gone_s < PROMISED_S
    time.sleep(1.0)  # the fault lasts: what is told and asked meanwhile must not undo anything
    begun_s = time.monotonic()
    virtual.do(back)
    back_s = time.monotonic()
    heard = listener.wait_for_state("listening", since_s=begun_s)
    assert heard["at"] - back_s < PROMISED_S
    assert listener.process.poll() is None
    gap = listener.wait_for(lambda: next((line for line in list(listener.told) if "gap" in line), None), "a gap")
    return told, gap["gap"] / RATE_HZ, heard["at"] - gone_s


def test_what_is_played_is_heard_to_the_bit(microphone, listen, tmp_path):
    noise = np.random.default_rng(11).integers(1, 12_000, 2 * RATE_HZ).astype(np.int16)
    soundfile.write(tmp_path / "noise.wav", noise, RATE_HZ, subtype="PCM_16")
    listener = listen()
    listener.wait_for_state("listening")
    microphone.play(tmp_path / "noise.wav")

    def heard():
        # The noise holds no zero: zeros are what the sink gives where the player was too slow for it.
        samples = listener.samples()
        return True if np.count_nonzero(samples) >= len(noise) else None

    listener.wait_for(heard, "all of the noise")
    assert listener.end() == 0
    samples = listener.samples()
    np.testing.assert_array_equal(samples[samples != 0], noise)
    last = listener.told[-1]
    assert (last["samples_lost"], last["overruns"]) == (0, 0)


def test_a_model_at_a_rate_of_its_own_hears_it_too(listen):
    listener = listen(rate_hz=11_025)
    listener.wait_for_state("listening")
    listener.wait_for(lambda: True if len(listener.samples()) > 11_025 else None, "a second of samples")
    assert listener.end() == 0


def test_a_server_that_is_killed_and_started_again(microphone, listen):
    told, gap_s, away_s = goes_and_comes(listen(), microphone, "kill", "start", ("recovering", "waiting"))
    assert "went away" in told["reason"]
    assert gap_s == pytest.approx(away_s, abs=1.5)


def test_a_microphone_that_is_unloaded_and_loaded_again(microphone, listen):
    _, gap_s, away_s = goes_and_comes(listen(), microphone, "unload", "load", ("recovering", "waiting"))
    assert gap_s == pytest.approx(away_s, abs=1.5)


@pytest.mark.parametrize("time_of_day", range(3))
def test_a_loose_plug_is_heard_again(microphone, listen, time_of_day):
    """Away and back four times at once: PortAudio, where it spins, hangs or crashes, does so in the child."""
    listener = listen()
    listener.wait_for_state("listening", "degraded")
    for _ in range(4):
        microphone.do("unload")
        time.sleep(0.05 * time_of_day)  # the fault itself, at other moments of what it disturbs
        microphone.do("load")
    back_s = time.monotonic()
    before = len(listener.samples())
    listener.wait_for(
        lambda: True if len(listener.samples()) > before + RATE_HZ // 2 else None, "half a second of samples"
    )
    assert time.monotonic() - back_s < PROMISED_S + 0.5
    assert listener.end() == 0


def test_a_suspended_microphone(microphone, listen):
    told, gap_s, away_s = goes_and_comes(listen(), microphone, "suspend", "resume", ("stalled",))
    assert "no samples" in told["reason"]
    assert gap_s == pytest.approx(away_s, abs=1.5)


def test_a_frozen_server_is_waited_for_and_its_backlog_cut(microphone, listen):
    listener = listen()
    _, gap_s, away_s = goes_and_comes(listener, microphone, "freeze", "thaw", ("stalled",))
    assert gap_s == pytest.approx(away_s - 2, abs=0.8), "what is older than two seconds is dropped"
    assert not any(line.get("state") == "recovering" for line in listener.told), "the stream is kept"
    assert listener.end() == 0


def test_the_end_comes_at_once_although_the_server_is_frozen(microphone, listen):
    listener = listen()
    listener.wait_for_state("listening")
    microphone.do("freeze")
    try:
        listener.wait_for_state("stalled")
        begun_s = time.monotonic()
        assert listener.end() == 0
        assert time.monotonic() - begun_s < 2, "a normal exit would hang for ever"
        assert listener.told[-1]["closed_s"] < 1
    finally:
        microphone.do("thaw")


def test_a_server_frozen_before_the_start_is_waited_for(microphone, listen):
    microphone.do("freeze")
    try:
        begun_s = time.monotonic()
        listener = listen()
        told = listener.wait_for_state("waiting")
        assert "does not answer" in told["reason"]
        assert told["at"] - begun_s < PROMISED_S + 1  # the start of Python included
    finally:
        microphone.do("thaw")
        thawed_s = time.monotonic()
    assert listener.wait_for_state("listening")["at"] - thawed_s < PROMISED_S
    assert listener.end() == 0


def test_a_microphone_that_is_not_there_at_the_start_is_waited_for_or_not(microphone, listen):
    microphone.do("kill")
    try:
        impatient = listen("nowait")
        patient = listen()
        assert impatient.process.wait(LIMIT_S) == 69
        assert "no input device" in patient.wait_for_state("waiting")["reason"]
    finally:
        microphone.do("start")
        started_s = time.monotonic()
    assert patient.wait_for_state("listening")["at"] - started_s < PROMISED_S
    assert patient.end() == 0


def test_silence_is_told_as_degraded_and_sound_as_listening(microphone, listen, tmp_path):
    """An idle virtual microphone gives zeros, as a muted one does."""
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(1).normal(0, 0.1, RATE_HZ), RATE_HZ, subtype="PCM_16")
    listener = listen()
    told = listener.wait_for_state("degraded")
    assert "zero" in told["reason"]
    microphone.play(tmp_path / "noise.wav")
    listener.wait_for_state("listening", since_s=told["at"])
    assert listener.end() == 0
