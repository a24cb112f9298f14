"""The daemon on recordings: the very pipeline of the microphone, with nothing of a sound card in it."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.helpers.kwsd_process import DEMO, ROOT, demo_words, in_order, run, running

KEYS = ["type", "id", "seq", "time", "label", "score", "audio_ms", "latency_ms", "model", "device", "listener"]


def test_hears_the_demo() -> None:
    """Nine in ten words of the demo are heard, in order, at most one is heard that was not said; code 0."""
    kwsd = run("--source", DEMO)
    said = demo_words()
    assert kwsd.process.returncode == 0, kwsd.log
    hits = in_order(kwsd.words, said)
    assert hits >= 0.9 * len(said), f"said {said}, heard {kwsd.words}"
    assert len(kwsd.words) - hits <= 1, f"said {said}, heard {kwsd.words}"


def test_events_are_lines_as_promised() -> None:
    """Keys in their order, compact, numbered from 1 without gaps; a file that is not paced has no latency."""
    kwsd = run("--source", DEMO)
    run_id = kwsd.events[0]["id"].split("-")[0]
    assert len(run_id) == 12 and set(run_id) <= set("0123456789abcdef")
    for number, (line, event) in enumerate(zip(kwsd.lines, kwsd.events, strict=True), 1):
        assert list(event) == KEYS
        assert line == json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        assert (event["id"], event["seq"]) == (f"{run_id}-{number}", number)
        assert event["latency_ms"] is None and event["device"] == "demo.flac"
        assert 0 < event["audio_ms"] <= 29200


def test_the_pace_changes_nothing_but_the_latency() -> None:
    """The same recording paced by the clock gives the same words at the same places, with latencies."""
    short = ["--only", "stop,go"]
    signal, rate_hz = soundfile.read(DEMO, dtype="int16", frames=5 * 16000)
    data = signal.tobytes()
    fast, paced = (
        subprocess.run(
            [sys.executable, "-m", "kwsd", "--source", "-", *short, *pace], cwd=ROOT, input=data, capture_output=True
        )
        for pace in ([], ["--realtime"])
    )
    assert fast.returncode == paced.returncode == 0 and rate_hz == 16000
    fast_events, paced_events = ([json.loads(line) for line in each.stdout.splitlines()] for each in (fast, paced))
    assert [(e["label"], e["audio_ms"]) for e in fast_events] == [(e["label"], e["audio_ms"]) for e in paced_events]
    assert fast_events and all(e["latency_ms"] >= 0 for e in paced_events)


def test_any_container_and_rate_gives_the_same_words(tmp_path: Path) -> None:
    """WAV at 48 kHz in stereo, the words on channel 1, under a name that tells nothing."""
    import soxr

    signal, _ = soundfile.read(DEMO, dtype="float32")
    high = soxr.resample(signal, 16000, 48000)
    other = tmp_path / "recording"
    soundfile.write(other, np.stack([np.zeros_like(high), high], axis=1), 48000, format="WAV", subtype="PCM_24")
    assert run("--source", other, "--channel", "1").words == run("--source", DEMO).words


def test_a_file_of_one_clip_is_heard_thanks_to_the_tail() -> None:
    """The contract's tail: without it a clip is scored once, which is no evidence."""
    clips = sorted((ROOT / "tests/data/clips/stop").glob("*.flac"))
    heard = [run("--source", clip).words for clip in clips]
    assert heard.count(["stop"]) >= len(clips) - 1, heard
    event = next(e for clip in clips for e in run("--source", clip).events)
    assert event["audio_ms"] <= 1000
    assert run("--source", clips[0], "--no-tail").words == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--source", "/nonexistent.wav"], 66),
        (["--source", str(ROOT / "README.md")], 66),
        (["--source", str(ROOT)], 66),
        (["--model", "nonexistent"], 78),
        (["--model", str(ROOT / "README.md")], 78),
        (["--config", "/nonexistent.yaml"], 78),
        (["--source", str(DEMO), "--only", "stop,nonexistent"], 78),
        (["--source", str(DEMO), "--clip-stride-ms", "33"], 78),
        (["--source", str(DEMO), "--only", ""], 2),
        (["--detection-threshold", "7"], 2),
        (["--detection_thresh", "0.5"], 2),
        (["--mode", "psychic"], 2),
        (["nonsense"], 2),
    ],
)
def test_bad_input_is_one_line_and_the_documented_code(arguments: list[str], code: int) -> None:
    """No traceback, whatever is asked."""
    kwsd = run(*arguments)
    assert kwsd.process.returncode == code, kwsd.log
    assert "Traceback" not in "\n".join(kwsd.log) and kwsd.lines == []
    if code != 2:  # argparse has a form of its own
        assert len(kwsd.log) == 1 and kwsd.log[0].startswith("kwsd: "), kwsd.log


