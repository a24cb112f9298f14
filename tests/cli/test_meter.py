"""kwsd meter: a recording's level and words, as lines and as bars."""

import re
import socket
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile

from kwsd.audio.file import open_source
from kwsd.cli.display import Display, Moment, bar
from kwsd.cli.meter import Meter
from kwsd.cli.remote_meter import RemoteMeter, thresholds
from kwsd.events import json_line
from kwsd.model import load
from kwsd.sinks.socket.protocol import PROTOCOL
from kwsd.spotter import Spotter
from tests.helpers.kwsd_process import DEMO, running
from tests.helpers.other_word import zap_model


def test_a_recording_is_shown_line_by_line_until_its_end(kwsd, tmp_path, capsys):
    tone = 0.1 * np.sin(np.arange(16_000) * 0.2)
    soundfile.write(tmp_path / "tone.wav", tone, 16_000, subtype="PCM_16")
    assert kwsd("meter", "--source", str(tmp_path / "tone.wav")) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("level  -23.0 dBFS  peak  -20.0 dBFS  ")


def test_it_ends_after_the_seconds_asked_for(kwsd, capsys):
    assert kwsd("meter", "--source", str(DEMO), "--seconds", "0.5") == 0
    assert capsys.readouterr().out


def test_words_and_states_are_drawn_as_bars_in_place(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "20")
    model = load("default")
    source = open_source(str(DEMO), model.sample_rate_hz, realtime=False)
    Meter(source, Spotter(model), Display(on_terminal=True)).run(None)
    source.close()
    drawn = capsys.readouterr().out
    last = drawn.split("\x1b[14A")[-1].replace("\x1b[K", "").replace("\r", "").splitlines()
    assert len(last) == len(model.labels) + 2
    assert last[0].startswith("level        ")
    assert last[1].startswith("_silence_    ")
    assert "heard: " in last[-1]
    assert all(len(row) < 60 for row in last)


def test_a_small_terminal_shows_the_highest_scores_and_one_that_changes_its_size_is_cleared(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "8")
    display = Display(on_terminal=True)
    moment = Moment({label: place / 10 for place, label in enumerate("abcdefghi")}, -40.0, -30.0)
    display.show(moment, 0.0)
    drawn = capsys.readouterr().out
    assert [row.strip("\r")[0] for row in drawn.split("\n")[:-1]] == ["l", *"efghi", "p"]
    display.show(moment, 0.1)
    assert capsys.readouterr().out.startswith("\x1b[7A")
    monkeypatch.setenv("COLUMNS", "40")
    display.show(moment, 0.2)
    again = capsys.readouterr().out
    assert again.startswith("\x1b[H\x1b[2J")
    assert all(len(row.replace("\x1b[K", "").strip("\r")) < 40 for row in again.split("\n")[1:])


def test_a_bar_is_filled_to_its_share():
    assert [bar(share, 4) for share in (-1, 0, 0.5, 1, 2)] == ["....", "....", "##..", "####", "####"]


def test_a_bar_shows_the_threshold_and_the_highest_score_where_they_are_above_it():
    assert bar(0.2, 10, held=0.5, threshold=0.8) == "##...>..|."
    assert bar(0.9, 10, held=0.9, threshold=0.8) == "#########."
    assert bar(0.0, 10, held=1.0) == ".........>"
    assert bar(0.0, 10, held=0.01) == ".........."


def test_the_highest_score_is_marked_for_three_seconds(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "34")
    display = Display(on_terminal=True, thresholds={"stop": 0.8})
    shown = []
    for now_s, score in [(0.0, 0.5), (1.0, 0.1), (2.9, 0.1), (3.1, 0.1), (3.2, 0.1)]:
        display.show(Moment({"stop": score}, -40.0), now_s)
        shown.append(capsys.readouterr().out.split("\n")[1].split()[1])
    assert shown == ["#####...|.", "#....>..|.", "#....>..|.", "#.......|.", "#.......|."]


def test_a_running_kwsd_is_shown_by_its_socket_with_no_microphone_of_one_s_own(kwsd, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Display, "is_due", lambda self, now_s: True)
    path = tmp_path / "s"
    with running("--source", DEMO, "--realtime", "--no-stdout", "--socket", path, "--only", "stop") as daemon:
        daemon.wait_for(path.exists, "it serves")
        meter = RemoteMeter(str(path), Display(on_terminal=False))
        meter.run(4.0)
    lines = [line for line in capsys.readouterr().out.splitlines() if line != "starting: starting"]
    assert lines and all(re.match(r"level +-?[\d.]+ dBFS  \w+ \d\.\d\d  ", line) for line in lines)
    assert any(": fired" in line or ": not_wanted" in line or "heard: " in line for line in lines)


