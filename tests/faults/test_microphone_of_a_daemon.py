"""A daemon whose microphone goes: said once everywhere, and words are heard again in the same process."""

import time
from collections import Counter
from pathlib import Path

import pytest
import soundfile

from kwsd.client import Connection
from tests.helpers.kwsd_process import DEMO, LIMIT_S, running
from tests.helpers.service_manager import Manager
from tests.helpers.virtual_mic import VirtualMic

PROMISED_S = 3.0


def next_state(client: Connection, *states: str) -> dict:
    """The next status event with one of these states."""
    while (message := client.receive(LIMIT_S)) is not None:
        if message["type"] == "status" and message["state"] in states:
            return message
    raise AssertionError(states)


@pytest.mark.parametrize(
    ("away", "back", "states"),
    [("kill", "start", ("recovering", "waiting")), ("freeze", "thaw", ("stalled",))],
    ids=["killed server", "frozen server"],
)
def test_it_is_said_once_everywhere_and_words_are_heard_again(
    away: str,
    back: str,
    states: tuple[str, ...],
    microphone: VirtualMic,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Socket event, service manager, snapshot and log tell the state; after the return the demo's words come."""
    path, recording = tmp_path / "kwsd.sock", tmp_path / "demo.wav"
    signal, rate_hz = soundfile.read(DEMO, dtype="int16")
    soundfile.write(recording, signal[: 8 * rate_hz], rate_hz)
    manager = Manager(tmp_path / "notify")
    request.addfinalizer(manager.close)
    environment = {**microphone.env, "NOTIFY_SOCKET": str(manager.path)}
    with running("--socket", path, env=environment) as daemon:
        daemon.wait_for_log("listening: ")
        with Connection(str(path)) as client:
            gone_s = time.monotonic()
            microphone.do(away)
            told = next_state(client, *states)
            assert time.monotonic() - gone_s < PROMISED_S
            daemon.wait_for(lambda: manager.status().startswith(states), "the service manager is told")
            daemon.wait_for_log(f"{told['state']}: {told['reason']}")
            client.send({"get": "status"})
            while (message := client.receive(LIMIT_S))["type"] != "snapshot":
                pass
            assert message["state"] in states
            microphone.do(back)
            back_s = time.monotonic()
            next_state(client, "listening")
            assert time.monotonic() - back_s < PROMISED_S
            daemon.wait_for(lambda: manager.status().startswith("listening"), "the service manager is told")
        microphone.play(recording)
        daemon.wait_for(lambda: len(daemon.words) >= 2, "words are heard again", 20)
        code, took_s = daemon.stop()
    assert code == 0 and took_s < 1.0, daemon.log
    bad = {line: count for line, count in Counter(daemon.log).items() if count > 1 and "listening" not in line}
    assert not {line for line in bad if "Expression" not in line}, bad
    assert manager.status().startswith("stopping")
    assert "READY=1" in manager.said and "STOPPING=1" in manager.said