def test_options_take_either_separator() -> None:
    """The tutorial's ``--detection_threshold`` is ``--detection-threshold``."""
    assert run("--source", DEMO, "--detection_threshold=0.999").lines == []


def test_sigterm_ends_within_a_second_and_counts(tmp_path: Path) -> None:
    """Code 0, the socket's file gone, the last line tells what became of every event."""
    path = tmp_path / "kwsd.sock"
    with running("--source", DEMO, "--realtime", "--socket", path) as kwsd:
        kwsd.wait_for(lambda: bool(kwsd.lines), "the first word")
        code, took_s = kwsd.stop()
    assert code == 0 and took_s < 1.0, (code, took_s)
    assert not path.exists()
    assert f"{len(kwsd.lines)} sent" in kwsd.log[-1], kwsd.log


def test_a_reader_that_leaves_ends_kwsd_silently() -> None:
    """``kwsd | head -1`` is no error."""
    kwsd = subprocess.Popen(
        [sys.executable, "-m", "kwsd", "-q", "--source", DEMO], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert kwsd.stdout is not None and kwsd.stderr is not None
    kwsd.stdout.close()
    errors = kwsd.stderr.read().decode()
    kwsd.stderr.close()
    assert kwsd.wait(60) == 0 and errors == "", errors


def test_a_full_disk_is_code_74() -> None:
    """Standard output that cannot be written, and nothing else served."""
    with Path("/dev/full").open("w") as full:
        kwsd = subprocess.run(
            [sys.executable, "-m", "kwsd", "-q", "--source", DEMO], cwd=ROOT, stdout=full, stderr=subprocess.PIPE
        )
    lines = kwsd.stderr.decode().splitlines()
    assert kwsd.returncode == 74 and lines[-1].startswith("kwsd: standard output: "), lines


def test_without_a_microphone_no_wait_is_code_69(tmp_path: Path) -> None:
    """No sound card, no sound server: one line, at once."""
    config = tmp_path / "asound.conf"
    config.write_text("pcm.none { type hw; card 99 }\n")
    kwsd = run("--no-wait", env={"ALSA_CONFIG_PATH": str(config), "PULSE_SERVER": "unix:/nonexistent"})
    assert kwsd.process.returncode == 69, kwsd.log
    assert kwsd.log[-1].startswith("kwsd: microphone: ") and kwsd.lines == []


def test_the_gain_is_a_flag_that_beats_the_configuration(tmp_path):
    config = tmp_path / "kwsd.yaml"
    config.write_text("audio: {gain_db: -60}\n")

    def scores(*arguments):
        return [event["score"] for event in run("--source", DEMO, *arguments).events]

    quiet = scores("--config", config)
    assert scores("--gain-db", "-60") == quiet != scores("--config", config, "--gain-db", "0") == scores()


def test_an_alsa_without_devices_is_told_before_portaudio_aborts(tmp_path: Path) -> None:
    """PortAudio fails an assertion where ALSA's configuration is empty; kwsd says so, waiting or not."""
    config = tmp_path / "asound.conf"
    config.write_text("")
    kwsd = run(env={"ALSA_CONFIG_PATH": str(config)})
    assert kwsd.process.returncode == 69, kwsd.log
    assert len(kwsd.log) <= 2 and "ALSA's configuration names no devices" in kwsd.log[-1], kwsd.log


def test_a_reload_takes_right_settings_and_refuses_wrong_ones(tmp_path: Path) -> None:
    """SIGHUP: a wrong file is refused in the log and nothing changes; a right one holds from then on."""
    config = tmp_path / "kwsd.yaml"
    config.write_text("only: [stop]\n")
    with running("--config", config, "--source", DEMO, "--realtime") as kwsd:
        kwsd.wait_for(lambda: bool(kwsd.lines), "the first word")
        config.write_text("only: [stopp]\nsinks: {}\n")
        kwsd.process.send_signal(signal.SIGHUP)
        kwsd.wait_for_log("reload rejected")
        config.write_text("only: [yes, no, up, down, left, right]\n")
        kwsd.process.send_signal(signal.SIGHUP)
        kwsd.wait_for_log("settings read again")
        kwsd.wait_for(lambda: len(kwsd.lines) >= 3, "further words")
        kwsd.stop()
    assert kwsd.words[0] == "stop" and set(kwsd.words[1:]) <= {"yes", "no", "up", "down", "left", "right"}
    assert [event["seq"] for event in kwsd.events] == list(range(1, len(kwsd.lines) + 1))


def test_the_log_can_be_json(tmp_path: Path) -> None:
    """Each line of standard error is an object then."""
    kwsd = run("--source", DEMO, "--log-format", "json", env={"HOME": os.fspath(tmp_path)})
    assert {"time", "level", "message"} == set(json.loads(kwsd.log[0]))


@pytest.mark.parametrize("closed", [(2,), (0, 2), (0, 1, 2)])
def test_closed_standard_files_are_no_obstacle(closed: tuple[int, ...], tmp_path: Path) -> None:
    """Started without standard error or input, kwsd hears and writes all the same; without output it is code 74."""
    heard = tmp_path / "heard"
    redirections = " ".join(f"{fd}>&-" if fd else "<&-" for fd in closed if fd != 1)
    redirections += " >&-" if 1 in closed else f" >{heard}"
    done = subprocess.run(f'exec "{sys.executable}" -m kwsd --source "{DEMO}" {redirections}', shell=True, cwd=ROOT)
    if 1 in closed:
        assert done.returncode == 74
    else:
        assert done.returncode == 0
        words = [json.loads(line)["label"] for line in heard.read_text().splitlines()]
        assert in_order(words, demo_words()) >= 0.9 * len(demo_words()), words


def test_without_a_configuration_sighup_ends_kwsd_like_sigterm() -> None:
    """There is nothing to read again."""
    with running("--source", DEMO, "--realtime") as kwsd:
        kwsd.wait_for_log("listening")
        kwsd.process.send_signal(signal.SIGHUP)
        assert kwsd.end() == 0
    assert "kwsd: stopping: asked to stop" in kwsd.log, kwsd.log


def test_a_fault_names_the_flag_that_said_it(tmp_path: Path) -> None:
    """Not the configuration file, which may say otherwise."""
    config = tmp_path / "kwsd.yaml"
    config.write_text("recognize: {clip_stride_ms: 40}\n")
    kwsd = run("--config", config, "--source", DEMO, "--clip_stride_ms", "33")
    assert kwsd.process.returncode == 78 and kwsd.log[0].startswith("kwsd: --clip-stride-ms: got 33"), kwsd.log


def test_a_slow_reader_gets_every_word(tmp_path: Path) -> None:
    """A full pipe at the end of a file is waited for: kwsd is a filter like others."""
    labels = ["--detection-threshold", "0", "--suppression-ms", "0", "--mode", "micro", "--clip-stride-ms", "20"]
    kwsd = subprocess.Popen(
        [sys.executable, "-m", "kwsd", "--source", DEMO, *labels],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert kwsd.stdout is not None and kwsd.stderr is not None
    fcntl.fcntl(kwsd.stdout, fcntl.F_SETPIPE_SZ, 4096)
    with pytest.raises(subprocess.TimeoutExpired):
        kwsd.wait(3)
    lines, log = kwsd.communicate(timeout=60)
    heard = [json.loads(line)["seq"] for line in lines.splitlines()]
    assert kwsd.returncode == 0 and len(heard) > 20, log
    assert heard == list(range(1, len(heard) + 1)) and f"stdout: {len(heard)} sent" in log


def test_sigterm_in_the_midst_of_starting_is_code_0() -> None:
    """From the first line of kwsd's own on, before a command is even imported."""
    program = (
        "import importlib, os, signal, sys; from kwsd.cli.main import main;"
        "importlib.import_module = lambda name: os.kill(os.getpid(), signal.SIGTERM); sys.exit(main([]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
