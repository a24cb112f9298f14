"""kwsd/audio/microphone/capture.py: whatever the audio library does, it does it in a process that can be thrown away.

The library is a made one, on a search path of the test's own: the child is a real process.
"""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kwsd.audio.microphone.capture import Capture, survey
from kwsd.audio.microphone.devices import CannotOpenError, NoDeviceError
from kwsd.audio.microphone.inlet import Inlet, Opened, RawBlock
from kwsd.errors import ConfigError, UnavailableError

ROOT = Path(__file__).resolve().parents[3]
LIMIT_S = 30.0
WANTED = {"device": None, "full_name": None, "channel": 1, "rate_hz": 16_000, "block_ms": 20}

MODULE = """
import array, os, sys, time

class PortAudioError(Exception): pass
class default: device = (0, -1)
def get_portaudio_version(): return (1, "Made 1")
def query_hostapis(): return ({"name": "ALSA"},)
def query_devices():
    return [{"name": name, "hostapi": 0, "max_input_channels": 2, "default_samplerate": 48000.0} for name in NAMES]
def check_input_settings(device, channels, dtype, samplerate): pass
def _initialize(): pass
def _terminate(): pass
NAMES = ["Made"]

class RawInputStream:
    def __init__(self, samplerate, blocksize, device, channels, dtype):
        self.at = 0
    def start(self): pass
    def read(self, frames):
        time.sleep(0.001)
        self.at += frames
        pairs = [value for i in range(self.at - frames, self.at) for value in (-1, i % 30000)]
        return array.array("h", pairs).tobytes(), False
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Makes the audio library, with more code behind it."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}")

    def make(more=""):
        (tmp_path / "sounddevice.py").write_text(MODULE + more)

    return make


@pytest.fixture
def capture():
    begun = []

    def begin(**wanted):
        begun.append(Capture({**WANTED, **wanted}))
        return begun[-1]

    yield begin
    for each in begun:
        each.kill()


def step_until(capture, condition, what):
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"never: {what}"
        capture.step()
        time.sleep(0.005)


def has_gone(pid):
    """Whether no such process runs."""
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def wait_for_end(pid):
    deadline_s = time.monotonic() + LIMIT_S
    while not has_gone(pid):
        assert time.monotonic() < deadline_s, f"process {pid} still runs"
        time.sleep(0.01)


def test_one_channel_of_what_the_device_gives_comes_through_the_pipe(library, capture):
    library()
    captured, inlet = capture(), Inlet()
    inlet.follow(os.dup(captured.samples_from))
    step_until(captured, lambda: captured.opened, "it is open")
    assert captured.opened == "Made"
    assert inlet.read(LIMIT_S) == Opened(16_000)
    for start in range(0, 3200, 320):
        block = inlet.read(LIMIT_S)
        assert isinstance(block, RawBlock)
        np.testing.assert_array_equal(block.samples, np.arange(start, start + 320))
    assert captured.usage()[1] > 1
    inlet.close()


def test_the_child_s_audio_waits_until_it_is_read_and_what_finds_no_room_is_counted(library, capture):
    library()
    captured = capture()
    step_until(captured, lambda: captured.overruns > 3, "the pipe is full")
    assert captured.waiting_s() > 16


@pytest.mark.parametrize(
    ("more", "how"),
    [
        ("def read(*_): raise PortAudioError('gone')\nRawInputStream.read = read", "the device went away"),
        ("def read(*_): os.abort()\nRawInputStream.read = read", "the audio library crashed (Aborted)"),
        ("def start(*_): os.kill(os.getpid(), 11)\nRawInputStream.start = start", "crashed (Segmentation fault)"),
        ("os.abort()", "the audio library crashed (Aborted)"),
        ("def read(*_): raise TypeError('a bug')\nRawInputStream.read = read", "TypeError: a bug"),
    ],
    ids=["device", "abort", "segmentation fault", "at once", "a fault of ours"],
)
def test_how_it_ended_is_told(library, capture, more, how):
    library(more)
    captured = capture()
    step_until(captured, lambda: captured.ended, "it has ended")
    assert how in captured.ended


@pytest.mark.parametrize(
    ("wanted", "more", "error", "words"),
    [
        ({"device": "nosuch"}, "", NoDeviceError, "no such input device; there are: 0 'Made'"),
        ({"full_name": "Other"}, "", NoDeviceError, "it is gone"),
        ({"device": "made"}, "NAMES.append('Made 2'); NAMES.append('made 3'); del NAMES[0]", ConfigError, "several"),
        ({"channel": 2}, "", ConfigError, "channel 2: device 'Made' has 2"),
        ({}, "def start(*_): raise PortAudioError('Device unavailable', -9985)\nRawInputStream.start = start",
         CannotOpenError, "Another program may be using it"),
        ({}, "raise OSError('PortAudio library not found')", UnavailableError, "apt install libportaudio2"),
    ],
    ids=["absent", "gone", "several", "channel", "busy", "library"],
)  # fmt: skip
def test_why_it_cannot_be_opened_is_told(library, capture, wanted, more, error, words):
    library(more)
    captured = capture(**wanted)
    step_until(captured, lambda: captured.failure, "it failed")
    assert type(captured.failure) is error and words in str(captured.failure)


def test_a_device_that_comes_late_is_opened_by_the_same_child(library, capture, tmp_path):
    library(
        "def query_hostapis():\n"
        f"    NAMES[:] = ['Made'] if os.path.exists('{tmp_path}/there') else []\n"
        "    return ({'name': 'ALSA'},)\n"
    )
    captured = capture()
    step_until(captured, lambda: captured.failure, "it is absent")
    (tmp_path / "there").touch()
    step_until(captured, lambda: captured.opened, "it is open")
    assert captured.failure is None and captured.ended is None


@pytest.mark.parametrize("call", ["RawInputStream.read", "RawInputStream.start", "query_devices"])
def test_what_hangs_is_ended_at_once_with_what_it_has_started(library, tmp_path, call):
    library(
        f"def hang(*_):\n    import signal, subprocess\n"
        f"    other = subprocess.Popen(['sleep', '1000'])\n"
        f"    open('{tmp_path}/new', 'w').write(str(other.pid)); os.rename('{tmp_path}/new', '{tmp_path}/pid')\n"
        f"    while True: time.sleep(1000)\n{call} = hang"
    )
    captured = Capture(WANTED)
    step_until(captured, (tmp_path / "pid").exists, "it hangs")
    begun_s = time.monotonic()
    captured.kill()
    assert time.monotonic() - begun_s < 1
    wait_for_end(int((tmp_path / "pid").read_text()))


def test_what_the_library_prints_goes_nowhere(library, capture, capfd, tmp_path):
    """Also a flood of it: PortAudio was seen to write a gigabyte."""
    library(
        f"def read(*_):\n    os.write(2, b'Expression failed ' * 60000); os.write(1, b'x' * 60000)\n"
        f"    open('{tmp_path}/flooded', 'w').close()\n    return b'\\0' * 4 * 320, False\nRawInputStream.read = read"
    )
    captured = capture()
    step_until(captured, (tmp_path / "flooded").exists, "it prints")
    step_until(captured, lambda: captured.waiting_s() > 0.1, "it goes on")
    assert captured.ended is None
    assert capfd.readouterr() == ("", "")


def test_nothing_of_the_working_folder_is_imported(library, capture, tmp_path, monkeypatch):
    library()
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in ("sounddevice", "json", "subprocess", "kwsd"):
        (trap / f"{name}.py").write_text(f"open('{tmp_path}/sprung', 'w').close()")
    monkeypatch.chdir(trap)
    captured = capture()
    step_until(captured, lambda: captured.opened, "it is open")
    assert survey(LIMIT_S).version == "Made 1"
    assert not (tmp_path / "sprung").exists()


def test_it_ends_with_its_parent_even_while_it_hangs(library, tmp_path):
    library("def read(*_):\n    while True: time.sleep(1000)\nRawInputStream.read = read")
    program = (
        f"import os, signal, time\nfrom kwsd.audio.microphone.capture import Capture\ncapture = Capture({WANTED!r})\n"
        "while not capture.opened: capture.step(); time.sleep(0.01)\n"
        "print(capture._child._process.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == -9, done.stderr
    wait_for_end(int(done.stdout))


def test_signals_are_the_parent_s(library, capture):
    """Ctrl-C goes to all processes of a terminal, SIGTERM of systemd to all of a service."""
    library()
    captured = capture()
    step_until(captured, lambda: captured.opened, "it is open")
    process = captured._child._process
    assert os.getpgid(process.pid) == process.pid
    for number in (1, 2, 15):
        os.kill(process.pid, number)
    overruns = captured.overruns
    step_until(captured, lambda: captured.overruns > overruns, "it goes on")
    assert captured.ended is None


def test_where_no_process_can_be_started_it_has_ended_with_the_reason(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    before = open_files()
    monkeypatch.setattr(subprocess, "Popen", refuse)
    captured = Capture(WANTED)
    captured.step()
    assert isinstance(captured.failure, CannotOpenError) and "Too many open files" in captured.ended
    captured.kill()
    assert open_files() == before


def test_nothing_is_left_of_one_that_is_killed(library):
    library()
    before = open_files()
    captured = Capture(WANTED)
    step_until(captured, lambda: captured.opened, "it is open")
    captured.kill()
    assert open_files() == before


def test_a_survey_tells_devices_and_the_rates_of_those_that_are_asked_for(library):
    library("NAMES.append('Other')")
    found = survey(LIMIT_S, rates_of=["Other"])
    assert (found.version, [device.name for device in found.devices], found.fault) == (
        "Made 1",
        ["Made", "Other"],
        None,
    )
    assert found.rates_hz == [None, [8000, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000]]
    assert all(survey(LIMIT_S, rates_of=None).rates_hz)
    assert survey(LIMIT_S).rates_hz == [None, None]


@pytest.mark.parametrize(
    ("more", "limit_s", "devices", "words"),
    [
        ("os.abort()", LIMIT_S, 0, "the audio library crashed (Aborted)"),
        ("def query_devices(): time.sleep(1000)", 1.0, 0, "no answer within 1 s"),
        ("def check_input_settings(**_): os.abort()", LIMIT_S, 1, "crashed"),
        ("raise OSError('PortAudio library not found')", LIMIT_S, 0, "the library is not there"),
    ],
    ids=["crash", "hang", "crash at a rate", "library"],
)
def test_a_survey_tells_what_it_knows_and_why_the_rest_is_missing(library, more, limit_s, devices, words):
    library(more)
    begun_s = time.monotonic()
    found = survey(limit_s, rates_of=None)
    assert len(found.devices) == devices and isinstance(found.fault, UnavailableError) and words in str(found.fault)
    assert time.monotonic() - begun_s < LIMIT_S
