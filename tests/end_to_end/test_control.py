"""Pause, armed words, status and report of a real kwsd, as a person asks for them at a shell."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

import kwsd
from tests.helpers.kwsd_process import DEMO, ROOT, Kwsd, demo_words, in_order, running
from tests.helpers.virtual_mic import VirtualMic


def ask(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kwsd", *arguments, "--socket", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def status(path: Path) -> dict[str, Any]:
    done = ask(path, "status", "--json")
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def outputs(microphone: VirtualMic) -> str:
    """The programs that record from the sound server."""
    env = {"PATH": "/usr/bin:/bin", **microphone.env}
    return subprocess.run(["pactl", "list", "short", "source-outputs"], env=env, capture_output=True, text=True).stdout


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    signal, rate_hz = soundfile.read(DEMO, dtype="int16")
    soundfile.write(tmp_path / "demo.wav", signal, rate_hz)
    return tmp_path / "demo.wav"


def hears_the_demo(daemon: Kwsd, microphone: VirtualMic, recording: Path) -> None:
    before = len(daemon.lines)
    microphone.play(recording)
    said = demo_words()
    daemon.wait_for(lambda: in_order(daemon.words[before:], said) >= 0.8 * len(said), "the demo is heard", 10)


def test_a_pause_closes_the_microphone_and_resume_opens_it(
    microphone: VirtualMic, recording: Path, tmp_path: Path
) -> None:
    path = tmp_path / "kwsd.sock"
    with running("--socket", path, env=microphone.env) as daemon:
        daemon.wait_for_log("listening: ")
        watched = kwsd.watch(str(path), types=["status"])
        assert next(watched)["state"] == "listening"
        assert outputs(microphone)
        assert ask(path, "pause").returncode == 0
        assert next(watched)["state"] == "paused"
        daemon.wait_for(lambda: not outputs(microphone), "the microphone is closed")
        assert status(path)["state"] == "paused" and status(path)["paused_until"] is None
        assert ask(path, "status").returncode == 0
        heard = len(daemon.lines)
        microphone.play(recording)
        assert len(daemon.lines) == heard
        assert ask(path, "resume").returncode == 0
        daemon.wait_for(lambda: status(path)["state"] == "listening", "it listens again")
        hears_the_demo(daemon, microphone, recording)
        assert status(path)["samples_lost"] == 0
        watched.close()
        assert daemon.stop()[0] == 0


def test_a_pause_with_a_time_ends_by_itself(microphone: VirtualMic, tmp_path: Path) -> None:
    path = tmp_path / "kwsd.sock"
    with running("--socket", path, env=microphone.env) as daemon:
        daemon.wait_for_log("listening: ")
        assert ask(path, "pause", "--for", "1s").returncode == 0
        daemon.wait_for(lambda: sum("listening: " in line for line in list(daemon.log)) == 2, "it listens again")
        assert any("paused: until 2" in line for line in daemon.log)


def test_every_request_is_told_to_subscribers_also_where_state_and_words_stay(tmp_path: Path) -> None:
    path = tmp_path / "kwsd.sock"
    with running("--source", DEMO, "--realtime", "--socket", path) as daemon:
        daemon.wait_for_log("listening: ")
        watched = kwsd.watch(str(path), types=["status"])
        assert next(watched)["state"] == "listening"
        for arguments, reason in (
            (("pause",), "until resumed"),
            (("pause",), "until resumed"),
            (("arm", "stop"), "until resumed"),
            (("resume",), f"reading {DEMO.name}; armed: stop"),
            (("arm", "stop", "--for", "1h"), f"reading {DEMO.name}; armed: stop"),
        ):
            assert ask(path, *arguments).returncode == 0
            assert next(watched)["reason"] == reason
        watched.close()


def lines_of(path: Path, *requests: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a client gets that sends these requests at once, after the greeting."""
    with socket.socket(socket.AF_UNIX) as client, client.makefile("rb") as answers:
        client.settimeout(60)
        client.connect(str(path))
        client.sendall(b"".join(json.dumps(request).encode() + b"\n" for request in requests))
        yield from map(json.loads, answers)


def test_what_was_asked_for_holds_when_the_answer_comes_and_each_request_is_told(tmp_path: Path) -> None:
    path = tmp_path / "kwsd.sock"
    with running("--source", DEMO, "--realtime", "--socket", path) as daemon:
        daemon.wait_for_log("listening: ")
        subscriber = lines_of(path, {"subscribe": {"types": ["status"]}})
        assert [next(subscriber)["type"] for _ in range(2)] == ["hello", "status"]
        rounds: list[dict[str, Any]] = [{"pause": {}}, {"get": "status"}, {"resume": {}}, {"get": "status"}]
        client = lines_of(path, {"subscribe": {"types": ["scores"]}}, *rounds * 3, {"ping": 1})
        answers = [line for line in iter(lambda: next(client), {"type": "pong", "ping": 1}) if line["type"] != "scores"]
        states = [line["state"] for line in answers if line["type"] == "snapshot"]
        assert states == ["paused", "listening"] * 3
        assert [next(subscriber)["state"] for _ in range(6)] == states


def test_words_are_armed_before_any_audio_comes_and_all_are_told(tmp_path: Path) -> None:
    path = tmp_path / "kwsd.sock"
    with running("--source", "-", "--socket", path, stdin=subprocess.PIPE) as daemon:
        daemon.wait_for(path.exists, "the socket is there")
        subscriber = lines_of(path, {"subscribe": {"types": ["status"]}})
        assert [next(subscriber)["type"] for _ in range(2)] == ["hello", "status"]
        assert ask(path, "arm", "stop").returncode == 0
        assert (told := next(subscriber))["state"] == "starting" and "armed: stop" in told["reason"], told
        daemon.process.stdin.close()


