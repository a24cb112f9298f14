"""kwsd/audio/microphone/devices.py: which device is meant."""

import pytest

from kwsd.audio.microphone import sound_server
from kwsd.audio.microphone.devices import (
    Device,
    NoDeviceError,
    add_sources,
    find,
    find_again,
    list_devices,
    rates_that_open,
)
from kwsd.errors import ConfigError

DEVICES = [
    Device(0, "USB Audio: - (hw:1,0)", "ALSA", 1, 44_100, False),
    Device(2, "USB Audio: Camera (hw:2,0)", "ALSA", 2, 48_000, False),
    Device(4, "pulse", "ALSA", 32, 44_100, False),
    Device(5, "Pulse Monitor", "ALSA", 2, 44_100, False),
    Device(7, "default", "ALSA", 32, 44_100, True),
]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (None, 7),
        (2, 2),
        ("camera", 2),
        ("CAMERA (HW", 2),
        ("pulse", 4),  # a whole name wins over parts
        ("PULSE", 4),
        ("monitor", 5),
        ("hw:1", 0),
    ],
)
def test_a_device_is_found_by_index_name_or_part_of_it(wanted, index):
    assert find(DEVICES, wanted).index == index


@pytest.mark.parametrize("wanted", ["nosuch", 1, "7", -1])
def test_a_name_that_fits_none_lists_those_there_are(wanted):
    with pytest.raises(NoDeviceError) as refused:
        find(DEVICES, wanted)
    assert all(repr(device.name) in str(refused.value) for device in DEVICES)
    assert refused.value.exit_code == 69


def test_a_name_that_fits_several_is_refused_and_lists_these():
    with pytest.raises(ConfigError, match="fits several") as refused:
        find(DEVICES, "usb")
    assert "0 'USB Audio: - (hw:1,0)', 2 'USB Audio: Camera" in str(refused.value)
    assert "pulse" not in str(refused.value)


def test_without_any_device_it_says_so():
    for wanted in (None, "usb", 0):
        with pytest.raises(NoDeviceError, match="no input device"):
            find([], wanted)


def test_without_a_default_the_first_is_taken():
    assert find(DEVICES[:4], None).index == 0


def test_it_is_found_again_by_its_full_name_only():
    moved = [Device(9, "USB Audio: Camera (hw:2,0)", "ALSA", 2, 48_000, False), DEVICES[4]]
    assert find_again(moved, DEVICES[1].name).index == 9
    with pytest.raises(NoDeviceError, match="it is gone; there are: "):
        find_again(moved, "USB Audio: Camera")


class FakeSoundDevice:
    """As much of sounddevice as listing takes."""

    class PortAudioError(Exception):
        pass

    class default:  # noqa: N801 - sounddevice's name
        device = (1, -1)

    @staticmethod
    def query_hostapis():
        return ({"name": "ALSA"}, {"name": "JACK"})

    @staticmethod
    def query_devices():
        names = [("speaker", 0, 0), ("mic", 1, 1), ("line", 2, 0)]
        return [
            {"name": name, "max_input_channels": inputs, "hostapi": api, "default_samplerate": 44_100.0}
            for name, inputs, api in names
        ]

    def check_input_settings(self, device, channels, dtype, samplerate):
        if samplerate not in (44_100, 48_000):
            raise self.PortAudioError("Invalid sample rate")


def test_inputs_are_listed_with_the_default_marked_and_the_rates_that_open():
    fake = FakeSoundDevice()
    devices = list_devices(fake)
    assert [(device.index, device.name, device.host_api, device.is_default) for device in devices] == [
        (1, "mic", "JACK", True),
        (2, "line", "ALSA", False),
    ]
    assert rates_that_open(fake, devices[0]) == [44_100, 48_000]


SOURCES = [
    Device(4, "alsa_output.usb-Jabra.monitor", "PulseAudio", 2, 48_000, False, "Monitor of Jabra Speak", True),
    Device(4, "alsa_input.usb-Jabra.mono", "PulseAudio", 1, 16_000, False, "Jabra Speak Mono"),
    Device(4, "alsa_input.pci-hda.stereo", "PulseAudio", 2, 48_000, False, "Küche Stereo"),
]


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("jabra", "alsa_input.usb-Jabra.mono"),  # a microphone before what a loudspeaker plays
        ("monitor of jabra", "alsa_output.usb-Jabra.monitor"),
        ("KÜCHE", "alsa_input.pci-hda.stereo"),
        ("alsa_input.usb-jabra.mono", "alsa_input.usb-Jabra.mono"),
        ("camera", "USB Audio: Camera (hw:2,0)"),
        ("monitor", "Pulse Monitor"),  # PortAudio's own devices before sources
        (4, "pulse"),  # a source has no index of its own
        (None, "default"),
    ],
)
def test_a_source_goes_by_name_and_description_after_portaudio_s_own_devices(wanted, name):
    assert find([*DEVICES, *SOURCES], wanted).name == name


def test_a_part_that_fits_several_sources_is_refused_and_lists_these():
    with pytest.raises(
        ConfigError, match=r"fits several: 'alsa_input\.usb-Jabra\.mono', 'alsa_input\.pci-hda\.stereo'\. "
    ):
        find([*DEVICES, *SOURCES], "alsa_input")


def test_sources_are_added_where_a_device_leads_to_the_server(monkeypatch):
    monkeypatch.setattr(
        sound_server, "list_sources", lambda: [sound_server.PulseSource(0, "mic.monitor", "Monitor", 1, 16_000, True)]
    )
    *own, source = add_sources(DEVICES)
    assert own == DEVICES
    assert (source.index, source.name, source.source, source.is_monitor) == (4, "mic.monitor", "mic.monitor", True)
    assert add_sources(DEVICES[:2]) == DEVICES[:2]


def test_a_source_opens_at_any_rate_since_its_server_resamples():
    class Untouched:
        """A sounddevice that must not be asked."""

    assert 16_000 in rates_that_open(Untouched(), SOURCES[0])
