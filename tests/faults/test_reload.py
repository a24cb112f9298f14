"""A reload is all or nothing, also where only the opened device tells that the new settings cannot be had."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from kwsd.client import Connection
from tests.helpers.kwsd_process import DEMO, LIMIT_S, Kwsd, run, running
from tests.helpers.virtual_mic import VirtualMic

REFUSED = "reload rejected; keeping previous settings: "
TAKEN = "settings read again"


class Daemon:
    """A kwsd on the virtual microphone that reads its configuration again."""

    def __init__(self, kwsd: Kwsd, folder: Path, microphone: VirtualMic) -> None:
        self.kwsd, self._config, self._socket = kwsd, folder / "kwsd.yaml", folder / "kwsd.sock"
        self._env = {**os.environ, **microphone.env}

    def reload(self, text: str, answer: str, sink: str = "") -> str:
        """Writes the configuration, sends SIGHUP; the log's line that answers it."""
        count = len(self._answers(answer))
        write(self._config, text, sink)
        self.kwsd.process.send_signal(signal.SIGHUP)
        self.kwsd.wait_for(lambda: len(self._answers(answer)) > count, f"the log says {answer!r}")
        return self._answers(answer)[-1].removeprefix("kwsd: ").removeprefix(answer)

    def snapshot(self) -> dict[str, Any]:
        with Connection(str(self._socket)) as client:
            client.send({"get": "status"})
            while (message := client.receive(LIMIT_S)) is not None:
                if message["type"] == "snapshot":
                    return message
        raise AssertionError(self.kwsd.log)

    def streams(self) -> int:
        """How many streams are open at the sound server."""
        listed = subprocess.run(
            ["pactl", "list", "short", "source-outputs"], env=self._env, capture_output=True, text=True, check=True
        )
        return len(listed.stdout.splitlines())

    def hears(self) -> None:
        """Fails unless audio is heard from now on, through one stream."""
        before = self.snapshot()["audio_s"]
        self.kwsd.wait_for(lambda: self.snapshot()["audio_s"] > before + 0.2, "audio is heard")
        self.kwsd.wait_for(lambda: self.streams() == 1, "one stream is open")

    def _answers(self, answer: str) -> list[str]:
        return [line for line in list(self.kwsd.log) if f"kwsd: {answer}" in line]


def write(path: Path, text: str, sink: str = "") -> None:
    path.write_text(f"{text}\nsinks:\n- {{type: socket, path: {path.with_name('kwsd.sock')}}}\n{sink}\n")


@pytest.fixture
def daemon(microphone: VirtualMic, tmp_path: Path) -> Iterator[Daemon]:
    config = tmp_path / "kwsd.yaml"
    write(config, "model: default")
    with running("--config", config, env=microphone.env) as kwsd:
        kwsd.wait_for_log("listening")
        yield Daemon(kwsd, tmp_path, microphone)
        if kwsd.process.poll() is None:
            assert kwsd.stop()[0] == 0, kwsd.log
        assert not any("Traceback" in line for line in kwsd.log), kwsd.log


@pytest.mark.parametrize(
    ("audio", "why"),
    [
        ("{channel: 200}", "channel 200: "),
        ("{device: l}", "device 'l': fits several: "),
        ("{channel: 0, device: 9999}", None),
    ],
    ids=["no such channel", "a name of several", "not there"],
)
def test_what_only_the_device_tells_refuses_the_reload_and_costs_no_sample(
    daemon: Daemon, audio: str, why: str | None
) -> None:
    """A device that is not there is no fault: it is waited for, as at the start."""
    if why is None:
        daemon.reload(f"audio: {audio}", TAKEN)
        daemon.kwsd.wait_for_log("waiting: device 9999")
        daemon.reload("model: default", TAKEN)
    else:
        for _ in range(3):
            assert daemon.reload(f"audio: {audio}", REFUSED).startswith(why)
        assert daemon.snapshot()["samples_lost"] == 0
    daemon.hears()


def test_a_refused_sink_leaves_no_microphone_open(daemon: Daemon, tmp_path: Path) -> None:
    """The new microphone is open by then; dropped as it was, its stream called back into freed memory."""
    taken = tmp_path / "taken"
    taken.write_text("")
    for gain_db in range(1, 6):
        sink = f"- {{type: socket, path: {taken}}}"
        assert str(taken) in daemon.reload(f"audio: {{gain_db: {gain_db}}}", REFUSED, sink)
        daemon.hears()
    assert daemon.snapshot()["samples_lost"] == 0


def test_other_audio_settings_are_taken_and_audio_is_heard_once(daemon: Daemon) -> None:
    """The new stream opens beside the old one; what both have heard is not heard twice."""
    for gain_db in range(1, 6):
        daemon.reload(f"audio: {{gain_db: {gain_db}}}", TAKEN)
        daemon.hears()
    snapshot = daemon.snapshot()
    lost_s = snapshot["samples_lost"] / 16_000
    assert lost_s < 1.0, snapshot
    assert snapshot["audio_s"] + lost_s <= snapshot["uptime_s"] + 0.05, snapshot  # which is rounded


