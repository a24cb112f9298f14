"""kwsd/audio/portaudio.py: what surrounds calls of PortAudio; none of it needs PortAudio."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from kwsd.audio.devices import Device
from kwsd.audio.portaudio import Call, ServerQuestion, Stream, quiet, rescan
from kwsd.audio.ring import RawBlock, Ring
from kwsd.audio.source import Gap

CHATTER_PROGRAM = """
import os, sys, logging
from kwsd import log
from kwsd.audio.portaudio import Call
log.setup()
def function():
    os.write(2, b"ALSA lib: chatter\\n")
    logging.getLogger("kwsd.test").warning("the log")
    print("Python", file=sys.stderr)
    return 5
call = Call(function)
assert call.wait(10) and call.result() == 5
log.setup()
logging.getLogger("kwsd.test").warning("later")
os.write(2, b"real errors\\n")
"""


def test_only_what_c_libraries_write_is_silenced_during_a_call():
    done = subprocess.run([sys.executable, "-c", CHATTER_PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line]
    assert [line.split("kwsd: ")[-1] for line in lines] == ["the log", "Python", "later", "real errors"]


def test_quiet_can_end_early_and_leaves_no_descriptor_behind(capfd):
    before = set(Path("/proc/self/fd").iterdir())
    with quiet() as restore:
        os.write(2, b"silenced\n")
        restore()
        os.write(2, b"heard\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "heard\nafter\n"
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_a_call_that_hangs_is_not_waited_for():
    go = threading.Event()
    call = Call(go.wait)
    assert not call.wait(0.01)
    call.speak()
    go.set()
    assert call.wait(10) and call.result() is True


def test_a_call_raises_what_its_function_raised():
    def function():
        raise ValueError("this one")

    call = Call(function)
    assert call.wait(10)
    with pytest.raises(ValueError, match="this one"):
        call.result()


@pytest.mark.parametrize(
    ("module", "answers", "hangs"),
    [
        ("def query_devices(): return [{'max_input_channels': 1}]", True, False),
        ("def query_devices(): return [{'max_input_channels': 0}]", False, False),
        ("raise OSError('PortAudio library not found')", False, False),
        ("import time; time.sleep(600)", False, True),
    ],
)
def test_the_server_answers_when_a_child_sees_an_input(tmp_path, monkeypatch, module, answers, hangs):
    (tmp_path / "sounddevice.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    question = ServerQuestion(now_s=0.0)
    now_s = 0.0
    if not hangs:
        question._child.wait(60)  # not the clock, but the child decides
    else:
        assert question.answer(1.9) is None
        now_s = 2.0
    assert (question.answer(now_s), question.hangs) == (answers, hangs)
    question.end()


class FakeSoundDevice:
    """Hands its callback to the test."""

    def __init__(self):
        self.initialised = 0

    def InputStream(self, **how):  # noqa: N802 - sounddevice's name
        self.how = how
        return self

    def start(self):
        pass

    def close(self, ignore_errors):
        self.closed = True

    def _terminate(self):
        self.initialised -= 1

    def _initialize(self):
        self.initialised += 2


@pytest.fixture
def stream():
    fake, ring = FakeSoundDevice(), Ring(1000)
    stream = Stream(fake, Device(3, "usb", "ALSA", 2, 48_000, True), 48_000, ring, channel=1, block_ms=20)
    stream.start()
    yield stream, fake, ring
    if not hasattr(fake, "closed"):
        stream.close()


def test_a_stream_asks_for_the_channel_and_the_block_it_needs(stream):
    _, fake, _ = stream
    wanted = {"samplerate": 48_000, "blocksize": 960, "device": 3, "channels": 2, "dtype": "int16"}
    assert wanted.items() <= fake.how.items()


def test_the_callback_takes_one_channel_and_tells_overflows_as_gaps(stream):
    stream, fake, ring = stream
    fake.how["callback"](np.array([[1, 2], [3, 4]], np.int16), 2, None, "input overflow")
    assert ring.read(0) == Gap(0)
    block = ring.read(0)
    assert isinstance(block, RawBlock) and block.samples.tolist() == [2, 4]
    assert (stream.overflows, stream.error) == (1, None)


def test_an_error_in_the_callback_is_kept_for_the_main_thread(stream):
    stream, fake, _ = stream
    fake.how["callback"](None, 0, None, None)
    assert isinstance(stream.error, TypeError)


def test_a_closed_stream_writes_no_more_and_one_that_ended_says_so(stream):
    stream, fake, ring = stream
    assert not stream.ended
    fake.how["finished_callback"]()
    assert stream.ended
    stream.close()
    fake.how["callback"](np.zeros((2, 2), np.int16), 2, None, None)
    assert ring.received == 0


def test_devices_are_looked_for_again_only_while_nothing_is_open(stream):
    stream, fake, _ = stream
    rescan(fake)
    assert fake.initialised == 0
    stream.close()
    rescan(fake)
    assert fake.initialised == 1
