"""Two microphones, each with its listener: one is unplugged and comes back, and the other hears on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from kwsd.client import ask
from tests.helpers.kwsd_process import DEMO, running
from tests.helpers.virtual_mic import VirtualMic


def plug_in_a_second(microphone: VirtualMic) -> str:
    """Another source of the same server; the number by which it is unplugged."""
    sink = ["sink_name=porch", "rate=16000", "channels=1", "format=s16le", "norewinds=1"]
    return microphone.pactl("load-module", "module-null-sink", *sink, "sink_properties=device.description=porch")[0][0]


@pytest.fixture
def second(microphone: VirtualMic) -> Iterator[list[str]]:
    """The numbers of the second microphone, the last of which is plugged in."""
    numbers = [plug_in_a_second(microphone)]
    yield numbers
    microphone.pactl("unload-module", numbers[-1])


def test_one_microphone_is_unplugged_and_the_other_hears_on(
    microphone: VirtualMic, second: list[str], tmp_path: Path
) -> None:
    demo_wav = tmp_path / "demo.wav"
    signal, rate_hz = soundfile.read(DEMO, dtype="int16")
    soundfile.write(demo_wav, signal, rate_hz)
    path, config = tmp_path / "kwsd.sock", tmp_path / "kwsd.yaml"
    config.write_text(
        "listeners:\n  kitchen: {audio: {device: mic.monitor}}\n  porch: {audio: {device: porch.monitor}}\n"
        f"sinks: [{{type: stdout}}, {{type: socket, path: {path}}}]\n"
    )

    def listeners() -> dict[str, Any]:
        return ask(path, {"get": "status"}, ("snapshot",))["listeners"]  # type: ignore[no-any-return]

    def states() -> dict[str, str]:
        return {name: listener["state"] for name, listener in listeners().items()}

    with running("--config", config, env=microphone.env) as daemon:
        daemon.wait_for(path.exists, "the socket is there")
        daemon.wait_for(lambda: set(states().values()) <= {"listening", "degraded"}, "both listen")
        microphone.pactl("unload-module", second[0])
        daemon.wait_for(lambda: states()["porch"] in ("waiting", "recovering", "stalled"), "the loss is told", 10)
        lost = listeners()["kitchen"]["samples_lost"]
        with microphone.playing(demo_wav):
            daemon.wait_for(lambda: len(daemon.events) >= 3, "the other hears words", 30)
        assert {event["listener"] for event in daemon.events} == {"kitchen"}
        assert listeners()["kitchen"]["samples_lost"] == lost
        second.append(plug_in_a_second(microphone))
        daemon.wait_for(lambda: states()["porch"] in ("listening", "degraded"), "it is heard again", 10)
        assert daemon.stop()[0] == 0


def test_after_a_pause_the_same_microphone_is_heard_though_its_name_now_fits_another_too(
    microphone: VirtualMic, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """At the start such a name ends kwsd with 78, which a service manager does not start again."""
    path = tmp_path / "kwsd.sock"
    with running("--device", "monitor", "--socket", path, env=microphone.env) as daemon:
        daemon.wait_for_log("listening: ")
        assert microphone.sources_in_use() == {"mic.monitor"}
        assert ask(path, {"pause": {}}, ("done",))["did"] == "pause"
        number = plug_in_a_second(microphone)
        request.addfinalizer(lambda: microphone.pactl("unload-module", number))
        assert ask(path, {"resume": {}}, ("done",))["did"] == "resume"
        daemon.wait_for(lambda: sum("listening: " in line for line in list(daemon.log)) == 2, "it listens again")
        assert microphone.sources_in_use() == {"mic.monitor"}
        assert daemon.stop()[0] == 0
