"""kwsd/audio/microphone/portaudio.py: which stream is opened, on a sound library that is none."""

from array import array
from types import SimpleNamespace

import pytest

from kwsd.audio.microphone import portaudio, sound_server
from kwsd.audio.microphone.devices import CannotOpenError, Device, NoDeviceError
from kwsd.audio.microphone.portaudio import Wanted, described, open_patiently, open_stream, own_channels, pick
from kwsd.errors import ConfigError, UnavailableError

WANTED = Wanted(device=None, full_name=None, channel=0, rate_hz=16_000, block_ms=40)


class Library:
    """As much of sounddevice as opening takes; it opens what ``opens(rate_hz, channels)`` says."""

    class PortAudioError(Exception):
        """With PortAudio's code as its second argument."""

    default = SimpleNamespace(device=(0, -1))

    def __init__(self, channels=2, opens=lambda rate_hz, channels: True):
        self.asked, self.rescans = [], 0
        self._channels, self._opens = channels, opens

    def query_hostapis(self):
        return ({"name": "ALSA"},)

    def query_devices(self):
        info = {"name": "Mic", "hostapi": 0, "max_input_channels": self._channels, "default_samplerate": 48_000.0}
        return [info] if self._channels else []

    def RawInputStream(self, **how):  # noqa: N802 - sounddevice's name
        self.asked.append(how)
        if not self._opens(how["samplerate"], how["channels"]):
            raise self.PortAudioError("Error opening RawInputStream: Device unavailable", -9985)
        return SimpleNamespace(start=lambda: None)

    def _terminate(self):
        self.rescans += 1

    def _initialize(self):
        """Finds the same again."""


def opened(library, wanted=WANTED):
    stream = open_stream(library, wanted)
    return stream.rate_hz, stream.frames, stream.channels


def test_all_channels_of_the_device_are_opened_at_the_rate_and_block_that_are_wanted():
    library = Library(channels=6)
    assert opened(library) == (16_000, 640, 6)
    wanted = {"samplerate": 16_000, "blocksize": 640, "device": 0, "channels": 6, "dtype": "int16"}
    assert library.asked == [wanted]


@pytest.mark.parametrize(
    ("opens", "expected"),
    [
        (lambda rate_hz, channels: channels == 1, (16_000, 640, 1)),
        (lambda rate_hz, channels: rate_hz == 48_000, (48_000, 1920, 6)),
        (lambda rate_hz, channels: (rate_hz, channels) == (48_000, 1), (48_000, 1920, 1)),
    ],
    ids=["not all channels", "its own rate", "neither"],
)
def test_what_does_not_open_is_tried_otherwise(opens, expected):
    assert opened(Library(channels=6, opens=opens)) == expected


def test_what_does_not_open_at_all_is_told_with_portaudio_s_words():
    with pytest.raises(CannotOpenError) as refused:
        opened(Library(opens=lambda *_: False))
    text = str(refused.value)
    assert text.startswith("device 'Mic': cannot be opened (") and text.endswith("Another program may be using it.")


def test_a_channel_that_the_device_lacks_is_a_fault_of_the_configuration():
    with pytest.raises(ConfigError, match="channel 2: device 'Mic' has 2, counted from 0"):
        opened(Library(), WANTED._replace(channel=2))


def test_a_channel_that_the_sound_server_s_source_lacks_is_none_of_the_plug_in_s_many(monkeypatch):
    monkeypatch.setattr(portaudio, "default_source", lambda: SOURCE)
    with pytest.raises(ConfigError, match="channel 4: device 'Mic' has 4, counted from 0"):
        opened(Library(channels=32), WANTED._replace(channel=4))


SOURCE = sound_server.PulseSource(0, "mic", "Mic", 4, 48_000, False)


@pytest.mark.parametrize(
    ("claimed", "source", "channel", "channels"),
    [
        (1, None, 0, 1),
        (18, None, 3, 18),
        (32, SOURCE, 0, 4),  # PulseAudio's plug-in: what the source has
        (64, SOURCE, 3, 4),
        (32, None, 0, 2),  # nobody to ask: two, since one would be a mixture of both
        (128, SOURCE, 0, 2),  # ALSA's "plug", which has nothing to do with a server
        (128, None, 3, 4),
    ],
)
def test_a_device_s_own_channels_are_opened(monkeypatch, claimed, source, channel, channels):
    monkeypatch.setattr(portaudio, "default_source", lambda: source)
    assert own_channels(Device(0, "x", "ALSA", claimed, 48_000, True), channel) == channels


def test_a_mixing_desk_with_as_many_channels_as_a_plug_in_claims_has_them_all(monkeypatch):
    monkeypatch.setattr(portaudio, "default_source", lambda: SOURCE)
    assert own_channels(Device(1, "X32: USB Audio (hw:1,0)", "ALSA", 32, 48_000, False), 5) == 32


def test_one_channel_is_picked():
    interleaved = array("h", [1, -1, 2, -2, 3, -3]).tobytes()
    assert bytes(pick(interleaved, 2, 1)) == array("h", [-1, -2, -3]).tobytes()
    assert bytes(pick(interleaved, 1, 0)) == interleaved


def test_attempts_are_reported_and_devices_looked_for_again_where_none_fits(monkeypatch):
    monkeypatch.setattr(portaudio, "RETRY_S", 0.0)
    reports, library = [], Library(channels=0)

    def report(**what):
        reports.append(what)
        if library.rescans == 2:
            library._channels = 1

    open_patiently(library, report, WANTED)
    assert [next(iter(each)) for each in reports] == ["trying", "failed", "trying", "failed", "trying"]
    assert reports[1]["failed"]["kind"] == "absent"


def test_a_device_that_is_busy_is_not_looked_for_every_time(monkeypatch):
    monkeypatch.setattr(portaudio, "RETRY_S", 0.0)
    library = Library(opens=lambda *_: len(library.asked) > 20)
    open_patiently(library, lambda **_: None, WANTED)
    assert library.rescans == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NoDeviceError("a", "b", "c"), {"kind": "absent", "what": "a", "why": "b", "mend": "c"}),
        (CannotOpenError("a", "b"), {"kind": "refused", "what": "a", "why": "b", "mend": ""}),
        (UnavailableError("a", "b"), {"kind": "library", "what": "a", "why": "b", "mend": ""}),
        (ConfigError("one", "two"), {"kind": "config", "faults": ("one", "two")}),
    ],
)
def test_errors_travel_as_json(error, expected):
    assert described(error) == expected
