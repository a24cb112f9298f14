"""kwsd/audio/diagnosis.py: what the doctor finds, on machines made up for it."""

import os
import socket
import tempfile
from pathlib import Path

import numpy as np
import pytest

from kwsd.audio import diagnosis
from kwsd.audio.diagnosis import check_devices, check_permission, check_rate, check_server, judge_signal, server_sockets
from kwsd.audio.microphone.devices import Device

MIC = Device(3, "USB Audio", "ALSA", 1, 44_100, True)


def test_cards_that_may_be_opened_are_ok(tmp_path):
    (tmp_path / "pcmC0D0c").touch()
    (tmp_path / "pcmC0D0p").touch()
    finding = check_permission(tmp_path, is_root=False, has_server=False)
    assert (finding.result, finding.mend) == ("ok", "")
    assert "1 capture" in finding.text


@pytest.mark.parametrize(("is_root", "has_server", "result"), [(0, 0, "fail"), (0, 1, "warn"), (1, 0, "ok")])
def test_a_card_that_may_not_be_opened_names_the_group(tmp_path, monkeypatch, is_root, has_server, result):
    (tmp_path / "pcmC0D0c").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    finding = check_permission(tmp_path, is_root=bool(is_root), has_server=bool(has_server))
    assert finding.result == result
    assert ("usermod -aG audio" in finding.mend) == (not is_root)


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_without_a_card_only_a_server_can_help(tmp_path, folder):
    assert check_permission(tmp_path / folder, is_root=False, has_server=False).result == "warn"
    assert check_permission(tmp_path / folder, is_root=False, has_server=True).result == "ok"


@pytest.fixture
def runtime_folder():
    with tempfile.TemporaryDirectory(prefix="kwsd-") as folder:  # short enough for a socket's path
        (Path(folder) / "pulse").mkdir()
        yield Path(folder)


def test_servers_are_found_where_they_listen_and_asked(runtime_folder):
    environ = {"XDG_RUNTIME_DIR": str(runtime_folder)}
    assert server_sockets(environ) == []
    assert check_server([]).result == "ok"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(runtime_folder / "pulse" / "native"))
        (refused,) = server_sockets(environ)
        finding = check_server([refused])
        assert (finding.result, "refused" in finding.text, bool(finding.mend)) == ("fail", True, True)
        server.listen()
        assert check_server([refused]).result == "ok"
    elsewhere = {"XDG_RUNTIME_DIR": "/nowhere", "PULSE_SERVER": f"unix:{runtime_folder}/pulse/native"}
    assert server_sockets(elsewhere) == [refused]


@pytest.mark.parametrize(
    ("rates_hz", "result", "words"),
    [
        ([16_000, 44_100], "ok", "model's 16000"),
        ([44_100], "ok", "opens at 44100 Hz, resampled"),
        ([], "fail", "neither at 16000 Hz nor at its own 44100"),
    ],
)
def test_rates(rates_hz, result, words):
    finding = check_rate(MIC, rates_hz, 16_000)
    assert finding.result == result
    assert words in finding.text


def test_devices_are_named():
    assert check_devices([MIC]).text == "3 'USB Audio'"
    assert check_devices([]).result == "fail"


NOISE = np.random.default_rng(2).normal(0, 0.02, 32_000).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "result", "words"),
    [
        (NOISE, "ok", "RMS -34.0 dBFS"),
        (NOISE * 0, "fail", "zero"),
        (NOISE * 0 + 0.25, "fail", "all samples are 0.2500"),
        (NOISE / 100, "warn", "quiet"),
        (np.clip(NOISE * 100, -1, 1), "warn", "clip"),
    ],
)
def test_a_signal_is_judged(samples, result, words):
    finding = judge_signal(samples)
    assert finding.result == result
    assert words in finding.text
    assert bool(finding.mend) == (result != "ok")


def test_a_gain_that_clips_is_not_blamed_on_the_mixer():
    finding = judge_signal(NOISE, gain_db=40)
    assert (finding.result, finding.mend) == ("warn", "Lower audio.gain_db.")
    assert "clip" in finding.text and "40 dB" in finding.text
    assert "alsamixer" in judge_signal(np.clip(NOISE * 100, -1, 1), gain_db=40).mend
    assert judge_signal(NOISE / 100, gain_db=40).result == "ok"


def test_levels_are_decibels_below_full_scale():
    assert diagnosis.dbfs(1.0) == 0
    assert diagnosis.dbfs(0.1) == pytest.approx(-20)
    assert diagnosis.dbfs(0.0) == -200
