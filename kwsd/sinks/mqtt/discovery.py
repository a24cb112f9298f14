"""Home Assistant's discovery of kwsd: one message for the whole device.

Keys and meaning: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kwsd import __version__
from kwsd.status import State

SENSORS_EVERY_S = 10.0
"""Home Assistant stores each value; more of them would fill its recorder."""

EXPIRE_AFTER_S = 60


class Topics(NamedTuple):
    """The topics of one kwsd."""

    event: str
    state: str
    availability: str
    set: str
    armed: str
    sensors: str

    @classmethod
    def of(cls, node: str) -> "Topics":
        return cls(*(f"kwsd/{node}/{name}" for name in cls._fields))


def topic(prefix: str, node: str) -> str:
    """The topic of the retained discovery message."""
    return f"{prefix}/device/kwsd_{node}/config"


def message(node: str, model: str, words: Sequence[str], on_demand: Sequence[str], *, control: bool) -> dict[str, Any]:
    """The device with all its entities.

    Args:
        words: the words of events.
        on_demand: those of them that must be armed; each gets a switch.
        control: whether kwsd obeys switches at all.
    """
    topics = Topics.of(node)
    components = {"word": _word(node, topics, words), **_diagnostics(topics)}
    if control:
        components["listening"] = _listening(topics)
        components |= {f"armed_{_identifier(word)}": _armed(topics, word) for word in on_demand}
    for identifier, component in components.items():
        component["unique_id"] = f"kwsd_{node}_{identifier}"
    return {
        "device": {
            "identifiers": [f"kwsd_{node}"],
            "name": f"kwsd {node}",
            "manufacturer": "kwsd",
            "model": model,
            "sw_version": __version__,
        },
        "origin": {"name": "kwsd", "sw_version": __version__},
        "availability_topic": topics.availability,
        "qos": 1,
        "components": components,
    }


def sensors(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the diagnostic sensors, from a snapshot."""
    return {
        "level_dbfs": max(each["level_dbfs"] for each in snapshot["listeners"].values()),
        "detections": snapshot["detections"],
        "samples_lost": snapshot["samples_lost"],
    }


def _word(node: str, topics: Topics, words: Sequence[str]) -> dict[str, Any]:
    return {
        "platform": "event",
        "name": "Word",
        "icon": "mdi:microphone-message",
        "default_entity_id": f"event.kwsd_{node.lower().replace('-', '_')}",
        "state_topic": topics.event,
        "event_types": list(words),
        "value_template": "{{ dict(value_json, event_type=value_json.label) | to_json }}",
    }


def _listening(topics: Topics) -> dict[str, Any]:
    return {
        "platform": "switch",
        "name": "Listening",
        "icon": "mdi:microphone",
        "state_topic": topics.state,
        "value_template": "{{ 'OFF' if value_json.state == 'paused' else 'ON' }}",
        "command_topic": topics.set,
        "payload_on": '{"resume":{}}',
        "payload_off": '{"pause":{}}',
        "state_on": "ON",
        "state_off": "OFF",
    }


def _armed(topics: Topics, word: str) -> dict[str, Any]:
    text = json.dumps(word, ensure_ascii=False)
    return {
        "platform": "switch",
        "name": f"Armed: {word}",
        "icon": "mdi:ear-hearing",
        "state_topic": topics.armed,
        "value_template": f"{{{{ 'ON' if {text} in value_json else 'OFF' }}}}",
        "command_topic": topics.set,
        "payload_on": f'{{"arm":{{"labels":[{text}]}}}}',
        "payload_off": f'{{"disarm":{{"labels":[{text}]}}}}',
        "state_on": "ON",
        "state_off": "OFF",
    }


def _diagnostics(topics: Topics) -> dict[str, dict[str, Any]]:
    sensor = {"platform": "sensor", "entity_category": "diagnostic"}
    counted = {**sensor, "state_topic": topics.sensors, "expire_after": EXPIRE_AFTER_S}
    return {
        "state": {
            **sensor,
            "name": "State",
            "device_class": "enum",
            "options": [str(state) for state in State],
            "state_topic": topics.state,
            "value_template": "{{ value_json.state }}",
            "json_attributes_topic": topics.state,
        },
        "level": {
            **counted,
            "name": "Level",
            "state_class": "measurement",
            "unit_of_measurement": "dBFS",
            "value_template": "{{ value_json.level_dbfs }}",
        },
        "detections": {
            **counted,
            "name": "Words heard",
            "state_class": "total_increasing",
            "value_template": "{{ value_json.detections }}",
        },
        "samples_lost": {
            **counted,
            "name": "Samples lost",
            "state_class": "total_increasing",
            "value_template": "{{ value_json.samples_lost }}",
        },
    }


def _identifier(word: str) -> str:
    """The word as an identifier, different for different words."""
    return re.sub("[^A-Za-z0-9-]", lambda match: f"_{ord(match[0]):x}_", word)
