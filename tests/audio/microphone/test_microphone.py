"""What the microphone makes of what its processes report; they are none here."""

import os
import time

import pytest

from kwsd.audio.microphone import microphone as module
from kwsd.audio.microphone.devices import CannotOpenError, NoDeviceError
from kwsd.audio.microphone.microphone import Microphone, block_ms_for
from kwsd.audio.microphone.wire import Outlet
from kwsd.audio.settings import AudioSettings
from kwsd.audio.source import Block, Found, Gap
from kwsd.errors import ConfigError, UnavailableError

LIBRARY = UnavailableError("microphone", "ALSA's configuration names no devices")
SEVERAL = ConfigError("device 'USB': fits several")


class Captured:
    """A capture that does what a test says."""

    def __init__(self, wanted):
        self.wanted, self.opened, self.failure, self.ended, self.overruns, self.killed = wanted, None, None, None, 0, 0
        self.samples_from, writing = os.pipe()
        self._writing = os.fdopen(writing, "wb")
        self._outlet = Outlet(writing, wanted["rate_hz"], 320, lambda _: None)
        self._waiting_s = 0.0
        self._reported = True

    def step(self):
        reported, self._reported = self._reported, False
        return reported

    def waiting_s(self):
        return self._waiting_s

    def usage(self):
        return 1.5, 20.0

    def kill(self):
        self.killed += 1
        os.close(self.samples_from)
        if not self._writing.closed:
            self._writing.close()

    def open(self, name="USB Audio"):
        self.opened, self._reported = name, True

    def deliver(self):
        self._outlet.write(bytes(640), False)
        self._waiting_s = 0.02

    def go(self, why="the device went away"):
        self.ended = why
        self._writing.close()


@pytest.fixture
def begin(monkeypatch):
    """Makes a Microphone, and lists its captures."""
    begun, captures = [], []

    def capture(wanted):
        captures.append(Captured(dict(wanted)))
        return captures[-1]

    def make(settings=None, **how):
        begun.append(Microphone(settings or AudioSettings(), 16_000, **how))
        return begun[-1], captures

    monkeypatch.setattr(module, "Capture", capture)
    yield make
    for each in begun:
        each.close()
    assert [capture.killed for capture in captures] == [1] * len(captures)


def test_a_device_is_opened_heard_and_named(begin):
    microphone, captures = begin(AudioSettings(device="usb", channel=1), stride_ms=40)
    wanted = {"device": "usb", "full_name": None, "channel": 1, "rate_hz": 16_000, "block_ms": 40}
    assert captures[0].wanted == wanted and microphone.name == "usb"
    captures[0].open()
    captures[0].deliver()
    microphone.step(time.monotonic())
    assert (microphone.name, microphone.state.state) == ("USB Audio", "listening")
    assert isinstance(microphone.read(5), Block)
    assert microphone.usage == (1.5, 20.0)


def test_after_its_end_the_device_of_that_name_is_opened_in_a_new_process(begin):
    microphone, captures = begin(AudioSettings(device="usb"))
    captures[0].open()
    captures[0].deliver()
    microphone.step(time.monotonic())
    assert isinstance(microphone.read(5), Block) and microphone.read(0) is None
    captures[0].overruns = 3
    captures[0].go()
    microphone.step(time.monotonic())
    assert microphone.state.state == "recovering"
    assert captures[1].wanted["full_name"] == "USB Audio" and captures[0].killed
    captures[1].open()
    captures[1].deliver()
    microphone.step(time.monotonic())
    assert microphone.state.state == "listening"
    assert microphone.read(0) is None, "what ended is told, so that the main thread looks at once"
    assert isinstance(microphone.read(5), Gap) and isinstance(microphone.read(5), Block)
    assert microphone.counters["overruns"] == 3


def test_the_default_device_is_whatever_it_is_next_time(begin):
    microphone, captures = begin()
    captures[0].open("Mic")
    microphone.step(time.monotonic())
    captures[0].go()
    microphone.step(time.monotonic() + 2)
    assert captures[1].wanted["full_name"] is None


def test_a_silent_device_is_tried_by_a_second_process_which_stays_if_it_alone_is_heard(begin):
    microphone, captures = begin()
    now_s = time.monotonic()
    captures[0].open()
    captures[0].deliver()
    microphone.step(now_s)
    assert isinstance(microphone.read(5), Block)
    captures[0]._waiting_s = 0.0
    microphone.step(now_s + 0.1)
    microphone.step(now_s + 2.2)
    assert microphone.state.state == "stalled" and len(captures) == 2
    captures[1].open()
    captures[1].deliver()
    microphone.step(now_s + 2.4)
    assert (captures[0].killed, captures[1].killed) == (1, 0)
    items = [microphone.read(5) for _ in range(3)]
    assert [type(item) for item in items] == [type(None), Gap, Block]


