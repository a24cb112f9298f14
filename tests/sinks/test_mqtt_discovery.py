"""What Home Assistant is told: checked by the rules of its own schemas, and its templates rendered as it renders them.

The rules are those of homeassistant/components/mqtt (schemas.py, event.py, switch.py, sensor.py, const.py) of 2026.11,
which itself wants a newer Python than kwsd does.
"""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kwsd.events import StatusEvent
from kwsd.sinks.mqtt import discovery
from kwsd.status import State
from tests.helpers import broker as mosquitto
from tests.helpers.broker import broker, wait_until, watching
from tests.sinks.test_mqtt import LISTENING, House, heard, running

WORDS = ["stop", "go", "größer", 'say "hi"', "{{ x }}", "a'b\\n"]
DEVICE = {"identifiers", "connections", "manufacturer", "model", "name", "hw_version", "serial_number", "sw_version"}
SHARED = {"availability_topic", "state_topic", "command_topic", "qos", "encoding", "device", "origin", "components"}
ENTITY = {
    "platform",
    "unique_id",
    "name",
    "icon",
    "entity_category",
    "default_entity_id",
    "json_attributes_topic",
    "state_topic",
    "value_template",
}
OF_PLATFORM = {
    "event": {"event_types"},
    "switch": {"command_topic", "payload_on", "payload_off", "state_on", "state_off"},
    "sensor": {"state_class", "unit_of_measurement", "expire_after", "device_class", "options"},
}
NEEDED = {"event": {"state_topic", "event_types"}, "switch": {"command_topic"}, "sensor": {"state_topic"}}


def made(words: list[str] = WORDS, on_demand: list[str] = WORDS, node: str = "kitchen-1") -> dict[str, Any]:
    message = discovery.message(node, "kwsd-default", words, on_demand, control=True)
    return json.loads(json.dumps(message))


def check(message: dict[str, Any]) -> None:
    """Home Assistant's rules for a device's discovery message."""
    assert set(message) <= SHARED and {"device", "origin", "components"} <= set(message)
    assert set(message["device"]) <= DEVICE and message["device"]["identifiers"]
    assert message["origin"]["name"]
    assert message["qos"] in (0, 1, 2)
    for component in message["components"].values():
        platform = component["platform"]
        assert set(component) <= ENTITY | OF_PLATFORM[platform]
        assert set(component) >= NEEDED[platform] | {"unique_id", "name"}
        for topic in (value for key, value in component.items() if key.endswith("_topic")):
            assert re.fullmatch(r"[^#+\x00]{1,65535}", topic)
        if platform == "sensor":  # an enum has options, and neither a class nor a unit
            assert ("options" in component) == (component.get("device_class") == "enum")
            assert not ("options" in component and {"state_class", "unit_of_measurement"} & set(component))
    identifiers = [each["unique_id"] for each in message["components"].values()]
    assert len(set(identifiers)) == len(identifiers)
    assert all(re.fullmatch("[A-Za-z0-9_-]+", identifier) for identifier in message["components"])


def rendered(template: str, payload: dict[str, Any]) -> str:
    """As Home Assistant renders a value template."""
    environment = ImmutableSandboxedEnvironment()
    environment.filters["to_json"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(template).render(value=json.dumps(payload), value_json=payload)


def test_the_message_keeps_to_home_assistant_s_schema() -> None:
    check(made())
    check(made(words=[], on_demand=[]))
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", discovery.topic("homeassistant", "kitchen-1"))


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), unique=True, max_size=5))
def test_it_does_with_any_words(words: list[str]) -> None:
    message = made(words, words)
    check(message)
    switches = [each for name, each in message["components"].items() if name.startswith("armed_")]
    assert len(switches) == len(words)
    for word, switch in zip(words, switches, strict=True):
        assert json.loads(switch["payload_on"]) == {"arm": {"labels": [word]}}
        assert json.loads(switch["payload_off"]) == {"disarm": {"labels": [word]}}
        assert rendered(switch["value_template"], {word: {}}) == "ON"
        assert rendered(switch["value_template"], {f"{word}x": {}}) == "OFF"


def test_an_event_becomes_an_event_of_its_word_with_the_rest_as_attributes() -> None:
    word = made()["components"]["word"]
    event = heard(label="größer").to_dict()
    seen = json.loads(rendered(word["value_template"], event))
    assert seen == event | {"event_type": "größer"}
    assert word["event_types"] == WORDS
    assert word["default_entity_id"] == "event.kwsd_kitchen_1"


@pytest.mark.parametrize("state", State)
def test_the_switch_for_listening_shows_whether_it_is_paused(state: State) -> None:
    components = made()["components"]
    payload = StatusEvent("t", state, "r", "s").to_dict()
    assert rendered(components["listening"]["value_template"], payload) == ("OFF" if state == "paused" else "ON")
    assert rendered(components["state"]["value_template"], payload) in components["state"]["options"]
    assert json.loads(components["listening"]["payload_on"]) == {"resume": {}}
    assert json.loads(components["listening"]["payload_off"]) == {"pause": {}}


def test_the_sensors_show_the_snapshot() -> None:
    components, house = made()["components"], House()
    values = discovery.sensors(house.snapshot)
    shown = [rendered(components[name]["value_template"], values) for name in ("level", "detections", "samples_lost")]
    assert shown == ["-41.5", "3", "0"]
    assert components["level"]["expire_after"] > 2 * discovery.SENSORS_EVERY_S


@pytest.mark.skipif(bool(mosquitto.missing()), reason=f"needs {mosquitto.missing()}")
def test_it_is_told_at_each_connect_when_home_assistant_starts_and_when_the_words_change(tmp_path: Path) -> None:
    house = House()
    topic = "homeassistant/device/kwsd_kitchen/config"
    with broker(tmp_path) as served, watching(served.port) as watcher, running(served.port, house) as sink:
        wait_until(lambda: watcher.of(topic), "at the connect")
        check(watcher.of(topic)[0].json)
        wait_until(lambda: watcher.of("kwsd/kitchen/sensors"), "the sensors")
        assert watcher.of("kwsd/kitchen/sensors")[0].json["level_dbfs"] == -41.5
        with watching(served.port) as late:
            wait_until(lambda: late.of(topic), "it is retained")
            assert late.of(topic)[0].retain
        watcher.publish("homeassistant/status", "online")
        wait_until(lambda: len(watcher.of(topic)) == 2, "when Home Assistant starts")
        assert watcher.of(topic)[0].payload == watcher.of(topic)[1].payload
        house.snapshot["listeners"]["default"]["on_demand"] = ["go"]
        sink.put(LISTENING)
        wait_until(lambda: len(watcher.of(topic)) == 3, "when a reload makes another word one on demand")
        assert "armed_go" in watcher.of(topic)[2].json["components"]
        sink.put(LISTENING)
        sink.put(heard())
        assert sink.drain(time.monotonic() + 20)
        assert len(watcher.of(topic)) == 3