def test_sigterm_in_the_midst_of_a_reload_ends_it_at_once(daemon: Daemon, microphone: VirtualMic) -> None:
    """The sound server hangs, so the new microphone never opens, and nothing can be waited for."""
    microphone.do("freeze")
    try:
        write(daemon._config, "audio: {gain_db: 1}")
        daemon.kwsd.process.send_signal(signal.SIGHUP)
        assert daemon.kwsd.stop()[0] == 0, daemon.kwsd.log
    finally:
        microphone.do("thaw")


@pytest.fixture
def on_a_recording(tmp_path: Path) -> Iterator[tuple[Kwsd, Path]]:
    """A kwsd that reads slowly, and its model's file."""
    model, config = tmp_path / "m.tflite", tmp_path / "kwsd.yaml"
    shutil.copy("models/tiny.tflite", model)
    config.write_text(f"model: {model}\n")
    recording, long = DEMO, tmp_path / "long.wav"
    samples, rate_hz = soundfile.read(recording, dtype="int16")
    soundfile.write(long, [*samples] * 3, rate_hz)
    with running("--config", config, "--source", long, "--realtime", "--socket", tmp_path / "s") as kwsd:
        kwsd.wait_for_log("listening")
        yield kwsd, model


def of_model(socket: Path) -> str:
    with Connection(str(socket)) as client:
        return client.hello["model"]


def test_a_model_replaced_under_its_name_is_taken(on_a_recording: tuple[Kwsd, Path], tmp_path: Path) -> None:
    """A garbled one is refused, and the old one goes on; its name is that in its metadata."""
    kwsd, model = on_a_recording
    before = of_model(tmp_path / "s")
    model.write_bytes(b"garbage")
    kwsd.process.send_signal(signal.SIGHUP)
    kwsd.wait_for_log(f"{REFUSED}{model}: it is not a TensorFlow Lite model")
    assert of_model(tmp_path / "s") == before
    shutil.copy("models/default.tflite", model)
    kwsd.process.send_signal(signal.SIGHUP)
    kwsd.wait_for_log(TAKEN)
    assert of_model(tmp_path / "s") != before
    assert kwsd.stop()[0] == 0


def test_what_describes_a_model_is_read_again_too(tmp_path: Path) -> None:
    """Its sidecar, here: fewer labels than scores are refused, other names are taken."""
    from kwsd.model import load

    whole = load("tests/fixtures/models/rows.tflite").metadata
    model, sidecar = tmp_path / "m.tflite", tmp_path / "m.tflite.kwsd.yaml"
    shutil.copy("tests/fixtures/models/foreign.tflite", model)

    def describe(labels: str) -> None:
        keys = ", ".join(f"{key}: {value}" for key, value in whole["frontend"].items())
        sidecar.write_text(
            f"labels: {labels}\nsample_rate_hz: 16000\nclip_ms: {whole['clip_ms']}\nscores: logits\n"
            f"frontend: {{{keys}}}\n"
        )

    describe("[_silence_, _unknown_, yes, no]")
    config = tmp_path / "kwsd.yaml"
    config.write_text(f"model: {model}\n")
    socket = tmp_path / "s"
    with running("--config", config, "--source", DEMO, "--realtime", "--socket", socket) as kwsd:
        kwsd.wait_for_log("listening")
        describe("[yes]")
        kwsd.process.send_signal(signal.SIGHUP)
        kwsd.wait_for_log(REFUSED)
        describe("[_silence_, _unknown_, on, off]")
        kwsd.process.send_signal(signal.SIGHUP)
        kwsd.wait_for_log(TAKEN)
        with Connection(str(socket)) as client:
            assert client.hello["labels"] == ["_silence_", "_unknown_", "on", "off"]
        assert kwsd.stop()[0] == 0


def test_another_file_that_a_reload_asks_for_during_a_pause_is_the_one_read_on(tmp_path: Path) -> None:
    """One that is not there refuses the reload, as at any other time."""
    config, path = tmp_path / "kwsd.yaml", tmp_path / "s"

    def write_source(source: Path) -> None:
        config.write_text(f"model: tiny\naudio: {{source: {source}}}\n")

    other = tmp_path / "other.flac"
    shutil.copy(DEMO, other)
    write_source(DEMO)
    with running("--config", config, "--realtime", "--socket", path) as kwsd:
        kwsd.wait_for(lambda: len(kwsd.lines) >= 1, "a word")
        assert run("pause", "--socket", path).process.returncode == 0
        write_source(tmp_path / "nowhere.flac")
        kwsd.process.send_signal(signal.SIGHUP)
        kwsd.wait_for_log(REFUSED)
        write_source(other)
        kwsd.process.send_signal(signal.SIGHUP)
        kwsd.wait_for_log(TAKEN)
        before = len(kwsd.lines)
        assert run("resume", "--socket", path).process.returncode == 0
        kwsd.wait_for(lambda: len(kwsd.lines) > before + 1, "words after the pause")
        assert {event["device"] for event in kwsd.events[:before]} == {DEMO.name}
        assert {event["device"] for event in kwsd.events[before:]} == {other.name}
        assert kwsd.stop()[0] == 0
