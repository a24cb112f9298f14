"""Home Assistant itself discovers a whole kwsd through a real broker, hears its words, pauses it and arms a word.

KWSD_HOME_ASSISTANT_PYTHON names the Python of an environment with `pip install homeassistant`, which wants a newer
Python than kwsd does; without it these are skipped. Last run with Home Assistant 2025.4.4 on Python 3.13.0.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.helpers import broker as mosquitto
from tests.helpers.broker import broker
from tests.helpers.kwsd_process import DEMO, ROOT, running

PYTHON = os.environ.get("KWSD_HOME_ASSISTANT_PYTHON")
HELPER = ROOT / "tests" / "helpers" / "home_assistant.py"

pytestmark = [
    pytest.mark.skipif(PYTHON is None, reason="KWSD_HOME_ASSISTANT_PYTHON does not name a Python with Home Assistant"),
    pytest.mark.skipif(bool(mosquitto.missing()), reason=f"needs {mosquitto.missing()}"),
]

Ask = Callable[[str], Any]


@contextmanager
def home_assistant(port: int, folder: Path) -> Iterator[Ask]:
    """A function: an expression over Home Assistant's states to its value, once that is true."""
    assert PYTHON is not None
    with subprocess.Popen(
        [PYTHON, HELPER, str(port), folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None

        def ask(expression: str) -> Any:
            assert process.stdin is not None and process.stdout is not None
            print(expression, file=process.stdin, flush=True)
            answer = json.loads(process.stdout.readline())
            assert not (isinstance(answer, dict) and "never" in answer), answer
            return answer

        yield ask
        process.stdin.close()


@pytest.fixture
def long_speech(tmp_path: Path) -> Path:
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.tile(samples, 8), rate_hz)
    return path


def test_it_discovers_kwsd_hears_its_words_pauses_it_and_arms_a_word(tmp_path: Path, long_speech: Path) -> None:
    config = tmp_path / "kwsd.yaml"
    with broker(tmp_path) as served, home_assistant(served.port, tmp_path / "ha") as ask:
        sink = f"{{type: mqtt, host: 127.0.0.1, port: {served.port}, node: kitchen}}"
        config.write_text(f"sinks: [{{type: stdout}}, {sink}]\nrecognize: {{on_demand: [go]}}\n")
        with running("--config", config, "--source", long_speech, "--realtime") as kwsd:
            assert ask("state('sensor.kwsd_kitchen_state') == 'listening'")
            # Versions that do not know `default_entity_id` yet name it after its device and itself.
            word = ask(
                "next((each for each in ('event.kwsd_kitchen', 'event.kwsd_kitchen_word') if state(each)), None)"
            )
            heard = ask(f"attributes('{word}').get('event_type') and attributes('{word}')")
            kwsd.wait_for(lambda: heard["id"] in {event["id"] for event in kwsd.events}, "the event is one of kwsd's")
            (event,) = (event for event in kwsd.events if event["id"] == heard["id"])
            assert {key: heard[key] for key in event} == event
            assert heard["event_type"] == event["label"]
            assert "go" in heard["event_types"] and "_unknown_" not in heard["event_types"]
            assert ask("float(state('sensor.kwsd_kitchen_level')) < 0")
            assert ask("state('sensor.kwsd_kitchen_samples_lost') == '0'")
            assert ask("int(state('sensor.kwsd_kitchen_words_heard')) > 0")

            assert ask("call('switch', 'turn_off', 'switch.kwsd_kitchen_listening')")
            assert ask("state('switch.kwsd_kitchen_listening') == 'off'")
            assert ask("state('sensor.kwsd_kitchen_state') == 'paused'")
            assert ask("call('switch', 'turn_on', 'switch.kwsd_kitchen_listening')")
            assert ask("state('sensor.kwsd_kitchen_state') == 'listening'")

            assert ask("state('switch.kwsd_kitchen_armed_go') == 'off'")
            assert ask("call('switch', 'turn_on', 'switch.kwsd_kitchen_armed_go')")
            assert ask("state('switch.kwsd_kitchen_armed_go') == 'on'")
            kwsd.wait_for(lambda: "go" in kwsd.words, "the armed word is heard")
            assert ask(f"attributes('{word}').get('event_type') == 'go' or state('{word}')")

            kwsd.process.kill()
            assert ask(f"state('{word}') == 'unavailable'")
            assert ask("state('switch.kwsd_kitchen_listening') == 'unavailable'")
        assert ask("end") == []