def test_a_file_is_read_on_after_a_pause_at_its_own_pace(tmp_path: Path) -> None:
    path = tmp_path / "kwsd.sock"
    with running("--source", DEMO, "--realtime", "--socket", path) as daemon:
        daemon.wait_for_log("listening: ")
        assert ask(path, "pause").returncode == 0
        paused = status(path)
        daemon.wait_for(lambda: status(path)["uptime_s"] > paused["uptime_s"] + 1.5, "a pause of a second and a half")
        assert ask(path, "resume").returncode == 0
        daemon.wait_for(lambda: status(path)["state"] == "listening", "it listens again")
        resumed = status(path)
    assert resumed["since"] > paused["since"]  # when this state began, not when the first of its kind did
    assert resumed["audio_s"] - paused["audio_s"] < resumed["uptime_s"] - paused["uptime_s"] - 1


def test_a_word_on_demand_is_heard_while_armed(microphone: VirtualMic, recording: Path, tmp_path: Path) -> None:
    path, config = tmp_path / "kwsd.sock", tmp_path / "kwsd.yaml"
    config.write_text(
        f"recognize: {{on_demand: [stop, go]}}\nsinks: [{{type: stdout}}, {{type: socket, path: {path}}}]\n"
    )
    with running("--config", config, env=microphone.env) as daemon:
        daemon.wait_for_log("listening: ")
        peaks: list[dict[str, Any]] = []
        subscriber = kwsd.watch(str(path), types=["peaks", "status"], labels=["stop"])
        assert next(subscriber)["type"] == "status"
        threading.Thread(target=lambda: peaks.extend(subscriber), daemon=True).start()
        microphone.play(recording)
        daemon.wait_for(lambda: "not_armed" in [peak.get("outcome") for peak in peaks], "a peak is told", 10)
        assert "stop" not in daemon.words
        assert ask(path, "arm", "stop", "--for", "1m").returncode == 0
        assert list(status(path)["armed"]) == ["stop"]
        daemon.wait_for_log("armed: stop")
        before = len(daemon.lines)
        microphone.play(recording)
        daemon.wait_for(lambda: "stop" in daemon.words[before:], "the armed word is heard", 10)
        assert "go" not in daemon.words
        assert ask(path, "disarm").returncode == 0
        assert status(path)["armed"] == {}
        report = json.loads(ask(path, "report", "--json").stdout)
        assert set(report["words"]["stop"]["peaks"]) >= {"not_armed", "fired"}
        assert "stop: threshold" in ask(path, "report").stdout


def test_a_reload_during_a_pause_is_taken_and_does_not_end_it(microphone: VirtualMic, tmp_path: Path) -> None:
    path, config = tmp_path / "kwsd.sock", tmp_path / "kwsd.yaml"
    config.write_text(f"sinks: [{{type: stdout}}, {{type: socket, path: {path}}}]\n")
    with running("--config", config, env=microphone.env) as daemon:
        daemon.wait_for_log("listening: ")
        ask(path, "pause")
        daemon.wait_for_log("paused: ")
        config.write_text(f"audio: {{gain_db: 6}}\n{config.read_text()}")
        daemon.process.send_signal(1)
        daemon.wait_for_log("settings read again")
        assert status(path)["state"] == "paused"
        assert not outputs(microphone)
        ask(path, "resume")
        daemon.wait_for(lambda: status(path)["state"] == "listening", "it listens again")


WRONG = (
    (("arm", "stpo"), 2, "the model has no word 'stpo'; the nearest is 'stop'"),
    (("arm", "yes"), 2, "'yes' cannot fire, as `only` leaves it out"),
    (("pause", "--for", "0"), 2, "--for: got '0'; allowed: 1 s to 7 days"),
    (("pause", "--for", "soon"), 2, "a number of seconds, or one with s, m, h or d"),
    (("arm", "stop", "--threshold", "2"), 2, "a number from 0 to 1"),
)


def test_what_is_wrong_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "kwsd.sock"
    flags = ("--socket", path, "--source", "-", "--realtime", "--only", "stop")
    with running(*flags, stdin=subprocess.PIPE) as daemon:
        daemon.wait_for(path.exists, "the socket is there")
        for arguments, code, message in WRONG:
            done = ask(path, *arguments)
            assert done.returncode == code
            assert message in done.stderr and done.stderr.count("\n") == 1
        daemon.process.stdin.close()


@pytest.mark.parametrize("command", ["status", "pause", "resume", "disarm", "report"])
def test_without_a_kwsd_it_ends_with_69(tmp_path: Path, command: str) -> None:
    done = ask(tmp_path / "none.sock", command)
    assert done.returncode == 69
    assert done.stderr.count("\n") == 1


def test_the_report_s_threshold_is_the_one_in_force_whatever_an_armed_word_needed(tmp_path: Path) -> None:
    path = tmp_path / "kwsd.sock"
    with running("--source", DEMO, "--realtime", "--socket", path) as daemon:
        daemon.wait_for(path.exists, "it serves")
        assert ask(path, "arm", "stop,go,yes,no,up,down,left,right,on,off", "--threshold", "0.31").returncode == 0
        daemon.wait_for(lambda: len(daemon.lines) >= 3, "words are heard")
        report = json.loads(ask(path, "report", "--json").stdout)
        in_force = status(path)["listeners"]["default"]["thresholds"]
        assert report["words"]
        assert {word: one["threshold"] for word, one in report["words"].items()} == {
            word: in_force[word] for word in report["words"]
        }
