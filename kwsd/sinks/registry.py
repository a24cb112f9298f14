"""The kinds of sink. A new kind is one file and one line here; its keys in a configuration, their checks and their rows
in docs/config.md follow from its settings class.

A kind's imports happen only if there is a sink of that kind.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

from kwsd.sinks.settings import SinkSettings
from kwsd.sinks.sink import Services, Sink


class Kind(NamedTuple):
    """Where the two classes of a kind are, as ``module:name``."""

    settings: str
    sink: str


KINDS = {
    "stdout": Kind("kwsd.sinks.stdout:StdoutSettings", "kwsd.sinks.stdout:StdoutSink"),
    "socket": Kind("kwsd.sinks.socket.settings:SocketSettings", "kwsd.sinks.socket.sink:SocketSink"),
    "webhook": Kind("kwsd.sinks.webhook.settings:WebhookSettings", "kwsd.sinks.webhook.sink:WebhookSink"),
    "exec": Kind("kwsd.sinks.exec.settings:ExecSettings", "kwsd.sinks.exec.sink:ExecSink"),
    "clips": Kind("kwsd.sinks.clips.settings:ClipsSettings", "kwsd.sinks.clips.sink:ClipsSink"),
    "mqtt": Kind("kwsd.sinks.mqtt.settings:MqttSettings", "kwsd.sinks.mqtt.sink:MqttSink"),
}


def settings_class(kind: str) -> type[SinkSettings]:
    """The settings of a kind; KeyError for one that does not exist."""
    settings: type[SinkSettings] = _named(KINDS[kind].settings)
    return settings


def create(settings: Sequence[SinkSettings], services: Services) -> list[Sink]:
    """The sinks with these settings, not started. Raises ConfigError."""
    return [_named(KINDS[each.type].sink).create(each, services) for each in settings]


def _named(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