@contextmanager
def serving(path, *messages, lost=False):
    """A socket on which a kwsd greets, sends these messages and, if it gets lost, ends once it was asked something."""
    hello = {"type": "hello", "protocol": PROTOCOL, "labels": ["stop"]}
    over = threading.Event()

    def serve():
        with server.accept()[0] as client:
            client.sendall(b"".join(json_line(message) for message in (hello, *messages)))
            while lost and b"get" not in client.recv(4096):
                pass
            path.unlink()
            if not lost:
                over.wait()

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def test_it_ends_after_the_seconds_asked_for_although_kwsd_has_ended_meanwhile(tmp_path):
    with serving(tmp_path / "s", lost=True):
        RemoteMeter(str(tmp_path / "s"), Display(on_terminal=False)).run(0.5)


@pytest.mark.parametrize("on_terminal", [False, True])
def test_a_kwsd_that_hears_nothing_is_shown_by_its_state(on_terminal, tmp_path, capsys):
    with serving(tmp_path / "s", {"type": "status", "state": "paused", "reason": "until resumed"}):
        RemoteMeter(str(tmp_path / "s"), Display(on_terminal)).run(0.5)
    shown = capsys.readouterr().out.replace("\x1b[K", "").replace("\r", "")
    assert shown.splitlines()[0] == "paused: until resumed"


@pytest.mark.parametrize("more", [["--source", "x.wav"], ["--device", "usb"], ["-c", "kwsd.yaml"], ["--model", "tiny"]])
def test_a_socket_brings_its_own_model_and_microphone(more, kwsd, capsys):
    assert kwsd("meter", "--socket", "/nowhere", *more) == 2
    assert "has its own" in capsys.readouterr().err


def test_where_nobody_answers_it_is_one_line_and_69(kwsd, tmp_path, capsys):
    assert kwsd("meter", "--socket", str(tmp_path / "nobody")) == 69
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_thresholds_are_a_listener_s_with_the_armed_words_laid_over_them():
    listeners = {"kitchen": {"thresholds": {"stop": 0.6, "go": 0.7}}, "porch": {"thresholds": {"go": 0.9}}}
    snapshot = {"listeners": listeners, "armed": {"stop": {"until": None, "threshold": 0.4}}}
    assert thresholds(snapshot, "kitchen") == {"stop": 0.4, "go": 0.7}
    assert thresholds(snapshot, "porch") == {"go": 0.9}


def test_of_several_listeners_one_is_shown(kwsd, tmp_path, capsys):
    config, path = tmp_path / "kwsd.yaml", tmp_path / "s"
    audio = f"audio: {{source: {DEMO}}}"
    config.write_text(
        f"listeners:\n  kitchen: {{{audio}}}\n  porch: {{{audio}, model: tiny, only: [go]}}\n"
        f"sinks: [{{type: socket, path: {path}}}]\n"
    )
    with running("--config", config, "--realtime") as daemon:
        daemon.wait_for(path.exists, "it serves")
        assert kwsd("meter", "--socket", str(path), "--listener", "attic", "--seconds", "30") == 2
        assert "that kwsd has no 'attic'. It has kitchen, porch." in capsys.readouterr().err
        meter = RemoteMeter(str(path), display := Display(on_terminal=False), "porch")
        meter.run(3)
        assert set(display.thresholds) == {"go"}


def test_a_missing_file_is_one_line_and_66(kwsd, capsys):
    assert kwsd("meter", "--source", "/nowhere.wav") == 66
    assert capsys.readouterr().err == "kwsd: /nowhere.wav: No such file or directory\n"


def test_the_configuration_s_own_settings_hold(kwsd, tmp_path, capsys):
    config = tmp_path / "kwsd.yaml"
    config.write_text("only: [stop]\nrecognize: {detection_threshold: 0.99}\n")
    spotter = Spotter(load("tiny"), detection_threshold=0.0)
    source = open_source(str(DEMO), 16_000, realtime=False)
    Meter(source, spotter, Display(on_terminal=True), ["stop"]).run(None)
    source.close()
    assert "heard: stop" in capsys.readouterr().out.splitlines()[-1]
    assert kwsd("meter", "-c", str(config), "--source", str(DEMO), "--seconds", "0.2") == 0


@pytest.mark.parametrize(
    ("models", "shown"),
    [
        ("model: [tiny, {zap}]\nonly: [stop, zap]\n", {"stop": 0.5}),
        ("model: [{{model: tiny, only: [go]}}, {{model: {zap}, only: [zap]}}]\n", {"go": 0.625}),
    ],
)
def test_of_several_models_the_first_is_shown_with_its_own_words(models, shown, kwsd, tmp_path, monkeypatch):
    config, seen = tmp_path / "kwsd.yaml", []
    thresholds = "recognize: {thresholds: {stop: 0.5, go: 0.625, zap: 0.75}}\n"
    config.write_text(models.format(zap=zap_model(tmp_path)) + thresholds)
    monkeypatch.setattr(Display, "show", lambda self, moment, now_s: seen.append(dict(self.thresholds)))
    assert kwsd("meter", "-c", str(config), "--source", str(DEMO), "--seconds", "0.2") == 0
    assert seen[-1] == shown
