"""kwsd/audio/microphone/sound_server.py: sources of a sound server, by name."""

import os

import pytest

from kwsd.audio.microphone import sound_server
from tests.helpers.kwsd_process import running

LISTED = """Source #0
	State: IDLE
	Name: alsa_output.pci.monitor
	Description: Monitor of Küche "x"
	Driver: module-alsa-card.c
	Sample Specification: s16le 2ch 48000Hz
	Monitor of Sink: alsa_output.pci
	Properties:
		device.description = "Monitor of K"
		Name: not this one

Source #7
	State: RUNNING
	Name: alsa_input.usb.mono
	Description: C920
	Sample Specification: float32le 1ch 16000Hz
	Monitor of Sink: n/a
"""


def test_pactl_s_list_becomes_sources():
    assert sound_server.parse(LISTED) == [
        sound_server.PulseSource(0, "alsa_output.pci.monitor", 'Monitor of Küche "x"', 2, 48_000, True),
        sound_server.PulseSource(7, "alsa_input.usb.mono", "C920", 1, 16_000, False),
    ]


@pytest.mark.parametrize("listed", ["", "\n", "Source #0\n", "Source #0\n\tName: x\n\tSample Specification: broken\n"])
def test_a_list_without_a_whole_source_is_empty(listed):
    assert sound_server.parse(listed) == []


@pytest.mark.parametrize("script", [None, "exit 1", "exec sleep 60"], ids=["missing", "no server", "frozen"])
def test_without_an_answer_there_are_no_sources(tmp_path, monkeypatch, script):
    if script is not None:
        (tmp_path / "pactl").write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        (tmp_path / "pactl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sound_server, "LIMIT_S", 0.5)
    assert sound_server.list_sources() == []


@pytest.mark.parametrize("before", [None, "mine"])
def test_the_variable_is_the_user_s_again_afterwards(monkeypatch, before):
    monkeypatch.delenv("PULSE_SOURCE", raising=False)
    if before is not None:
        monkeypatch.setenv("PULSE_SOURCE", before)
    with sound_server.leading_to(None):
        assert os.environ.get("PULSE_SOURCE") == before
    with sound_server.leading_to("mic.monitor"):
        assert os.environ["PULSE_SOURCE"] == "mic.monitor"
    assert os.environ.get("PULSE_SOURCE") == before


def test_a_source_is_opened_by_part_of_its_description_and_found_again_by_its_name(microphone):
    """Another one than the server's default, which a program without a wish would get, and get again when this one
    goes: the server then moves whoever records from it."""
    load = ("load-module", "module-null-sink", "sink_name=other", "norewinds=1")
    description = 'sink_properties=device.description="Küche\\ links"'
    modules = [microphone.pactl(*load, description)[0][0]]
    try:
        with running("--device", "küche links", env=microphone.env) as kwsd:
            kwsd.wait_for_log("listening")
            assert microphone.sources_in_use() == {"other.monitor"}
            microphone.pactl("unload-module", modules.pop())
            kwsd.wait_for_log("waiting: device 'other.monitor': it is gone; there are: 0 'pulse'")
            modules.append(microphone.pactl(*load)[0][0])
            kwsd.wait_for(lambda: microphone.sources_in_use() == {"other.monitor"}, "it is heard again")
    finally:
        for module in modules:
            microphone.pactl("unload-module", module)
