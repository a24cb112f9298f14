"""kwsd doctor and kwsd devices on machines where things are missing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kwsd.cli.doctor import check_socket_folder, socket_paths
from kwsd.config import Settings
from kwsd.sinks.socket.settings import SocketSettings
from kwsd.sinks.stdout import StdoutSettings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def kwsd_without_portaudio(tmp_path):
    """Runs kwsd where importing sounddevice fails as it does without libportaudio2."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "kwsd", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_the_doctor_says_how_to_install_portaudio(kwsd_without_portaudio):
    done = kwsd_without_portaudio("doctor", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"], done.stderr) == (69, False, "")
    found = {finding["check"]: finding for finding in report["checks"]}
    assert found["portaudio"]["result"] == "fail"
    assert "apt install libportaudio2" in found["portaudio"]["hint"]
    assert {"runtime", "permission", "server"} <= set(found)
    assert "devices" not in found


def test_each_line_of_the_doctor_begins_with_its_result(kwsd_without_portaudio):
    done = kwsd_without_portaudio("doctor")
    lines = [line for line in done.stdout.splitlines() if not line.startswith("      ")]
    assert lines
    assert all(line.split()[0] in ("ok", "warn", "fail") and ": " in line for line in lines)


def test_without_portaudio_the_devices_end_with_69_and_one_line(kwsd_without_portaudio):
    done = kwsd_without_portaudio("devices")
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr == "kwsd: PortAudio: the library is not there. Install it: apt install libportaudio2\n"


def test_the_configured_sockets_are_looked_at_or_those_by_default(monkeypatch):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert socket_paths(Settings()) == []
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert socket_paths(Settings()) == [Path("/run/user/7/kwsd/kwsd.sock")]
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/kwsd:/run/other")
    assert socket_paths(Settings()) == [Path("/run/kwsd/kwsd.sock")]
    assert socket_paths(Settings(sinks=(StdoutSettings(), SocketSettings(path="/x/y.sock")))) == [Path("/x/y.sock")]
    assert socket_paths(Settings(sinks=(StdoutSettings(),))) == []


def test_a_socket_needs_a_folder_that_can_be_written(tmp_path, monkeypatch):
    assert check_socket_folder(Path("/tmp/kwsd/kwsd.sock")).result == "ok"
    assert check_socket_folder(Path("/tmp/kwsd-nowhere/deeper/still/kwsd.sock")).result == "fail"
    assert "107 bytes" in check_socket_folder(Path("/tmp") / ("x" * 110)).text
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "cannot be written to by kwsd's user" in check_socket_folder(Path("/tmp/kwsd.sock")).text