def test_audio_that_waits_for_a_slow_spotter_is_audio(begin):
    microphone, captures = begin()
    captures[0].open()
    captures[0].deliver()
    for later_s in (0, 5, 10):
        microphone.step(time.monotonic() + later_s)
        assert microphone.state.state == "listening"
    assert microphone.counters["waiting"] == 320


@pytest.mark.parametrize("error", [LIBRARY, SEVERAL], ids=["library", "name"])
def test_at_the_start_what_waiting_does_not_mend_is_raised(begin, error):
    microphone, captures = begin()
    captures[0].failure = error
    with pytest.raises(type(error)):
        microphone.step(time.monotonic())


@pytest.mark.parametrize("error", [LIBRARY, SEVERAL], ids=["library", "name"])
def test_later_it_is_waited_for(begin, error):
    """A package being upgraded, a second device of the name: a kwsd that heard before will hear again."""
    microphone, captures = begin()
    captures[0].open()
    microphone.step(time.monotonic())
    captures[0].failure = error
    captures[0].go("the capture process ended with 0")
    microphone.step(time.monotonic() + 0.1)
    assert microphone.state[:2] == ("waiting", str(error))
    microphone.step(time.monotonic() + 2)
    assert len(captures) == 2


@pytest.mark.parametrize("error", [LIBRARY, SEVERAL], ids=["library", "name"])
@pytest.mark.parametrize("found", [Found(), Found("usb", "USB Audio")], ids=["nothing", "a device"])
def test_after_a_pause_the_device_of_that_name_is_opened_and_whatever_hinders_it_is_waited_for(begin, error, found):
    before, captures = begin(AudioSettings(device="usb"))
    if found.full_name:
        captures[0].open(found.full_name)
        before.step(time.monotonic())
        assert before.found == found
    microphone, captures = begin(AudioSettings(device="usb"), again=found)
    assert captures[1].wanted["full_name"] == found.full_name
    assert microphone.name == (found.full_name or "usb")
    captures[1].failure = error
    captures[1].go("the capture process ended with 0")
    microphone.step(time.monotonic())
    assert microphone.state[:2] == ("waiting", str(error))


@pytest.mark.parametrize("device", [None, "mic", 1])
def test_what_was_found_before_a_pause_does_not_hold_for_another_name(begin, device):
    _, captures = begin(AudioSettings(device=device), again=Found("usb", "USB Audio"))
    assert captures[0].wanted["full_name"] is None


@pytest.mark.parametrize(
    "failure", [NoDeviceError("device 'usb'", "no such input device"), CannotOpenError("device 'usb'", "busy")]
)
def test_a_device_is_waited_for_or_not(begin, failure):
    patient, captures = begin()
    captures[0].failure, captures[0]._reported = failure, True
    patient.step(time.monotonic())
    assert patient.state[:2] == ("waiting", str(failure))
    impatient, captures = begin(wait=False)
    captures[1].failure = failure
    with pytest.raises(UnavailableError, match="kwsd doctor"):
        impatient.step(time.monotonic())


def test_who_does_not_wait_does_not_wait_for_what_hangs_or_crashes_either(begin):
    hanging, captures = begin(wait=False)
    hanging.step(time.monotonic())
    with pytest.raises(UnavailableError, match="does not answer"):
        hanging.step(time.monotonic() + 3)
    crashing, captures = begin(wait=False)
    captures[-1].go("the audio library crashed (Aborted)")
    with pytest.raises(UnavailableError, match="crashed"):
        crashing.step(time.monotonic())


@pytest.mark.parametrize(
    ("stride_ms", "block_ms"), [(20, 20), (30, 30), (40, 40), (100, 100), (150, 75), (1000, 100), (1, 5)]
)
def test_a_block_goes_into_a_stride_a_whole_number_of_times(stride_ms, block_ms):
    assert block_ms_for(stride_ms) == block_ms


def test_a_block_length_that_is_set_holds(begin):
    _, captures = begin(AudioSettings(block_ms=20), stride_ms=40)
    assert captures[0].wanted["block_ms"] == 20
